"""The sample is not made of the library that fits it: what is lost, and whether the errors say so.

Peaks off by 0.02 eV and 2 %, one by one; 0.2 eV broader; 1 % stray light; I0 off by 0.3 % at every
energy; the axis off by -0.4 eV; noise of 1 % of the peak. Fifty samples, two standards or all six.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.errors import ChemoscapeWarning

SEEDS = range(50)
TWO = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
MIXTURE = 1


def density_of(twin):
    """Optical density with the I0 that is reported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # thick pixels
        return cs.optical_density(twin.stack, i0=twin.i0)


def results_of(twin, od, library):
    """Errors of one sample, and whether the stated ones cover them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # of the shift itself
        maps = cs.deconvolve(od, library, weights="uniform")
        comp = cs.composition(maps, library)
    error = (comp.composition - twin.composition).values
    kept = comp["mask"].values & (twin.thickness >= 0.25).values
    labels = twin.labels.values
    covered = np.abs(error) <= comp.composition_sd_total.values
    clusters = [error[kept & (labels == k)].mean() for k in range(3)]
    shift = maps.attrs["energy_shift_eV"] - twin.energy_shift_eV
    return {
        "shift": shift,
        "shift covered": abs(shift) <= maps.attrs["energy_shift_sd_eV"],
        "clusters": clusters,
        "mixed covered": covered[kept & (labels == MIXTURE)].mean(),
        "all covered": covered[kept].mean(),
    }


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


def test_composition_shift_and_their_intervals(library, reach):
    found = {"two": [], "six": []}
    for seed in SEEDS:
        twin = cs.simulate.honest_twin(seed, shape=(30, 40))
        od = density_of(twin)
        found["two"].append(results_of(twin, od, library.select(*TWO)))
        found["six"].append(results_of(twin, od, library))
    check(found["two"], "two", 0.015, reach)
    check(found["six"], "six", 0.035, reach)


def check(found, count, limit, reach):
    """What must be reached."""
    case = "honest twin: the sample is not made of the library"
    of = f"{count} standards"
    means = {
        name: np.mean([one[f"{name} covered"] for one in found])
        for name in ("shift", "mixed", "all")
    }
    shift = np.array([one["shift"] for one in found])
    clusters = np.array([one["clusters"] for one in found])
    reach(case, f"largest error of the shift (eV), {of}", np.abs(shift).max(), most=0.02)
    reach(case, f"rms error of clusters' x, {of}", np.sqrt((clusters**2).mean()), most=limit)
    reach(case, f"68 % intervals of the shift cover, {of}", means["shift"], within=(0.6, 0.8))
    reach(case, f"68 % intervals of mixed pixels cover, {of}", means["mixed"], within=(0.6, 0.8))
    # Pure pixels of a two-phase fit lie at the bound half of the time, and there are exact.
    reach(case, f"68 % intervals of all pixels cover, {of}", means["all"], within=(0.6, 0.88))


def test_counting_errors_alone_would_not_cover(library):
    """The alarm that the systematic error is there for: without it intervals are far too narrow."""
    twin = cs.simulate.honest_twin(3, shape=(30, 40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        od = cs.optical_density(twin.stack, i0=twin.i0)
        maps = cs.deconvolve(od, library.select(*TWO), weights="uniform")
        comp = cs.composition(maps, library.select(*TWO))
    systematic = np.nanmedian(comp.composition_sd_systematic.values)
    assert 0.005 < systematic < 0.04
    assert 0.4 < maps.attrs["misfit_scale"] < 2.5


def test_mixed_pixels_at_the_bound_know_that_they_may_err(library):
    """In strong noise a mixed pixel may be fitted by one standard, without any freedom left."""
    truth = cs.simulate.core_shell(shape=(40, 50), od_noise=0.1)
    two = library.select(*TWO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        od = cs.optical_density(truth.stack, i0=truth.i0)
        maps = cs.deconvolve(od, two, weights="uniform", energy_shift=0.0)
        comp = cs.composition(maps, two)
    bound = (maps.weight.values > 0).sum(axis=0) == 1
    mixed = bound & (truth.labels == MIXTURE).values & comp["mask"].values
    assert mixed.sum() > 10
    error = np.abs((comp.composition - truth.composition).values[mixed])
    stated = comp.composition_sd_total.values[mixed]
    assert stated.min() > 0.03
    # Those that ended at the bound are the tail of all mixed pixels: beyond one sd, not beyond 2.
    assert np.mean(error <= 2 * stated) > 0.95
    assert np.sqrt((error**2).mean()) < 1.6 * np.sqrt((stated**2).mean())
