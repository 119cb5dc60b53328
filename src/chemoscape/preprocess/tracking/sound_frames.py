"""Frames as registration needs them: finite intensities, rid of what stands still on the detector.

A dead row or a hot pixel stays where it is while the sample drifts, and its sharp edges would pin
every shift to zero; a line that the beam was lost in, or that flashed, belongs to no sample either.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from chemoscape.blocks import for_each_band
from chemoscape.preprocess.resample import fill_nearest

#: A line or pixel stands out when it leaves its neighbours by this many robust standard deviations,
OUTSTANDING_SD = 8.0
#: and a line by this fraction of the mean intensity, to the same side in this fraction of its
#: length, and this many times more than any line close by: a wire along a line has soft edges.
OUTSTANDING, ALL_ALONG, SHARP = 0.05, 0.8, 4.0
#: More stray lines or pixels than this fraction are the sample's texture.
MOST_STRAY = 0.05
#: Frames in which a hot or dead pixel is looked for.
FRAMES_LOOKED_AT = 9


def sound_frames(
    values: np.ndarray, inside: np.ndarray, *, density: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Transmitted intensities, finite and not negative, and which pixels count.

    Parameters
    ----------
    values : ndarray, shape (n, ny, nx)
        A stack.
    inside : ndarray of bool, shape (ny, nx)
        Pixels to look at.
    density : bool
        Whether `values` are optical densities.

    Returns
    -------
    frames : ndarray of float32, shape (n, ny, nx)
        Intensities, missing pixels filled, lines and pixels that stand out replaced by their
        neighbours. Where nothing had to be done, `values` themselves.
    weights : ndarray of bool, shape (n, ny, nx)
        False outside `inside` and within three pixels of a missing one.
    """
    n = len(values)
    rows, columns = np.empty(values.shape[:2]), np.empty(values.shape[::2])
    negative = np.zeros(n, dtype=bool)

    def look(band: slice) -> None:
        for i in range(band.start, band.stop):
            frame = np.exp(-values[i]) if density else values[i]
            rows[i], columns[i] = frame.sum(axis=1), frame.sum(axis=0)
            negative[i] = not frame.min() >= 0

    for_each_band(look, n, rows_per_band=4)
    finite = np.asarray(np.isfinite(rows).all(axis=1))
    stray_rows, stray_columns = _stray(rows), _stray(columns)
    pixels = _fixed_pixels(values, finite, density=density)
    dead = stray_rows.mean(axis=0)[:, None] + stray_columns.mean(axis=0)[None, :] >= 0.5
    pixels = pixels[~dead.ravel()[pixels]]  # lines are mended as such
    weights = np.broadcast_to(inside, values.shape)
    if not finite.all():
        weights = weights.copy()
    ill = ~finite | negative | stray_rows.any(axis=1) | stray_columns.any(axis=1)
    if not (density or ill.any() or pixels.size):
        return values, weights
    frames = np.empty(values.shape, dtype=np.float32)

    def mend(band: slice) -> None:
        for i in range(band.start, band.stop):
            frame = np.exp(-values[i]) if density else values[i]
            missing = ~np.isfinite(frame)
            if missing.any():
                frame = fill_nearest(frame, missing)
                weights[i] = inside & ~ndimage.binary_dilation(missing, iterations=3)
            frames[i] = np.maximum(frame, 0.0)
            _replace_lines(frames[i], stray_rows[i])
            _replace_lines(frames[i].T, stray_columns[i])
            _replace_pixels(frames[i], pixels)

    for_each_band(mend, n, rows_per_band=1)
    return frames, weights


def _stray(profiles: np.ndarray) -> np.ndarray:
    """Lines (n, n_lines) whose sum leaves that of those around them; none in frames with NaN."""
    if profiles.shape[1] < 8:
        return np.zeros(profiles.shape, dtype=bool)
    known = np.nan_to_num(profiles, nan=0.0, posinf=0.0, neginf=0.0)
    away = np.abs(known - ndimage.median_filter(known, size=(1, 5), mode="nearest"))
    usual = 1.4826 * np.median(away, axis=1, keepdims=True)
    level = np.abs(known.mean(axis=1, keepdims=True))
    stray = away > np.maximum(OUTSTANDING_SD * usual, OUTSTANDING * level)
    few = (stray.mean(axis=1) <= MOST_STRAY) | (stray.sum(axis=1) <= 2)
    stray &= few[:, None] & np.isfinite(profiles).all(axis=1, keepdims=True)
    return np.asarray(stray)


def _replace_lines(frame: np.ndarray, stray: np.ndarray) -> None:
    """Interpolate `stray` rows that leave their neighbours all along, and far more than these leave
    each other, in place.
    """
    if not stray.any():
        return
    good = np.flatnonzero(~stray)
    profile = frame[good].mean(axis=1)
    bends = np.abs(profile[1:-1] - (profile[:-2] + profile[2:]) / 2)
    for row in np.flatnonzero(stray):
        at = int(np.searchsorted(good, row))
        beside = good[max(at - 1, 0) : at + 1]
        between = np.average(frame[beside], axis=0, weights=1 / np.abs(beside - row))
        away = frame[row] - between
        usual = float(bends[max(at - 4, 0) : at + 3].max(initial=0.0))
        apart = abs(float(away.mean())) > SHARP * usual
        if apart and max((away > 0).mean(), (away < 0).mean()) >= ALL_ALONG:
            frame[row] = between


def _fixed_pixels(values: np.ndarray, finite: np.ndarray, *, density: bool) -> np.ndarray:
    """Flat indices of pixels that leave their neighbours to the same side in all frames."""
    known = np.flatnonzero(finite)
    if known.size < 2 or min(values.shape[1:]) < 8:
        return np.empty(0, dtype=int)
    looked_at = values[known[np.linspace(0, known.size - 1, FRAMES_LOOKED_AT).astype(int)]]
    looked_at = np.exp(-looked_at) if density else looked_at
    mean = looked_at.mean(axis=0)
    around = ndimage.median_filter(mean, size=3, mode="nearest")
    away = mean - around
    usual = 1.4826 * float(np.median(np.abs(away[::3])))
    doubted = np.flatnonzero(np.abs(away) > max(OUTSTANDING_SD * usual, 1e-6))
    if not 0 < doubted.size <= MOST_STRAY * mean.size:
        return np.empty(0, dtype=int)
    each = looked_at.reshape(len(looked_at), -1)[:, doubted] - around.ravel()[doubted]
    half = 0.5 * away.ravel()[doubted]
    return np.asarray(doubted[(each / half >= 1.0).mean(axis=0) >= ALL_ALONG])


def _replace_pixels(frame: np.ndarray, pixels: np.ndarray) -> None:
    """Put the median of its surroundings in each of `pixels`, in place."""
    rows, columns = np.unravel_index(pixels, frame.shape)
    around = [
        frame[
            np.clip(rows + dy, 0, frame.shape[0] - 1), np.clip(columns + dx, 0, frame.shape[1] - 1)
        ]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if dy or dx
    ]
    if pixels.size:
        frame[rows, columns] = np.median(around, axis=0)
