"""Peak models of your own, as TOML files.

::

    name = "Fe L3"
    window = [705.0, 714.0]           # eV
    reference = "eg"                  # that relative intensities are divided by

    [[peak]]
    name = "t2g"

    [[peak]]
    name = "eg"

    [[step]]
    edge = "Fe L3"
    energy = 709.0                    # eV, where the solid has it

Further keys: ``step_shape`` ("erf", "arctan"), ``step_fwhm``, ``lorentz_fwhm`` (eV); of a peak
``near`` (eV, of all peaks or of none), ``nuisance`` and ``outside`` (true, false).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from chemoscape.errors import FitError
from chemoscape.formats._guard import read_text, regular_file
from chemoscape.standards.peaks.model import Peak, PeakModel, Step

_PLAIN = {"name", "window", "reference", "step_shape", "step_fwhm", "lorentz_fwhm"}
_TYPES: dict[str, tuple[type, ...]] = {
    **{"name": (str,), "reference": (str,), "step_shape": (str,), "edge": (str,)},
    **{"step_fwhm": (int, float), "lorentz_fwhm": (int, float), "near": (int, float)},
    **{"energy": (int, float), "nuisance": (bool,), "outside": (bool,), "window": (list,)},
}


def read_peak_model(path: str | Path) -> PeakModel:
    """Read a peak model from a TOML file.

    Raises
    ------
    FileFormatError
        There is no such file, or it is no text.
    FitError
        It is no TOML; a key is unknown, missing, or of the wrong kind; the model is impossible.
    """
    where = str(path)
    try:
        table = tomllib.loads(read_text(regular_file(path)))
    except tomllib.TOMLDecodeError as error:
        raise FitError(f"is not TOML ({error})", where, "mend that line") from None
    _check(table, _PLAIN | {"peak", "step"}, {"name", "window", "peak"}, where)
    peaks = _tables(table, "peak", Peak, {"name"}, where)
    steps = _tables(table, "step", Step, {"edge", "energy"}, where)
    plain = {key: value for key, value in table.items() if key in _PLAIN}
    return PeakModel(**plain, peaks=peaks, steps=steps)


def _tables(
    table: Mapping[str, Any], key: str, kind: type, needed: set[str], where: str
) -> list[Any]:
    """The ``[[peak]]`` or ``[[step]]`` tables."""
    rows = table.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FitError(f"{key!r} is no list of tables", where, f"write [[{key}]] above each")
    for row in rows:
        _check(row, {one.name for one in fields(kind)}, needed, f"{where}, [[{key}]]")
    return [kind(**row) for row in rows]


def _check(table: Mapping[str, Any], known: set[str], needed: set[str], where: str) -> None:
    """Refuse unknown keys, missing ones, and values of the wrong kind."""
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}" if near else f"use {', '.join(sorted(known))}"
            raise FitError(f"has an unknown key {key!r}", where, hint)
        allowed = _TYPES.get(key)
        wrong_bool = isinstance(value, bool) and allowed != (bool,)
        if allowed and (not isinstance(value, allowed) or wrong_bool):
            raise FitError(
                f"{key!r} is {value!r}", where, f"give a {' or '.join(t.__name__ for t in allowed)}"
            )
    for key in sorted(needed - set(table)):
        raise FitError(f"says nothing of {key!r}", where, "write it")
