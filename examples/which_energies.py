"""Which energies should a ptychography beamtime take? Plan, budget, and a trial on an overview.

The paper's maps at ten nanometres (Santos et al., Patterns 2022, Figure 4) come from images at two
absorption features and one above the edges. Here the energies are chosen instead, for the same pair
of standards, at the same absorbed dose and with every image's energy uncertain by 0.05 eV. The
choice is then tried on a simulated overview stack of the same material. The spectra are synthetic.
Give a file name to keep the figure: ``python which_energies.py figure.png``.
"""

import sys

import chemoscape as cs
from chemoscape.few_energies.budget import best_thickness, choose_for, needed
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.selection import choose_energies
from chemoscape.few_energies.subsampling import subsample
from chemoscape.report.panels import save_figure
from chemoscape.report.plan_panels import plan_figure

pair = cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
film = Expected.between(pair, 5, thickness_nm=50.0)
nuisance = Nuisance(energy_sd_eV=0.05)
options = {"nuisance": nuisance, "efficiency": 0.5, "spacing_eV": 1.0}

# 1. Three energies for 100 MGy, beside the paper's features and the best ones.
features = {"d_xy, d_xz/yz and 555 eV": [515.9, 517.2, 555.0], "a scan": film.scan()}
plan = choose_energies(film, 3, dose_MGy=100.0, compare_with=features, **options)
print(plan)

# 2. What an error of 0.02 costs, and how thick the sample should be.
cheap = choose_for(film, 3, 0.02, **options)
even = needed(film, cheap.energies, 0.02, shares="equal", nuisance=nuisance, efficiency=0.5)
thick = best_thickness(cheap)
print(f"sd 0.02 takes {cheap.dose_MGy:.0f} MGy, with photons alike {even.dose_MGy:.0f} MGy")
print(f"at this dose {thick.expected.thickness_nm:.0f} nm would give {thick.rms:.4f}")

# 3. The same energies of an overview stack, against all of its images.
truth = cs.simulate.core_shell(
    core="epsilon-Li0.3V2O5", shape=(45, 60), poisson=True, photons=20_000.0
)
od = cs.optical_density(truth.stack, i0=truth.i0)
tried = subsample(od, pair, plan.energies, nuisance=nuisance)
print(tried)

if sys.argv[1:] and sys.argv[1].endswith(".png"):
    save_figure(plan_figure(plan), sys.argv[1])

assert plan.rms < plan.compared["d_xy, d_xz/yz and 555 eV"].rms / 1.5
assert plan.rms < plan.compared["a scan"].rms / 1.2
assert cheap.dose_MGy <= even.dose_MGy
assert 0.9 < tried.ratio < 1.1
