"""Frames whose edges drown in noise: before an absorption edge, or of a thin sample.

They are looked for with what the other frames know: the images that aligned optical densities are
made of (a matched filter), and the run of the drift around them. Every frame's shift then is the
most probable one under its own uncertainty and a random walk with jumps, which leaves a frame that
tells much where it is, and puts one that tells nothing on a line between its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy import ndimage
from scipy.linalg import solve_banded

from chemoscape.blocks import for_each_band
from chemoscape.preprocess.tracking.joint_fit import DARKEST, FIT_SIGMA, SIGNIFICANT, gram
from chemoscape.preprocess.tracking.registration import NOISE_AREA

#: Frames that the images are made from, at most, and images at most: all memory that is needed.
MOST_FRAMES = 24
MOST_IMAGES = 3
#: Structure wider than this (pixels) is the beam's, and says nothing about position.
BEAM_PX = 31
#: Logarithm of the odds against noise from which a place is believed: 1 in 100.
BELIEVED = 4.6
#: Slowest drift (pixels from frame to frame) that the random walk assumes.
SLOWEST = 0.02
#: Frames that it takes to know the walk by.
FEWEST_STEPS = 6
#: Degrees of freedom of its steps, Student's t: few, so that a jump is no surprise.
HEAVY_TAIL = 1.5
#: A frame that leaves this many times the usual variance unexplained is damaged, not weak.
UNSOUND = 4.0


@dataclass(frozen=True)
class Found:
    """Shift (2,), its standard deviation (2,) (infinite when the frame tells nothing), the
    correlation coefficient with the images there, and whether the images explain all but noise
    (else the frame is damaged).
    """

    shift: np.ndarray
    sd: np.ndarray
    quality: float
    sound: bool


def locate(
    frames: np.ndarray, bright: np.ndarray, shifts: np.ndarray, weak: np.ndarray
) -> list[Found]:
    r"""Look for the `weak` frames in the images of the others.

    The images :math:`t_k` are the significant principal components of the others' aligned optical
    densities. A frame D with noise σ is found where :math:`\sum_k (t_k \star D)^2(s) / 2\sigma^2 -
    \min(|s - p|^2 / 2\tau^2, c)` is largest: the gain in likelihood over an empty frame, and a
    random walk of steps τ that would put the frame at p, which pays c at most so that a frame that
    shows well may be anywhere.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    bright : ndarray, shape (n,)
        Intensity of the open beam.
    shifts : ndarray, shape (n, 2)
        Shifts to apply of the frames that are not weak.
    weak : ndarray of bool, shape (n,)
        Frames to look for.

    Returns
    -------
    list of Found
        In the order of the weak frames.
    """
    strong = np.flatnonzero(~weak)
    shape = frames.shape[1:]
    images, usual = _images(frames, bright, shifts, strong)
    power = np.array([float((image**2).sum()) for image in images])
    transforms = scipy.fft.rfft2(images / np.sqrt(power)[:, None, None])
    walk = step_px(shifts[strong])
    numbers = np.flatnonzero(weak)
    found: dict[int, Found] = {}

    def work(band: slice) -> None:
        for k in range(band.start, band.stop):
            i = int(numbers[k])
            expected, spread = _between(i, strong, shifts, walk)
            density = _density(frames[i], bright[i])
            matched = scipy.fft.irfft2(transforms * np.conj(scipy.fft.rfft2(density)), s=shape)
            explained = (matched**2).sum(axis=0)
            found[k] = _best(
                explained, float((density**2).sum()), expected, spread, usual / bright[i]
            )

    for_each_band(work, numbers.size, rows_per_band=1)
    return [found[k] for k in range(numbers.size)]


def most_probable(shifts: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts (n, 2) under their standard deviations `sd` (n, 2) and a random walk with jumps, and
    the share (n,) that each frame's own measurement has in its own.

    The steps of the walk follow Student's t distribution, its width that of the drift of frames
    that are known well; the maximum is found by iteratively reweighted least squares.
    """
    told = np.isfinite(sd).all(axis=1)
    smooth, share = shifts.copy(), told.astype(float)
    if told.sum() < FEWEST_STEPS:  # too few to know the walk by
        for column in smooth.T:
            column[:] = np.interp(np.arange(len(shifts)), np.flatnonzero(told), column[told])
        return smooth, share
    walk = step_px(shifts[told], sd[told])
    for axis in range(2):
        weight = np.where(told, 1 / np.maximum(sd[:, axis], 1e-6) ** 2, 0.0)
        start = np.interp(np.arange(len(shifts)), np.flatnonzero(told), shifts[told, axis])
        path = start
        for _ in range(20):
            # a jump across frames that tell nothing is taken in equal steps: one straight line
            steps = np.diff(path)
            tie = (HEAVY_TAIL + 1) / (HEAVY_TAIL * walk**2 + steps**2)
            before, path = path, _chain(weight, tie, weight * start)
            if np.abs(path - before).max() < 1e-4:
                break
        own = _chain_inverse_diagonal(weight, tie) * weight
        smooth[:, axis] = path
        share = np.minimum(share, own)
    return smooth, share


