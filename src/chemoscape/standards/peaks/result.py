"""What a fit of peaks found: numbers with errors, curves, trends, and what to look at."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.errors import FitError
from chemoscape.standards.peaks.model import PeakModel
from chemoscape.standards.peaks.trends import Trend, plus_minus, trend_of

#: Quantities whose trends are shown.
TRENDS = ("centre", "relative_intensity")
#: Warnings printed before the rest is counted.
_MOST_WARNINGS = 8


@dataclass(frozen=True, eq=False)
class PeakFit:
    """Peaks of a series of spectra; prints itself.

    Parameters
    ----------
    model : PeakModel
        What was fitted.
    table : Dataset (standard, peak)
        ``centre``, ``area``, ``height``, ``width`` (FWHM) and ``relative_intensity`` (area over
        that of the reference), each with its ``_sd``; NaN where there is none: at a bound, or of a
        peak without area. ``centre_correlation`` and ``area_correlation`` are those with the next
        peak. Of each spectrum ``r_squared``, ``reduced_chi2`` (NaN without given standard
        deviations) and ``residual_correlation`` of neighbouring residuals.
    curves : Dataset (standard, peak, energy)
        ``spectrum``, ``fit``, ``below`` (steps and baseline) and ``component``.
    warnings : tuple of str
        What to look at.
    seconds : float
        What the fit took.
    minimizer : lmfit.minimizer.MinimizerResult
        lmfit's own result for centres, gaps and widths.
    """

    model: PeakModel
    table: xr.Dataset
    curves: xr.Dataset
    warnings: tuple[str, ...]
    seconds: float
    minimizer: Any = field(repr=False)

    @property
    def findings(self) -> xr.Dataset:
        """`table` without the nuisances."""
        return self.table.isel(peak=~self.table.nuisance.values)

    def trends(
        self, within: tuple[float, float] | None = None, *, quantities: tuple[str, ...] = TRENDS
    ) -> list[Trend]:
        """Slopes against the value of the standards, of each peak that is no nuisance.

        Parameters
        ----------
        within : pair of float, optional
            Values that belong to the trend (a phase range); the others are compared with it.
        quantities : tuple of str
            Of ``"centre"``, ``"relative_intensity"``.

        Raises
        ------
        FitError
            Fewer than three spectra of known value lie within, or the quantity has no trend. Peaks
        without errors in so many (held by a bound) are left out.
        """
        found, error = [], None
        for quantity in quantities:
            for peak in self.findings.peak.values:
                if quantity == "relative_intensity" and peak == self.model.reference:
                    continue
                try:
                    found.append(trend_of(self.table, str(peak), quantity, within))
                except FitError as one:  # a peak that a bound holds has no trend; others have
                    error = one
        if error is not None and not found:
            raise error
        return found

    def as_dict(self) -> dict[str, Any]:
        """Numbers as plain dictionaries, one for each standard and peak."""
        columns = [name for name in self.table.data_vars if self.table[name].dims == _BOTH]
        return {
            "model": self.model.name,
            "reference": self.model.reference,
            **{key: self.table.attrs[key] for key in ("sd_from", "steps", "variance_inflation")},
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "spectra": [
                {
                    "standard": str(one.standard.item()),
                    "value": float(one.value),
                    "r_squared": float(one.r_squared),
                    "reduced_chi2": float(one.reduced_chi2),
                    "residual_correlation": float(one.residual_correlation),
                    "peaks": [_peak_dict(one.sel(peak=name), columns) for name in one.peak.values],
                }
                for one in (
                    self.table.isel(standard=k) for k in range(self.table.sizes["standard"])
                )
            ],
        }

    def as_csv(self) -> str:
        """Numbers as a table: a row for each standard and peak; empty where there is none."""
        columns = [str(name) for name in self.table.data_vars if self.table[name].dims == _BOTH]
        out = StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["standard", "label", "value", "peak", "nuisance", *columns])
        for k in range(self.table.sizes["standard"]):
            for p in range(self.table.sizes["peak"]):
                one = self.table.isel(standard=k, peak=p)
                rows.writerow(
                    [
                        one.standard.item(),
                        one.label.item(),
                        _blank(one.value.item()),
                        one.peak.item(),
                        str(bool(one.nuisance)).lower(),
                        *(_blank(one[name].item()) for name in columns),
                    ]
                )
        return out.getvalue()

    def __str__(self) -> str:
        found = self.findings
        attrs = self.table.attrs
        rows = [
            f"{self.model.name}: {found.sizes['peak']} peaks in {found.sizes['standard']} spectra, "
            f"{self.model.window[0]:g} to {self.model.window[1]:g} eV, {self.seconds:.2f} s; "
            f"steps {attrs['steps']}, sd from {attrs['sd_from']}",
            f"{'standard':<22}{'peak':<10}{'centre (eV)':>20}{'width (eV)':>16}"
            f"{'of ' + attrs['reference']:>18}",
        ]
        for name in found.standard.values:
            for peak in found.peak.values:
                one = found.sel(standard=name, peak=peak)
                rows.append(
                    f"{name:<21} {peak:<9} {_pm(one, 'centre', 3):>19} "
                    f"{_pm(one, 'width', 2):>15} "
                    f"{_pm(one, 'relative_intensity', 3):>17}"
                )
        said = list(self.warnings[:_MOST_WARNINGS])
        if len(self.warnings) > _MOST_WARNINGS:
            said.append(f"and {len(self.warnings) - _MOST_WARNINGS} more")
        return "\n".join([*rows, *(f"note: {one}" for one in said)])


_BOTH = ("standard", "peak")


def _peak_dict(peak: xr.Dataset, columns: list[Any]) -> dict[str, Any]:
    return {
        "peak": str(peak.peak.item()),
        "nuisance": bool(peak.nuisance),
        **{str(name): float(peak[name]) for name in columns},
    }


def _blank(value: float) -> str:
    """A number to seven digits, nothing where there is none."""
    return f"{value:.7g}" if np.isfinite(value) else ""


def _pm(one: xr.Dataset, name: str, digits: int) -> str:
    """A quantity of one peak ± its sd."""
    return plus_minus(float(one[name]), float(one[f"{name}_sd"]), digits)
