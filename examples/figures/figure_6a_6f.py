"""Figures 6A and 6F: charge and discharge of four geometries, over the phases
===========================================================================

The paper shows
---------------
Discharge and charge of V2O5 as nanospheres, nanowires, nanoplatelets and micron-sized platelets
("bulk") at C/5 between 2.0 and 4.0 V (A), and a simplified diagram of the phases that lithium makes
on the way (F). Plateaus are phases side by side. The smaller the particles, the more the curve
slopes: phase separation is suppressed.

Ours shows
----------
The same figure of **synthetic** curves, written as a Land cycler writes and read back: sharp
plateaus for the bulk, slopes for the spheres, and a polarisation that grows with size. No lithium
beyond x = 1 is simulated, where the γ phase forms and does not go back. The number: charge
converted by Faraday's law (147.36 mAh per gram of V2O5 and lithium) puts the plateaus of the bulk
where they were made, at x = 0.1 to 0.3 and 0.7 to 0.9.
"""

import tempfile
from pathlib import Path

import chemoscape as cs
from chemoscape.electrochemistry import (
    capacity_per_ion,
    half_cycles,
    hysteresis,
    lithiation,
    plateaus,
    simulate_cycling,
    write_cycling,
)
from chemoscape.report.cycling import cycling_figure

# %%
# Four electrodes of 1.5 mg, 70 % of it active, all at C/5: one lithium per V2O5 in five hours.
shapes = {
    "nanosphere": {"tilt_V": 0.07, "polarisation_V": 0.03, "x_max": 0.99, "start_V": 3.70},
    "nanowire": {"tilt_V": 0.05, "polarisation_V": 0.05, "x_max": 0.97},
    "nanoplatelet": {"tilt_V": 0.02, "polarisation_V": 0.08, "x_max": 0.95},
    "bulk platelet": {"tilt_V": 0.004, "polarisation_V": 0.13, "x_max": 0.93},
}
mass_mg, active_fraction = 1.5, 0.7

curves = {}
with tempfile.TemporaryDirectory() as folder:
    for seed, (name, shape) in enumerate(shapes.items()):
        simulated, _ = simulate_cycling(
            active_mg=mass_mg * active_fraction, c_rate=0.2, interval_s=60.0, seed=seed, **shape
        )
        file = write_cycling(simulated, Path(folder) / f"{name}.txt", decimal=",")
        curves[name] = lithiation(
            cs.open_cycling(file),
            mass_mg=mass_mg,
            active_fraction=active_fraction,
            mass_sd_mg=0.02,
        )

print(f"one lithium per V2O5: {capacity_per_ion('V2O5'):.2f} mAh/g")
for name, curve in curves.items():
    first = half_cycles(curve).isel(half_cycle=0)
    pairs = hysteresis(plateaus(curve))
    print(
        f"{name:<14}{float(first.specific_capacity):6.1f} mAh/g at "
        f"C/{1 / float(first.c_rate):.1f}, "
        f"x to {float(first.x_end):.3f}, hysteresis "
        + ", ".join(f"{1e3 * float(one):.0f} mV" for one in pairs.hysteresis)
    )

# %%
# The figure: voltage over composition, the phases below, and where in voltage the charge lies.
figure = cycling_figure(curves, title="Discharge and charge at C/5")

found = plateaus(curves["bulk platelet"])
discharge = found.isel(plateau=found["direction"].values < 0)
for k in range(discharge.sizes["plateau"]):
    one = discharge.isel(plateau=k)
    print(
        f"bulk plateau {float(one.potential):.4f} ± {float(one.potential_sd):.4f} V, "
        f"x {float(one.x_low):.3f} to {float(one.x_high):.3f} (± {float(one.x_edge_sd):.3f})"
    )
edges = [*discharge["x_low"].values, *discharge["x_high"].values]
assert all(abs(x - true) < 0.01 for x, true in zip(edges, (0.1, 0.7, 0.3, 0.9), strict=True))
