"""Figure S16: no heterogeneity within a wire
==========================================

The paper shows
---------------
Principal components and clusters of parts of each wire of Figure 5 alone: little to no lithiation
heterogeneity within a particle, where there is a great one between particles.

Ours shows
----------
The pixels of one wire alone have one component above noise and one cluster, whatever their
thickness; those of both wires together have two. The test would find a percent of foreign pixels.
It cannot find a mixture that is alike in all pixels. The standards are synthetic.
"""

import numpy as np
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.curation.purity import purity
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.particles.shapes import Wire
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    draw_map,
    footnote,
    letters,
    outline,
    styled,
)

library = cs.open_library("lixv2o5-model")
energy = np.r_[508:512:1.0, 512:536:0.4, 536:560.1:2.0]
spectra = library.select("epsilon-Li0.3V2O5", "delta-Li0.9V2O5").spectra(energy).values
wires = [
    Wire(0.9, 2.3, 3.2, 0.40, 0.12, "round", 0.8),
    Wire(2.0, 2.6, 3.6, 0.45, 3.0, "round", 0.9),
]
made = measured_ensemble(
    np.random.default_rng(2),
    wires,
    np.eye(2),
    0.9 * spectra / spectra.max(),
    energy,
    (60, 100),
    0.05,
    fwhm_um=0.05,
    counts=8000.0,
)
od = cs.optical_density(made.stack)
mean = od.optical_density.mean("energy")
below = mean.y < 1.45
parts = {
    "lower wire": (mean > 0.12) & below,
    "upper wire": (mean > 0.12) & ~below,
    "both": mean > 0.12,
}

# %%
# Each alone, and both together.

found = {name: purity(od, mask, library=library) for name, mask in parts.items()}
for name, one in found.items():
    print(f"{name:<11}rank {one.rank:.0f}, {one.clusters} cluster(s) in {one.n_pixels} pixels")
    print(f"{'':<11}second eigenvalue {one.eigenvalue_ratio:.2f} of the largest of noise")

# %%
# Scores of every pixel on the components of both: thickness moves a pixel along a line from the
# origin, another spectrum to another line.


@styled
def heterogeneity_figure():
    figure = Figure(figsize=(DOUBLE, 2.5), layout="constrained")
    image, cloud, bars = figure.subplots(1, 3, width_ratios=(1.15, 1, 0.9))
    draw_map(image, mean, title="Mean optical density", cmap="gray_r", colourbar=False)
    scores = cs.principal_components(od).score
    for k, name in enumerate(("lower wire", "upper wire")):
        outline(image, parts[name], CATEGORIES[k])
        inside = parts[name].values
        first, second = scores.values[0][inside], scores.values[1][inside]
        cloud.plot(first, second, ".", color=CATEGORIES[k], markersize=2, label=name)
    cloud.set(xlabel="score 1", ylabel="score 2", title="Scores of the pixels")
    cloud.legend(loc="best", markerscale=3)
    values = [one.eigenvalue_ratio for one in found.values()]
    bars.bar(range(3), values, color=[*CATEGORIES[:2], "0.6"], width=0.6)
    bars.axhline(1.0, color="0.15", linewidth=0.6, linestyle="dotted")
    bars.set_yscale("log")
    bars.set_xticks(range(3), [f"{name}\nrank {one.rank:.0f}" for name, one in found.items()])
    bars.set(title="Second eigenvalue", ylabel="over the largest of noise")
    letters((image, cloud, bars))
    footnote(figure, "Simulated wires, with synthetic standards.")
    return figure


figure = heterogeneity_figure()

assert [one.rank for one in found.values()] == [1, 1, 2]
assert found["lower wire"].clusters == found["upper wire"].clusters == 1
