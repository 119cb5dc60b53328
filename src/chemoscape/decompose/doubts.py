"""Why maps of weights might not be believed: calibration, standards, baseline, misfit."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.misfit import DEPARTURE_WARNING, MISFIT_EV, MISFIT_SHARE
from chemoscape.errors import ChemoscapeWarning

#: Above this the standards are so alike that single weights mean little (their ratios may still be
#: good).
CONDITION_WARNING = 300.0
#: A baseline beyond this is no longer a detail of the measurement.
BASELINE_WARNING = 0.05
#: Reduced chi-squared of the fit above which residuals hold structure, not noise.
MISFIT_WARNING = 1.5
#: A line is worth it when it lowers the residual of the mean spectrum to this share.
LINE_GAIN = 0.6
#: A calibration difference that moves a composition by about 0.02.
SHIFT_WARNING_EV = 0.05
#: Standard deviations beyond which a difference of energies is no accident.
SDS = 3.0


def warn_of_doubts(maps: xr.Dataset, fitted: EnergyShift | None) -> None:
    """Warn of everything that the maps and the fitted energy axis give reason to."""
    axis, held = EnergyShift.from_attrs(maps.attrs), bool(maps.attrs["energy_shift_held"])
    for sentence in (
        *of_calibration(axis, fitted, held=held),
        *_of_standards(maps),
        *_of_the_fit(maps),
    ):
        warnings.warn(sentence, ChemoscapeWarning, stacklevel=3)


def _of_standards(maps: xr.Dataset) -> list[str]:
    """Standards that can hardly be told apart, or do not look like the sample."""
    said = []
    condition, mixture = maps.attrs["condition_number"], maps.attrs["kind"] == "mixture"
    # Clusters of a mixture are sums of other clusters: alike by nature, and no cause for alarm.
    if condition > CONDITION_WARNING and not mixture:
        said.append(
            f"the standards are nearly alike (condition number {condition:.0f}): trust the "
            "composition, not the single weights, or select fewer standards"
        )
    n, kept = maps.sizes["standard"], maps.attrs["singular_values"]
    if kept < n:
        said.append(
            f"only {kept} singular values of {n} standards (condition number {condition:.0f}) are "
            "used: weights hold what these can tell, the rest is set to zero"
        )
    scale = maps.attrs["misfit_scale"]
    if scale > DEPARTURE_WARNING:
        said.append(
            f"the standards do not look like the sample: its mean spectrum departs from them as if "
            f"peaks were off by {MISFIT_EV * scale:.2g} eV and heights by "
            f"{100 * MISFIT_SHARE * scale:.2g} %, which the systematic error of the composition "
            "holds; look at the residual"
        )
    with_line = maps.attrs["residual_with_line"]
    if with_line < LINE_GAIN * maps.attrs["residual_of_mean"]:
        said.append(
            "a straight line under the standards would lower the rms residual of the mean spectrum "
            f'from {maps.attrs["residual_of_mean"]:.2g} to {with_line:.2g}: set baseline = "linear"'
        )
    return said


def _of_the_fit(maps: xr.Dataset) -> list[str]:
    """A large baseline, and residuals beyond the noise."""
    said: list[str] = []
    sample = maps["sample"].values
    if not sample.any():
        return said
    offset = float(np.nanmedian(maps["baseline"].values[sample]))
    if abs(offset) > BASELINE_WARNING:
        said.append(
            f"the fitted baseline is {offset:+.2f} in optical density (median of the sample): "
            "check I0 and the background, unless the standards lack the absorption before the edge"
        )
    if maps.attrs["weights"] != "variance":
        return said
    misfit = float(np.nanmedian(maps["reduced_chi2"].values[sample]))
    if misfit > MISFIT_WARNING:
        said.append(
            "the standards do not describe the sample within its noise (median reduced chi-squared "
            f"{misfit:.1f}): look at the residuals for a phase that is missing"
        )
    return said


def of_calibration(axis: EnergyShift, fitted: EnergyShift | None, *, held: bool) -> list[str]:
    """What speaks against an energy axis: the failure case of the paper's Figure S10.

    Parameters
    ----------
    axis : EnergyShift
        The axis in use.
    fitted : EnergyShift or None
        What the spectra themselves ask for.
    held : bool
        Whether the axis was given, and not fitted.
    """
    if fitted is None:
        return []
    said = _of_a_held_axis(axis, fitted) if held else _of_a_fitted_axis(fitted)
    return [*said, *_of_the_stretch(axis, fitted)]


def _of_the_stretch(axis: EnergyShift, fitted: EnergyShift) -> list[str]:
    """Two edges that ask for different shifts."""
    if axis.stretch or not fitted.edges:
        return []
    lower, upper = fitted.edges
    seen = fitted.stretch_seen * (upper - lower)
    if not abs(seen) > max(SHIFT_WARNING_EV, SDS * fitted.stretch_seen_sd * (upper - lower)):
        return []
    return [
        f"energy calibration: the structure near {upper:.0f} eV asks for a shift that is "
        f"{seen:+.2f} ± {fitted.stretch_seen_sd * (upper - lower):.1g} eV from that near "
        f"{lower:.0f} eV: the axis is stretched, set [calibration] stretch = true"
    ]


def _of_a_held_axis(axis: EnergyShift, fitted: EnergyShift) -> list[str]:
    """An axis held against the spectra."""
    held = float(axis.at(fitted.centre))
    apart = abs(fitted.value - held)
    off, remedy = apart > SDS * fitted.sd, 'use energy_shift = "fit"'
    if axis.source == "anchors":
        off, remedy = axis.contradicted, "correct the anchors or leave them out"
    if not (off and apart > SHIFT_WARNING_EV):
        return []
    return [
        f"energy calibration: the fit holds the stack at {held:+.3f} eV from the library, "
        f"its own spectra say {fitted.value:+.3f} ± {fitted.sd:.1g} eV: a direct "
        f"deconvolution with this fixed calibration is not valid, {remedy}"
    ]


def _of_a_fitted_axis(fitted: EnergyShift) -> list[str]:
    """An axis far from the library's."""
    if fitted.at_limit:
        return [
            f"the energy shift ran to the end of its search ({fitted.value:+.2f} eV): these "
            "standards may belong to another edge or another calibration"
        ]
    if abs(fitted.value) > max(SHIFT_WARNING_EV, SDS * fitted.sd):
        return [
            f"the stack's energy axis lies {fitted.value:+.3f} ± {fitted.sd:.1g} eV from the "
            "library's; the standards were moved by that much"
        ]
    return []
