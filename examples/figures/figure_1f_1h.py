"""Figures 1F to 1H: the spectra of the library
============================================

The paper shows
---------------
X-ray absorption spectra of six phases of LixV2O5 from single particles (F), the V L3 edge (G) and
the O K edge (H) enlarged. Up to x = 0.7 the features d_xy and d_xz/yz move to higher energies and
weaken, and t2g falls against eg*. The δ phase leaves the trend: d_xz/yz is sharp again near 517 eV,
and t2g has recovered.

Ours shows
----------
The same of the library that comes with chemoscape. It is **synthetic**: its peaks were given these
trends, so that the figure shows what a library must hold, and nothing about LixV2O5. The number
that sums a library up is its condition: how far noise is amplified when all six are fitted.
"""

import numpy as np
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    PHOTON_ENERGY,
    footnote,
    letters,
    styled,
)
from chemoscape.report.words import pretty, synthetic_note

library = cs.open_library("lixv2o5-model")
energy = np.arange(508.0, 560.01, 0.05)
spectra = library.spectra(energy)


# %%
# The trends, read off the spectra: the height of the d_xy shoulder, and t2g over eg*.
def highest(low, high):
    """Of each spectrum within some energies."""
    return spectra.sel(energy=slice(low, high)).max("energy")


d_xy = 1e-4 * spectra.sel(energy=515.9, method="nearest")
ratio = highest(528.5, 530.7) / highest(531.0, 532.8)
for name, height, oxygen in zip(library.names, d_xy.values, ratio.values, strict=True):
    print(f"{name:<20}d_xy {height:.2f} × 10⁴ cm²/g   t2g over eg* {oxygen:.2f}")
shape = spectra.values / np.linalg.norm(spectra.values, axis=1)[:, None]
condition = np.linalg.cond(shape)
print(f"condition number of all six: {condition:.0f}")

# %%
# F on a common zero, each above the other; G and H laid over one another.


@styled
def library_figure():
    figure = Figure(figsize=(DOUBLE, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.35, 1))
    whole = figure.add_subplot(grid[:, 0])
    vanadium, oxygen = (figure.add_subplot(grid[row, 1]) for row in range(2))
    unit = 1e-4 * spectra.values  # 10⁴ cm²/g
    step = 1.15 * float(np.ptp(unit, axis=1).max()) / 2
    for k, one in enumerate(library.standards):
        whole.plot(energy, unit[k] + k * step, color=CATEGORIES[k])
        whole.annotate(
            pretty(one.label.replace(" (synthetic)", "")),
            (560, unit[k][-1] + k * step),
            xytext=(0, 7),
            textcoords="offset points",
            ha="right",
            color=CATEGORIES[k],
        )
        for ax in (vanadium, oxygen):
            ax.plot(energy, unit[k], color=CATEGORIES[k])
    whole.set(xlim=(508, 560), yticks=[], title="V L and O K edges (offset)")
    whole.plot([509.5, 509.5], [0.6, 4.6], color="0.15", linewidth=1.8)
    whole.text(510.1, 2.6, "4 × 10$^4$\ncm$^2$/g", va="center", fontsize=6.5)
    names = {
        vanadium: ((512.5, 521.5), "V L$_3$", {"d$_{xy}$": 515.95, "d$_{xz/yz}$": 517.2}),
        oxygen: ((527.5, 536.0), "O K", {"t$_{2g}$": 529.65, "e$_g$*": 531.9}),
    }
    for ax, (limits, title, features) in names.items():
        inside = (energy >= limits[0]) & (energy <= limits[1])
        top = unit[:, inside].max()
        ax.set(xlim=limits, ylim=(0, 1.22 * top), title=title)
        ax.set_ylabel("mass absorption (10$^4$ cm$^2$/g)")
        for word, at in features.items():
            crest = unit[:, np.abs(energy - at) < 0.3].max()
            ax.annotate(word, (at, crest), xytext=(0, 5), textcoords="offset points", ha="center")
    for ax in (whole, oxygen):
        ax.set_xlabel(PHOTON_ENERGY)
    letters((whole, vanadium, oxygen))
    footnote(figure, synthetic_note(one.label for one in library.standards))
    return figure


figure = library_figure()

assert (np.diff(d_xy.values[:5]) < 0).all()
assert (np.diff(ratio.values[:5]) < 0).all()
assert ratio.values[5] > ratio.values[4]  # the δ phase leaves the trend
assert 50 < condition < 300
