"""A lithiated nanowire by simulated ptychography at 10 nm: composition and stress against truth
(Figures 4C to 4G).
"""

from __future__ import annotations

import numpy as np
import pytest

import chemoscape as cs
from chemoscape import few_energies as few
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.preprocess.absorbance import smooth
from chemoscape.regrid import regrid
from chemoscape.standards.mixing import mean_composition

FEATURES = (508.0, 515.9, 517.2, 555.0)
PLANNED = (508.0, 518.5, 532.7, 539.2)  # by `chemoscape plan`, an image before the edge besides
NUISANCE = few.Nuisance(energy_sd_eV=0.05, calibration_sd_eV=0.0, offset_sd=0.01, i0_sd=0.0)


@pytest.fixture(scope="module")
def pair():
    return cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")


def mapped(energies, photons, seed, pair, *, smooth_px=0.0, pixels_differ=True):
    """Maps of simulated reconstructions, and the true composition and relative thickness of the
    wire on their pixels.
    """
    truth = cs.simulate.nanowire(energy=energies, pixel_um=0.005, peak_optical_density=1.2)
    made = cs.simulate.reconstructions(
        truth, photons=photons, pixel_um=0.010, seed=seed, pixel_follows_energy=pixels_differ
    )
    od = cs.optical_density(made.intensities())
    if smooth_px:
        od = smooth(od, smooth_px)
    maps = few.fit_maps(few.with_background_variance(od), pair, nuisance=NUISANCE)
    own = [truth.composition[name].values for name in ("y", "x")]
    # reconstructions have no place: their middle is the wire's
    on = [
        maps[name].values - maps[name].values.mean() + at.mean()
        for name, at in zip("yx", own, strict=True)
    ]
    weights = np.stack(
        [regrid(truth.weights.sel(standard=k).values, *own, *on) for k in pair.names]
    )
    wanted = mean_composition(weights, pair.values, pair.molar_mass).value
    return maps, wanted, weights.sum(axis=0) / np.nanmax(weights.sum(axis=0))


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
@pytest.mark.parametrize("energies", [FEATURES, PLANNED])
def test_errors_of_composition_are_those_stated_and_it_is_not_biased(energies, pair):
    pulls, errors = [], []
    for seed in (21, 22):
        maps, wanted, thickness = mapped(energies, 1000, seed, pair)
        inside = maps["sample"].values & (thickness > 0.25)
        apart = (maps["unclipped"].values - wanted)[inside]
        errors.append(apart)
        pulls.append(apart / maps["error"].values[0][inside])
    pull, error = np.concatenate(pulls), np.concatenate(errors)
    assert error.size > 6000
    assert pull.std() == pytest.approx(1.0, abs=0.06)
    assert abs(error.mean()) < 0.1 * error.std() + 0.002


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_planned_energies_map_better_than_features_with_the_same_photons(pair):
    rms = []
    for energies in (FEATURES, PLANNED):
        maps, wanted, thickness = mapped(energies, 1000, 23, pair)
        inside = maps["sample"].values & (thickness > 0.25)
        rms.append(np.sqrt(np.mean((maps["unclipped"].values - wanted)[inside] ** 2)))
    assert rms[0] > 2.0 * rms[1]


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
@pytest.mark.parametrize(
    ("how", "free", "fixed"),
    [
        ({"photons": 1e6, "pixels_differ": False}, 0.02, 0.01),
        # a filter of 7 nm and pixels brought together soften channels that are 20 nm wide
        ({"photons": 2e4, "smooth_px": 0.7}, 0.08, 0.02),
    ],
)
def test_stress_of_the_map_is_that_of_the_wire(pair, how, free, fixed):
    maps, wanted, thickness = mapped(PLANNED, seed=24, pair=pair, **how)
    inside = maps["sample"].values & (thickness > 0.05)
    comp = few.bounded_composition(maps, pair, mask=inside)
    true = comp["composition"].copy(data=np.where(inside, np.clip(wanted, 0.1, 0.3), np.nan))
    (of_map, of_wire) = (
        {
            field.boundary: field.von_mises_summary()["von_mises_mean_MPa"]
            for field in cs.stress(
                comp[["mask"]].assign(composition=one),
                LIXV2O5_ILLUSTRATIVE,
                boundary=["free", "fixed"],
            )
        }
        for one in (comp["composition"], true)
    )
    assert of_map["free"] == pytest.approx(of_wire["free"], rel=free)
    assert of_map["fixed"] == pytest.approx(of_wire["fixed"], rel=fixed)
    assert of_map["fixed"] > 4 * of_map["free"]  # the wire is constrained as a whole
