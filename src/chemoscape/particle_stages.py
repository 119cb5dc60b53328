"""Stages of a run that find particles in its maps: outlines, compositions, sizes, spectra.

As in `stages`, one function each; `workflow` puts them in order.
"""

from __future__ import annotations

import warnings

import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.particles.findings import EnsembleStatistics
from chemoscape.particles.geometry import psf_sizes
from chemoscape.particles.phases import with_composition
from chemoscape.particles.registration import register
from chemoscape.particles.segmentation import segment
from chemoscape.particles.sources import named_map, open_map
from chemoscape.particles.spectra import cluster_particles, particle_spectra
from chemoscape.particles.statistics import LEAST, ensemble_statistics
from chemoscape.products import Products, chosen_composition, chosen_maps
from chemoscape.recipe import Recipe


def find_particles(done: Products, recipe: Recipe) -> xr.Dataset:
    """Particles of the map, what they hold, and their sizes with the blur taken off."""
    section, maps = recipe.particles, chosen_maps(done, recipe)
    table = segment(
        named_map(maps["weight"], section.map, "[particles] map"),
        section.method,
        fwhm_um=section.fwhm_um,
        threshold=section.threshold,
        exclude=[one.region() for one in section.exclude],
    )
    if not table.sizes["particle"]:
        warnings.warn(
            f"no particle was found in the map of {section.map}: look at its figure, or lower "
            "[particles] threshold",
            ChemoscapeWarning,
            stacklevel=2,
        )
        return table
    table = with_composition(table, chosen_composition(done, recipe), maps["weight"])
    assert done.od is not None  # noqa: S101 - every run has an optical density
    density = done.od["optical_density"].mean("energy")  # adds along the beam as each energy does
    return psf_sizes(table, density, section.fwhm_um)


def spectra_of(table: xr.Dataset, done: Products, recipe: Recipe) -> xr.Dataset:
    """The spectrum of each particle and, where the recipe asks for it, the group it belongs to."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    spectra = particle_spectra(table, done.od)
    wanted = recipe.particles.n_clusters
    if wanted:
        try:
            spectra["label"] = cluster_particles(spectra, wanted, recipe.seed)["label"]
        except FitError as error:
            warnings.warn(f"particles are not grouped: {error}", ChemoscapeWarning, stacklevel=2)
    return spectra


def other_picture(done: Products, recipe: Recipe) -> xr.DataArray | None:
    """The picture of another microscope on the grid of the map."""
    section = recipe.particles.picture
    if section is None:
        return None
    plane = chosen_maps(done, recipe)["weight"][0]
    picture = open_map(section.path, pixel_um=section.pixel_um)
    return register(picture, plane, section.pairs).rename("picture")


def ensemble_of(table: xr.Dataset, recipe: Recipe) -> EnsembleStatistics | None:
    """What size has to do with composition; None for few particles, or where it cannot be said."""
    if table.sizes["particle"] < LEAST:
        return None
    try:
        return ensemble_statistics(table, seed=recipe.seed)
    except (FitError, StackError) as error:
        warnings.warn(f"no statistics of the particles: {error}", ChemoscapeWarning, stacklevel=2)
        return None
