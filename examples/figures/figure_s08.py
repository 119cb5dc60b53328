"""Figure S8: the artificial data set
==================================

The paper shows
---------------
What the particle of Figure 3 was made of: images of three regions (A to C) and their spectra (D to
F), α-Li0.1V2O5, a mixture with 70 % ε-Li0.45V2O5, which the text calls Li0.35V2O5, and pure
ε-Li0.45V2O5.

Ours shows
----------
`simulate.core_shell`: thickness of the three regions, their spectra per thickness, and the counts
that a beamline would have recorded. By formula units the mixture is 0.3 × 0.1 + 0.7 × 0.45 = 0.345;
the paper rounds it up. The standards are synthetic.
"""

import numpy as np
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    PHOTON_ENERGY,
    draw_map,
    footnote,
    letters,
    styled,
)

truth = cs.simulate.core_shell(shape=(48, 64), pixel_um=0.075, poisson=True)
parts = {"shell": 2, "mixture": 1, "core": 0}
values = {}
for name, label in parts.items():
    here = truth.labels == label
    values[name] = float(truth.composition.where(here).mean())
    print(f"{name:<8} x = {values[name]:.3f} in {int(here.sum())} pixels")

# %%
# Spectra of the three regions: optical density at relative thickness 1, without noise.


@styled
def data_set_figure():
    figure = Figure(figsize=(DOUBLE, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 1.05))
    images = [figure.add_subplot(grid[0, k]) for k in range(4)]
    curves = figure.add_subplot(grid[1, :])
    energies = truth.stack.energy.values
    for k, (name, label) in enumerate(parts.items()):
        here = truth.labels == label
        draw_map(
            images[k],
            truth.thickness.where(here, 0.0),
            title=f"{name}, x = {values[name]:.3f}",
            cmap="gray",
            limits=(0, 1),
            label="relative thickness",
            colourbar=k == 2,
        )
        thickness = truth.thickness.where(here, 0.0).sum()
        spectrum = (truth.optical_density * here).sum(("y", "x")) / thickness
        step = (2 - k) * 0.9
        curves.plot(energies, spectrum + step, color=CATEGORIES[k], label=name)
        words = f"{name}, x = {values[name]:.3f}"
        curves.annotate(
            words,
            (560, float(spectrum[-1]) + step),
            xytext=(-2, 8),
            textcoords="offset points",
            ha="right",
            color=CATEGORIES[k],
        )
    curves.set(xlabel=PHOTON_ENERGY, ylabel="optical density (offset)", xlim=(508, 560))
    curves.set(title="Spectra of the three regions, thickness 1")
    counts = truth.stack.sel(energy=518.6, method="nearest")
    draw_map(images[3], counts, title="counts, 518.6 eV", cmap="gray", label="counts per pixel")
    letters([*images, curves])
    footnote(figure, "Simulated, with synthetic standards.")
    return figure


figure = data_set_figure()

assert np.allclose([values["core"], values["mixture"], values["shell"]], [0.45, 0.345, 0.1])
