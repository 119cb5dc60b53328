"""What the jobs of peers.py share: the clock, and MANTiS's stack in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import Work, cost

Result = dict[str, Any]


def timed(work: Work, shifts: Callable[[], np.ndarray] | None = None) -> Result:
    spent = cost(work)
    extra = None if np.isnan(spent.extra_bytes) else spent.extra_bytes
    found = None if shifts is None else np.asarray(shifts(), dtype=float).tolist()
    return {"seconds": spent.seconds, "extra_bytes": extra, "shifts": found}


def mantis_stack(folder: Path, *, like: str = "ncb") -> Any:
    """MANTiS's stack in memory (x, y, energy) as its readers leave it.

    From .ncb it is float64, a frame after the other; from .hdr int32, the energies of a pixel
    together.
    """
    from mantis_xray.analysis import data_stack, data_struct

    counts = np.load(folder / "counts.npy")
    stack = data_stack.data(data_struct.h5())
    stack.new_data()
    if like == "ncb":
        stack.absdata = counts.astype(np.float64).T
    else:
        stack.absdata = np.ascontiguousarray(counts.astype(np.int32).T)
    stack.n_cols, stack.n_rows, stack.n_ev = stack.absdata.shape
    stack.ev = np.load(folder / "energy.npy")
    stack.data_dwell = None
    return stack
