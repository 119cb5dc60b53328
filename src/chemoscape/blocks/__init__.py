"""Where work is cut into bands of pixels, and how kernels are compiled.

The only place that knows both worlds: an array in memory is cut into bands for a pool of threads, a
lazy stack (backed by Dask, in chunks of all energies × some rows) is worked on chunk by chunk, by
threads or by the workers of a cluster (`cluster`), and what is found on the way may be kept for a
run that is ended and started again (`checkpoint`).

Kernels take and return plain ndarrays and run without the GIL, so that a pool of threads can work
on disjoint bands of one array. They never start threads of their own: two threads inside numba's
workqueue layer abort the process.
"""

from __future__ import annotations

from chemoscape.blocks._checkpoint import checkpoint
from chemoscape.blocks._compiling import kernel
from chemoscape.blocks._passes import (
    computed,
    is_lazy,
    iterate,
    loaded,
    map_blocks,
    reduce_blocks,
    summaries,
    thinned,
)
from chemoscape.blocks._scheduling import cluster, on_cluster
from chemoscape.blocks._sizes import BAND_BYTES, PART_BYTES, memory_limit, rows_per_band
from chemoscape.blocks._threads import (
    Listener,
    bands,
    for_each_band,
    n_workers,
    one_blas_thread,
    reporting,
    workers,
)

__all__ = [
    "BAND_BYTES",
    "PART_BYTES",
    "Listener",
    "bands",
    "checkpoint",
    "cluster",
    "computed",
    "for_each_band",
    "is_lazy",
    "iterate",
    "kernel",
    "loaded",
    "map_blocks",
    "memory_limit",
    "n_workers",
    "on_cluster",
    "one_blas_thread",
    "reduce_blocks",
    "reporting",
    "rows_per_band",
    "summaries",
    "thinned",
    "workers",
]
