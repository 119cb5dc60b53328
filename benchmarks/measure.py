"""Seconds and memory of a piece of work, and the table they are printed in.

Nothing of chemoscape is needed here: the environment of the peers measures with it too.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], object]

WIDTH = 54


@dataclass(frozen=True)
class Cost:
    """Seconds, and bytes of memory on top of what was in use before; NaN where unknown."""

    seconds: float
    extra_bytes: float

    def best(self, other: Cost) -> Cost:
        """Shorter time and larger memory: a disturbance only ever lengthens a run."""
        return Cost(
            min(self.seconds, other.seconds),
            self.extra_bytes
            if math.isnan(other.extra_bytes)
            else max(self.extra_bytes, other.extra_bytes),
        )


def cost(work: Work) -> Cost:
    """Run `work` once.

    Memory is what the kernel saw resident at the highest moment (Linux only), results included,
    less what was resident before: arrays of numpy, of compiled kernels and of libraries alike. It
    costs no time.
    """
    before = _resident_bytes(reset=True)
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    highest = _resident_bytes()
    del result
    return Cost(seconds, highest - before)


def _resident_bytes(*, reset: bool = False) -> float:
    """Highest resident memory since the last reset; a reset brings it down to what is in use."""
    try:
        if reset:
            gc.collect()
            with suppress(
                OSError, AttributeError
            ):  # give freed memory back: it would be used again
                ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    return math.nan


def best(work: Work, repeat: int = 3) -> float:
    """Shortest of several runs, seconds."""
    return min(cost(work).seconds for _ in range(repeat))


def side_by_side(works: list[Work], repeat: int) -> list[Cost]:
    """Best cost of each of `works`, run in turn, so that what disturbs one disturbs all."""
    costs = [Cost(math.inf, math.nan)] * len(works)
    for _ in range(repeat):
        costs = [cost(work).best(known) for work, known in zip(works, costs, strict=True)]
    return costs


def row(what: str, seconds: float, ratio: str = "", target: str = "", memory: str = "") -> None:
    """Print a line of the table."""
    line = f"{what:<{WIDTH}}{seconds:10.3f} s  {ratio:<24}{target:<16}{memory}"
    print(line.rstrip(), flush=True)


def heading(title: str, memory: bool = True) -> None:
    """Print the title of a part of the table and its columns."""
    peak = "peak memory" if memory else ""
    print(f"\n{title:<{WIDTH}}{'seconds':>12}  {'ratio':<24}{'target':<16}{peak}".rstrip())


def stacks_of(extra_bytes: float, stack_bytes: int) -> str:
    """Memory as a multiple of a float32 stack."""
    return "" if math.isnan(extra_bytes) else f"{extra_bytes / stack_bytes:.1f} × stack"


def machine() -> str:
    """Processors and how busy they are: other work lengthens every figure."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = "unknown processor"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    busy = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    return f"{available} cores of {name}{busy}"


def free_bytes() -> float:
    """Memory that can be had without swapping; infinite where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return math.inf
