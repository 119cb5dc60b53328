"""Bands of an array in memory, worked on by a pool of threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

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


def current_listener() -> Listener | None:
    """Whoever is told how far the work is."""
    return _listener.get()


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
    listener = current_listener()
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
