"""What a user waits for before anything is computed, the first run, and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from measure import Work, best, heading, note, row
from targets import DEMO

import chemoscape as cs
from chemoscape import simulate


def starting(folder: Path) -> None:
    """Help, import, the first run with and without compiled kernels, the demo."""
    heading("start-up and demo, processes included", memory=False)
    bare = best(_python("-c", "pass"), 5)
    row("starting Python", bare)
    for what, arguments in [
        ("import chemoscape", ("-c", "import chemoscape")),
        ("chemoscape --help", ("-m", "chemoscape.cli", "--help")),
    ]:
        seconds = best(_python(*arguments), 5)
        row(what, seconds, f"{seconds / bare:.1f} × starting Python")

    truth = simulate.core_shell(shape=(100, 100), pixel_um=0.03, poisson=True)
    path = folder / "small.h5"
    cs.save_stack(truth.stack, path)
    command = ("-m", "chemoscape.cli")
    _python(*command, "init", str(path), "--output", str(folder / "small.toml"))()
    recipe = str(folder / "small.toml")
    run = _python(
        *command, "run", recipe, "--overwrite", "--output", str(folder / "results"),
        NUMBA_CACHE_DIR=str(folder / "compiled"),
    )  # fmt: skip
    first, again = best(run, 1), best(run, 2)
    row("chemoscape run, 100² pixels, nothing compiled", first)
    row("chemoscape run, compiled kernels kept", again, f"compiling {first - again:.1f} s")
    fresh = str(folder / "compiled-by-the-demo")
    demo = _python(*command, "demo", "--output", str(folder / "demo"), NUMBA_CACHE_DIR=fresh)
    seconds = best(demo, 1)
    row("chemoscape demo, nothing compiled", seconds, target=DEMO.judge(seconds))
    note("  best of several: Python's modules come from the page cache, as after a first start")


def _python(*arguments: str, **more: str) -> Work:
    """Running this Python in a process of its own; one that fails says why."""

    def work() -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **more},
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments[:3])}: {done.stderr.strip()[-300:]}")

    return work
