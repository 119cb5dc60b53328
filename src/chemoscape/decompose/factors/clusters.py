"""Groups of pixels with alike spectra: k-means on normalised scores, and the tree joining them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import linkage

from chemoscape import stack as stacks
from chemoscape.blocks import reduce_blocks
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.decompose.factors.k_means import k_means, silhouette
from chemoscape.decompose.factors.relabel import by_falling_size, merged_labels
from chemoscape.errors import ChemoscapeWarning, FitError

#: Pixels whose spectrum varies less than this share of the strongest have no shape to group by.
LEAST_STRUCTURE = 0.1
#: Fewer pixels than this make a noisy spectrum.
FEW_PIXELS = 10


def cluster(
    od: xr.Dataset | xr.DataArray,
    pcs: xr.Dataset,
    *,
    n_clusters: int | Literal["auto"] = "auto",
    n_components: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Group the sample's pixels by spectral shape, whatever their thickness or their background.

    k-means (k-means++, the best of ten starts with at most 20,000 pixels) on score vectors without
    their share of a constant, scaled to unit length: raw scores would group by thickness, and by
    whatever absorbs alike at all energies. Scores of centred components count with their mean
    spectrum, or they would group by thickness too. Pixels with hardly any structure in their
    spectrum are left out. The spectrum of a cluster is the mean of its pixels' optical densities.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
    pcs : Dataset of `principal_components`
        Of the same pixels.
    n_clusters : int or "auto"
        "auto" takes the number from 2 to 8 with the best silhouette, and 1 when the rank is 1:
        k-means would group the noise.
    n_components : int, optional
        Scores used; default the Marchenko-Pastur rank (or that of split halves), without a last
        component that is the same in all pixels, at least 2.
    seed : int

    Returns
    -------
    Dataset
        ``label(y, x)`` (-1 where not clustered, 0.. by falling size), ``spectrum`` and
        ``spectrum_se`` (cluster, energy; mean optical density and its standard error), ``size``
        (pixels), ``linkage(merge, 4)`` (scipy's, Ward, on the clusters' centres),
        ``feature(feature_axis, y, x)`` (what k-means saw, NaN where not clustered). Attributes:
        ``silhouette`` (-1 to 1), ``n_components``, ``seed``.

    Raises
    ------
    FitError
        More clusters than pixels, or components, that exist; no spectrum has any structure; the
        components are of another image.

    Warns
    -----
    ChemoscapeWarning
        A cluster has fewer than ten pixels, or fewer clusters than asked for have any.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
    if pcs["sample"].shape != density.shape[1:]:
        raise FitError(
            f"the components are of {' × '.join(map(str, pcs['sample'].shape))} pixels, the stack "
            f"has {' × '.join(map(str, density.shape[1:]))}",
            remedy="compute them from this stack",
        )
    rank = chemical_rank(pcs)
    found = min(max(rank, 2), pcs.sizes["pc"])
    used = found if n_components is None else n_components
    if not 1 <= used <= pcs.sizes["pc"]:
        raise FitError(
            f"{used} components were asked for, {pcs.sizes['pc']} are there",
            remedy="set [clusters] n_components to fewer",
        )
    inside, features, like = _features(pcs, used)
    if n_clusters == "auto" and rank == 1 - bool(pcs.attrs["centred"]):
        n_clusters = 1
    if n_clusters != "auto" and not 1 <= int(n_clusters) <= len(features):
        raise FitError(
            f"{n_clusters} clusters cannot be made of {len(features)} pixels",
            remedy="set [clusters] n_clusters to a smaller number",
        )
    labels, value = k_means(features, n_clusters, seed)
    if n_clusters != "auto" and labels.max() + 1 < int(n_clusters):
        warnings.warn(
            f"{n_clusters} clusters were asked for, the pixels have only {labels.max() + 1} "
            "distinct spectra",
            ChemoscapeWarning,
            stacklevel=2,
        )
    spectra = np.array([like(labels == number) for number in range(labels.max() + 1)])
    return _describe(density, inside, labels, features, spectra, value, used, seed)


def chemical_rank(pcs: xr.Dataset) -> int:
    """Number of components of `principal_components` that tell pixels apart: the rank by
    Marchenko-Pastur, or by split halves where that is refused, less a component that is the same
    in all pixels where it is the last: an error of I0 would group thin pixels apart from thick.
    """
    rank = pcs.attrs["rank_mp"] if pcs.attrs["rank_mp"] >= 0 else pcs.attrs["rank_cv"]
    if rank > 1 and pcs.attrs.get("common_component", 0) == rank:
        rank -= 1
    return int(rank)


def merge_clusters(
    od: xr.Dataset | xr.DataArray, groups: xr.Dataset, merge: Sequence[Sequence[int]]
) -> xr.Dataset:
    """Join clusters by hand: ``[[0, 3]]`` makes one of clusters 0 and 3; numbers then run by
    falling size.

    Raises
    ------
    FitError
        A number is not a cluster, or appears twice.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
    labels = groups["label"].values.ravel().astype(int)
    return regroup(od, groups, merged_labels(labels, merge))


