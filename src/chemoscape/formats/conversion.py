"""A file in one format to a file in another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, formats, open_spectra, open_stack, save_spectra, save_stack


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
    if new.exists():
        if new.resolve() == given:
            raise FileFormatError(
                "would be replaced by itself", str(target), "give another name for the new file"
            )
        if not overwrite:
            raise FileFormatError("exists already", str(target), "use --overwrite to replace it")
    if new.suffix.lower() in (".txt", ".csv"):
        spectra = open_spectra(
            given, **{key: options[key] for key in ("channel", "region") if key in options}
        )
        save_spectra(spectra, new)
        return f"wrote {new}: {' × '.join(map(str, spectra.shape))} (spectra × energies)"
    progress("opening")
    stack = open_stack(given, **options)
    progress("writing")
    save_stack(stack, new)
    return f"wrote {new}: {' × '.join(map(str, stack.shape))} (energies × y × x)"


def written_endings() -> list[str]:
    """Endings that `convert` writes."""
    return sorted([".csv", ".txt", *(end for one in formats() for end in one.write_extensions)])
