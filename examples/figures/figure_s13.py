"""Figure S13: all components of the stress, free and fixed
========================================================

The paper shows
---------------
Displacement, von Mises stress, the normal stresses along ξ and η and the shear stress of the
particle of Figure 3, with free and with fixed boundaries. Stress is 2 to 3 times as large when the
outline is fixed, turns to compression, and shear has hot spots at the phase boundary.

Ours shows
----------
The same fields of the same particle. The ratio of fixed to free depends on a number that the
paper's Equation 9 does not have, the composition without strain: it is 3 for a reference of zero
lithium and falls as the reference nears the mean composition. E and ν are the paper's; the strain
follows from two lithium concentrations and is illustrative.
"""

from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import chemoscape as cs
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.report.outcomes import stress_figure
from chemoscape.report.panels import DOUBLE, draw_map, footnote, letters, styled

NOTE = "Simulated particle with known composition."
truth = cs.simulate.core_shell(shape=(60, 80), pixel_um=0.06, energy=[508.0, 515.0, 518.5, 555.0])
comp = xr.Dataset(
    {"composition": truth.composition, "mask": truth.thickness > 0.02},
    attrs={"variable": "x in LixV2O5"},
)
ratio = {}
for reference in (0.0, 0.1):
    material = replace(LIXV2O5_ILLUSTRATIVE, reference=reference)
    fields = cs.stress(comp, material, boundary=["free", "fixed"])
    free, fixed = (one.von_mises_summary()["von_mises_mean_MPa"] for one in fields)
    ratio[reference] = fixed / free
    print(f"reference {reference:g}: free {free:.0f} MPa, fixed {fixed:.0f} MPa", end=", ")
    print(f"ratio {ratio[reference]:.2f}")
    if reference == 0:
        shown = fields

hydrostatic = float(shown[1].dataset["hydrostatic"].mean())
print(f"mean of the stress's trace over three, fixed: {hydrostatic:.0f} MPa, which is compression")
figure = stress_figure(shown, note=NOTE)

# %%
# Displacement, in nanometres.


@styled
def displacement_figure():
    figure = Figure(figsize=(0.62 * DOUBLE, 1.9), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, field in zip(axes, shown, strict=True):
        grid = field.to_grid()
        length = 1e3 * np.hypot(grid["displacement_x"], grid["displacement_y"])
        title = f"Displacement, {field.boundary}"
        draw_map(ax, length, title=title, label="nm", limits=(0.0, float(length.max())))
        at = grid.isel(y=slice(3, None, 6), x=slice(3, None, 6))
        ax.quiver(
            at.x,
            at.y,
            at.displacement_x,
            at.displacement_y,
            color="white",
            width=0.006,
            pivot="mid",
        )
    letters(axes)
    footnote(figure, NOTE)
    return figure


figure_displacement = displacement_figure()

assert 2 < ratio[0.0] < 3.5
assert hydrostatic < 0
assert ratio[0.1] < ratio[0.0]
