"""The energy axis from anchors, and its stretch; groups of standards."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.decompose.calibration import Anchor, shift_from_anchors
from chemoscape.decompose.direct import weight_covariance
from chemoscape.decompose.energy import EnergyShift, fit_energy_shift
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError

AXIS = np.arange(700.0, 730.0, 0.2)


def lorentz(centre, width=1.0):
    return 1 / (1 + ((AXIS - centre) / width) ** 2)


def test_one_anchor_shifts_and_two_stretch():
    spectrum = lorentz(708.1) + 0.5 * lorentz(721.4)
    one = shift_from_anchors(AXIS, spectrum, [Anchor(708.5)])
    assert one.value == pytest.approx(-0.4, abs=0.01)
    assert one.stretch == 0.0
    assert one.sd == pytest.approx(np.hypot(0.05, 0.05), abs=1e-9)  # known, and a quarter step
    both = shift_from_anchors(AXIS, spectrum, [Anchor(708.5), Anchor(721.5)])
    true = np.array([708.5, 721.5])
    np.testing.assert_allclose(both.at(np.array([708.1, 721.4])), [-0.4, -0.1], atol=0.01)
    np.testing.assert_allclose([708.1, 721.4] - both.at(np.array([708.1, 721.4])), true, atol=0.01)


def test_an_edge_is_a_steepest_rise():
    step = 0.5 + np.arctan((AXIS - 711.37) / 0.5) / np.pi
    assert Anchor(711.0, feature="edge").locate(AXIS, step) == pytest.approx(711.37, abs=0.03)


def test_anchors_with_positions_given_are_weighted_by_their_errors():
    found = [Anchor(700.0, found=700.3, sd=0.01), Anchor(720.0, found=720.1, sd=0.01)]
    axis = shift_from_anchors(AXIS, AXIS, found)
    assert axis.at(np.array([700.3, 720.1])) == pytest.approx([0.3, 0.1])
    assert axis.stretch_sd == pytest.approx(0.01 * np.sqrt(2) / 19.8, rel=1e-6)
    assert axis.source == "anchors"


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        ([], "no anchor"),
        ([Anchor(708.0), Anchor(708.0)], "same energy"),
        ([Anchor(500.0)], "0 energies"),
        ([Anchor(705.0)], "no peak"),
        ([Anchor(708.0, found=708.0, sd=0.0)], "uncertainty"),
        ([Anchor(708.0, found=721.0), Anchor(721.0, found=708.0)], "stretched by -200 %"),
        ([Anchor(708.0, found=900.0)], "further than 10 eV"),
    ],
)
def test_refusals(anchors, words):
    with pytest.raises(FitError, match=words):
        shift_from_anchors(AXIS, lorentz(708.1), anchors)


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


def stretched(library, per_eV):
    """A noisy mixture on an axis that is shifted by -0.4 eV at 534 eV and stretched about it."""
    true = cs.simulate.measurement_energies()
    spectrum = library.spectra(true).values.T @ [0, 2e-5, 0, 3e-5, 0, 0]
    noise = 0.001 * np.random.default_rng(0).normal(size=true.size)
    return true - 0.4 + per_eV * (true - 534.0), spectrum + noise


def test_a_stretch_is_fitted_and_seen(library):
    axis, spectrum = stretched(library, 0.01)
    plain = fit_energy_shift(spectrum, None, axis, library)
    assert plain.stretch == 0.0
    assert plain.stretch_seen == pytest.approx(0.01, abs=3 * plain.stretch_seen_sd + 2e-4)
    assert plain.stretch_seen_sd < 0.001
    assert len(plain.edges) == 2
    both = fit_energy_shift(spectrum, None, axis, library, stretch=True)
    known = axis - cs.simulate.measurement_energies()
    inside = (axis > 514) & (axis < 550)
    assert np.abs(both.at(axis) - known)[inside].max() < 0.01
    straight, spectrum = stretched(library, 0.0)
    none = fit_energy_shift(spectrum, None, straight, library, stretch=True)
    assert abs(none.stretch) < 4 * none.stretch_sd


def test_a_stretched_axis_is_warned_of_and_repaired(library, density_of):
    truth = cs.simulate.core_shell(shape=(20, 30), od_noise=0.005)
    od = density_of(truth)
    axis = od.energy.values + 0.01 * (od.energy.values - 534.0)
    od = od.assign_coords(energy=("energy", axis, od.energy.attrs))
    two = library.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    with pytest.warns(ChemoscapeWarning) as caught:
        cs.deconvolve(od, two, weights="uniform")
    assert any("stretch = true" in str(one.message) for one in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # that the axis lies off, where it does
        maps = cs.deconvolve(od, two, weights="uniform", stretch=True)
    error = (cs.composition(maps, two).composition - truth.composition).values
    assert abs(np.nanmean(error)) < 0.003
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a known axis that agrees with the spectra is none's worry
        again = cs.deconvolve(
            od, two, weights="uniform", energy_shift=EnergyShift.from_attrs(maps.attrs)
        )
    np.testing.assert_allclose(again.weight, maps.weight, rtol=1e-6, atol=1e-12)


def test_a_known_axis_is_compared_with_the_spectra(library, density_of):
    """Anchors that are wrong do not pass in silence, and their error is not called small."""
    truth = cs.simulate.core_shell(shape=(20, 30), od_noise=0.005, energy_shift_eV=-0.4)
    held = EnergyShift(0.0, 0.05, source="anchors")
    with pytest.warns(ChemoscapeWarning) as caught:
        maps = cs.deconvolve(density_of(truth), library, energy_shift=held)
    assert any("energy calibration" in str(one.message) for one in caught)
    assert maps.attrs["energy_shift_sd_eV"] == pytest.approx(0.4, abs=0.02)
    assert maps.attrs["energy_shift_source"] == "anchors"


def test_groups_are_sums_with_their_covariance(library, twin_density):
    maps = cs.deconvolve(twin_density, library, energy_shift=-0.4)
    sums = cs.group_weights(maps, {"a": library.names[:2], "e": library.names[2:5]})
    np.testing.assert_allclose(
        sums.group_weight.sel(group="e"), maps.weight.values[2:5].sum(axis=0), atol=1e-15
    )
    full = weight_covariance(maps)[2:5, 2:5].sum(axis=(0, 1))
    np.testing.assert_allclose(
        sums.group_weight_sd.sel(group="e") ** 2, full.clip(min=0), rtol=1e-9, atol=1e-18
    )
    single = np.sqrt(weight_covariance(maps)[3, 3])
    inside = maps["sample"].values
    assert np.nanmedian(sums.group_weight_sd.values[1][inside]) < np.nanmedian(single[inside])
    for groups in ({"a": ["nobody"]}, {"a": library.names[:2], "b": library.names[:1]}, {"a": []}):
        with pytest.raises(LibraryError):
            cs.group_weights(maps, groups)


def test_anchors_that_scatter_by_their_errors_are_believed(library, density_of):
    """Two anchors far from the middle of the range: their stretch has an error there."""
    truth = cs.simulate.core_shell(shape=(20, 30), od_noise=0.005)
    od = density_of(truth)
    two = library.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(12):
        anchors = [
            Anchor(energy, found=energy + rng.normal(0, 0.05), sd=0.05) for energy in (516.9, 524.2)
        ]
        axis = shift_from_anchors(AXIS, AXIS, anchors)
        covered += abs(axis.at(534.0)) <= axis.sd_at(534.0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            maps = cs.deconvolve(od, two, weights="uniform", energy_shift=axis)
        assert not any("energy calibration: the fit holds" in str(one.message) for one in said)
        assert maps.attrs["energy_shift_sd_eV"] == pytest.approx(axis.sd)
    assert 4 <= covered <= 12


def test_an_error_of_the_stretch_is_one_of_the_composition(library, density_of):
    truth = cs.simulate.core_shell(shape=(20, 30), od_noise=0.005)
    od = density_of(truth)
    two = library.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    centre, sd = 525.0, 0.004
    errors = []
    for stretch_sd in (1e-9, sd):
        axis = EnergyShift(0.0, 1e-4, stretch=1e-9, stretch_sd=stretch_sd, centre=centre)
        maps = cs.deconvolve(od, two, weights="uniform", energy_shift=axis)
        errors.append(cs.composition(maps, two).composition_sd_systematic.values)
    moved = [
        cs.composition(
            cs.deconvolve(
                od,
                two,
                weights="uniform",
                energy_shift=EnergyShift(0.0, 1e-4, stretch=sign * 1e-3, centre=centre),
            ),
            two,
        ).composition.values
        for sign in (-1, 1)
    ]
    mixed = (truth.labels == 1).values
    slope = np.abs(moved[1] - moved[0])[mixed] / 2e-3
    added = np.sqrt(errors[1] ** 2 - errors[0] ** 2)[mixed]
    np.testing.assert_allclose(np.median(added), np.median(slope) * sd, rtol=0.1)


def test_anchors_that_contradict_each_other_are_less_sure():
    found = [Anchor(e, found=e + off, sd=0.01) for e, off in ((515, 0), (523, 0.39), (531, 0))]
    axis = shift_from_anchors(AXIS, AXIS, found)
    assert axis.sd > 0.1
