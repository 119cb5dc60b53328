"""Powder patterns from files: columns of text, GSAS, CIF."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from chemoscape.crystals.pattern import (
    FEWEST_POINTS,
    SYNTHETIC,
    Pattern,
    counting_sd,
    scattered_sd,
)
from chemoscape.crystals.pattern_files import cif_columns, gsas_columns
from chemoscape.crystals.radiation import Radiation, radiation
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard

Axis = Literal["2theta", "q", "d"]

#: Files of diffractometers that are no text, by their first bytes or their suffix.
_BINARY = {
    ".raw": "Bruker or Rigaku",
    ".brml": "Bruker",
    ".xrdml": "PANalytical",
    ".rasx": "Rigaku",
}
_NUMBER = r"[-+]?(?:\d+[.,]?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_WAVELENGTH = re.compile(
    rf"(?:wave\s*length|lambda|λ|alpha_?1)(\D{{0,20}}?)({_NUMBER}) *\]?\)? *(nm|m)?\b",
    re.IGNORECASE,
)
#: Å in a unit.
_UNITS = {"nm": 10.0, "m": 1e10}
_AXES: tuple[tuple[Axis, str], ...] = (
    ("2theta", r"2\s*[-_]?\s*(?:theta|θ|th)|two\s*_?theta|\btth\b"),
    ("q", r"^q\s*(?:$|[\[(_]|\s(?:i|int|counts)\b)"),
    ("d", r"^d\s*(?:$|[\[(]|[-_ ]?spac|\s(?:i|int|counts)\b)"),  # and no path such as d:\data
)


def read_pattern(
    path: str | Path,
    *,
    wavelength: str | float | Radiation | None = None,
    axis: Axis | None = None,
) -> Pattern:
    """Powder pattern of a file.

    Parameters
    ----------
    path : str or Path
        Two or three columns (2θ, Q or d; intensity; its sd) with any separator and decimal commas
        (``.xy``, ``.xye``, ``.csv``, ``.dat``, ``.txt``, ``.chi``, …), GSAS constant-step or FXYE
        (``.gsa``, ``.gsas``, ``.fxye``), or a CIF with a pattern.
    wavelength : str, float or Radiation, optional
        As `radiation` takes it; default: what the file says, else Cu, with a warning.
    axis : {"2theta", "q", "d"}, optional
        What the first column is: degrees, Q in 1/Å, d in Å. Default: what the header says, else 2θ.

    Returns
    -------
    Pattern
        Standard deviations are those of the file, else the square root of counts; intensities that
        are no whole numbers (counts per second) get them from the scatter of neighbours.

    Raises
    ------
    FileFormatError
        The file is binary, holds no pattern, or has no wavelength where its axis needs one.

    Warns
    -----
    ChemoscapeWarning
        The wavelength is assumed.
    """
    file = _guard.regular_file(path)
    where = str(path)
    suffix, name, said = file.suffix.lower(), file.name, ""
    if suffix == ".cif":
        columns, from_file = cif_columns(file)
    else:
        text = _text(file, where)
        if suffix == ".xrdml":
            _refuse_binary(where, suffix)
        from_file = _wavelength_in(text)
        said = "\n".join(_header(text))
        if "SYNTHETIC" in said:  # a file that is no measurement says so
            name += f" {SYNTHETIC}"
        if suffix in (".gsa", ".gsas", ".gss", ".fxye", ".gda"):
            columns = gsas_columns(text, where)
        else:
            columns = _columns(text, where)
            axis = axis or _axis_in(text)
    known = wavelength if wavelength is not None else from_file
    if known is None:
        if axis in ("q", "d"):
            raise FileFormatError(
                "says no wavelength, and without one there is no angle",
                where,
                "give the wavelength; any will do for the cell",
            )
        warnings.warn(
            f"{where}: says no wavelength, and Cu Kα is taken", ChemoscapeWarning, stacklevel=2
        )
    rays = radiation("Cu" if known is None else known)
    if wavelength is None and rays.name.endswith("Kα1"):
        rays = radiation(rays.name.split()[0])
        warnings.warn(
            f"{where}: names the wavelength of {rays.name}1, and the doublet of the tube is taken; "
            "give the radiation if a monochromator left one line",
            ChemoscapeWarning,
            stacklevel=2,
        )
    x, y, sd, sd_from = columns
    if axis == "q" and suffix != ".cif" and re.search(r"\bq\W*_?\W*(?:1/)?nm", said, re.IGNORECASE):
        x = x / 10
    x = _TO_ANGLE[axis or "2theta"](x, rays)
    if np.isnan(x).any():
        raise FileFormatError(
            f"holds spacings that {rays.wavelength:g} Å cannot reach",
            where,
            "give the wavelength that the file was measured with, or cut the pattern",
        )
    x, y, sd = _ordered(x, y, sd)
    if sd is None:
        counts = bool((y >= 0).all() and np.allclose(y, np.round(y), atol=1e-6) and y.max() > 1)
        sd, sd_from = (counting_sd(y), "counts") if counts else (scattered_sd(y), "scaled")
    origin = "given" if wavelength is not None else "file" if known is not None else "assumed"
    return Pattern(x, y, sd, rays, name, sd_from, origin)


_TO_ANGLE: dict[str, Callable[[np.ndarray, Radiation], np.ndarray]] = {
    "2theta": lambda x, rays: x,
    "q": lambda x, rays: rays.two_theta(2 * np.pi / x),
    "d": lambda x, rays: rays.two_theta(x),
}


def _ordered(
    x: np.ndarray, y: np.ndarray, sd: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Columns with rising angles: spacings fall where angles rise, and files may too."""
    if x[0] > x[-1]:
        x, y, sd = x[::-1], y[::-1], None if sd is None else sd[::-1]
    return x, y, sd


