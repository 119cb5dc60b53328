"""The dose that a stack cost its sample."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.constants import e as JOULE_PER_EV

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import LibraryError, StackError
from chemoscape.preprocess import _change
from chemoscape.standards.atomic import mass_absorption
from chemoscape.standards.library import Library, require_library
from chemoscape.standards.mixing import amounts, molar_mass

#: Without a mass scale, absorption is that of atoms in so much of the scan at either end.
END_SHARE = 0.1
#: An edge raises tabulated absorption by this factor or more.
EDGE = 1.5
#: What the number leaves out.
LEFT_OUT = (
    "beam on the sample while the detector does not count (moves, line returns, focusing) or for "
    "frames that the stack does not hold, a beam "
    "wider than the pixel, absorbed energy that leaves as fluorescence or electrons, and a support "
    "that absorbs"
)

_CM2_PER_UM2, _KG_PER_G, _GRAY_PER_MGY = 1e-8, 1e-3, 1e6


def dose_map(
    od: xr.Dataset, library: Library | None = None, *, efficiency: float = 1.0
) -> xr.DataArray:
    r"""Dose absorbed by every pixel during the stack: absorbed energy over mass.

    .. math:: \mathrm{dose} = \frac{\sum_j (I_{0,j}\, g/η)\, E_j\, (1 - e^{-\mathrm{OD}_j})}{σ A}

    with ``I0 g`` the counted photons of the empty beam in one pixel, η the share of photons that is
    counted, A the pixel's area and σ its areal mass. σ is the optical density over the sample's
    mean mass absorption μ, in least squares over all energies; μ is the mixture of standards that
    fits the mean spectrum. In a film so thin that it does not shade itself the dose is
    ``Σ photons/area · E μ``, whatever the mass (attribute ``skin_MGy``).

    Parameters
    ----------
    od : Dataset of `optical_density`
        With I0 (made from counts).
    library : Library
        Standards in cm2/g, or with formulas: then σ follows from tabulated absorption at both ends
        of the scan, away from resonances.
    efficiency : float
        η: counts per photon that arrives at the detector.

    Returns
    -------
    DataArray (y, x)
        MGy (1 Gy = 1 J/kg), NaN outside the sample. Attributes: ``units``, ``long_name``,
        ``skin_MGy``, ``efficiency``, ``photons_per_um2``, ``left_out`` (what the number does not
        contain).

    Raises
    ------
    StackError
        The incident photons are not known, there is no sample, or `efficiency` is no share.
    LibraryError
        Nothing says how much the sample absorbs per mass.
    """
    from chemoscape.preprocess.absorbance import sample_mask

    if not (np.isfinite(efficiency) and 0 < efficiency <= 1):
        raise StackError(
            f"an efficiency of {efficiency} is impossible", remedy="give a share, such as 0.3"
        )
    gain = float(od.attrs.get("noise_counts_per_unit", np.nan))
    if "i0" not in od or not np.isfinite(gain):
        raise StackError(
            "the dose needs the photons of the incident beam, and no counts were given",
            remedy="make the optical density from counts",
        )
    if library is None:
        raise LibraryError(
            "the dose needs the sample's absorption per mass",
            remedy="give a library in cm2/g, or one whose standards have formulas",
        )
    library = require_library(library)
    sample = sample_mask(od).values & _change.complete(od)
    if not sample.any():
        raise StackError(
            "no pixel has sample and a value at every energy", remedy="look at the optical density"
        )
    energy = od["energy"].values
    spectrum = _change.MeanSpectrum.of(od, sample)
    mu, weights = _absorption(spectrum, library)  # cm2/g; weights that turn OD into g/cm2

    dy, dx = stacks.pixel_size(od)
    photons = od["i0"].values * gain / efficiency  # in one pixel, per frame
    joules = photons * energy * JOULE_PER_EV

    def work(band: np.ndarray) -> np.ndarray:
        absorbed, mass = np.zeros(band.shape[1:]), np.zeros(band.shape[1:])
        for j, frame in enumerate(band):
            absorbed -= joules[j] * np.expm1(-frame.astype(np.float64))
            mass += weights[j] * np.where(np.isfinite(frame), frame, 0.0)
        return np.stack([absorbed, mass])

    both = blocks.map_blocks(work, od["optical_density"].data, leading=(2,), dtype=np.float64)
    absorbed, mass = np.asarray(both.compute() if blocks.is_lazy(both) else both)
    kilograms = mass * dy * dx * _CM2_PER_UM2 * _KG_PER_G
    with np.errstate(divide="ignore", invalid="ignore"):
        dose = np.where(sample & (mass > 0), absorbed / kilograms / _GRAY_PER_MGY, np.nan)
    per_cm2 = joules / (dy * dx * _CM2_PER_UM2)
    known = np.isfinite(mu)
    # what the library does not cover absorbs as the mean spectrum says, scaled to the mass
    full = np.where(known, mu, spectrum.density / max(float(weights @ spectrum.density), 1e-30))
    skin = float((per_cm2 * full).sum()) / _KG_PER_G / _GRAY_PER_MGY
    return xr.DataArray(
        dose,
        dims=("y", "x"),
        coords={"y": od["y"], "x": od["x"]},
        name="dose",
        attrs={
            "units": "MGy",
            "long_name": "absorbed dose",
            "skin_MGy": skin,
            "efficiency": float(efficiency),
            "photons_per_um2": float(photons.sum() / (dy * dx)),
            "left_out": LEFT_OUT,
        },
    )


def _absorption(spectrum: _change.MeanSpectrum, library: Library) -> tuple[np.ndarray, np.ndarray]:
    """Mass absorption (n_energy,) in cm2/g of the mean sample, NaN where unknown, and weights with
    which its optical density sums to its areal mass.
    """
    shift = _change.fitted_shift(spectrum, library)
    covered = library.covers(spectrum.energy, shift)
    if covered.sum() < 2:
        raise LibraryError(
            "covers fewer than two energies of the stack",
            f"library {library.id!r}",
            "use one that was measured over the same edge",
        )
    present = _change.Sample.of(spectrum.at(covered), library, shift)
    mu, weights = np.full(spectrum.energy.size, np.nan), np.zeros(spectrum.energy.size)
    if library.mass_scale:
        mu[covered] = present.density / present.total
        weights[covered] = mu[covered] / (mu[covered] ** 2).sum()
        return mu, weights
    shares = amounts(present.weights, library.molar_mass)
    table = _tabulated(spectrum.energy, library, shares / shares.sum())
    few = max(round(END_SHARE * spectrum.energy.size), 1)
    low, high = slice(0, few), slice(spectrum.energy.size - few, None)
    rise = table[high].mean() - table[low].mean()
    if table[high].mean() > EDGE * table[low].mean():  # an offset cancels in the difference
        weights[high], weights[low] = 1 / few / rise, -1 / few / rise
    else:
        weights[low] = weights[high] = 0.5 / few / np.mean([table[low].mean(), table[high].mean()])
    return spectrum.density / float(weights @ spectrum.density), weights


def _tabulated(energy: np.ndarray, library: Library, shares: np.ndarray) -> np.ndarray:
    """Tabulated mass absorption (cm2/g) of a mixture, by shares of its formula units."""
    total, mass = np.zeros(energy.size), 0.0
    for standard, share in zip(library.standards, shares, strict=True):
        if share == 0:
            continue
        if not standard.formula:
            raise LibraryError(
                "the dose needs absorption per mass, and this standard is neither in cm2/g nor has "
                "it a formula",
                f"standard {standard.id!r}",
                "write its formula into library.toml",
            )
        per_mole = share * molar_mass(standard.formula)
        total += per_mole * mass_absorption(standard.formula, energy)
        mass += per_mole
    return total / mass
