"""Stages from the optical density to the composition, one function each: components and clusters,
standards, both routes, compositions.

`workflow` puts them in order.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.chemistry import composition
from chemoscape.decompose.calibration import Anchor, shift_from_anchors
from chemoscape.decompose.combinations.matching import library_from_clusters, match
from chemoscape.decompose.combinations.regions import mask_of_region, region_spectra
from chemoscape.decompose.direct import deconvolve
from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.factors.clusters import cluster, merge_clusters
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.nnma import factorise
from chemoscape.decompose.factors.targets import target_tests
from chemoscape.decompose.factors.tree import cut_clusters, split_clusters
from chemoscape.decompose.grouping import group_weights, require_groups
from chemoscape.decompose.sample import sample_statistics
from chemoscape.errors import (
    ChemoscapeError,
    ChemoscapeWarning,
    FitError,
    RecipeError,
)
from chemoscape.preprocess.absorbance import smooth
from chemoscape.products import Products
from chemoscape.recipe import (
    Recipe,
)
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, require_values

#: The energy axis of a stack, where it is known.
EnergyAxis = EnergyShift | None


def group(od: xr.Dataset, recipe: Recipe) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Principal components, clusters of pixels with alike spectra, and those as they were found
    before any cut, split or merge.
    """
    section = recipe.clusters
    pcs = principal_components(od, centred=section.centred, seed=recipe.seed)
    found = groups = cluster(
        od,
        pcs,
        n_clusters=section.n_clusters,
        n_components=section.n_components,
        seed=recipe.seed,
    )
    if section.cut is not None or section.cut_distance is not None:
        groups = cut_clusters(od, groups, into=section.cut, distance=section.cut_distance)
    if section.split:
        split = [one.model_dump() for one in section.split]
        groups = split_clusters(od, groups, split, seed=recipe.seed)
    if section.merge:
        groups = merge_clusters(od, groups, section.merge)
    return pcs, groups, found


def standards(recipe: Recipe) -> Library:
    """Open the library and select the standards that the recipe names."""
    if not recipe.standards.library:
        raise RecipeError(
            "[standards] library names no library",
            remedy="name a folder with a library.toml, or turn [standards] off",
        )
    library = open_library(recipe.standards.library)
    wanted = recipe.standards.select
    if wanted and wanted != "matched":
        library = library.select(*wanted)
    require_values(library)
    require_groups(recipe.standards.groups, library.names)
    kept = recipe.deconvolution.singular_values
    if kept is not None and kept > len(library.names) + 2:
        raise RecipeError(
            f"[deconvolution] singular_values = {kept}, of {len(library.names)} standards",
            remedy="keep fewer",
        )
    return library


def require_regions(stack: xr.DataArray, recipe: Recipe) -> None:
    """Refuse, before any work, regions that hold no pixel of the image."""
    for name, one in recipe.deconvolution.regions.items():
        mask_of_region(name, one.region(), stack)


def matched_standards(library: Library, table: xr.Dataset) -> Library:
    """The standards that take part in the best match of any cluster."""
    present = (table.weight.values > 0).any(axis=0)
    return library.select(*np.array(library.names)[present])


def compare(
    groups: xr.Dataset, library: Library, recipe: Recipe, axis: EnergyAxis = None
) -> xr.Dataset:
    """Every spectrum (of clusters, of regions) against combinations of standards.

    `axis` is the energy axis where it is known; else the recipe's, or fitted.
    """
    return match(
        groups,
        library,
        baseline=_baseline(recipe),
        energy_shift=_energy_shift(recipe) if axis is None else axis,
        stretch=axis is None and recipe.calibration.stretch,
        fit_range=recipe.deconvolution.range,
        exclude=recipe.deconvolution.exclude,
        resolution_eV=recipe.clusters.resolution_eV,
    )


def anchored(od: xr.Dataset, recipe: Recipe) -> EnergyAxis:
    """The energy axis that the recipe's anchors set; None without any."""
    anchors = [Anchor(**table.model_dump()) for table in recipe.calibration.anchors]
    if not (anchors and recipe.calibration.enabled):
        return None
    known = sample_statistics(od)
    if not known["sample"].values.any() and any(anchor.found is None for anchor in anchors):
        raise FitError(
            "there is no sample in the image to find the anchors in",
            remedy="say where the file has them with found = …",
        )
    return shift_from_anchors(od["energy"].values, known["sample_mean"].values, anchors)


def direct_route(
    od: xr.Dataset,
    library: Library,
    recipe: Recipe,
    axis: EnergyAxis = None,
    *,
    beside: xr.Dataset | None = None,
) -> xr.Dataset:
    """Orange arrows of Figure 2: every pixel against the standards.

    `beside` are other lazy maps, which are computed in the same pass and returned too.
    """
    shift = _energy_shift(recipe) if axis is None else axis
    maps = _fit(od, library, recipe, energy_shift=shift, beside=beside)
    groups = {  # "matched" may have left standards out
        group: [name for name in members if name in library.names]
        for group, members in recipe.standards.groups.items()
    }
    groups = {group: members for group, members in groups.items() if members}
    if not groups:
        return maps
    return maps.merge(group_weights(maps, groups)).assign_attrs(maps.attrs)


