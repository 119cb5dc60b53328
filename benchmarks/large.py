"""Stacks larger than memory: a zarr store, read once, and what becomes of it on the way.

Every job runs in a process of its own (large_worker.py), whose memory is its alone. The page cache
is asked to forget the files before each; what the disk's own cache and a virtual machine's host
keep nobody can ask away.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mosaic
import numpy as np
from maps import ASKED
from measure import failed, heading, memory_bytes, note, row
from targets import EQUAL, LARGE_MAPS, LARGE_MEMORY, LARGE_PASSES

import chemoscape as cs

#: Larger stores are gone through once only.
ONCE = 4e9
#: Job of large_worker.py: what it is called in the table.
JOBS = {
    "bands": "  the same through open_stack, in bands",
    "maps": "counts -> OD -> NNLS maps, I0 and noise known",
    "job": "the whole main job, drift to composition (aim: passes)",
}


def large(gigabytes: float, n_energy: int, folder: Path) -> None:
    """Write the store plain and compressed, and work on each."""
    side = mosaic.side_of(gigabytes, n_energy)
    needed = 4.2 * n_energy * side**2
    free = shutil.disk_usage(folder).free
    if needed > free:
        heading("stacks larger than memory")
        note(f"left out: {needed / 1e9:.0f} GB are needed in {folder}, {free / 1e9:.0f} are free")
        return
    field = mosaic.tile(n_energy)
    small = folder / "small.zarr"
    mosaic.write(small, field, mosaic.TILE, compressed=False)
    for compressed in (False, True):
        path = folder / "large.zarr"
        stored = mosaic.write(path, field, side, compressed=compressed)
        _one_store(path, small, stored, n_energy, side, compressed)
        shutil.rmtree(path)
    heading("lazy against in memory")
    start = time.perf_counter()
    difference = _difference(small)
    row(
        f"NNLS maps of {mosaic.TILE}² pixels, both ways",
        time.perf_counter() - start,
        f"differ by {difference:.0e}",
        EQUAL.judge(difference),
    )


def _one_store(
    path: Path, small: Path, stored: int, n_energy: int, side: int, compressed: bool
) -> None:
    how = "zstd as by save_stack" if compressed else "not compressed"
    cube = 4 * n_energy * side**2
    heading(f"zarr, {n_energy} × {side}², {how}")
    note(f"  {cube / 1e9:.2f} GB in chunks of (all energies, {mosaic.CHUNK}, {mosaic.CHUNK})")
    repeat = 1 if stored > ONCE else 2
    limit = _run("read", path, small, repeat)
    kept = _run("read", path, small, repeat, forget=False)
    for name, one in [
        ("reading alone, every chunk once, page cache empty", limit),
        ("reading alone, from the page cache", kept),
    ]:
        rate, passes = stored / one["seconds"] / 1e9, one["bytes_read"] / stored
        row(name, one["seconds"], f"{rate:.2f} GB/s, {passes:.1f} passes")
    for job, name in JOBS.items():
        try:
            answer = _run(job, path, small, 1 if job == "job" else repeat)
        except RuntimeError as error:
            failed(name.strip(), error)
            continue
        ratio = answer["seconds"] / limit["seconds"]
        passes = answer["bytes_read"] / stored
        targets = {"maps": LARGE_MAPS.judge(ratio), "job": LARGE_PASSES.judge(passes)}
        text = f"{ratio:.2f} × read, {passes:.1f} passes"
        memory = _memory(answer, cube, judged=job in targets)
        row(name, answer["seconds"], text, targets.get(job, ""), memory)
    if not hasattr(mosaic.os, "posix_fadvise"):
        note("  the page cache could not be emptied: the files may have come from memory")
    elif stored < memory_bytes():
        note(
            "  before each run the page cache was asked to forget the files, which fit into memory "
            "and would stay there; a virtual disk may still be kept by its host"
        )


def _memory(answer: dict[str, Any], cube: int, *, judged: bool) -> str:
    """Highest anonymous memory, judged; beside it the resident, and the share of the stack."""
    anonymous = answer["anonymous"] / 1e9
    if not anonymous:
        return ""
    verdict = f" {LARGE_MEMORY.judge(anonymous)}" if judged else ""
    resident = answer["resident"] / 1e9
    return (
        f"{anonymous:.2f} GB{verdict} (VmHWM {resident:.2f}, {anonymous * 1e9 / cube:.1f} × stack)"
    )


def _run(job: str, path: Path, small: Path, repeat: int, *, forget: bool = True) -> dict[str, Any]:
    """Shortest run of a job; the page cache is emptied before each, unless `forget` is False."""
    answers = []
    for _ in range(repeat):
        if forget:
            mosaic.drop_from_cache(path)
        worker = Path(__file__).with_name("large_worker.py")
        done = subprocess.run(
            [sys.executable, worker, job, path, small], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise RuntimeError(said[-1][:300])
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    return min(answers, key=lambda answer: answer["seconds"])


def _difference(small: Path) -> float:
    """Largest difference of a map, lazy or not, as share of its largest value."""
    library = cs.open_library("lixv2o5-model")
    found = []
    for lazy in (False, True):
        od = cs.optical_density(cs.open_stack(small, lazy=lazy))
        found.append(cs.deconvolve(od, library, energy_shift=0.0)[ASKED].compute())
    memory, disk = found
    return max(
        float(np.nanmax(abs(disk[name] - memory[name])) / np.nanmax(abs(memory[name])))
        for name in ASKED
    )
