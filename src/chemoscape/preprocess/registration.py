"""Where each frame lies: cross-correlation of its edges with those of one fixed frame.

Edges are the magnitude of the intensity's gradient, so that a particle that turns from bright to
dark across an absorption edge still matches. One fixed reference does not accumulate error as a
chain of neighbours does; only where a frame shows nothing of what the reference shows is it bridged
through its neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy import ndimage
from skimage.filters import farid
from skimage.registration import phase_cross_correlation

from chemoscape.blocks import for_each_band

#: Subpixels per pixel in the correlation; finer than its accuracy on any real frame.
UPSAMPLING = 100
EDGE_SIGMA = 1.0
#: Pixels over which the noise of an edge map is correlated; fitted to the largest of n correlations
#: of pure noise.
NOISE_AREA = 6.0

#: Darkest intensity, relative to the median, that counts as light in the choice of a reference.
DARKEST = 0.02


@dataclass(frozen=True)
class Match:
    """Shifts (n, 2) in pixels to apply, the correlation coefficient (n,) at them, and the reference
    frame.
    """

    shifts: np.ndarray
    quality: np.ndarray
    reference: int


def edge_map(frame: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Magnitude of the gradient (Gaussian, then Farid's filter), its mean removed, zero where
    `weight` is zero.
    """
    edges = farid(ndimage.gaussian_filter(frame.astype(np.float64), EDGE_SIGMA))
    total = float(weight.sum())
    if total == 0:
        return np.zeros_like(edges)
    edges = (edges - float((edges * weight).sum()) / total) * weight
    flat = np.abs(edges).max() <= 1e-6 * float(np.abs(frame).mean())  # rounding is no contrast
    return np.zeros_like(edges) if flat else edges


def information(frame: np.ndarray, weight: np.ndarray) -> float:
    """Fisher information on a frame's position, sum of |grad I|²/I, of a frame with Poisson noise
    (arbitrary unit).
    """
    smooth = ndimage.gaussian_filter(frame.astype(np.float64), 1.5)
    gy, gx = np.gradient(smooth)
    floor = max(DARKEST * float(np.median(smooth)), np.finfo(float).tiny)
    return float(((gy**2 + gx**2) / np.maximum(smooth, floor) * weight).sum())


def choose_reference(frames: np.ndarray, weights: np.ndarray) -> int:
    """Frame with most contrast, passing over single frames that stick out of their neighbourhood
    (glitches).
    """
    contrast = np.zeros(len(frames))

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            contrast[i] = information(frames[i], weights[i])

    for_each_band(work, len(frames), rows_per_band=1)
    usual = ndimage.median_filter(contrast, size=5, mode="nearest")
    return int(np.argmax(np.where(contrast > 1.5 * usual, 0.0, contrast)))


def correlate(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift to apply to `moving` and the correlation coefficient there; both are Fourier transforms
    of edge maps.
    """
    if not (np.abs(fixed).any() and np.abs(moving).any()):
        return np.zeros(2), 0.0
    shift, error, _ = phase_cross_correlation(
        fixed, moving, upsample_factor=UPSAMPLING, normalization=None, space="fourier"
    )
    return np.asarray(shift, dtype=np.float64), float(np.sqrt(max(0.0, 1.0 - float(error) ** 2)))


def chance_correlation(n_pixels: float) -> float:
    """Largest correlation coefficient that two frames of pure noise would show somewhere."""
    if n_pixels < 2:
        return 1.0
    return min(float(np.sqrt(2 * np.log(n_pixels) * NOISE_AREA / n_pixels)), 0.9)


def match_frames(frames: np.ndarray, weights: np.ndarray, reference: int) -> Match:
    """Shift of every frame against frame `reference`, bridged through a neighbour where that shows
    more.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    weights : ndarray, shape (n, ny, nx)
        1 where a pixel counts, 0 where it does not.
    reference : int
        Index of the fixed frame.
    """
    n = len(frames)
    shifts, quality = np.zeros((n, 2)), np.zeros(n)

    def transform(i: int) -> np.ndarray:
        return scipy.fft.fft2(edge_map(frames[i], weights[i]))

    fixed = transform(reference)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            shifts[i], quality[i] = correlate(fixed, transform(i))

    for_each_band(work, n, rows_per_band=1)
    for outwards in (range(reference + 1, n), range(reference - 1, -1, -1)):
        step = outwards.step
        for i in outwards:
            if np.abs(shifts[i] - shifts[i - step]).max() < 1.5:
                continue
            between, likeness = correlate(transform(i - step), transform(i))
            bridged = shifts[i - step] + between
            if likeness > quality[i] and np.abs(bridged - shifts[i]).max() > 1.0:
                shifts[i], quality[i] = bridged, likeness
    return Match(shifts, quality, reference)


def untrusted(match: Match, chance: float) -> np.ndarray:
    """Frames whose shift is not to be believed.

    Either the correlation is what noise would give, or the shift leaves the run of its neighbours
    while the frame correlates worse than they do: a jump of the stage moves a frame but leaves it
    alike. The worse the correlation, the smaller the departure that condemns.
    """
    poor = match.quality <= chance
    usual = usual_quality(match)
    away = np.abs(match.shifts - _running_median(match.shifts)).max(axis=1)
    noise = 1.4826 * np.median(away)
    far = (away > max(6 * noise, 0.5)) & (match.quality < 0.75 * usual)
    unlike = (away > 0.5) & (match.quality < 0.5 * usual)
    return np.asarray(poor | far | unlike)


def usual_quality(match: Match) -> np.ndarray:
    """Correlation (n,) of the frames around each frame."""
    return np.asarray(ndimage.median_filter(match.quality, size=9, mode="nearest"))


def bridge_gaps(shifts: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Shifts with those of `bad` frames interpolated from the frames before and after."""
    if bad.all():
        return np.zeros_like(shifts)
    frame = np.arange(len(shifts))
    return np.column_stack([np.interp(frame, frame[~bad], column[~bad]) for column in shifts.T])


def _running_median(shifts: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.median_filter(shifts, size=(7, 1), mode="nearest"))
