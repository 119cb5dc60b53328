"""Which reflections a crystal has, how many planes make each, and how strong they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.constants import physical_constants

from chemoscape.crystals.crystal import Crystal, require_sites
from chemoscape.crystals.metric import reciprocal_metric
from chemoscape.crystals.radiation import Radiation
from chemoscape.errors import FitError

#: Mean square displacement (Å2) where a CIF gives none: B = 8 π² U = 0.5 Å2.
DEFAULT_U = 0.5 / (8 * np.pi**2)
#: More reflections than a powder pattern can tell apart.
MOST = 20_000
_HC_EV_A = (
    physical_constants["Planck constant in eV/Hz"][0]
    * physical_constants["speed of light in vacuum"][0]
    * 1e10
)


@dataclass(frozen=True, eq=False)
class Reflections:
    """Reflections by falling spacing.

    Parameters
    ----------
    hkl : ndarray (n, 3) of int
        One of each set that symmetry and Friedel's law make of one another.
    multiplicity : ndarray (n,)
        How many planes are in the set.
    d : ndarray (n,)
        Spacings, Å.
    """

    hkl: np.ndarray
    multiplicity: np.ndarray
    d: np.ndarray

    def __len__(self) -> int:
        """How many there are."""
        return len(self.hkl)


def reflections(crystal: Crystal, d_min: float, d_max: float = np.inf) -> Reflections:
    """Reflections of a crystal that its symmetry allows.

        1/d² = hᵀ G* h

    Parameters
    ----------
    crystal : Crystal
    d_min, d_max : float
        Spacings, Å.

    Raises
    ------
    FitError
        There are more than 20 000.
    """
    limits = [int(np.ceil(length / d_min)) for length in crystal.cell[:3]]
    if crystal.volume / d_min**3 * 4.2 > 40 * MOST:
        raise FitError(
            f"has far too many reflections down to {d_min:.2f} Å",
            crystal.name,
            "cut the pattern at a lower angle",
        )
    axes = [np.arange(-n, n + 1) for n in limits]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.einsum("ni,ij,nj->n", hkl, reciprocal_metric(crystal.cell), hkl)
    keep = (inverse > d_max**-2) & (inverse <= d_min**-2) & (inverse > 0)
    hkl, inverse = hkl[keep], inverse[keep]
    if not len(hkl):
        return Reflections(np.empty((0, 3), int), np.empty(0), np.empty(0))
    # a set is known by its largest member; the number of members is the multiplicity
    point = np.unique(np.rint(crystal.rotations).astype(int), axis=0)
    point = np.concatenate([point, -point])
    base = 2 * max(limits) * 8 + 1
    key = np.array([base * base, base, 1])
    codes = np.stack([(hkl @ rotation) @ key for rotation in point], axis=1)
    first = codes.max(axis=1) == hkl @ key
    hkl, inverse, codes = hkl[first], inverse[first], np.sort(codes[first], axis=1)
    multiplicity = 1 + (np.diff(codes, axis=1) != 0).sum(axis=1)
    absent = crystal.group_ops().systematic_absences(hkl.astype(np.int32))
    hkl, inverse, multiplicity = hkl[~absent], inverse[~absent], multiplicity[~absent]
    if len(hkl) > MOST:
        raise FitError(
            f"has {len(hkl)} reflections down to {d_min:.2f} Å",
            crystal.name,
            "cut the pattern at a lower angle",
        )
    order = np.argsort(inverse, kind="stable")
    return Reflections(hkl[order], multiplicity[order].astype(float), inverse[order] ** -0.5)


def spacings(hkl: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """Spacings (Å) of reflections for a reciprocal metric; NaN where it is none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.einsum("ni,ij,nj->n", hkl, reciprocal, hkl) ** -0.5)


def squared_factors(
    crystal: Crystal, found: Reflections, rays: Radiation, *, anomalous: bool = True
) -> np.ndarray:
    """|F|² of reflections, in electrons², the mean of a reflection and its Friedel mate.

        F(h) = Σ_j o_j [f_j(s) + f'_j + i f''_j] exp(-8π² U_j s²) exp(2πi h·r_j),   s = 1 / 2d

    Form factors are those of neutral atoms (International Tables C) and f', f'' those of Cromer and
    Liberman, both of gemmi. U is isotropic; where the file has none, B = 0.5 Å2.

    Parameters
    ----------
    crystal : Crystal
    found : Reflections
    rays : Radiation
        For f' and f'' at its strongest line.
    anomalous : bool
        False to leave f' and f'' out.

    Raises
    ------
    LibraryError
        The crystal lists no atoms.
    """
    import gemmi

    require_sites(crystal)
    s2 = 1 / (4 * found.d**2)
    sums = np.zeros((2, len(found)), complex)
    for site, places in crystal.atoms():
        element = gemmi.Element(site.element)
        form = np.array([element.it92.calculate_sf(one) for one in s2])
        real, imaginary = 0.0, 0.0
        if anomalous and element.atomic_number > 2:
            energy = _HC_EV_A / rays.wavelength
            real, imaginary = gemmi.cromer_liberman(z=element.atomic_number, energy=energy)
        u = site.u_iso if site.u_iso > 0 else DEFAULT_U
        weight = site.occupancy * np.exp(-8 * np.pi**2 * u * s2)
        phase = np.exp(2j * np.pi * (found.hkl @ places.T)).sum(axis=1)
        for k, waves in enumerate((phase, phase.conj())):
            sums[k] += weight * (form + real + 1j * imaginary) * waves
    return np.asarray((np.abs(sums) ** 2).mean(axis=0))


def relative_intensities(crystal: Crystal, found: Reflections, rays: Radiation) -> np.ndarray:
    """Integrated intensities of reflections in a powder, on one arbitrary scale.

        I = m |F|² (1 + cos² 2θ) / (sin² θ cos θ)

    For the geometry of Bragg and Brentano without a monochromator; polarised radiation lacks the
    factor with 2θ. Absorption, extinction and preferred orientation are left out.
    """
    theta = np.radians(rays.two_theta(found.d)) / 2
    lorentz = 1 / (np.sin(theta) ** 2 * np.cos(theta))
    if not rays.polarised:
        lorentz = lorentz * (1 + np.cos(2 * theta) ** 2)
    return np.asarray(found.multiplicity * squared_factors(crystal, found, rays) * lorentz)
