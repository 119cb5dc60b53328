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
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Row:
    """A line of the table, as it was printed."""

    what: str
    seconds: float
    ratio: str
    target: str
    memory: str

    @property
    def verdicts(self) -> int:
        """How many aims it was held against, in time and in memory."""
        return sum(f"{self.target} {self.memory}".count(word) for word in ("met", "MISSED"))

    @property
    def missed(self) -> int:
        """How many of them it missed."""
        return f"{self.target} {self.memory}".count("MISSED")


@dataclass(frozen=True)
class Section:
    """A part of the table: its title, and its rows and remarks in their order."""

    title: str
    lines: list[Row | str] = field(default_factory=list)


#: All that was printed in this process, for a report.
PRINTED: list[Section] = []


def row(what: str, seconds: float, ratio: str = "", target: str = "", memory: str = "") -> None:
    """Print a line of the table."""
    _lines().append(Row(what, seconds, ratio, target, memory))
    line = f"{what:<{WIDTH}}{seconds:10.3f} s  {ratio:<23} {target:<15} {memory}"
    print(line.rstrip(), flush=True)


def heading(title: str, memory: bool = True) -> None:
    """Print the title of a part of the table and its columns."""
    PRINTED.append(Section(title))
    peak = "peak memory" if memory else ""
    print(f"\n{title:<{WIDTH}}{'seconds':>12}  {'ratio':<24}{'target':<16}{peak}".rstrip())


def note(text: str) -> None:
    """Print a remark below the rows."""
    _lines().append(text.strip())
    print(text, flush=True)


def attempt(part: str, work: Callable[..., object], *arguments: object) -> object:
    """Do a part of the benchmark; one that fails says so, returns None, and the rest goes on."""
    try:
        return work(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other parts can still be had
        failed(part, error)
        return None


#: Parts that failed in this process.
FAILED: list[str] = []


def failed(part: str, why: Exception | str) -> None:
    """Say that a part failed, and keep its name."""
    home = f"{Path(__file__).resolve().parents[1]}/"
    reason = " ".join(str(why).replace(home, "").split())[:300]
    kind = f"{type(why).__name__}: " if isinstance(why, Exception) else ""
    note(f"FAILED: {part}: {kind}{reason}")
    FAILED.append(part)


def _lines() -> list[Row | str]:
    if not PRINTED:
        PRINTED.append(Section(""))
    return PRINTED[-1].lines


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


def memory_bytes() -> float:
    """Memory of the machine; NaN where the system does not say."""
    with suppress(OSError, ValueError, AttributeError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.nan


def free_bytes() -> float:
    """Memory that can be had without swapping; infinite where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return math.inf
