r"""Which energies, and how much of the dose at each: the least error of composition.

For images at energies E_j with N_j incident photons in a pixel, the error of the composition x of a
sample is ``V = gᵀ F⁻¹ g`` with g = dx/dt and F of `chemoscape.few_energies.model`, where the
counting variance of an optical density is ``e^OD / (η N_j)``. Wanted is the least mean of V over
the samples expected, at a given absorbed dose

.. math:: \sum_j N_j\, c_j = \mathrm{dose}, \qquad c_j = E_j (1 - e^{-\mathrm{OD}_j}) / (σ A)

**The dose over given energies.** V is also the least of ``Σ_j a_j² v_j/N_j + …`` over all unbiased
weights a of the optical densities; that function is convex in a and N together. Least squares give
the best a for given N; for given a the best N is ``N_j ∝ sqrt(mean(a_j² v_j) / c_j)`` (Lagrange).
Both lower the same convex function, so alternating them ends at its least value. The first
derivative bounds how far that still is (the equivalence theorem of optimum design: Atkinson, Donev
and Tobias, Optimum Experimental Designs, 2007, chapter 9). Over all candidates at once this is the
design that no choice of energies can beat.

**The energies.** Exchange (Fedorov 1972): each energy in turn is replaced by the best of all others
until none improves, from several starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import FitError, LibraryError
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import (
    ErrorParts,
    Nuisance,
    coefficients,
    error_parts,
    information_terms,
)

Shares = Literal["equal", "best"] | ArrayLike
#: No image gets fewer photons than this share of what an even distribution gives it.
LEAST_SHARE = 0.1
#: Candidate energies of a library lie so far apart, eV.
GRID_EV = 0.1
#: Candidates of the first search lie so many times further apart.
COARSE = 4
#: Starts of the exchange drawn at random, beside the greedy one and that of the best design.
RANDOM_STARTS = 6
#: Rounds of sharing out the dose while energies are compared, and at most afterwards.
FEW_ROUNDS, MOST_ROUNDS = 6, 3000
#: The dose is shared out well enough when nothing could lower the variance by more than this share.
GAP = 1e-3
#: Added to a scaled information matrix: what cannot be told gets an error without bounds.
_RIDGE = 1e-13


@dataclass(frozen=True, eq=False)
class Plan:
    """Images to take, and the error of composition that they are predicted to give.

    Parameters
    ----------
    expected : Expected
    energies : ndarray, shape (n,)
        eV, on the library's axis.
    photons : ndarray, shape (n,)
        Incident on a pixel in each image.
    sensitivity : ndarray, shape (n_samples, n)
        a: change of composition with each optical density.
    parts : ErrorParts
        Standard deviations of composition by source, each (n_samples,).
    nuisance : Nuisance
    pixel_um, efficiency : float
        Side of a pixel; counts per photon that arrives at the detector.
    bound : float
        Root mean square error that no set of the candidates can beat at this dose; NaN: not
        computed.
    compared : mapping of name to Plan
        Other measurements at the same absorbed dose.
    """

    expected: Expected
    energies: np.ndarray
    photons: np.ndarray
    sensitivity: np.ndarray
    parts: ErrorParts
    nuisance: Nuisance
    pixel_um: float
    efficiency: float
    bound: float = np.nan
    compared: Mapping[str, Plan] = field(default_factory=dict)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation of a pixel's composition, (n_samples,)."""
        return self.parts.total

    @property
    def rms(self) -> float:
        """Root mean square of `sd` over the samples."""
        return float(np.sqrt(self.expected.share @ self.sd**2))

    @property
    def by_source(self) -> dict[str, float]:
        """Root mean square over the samples of each source of error."""
        return {
            name: float(np.sqrt(self.expected.share @ value**2))
            for name, value in vars(self.parts).items()
        }

    @property
    def absorbed_eV(self) -> float:
        """Energy absorbed in a pixel, mean over the samples."""
        return float(self.photons @ self.expected.absorbed(self.energies))

    @property
    def dose_each(self) -> np.ndarray:
        """Absorbed dose of each image, MGy; NaN where the sample's mass is not known."""
        each = self.photons * self.expected.absorbed(self.energies)
        return np.asarray(each * self.expected.dose_per_eV(self.pixel_um))

    @property
    def dose_shares(self) -> np.ndarray:
        """Share of each image in the dose, (n,)."""
        each = self.photons * self.expected.absorbed(self.energies)
        return np.asarray(each / each.sum())

    @property
    def dose_MGy(self) -> float:
        """Absorbed energy over mass, mean over the samples and through their thickness."""
        return float(self.dose_each.sum())

    @property
    def skin_MGy(self) -> float:
        """Dose where the beam enters, which nothing shades."""
        energy = float(self.photons @ self.expected.skin(self.energies))
        return energy * self.expected.dose_per_eV(self.pixel_um)

    @property
    def highest_od(self) -> np.ndarray:
        """Highest optical density of the samples at each energy, (n,)."""
        return np.asarray(self.expected.optical_density(self.energies).max(axis=0))

    def dwell_ms(self, flux: float) -> np.ndarray:
        """Milliseconds for each image in a pixel on which `flux` photons fall per second, (n,)."""
        if not (np.isfinite(flux) and flux > 0):
            raise FitError(f"a flux of {flux:g} is impossible", remedy="give photons per second")
        return np.asarray(1e3 * self.photons / flux)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, for JSON."""
        return {
            "energies_eV": self.energies.tolist(),
            "photons": self.photons.tolist(),
            "dose_each_MGy": self.dose_each.tolist(),
            "dose_MGy": self.dose_MGy,
            "skin_dose_MGy": self.skin_MGy,
            "highest_od": self.highest_od.tolist(),
            "composition": self.expected.composition.tolist(),
            "composition_sd": self.sd.tolist(),
            "composition_sd_rms": self.rms,
            "composition_sd_by_source": self.by_source,
            "composition_sd_bound": self.bound,
            "nuisance": vars(self.nuisance),
            "pixel_um": self.pixel_um,
            "efficiency": self.efficiency,
            "compared": {name: one.to_dict() for name, one in self.compared.items()},
        }

    def __str__(self) -> str:
        known = np.isfinite(self.dose_MGy)
        rows = ["energy (eV)   photons   dose (MGy)   highest OD"]
        for energy, photons, dose, od in zip(
            self.energies, self.photons, self.dose_each, self.highest_od, strict=True
        ):
            told = f"{dose:13.2f}" if known else f"{'-':>13}"
            rows.append(f"{energy:11.2f}{photons:10.0f}{told}{od:13.2f}")
        rows.append(
            f"{'together':>11}{self.photons.sum():10.0f}"
            + (f"{self.dose_MGy:13.2f}   (skin {self.skin_MGy:.2f} MGy)" if known else "")
        )
        by_source = ", ".join(f"{name} {value:.4f}" for name, value in self.by_source.items())
        rows.append(f"sd of composition {self.rms:.4f} per pixel: {by_source}")
        if np.isfinite(self.bound):
            rows.append(f"no number of images at this dose gives less than {self.bound:.4f}")
        for name, one in self.compared.items():
            rows.append(f"same dose, {name}: {one.rms:.4f} ({one.rms / self.rms:.1f} times)")
        return "\n".join(rows)


def predict(
    expected: Expected,
    energies: ArrayLike,
    *,
    dose_MGy: float | None = None,
    photons: float | None = None,
    absorbed_eV: float | None = None,
    shares: Shares = "equal",
    nuisance: Nuisance | None = None,
    pixel_um: float = 0.01,
    efficiency: float = 1.0,
) -> Plan:
    """What images at given energies will tell of the composition.

    Parameters
    ----------
    expected : Expected
        The samples.
    energies : array_like, shape (n,)
        eV.
    dose_MGy, photons, absorbed_eV : float
        One of them, of all images together: absorbed dose, photons incident on a pixel, or energy
        absorbed in a pixel (a dose without a mass).
    shares : "equal", "best" or array_like, shape (n,)
        Photons of the images: alike, as they give the least error, or in proportion to numbers.
    nuisance : Nuisance, optional
        What is uncertain besides the counts.
    pixel_um, efficiency : float
        Side of a pixel, µm; counts per photon that arrives at the detector.

    Raises
    ------
    FitError
        The energies cannot tell the standards apart, or a number is impossible.
    LibraryError
        The library does not cover the energies, or gives no mass for a dose.
    """
    nuisance = nuisance or Nuisance()
    axis = np.asarray(energies, dtype=np.float64).ravel()
    require_enough(axis, expected, nuisance)
    budget = _budget(expected, dose_MGy, photons, absorbed_eV, pixel_um, efficiency)
    at = Candidates.of(expected, axis, nuisance, efficiency, by_photons=photons is not None)
    if isinstance(shares, str):
        if shares not in ("equal", "best"):
            raise FitError(f"shares is {shares!r}", remedy="give 'equal', 'best' or numbers")
        everything = np.arange(axis.size)[None]
        each = at.even(everything, budget)
        if shares == "best":
            each = at.share_out(everything, budget, rounds=MOST_ROUNDS)
        each = each[0]
    else:
        relative = np.asarray(shares, dtype=np.float64)
        if relative.shape != axis.shape or not (relative > 0).all() or np.isinf(relative).any():
            raise FitError(
                "the shares of the images are impossible", remedy="give a positive one for each"
            )
        each = relative * budget / float(relative @ at.cost)
    return _plan(expected, axis, each, nuisance, pixel_um, efficiency)


def choose_energies(
    expected: Expected,
    n: int,
    *,
    dose_MGy: float | None = None,
    photons: float | None = None,
    absorbed_eV: float | None = None,
    shares: Literal["equal", "best"] = "best",
    nuisance: Nuisance | None = None,
    pixel_um: float = 0.01,
    efficiency: float = 1.0,
    candidates: ArrayLike | None = None,
    within: tuple[float, float] | None = None,
    always: Sequence[float] = (),
    spacing_eV: float = 0.2,
    highest_od: float = np.inf,
    compare_with: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
) -> Plan:
    """The `n` energies that give the least mean variance of composition at a given dose.

    Parameters
    ----------
    expected, dose_MGy, photons, absorbed_eV, nuisance, pixel_um, efficiency
        As of `predict`.
    n : int
        Number of images, those of `always` included.
    shares : "equal" or "best"
        Photons of the images: alike, or as they give the least error.
    candidates : array_like, optional
        Energies (eV) to choose from; default: every 0.1 eV `within`, or of the library's window.
    within : pair of float, optional
        Lowest and highest energy, eV.
    always : sequence of float
        Energies (eV) that are taken in any case, such as one before the edge.
    spacing_eV : float
        Least distance of two energies: closer ones would share the error of the monochromator,
        which is taken as independent from image to image.
    highest_od : float
        Energies at which a sample absorbs more are left out, `always` excepted.
    compare_with : mapping of name to array_like, optional
        Other measurements, with photons alike, at the same absorbed dose. Default: the two features
        of the spectrum that do best together with the last energy, and the whole scan.
    seed : int
        Of the random starts.

    Returns
    -------
    Plan

    Raises
    ------
    FitError, LibraryError
        As of `predict`; or there are not enough candidates.
    """
    nuisance = nuisance or Nuisance()
    budget = _budget(expected, dose_MGy, photons, absorbed_eV, pixel_um, efficiency)
    grid = _grid(expected, candidates, within, always, highest_od)
    at = Candidates.of(expected, grid, nuisance, efficiency, by_photons=photons is not None)
    fixed = [int(np.argmin(np.abs(grid - one))) for one in always]
    if len(set(fixed)) != len(fixed) or len(fixed) > n:
        raise FitError(
            f"{len(fixed)} energies are always taken where {n} different ones are wanted",
            remedy="name each once, or ask for more energies",
        )
    most = 1 + int((np.ptp(grid) + 1e-9) // spacing_eV) if spacing_eV > 0 else grid.size
    if n > min(grid.size, most):
        raise FitError(
            f"{n} energies, {spacing_eV:g} eV apart, cannot be chosen among {grid.size} from "
            f"{grid[0]:.1f} to {grid[-1]:.1f} eV",
            remedy="widen the range, or ask for fewer",
        )
    design, bound = at.best_design(budget)
    search = _Search(at, grid, n, fixed, budget, shares, spacing_eV - 1e-6)
    chosen = search.run(design, np.random.default_rng(seed))
    require_enough(grid[chosen], expected, nuisance)
    each = search.photons(chosen[None], rounds=MOST_ROUNDS)[0]
    best = _plan(expected, grid[chosen], each, nuisance, pixel_um, efficiency)
    others = (
        _compared(best, highest_od) if compare_with is None else _at_same_dose(best, compare_with)
    )
    return replace(best, bound=bound, compared=others)


def _compared(plan: Plan, highest_od: float) -> dict[str, Plan]:
    """As many features as standards that do best with the last energy, and the whole scan."""
    expected = plan.expected
    last = expected.window[1]
    features = expected.features()
    thin = expected.optical_density(features).max(axis=0) <= highest_od
    sets = [(*some, last) for some in combinations(features[thin], len(expected.library.names))]
    tried = []
    for one in sets:
        with suppress(FitError):  # these do not tell the standards apart
            tried.append(_at_same_dose(plan, {"features": np.array(one)})["features"])
    found = {}
    if tried:
        least = min(tried, key=lambda one: one.rms)
        *some, _ = (f"{one:.1f}" for one in least.energies)
        found[f"features at {', '.join(some)} with {last:.1f} eV"] = least
    scan = expected.scan()
    found[f"a scan of {scan.size} energies"] = _at_same_dose(plan, {"scan": scan})["scan"]
    return found


def _at_same_dose(plan: Plan, sets: Mapping[str, ArrayLike]) -> dict[str, Plan]:
    """Other energies, with photons alike, that absorb the same energy."""
    found = {}
    for name, energies in sets.items():
        axis = np.asarray(energies, dtype=np.float64)
        alike = plan.absorbed_eV / float(plan.expected.absorbed(axis).sum())
        each = np.full(axis.size, alike)
        found[name] = _plan(
            plan.expected, axis, each, plan.nuisance, plan.pixel_um, plan.efficiency
        )
    return found


def _plan(
    expected: Expected,
    energies: np.ndarray,
    photons: np.ndarray,
    nuisance: Nuisance,
    pixel_um: float,
    efficiency: float,
) -> Plan:
    """The prediction for given photons, by the model that also makes the maps."""
    order = np.argsort(energies)
    energies, photons = energies[order], photons[order]
    mu = expected.library.spectra(energies).values.T
    slope = expected.slope(energies)
    variance = np.exp(expected.optical_density(energies)) / (efficiency * photons)
    matrix = coefficients(mu, slope, variance, nuisance)
    sensitivity = np.einsum("sk,skj->sj", expected.gradient, matrix)
    parts = error_parts(sensitivity, slope, variance, nuisance)
    return Plan(expected, energies, photons, sensitivity, parts, nuisance, pixel_um, efficiency)


def _budget(
    expected: Expected,
    dose_MGy: float | None,
    photons: float | None,
    absorbed_eV: float | None,
    pixel_um: float,
    efficiency: float,
) -> float:
    """eV absorbed in a pixel, or incident photons."""
    if not (np.isfinite(efficiency) and 0 < efficiency <= 1):
        raise FitError(
            f"an efficiency of {efficiency} is impossible", remedy="give a share, such as 0.3"
        )
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise FitError(f"a pixel of {pixel_um} µm is impossible", remedy="give its side in µm")
    given = [value for value in (dose_MGy, photons, absorbed_eV) if value is not None]
    if len(given) != 1 or not (np.isfinite(given[0]) and given[0] > 0):
        raise FitError(
            "a plan needs either a dose or a number of photons, above 0",
            remedy="give dose_MGy, or photons",
        )
    if dose_MGy is None:
        return given[0]
    per_eV = expected.dose_per_eV(pixel_um)
    if not np.isfinite(per_eV):
        raise LibraryError(
            "its spectra are optical densities, so that no dose can be told",
            f"library {expected.library.id!r}",
            "say how heavy the sample is, with areal_mass (--areal-mass), or give photons",
        )
    return given[0] / per_eV


def require_enough(energies: np.ndarray, expected: Expected, nuisance: Nuisance) -> None:
    """Refuse fewer energies than unknowns."""
    needed = len(expected.library.names) + int(np.isinf(nuisance.offset_sd))
    if np.unique(energies).size != energies.size:
        raise FitError("an energy is named twice", remedy="name it once")
    if energies.size < needed:
        free = " and a free constant" if np.isinf(nuisance.offset_sd) else ""
        raise FitError(
            f"{energies.size} energies cannot tell {len(expected.library.names)} standards{free} "
            "apart",
            remedy=f"take {needed} or more",
        )


def _grid(
    expected: Expected,
    candidates: ArrayLike | None,
    within: tuple[float, float] | None,
    always: Sequence[float],
    highest_od: float,
) -> np.ndarray:
    """Energies to choose from, ascending."""
    low, high = within or expected.window
    outside = [one for one in always if not expected.library.covers(one)]
    if outside:
        first, last = expected.library.energy_range
        raise FitError(
            f"{outside[0]:g} eV is always to be taken, and the standards cover {first:g} to "
            f"{last:g} eV",
            remedy="name an energy within",
        )
    if candidates is None:
        grid = np.round(np.arange(low, high + GRID_EV / 2, GRID_EV), 6)
    else:
        grid = np.unique(np.asarray(candidates, dtype=np.float64))
        grid = grid[(grid >= low) & (grid <= high)] if within else grid
    if not grid.size:
        raise FitError(
            f"no candidate energy lies within {low:g} to {high:g} eV", remedy="widen the range"
        )
    thin = expected.optical_density(grid).max(axis=0) <= highest_od
    if not thin.any():
        raise FitError(
            f"the sample absorbs more than an optical density of {highest_od:g} at every energy",
            remedy="plan for a thinner one",
        )
    return np.unique(np.concatenate([grid[thin], np.asarray(always, dtype=np.float64)]))


@dataclass(frozen=True, eq=False)
class Candidates:
    """The model's numbers at m candidate energies, for many sets of them at once.

    Parameters
    ----------
    terms : ndarray, shape (n_samples, m, q, q)
        ``h hᵀ``: information of an image whose optical density has the variance one.
    prior : ndarray, shape (q, q)
    gradient : ndarray, shape (n_samples, q)
        Of composition, in the units of `terms`.
    counting, rest : ndarray, shape (n_samples, m)
        Variance of an optical density with one photon, and what photons do not lower.
    cost : ndarray, shape (m,)
        What a photon takes of the budget.
    share : ndarray, shape (n_samples,)
    """

    terms: np.ndarray
    prior: np.ndarray
    gradient: np.ndarray
    counting: np.ndarray
    rest: np.ndarray
    cost: np.ndarray
    share: np.ndarray

    @classmethod
    def of(
        cls,
        expected: Expected,
        energies: np.ndarray,
        nuisance: Nuisance,
        efficiency: float,
        *,
        by_photons: bool = False,
    ) -> Candidates:
        """At candidate energies (eV)."""
        mu = expected.library.spectra(energies).values.T
        height = mu.max()
        slope = expected.slope(energies)
        alone = replace(nuisance, energy_sd_eV=0.0, i0_sd=0.0)
        terms, prior = information_terms(mu / height, slope, np.ones_like(slope), alone)
        gradient = np.zeros((len(slope), prior.shape[0]))
        gradient[:, : mu.shape[1]] = expected.gradient / height
        cost = np.ones(energies.size) if by_photons else expected.absorbed(energies)
        return cls(
            terms,
            prior,
            gradient,
            np.exp(expected.optical_density(energies)) / efficiency,
            (slope * nuisance.energy_sd_eV) ** 2 + nuisance.i0_sd**2,
            cost,
            expected.share,
        )

    def evaluate(self, sets: np.ndarray, photons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean variance of composition of each set of energies, and what each image's counting
        adds to it times its photons squared.

        Parameters
        ----------
        sets : ndarray of int, shape (B, n)
        photons : ndarray, shape (B, n)

        Returns
        -------
        variance : ndarray, shape (B,)
        pull : ndarray, shape (B, n)
            ``mean(a_j² v_j)``, v for one photon: -N_j² dV/dN_j.
        """
        weight = 1 / (self.counting[:, sets] / photons + self.rest[:, sets])
        terms = self.terms[:, sets]
        information = np.einsum("sbj,sbjqp->sbqp", weight, terms) + self.prior
        root = np.sqrt(np.einsum("sbqq->sbq", information))
        balanced = information / (root[..., :, None] * root[..., None, :])
        balanced += _RIDGE * np.eye(len(self.prior))
        aim = self.gradient[:, None, :] / root
        solved = np.linalg.solve(balanced, aim[..., None])[..., 0] / root
        variance = self.share @ np.einsum("sq,sbq->sb", self.gradient, solved)
        along = np.einsum("sbjqp,sbp->sbjq", terms, solved)
        squared = weight**2 * np.maximum(np.einsum("sbjq,sbq->sbj", along, solved), 0.0)
        return variance, np.einsum("s,sbj->bj", self.share, squared * self.counting[:, sets])

    def even(self, sets: np.ndarray, budget: float) -> np.ndarray:
        """Photons alike in all images of a set, (B, n)."""
        each = budget / self.cost[sets].sum(axis=1, keepdims=True)
        return np.broadcast_to(each, sets.shape).copy()

    def share_out(
        self, sets: np.ndarray, budget: float, *, rounds: int, least: float = LEAST_SHARE
    ) -> np.ndarray:
        """Photons of each image at which the variance is least, (B, n).

        Stops early when no other distribution could lower any of them by more than `GAP`.
        """
        cost = self.cost[sets]
        even = self.even(sets, budget)
        floor = least * even
        photons = even
        for _ in range(rounds):
            variance, pull = self.evaluate(sets, photons)
            gain = pull / photons**2  # -dV/dN
            free = budget - (floor * cost).sum(axis=1)
            ahead = (gain * (floor - photons)).sum(axis=1) + free * (gain / cost).max(axis=1)
            if (ahead <= GAP * variance).all():
                break
            photons = _in_proportion(np.sqrt(pull / cost), cost, floor, budget)
        return photons

    def best_design(self, budget: float) -> tuple[np.ndarray, float]:
        """Photons of every candidate in the best design of all, (m,), and the root mean square
        error that it has at the very least.
        """
        everything = np.arange(self.cost.size)[None]
        photons = self.share_out(everything, budget, rounds=MOST_ROUNDS, least=0.0)
        variance, pull = self.evaluate(everything, photons)
        gain = pull / photons**2
        ahead = float(budget * (gain / self.cost).max() - (gain * photons).sum())
        return photons[0], float(np.sqrt(max(variance[0] - ahead, 0.0)))


