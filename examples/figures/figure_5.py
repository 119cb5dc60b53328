"""Figure 5: pairs of wires that touch
===================================

The paper shows
---------------
Two pairs of nanowires lithiated on their substrate, as composites of the maps of their spectra (A,
B) and the spectra (C, D), found by principal components, clusters and comparison with standards.
In the first pair one wire holds hardly any lithium and the other is lithiated; in the second one is
ε-Li0.3V2O5 and the other δ-Li0.9V2O5: lithium enters particle by particle.

Ours shows
----------
Two simulated pairs of such compositions, analysed in the same way: clusters, their match with all
six standards, and the weights of the wires' own spectra in every pixel. A third cluster takes the
pixels in which the wires overlap, lest they spoil the other two; in the composite both weights show
there. Each wire's composition is found to better than 0.02. The standards are synthetic.
"""

import numpy as np

import chemoscape as cs
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.particles.shapes import Wire
from chemoscape.report.composites import composite_figure
from chemoscape.report.matches import clusters_figure

NOTE = "Simulated wires, with synthetic standards."
library = cs.open_library("lixv2o5-model")
energy = np.r_[508:512:1.0, 512:536:0.4, 536:560.1:2.0]


def pair(names, wires, shape, pixel_um, seed):
    """Counts of two wires, each of one phase, measured with a spot of a pixel."""
    spectra = library.select(*names).spectra(energy).values
    made = measured_ensemble(
        np.random.default_rng(seed),
        wires,
        np.eye(2),
        0.9 * spectra / spectra.max(),
        energy,
        shape,
        pixel_um,
        fwhm_um=pixel_um,
        counts=8000.0,
    )
    return cs.optical_density(made.stack)


def analysed(od):
    """Clusters, what they are, and the weights of the two ends in every pixel.

    Three clusters: pixels where the wires overlap have spectra between those of the wires.
    """
    groups = cs.cluster(od, cs.principal_components(od), n_clusters=3)
    table = cs.match(groups, library)
    own = cs.library_from_clusters(groups, table)
    order = np.argsort(table.composition.values)
    ends = [order[0], order[-1]]
    maps = cs.deconvolve(od, own.select(*(own.names[k] for k in ends)), energy_shift=0.0)
    x = table.composition.values[ends]
    for value, k in zip(x, ends, strict=True):
        print(f"x = {value:.3f}  {table.candidate.values[k, 0]}")
    return groups, table, maps, x


# %%
# Early: hardly lithiated beside lithiated; pixels of 30 nm.

early = [
    Wire(1.05, 2.0, 3.4, 0.32, 0.10, "round", 0.9, bend=0.02),
    Wire(1.42, 2.6, 3.0, 0.30, 0.02, "round", 0.9),
]
od = pair(["alpha-V2O5", "epsilon-Li0.45V2O5"], early, (80, 150), 0.03, 1)
groups, table, maps, x = analysed(od)
error_early = np.abs(x - [0.0, 0.45]).max()
names = [f"x = {value:.2f}" for value in x]
figure_a = composite_figure(maps, names, note=NOTE)
figure_c = clusters_figure(groups, table, note=NOTE)

# %%
# Later: ε-Li0.3V2O5 beside δ-Li0.9V2O5; pixels of 50 nm.

later = [
    Wire(1.7, 2.0, 3.6, 0.40, 0.35, "round", 0.8),
    Wire(1.75, 3.2, 4.2, 0.45, 2.75, "round", 0.9, bend=-0.02),
]
od = pair(["epsilon-Li0.3V2O5", "delta-Li0.9V2O5"], later, (70, 110), 0.05, 2)
groups, table, maps, x = analysed(od)
error_later = np.abs(x - [0.3, 0.9]).max()
names = [f"x = {value:.2f}" for value in x]
figure_b = composite_figure(maps, names, note=NOTE)
figure_d = clusters_figure(groups, table, note=NOTE)

assert max(error_early, error_later) < 0.02
