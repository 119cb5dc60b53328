"""Rows and columns of single frames whose intensity jumped: found and levelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from chemoscape import blocks
from chemoscape.preprocess.repairs.spikes import CLOSE_EV, CLOSE_SHARE

#: Lines on either side that a line is compared with, and the most neighbours that jump together.
SIDE, TOGETHER = 5, 3
#: Frames on either side, and lines around, in which sample would show too.
FRAMES, REACH = 2, 2
#: Of a line of sample, this share or more is left at an energy close by, and the second at any
#: energy; what is less than so many standard deviations is noise.
SHARE, SHARE_FAR, SEEN = 0.3, 0.03, 3.5
#: A line is cut into this many parts, of which no more than some may contradict the jump.
PARTS, CONTRADICTIONS = 8, 1
#: So many pixels of a line say what is typical of it.
ENOUGH = 200
#: Lines shorter than this have no robust mean.
SHORTEST = 12
#: Fewest lines of an image whose scatter can be told.
FEWEST_LINES = 8
#: Levels are never taken to be known better than this.
FINEST = 1e-4
SD_PER_MAD = 1.4826


@dataclass(frozen=True)
class Found:
    """A line that jumped: frame, axis across which it is numbered, number, and the factor by which
    its intensity differed (NaN: it held none).
    """

    frame: int
    axis: str
    number: int
    factor: float


def levelled(
    values: np.ndarray, energy: np.ndarray, density: bool, threshold: float
) -> tuple[np.ndarray, list[Found]]:
    """A copy of the values (energy, y, x) with lines that jumped levelled, and these lines.

    Rows come first; columns are looked for in what is left.
    """
    out = np.empty_like(values)

    def copy(band: slice) -> None:
        out[band] = values[band]

    blocks.for_each_band(copy, len(values), rows_per_band=1)
    found: list[Found] = []
    for axis in ("y", "x"):
        lost = [] if density else _lost(out, axis)
        for frame, number in lost:
            _line(out[frame], axis, number)[:] = np.nan
        jumped = _jumped(out, axis, energy, density, threshold)
        found += [Found(frame, axis, number, np.nan) for frame, number in lost]
        found += _levelled(out, axis, density, jumped)
    return out, sorted(found, key=lambda line: (line.frame, line.axis, line.number))


def _line(frame: np.ndarray, axis: str, number: int) -> np.ndarray:
    """A view of one line."""
    return frame[number] if axis == "y" else frame[:, number]


def _lost(values: np.ndarray, axis: str) -> list[tuple[int, int]]:
    """Frame and number of lines that hold nothing but zeros, and counts in most frames."""
    across = 2 if axis == "y" else 1
    n_energy, n_lines = len(values), values.shape[3 - across]
    empty, full = np.zeros((n_energy, n_lines), bool), np.zeros((n_energy, n_lines), bool)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            positive = (values[i] > 0).sum(axis=across - 1)
            known = np.isfinite(values[i]).sum(axis=across - 1)
            empty[i] = (positive == 0) & (known >= SHORTEST)
            full[i] = positive > 0.9 * values.shape[across]

    blocks.for_each_band(work, n_energy, rows_per_band=1)
    single = empty & (full.mean(axis=0) > 0.5)
    return [(int(i), int(k)) for i, k in np.argwhere(single)]


def _jumped(
    values: np.ndarray, axis: str, energy: np.ndarray, density: bool, threshold: float
) -> dict[int, np.ndarray]:
    """Numbers of the lines that stand out of their frame and of the neighbouring frames."""
    shape = values.shape[1:] if axis == "y" else values.shape[:0:-1]
    if shape[0] < FEWEST_LINES or shape[1] < SHORTEST:
        return {}
    departures, scatter, errors = (np.full((len(values), shape[0]), np.nan) for _ in range(3))

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            frame = values[i] if axis == "y" else np.ascontiguousarray(values[i].T)
            departures[i], scatter[i], errors[i] = _departures(frame, density)

    blocks.for_each_band(work, len(values), rows_per_band=1)
    errors = np.fmax(errors, _unsteadiness(scatter)[:, None])
    with np.errstate(invalid="ignore"):
        candidates = np.argwhere(np.abs(departures) > threshold * errors)
    jumped: dict[int, list[int]] = {}
    for i, k in candidates.tolist():
        if not _shows_elsewhere(departures, errors, energy, i, k):
            jumped.setdefault(i, []).append(k)
    return {
        i: lines
        for i, numbers in jumped.items()
        for lines in [_together(np.array(numbers))]
        if lines.size
    }


def _together(numbers: np.ndarray) -> np.ndarray:
    """Numbers in runs of no more than `TOGETHER`."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    short = [run for run in runs if run.size <= TOGETHER]
    return np.concatenate(short) if short else numbers[:0]