def _in_proportion(
    wanted: np.ndarray, cost: np.ndarray, floor: np.ndarray, budget: float
) -> np.ndarray:
    """Photons in proportion to `wanted`, none below its floor, that take the whole budget.

    All (B, n); those that fall below are put on their floor, and the others share the rest.
    """
    held = np.zeros(wanted.shape, dtype=bool)
    for _ in range(wanted.shape[1]):
        rest = budget - np.where(held, floor * cost, 0.0).sum(axis=1, keepdims=True)
        taken = np.where(held, 0.0, wanted * cost).sum(axis=1, keepdims=True)
        photons = np.where(held, floor, wanted * rest / np.maximum(taken, 1e-300))
        below = (photons < floor) & ~held
        if not below.any():
            break
        held |= below
    return np.asarray(np.maximum(photons, 1e-9 * budget / cost.sum(axis=1, keepdims=True)))


@dataclass(frozen=True, eq=False)
class _Search:
    """Exchange of energies; `run` gives places in the grid, ascending."""

    at: Candidates
    grid: np.ndarray
    n: int
    fixed: list[int]
    budget: float
    shares: str
    spacing: float

    def photons(self, sets: np.ndarray, rounds: int = FEW_ROUNDS) -> np.ndarray:
        """Photons of the images of each set, (B, n)."""
        if self.shares == "equal":
            return self.at.even(sets, self.budget)
        return self.at.share_out(sets, self.budget, rounds=rounds)

    def variances(self, sets: np.ndarray) -> np.ndarray:
        """Mean variance of each set, (B,)."""
        return self.at.evaluate(sets, self.photons(sets))[0]

    def run(self, design: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The best of several starts, first among every fourth candidate, then among all."""
        coarse = np.union1d(np.arange(0, self.grid.size, COARSE), self.fixed).astype(int)
        if coarse.size < 4 * self.n:
            coarse = np.arange(self.grid.size)
        starts = [self._filled(self.fixed, coarse, greedy=True)]
        starts.append(self._filled(self.fixed, np.argsort(-design * self.at.cost)))
        for _ in range(RANDOM_STARTS):
            starts.append(self._filled(self.fixed, rng.permutation(coarse)))
        ends = {tuple(sorted(self._exchanged(start, coarse))) for start in starts}
        best = sorted(ends, key=lambda one: float(self.variances(np.array([one]))[0]))[:2]
        everything = np.arange(self.grid.size)
        refined = [self._exchanged(list(one), everything, last=True) for one in best]
        found = np.array([sorted(one) for one in refined])
        return np.asarray(found[np.argmin(self.variances(found))])

    def _allowed(self, others: list[int], candidates: np.ndarray) -> np.ndarray:
        """Candidates that keep their distance from the others."""
        apart = np.abs(self.grid[candidates, None] - self.grid[others]).min(axis=1, initial=np.inf)
        return candidates[apart >= max(self.spacing, 1e-9)]

    def _filled(self, some: list[int], order: np.ndarray, *, greedy: bool = False) -> list[int]:
        """A set of n that holds `some`: the first ones that keep their distance, or each time the
        one that lowers the variance most.
        """
        chosen = list(some)
        while len(chosen) < self.n:
            left = self._allowed(chosen, order)
            if not left.size:  # the places left over are too narrow
                left = self._allowed(chosen, np.arange(self.grid.size))
            if not left.size:
                raise FitError(
                    f"{self.n} energies do not fit between {self.grid[0]:.1f} and "
                    f"{self.grid[-1]:.1f} eV at {self.spacing:.2g} eV from each other",
                    remedy="widen the range, or ask for fewer",
                )
            place = 0
            if greedy:
                place = int(np.argmin(self.variances(_with_each(chosen, left))))
            chosen.append(int(left[place]))
        return chosen

    def _exchanged(self, start: list[int], among: np.ndarray, *, last: bool = False) -> list[int]:
        """Replace one energy after the other by the best of its alternatives until none is."""
        chosen = list(start)
        now = float(self.variances(np.array([chosen]))[0])
        changed = True
        while changed:
            changed = False
            for place in range(len(self.fixed), self.n):
                others = chosen[:place] + chosen[place + 1 :]
                left = self._allowed(others, among)
                if not left.size:
                    continue
                tried = self.variances(_with_each(others, left))
                best = int(np.argmin(tried))
                if tried[best] < now * (1 - 1e-9):
                    now, chosen[place] = float(tried[best]), int(left[best])
                    changed = True
        return chosen


def _with_each(some: list[int], others: np.ndarray) -> np.ndarray:
    """Sets of `some` and each of the others, (n_others, len(some) + 1)."""
    held = np.broadcast_to(np.array(some, dtype=int), (others.size, len(some)))
    return np.column_stack([held, others])
