"""Figure S19: a stack from one image and one spectrum
===================================================

The paper shows
---------------
How the artificial data set was made: the grey values of one image (A) times a spectrum (B) are a
stack (C), one image per energy.

Ours shows
----------
`simulate.from_image`: the picture is the thickness, the spectrum that of a standard, and the counts
are what a beamline would record. Read back, every pixel has the spectrum that it was given and the
thickness of the picture. The standard is synthetic.
"""

import numpy as np
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.report.panels import (
    DOUBLE,
    PHOTON_ENERGY,
    draw_map,
    footnote,
    letters,
    styled,
)

# %%
# A picture: two soft wires across each other. A file (PNG, TIFF) would do as well.

y, x = np.mgrid[-1:1:50j, -1.3:1.3:65j]
picture = np.clip(1.1 - (4.5 * (y - 0.3 * x)) ** 2, 0, None) * (np.abs(x) < 1.1)
picture += 0.6 * np.clip(1.1 - (5 * (x + 0.4 * y + 0.2)) ** 2, 0, None) * (np.abs(y) < 0.8)
library = cs.open_library("lixv2o5-model").select("epsilon-Li0.45V2O5")
made = cs.simulate.from_image(picture, library, poisson=True, photons=20_000)
energies, rows, columns = made.stack.shape
print(f"{energies} images of {rows} × {columns} pixels")
print(f"thickest pixel {made.thickness_nm:.0f} nm")

# %%
# Back again: one standard, its weight in every pixel.

od = cs.optical_density(made.stack, i0=made.i0)
maps = cs.deconvolve(od, library, energy_shift=0.0)
weight = maps.weight[0]
slope = float((weight * picture).sum() / (picture**2).sum())
error = float(np.sqrt(((weight / slope - picture) ** 2).mean()))
print(f"thickness read back within {100 * error / picture.max():.2f} % of the largest, rms")


@styled
def stack_figure():
    figure = Figure(figsize=(DOUBLE, 3.8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    image, curve = above.subplots(1, 2, width_ratios=(1, 1.5))
    thickness = made.thickness
    draw_map(image, thickness, title="One image", label="thickness, relative", cmap="gray")
    one = library.standards[0]
    curve.plot(one.energy, 1e-4 * one.spectrum, color="0.15")
    curve.set(title="One spectrum", xlabel=PHOTON_ENERGY, xlim=(508, 560))
    curve.set_ylabel("mass absorption (10$^4$ cm$^2$/g)")
    frames = below.subplots(1, 4)
    for k, (ax, energy) in enumerate(zip(frames, (511.0, 518.6, 529.6, 555.0), strict=True)):
        at = made.stack.sel(energy=energy, method="nearest")
        curve.axvline(energy, color="0.75", linewidth=0.6, zorder=0)
        draw_map(
            ax,
            at / made.i0.sel(energy=at.energy),
            title=f"{energy:.1f} eV",
            label="transmission",
            cmap="gray",
            limits=(0.2, 1.05),
            colourbar=k == 3,
        )
    letters([image, curve, *frames])
    footnote(figure, "Simulated, with a synthetic standard.")
    return figure


figure = stack_figure()

assert error < 0.01 * picture.max()
