"""The electrochemistry beside the maps: galvanostatic curves, Faraday's law, plateaus, phases.

A curve is opened (`open_cycling`), its charge becomes composition (`lithiation`), its half cycles
and plateaus are measured (`half_cycles`, `plateaus`), the phases that should be there are named
(`PhaseDiagram`), and the composition of a map is placed on it (`place_on_curve`).
"""

from chemoscape.electrochemistry.beside import beside_the_map
from chemoscape.electrochemistry.faraday import capacity_per_ion, lithiation
from chemoscape.electrochemistry.halves import half_cycles
from chemoscape.electrochemistry.pairing import hysteresis
from chemoscape.electrochemistry.phases import LIXV2O5, Phase, PhaseDiagram, read_phases
from chemoscape.electrochemistry.placing import Placement, place_on_curve
from chemoscape.electrochemistry.plateaus import capacity_density, plateaus
from chemoscape.electrochemistry.reading import open_cycling
from chemoscape.electrochemistry.simulated import (
    SYNTHETIC_V2O5,
    SimulatedPlateau,
    simulate_cycling,
)
from chemoscape.electrochemistry.writing import write_cycling

__all__ = [
    "LIXV2O5",
    "SYNTHETIC_V2O5",
    "Phase",
    "PhaseDiagram",
    "Placement",
    "SimulatedPlateau",
    "beside_the_map",
    "capacity_density",
    "capacity_per_ion",
    "half_cycles",
    "hysteresis",
    "lithiation",
    "open_cycling",
    "place_on_curve",
    "plateaus",
    "read_phases",
    "simulate_cycling",
    "write_cycling",
]
