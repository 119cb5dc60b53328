"""Data blocks of a CIF, as far as a structure needs them; gemmi reads the syntax and the symmetry.

Names are compared without case and with dots as underscores, so that the older dictionaries
(``_cell_length_a``) and the newer ones (``_cell.length_a``) read alike.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError, LibraryError
from chemoscape.formats import _guard
from chemoscape.standards._profile_fit import ProfileFit, fit_of, number_of
from chemoscape.standards.mixing import molar_mass

_LENGTHS = tuple(f"_cell_length_{axis}" for axis in "abc")
_ANGLES = tuple(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma"))
_NAMES = (
    *("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full"),
    *("_symmetry_space_group_name_hall", "_space_group_name_hall"),
)
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_DENSITIES = ("_exptl_crystal_density_diffrn", "_exptl_crystal_density_meas")
_AUTHORS = ("_publ_author_name", "_citation_author_name")
_WORK = (
    *("_journal_name_full", "_citation_journal_full", "_journal_year", "_citation_year"),
    *("_journal_paper_doi", "_citation_doi"),
)

#: More sites than a structure has that one would compare a spectrum with.
_MOST_SITES = 20_000

_DAMAGED = "the file is truncated or damaged: download it again"


@dataclass(frozen=True)
class Site:
    """An atom: element, fractional coordinates, occupancy; label, sd of its place, U (Å2)."""

    element: str
    place: tuple[float, float, float]
    occupancy: float
    label: str = ""
    place_sd: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    u_iso: float = np.nan


@dataclass(frozen=True)
class Block:
    """A data block that holds a cell.

    ``doubts`` are sentences about what could not be read; ``fit`` is how well a refinement of its
    pattern went, as its own program wrote.
    """

    cell: tuple[float, float, float, float, float, float]
    cell_sd: tuple[float, float, float, float, float, float]
    formula: str
    z: float
    density: float
    volume: float
    group: str
    operations: tuple[str, ...]
    sites: tuple[Site, ...]
    source: str
    doubts: tuple[str, ...]
    fit: ProfileFit = field(default_factory=ProfileFit)


def blocks_of(path: str | Path) -> dict[str, Block]:
    """Blocks of a CIF that hold a cell, by name; those with sites only, where there are such.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, no CIF, or holds no cell.
    """
    tables, where = tables_of(path), str(path)
    shared = next(iter(tables.values()), {}) if len(tables) > 1 else {}
    with_cell = {name: table for name, table in tables.items() if _LENGTHS[0] in table}
    if not with_cell:
        raise FileFormatError(
            "holds no unit cell (_cell_length_a)", where, "give the CIF of a crystal structure"
        )
    with_sites = {name: one for name, one in with_cell.items() if "_atom_site_fract_x" in one}
    return {
        name: replace(
            _block(table, shared, f"{where}, block {name}" if len(tables) > 1 else where),
            fit=fit_of(table, tables),
        )
        for name, table in (with_sites or with_cell).items()
    }


def tables_of(path: str | Path) -> dict[str, dict[str, list[str]]]:
    """Every block of a CIF by its name: values by the names of its items, as `_table` has them.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or no CIF.
    """
    import gemmi

    text = _guard.read_text(_guard.regular_file(path))
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise FileFormatError(
            f"is no CIF that can be read ({' '.join(str(error).split())[:100]})",
            str(path),
            _DAMAGED,
        ) from None
    return {block.name: _table(block) for block in document}


def _table(block: Any) -> dict[str, list[str]]:
    """Values of a block by the names of its items, in lower case, with underscores."""
    import gemmi

    table: dict[str, list[str]] = {}
    for item in block:
        if item.pair is not None:
            name, value = item.pair
            table.setdefault(_key(name), [gemmi.cif.as_string(value)])
        elif item.loop is not None:
            width, values = len(item.loop.tags), list(item.loop.values)
            for k, name in enumerate(item.loop.tags):
                table[_key(name)] = [gemmi.cif.as_string(value) for value in values[k::width]]
    return table


def _key(name: str) -> str:
    return name.lower().replace(".", "_")


def _block(table: Mapping[str, list[str]], shared: Mapping[str, list[str]], where: str) -> Block:
    """What a block says; ``shared`` is the first block, which may hold what is true of all."""
    numbers = [number_of(_first(table, name)) for name in (*_LENGTHS, *_ANGLES)]
    cell = [value for value, _ in numbers]
    if any(np.isnan(angle) for angle in cell[3:]):
        cell[3:] = [90.0 if np.isnan(angle) else angle for angle in cell[3:]]
    if not all(0.5 < edge < 1000 for edge in cell[:3]) or not _possible(*cell[3:]):
        listed = ", ".join(f"{value:g}" for value in cell)
        raise FileFormatError(f"its cell is impossible ({listed})", where, _DAMAGED)
    formula, z = _formula(table)
    sites, doubts = _sites(table, where, re.findall("[A-Z][a-z]?", formula))
    try:
        molar_mass(formula)
    except LibraryError:
        doubts.append(f"its formula {formula!r} cannot be read")
        formula = ""
    densities = (number_of(_first(table, name))[0] for name in _DENSITIES)
    density = next((one for one in densities if one > 0), np.nan)
    return Block(
        cell=tuple(cell),  # type: ignore[arg-type]
        cell_sd=tuple(sd for _, sd in numbers),  # type: ignore[arg-type]
        formula=formula,
        z=z,
        density=density,
        volume=number_of(_first(table, "_cell_volume"))[0],
        group=_first(table, *_NAMES) or _first(table, *_NUMBERS),
        operations=tuple(next((table[name] for name in _OPERATIONS if table.get(name)), [])),
        sites=sites,
        source=_source(table) or _source(shared),
        doubts=tuple(doubts),
    )


def _formula(table: Mapping[str, list[str]]) -> tuple[str, float]:
    """Formula and Z. Some programs (pymatgen, of the Materials Project) give the content of the
    cell as the sum beside the Z of their structural formula: that is the unit then.
    """
    formula = " ".join(_first(table, "_chemical_formula_sum").split())
    unit = "".join(_first(table, "_chemical_formula_structural").split())
    z = number_of(_first(table, "_cell_formula_units_z"))[0]
    z = z if 0 < z < 1e6 else np.nan
    with contextlib.suppress(LibraryError):
        if z > 1 and unit and abs(molar_mass(formula) / (z * molar_mass(unit)) - 1) < 1e-6:
            formula = unit
    return formula, z


def _possible(alpha: float, beta: float, gamma: float) -> bool:
    """Whether three angles (degrees) meet in a corner: the volume ``1 - Σcos² + 2Πcos`` > 0."""
    a, b, c = np.cos(np.deg2rad([alpha, beta, gamma]))
    return all(0 < angle < 180 for angle in (alpha, beta, gamma)) and bool(
        1 - a * a - b * b - c * c + 2 * a * b * c > 1e-6
    )


def _first(table: Mapping[str, Sequence[str]], *names: str) -> str:
    """The first value of the first of some items that has one, "" when none has."""
    values = (table[name][0].strip() for name in names if table.get(name))
    return next((value for value in values if value not in ("", "?", ".")), "")


def _sites(
    table: Mapping[str, list[str]], where: str, elements: Sequence[str]
) -> tuple[tuple[Site, ...], list[str]]:
    """Atoms of the list, and what to say of those left out; ``elements`` are the formula's."""
    columns = [table.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    labels = table.get("_atom_site_label", [])
    symbols = table.get("_atom_site_type_symbol", labels)
    if len(labels) == len(symbols):
        symbols = [
            symbol if symbol.strip() not in ("", "?", ".") else label
            for symbol, label in zip(symbols, labels, strict=True)
        ]
    shares = table.get("_atom_site_occupancy", [])
    thermal = table.get("_atom_site_u_iso_or_equiv", [])
    squares = table.get("_atom_site_b_iso_or_equiv", [])
    n = len(columns[0])
    if n > _MOST_SITES:
        raise FileFormatError(f"lists {n} atoms, which no such crystal has", where, _DAMAGED)
    if any(len(column) != n for column in (*columns, symbols)):
        raise FileFormatError("its list of atoms lacks a coordinate or a symbol", where, _DAMAGED)
    sites, left_out = [], []
    for k in range(n):
        place, sd = zip(*(number_of(column[k]) for column in columns), strict=True)
        element = _element(symbols[k], elements)
        share = number_of(shares[k])[0] if shares else 1.0
        if not element or not np.isfinite(place).all():
            left_out.append(labels[k] if labels else symbols[k])
            continue
        share = 1.0 if np.isnan(share) else share
        u = number_of(thermal[k])[0] if thermal else np.nan
        if np.isnan(u) and squares:
            u = number_of(squares[k])[0] / (8 * np.pi**2)
        label = labels[k] if labels else symbols[k]
        sites.append(Site(element, place, share, label, sd, u))
    doubts = [f"its atoms {', '.join(left_out[:6])} have no place or no element"] * bool(left_out)
    return tuple(sites), doubts


def _element(symbol: str, elements: Sequence[str] = ()) -> str:
    """Element of a symbol or label such as ``V5+``, ``FE1`` or ``O2``; "" when it is none.

    One of those of the formula before any other: ``OS1`` is an oxygen where there is no osmium.
    """
    import gemmi

    letters = re.split(r"[^A-Za-z]", symbol.strip(), maxsplit=1)[0]
    if letters.lower().startswith("wat"):  # the oxygen of water, in databases of minerals
        return "O"
    if letters.lower().startswith("vac"):
        return ""
    names = [letters[:n].capitalize() for n in (2, 1) if len(letters) >= n]
    names = [name for name in names if gemmi.Element(name).atomic_number]
    return next((name for name in names if name in elements), next(iter(names), ""))


def _source(table: Mapping[str, list[str]]) -> str:
    """Authors, journal, year and doi."""
    authors = next((table[name] for name in _AUTHORS if table.get(name)), [])
    said = [authors[0] + (" et al." if len(authors) > 1 else "")] if authors else []
    said += [text for name in _WORK if (text := _first(table, name))]
    kept = (" ".join(text.split()) for text in said)
    return ", ".join(text for text in dict.fromkeys(kept) if text not in ("", "?", "."))
