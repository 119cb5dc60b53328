"""A particle that takes up lithium between three scans.

Its lithium-rich core grows. Between the scans the particle moves by a few pixels, and the energy
axis by some hundredths of an eV. One recipe registers the stacks on the first, fits all with the
same standards, and gives composition against time with its errors.
"""

import tempfile

import numpy as np

import chemoscape as cs

TIMES = [0.0, 30.0, 75.0]  # minutes
truths = [
    cs.simulate.core_shell(
        shape=(36, 48), radii=radii, offset_px=offset, energy_shift_eV=axis, poisson=True, seed=k
    )
    for k, (radii, offset, axis) in enumerate(
        [
            ((0.25, 0.45), (0.0, 0.0), 0.0),
            ((0.45, 0.70), (1.2, -1.8), -0.02),
            ((0.65, 0.85), (-0.7, 2.4), 0.03),
        ]
    )
]
with tempfile.TemporaryDirectory() as folder:
    for k, truth in enumerate(truths):
        cs.save_stack(truth.stack, f"{folder}/scan_{k}.h5")
    tree = cs.run(
        {
            "series": {"enabled": True, "stacks": [f"{folder}/scan_*.h5"], "times": TIMES},
            "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
            "clusters": {"enabled": False},
            "composition": {"smooth_px": 0.0},
            "drift": {"enabled": False},
        }
    )

series = tree["series"].to_dataset()
for time in series["time"].values:
    one = series.sel(time=time)
    print(
        f"{time:3.0f} min  x = {float(one.composition):.4f} ± {float(one.composition_sd):.4f}, "
        f"moved by {float(one.shift_y):+.2f}, {float(one.shift_x):+.2f} px, "
        f"energy shift {float(one.energy_shift):+.3f} eV"
    )

true = [
    float((one.composition * one.thickness).sum() / one.thickness.where(one.labels >= 0).sum())
    for one in truths
]
print("truth    ", ", ".join(f"{x:.4f}" for x in true), "(whole particle)")
assert np.allclose(np.diff(series["composition"]), np.diff(true), atol=0.01)
