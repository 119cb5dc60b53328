"""Maps on a finer grid: the bilinear interpolation that follows Equation 5."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

#: Half way is known to this: coordinates in µm are rounded.
ROUNDED = 1e-6


class Finer:
    """A grid `refine` times finer between the outermost pixel centres, and ways to bring maps onto
    it.
    """

    def __init__(self, maps: xr.Dataset, refine: int) -> None:
        self.source = {"y": maps.y, "x": maps.x}
        self.refine = refine
        self.y, self.x = (self._axis(maps[name].values) for name in ("y", "x"))

    def _axis(self, axis: np.ndarray) -> np.ndarray:
        if self.refine == 1 or axis.size < 2:
            return axis
        return np.interp(
            np.arange((axis.size - 1) * self.refine + 1) / self.refine, np.arange(axis.size), axis
        )

    def _interpolate(self, values: np.ndarray) -> np.ndarray:
        if self.refine == 1:
            return values
        dims = ("y", "x") if values.ndim == 2 else ("layer", "y", "x")
        image = xr.DataArray(values, dims=dims, coords=self.source)
        # along a single row or column there is nothing between the pixels
        fine = {name: getattr(self, name) for name in ("y", "x") if image.sizes[name] > 1}
        return image.interp(fine).transpose(*dims).values

    def linear(self, values: np.ndarray) -> np.ndarray:
        """Bilinear interpolation."""
        return self._interpolate(values)

    def inside(self, mask: np.ndarray) -> np.ndarray:
        """Where most around lies in the mask; half way to an outside pixel is outside."""
        return self._interpolate(mask.astype(np.float64)) > 0.5 + ROUNDED

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Bilinear interpolation of a standard deviation (an upper bound: between pixels noise
        averages).

        Pixels without a value take the nearest one's, so that they do not spread.
        """
        bad = ~np.isfinite(values)
        if bad.any() and not bad.all():
            values = values[tuple(distance_transform_edt(bad, return_indices=True)[1])]
        return self._interpolate(values)
