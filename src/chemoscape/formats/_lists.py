"""Lists of photon energies beside images: one number per line, or the first column of a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.spectra import of_columns
from chemoscape.formats.spectra._rows import parse_rows

ENDINGS = (".txt", ".csv", ".dat")

#: A list of energies is a few kB; beyond this it is something else.
_LIMIT = 4_000_000

_MAYBE_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_ENERGY_IN_NAME = re.compile(r"(?<![\d.])(\d{1,6}(?:\.\d{1,9})?)[ _-]?eV(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Beside:
    """Energies found in a list beside images.

    Parameters
    ----------
    energy : ndarray, shape (n,), or None
        eV, in the order of the list; None when no list fits the images.
    file : Path, optional
        The list.
    others : tuple of str
        What lists that do not fit hold, such as ``"energies.txt has 4 energies"``.
    """

    energy: np.ndarray | None
    file: Path | None = None
    others: tuple[str, ...] = ()


def read_energies(path: Path) -> np.ndarray:
    """Energies (eV) in a text file, shape ``(n,)``: one per line, or a table's column of energies.

    Raises
    ------
    FileFormatError
        The file holds no positive numbers.
    """
    text = _guard.read_text(path, limit=_LIMIT)
    rows = [line.strip() for line in text.splitlines() if line.strip() and line[0] not in "#%*!"]
    if rows and all(_MAYBE_DECIMAL_COMMA.fullmatch(row) for row in rows):
        raise FileFormatError(
            f"holds lines like {rows[0]!r}, which could be one number or two",
            str(path),
            "write energies with a decimal point",
        )
    table = parse_rows(text, where=str(path))
    if table.shape[1] == 1:
        values = table[:, 0]
    elif len(table) == 1:
        values = table[0]
    else:
        values = of_columns(text, path).energy  # by the heading, if there is one
    if not (np.isfinite(values) & (values > 0)).all():
        raise FileFormatError(
            "holds an energy that is not a positive number", str(path), "write one in eV per line"
        )
    return values


def energies_beside(path: Path, counts: Collection[int]) -> Beside:
    """The first list beside `path` that holds one of `counts` energies.

    Looked for are ``<stem>.txt``, ``.csv``, ``.dat`` and ``energies`` or ``energy`` with the same
    endings: in a folder of images, then beside it; of a file, beside it.

    Parameters
    ----------
    path : Path
        The file or the folder of images.
    counts : collection of int
        How many energies would fit.
    """
    others: list[str] = []
    for file in _candidates(path):
        try:
            energy = read_energies(_guard.regular_file(file, inside=file.parent))
        except FileFormatError:
            others.append(f"{file.name} is no list of energies")
            continue
        if energy.size in counts:
            return Beside(energy, file, tuple(others))
        others.append(f"{file.name} has {energy.size} energies")
    return Beside(None, None, tuple(others))


def refuse_misfits(beside: Beside, n: int, where: Path) -> None:
    """Raise when lists lie beside `n` images and none has as many energies."""
    if beside.energy is None and beside.others:
        raise FileFormatError(
            f"holds {n} images, but {' and '.join(beside.others)}",
            str(where),
            "correct the list (one energy in eV per line), or give energy",
        )


def energies_in_names(names: Sequence[str]) -> np.ndarray | None:
    """Energies (eV) written into file names, None unless every name has one.

    Examples
    --------
    >>> energies_in_names(["wire_0517.25eV.tif", "wire_518_ev.tif"]).tolist()
    [517.25, 518.0]
    """
    found = [_ENERGY_IN_NAME.findall(name) for name in names]
    if not found or not all(found):
        return None
    values = np.array([float(numbers[-1]) for numbers in found])
    return values if (values > 0).all() else None


def natural_key(name: str) -> tuple[tuple[str, int], ...]:
    """Key that sorts names as people count.

    Examples
    --------
    >>> sorted(["a10.tif", "a9.tif", "a1.tif"], key=natural_key)
    ['a1.tif', 'a9.tif', 'a10.tif']
    """
    texts = re.split(r"(\d{1,18})", name.lower())
    numbers = [*texts[1::2], "0"]
    return tuple((text, int(digits)) for text, digits in zip(texts[::2], numbers, strict=True))


def _candidates(path: Path) -> list[Path]:
    """Lists that exist, the most particular first."""
    stems = [path.with_name(path.stem), path.parent / "energies", path.parent / "energy"]
    if path.is_dir():
        inside = [path / path.name, path / "energies", path / "energy"]
        stems = [*inside, path.with_name(path.name), *stems]
    named = [stem.with_name(stem.name + ending) for stem in stems for ending in ENDINGS]
    return [file for file in dict.fromkeys(named) if file.is_file() and file != path]
