"""Where work is cut into bands of pixels, and how kernels are compiled.

Kernels take and return plain ndarrays and run without the GIL, so that a pool of threads can work
on disjoint bands of one array. They never start threads of their own: two threads inside numba's
workqueue layer abort the process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numba
import numpy as np
from threadpoolctl import threadpool_limits

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


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


def for_each_band(work: Callable[[slice], None], n_rows: int, *, rows_per_band: int = 4096) -> None:
    """Call ``work(band)`` for every band of rows, in threads, with BLAS held to one thread inside
    each.

    `work` writes its result into arrays it closes over; bands are disjoint, so no lock is needed.
    The first error stops the run and is raised here.
    """
    parts = bands(n_rows, rows_per_band)
    with (
        threadpool_limits(limits=1),
        ThreadPoolExecutor(max_workers=min(n_workers(), max(len(parts), 1))) as pool,
    ):
        for _ in pool.map(work, parts):
            pass


def as_pixels(cube: np.ndarray) -> np.ndarray:
    """``(energy, y, x)`` to contiguous ``(pixel, energy)``, the order in which kernels read
    fastest.
    """
    return np.ascontiguousarray(cube.reshape(cube.shape[0], -1).T)
