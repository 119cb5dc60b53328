"""Least squares, principal components, clusters and factorisation by other programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import parts
import phantoms
import xarray as xr
from asking import Jobs, Peers, in_turn, show
from measure import failed, heading, row, side_by_side
from targets import (
    KMEANS_MANTIS,
    LEAST_SQUARES_MANTIS,
    NNMA_MANTIS,
    PCA_HYPERSPY,
    PCA_MANTIS,
)

import chemoscape as cs

CLUSTERS = 5
LEAST_SQUARES: Jobs = {
    "mantis_least_squares": ("MANTiS, target maps, no residual", LEAST_SQUARES_MANTIS)
}
PCA: Jobs = {"mantis_pca": ("MANTiS, Calculate PCA, all eigenimages", PCA_MANTIS)}
KMEANS: Jobs = {"mantis_kmeans": ("MANTiS, Calculate Clusters, one start", KMEANS_MANTIS)}
SMALL_PCA: Jobs = {"hyperspy_pca": ("HyperSpy, decomposition(), SVD", PCA_HYPERSPY)}
SMALL_NNLS: Jobs = {"pymcr_nnls": ("pyMCR, NNLS with fixed spectra", None)}


def fits(peers: Peers, n_pixels: int, n_energy: int, repeat: int) -> None:
    """Target maps, principal components and clusters beside MANTiS."""
    od = cs.optical_density(phantoms.core_shell(n_pixels, n_energy))
    density = od["optical_density"]
    library = cs.open_library("lixv2o5-model")
    everywhere = _everywhere(od)
    _leave(peers, od)
    np.save(peers.folder / "spectra.npy", library.spectra(od.energy.values).values)
    size = f"{density[0].size:,} × {n_energy}"
    n_bytes = density.nbytes

    weights: list[xr.Dataset] = []

    def least_squares() -> None:
        weights[:] = [_fit(od, library, nonnegative=False)]

    least_squares()  # compile
    heading(f"least squares, six standards, {size}")
    own, best, answers = in_turn(least_squares, peers, LEAST_SQUARES, repeat)
    notes = _weights_differ(peers, weights[0], answers, "mantis_least_squares")
    show(own, best, peers, LEAST_SQUARES, n_bytes, {"how": ", residual and covariance", **notes})

    heading(f"principal components, {size}")
    found: list[xr.Dataset] = []

    def components() -> None:
        found[:] = [cs.principal_components(od, mask=everywhere)]

    own, best, answers = in_turn(components, peers, PCA, repeat)
    ours = float(found[0]["eigenvalue"][0])
    notes = {}
    if "mantis_pca" in answers:
        difference = abs(answers["mantis_pca"]["eigenvalue"] / ours - 1)
        notes["mantis_pca"] = f"first eigenvalue differs by {difference:.0e}"
    show(own, best, peers, PCA, n_bytes, {"how": ", ten scores, five rank criteria", **notes})

    heading(f"k-means, {CLUSTERS} clusters, {size}")

    def clusters() -> object:
        return cs.cluster(od, found[0], n_clusters=CLUSTERS)

    own, best, answers = in_turn(clusters, peers, KMEANS, 1, clusters=CLUSTERS)
    notes = {}
    if "mantis_kmeans" in answers:
        used = answers["mantis_kmeans"]["components"]
        notes["mantis_kmeans"] = f"on {used} components"
    show(own, best, peers, KMEANS, n_bytes, {"how": ", ten starts, silhouette, tree", **notes})


def small(peers: Peers, repeat: int) -> None:
    """100,000 × 120: principal components beside HyperSpy, NNLS beside pyMCR."""
    od, groups = parts.sample()
    _leave(peers, od)
    library = cs.open_library("lixv2o5-model")
    np.save(peers.folder / "spectra.npy", library.spectra(od.energy.values).values)
    np.save(peers.folder / "start.npy", np.maximum(groups["spectrum"].values.T, 0))
    everywhere, n_bytes = _everywhere(od), od["optical_density"].nbytes
    heading("principal components, 100,000 × 120")
    own, best, _ = in_turn(
        lambda: cs.principal_components(od, mask=everywhere), peers, SMALL_PCA, repeat
    )
    show(own, best, peers, SMALL_PCA, n_bytes, {"how": ", ten scores, five rank criteria"})
    heading("NNLS of six standards, 100,000 × 120")
    weights: list[xr.Dataset] = []

    def nonnegative() -> None:
        weights[:] = [_fit(od, library, nonnegative=True)]

    nonnegative()  # compile
    own, best, answers = in_turn(nonnegative, peers, SMALL_NNLS, repeat)
    notes = _weights_differ(peers, weights[0], answers, "pymcr_nnls")
    show(own, best, peers, SMALL_NNLS, n_bytes, {"how": ", residual and covariance", **notes})


def _fit(od: xr.Dataset, library: Any, *, nonnegative: bool) -> xr.Dataset:
    """As the others fit: all energies alike, no baseline, the energy axis as it is."""
    return cs.deconvolve(
        od, library, nonnegative=nonnegative, baseline=None, weights="uniform", energy_shift=0.0
    )


def _everywhere(od: xr.Dataset) -> xr.DataArray:
    return xr.ones_like(od["optical_density"][0], dtype=bool).drop_vars("energy")


def _leave(peers: Peers, od: xr.Dataset) -> None:
    """Optical densities where the others find them."""
    np.save(peers.folder / "od.npy", od["optical_density"].values)
    np.save(peers.folder / "energy.npy", od["energy"].values)


def _weights_differ(
    peers: Peers, ours: xr.Dataset, answers: dict[str, dict[str, Any]], job: str
) -> dict[str, str]:
    """Largest difference of a weight from theirs, as share of the largest, as a note on the job."""
    if job not in answers:
        return {}
    theirs = np.load(peers.folder / "weights.npy")
    difference = np.abs(ours["weight"].values - theirs).max() / np.abs(theirs).max()
    return {job: f"weights differ by at most {difference:.0e}"}


def factorisation(peers: Peers, repeat: int) -> None:
    """A sweep of the non-negative factorisation from the same cluster spectra."""
    od, groups = parts.sample()
    _leave(peers, od)
    np.save(peers.folder / "start.npy", np.maximum(groups["spectrum"].values.T, 0))
    parts.sweeps(od, groups, 2)()  # compile
    heading(f"factorisation (NNMA), 100,000 × 120, {parts.PARTS} parts, a sweep")
    few, many = side_by_side([parts.sweeps(od, groups, n) for n in (1, 21)], repeat)
    seconds = (many.seconds - few.seconds) / 20
    row("ours", seconds, memory=parts.unexplained(parts.sweeps(od, groups, parts.SWEEPS)()))
    answer = peers.ask("mantis_nnma", sweeps=parts.SWEEPS, similarity=0.0)
    if answer is None:
        failed("MANTiS", peers.broken["mantis_nnma"])
    else:
        factor = answer["seconds"] / seconds
        left = f"unexplained {1e3 * answer['unexplained']:.3f} ‰ after {parts.SWEEPS}"
        row("  MANTiS", answer["seconds"], f"{factor:.1f} × ours", NNMA_MANTIS.judge(factor), left)
    answer = peers.ask("pymcr_als")
    if answer is None:
        failed("pyMCR", peers.broken["pymcr_als"])
        return
    factor = answer["seconds"] / seconds
    row(
        "  pyMCR, an iteration of ALS, NNLS on both sides",
        answer["seconds"],
        f"{factor:.0f} × ours",
    )
