"""How large a band of pixels is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from chemoscape.blocks._threads import n_workers

#: Bytes of float32 that one band of a lazy stack has: large enough to be read at the disk's rate,
#: small enough that a few of them do no harm.
BAND_BYTES = 64_000_000
#: Bytes of float32 that a step works on at a time where a band is larger.
PART_BYTES = 32_000_000


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


def flat(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape ``(…, y, x)`` with everything before y as one."""
    return int(np.prod(shape[:-2])), shape[-2], shape[-1]


def rows_for_threads(shape: tuple[int, int, int]) -> int:
    """Rows of a band of an array in memory: of no more than `PART_BYTES`, and some for each
    thread.
    """
    row_bytes = 4 * max(shape[0] * shape[2], 1)
    return max(min(PART_BYTES // row_bytes, -(-shape[1] // (4 * n_workers()))), 1)
