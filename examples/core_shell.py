"""From counts to composition by the direct route, against a known truth.

The particle is that of Figure 3A of the paper (Santos et al., Patterns 2022): a core of
ε-Li0.45V2O5, a mixed ring and a shell of α-Li0.1V2O5, thinning out towards the rim. It is simulated
as counts with Poisson noise from synthetic standards, then taken the way of the orange arrows of
Figure 2: optical density, weights of the standards (Equation 2), composition (Equation 6, Figure
3D).
"""

import numpy as np

import chemoscape as cs

# 1. Measure. A real stack comes from cs.open_stack("wire.hdr") instead.
truth = cs.simulate.core_shell(poisson=True, photons=20_000)

# 2. Counts to optical density; I0 is found in the empty part of the image.
od = cs.optical_density(truth.stack)

# 3. Weights of two standards in every pixel, with one energy shift for the whole stack.
library = cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
maps = cs.deconvolve(od, library)

# 4. Composition per formula unit. Without the Gaussian filter, so that pixels can be compared.
comp = cs.composition(maps, library)

# 5. Compare where there is enough sample to compare.
thick = truth.thickness >= 0.25
error = (comp.composition - truth.composition).where(thick)
rms = float(np.sqrt((error**2).mean()))
best_possible = cs.simulate.cramer_rao_composition_sd(truth).where(thick)
bound = float(np.sqrt((best_possible**2).mean()))

print(f"energy shift  {maps.attrs['energy_shift_eV']:+.4f} eV (truth {truth.energy_shift_eV:+.1f})")
print(f"error of x    {rms:.4f} rms; without weights >= 0 it would be {bound:.4f} at best")
print(f"its own sd    {float(comp.composition_sd_total.where(thick).median()):.4f} (median)")

assert rms < 0.01
