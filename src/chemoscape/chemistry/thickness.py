"""Thickness from the weights of the standards, and where there is enough of it."""

from __future__ import annotations

import numpy as np

from chemoscape.decompose.maps import unpacked
from chemoscape.standards.library import Library

#: A pixel has a composition where its thickness exceeds its own error and a share of the thick
#: parts.
THICKNESS_SDS = 5.0
THICKNESS_SHARE = 0.10
NM_PER_CM = 1e7


def in_nm(library: Library) -> bool:
    """Whether weights are areal masses of known density."""
    return library.mass_scale and bool(np.isfinite(library.density).all())


def thickness_per_weight(library: Library) -> np.ndarray:
    """nm per (g/cm²) of each standard, or 1 where a density or the scale is missing."""
    return NM_PER_CM / library.density if in_nm(library) else np.ones(len(library.names))


def thickness_and_sd(weights: np.ndarray, packed: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Thickness and its standard deviation (2, rows, x); a pixel without a fit holds no mass."""
    covariance = unpacked(np.nan_to_num(packed))
    return np.stack([thickness_of(np.nan_to_num(weights), factor), sd_of(covariance, factor)])


def thickness_of(weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Thickness: sum of the weights, each with its factor."""
    return np.tensordot(factor, weights, axes=1)


def sd_of(covariance: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Standard deviation of the thickness."""
    return np.sqrt(np.einsum("i,ij...,j->...", factor, covariance, factor).clip(min=0))


def scale_sd(thickness: np.ndarray, library: Library) -> float:
    """Relative standard deviation of all thicknesses together, by the standards' mass scales.

    Parameters
    ----------
    thickness : ndarray, shape (n_standards,)
        Sum over the pixels of each standard's part.
    """
    if not library.mass_scale or not thickness.sum() > 0:
        return 0.0
    share = thickness / thickness.sum()
    scaling = [standard.record.scaling for standard in library.standards]
    own, background, tables = (
        np.nan_to_num([getattr(one, name) for one in scaling])
        for name in ("uncertainty", "background", "table_difference")
    )
    independent = (share**2 * np.maximum(own**2 - background**2, 0)).sum()
    return float(np.sqrt(independent + (share @ background) ** 2 + (share @ tables) ** 2))


def is_thick(thickness: np.ndarray, sd: np.ndarray, least: float) -> np.ndarray:
    """Where there is enough sample for a composition."""
    least = max(least, THICKNESS_SHARE * float(np.percentile(thickness, 95)))
    return (thickness > THICKNESS_SDS * sd) & (thickness > least)
