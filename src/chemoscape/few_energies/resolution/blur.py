"""A fine image as an instrument with a wider beam and larger pixels would record it.

Beams are blurred in intensity: what a wide beam transmits is the mean transmission under it, not
the mean optical density. The beam is a Gaussian, and a pixel of the coarse image the mean over its
area; both together have along each axis the kernel ``[Φ((u + h)/σ) - Φ((u - h)/σ)]/2h`` with h half
a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from chemoscape.preprocess.resample import fill_nearest
from chemoscape.regrid import pitch

#: Standard deviations of the Gaussian that the kernel reaches.
_REACH = 4.0
#: Narrowest Gaussian, in pixels of the fine image, that its pixels can represent.
NARROWEST = 0.5


@dataclass(frozen=True)
class Placement:
    """Where a fine image lies: its point q is the coarse one's point c + matrix (q - c) + shift.

    Parameters
    ----------
    centre, shift : ndarray, shape (2,)
        c, the middle of the fine image, and the shift, (y, x) in µm.
    matrix : ndarray, shape (2, 2)
        Rotation, scaling and shear in the order (y, x).
    """

    centre: np.ndarray
    shift: np.ndarray
    matrix: np.ndarray

    def back(self, points: np.ndarray) -> np.ndarray:
        """Points (…, 2) of the coarse image, in the fine one's coordinates, µm."""
        away = points - self.centre - self.shift
        return np.asarray(self.centre + away @ np.linalg.inv(self.matrix).T)

    def seen(self, pixel: np.ndarray) -> np.ndarray:
        """A coarse pixel (dy, dx) as long as it is in the fine image, µm."""
        return np.asarray(np.abs(np.linalg.inv(self.matrix)) @ pixel)


@dataclass(frozen=True)
class Fine:
    """A map (ny, nx), NaN where there is nothing, with its axes in µm."""

    values: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """Where it has a value."""
        return np.isfinite(self.values)

    @cached_property
    def counts(self) -> np.ndarray:
        """1 where it has a value, else 0."""
        return self.known.astype(np.float64)

    @cached_property
    def filled(self) -> np.ndarray:
        """Values in float64, those missing copied from their neighbours."""
        values = self.values.astype(np.float64)
        return values if self.known.all() else fill_nearest(values, ~self.known)

    @property
    def pixel(self) -> np.ndarray:
        """Pixel size (dy, dx) in µm."""
        return np.array([pitch(self.y), pitch(self.x)])

    @property
    def centre(self) -> np.ndarray:
        """Middle of the image (y, x), µm."""
        return np.array([self.y[0] + self.y[-1], self.x[0] + self.x[-1]]) / 2

    def turned(self, orientation: str) -> Fine:
        """The same on the same axes, with rows or columns in reverse order if it says so."""
        step_y, step_x = (
            -1 if orientation in (f"{name} reversed", "both reversed") else 1
            for name in ("rows", "columns")
        )
        return Fine(self.values[::step_y, ::step_x], self.y, self.x)

    def through(
        self, points: np.ndarray, pixel: np.ndarray, sigma: float, *, squared: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means under a beam at some points, and the share of the beam on known pixels.

        Parameters
        ----------
        points : ndarray, shape (…, 2)
            (y, x) in µm.
        pixel : ndarray, shape (2,)
            Size (dy, dx) of the pixels to average over, µm.
        sigma : float
            Standard deviation of the beam, µm.
        squared : bool
            Sums with squared weights instead: variances of the means.
        """
        sizes, sigmas = pixel / self.pixel, sigma / self.pixel
        kernels = [kernel(*one) ** (2 if squared else 1) for one in zip(sizes, sigmas, strict=True)]
        at = self._indices(points)
        return _sampled(self.filled, kernels, at, "nearest", 3), _sampled(
            self.counts, kernels, at, "constant", 1
        )

    def on_grid(
        self, y: np.ndarray, x: np.ndarray, pixel: np.ndarray, sigma: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `through` at the points of a grid along the image's own axes (µm), by two products of
        matrices and without interpolation.
        """
        down, across = (
            ndtr((own - at[:, None] + size / 2) / sigma)
            - ndtr((own - at[:, None] - size / 2) / sigma)
            for own, at, size in zip((self.y, self.x), (y, x), pixel, strict=True)
        )
        down, across = down * self.pixel[0] / pixel[0], across * self.pixel[1] / pixel[1]
        share = down @ self.counts @ across.T
        seen = down @ (self.filled * self.counts) @ across.T
        return np.asarray(seen / np.maximum(share, np.finfo(np.float32).tiny)), np.asarray(share)

    def sharp(self, points: np.ndarray) -> np.ndarray:
        """Values at some points (…, 2), NaN outside and beside missing pixels."""
        at = np.moveaxis(self._indices(points), -1, 0)
        values = ndimage.map_coordinates(self.filled, at, order=1, mode="nearest")
        known = ndimage.map_coordinates(self.known.astype(float), at, order=1, cval=0.0)
        return np.asarray(np.where(known > 0.99, values, np.nan))

    def _indices(self, points: np.ndarray) -> np.ndarray:
        return np.asarray((points - [self.y[0], self.x[0]]) / self.pixel)


def kernel(size: float, sigma: float) -> np.ndarray:
    """Weights of neighbours, of sum one, for a mean over `size` pixels and a Gaussian of `sigma`.

    Examples
    --------
    >>> weights = kernel(3.0, 2.0)
    >>> at = np.arange(weights.size) - weights.size // 2
    >>> round(float(weights @ at**2), 2)  # 2² + 3²/12
    4.75
    """
    reach = int(np.ceil(_REACH * sigma + size / 2))
    at = np.arange(-reach, reach + 1)
    weights = ndtr((at + size / 2) / sigma) - ndtr((at - size / 2) / sigma)
    return np.asarray(weights / weights.sum())


def _sampled(
    image: np.ndarray, kernels: list[np.ndarray], at: np.ndarray, mode: str, order: int
) -> np.ndarray:
    """The image convolved along both axes, between pixels by splines."""
    for axis, weights in enumerate(kernels):
        image = ndimage.convolve1d(image, weights, axis=axis, mode=mode)
    return np.asarray(
        ndimage.map_coordinates(image, np.moveaxis(at, -1, 0), order=order, mode=mode)
    )
