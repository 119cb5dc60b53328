"""Which standards a spectrum is made of: all combinations of them, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.decompose.combinations.prepare import Prepared, prepare
from chemoscape.decompose.combinations.result import LinearCombinationFit, told
from chemoscape.decompose.design import Baseline
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import FitError
from chemoscape.standards.library import Library

#: A runner-up within this distance in BIC explains the spectrum as well as the best fit.
CLOSE_IN_BIC = 6.0
#: A difference in composition that makes a runner-up worth a question.
NOTABLE = 0.01
MOST_COMBINATIONS = 20_000
#: So many of the best are kept: those behind have no weight in any average.
MOST_KEPT = 100
MOST_PRINTED = 10


@dataclass(frozen=True, eq=False)
class RankedFits:
    """Result of `rank_combinations`, best BIC first; prints itself as a table.

    ``n_combinations`` of the ``candidates`` (names of standards) were tried; those that leave a
    member at zero repeat a smaller one and are not among the ``fits``, of which the best 100 are
    kept.
    """

    fits: tuple[LinearCombinationFit, ...]
    n_combinations: int
    candidates: tuple[str, ...]

    @property
    def best(self) -> LinearCombinationFit:
        """The fit of lowest BIC."""
        return self.fits[0]

    @property
    def delta_bic(self) -> np.ndarray:
        """BIC of each fit less that of the best."""
        return np.array([fit.bic for fit in self.fits]) - self.best.bic

    @property
    def runners_up(self) -> tuple[LinearCombinationFit, ...]:
        """Fits within 6 in BIC of the best: the data hardly tell them apart from it."""
        return self.fits[1 : int((self.delta_bic < CLOSE_IN_BIC).sum())]

    @property
    def ambiguous(self) -> bool:
        """Whether a runner-up has another composition, by 0.01 or more, or an unknown one."""
        return any(
            not abs(fit.composition - self.best.composition) <= NOTABLE for fit in self.runners_up
        )

    @property
    def composition(self) -> float:
        """Composition of the best fit."""
        return self.best.composition

    @property
    def composition_sd(self) -> float:
        """Uncertainty of the best fit's composition, the choice of standards included.

        Every fit counts by its weight ``exp(-ΔBIC/2)`` (Burnham and Anderson 2002), with its own sd
        and its distance from the best.
        """
        spread = [f.composition_sd**2 + (f.composition - self.composition) ** 2 for f in self.fits]
        return float(np.sqrt(np.average(spread, weights=self.probabilities)))

    @property
    def probabilities(self) -> np.ndarray:
        """Weight of each fit, ``exp(-ΔBIC/2)`` over their sum."""
        weight = np.exp(-self.delta_bic / 2)
        return weight / weight.sum()

    def __str__(self) -> str:
        best = self.best
        misfit = "red. chi2" if best.sd is not None else "mean sq."  # without errors, no chi2
        sd = f"± {best.energy_shift_sd_eV:.3f} eV" if best.energy_shift_sd_eV else "eV, held"
        lines = [
            f"{self.n_combinations} combination{'s' if self.n_combinations != 1 else ''} of "
            f"standards, {best.n_points} points, of which "
            f"n_eff = {best.n_effective:.1f} count in BIC",
            f"energy shift {best.energy_shift_eV:+.3f} {sd}, the same for all",
            "",
            f"{'rank':>4}  {best.variable:>18}  {'sum':>9}  {'R':>9}  {misfit:>9}  {'ΔBIC':>6}  "
            "standards",
        ]
        shown = max(min(len(self.fits), MOST_PRINTED), 1 + len(self.runners_up))
        for rank, (fit, delta) in enumerate(zip(self.fits, self.delta_bic, strict=True), 1):
            if rank > min(shown, 2 * MOST_PRINTED):
                break
            parts = " + ".join(
                f"{100 * share:.1f} % {name}"
                for share, name in zip(fit.shares, fit.standards, strict=True)
            )
            x = told(fit.composition, fit.composition_sd)
            lines.append(
                f"{rank:>4}  {x:>18}  {fit.weights.sum():>9.3g}  {fit.r_factor:>9.2e}  "
                f"{fit.reduced_chi2:>9.3g}  "
                f"{delta:>6.1f}  {parts}"
            )
        lines += [
            "",
            f"{best.variable} = {told(self.composition, self.composition_sd)}, the choice of "
            "standards included",
        ]
        close = len(self.runners_up)
        if close:
            words = f"{close} runner{'s' if close > 1 else ''}-up within {CLOSE_IN_BIC:g} in BIC"
            lines.append(f"{words}{': ambiguous' if self.ambiguous else ', of like composition'}")
        return "\n".join(lines)


def rank_combinations(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike],
    library: Library,
    *,
    max_standards: int = 4,
    sd: ArrayLike | float | None = None,
    nonnegative: bool = True,
    sum_to_one: bool = False,
    baseline: Baseline | None = "constant",
    energy_shift: float | Literal["fit"] | EnergyShift = "fit",
    fit_range: tuple[float, float] | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    resolution_eV: float | None = None,
) -> RankedFits:
    """Fit a spectrum by every combination of 1 to `max_standards` standards, ranked by BIC.

    ``BIC = n_eff ln(chi2/n) + k ln n_eff``. The energy shift is fitted once, with all the
    standards, and held: a wrong combination would buy a better fit with a wrong shift.
    Combinations that leave a member at zero are dropped, for they repeat a smaller one.

    Parameters
    ----------
    spectrum, library, sd, nonnegative, sum_to_one, baseline, fit_range, exclude, resolution_eV
        See `linear_combination_fit`. Without `resolution_eV` every point counts, and of an
        oversampled spectrum with structured residuals ΔBIC is too sure of itself.
    energy_shift : float, "fit" or EnergyShift
        E(spectrum) - E(library) in eV.
    max_standards : int
        Largest number of standards in one combination.

    Returns
    -------
    RankedFits

    Raises
    ------
    FitError
        More than 20,000 combinations, too few energies, or no combination with positive weights.

    Examples
    --------
    >>> from chemoscape.standards.folder import open_library
    >>> library = open_library("lixv2o5-model")
    >>> mixed = library.select("alpha-V2O5", "delta-Li0.9V2O5")
    >>> spectrum = (mixed.spectra(np.arange(510.0, 550.0, 0.2)) * 2e-5).sum("standard")
    >>> ranked = rank_combinations(spectrum, library, max_standards=2)
    >>> ranked.n_combinations, ranked.best.standards
    (21, ('alpha-V2O5', 'delta-Li0.9V2O5'))
    """
    require_countable(library, max_standards)
    ready = prepare(
        spectrum,
        library,
        sd=sd,
        nonnegative=nonnegative,
        sum_to_one=sum_to_one,
        baseline=baseline,
        energy_shift=energy_shift,
        fit_range=fit_range,
        exclude=exclude,
        resolution_eV=resolution_eV,
        n_standards=1,
    )
    return rank(ready, max_standards)


def rank(ready: Prepared, max_standards: int, most: int = MOST_KEPT) -> RankedFits:
    """Rank the combinations for a spectrum made ready, see `rank_combinations`.

    A first pass finds every sum of squares; only the best, `most` of them, are worked out in full.
    """
    n = len(ready.library.names)
    found: list[tuple[float, tuple[int, ...]]] = []
    tried = 0
    for size in range(1, min(max_standards, n) + 1):
        if ready.data.size <= ready.n_varied(size):
            break
        for chosen in combinations(range(n), size):
            tried += 1
            weights, squares = ready.problem.squares(chosen)
            if not ready.problem.nonnegative or (weights > 0).all():
                found.append((ready.bic(squares, size), chosen))
    fits: list[LinearCombinationFit] = []
    for _, chosen in sorted(found):
        if len(fits) == most:
            break
        try:
            fits.append(ready.fit(chosen))
        except FitError:  # its members cannot be told apart: no combination of its own
            continue
    if not fits:
        raise FitError(
            "no combination of the standards fits the spectrum with positive weights",
            remedy="check the sign and the edge of the standards",
        )
    return RankedFits(tuple(fits), tried, tuple(ready.library.names))


def require_countable(library: Library, max_standards: int) -> None:
    """Refuse what would take longer than anyone waits, and no standards at all."""
    n = len(library.names)
    if max_standards < 1:
        raise FitError(f"max_standards is {max_standards}", remedy="allow one or more")
    total = sum(comb(n, size) for size in range(1, min(max_standards, n) + 1))
    if total > MOST_COMBINATIONS:
        raise FitError(
            f"{n} standards have {total} combinations of up to {max_standards}, more than "
            f"{MOST_COMBINATIONS} that are tried",
            remedy="select fewer standards or lower max_standards",
        )
