"""From optical density to counts: the beam, its halo, light astray, and the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from chemoscape import stack as stacks
from chemoscape.errors import StackError

#: Apart from that of the noise, so that an error of I0 leaves the noise as it was.
_I0_STREAM = 1


@dataclass(frozen=True, eq=False)
class Exposure:
    """Counts of a simulated sample, and the beam.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, as a beamline would record them.
    i0 : DataArray (energy,)
        Incident counts as they are reported.
    i0_true : DataArray (energy,)
        Incident counts as they were.
    """

    stack: xr.DataArray
    i0: xr.DataArray
    i0_true: xr.DataArray


def measurement_energies() -> np.ndarray:
    """The paper's range, 508 to 560 eV: 0.2 eV steps from 512 to 536, 1 eV outside."""
    return np.round(
        np.concatenate([np.arange(508, 512), np.arange(512, 536, 0.2), np.arange(536, 561)]), 3
    )


def expose(
    od: xr.DataArray,
    *,
    photons: float = 5_000.0,
    poisson: bool = False,
    optical_density_sd: float = 0.0,
    stray_light: float = 0.0,
    halo_share: float = 0.0,
    halo_um: float = 1.0,
    i0_error: float = 0.0,
    energy_shift_eV: float = 0.0,
    seed: int = 0,
    source: str = "simulated sample (synthetic)",
) -> Exposure:
    r"""Record a sample: counts of its optical density D.

    .. math::
        T = (1 - s) e^{-D} + s \, G_σ * e^{-D}, \qquad
        I = I_0 \, \frac{T + h}{1 + h} \, e^{-ε}

    The share s of the beam lies in a broad Gaussian G around the spot, which blurs intensity, not
    optical density; beyond the image there is no sample. The stray light h passes every sample and
    is in I0 too: `optical_density` takes the same h and undoes it. The noise ε is Gaussian in
    optical density, and the counts may be Poisson distributed besides.

    Parameters
    ----------
    od : DataArray (energy, y, x)
        Optical density without noise; coordinates in eV and µm.
    photons : float
        Incident counts per pixel at 508 eV, where the beamline gives most.
    poisson : bool
        Draw the counts from Poisson distributions.
    optical_density_sd : float
        Standard deviation of Gaussian noise in optical density.
    stray_light : float
        h: light that no sample absorbs, as a share of the true beam.
    halo_share, halo_um : float
        Share s of the beam in its halo, and the halo's standard deviation (µm).
    i0_error : float
        Relative standard deviation of the reported I0 about the true one, drawn once per energy and
        so common to all pixels.
    energy_shift_eV : float
        E(file axis) - E(beamline): the beam's spectrum is shifted with the axis.
    seed : int
        Seed of the noise, and (another stream) of the I0 error.
    source : str
        What the stack says that it is.

    Returns
    -------
    Exposure

    Raises
    ------
    StackError
        A parameter is impossible, or the optical density is no array (energy, y, x).

    Examples
    --------
    >>> od = xr.DataArray(np.zeros((2, 3, 4)), dims=("energy", "y", "x"),
    ...     coords={"energy": [510.0, 520.0], "y": np.arange(3.0), "x": np.arange(4.0)})
    >>> seen = expose(od, photons=100.0)
    >>> round(float(abs(seen.stack / seen.i0 - 1).max()), 6)
    0.0
    """
    _require_possible(photons, optical_density_sd, stray_light, halo_share, halo_um, i0_error, seed)
    if not isinstance(od, xr.DataArray) or od.dims != stacks.DIMS:
        raise StackError(
            f"an optical density has the dims {stacks.DIMS}, "
            f"got {getattr(od, 'dims', type(od).__name__)}",
            remedy="give a DataArray with energies in eV and axes in µm",
        )
    rng = np.random.default_rng(seed)
    axis = od["energy"].values.astype(np.float64)
    seen = od.values
    if stray_light or halo_share:
        through = _with_halo(od, halo_share, halo_um)
        seen = -np.log((through + stray_light) / (1 + stray_light))
    if optical_density_sd:
        seen = seen + rng.normal(0.0, optical_density_sd, seen.shape)
    i0 = photons * _incident(axis - energy_shift_eV)
    counts = i0[:, None, None] * np.exp(-seen)
    if poisson:
        counts = rng.poisson(counts).astype(np.float64)

    stack = stacks.build(
        counts,
        axis,
        od["y"].values,
        od["x"].values,
        quantity="counts",
        attrs={"source": source, "format": "simulated", "counter_divider": 1, "dwell_ms": 1.0},
    )
    error = i0_error * np.random.default_rng((seed, _I0_STREAM)).normal(size=axis.size)
    return Exposure(stack, _spectrum(i0 * (1 + error), axis), _spectrum(i0, axis))


def _with_halo(od: xr.DataArray, share: float, sd_um: float) -> np.ndarray:
    """Transmission seen with a share of the beam in a Gaussian of this standard deviation."""
    sharp = np.exp(-od.values)
    if not share:
        return sharp
    sigma = [
        sd_um / float(np.abs(np.diff(od[name].values)).mean()) if od.sizes[name] > 1 else 0.0
        for name in ("y", "x")
    ]
    # beyond the image the beam passes unhindered
    blurred = gaussian_filter(sharp, (0.0, *sigma), mode="constant", cval=1.0)
    return (1 - share) * sharp + share * blurred


def _incident(energy: np.ndarray) -> np.ndarray:
    """Incident flux, 1 at 508 eV: a slope, and the dip of oxidised mirrors at the O K edge."""
    above = energy - 531.0
    dip = 0.15 / (1 + np.exp(-above / 0.8)) * np.exp(-np.clip(above, 0, None) / 12)
    return np.exp(-0.004 * (energy - 508.0)) * (1 - dip)


def _spectrum(i0: np.ndarray, axis: np.ndarray) -> xr.DataArray:
    """Incident counts by ascending energy."""
    return xr.DataArray(
        i0, dims="energy", coords={"energy": axis}, name="i0", attrs={"units": "counts"}
    ).sortby("energy")


def _require_possible(
    photons: float,
    optical_density_sd: float,
    stray_light: float,
    halo_share: float,
    halo_um: float,
    i0_error: float,
    seed: int,
) -> None:
    """Refuse a beam or a detector that cannot be."""
    for name, value, right, wanted in (
        ("photons", photons, photons > 0, "must be positive"),
        ("the noise", optical_density_sd, optical_density_sd >= 0, "must be 0 or more"),
        ("stray_light", stray_light, 0 <= stray_light < 1, "must be in 0..1"),
        ("halo_share", halo_share, 0 <= halo_share <= 1, "must be in 0..1"),
        ("halo_um", halo_um, halo_um > 0, "must be positive"),
        ("i0_error", i0_error, 0 <= i0_error < 1, "must be in 0..1"),
        ("seed", seed, int(seed) == seed and seed >= 0, "must be a whole number >= 0"),
    ):
        if not (right and np.isfinite(value)):
            raise StackError(
                f"{name} {wanted}, not {value:g}", remedy="correct the simulation's arguments"
            )
