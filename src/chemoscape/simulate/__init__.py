"""Stacks with known truth.

`core_shell` is the paper's test data set (Construction of a test STXM dataset, Figure S8) made
quantitative: a particle with a lithium-rich core, a mixed ring and a lithium-poor shell, in counts,
with a thickness that falls towards the rim. Shifting its energy axis gives the miscalibrated twin
(Figure S10). Both are made of the very spectra that they are fitted with, which no sample is:
`honest_twin` is made of others (`altered_library`), seen through stray light with an I0 that is
slightly wrong. `from_image` makes a stack of any picture. `nanowire` is a fragment as the paper
maps by ptychography, and `reconstructions` are what ptychography sees of a sample. `expose` is the
beam and the detector of all others. `cramer_rao_composition_sd` says how well the composition of
each pixel can be known at all.
"""

from chemoscape.simulate.alterations import altered_library
from chemoscape.simulate.exposure import Exposure, expose, measurement_energies
from chemoscape.simulate.fragment import PAPER_ENERGIES, nanowire
from chemoscape.simulate.limits import cramer_rao_composition_sd
from chemoscape.simulate.particle import (
    CORE,
    CORE_RADIUS,
    MIXTURE,
    MIXTURE_RADIUS,
    SHELL,
    core_shell,
)
from chemoscape.simulate.pictures import from_image
from chemoscape.simulate.ptychography import Reconstructions, reconstructions
from chemoscape.simulate.truth import Truth
from chemoscape.simulate.twins import honest_twin

__all__ = [
    "CORE",
    "CORE_RADIUS",
    "MIXTURE",
    "MIXTURE_RADIUS",
    "PAPER_ENERGIES",
    "SHELL",
    "Exposure",
    "Reconstructions",
    "Truth",
    "altered_library",
    "core_shell",
    "cramer_rao_composition_sd",
    "expose",
    "from_image",
    "honest_twin",
    "measurement_energies",
    "nanowire",
    "reconstructions",
]
