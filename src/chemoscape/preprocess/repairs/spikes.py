"""Compiled parts of `artefacts`: local medians, and single values that stand out of everything."""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel

#: One cosmic ray is seen by no more pixels than this.
MOST_PIXELS = 4
#: Neighbours that depart by more than this share of it belong to what stands out.
LARGE = 0.4
#: Frames on either side, and pixels around, in which sample would show too.
FRAMES, REACH = 2, 2
#: Of the contrast of sample, this share or more is left at an energy close by, and the second at
#: any energy.
SHARE, SHARE_FAR = 0.3, 0.03
#: Energies are close by within so many eV, or this share of the energy (resonances widen with it).
CLOSE_EV, CLOSE_SHARE = 1.05, 3e-4
#: What a pixel beside shows by more than so many standard deviations is no noise.
SEEN = 4.0
#: Rows around some rows that matter for them: those of clusters that reach in, and their
#: surroundings.
HALO = 16
#: Standard deviations are never taken to be smaller than this share of the value.
FINEST = 1e-3


@kernel
def row_of_medians(frame, row, out):  # type: ignore[no-untyped-def]
    """Medians of 3 × 3 pixels along a row, into `out`; of those there are at borders and NaN."""
    n_y, n_x = frame.shape
    if row == 0 or row == n_y - 1 or n_x < 3:
        for x in range(n_x):
            out[x] = median_at(frame, row, x, 1)
        return
    above, here, below = frame[row - 1], frame[row], frame[row + 1]
    low, middle, high = np.empty_like(out), np.empty_like(out), np.empty_like(out)
    gaps = 0
    for x in range(n_x):  # each column sorted once serves three windows
        a, b, c = above[x], here[x], below[x]
        gaps |= (a - a) + (b - b) + (c - c) != 0  # NaN as soon as one is not finite
        least = a if a < b else b
        most = b if a < b else a
        low[x] = least if least < c else c
        rest = c if least < c else least
        middle[x] = most if most < rest else rest
        high[x] = rest if most < rest else most
    for x in range(1, n_x - 1):
        # median of nine: the middle one of the largest low, the middle middle, the least high
        a, b, c = low[x - 1], low[x], low[x + 1]
        a = b if a < b else a
        from_low = c if a < c else a
        a, b, c = high[x - 1], high[x], high[x + 1]
        a = a if a < b else b
        from_high = a if a < c else c
        a, b, c = middle[x - 1], middle[x], middle[x + 1]
        least = a if a < b else b
        most = b if a < b else a
        most = most if most < c else c
        centre = least if least > most else most
        least = from_low if from_low < centre else centre
        most = centre if from_low < centre else from_low
        most = most if most < from_high else from_high
        out[x] = least if least > most else most
    out[0], out[n_x - 1] = median_at(frame, row, 0, 1), median_at(frame, row, n_x - 1, 1)
    if gaps:
        for x in range(1, n_x - 1):
            sum9 = np.float32(0)
            for dx in range(-1, 2):
                sum9 += above[x + dx] + here[x + dx] + below[x + dx]
            if not np.isfinite(sum9):
                out[x] = median_at(frame, row, x, 1)


@kernel
def median_at(frame, row, column, reach):  # type: ignore[no-untyped-def]
    """Median of the finite values within `reach` pixels; NaN where there is none."""
    n_y, n_x = frame.shape
    ordered = np.empty((2 * reach + 1) ** 2, np.float32)
    n = 0
    for y in range(max(row - reach, 0), min(row + reach + 1, n_y)):
        for x in range(max(column - reach, 0), min(column + reach + 1, n_x)):
            value = frame[y, x]
            if np.isfinite(value):
                k = n
                while k > 0 and ordered[k - 1] > value:
                    ordered[k] = ordered[k - 1]
                    k -= 1
                ordered[k] = value
                n += 1
    if n == 0:
        return np.float32(np.nan)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) * np.float32(0.5)


@kernel
def spread_at(frame, row, column, centre):  # type: ignore[no-untyped-def]
    """Median absolute deviation from `centre` of the 5 × 5 pixels around one, itself left out."""
    n_y, n_x = frame.shape
    away = np.empty((5, 5), np.float32)
    away[:] = np.nan
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            y, x = row + dy, column + dx
            if 0 <= y < n_y and 0 <= x < n_x and (dy != 0 or dx != 0):
                away[dy + 2, dx + 2] = abs(frame[y, x] - centre)
    return median_at(away, 2, 2, 2)


@kernel
def scale_at(level, levels, scales):  # type: ignore[no-untyped-def]
    """Noise at a level, linear between the levels where it was measured."""
    if not level > levels[0]:
        return scales[0]
    for k in range(1, levels.size):
        if level < levels[k]:
            share = (level - levels[k - 1]) / (levels[k] - levels[k - 1])
            return scales[k - 1] + share * (scales[k] - scales[k - 1])
    return scales[-1]


