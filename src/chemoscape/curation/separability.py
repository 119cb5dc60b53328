"""What a library can tell apart at a given noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.curation.explained import own_energies
from chemoscape.errors import FitError, LibraryError
from chemoscape.standards.library import Library

#: Standard deviation of a fraction beyond which two standards cannot be told apart: the pure ones
#: then lie less than three standard deviations apart.
INSEPARABLE = 1 / 3


@dataclass(frozen=True, eq=False)
class Separability:
    """How well fractions of standards can be known from one spectrum.

    Parameters
    ----------
    names : tuple of str
    noise : float
        Standard deviation at every energy, relative to the peak optical density.
    energy : ndarray, shape (n_energy,)
        eV.
    pair_sd : ndarray, shape (K, K)
        Standard deviation of the fraction f of two standards mixed half and half, NaN on the
        diagonal.
    others_sd : ndarray, shape (K,)
        The same of each standard's fraction in an equal mixture of all, all weights free.

    Notes
    -----
    All are proportional to the noise, to first order: a number beyond 1 says that nothing is known.
    """

    names: tuple[str, ...]
    noise: float
    energy: np.ndarray
    pair_sd: np.ndarray
    others_sd: np.ndarray

    @property
    def inseparable(self) -> tuple[tuple[str, str], ...]:
        """Pairs that cannot be told apart."""
        rows, columns = np.nonzero(np.triu(np.nan_to_num(self.pair_sd), 1) > INSEPARABLE)
        return tuple((self.names[i], self.names[j]) for i, j in zip(rows, columns, strict=True))

    @property
    def worst_pair_sd(self) -> float:
        """Largest standard deviation of a pair's fraction; NaN for a single standard."""
        known = self.pair_sd[~np.isnan(self.pair_sd)]
        return float(known.max()) if known.size else float("nan")

    @property
    def needed_noise(self) -> np.ndarray:
        """Noise at which each pair could just be told apart, (K, K)."""
        with np.errstate(divide="ignore"):
            return self.noise * INSEPARABLE / self.pair_sd

    def sentence(self, one: str, other: str) -> str:
        """Whether two standards can be told apart, and at which noise."""
        i, j = self.names.index(one), self.names.index(other)
        sd, needed = self.pair_sd[i, j], self.needed_noise[i, j]
        head = f"with {100 * self.noise:.3g} % noise {one} and {other}"
        if sd > INSEPARABLE:
            if needed == 0:
                return f"{head} cannot be told apart, nor at any other: they are the same"
            return f"{head} cannot be told apart (below {100 * needed:.2g} % they could)"
        return f"{head} can be told apart: their fraction is known to ± {sd:.2g}"

    def __str__(self) -> str:
        width = max(map(len, self.names))
        rows = [
            f"standard deviation of fractions at {100 * self.noise:.3g} % noise, "
            f"{self.energy.size} energies"
        ]
        for i, name in enumerate(self.names):
            pairs = "  ".join(
                "     -" if i == j else f"{sd:6.2g}" for j, sd in enumerate(self.pair_sd[i])
            )
            rows.append(f"{name:<{width}}  {pairs}  all: {self.others_sd[i]:.2g}")
        return "\n".join([*rows, *(self.sentence(*pair) for pair in self.inseparable)])


def separability(
    library: Library,
    *,
    noise: float = 0.01,
    energy: ArrayLike | None = None,
    n_energy: int | None = None,
) -> Separability:
    """How well the standards of a library can be told apart in one spectrum.

    For ``y = sum_k w_k s_k + c`` with white noise, thickness and constant free. Weights have the
    covariance ``sd² (X^T X)^-1`` with X the spectra less their means, fractions
    ``f_k = w_k / sum_j w_j`` by the delta method that of ``(δ_jk - f_k) / sum_j w_j``. The
    thickness does not matter: the noise is relative to the peak optical density.

    Parameters
    ----------
    library : Library
        Spectra in cm2/g give fractions of mass; optical densities are each divided by their range
        first, since their thickness means nothing.
    noise : float
        Standard deviation at each energy over the peak optical density of the mixture.
    energy : array_like, optional
        Energies of the measurement, eV. Default: those of the library's coarsest standard in its
        energy window, thinned to 0.2 eV, so that a finer table does not look better.
    n_energy : int, optional
        As many energies, evenly spaced over the window, instead.

    Raises
    ------
    FitError
        The noise is not positive, both energies and their number are given, or there are fewer
        energies than unknowns.
    LibraryError
        The library does not cover the energies.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> smooth = open_library("lixv2o5-model-smooth")
    >>> told = separability(smooth.select("alpha-V2O5", "epsilon-Li0.45V2O5"))
    >>> print(told.sentence("alpha-V2O5", "epsilon-Li0.45V2O5"))
    with 1 % noise alpha-V2O5 and epsilon-Li0.45V2O5 can be told apart: ...
    """
    if not (noise > 0 and np.isfinite(noise)):
        raise FitError(f"the noise is {noise!r}", remedy="give a number > 0, such as 0.01")
    at = _energies(library, energy, n_energy)
    spectra = library.spectra(at).values
    if not library.mass_scale:
        ranges = np.ptp(spectra, axis=1, keepdims=True)
        if not (ranges > 0).all():
            raise LibraryError("a standard is constant at these energies", remedy="leave it out")
        spectra = (spectra - spectra.min(axis=1, keepdims=True)) / ranges
    n = len(spectra)
    if at.size < n + 1:
        raise FitError(
            f"{at.size} energies cannot determine {n} standards and a constant",
            remedy="give more energies or fewer standards",
        )
    pairs = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i):
            pairs[i, j] = pairs[j, i] = fraction_sd(spectra[[i, j]], noise)[0]
    return Separability(tuple(library.names), noise, at, pairs, fraction_sd(spectra, noise))


def _energies(library: Library, energy: ArrayLike | None, n_energy: int | None) -> np.ndarray:
    """Energies of the measurement."""
    if energy is not None and n_energy is not None:
        raise FitError("both energies and their number are given", remedy="give one of them")
    if energy is not None:
        return np.atleast_1d(np.asarray(energy, dtype=np.float64))
    if n_energy is None:
        return own_energies(library)
    low, high = library.energy_range
    window = library.energy_window or (low, high)
    return np.linspace(max(low, window[0]), min(high, window[1]), n_energy)


def fraction_sd(spectra: np.ndarray, noise: float) -> np.ndarray:
    """Standard deviation of each standard's fraction in their equal mixture.

    Parameters
    ----------
    spectra : ndarray, shape (K, n_energy)
    noise : float
        Relative to the highest value of the mixture.

    Returns
    -------
    ndarray, shape (K,)
        Infinite where spectra depend on each other; NaN for a single one.
    """
    n = len(spectra)
    if n == 1:
        return np.array([np.nan])
    mixture = spectra.mean(axis=0)  # w_k = 1 / K
    centred = (spectra - spectra.mean(axis=1, keepdims=True)).T
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    gradient = np.eye(n) - 1 / n  # d f_k / d w_j where the weights sum to one
    along = right @ gradient.T
    lost = sizes <= 1e-10 * sizes[0]
    variance = (along[~lost] ** 2 / sizes[~lost, None] ** 2).sum(axis=0)
    variance[(np.abs(along[lost]) > 1e-8).any(axis=0)] = np.inf
    return np.asarray(noise * mixture.max() * np.sqrt(variance))
