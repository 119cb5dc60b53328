"""Figure S6: peaks of the V L3 edge
==================================

The paper shows
---------------
Peaks fitted to the V L3 edge of each phase (positions and intensities in Tables S9 to S12): with
lithium, d_xy (near 515 eV) and d_xz/yz (near 517 eV) move to higher energies and weaken, as V 3d
states are filled. In the δ phase a sharp d_xz/yz is back near 517 eV.

Ours shows
----------
All six spectra fitted at once: peaks in order by construction, widths that may differ by some
10 %, the step at the height of the tables. Fitted one by one with free Gaussians, half of these
spectra have peaks under wrong names although the fits look perfect. Where the peaks are is found
in the spectra. The standards are **synthetic**, so that each centre can be put beside the truth.
"""

import numpy as np

import chemoscape as cs
from chemoscape.report.peaks import peaks_figure
from chemoscape.standards.model import jittered_peaks

library = cs.open_library("lixv2o5-model")
fit = cs.fit_peaks(library, "V L3")

# %%
# Slopes against lithium content over x = 0 to 0.7; the δ phase is compared with the line.
trends = fit.trends(within=(0.0, 0.7))
for trend in trends:
    print(trend)

# %%
# The centres of the two V 3d features against those that the library was made with. What is left
# comes from the core-hole width: the fit has it from the tables (0.24 eV), the library has 0.15 eV.
errors = {}
for peak, own in (("d_xy", "L3_dxy"), ("d_xz/yz", "L3_dxz")):
    truth = [next(p.centre for p in jittered_peaks(k) if p.name == own) for k in range(6)]
    found = fit.table.centre.sel(peak=peak).values
    errors[peak] = float(np.abs(found - truth).max())
    print(f"{peak:<9}largest error {1e3 * errors[peak]:.0f} meV")

figure = peaks_figure(fit, within=(0.0, 0.7), variable=library.variable)

assert max(errors.values()) < 0.02  # eV
by_name = {(one.peak, one.quantity): one for one in trends}
for peak in ("d_xy", "d_xz/yz"):
    assert by_name[peak, "centre"].direction == "rises"
    assert by_name[peak, "relative_intensity"].direction == "falls"
    assert by_name[peak, "centre"].departures["delta-Li0.9V2O5"][1] < -10  # sd
