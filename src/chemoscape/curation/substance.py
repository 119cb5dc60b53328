"""Checks of a substance: its composition, formula, molar mass, structure and table agree."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import Parts, noise_sd
from chemoscape.curation.variables import template_of
from chemoscape.errors import ChemoscapeError
from chemoscape.standards.mass_scale import agreement
from chemoscape.standards.mixing import counts_of, molar_mass
from chemoscape.standards.scale_windows import windows_of
from chemoscape.standards.standard import Standard
from chemoscape.standards.structure import (
    DENSITY_TOLERANCE,
    FRACTION_TOLERANCE,
    Structure,
    formula_difference,
    read_structure,
)

#: Composition and formula may differ by this much: formulas are written to two decimals.
VALUE_TOLERANCE = 0.02
MOLAR_MASS_TOLERANCE = 0.01
#: The tabulated absorption may differ by this share.
SHARE = 0.05


def value_by_formula(formula: str, template: Mapping[str, tuple[float, float]]) -> float:
    """Value of the composition variable by a formula.

    All amounts ``k (a_i + b_i v)``, with k free: least squares over the elements.

    Returns
    -------
    float
        NaN when the template holds a formula of other elements or proportions, at any value.
    """
    amounts = counts_of(formula)
    if set(amounts) - set(template):
        return float("nan")
    symbols = list(template)
    a, b = (np.array([template[symbol][k] for symbol in symbols]) for k in (0, 1))
    n = np.array([amounts.get(symbol, 0.0) for symbol in symbols])
    n /= n.max()
    # n = k a + (k v) b
    (k, kv), *_ = np.linalg.lstsq(np.stack([a, b], axis=1), n, rcond=None)
    if k <= 0 or np.abs(n - k * a - kv * b).max() > VALUE_TOLERANCE:
        return float("nan")
    return float(kv / k)


def check_value(standard: Standard, variable: str) -> Finding:
    """The value of the composition variable is the one that the formula gives."""
    allowed = max(VALUE_TOLERANCE, 2 * standard.value_sd)
    finding = partial(Finding, standard.id, "x and formula", threshold=f"<= {allowed:g}")
    template = template_of(variable)
    if template is None:
        why = f"the variable {variable!r} names no formula with one letter for a number"
        return finding("not known", detail=why)
    if not standard.formula or not np.isfinite(standard.value):
        what = "value" if standard.formula else "formula"
        return finding("not known", detail=f"its {what} is not known")
    told = value_by_formula(standard.formula, template)
    held, fixed = set(counts_of(standard.formula)), {s for s, (a, _) in template.items() if a}
    if held - set(template) and held >= fixed:
        return finding(
            "warn",
            remedy="look at the formula",
            detail=f"{standard.formula} holds more than {variable!r} speaks of: "
            "its value is not checked",
        )
    if np.isnan(told):
        return finding(
            "fail",
            remedy="correct the formula, or the library's variable",
            detail=f"{standard.formula} is no {variable}",
        )
    off = abs(told - standard.value)
    bad = off > allowed + 1e-9
    return finding(
        "fail" if bad else "pass",
        number=off,
        remedy="correct the value, or the formula" if bad else "",
        detail=f"{standard.formula} gives {told:.3g}, its value is {standard.value:.3g}",
    )


def check_molar_mass(standard: Standard) -> Finding | None:
    """The molar mass is that of the formula (or a whole multiple); None when either is unknown."""
    derived = molar_mass(standard.formula)
    if not np.isfinite(derived) or not np.isfinite(standard.molar_mass):
        return None
    off = abs(standard.molar_mass / derived - 1)
    bad = off > MOLAR_MASS_TOLERANCE
    return Finding(
        standard.id,
        "molar mass",
        "fail" if bad else "pass",
        number=100 * off,
        unit="%",
        threshold=f"<= {100 * MOLAR_MASS_TOLERANCE:g} %",
        remedy="leave molar_mass out: the formula gives it" if bad else "",
        detail=f"{standard.molar_mass:.2f} g/mol, {standard.formula} has {derived:.2f}",
    )


def check_table(standard: Standard, parts: Parts) -> Finding | None:
    """On the mass scale the spectrum follows the tables outside its edges; None on another.

    Noise may move it by three standard deviations of a single value beyond that.
    """
    if standard.scale != "mass_absorption":
        return None
    wanted = f"<= {100 * SHARE:g} %"
    finding = partial(Finding, standard.id, "mass scale", unit="%", threshold=wanted)
    try:
        ratios = np.array(agreement(standard, windows_of(standard.record.scaling.windows)))
    except ChemoscapeError as error:
        return finding("not known", remedy=error.remedy, detail=error.what)
    off = ratios - 1
    if not np.isfinite(off).any():
        return finding("not known", detail="no window outside its edges")
    worst = float(np.nanmax(np.abs(off)))
    sd = np.nan_to_num(noise_sd(standard, parts))
    levels = [np.abs(standard.spectrum[p]) for p in (parts.pre, parts.post)]
    by_noise = np.array([3 * sd / np.median(one) if one.any() else 0.0 for one in levels])
    bad = bool((np.abs(off) > SHARE + by_noise).any())
    before, after = ratios
    return finding(
        "fail" if bad else "pass",
        number=100 * worst,
        remedy="correct its formula, or put it on the mass scale again" if bad else "",
        detail=f"over the table of {standard.formula}: {before:.3f} before, {after:.3f} after its "
        "edges" + (", within its noise" if worst > SHARE and not bad else ""),
    )


def check_structure(standard: Standard, folder: Path | None) -> Finding | None:
    """Formula and density agree with the crystal structure; None when none is attached.

    A structure of another origin gives a wrong density while every other tool keeps silent.
    Formulas are compared as `standards.structure.differ` does.
    """
    wanted = f"formula <= {100 * FRACTION_TOLERANCE:g} %, density <= {100 * DENSITY_TOLERANCE:g} %"
    finding = partial(Finding, standard.id, "structure", unit="%", threshold=wanted)
    cif = standard.record.evidence.cif
    if not cif:
        return None
    if folder is None:
        return finding(
            "not known",
            remedy="save the library as a folder",
            detail=f"{cif} cannot be found: the library lies in no folder",
        )
    try:
        structure = read_structure(folder / cif)
        off = _deviations(standard, structure)
    except ChemoscapeError as error:
        return finding("fail", remedy=error.remedy, detail=f"{cif}: {error.what}")
    if not off:
        return finding(
            "not known",
            remedy="give its formula and density, or a complete CIF",
            detail=f"nothing to compare {cif} with",
        )
    # What is furthest beyond its own tolerance.
    worst = max(off, key=lambda key: off[key][0] / off[key][1])
    number, tolerance = off[worst]
    verdict: Verdict = "warn" if structure.problems else "pass"
    remedy = "look at the CIF" if structure.problems else ""
    if number > tolerance:
        verdict, remedy = "fail", f"correct its {worst}, or attach the structure of this phase"
    held = structure.formula or structure.formula_from_sites
    told = (f"{cif}: {held}, {structure.density:.3f} g/cm3", *structure.problems)
    return finding(
        verdict,
        number=100 * number,
        threshold=f"{worst} <= {100 * tolerance:g} %",
        remedy=remedy,
        detail="; ".join(told),
    )


def _deviations(standard: Standard, structure: Structure) -> dict[str, tuple[float, float]]:
    """Deviations of a structure from what a standard says of itself, and how large they may be:
    mass fractions in absolute terms, densities relative.
    """
    off: dict[str, tuple[float, float]] = {}
    formulas = [one for one in (structure.formula, structure.formula_from_sites) if one]
    if standard.formula and formulas:
        apart = max(formula_difference(standard.formula, held) for held in formulas)
        off["formula"] = apart, FRACTION_TOLERANCE
    densities = np.array([structure.density, structure.density_from_sites])
    densities = densities[np.isfinite(densities)]
    if np.isfinite(standard.density) and densities.size:
        apart = float(np.abs(densities / standard.density - 1).max())
        off["density"] = apart, DENSITY_TOLERANCE
    return off
