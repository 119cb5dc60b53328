"""How well a program fitted the powder pattern of a structure, as its CIF says it.

A program for whole patterns writes several blocks: what is true of all, a block for every phase,
one for every pattern. A phase names its patterns in ``_pd_block_diffractogram_id``, a pattern
itself in ``_pd_block_id``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_NUMBER = re.compile(r"([-+]?(\d+\.?(\d*)|\.(\d+))([eE][-+]?\d+)?)(\((\d+)\))?")

_R_WP, _R_EXPECTED = "_pd_proc_ls_prof_wr_factor", "_pd_proc_ls_prof_wr_expected"
_GOODNESS = ("_refine_ls_goodness_of_fit_all", "_refine_ls_goodness_of_fit_ref")

Table = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class ProfileFit:
    """``r_wp`` and ``r_expected`` as fractions, ``goodness`` (their ratio); NaN where unknown.

    ``doubt`` is a sentence about what was read otherwise than it stands there.
    """

    r_wp: float = np.nan
    r_expected: float = np.nan
    goodness: float = np.nan
    doubt: str = ""


def number_of(text: str) -> tuple[float, float]:
    """A number and its standard deviation, NaN where unknown.

    Examples
    --------
    >>> number_of("11.544(6)"), number_of("90"), number_of("?")
    ((11.544, 0.006), (90.0, nan), (nan, nan))
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return np.nan, np.nan
    places = len(match[3] or match[4] or "")
    exponent = float(f"1{match[5]}") if match[5] else 1.0
    sd = float(f"{match[7]}e-{places}") * exponent if match[7] else np.nan
    return float(match[1]), sd


def patterns_of(table: Table, tables: Mapping[str, Table]) -> list[str]:
    """Names of the blocks that hold the patterns of a phase's block; all where it names none."""
    wanted = {one.strip() for one in table.get("_pd_block_diffractogram_id", [])}
    linked = [
        name
        for name, one in tables.items()
        if wanted & {text.strip() for text in one.get("_pd_block_id", [])}
    ]
    return linked or list(tables)


def fit_of(table: Table, tables: Mapping[str, Table]) -> ProfileFit:
    """How well the pattern of a phase was fitted: its own block's figures, else those of the
    patterns it names, else of the whole file.
    """
    places = [table, *(tables[name] for name in patterns_of(table, tables)), *tables.values()]
    found = {
        name: next((value for one in places if (value := _value(one, *names)) > 0), np.nan)
        for name, names in (("r_wp", (_R_WP,)), ("r_expected", (_R_EXPECTED,)))
    }
    goodness = next((value for one in places if (value := _value(one, *_GOODNESS)) > 0), np.nan)
    doubt = ""
    if found["r_wp"] > 1:  # CIF says a fraction; some programs write per cent
        doubt = f"its R_wp of {found['r_wp']:g} is read as per cent"
        found = {name: value / 100 for name, value in found.items()}
    return ProfileFit(**found, goodness=goodness, doubt=doubt)


def _value(table: Table, *names: str) -> float:
    """The first of some items that is a number; NaN when none is."""
    values = (number_of(table[name][0])[0] for name in names if table.get(name))
    return next((value for value in values if np.isfinite(value)), np.nan)
