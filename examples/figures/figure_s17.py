"""Figure S17: the sequence of phases, and a map's place in it
===========================================================

The paper shows
---------------
Lithium takes V2O5 through a sequence of phases: α up to about x = 0.1, ε from 0.3 to 0.7, δ from
0.9 to 1.0; beyond, γ, from which there is no way back. Between two of them both are there, and each
step has a barrier of its own.

Ours shows
----------
That sequence as shares by the lever rule, above a **synthetic** discharge that was stopped at
x = 0.55. On it lies the mean of a composition map (also **synthetic**), with the errors of both:
those of the map, and those of mass and active share, which stretch all of the curve alike. The
number is z, how many of their common standard deviations they are apart.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from chemoscape.electrochemistry import (
    LIXV2O5,
    lithiation,
    place_on_curve,
    simulate_cycling,
)
from chemoscape.report.cycling import cycling_figure
from chemoscape.report.panels import CATEGORIES, DOUBLE, footnote, letters, styled
from chemoscape.report.phase_bar import draw_phases
from chemoscape.report.words import pretty

# %%
# The discharge, and the error of its compositions: 0.02 mg in 1.5 mg, 0.01 in 0.70.
simulated, truth = simulate_cycling(
    active_mg=1.05, x_max=0.55, half_cycles=1, interval_s=60.0, seed=17
)
curve = lithiation(
    simulated, mass_mg=1.5, mass_sd_mg=0.02, active_fraction=0.7, active_fraction_sd=0.01
)
scale = curve.attrs["scale_sd_relative"]
print(f"error common to all points: {100 * scale:.1f} % of x, of {curve.attrs['scale_sd_from']}")

# %%
# A map of the same electrode: what `cs.composition` keeps of its mean.
comp = xr.Dataset(attrs={"variable": "x in LixV2O5", "mean_mass_weighted": 0.537, "mean_sd": 0.012})
placed = place_on_curve(curve, comp.attrs["mean_mass_weighted"], comp.attrs["mean_sd"])
print(placed)
wrong = place_on_curve(curve, 0.45, 0.012)
print(f"a map of 0.45 would be {wrong.z:+.1f} standard deviations away ({wrong.phases_at_map})")

figure = cycling_figure({"discharge": curve}, placement=placed, title="Discharge to x = 0.55")


# %%
# The sequence: how much of each phase there is at equilibrium.
@styled
def sequence_figure():
    drawn = Figure(figsize=(DOUBLE * 0.6, 2.4), layout="constrained")
    above, below = drawn.subplots(2, 1, sharex=True, height_ratios=(1, 0.22))
    x = np.linspace(0.0, 1.0, 501)
    for phase, colour in zip(LIXV2O5.phases, CATEGORIES, strict=False):
        share = np.array([LIXV2O5.shares(one).get(phase.name, np.nan) for one in x])
        above.plot(x, share, color=colour, label=phase.name)
        above.annotate(
            phase.name,
            ((phase.low + phase.high) / 2, 1.0),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
    above.set(ylabel="share of the formula units", ylim=(0, 1.12), title="Phases at equilibrium")
    draw_phases(below, LIXV2O5, (0.0, 1.06))
    below.set(xlabel=pretty(LIXV2O5.variable), xlim=(0.0, 1.06))
    letters([above])
    footnote(drawn, f"Lever rule between the phases of {LIXV2O5.source}")
    return drawn


sequence = sequence_figure()
halfway = LIXV2O5.shares(0.8)
print(", ".join(f"{name} {share:.2f}" for name, share in halfway.items()), "at x = 0.8")

assert placed.agrees
assert abs(placed.x_curve - float(truth["x"][-1])) < 0.002
