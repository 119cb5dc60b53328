"""What a linear combination fit found, and how it prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Weights that correlate by more than this are named when a fit is printed.
STRONG_CORRELATION = 0.9
MOST_PAIRS = 5


@dataclass(frozen=True, eq=False)
class LinearCombinationFit:
    """Result of `linear_combination_fit`; prints itself.

    Arrays have one entry per standard, or per energy used (eV).

    Attributes
    ----------
    weights, covariance
        Of the standards, in the order of ``standards``; the covariance is that on the active set,
        times reduced chi2, with the shift's error: a weight at its bound of zero has none.
    baseline, baseline_sd, slope, slope_sd
        ``b₀ + b₁ (E - mid_eV)``; the slope per eV.
    energy_shift_eV, energy_shift_sd_eV, energy_shift_z
        The shift used; `z` is ``±√(Δchi2 / reduced chi2)`` against no shift, NaN where it was held.
    weight_per_eV, composition_per_eV
        Derivatives with the energy shift.
    composition, composition_sd, variable
        Mean of the standards' values over formula units; its sd holds counting, the shift,
        ``gᵀCg + (dx/dE · sd_E)²``, and, where the shift was fitted, how far the standards fit at
        all (`decompose.misfit`); neither the standards' own values nor the choice of them. NaN in
        a library of one standard, which gives no choice.
    chi2, reduced_chi2, r_factor, aic, bic
        ``Σ (r/sd)²``, over ``n - n_varied``, ``Σ r² / Σ y²``, ``n_eff ln(chi2/n) + 2 n_varied``,
        ``n_eff ln(chi2/n) + n_varied ln n_eff``.
    energy, data, sd, spectra
        Axis, spectrum, its standard deviation (None where not given), standards as fitted
        (standard, energy).
    """

    standards: tuple[str, ...]
    labels: tuple[str, ...]
    weights: np.ndarray
    covariance: np.ndarray
    at_bound: np.ndarray
    weight_per_eV: np.ndarray
    baseline: float
    baseline_sd: float
    slope: float
    slope_sd: float
    mid_eV: float
    baseline_kind: str
    energy_shift_eV: float
    energy_shift_sd_eV: float
    energy_shift_z: float
    composition: float
    composition_sd: float
    composition_per_eV: float
    variable: str
    units: str
    chi2: float
    reduced_chi2: float
    r_factor: float
    aic: float
    bic: float
    n_points: int
    n_effective: float
    n_varied: int
    energy: np.ndarray
    data: np.ndarray
    sd: np.ndarray | None
    spectra: np.ndarray

    @property
    def weight_sd(self) -> np.ndarray:
        """Standard deviation of each weight; 0 at a bound."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def shares(self) -> np.ndarray:
        """Weights over their sum."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.weights / self.weights.sum()

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of the weights (standard, standard), NaN for those at their bound."""
        sd = self.weight_sd
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.covariance / np.outer(sd, sd)

    @property
    def parts(self) -> np.ndarray:
        """Each standard's share of the fit (standard, energy)."""
        return self.weights[:, None] * self.spectra

    @property
    def background(self) -> np.ndarray:
        """The fitted baseline at every energy."""
        return self.baseline + self.slope * (self.energy - self.mid_eV)

    @property
    def model(self) -> np.ndarray:
        """The fit at every energy."""
        return self.weights @ self.spectra + self.background

    @property
    def residual(self) -> np.ndarray:
        """Data less fit at every energy."""
        return self.data - self.model

    @property
    def correlated(self) -> list[tuple[str, str, float]]:
        """Pairs of standards whose weights correlate by more than 0.9, strongest first."""
        found = self.correlation
        pairs = [
            (self.standards[i], self.standards[j], float(found[i, j]))
            for i, j in zip(*np.triu_indices(len(self.standards), 1), strict=True)
            if abs(found[i, j]) > STRONG_CORRELATION
        ]
        return sorted(pairs, key=lambda pair: -abs(pair[2]))

    def __str__(self) -> str:
        lines = [
            f"linear combination fit, {self.energy[0]:.2f} to {self.energy[-1]:.2f} eV",
            f"  {self.n_points} points ({self.n_effective:.0f} effective), {self.n_varied} varied",
            f"  R = {self.r_factor:.3e}   chi2 = {self.chi2:.6g}   reduced chi2 = "
            f"{self.reduced_chi2:.4g}   AIC = {self.aic:.1f}   BIC = {self.bic:.1f}",
            "",
            *self._table(),
            "",
            f"  energy shift  {self._shift()}",
            f"  {self.variable} = {told(self.composition, self.composition_sd)}"
            f"   ({self.composition_per_eV:+.3f} per eV of shift)",
        ]
        pairs = self.correlated
        if pairs:
            lines.append(f"  correlated weights (|r| > {STRONG_CORRELATION:g})")
            lines += [f"    {r:+.3f}  {a}, {b}" for a, b, r in pairs[:MOST_PAIRS]]
        if len(pairs) > MOST_PAIRS:
            lines.append(f"    and {len(pairs) - MOST_PAIRS} more pairs")
        return "\n".join(lines)

    def _table(self) -> list[str]:
        """Weights, their sum and the baseline, aligned."""
        rows = ["standard", "sum", "constant", "slope per eV"]
        width = max(map(len, [*self.standards, *rows]))
        largest = float(np.abs(self.weights).max())
        power = int(np.floor(np.log10(largest))) if 0 < largest < np.inf else 0
        scale = 1.0 if -2 <= power < 3 else 10.0**power
        units = " ".join(
            word for word in (f"{scale:.0e}" if scale != 1 else "", self.units) if word
        )
        lines = [f"  {'standard':<{width}}  weight" + (f" ({units})" if units else "")]
        for name, weight, sd, share, bound in zip(
            self.standards,
            self.weights / scale,
            self.weight_sd / scale,
            self.shares,
            self.at_bound,
            strict=True,
        ):
            spread = "  at its bound" if bound else f"± {sd:.5f}  {100 * share:5.1f} %"
            lines.append(f"  {name:<{width}}  {weight:.5f} {spread}")
        lines.append(f"  {'sum':<{width}}  {self.weights.sum() / scale:.5f}")
        if self.baseline_kind != "none":
            lines.append(f"  {'constant':<{width}}  {self.baseline:.5f} ± {self.baseline_sd:.5f}")
        if self.baseline_kind == "linear":
            lines.append(f"  {'slope per eV':<{width}}  {self.slope:.3e} ± {self.slope_sd:.1e}")
        return lines

    def _shift(self) -> str:
        """The shift in words."""
        if not np.isfinite(self.energy_shift_z) and not self.energy_shift_sd_eV:
            return f"{self.energy_shift_eV:+.3f} eV, held"
        z = self.energy_shift_z
        against = f", z = {z:+.1f} against no shift" if np.isfinite(z) else ""
        return f"{self.energy_shift_eV:+.3f} ± {self.energy_shift_sd_eV:.3f} eV{against}"


def told(composition: float, sd: float) -> str:
    """A composition and its standard deviation for a table, or that it is unknown."""
    if not np.isfinite(composition):
        return "unknown"
    return f"{composition:.4f} ± {sd:.4f}" if np.isfinite(sd) else f"{composition:.4f} (sd unknown)"
