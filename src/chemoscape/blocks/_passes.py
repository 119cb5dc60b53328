"""Passes over a stack, in memory or lazy: map, reduce, compute."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from dask.base import is_dask_collection, tokenize

from chemoscape.blocks._checkpoint import SMALL_BYTES, Room, current_checkpoint, keep, recall
from chemoscape.blocks._scheduling import compute_each
from chemoscape.blocks._sizes import PART_BYTES, flat, rows_for_threads, rows_per_band
from chemoscape.blocks._threads import bands, for_each_band, n_workers

Result = TypeVar("Result")


def is_lazy(array: Any) -> bool:
    """Whether an array, or what is inside a DataArray, is backed by Dask."""
    return is_dask_collection(getattr(array, "data", array))


def iterate(cube: xr.DataArray, *, rows_per_read: int = 1) -> Iterator[tuple[slice, np.ndarray]]:
    """Bands of rows, one after the other, as ``(rows, values (…, rows, x))``.

    Those of a lazy stack are read one at a time; a stack in memory is cut without copying.
    """
    if is_lazy(cube):
        edges = np.cumsum([0, *cube.data.chunks[-2]]).tolist()
        parts = [slice(start, stop) for start, stop in pairwise(edges)]
    else:
        parts = bands(cube.shape[-2], rows_per_band(flat(cube.shape), rows_per_read))
    for rows in parts:
        part = cube.data[..., rows, :]
        yield rows, part.compute(num_workers=n_workers()) if is_lazy(part) else part


def map_blocks(
    work: Callable[..., np.ndarray], *cubes: Any, leading: tuple[int, ...], dtype: Any = np.float32
) -> Any:
    """Apply ``work(*bands) -> (*leading, rows, x)`` to bands of rows of arrays ``(…, y, x)``.

    Parameters
    ----------
    work : callable
        Takes ndarrays with the same rows of all of `cubes`; must not depend on where they are cut.
    *cubes : ndarray or dask Array, shape (…, y, x)
        Equal in y and x.
    leading : tuple of int
        Shape of the result before y and x.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray or dask Array, shape (*leading, y, x)
        Lazy when any of `cubes` is.

    Examples
    --------
    >>> map_blocks(lambda band: band.sum(axis=0), np.ones((5, 2, 3)), leading=()).tolist()
    [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]]
    """
    n_y, n_x = cubes[0].shape[-2:]
    if any(is_lazy(cube) for cube in cubes):
        return _blockwise(work, cubes, leading, dtype)
    result = np.empty((*leading, n_y, n_x), dtype=dtype)

    def band(rows: slice) -> None:
        result[..., rows, :] = work(*(cube[..., rows, :] for cube in cubes))

    largest = max(flat(cube.shape) for cube in cubes)
    for_each_band(band, n_y, rows_per_band=rows_for_threads(largest))
    return result


def _blockwise(
    work: Callable[..., np.ndarray], cubes: Any, leading: tuple[int, ...], dtype: Any, **more: Any
) -> Any:
    """Apply `work` to the bands of arrays of which some are lazy."""
    import dask.array as da

    height = _lower_bands(cubes)
    names = iter(range(100))
    lettered: list[Any] = []
    for cube in cubes:
        axes = (*(f"in{next(names)}" for _ in range(cube.ndim - 2)), "y", "x")
        lettered += [_full_width(da.asarray(cube), height), axes]
    out = (*(f"out{k}" for k in range(len(leading))), "y", "x")
    return da.blockwise(
        work,
        out,
        *lettered,
        new_axes=dict(zip(out, leading, strict=False)),
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0,) * len(out), dtype=dtype),
        **more,
    )


def summaries(work: Callable[..., np.ndarray], *cubes: Any, leading: tuple[int, ...]) -> Any:
    """What ``work(*bands) -> leading`` says of each band of lazy arrays, (*leading, n_bands, 1) in
    float64: lazy, so that it can be `computed` together with maps.

    Examples
    --------
    >>> import dask.array as da
    >>> of_bands = summaries(lambda band: band.sum(axis=(1, 2)), da.ones((3, 2, 5)), leading=(3,))
    >>> of_bands.compute().ravel().tolist()
    [10.0, 10.0, 10.0]
    """

    def one(*bands: np.ndarray) -> np.ndarray:
        return np.asarray(work(*bands), dtype=np.float64).reshape(*leading, 1, 1)

    return _blockwise(one, cubes, leading, np.float64, adjust_chunks={"y": 1, "x": 1})


def reduce_blocks(
    work: Callable[..., Result], combine: Callable[[Result, Result], Result], *cubes: Any
) -> Result:
    """Apply ``work(*bands)`` to bands of rows and fold what it returns with ``combine(a, b)``.

    Parameters
    ----------
    work : callable
        Takes ndarrays with the same rows of all of `cubes`, returns anything.
    combine : callable
        Joins two results, in the order of the rows.
    *cubes : ndarray or dask Array, shape (…, y, x)
        Equal in y and x.

    Returns
    -------
    Whatever `work` and `combine` return; computed here, block by block, also for lazy arrays. These
    are read once, and inside a `checkpoint` the result is kept.

    Examples
    --------
    >>> reduce_blocks(np.sum, lambda a, b: a + b, np.ones((5, 2, 3))).item()
    30.0
    """
    if any(is_lazy(cube) for cube in cubes):
        return _reduce_lazily(work, combine, *cubes)
    n_y = cubes[0].shape[-2]
    parts = bands(n_y, rows_for_threads(max(flat(cube.shape) for cube in cubes)))
    results: list[Any] = [None] * len(parts)

    def band(numbers: slice) -> None:
        for k in range(numbers.start, numbers.stop):
            results[k] = work(*(cube[..., parts[k], :] for cube in cubes))

    for_each_band(band, len(parts), rows_per_band=1)
    return reduce(combine, results)


def _reduce_lazily(
    work: Callable[..., Result], combine: Callable[[Result, Result], Result], *cubes: Any
) -> Result:
    """`reduce_blocks` of arrays of which some are lazy."""
    import dask

    place = _place_of_pass(getattr(work, "__qualname__", "reduction"))
    if place is not None:
        known, result = recall(place)
        if known:
            return result
    parts = _in_bands(cubes, _lower_bands(cubes))
    apply = dask.delayed(work, pure=False, traverse=False)
    folded = _Fold(combine)
    compute_each([apply(*band) for band in parts], folded.take)
    if place is not None:
        keep(place, folded.result)
    return folded.result


class _Fold:
    """Joins results in the order of their numbers as they come in, in any order."""

    def __init__(self, combine: Callable[[Any, Any], Any]) -> None:
        self.combine = combine
        self.result: Any = None
        self._waiting: dict[int, Any] = {}
        self._next, self._lock = 0, threading.Lock()

    def take(self, number: int, result: Any) -> None:
        with self._lock:
            self._waiting[number] = result
            while self._next in self._waiting:
                one = self._waiting.pop(self._next)
                self.result = one if self._next == 0 else self.combine(self.result, one)
                self._next += 1


def computed(*arrays: Any) -> tuple[np.ndarray, ...]:
    """Values of lazy arrays (…, y, x), all of them in one pass over what they are made of.

    Arrays in memory are returned as they are. Inside a `checkpoint` the values of large ones lie in
    files, and a pass that was ended goes on with the bands that are missing.

    Parameters
    ----------
    *arrays : ndarray or dask Array, shape (…, y, x)
        In as many bands, and equal in y and x but for those that are `thinned`.

    Examples
    --------
    >>> import dask.array as da
    >>> computed(da.ones((2, 3), chunks=1) + 1)[0].tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    lazy = [array for array in arrays if is_lazy(array)]
    if not lazy:
        return arrays
    import dask

    height = lazy[0].chunks[-2]
    place = _place_of_pass(f"maps-{tokenize(height)[:8]}")
    if sum(array.nbytes for array in lazy) < SMALL_BYTES:
        place = None  # the pass is made anew
    rooms = [
        Room(
            None if place is None else place.with_name(f"{place.name}-{number}"),
            array.shape,
            array.dtype,
            len(height),
        )
        for number, array in enumerate(lazy)
    ]
    rows = [_rows_of(_heights(array, height)) for array in lazy]
    parts = _in_bands(lazy, height)
    missing = np.flatnonzero(~np.all([room.done for room in rooms], axis=0)).tolist()

    def take(number: int, values: tuple[np.ndarray, ...]) -> None:
        k = missing[number]
        for room, edges, part in zip(rooms, rows, values, strict=True):
            room.put(k, edges[k], part)

    together = dask.delayed(_as_tuple, pure=False, traverse=False)
    compute_each([together(*parts[k]) for k in missing], take)
    found = iter(rooms)
    return tuple(next(found).array if is_lazy(array) else array for array in arrays)


