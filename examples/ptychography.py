"""A lithiated nanowire by ptychography at a few energies: composition and stress at 10 nm.

Figures 4B to 4G of the paper (Santos et al., Patterns 2022) on a simulated fragment with a
lithium-rich core, tips and channels from the edge, between α-Li0.1V2O5 and ε-Li0.3V2O5: once at the
paper's kind of energies (two features and one after the edge), once at energies that were planned
(`chemoscape plan`), with the same photons, each with an image before the edge. The standards are
synthetic. Give a file name to keep the figure: ``python ptychography.py figure.png``.
"""

import sys

import numpy as np

import chemoscape as cs
from chemoscape import few_energies as few
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.preprocess.absorbance import smooth
from chemoscape.report.comparison import comparison_figure
from chemoscape.report.panels import save_figure

pair = cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
found = {}
for name, energies in {
    "features": [508.0, 515.9, 517.2, 555.0],
    "planned": [508.0, 518.5, 532.7, 539.2],
}.items():
    # 1. Reconstructions of the wire, 10,000 photons on a pixel in each. Real ones come from
    #    cs.open_stack("folder of .cxi files").
    wire = cs.simulate.nanowire(energy=energies, peak_optical_density=1.2)
    made = cs.simulate.reconstructions(
        wire, photons=10_000, pixel_follows_energy=False, ramp_rad_per_um=4.0, seed=1
    )
    # 2. OD = -2 ln(|psi|/|psi_0|) behind a Gaussian of one pixel, with the noise of the empty part.
    od = few.with_background_variance(smooth(cs.optical_density(made.intensities()), 1.0))

    # 3. Weights of both standards in every pixel, each image by its errors; composition.
    maps = few.fit_maps(od, pair)
    comp = few.bounded_composition(maps, pair)
    apart = (comp["composition_unclipped"].values - wire.composition.values)[
        comp["mask"].values & (wire.thickness.values > 0.25)
    ]
    cut = 100 * (comp.attrs["clipped_low"] + comp.attrs["clipped_high"])
    found[name] = comp, float(np.sqrt(np.mean(apart**2)))
    rms, bias = found[name][1], apart.mean()
    print(f"{name:<9}error of x {rms:.4f} rms, bias {bias:+.4f}; {cut:.0f} % cut off")

# 4. Stress of the particle, free and held at its outline.
for field in cs.stress(found["planned"][0], LIXV2O5_ILLUSTRATIVE, boundary=["free", "fixed"]):
    numbers = field.von_mises_summary()
    print(f"{field.boundary:<9}von Mises {numbers['von_mises_mean_MPa']:.0f} MPa in the mean")

assert found["features"][1] > 1.5 * found["planned"][1]
assert found["planned"][1] < 0.025

if sys.argv[1:] and sys.argv[1].endswith(".png"):
    named = {"two features": found["features"][0], "planned energies": found["planned"][0]}
    note = "Synthetic standards: the spectra of the library were calculated, not measured."
    save_figure(comparison_figure(wire.composition, named, note=note), sys.argv[1])
