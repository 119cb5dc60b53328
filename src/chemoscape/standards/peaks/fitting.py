"""One fit of all spectra of a series: peaks in order, widths in common, tabulated steps below."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import lmfit
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import FitError, require_choice
from chemoscape.standards.library import Library
from chemoscape.standards.peaks.findings import found_by
from chemoscape.standards.peaks.model import PeakModel, peak_model
from chemoscape.standards.peaks.problem import Problem, Spectrum
from chemoscape.standards.peaks.result import PeakFit
from chemoscape.standards.peaks.series import One, below_peaks, read_series, tabulated
from chemoscape.standards.peaks.starts import find_starts
from chemoscape.standards.peaks.steps import edge_of
from chemoscape.standards.standard import Standard

#: A gap between neighbours stays within these parts of the gap that was found in the spectra; the
#: first centre within this part of its gap to the second, at most so many eV, from its start.
_GAP_LIMITS, _FIRST_REACH = (0.65, 1.4), (0.5, 1.0)
#: Gaussian standard deviations of peaks, eV.
_SD_LIMITS = (0.12, 3.5)
#: A spectrum's own width over the common one, where it has its own.
_OWN_LIMIT = 1.8
#: Relative sd of a spectrum's widths about those of the series, unless told otherwise.
_DEFAULT_SPREAD = 0.1
#: Relative accuracy at which the search ends.
_ACCURACY = 1e-6


def fit_peaks(
    spectra: Library | Sequence[Standard] | xr.DataArray,
    model: PeakModel | str,
    *,
    centres: Literal["free", "linear"] = "free",
    widths: Literal["shared", "free"] | float = _DEFAULT_SPREAD,
    baseline: Literal["constant", "linear", "none"] = "constant",
    steps: Literal["tabulated", "fitted"] | None = None,
    values: ArrayLike | None = None,
    sd: ArrayLike | None = None,
) -> PeakFit:
    """Fit peaks to all spectra of a series together.

    Spectrum s is ``y_s(E) = mu_s(E) + c_s + sum_p A_sp V(E - E_sp; w_sp, gamma_p)``: tabulated
    absorption with its steps (not fitted, on a scale of mass absorption), a constant, and Voigt
    profiles with areas ``A >= 0``. Centres are ``E_sp = E_s,p-1 + gap_sp`` with positive gaps, so
    that no two peaks change places. Areas and constants are solved for exactly at each trial of
    centres and widths (variable projection), which lmfit's bounded least squares then seeks.

    Parameters
    ----------
    spectra : Library, sequence of Standard, or DataArray (any, energy)
        The series. Standards keep their values; the spectra of an array get them from `values`.
    model : PeakModel or str
        A model of your own, or ``"V L3"``, ``"O K"``.
    centres : {"free", "linear"}
        Of each spectrum by itself, or linear in the value.
    widths : {"shared", "free"} or float
        Each peak's width is that of the series; of each spectrum by itself; or of each spectrum,
        with this relative standard deviation about the series'.
    baseline : {"constant", "linear", "none"}
        What lies below, besides the steps; of each spectrum by itself.
    steps : {"tabulated", "fitted"}, optional
        Default: tabulated where spectra are in cm2/g and their formulas are known, else one height
        is fitted to each spectrum.
    values : array_like, (n_spectra,), optional
        The composition of each spectrum.
    sd : array_like, optional
        Standard deviation of the spectra: one number, one for each, or (n_spectra, n_energy).
        Default: that of the standards; where there is none, the residuals tell it.

    Returns
    -------
    PeakFit

    Raises
    ------
    FitError
        The spectra do not cover the window, are too coarse, or an option is unknown.
    LibraryError
        A formula cannot be read.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> fit = fit_peaks(open_library("lixv2o5-model"), "V L3")
    >>> fit.table.centre.sel(peak="d_xy").round(1).values.tolist()
    [515.9, 515.9, 516.0, 516.1, 516.2, 516.1]
    """
    begun = time.perf_counter()
    model = peak_model(model) if isinstance(model, str) else model
    if not isinstance(model, PeakModel):
        raise FitError(
            f"the model is a {type(model).__name__}", remedy="give a PeakModel, 'V L3' or 'O K'"
        )
    require_choice("centres", centres, "free", "linear")
    require_choice("baseline", baseline, "constant", "linear", "none")
    require_choice("steps", steps, None, "tabulated", "fitted")
    spread = _spread(widths)
    series = read_series(spectra, model, values=values, sd=sd)
    fixed = tabulated(series) if steps is None else steps == "tabulated"
    if fixed and model.steps and not tabulated(series):
        raise FitError(
            "tabulated steps need spectra in cm2/g, and formulas",
            remedy="leave `steps` out, or put the standards on a mass scale",
        )
    parts = tuple(_weighted(one, below_peaks(one, model, baseline, fixed)) for one in series)
    middle = np.full((1, 1), np.mean(model.window))
    starts = find_starts(model, parts, float(_gamma(model, middle).mean()))
    between = Problem(
        parts, _gamma(model, starts[0][0]), _mixing(series, centres), spread or _DEFAULT_SPREAD
    )
    if np.isinf(spread):
        between = replace(between, spread=_DEFAULT_SPREAD)
    if sum(p.energy.size for p in parts) <= _n_parameters(between):
        raise FitError("fewer values than parameters", remedy="name fewer peaks")
    tried = [(_minimised(between, *one), one) for one in starts]
    best, start = min(tried, key=lambda one: float(one[0].residual @ one[0].residual))
    problem = replace(between, spread=spread)
    if spread != between.spread:  # the way to either extreme is shorter from between them
        theta = _values(best.params)
        best = _minimised(problem, *start, between.centres(theta), between.widths(theta))
    fit = found_by(problem, best, series=series, model=model, start=start[0], fixed=fixed)
    return replace(fit, seconds=time.perf_counter() - begun)


def _spread(widths: str | float) -> float:
    """Relative sd of a spectrum's widths about the common ones: 0 shared, inf free."""
    known = {"shared": 0.0, "free": np.inf}
    if isinstance(widths, str):
        require_choice("widths", widths, *known)
        return known[widths]
    if isinstance(widths, bool) or not widths >= 0:
        raise FitError(
            f"widths is {widths!r}", remedy="give 'shared', 'free' or a relative sd such as 0.1"
        )
    return float(widths)


