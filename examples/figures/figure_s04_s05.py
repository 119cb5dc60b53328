"""Figures S4 and S5: standards from stacks of pure particles
==========================================================

The paper shows
---------------
The particles whose spectra make the library (S4), and a principal-component and cluster analysis of
each stack (S5) as evidence that it is one phase: clusters differ in nothing but thickness, "solely
from detector nonlinearity at higher thicknesses".

Ours shows
----------
Six simulated particles of one phase each, with the evidence that `chemoscape standards add` keeps
in a standard's header: components above noise, and clusters. Thin and pure: one of either, and the
mean spectrum agrees with the phase that it was made of. The last two panels are what the paper
describes, a particle so thick that 2 % of stray light flattens its peaks, and what it must be told
from: 3 % of the pixels being another phase. The standards are synthetic.
"""

import warnings

import numpy as np
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.curation.purity import purity
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    PHOTON_ENERGY,
    draw_map,
    footnote,
    letters,
    styled,
)
from chemoscape.report.words import pretty

library = cs.open_library("lixv2o5-model")
energy = np.r_[508:512:1.0, 512:536:0.5, 536:560.1:2.0]
v, u = np.mgrid[-1:1:36j, -1:1:48j]
particle = np.sqrt(np.clip(1 - (u / 0.85) ** 2 - (v / 0.6) ** 2, 0, None))
options = {"energy": energy, "poisson": True, "photons": 20_000.0, "pixel_um": 0.03}


def stack_of(spectra, seed, **more):
    """Optical density of the particle; that a thick one saturates is known here."""
    truth = cs.simulate.from_image(particle, spectra, **{**options, "seed": seed, **more})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.optical_density(truth.stack, i0=truth.i0)


# %%
# Six pure particles, one too thick, and one with foreign pixels.

stacks = {
    one.label.replace(" (synthetic)", ""): stack_of(
        library.select(one.id), k, peak_optical_density=1.0
    )
    for k, one in enumerate(library.standards)
}
thick = library.select("epsilon-Li0.45V2O5")
stacks["thick"] = stack_of(thick, 7, peak_optical_density=2.6, stray_light=0.02)
foreign = np.where((u > 0.15) & (u < 0.45) & (np.abs(v) < 0.15), 0.45, 0.1)
both = library.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
stacks["3 % foreign"] = stack_of(both, 8, composition=foreign, peak_optical_density=1.0)

found = {name: purity(od, particle > 0.3) for name, od in stacks.items()}
for name, one in found.items():
    print(f"{name:<14}rank {one.rank:.0f}, clusters {one.clusters}", end=", ")
    print(f"second eigenvalue {one.eigenvalue_ratio:.2f} of noise")

# %%
# Particles above, their mean spectra beneath: all that is left of the truth is noise.


@styled
def standards_figure():
    figure = Figure(figsize=(DOUBLE, 4.7), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.05, 1))
    axes = above.subplots(2, 4).ravel()
    for ax, (name, od) in zip(axes, stacks.items(), strict=True):
        one = found[name]
        image = od.optical_density.sel(energy=518.5, method="nearest")
        title = f"{pretty(name)}: rank {one.rank:.0f}"
        draw_map(ax, image, title=title, cmap="gray_r", label="OD, 518.5 eV")
    curves, differences = below.subplots(1, 2, width_ratios=(1.3, 1))
    for k, (one, od) in enumerate(zip(library.standards, stacks.values(), strict=False)):
        mean = od.optical_density.values[:, particle > 0.3].mean(axis=1)
        wanted = np.interp(energy, one.energy, one.spectrum)
        scale = (mean @ wanted) / (wanted @ wanted)
        curves.plot(energy, mean + 0.55 * k, color=CATEGORIES[k])
        differences.plot(energy, 1e3 * (mean - scale * wanted) + 6 * k, color=CATEGORIES[k])
    curves.set(title="Mean spectra (offset)", ylabel="optical density", yticks=[])
    differences.set(title="Less the phase (offset by 0.006)", ylabel="OD × 10$^3$")
    for ax in (curves, differences):
        ax.set(xlabel=PHOTON_ENERGY, xlim=(508, 560))
    letters([*axes, curves, differences])
    footnote(figure, "Simulated, with synthetic standards.")
    return figure


figure = standards_figure()

assert [one.rank for one in list(found.values())[:6]] == [1] * 6
assert found["thick"].rank > 1
assert found["3 % foreign"].rank > 1
