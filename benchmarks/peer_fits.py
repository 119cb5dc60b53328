"""Fits, principal components, clusters and factorisation by other programs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from peer_stacks import Result, timed


def mantis_analysis(folder: Path) -> Any:
    """MANTiS's analysis of optical densities in memory, laid out as its own calculation leaves
    them: float64, a table of pixels with an energy after the other, and a cube with the energies of
    a pixel together.
    """
    from mantis_xray.analysis.analyze import analyze

    od = np.load(folder / "od.npy").astype(np.float64).T  # (x, y, energy)
    stack = SimpleNamespace(
        od=od.reshape(-1, od.shape[2], order="F"),
        od3d=np.ascontiguousarray(od),
        ev=np.load(folder / "energy.npy"),
        n_ev=od.shape[2],
        n_cols=od.shape[0],
        n_rows=od.shape[1],
    )
    return analyze(stack)


def mantis_least_squares(folder: Path, facts: Result) -> Result:
    """`calc_svd_maps`, behind loading a target spectrum, with all of them there: weights alone."""
    analysis = mantis_analysis(folder)
    spectra = np.load(folder / "spectra.npy")
    analysis.target_spectra, analysis.n_target_spectra = spectra, len(spectra)
    answer = timed(analysis.calc_svd_maps)
    np.save(folder / "weights.npy", analysis.target_svd_maps.T)  # (standard, y, x)
    return answer


def mantis_pca(folder: Path, facts: Result) -> Result:
    """`calculate_pca`, the first half of the Calculate PCA button."""
    analysis = mantis_analysis(folder)
    answer = timed(analysis.calculate_pca)
    return {**answer, "eigenvalue": float(analysis.eigenvals[0])}


def mantis_kmeans(folder: Path, facts: Result) -> Result:
    """`calculate_clusters` as Calculate Clusters calls it with what is preset but for the number:
    on as many components as its scree plot says, one start.
    """
    analysis = mantis_analysis(folder)
    analysis.calculate_pca()
    np.random.seed(0)  # noqa: NPY002 - what it draws from
    answer = timed(lambda: analysis.calculate_clusters(facts["clusters"], 0, 0, 0.0))
    return {**answer, "components": int(analysis.numsigpca)}


def hyperspy_pca(folder: Path, facts: Result) -> Result:
    """`Signal1D.decomposition()` with everything as it comes: SVD, all components."""
    from hyperspy.signals import Signal1D

    cube = np.ascontiguousarray(np.moveaxis(np.load(folder / "od.npy"), 0, -1))
    signal = Signal1D(cube)
    return timed(lambda: signal.decomposition(print_info=False))


def _pymcr(folder: Path, regression: str) -> tuple[Any, np.ndarray, np.ndarray]:
    from pymcr.mcr import McrAR

    od = np.load(folder / "od.npy")
    flat = np.ascontiguousarray(od.reshape(len(od), -1).T.astype(np.float64))
    start = np.load(folder / "start.npy").T.astype(np.float64)
    return McrAR(max_iter=1, c_regr=regression, st_regr=regression), flat, start


def pymcr_nnls(folder: Path, facts: Result) -> Result:
    """`McrAR.fit` with its NNLS and all spectra fixed: weights of every pixel, once."""
    model, flat, _ = _pymcr(folder, "NNLS")
    spectra = np.load(folder / "spectra.npy")
    every = list(range(len(spectra)))
    answer = timed(lambda: model.fit(flat, ST=spectra, st_fix=every))
    n_y, n_x = np.load(folder / "od.npy", mmap_mode="r").shape[1:]
    np.save(folder / "weights.npy", model.C_.T.reshape(-1, n_y, n_x))
    return answer


def pymcr_als(folder: Path, facts: Result) -> Result:
    """An iteration of `McrAR.fit` with NNLS on both sides, from cluster spectra."""
    model, flat, start = _pymcr(folder, "NNLS")
    return timed(lambda: model.fit(flat, ST=start))


def mantis_nnma(folder: Path, facts: Result) -> Result:
    """NNMA from cluster spectra; its stop after a small change is disarmed to count iterations."""
    from mantis_xray.analysis.nnma import nnma

    od, start = np.load(folder / "od.npy"), np.load(folder / "start.npy")
    n_energy, n_y, n_x = od.shape
    flat = np.ascontiguousarray(od.reshape(n_energy, -1).T.astype(np.float64))
    energy = np.load(folder / "energy.npy")
    stack = SimpleNamespace(od=flat, ev=energy, n_ev=n_energy, n_cols=n_y, n_rows=n_x)
    work = nnma(stack)
    work.setParameters(
        kNNMA=start.shape[1],
        maxIters=facts["sweeps"],
        deltaErrorThreshold=1e99,
        initMatrices="Cluster",
        lambdaClusterSim=facts["similarity"],
    )
    work.setClusterSpectra(start.T)
    np.random.seed(0)  # noqa: NPY002 - what it draws from
    answer = timed(lambda: work.calcNNMA("Cluster"))
    weights = work.tRecon.reshape(start.shape[1], -1, order="F")
    left = ((flat - (work.muRecon @ weights).T) ** 2).sum() / (flat**2).sum()
    return {**answer, "seconds": work.timeTaken / work.maxIters, "unexplained": float(left)}
