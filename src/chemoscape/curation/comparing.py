"""Standards compared: how well their selection is conditioned, what each adds, what noise hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.curation.explained import own_energies, unexplained
from chemoscape.curation.separability import Separability, separability
from chemoscape.errors import LibraryError
from chemoscape.standards.library import Library


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a selection of standards is worth.

    Parameters
    ----------
    names : tuple of str
    condition : float
        Condition number of the spectra, each of unit length, no baseline; NaN for a single one.
    left : ndarray, shape (K,)
        Share of the norm of each (less its mean) that a non-negative sum of the others and a
        constant leave; 1 for a single one.
    separability : Separability
        At the noise that was asked for.
    """

    names: tuple[str, ...]
    condition: float
    left: np.ndarray
    separability: Separability

    def __str__(self) -> str:
        width = max(map(len, self.names))
        rows = [f"condition number {self.condition:.3g}", "", "left by the others, per cent"]
        rows += [
            f"{name:<{width}}  {100 * left:6.2g}"
            for name, left in zip(self.names, self.left, strict=True)
        ]
        return "\n".join([*rows, "", str(self.separability)])


def condition_of(spectra: np.ndarray) -> float:
    """Condition number of spectra (K, n_energy), each divided by its length."""
    lengths = np.linalg.norm(spectra, axis=1, keepdims=True)
    return float(np.linalg.cond(spectra / np.where(lengths > 0, lengths, 1.0)))


def compare(library: Library, *, noise: float = 0.01) -> Comparison:
    """Compare the standards of a library with each other.

    Parameters
    ----------
    library : Library
    noise : float
        Standard deviation per energy of the spectra to be fitted, relative to their peak.

    Raises
    ------
    FitError
        The noise is not positive, or there are too few energies.
    LibraryError
        They have no energies in common, or one is constant there.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> found = compare(open_library("lixv2o5-model"))
    >>> round(found.condition), round(float(found.left.min()), 3)
    (148, 0.055)
    """
    energy = own_energies(library)
    spectra = library.spectra(energy).values
    for one, values in zip(library.standards, spectra, strict=True):
        if not np.ptp(values) > 0:
            raise LibraryError(
                f"is constant from {energy[0]:g} to {energy[-1]:g} eV",
                f"standard {one.id!r}",
                "leave it out",
            )
    several = len(spectra) > 1
    left = [
        unexplained(one, np.delete(spectra, k, axis=0))[0] if several else 1.0
        for k, one in enumerate(spectra)
    ]
    return Comparison(
        tuple(library.names),
        condition_of(spectra) if several else float("nan"),
        np.array(left),
        separability(library, noise=noise),
    )
