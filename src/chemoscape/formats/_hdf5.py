"""Raw reads of HDF5 files: links stay inside the file, sizes are believed only as far as the bytes
on disk allow, and whatever the library finds wrong becomes one of our errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import _guard, _hdf5_heap

_MAGIC = b"\x89HDF\r\n\x1a\n"

#: What h5py raises on damaged files, in our experience of flipping bits.
HDF5_ERRORS = (
    *(OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    *(ArithmeticError, MemoryError, SystemError, AssertionError, NotImplementedError),
)

#: Deflate cannot make anything smaller than this part of it.
_DEEPEST_COMPRESSION = 1100

#: Numbers that an axis or another small array may hold.
_MOST_NUMBERS = 4_000_000


def is_hdf5(path: Path) -> bool:
    """Whether a path is a file that starts as HDF5 does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading, without locks: a scan may still be writing it.

    Raises
    ------
    FileFormatError
        The file is damaged; also for anything h5py raises inside the block.
    """
    try:
        if wrong := _hdf5_heap.trouble(path):
            raise OSError(wrong)
        with _without_locks(path) as file:
            yield file
    except ChemoscapeError:
        raise
    except HDF5_ERRORS as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"is damaged or still being written ({type(error).__name__}: {text})",
            str(path),
            "copy it again, or wait until the scan has ended",
        ) from error


def _without_locks(path: Path) -> h5py.File:
    """An HDF5 file for reading, with locks only when this process has it open with them already."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # xarray, in a user's notebook, opens files so


def child(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """What lies at ``path`` below `group`, None when nothing does.

    Raises
    ------
    FileFormatError
        The way leads into another file.
    """
    here: Any = group
    for name in (part for part in path.split("/") if part):
        if not isinstance(here, h5py.Group) or name not in here:
            return None
        if isinstance(here.get(name, getlink=True), h5py.ExternalLink):
            raise FileFormatError(
                f"{here.name.rstrip('/')}/{name} is a link to another file",
                str(group.file.filename),
                "copy the data into one file (h5copy, h5repack)",
            )
        here = here[name]
    if isinstance(here, h5py.Group | h5py.Dataset) and here.file.id != group.file.id:
        raise FileFormatError(
            f"{path} lies in another file", str(group.file.filename), "copy the data into one file"
        )
    return here


def groups(group: h5py.Group) -> list[str]:
    """Names of the groups just below, in the order of the file; links out of the file left out."""
    return [
        name
        for name in group
        if not isinstance(group.get(name, getlink=True), h5py.ExternalLink)
        and group.get(name, getclass=True) is h5py.Group
    ]


def array(group: h5py.Group, path: str) -> h5py.Dataset | None:
    """The dataset of numbers at ``path``, borne out by its bytes on disk; None when there is none.

    Raises
    ------
    FileFormatError
        It lies in other files, or claims more than its bytes can hold.
    """
    found = child(group, path)
    if not isinstance(found, h5py.Dataset):
        return None
    where = str(group.file.filename)
    if found.is_virtual or found.external:
        raise FileFormatError(
            f"{found.name} lies in other files (a virtual or external dataset)",
            where,
            "copy the data into one file (h5repack)",
        )
    stored = found.id.get_storage_size()
    fixed = found.chunks is None
    if not fixed and not stored and found.size:  # to read it can crash the library
        raise FileFormatError(
            f"{found.name} holds no data", where, "nothing was measured yet, or the file is damaged"
        )
    if found.dtype.kind in "fiucbV" and (
        (fixed and 0 < stored < found.nbytes)
        or found.nbytes > _guard.believed_bytes(Path(where)) + _DEEPEST_COMPRESSION * stored
    ):
        raise FileFormatError(
            f"{found.name} claims an array of shape {found.shape}, more than its {stored} bytes "
            "can hold",
            where,
            "the file is damaged: copy it again",
        )
    return found


def held(group: h5py.Group, path: str) -> h5py.Dataset:
    """The dataset of numbers at ``path``, which was there when the file was described.

    Raises
    ------
    FileFormatError
        It is gone, or claims more than its bytes can hold.
    """
    found = array(group, path)
    if found is None:
        raise FileFormatError(
            f"no longer holds {path}", str(group.file.filename), "open the file again"
        )
    return found


def numbers(group: h5py.Group, path: str) -> np.ndarray | None:
    """A small array of finite length as float64, None when there is no dataset of numbers."""
    found = array(group, path)
    if found is None or found.dtype.kind not in "fiub":
        return None
    if found.size is None or found.size > _MOST_NUMBERS:
        raise FileFormatError(
            f"{found.name} has {found.size} numbers, more than an axis can have",
            str(group.file.filename),
            "the file is damaged: copy it again",
        )
    return np.asarray(found[()], dtype=np.float64)


def number(group: h5py.Group, path: str) -> float:
    """The first number of a dataset, NaN when there is none."""
    values = numbers(group, path)
    return float(values.reshape(-1)[0]) if values is not None and values.size else np.nan


def text(group: h5py.Group, path: str) -> str:
    """Text of a dataset, "" when there is none."""
    found = child(group, path)
    if not isinstance(found, h5py.Dataset) or found.size is None or not 0 < found.size <= 1000:
        return ""
    return plain_text(found[()])


def plain_text(value: Any) -> str:
    """Text of an attribute or a dataset: bytes, str, or the first of an array of them."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\x00 ")
    return str(value).strip() if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """Texts of an attribute or a dataset that may be one text, several, or joined by colons."""
    if isinstance(value, np.ndarray):
        return [plain_text(one) for one in value.reshape(-1)]
    one = plain_text(value)
    return one.replace("[", "").replace("]", "").replace(",", ":").split(":") if one else []


def plain(value: Any) -> str | int | float:
    """Attribute as text or number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1:
        value = np.asarray(value).reshape(-1)[0].item()
    return value if isinstance(value, str | int | float) else str(value)
