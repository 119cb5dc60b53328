"""From counts to optical density, with the variance that counting gives it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from scipy.ndimage import correlate1d, gaussian_filter1d

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.background import find_background
from chemoscape.preprocess.incident import (
    I0,
    Unit,
    incident_from_pixels,
    incident_from_spectrum,
)
from chemoscape.preprocess.noise import Noise, counts_per_unit
from chemoscape.region import Region

#: Optical densities above these need care, or are beyond saving: stray light and higher orders fill
#: the dip.
MILD, STRONG = 1.5, 2.2
#: A smaller share of the pixels than this is not worth a warning.
NOTABLE_SHARE = 1e-3
#: A mean optical density below minus this is more than noise.
BRIGHTER = 0.05

Incident = str | Path | Region | xr.DataArray | tuple[np.ndarray, np.ndarray]


def optical_density(
    stack: xr.DataArray,
    i0: Incident = "auto",
    *,
    i0_unit: Unit = "auto",
    dark: float = 0.0,
    noise: Literal["auto"] | float = "auto",
) -> xr.Dataset:
    r"""Optical density OD = ln(I0/I) and its variance.

    .. math:: \mathrm{var(OD)} = \frac{N/g}{(N - d)^2}\,\gamma + \frac{\mathrm{var}(I_0)}{I_0^2}

    with N the recorded value, d the dark value, g the detector's counts per recorded unit and γ the
    noise gain of an aligned frame. Ring current is not applied: the beam in the same frame carries
    it; an I0 spectrum is expected as the beam was during the stack.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts. A transmission stack becomes -ln(T), an optical density passes through, both without
        variance.
    i0 : "auto", Region, (energy, values), DataArray (energy) or path
        The incident beam: the brightest plateau of the image, the mean over a region, or a spectrum
        from elsewhere, in eV and interpolated linearly.
    i0_unit : {"auto", "image", "per_ms"}
        Unit of an I0 spectrum: as the image's values, or per millisecond of dwell. With ``"auto"``
        a background that is off by a factor known from the header (dwell, counter divider) is
        corrected, with a warning.
    dark : float
        What the detector records without beam, in the stack's unit.
    noise : "auto" or float
        Counts per recorded unit g; measured in the background and compared with the header's when
        ``"auto"``.

    Returns
    -------
    Dataset
        ``optical_density`` (energy, y, x) float32, a Stack; NaN where I <= 0 or infinite.
        ``variance`` (energy, y, x) float32, that of a single pixel: for averages over pixels of an
        aligned stack divide it by ``noise_gain``. ``i0``, ``i0_variance`` (energy), the latter 0
        for spectra, whose error is not known. ``background`` (y, x) bool, unless I0 is a spectrum.
        Attributes: ``i0_source``, ``units_correction`` (empty when there was none),
        ``noise_counts_per_unit``, ``noise_source`` ("header", "measured", "given" or "assumed"),
        ``noise_correlation`` (lag 1; NaN when not measured), ``n_not_positive``.

    Raises
    ------
    StackError
        No background is found, I0 is not positive, or a spectrum does not cover the energies of the
        stack.

    Warns
    -----
    ChemoscapeWarning
        Units were corrected or do not fit, the noise is not what the header says, or the sample is
        too thick.
    """
    stacks.check(stack)
    if stack.attrs["quantity"] != "counts":
        return _without_counts(stack)
    if not np.isfinite(dark) or dark < 0:
        raise StackError(
            f"a dark value of {dark} is impossible", remedy="give 0 or a positive number"
        )

    incident, background = _incident(stack, i0, i0_unit, dark)
    detector = _noise(stack, noise, background)
    if incident.n_pixels:
        incident = incident.with_counting_variance(
            stack.values, background, detector.counts_per_unit
        )
    density, variance, n_not_positive = _logarithm(stack, incident, dark, detector.counts_per_unit)
    _warn_if_thick(density, variance)
    if incident.n_pixels:  # an I0 from elsewhere has been compared with the background already
        _warn_if_brighter_than_i0(density)

    result = _dataset(stack, density)
    result["variance"] = (stacks.DIMS, variance, {"units": "1"})
    result["i0"] = ("energy", incident.values, {"units": "counts", "long_name": "incident beam"})
    result["i0_variance"] = ("energy", incident.variance)
    if incident.n_pixels and background is not None:
        result["background"] = (("y", "x"), background.values)
    result.attrs = {
        "i0_source": incident.source,
        "units_correction": incident.units_correction,
        "noise_counts_per_unit": detector.counts_per_unit,
        "noise_source": detector.source,
        "noise_correlation": detector.correlation,
        "n_not_positive": n_not_positive,
    }
    return result


def _warn_if_brighter_than_i0(density: np.ndarray) -> None:
    """Light gains nothing in a sample: where the image outshines I0, I0 was dimmed."""
    known = np.isfinite(density).any(axis=0)
    mean = np.nansum(density, axis=0) / np.maximum(np.isfinite(density).sum(axis=0), 1)
    share = float((mean[known] < -BRIGHTER).mean()) if known.any() else 0.0
    if share > 0.05:
        warnings.warn(
            f"{share:.0%} of the image is brighter than I0: there is sample in the I0 region",
            ChemoscapeWarning,
            stacklevel=3,
        )


def sample_mask(od: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Pixels with sample in them.

    Parameters
    ----------
    od : Dataset of `optical_density`, or DataArray (energy, y, x)
        Optical densities.

    Returns
    -------
    DataArray (y, x) of bool
        True where the energy-averaged optical density exceeds five of its standard deviations (when
        the variance is known) and a tenth of its 95th percentile over the image.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    mean = density.mean("energy", dtype=np.float64)
    highest = float(mean.quantile(0.95, skipna=True)) if bool(mean.notnull().any()) else np.nan
    mask = mean > max(0.1 * highest, 0.0) if np.isfinite(highest) else mean > np.inf
    if isinstance(od, xr.Dataset) and "variance" in od:
        seen = density.notnull().sum("energy")
        sd = np.sqrt(od["variance"].sum("energy", dtype=np.float64)) / np.maximum(seen, 1)
        mask = mask & (mean > 5 * sd)
    return xr.DataArray(
        mask.values, dims=("y", "x"), coords={"y": density["y"], "x": density["x"]}, name="sample"
    )


def _incident(
    stack: xr.DataArray, i0: Incident, unit: Unit, dark: float
) -> tuple[I0, xr.DataArray | None]:
    """I0 and the background, which may be unknown when I0 comes from elsewhere."""
    if isinstance(i0, str) and i0 == "auto":
        background = find_background(stack)
        return incident_from_pixels(stack, background, dark, "automatic background"), background
    if isinstance(i0, Region):
        background = i0.mask(stack)
        return incident_from_pixels(stack, background, dark, f"region {i0.describe()}"), background

    source = "spectrum"
    if isinstance(i0, str | Path):
        from chemoscape.formats.spectra import read_spectrum

        energy, values = read_spectrum(i0)
        source = f"file {Path(i0).name}"
    elif isinstance(i0, xr.DataArray):
        energy, values = i0["energy"].values, i0.values
    else:
        energy, values = i0
    try:
        empty: xr.DataArray | None = find_background(stack)
    except StackError:
        empty = None
    return incident_from_spectrum(stack, energy, values, unit, empty, dark, source), empty


def _noise(
    stack: xr.DataArray, given: Literal["auto"] | float, background: xr.DataArray | None
) -> Noise:
    if given == "auto":
        return counts_per_unit(stack, background)
    if not (np.isfinite(given) and given > 0):
        raise StackError(
            f"{given} counts per recorded unit is impossible",
            remedy='give a positive number or "auto"',
        )
    return Noise(float(given), "given", np.nan)


def _logarithm(
    stack: xr.DataArray, incident: I0, dark: float, g: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Optical density and variance (energy, y, x) float32, and how many values were not
    positive.
    """
    counts = stack.values
    gain = stack["noise_gain"].values if "noise_gain" in stack.coords else np.ones(len(counts))
    relative = incident.variance / incident.values**2
    density = np.empty(counts.shape, dtype=np.float32)
    variance = np.empty(counts.shape, dtype=np.float32)
    bad = np.zeros(len(counts), dtype=np.int64)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            transmitted = counts[i] - np.float32(dark)
            lost = (transmitted <= 0) | np.isinf(transmitted)
            bad[i] = int(lost.sum())
            if bad[i]:
                transmitted[lost] = np.nan
            np.log(transmitted, out=density[i])
            np.subtract(np.float32(np.log(incident.values[i])), density[i], out=density[i])
            np.divide(counts[i], transmitted * transmitted, out=variance[i])
            variance[i] *= np.float32(gain[i] / g)
            variance[i] += np.float32(relative[i])

    for_each_band(work, len(counts), rows_per_band=1)
    return density, variance, int(bad.sum())


