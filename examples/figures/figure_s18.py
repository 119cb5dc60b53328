"""Figure S18: segmentation of the phase maps
==========================================

The paper shows
---------------
Particles of each of the three phase maps of Figure 6, found one by one by a Mask R-CNN that was
trained on synthetic wires, and the distributions of their areas.

Ours shows
----------
The same on three simulated phase maps, by our own network of the kind (`pip install
chemoscape[segment]`; the classical way where it is missing), with what the paper could not give:
the truth. F1 counts wires found against wires that an ideal observer could find, at half overlap.
Large wires are found more surely than small ones, which biases any distribution of sizes.
"""

import warnings

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.particles import generator
from chemoscape.particles.masks import Instances
from chemoscape.particles.scores import score
from chemoscape.particles.shapes import density_of
from chemoscape.particles.table import instances_of
from chemoscape.report.panels import DOUBLE, draw_map, footnote, styled
from chemoscape.report.particles import draw_outlines
from chemoscape.report.words import pretty

# %%
# Three maps of wires, each as the map of one phase would show them: blurred by a spot of 80 nm,
# with the noise of 1,000 photons on an empty pixel. They lie beside each other in one picture,
# since the network takes its time for each picture.

random = np.random.default_rng(4)
pixel_um, pixels, gap = 0.08, 84, 8
step = pixels + gap
shape = (pixels, 3 * step - gap)
names = ("ε-Li0.3V2O5", "ε-Li0.45V2O5", "δ-Li0.9V2O5")
side = pixels * pixel_um
density = np.zeros(shape)
corners, masks = [], []
for k, width_um in enumerate((0.40, 0.34, 0.26)):
    wires = generator.sample_wires(random, (side, side), 9, gathered=0.2, width_um=width_um)
    density[:, k * step : k * step + pixels] = density_of(wires, (pixels, pixels), pixel_um)
    there, _ = generator.visible(wires, (pixels, pixels), pixel_um, 1000.0)
    corners += [(row, column + k * step) for row, column in there.corners]
    masks += there.crops
truth = Instances(shape, np.array(corners), tuple(masks), np.ones(len(masks)))
image = generator.measured_density(random, density, pixel_um)
y, x = ((np.arange(size) + 0.5) * pixel_um for size in shape)
picture = xr.DataArray(image, dims=("y", "x"), coords={"y": y, "x": x})

# %%
# Particles found, and how they compare with the truth.

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says so where the network is not installed
    table = cs.segment(picture, fwhm_um=0.08)
instances = instances_of(table)
scores = score([(instances, truth)], pixel_um)
print(f"by {table.attrs['method']}")
own, there = (one.corners[:, 1] // step for one in (instances, truth))  # which map
for k, name in enumerate(names):
    median = float(np.median(table.area_raw.values[own == k]))
    found = f"{(own == k).sum()} found, {(there == k).sum()} there"
    print(f"{name:<13}{found}, median area {median:.2f} µm²")
print(f"F1 {scores.f1:.2f}")


@styled
def segmentation_figure():
    figure = Figure(figsize=(DOUBLE, 2.85), layout="constrained")
    ax = figure.subplots()
    draw_map(ax, picture, title=" ", cmap="gray", colourbar=False)
    ax.spines[:].set_visible(False)
    draw_outlines(ax, table, 0.8)
    for k, name in enumerate(names):
        left = k * step * pixel_um
        letter = rf"$\mathbf{{{'abc'[k]}}}$"
        words = f"{letter}  {pretty(name)}: {(own == k).sum()} particles"
        ax.text(left, side, words, va="bottom", fontsize=7)
        if k:
            ax.axvspan(left - gap * pixel_um, left, color="white", linewidth=0)
    footnote(figure, "Simulated maps of optical density.")
    return figure


figure = segmentation_figure()

assert scores.f1 > (0.7 if table.attrs["method"] == "maskrcnn" else 0.4)
