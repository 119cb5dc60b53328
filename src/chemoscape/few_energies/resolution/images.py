"""The two images to compare, out of what they were given as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.errors import FitError, StackError
from chemoscape.regrid import pitch


@dataclass(frozen=True)
class Image:
    """A map (ny, nx), NaN where there is nothing, its axes in µm, and its photon energy in eV (NaN
    where it is not known).
    """

    values: np.ndarray
    y: np.ndarray
    x: np.ndarray
    energy: float = np.nan

    @property
    def pixel(self) -> np.ndarray:
        """Pixel size (dy, dx), µm."""
        return np.array([pitch(self.y), pitch(self.x)])

    @property
    def corner(self) -> np.ndarray:
        """Centre of the first pixel (y, x), µm."""
        return np.array([self.y[0], self.x[0]])

    @property
    def points(self) -> np.ndarray:
        """Centres of all pixels (ny, nx, 2), µm."""
        return np.stack(np.meshgrid(self.y, self.x, indexing="ij"), axis=-1)


def pair_of(
    coarse: xr.DataArray | xr.Dataset, fine: xr.DataArray | xr.Dataset, energy: float | None = None
) -> tuple[Image, Image]:
    """One image of each, at the energies nearest to `energy` or, without it, to each other.

    Frames without any value are passed over: those of a scan that was aborted.

    Raises
    ------
    StackError
        One is no image, or shows nothing.
    FitError
        Several pairs of energies are equally near.
    """
    one, other = (
        _images(given, name) for given, name in ((coarse, "coarse image"), (fine, "fine image"))
    )
    gaps = np.abs(
        np.array([image.energy for image in one])[:, None] - [image.energy for image in other]
    )
    if energy is not None:
        nearest = [
            min(images, key=lambda image: abs(np.nan_to_num(image.energy) - energy))
            for images in (one, other)
        ]
        return nearest[0], nearest[1]
    gaps = np.nan_to_num(gaps)
    if (gaps < gaps.min() + 0.02).sum() > 1:
        raise FitError(
            f"both images have several energies, {int((gaps < gaps.min() + 0.02).sum())} pairs of "
            "which are as near to each other",
            remedy="give energy = … in eV, or one image each",
        )
    k, j = np.unravel_index(np.argmin(gaps), gaps.shape)
    return one[int(k)], other[int(j)]


def _images(given: xr.DataArray | xr.Dataset, name: str) -> list[Image]:
    """All images that show something."""
    image = given["optical_density"] if isinstance(given, xr.Dataset) else given
    if not {"y", "x"} <= set(image.dims) <= {"energy", "y", "x"}:
        raise StackError(
            f"the {name} has the dimensions {', '.join(map(str, image.dims))}",
            remedy="give an optical density (y, x) or (energy, y, x)",
        )
    if image.attrs.get("quantity", "optical_density") != "optical_density":
        raise StackError(
            f"the {name} holds {image.attrs['quantity']}",
            remedy="make it an optical density first (chemoscape.optical_density)",
        )
    for axis in ("y", "x"):
        if axis not in image.coords or not (np.diff(image[axis].values) > 0).all():
            raise StackError(
                f"the {axis} axis of the {name} does not rise", remedy="give coordinates in µm"
            )
    if "energy" not in image.dims:
        known = float(image["energy"]) if "energy" in image.coords else np.nan
        image = (
            image.expand_dims(energy=[known])
            if np.isfinite(known)
            else (image.drop_vars("energy", errors="ignore").expand_dims(energy=[np.nan]))
        )
    frames = image.transpose("energy", "y", "x")
    y, x = (frames[axis].values.astype(np.float64) for axis in ("y", "x"))
    found = [
        Image(np.asarray(frame.values, np.float64), y, x, float(frame["energy"]))
        for frame in frames
        if bool(np.isfinite(frame.values).any())
    ]
    if not found or min(len(y), len(x)) < 4:
        raise StackError(f"the {name} shows nothing", remedy="give one with at least 4 × 4 pixels")
    return found
