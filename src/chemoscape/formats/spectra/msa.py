"""EMSA/MAS spectra (``.msa``, ISO 22029), the exchange format of electron microscopes.

Lines of ``#KEY : value``, then numbers from ``#SPECTRUM`` to ``#ENDOFDATA``: pairs of energy and
value (DATATYPE XY), or values alone in steps of XPERCHAN from OFFSET on (DATATYPE Y).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Spectra
from chemoscape.formats.spectra._records import in_eV
from chemoscape.formats.spectra._rows import lines_of

_KEY = re.compile(r"#\s*([A-Za-z]\w{0,40})[^:]*:(.*)")
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:\s?[eE][-+]?\d+)?)")

_OF_NUMBERS = ("FORMAT", "NPOINTS", "NCOLUMNS", "XUNITS", "DATATYPE", "XPERCHAN", "OFFSET")

_DAMAGED = "the file is truncated or damaged: copy it again"


def is_msa(text: str) -> bool:
    """Whether a text starts as EMSA/MAS files do."""
    return re.match(r"\s*#\s*FORMAT[^:\n]*:\s*EMSA/MAS", text, re.IGNORECASE) is not None


def parse(text: str, path: Path, *, whole: bool = False) -> Spectra:
    """The spectrum of an EMSA/MAS file; `whole` keeps every line of its header.

    Raises
    ------
    FileFormatError
        The axis is not energy, numbers are missing, or something else stands among them.
    """
    where = str(path)
    lines = lines_of(text, where)
    start = next((k for k, line in enumerate(lines) if _key(line) == "SPECTRUM"), None)
    if start is None:
        raise FileFormatError("has no line #SPECTRUM", where, _DAMAGED)
    end = next((k for k in range(start, len(lines)) if _key(lines[k]) == "ENDOFDATA"), len(lines))
    facts: dict[str, str] = {}
    for line in lines[:start]:
        if match := _KEY.match(line):
            facts.setdefault(match[1].upper(), match[2].strip())
    numbers = _numbers(lines[start + 1 : end], start + 2, where)
    unit = facts.get("XUNITS", "")
    if unit and unit.lower() not in ("ev", "kev"):
        raise FileFormatError(
            f"its x axis is in {unit!r}, not in eV or keV", where, "give a spectrum over energy"
        )
    if facts.get("DATATYPE", "XY").upper().startswith("Y"):
        values, energy = numbers, _axis(facts, numbers.size, where)
    else:
        if numbers.size % 2:
            raise FileFormatError("its last energy has no value", where, _DAMAGED)
        energy, values = numbers[::2], numbers[1::2]
    energy, notes = in_eV(energy, unit)
    planned = _number(facts.get("NPOINTS", ""))
    if planned != values.size and np.isfinite(planned):
        if end == len(lines) and values.size < planned:
            raise FileFormatError(
                f"ends after {values.size} of {planned:g} points", where, _DAMAGED
            )
        notes += (f"its header says {planned:g} points and it holds {values.size}: all are read",)
    return Spectra(
        where=path,
        energy=energy,
        values=values[np.newaxis],
        names=(facts.get("TITLE") or path.stem,),
        quantity="counts" if "count" in facts.get("YUNITS", "").lower() else "",
        attrs={**(_header(facts) if whole else {}), "layout": "EMSA/MAS", **_attributes(facts)},
        notes=notes,
    )


def _key(line: str) -> str:
    """Keyword of a line, "" when it has none."""
    match = _KEY.match(line) if line.startswith("#") else None
    return match[1].upper() if match else ""


def _numbers(lines: list[str], first: int, where: str) -> np.ndarray:
    """Numbers of the data lines, separated by commas or blanks; `first` is the first's number."""
    numbers = array("d")
    for number, line in enumerate(lines, start=first):
        if line.startswith("#"):  # keywords of the maker's own stand there at times
            continue
        try:
            numbers.extend(float(word) for word in re.split(r"[\s,]+", line) if word)
        except ValueError:
            raise FileFormatError(
                f"line {number} is not a row of numbers: {line[:40]!r}", where, _DAMAGED
            ) from None
    if not numbers:
        raise FileFormatError("holds no numbers behind #SPECTRUM", where, _DAMAGED)
    return np.array(numbers)


def _axis(facts: Mapping[str, str], n: int, where: str) -> np.ndarray:
    """Energies of equal steps, in the file's unit."""
    step, offset = _number(facts.get("XPERCHAN", "")), _number(facts.get("OFFSET", ""))
    if not np.isfinite(offset):  # then the channel of energy zero is given
        offset = -step * _number(facts.get("CHOFFSET", ""))
    if not (np.isfinite([step, offset]).all() and step):
        raise FileFormatError(
            "has no energies: XPERCHAN or OFFSET is missing", where, "add them to its header"
        )
    with np.errstate(over="ignore"):
        return offset + step * np.arange(n)


def _number(text: str) -> float:
    """The number that a value starts with (``2.0 E-06`` too), NaN when it starts with none."""
    match = _NUMBER.match(text)
    return float(re.sub(r"\s", "", match[1])) if match else np.nan


def _attributes(facts: Mapping[str, str]) -> dict[str, str]:
    """Flat facts of the spectrum."""
    names = {"DATE": "date", "TIME": "time", "OWNER": "owner", "SIGNALTYPE": "signal"}
    return {name: facts[key] for key, name in names.items() if facts.get(key)}


def _header(facts: Mapping[str, str]) -> dict[str, str]:
    """Every line of the header by its keyword, those about the numbers left out."""
    return {key.lower(): text for key, text in facts.items() if text and key not in _OF_NUMBERS}
