"""A file in one format to a file in another."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chemoscape import blocks
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import (
    _guard,
    _opening,
    formats,
    open_source,
    open_spectra,
    save_spectra,
    save_stack,
)
from chemoscape.formats._source import Source

#: Files that are written beside one of such an ending.
_COMPANIONS = {".ncb": (".dat",), ".tif": (".txt",), ".tiff": (".txt",)}


def convert(
    source: str | Path,
    target: str | Path,
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda step: None,
    **options: Any,
) -> str:
    """Write a stack, or spectra, in the format that the ending of `target` names.

    Parameters
    ----------
    source, target : str or Path
        The file to read and the file to write.
    overwrite : bool
        Replace an earlier file.
    progress : callable
        Told which step is at work.
    **options
        As in `chemoscape.formats.open_stack`.

    Returns
    -------
    str
        What was written, in one sentence; what the new format cannot keep is warned of.

    Raises
    ------
    FileFormatError
        The file cannot be read, `target` exists or has an ending that is not written.
    """
    given, new = _guard.existing(source), Path(target).expanduser()
    if new.exists() and not overwrite and new.resolve() != given:
        raise FileFormatError("exists already", str(target), "use --overwrite to replace it")
    if new.suffix.lower() in (".txt", ".csv"):
        _refuse_itself(new, [given])
        spectra = open_spectra(
            given, **{key: options[key] for key in ("channel", "region") if key in options}
        )
        save_spectra(spectra, new)
        return f"wrote {new}: {' × '.join(map(str, spectra.shape))} (spectra × energies)"
    progress("opening")
    described, known = open_source(given, **options)
    _refuse_itself(new, [given, *described.files])
    for note in _opening.sayings(described):
        warnings.warn(f"{described.where}: {note}", ChemoscapeWarning, stacklevel=2)
    with _banded(described, new.parent, progress) as banded:
        stack = _opening.stack_of(banded, known, lazy=not banded.framewise)
        progress("writing")
        save_stack(stack, new)
    return f"wrote {new}: {' × '.join(map(str, stack.shape))} (energies × y × x)"


@contextmanager
def _banded(source: Source, folder: Path, progress: Callable[[str], None]) -> Iterator[Source]:
    """A source whose bands are cheap to read, or that fits into memory; with a temporary file in
    `folder` where it is neither.
    """
    if not source.framewise or 4 * math.prod(source.shape) <= blocks.memory_limit():
        yield source
        return
    progress("reading frames")
    try:
        with TemporaryDirectory(dir=folder, prefix=".chemoscape-") as spool:
            yield _opening.spooled(source, Path(spool))
    except OSError as error:
        raise FileFormatError(
            f"has no room for the frames of {source.where.name} ({error.strerror or error})",
            str(folder),
            "choose a folder that exists and has room for twice the stack",
        ) from error


def _refuse_itself(target: Path, sources: list[Path]) -> None:
    """Raise where a file would be replaced by what is read from it."""
    written = {target.resolve()}
    for ending in _COMPANIONS.get(target.suffix.lower(), ()):
        written.add(target.resolve().with_suffix(ending))
    if written & {path.resolve() for path in sources}:
        raise FileFormatError(
            "would be replaced by itself", str(target), "give another name for the new file"
        )


def written_endings() -> list[str]:
    """Endings that `convert` writes."""
    return sorted([".csv", ".txt", *(end for one in formats() for end in one.write_extensions)])
