"""What can be told apart, against fits of simulated spectra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.curation.separability import INSEPARABLE, fraction_sd, separability

LIBRARY = cs.open_library("lixv2o5-model")
SMOOTH = cs.open_library("lixv2o5-model-smooth")


def fitted_fractions(spectra, noise, thickness, n, seed):
    """Fractions by least squares of noisy equal mixtures, thickness and constant free."""
    rng = np.random.default_rng(seed)
    clean = thickness * spectra.mean(axis=0) + 0.07
    sd = noise * thickness * spectra.mean(axis=0).max()
    data = clean + rng.normal(0, sd, (n, clean.size))
    columns = np.column_stack([spectra.T, np.ones(clean.size)])
    weights = np.linalg.lstsq(columns, data.T, rcond=None)[0][: len(spectra)]
    return weights / weights.sum(axis=0)


@pytest.mark.parametrize("thickness", [3e-5, 2e-4])
@pytest.mark.parametrize(
    "names",
    [
        ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"),
        ("alpha-V2O5", "alpha-Li0.1V2O5"),
        tuple(LIBRARY.names),
    ],
)
def test_standard_deviations_are_those_of_fits(names, thickness):
    chosen = LIBRARY.select(*names)
    told = separability(chosen, noise=0.01)
    fractions = fitted_fractions(chosen.spectra(told.energy).values, 0.01, thickness, 4000, 1)
    np.testing.assert_allclose(fractions.std(axis=1), told.others_sd, rtol=0.05)


def test_pair_is_the_pair_alone():
    told = separability(LIBRARY)
    pair = separability(LIBRARY.select(LIBRARY.names[1], LIBRARY.names[3]))
    assert told.pair_sd[1, 3] == pytest.approx(pair.others_sd[0])
    assert pair.others_sd[0] == pytest.approx(pair.others_sd[1])
    assert np.isnan(np.diag(told.pair_sd)).all()
    assert np.allclose(told.pair_sd, told.pair_sd.T, equal_nan=True)


def test_proportional_to_noise_and_the_noise_needed_is_where_it_turns():
    told = separability(SMOOTH, noise=0.01)
    assert separability(SMOOTH, noise=0.03).pair_sd[0, 1] == pytest.approx(3 * told.pair_sd[0, 1])
    needed = told.needed_noise[1, 2]
    at = separability(SMOOTH, noise=needed)
    assert at.pair_sd[1, 2] == pytest.approx(INSEPARABLE)
    assert (SMOOTH.names[1], SMOOTH.names[2]) in separability(
        SMOOTH, noise=1.01 * needed
    ).inseparable


def test_denser_table_is_no_better_but_more_measured_energies_are():
    dense = np.linspace(500, 570, 5000)
    finer = [
        replace(s, energy=dense, spectrum=np.interp(dense, s.energy, s.spectrum))
        for s in LIBRARY.standards
    ]
    usual = separability(LIBRARY).worst_pair_sd
    assert separability(replace(LIBRARY, standards=tuple(finer))).worst_pair_sd >= 0.8 * usual
    few, many = (separability(LIBRARY, n_energy=n).worst_pair_sd for n in (100, 400))
    assert many == pytest.approx(few / 2, rel=0.15)


def test_sentences():
    names = SMOOTH.names
    told = separability(SMOOTH, noise=0.1)
    assert "cannot be told apart (below" in told.sentence(names[0], names[1])
    assert "cannot be told apart" in str(told)
    good = separability(SMOOTH, noise=0.001)
    assert "can be told apart" in good.sentence(names[0], names[1])
    assert not good.inseparable


def test_equal_spectra_can_never_be_told_apart():
    same = replace(LIBRARY.standards[0], id="same", spectrum=LIBRARY.standards[0].spectrum + 100)
    told = separability(replace(LIBRARY, standards=(*LIBRARY.standards, same)))
    assert np.isinf(told.pair_sd[0, 6])
    assert told.needed_noise[0, 6] == 0
    assert "the same" in told.sentence(LIBRARY.names[0], "same")
    assert np.isinf(told.others_sd[[0, 6]]).all()
    assert np.isfinite(told.others_sd[1:6]).all()


def test_optical_densities_of_any_thickness_compare_alike():
    thick = [
        replace(s, scale="optical_density", spectrum=(k + 1) * 1e-5 * s.spectrum)
        for k, s in enumerate(LIBRARY.standards)
    ]
    thin = [replace(s, spectrum=s.spectrum / s.spectrum.max()) for s in thick]
    a, b = (separability(replace(LIBRARY, standards=tuple(some))) for some in (thick, thin))
    np.testing.assert_allclose(a.others_sd, b.others_sd)


def test_one_standard_and_bad_questions():
    assert np.isnan(separability(LIBRARY.select("alpha-V2O5")).worst_pair_sd)
    assert np.isnan(fraction_sd(np.ones((1, 5)), 0.01)[0])
    with pytest.raises(cs.errors.FitError, match="noise"):
        separability(LIBRARY, noise=0.0)
    with pytest.raises(cs.errors.FitError, match="cannot determine"):
        separability(LIBRARY, energy=[518.0])
    with pytest.raises(cs.errors.FitError, match="both"):
        separability(LIBRARY, energy=[518.0], n_energy=3)
    with pytest.raises(cs.errors.LibraryError):
        separability(LIBRARY, energy=[100.0, 200.0, 300.0])
