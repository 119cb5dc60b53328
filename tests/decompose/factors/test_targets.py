"""Target tests on the paper's twin: what is there, and how often noise says otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from chemoscape import simulate
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.targets import target_tests
from chemoscape.errors import FitError
from chemoscape.standards.folder import open_library

PRESENT = ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]


@pytest.fixture(scope="module")
def library():
    return open_library("lixv2o5-model")


@pytest.fixture(scope="module")
def pcs(twin_density):
    return principal_components(twin_density)


@pytest.mark.parametrize("baseline", [None, "constant"])
def test_the_two_that_are_there_are_named(pcs, library, baseline):
    tests = target_tests(pcs, library, energy_shift=-0.4, baseline=baseline)
    assert tests.standard.values[tests.verdict == "present"].tolist() == PRESENT
    others = tests.drop_sel(standard=PRESENT)
    assert (others.spoil > 6).all()
    assert (others.verdict == "absent").all()
    assert (others.p < 1e-6).all()
    assert (tests.sel(standard=PRESENT).mismatch < 0.002).all()
    assert (others.mismatch > 0.02).all()


def test_centred_components_are_tested_with_their_mean(twin_density, library):
    tests = target_tests(
        principal_components(twin_density, centred=True), library, energy_shift=-0.4
    )
    assert tests.standard.values[tests.verdict == "present"].tolist() == PRESENT


def test_the_prediction_is_the_projection(pcs, library):
    """Every number again, from the projector on the eigenspectra."""
    tests = target_tests(pcs, library, rank=2, energy_shift=-0.4)
    seen = np.isfinite(tests["target"].values[0])
    basis = np.linalg.qr(pcs.eigenspectrum.values[:2, seen].T)[0]
    target = library.spectra(pcs.energy.values[seen], shift=-0.4).values
    np.testing.assert_allclose(tests["target"].values[:, seen], target)
    predicted = target @ basis @ basis.T
    np.testing.assert_allclose(tests["fitted"].values[:, seen], predicted, rtol=1e-8)
    aet = np.linalg.norm(predicted - target, axis=1) / np.sqrt(seen.sum() - 2)
    np.testing.assert_allclose(tests.aet, aet, rtol=1e-9)
    np.testing.assert_allclose(
        tests.ret, np.sqrt(np.maximum(tests.aet**2 - tests.rep**2, 0)), rtol=1e-12
    )
    np.testing.assert_allclose(tests.spoil, tests.ret / tests.rep)
    np.testing.assert_allclose(tests.f, (tests.aet / tests.rep) ** 2)


def test_the_real_error_is_the_noise(pcs, twin):
    tests = target_tests(pcs, twin.library, energy_shift=-0.4)
    assert tests.attrs["real_error"] == pytest.approx(twin.optical_density_sd, rel=0.01)


def test_f_is_distributed_as_it_says():
    """p of a standard that is there is uniform, over seeds of even noise."""
    rng = np.random.default_rng(5)
    standards = open_library("lixv2o5-model").select(*PRESENT)
    energy = np.arange(510.0, 550.0, 1.0)
    spectra = standards.spectra(energy).values
    spectra = spectra / spectra.max()
    p = []
    for seed in range(60):
        amounts = np.random.default_rng(seed).uniform(0, 1, (2, 20, 20))
        truth = np.einsum("ke,kyx->eyx", spectra, amounts)
        density = (truth + rng.normal(0, 0.03, truth.shape)).astype("f4")
        stack = simulate.core_shell(shape=(20, 20), energy=energy).stack.copy(data=density)
        stack.attrs = {"quantity": "optical_density"}
        pcs = principal_components(stack, mask=stack[0] > -np.inf, n_components=2)
        p += target_tests(pcs, standards, rank=2).p.values.tolist()[:1]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_what_is_known_of_the_standards_is_allowed_for(pcs, library):
    """20 meV off, both are told from noise; with a stated error of 20 meV they are not."""
    exact = target_tests(pcs, library, energy_shift=-0.38)
    allowed = target_tests(pcs, library, energy_shift=-0.38, energy_shift_sd=0.02)
    assert (exact.spoil.sel(standard=PRESENT) > 3).all()
    assert allowed.standard.values[allowed.verdict == "present"].tolist() == PRESENT
    assert (allowed.sel(standard="delta-Li0.9V2O5").spoil > 6).all()
    noisy = replace(
        library,
        standards=tuple(
            replace(s, spectrum_sd=np.full(s.energy.size, 0.01 * s.spectrum.max()))
            for s in library.standards
        ),
    )
    assert (target_tests(pcs, noisy, energy_shift=-0.4).rep > exact.rep).all()


def test_a_constant_is_allowed_only_when_asked_for(pcs, library):
    lifted = replace(
        library,
        standards=tuple(
            replace(s, spectrum=s.spectrum + 0.1 * s.spectrum.max()) for s in library.standards
        ),
    )
    without = target_tests(pcs, lifted, energy_shift=-0.4)
    within = target_tests(pcs, lifted, energy_shift=-0.4, baseline="constant")
    assert (without.verdict == "absent").all()
    assert within.standard.values[within.verdict == "present"].tolist() == PRESENT


def test_impossible_questions_are_refused(pcs, library, density_of):
    with pytest.raises(FitError, match="11 components"):
        target_tests(pcs, library, rank=11)
    with pytest.raises(FitError, match="baseline"):
        target_tests(pcs, library, baseline="linear")
    few = simulate.core_shell(energy=np.linspace(514, 520, 4), od_noise=0.01)
    small = principal_components(density_of(few), n_components=4)
    with pytest.raises(FitError, match="4 energies"):
        target_tests(small, library, rank=3, baseline="constant")
    with pytest.raises(FitError, match="nothing is left"):
        target_tests(small, library, rank=4)