def regroup(od: xr.Dataset | xr.DataArray, groups: xr.Dataset, labels: np.ndarray) -> xr.Dataset:
    """Describe clusters anew after their pixels were given other labels.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
    groups : Dataset of `cluster`
    labels : ndarray of int, shape (n_pixels,)
        New labels of all pixels, flat, in any numbers; below 0 where not clustered, as before.

    Returns
    -------
    Dataset
        As `cluster` returns it, numbered by falling size, and ``from_cluster(before, cluster)``:
        how many pixels of each cluster before went into which now.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    before = groups["label"].values.ravel().astype(int)
    if before.size != density[0].size:
        raise FitError(
            f"the clusters are of {before.size} pixels, the stack has {density[0].size}",
            remedy="cluster this stack first",
        )
    inside = before >= 0
    seed = int(groups.attrs["seed"])
    features = groups["feature"].values.reshape(groups.sizes["feature_axis"], -1)[:, inside].T
    new = np.unique(labels[inside], return_inverse=True)[1]
    moved = np.zeros((groups.sizes["cluster"], new.max(initial=0) + 1), dtype=int)
    np.add.at(moved, (before[inside], new), 1)
    spectra = np.nan_to_num(groups["spectrum"].values)  # of the clusters that a new one is made of
    result = _describe(
        density,
        inside,
        new,
        features,
        moved.T @ spectra / moved.sum(axis=0)[:, None],
        silhouette(features, new, seed),
        int(groups.attrs["n_components"]),
        seed,
    )
    order = np.argsort(-moved.sum(axis=0), kind="stable")
    told = {"long_name": "pixels of a cluster before that are in a cluster now"}
    return result.assign(from_cluster=(("before", "cluster"), moved[:, order], told))


def _features(
    pcs: xr.Dataset, used: int
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Which pixels (bool, flat) can be grouped, their features (pixel, axis) of unit length, and a
    function of a choice of them: the mean spectrum as their scores have it.

    Distances between features are those between spectra, each less its own mean over energy: with
    eigenspectra ``V`` less their means and ``M = V·Vᵀ``, features are the scores times ``√M``. The
    mean spectrum of centred components is one more, with a score of 1.
    """
    spectra = pcs["eigenspectrum"].values[:used]
    sample = pcs["sample"].values.astype(bool)
    scores = _of_sample(pcs, used, sample)
    if pcs.attrs["centred"]:
        spectra = np.vstack([pcs["mean"].values, spectra])
        scores = np.column_stack([np.ones(len(scores), scores.dtype), scores])
    shapes = spectra - spectra.mean(axis=1, keepdims=True)
    value, vector = np.linalg.eigh(shapes @ shapes.T)
    features = scores @ (vector * np.sqrt(np.maximum(value, 0)))
    length = np.linalg.norm(features, axis=1)
    known = np.isfinite(length)
    longest = float(np.percentile(length[known], 95)) if known.any() else 0.0
    level = float(np.abs(scores[known]).max(initial=0.0)) * float(np.abs(shapes).max(initial=0.0))
    if not longest > 1e-6 * level:
        raise FitError(
            "no spectrum of the sample changes with energy, so there is no shape to group by",
            remedy="turn [clusters] off, or check the energies and I0",
        )
    kept = known & (length > LEAST_STRUCTURE * longest)
    inside = sample.ravel().copy()
    inside[inside] = kept
    scores = scores[kept]
    return (
        inside,
        (features[kept] / length[kept, None]).astype(np.float32),
        lambda members: scores[members].mean(axis=0, dtype=np.float64) @ spectra,
    )


def _of_sample(pcs: xr.Dataset, used: int, sample: np.ndarray) -> np.ndarray:
    """Scores (pixel, used) of the sample's pixels; lazy ones are computed, block by block."""
    parts = reduce_blocks(
        lambda score, inside: [score[:used, inside]], list.__add__, pcs["score"].data, sample
    )
    return np.concatenate(parts, axis=1).T


def _describe(
    density: xr.DataArray,
    inside: np.ndarray,
    labels: np.ndarray,
    features: np.ndarray,
    like: np.ndarray,
    silhouette: float,
    n_components: int,
    seed: int,
) -> xr.Dataset:
    """Order clusters by size and average their spectra, which are `like` (cluster, energy)."""
    sizes = np.bincount(labels)
    labels, order = by_falling_size(labels)
    image = np.full(inside.size, -1, dtype=np.int16)
    image[inside] = labels

    n = len(sizes)
    image = image.reshape(density.shape[1:])
    spectrum, error = mean_spectra(density.data, image, n, like=like[order])
    centres = np.array(
        [features[labels == number].mean(axis=0, dtype=float) for number in range(n)]
    )
    if sizes.min() < FEW_PIXELS:
        warnings.warn(
            f"the smallest cluster has {sizes.min()} pixels: its spectrum is noisy, ask for fewer "
            "clusters",
            ChemoscapeWarning,
            stacklevel=4,
        )
    tree = linkage(centres, method="ward") if n > 1 else np.empty((0, 4))
    feature = np.full((features.shape[1], inside.size), np.nan, dtype=np.float32)
    feature[:, inside] = features.T
    return xr.Dataset(
        {
            "label": (("y", "x"), image, {"long_name": "cluster"}),
            "spectrum": (("cluster", "energy"), spectrum, {"long_name": "mean optical density"}),
            "spectrum_se": (("cluster", "energy"), error),
            "size": ("cluster", sizes[order]),
            "linkage": (("merge", "column"), tree),
            "feature": (("feature_axis", "y", "x"), feature.reshape(-1, *density.shape[1:])),
        },
        coords={
            "cluster": np.arange(n),
            "energy": density.energy,
            "y": density.y,
            "x": density.x,
        },
        attrs={"silhouette": silhouette, "n_components": n_components, "seed": seed},
    )