def _fit(
    od: xr.Dataset,
    library: Library,
    recipe: Recipe,
    *,
    energy_shift: Any,
    beside: xr.Dataset | None = None,
) -> xr.Dataset:
    """Deconvolve as the recipe says."""
    section = recipe.deconvolution
    return deconvolve(
        od,
        library,
        nonnegative=section.nonnegative,
        baseline=_baseline(recipe),
        energy_shift=energy_shift,
        stretch=recipe.calibration.stretch and energy_shift == "fit",
        weights=section.weights,
        sum_to_one=section.sum_to_one,
        singular_values=section.singular_values,
        fit_range=section.range,
        exclude=section.exclude,
        beside=beside,
    )


def fit_regions(od: xr.Dataset, library: Library, recipe: Recipe, axis: EnergyAxis) -> xr.Dataset:
    """Mean spectra of the recipe's regions, and what they are made of, on one energy axis."""
    regions = {name: one.region() for name, one in recipe.deconvolution.regions.items()}
    spectra = region_spectra(od, regions)
    table = compare(spectra, library, recipe, axis)
    return table.merge(spectra).assign_attrs(table.attrs)


def targets_of(
    pcs: xr.Dataset, library: Library, recipe: Recipe, axis: EnergyShift
) -> xr.Dataset | None:
    """Which standards lie in the space of the components; None where that cannot be asked."""
    try:
        return target_tests(
            pcs,
            library,
            energy_shift=axis.value,
            energy_shift_sd=axis.sd,
            baseline=None if recipe.deconvolution.baseline == "none" else "constant",
        )
    except ChemoscapeError as error:
        warnings.warn(f"standards were not tested one by one: {error}", ChemoscapeWarning, 2)
        return None


def factorised(od: xr.Dataset, groups: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """Spectra and maps without standards, near to those of the clusters as far as asked."""
    section = recipe.factorisation
    n_parts = section.n_parts or groups.sizes["cluster"]
    as_many = n_parts == groups.sizes["cluster"]
    return factorise(
        od,
        n_parts,
        similar_to=groups if as_many or section.similarity > 0 else None,
        similarity=section.similarity,
        sparsity=section.sparsity,
        seed=recipe.seed,
    )


def clustered_route(
    od: xr.Dataset,
    groups: xr.Dataset,
    table: xr.Dataset,
    recipe: Recipe,
    *,
    of_several: bool = False,
) -> tuple[Library, xr.Dataset]:
    """Teal arrows of Figure 2: every pixel against the clusters that were matched to standards.

    A stack's own clusters lie on its own energy axis; those `of_several` stacks do not.
    """
    own = library_from_clusters(groups, table)
    shift = _energy_shift(recipe) if of_several else 0.0
    return own, _fit(od, own, recipe, energy_shift="fit" if shift == "fit" else 0.0)


def samples(done: Products, recipe: Recipe) -> dict[str, xr.DataArray]:
    """Where each route finds enough of the sample for a composition, (y, x) on the maps' grid."""
    section = recipe.composition
    return {
        name: composition(
            maps, library, normalise=section.normalise, min_thickness=section.min_thickness
        )["mask"]
        for name, maps, library in _routes(done)
    }


def compositions(
    done: Products, recipe: Recipe, inside: Mapping[str, xr.DataArray] | None = None
) -> dict[str, xr.Dataset]:
    """The composition that each route gives, in its `samples` or `inside` other masks.

    The Gaussian filter (Equation 5) acts on the optical density and the fit is made once more. For
    an unconstrained fit that is the same as filtering weights, as the paper does; non-negative
    weights have one-sided errors, which a filter behind the fit would average into a bias.
    """
    section = recipe.composition
    inside = samples(done, recipe) if inside is None else inside
    found = {}
    for name, maps, library in _routes(done):
        if section.smooth_px > 0:
            assert done.od is not None  # noqa: S101 - every run has an optical density
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChemoscapeWarning)  # said already by the first fit
                maps = _fit(
                    smooth(done.od, section.smooth_px),
                    library,
                    recipe,
                    energy_shift=EnergyShift.from_attrs(maps.attrs),
                )
        found[name] = composition(
            maps,
            library,
            refine=section.refine,
            normalise=section.normalise,
            mask=inside[name],
        ).assign_attrs(
            smooth_px=section.smooth_px, noise_length_px=section.smooth_px * section.refine
        )
        if not found[name]["composition"].notnull().any():
            raise FitError(
                f"the {name} route finds a composition in no pixel",
                str(recipe.input.path),
                "look whether I0 is free of sample and the standards are of this edge, or lower "
                "[composition] min_thickness",
            )
    return found


def _routes(done: Products) -> list[tuple[str, xr.Dataset, Library]]:
    """Name, weights and standards of every route that was taken."""
    routes = (
        ("direct", done.direct, done.library),
        ("clustered", done.clustered, done.cluster_library),
    )
    return [
        (name, maps, library)
        for name, maps, library in routes
        if maps is not None and library is not None
    ]


def _baseline(recipe: Recipe) -> Any:
    return None if recipe.deconvolution.baseline == "none" else recipe.deconvolution.baseline


def _energy_shift(recipe: Recipe) -> Any:
    return recipe.calibration.energy_shift if recipe.calibration.enabled else 0.0