def _weighted(one: One, part: Spectrum) -> Spectrum:
    """With the weights of its standard deviations, or of the noise it seems to have."""
    if one.sd is not None:
        return replace(part, weight=1 / one.sd)
    return replace(part, weight=np.full_like(one.energy, 1 / _noise(one.spectrum)))


def _noise(values: np.ndarray) -> float:
    """Noise by what a cubic through four neighbours leaves of the fifth, in an outlier's spite."""
    fourth = np.diff(values, 4) / np.sqrt(70)
    found = float(np.median(np.abs(fourth)) / 0.6745)
    return max(found, 1e-4 * float(np.ptp(values)))  # a smooth model has none


def _gamma(model: PeakModel, start: np.ndarray) -> np.ndarray:
    """Lorentzian half width of each peak, eV: half that of the core level next to it."""
    if model.lorentz_fwhm is not None or not model.steps:
        return np.full(start.shape[1], (model.lorentz_fwhm or 0.0) / 2)
    at = np.array([one.energy for one in model.steps])
    width = np.nan_to_num([edge_of(one).width for one in model.steps])
    return np.array([width[np.abs(at - e).argmin()] for e in start.mean(axis=0)]) / 2


def _mixing(series: Sequence[One], centres: str) -> np.ndarray:
    """How positions follow from their knots: of every spectrum one, or of the two ends."""
    if centres == "free":
        return np.eye(len(series))
    x = np.array([one.value for one in series])
    if len(series) < 3 or not np.isfinite(x).all() or not np.ptp(x) > 0:
        raise FitError(
            "centres that are linear in the value take three spectra of known, differing values",
            remedy="give `values`, or leave centres free",
        )
    along = (x - x.min()) / np.ptp(x)
    # Gaps that are positive at both ends are positive between.
    return np.stack([1 - along, along], axis=1)


