"""Figures 6G to 6L: an ensemble, its phases, and area against lithiation
======================================================================

The paper shows
---------------
More than 83 wires (G); maps of ε-Li0.3V2O5, ε-Li0.45V2O5 and δ-Li0.9V2O5 by the spectra of three
clusters (H to J), which are compared with standards (K); the projected areas of the particles of
each phase (L): modes of 12.4, 11.9 and 6.8 µm², so that small particles hold more lithium.

Ours shows
----------
More than 83 simulated wires, of which the smaller are the more likely to be rich in lithium.
Spearman's ρ between area and composition, with its interval, and the modes with theirs: that of δ
lies far below the other two, whose own difference is hardly larger than its error. With some 30
particles of a phase the paper's 12.4 and 11.9 µm² could not be told apart; and 83 particles of some
10 µm² would not fit into its field of view, so that sign and order are compared, not areas. The
standards are synthetic.
"""

import numpy as np

import chemoscape as cs
from chemoscape.particles import generator
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.particles.phases import with_composition
from chemoscape.report.composites import composite_figure
from chemoscape.report.ensembles import composition_figure, sizes_figure
from chemoscape.report.matches import clusters_figure

NOTE = "Simulated wires, with synthetic standards."

# %%
# Wires, and a phase for each; counts with a spot of 80 nm.

random = np.random.default_rng(6)
pixel_um, pixels = 0.08, 300
names = ["epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5", "delta-Li0.9V2O5"]
field_um = (pixels * pixel_um, pixels * pixel_um)
wires = generator.sample_wires(random, field_um, 118, gathered=0.2, width_um=0.4)
rank = np.argsort(np.argsort([-wire.area for wire in wires])) / len(wires)
phase = np.clip(np.floor(3 * np.clip(rank + random.normal(0, 0.2, len(wires)), 0, 0.999)), 0, 2)
library = cs.open_library("lixv2o5-model")
energy = np.r_[511.0, 515:520:0.5, 521:534:1.0]
spectra = library.select(*names).spectra(energy).values
shares = np.eye(len(names))[phase.astype(int)]
made = measured_ensemble(
    random,
    wires,
    shares,
    0.7 * spectra / spectra.max(),
    energy,
    (pixels, pixels),
    pixel_um,
    counts=20_000.0,
)
od = cs.optical_density(made.stack)

# %%
# H to K: clusters, their match with the standards, and the weights of their spectra.

pcs = cs.principal_components(od)
groups = cs.cluster(od, pcs, n_clusters=3)
table = cs.match(groups, library, max_standards=2)
for x, sd in zip(table.composition.values, table.composition_sd.values, strict=True):
    print(f"cluster with x = {x:.3f} ± {sd:.3f}")
own = cs.library_from_clusters(groups, table)
maps = cs.deconvolve(od, own, energy_shift=0.0)
called = [f"x = {x:.2f}" for x in table.composition.values]
figure_maps = composite_figure(maps, called, scale="own", note=NOTE)
figure_spectra = clusters_figure(groups, table, note=NOTE)

# %%
# L: particles, the composition of each, and what area has to do with it.

comp = cs.composition(maps, own)
found = cs.segment(comp["thickness"].where(comp["mask"], 0.0), "classical")
ensemble = cs.ensemble_statistics(
    with_composition(found, comp, maps.assign_coords(standard=called))
)
print(f"{found.sizes['particle']} particles of {len(wires)} wires")
print(ensemble)
figure_area = composition_figure(ensemble, note=NOTE)
figure_sizes = sizes_figure(ensemble, note=NOTE)

assert found.sizes["particle"] > 83
assert ensemble.correlation.rho.high < 0  # larger particles hold less lithium
