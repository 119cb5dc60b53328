"""Where work is cut into bands of pixels, and how kernels are compiled.

The only place that knows both worlds: an array in memory is cut into bands for a pool of threads, a
lazy stack (backed by Dask, in chunks of all energies × some rows) is worked on chunk by chunk by
Dask's scheduler.

Kernels take and return plain ndarrays and run without the GIL, so that a pool of threads can work
on disjoint bands of one array. They never start threads of their own: two threads inside numba's
workqueue layer abort the process.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import xarray as xr
from dask.base import is_dask_collection
from threadpoolctl import ThreadpoolController

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")


def kernel(function: Function) -> Function:
    """Compile with numba, without the GIL, cached on disk; without a cache where no folder is
    writable.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError as error:  # numba: "cannot cache function …: no locator available"
        log.info("compiling %s without a cache: %s", function.__name__, error)
        return numba.njit(nogil=True)(function)


_most_workers: ContextVar[int] = ContextVar("most_workers", default=0)


@contextmanager
def workers(most: int) -> Iterator[None]:
    """Use at most this many threads inside the block; 0 sets no limit."""
    token = _most_workers.set(most)
    try:
        yield
    finally:
        _most_workers.reset(token)


def n_workers() -> int:
    """Number of threads to use: the processors of this process, or fewer inside `workers`."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return min(available, _most_workers.get() or available)


#: Called with the number of bands done and of all, in the thread that waits for them.
Listener = Callable[[int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def reporting(listener: Listener) -> Iterator[None]:
    """Tell `listener` how far the work inside the block is; what it raises ends that work.

    Examples
    --------
    >>> with reporting(lambda done, of: print(f"{done} of {of}")):
    ...     for_each_band(lambda band: None, 8, rows_per_band=4)
    1 of 2
    2 of 2
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def bands(n_rows: int, rows_per_band: int) -> list[slice]:
    """Cut `n_rows` rows into consecutive slices.

    Examples
    --------
    >>> bands(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [
        slice(start, min(start + rows_per_band, n_rows))
        for start in range(0, n_rows, rows_per_band)
    ]


@lru_cache(maxsize=1)
def _pools(n_modules: int) -> ThreadpoolController:
    """The thread pools of BLAS and OpenMP in this process; looked for again after an import, since
    finding them reads the process's memory map (2 ms).
    """
    return ThreadpoolController()


def for_each_band(work: Callable[[slice], None], n_rows: int, *, rows_per_band: int = 4096) -> None:
    """Call ``work(band)`` for every band of rows, in threads, with BLAS held to one thread inside
    each.

    `work` writes its result into arrays it closes over; bands are disjoint, so no lock is needed.
    The first error stops the run and is raised here, as is what a listener of `reporting` raises.
    """
    parts = bands(n_rows, rows_per_band)
    listener = _listener.get()
    with (
        one_blas_thread(),
        ThreadPoolExecutor(max_workers=min(n_workers(), max(len(parts), 1))) as pool,
    ):
        for done, _ in enumerate(pool.map(work, parts), start=1):
            if listener is not None:
                listener(done, len(parts))


def one_blas_thread() -> Any:
    """Context in which BLAS and OpenMP use one thread: for small matrices their own only wait."""
    return _pools(len(sys.modules)).limit(limits=1)


def as_pixels(cube: np.ndarray) -> np.ndarray:
    """``(energy, y, x)`` to contiguous ``(pixel, energy)``, the order in which kernels read
    fastest.
    """
    return np.ascontiguousarray(cube.reshape(cube.shape[0], -1).T)


#: Bytes of float32 that one band of a lazy stack has: large enough to be read at the disk's rate,
#: small enough that a few of them do no harm.
BAND_BYTES = 64_000_000


def is_lazy(array: Any) -> bool:
    """Whether an array, or what is inside a DataArray, is backed by Dask."""
    return is_dask_collection(getattr(array, "data", array))


def memory_limit() -> int:
    """Bytes of float32 up to which a stack is held in memory: a quarter of what there is.

    The work on a stack needs its optical density and variance beside it.
    """
    limits = [8_000_000_000]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, ValueError):  # a container's or a batch job's share; "max" is none
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits) // 4


def rows_per_band(shape: tuple[int, int, int], rows_per_read: int = 1) -> int:
    """Rows of a band of about `BAND_BYTES`, a multiple of the rows that the file keeps together.

    Where the file keeps together more than that (whole compressed frames), every band reads it all
    over again: bands are then as large as the memory allows, a fraction of `memory_limit`.

    Examples
    --------
    >>> rows_per_band((250, 4000, 4000), rows_per_read=8)
    16
    """
    n_energy, n_y, n_x = shape
    row_bytes = 4 * max(n_energy * n_x, 1)
    rows = max(BAND_BYTES // row_bytes, 1)
    if rows_per_read > rows:
        rows = max(min(memory_limit() // 8 // row_bytes, rows_per_read), rows)
        return min(rows, max(n_y, 1))
    return min(rows // rows_per_read * rows_per_read, max(n_y, 1))


def iterate(cube: xr.DataArray, *, rows_per_read: int = 1) -> Iterator[tuple[slice, np.ndarray]]:
    """Bands of rows, one after the other, as ``(rows, values (…, rows, x))``.

    Those of a lazy stack are read one at a time; a stack in memory is cut without copying.
    """
    if is_lazy(cube):
        edges = np.cumsum([0, *cube.data.chunks[-2]]).tolist()
        parts = [slice(start, stop) for start, stop in pairwise(edges)]
    else:
        parts = bands(cube.shape[-2], rows_per_band(_flat(cube.shape), rows_per_read))
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
        import dask.array as da

        height = next(cube for cube in cubes if is_lazy(cube)).chunks[-2]
        parts = [
            da.asarray(cube).rechunk(
                {-2: height, **dict.fromkeys(range(cube.ndim - 2), -1), -1: -1}
            )
            for cube in cubes
        ]
        axes = "yx"
        names = iter(range(100))
        lettered: list[Any] = []
        for part in parts:
            lettered += [part, (*(f"in{next(names)}" for _ in range(part.ndim - 2)), *axes)]
        out = (*(f"out{k}" for k in range(len(leading))), *axes)
        return da.blockwise(
            work,
            out,
            *lettered,
            new_axes=dict(zip(out, leading, strict=False)),
            concatenate=True,
            dtype=dtype,
            meta=np.empty((0,) * len(out), dtype=dtype),
        )
    result = np.empty((*leading, n_y, n_x), dtype=dtype)

    def band(rows: slice) -> None:
        result[..., rows, :] = work(*(cube[..., rows, :] for cube in cubes))

    largest = max(_flat(cube.shape) for cube in cubes)
    for_each_band(band, n_y, rows_per_band=_rows_for_threads(largest))
    return result


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
    Whatever `work` and `combine` return; computed here, block by block, also for lazy arrays.

    Examples
    --------
    >>> reduce_blocks(np.sum, lambda a, b: a + b, np.ones((5, 2, 3))).item()
    30.0
    """
    n_y = cubes[0].shape[-2]
    if any(is_lazy(cube) for cube in cubes):
        import dask

        height = next(cube for cube in cubes if is_lazy(cube)).chunks[-2]
        edges = np.cumsum([0, *height]).tolist()
        # under the names that the tasks have: slices would be optimised one by one, and a band that
        # draws on its neighbours (an aligned stack) would read these again
        tasks_in: list[list[Any]] = [
            cube.rechunk({-2: height, **dict.fromkeys(range(cube.ndim - 2), -1), -1: -1})
            .to_delayed(optimize_graph=False)
            .ravel()
            if is_lazy(cube)
            else [cube[..., start:stop, :] for start, stop in pairwise(edges)]
            for cube in cubes
        ]
        delayed = dask.delayed(work, pure=False, traverse=False)
        tasks = [delayed(*band) for band in zip(*tasks_in, strict=True)]
        return reduce(combine, dask.compute(*tasks, num_workers=n_workers()))
    parts = bands(n_y, _rows_for_threads(max(_flat(cube.shape) for cube in cubes)))
    results: list[Any] = [None] * len(parts)

    def band(numbers: slice) -> None:
        for k in range(numbers.start, numbers.stop):
            results[k] = work(*(cube[..., parts[k], :] for cube in cubes))

    for_each_band(band, len(parts), rows_per_band=1)
    return reduce(combine, results)


def _flat(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape ``(…, y, x)`` with everything before y as one."""
    return int(np.prod(shape[:-2])), shape[-2], shape[-1]


def _rows_for_threads(shape: tuple[int, int, int]) -> int:
    """Rows of a band of an array in memory: no more than a lazy one has, and some for each
    thread.
    """
    return max(min(rows_per_band(shape), -(-shape[1] // (4 * n_workers()))), 1)