def _n_parameters(problem: Problem) -> int:
    amplitudes = sum(problem.n_peaks + part.columns.shape[1] for part in problem.spectra)
    return problem.n_peaks * (problem.n_knots + 1) + amplitudes


def _minimised(
    problem: Problem,
    start: np.ndarray,
    sd: np.ndarray,
    from_centres: np.ndarray | None = None,
    from_widths: np.ndarray | None = None,
) -> lmfit.minimizer.MinimizerResult:
    """The best centres and widths by lmfit, within bounds about `start`."""
    params = _parameters(problem, start, sd)
    if from_centres is not None and from_widths is not None:
        _begin_at(params, problem, from_centres, from_widths)
    varied = np.array([one.vary for one in params.values()])
    search = lmfit.Minimizer(
        lambda values: problem.residual(_values(values)), params, nan_policy="raise"
    )
    with np.errstate(all="ignore"):  # lmfit's own errors, which know neither areas nor bounds
        return search.least_squares(
            jac=lambda values: problem.jacobian(_values(values))[:, varied],
            x_scale="jac",
            xtol=_ACCURACY,
            ftol=_ACCURACY,
            max_nfev=300,
        )


def _values(params: lmfit.Parameters) -> np.ndarray:
    return np.array([one.value for one in params.values()])


def _parameters(problem: Problem, start: np.ndarray, sd: np.ndarray) -> lmfit.Parameters:
    """Parameters in the order of `theta`, with their bounds."""
    gaps = _gaps(problem, start)
    params = lmfit.Parameters()
    for p, row in enumerate(gaps):
        for k, gap in enumerate(row):
            if p:
                low, high = (part * gap for part in _GAP_LIMITS)
            else:
                part, most = _FIRST_REACH
                reach = min(part * gaps[1, k], most) if len(gaps) > 1 else most
                low, high = gap - reach, gap + reach
            params.add(f"{'gap' if p else 'centre'}_{p}_{k}", gap, min=low, max=high)
    for p, one in enumerate(sd):
        params.add(f"sd_{p}", one, min=_SD_LIMITS[0], max=_SD_LIMITS[1])
    if problem.own_widths:
        most = np.log(_OWN_LIMIT)
        for k in range(len(problem.spectra)):
            for p in range(problem.n_peaks):
                # With no common width to be about, the first spectrum's is it.
                own = bool(np.isfinite(problem.spread) or k > 0)
                params.add(f"own_{p}_{k}", 0.0, min=-most, max=most, vary=own)
    return params


def _begin_at(
    params: lmfit.Parameters, problem: Problem, centres: np.ndarray, widths: np.ndarray
) -> None:
    """Set parameters to centres and widths (n_spectra, n_peaks), as far as bounds allow."""
    common = widths[0] if not np.isfinite(problem.spread) else np.exp(np.log(widths).mean(axis=0))
    own = np.log(widths / common) if problem.own_widths else widths[:0]
    wanted = np.concatenate([_gaps(problem, centres).ravel(), common, own.ravel()])
    for one, value in zip(params.values(), wanted, strict=True):
        room = 0.01 * (one.max - one.min)
        if one.vary:
            one.value = float(np.clip(value, one.min + room, one.max - room))


def _gaps(problem: Problem, centres: np.ndarray) -> np.ndarray:
    """First centre and gaps, (n_peaks, n_knots)."""
    knots = np.linalg.lstsq(problem.mixing, centres, rcond=None)[0].T
    return np.diff(knots, axis=0, prepend=0.0)
