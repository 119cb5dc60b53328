"""Principal components, clusters and their match to standards, on a miscalibrated stack.

The energy axis of this simulated particle is off by -0.4 eV, the failure case of the paper's Figure
S10 (Santos et al., Patterns 2022). The clustered route (teal arrows of Figure 2; Figures S11 and
S12) needs no calibration to group pixels; the match to the standards then finds the shift for all
clusters together.
"""

import numpy as np

import chemoscape as cs

truth = cs.simulate.core_shell(poisson=True, photons=20_000, energy_shift_eV=-0.4)
od = cs.optical_density(truth.stack)

# Two spectra make up the particle, and two components stand out of the noise.
pcs = cs.principal_components(od)
print(f"rank          {pcs.attrs['rank_mp']} by Marchenko-Pastur, {pcs.attrs['rank_ind']} by IND")

# Three groups of pixels: shell, mixed ring, core. The number is the one with the best silhouette.
groups = cs.cluster(od, pcs)
print(f"clusters      {groups['size'].values.tolist()} pixels")

# Every combination of up to four of the six standards, ranked by BIC.
library = cs.open_library("lixv2o5-model")
table = cs.match(groups, library)
shift = table.attrs["energy_shift_eV"]
print(f"energy shift  {shift:+.4f} eV (truth {truth.energy_shift_eV:+.1f})")
for number in table.cluster.values:
    one = table.sel(cluster=number)
    x, sd, best = float(one.composition), float(one.composition_sd), one.candidate.values[0]
    print(f"cluster {number}     x = {x:.4f} ± {sd:.4f}, {best}")

# The cluster spectra are standards of the stack's own: every pixel is a sum of them.
own = cs.library_from_clusters(groups, table)
maps = cs.deconvolve(od, own, energy_shift=0.0)
comp = cs.composition(maps, own)

error = (comp.composition - truth.composition).where(truth.thickness >= 0.25)
rms = float(np.sqrt((error**2).mean()))
print(f"error of x    {rms:.4f} rms per pixel")

assert abs(shift - truth.energy_shift_eV) < 0.01
