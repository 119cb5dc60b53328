"""Non-negative matrix analysis: spectra and maps of the parts of a sample, without standards."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.decompose.factors import hals
from chemoscape.decompose.factors.part_maps import PartMaps, part_maps, sample_of
from chemoscape.decompose.factors.pixels import evenly
from chemoscape.decompose.factors.pure_pixels import purest, unit
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.preprocess.absorbance import sample_mask

#: Objectives that differ by a smaller share do not say which of two answers is the better.
SAME_OBJECTIVE = 1e-3
#: Pixels that spectra are found with: an even choice of more.
MOST_PIXELS = 200_000


def factorise(
    od: xr.Dataset | xr.DataArray,
    n_parts: int,
    *,
    similar_to: xr.Dataset | xr.DataArray | None = None,
    similarity: float = 0.0,
    sparsity: float = 0.0,
    max_sweeps: int = 500,
    tolerance: float = 1e-5,
    starts: int = 1,
    seed: int = 0,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Split optical densities into a few spectra and their maps, none of them negative.

    ``D = μ·t`` (Equation 1) with the spectra ``μ`` unknown too. Minimises, over ``μ, t >= 0`` with
    spectra of unit length,

    .. math:: \|D - \mu t\|^2 + \lambda \frac{\|D\|^2}{K} \sum_k \|\mu_k - \mu_{c,k}\|^2
              + 2 s \frac{\|D\|}{\sqrt{P K}} \sum t

    with K parts, P pixels, and the spectra ``μ_c`` of clusters or standards (Lerotic et al., J.
    Synchrotron Rad. 21, 1206, 2014; Mak et al., Faraday Discuss. 171, 357, 2014), by `hals`.

    Without similarity the answer is not unique: spectra that lie further apart than the true ones,
    with more of their mixtures, describe the data as well, and the answer depends on the start.
    A similarity decides for the one nearest to the clusters.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        Negative values stay as they are. All values count alike: for parts as they are found here,
        weights of 1/variance change nothing.
    n_parts : int
        Number of spectra.
    similar_to : Dataset of `cluster` or DataArray (cluster or standard or part, energy), optional
        As many spectra as parts, on the stack's energies; their scale does not matter, and negative
        values count as zero, which is as near as a part can come. Where the search starts, and what
        `similarity` pulls to. Without them it starts from the pixels with the purest spectra.
    similarity : float
        λ, without unit: at 1 a departure from the clusters costs as much as the same relative
        misfit of the data; 0 only starts from them, above 10 parts are the clusters.
    sparsity : float
        s, without unit: in a pixel of one part 0.1 takes a tenth of the typical (rms) weight off,
        down to zero; in one of K parts with alike spectra about a K-th of that off each. Weights
        are too low by that.
    max_sweeps : int
        Updates of all spectra and maps, at most.
    tolerance : float
        Ends when ten sweeps lower the objective by less than this share of it.
    starts : int
        Searches from different places, the best of which is kept; all but the first begin with
        random pixels (mixed with the clusters, if given).
    seed : int
        For these.
    mask : DataArray (y, x) of bool, optional
        Pixels to use; default `sample_mask`.

    Returns
    -------
    Dataset
        ``spectrum(part, energy)``, with a mean over the energies of 1, so that ``weight(part, y,
        x)`` is what the part adds to a pixel's mean optical density; NaN outside the mask.
        ``residual(y, x)`` (rms, optical density); ``objective(sweep)`` as a share of ``‖D‖²``;
        ``sample(y, x)``, the pixels of the mask with a value at every energy: those, or 200,000 of
        them, spread evenly, made the spectra. Pixels without a value at some energies are fitted
        with those they have, if there are enough. With
        `similar_to`, parts are in its order and ``distance(part)`` is ``‖μ - μ_c‖²``; else in order
        of falling weight. Attributes: ``objective``, ``n_sweeps``, ``converged`` (0 or 1),
        ``similarity_distance`` (mean of ``distance``, NaN without), ``explained_share`` (of
        ``‖D‖²``), ``negative_share`` (of the values used), ``n_gapped`` (pixels with values
        missing), ``n_pixels_spectra`` (that made the spectra), ``similarity``, ``sparsity``,
        ``start``, ``seed``.

    Raises
    ------
    FitError
        More parts than energies or than complete pixels, similarity without spectra to be similar
        to, or spectra that do not fit the stack.

    Warns
    -----
    ChemoscapeWarning
        It had not converged after `max_sweeps`, or a part is found in no pixel.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
    _check_options(n_parts, density.sizes["energy"], similarity, sparsity, max_sweeps, starts)
    if similarity > 0 and similar_to is None:
        raise FitError(
            "similarity is asked for, but no spectra to be similar to",
            remedy="give similar_to = the result of cs.cluster, or similarity = 0",
        )
    target = None if similar_to is None else unit(_spectra_of(similar_to, density, n_parts))

    chosen = (sample_mask(od) if mask is None else stacks.as_mask(mask, density)).values
    asked = np.zeros_like(chosen)
    asked.ravel()[np.flatnonzero(chosen)[evenly(int(chosen.sum()), MOST_PIXELS)]] = True
    data = sample_of(density.data, asked)
    if len(data) < n_parts:
        raise FitError(
            f"{n_parts} parts cannot be found in {len(data)} pixels of sample with data at every "
            "energy",
            remedy="ask for fewer parts, or give another mask",
        )
    total = hals.sum_of_squares(data)
    if total == 0:
        raise FitError("the optical density is zero in every pixel", remedy="check I0 and the mask")
    threshold = sparsity * float(np.sqrt(total / (len(data) * n_parts)))

    def search(number: int) -> hals.Factors:
        start = _start(data, n_parts, target, number, seed)
        return hals.alternate(
            data,
            start,
            start if target is None else target,
            pull=similarity * total / n_parts,
            threshold=threshold,
            max_sweeps=max_sweeps,
            tolerance=tolerance,
        )

    factors, number = search(0), 0
    for again in range(1, starts):
        other = search(again)
        if other.objective[-1] < (1 - SAME_OBJECTIVE) * factors.objective[-1]:
            factors, number = other, again

    maps = part_maps(density.data, chosen, factors.spectra, threshold)
    parts = _as_dataset(density, factors, maps, target, total)
    if similar_to is None:
        order = np.argsort(-np.nansum(parts.weight.values, axis=(1, 2)), kind="stable")
        parts = parts.isel(part=order).assign_coords(part=np.arange(n_parts))
    distance = parts["distance"].values if "distance" in parts else np.array([np.nan])
    parts.attrs = {
        "objective": float(factors.objective[-1] / total),
        "n_sweeps": len(factors.objective) - 1,
        "converged": int(factors.converged),
        "similarity_distance": float(distance.mean()),
        "explained_share": 1 - maps.left / maps.squares,
        "negative_share": maps.n_negative / (maps.whole.sum() * density.sizes["energy"]),
        "n_gapped": int((chosen & ~maps.whole).sum()),
        "n_pixels_spectra": len(data),
        "similarity": float(similarity),
        "sparsity": float(sparsity),
        "start": number,
        "seed": seed,
    }
    _warn_of_doubts(parts)
    return parts


def _check_options(
    n_parts: int, n_energy: int, similarity: float, sparsity: float, max_sweeps: int, starts: int
) -> None:
    """Refuse what cannot be asked for."""
    if not 1 <= n_parts <= n_energy:
        raise FitError(
            f"{n_parts} parts cannot be told apart with {n_energy} energies",
            remedy=f"ask for 1 to {n_energy} parts",
        )
    for name, value, least in [
        ("similarity", similarity, 0.0),
        ("sparsity", sparsity, 0.0),
        ("max_sweeps", max_sweeps, 1),
        ("starts", starts, 1),
    ]:
        if not least <= value < np.inf:
            raise FitError(f"{name} is {value}", remedy=f"give a finite number, {least:g} or more")


def _spectra_of(
    similar_to: xr.Dataset | xr.DataArray, density: xr.DataArray, n_parts: int
) -> np.ndarray:
    """Spectra to be similar to (N, K), their negative values at zero."""
    spectra = similar_to["spectrum"] if isinstance(similar_to, xr.Dataset) else similar_to
    if spectra.ndim != 2 or "energy" not in spectra.dims:
        raise FitError(
            f"similar_to has dims {spectra.dims}",
            remedy="give the result of cs.cluster, or spectra with dims (standard, energy)",
        )
    values = spectra.transpose("energy", ...).values.astype(np.float64)
    if values.shape[1] != n_parts:
        raise FitError(
            f"similar_to holds {values.shape[1]} spectra for {n_parts} parts",
            remedy=f"ask for {values.shape[1]} parts, or give {n_parts} spectra",
        )
    own, wanted = spectra["energy"].values, density["energy"].values
    if own.shape != wanted.shape or not np.allclose(own, wanted, rtol=0, atol=1e-3):
        raise FitError(
            "similar_to has other energies than the stack",
            remedy="evaluate the spectra at the stack's: library.spectra(od.energy.values)",
        )
    if not (np.isfinite(values).all() and (values > 0).any(axis=0).all()):
        raise FitError(
            "a spectrum of similar_to has missing values, or none above zero",
            remedy="leave it out",
        )
    return np.maximum(values, 0)


def _start(
    data: np.ndarray, n_parts: int, target: np.ndarray | None, number: int, seed: int
) -> np.ndarray:
    """Spectra (N, K) to start from: the target or the purest pixels at first, random ones then."""
    if number == 0:
        return purest(data, n_parts) if target is None else target
    drawn = np.random.default_rng([seed, number]).choice(len(data), n_parts, replace=False)
    pixels = unit(np.maximum(data[drawn].T.astype(np.float64), 0))
    return pixels if target is None else unit(pixels + target)


def _as_dataset(
    density: xr.DataArray,
    factors: hals.Factors,
    maps: PartMaps,
    target: np.ndarray | None,
    total: float,
) -> xr.Dataset:
    """Spectra with a mean of 1, weights to match, in maps."""
    scale = factors.spectra.mean(axis=0)
    parts = xr.Dataset(
        {
            "spectrum": (
                ("part", "energy"),
                (factors.spectra / scale).T,
                {"long_name": "spectrum of the part, mean 1"},
            ),
            "weight": (
                ("part", "y", "x"),
                maps.weight * scale[:, None, None].astype(maps.weight.dtype),
                {"units": "1", "long_name": "part of the mean optical density"},
            ),
            "residual": (
                ("y", "x"),
                maps.residual,
                {"units": "1", "long_name": "rms residual"},
            ),
            "objective": ("sweep", factors.objective / total),
            "sample": (("y", "x"), maps.whole),
        },
        coords={
            "part": np.arange(len(scale)),
            "energy": density.energy,
            "y": density.y,
            "x": density.x,
            "sweep": np.arange(len(factors.objective)),
        },
    )
    if target is not None:
        parts["distance"] = ("part", ((factors.spectra - target) ** 2).sum(axis=0))
    return parts


def _warn_of_doubts(parts: xr.Dataset) -> None:
    """Say why the parts might not be what they seem."""
    if not parts.attrs["converged"]:
        _warn(
            f"the parts still changed after {parts.attrs['n_sweeps']} sweeps: raise max_sweeps, "
            "ask for fewer parts, or give a similarity, which makes them unique"
        )
    nowhere = parts.part.values[~(parts.weight.values > 0).any(axis=(1, 2))]
    if nowhere.size:
        _warn(f"part {nowhere[0]} is found in no pixel: ask for fewer parts or less sparsity")


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=4)
