"""Checks of one spectrum: where its edges are, steps, saturation, noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

import chemoscape as cs
from chemoscape.curation import shape
from chemoscape.curation.parts import known_edges, noise_sd, onset_of, parts_of, spaced
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Standard

LIBRARY = cs.open_library("lixv2o5-model")
V2O5 = LIBRARY.standards[0]


def iron(energy=None, *, noise=0.0, height=3.0, **more):
    """An Fe L edge: step of one at 709 and 722 eV, white lines upon it."""
    at = np.arange(695.0, 740.0, 0.2) if energy is None else np.asarray(energy)
    lines = sum(h * np.exp(-0.5 * ((at - c) / 0.8) ** 2) for h, c in ((height, 709), (1, 722)))
    steps = sum(part * expit((at - c) / 0.3) for part, c in ((0.67, 709), (0.33, 722)))
    y = 0.1 + lines + steps + np.random.default_rng(0).normal(0, noise, at.size)
    return Standard("iron", "iron", 0.0, at, y, **{"formula": "Fe2O3", **more})


def cut(standard, low, high):
    keep = (standard.energy >= low) & (standard.energy <= high)
    return replace(standard, energy=standard.energy[keep], spectrum=standard.spectrum[keep])


@pytest.mark.parametrize(
    ("stated", "formula", "names"),
    [
        ("V L3, V L2, O K", "", ["V L3", "V L2", "O K"]),
        ("V L", "", ["V L3", "V L2"]),
        ("", "V2O5", ["V L3", "V L2", "O K"]),
        ("O K", "V2O5", ["O K"]),
        ("Xx K, nonsense", "", []),
        ("", "no formula", []),
        ("", "", []),
    ],
)
def test_edges_stated_or_by_formula(stated, formula, names):
    one = replace(V2O5, formula=formula, record=Record().with_(edges=stated))
    assert [edge.name for edge in known_edges(one)] == names


def test_pre_edge_of_oxygen_ends_where_the_spectrum_rises_not_at_the_atoms_edge():
    one = cut(replace(V2O5, record=Record().with_(edges="O K")), 526.0, 570.0)
    assert known_edges(one)[0].energy == pytest.approx(543.1)
    assert one.energy[parts_of(one).pre].max() < 530.0


@pytest.mark.parametrize(
    ("formula", "edges", "low", "high", "post"),
    [
        ("LiFePO4", "Fe L3", 690, 760, (724.9, 760.0)),  # L2 at 719.9 eV leaves no room
        ("V2O5", "V L", 508, 560, (548.1, 560.0)),
        ("CaCO3", "C K", 275, 370, (289.2, 344.2)),  # ends before Ca L3
        ("LiCoO2", "O K", 520, 830, (548.1, 776.1)),
        ("TiO2", "Ti L", 450, 560, (465.2, 526.1)),  # O K of oxides begins 17 eV below the table's
    ],
)
def test_post_edge_keeps_clear_of_edges_that_were_not_asked_for(formula, edges, low, high, post):
    energy = np.arange(low, high + 0.05, 0.1)
    rising = expit((energy - low - 15) / 0.3)
    one = Standard("a", "a", 0.0, energy, rising, formula=formula)
    one = replace(one, record=one.record.with_(edges=edges))
    found = energy[parts_of(one).post]
    assert (found.min(), found.max()) == pytest.approx(post, abs=0.15)


def test_onset_is_not_fooled_by_a_falling_background():
    one = iron()
    falling = one.spectrum + 5 * np.exp(-(one.energy - 695) / 30)
    assert onset_of(one.energy, falling) == pytest.approx(onset_of(one.energy, one.spectrum), abs=1)


def test_dense_energies_do_not_count_twice():
    assert spaced(np.arange(0, 1, 0.01)) == 5
    assert spaced(np.array([])) == 0


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (500, 570, "pass"),
        (509.3, 570, "pass"),
        (509.8, 570, "fail"),  # the pre-edge ends at 510.1: two energies
        (516, 570, "fail"),
        (500, 549.5, "pass"),
        (500, 548.6, "fail"),
        (500, 530, "fail"),
    ],
)
def test_range(low, high, verdict):
    found = shape.check_range(cut(V2O5, low, high), parts_of(cut(V2O5, low, high)))
    assert found.verdict == verdict
    assert (found.remedy == "") == (verdict == "pass")


def test_range_without_known_edge_is_only_warned_about():
    one = cut(iron(formula=""), 707, 712)
    assert shape.check_range(one, parts_of(one)).verdict == "warn"


@pytest.mark.parametrize(("step", "verdict"), [(0.3, "pass"), (0.5, "warn"), (0.8, "fail")])
def test_step_counts_in_the_edge_only(step, verdict):
    outside = np.arange(690.0, 700.0, 1.0), np.arange(735.0, 745.0, 1.0)
    one = iron(np.concatenate([outside[0], np.arange(700.0, 735.0, step), outside[1]]))
    found = shape.check_step(one, parts_of(one))
    assert found.verdict == verdict
    assert found.number == pytest.approx(step)


def test_broad_core_levels_allow_broader_steps():
    by_name = {edge.name: edge for edge in known_edges(V2O5)}
    assert shape.allowed_step(by_name["V L3"]) == 0.3
    from chemoscape.standards.atomic import edges_of

    gold = edges_of("Au", 11900, 12000)[0]
    assert shape.allowed_step(gold) == pytest.approx(gold.width / 2)


@pytest.mark.parametrize(
    ("more", "number", "verdict"),
    [
        ({"record": Record().with_(max_od=1.2)}, 1.2, "pass"),
        ({"record": Record().with_(max_od=1.6)}, 1.6, "warn"),
        ({"record": Record().with_(max_od=2.6)}, 2.6, "fail"),
        ({}, None, "not known"),
        ({"record": Record().with_(areal_mass=1e-4, constant=0.1)}, None, "fail"),
        # the columns are believed where the record says less
        ({"record": Record().with_(max_od=1.0), "optical_density": "column"}, 2.4, "fail"),
    ],
)
def test_optical_density_by_all_that_is_known(more, number, verdict):
    if more.get("optical_density"):
        more = {**more, "optical_density": V2O5.spectrum / V2O5.spectrum.max() * 2.4}
    one = replace(V2O5, **{"record": Record(), **more})
    found = shape.check_optical_density(one, parts_of(one))
    assert found.verdict == verdict
    if number is not None:
        assert found.number == pytest.approx(number)


def test_normalised_spectra_are_no_optical_densities():
    normalised, thick = iron(), iron(height=6.0)
    thick = replace(thick, spectrum=thick.spectrum * 0.5)
    assert shape.check_optical_density(normalised, parts_of(normalised)).verdict == "not known"
    assert shape.check_optical_density(thick, parts_of(thick)).verdict == "fail"


def saturated(standard, highest, stray):
    """A film of an optical density, measured with a share of stray light."""
    od = standard.spectrum / standard.spectrum.max() * highest
    return replace(standard, spectrum=-np.log((np.exp(-od) + stray) / (1 + stray)))


def test_flat_tops_are_seen_when_gross_and_never_in_good_films():
    good = [*LIBRARY.standards, *cs.open_library("lixv2o5-model-smooth").standards]
    assert {shape.check_flat_top(one).verdict for one in good} == {"pass"}
    found = [shape.check_flat_top(saturated(one, 9.0, 0.02)).verdict for one in LIBRARY.standards]
    assert set(found) == {"warn"}


def test_no_white_line_no_flat_top():
    at = np.arange(690.0, 740.0, 0.2)
    step = Standard("metal", "metal", 0.0, at, expit(at - 709))
    assert shape.check_flat_top(step) is None


@pytest.mark.parametrize("width", [0.3, 1.0])
def test_width_of_a_gaussian(width):
    at = np.arange(-6, 6, 0.01)
    y = np.exp(-0.5 * (at / width) ** 2)
    found = shape.width_at(at, y, int(y.argmax()), 0.5)
    assert found == pytest.approx(2.3548 * width, rel=1e-3)
    assert np.isnan(shape.width_at(at, y, int(y.argmax()), -1.0))


def test_noise_is_measured_where_the_spectrum_is_smooth():
    at = np.sort(np.random.default_rng(1).uniform(680, 760, 600))  # uneven steps
    found = [noise_sd(one, parts_of(one)) for one in [iron(at, noise=0.02)]]
    assert found[0] == pytest.approx(0.02, rel=0.15)
    stated = replace(iron(), spectrum_sd=np.full(iron().energy.size, 0.05))
    assert noise_sd(stated, parts_of(stated)) == pytest.approx(0.05)


@pytest.mark.parametrize(("noise", "verdict"), [(0.002, "pass"), (0.03, "warn"), (0.4, "fail")])
def test_noise(noise, verdict):
    one = iron(np.arange(680.0, 760.0, 0.1), noise=noise)
    found = shape.check_noise(one, parts_of(one))
    assert found.verdict == verdict
    assert found.number == pytest.approx(100 * noise, rel=0.3)


def test_noise_of_a_constant_or_cut_spectrum_is_not_known():
    flat = Standard("flat", "flat", 0.0, np.arange(690.0, 740.0), np.ones(50))
    assert shape.check_noise(flat, parts_of(flat)).verdict == "not known"
    short = cut(iron(), 708, 712)
    assert shape.check_noise(short, parts_of(short)).verdict == "not known"
