"""Shifts of all frames together, from what aligned optical densities have in common.

After alignment the optical densities of a stack are a sum of a few images, each with its own
spectrum. Shifts that minimise the part which no such sum explains are found by variable projection.
They average the noise of all frames, and are free of the bias that an edge map has when one
material fades and another appears.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from chemoscape.blocks import for_each_band
from chemoscape.preprocess.resample import shift_image

FIT_SIGMA = 0.7
#: How far (standard deviation, pixels) the joint fit may move a frame from its correlation: the
#: latter's usual bias.
PRIOR_PX = 0.5
MAX_RANK = 6
#: Pixels that tell most about position: more of them slow the fit without sharpening it.
MAX_FIT_PIXELS = 4096
#: A fit that moves a frame by more (pixels) has lost its way.
LARGEST_STEP = 2.0
#: A component this much above the noise of the others is not noise; misaligned frames leave one,
#: too.
SIGNIFICANT = 2.0
#: Thinnest transmission, relative to the open beam, whose logarithm is taken.
DARKEST = 0.02


def refine(frames: np.ndarray, start: np.ndarray, weight: np.ndarray) -> np.ndarray:
    r"""Shifts that leave least behind a sum of a few images with a spectrum each.

    Minimises :math:`\lVert D(s) - \sum_{k \le r} c_k t_k^T - b\,1^T \rVert^2 / \sigma^2 + \lVert s
    - s_0 \rVert^2 / \sigma_0^2` over the shifts s, the images t, their spectra c and an offset b of
    each frame, by Gauss-Newton steps on s alone with the rest projected out (variable projection;
    Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). D are optical densities weighted by
    counts. The number of images r is the lowest that leaves nothing above the noise; when none up
    to `MAX_RANK` does, or too little of the field is common, `start` is returned.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    start : ndarray, shape (n, 2)
        Shifts to apply, from `match_frames`; also the centre of the prior.
    weight : ndarray, shape (ny, nx)
        1 where a pixel counts.

    Returns
    -------
    ndarray, shape (n, 2)
        Refined shifts.
    """
    density, bright = _optical_densities(frames)
    pixels = _fit_pixels(density, bright, start, weight)
    if len(frames) < 4 or pixels.sum() < 400:
        return start
    aligned = _Aligned(density, bright, start, pixels)
    at_start = aligned.components(start)
    for rank in range(1, min(MAX_RANK, len(frames) // 3) + 1):
        shifts, found, moved = start, at_start, np.inf
        for round_ in range(8):
            step = aligned.step(found, rank, shifts - start)
            shifts, moved = shifts - step, float(np.sqrt((step**2).mean()))
            if not np.abs(shifts - start).max() < LARGEST_STEP:  # also when NaN
                break
            found = aligned.components(shifts)
            if moved < 0.005 or (round_ > 0 and found.excess(rank) > 3 * SIGNIFICANT):
                break
        settled = moved < 0.02 and np.abs(shifts - start).max() < LARGEST_STEP
        if settled and found.excess(rank) < SIGNIFICANT:
            # once more with the slopes and weights of the aligned frames
            aligned = _Aligned(density, bright, shifts, pixels)
            for _ in range(3):
                found = aligned.components(shifts)
                shifts = shifts - aligned.step(found, rank, shifts - start)
            return shifts
    return start


def _optical_densities(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lightly smoothed -ln(I/I0) (n, ny, nx) float32, and I0 (n,): a bright percentile of each
    frame.
    """
    density = np.empty(frames.shape, dtype=np.float32)
    bright = np.empty(len(frames))

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            smooth = ndimage.gaussian_filter(frames[i].astype(np.float64), FIT_SIGMA)
            bright[i] = max(float(np.percentile(smooth, 95)), np.finfo(float).tiny)
            density[i] = -np.log(np.maximum(smooth / bright[i], DARKEST))

    for_each_band(work, len(frames), rows_per_band=1)
    return density, bright


