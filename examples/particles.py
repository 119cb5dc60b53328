"""An ensemble from counts to area against lithiation (the paper's Figures 6G to 6L).

More than 83 wires of three phases lie on a field of 26 by 26 µm; small ones hold more lithium. A
stack of it is simulated, blurred and counted; one recipe finds the composition of every pixel, the
particles, and what their sizes have to do with their compositions. The spectra are synthetic.
"""

import tempfile
from pathlib import Path

import numpy as np

import chemoscape as cs
from chemoscape.particles import generator
from chemoscape.particles.experiment import measured_ensemble

# 1. Wires, and a phase for each: the smaller, the more likely to be rich in lithium.
random = np.random.default_rng(6)
pixel_um, pixels = 0.06, 440
names = ["epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5", "delta-Li0.9V2O5"]
field_um = (pixels * pixel_um, pixels * pixel_um)
wires = generator.sample_wires(random, field_um, 115, gathered=0.25, width_um=0.35)
rank = np.argsort(np.argsort([-wire.area for wire in wires])) / len(wires)
phase = np.clip(np.floor(3 * np.clip(rank + random.normal(0, 0.2, len(wires)), 0, 0.999)), 0, 2)

# 2. Counts: densities add along the beam, the spot blurs the intensity, photons are counted.
library = cs.open_library("lixv2o5-model").select(*names)
energy = np.linspace(511.0, 532.0, 36)
spectra = library.spectra(energy).values
spectra = 1.2 * spectra / spectra.max()
shares = np.eye(len(names))[phase.astype(int)]
made = measured_ensemble(random, wires, shares, spectra, energy, (pixels, pixels), pixel_um)

# 3. One recipe.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "ensemble.h5"
    cs.save_stack(made.stack, path)
    results = cs.run(
        {
            "input": {"path": str(path)},
            "drift": {"enabled": False},
            "damage": {"enabled": False},
            "clusters": {"enabled": False},
            "calibration": {"energy_shift": 0.0},
            "standards": {"library": "lixv2o5-model", "select": names},
            "composition": {"refine": 1},
            "particles": {"enabled": True},
        },
    )

# 4. What it says.
found = cs.ensemble_statistics(results["/particles"].to_dataset(inherit=False))
print(f"{results['/particles'].attrs['method']}: {found}")
assert found.n_used >= 60
assert found.correlation.rho.high < 0  # larger particles hold less lithium
