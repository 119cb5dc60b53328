"""Figure S7: peaks of the O K edge
=================================

The paper shows
---------------
Peaks fitted to the O K edge of each phase (Tables S9 to S11 and S13): with lithium t2g weakens
against eg*, and eg* and the O 2p-V 4sp states move to higher energies. The δ phase does not follow:
its ratio of t2g to eg* is renormalised.

Ours shows
----------
All six spectra fitted at once, with the tail of V L2 below and three broad O 2p-V 4sp peaks above,
so that neither bends t2g and eg*. The ratio is one of areas, with its standard deviation. The
standards are **synthetic**: the ratio is known, and found within 2 %. That is more than its stated
error: residuals tell the noise of a fit, and only in part what its line shapes leave out.
"""

import numpy as np

import chemoscape as cs
from chemoscape.report.peaks import peaks_figure
from chemoscape.standards.model import jittered_peaks

library = cs.open_library("lixv2o5-model")
fit = cs.fit_peaks(library, "O K")

# %%
# The ratio of t2g to eg* in each phase, beside that of the library's own peaks.
ratio = fit.table.relative_intensity.sel(peak="t2g")
sd = fit.table.relative_intensity_sd.sel(peak="t2g")
areas = [{one.name: one.area for one in jittered_peaks(k)} for k in range(6)]
truth = np.array([one["OK_t2g"] / one["OK_eg"] for one in areas])
for name, found, error, known in zip(library.names, ratio.values, sd.values, truth, strict=True):
    print(f"{name:<20}t2g over eg* {found:.3f} ± {error:.3f}   truth {known:.3f}")

# %%
# Slopes against lithium content over x = 0 to 0.7; the δ phase is compared with the line.
trends = fit.trends(within=(0.0, 0.7))
for trend in trends:
    print(trend)

figure = peaks_figure(fit, within=(0.0, 0.7), variable=library.variable)

by_name = {(one.peak, one.quantity): one for one in trends}
assert np.abs(ratio.values / truth - 1).max() < 0.02
assert by_name["eg*", "centre"].direction == "rises"
assert by_name["t2g", "relative_intensity"].direction == "falls"
assert by_name["t2g", "relative_intensity"].departures["delta-Li0.9V2O5"][0] > 0.3
