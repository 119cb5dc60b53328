"""From counts to optical density, with the variance that counting gives it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, map_blocks
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.beam.incident import I0, Levels, Unit, find_incident
from chemoscape.preprocess.density import logarithm
from chemoscape.preprocess.density.detector import (
    Dark,
    Detector,
    counted_while_idle,
    detector_of,
    refuse_overload,
    warn_of_dark,
)
from chemoscape.preprocess.density.detector_noise import counts_per_unit_of
from chemoscape.preprocess.density.logarithm import Recording
from chemoscape.preprocess.density.masks import (
    count_flags,
    sample_mask,
    thick_pixels,
    warn_if_brighter_than_i0,
    warn_if_thick,
)
from chemoscape.preprocess.density.smoothing import smooth
from chemoscape.preprocess.noise import Noise
from chemoscape.region import Region

__all__ = ["Incident", "count_flags", "optical_density", "sample_mask", "smooth"]

#: The incident beam: found in the image ("auto"), a region or a range of its levels, a spectrum
#: ((energy, values) or energy), flat images ((y, x) or (energy, y, x)), or the file of either.
Incident = str | Path | Region | Levels | xr.DataArray | tuple[np.ndarray, np.ndarray]


def optical_density(
    stack: xr.DataArray,
    i0: Incident = "auto",
    *,
    i0_unit: Unit = "auto",
    dark: Dark = 0.0,
    dark_sd: float = 0.0,
    dead_time_us: float = 0.0,
    stray_light: float = 0.0,
    noise: Literal["auto"] | float = "auto",
) -> xr.Dataset:
    r"""Optical density OD = ln(I0/I) and its variance.

    The recorded value N, less the dark value d, is corrected for the dead time τ of the detector in
    the dwell T, divided by the beam I0 treated likewise, and freed of the stray fraction h:

    .. math::
        M = \frac{N - d}{1 - b}, \quad b = g (N - d) τ/T, \qquad
        \mathrm{OD} = -\ln\left((1 + h) M/I_0 - h\right)

    with g the detector's counts per recorded unit. Its variance is

    .. math::
        \mathrm{var(OD)} = \left(\frac{(1 + h) M/I_0}{(1 + h) M/I_0 - h}\right)^2
        \left[γ\,\frac{N/g + s_d^2/(1 - b)^2}{(N - d)^2} + \frac{\mathrm{var}(I_0)}{I_0^2}
        \right]

    with s_d the standard deviation of the dark value and γ the noise gain of an aligned frame,
    which lowers the noise of the pixel and not that of I0. Derivation: a detector that is busy for
    the share b counts with the variance ``N/g (1 - b)²`` (renewal theory) and ``dM/dN = 1/(1 -
    b)²``, so that M has the variance ``(N/g)/(1 - b)² + s_d²/(1 - b)⁴``; over M² the counting part
    is ``(N/g)/(N - d)²`` whatever the dead time. With T = M/I0, ``dOD/d(ln T) = -(1 + h)T/((1 + h)T
    - h)``; without stray light it is -1.

    The beam in the same frame carries its own ring current; an I0 from elsewhere is scaled by the
    ratio of the currents where both are known, and else taken as it was during the stack.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts. A transmission stack becomes ``-ln((1 + h) T - h)``, an optical density passes
        through, both without variance. A lazy stack gives lazy results.
    i0 : "auto", Region, Levels, (energy, values), DataArray or path
        The incident beam: the brightest plateau of the image, the mean over a region or over a
        range of brightness; a spectrum from elsewhere, in eV and interpolated linearly; or flat
        images without sample, (y, x) or (energy, y, x). All are taken for recordings of the same
        detector: the dark is subtracted (not from a spectrum, which has none) and the dead time
        corrected.
    i0_unit : {"auto", "image", "per_ms"}
        Unit of an I0 from elsewhere: as the image's values, or per millisecond of dwell. With
        ``"auto"`` a background that is off by a factor known from the header (dwell, counter
        divider) is corrected, with a warning.
    dark : float, DataArray or path
        d, what the detector records without beam, in the stack's unit: one number, or one per
        energy (energy), per pixel (y, x) or both (energy, y, x), or a file of dark images, which
        are averaged.
    dark_sd : float
        s_d, standard deviation of a dark value beyond its counting noise (read noise), in the
        stack's unit. The variance of the mean of several dark images in a file, averaged over the
        image, is added to its square.
    dead_time_us : float
        τ of a non-paralysable counter in µs; needs the dwell (coordinate ``dwell`` or attribute
        ``dwell_ms`` of the stack, ms).
    stray_light : float
        h: light that no sample absorbs (other orders, leakage around a zone plate's central stop),
        as a share of the true beam. It is in I0 too.
    noise : "auto" or float
        Counts per recorded unit g; measured in the background and compared with the header's when
        ``"auto"``.

    Returns
    -------
    Dataset
        ``optical_density`` (energy, y, x) float32, a Stack; NaN where N or I0 is not positive after
        the corrections or is infinite, and where the sample lets less through than the stray light.
        ``variance`` (energy, y, x) float32, that of a single pixel: for averages over pixels of an
        aligned stack divide it by ``noise_gain``. ``flag`` (y, x) uint8: 0 fine, 1 thick (above 1.5
        at some energy by two standard deviations), 2 too thick (above 2.2), and 4 added where a
        value was not positive. ``i0``, ``i0_variance`` (energy), true beam in the stack's unit, the
        latter 0 for spectra, whose error is not known. ``background`` (y, x) bool, where it is
        known: I0 is its mean, unless ``i0_pixels`` is 0 and I0 comes from elsewhere.
        Attributes: ``i0_source``, ``i0_pixels``, ``units_correction`` (empty when there was none),
        ``noise_counts_per_unit``, ``noise_source`` ("header", "measured", "given", "assumed" or
        "unknown"), ``noise_correlation`` (lag 1; NaN when not measured), ``dead_time_us``,
        ``stray_light``, ``n_pixels``; ``n_thick`` and ``n_too_thick`` (pixels above 1.5 and above
        2.2) and ``n_not_positive`` (values). A lazy stack has not been read to its end when this
        returns: these three are left out, the warnings on thick samples and on sample in the I0
        region too, and `count_flags` gives the pixels and the first warning when it is called.

    Raises
    ------
    StackError
        No background is found, I0 is not positive, a spectrum does not cover the energies of the
        stack, the dark does not fit it, the dwell is unknown where there is a dead time, or more
        was counted than the dead time allows (in a lazy stack: when it is computed).

    Warns
    -----
    ChemoscapeWarning
        Units were corrected or do not fit, the noise is not what the header says, the sample is too
        thick or lies in the I0 region, the dark exceeds the beam in some pixels or comes after an
        alignment, or the detector is busy for more than 30 % of the time.
    """
    stacks.check(stack, lazy=True)
    detector = detector_of(stack, dark, dark_sd, dead_time_us, stray_light)
    if stack.attrs["quantity"] != "counts":
        if not (isinstance(i0, str) and i0 == "auto" and noise == "auto"):
            warnings.warn(
                f"the stack holds {stack.attrs['quantity'].replace('_', ' ')}: I0 was applied "
                "before, and the one given here, or the noise, has no use",
                ChemoscapeWarning,
                stacklevel=2,
            )
        return _without_counts(stack, detector)

    incident, background = _incident(stack, i0, i0_unit, detector)
    found = _noise(stack, noise, background, incident, detector)
    busy = detector.busy(incident.values, found.counts_per_unit)
    refuse_overload(busy, stack["energy"].values)
    incident = _with_variance(incident, background, found.counts_per_unit, detector)
    recording = _recording(stack, incident, found.counts_per_unit, detector)

    if is_lazy(stack):
        density, variance, flag = logarithm.take_logarithm_lazily(stack.data, recording)
        counted: dict[str, int] = {}
    else:
        result = logarithm.take_logarithm(stack.values, recording)
        density, variance, flag = result.density, result.variance, result.flag
        counted = {"n_not_positive": result.n_not_positive, **thick_pixels(flag)}
        warn_if_thick(counted, flag.size)
        if incident.n_pixels:  # an I0 from elsewhere has been compared with the background already
            warn_if_brighter_than_i0(result.mean)

    od = _dataset(stack, density, flag)
    od["variance"] = (stacks.DIMS, variance, {"units": "1"})
    true = {"units": "counts", "long_name": "incident beam"}
    open_beam = counted_while_idle(incident.values, busy) / (1 + detector.stray_light)
    od["i0"] = ("energy", open_beam, true)
    od["i0_variance"] = ("energy", recording.beam_relative_variance * od["i0"].values ** 2)
    if background is not None:
        od["background"] = (("y", "x"), background.values)
    od.attrs = {
        "i0_source": incident.source,
        "i0_pixels": incident.n_pixels,
        "units_correction": incident.units_correction,
        "noise_counts_per_unit": found.counts_per_unit,
        "noise_source": found.source,
        "noise_correlation": found.correlation,
        "dead_time_us": float(dead_time_us),
        "stray_light": detector.stray_light,
        "n_pixels": int(np.prod(stack.shape[1:])),
        **counted,
    }
    return od


def _incident(
    stack: xr.DataArray, i0: Incident, unit: Unit, detector: Detector
) -> tuple[I0, xr.DataArray | None]:
    """I0 less its dark, as recorded, and the background, which may be unknown."""
    incident, background = find_incident(stack, i0, unit=unit, dark=detector.dark)
    warn_of_dark(detector, incident.values, stack)
    blind = np.zeros(stack.shape[1:], dtype=bool)
    if incident.flat is not None:
        blind |= ~(incident.flat > 0).all(axis=0)
    if detector.has_dark_image:
        blind |= np.isnan(detector.dark).any(axis=0)
    if blind.any():
        warnings.warn(
            f"flat or dark images have no value in {int(blind.sum())} pixels, which are left out",
            ChemoscapeWarning,
            stacklevel=3,
        )
    if incident.flat is not None and "noise_gain" in stack.coords:
        warnings.warn(
            "flat images are applied to frames that were aligned: they belong to the pixels of the "
            "detector, which the alignment moved; take the optical density first and align that "
            "(alignment.align_density), as run does",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return incident, background


def _noise(
    stack: xr.DataArray,
    given: Literal["auto"] | float,
    background: xr.DataArray | None,
    incident: I0,
    detector: Detector,
) -> Noise:
    """Counts per recorded unit: what was given, or what header and background say."""
    if given != "auto":
        if not (np.isfinite(given) and given > 0):
            raise StackError(
                f"{given} counts per recorded unit is impossible",
                remedy='give a positive number or "auto"',
            )
        return Noise(float(given), "given", np.nan)
    return counts_per_unit_of(detector, stack, background, incident.values)


def _with_variance(
    incident: I0, background: xr.DataArray | None, g: float, detector: Detector
) -> I0:
    """The beam with the variance of its mean over the background, as if there were no dead time."""
    if incident.flat_net is not None:  # one pixel of a flat image, counted and read out likewise
        busy = detector.busy(incident.values, g)
        read_out = detector.dark_variance * (incident.values / incident.flat_net / (1 - busy)) ** 2
        return replace(incident, variance=incident.variance / g + read_out)
    if background is None or not incident.n_pixels:
        return incident
    dark = detector.dark_under(background)
    read_out = detector.dark_variance / (1 - detector.busy(incident.values, g)) ** 2
    return replace(incident, variance=((incident.values + dark) / g + read_out) / incident.n_pixels)


def _recording(
    stack: xr.DataArray, incident: I0, g: float, detector: Detector
) -> logarithm.Recording:
    """What the pass over the pixels needs to know."""
    ones = np.ones(stack.sizes["energy"])
    gain = stack["noise_gain"].values if "noise_gain" in stack.coords else ones
    return Recording(
        dark=detector.dark,
        flat=np.ones((1, 1, 1)) if incident.flat is None else incident.flat,
        beam=incident.values,
        beam_relative_variance=incident.variance / incident.values**2,
        own=gain / g,
        dark_variance=gain * detector.dark_variance,
        busy_per_unit=g * detector.busy_per_count,
        stray_light=detector.stray_light,
    )


def _without_counts(stack: xr.DataArray, detector: Detector) -> xr.Dataset:
    """Wrap an optical density, or the logarithm of a transmission: nothing is known of the counts
    behind them.
    """
    quantity, h = stack.attrs["quantity"].replace("_", " "), detector.stray_light
    if detector.dark.any() or detector.busy_per_count.any() or detector.dark_variance:
        raise StackError(
            f"dark and dead time are corrected in counts, and the stack holds {quantity}",
            remedy="leave them out, or give the counts",
        )
    if h and quantity == "optical density":
        raise StackError(
            "stray light is corrected in counts or transmission, and the stack holds optical "
            "density",
            remedy="leave stray_light out, or give the counts",
        )
    values, density = stack.data, stack.data
    source = "none: the stack holds optical densities, without variance"
    if quantity == "transmission":
        density = map_blocks(
            lambda band: _density_of_transmission(band, h), values, leading=values.shape[:1]
        )
        source = "none: the stack holds transmissions, OD = -ln(T), without variance"
    flag = logarithm.flag_densities(density, values)
    counted: dict[str, int] = {}
    if not is_lazy(stack):
        lost = int(np.isnan(density).sum() - np.isnan(values).sum())
        counted = {"n_not_positive": lost, **thick_pixels(flag)}
        warn_if_thick(counted, flag.size)
    od = _dataset(stack, density, flag)
    od.attrs = {
        "i0_source": source,
        "i0_pixels": 0,
        "units_correction": "",
        "noise_counts_per_unit": np.nan,
        "noise_source": "unknown",
        "noise_correlation": np.nan,
        "dead_time_us": 0.0,
        "stray_light": h,
        "n_pixels": int(np.prod(stack.shape[1:])),
        **counted,
    }
    return od


def _density_of_transmission(band: np.ndarray, stray_light: float) -> np.ndarray:
    """``-ln((1 + h) T - h)``, NaN where that has no logarithm."""
    through = (1 + stray_light) * band - stray_light
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((through > 0) & np.isfinite(through), -np.log(through), np.nan)


def _dataset(stack: xr.DataArray, density: Any, flag: Any) -> xr.Dataset:
    """A Dataset with the optical density as a Stack of its own, and its flags."""
    od = stacks.build(
        density,
        stack["energy"].values,
        stack["y"].values,
        stack["x"].values,
        quantity="optical_density",
        per_energy=stacks.along_energy(stack),
        attrs={"source": str(stack.attrs["source"])} if "source" in stack.attrs else None,
    ).to_dataset(name="optical_density")
    od["flag"] = (
        ("y", "x"),
        flag,
        {"long_name": "1 thick, 2 too thick, 4 added: no positive count at some energy"},
    )
    return od
