"""Figure S1: the fit of a whole powder pattern
============================================

The paper shows
---------------
Rietveld refinements of the powder patterns of six LixV2O5 phases (GSAS-II): data, fit, difference,
marks of the reflections, and how well they fit.

Ours shows
----------
What such a fit says of one standard, on a **synthetic** pattern that holds 4 % of rutile (of the
highest line) beside the published structure of α-V2O5. Intensities are free (Pawley, Le Bail):
the cell is refined, Rietveld's atoms are not, they are imported from GSAS-II. What the phase does
not explain is marked, and named by comparison with known phases. The numbers are the cell, with
its error, and the place of the foreign line.
"""

from dataclasses import replace

import gemmi
import numpy as np

from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.evidence import weigh_pattern
from chemoscape.crystals.model import model_structure
from chemoscape.crystals.simulation import calculated_pattern, overlay, synthetic_pattern
from chemoscape.report.crystals import pattern_figure
from chemoscape.standards._cif import Site

# %%
# Rutile: a tetragonal cell and two atoms. It stands for whatever a furnace leaves in a sample.
group = gemmi.SpaceGroup("P 42/m n m")
operations = [np.array(one.rot) / one.DEN for one in group.operations()]
shifts = [np.array(one.tran) / one.DEN for one in group.operations()]
atoms = (Site("Ti", (0.0, 0.0, 0.0), 1.0, "Ti1"), Site("O", (0.3053, 0.3053, 0.0), 1.0, "O1"))
cell = (4.5937, 4.5937, 2.9587, 90.0, 90.0, 90.0)
unknown = (np.nan,) * 6
rutile = Crystal(
    "rutile", cell, unknown, atoms, np.array(operations), np.array(shifts), "P 42/m n m", 2.0
)

# %%
# The measurement, simulated; the fit begins 0.05 Å off on every axis.
alpha = model_structure(0.0)
two_theta = np.arange(10, 70, 0.03)
clean = synthetic_pattern(alpha, two_theta, "Cu", counts=8000, seed=3, shift=0.03)
foreign = 0.04 * 8000 * calculated_pattern(rutile, two_theta, "Cu", shift=0.03)
counts = clean.intensity + np.random.default_rng(4).poisson(foreign)
pattern = replace(clean, intensity=counts, sd=np.sqrt(np.maximum(counts, 1)))
start = (11.594, 3.521, 4.433, 90.0, 90.0, 90.0)
found = weigh_pattern(pattern, alpha, [rutile], start=start)
print(found)
for doubt in found.doubts:
    print(f"doubt: {doubt}")

# %%
# Data, fit, background and marks; the difference in standard deviations; what the structure makes.
figure = pattern_figure(found, calculated=overlay(found.fit, alpha), title="α-V$_2$O$_5$, Cu Kα")

error = np.abs(np.subtract(found.fit.cell[:3], alpha.cell[:3]))
first = found.extra[0]
assert error.max() < 5e-4
assert len(found.doubts) == 1  # of the foreign lines
assert (error < 4 * np.array(found.fit.cell_sd[:3])).all()
assert abs(first.two_theta - 0.03 - 27.43) < 0.04  # rutile (110), with the offset
assert first.phases == ("rutile",)
