"""Few images of a stack against all of them: the variance of nested fits, on simulated stacks."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape import simulate
from chemoscape.errors import FitError, StackError
from chemoscape.few_energies.model import Nuisance, coefficients, error_parts
from chemoscape.few_energies.subsampling import subsample
from chemoscape.standards.folder import open_library

COUNTING = Nuisance(0.0, 0.0, 0.0, 0.0)
FEW = [518.4, 532.6, 539.0]


@pytest.fixture(scope="module")
def pair():
    return open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")


@pytest.fixture(scope="module")
def od(density_of):
    truth = simulate.core_shell(
        core="epsilon-Li0.3V2O5",
        shape=(60, 80),
        poisson=True,
        photons=50_000.0,
        energy_shift_eV=-0.4,
        seed=907,
    )
    return density_of(truth)


def test_nested_fits_differ_by_the_difference_of_their_variances():
    """Under the whole model both are efficient; the formula used holds whether they are or not."""
    rng = np.random.default_rng(4)
    mu, slope = rng.uniform(0.2, 2, (9, 2)), rng.normal(size=9)
    variance = rng.uniform(1e-4, 1e-3, 9)
    nuisance = Nuisance(0.05, 0.05, 0.02, 0.01)
    places, toward = np.array([1, 4, 5, 8]), np.array([0.3, -0.7])
    full = toward @ coefficients(mu, slope, variance, nuisance)
    few = np.zeros(9)
    few[places] = toward @ coefficients(mu[places], slope[places], variance[places], nuisance)

    def total(sensitivity):
        return float(error_parts(sensitivity, slope, variance, nuisance).total ** 2)

    assert total(few - full) == pytest.approx(total(few) - total(full), rel=1e-9)


@pytest.mark.parametrize("nuisance", [COUNTING, Nuisance()])
def test_scatter_is_as_predicted(od, pair, nuisance):
    thick = od["optical_density"].mean("energy") > 0.3
    found = subsample(od, pair, FEW, nuisance=nuisance, energy_shift=-0.4, mask=thick)
    assert found.energies == pytest.approx([518.0, 532.2, 539.0])
    assert found.n_pixels == int(thick.sum()) > 1000
    # the standard deviation of so many values, and what a curved composition adds
    assert found.ratio == pytest.approx(1.0, abs=3 / np.sqrt(2 * found.n_pixels) + 0.02)
    assert found.predicted_scatter < found.few_sd
    assert abs(found.mean) < 3 * found.scatter / np.sqrt(found.n_pixels) + 0.002
    assert found.rms == pytest.approx(np.hypot(found.mean, found.scatter))
    assert found.few.where(~thick).isnull().all()
    assert "3 frames" in str(found)
    assert found.to_dict()["ratio"] == found.ratio


def test_all_frames_are_all_frames(od, pair):
    energies = od["energy"].values[10:40:3]
    part = od.isel(energy=slice(10, 40, 3))
    found = subsample(part, pair, energies, nuisance=COUNTING, energy_shift=0.0)
    assert found.rms == pytest.approx(0, abs=1e-12)
    assert found.few_sd == found.full_sd


def test_the_wrong_standards_show(od):
    wrong = open_library("lixv2o5-model").select("alpha-V2O5", "delta-Li0.9V2O5")
    found = subsample(od, wrong, FEW, nuisance=COUNTING, energy_shift=-0.4)
    assert found.ratio > 1.5 or abs(found.mean) > 5 * found.predicted_scatter


def test_what_cannot_be_compared_is_said(od, pair):
    with pytest.raises(FitError, match=r"no image within 0\.5 eV of 600"):
        subsample(od, pair, [518.4, 600.0])
    with pytest.raises(FitError, match="one image"):
        subsample(od, pair, [518.4, 518.41])
    with pytest.raises(StackError, match="noise"):
        subsample(od.drop_vars("variance"), pair, FEW)
    with pytest.raises(StackError, match="no pixel"):
        subsample(od, pair, FEW, mask=od["optical_density"][0] > 1e3)
    with pytest.raises(StackError, match="covered"):
        subsample(od.assign_coords(energy=od["energy"] + 500), pair, FEW)
