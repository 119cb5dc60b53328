"""Damage files of every format and look how they open.

`make fuzz` runs this for a while, each batch in a process of its own so that a crash or a hang is
seen too; `test_fuzzing.py` runs a little of it in every test run.

Usage: python tests/formats/fuzzing.py [MINUTES] [FIRST_SEED]
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from sound import corpus

from chemoscape.errors import ChemoscapeError
from chemoscape.formats import describe, open_spectra, open_stack

#: No file may take longer (s) or need more memory (bytes beyond four times its size).
LONGEST, LARGEST = 10.0, 200_000_000

KINDS = ("truncate", "flip", "extreme", "swap", "repeat", "delete", "number")

#: What a damaged or hostile header may hold where a number was.
NUMBERS = (b"0", b"-1", b"1e999", b"nan", b"99999999999999999999", b"2147483647", b"1e-300", b"x")


@dataclass(frozen=True)
class Damage:
    """One change of a file: of what kind, where (a share of its length), and with which number."""

    kind: str
    place: float
    number: int

    def __call__(self, content: bytes) -> bytes:
        """The damaged content."""
        size = len(content)
        if not size:
            return content
        at = min(int(self.place * size), size - 1)
        width = 1 + self.number % 64
        if self.kind == "truncate":
            return content[:at]
        if self.kind == "flip":
            return content[:at] + bytes([content[at] ^ (1 << self.number % 8)]) + content[at + 1 :]
        if self.kind == "extreme":
            value = (0, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)[self.number % 5]
            wide = 8 if value >= 2**32 else 4
            order = ("little", "big")[self.number % 2]
            return content[:at] + value.to_bytes(wide, order) + content[at + wide :]  # type: ignore[arg-type]
        if self.kind == "swap":
            other = (at + self.number) % size
            a, b = sorted((at, other))
            width = min(width, b - a, size - b)
            return (
                content[:a]
                + content[b : b + width]
                + content[a + width : b]
                + content[a : a + width]
                + content[b + width :]
            )
        if self.kind == "repeat":
            return content[: at + width] + content[at:]
        if self.kind == "delete":
            return content[:at] + content[at + width :]
        stop = start = next((k for k in range(at, size) if content[k : k + 1].isdigit()), at)
        while content[stop : stop + 1].isdigit():
            stop += 1
        return content[:start] + NUMBERS[self.number % len(NUMBERS)] + content[stop:]


def damaged(original: Path, into: Path, damages: list[Damage], which: float) -> Path:
    """A copy of a file and its companions in which one file is damaged."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(original.parent, into)
    files = sorted(path for path in into.rglob("*") if path.is_file())
    victim = files[min(int(which * len(files)), len(files) - 1)]
    content = victim.read_bytes()
    for damage in damages:
        content = damage(content)
    victim.write_bytes(content)
    return into / original.name


def survives(path: Path) -> None:
    """Open a damaged file in every way; only our errors may come, in time and in little memory."""
    size = sum(one.stat().st_size for one in path.parent.rglob("*") if one.is_file())
    begun, before = time.monotonic(), peak_memory(anew=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for work in (open_stack, describe, open_spectra, lambda p: open_stack(p, lazy=True)[:, :1]):
            try:
                found = work(path)
                if isinstance(found, xr.DataArray):
                    found.values  # noqa: B018 - reads a lazy one
            except ChemoscapeError:
                continue
    grown, took = peak_memory() - before, time.monotonic() - begun
    assert took < LONGEST, f"took {took:.1f} s"
    assert grown < 4 * size + LARGEST, f"needed {grown / 1e6:.0f} MB for {size} bytes"


def peak_memory(*, anew: bool = False) -> int:
    """Highest memory (bytes) that this process had, on Linux since it was last asked `anew`."""
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def random_damage(draw: random.Random) -> list[Damage]:
    """One to four changes."""
    return [
        Damage(draw.choice(KINDS), draw.random(), draw.randrange(10_000))
        for _ in range(draw.randint(1, 4))
    ]


def batch(seeds: list[int], folder: str, originals: dict[str, Path], pipe) -> None:
    """Work on some seeds; tell each before it is begun and after it went well."""
    for seed in seeds:
        draw = random.Random(seed)
        name = draw.choice(sorted(originals))
        pipe.send(("begin", seed, name, ""))
        path = damaged(originals[name], Path(folder) / "work", random_damage(draw), draw.random())
        try:
            survives(path)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a find
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(at.filename).name}:{at.lineno}"
            pipe.send(("bad", seed, name, f"{type(error).__name__} ({place}): {error}"))
            keep(folder, seed)
    pipe.send(("end", -1, "", ""))


def keep(folder: str | Path, seed: int) -> None:
    """Keep the damaged file in hand beside the folder of the work."""
    shutil.copytree(Path(folder) / "work", Path(folder).parent / f"find-{seed}", dirs_exist_ok=True)


def hunt(minutes: float, first: int) -> Iterator[str]:
    """Run batches until the time is over; yields what was found."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    context = multiprocessing.get_context("fork")
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "sound").mkdir()
        originals = corpus(here / "sound")
        seed = first
        while time.monotonic() < until:
            receive, send = context.Pipe(duplex=False)
            seeds = list(range(seed, seed + 50))
            seed += 50
            process = context.Process(target=batch, args=(seeds, str(here), originals, send))
            process.start()
            send.close()
            last = ("begin", seeds[0], "", "")
            while last[0] != "end":
                if not receive.poll(3 * LONGEST):
                    process.kill()
                    keep(here, last[1])
                    yield f"seed {last[1]} ({last[2]}): hangs"
                    break
                try:
                    last = receive.recv()
                except EOFError:
                    process.join()
                    keep(here, last[1])
                    yield f"seed {last[1]} ({last[2]}): the process died ({process.exitcode})"
                    break
                if last[0] == "bad":
                    yield f"seed {last[1]} ({last[2]}): {last[3]}"
            process.join()
        print(
            f"{seed - first} damaged files of {len(originals)} formats were opened", file=sys.stderr
        )


if __name__ == "__main__":
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    start = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    finds = 0
    for find in hunt(length, start):
        print(find, flush=True)
        finds += 1
    sys.exit(min(finds, 1))