def _without_counts(stack: xr.DataArray) -> xr.Dataset:
    """Wrap an optical density, or the logarithm of a transmission: nothing is known of the counts
    behind them.
    """
    values = stack.values
    n_not_positive, source = 0, "none: the stack holds optical densities"
    if stack.attrs["quantity"] == "transmission":
        lost = values <= 0
        n_not_positive = int(lost.sum())
        values = -np.log(np.where(lost, np.nan, values))
        source = "none: the stack holds transmissions, OD = -ln(T)"
    _warn_if_thick(values, None)
    result = _dataset(stack, values)
    result.attrs = {
        "i0_source": source,
        "units_correction": "",
        "noise_counts_per_unit": np.nan,
        "noise_source": "unknown",
        "noise_correlation": np.nan,
        "n_not_positive": n_not_positive,
    }
    return result


def _dataset(stack: xr.DataArray, density: np.ndarray) -> xr.Dataset:
    """A Dataset with the optical density as a Stack of its own."""
    od = stacks.build(
        density,
        stack["energy"].values,
        stack["y"].values,
        stack["x"].values,
        quantity="optical_density",
        per_energy=stacks.along_energy(stack),
        attrs={"source": str(stack.attrs["source"])} if "source" in stack.attrs else None,
    )
    return od.to_dataset(name="optical_density")


