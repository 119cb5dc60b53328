"""Figure S20: a phase boundary along the beam
===========================================

The paper shows
---------------
Why the artificial data set has a region of mixed composition: depending on how a wire lies on its
substrate, the beam crosses both phases, and a pixel shows their sum.

Ours shows
----------
A wire whose phase boundary is tilted to the beam. Seen from above, every pixel across the boundary
is a mixture, exactly the share of the beam's path, which a direct fit by two standards finds.
Clusters cannot: each pixel belongs to one, so that the slope becomes steps. One projection does not
tell such a boundary from one at which composition changes slowly. The standards are synthetic.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    draw_map,
    footnote,
    letters,
    styled,
)

# %%
# Shares along the beam: a boundary at 45° in a wire 0.4 µm thick, as seen in pixels of 40 nm.

x = (np.arange(60) + 0.5) * 0.04
y = (np.arange(30) + 0.5) * 0.04
depth = 0.4
share = np.clip((1.4 - x) / depth, 0.0, 1.0)  # of the lithium-rich phase along the beam
wanted = np.tile(0.1 + 0.35 * share, (y.size, 1))
wire = (np.abs(y[:, None] - 0.6) < 0.25) & (np.abs(x - 1.2) < 1.0)
pair = cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
made = cs.simulate.from_image(
    wire.astype(float), pair, composition=wanted, poisson=True, photons=20_000
)
od = cs.optical_density(made.stack, i0=made.i0)

# %%
# Direct, and by clusters.

direct = cs.composition(cs.deconvolve(od, pair, energy_shift=0.0), pair)
groups = cs.cluster(od, cs.principal_components(od), n_clusters=3)
table = cs.match(groups, pair, energy_shift=0.0)
steps = table.composition.values[np.clip(groups.label.values, 0, None)]
clustered = xr.where(groups.label >= 0, steps, np.nan)
truth = made.composition
errors = {}
for name, found in (("direct", direct.composition), ("clusters", clustered)):
    errors[name] = float(np.sqrt(((found - truth) ** 2).mean()))
    print(f"{name:<9}error of x {errors[name]:.4f} rms")
mixed = (share > 0) & (share < 1)
print(f"{mixed.sum()} columns of pixels are mixed")


@styled
def boundary_figure():
    figure = Figure(figsize=(DOUBLE, 3.0), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
    section, plan = left.subplots(2, 1, height_ratios=(1, 1.6))
    by_fit, by_cluster = right.subplots(2, 1, sharex=True)
    depths = (np.arange(20) + 0.5) * 0.02
    values = np.where(x < 1.4 - depths[:, None], 0.45, 0.1)
    values = np.where(np.abs(x - 1.2) < 1.0, values, np.nan)
    across = xr.DataArray(values, dims=("y", "x"), coords={"y": depths, "x": x})
    variable = "x in Li$_x$V$_2$O$_5$"
    scale = {"limits": (0.1, 0.45), "label": variable}
    draw_map(section, across, title="Section along the beam (upwards)", **scale)
    draw_map(plan, direct.composition, title="As the beam sees it: found, direct", **scale)
    row = slice(12, 18)
    for ax, name, found, colour in (
        (by_fit, "direct", direct.composition, CATEGORIES[0]),
        (by_cluster, "clusters", clustered, CATEGORIES[5]),
    ):
        ax.plot(x, truth[row].mean("y"), color=INK, linewidth=0.8, label="share of the path")
        ax.plot(x, found[row].mean("y"), "o", color=colour, markersize=2.5, label=name)
        ax.set(ylabel=variable, xlim=(0.2, 2.2), title=f"Error of x {errors[name]:.3f} rms")
        ax.legend(loc="upper right")
    by_cluster.set_xlabel("x (µm)")
    letters([section, plan, by_fit, by_cluster])
    footnote(figure, "Simulated, with synthetic standards.")
    return figure


figure = boundary_figure()

assert errors["direct"] < 0.01
assert errors["clusters"] > 2 * errors["direct"]
