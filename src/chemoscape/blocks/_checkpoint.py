"""What the passes over a large stack have found, kept on disk until the whole work is done.

A run that was ended and is started again makes the same passes in the same order. The result of
each is kept under its number, so that those finished are not made again, and the one that was under
way goes on with the bands that are missing. The folder belongs to one piece of work, which is named
in it by a text: any other finds it empty.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

log = logging.getLogger(__name__)

_current: ContextVar[Checkpoint | None] = ContextVar("checkpoint", default=None)

#: A pass whose maps are smaller than this together (bytes) holds them in memory even where there
#: is a folder, and is made anew.
SMALL_BYTES = 256_000_000

#: What a result that was not kept, or was cut off by whatever ended the work, makes of reading it.
_NOT_THERE = (OSError, EOFError, ValueError, KeyError, BadZipFile)


@contextmanager
def checkpoint(folder: Path, work: str) -> Iterator[None]:
    """Keep what passes over lazy stacks find in a folder; remove it when the block ends well.

    Parameters
    ----------
    folder : path
        Made when something is kept. Maps too large for memory lie in it too, and are usable inside
        the block only.
    work : str
        All that the results depend on (recipe, fingerprint of the input, version): what was kept
        for another `work` is discarded.
    """
    current = Checkpoint(folder, work)
    token = _current.set(current)
    try:
        yield
    finally:
        _current.reset(token)
    shutil.rmtree(folder, ignore_errors=True)


def current_checkpoint() -> Checkpoint | None:
    """The one of the block we are in."""
    return _current.get()


class Checkpoint:
    """Results of passes by their number; see `checkpoint`."""

    def __init__(self, folder: Path, work: str) -> None:
        self.folder, self.work, self.n_passes = folder, work, 0
        said = folder / "work.txt"
        if folder.exists() and (not said.is_file() or said.read_text(encoding="utf-8") != work):
            shutil.rmtree(folder, ignore_errors=True)

    def next_pass(self, name: str) -> Path:
        """Where the result of the pass that begins is, or will be; without a suffix."""
        self.n_passes += 1
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            (self.folder / "work.txt").write_text(self.work, encoding="utf-8")
        return self.folder / f"{self.n_passes:03d}-{name.replace('<locals>.', '')}"


def recall(path: Path) -> tuple[bool, Any]:
    """Whether the result of a pass was kept, and the result."""
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
            return True, _unpacked(json.loads(str(file["structure"])), file)
    except _NOT_THERE:
        return False, None


def keep(path: Path, result: Any) -> None:
    """Keep the result of a pass, if it is made of arrays, numbers, lists, and our dataclasses."""
    arrays: dict[str, np.ndarray] = {}
    try:
        structure = json.dumps(_packed(result, arrays))
    except TypeError:
        return  # made anew next time
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, structure=np.array(structure), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path.with_suffix(".npz"))
    except OSError as error:  # a full disk must not end a run that could do without
        log.info("the result of a pass was not kept: %s", error)
        unfinished.unlink(missing_ok=True)


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON that refers to arrays by their names."""
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        name = f"array{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_packed(one, arrays) for one in value]}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("chemoscape."):
        parts = {
            one.name: _packed(getattr(value, one.name), arrays) for one in dataclasses.fields(value)
        }
        return {"made_of": parts, "class": [type(value).__module__, type(value).__qualname__]}
    raise TypeError(type(value).__name__)


def _unpacked(packed: dict[str, Any], arrays: Any) -> Any:
    if "value" in packed:
        return packed["value"]
    if "array" in packed:
        return arrays[packed["array"]][()]
    if "class" in packed:
        module, name = packed["class"]
        if not module.startswith("chemoscape."):
            raise ValueError(module)
        made_of = {key: _unpacked(one, arrays) for key, one in packed["made_of"].items()}
        return getattr(importlib.import_module(module), name)(**made_of)
    if "list" in packed:
        return [_unpacked(one, arrays) for one in packed["list"]]
    return tuple(_unpacked(one, arrays) for one in packed["tuple"])


class Room:
    """An array for the result of a pass, in memory or in a file, that knows which bands it has.

    Parameters
    ----------
    path : path, optional
        Of the pass, without a suffix; None keeps everything in memory.
    shape, dtype
        Of the array.
    n_bands : int
    """

    def __init__(
        self, path: Path | None, shape: tuple[int, ...], dtype: np.dtype, n_bands: int
    ) -> None:
        self.done = np.zeros(n_bands, dtype=bool)
        self._done_file: Any = None
        if path is None:
            self.array = np.empty(shape, dtype)
            return
        values, bands = path.with_suffix(".npy"), path.with_suffix(".bands.npy")
        if values.exists() and bands.exists():
            self.array = np.lib.format.open_memmap(values, mode="r+")
            self._done_file = np.lib.format.open_memmap(bands, mode="r+")
            if (self.array.shape, self._done_file.size) == (shape, n_bands):
                self.done[:] = self._done_file
                return
        self.array = np.lib.format.open_memmap(values, mode="w+", dtype=dtype, shape=shape)
        self._done_file = np.lib.format.open_memmap(bands, mode="w+", dtype=bool, shape=(n_bands,))

    def put(self, number: int, rows: slice, values: np.ndarray) -> None:
        """Store one band of rows."""
        self.array[..., rows, :] = values
        self.done[number] = True
        if self._done_file is not None:  # after the values are safe: all may end at any point
            self.array.flush()  # type: ignore[attr-defined]
            self._done_file[number] = True
