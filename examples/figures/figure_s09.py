"""Figure S9: maps of all six standards, and what the fit leaves over
===================================================================

The paper shows
---------------
A direct deconvolution of the artificial data set by the whole library: on one grey scale the two
phases that are there (B, D) stand out from the four that are not (A, C, E, F), and the residual (G)
is even.

Ours shows
----------
The same with counting noise, with weights that may not be negative. Six standards that are nearly
alike trade with each other in single pixels: the share that goes to the four absent phases is what
the paper's picture cannot tell. It changes the composition little, because what trades is alike.
The standards are synthetic.
"""

import numpy as np

import chemoscape as cs
from chemoscape.report.figures import weight_maps

truth = cs.simulate.core_shell(shape=(48, 64), pixel_um=0.075, poisson=True, photons=20_000)
od = cs.optical_density(truth.stack)
library = truth.library
maps = cs.deconvolve(od, library)
figure = weight_maps(maps, [one.label for one in library.standards])

# %%
# Shares of the phases in the whole particle, and the composition of its pixels.

thick = truth.thickness >= 0.25
total = maps.weight.where(thick).sum(("y", "x"))
share = total / total.sum()
true_total = truth.weights.where(thick).sum(("y", "x"))
true_share = true_total / true_total.sum()
for name in library.names:
    print(f"{name:<20}{100 * float(share.sel(standard=name)):5.1f} % of the mass", end="")
    print(f", in truth {100 * float(true_share.sel(standard=name)):.1f} %")
absent = [n for n in library.names if n not in ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")]
wrong = float(share.sel(standard=absent).sum())
comp = cs.composition(maps, library)
error = (comp.composition - truth.composition).where(thick)
rms = float(np.sqrt((error**2).mean()))
print(f"{100 * wrong:.1f} % of the mass in phases that are not there; error of x {rms:.4f} rms")

assert wrong < 0.10
assert rms < 0.02
