"""Composition from two to five energies, and which energies those should be.

The paper's Figure 4 made quantitative: STXM finds the phases, ptychography at a few energies maps
them at ten nanometres.
"""

from chemoscape.few_energies.bounded import bounded_composition
from chemoscape.few_energies.budget import (
    best_thickness,
    choose_for,
    least_sd,
    sd_against_thickness,
)
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.maps import fit_maps
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.noise import with_background_variance
from chemoscape.few_energies.phase import phase_maps
from chemoscape.few_energies.ratios import ratio_maps, ratios
from chemoscape.few_energies.resolution.compositions import compare_compositions
from chemoscape.few_energies.resolution.densities import compare_resolutions
from chemoscape.few_energies.roles import Roles, named_roles, roles_of
from chemoscape.few_energies.selection import choose_energies, predict
from chemoscape.few_energies.subsampling import subsample

__all__ = [
    "Expected",
    "Nuisance",
    "Roles",
    "best_thickness",
    "bounded_composition",
    "choose_energies",
    "choose_for",
    "compare_compositions",
    "compare_resolutions",
    "fit_maps",
    "least_sd",
    "named_roles",
    "phase_maps",
    "predict",
    "ratio_maps",
    "ratios",
    "roles_of",
    "sd_against_thickness",
    "subsample",
    "with_background_variance",
]
