"""Reconstructions whose pixels or shapes differ, on the pixels that they have in common.

The pixel of a reconstruction is λz/(N·dx), so it falls with energy, and the same field has more
pixels. A reconstruction has no absolute position: the centres of the fields are put on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._lengths import believable
from chemoscape.formats._source import Wanted
from chemoscape.formats.cxi._file import Image
from chemoscape.regrid import Grid, centred, common_grid, noise_gain

#: Pixel sizes that differ by less than this part are one.
SAME_PIXEL = 1e-3


@dataclass(frozen=True)
class Common:
    """The pixels of every image, and those onto which all are brought.

    Parameters
    ----------
    own : tuple of (y, x)
        Pixel centres in µm about the centre of the field, ascending with rows and columns.
    grid : (y, x)
        The coarsest pixel, in the field that all share.
    pixel : (float, float)
        Its size (y, x) in µm.
    """

    own: tuple[Grid, ...]
    grid: Grid
    pixel: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that all images come to have."""
        return len(self.grid[0]), len(self.grid[1])

    @property
    def gains(self) -> np.ndarray:
        """Factors by which the variance of white noise changes in each image."""
        return np.array([noise_gain(*own, *self.grid) for own in self.own])


def common_pixels(shapes: list[tuple[int, int]], sizes: list[tuple[float, float]]) -> Common | None:
    """Common pixels of images of these shapes and pixel sizes (y, x) in µm; None where they are
    the same already.

    Raises
    ------
    StackError
        The images are too small to share a pixel.
    """
    largest = np.max(sizes, axis=0)
    alike = bool((np.abs(np.array(sizes) - largest) <= SAME_PIXEL * largest).all())
    if alike and len(set(shapes)) == 1:
        return None
    own = centred(
        [
            (size[0] * np.arange(shape[0]), size[1] * np.arange(shape[1]))
            for shape, size in zip(shapes, sizes, strict=True)
        ]
    )
    return Common(tuple(own), common_grid(own), (float(largest[0]), float(largest[1])))


def pixel_sizes(
    images: list[Image], energy: np.ndarray | None, wanted: Wanted, path: Path
) -> tuple[list[tuple[float, float]], str]:
    """Pixel size (y, x) of every image in µm, NaN when there is none, and where the first comes
    from.

    Raises
    ------
    FileFormatError
        Only some are known.
    """
    at = energy if energy is not None else wanted.energy
    if at is None or len(at) != len(images):
        at = np.full(len(images), np.nan)
    sizes = [
        image.geometry.pixel_um(float(one)) if image.geometry else (np.nan, np.nan)
        for image, one in zip(images, at, strict=True)
    ]
    for k, size in enumerate(sizes):
        if np.isfinite(size[0]) != np.isfinite(sizes[0][0]):
            raise FileFormatError(
                "the pixel size of some images is not known: "
                f"{_name(images, 0)} {in_nm(sizes[0])}, {_name(images, k)} {in_nm(size)}",
                str(path),
                "open them one by one with pixel_um = …",
            )
    geometry = images[0].geometry
    known = geometry is not None and believable(sizes[0][0])
    return sizes, geometry.source if known and geometry is not None else "none"


def common_of(images: list[Image], sizes: list[tuple[float, float]], path: Path) -> Common | None:
    """Pixels that images of different pixels or shapes are brought to; None where all agree.

    Raises
    ------
    FileFormatError
        Shapes differ and no pixel size is known, or the images share no pixel.
    """
    shapes = [image.shape for image in images]
    if np.isfinite(sizes).all():
        return common_pixels(shapes, sizes)
    odd = next((k for k, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is None:
        return None
    raise FileFormatError(
        f"its images have different shapes and no pixel size: {_name(images, 0)} {shapes[0]}, "
        f"{_name(images, odd)} {shapes[odd]}",
        str(path),
        "open them one by one with pixel_um = …",
    )


def _name(images: list[Image], k: int) -> str:
    """What to call an image: its file, or its entry where all are in one file."""
    if len({image.path for image in images}) > 1:
        return images[k].path.name
    return images[k].name.strip("/").split("/")[0]


def described(
    common: Common,
    names: list[str],
    sizes: list[tuple[float, float]],
    shapes: list[tuple[int, int]],
) -> str:
    """What the user is told of images that were brought to common pixels."""
    told = [
        f"{name} {in_nm(size)}, {shape[0]} × {shape[1]}"
        for name, size, shape in zip(names, sizes, shapes, strict=True)
    ]
    if len(told) > 6:
        told = [*told[:5], f"… {len(told) - 6} more …", told[-1]]
    changed = int((common.gains != 1).sum())
    return (
        f"its images have different pixels or shapes ({'; '.join(told)}): they are brought to "
        f"{in_nm(common.pixel)}, {common.shape[0]} × {common.shape[1]} pixels, the fields centred "
        f"on each other, for a reconstruction has no absolute position; {changed} of {len(names)} "
        "are interpolated, the others cropped"
    )


def in_nm(size: tuple[float, float]) -> str:
    """A pixel size (y, x) in nm."""
    if not np.isfinite(size[0]):
        return "of unknown pixel"
    y, x = (1000 * one for one in size)
    return f"{x:.4g} nm" if abs(x - y) < SAME_PIXEL * x else f"{y:.4g} × {x:.4g} nm"
