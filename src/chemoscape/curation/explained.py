"""How well spectra explain another one."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from chemoscape.errors import LibraryError
from chemoscape.standards.library import Library

#: Energies closer together than this (eV) do not count as more: a denser table is not better.
LEAST_STEP_EV = 0.2


def thinned(energy: np.ndarray, step: float = LEAST_STEP_EV) -> np.ndarray:
    """Energies of which none follows another by less than a step, from the lowest.

    Parameters
    ----------
    energy : ndarray, shape (n,)
        eV, ascending.
    step : float
        eV.

    Examples
    --------
    >>> thinned(np.array([1.0, 1.125, 1.25, 1.5, 2.5])).tolist()
    [1.0, 1.25, 1.5, 2.5]
    """
    kept = [float(energy[0])]
    for one in energy[1:]:
        if one - kept[-1] >= step - 1e-6:
            kept.append(float(one))
    return np.array(kept)


def own_energies(library: Library, margin: float = 0.0) -> np.ndarray:
    """Energies at which all standards can be compared: those of the standard with the fewest in the
    library's energy window, thinned to 0.2 eV.

    Parameters
    ----------
    library : Library
    margin : float
        How far (eV) to stay inside what the standards cover.

    Raises
    ------
    LibraryError
        Fewer than two energies are left.
    """
    low, high = library.energy_range
    window = library.energy_window or (low, high)
    low, high = max(low + margin, window[0]), min(high - margin, window[1])
    inside = [s.energy[(s.energy >= low) & (s.energy <= high)] for s in library.standards]
    coarsest = min(inside, key=len)
    if coarsest.size < 2:
        raise LibraryError(
            f"a standard has fewer than two energies from {low:g} to {high:g} eV",
            f"library {library.id!r}",
            "use standards measured over the same edge",
        )
    return thinned(coarsest)


def unexplained(target: np.ndarray, others: np.ndarray) -> tuple[float, np.ndarray]:
    """What is left of a spectrum after the best sum of others, none of them negative.

    ``min_{w >= 0, c} ||y - c - sum_k w_k s_k|| / ||y - mean(y)||``: both are taken less their mean,
    which is what a free constant amounts to.

    Parameters
    ----------
    target : ndarray, shape (n,)
    others : ndarray, shape (k, n)

    Returns
    -------
    float
        0 where the others explain all of it, 1 where they explain nothing.
    ndarray, shape (k,)
        The weights w.
    """
    y = target - target.mean()
    columns = others - others.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(columns, axis=1)
    lengths[lengths == 0] = 1.0
    norm = float(np.linalg.norm(y))
    if norm <= 1e-12 * float(np.linalg.norm(target)):
        return 0.0, np.zeros(len(others))
    weights, left = nnls((columns / lengths[:, None]).T, y / norm)
    return float(left), weights * norm / lengths
