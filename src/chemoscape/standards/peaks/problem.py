"""The least-squares problem of a series: amplitudes are solved for, places and widths are sought.

With the centres, widths and gaps collected in ``theta`` a spectrum is ``Phi(theta) a``: the areas
and the baseline `a` follow from `theta` by (partly non-negative) linear least squares. Variable
projection (Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973; Kaufman's Jacobian, BIT 15, 49,
1975) therefore searches over `theta` alone, ``r(theta) = y - Phi a(theta)`` and ``dr = -(1 - Phi
Phi+) (dPhi) a``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

from chemoscape.standards.peaks.shapes import voigt


@dataclass(frozen=True)
class Spectrum:
    """What is fitted of one spectrum: energies (eV), values above the atoms', 1/sd of each, and
    columns (n, m) of what may lie below the peaks, of which the first `positive` are not negative.
    """

    energy: np.ndarray
    values: np.ndarray
    weight: np.ndarray
    columns: np.ndarray
    positive: int = 0


@dataclass(frozen=True)
class Solution:
    """Linear part of one spectrum: areas, baseline, weighted residual, weighted active columns."""

    areas: np.ndarray
    baseline: np.ndarray
    residual: np.ndarray
    active: np.ndarray  # of areas and baseline, bool
    design: np.ndarray  # (n, n_peaks + m), weighted


#: Weighted peaks of unit area, their derivatives by centre and by width, each (n, n_peaks).
Shapes = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Problem:
    """A series of spectra and how its parameters make centres and widths.

    `theta` holds the knots of each peak's position (``n_knots`` for each peak: of the first peak
    its centre, of the others the gap to the one before), then the width of each peak (Gaussian sd,
    eV), then, if `spread` is above 0, ln of each spectrum's own width over it.
    """

    spectra: tuple[Spectrum, ...]
    gamma: np.ndarray  # (n_peaks,)
    mixing: np.ndarray  # (n_spectra, n_knots): positions are linear in their knots
    spread: float = 0.0  # relative sd of a spectrum's width about the common one
    #: The last theta and what it gave: a search asks for residuals, then for their derivative.
    _last: dict[bytes, list[tuple[Shapes, Solution]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def n_peaks(self) -> int:
        """Number of peaks."""
        return self.gamma.size

    @property
    def n_knots(self) -> int:
        """Positions sought for each peak."""
        return self.mixing.shape[1]

    @property
    def own_widths(self) -> bool:
        """Whether the spectra have widths of their own."""
        return self.spread > 0

    def centres(self, theta: np.ndarray) -> np.ndarray:
        """Centres (n_spectra, n_peaks) in eV: each the one before plus a gap."""
        knots = theta[: self.n_peaks * self.n_knots].reshape(self.n_peaks, self.n_knots)
        return self.mixing @ np.cumsum(knots, axis=0).T

    def widths(self, theta: np.ndarray) -> np.ndarray:
        """Gaussian standard deviations (n_spectra, n_peaks) in eV."""
        start = self.n_peaks * self.n_knots
        common = theta[start : start + self.n_peaks]
        if not self.own_widths:
            return np.tile(common, (len(self.spectra), 1))
        own = theta[start + self.n_peaks :].reshape(len(self.spectra), self.n_peaks)
        return common * np.exp(own)

    def place_jacobian(self, theta: np.ndarray, one: int) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the centres and widths of a spectrum, both (n_peaks, n_theta)."""
        n, knots = self.n_peaks, self.n_knots
        centre, width = np.zeros((n, theta.size)), np.zeros((n, theta.size))
        sums = np.tri(n)[:, :, None] * self.mixing[one]
        centre[:, : n * knots] = sums.reshape(n, n * knots)
        own = self.widths(theta)[one]
        start = n * knots
        width[:, start : start + n] = np.diag(own / theta[start : start + n])
        if self.own_widths:
            first = start + n + one * n
            width[:, first : first + n] = np.diag(own)
        return centre, width

    def prior(self, theta: np.ndarray) -> np.ndarray:
        """Residuals that hold the widths of the spectra together; empty where there are none."""
        own = theta[self.n_peaks * (self.n_knots + 1) :]
        return own / self.spread if np.isfinite(self.spread) and self.own_widths else own[:0]

    def shapes(self, theta: np.ndarray, one: int) -> Shapes:
        """Weighted peaks of unit area (n, n_peaks), their derivatives by centre and by width."""
        part = self.spectra[one]
        offset = part.energy[:, None] - self.centres(theta)[one]
        value, by_offset, by_sd = voigt(offset, self.widths(theta)[one], self.gamma)
        weight = part.weight[:, None]
        return weight * value, -weight * by_offset, weight * by_sd

    def solve(self, theta: np.ndarray, one: int, peaks: np.ndarray | None = None) -> Solution:
        """The best areas (>= 0) and baseline of a spectrum."""
        part = self.spectra[one]
        peaks = self.shapes(theta, one)[0] if peaks is None else peaks
        design = np.concatenate([peaks, part.weight[:, None] * part.columns], axis=1)
        free = design[:, self.n_peaks + part.positive :]
        target = part.weight * part.values
        size = np.linalg.norm(design, axis=0)
        both = np.concatenate([design / size, -free / size[self.n_peaks + part.positive :]], axis=1)
        # The square root of the normal equations is small and as well-conditioned as the design.
        q, r = np.linalg.qr(both[:, : design.shape[1]])
        small = np.concatenate([r, -r[:, self.n_peaks + part.positive :]], axis=1)
        found = nnls(small, q.T @ target)[0]
        amplitude = found[: design.shape[1]].copy()
        amplitude[self.n_peaks + part.positive :] -= found[design.shape[1] :]
        amplitude /= size
        active = amplitude != 0
        active[self.n_peaks + part.positive :] = True
        return Solution(
            areas=amplitude[: self.n_peaks],
            baseline=amplitude[self.n_peaks :],
            residual=target - design @ amplitude,
            active=active,
            design=design,
        )

    def solved(self, theta: np.ndarray) -> list[tuple[Shapes, Solution]]:
        """Shapes and best amplitudes of every spectrum."""
        key = theta.tobytes()
        if key not in self._last:
            self._last.clear()
            found = [(self.shapes(theta, k), k) for k in range(len(self.spectra))]
            self._last[key] = [(one, self.solve(theta, k, one[0])) for one, k in found]
        return self._last[key]

    def residual(self, theta: np.ndarray) -> np.ndarray:
        """All weighted residuals of the series, then those of the prior."""
        return np.concatenate([*(s.residual for _, s in self.solved(theta)), self.prior(theta)])

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivative of the residuals by `theta` with the amplitudes following (Kaufman)."""
        rows = []
        for k, ((_, by_centre, by_width), found) in enumerate(self.solved(theta)):
            change = self._change(theta, k, found.areas, by_centre, by_width)
            q, _ = np.linalg.qr(found.design[:, found.active])
            rows.append(q @ (q.T @ change) - change)
        return np.concatenate([*rows, self.prior_jacobian(theta)])

    def full_jacobian(self, theta: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Derivative of the model by `theta` and by all amplitudes; active amplitudes, bool."""
        found = [one for _, one in self.solved(theta)]
        sizes = [one.design.shape[1] for one in found]
        rows, column = [], theta.size
        for k, ((_, by_centre, by_width), one) in enumerate(self.solved(theta)):
            row = np.zeros((one.residual.size, theta.size + sum(sizes)))
            row[:, : theta.size] = self._change(theta, k, one.areas, by_centre, by_width)
            row[:, column : column + sizes[k]] = one.design
            column += sizes[k]
            rows.append(row)
        prior = self.prior_jacobian(theta)
        rows.append(np.pad(prior, ((0, 0), (0, sum(sizes)))))
        return np.concatenate(rows), [one.active for one in found]

    def _change(
        self,
        theta: np.ndarray,
        one: int,
        areas: np.ndarray,
        by_centre: np.ndarray,
        by_width: np.ndarray,
    ) -> np.ndarray:
        """Derivative of a spectrum's model by `theta` with the amplitudes held."""
        centre, width = self.place_jacobian(theta, one)
        return np.asarray((by_centre * areas) @ centre + (by_width * areas) @ width)

    def prior_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivative of `prior`."""
        n_prior = self.prior(theta).size
        rows = np.zeros((n_prior, theta.size))
        if n_prior:
            rows[:, -n_prior:] = np.eye(n_prior) / self.spread
        return rows
