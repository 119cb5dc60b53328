"""Spikes of a whole stack: the noise of its frames, the search in bands, and the repaired copy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.preprocess.repairs import spikes

#: The noise of a frame is measured in so many of its pixels, in so many groups of rows.
_SAMPLE_PIXELS, _SAMPLE_GROUPS = 8_000, 8
#: Levels at which it is measured, and the fewest pixels for each.
_LEVELS, _FEWEST = 8, 256
#: A standard deviation from the median of absolute deviations of Gaussian noise.
_SD_PER_MAD = 1.4826


def measured_noise(stack: xr.DataArray, density: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels and scales of the noise (n_energy, n_levels), and the least credible level
    (n_energy,).

    The scale is the standard deviation over the square root of the intensity, which is the same at
    all levels for Poisson counts.
    """
    n_energy, n_y, n_x = stack.shape
    n_rows = -(-_SAMPLE_PIXELS // n_x)
    if n_rows >= n_y:
        groups = [slice(0, n_y)]
    else:
        height = max(n_rows // _SAMPLE_GROUPS, 1) + 2
        starts = np.linspace(0, n_y - height, min(_SAMPLE_GROUPS, n_y // height)).astype(int)
        groups = [slice(start, start + height) for start in starts.tolist()]
    sample = [stack.data[:, rows] for rows in groups]
    if blocks.is_lazy(stack):
        import dask

        sample = list(dask.compute(*sample, num_workers=blocks.n_workers()))
    levels, scales = np.zeros((n_energy, _LEVELS)), np.zeros((n_energy, _LEVELS))
    floors = np.zeros(n_energy)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            parts = [_levels_and_noise(group[i]) for group in sample]
            level, noise = (np.concatenate(both) for both in zip(*parts, strict=True))
            levels[i], scales[i], floors[i] = _noise_of(level, noise, density)

    blocks.for_each_band(work, n_energy, rows_per_band=1)
    return levels, scales, floors


def _levels_and_noise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local medians of some rows of a frame, and what the Laplacian of Immerkær (Comput. Vis. Image
    Underst. 64, 300, 1996) leaves there: noise of the same standard deviation, blind to slopes.
    """
    rows = np.ascontiguousarray(rows)
    if min(rows.shape) < 3:
        known = rows[np.isfinite(rows)].astype(np.float64)
        return known, known - np.median(known) if known.size else known
    level = np.empty_like(rows)
    for k in range(len(rows)):
        spikes.row_of_medians(rows, k, level[k])
    second = rows[:-2] - 2 * rows[1:-1] + rows[2:]
    noise = (second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:]) / 6
    known = np.isfinite(noise)
    return level[1:-1, 1:-1][known].astype(np.float64), noise[known].astype(np.float64)


def _noise_of(
    level: np.ndarray, noise: np.ndarray, density: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Levels, scales and floor of one frame."""
    if not level.size:
        return np.zeros(_LEVELS), np.zeros(_LEVELS), 1.0
    if density:
        shape, floor = np.exp(level), 1.0
    else:
        top = float(np.percentile(level, 99))
        first = np.maximum(level, 1e-3 * top) if top > 0 else np.ones_like(level)
        # one count, where the noise is that of counts: no expectation is lower
        floor = max(_scale_of(noise / np.sqrt(first)) ** 2, 1e-3 * top) if top > 0 else 1.0
        shape = np.maximum(level, floor)
    scaled = noise / np.sqrt(shape)
    overall = _scale_of(scaled)
    n_levels = int(np.clip(level.size // _FEWEST, 1, _LEVELS))
    order = np.argsort(level)
    groups = np.array_split(order, n_levels)
    levels = np.array([np.median(level[group]) for group in groups])
    scales = np.array([max(_scale_of(scaled[group]), 0.5 * overall) for group in groups])
    # the same number of levels for every frame: the last one repeated
    pad = (0, _LEVELS - n_levels)
    return np.pad(levels, pad, mode="edge"), np.pad(scales, pad, mode="edge"), floor


def _scale_of(scaled: np.ndarray) -> float:
    """Robust standard deviation; where few counts make the median zero, from a higher quantile."""
    away = np.abs(scaled)
    half = _SD_PER_MAD * float(np.median(away))
    return half if half > 0 else float(np.percentile(away, 68.27))


def find(
    stack: xr.DataArray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame, row, column and new value of every spike, in that order."""
    density = stack.attrs["quantity"] == "optical_density"
    energy, noise = stack["energy"].values, measured_noise(stack, density)
    found: list[np.ndarray] = []
    for start, first, last, values in _bands_with_surroundings(stack):
        per_frame: list[Any] = [None] * len(values)

        def work(
            band: slice,
            start: int = start,
            first: int = first,
            last: int = last,
            values: np.ndarray = values,
            per_frame: list[Any] = per_frame,
        ) -> None:
            touched = np.zeros(values.shape[1:], dtype=np.uint8)
            for i in range(band.start, band.stop):
                n = spikes.find_spikes(
                    values, energy, i, first, last, noise, density, threshold, touched
                )
                if n:
                    places = np.argwhere(touched[first:last]) + np.array([first, 0])
                    new = [spikes.replacement(values[i], touched, *place) for place in places]
                    per_frame[i] = np.column_stack(
                        [np.full(n, i), places[:, 0] + start, places[:, 1], new]
                    )
                touched[:] = 0

        blocks.for_each_band(work, len(values), rows_per_band=max(len(values) // 64, 1))
        found += [one for one in per_frame if one is not None]
    every = np.concatenate(found) if found else np.empty((0, 4))
    every = every[np.isfinite(every[:, 3])]  # nothing to repair it with
    every = every[np.lexsort(every[:, 2::-1].T)]
    number, row, column = every[:, :3].T.astype(np.int64)
    return number, row, column, every[:, 3].astype(np.float32)


def _bands_with_surroundings(stack: xr.DataArray) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Bands of rows with those around them: the number of the first row, the band's own first and
    last among the rows given, and the values. Of a lazy stack every band is read once.
    """
    n_y = stack.sizes["y"]
    if not blocks.is_lazy(stack):
        yield 0, 0, n_y, np.ascontiguousarray(stack.values, dtype=np.float32)
        return
    start = done = 0  # rows held begin at one, rows decided about end at the other
    held = np.empty((stack.sizes["energy"], 0, stack.sizes["x"]), dtype=np.float32)
    for _, values in blocks.iterate(stack):
        held = np.concatenate([held, values], axis=1)
        read = start + held.shape[1]
        decided = read if read == n_y else read - spikes.HALO
        if decided <= done:
            continue
        yield start, done - start, decided - start, held
        done = decided
        kept = max(done - spikes.HALO - start, 0)
        held, start = held[:, kept:], start + kept


def patched(
    data: Any, number: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray
) -> Any:
    """A copy of the values with some replaced, lazy when they are."""
    if not blocks.is_lazy(data):
        values = np.empty(data.shape, dtype=np.float32)

        def copy(band: slice) -> None:
            values[band] = data[band]

        blocks.for_each_band(copy, len(values), rows_per_band=1)
        values[number, row, column] = value
        return values
    import dask.array as da

    edges = np.cumsum([0, *data.chunks[1]]).tolist()
    parts = []
    for start, stop in pairwise(edges):
        inside = (row >= start) & (row < stop)
        part = data[:, start:stop]
        if inside.any():
            part = part.map_blocks(
                _with_values,
                number[inside],
                row[inside] - start,
                column[inside],
                value[inside],
                dtype=data.dtype,
            )
        parts.append(part)
    return da.concatenate(parts, axis=1)


def _with_values(
    band: np.ndarray, number: np.ndarray, row: np.ndarray, column: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """One band with some values replaced."""
    band = band.copy()
    band[number, row, column] = value
    return band
