"""Figure S14: linear combination fit of the nanowire's spectrum
=============================================================

The paper shows
---------------
The mean STXM spectrum of the wires of Figure 4 fitted by energy-aligned standards: a nearly even
mixture of α-Li0.1V2O5 and ε-Li0.3V2O5.

Ours shows
----------
The mean spectrum of the simulated wire of Figure 4, on an axis that is off by 0.3 eV, fitted by
every combination of up to four of the six standards. The right pair is the best by its information
criterion, the shift is found, and the shares of the two are those that the wire was made of: it has
more of the lithium-rich phase than the paper's. The standards are synthetic.
"""

import numpy as np

import chemoscape as cs
from chemoscape.report.lcf import lcf_figure

wire = cs.simulate.nanowire(
    pixel_um=0.05, peak_optical_density=1.2, poisson=True, photons=5_000, energy_shift_eV=0.3
)
od = cs.optical_density(wire.stack, i0=wire.i0)
inside = wire.thickness > 0.25
spectrum = od.optical_density.where(inside).mean(("y", "x"))
sd = np.sqrt(od.variance.where(inside).mean(("y", "x")) / int(inside.sum()))

fits = cs.rank_combinations(spectrum, wire.library, sd=sd.values, resolution_eV=0.5)
best = fits.best
print(best)
figure = lcf_figure(fits, title="Mean spectrum of the simulated wire")

# %%
# Shares of formula units beside the truth.

mass = wire.weights.where(inside).sum(("y", "x"))
print(f"truth: {(100 * mass / mass.sum()).round(1).values.tolist()} % of the mass")
thickness = wire.thickness.where(inside)
x = float((wire.composition * thickness).sum() / thickness.sum())
print(f"x = {best.composition:.3f} ± {best.composition_sd:.3f}, in truth {x:.3f}")

assert set(best.standards) == {"alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"}
assert abs(best.composition - x) < 0.01