def _warn_if_thick(density: np.ndarray, variance: np.ndarray | None) -> None:
    """One warning on optical densities that a real beamline does not measure faithfully.

    Two standard deviations of counting noise are granted, so that a faint beam is no thick sample.
    """
    highest = np.full(density.shape[1:], -np.inf, dtype=np.float32)
    for i, frame in enumerate(density):
        sure = frame if variance is None else frame - 2 * np.sqrt(variance[i])
        np.fmax(highest, sure, out=highest)
    strong, mild = float((highest > STRONG).mean()), float((highest > MILD).mean())
    if strong > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {STRONG} in {100 * strong:.1f} % of the pixels (and {MILD} "
            f"in {100 * mild:.1f} %): stray light and higher orders flatten such peaks, and their "
            "height is not to be believed; measure a thinner area, or leave these energies out of "
            "the fit"
        )
    elif mild > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {MILD} in {100 * mild:.1f} % of the pixels: stray light of "
            "1 % already lowers such peaks by 0.03 and more"
        )
    else:
        return
    warnings.warn(text, ChemoscapeWarning, stacklevel=3)


def smooth(od: xr.Dataset, sigma_px: float) -> xr.Dataset:
    """Gaussian filter of every frame of optical density (Equation 5), and the variance it leaves.

    ``G(x, y) = exp(-(x² + y²)/2σ²) / 2πσ²``; pixels without data, and those beyond the image, take
    no part. Of independent pixels the variance becomes ``Σ G² var / (Σ G)²``; those of an aligned
    frame share noise, and count with the variance that they had before (``noise_gain``).

    Parameters
    ----------
    od : Dataset of `optical_density`
    sigma_px : float
        σ in pixels.

    Returns
    -------
    Dataset
        As `od`, with ``optical_density`` and ``variance`` replaced.
    """
    reach = int(4 * sigma_px + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1.0
    kernel = gaussian_filter1d(impulse, sigma_px, mode="constant")
    density = od["optical_density"]
    known = np.isfinite(density.values)

    def filtered(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rows = correlate1d(values, weights, axis=1, mode="constant")
        return correlate1d(rows, weights, axis=2, mode="constant")

    share = filtered(known.astype(np.float32), kernel)
    share = np.where(known, share, np.nan)
    out = od.copy()
    out["optical_density"] = density.copy(
        data=filtered(np.where(known, density.values, np.float32(0)), kernel) / share
    )
    if "variance" in od:
        variance = np.where(known, od["variance"].values, np.float32(0))
        if "noise_gain" in od.coords:
            variance = variance / od["noise_gain"].values[:, None, None].astype(np.float32)
        out["variance"] = od["variance"].copy(data=filtered(variance, kernel**2) / share**2)
    return out
