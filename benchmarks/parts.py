"""Non-negative matrix analysis: what a sweep costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import phantoms
import xarray as xr
from measure import best, heading, row, side_by_side
from sklearn.decomposition import NMF

import chemoscape as cs

PARTS = 5
SWEEPS = 30


def sample(n_pixels: int = 100_000, n_energy: int = 120) -> tuple[xr.Dataset, xr.Dataset]:
    """Optical densities, and the clusters that the search starts from."""
    od = cs.optical_density(phantoms.core_shell(n_pixels, n_energy, photons=20_000))
    return od, cs.cluster(od, cs.principal_components(od), n_clusters=PARTS)


def unexplained(parts: xr.Dataset) -> str:
    """What is left of the sum of squares."""
    return f"unexplained {1e3 * (1 - parts.attrs['explained_share']):.3f} ‰ after {SWEEPS}"


def sweeps(od: xr.Dataset, groups: xr.Dataset, n: int) -> Callable[[], xr.Dataset]:
    """So many sweeps over all pixels."""
    everywhere = xr.ones_like(od["optical_density"][0], dtype=bool).drop_vars("energy")
    return lambda: cs.factorise(
        od, PARTS, similar_to=groups, mask=everywhere, max_sweeps=n, tolerance=0.0
    )


def factorisation() -> None:
    """A sweep of the factorisation, 100,000 pixels × 120 energies, five parts."""
    od, groups = sample()
    values = od["optical_density"].values
    sweeps(od, groups, 2)()  # compile
    heading(f"factorisation (NNMA), 100,000 × 120, {PARTS} parts, a sweep")
    few, many = side_by_side([sweeps(od, groups, 1), sweeps(od, groups, 21)], 3)
    seconds = (many.seconds - few.seconds) / 20
    row("non-negative parts", seconds, memory=unexplained(sweeps(od, groups, SWEEPS)()))

    pixels = np.ascontiguousarray(np.maximum(values.reshape(len(values), -1).T, 0))  # it needs >= 0
    spectra = np.maximum(groups["spectrum"].values, 0).astype(np.float32)
    weights = np.random.default_rng(0).random((len(pixels), PARTS), dtype=np.float32)
    model = NMF(PARTS, init="custom", max_iter=SWEEPS, tol=0.0)
    found: list[np.ndarray] = []

    def peer() -> None:
        found[:] = [model.fit_transform(pixels, W=weights.copy(), H=spectra.copy())]

    each = best(peer, 1) / SWEEPS
    flat = values.reshape(len(values), -1).T
    left = float(((flat - found[0] @ model.components_) ** 2).sum(dtype=float))
    left /= float((flat**2).sum(dtype=float))
    note = f"unexplained {1e3 * left:.3f} ‰ after {SWEEPS}"
    row("  scikit-learn's NMF (cd)", each, f"{each / seconds:.1f} × ours", "", note)
