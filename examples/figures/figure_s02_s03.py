"""Figures S2 and S3: structures, their layers and how they pucker
================================================================

The paper shows
---------------
The refined structures of the six LixV2O5 phases (S2), and how the layers pucker and the apical
oxygens lean as lithium comes in (S3, with the angles in Table S8).

Ours shows
----------
The same views of six **synthetic** structures, made from the published one of α-V2O5, with both
angles computed from their coordinates: the *canting* of the shortest V-O bond off the normal of the
layers, and the *puckering*, the angle of the basal planes of two pyramids that share a corner. Seen
along a, the shift of every second layer by half of b, which makes δ, comes out. The numbers are
these angles, and the V-O distances of α-V2O5 beside those of another refinement.
"""

import numpy as np

from chemoscape.crystals.bonds import bonds
from chemoscape.crystals.layers import describe_layers
from chemoscape.crystals.model import PHASES, model_structure
from chemoscape.report.structure_drawing import structures_figure

crystals = {name: model_structure(x, phase) for name, (x, phase) in PHASES.items()}
layers = {name: describe_layers(one) for name, one in crystals.items()}
for name, one in layers.items():
    print(
        f"{name:<20} canting {one.canting:5.2f}°  puckering {one.puckering:5.2f}°  "
        f"V=O {one.apical:.3f} Å  sixth {one.sixth:.3f} Å"
    )

# %%
# Distances of α-V2O5, and those that Enjalbert and Galy print (Acta Cryst. C42, 1467, 1986).
alpha = bonds(crystals["alpha-V2O5"])
distances = np.sort([bond.length for bond in alpha for _ in range(bond.multiplicity)])
published = np.array([1.577, 1.779, 1.878, 1.878, 2.017, 2.791])
print("V-O of α-V2O5 (Å):", ", ".join(f"{one:.3f}" for one in distances))
print("another refinement:", ", ".join(f"{one:.3f}" for one in published))

# %%
# S2 and S3: along b, with both angles beneath.
captions = [
    f"canting {one.canting:.1f}°, puckering {one.puckering:.1f}°" for one in layers.values()
]
along_b = structures_figure(
    list(crystals.values()), list(crystals), captions=captions, note="x = 0 is published"
)

# %%
# Along a: in δ every second layer is shifted by half of b.
pair = ["epsilon-Li0.7V2O5", "delta-Li0.9V2O5"]
along_a = structures_figure(
    [crystals[name] for name in pair], pair, along="a", repeats=(3, 2), columns=2
)

canting = np.array([one.canting for one in layers.values()])
puckering = np.array([one.puckering for one in layers.values()])
assert np.abs(distances - published).max() < 0.015
assert (np.diff(canting) > 0).all()
assert (np.diff(puckering) > 0).all()
assert layers["delta-Li0.9V2O5"].layers_in_cell == 2
