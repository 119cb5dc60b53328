"""From a composition map to stress, free and fixed, and into ParaView.

Figures 3E and S13 of the paper (Santos et al., Patterns 2022) for a particle whose answer is known
in closed form: a lithium-rich disk (radius a) in a lithium-poor one (radius R). When the outline is
free, the core is under the even pressure E e / 2 (1 - a²/R²), e being the misfit strain; its von
Mises stress is the same number.
"""

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import chemoscape as cs

# A map in µm, as cs.composition makes it: composition, and a mask of where there is sample.
radius, core_radius = 1.0, 0.5
axis = np.linspace(-1.1, 1.1, 111)
distance = np.hypot(*np.meshgrid(axis, axis))
comp = xr.Dataset(
    {
        "composition": (("y", "x"), np.where(distance < core_radius, 0.45, 0.10)),
        "mask": (("y", "x"), distance < radius),
    },
    coords={"y": axis, "x": axis},
    attrs={"variable": "x in LixV2O5"},
)

# The paper's E and ν. Strain from two lithium concentrations (Equation 7): illustrative.
material = cs.Material.from_concentrations(
    young_GPa=43.0, poisson=0.3, composition=(0.1, 0.4), concentration=(1850, 7260)
)

free, fixed = cs.stress(comp, material, boundary=["free", "fixed"])
for field in (free, fixed):
    found = field.von_mises_summary()
    print(
        f"{field.boundary:<6} von Mises {found['von_mises_mean_MPa']:6.1f} MPa in the mean, "
        f"{found['von_mises_p99_MPa']:6.1f} MPa at the 99th percentile"
    )

with tempfile.TemporaryDirectory() as folder:
    file = free.save(Path(folder) / "stress-free.vtu")
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, {free.dataset.sizes['node']} nodes")

grid = free.to_grid()
core = float(grid.von_mises.where(distance < 0.8 * core_radius).mean())
misfit = material.eigenstrain * (0.45 - 0.10)
expected = 1000 * material.young_GPa * misfit / 2 * (1 - (core_radius / radius) ** 2)
print(f"core   von Mises {core:6.1f} MPa when free, {expected:.1f} MPa in closed form")

assert abs(core / expected - 1) < 0.05
