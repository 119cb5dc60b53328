"""From optical density to maps of standards, principal components and clusters."""

from __future__ import annotations

import limits
import numpy as np
import xarray as xr
from measure import best, heading, row, side_by_side
from scipy.optimize import nnls
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LinearRegression
from targets import LEAST_SQUARES, NNLS, NNLS_LOOP, ONE_PASS, PCA

import chemoscape as cs
from chemoscape.blocks import n_workers

#: One pixel in so many goes through the loops of the peers; their time is scaled up.
SAMPLED = 499
CLUSTERS = 5
#: What a fit is asked for; where it is lazy the rest is not computed.
ASKED = ["weight", "residual", "reduced_chi2"]


def pixels_of(od: xr.Dataset, every: int = 1) -> np.ndarray:
    """Optical densities (pixel, energy), one pixel in `every`."""
    flat = od["optical_density"].values.reshape(od.sizes["energy"], -1)
    return np.ascontiguousarray(flat[:, ::every].T)


def fits(od: xr.Dataset) -> None:
    """Fits of the six standards in memory; every map that a fit gives is computed."""
    values = od["optical_density"].values
    n_pixels = values[0].size
    library = cs.open_library("lixv2o5-model")
    read = limits.read(values)
    heading("fits of six standards, with residual and reduced chi²")
    for what, nonnegative, weights, baseline, target in [
        ("least squares, equal weights", False, "uniform", None, LEAST_SQUARES),
        ("NNLS, equal weights", True, "uniform", None, NNLS),
        ("NNLS, weighted by 1/variance (no aim)", True, "variance", None, None),
        (
            "NNLS, equal weights, and a constant (no aim)",
            True,
            "uniform",
            "constant",
            None,
        ),
        (
            "NNLS as in a run: 1/variance, a constant (no aim)",
            True,
            "variance",
            "constant",
            None,
        ),
    ]:

        def fit(od: xr.Dataset = od, **more: object) -> object:
            return cs.deconvolve(od, library, energy_shift=0.0, **more)  # type: ignore[arg-type]

        how = {"nonnegative": nonnegative, "weights": weights, "baseline": baseline}
        fit(od.isel(y=slice(0, 40)), **how)  # compile
        limits.step(what, lambda how=how, fit=fit: fit(**how), read, target, stack=values, repeat=2)
    model = library.spectra(od.energy.values).values.T.astype(float)
    some = pixels_of(od, SAMPLED).astype(float)
    share = n_pixels / len(some)
    regression = LinearRegression(positive=True, fit_intercept=False)
    ours, loop, sklearn = side_by_side(
        [
            lambda: cs.deconvolve(od, library, energy_shift=0.0, weights="uniform", baseline=None),
            lambda: [nnls(model, pixel) for pixel in some],
            lambda: regression.fit(model, some.T),
        ],
        2,
    )
    factor = share * loop.seconds / ours.seconds
    name = "  a scipy.optimize.nnls loop"
    row(name, share * loop.seconds, f"{factor:.1f} × NNLS, equal", NNLS_LOOP.judge(factor))
    text = f"{share * sklearn.seconds / ours.seconds:.1f} × NNLS, equal"
    row("  scikit-learn, LinearRegression(positive)", share * sklearn.seconds, text)


def components(od: xr.Dataset) -> None:
    """Principal components and clusters of the scores."""
    values = od["optical_density"].values
    n_energy, n_pixels = len(values), values[0].size
    heading("principal components and clusters")
    small = od.isel(y=slice(0, None, 4), x=slice(0, None, 4))
    cs.cluster(small, cs.principal_components(small), n_clusters=CLUSTERS)  # compile
    seconds = limits.step(
        "principal components, ten scores, five rank criteria",
        lambda: cs.principal_components(od),
        limits.gram(n_pixels, n_energy),
        PCA,
        stack=values,
        repeat=2,
    )
    some = pixels_of(od, 10)
    share = n_pixels / len(some)
    peer = share * best(lambda: TruncatedSVD(10, random_state=0).fit_transform(some), 1)
    row("  scikit-learn's truncated SVD, without criteria", peer, f"{peer / seconds:.1f} × ours")

    pcs = cs.principal_components(od)
    groups = cs.cluster(od, pcs, n_clusters=CLUSTERS)
    feature = groups["feature"].values.reshape(groups.sizes["feature_axis"], -1).T
    seen = np.ascontiguousarray(feature[np.isfinite(feature).all(axis=1)])
    clusters, peer_cost = side_by_side(
        [
            lambda: cs.cluster(od, pcs, n_clusters=CLUSTERS),
            lambda: KMeans(CLUSTERS, n_init=10, random_state=0).fit(seen),
        ],
        2,
    )
    what = f"k-means, {CLUSTERS} clusters, their spectra, silhouette, tree"
    row(what, clusters.seconds, f"{len(seen):,} pixels", memory="")
    factor = peer_cost.seconds / clusters.seconds
    row(
        "  scikit-learn's KMeans, ten starts, labels alone",
        peer_cost.seconds,
        f"{factor:.1f} × ours",
    )


def one_pass(stack: xr.DataArray) -> None:
    """Counts to weights, residual and reduced chi² of a Dask-backed stack in memory: optical
    density and variance are never whole.
    """
    values = stack.values
    library = cs.open_library("lixv2o5-model")
    rows = max(stack.sizes["y"] // (8 * n_workers()), 1)
    lazy = stack.chunk({"energy": -1, "y": rows, "x": -1})
    found = cs.optical_density(stack)
    known = {
        "i0": (stack.energy.values, found["i0"].values),
        "noise": float(found.attrs["noise_counts_per_unit"]),
    }
    del found
    heading("counts to weights and residual in one pass, by Dask")
    read = limits.read(values)

    def work(lazy: xr.DataArray = lazy, **more: object) -> object:
        od = cs.optical_density(lazy, **more)  # type: ignore[arg-type]
        return cs.deconvolve(od, library, energy_shift=0.0)[ASKED].compute()

    work(lazy[:, : 2 * rows], **known)  # compile
    for what, more, target in [
        ("I0 and noise known, weighted, a constant", known, ONE_PASS),
        ("I0 and noise found first (no aim)", {}, None),
    ]:
        limits.step(what, lambda more=more: work(**more), read, target, stack=values, repeat=2)
