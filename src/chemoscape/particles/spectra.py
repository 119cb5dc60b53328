"""Spectra of whole particles, and groups of particles with alike spectra."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import xarray as xr
from scipy import sparse

from chemoscape import stack as stacks
from chemoscape.decompose.factors.clusters import cluster
from chemoscape.decompose.factors.components import principal_components
from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.particles.table import instances_of
from chemoscape.preprocess.density.shared import shared_variance


def particle_spectra(table: xr.Dataset, od: xr.Dataset) -> xr.Dataset:
    """Mean optical density of each particle at each energy, and its standard error.

    A pixel of the stack belongs to the particles whose masks hold its centre. One on which several
    lie shows their sum and is left out; so is one without a value at some energy, lest the mean be
    over other pixels there. The error is that of counting: of each pixel its own, which averages
    out, and that of I0, which is common to all. Pixels of an aligned stack share noise and count
    with what they had before; of a smoothed one this is not known, and the error is too small.

    Parameters
    ----------
    table : Dataset
        As `particle_table` returns it.
    od : Dataset of `optical_density`
        Of the same field, on any grid.

    Returns
    -------
    Dataset
        ``spectrum`` and ``spectrum_se`` (particle, energy), NaN for particles without a pixel of
        their own; ``pixels``, ``pixels_shared`` and ``pixels_missing`` (particle): used, left out
        because others lie there, left out because a value is missing. The error is NaN where `od`
        has no variance.

    Raises
    ------
    StackError
        `od` is not what `optical_density` returns, or no particle lies in it.
    """
    if not isinstance(od, xr.Dataset) or "optical_density" not in od:
        raise StackError("this is no optical density", remedy="make it with cs.optical_density")
    density = stacks.check(od["optical_density"], "optical_density")
    n, n_energy = table.sizes["particle"], density.sizes["energy"]
    owner, pixel = _members(table, density)
    flat = density.values.reshape(n_energy, -1)
    shared = np.bincount(pixel, minlength=flat.shape[1])[pixel] > 1
    complete = np.isfinite(flat).all(axis=0)[pixel]
    own = ~shared & complete
    kept, of = pixel[own], owner[own]
    used = np.bincount(of, minlength=n)
    pick = sparse.csr_array((np.ones(len(of)), (of, np.arange(len(of)))), (n, len(of)))

    def total(values: np.ndarray) -> np.ndarray:
        """Sum over the pixels of each particle, shape (particle, energy)."""
        return np.asarray(pick @ values[:, kept].T.astype(np.float64))

    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total(flat) / used[:, None]
        error = np.full((n, n_energy), np.nan)
        if "variance" in od:
            common = shared_variance(od)
            gain = np.asarray(od["noise_gain"].values if "noise_gain" in od.coords else 1.0)
            variance = total(od["variance"].values.reshape(n_energy, -1))
            of_pixel = np.maximum(variance / used[:, None] - common, 0.0) / gain
            error = np.sqrt(of_pixel / used[:, None] + common)
    unit = {"units": "1"}
    counts = {
        "pixels": (used, "pixels that the spectrum is from"),
        "pixels_shared": (np.bincount(owner[shared], minlength=n), "pixels with other particles"),
        "pixels_missing": (
            np.bincount(owner[~shared & ~complete], minlength=n),
            "pixels without a value at some energy",
        ),
    }
    along = ("particle", "energy")
    return xr.Dataset(
        {
            "spectrum": (along, mean, {**unit, "long_name": "mean optical density"}),
            "spectrum_se": (along, np.where(used[:, None] > 0, error, np.nan), unit),
            **{
                name: ("particle", values.astype(np.int32), {**unit, "long_name": words})
                for name, (values, words) in counts.items()
            },
        },
        coords={"particle": np.arange(n), "energy": density["energy"].variable},
    )


def cluster_particles(
    spectra: xr.Dataset, n_clusters: int | Literal["auto"] = "auto", seed: int = 0
) -> xr.Dataset:
    """Group particles by the shape of their spectra, whatever their thickness (Figure S16).

    Each spectrum is divided by its mean over energy. Of these, components are taken without
    subtracting a mean, and k-means groups their scores (`principal_components` and `cluster`, a
    particle in the place of a pixel).

    Parameters
    ----------
    spectra : Dataset of `particle_spectra`
        Particles without a spectrum, or with a flat one, are left out.
    n_clusters : int or "auto"
        How many groups; "auto" as in `cluster`.
    seed : int
        For the starts of k-means.

    Returns
    -------
    Dataset
        ``label(particle)`` (-1 where left out, 0.. by falling size), ``spectrum`` and
        ``spectrum_se`` (cluster, energy; mean over the particles' pixels, with a mean of 1 over
        energy, and its counting error), ``size(cluster)`` in particles, ``score(particle, pc)``,
        ``eigenspectrum(pc, energy)``, ``eigenvalue(pc)``, ``share(pc)`` of the sum of squares.
        Attributes ``silhouette`` (-1 to 1: how well the groups are apart), ``n_components``,
        ``seed``.

    Raises
    ------
    FitError
        Fewer particles with a spectrum than clusters, or than two.
    """
    values, error = spectra["spectrum"].values, spectra["spectrum_se"].values
    level = values.mean(axis=1)
    usable = np.isfinite(level) & (level > 0)
    wanted = 2 if n_clusters == "auto" else int(n_clusters)
    if usable.sum() < max(2, wanted) or wanted < 1:
        raise FitError(
            f"{wanted} clusters cannot be made of {int(usable.sum())} particles with a spectrum",
            remedy="give a number from 1 to that of the particles, of which there must be two",
        )
    shape = np.where(usable, level, np.nan)[:, None]
    known = np.isfinite(error).all(axis=1) | ~usable
    as_image = _as_stack(spectra, values / shape, error / shape if known.all() else None)
    everywhere = xr.ones_like(as_image["optical_density"][0], dtype=bool)
    pcs = principal_components(as_image, mask=everywhere, seed=seed)
    with warnings.catch_warnings():  # a cluster of few pixels is noisy, one of few particles not
        warnings.filterwarnings("ignore", "the smallest cluster", ChemoscapeWarning)
        groups = cluster(as_image, pcs, n_clusters=n_clusters, seed=seed)
    label = groups["label"].values[:, 0].astype(int)
    weight = spectra["pixels"].values * (label == groups["cluster"].values[:, None])
    summed = weight @ np.where(usable[:, None], values, 0.0)
    spread = np.sqrt(weight.astype(float) ** 2 @ np.where(usable[:, None], error, 0.0) ** 2)
    thickness = summed.mean(axis=1, keepdims=True)
    told = {"long_name": "optical density over its mean", "units": "1"}
    return xr.Dataset(
        {
            "label": ("particle", label, {"long_name": "cluster"}),
            "spectrum": (("cluster", "energy"), summed / thickness, told),
            "spectrum_se": (("cluster", "energy"), spread / thickness, {"units": "1"}),
            "size": ("cluster", groups["size"].values),
            "score": (("particle", "pc"), pcs["score"].values[:, :, 0].T),
            "eigenspectrum": (("pc", "energy"), pcs["eigenspectrum"].values),
            "eigenvalue": ("pc", pcs["eigenvalue"].values),
            "share": ("pc", pcs["share"].values),
        },
        coords={
            "particle": spectra["particle"].values,
            "cluster": groups["cluster"].values,
            "pc": pcs["pc"].values,
            "energy": spectra["energy"],
        },
        attrs=groups.attrs,
    )


def _as_stack(spectra: xr.Dataset, values: np.ndarray, error: np.ndarray | None) -> xr.Dataset:
    """Spectra as the optical density of an image, one column with a particle in each row."""
    density = stacks.build(
        values.T[:, :, None],
        spectra["energy"].values,
        y=np.arange(len(values)),
        x=[0.0],
        quantity="optical_density",
    )
    data = {"optical_density": density}
    if error is not None:
        data["variance"] = density.copy(data=(error.T[:, :, None] ** 2).astype(np.float32))
    return xr.Dataset(data)


def _members(table: xr.Dataset, density: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a particle and a pixel of the stack (flat index) whose centre its mask holds."""
    pixel_um = float(table.attrs["pixel_um"])
    # row and column of the map in which the particles were found, for those of the stack
    row, column = (
        np.rint((density[axis].values - float(start)) / pixel_um).astype(int)
        for axis, start in zip("yx", table.attrs["origin_um"], strict=True)
    )
    owners, pixels = [np.zeros(0, int)], [np.zeros(0, int)]
    placed = np.flatnonzero(table["pixel_count"].values)
    found = instances_of(table)
    for one, (top, left), crop in zip(placed, found.corners, found.crops, strict=True):
        high, wide = crop.shape
        rows = np.flatnonzero((row >= top) & (row < top + high))
        columns = np.flatnonzero((column >= left) & (column < left + wide))
        inside = np.nonzero(crop[np.ix_(row[rows] - top, column[columns] - left)])
        pixels.append(rows[inside[0]] * column.size + columns[inside[1]])
        owners.append(np.full(len(inside[0]), one))
    if len(placed) and not sum(map(len, pixels)):
        raise StackError(
            "no particle lies in the field of the stack",
            remedy="give the optical density in whose maps they were found",
        )
    return np.concatenate(owners), np.concatenate(pixels)
