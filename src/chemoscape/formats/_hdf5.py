"""Raw reads of HDF5 files: links stay inside the file, sizes are believed only as far as the bytes
on disk allow, and whatever the library finds wrong becomes one of our errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import _guard, _hdf5_heap

_MAGIC = b"\x89HDF\r\n\x1a\n"

#: Deflate cannot make anything smaller than this part of it.
_DEEPEST_COMPRESSION = 1100

#: Numbers that an axis or another small array may hold.
_MOST_NUMBERS = 4_000_000

#: Texts that a dataset of names may hold, and bytes of all of them, or of an attribute.
_MOST_TEXTS, _LONGEST_TEXT = 1000, 4_000_000


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
    except _guard.LIBRARY_ERRORS as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"is damaged or still being written ({type(error).__name__}: {text})",
            str(path),
            "copy it again, or wait until the scan has ended",
        ) from error


def holds(path: Path, is_ours: Callable[[h5py.File], bool]) -> bool:
    """Whether a path is a sound HDF5 file of which ``is_ours(file)`` is true; never raises."""
    if not is_hdf5(path):
        return False
    try:
        with opened(path) as file:
            return is_ours(file)
    except FileFormatError:
        return False


def _without_locks(path: Path) -> h5py.File:
    """An HDF5 file for reading, with locks only when this process has it open with them already."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" in str(error):  # xarray, in a user's notebook, opens files so
            return h5py.File(path, "r")
        if "SWMR" in str(error) or "open for write" in str(error):  # a scan in progress, or one
            return h5py.File(path, "r", locking=False, swmr=True)  # whose program died
        raise


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
        and group[name].file.id == group.file.id  # a link may lead to a link out of the file
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
    if trouble := _trouble(found):
        what, remedy = trouble
        raise FileFormatError(f"{found.name} {what}", str(group.file.filename), remedy)
    return found if is_plain(found.dtype) else None


def is_plain(dtype: np.dtype) -> bool:
    """Whether a type is that of numbers or texts; to read some others, which damaged texts turn
    into, crashes the library.
    """
    if h5py.check_string_dtype(dtype) is not None:
        return True
    return dtype.kind in "fiucbV" and not dtype.hasobject


def _trouble(found: h5py.Dataset) -> tuple[str, str] | None:
    """Why a dataset must not be read, and what to do; None when it may."""
    if found.is_virtual or found.external:
        return (
            "lies in other files (a virtual or external dataset)",
            "copy the data into one file (h5repack)",
        )
    stored = found.id.get_storage_size()
    fixed = found.chunks is None
    if not fixed and not stored and found.size:  # to read it can crash the library
        return "holds no data", "nothing was measured yet, or the file is damaged"
    believed = _guard.believed_bytes(Path(str(found.file.filename)))
    if (fixed and 0 < stored < found.nbytes) or (
        found.nbytes > believed + _DEEPEST_COMPRESSION * stored
    ):
        return (
            f"claims an array of shape {found.shape}, more than its {stored} bytes can hold",
            "the file is damaged: copy it again",
        )
    piece = math.prod(found.chunks or ()) * found.dtype.itemsize
    if piece > believed:  # HDF5 unpacks a chunk as a whole
        return (
            f"is packed in pieces of {piece / 1e6:.0f} MB, more than is believed of this file",
            "pack it in smaller chunks (h5repack)",
        )
    if found.dtype.kind == "O" and _hdf5_heap.dataset_reaches_too_far(found):
        return "holds a text that is longer than the file", "the file is damaged: copy it again"
    return None


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
    if not isinstance(found, h5py.Dataset) or _trouble(found) or found.dtype.kind not in "SO":
        return ""
    few = found.size is not None and 0 < found.size <= _MOST_TEXTS
    if not few or found.nbytes > _LONGEST_TEXT or not is_plain(found.dtype):
        return ""
    return plain_text(found[()])


def attribute(thing: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Numbers or texts of an attribute, None when it holds something else or is not there."""
    if name not in thing.attrs:
        return None
    found = thing.attrs.get_id(name)
    n_bytes = math.prod(found.shape or ()) * found.dtype.itemsize
    if not is_plain(found.dtype) or n_bytes > _LONGEST_TEXT:
        return None
    return thing.attrs[name]


def attributes(thing: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """All attributes that hold numbers or texts."""
    found = {str(name): attribute(thing, name) for name in thing.attrs}
    return {name: value for name, value in found.items() if value is not None}


def attribute_text(thing: h5py.Group | h5py.Dataset, name: str) -> str:
    """Text of an attribute, "" when there is none."""
    return plain_text(attribute(thing, name))


def plain_text(value: Any) -> str:
    """Text as written, the first of several: UTF-8, or Latin-1 as older software writes µ.

    Examples
    --------
    >>> plain_text(b"\\xb5m"), plain_text(np.array(["um"])), plain_text(3.0)
    ('µm', 'um', '')
    """
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode("utf-8").strip("\x00 ")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip("\x00 ")


def texts(value: Any) -> list[str]:
    """Texts of an attribute or a dataset that may be one text, several, or joined by colons."""
    if isinstance(value, np.ndarray):
        return [plain_text(one) for one in value.reshape(-1)]
    one = plain_text(value)
    return one.replace("[", "").replace("]", "").replace(",", ":").split(":") if one else []


def plain(value: Any) -> str | int | float:
    """Attribute as text or number."""
    if isinstance(value, bytes):
        return plain_text(value)
    if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1:
        value = np.asarray(value).reshape(-1)[0].item()
    return value if isinstance(value, str | int | float) else str(value)
