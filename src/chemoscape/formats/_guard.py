"""Raw reads: the only door to a user's bytes.

A file must exist, be a regular file (a FIFO or a device would never end) and, when another file
names it, lie in that file's folder. Nothing is read beyond a limit, and nothing is allocated
because a header says so: the size on disk decides.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError

#: What the libraries that read files raise on damaged ones, in our experience of flipping bits.
LIBRARY_ERRORS = (
    *(OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError),
    *(ArithmeticError, MemoryError, SystemError, AssertionError, BufferError, ImportError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)

#: Largest text file (a header, a spectrum) that is read; real ones are below 1 MB.
TEXT_LIMIT = 64_000_000

#: A small file must not claim a large array: this much is believed of any file, beyond it four
#: times its size.
_BELIEVED_BYTES = 200_000_000


def existing(path: str | Path) -> Path:
    """Resolved path of a file or folder that exists.

    Raises
    ------
    FileFormatError
        There is nothing at `path`, or it cannot be reached.
    """
    if not isinstance(path, str | Path):
        raise FileFormatError(
            f"expected the path of a file, got {type(path).__name__}", remedy="give a str or a Path"
        )
    given = Path(path)
    try:
        resolved = given.expanduser().resolve(strict=True)
    except FileNotFoundError:
        raise FileFormatError(
            "there is no such file or folder", str(given), "check the spelling of the path"
        ) from None
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # loops of links, no permission, NUL in the name
        raise FileFormatError(
            f"cannot be opened ({error})", str(given), "give the path of a readable file"
        ) from None
    return resolved


def regular_file(path: str | Path, *, inside: Path | None = None) -> Path:
    """Resolved path of a regular file, inside the folder `inside` when that is given.

    Parameters
    ----------
    path : str or Path
        What the user or another file names.
    inside : Path, optional
        Folder that the file must not leave, neither by ``..`` nor by a link.

    Raises
    ------
    FileFormatError
        There is no such file, it is not a regular file, or it lies elsewhere.
    """
    resolved = existing(path)
    if inside is not None and not resolved.is_relative_to(inside.resolve()):
        raise FileFormatError(
            f"leads out of the folder {inside}", str(path), "copy the file into the folder"
        )
    if not stat.S_ISREG(resolved.stat().st_mode):
        raise FileFormatError("is not a regular file", str(path), "give the path of a file")
    return resolved


def lies_inside(path: Path, folder: Path) -> bool:
    """Whether a path is that of a regular file which does not lead out of a folder."""
    try:
        if path.parent == folder and not path.is_symlink():  # asks the system least
            return path.is_file()
        regular_file(path, inside=folder)
    except (FileFormatError, OSError):
        return False
    return True


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what the system says of files that vanish or are locked into one of our errors."""
    try:
        yield
    except OSError as error:
        raise FileFormatError(
            f"cannot be read ({error.strerror or error})",
            str(path),
            "check its permissions, and whether another program is writing it",
        ) from error


def believed_bytes(*paths: Path) -> int:
    """How large an array these files may claim to hold."""
    return _BELIEVED_BYTES + 4 * sum(path.stat().st_size for path in paths if path.is_file())


def checksum(paths: Sequence[Path], folder: Path) -> str:
    """SHA-256 of a file, or of the lines ``sha256sum`` prints for several, by ascending names."""
    files = sorted(
        {one for path in paths for one in ([path] if path.is_file() else path.rglob("*"))}
    )
    sums = []
    for path in (one for one in files if one.is_file()):
        with path.open("rb") as file:
            sums.append((path, hashlib.file_digest(file, "sha256").hexdigest()))
    if len(sums) == 1:
        return sums[0][1]
    lines = (
        f"{digest}  {path.relative_to(folder) if path.is_relative_to(folder) else path.name}\n"
        for path, digest in sums
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_at(path: Path, offset: int, n_bytes: int) -> bytes:
    """Exactly `n_bytes` of a file from `offset` on.

    Raises
    ------
    FileFormatError
        The file ends before, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(min(n_bytes, max(path.stat().st_size - offset, 0)))
    except (OSError, ValueError, OverflowError) as error:
        raise FileFormatError(f"cannot be read ({error})", str(path), "copy it again") from error
    if len(content) < n_bytes:
        raise FileFormatError(
            f"ends {n_bytes - len(content)} bytes too early",
            str(path),
            "the file is truncated: copy it again",
        )
    return content


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Whole content of a file of at most `limit` bytes.

    Raises
    ------
    FileFormatError
        The file is larger, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise FileFormatError(
            f"cannot be read ({error.strerror})", str(path), "check its permissions"
        ) from error
    if len(content) > limit:
        raise FileFormatError(
            f"is larger than {limit / 1e6:.0f} MB, which no file of this kind is",
            str(path),
            "give the right file",
        )
    return content


def read_into(path: Path, buffer: np.ndarray, *, offset: int = 0) -> int:
    """Read a file from `offset` on into `buffer` (uint8) as far as that reaches; returns the number
    of bytes.

    Raises
    ------
    FileFormatError
        The file cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            filled = 0
            file.seek(offset)
            view = buffer.data
            while filled < len(view) and (count := file.readinto(view[filled:])):
                filled += count
    except OSError as error:
        raise FileFormatError(
            f"cannot be read ({error.strerror})", str(path), "check its permissions"
        ) from error
    return filled


def read_text(path: Path, *, limit: int = TEXT_LIMIT) -> str:
    """Text of a file: UTF-8, or Latin-1 as old beamline software writes (µ, Å, °)."""
    return decoded(read_bytes(path, limit=limit))


def decoded(content: bytes) -> str:
    """Text of bytes in UTF-8, in UTF-16 with its mark (spreadsheets write it), or in Latin-1."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
