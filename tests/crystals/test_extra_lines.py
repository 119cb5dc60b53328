"""Lines that are not of the phase: found, sized, named; none where there are none."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from chemoscape.crystals.evidence import weigh_pattern
from chemoscape.crystals.extra_lines import extra_lines
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.profile import Profile, lines_of
from chemoscape.crystals.radiation import radiation
from chemoscape.crystals.reflections import reflections, relative_intensities
from chemoscape.crystals.simulation import calculated_pattern, overlay, synthetic_pattern
from chemoscape.crystals.whole_pattern import refine_cell

X = np.arange(12, 52, 0.03)


def mixed(v2o5, other, share: float, seed: int = 0):
    """V2O5 with so much of the highest line of another phase."""
    pattern = synthetic_pattern(v2o5, X, counts=4000, background=80, seed=seed)
    more = 4000 * share * calculated_pattern(other, X)
    drawn = pattern.intensity + np.random.default_rng(seed + 50).poisson(more)
    return replace(pattern, intensity=drawn, sd=np.sqrt(np.maximum(drawn, 1)))


def test_noise_makes_no_lines(v2o5):
    """One pattern in a hundred may; of ten at most one does (p = 0.4 % for more)."""
    flagged = 0
    for seed in range(5):
        fit = refine_cell(synthetic_pattern(v2o5, X, counts=4000, seed=seed), v2o5, reach=0)
        flagged += bool(extra_lines(fit))
        # the same residuals in another order are noise as good
        order = np.random.default_rng(seed).permutation(len(X))
        z = (fit.residual / fit.pattern.sd)[order]
        turned = replace(fit.pattern, intensity=fit.calculated + z * fit.pattern.sd)
        flagged += bool(extra_lines(replace(fit, pattern=turned)))
    assert flagged <= 1


def test_a_foreign_phase_is_found_where_it_lies_and_named(v2o5, crystal_of):
    """5 % of rutile: its (110) at 27.43° lies apart from every line of V2O5."""
    rutile, salt = crystal_of("rutile"), crystal_of("NaCl")
    fit = refine_cell(mixed(v2o5, rutile, 0.05), v2o5, reach=0)
    found = extra_lines(fit, [salt, rutile])
    first = found[0]
    by_hand = 2 * np.degrees(np.arcsin(1.540593 * np.sqrt(2) / (2 * 4.5937)))
    assert first.two_theta == pytest.approx(by_hand, abs=0.04)
    assert first.d == pytest.approx(4.5937 / np.sqrt(2), rel=2e-3)
    assert first.share == pytest.approx(0.05, abs=3 * first.share_sd)
    assert first.significance > 10
    assert first.phases == ("rutile",)
    assert "as of rutile" in str(first)
    shared = [one for one in found if abs(one.two_theta - by_hand) < 0.4]
    assert len(shared) == 1  # the second line of the doublet is not another


def test_what_hides_under_a_line_is_not_seen(v2o5):
    """The same phase with a cell so near that every line overlaps: nothing is claimed."""
    twin = v2o5.with_cell((11.513, 3.5643, 4.3684, 90.0, 90.0, 90.0))
    fit = refine_cell(mixed(v2o5, twin, 0.05), v2o5, reach=0)
    assert extra_lines(fit) == ()


def test_excluded_ranges_hold_no_lines(v2o5, crystal_of):
    pattern = mixed(v2o5, crystal_of("rutile"), 0.08).without((26.9, 28.0))
    fit = refine_cell(pattern, v2o5, reach=0)
    assert fit.n_points == len(X) - ((X >= 26.9) & (X <= 28.0)).sum()
    assert not [one for one in extra_lines(fit) if 26.9 < one.two_theta < 28.0]


def test_evidence_names_its_doubts(v2o5, crystal_of):
    clean = weigh_pattern(synthetic_pattern(v2o5, X, counts=4000), v2o5, reach=0)
    assert clean.doubts == ()
    assert clean.r_intensity < 0.05
    assert "no line that the phase does not explain" in str(clean)
    wrong = weigh_pattern(synthetic_pattern(v2o5, X, counts=4000), crystal_of("rutile"))
    said = " ".join(wrong.doubts)
    assert "the fit is poor" in said
    assert "not of rutile" in said
    other = v2o5.with_cell((11.44, 3.564, 4.434, 90.0, 90.0, 90.0))
    moved = weigh_pattern(synthetic_pattern(other, X, counts=4000), v2o5)
    assert any("its c is +1.5" in one for one in moved.doubts)
    assert moved.fit.cell[2] == pytest.approx(4.434, abs=1e-3)


def test_calculated_pattern_lies_on_the_fit(v2o5):
    fit = refine_cell(synthetic_pattern(v2o5, X, counts=4000), v2o5, reach=0)
    difference = overlay(fit, v2o5) - fit.calculated
    assert np.abs(difference).max() < 0.06 * fit.calculated.max()


def test_feet_of_asymmetric_lines_are_no_other_phase(v2o5, crystal_of):
    """Every line with a tail to low angles, as axial divergence makes it: said as correlated
    residuals; a line of rutile is still found.
    """
    tail = np.exp(-np.arange(60) * 0.03 / 0.05)
    kernel = tail / tail.sum()

    def smeared(y):
        return np.convolve(y[::-1], kernel)[: len(y)][::-1]

    plain = smeared(calculated_pattern(v2o5, X, highest=20000)) + 200
    more = smeared(calculated_pattern(crystal_of("rutile"), X, highest=800))
    for y, n in ((plain, 0), (plain + more, 1)):
        drawn = np.random.default_rng(0).poisson(y).astype(float)
        made = synthetic_pattern(v2o5, X)
        found = weigh_pattern(replace(made, intensity=drawn, sd=np.sqrt(drawn)), v2o5, reach=0)
        assert found.fit.serial_factor > 1.3
        assert (len(found.extra) > 0) == bool(n)
        if n:
            assert found.extra[0].two_theta == pytest.approx(27.43, abs=0.08)


def test_a_length_that_no_line_tells_is_not_claimed(v2o5):
    """Flakes that lie flat show (00l) alone: c is found; a and b follow the noise, and say so."""
    c = v2o5.cell[2]
    d = c / np.arange(1, 3)
    y = 100 + lines_of(X, d, Profile(w=0.01), radiation("Cu")).value @ np.full(len(d), 500.0)
    drawn = np.random.default_rng(0).poisson(y).astype(float)
    made = synthetic_pattern(v2o5, X)
    found = weigh_pattern(replace(made, intensity=drawn, sd=np.sqrt(drawn)), v2o5, shift="none")
    assert found.undetermined == ("a", "b")
    assert found.fit.cell[2] == pytest.approx(c, abs=4 * found.fit.cell_sd[2])
    assert "not determined" in found.fit.lattice
    assert any("a and b cannot be told" in one for one in found.doubts)


def drawn(y, counts=20_000, seed=0):
    """Counts of a pattern of Cu Kα."""
    n = np.random.default_rng(seed).poisson(counts * y / y.max() + 150).astype(float)
    return Pattern(X, n, np.sqrt(n), radiation("Cu"), sd_from="counts")


def test_a_hump_and_feet_of_broad_lines_are_no_phases(v2o5):
    """Amorphous scattering; and thin flakes, which broaden all but the lines with l = 0."""
    plain = calculated_pattern(v2o5, X)
    hump = plain + 0.2 * np.exp(-0.5 * ((X - 23) / 3.5) ** 2)
    cu = radiation("Cu")
    found = reflections(v2o5, 1.7, 12)
    area = relative_intensities(v2o5, found, cu)
    thin = found.hkl[:, 2] != 0
    broad = sum(
        lines_of(X, found.d[one], Profile(w=w), cu).value @ area[one]
        for one, w in ((thin, 0.03), (~thin, 0.007))
    )
    for y in (hump, broad):
        fit = refine_cell(drawn(y), v2o5, reach=0)
        assert fit.goodness > 2
        assert extra_lines(fit) == ()


def test_lines_of_the_tube_are_named(v2o5):
    """2 % of Kβ and 2 % of tungsten: at 18.25° the first, of (001), by Bragg's law."""
    more = 0.02 * (calculated_pattern(v2o5, X, 1.392234) + calculated_pattern(v2o5, X, 1.476409))
    found = extra_lines(refine_cell(drawn(calculated_pattern(v2o5, X) + more), v2o5, reach=0))
    by_hand = 2 * np.degrees(np.arcsin(1.392234 / (2 * v2o5.cell[2])))
    first = next(one for one in found if abs(one.two_theta - by_hand) < 0.06)
    assert first.phases == ("Kβ of 0 0 1",)
    assert any("W Lα of 0 0 1" in one.phases for one in found)


def test_fine_steps_take_no_more_memory(v2o5):
    """A line is matched every tenth of a width, not at every point: else 1.6 GB here."""
    fit = refine_cell(synthetic_pattern(v2o5, X, counts=4000), v2o5, reach=0)
    fine = np.linspace(X[0], X[-1], 8_000)
    made = synthetic_pattern(v2o5, fine, counts=4000)
    calculated, ground = (np.interp(fine, X, y) for y in (fit.calculated, fit.background))
    tracemalloc.start()
    extra_lines(replace(fit, pattern=made, calculated=calculated, background=ground))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e8


def test_the_cell_is_compared_with_the_structures_wherever_the_fit_began(v2o5):
    start = (11.562, 3.514, 4.418, 90.0, 90.0, 90.0)
    found = weigh_pattern(synthetic_pattern(v2o5, X, counts=4000), v2o5, start=start)
    assert found.fit.start == start
    assert found.doubts == ()
    loose = replace(found, fit=replace(found.fit, r_wp=found.fit.r_wp / 4))
    assert "times better than noise allows" in loose.doubts[0]