def _unsteadiness(scatter: np.ndarray) -> np.ndarray:
    """Robust scatter of the rows of every frame about the rows around them, less what frames before
    and after show too.
    """
    typical = np.full(len(scatter), np.nan)
    for i in range(len(scatter)):
        others = [k for k in range(i - FRAMES, i + FRAMES + 1) if 0 <= k < len(scatter) and k != i]
        steady = np.mean(scatter[others], axis=0) if others else 0.0
        rest = np.abs(scatter[i] - steady)
        if np.isfinite(rest).any():
            typical[i] = SD_PER_MAD * float(np.nanmedian(rest))
    return typical


def _departures(frame: np.ndarray, density: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Departure of every row's level from both sides (0 where it lies between them), its mean
    departure, and the standard deviation that noise gives it; a level is the logarithm of the
    intensity.
    """
    usable = np.isfinite(frame).any(axis=1)
    departure, scatter, error = (np.full(len(frame), np.nan) for _ in range(3))
    if usable.sum() < FEWEST_LINES:
        return departure, scatter, error
    step, step_sd = _steps(frame[usable], density)
    level = np.concatenate([[0.0], np.cumsum(np.nan_to_num(step))])
    padded = np.concatenate([np.full(SIDE, np.nan), level, np.full(SIDE, np.nan)])
    windows = sliding_window_view(padded, SIDE)
    up, down = level - _medians(windows[: level.size]), level - _medians(windows[SIDE + 1 :])
    smaller = np.where(np.abs(up) < np.abs(down), up, down)
    departure[usable] = np.where(up * down > 0, smaller, 0.0)
    departure[[0, -1]] = 0.0  # sample may drift in from beyond the border
    scatter[usable] = (up + down) / 2
    own = np.fmax(np.append(step_sd, np.nan), np.append(np.nan, step_sd))
    error[usable] = np.fmax(own, FINEST)
    return departure, scatter, error


def _medians(windows: np.ndarray) -> np.ndarray:
    """Medians of the finite values of windows; NaN without any."""
    ordered = np.sort(windows, axis=1)  # NaN last
    n = np.isfinite(windows).sum(axis=1)
    rows = np.arange(len(windows))
    middle = (ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, n // 2 - (n == 0)]) / 2
    return np.where(n > 0, middle, np.nan)


def _steps(frame: np.ndarray, density: bool) -> tuple[np.ndarray, np.ndarray]:
    """Change of the level from each row to the next, and its standard deviation.

    Of counts the ratio of sums over the pixels whose square roots, which scatter alike at all
    intensities, agree with the median ratio; of optical densities minus the mean of differences.
    """
    thinned = slice(None, None, max(frame.shape[1] // ENOUGH, 1))
    if density:
        first, second = -frame[:-1], -frame[1:]
        ratio = second - first
        away = ratio - _row_median(ratio[:, thinned])[:, None]
    else:
        roots = np.sqrt(np.maximum(frame, 0))
        first, second = roots[:-1], roots[1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = second[:, thinned] / first[:, thinned]
            ratio[~np.isfinite(ratio)] = np.nan
            away = second - _row_median(ratio)[:, None] * first
    away = np.abs(away)
    with np.errstate(invalid="ignore"):
        spread = SD_PER_MAD * _row_median(away[:, thinned])
        agree = away <= 3 * np.maximum(spread, 1e-6)[:, None]
    n = agree.sum(axis=1)
    few = n < SHORTEST // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if density:
            step = np.where(agree, ratio, np.float32(0)).sum(axis=1, dtype=np.float64) / n
            sd = spread / np.sqrt(n)
        else:
            before = np.where(agree, first, np.float32(0)).sum(axis=1, dtype=np.float64)
            after = np.where(agree, second, np.float32(0)).sum(axis=1, dtype=np.float64)
            step = 2 * np.log(after / before)
            sd = 2 * spread * np.sqrt(n) / after
    few |= ~np.isfinite(step)
    return np.where(few, np.nan, step), np.where(few, np.nan, sd)


def _row_median(values: np.ndarray) -> np.ndarray:
    """Median of the known values of every row."""
    gaps = np.isnan(values)
    if not gaps.any():
        return np.asarray(np.median(values, axis=1), dtype=np.float32)
    out = np.full(len(values), np.nan, dtype=np.float32)
    some = ~gaps.all(axis=1)
    out[some] = np.nanmedian(values[some], axis=1)
    return out


def _shows_elsewhere(
    departures: np.ndarray, errors: np.ndarray, energy: np.ndarray, frame: int, number: int
) -> bool:
    """Whether frames before or after leave room for a line of sample of the same sign about there;
    those close by in energy decide, where there are any.
    """
    sign, size = np.sign(departures[frame, number]), abs(departures[frame, number])
    lines = slice(max(number - REACH, 0), number + REACH + 1)
    others = np.arange(max(frame - FRAMES, 0), min(frame + FRAMES + 1, len(departures)))
    others = others[(others != frame) & np.isfinite(departures[others, number])]
    close = np.abs(energy[others] - energy[frame]) < max(CLOSE_EV, CLOSE_SHARE * energy[frame])
    if close.any():
        others = others[close]
    share = SHARE if close.any() else SHARE_FAR
    for other in others:
        if sign * departures[other, number] > share * size - errors[other, number]:
            return True
        there, noise = sign * departures[other, lines], SEEN * errors[other, lines]
        with np.errstate(invalid="ignore"):
            if (there > np.maximum(noise, share * size)).any():
                return True
    return False


def _levelled(
    values: np.ndarray, axis: str, density: bool, jumped: dict[int, np.ndarray]
) -> list[Found]:
    """Level these lines in place, those that jumped along their whole length."""
    found = []
    for i, numbers in jumped.items():
        frame = values[i] if axis == "y" else values[i].T
        for k in numbers.tolist():
            expected = _expected(frame, k, numbers)
            factor = _factor(frame[k].astype(np.float64), expected, density)
            if not np.isfinite(factor):
                continue
            found.append((i, k, factor))
    for i, k, factor in found:
        line = _line(values[i], axis, k)
        if density:
            line += np.float32(np.log(factor))
        else:
            line /= np.float32(factor)
    return [Found(i, axis, k, factor) for i, k, factor in found]


def _expected(frame: np.ndarray, number: int, jumped: np.ndarray) -> np.ndarray:
    """A line between its nearest neighbours that did not jump, linear between both."""
    others = np.setdiff1d(np.flatnonzero(np.isfinite(frame).any(axis=1)), jumped)
    below, above = others[others < number], others[others > number]
    if not below.size or not above.size:
        nearest = below[-1] if below.size else above[0]
        return frame[nearest].astype(np.float64)
    low, high = below[-1], above[0]
    share = (number - low) / (high - low)
    return (1 - share) * frame[low].astype(np.float64) + share * frame[high].astype(np.float64)


def _factor(line: np.ndarray, expected: np.ndarray, density: bool) -> float:
    """Factor of intensity of a line against what is expected; NaN where its parts contradict each
    other.
    """
    known = np.isfinite(line) & np.isfinite(expected)
    if not density:
        known &= expected > 0
    if known.sum() < SHORTEST:
        return np.nan
    line, expected = line[known], expected[known]
    if density:
        line, expected = np.exp(-line), np.exp(-expected)
    whole, _ = _logarithm_of_ratio(line, expected)
    parts = zip(np.array_split(line, PARTS), np.array_split(expected, PARTS), strict=True)
    values, sds = np.array([_logarithm_of_ratio(*part) for part in parts]).T
    contradictions = ~(np.abs(values - whole) <= 0.5 * abs(whole) + 3 * sds)
    return float(np.exp(whole)) if contradictions.sum() <= CONTRADICTIONS else np.nan


def _logarithm_of_ratio(line: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Logarithm of the ratio of two intensities along a line, of the pixels that agree on it, and
    its standard deviation.
    """
    roots, expected_roots = np.sqrt(np.maximum(line, 0)), np.sqrt(np.maximum(expected, 0))
    ratio = float(np.median(roots / np.maximum(expected_roots, 1e-12)))
    away = roots - ratio * expected_roots
    spread = SD_PER_MAD * float(np.median(np.abs(away)))
    agree = np.abs(away) <= 3 * max(spread, 1e-6)
    before, after = float(expected[agree].sum()), float(line[agree].sum())
    if not (before > 0 and after > 0):
        return np.nan, np.nan
    return float(np.log(after / before)), 2 * spread / np.sqrt(after)
