"""Values along a line, averaged over a width: nothing comes from pixels without a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from chemoscape.errors import RegionError
from chemoscape.stack import pixel_size

#: Points along a line, and lines side by side, at most.
MOST_ALONG, MOST_ACROSS = 1500, 201
#: A place has a value where at least so much of what surrounds it has one.
ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class Track:
    """Places along a line and across its width, on the pixels of a map.

    Parameters
    ----------
    distance : ndarray, shape (n_along,)
        From the first point, µm.
    rows, columns : ndarray, shape (n_along, n_across)
        Places in pixels.
    apart_px : float
        Distance of neighbours across the width, pixels.
    """

    distance: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    apart_px: float

    def sampled(self, image: xr.DataArray) -> np.ndarray:
        """The map at every place, (n_along, n_across), between the pixels that have a value; NaN
        where most around has none.
        """
        values = image.transpose("y", "x").values.astype(float)
        known = np.isfinite(values)
        places = np.stack([self.rows, self.columns])
        total, share = (
            map_coordinates(one, places, order=1, mode="grid-constant")  # edges fade, half a pixel
            for one in (np.where(known, values, 0.0), known.astype(float))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(share >= ENOUGH, total / share, np.nan)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average over the width, (n_along,); NaN where no place has a value."""
        known = np.isfinite(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1))

    def counting_sd(self, sds: np.ndarray, blur_px: float) -> np.ndarray:
        r"""Standard deviation of the average over the width.

        ``Var = 1/n² Σ_ij s_i s_j exp(-r_ij² / 4σ²)``: noise that went through a Gaussian of σ
        pixels (or, for pixels alone, one of the same area) is alike over that length, and averages
        out beyond it.

        Parameters
        ----------
        sds : ndarray, shape (n_along, n_across)
            Of every place, NaN where there is none.
        blur_px : float
            σ in pixels of the map.
        """
        known = np.isfinite(sds)
        s = np.where(known, sds, 0.0)
        apart = self.apart_px * np.subtract.outer(*[np.arange(s.shape[1])] * 2)
        alike = np.exp(-(apart**2) / (4 * blur_px**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt(np.einsum("pi,ij,pj->p", s, alike, s)) / known.sum(axis=1))


def track(image: xr.DataArray, line: np.ndarray, width_um: float) -> Track:
    """Places a pixel apart along a line ((x, y), (x, y)) in µm, and across its width.

    Raises
    ------
    RegionError
        The line has no length, or is too long or too wide.
    """
    step = np.array(pixel_size(image))[::-1]  # x, y
    along = line[1] - line[0]
    length = float(np.hypot(*along))
    pixel = float(step.min())
    if not length > 0.5 * pixel:
        raise RegionError("the line has no length", remedy="draw it over several pixels")
    n_along, n_across = round(length / pixel) + 1, max(round(width_um / pixel), 1)
    if n_along > MOST_ALONG or n_across > MOST_ACROSS:
        raise RegionError(
            f"the line takes {n_along} × {n_across} places, of which {MOST_ALONG} × {MOST_ACROSS} "
            "are drawn",
            remedy="draw a shorter or narrower one",
        )
    distance = np.linspace(0, length, max(n_along, 2))
    across = (np.arange(n_across) - (n_across - 1) / 2) * (width_um / n_across if width_um else 0)
    ahead = along / length
    aside = np.array([-ahead[1], ahead[0]])
    places = line[0] + distance[:, None, None] * ahead + across[:, None] * aside
    origin = np.array([float(image["x"][0]), float(image["y"][0])])
    columns, rows = np.moveaxis((places - origin) / step, -1, 0)
    apart = float(across[1] - across[0]) / pixel if n_across > 1 else 0.0
    return Track(distance, rows, columns, apart)
