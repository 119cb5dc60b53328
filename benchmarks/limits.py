"""What this machine can do at best: every step is set against one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from measure import Work, best, heading, row, side_by_side, stacks_of
from targets import MEMORY, Ratio

from chemoscape.blocks import for_each_band

#: Values that one thread reads or copies at a time.
PORTION = 1 << 20
#: Side of the square matrices that find the rate of sgemm.
SQUARE = 3000


@dataclass(frozen=True)
class Limit:
    """Work that nobody does faster here; a step that needs `share` of it is measured against
    `share` times its seconds.
    """

    name: str
    work: Work
    share: float = 1.0

    def seconds(self, repeat: int = 5) -> float:
        return self.share * best(self.work, repeat)


def _by_threads(work: Callable[[slice], object], n: int) -> Work:
    return lambda: for_each_band(lambda part: work(part) and None, n, rows_per_band=PORTION)


def read(values: np.ndarray) -> Limit:
    """The faster of one thread and several: on some machines one saturates the memory."""
    flat = values.reshape(-1)
    one: Work = flat.max
    several = _by_threads(lambda part: flat[part].max(), flat.size)
    return Limit("read", min(one, several, key=lambda work: best(work, 3)))


def copy(values: np.ndarray) -> Limit:
    """Into a fresh array, whose pages the kernel has to find first: what a result costs."""
    return Limit("copy", values.copy)


def copy_warm(values: np.ndarray) -> Limit:
    """Into an array that is there already."""
    target = np.ones_like(values)
    return Limit("copy into a warm array", lambda: np.copyto(target, values))


def gram(n_pixels: int, n_energy: int) -> Limit:
    """Gram matrix (2 N² P operations) at the rate of sgemm."""
    square = np.ones((SQUARE, SQUARE), dtype=np.float32)
    share = n_energy**2 * n_pixels / SQUARE**3
    return Limit("sgemm", lambda: square @ square, share)


def transforms(frames: np.ndarray) -> Limit:
    """One rfft2 and one irfft2 of every frame, single precision, one thread."""

    def work() -> None:
        for frame in frames:
            scipy.fft.irfft2(scipy.fft.rfft2(frame, workers=1), workers=1)

    return Limit("transforms", work)


def show(values: np.ndarray) -> None:
    """Print the limits for a stack (energy, y, x)."""
    n_energy, n_pixels = len(values), values[0].size
    size = f"{n_pixels:,} pixels × {n_energy} energies, float32"
    heading(f"limits: {size}", memory=False)
    for name, limit, moved in [
        ("read the stack from memory", read(values), values.nbytes),
        ("copy it into a fresh array", copy(values), 2 * values.nbytes),
        ("copy it into a warm array", copy_warm(values), 2 * values.nbytes),
    ]:
        seconds = limit.seconds()
        row(name, seconds, f"{moved / seconds / 1e9:.1f} GB/s")
    limit = gram(n_pixels, n_energy)
    seconds = limit.seconds()
    rate = 2 * n_energy**2 * n_pixels / seconds
    row("its Gram matrix at the rate of sgemm", seconds, f"{rate / 1e9:.0f} Gflop/s")


def step(
    what: str,
    work: Work,
    limit: Limit,
    target: Ratio | None = None,
    *,
    stack: np.ndarray,
    repeat: int = 3,
) -> float:
    """Measure a step and its limit in turn, print the row, return the step's seconds."""
    own, bound = side_by_side([work, limit.work], repeat)
    ratio = own.seconds / (limit.share * bound.seconds)
    verdict = target.judge(ratio) if target else ""
    memory = stacks_of(own.extra_bytes, stack.nbytes)
    if memory:
        memory += f" {MEMORY.judge(own.extra_bytes / stack.nbytes)}"
    row(what, own.seconds, f"{ratio:.1f} × {limit.name}", verdict, memory)
    return own.seconds