@kernel
def departure(value, level, scale, floor, density, threshold):  # type: ignore[no-untyped-def]
    """By how much intensity departs from its surroundings, relative to them, and the limit that
    noise does not exceed.

    Poisson counts scatter further upwards than downwards: ``2(√N - √N₀) > T`` means
    ``N - N₀ > T √N₀ + T²/4``.
    """
    if density:
        relative = np.exp(level - value) - 1.0
        variance = scale * scale * np.exp(level) + FINEST * FINEST
    else:
        base = max(level, floor)
        relative = (value - level) / base
        variance = scale * scale / base + FINEST * FINEST
    limit = threshold * np.sqrt(variance)
    if relative > 0:
        limit += threshold * threshold * variance / 4
    return relative, limit


@kernel
def shows_elsewhere(frames, energy, number, row, column, relative, noise, density, seed):  # type: ignore[no-untyped-def]
    """Whether neighbouring energies leave room for sample that explains what stands out.

    In the pixel itself they do unless all of them show clearly less than the share of the contrast
    that sample keeps; energies close by decide, where there are any. Beside it, what they show and
    this frame does not is sample that drifts.
    """
    n_energy, n_y, n_x = frames.shape
    close = max(CLOSE_EV, CLOSE_SHARE * energy[number])
    any_close = False
    for other in range(max(number - FRAMES, 0), min(number + FRAMES + 1, n_energy)):
        near = other != number and abs(energy[other] - energy[number]) < close
        any_close |= near and np.isfinite(frames[other, row, column])
    for step in range(1, FRAMES + 1):
        for other in (number - step, number + step):
            if other < 0 or other >= n_energy or not np.isfinite(frames[other, row, column]):
                continue
            near = abs(energy[other] - energy[number]) < close
            if any_close and not near:
                continue
            there, sd = contrast(frames, other, row, column, noise, density, 1.0)
            share = SHARE if near else SHARE_FAR
            if relative < 0:
                there = -there
            if not seed:  # beside a spike, weaker: most of it must be here alone
                share, sd = 0.5, 0.0
            if there > share * abs(relative) - sd:
                return True
            if near and same_beside_ring(frames, number, other, row, column, density):
                return True
            for y in range(max(row - REACH, 0), min(row + REACH + 1, n_y)):
                for x in range(max(column - REACH, 0), min(column + REACH + 1, n_x)):
                    if y == row and x == column:
                        continue
                    there, limit = contrast(frames, other, y, x, noise, density, SEEN)
                    if not abs(there) > limit or there * relative < 0:
                        continue
                    if abs(there) > SHARE * abs(relative):
                        here, _ = contrast(frames, number, y, x, noise, density, SEEN)
                        if not here * there > 0.5 * there * there:  # not what stayed in its place
                            return True
    return False


@kernel
def same_beside_ring(frames, number, other, row, column, density):  # type: ignore[no-untyped-def]
    """Whether a value and the mean of the ring of 16 pixels around it stand to each other as at
    another energy, so that only the median between them has changed, as it does at edges.
    """
    here, there = ring_mean(frames[number], row, column), ring_mean(frames[other], row, column)
    value, before = frames[number, row, column], frames[other, row, column]
    away = abs(value - median_at(frames[number], row, column, 1))
    if density:
        return abs((value - here) - (before - there)) < 0.5 * away
    if not (here > 0 and there > 0):
        return False
    return abs(value / here - before / there) < 0.5 * away / here


@kernel
def ring_mean(frame, row, column):  # type: ignore[no-untyped-def]
    """Mean of the finite values two pixels away."""
    n_y, n_x = frame.shape
    total, n = 0.0, 0
    for y in range(max(row - 2, 0), min(row + 3, n_y)):
        for x in range(max(column - 2, 0), min(column + 3, n_x)):
            if max(abs(y - row), abs(x - column)) == 2 and np.isfinite(frame[y, x]):
                total += frame[y, x]
                n += 1
    return total / max(n, 1)


@kernel
def contrast(frames, number, row, column, noise, density, threshold):  # type: ignore[no-untyped-def]
    """`departure` of one value from the median around it; NaN where it is not known."""
    levels, scales, floors = noise
    frame = frames[number]
    level = median_at(frame, row, column, 1)
    scale = scale_at(level, levels[number], scales[number])
    return departure(frame[row, column], level, scale, floors[number], density, threshold)


