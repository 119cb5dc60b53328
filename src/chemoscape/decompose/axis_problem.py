"""What a trial energy axis leaves of some spectra, and how sure the best one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from chemoscape.decompose import misfit as misfits
from chemoscape.decompose.design import baseline_columns, middle_of, slopes_of
from chemoscape.decompose.misfit import Misfit
from chemoscape.standards.library import Library

#: Structure on both sides of a gap like this is that of two edges, eV.
EDGES_APART_EV = 6.0
#: Least share of the structure (its slope squared) that makes an edge.
LEAST_OF_AN_EDGE = 0.03


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Covariances (shift, stretch) by noise and by the misfit of the standards."""

    of_noise: np.ndarray
    of_standards: np.ndarray
    misfit: Misfit
    edges: tuple[float, ...]

    def sds(self) -> list[float]:
        """Standard deviations of the shift and of the stretch, NaN where there is none."""
        both = np.sqrt(np.diag(self.of_noise + self.of_standards))
        both[~np.isfinite(both)] = np.inf  # nothing tells where the axis lies
        return [*both.tolist(), float("nan")][:2]


@dataclass(frozen=True, eq=False)
class AxisProblem:
    """Spectra, their variances (mean 1), and what they are fitted with."""

    energy: np.ndarray
    data: np.ndarray
    spread: np.ndarray
    library: Library
    baseline: str | None
    nonnegative: bool

    def shift_at(self, shift: float, stretch: float) -> np.ndarray:
        """E(file axis) - E(library) at every energy, eV."""
        return shift + stretch * (self.energy - middle_of(self.energy))

    def badness(self, shift: float, stretch: float = 0.0) -> float:
        """Weighted sum of squares that the best weights leave at a trial shift."""
        model = self.library.spectra(self.energy, shift=self.shift_at(shift, stretch)).values.T
        under = baseline_columns(self.baseline, self.energy)
        total = 0.0
        for spectrum, root in zip(self.data, 1 / np.sqrt(self.spread), strict=True):
            total += float(_fit(model, under, spectrum, root, self.nonnegative)[1] ** 2)
        return total

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the spectra, each by its precision, and its variance, up to the same factor."""
        share = 1 / self.spread.mean(axis=1)
        share = share / share.sum()
        return share @ self.data, share**2 @ self.spread

    def residual(self, shift: float, stretch: float, baseline: str | None) -> float:
        """Root mean square that the standards and a baseline leave of the mean spectrum."""
        at = self.shift_at(shift, stretch)
        model = self.library.spectra(self.energy, shift=at).values.T
        under = baseline_columns(baseline, self.energy)
        root = np.ones_like(self.energy)
        norm = _fit(model, under, self.mean()[0], root, self.nonnegative)[1]
        return norm / float(np.sqrt(self.energy.size))

    def uncertainty(self, shift: float, stretch: float, *, stretched: bool) -> Uncertainty:
        """Covariance of the shift (and the stretch), the misfit found, and the edges.

        With ``S`` the derivative of the fitted spectrum with the axis and ``S⊥`` what of it the
        columns in use do not imitate, the error of the axis is ``(Σ S⊥ᵀWS⊥)⁻¹ Σ S⊥ᵀW e``.
        """
        at = self.shift_at(shift, stretch)
        model = self.library.spectra(self.energy, shift=at).values.T
        slopes = slopes_of(self.library, self.energy, at)
        under = baseline_columns(self.baseline, self.energy)
        levers = np.column_stack([np.ones_like(self.energy), self.energy - middle_of(self.energy)])
        levers = levers[:, : 1 + stretched]
        information = np.zeros((levers.shape[1],) * 2)
        pulls = np.zeros((model.shape[1], *levers.shape))  # on each standard's departure
        for spectrum, root in zip(self.data, 1 / np.sqrt(self.spread), strict=True):
            weights = _fit(model, under, spectrum, root, self.nonnegative)[0]
            columns = np.column_stack([model[:, weights != 0], under]) * root[:, None]
            moved = (slopes @ weights * root)[:, None] * levers
            left = moved - columns @ (np.linalg.pinv(columns) @ moved)
            information += left.T @ left
            pulls += weights[:, None, None] * (root[:, None] * left)
        mean, noise = self.mean()
        weights = _fit(model, under, mean, 1 / np.sqrt(noise), self.nonnegative)[0]
        moved = (slopes @ weights)[:, None] * levers
        fitted = np.column_stack([model[:, weights != 0], under, moved])
        columns = fitted / np.maximum(np.linalg.norm(fitted, axis=0), np.finfo(float).tiny)
        residual = mean - columns @ (np.linalg.pinv(columns) @ mean)
        fields = misfits.departures(self.library, self.energy, at)
        alike = misfits.likeness(self.energy)
        misfit = misfits.misfit_of(residual, columns, weights, fields, alike, noise)
        fields = fields[..., None] * pulls
        of_standards = misfit.scale**2 * np.einsum(
            "fkni,nm,fkmj->ij", fields, alike, fields, optimize=True
        )
        of_noise = misfit.level**2 / noise.mean() * information
        known = np.linalg.matrix_rank(information) == len(information)
        inverse = np.linalg.inv(information) if known else np.full_like(information, np.nan)
        return Uncertainty(
            inverse @ of_noise @ inverse,
            inverse @ of_standards @ inverse,
            misfit,
            _edges(self.energy, moved[:, 0] ** 2),
        )


def _fit(
    model: np.ndarray, under: np.ndarray, spectrum: np.ndarray, root: np.ndarray, nonnegative: bool
) -> tuple[np.ndarray, float]:
    """Weights of the standards and the norm of the weighted residual."""
    lengths = np.linalg.norm(model, axis=0)
    columns = np.column_stack([model / lengths, under]) * root[:, None]
    target = spectrum * root
    if nonnegative:
        solution, norm = nnls(np.column_stack([columns, -under * root[:, None]]), target)
    else:
        solution = np.linalg.lstsq(columns, target, rcond=None)[0]
        norm = float(np.linalg.norm(target - columns @ solution))
    return solution[: len(lengths)] / lengths, float(norm)


def _edges(energy: np.ndarray, structure: np.ndarray) -> tuple[float, ...]:
    """Mean energies of the structure below and above the gap that parts it best; none when it is
    in one place.
    """
    before, after = np.cumsum(structure), np.cumsum(structure[::-1])[::-1]
    first = np.cumsum(structure * energy)[:-1] / np.maximum(before[:-1], np.finfo(float).tiny)
    second = np.cumsum((structure * energy)[::-1])[::-1][1:] / np.maximum(
        after[1:], np.finfo(float).tiny
    )
    parted = before[:-1] * after[1:] * (second - first) ** 2
    best = int(parted.argmax())
    lower, upper = float(first[best]), float(second[best])
    least = LEAST_OF_AN_EDGE * before[-1]
    if upper - lower < EDGES_APART_EV or min(before[best], after[best + 1]) < least:
        return ()
    return lower, upper
