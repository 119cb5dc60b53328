"""Does the composition of particles go with their size? Statistics of an ensemble (Figure 6).

A few dozen particles leave much open: every number comes with its interval, differences that are
none are called so, and below `LEAST` particles nothing is computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.particles.findings import (
    AngleDependence,
    Correlation,
    EnsembleStatistics,
    ModeDifference,
    PhaseSizes,
    Regression,
)
from chemoscape.particles.resampling import (
    angle_regression,
    direction_spread,
    modes,
    percentile,
    rank_correlation,
    regression,
)
from chemoscape.particles.selection import Filters, Selection, select

#: Fewer particles have no statistics.
LEAST = 8
#: Below it 95 % intervals of slopes hold the truth in 86 to 90 of 100 ensembles.
FEW = 15
#: Share of the variance of the compositions that may be their own errors.
MOST_ERROR = 0.5
#: Variance of the doubled angles below which wires lie in one direction: a spread of 4 degrees.
LEAST_TURNED = 0.02


def ensemble_statistics(
    table: xr.Dataset | Mapping[str, xr.Dataset],
    by: str = "composition_mean",
    size: str = "area_raw",
    *,
    compositions: Mapping[str, float] | None = None,
    filters: Filters | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> EnsembleStatistics:
    """Size distributions of the phases, and how size goes with composition.

    Parameters
    ----------
    table : Dataset, or mapping of phase to Dataset
        One table (joint; of `phases.with_composition`), or one per map of a phase, as in the
        paper: a mixed particle then counts in each.
    by : str
        Composition; its error is ``<by without _mean>_se_counting`` where the table has it.
    size : str
        "area_raw", "area_psf" or another size, greater than zero.
    compositions : mapping of phase to float, optional
        Compositions of the phases, for tables per phase that have none of their own.
    filters : Filters, optional
        What to leave out; the defaults when None.
    n_boot : int
        Draws of every bootstrap and every permutation test.
    seed : int

    Returns
    -------
    EnsembleStatistics
        Modes are those of the density of ln size (that of size itself peaks lower), with bootstrap
        intervals; intervals hold for each number, not for all of them together.

    Raises
    ------
    StackError
        A table lacks a variable, or tables are of different maps.
    FitError
        Too few draws.
    """
    if n_boot < 100:
        raise FitError(f"n_boot is {n_boot}", remedy="give 100 or more, 2000 for a result")
    chosen = select(table, by, size, compositions, filters or Filters())
    rng = np.random.default_rng(seed)
    used = chosen.particles
    notes = list(chosen.notes)
    phases, differences = _phases(chosen, rng, n_boot, notes)
    found = _against_composition(used, rng, n_boot, notes)
    angles = _against_angle(used, rng, n_boot, notes)
    return EnsembleStatistics(
        chosen.route,
        size,
        by,
        chosen.n_found,
        used.sizes["particle"],
        chosen.left_out,
        chosen.n_mixed,
        phases,
        differences,
        *found,
        *angles,
        tuple(notes),
        n_boot,
        seed,
        used,
    )


def _phases(
    chosen: Selection, rng: np.random.Generator, n_boot: int, notes: list[str]
) -> tuple[tuple[PhaseSizes, ...], tuple[ModeDifference, ...]]:
    """Modes of each phase and their differences."""
    used = chosen.particles
    own = used["phase"].values
    sizes, drawn = [], {}
    for phase in chosen.phases:
        of = used["size"].values[own == phase]
        mean = used["composition"].values[own == phase]
        mode = None
        if len(of) >= LEAST:
            at, drawn[phase] = modes(np.log(of), rng, n_boot)
            mode = percentile(np.exp(at), np.exp(drawn[phase]))
        else:
            notes.append(f"{phase}: {len(of)} particles, fewer than {LEAST}, have no mode")
        some = len(of) > 0
        median, middle = (float(np.median(of)), float(mean.mean())) if some else (np.nan, np.nan)
        sizes.append(PhaseSizes(phase, len(of), middle, median, mode))
    modes_of = {one.phase: one.mode.value for one in sizes if one.mode}
    differences = tuple(
        ModeDifference(
            first,
            second,
            percentile(
                modes_of[first] - modes_of[second], np.exp(drawn[first]) - np.exp(drawn[second])
            ),
        )
        for first, second in combinations(modes_of, 2)
    )
    return tuple(sizes), differences


def _against_composition(
    used: xr.Dataset, rng: np.random.Generator, n_boot: int, notes: list[str]
) -> tuple[Correlation | None, Regression | None]:
    """Correlation and regression of size and composition."""
    x, size, error = (used[name].values for name in ("composition", "size", "composition_se"))
    if len(x) < LEAST:
        notes.append(
            f"{len(x)} particles, fewer than {LEAST}: size is not compared with composition"
        )
        return None, None
    if not np.ptp(x) > 1e-9 * abs(x).max() or not np.ptp(size) > 0:
        notes.append("composition or size is the same in all particles: they are not compared")
        return None, None
    if len(x) < FEW:
        notes.append(f"{len(x)} particles are few: the intervals are a little too narrow")
    correlation = Correlation(*rank_correlation(x, size, rng, n_boot))
    known = bool(np.isfinite(error).all())
    error = error if known else np.zeros_like(x)
    reliability = float(1 - np.mean(error**2) / np.var(x))
    if reliability < MOST_ERROR:
        notes.append(
            "the errors of the compositions are as large as their differences: no slope is given"
        )
        return correlation, None
    notes.append(
        "the slope is corrected for the counting errors of the compositions, a share of "
        f"{1 - reliability:.1%} of their variance; systematic errors are common to all particles"
        if known
        else "errors of the compositions are not known: the slope is not corrected for them"
    )
    found = regression(x, np.log(size), error, rng, n_boot)
    return correlation, Regression(found, reliability, known)


def _against_angle(
    used: xr.Dataset, rng: np.random.Generator, n_boot: int, notes: list[str]
) -> tuple[AngleDependence | None, AngleDependence | None]:
    """Whether composition follows the direction of the wires, as linear dichroism makes it.

    Over all particles, and within phases, whose differences otherwise hide it.
    """
    x, angle = used["composition"].values, used["orientation"].values
    if len(x) < LEAST or not np.ptp(x) > 0 or used.attrs["composition_of_phase"]:
        notes.append("composition is not compared with the direction of the wires")
        return None, None
    if direction_spread(angle) < LEAST_TURNED:
        notes.append("all wires lie in one direction: whether composition follows it is not known")
        return None, None
    over_all = AngleDependence(*angle_regression(angle, x, rng, n_boot))
    _, phase = np.unique(used["phase"].values.astype(str), return_inverse=True)
    number = np.bincount(phase)
    within = None
    rest = x - (np.bincount(phase, x) / number)[phase]
    if len(number) > 1 and len(x) - len(number) >= LEAST and np.ptp(rest) > 1e-9 * abs(x).max():
        within = AngleDependence(*angle_regression(angle, rest, rng, n_boot))
    for where, one in (("", over_all), (" within phases", within)):
        if one is not None and one.suspicious:
            text = (
                f"composition changes by ±{one.amplitude.value:.3f} with the direction of the "
                f"wires{where} (p = {one.p:.2g}): this may be orientation (linear dichroism), not "
                "lithium"
            )
            notes.append(text)
            warnings.warn(text, ChemoscapeWarning, stacklevel=3)
    return over_all, within