@kernel
def stands_out(frames, energy, number, row, column, noise, density, threshold, sign, seed):  # type: ignore[no-untyped-def]
    """Sign of a value's departure (1 brighter, -1 darker) where it exceeds noise and other energies
    do not show it; 0 otherwise.

    `seed` asks in addition that it exceeds the spread of its surroundings: edges do not.
    """
    relative, limit = contrast(frames, number, row, column, noise, density, threshold)
    found = 1 if relative > 0 else -1
    if not abs(relative) > limit or (sign != 0 and found != sign):
        return 0
    if seed:
        frame = frames[number]
        level = median_at(frame, row, column, 1)
        spread = np.float32(1.4826) * spread_at(frame, row, column, level)
        if not abs(frame[row, column] - level) > threshold * spread / 2:
            return 0
    if shows_elsewhere(frames, energy, number, row, column, relative, noise, density, seed):
        return 0
    return found


@kernel
def find_spikes(frames, energy, number, first, last, noise, density, threshold, touched):  # type: ignore[no-untyped-def]
    """Mark in `touched` (y, x) the values of one frame that are spikes.

    Parameters
    ----------
    frames : ndarray, shape (n_energy, n_y, n_x)
    energy : ndarray, shape (n_energy,)
        eV.
    number : int
        Frame.
    first, last : int
        Rows to decide about; `HALO` more on either side are looked at, and marked in part.
    noise : (levels (n_energy, n), scales (n_energy, n), floors (n_energy,))
        Noise over the square root of the intensity, at some levels; least credible level.
    density : bool
        Whether values are optical densities.
    threshold : float
        Standard deviations.
    touched : ndarray of uint8, shape (n_y, n_x)

    Returns
    -------
    int
        Number of values marked between `first` and `last`.
    """
    frame = frames[number]
    n_y, n_x = frame.shape
    least = np.float32(noise[1][number].min() * threshold)
    floor = np.float32(noise[2][number])
    if density:  # half the limit of the brightest pixels: none below can pass
        least = np.float32(np.log1p(least * np.exp(noise[0][number, 0] / 2)) * 0.7)
    least_squared = least * least
    cluster = np.empty((MOST_PIXELS + 1, 2), np.int64)
    middle = np.empty(n_x, np.float32)
    apart = np.empty(n_x, np.uint8)
    n_touched = 0
    around = 2 + MOST_PIXELS  # what reaches in, and what is no neighbour to repair with
    for row in range(max(first - around, 0), min(last + around, n_y)):
        row_of_medians(frame, row, middle)
        here = frame[row]
        any_apart = np.uint8(0)
        for x in range(n_x):
            away = here[x] - middle[x]
            base = np.float32(1) if density else (middle[x] if middle[x] > floor else floor)
            candidate = np.uint8(away * away > least_squared * base)
            apart[x] = candidate
            any_apart |= candidate
        if not any_apart:
            continue
        for x in range(n_x):
            if not apart[x]:
                continue
            sign = stands_out(frames, energy, number, row, x, noise, density, threshold, 0, True)
            if sign == 0:
                continue
            cluster[0, 0], cluster[0, 1] = row, x
            size, done = 1, 0
            level = median_at(frame, row, x, 2)
            large = np.float32(LARGE) * abs(here[x] - level)
            while done < size <= MOST_PIXELS:
                y0, x0 = cluster[done]
                done += 1
                for y in range(max(y0 - 1, 0), min(y0 + 2, n_y)):
                    for c in range(max(x0 - 1, 0), min(x0 + 2, n_x)):
                        known = False
                        for k in range(size):
                            known |= cluster[k, 0] == y and cluster[k, 1] == c
                        if known or size > MOST_PIXELS:
                            continue
                        away = frame[y, c] - level
                        alike = abs(away) > large and (away > 0) == (here[x] > level)
                        if alike or stands_out(
                            frames, energy, number, y, c, noise, density, threshold / 2, sign, False
                        ):
                            cluster[size, 0], cluster[size, 1] = y, c
                            size += 1
            if size > MOST_PIXELS:
                continue
            for k in range(size):
                y, c = cluster[k]
                if not touched[y, c]:
                    touched[y, c] = 1
                    n_touched += first <= y < last
    return n_touched


@kernel
def replacement(frame, touched, row, column):  # type: ignore[no-untyped-def]
    """Median of the values around one that are not touched themselves; NaN where there is none."""
    n_y, n_x = frame.shape
    around = np.empty((5, 5), np.float32)
    for reach in range(1, 3):
        around[:] = np.nan
        n = 0
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                y, x = row + dy, column + dx
                if 0 <= y < n_y and 0 <= x < n_x and not touched[y, x]:
                    around[dy + 2, dx + 2] = frame[y, x]
                    n += np.isfinite(frame[y, x])
        if n >= 3:
            break
    return median_at(around, 2, 2, 2)