def step_px(shifts: np.ndarray, sd: np.ndarray | None = None) -> float:
    """Usual step (standard deviation, pixels) of the drift from frame to frame, jumps left out, the
    measurements' own scatter taken off.
    """
    if len(shifts) < 2:
        return 1.0
    variance = (1.4826 * float(np.median(np.abs(np.diff(shifts, axis=0))))) ** 2
    if sd is not None:
        variance -= float(np.median(sd[1:] ** 2 + sd[:-1] ** 2))
    return float(np.sqrt(max(variance, SLOWEST**2)))


def _chain(weight: np.ndarray, tie: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve the tridiagonal equations of points tied to their data and to each other."""
    banded = np.zeros((3, weight.size))
    banded[0, 1:] = banded[2, :-1] = -tie
    banded[1] = weight
    banded[1, 1:] += tie
    banded[1, :-1] += tie
    return np.asarray(solve_banded((1, 1), banded, right))


def _chain_inverse_diagonal(weight: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Posterior variance of each point of the chain, from what it is tied to on either side."""

    def from_one_side(weight: np.ndarray, tie: np.ndarray) -> np.ndarray:
        gathered = np.zeros(weight.size)
        for i in range(1, weight.size):
            total = gathered[i - 1] + weight[i - 1]
            gathered[i] = total * tie[i - 1] / max(total + tie[i - 1], 1e-300)
        return gathered

    total = weight + from_one_side(weight, tie) + from_one_side(weight[::-1], tie[::-1])[::-1]
    return np.asarray(1 / np.maximum(total, 1e-300))


def _density(frame: np.ndarray, bright: float) -> np.ndarray:
    """Lightly smoothed -ln(I/I0) without the beam's profile; float32, shape (ny, nx)."""
    smooth = ndimage.gaussian_filter(frame, FIT_SIGMA)
    density = -np.log(np.maximum(smooth / np.float32(bright), np.float32(DARKEST)))
    density -= ndimage.uniform_filter(density, BEAM_PX)
    return np.asarray(density)


def _images(
    frames: np.ndarray, bright: np.ndarray, shifts: np.ndarray, strong: np.ndarray
) -> tuple[np.ndarray, float]:
    """Principal components (k, ny, nx) of the aligned optical densities of up to `MOST_FRAMES`, and
    the variance per pixel that they leave times the open beam's intensity.
    """
    chosen = strong[np.linspace(0, strong.size - 1, min(strong.size, MOST_FRAMES)).astype(int)]
    aligned = np.empty((chosen.size, *frames.shape[1:]), dtype=np.float32)

    def work(band: slice) -> None:
        for k in range(band.start, band.stop):
            density = _density(frames[chosen[k]], bright[chosen[k]])
            whole = np.rint(shifts[chosen[k]]).astype(int).tolist()
            aligned[k] = np.roll(density, whole, axis=(0, 1))

    for_each_band(work, chosen.size, rows_per_band=1)
    flat = aligned.reshape(chosen.size, -1)
    squares, left = np.linalg.eigh(gram(flat))
    above = squares[::-1] > SIGNIFICANT**2 * np.median(squares)
    rank = max(min(int(above.sum()), MOST_IMAGES), 1)
    images = left[:, ::-1][:, :rank].T.astype(np.float32) @ flat
    left_over = float(squares[:-rank].sum()) / flat.size if rank < len(squares) else np.inf
    return images.reshape(rank, *frames.shape[1:]), left_over * float(bright[chosen].mean())


def _between(
    i: int, strong: np.ndarray, shifts: np.ndarray, walk: float
) -> tuple[np.ndarray, float]:
    """Where a random walk through the `strong` frames would put frame i, and its sd (pixels)."""
    after = int(np.searchsorted(strong, i))
    sides = [strong[k] for k in (after - 1, after) if 0 <= k < strong.size]
    if len(sides) == 1:
        return shifts[sides[0]], walk * float(np.sqrt(abs(i - sides[0])))
    left, right = sides
    share = (i - left) / (right - left)
    middle = (1 - share) * shifts[left] + share * shifts[right]
    return middle, walk * float(np.sqrt((i - left) * (1 - share)))


def _best(
    explained: np.ndarray, power: float, expected: np.ndarray, spread: float, usual: float
) -> Found:
    """The most probable place on a surface (ny, nx) of explained squares out of `power`; `usual` is
    the variance that other frames as bright leave unexplained.
    """
    shape = np.array(explained.shape)
    left_over = (power - float(explained.max())) / explained.size
    lost = Found(expected, np.full(2, np.inf), 0.0, sound=left_over < UNSOUND * usual)
    if not left_over > 0:
        return lost
    noise = left_over * max(1.0, 4 * np.pi * FIT_SIGMA**2)  # of a sum over smoothed pixels
    gain = explained / (2 * noise)
    # twice as wide as the walk says, and never narrower than two pixels: the walk is a guess, too
    wide = max(2 * spread, 2.0)
    axes = [
        (np.arange(n) - centre + n / 2) % n - n / 2
        for n, centre in zip(shape, expected, strict=True)
    ]
    squared = axes[0][:, None] ** 2 + axes[1][None, :] ** 2
    places = explained.size / NOISE_AREA
    fare = np.minimum(squared / (2 * wide**2), np.log(places) + 2.0)
    at = np.array(np.unravel_index(np.argmax(gain - fare), explained.shape))
    worth = float((gain - fare)[tuple(at)])
    if worth < BELIEVED + np.log(max(2 * np.pi * wide**2 / NOISE_AREA, 1.0)):
        return lost
    for _ in range(3):  # the top of the likelihood itself, close by
        patch = gain[np.ix_(*((at[:, None] + np.arange(-1, 2)) % shape[:, None]))]
        top = np.array(np.unravel_index(np.argmax(patch), (3, 3))) - 1
        if not top.any():
            break
        at = at + top
    slope = np.array([patch[2, 1] - patch[0, 1], patch[1, 2] - patch[1, 0]]) / 2
    mixed = (patch[2, 2] - patch[2, 0] - patch[0, 2] + patch[0, 0]) / 4
    curved = np.array(
        [
            [2 * patch[1, 1] - patch[2, 1] - patch[0, 1], -mixed],
            [-mixed, 2 * patch[1, 1] - patch[1, 2] - patch[1, 0]],
        ]
    )
    if np.linalg.eigvalsh(curved)[0] <= 0:
        return lost
    nearest = np.rint((expected - at) / shape) * shape  # the surface is periodic
    shift = at + nearest + np.clip(np.linalg.solve(curved, slope), -1, 1)
    sd = np.sqrt(np.diag(np.linalg.inv(curved)))
    best = float(explained[tuple(at % shape)])
    quality = float(np.sqrt(min(best / power, 1.0)))
    return Found(shift, sd, quality, lost.sound)
