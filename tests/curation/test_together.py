"""Checks of a set: duplicates, mixtures, axes, condition number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.curation import axes, together
from chemoscape.curation.explained import own_energies, thinned, unexplained
from chemoscape.standards.library import Library
from chemoscape.standards.standard import Standard

LIBRARY = cs.open_library("lixv2o5-model")


def put(library, **changes):
    """The library with some standards changed: ``id with _ for -`` = changed standard."""
    by_id = {one.id: one for one in changes.values()}
    return replace(library, standards=tuple(by_id.get(s.id, s) for s in library.standards))


def named(findings, check, *verdicts):
    return {one.standard for one in findings if one.check == check and one.verdict in verdicts}


def moved(standard, shift):
    return replace(standard, energy=standard.energy + shift)


def mixed(standard, parts, noise=0.0, seed=0):
    y = sum(share * other.spectrum for share, other in parts)
    y = y + np.random.default_rng(seed).normal(0, noise * y.max(), y.size)
    return replace(standard, spectrum=y)


def test_unexplained_is_the_sine_between_two_spectra():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 40))
    r = np.corrcoef(a, b)[0, 1]
    b = b * np.sign(r)
    left, weights = unexplained(a, b[None])
    assert left == pytest.approx(np.sqrt(1 - r**2))
    assert weights[0] == pytest.approx(abs(r) * a.std() / b.std())
    assert unexplained(3 * b + 7, b[None])[0] == pytest.approx(0, abs=1e-12)
    assert unexplained(-b, b[None])[0] == pytest.approx(1)  # no weight is negative
    assert unexplained(np.full(40, 5.0), b[None]) == (0.0, np.zeros(1))


def test_energies_to_compare_at_are_the_coarsest_standards():
    fine, coarse = np.arange(500, 520, 0.05), np.arange(501, 519, 0.5)
    rng = np.random.default_rng(0)
    both = [
        Standard(n, n, 0.0, e, rng.normal(size=e.size)) for n, e in [("f", fine), ("c", coarse)]
    ]
    assert np.array_equal(own_energies(Library("a", "a", "x", tuple(both))), coarse)
    alone = own_energies(Library("a", "a", "x", (both[0],)))
    assert np.diff(alone).min() == pytest.approx(0.2)
    assert thinned(np.array([3.0])).tolist() == [3.0]
    gap = Library("a", "a", "x", tuple(both), energy_window=(501.1, 501.4))
    with pytest.raises(cs.errors.LibraryError, match="fewer than two"):
        own_energies(gap)


def test_good_library_has_no_failure_or_warning():
    found = together.check_together(LIBRARY)
    assert {one.verdict for one in found} == {"pass"}
    assert len([one for one in found if one.check == "mixture"]) == 6
    assert all(one.number is not None for one in found)


def test_duplicate_with_another_thickness_and_offset_is_named_with_its_partner():
    one, other = LIBRARY.standards[1], LIBRARY.standards[3]
    copy = replace(one, spectrum=1.4 * other.spectrum + 500)
    found = together.check_together(put(LIBRARY, a=copy))
    assert named(found, "duplicate", "fail") == {one.id, other.id}
    assert named(found, "mixture", "fail") == set()  # a duplicate explains, it does not mix
    said = next(f for f in found if f.check == "duplicate" and f.standard == one.id)
    assert other.id in said.detail
    assert named(found, "separability", "warn") == {""}


def test_two_orientations_that_are_alike_are_told_so():
    one, other = LIBRARY.standards[1], LIBRARY.standards[3]
    copy = replace(one, spectrum=other.spectrum, record=one.record.with_(orientation="b up"))
    found = together.check_together(put(LIBRARY, a=copy))
    said = next(f for f in found if f.check == "duplicate" and f.standard == one.id)
    assert said.verdict == "fail"
    assert "dichroism" in said.remedy


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(("which", "first", "second"), [(1, 2, 3), (3, 0, 4), (0, 1, 5), (5, 0, 2)])
def test_mixture_is_named_with_its_shares(which, first, second, noise):
    s = LIBRARY.standards
    fake = mixed(s[which], [(0.4, s[first]), (0.6, s[second])], noise)
    found = together.check_together(put(LIBRARY, a=fake))
    assert named(found, "mixture", "fail") == {fake.id}
    said = next(f for f in found if f.check == "mixture" and f.standard == fake.id)
    assert s[first].id in said.detail
    share = float(said.detail.split("% " + s[second].id)[0].split()[-1])
    assert share == pytest.approx(60, abs=8 if noise else 1)


def test_known_mixtures_pass_and_proven_phases_are_only_warned_about():
    s = LIBRARY.standards
    fake = mixed(s[2], [(0.4, s[0]), (0.6, s[4])])
    known = replace(fake, kind="mixture")
    shown = replace(fake, record=fake.record.with_(pxrd="a.xy"))
    assert not named(together.check_together(put(LIBRARY, a=known)), "mixture", "fail", "warn")
    assert named(together.check_together(put(LIBRARY, a=shown)), "mixture", "warn") == {fake.id}


@pytest.mark.parametrize("shift", [-0.4, 0.3, 0.4, 1.2, 2.5])
@pytest.mark.parametrize("which", [0, 3, 5])
def test_shifted_axis_is_named_and_no_other(which, shift):
    spoilt = moved(LIBRARY.standards[which], shift)
    found = axes.check_axes(put(LIBRARY, a=spoilt))
    assert named(found, "energy axis", "fail") == {spoilt.id}
    said = next(f for f in found if f.standard == spoilt.id)
    assert said.number == pytest.approx(shift, abs=0.1)


def test_two_shifted_axes_do_not_hide_each_other():
    s = LIBRARY.standards
    spoilt = put(LIBRARY, a=moved(s[0], 0.4), b=moved(s[4], -0.5))
    assert named(axes.check_axes(spoilt), "energy axis", "fail") == {s[0].id, s[4].id}


@pytest.mark.parametrize(("shifts", "fits"), [({}, 6), ({0: 0.4}, 6 + 2 * 5 + 1)])
def test_each_axis_is_fitted_against_the_same_others(monkeypatch, shifts, fits):
    asked, known = [], axes.axis_shift

    def counted(library, name, others):
        asked.append((name, *others))
        return known(library, name, others)

    monkeypatch.setattr(axes, "axis_shift", counted)
    spoilt = [moved(LIBRARY.standards[k], shift) for k, shift in shifts.items()]
    found = axes.check_axes(put(LIBRARY, **{one.label: one for one in spoilt}))
    assert len(asked) == fits
    assert {one.standard for one in found} == set(LIBRARY.names)
    off = {one.id for one in spoilt}
    assert named(found, "energy axis", "fail") == off
    sound = set(LIBRARY.names) - off
    assert {name for name, *others in asked if set(others) == sound - {name}} == set(LIBRARY.names)


def regridded(shifts, noise, seed=0):
    """The library on a coarse grid, axes shifted, with noise."""
    rng, at = np.random.default_rng(seed), np.arange(506, 562, 0.25)
    made = []
    for one in LIBRARY.standards:
        y = np.interp(at - shifts.get(one.id, 0.0), one.energy, one.spectrum)
        y = y + noise * y.max() * rng.normal(size=at.size)
        made.append(replace(one, energy=at, spectrum=y, optical_density=None))
    return replace(LIBRARY, standards=tuple(made))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_an_end_member_that_is_off_has_no_other_blamed(noise):
    """With noise the others tell no more whose it is: both rivals are warned about, none fails."""
    found = axes.check_axes(regridded({"alpha-V2O5": 0.3}, noise))
    assert named(found, "energy axis", "fail") == ({"alpha-V2O5"} if not noise else set())
    assert "alpha-V2O5" in named(found, "energy axis", "fail", "warn")
    said = [one.detail for one in found if "one of alpha-V2O5 and alpha-Li0.1V2O5" in one.detail]
    assert len(said) == (2 if noise else 0)


def noisy_copies(noise, rng):
    """Two films of one phase, one of another, one of half of each; standard deviations known."""
    a, b = LIBRARY.standards[0], LIBRARY.standards[3]
    mixed_ = replace(a, spectrum=(a.spectrum + b.spectrum) / 2)
    made = []
    for k, one in enumerate((a, a, b, mixed_)):
        sd = noise * one.spectrum.max()
        y = one.spectrum + rng.normal(0, sd, one.energy.size)
        sds = np.full(y.size, sd)
        made.append(replace(one, id=f"s{k}", spectrum=y, spectrum_sd=sds, optical_density=None))
    return replace(LIBRARY, standards=tuple(made), energy_window=None)


@pytest.mark.parametrize("noise", [0.002, 0.005, 0.01, 0.02])
def test_noise_hides_neither_a_duplicate_nor_a_mixture(noise):
    rng = np.random.default_rng(1)
    for _ in range(10):
        library = noisy_copies(noise, rng)
        spectra = library.spectra(own_energies(library)).values
        own = together.relative_noise(library, spectra)
        same = together.check_duplicates(library, spectra, own)
        assert named(same, "duplicate", "fail", "warn") == {"s0", "s1"}
        mixtures = together.check_mixtures(library, spectra, own)
        assert "s3" in named(mixtures, "mixture", "fail", "warn")
        assert not {"s0", "s1", "s2"} & named(mixtures, "mixture", "fail")


def test_axes_of_the_smooth_library_are_not_blamed():
    smooth = cs.open_library("lixv2o5-model-smooth")
    assert not named(axes.check_axes(smooth), "energy axis", "fail", "warn")


def test_shift_of_two_standards_is_anybodys():
    found = axes.check_axes(LIBRARY.select("alpha-V2O5", "delta-Li0.9V2O5"))
    assert [one.verdict for one in found] == ["not known"]


def test_standard_that_the_others_do_not_explain_is_not_judged():
    odd = replace(LIBRARY.standards[0], spectrum=LIBRARY.standards[0].spectrum[::-1].copy())
    found = axes.check_axes(put(LIBRARY, a=odd))
    assert named(found, "energy axis", "not known") == {odd.id}


def test_broad_edges_excuse_small_shifts():
    gold = replace(LIBRARY, standards=tuple(_gold(k) for k in range(3)))
    assert axes.tolerance_of(gold, "g0") > 1.0
    assert axes.tolerance_of(LIBRARY, "alpha-V2O5") == axes.SHIFT_ERROR_EV


def _gold(k):
    energy = np.arange(11870.0, 12030.0, 1.0)
    spectrum = np.arctan((energy - 11919) / 3) + k * np.exp(-(((energy - 11925) / 5) ** 2))
    return Standard(f"g{k}", "gold", 0.0, energy, spectrum, formula="Au", scale="mass_absorption")


def test_film_far_too_thick_is_warned_about_without_a_recorded_density():
    one = LIBRARY.standards[3]
    od = one.spectrum / one.spectrum.max() * 5
    flat = -np.log((np.exp(-od) + 0.02) / 1.02) / 5 * one.spectrum.max()
    found = together.check_together(put(LIBRARY, a=replace(one, spectrum=flat)))
    assert named(found, "compression", "warn") == {one.id}


def test_condition_number_does_not_depend_on_thickness():
    energy = own_energies(LIBRARY)
    thick = replace(
        LIBRARY.standards[2],
        spectrum=100 * LIBRARY.standards[2].spectrum,
        optical_density=None,
    )
    usual, other = (
        together.check_condition(one.spectra(energy).values)
        for one in (LIBRARY, put(LIBRARY, a=thick))
    )
    assert usual.number == pytest.approx(other.number)
    assert 50 < usual.number < 300
    smooth = cs.open_library("lixv2o5-model-smooth")
    spectra = smooth.spectra(own_energies(smooth)).values
    assert together.check_condition(spectra).verdict == "fail"


def test_one_standard_alone_is_compared_with_nothing():
    found = together.check_together(LIBRARY.select("alpha-V2O5"))
    assert [one.verdict for one in found] == ["not known"]


def test_no_false_alarm_with_noise_of_one_percent():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noisy = [
            replace(s, spectrum=s.spectrum + rng.normal(0, 0.01 * s.spectrum.max(), s.energy.size))
            for s in LIBRARY.standards
        ]
        found = together.check_together(replace(LIBRARY, standards=tuple(noisy)))
        assert {one.verdict for one in found} == {"pass"}
