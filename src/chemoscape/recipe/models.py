"""The whole recipe, section by section in the order of the work.

This is the reference: the documentation, the comments that `init` writes and the complaints about
unknown keys are made from it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chemoscape.recipe.sections.common import Section
from chemoscape.recipe.sections.cycling import Electrochemistry
from chemoscape.recipe.sections.fitting import (
    Calibration,
    Clusters,
    Composition,
    Deconvolution,
    Factorisation,
    FewEnergies,
    Standards,
)
from chemoscape.recipe.sections.outcomes import Compute, Particles, Report, Stress
from chemoscape.recipe.sections.preparation import Absorbance, Artefacts, Damage, Drift, Input
from chemoscape.recipe.sections.series import Series

#: scikit-learn takes 32 bits.
LARGEST_SEED = 2**32 - 1


class Recipe(Section):
    """A whole recipe: `version` and `seed`, then the sections in the order of the work."""

    version: Literal[1] = 1
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="for everything drawn at random")
    input: Input = Input()
    series: Series = Series()
    artefacts: Artefacts = Artefacts()
    drift: Drift = Drift()
    absorbance: Absorbance = Absorbance()
    calibration: Calibration = Calibration()
    standards: Standards = Standards()
    deconvolution: Deconvolution = Deconvolution()
    clusters: Clusters = Clusters()
    factorisation: Factorisation = Factorisation()
    few_energies: FewEnergies = FewEnergies()
    composition: Composition = Composition()
    damage: Damage = Damage()
    stress: Stress = Stress()
    particles: Particles = Particles()
    electrochemistry: Electrochemistry = Electrochemistry()
    report: Report = Report()
    compute: Compute = Compute()