def _fit_pixels(
    density: np.ndarray, bright: np.ndarray, shifts: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Pixels (ny, nx) that every frame sees, at most `MAX_FIT_PIXELS`, those that tell most about
    position first.
    """
    ny, nx = weight.shape
    margin = 3
    low = np.ceil(np.maximum(shifts.max(axis=0), 0)).astype(int) + margin
    high = np.floor(np.minimum(shifts.min(axis=0), 0)).astype(int) - margin
    seen = np.zeros_like(weight, dtype=bool)
    seen[low[0] : max(ny + high[0], 0), low[1] : max(nx + high[1], 0)] = True
    seen &= weight > 0
    if seen.sum() <= MAX_FIT_PIXELS:
        return seen
    tells = np.zeros(weight.shape)
    for i in np.linspace(0, len(density) - 1, 8).astype(int):
        gy, gx = np.gradient(shift_image(density[i], shifts[i]))
        tells += (gy**2 + gx**2) * bright[i]
    tells = np.where(seen, np.nan_to_num(tells), -1.0)
    chosen = np.zeros(tells.size, dtype=bool)
    chosen[np.argpartition(tells.ravel(), -MAX_FIT_PIXELS)[-MAX_FIT_PIXELS:]] = True
    return chosen.reshape(tells.shape) & seen


@dataclass(frozen=True)
class _Components:
    """Aligned data (n, pixel), its left singular vectors as columns, and its singular values."""

    data: np.ndarray
    left: np.ndarray
    singular: np.ndarray

    def excess(self, rank: int) -> float:
        """The largest component beyond the first `rank`, relative to the noise in the others."""
        noise = float(np.median(self.singular[rank:]))
        return float(self.singular[rank]) / max(noise, np.finfo(float).tiny)


class _Aligned:
    """Optical densities at chosen pixels as a function of the shifts, weighted by counts.

    Slopes and weights are those at `start`: the fit moves frames by a fraction of a pixel.
    """

    def __init__(
        self, density: np.ndarray, bright: np.ndarray, start: np.ndarray, pixels: np.ndarray
    ) -> None:
        self._where = np.array(np.nonzero(pixels), dtype=np.float64)
        self._spline = np.empty_like(density)

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                ndimage.spline_filter(density[i], order=3, output=self._spline[i], mode="mirror")

        for_each_band(work, len(density), rows_per_band=1)
        relative = bright / bright.mean()
        transmitted = relative[:, None] * np.exp(-self._sample(start))
        self._per_pixel = np.sqrt(transmitted.mean(axis=0))
        self._per_frame = np.sqrt(relative)[:, None]
        self._constant = self._per_pixel / np.linalg.norm(self._per_pixel)
        half = np.array([[0.5, 0.0], [0.0, 0.5]])
        self._slopes = [
            (self._sample(start - along) - self._sample(start + along))
            * self._per_pixel
            * self._per_frame
            for along in half
        ]

    def _sample(self, shifts: np.ndarray) -> np.ndarray:
        """Values (n, pixel) of the frames moved by `shifts`."""
        values = np.empty((len(self._spline), self._where.shape[1]))

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                ndimage.map_coordinates(
                    self._spline[i],
                    self._where - shifts[i][:, None],
                    output=values[i],
                    order=3,
                    mode="mirror",
                    prefilter=False,
                )

        for_each_band(work, len(values), rows_per_band=4)
        return values

    def components(self, shifts: np.ndarray) -> _Components:
        """Singular value decomposition of the aligned data, each frame's offset taken out."""
        data = self._sample(shifts) * self._per_pixel
        data *= self._per_frame
        data -= np.outer(data @ self._constant, self._constant)
        squares, left = np.linalg.eigh(data @ data.T)
        return _Components(data, left[:, ::-1], np.sqrt(np.maximum(squares[::-1], 0.0)))

    def step(self, found: _Components, rank: int, departure: np.ndarray) -> np.ndarray:
        """Gauss-Newton step (n, 2) to subtract from shifts `departure` away from the start."""
        n, m = found.data.shape
        left = found.left[:, :rank]
        spectra = left * found.singular[:rank]
        scale = np.maximum(found.singular[:rank], np.finfo(float).tiny)[:, None]
        known = np.vstack([(left.T @ found.data) / scale, self._constant])
        slopes = [(left.T @ along) / scale for along in self._slopes]
        slopes = [slope - (slope @ known.T) @ known for slope in slopes]
        outside = np.eye(n) - left @ left.T
        hessian = np.block(
            [[outside * (spectra @ (a @ b.T) @ spectra.T) for b in slopes] for a in slopes]
        )
        downhill = np.concatenate(
            [((outside @ (found.data @ slope.T)) * spectra).sum(axis=1) for slope in slopes]
        )
        correlated = max(1.0, 4 * np.pi * FIT_SIGMA**2)
        noise = max(float(np.median(found.singular[rank:] ** 2)) / m * correlated, 1e-12)
        prior = np.eye(2 * n) / PRIOR_PX**2
        pull = departure.T.ravel() / PRIOR_PX**2
        step = np.linalg.solve(hessian / noise + prior, pull - downhill / noise)
        step = step.reshape(2, n).T
        return step - step.mean(axis=0)
