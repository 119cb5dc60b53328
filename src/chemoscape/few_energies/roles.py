"""What each of a few images is for: before the edge, at a feature, after the edge."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.standards.library import Library

#: An image belongs to an energy that is named when it lies this near (eV).
NEAREST_EV = 0.5
#: The edge begins where the mean spectrum has risen by this share of its largest rise.
ONSET = 0.05
#: After the edge, spectra of equal mass differ by less than this, from there to the library's end.
ALIKE = 0.05

#: An energy in eV, none, or found by the library's spectra.
Named = Literal["auto"] | float | None


@dataclass(frozen=True)
class Roles:
    """Indices of the images along the energy axis; None where there is no such image."""

    features: tuple[int, ...]
    pre: int | None
    post: int | None


def roles_of(
    energy: np.ndarray,
    library: Library,
    *,
    shift: float = 0.0,
    pre: Named = "auto",
    post: Named = "auto",
) -> Roles:
    """Tell images before and after the edge from those at its features.

    Found by the library: before the edge is the last image below the energy where the mean of its
    spectra has risen by 5 % of its largest rise; after it the highest image, where it lies above
    the strongest absorption and the spectra agree within 5 % from there on, so that it shows
    thickness alone.

    Parameters
    ----------
    energy : ndarray, shape (n_energy,)
        eV, ascending.
    library : Library
    shift : float
        E(file axis) - E(library), eV.
    pre, post : "auto", float or None
        Their energies, eV; None for none.

    Raises
    ------
    RecipeError
        There is no image near an energy that was named, or none is left for the features.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> pair = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    >>> roles_of(np.array([508.0, 515.9, 517.2, 555.0]), pair)
    Roles(features=(1, 2), pre=0, post=3)
    """
    low, high = library.energy_range
    axis = np.linspace(low, high, 1001)
    mean = library.spectra(axis).values.mean(axis=0)
    at = np.clip(energy - shift, low, high)
    before = _before(at, axis, mean) if pre == "auto" else _named(energy, pre, "pre")
    if before is not None and at[before] > _onset(axis, mean):
        warnings.warn(
            f"the image at {energy[before]:.2f} eV is taken as before the edge, but the standards "
            f"rise from {_onset(axis, mean):.1f} eV on",
            ChemoscapeWarning,
            stacklevel=2,
        )
    after = _after(at, library, axis) if post == "auto" else _named(energy, post, "post")
    return _roles(energy, before, after)


def named_roles(energy: np.ndarray, *, pre: float | None, post: float | None) -> Roles:
    """The same where all is named, and no library is needed.

    Raises
    ------
    RecipeError
        As `roles_of`.
    """
    return _roles(energy, _named(energy, pre, "pre"), _named(energy, post, "post"))


def _roles(energy: np.ndarray, before: int | None, after: int | None) -> Roles:
    """Everything else is a feature."""
    # what lies before the image before the edge, or after that after it, is no feature either
    within = np.ones(energy.size, dtype=bool)
    if before is not None:
        within &= energy > energy[before]
    if after is not None and energy[after] > np.median(energy):
        within &= energy < energy[after]
    features = tuple(i for i in np.flatnonzero(within).tolist() if i not in (before, after))
    if not features:
        listed = ", ".join(f"{one:.2f}" for one in energy)
        raise RecipeError(
            f"of the images at {listed} eV none is left for a feature of the spectrum",
            remedy="measure one where the standards differ, or name pre and post in [few_energies]",
        )
    return Roles(features, before, after)


def _named(energy: np.ndarray, wanted: float | str | None, what: str) -> int | None:
    if wanted is None:
        return None
    nearest = int(np.abs(energy - float(wanted)).argmin())
    if abs(energy[nearest] - float(wanted)) > NEAREST_EV:
        raise RecipeError(
            f"there is no image near {float(wanted):g} eV, the energy given for {what}; the "
            f"nearest is at {energy[nearest]:.2f} eV",
            remedy="give the energy of an image",
        )
    return nearest


def _before(at: np.ndarray, axis: np.ndarray, mean: np.ndarray) -> int | None:
    """The last image below the onset of the edge."""
    below = np.flatnonzero(at < _onset(axis, mean))
    return int(below[-1]) if below.size else None


def _onset(axis: np.ndarray, mean: np.ndarray) -> float:
    """Where the mean spectrum has begun to rise, eV."""
    floor = float(mean[: max(mean.size // 50, 1)].min())
    return float(axis[int((mean - floor > ONSET * (mean.max() - floor)).argmax())])


def _after(at: np.ndarray, library: Library, axis: np.ndarray) -> int | None:
    """The highest image, if it shows thickness alone."""
    last = int(at.argmax())
    spectra = library.spectra(np.append(axis[axis > at[last]], at[last])).values
    mean = spectra.mean(axis=0)
    agree = (np.ptp(spectra, axis=0) < ALIKE * mean).all()
    strongest = library.spectra(axis).values.mean(axis=0).argmax()
    return last if agree and at[last] > axis[strongest] else None
