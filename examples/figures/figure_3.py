"""Figure 3: the workflow on an artificial data set
================================================

The paper shows
---------------
A particle with a core of ε-Li0.45V2O5, a shell of α-Li0.1V2O5 and a mixture between, made from
reference spectra: transmission, I0 and absorption (A), the maps of the standards (B), clusters of
principal components (C), the composition (D) and the von Mises stress (E). Composition is found
"with excellent fidelity", without a number.

Ours shows
----------
The same particle, with Poisson noise, from counts to stress. Both routes are put beside the truth:
the composition of a pixel is found to better than 0.01 by either (without weights that are kept
non-negative, the counts would allow 0.008 at best), and stress follows: along the phase boundary
when the particle is free, all over its core when its outline is held. The standards are synthetic.
"""

# sphinx_gallery_thumbnail_number = 4
import numpy as np

import chemoscape as cs
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.report.comparison import comparison_figure
from chemoscape.report.figures import (
    clusters_figure,
    stress_figure,
    transmission_and_optical_density,
    weight_maps,
)

NOTE = "Simulated, with synthetic standards."

# %%
# A: counts become optical density; I0 is found where the image is empty.

truth = cs.simulate.core_shell(shape=(48, 64), pixel_um=0.075, poisson=True, photons=20_000)
od = cs.optical_density(truth.stack)
figure_a = transmission_and_optical_density(od, note=NOTE)

# %%
# B, the orange arrows: weights of known standards in every pixel (Equations 1 and 2).

pair = truth.library.select("epsilon-Li0.45V2O5", "alpha-Li0.1V2O5")
maps = cs.deconvolve(od, pair)
print(f"energy shift {maps.attrs['energy_shift_eV']:+.4f} eV, which is zero in truth")
figure_b = weight_maps(maps, [one.label for one in pair.standards])

# %%
# C, the teal arrows: principal components, clusters, and the standards that each is made of.

pcs = cs.principal_components(od)
groups = cs.cluster(od, pcs, n_clusters=3)
table = cs.match(groups, truth.library)
figure_c = clusters_figure(groups, table, note=NOTE)

# %%
# D: composition (Equation 6) by both routes, beside the truth.

own = cs.library_from_clusters(groups, table)
found = {
    "direct": cs.composition(maps, pair),
    "clustered": cs.composition(cs.deconvolve(od, own, energy_shift=0.0), own),
}
thick = truth.thickness >= 0.25
best = cs.simulate.cramer_rao_composition_sd(truth, pair.names).where(thick)
print(f"at best      error of x {float(np.sqrt((best**2).mean())):.4f}, were weights not bounded")
errors = {}
for name, comp in found.items():
    apart = (comp.composition - truth.composition).where(thick)
    errors[name] = float(np.sqrt((apart**2).mean()))
    print(f"{name:<12} error of x {errors[name]:.4f} rms per pixel")
shown = {name: comp.where(thick) for name, comp in found.items()}
figure_d = comparison_figure(truth.composition.where(thick), shown, note=NOTE)

# %%
# E: stress (Equations 7 to 11) of the direct map, free and held at the outline.

fields = cs.stress(found["direct"], LIXV2O5_ILLUSTRATIVE, boundary=["free", "fixed"])
for field in fields:
    numbers = field.von_mises_summary()
    print(f"{field.boundary:<12} von Mises {numbers['von_mises_mean_MPa']:.0f} MPa in the mean")
figure_e = stress_figure(fields, note=NOTE)

assert max(errors.values()) < 0.01
