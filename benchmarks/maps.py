"""From optical density to maps of standards and to principal components."""

from __future__ import annotations

import limits
import numpy as np
import xarray as xr
from measure import best, heading, row
from scipy.optimize import nnls
from sklearn.decomposition import TruncatedSVD
from targets import LEAST_SQUARES, NNLS, NNLS_LOOP, PCA

import chemoscape as cs

#: One pixel in so many goes through the loops of the peers; their time is scaled up.
SAMPLED = 499


def decompose(od: xr.Dataset) -> None:
    """Fits of standards and principal components of optical densities with their variance."""
    values = od["optical_density"].values
    n_energy, n_pixels = len(values), values[0].size
    library = cs.open_library("lixv2o5-model")
    model = library.spectra(od.energy.values).values.T.astype(float)
    read = limits.read(values)
    heading("decomposition")
    for what, nonnegative, target in [
        ("least squares, weighted, covariance, residual", False, LEAST_SQUARES),
        ("NNLS, 6 standards, weighted, covariance, residual", True, NNLS),
    ]:

        def fit(od: xr.Dataset = od, nonnegative: bool = nonnegative) -> object:
            return cs.deconvolve(od, library, nonnegative=nonnegative, energy_shift=0.0)

        fit(od.isel(y=slice(0, 40)))  # compile
        seconds = limits.step(what, fit, read, target, stack=values, repeat=2)
    some = values.reshape(n_energy, -1)[:, ::SAMPLED].T.astype(float)
    peer = best(lambda: [nnls(model, pixel) for pixel in some], 2) * n_pixels / len(some)
    factor = peer / seconds
    row("  a scipy.optimize.nnls loop", peer, f"{factor:.0f} × ours", NNLS_LOOP.judge(factor))

    seconds = limits.step(
        "principal components, five rank criteria",
        lambda: cs.principal_components(od),
        limits.gram(n_pixels, n_energy),
        PCA,
        stack=values,
        repeat=2,
    )
    pixels = np.ascontiguousarray(values.reshape(n_energy, -1)[:, ::10].T)
    peer = best(lambda: TruncatedSVD(10, random_state=0).fit_transform(pixels), 1)
    peer *= n_pixels / len(pixels)
    factor = peer / seconds
    row("  scikit-learn's truncated SVD, without criteria", peer, f"{factor:.1f} × ours")