def _text(file: Path, where: str) -> str:
    """Text of the file; refused when it is none."""
    content = _guard.read_bytes(file, limit=_guard.TEXT_LIMIT)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _guard.decoded(content)
    if b"\0" in content[:4096] or content.startswith((b"RAW", b"PK")):
        _refuse_binary(where, file.suffix.lower())
    return _guard.decoded(content)


def _refuse_binary(where: str, suffix: str) -> None:
    maker = _BINARY.get(suffix, "diffractometer")
    raise FileFormatError(
        f"is a {maker} file that is not read",
        where,
        "export it as text from the maker's program (DIFFRAC.EVA, HighScore and PowDLL write .xy), "
        "and give that file",
    )


def _wavelength_in(text: str) -> float | None:
    """Wavelength of a header, Å: the first number after its name that can be one."""
    for line in text.splitlines()[:200]:
        if "ratio" in line.lower():  # of the intensities of a doublet
            continue
        found = _WAVELENGTH.search(line)
        if not found:
            continue
        unit = found[3] or ("nm" if re.search(r"\bnm\b", found[1]) else "")
        value = float(found[2].replace(",", ".")) * _UNITS.get(unit.lower(), 1.0)
        if 0.05 < value < 5:
            return value
    return None


def _axis_in(text: str) -> Axis | None:
    """What the first column is, by the last line of the header that names one."""
    for line in reversed(_header(text)):
        first = re.split(r"[,;\t]|\s{2,}", line.strip(" #\"'!/*"))[0].lower()
        for name, words in _AXES:
            if re.search(words, first):
                return name
    return None


def _header(text: str) -> list[str]:
    """Lines before the first row of numbers."""
    header: list[str] = []
    for line in text.splitlines()[:500]:
        if _row(line, False) is not None:
            break
        if line.strip():
            header.append(line)
    return header


def _row(line: str, commas: bool) -> list[float] | None:
    """Numbers of a line, None where it is something else."""
    if commas:
        line = line.replace(",", ".")
    words = re.split(r"[\s,;]+", line.strip().strip(",;"))
    if len(words) < 2:
        return None
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


Columns = tuple[np.ndarray, np.ndarray, np.ndarray | None, str]


def _columns(text: str, where: str) -> Columns:
    """Angles, intensities and their sd of rows of two numbers or more."""
    lines = text.splitlines()
    commas = _decimal_commas(lines)
    rows = [row for line in lines if (row := _row(line, commas)) is not None]
    widths = [len(row) for row in rows]
    width = max(set(widths), key=widths.count) if widths else 0
    kept = [row for row in rows if len(row) == width]
    if len(kept) < FEWEST_POINTS:
        raise FileFormatError(
            f"holds {len(kept)} rows of numbers, which is no pattern",
            where,
            "give a text file with 2θ and intensity in columns",
        )
    if len(rows) - len(kept) > 2:
        raise FileFormatError(
            f"has rows of {width} numbers and {len(rows) - len(kept)} of others",
            where,
            "give one pattern, its rows alike",
        )
    table = np.array(kept)
    sd, odd = (table[:, 2], "") if width == 3 else (None, "")
    if width > 3:
        odd = f"has {width} columns, and the first two are read"
    elif sd is not None and not ((sd > 0).all() and np.ptp(sd) > 0):
        odd = f"its third column is {'constant' if np.ptp(sd) == 0 else 'not positive'}, no sd"
        sd = None
    if odd:
        warnings.warn(f"{where}: {odd}", ChemoscapeWarning, stacklevel=3)
    return table[:, 0], table[:, 1], sd, "file"


def _decimal_commas(lines: list[str]) -> bool:
    """Whether numbers are written as 10,02: every row has blanks, tabs or semicolons, and commas
    only between digits, one in the first number.
    """
    pattern = re.compile(
        r"^\s*\d+,\d+[\s;]+[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?(?:[\s;]+\S+)*[;\s]*$"
    )
    rows = [line for line in lines if re.match(r"^\s*\d+[.,]?\d*[\s,;]", line)]
    return bool(rows) and sum(bool(pattern.match(line)) for line in rows) > 0.9 * len(rows)