def loaded(maps: xr.Dataset) -> xr.Dataset:
    """A Dataset with the values of its lazy variables (…, y, x), all of one pass; see
    `computed`.
    """
    lazy = [name for name, one in maps.variables.items() if is_lazy(one)]
    values = computed(*(maps.variables[name].data for name in lazy))
    return maps.assign(
        {
            name: (maps[name].dims, array, maps[name].attrs)
            for name, array in zip(lazy, values, strict=True)
        }
    )


def _as_tuple(*values: np.ndarray) -> tuple[np.ndarray, ...]:
    return values


def _place_of_pass(name: str) -> Path | None:
    """Where the result of the pass that begins is kept, if anywhere."""
    current = current_checkpoint()
    return None if current is None else current.next_pass(name)


def thinned(array: Any, step: int) -> Any:
    """Every `step`-th row and column of an array (…, y, x), from the middle of the first step on.

    Of a lazy array each band keeps its own, be it none, so that it can be computed together with
    maps of all pixels.

    Examples
    --------
    >>> import dask.array as da
    >>> thinned(da.arange(8, chunks=8).reshape(4, 2).rechunk((1, 2)), 2).compute().tolist()
    [[3], [7]]
    """
    y, x = (min(step // 2, n - 1) for n in array.shape[-2:])
    if not is_lazy(array):
        return array[..., y::step, x::step]
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    array = _full_width(array, _lower_bands((array,)))
    name = "thinned-" + tokenize(array.name, step)
    leading = (0,) * (array.ndim - 2)
    graph, heights = {}, []
    for k, rows in enumerate(_rows_of(array.chunks[-2])):
        start = (y - rows.start) % step
        graph[name, *leading, k, 0] = (_every, (array.name, *leading, k, 0), start, x, step)
        heights.append(len(range(start, rows.stop - rows.start, step)))
    width = len(range(x, array.shape[-1], step))
    chunks = (*array.chunks[:-2], tuple(heights), (width,))
    layer = HighLevelGraph.from_collections(name, graph, dependencies=[array])
    return da.Array(layer, name, chunks, dtype=array.dtype)


def _every(band: np.ndarray, y: int, x: int, step: int) -> np.ndarray:
    return band[..., y::step, x::step]


def _lower_bands(cubes: Any) -> tuple[int, ...]:
    """Heights of the bands that work is done on, from the chunks of the first lazy array.

    What a file keeps together may be many rows. It is read in one piece and handed on in lower
    bands, so that what is made of these is small beside it.
    """
    chunks = next(cube for cube in cubes if is_lazy(cube)).chunks[-2]
    row_bytes = 4 * max(math.prod(cube.shape) // max(cube.shape[-2], 1) for cube in cubes)
    height = max(PART_BYTES // max(row_bytes, 1), 1)
    return tuple(
        min(height, piece - first) for piece in chunks for first in range(0, piece, height)
    )


def _rows_of(heights: tuple[int, ...]) -> list[slice]:
    """Bands of rows by their heights."""
    edges = np.cumsum([0, *heights]).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _heights(array: Any, height: tuple[int, ...]) -> tuple[int, ...]:
    """Heights of the bands of one of several arrays: its own if it was thinned."""
    return height if array.shape[-2] == sum(height) else array.chunks[-2]


def _in_bands(cubes: Any, height: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """For every band of rows the part of all arrays in it: delayed, of arrays in memory the
    values.
    """
    rows = _rows_of(height)
    # under the names that the tasks have: slices would be optimised one by one, and a band that
    # draws on its neighbours (an aligned stack) would read these again
    parts: list[list[Any]] = [
        _full_width(cube, _heights(cube, height)).to_delayed(optimize_graph=False).ravel()
        if is_lazy(cube)
        else [cube[..., band, :] for band in rows]
        for cube in cubes
    ]
    return list(zip(*parts, strict=True))


def _full_width(cube: Any, height: tuple[int, ...]) -> Any:
    """A lazy array in chunks of these heights, whole in all its other dimensions."""
    return cube.rechunk({-2: height, **dict.fromkeys(range(cube.ndim - 2), -1), -1: -1})
