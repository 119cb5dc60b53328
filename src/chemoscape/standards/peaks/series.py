"""The spectra of a series as they are fitted: cut to the window, checked, with what lies below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import FitError
from chemoscape.standards.library import Library
from chemoscape.standards.peaks.model import PeakModel
from chemoscape.standards.peaks.problem import Spectrum
from chemoscape.standards.peaks.shapes import step
from chemoscape.standards.peaks.steps import atomic_background
from chemoscape.standards.standard import Standard

#: A spectrum may miss this much (eV) at either end of the window.
_MISSING = 0.3


@dataclass(frozen=True)
class One:
    """One spectrum in the window: energies (eV), values, their sd where known, and what it is."""

    name: str
    label: str
    value: float
    energy: np.ndarray
    spectrum: np.ndarray
    sd: np.ndarray | None = None
    formula: str = ""
    mass_scale: bool = False
    phase: str = ""


def read_series(
    spectra: Library | Sequence[Standard] | xr.DataArray,
    model: PeakModel,
    *,
    values: ArrayLike | None,
    sd: ArrayLike | None,
) -> tuple[One, ...]:
    """The spectra of a library, of standards or of an array (any, energy), in the model's window.

    Raises
    ------
    FitError
        Something else was given; a spectrum does not cover the window, has too few energies in it,
        or values that are not finite; the values or sd do not belong to the spectra.
    """
    if isinstance(spectra, xr.DataArray):
        found = _from_array(spectra, values)
    else:
        standards = spectra.standards if isinstance(spectra, Library) else spectra
        if isinstance(standards, Standard):
            standards = (standards,)
        if (
            not isinstance(standards, Sequence)
            or not standards
            or not all(isinstance(one, Standard) for one in standards)
        ):
            raise FitError(
                "there is no spectrum"
                if isinstance(spectra, Sequence) and not spectra
                else f"spectra are needed, not {type(spectra).__name__}",
                remedy="give a library, its standards, or a DataArray with the dimension energy",
            )
        found = tuple(
            One(
                one.id,
                one.label,
                one.value if values is None else np.nan,
                one.energy,
                one.spectrum,
                one.spectrum_sd,
                one.formula,
                one.scale == "mass_absorption",
                one.record.sample.phase,
            )
            for one in standards
        )
        if values is not None:
            found = _with_values(found, values)
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FitError(f"two spectra are called {twice!r}", remedy="give each a name of its own")
    if sd is not None:
        found = _with_sd(found, sd)
    return tuple(_in_window(one, model) for one in found)


def _from_array(spectra: xr.DataArray, values: ArrayLike | None) -> tuple[One, ...]:
    """The rows of an array (any, energy)."""
    if "energy" not in spectra.dims or spectra.ndim > 2 or "energy" not in spectra.coords:
        raise FitError(
            f"the spectra have the dimensions {', '.join(map(str, spectra.dims)) or 'none'}",
            remedy="give an array with the dimension and coordinate energy and at most one other",
        )
    if spectra.ndim == 1:
        spectra = spectra.expand_dims("spectrum")
    table = spectra.transpose(..., "energy")
    across = str(table.dims[0])
    names = table[across].values if across in table.coords else np.arange(len(table))
    order = np.argsort(table["energy"].values)
    energy = table["energy"].values[order].astype(np.float64)
    if not (np.diff(energy) > 0).all():
        raise FitError(
            "the spectra have an energy twice, or one that is not finite",
            remedy="average what was measured at one energy",
        )
    found = tuple(
        One(str(name), str(name), np.nan, energy, np.asarray(row, np.float64)[order])
        for name, row in zip(names, table.values, strict=True)
    )
    return found if values is None else _with_values(found, values)


def _with_values(found: tuple[One, ...], values: ArrayLike) -> tuple[One, ...]:
    given = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if given.shape != (len(found),):
        raise FitError(
            f"there are {given.size} values for {len(found)} spectra", remedy="give one for each"
        )
    return tuple(replace(o, value=float(v)) for o, v in zip(found, given, strict=True))


def _with_sd(found: tuple[One, ...], sd: ArrayLike) -> tuple[One, ...]:
    """With the standard deviation of all values, of those of each spectrum, or of every one."""
    given = np.asarray(sd, dtype=np.float64)
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise FitError("a standard deviation of the spectra is not positive", remedy="leave it out")
    if given.ndim == 1 and given.size == len(found):
        given = given[:, None]
    try:
        rows = [
            np.broadcast_to(given[k] if given.ndim == 2 else given, one.energy.shape)
            for k, one in enumerate(found)
        ]
    except (ValueError, IndexError):
        raise FitError(
            f"standard deviations of shape {given.shape} do not fit {len(found)} spectra",
            remedy="give one number, one for each spectrum, or one for each value",
        ) from None
    return tuple(replace(o, sd=row) for o, row in zip(found, rows, strict=True))


def _in_window(one: One, model: PeakModel) -> One:
    """The part of a spectrum in the window."""
    low, high = model.window
    where = f"{one.name}, peak model {model.name!r}"
    if one.energy.size == 0 or one.energy[0] > low + _MISSING or one.energy[-1] < high - _MISSING:
        raise FitError(
            f"it runs from {one.energy.min(initial=np.inf):g} to "
            f"{one.energy.max(initial=-np.inf):g} eV and the window from {low:g} to {high:g} eV",
            where,
            "give the model a window that all spectra cover",
        )
    inside = (one.energy >= low - 1e-6) & (one.energy <= high + 1e-6)
    sd = None if one.sd is None else one.sd[inside]
    energy, spectrum = one.energy[inside], one.spectrum[inside]
    if energy.size < 4 * len(model.names):
        raise FitError(
            f"{energy.size} energies in the window are too few for {len(model.names)} peaks",
            where,
            "name fewer peaks, or measure in finer steps",
        )
    if not np.isfinite(spectrum).all() or (sd is not None and not (sd > 0).all()):
        raise FitError(
            "it holds values that are not finite, or not positive standard deviations",
            where,
            "remove them",
        )
    if not np.ptp(spectrum) > 0:
        raise FitError("its spectrum is flat in the window", where, "leave it out")
    return replace(one, energy=energy, spectrum=spectrum, sd=sd)


def tabulated(series: Sequence[One]) -> bool:
    """Whether the steps of all spectra have tabulated heights: cm2/g, and the formula known."""
    return all(one.mass_scale and one.formula for one in series)


def below_peaks(one: One, model: PeakModel, baseline: str, fixed: bool) -> Spectrum:
    """A spectrum without the atomic background where that is `fixed`, and the columns of what else
    lies below the peaks: fitted steps, a constant, a line. Unit weights.
    """
    energy = one.energy
    values, columns = one.spectrum, []
    if model.steps and fixed:
        values = values - atomic_background(one.formula, model, energy)
    elif model.steps and one.formula:
        table = atomic_background(one.formula, model, energy)
        columns.append(table / table.max())
    else:
        low, high = model.window
        columns += [
            step(energy - each.energy, model.step_fwhm, model.step_shape)
            for each in model.steps
            if low < each.energy < high  # others are constant here
        ]
    positive = len(columns)
    if baseline != "none":
        columns.append(np.ones_like(energy))
    if baseline == "linear":
        columns.append((2 * energy - energy[0] - energy[-1]) / np.ptp(energy))
    stacked = np.stack(columns, axis=1) if columns else np.empty((energy.size, 0))
    return Spectrum(energy, values, np.ones_like(energy), stacked, positive)
