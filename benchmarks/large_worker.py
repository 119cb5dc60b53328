"""One job on a stack larger than memory, in a process of its own: python large_worker.py JOB PATH.

What is printed is JSON: seconds, bytes read from files (page cache or disk), the highest anonymous
and the highest resident memory. Kernels are compiled, and libraries loaded, before the clock runs.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path

import zarr
from main_job import job
from mosaic import CHUNK

import chemoscape as cs
from chemoscape import blocks
from chemoscape.errors import ChemoscapeWarning

#: Seconds between two looks at the memory.
EVERY = 0.005


def read(path: Path) -> None:
    """Every chunk once, by as many threads as chemoscape uses."""
    cube = zarr.open_array(path, path="stack", mode="r", zarr_format=2)
    corners = product(range(0, cube.shape[1], CHUNK), range(0, cube.shape[2], CHUNK))

    def one(corner: tuple[int, int]) -> None:
        y, x = corner
        cube[:, y : y + CHUNK, x : x + CHUNK]

    with ThreadPoolExecutor(blocks.n_workers()) as pool:
        for _ in pool.map(one, corners):
            pass


def bands(path: Path) -> None:
    """As a lazy stack is read, each band let go of."""
    for _ in blocks.iterate(cs.open_stack(path, lazy=True)):
        pass


def maps(path: Path) -> Callable[[], object]:
    """Counts to NNLS maps in one pass, I0 and noise known from before."""
    library = cs.open_library("lixv2o5-model")
    od = cs.optical_density(cs.open_stack(path, lazy=True))
    return lambda: cs.deconvolve(od, library, energy_shift=0.0)


def whole(path: Path) -> None:
    """The whole main job."""
    job(cs.open_stack(path, lazy=True), cs.open_library("lixv2o5-model"))


JOBS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "read": lambda path: lambda: read(path),
    "bands": lambda path: lambda: bands(path),
    "maps": maps,
    "job": lambda path: lambda: whole(path),
}


class Watch:
    """The highest anonymous memory while something runs: without what is mapped from files."""

    def __init__(self) -> None:
        self.highest = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(EVERY):
            self.highest = max(self.highest, status("RssAnon"))


def status(name: str) -> int:
    """Bytes that the system says of this process, 0 where it does not."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return 0


def bytes_read() -> int:
    """Bytes this process has asked files for, whoever had them; 0 where the system does not say."""
    with suppress(OSError):
        return int(Path("/proc/self/io").read_text().split()[1])
    return 0


def main(what: str, path: Path, small: Path) -> None:
    warnings.simplefilter("ignore", ChemoscapeWarning)
    JOBS[what](small)()  # compiles and loads
    work = JOBS[what](path)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # begins the highest memory anew
    already, start = bytes_read(), time.perf_counter()
    with Watch() as watch, blocks.checkpoint(path.with_suffix(".passes"), "benchmark"):
        work()
    seconds = time.perf_counter() - start
    answer = {
        "seconds": seconds,
        "bytes_read": bytes_read() - already,
        "anonymous": watch.highest,
        "resident": status("VmHWM"),
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
