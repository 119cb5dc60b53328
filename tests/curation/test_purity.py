"""Evidence from pixels, against films whose composition is known pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import chemoscape as cs
from chemoscape import stack as stacks
from chemoscape.curation.foreign import deviations
from chemoscape.curation.ingredients import explain
from chemoscape.curation.purity import purity
from chemoscape.errors import FitError

MAIN, OTHER = "epsilon-Li0.45V2O5", "alpha-Li0.1V2O5"
COUNTS = 5000
SHAPE = (32, 32)


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


def densities(thickness, share, library, *, counts=COUNTS, stray=0.0, highest=1.4, seed=0, n=60):
    """Optical densities (energy, y, x) of Poisson counts through ``t ((1 - f) a + f b)``, a and b
    mass absorptions scaled so that the densest pixel has `highest`.
    """
    energy = np.linspace(510, 550, n)
    spectra = library.select(MAIN, OTHER).spectra(energy).values
    spectra = spectra / spectra.max() * highest
    light = np.exp(
        -np.multiply.outer(spectra[0], thickness * (1 - share))
        - np.multiply.outer(spectra[1], thickness * share)
    )
    rng = np.random.default_rng(seed)
    seen = np.maximum(rng.poisson(counts * ((1 - stray) * light + stray)), 1)
    return energy, np.log(counts / seen), seen


def film(library, share=0.0, *, foreign=0.0, thickness=None, seed=0, variance=True, **more):
    """A film of random thickness 0.3 to 1, a share of `foreign` pixels wholly of another phase."""
    rng = np.random.default_rng(1000 + seed)
    t = rng.uniform(0.3, 1.0, SHAPE) if thickness is None else thickness
    f = np.full(t.shape, float(share))
    f.flat[rng.permutation(f.size)[: round(foreign * f.size)]] = 1.0
    energy, od, seen = densities(t, f, library, seed=seed, **more)
    return stack_of(energy, od, seen if variance else None)


def stack_of(energy, od, seen=None):
    y, x = (0.04 * np.arange(n) for n in od.shape[1:])
    density = stacks.build(od, energy, y, x, quantity="optical_density")
    if seen is None:
        return density
    dataset = density.to_dataset(name="optical_density")
    dataset["variance"] = (stacks.DIMS, (1 / seen).astype(np.float32))
    return dataset


def everything(od):
    return np.ones((od.sizes["y"], od.sizes["x"]), bool)


def deviations_of(od):
    """Rank and foreign pixels alone, without components and clusters."""
    density, variance = (od[name].values for name in ("optical_density", "variance"))
    energy = od["energy"].values
    return deviations(
        density.reshape(energy.size, -1),
        np.ones(density.shape[1:], bool),
        (variance.mean(axis=0).ravel(), variance.mean(axis=(1, 2))),
        np.array([np.ones(energy.size), energy - energy.mean()]),
    )


def test_deviations_of_are_those_of_purity(library):
    od = film(library, foreign=0.01)
    whole, found = purity(od, np.ones(SHAPE, bool)), deviations_of(od)
    assert (found.rank, found.share) == (whole.rank, whole.foreign_share)
    assert found.excess[1] == pytest.approx(whole.eigenvalue_ratio, rel=1e-4)


@pytest.mark.parametrize(("variance", "n"), [(True, 30), (False, 6)])
def test_thickness_alone_is_one_component(library, variance, n):
    """False alarms in none of 30 seeds: 0 of 500 were seen over five kinds of films."""
    found = [
        purity(film(library, seed=seed, variance=variance), np.ones(SHAPE, bool))
        for seed in range(n)
    ]
    assert [one.rank for one in found] == [1] * n
    assert [one.clusters for one in found] == [1] * n
    assert max(one.foreign_share for one in found) < 0.003
    assert np.mean([one.foreign_share for one in found]) < 0.001


def test_one_percent_of_foreign_pixels_is_seen(library):
    one = purity(film(library, foreign=0.01), np.ones(SHAPE, bool))
    others = [deviations_of(film(library, foreign=0.01, seed=seed)) for seed in range(1, 10)]
    assert [one.rank, *(other.rank for other in others)] == [2] * 10
    shares = np.array([one.foreign_share, *(other.share for other in others)])
    assert shares.mean() == pytest.approx(0.01, abs=0.0015)
    assert one.clusters == 2
    assert one.largest_cluster == pytest.approx(0.99, abs=0.002)
    assert one.eigenvalue_ratio > 1
    assert len(one.sizes) == 1
    assert "2 components" in str(one)


def test_a_uniform_mixture_shows_in_no_rank_and_in_the_fit(library):
    found = purity(film(library, 0.1), np.ones(SHAPE, bool), library=library)
    assert (found.rank, found.clusters) == (1, 1)
    assert found.foreign_share < 0.003
    shares = {one.standard: one for one in found.explanation.shares}
    assert shares[OTHER].share == pytest.approx(0.1, abs=4 * shares[OTHER].sd)
    assert shares[OTHER].sd < 0.01
    assert found.explanation.unexplained < 0.01
    assert "mixed alike into every pixel shows in no rank" in str(found)
    evidence = {"rank": 1.0, "second_component": 0.0, "clusters": 1.0, "lcf": found.lcf}
    assert found.as_evidence() == evidence
    assert OTHER in found.lcf


def test_without_a_library_it_is_said_that_the_fit_is_missing(library):
    found = purity(film(library, 0.1), np.ones(SHAPE, bool))
    assert found.explanation is None
    assert found.lcf == ""
    assert "not compared" in str(found).lower()
    assert "compare with a library" in str(found)


def test_what_the_library_lacks_is_left_unexplained(library):
    found = purity(film(library), np.ones(SHAPE, bool), library=library.select("alpha-V2O5", OTHER))
    assert found.rank == 1
    assert found.explanation.unexplained > 0.05


def test_the_majority_is_found_among_almost_as_many_others(library):
    found = purity(film(library, foreign=0.45), np.ones(SHAPE, bool))
    assert found.rank == 2
    assert found.foreign_share == pytest.approx(0.45, abs=0.01)
    assert found.largest_cluster == pytest.approx(0.55, abs=0.01)


def test_empty_pixels_and_a_flat_background_are_no_phase(library):
    rng = np.random.default_rng(3)
    thickness = rng.uniform(0.3, 1.0, SHAPE)
    thickness[:10] = 0.0
    energy, od, seen = densities(thickness, np.zeros(SHAPE), library)
    slope = np.linspace(1.0, 0.8, energy.size)[:, None, None]
    od = od + slope * rng.uniform(0, 0.2, SHAPE)  # a film of something that has no edge here
    found = purity(stack_of(energy, od, seen), np.ones(SHAPE, bool))
    assert found.rank == 1
    assert found.foreign_share < 0.005


def test_an_error_of_i0_that_the_background_shows_is_named_and_not_counted(library):
    thickness = np.random.default_rng(3).uniform(0.3, 1.0, SHAPE)
    thickness[:10] = 0.0
    energy, od, seen = densities(thickness, np.zeros(SHAPE), library)
    od = od + np.random.default_rng(7).normal(0, 0.02, energy.size)[:, None, None]
    dataset = stack_of(energy, od, seen)
    unknown = purity(dataset, thickness > 0)
    known = purity(dataset.assign(background=(("y", "x"), thickness == 0)), thickness > 0)
    assert unknown.rank == 2
    assert known.rank == 1
    assert any("error of I0, which is not counted" in text for text in known.doubts)


def test_saturated_pixels_raise_the_rank_and_are_named(library):
    """5 % of light that nothing absorbs, up to an optical density of 2.5."""
    thickness = np.broadcast_to(np.linspace(0.1, 1.0, SHAPE[1]), SHAPE)
    od = film(library, thickness=thickness, stray=0.05, highest=2.5)
    found = purity(od, np.ones(SHAPE, bool))
    assert found.rank >= 2
    assert found.clusters == 1
    assert any("saturation" in text for text in found.doubts)
    clean = purity(film(library, thickness=thickness, highest=2.5), np.ones(SHAPE, bool))
    assert clean.rank == 1


def test_a_phase_of_its_own_is_not_called_saturation(library):
    """In a film of even thickness the foreign pixels are the only ones whose density differs."""
    found = purity(film(library, foreign=0.01, thickness=np.ones(SHAPE)), np.ones(SHAPE, bool))
    assert found.rank == 2
    assert found.doubts == ()


def test_drift_that_is_left_is_named(library):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    thickness = np.clip(1.2 - np.hypot(y - 16, x - 16) / 14, 0, 1)
    energy = np.linspace(510, 550, 60)
    spectrum = library.select(MAIN).spectra(energy).values[0]
    rng = np.random.default_rng(0)
    frames = []
    for absorption, shift in zip(
        spectrum / spectrum.max(), rng.normal(0, 0.3, (60, 2)), strict=True
    ):
        light = np.exp(-absorption * ndimage.shift(thickness, shift, order=1, mode="nearest"))
        frames.append(np.log(COUNTS / rng.poisson(COUNTS * light)))
    found = purity(stack_of(energy, np.array(frames)), np.ones(SHAPE, bool))
    assert found.rank > 1
    assert any("drift" in text for text in found.doubts)


@pytest.mark.parametrize(("foreign", "rank"), [(0.0, 1), (0.01, 2)])
def test_interpolated_pixels_are_not_asked_twice(library, foreign, rank):
    """Bilinear interpolation makes neighbours share noise; far fewer components must not follow."""
    whole = film(library, foreign=foreign, variance=False)
    moved = ndimage.shift(whole.values, (0, 0.4, 0.3), order=1)[:, 1:, 1:]
    found = purity(stack_of(whole.energy.values, moved), everything(whole)[1:, 1:])
    assert found.rank == rank
    assert any("share noise" in text for text in found.doubts)


def smeared(library, sigma, *, foreign=0.0, half_step=False):
    """A film with normal noise that neighbours share: (energy, y, x) standard deviations."""
    rng = np.random.default_rng(4)
    energy = np.linspace(510, 550, 80)
    a, b = library.select(MAIN, OTHER).spectra(energy).values
    thickness = rng.uniform(0.3, 1.0, (40, 40))
    other = rng.random((40, 40)) < foreign
    od = np.where(other, np.multiply.outer(b, thickness), np.multiply.outer(a, thickness)) / a.max()
    noise = rng.normal(size=(81, 40, 40))
    noise = (noise[1:] + noise[:-1]) if half_step else ndimage.gaussian_filter(noise[1:], sigma)
    return stack_of(energy, od + 0.02 * noise / noise.std())


@pytest.mark.parametrize(("foreign", "rank"), [(0.0, 1), (0.03, 2)])
@pytest.mark.parametrize(("sigma", "half_step"), [((0, 0, 0), True), ((1.5, 0, 0), False)])
def test_energies_that_share_noise_are_not_asked_twice(library, foreign, rank, sigma, half_step):
    od = smeared(library, sigma, foreign=foreign, half_step=half_step)
    found = purity(od, everything(od))
    assert found.rank == rank
    assert any("energies share noise" in text for text in found.doubts)


@pytest.mark.parametrize("sigma", [1, 2])
def test_smoothed_pixels_are_no_sign_of_other_phases(library, sigma):
    od = smeared(library, (0, sigma, sigma))
    found = purity(od, everything(od))
    assert np.isnan(found.rank)
    assert np.isnan(found.foreign_share)
    assert not found.one_spectrum
    assert any("still share noise" in text for text in found.doubts)
    assert "cannot be told" in str(found)
    evidence = found.as_evidence()
    assert all(np.isnan(evidence[name]) for name in ("rank", "second_component", "clusters"))


def test_flux_that_changes_from_line_to_line_is_no_phase(library):
    od = smeared(library, (0, 0, 0))
    rng = np.random.default_rng(5)
    lines = od + rng.normal(0, 0.01, (80, 40, 1)).astype(np.float32)
    found = purity(lines.assign_attrs(od.attrs), everything(od))
    assert np.isnan(found.rank)
    assert any("line to line" in text for text in found.doubts)
    assert purity(od, everything(od)).rank == 1


def test_nan_pixels_are_left_out_and_the_input_stays(library):
    od = film(library)
    before = od["optical_density"].values.copy()
    od["optical_density"].values[5, 3, 4] = np.nan
    found = purity(od, np.ones(SHAPE, bool))
    assert found.n_pixels == SHAPE[0] * SHAPE[1] - 1
    assert found.rank == 1
    od["optical_density"].values[5, 3, 4] = before[5, 3, 4]
    np.testing.assert_array_equal(od["optical_density"].values, before)


def test_few_pixels_say_that_noise_was_not_measured(library):
    mask = np.zeros(SHAPE, bool)
    mask[:4, :10] = True
    found = purity(film(library), mask)
    assert found.rank == 1
    assert any("fewer than three pixels per energy" in text for text in found.doubts)


@pytest.mark.parametrize("n", [0, 1])
def test_no_pixel_and_one_pixel_are_refused(library, n):
    mask = np.zeros(SHAPE, bool)
    mask.flat[:n] = True
    with pytest.raises(FitError, match="fewer than two pixels"):
        purity(film(library), mask)


def test_two_energies_and_a_constant_image(library):
    with pytest.raises(FitError, match="2 energies"):
        purity(film(library).isel(energy=slice(0, 2)), np.ones(SHAPE, bool))
    flat = stack_of(np.linspace(510, 550, 60), np.ones((60, *SHAPE)))
    assert purity(flat, np.ones(SHAPE, bool)).rank == 1


def test_three_energies_give_an_answer(library):
    od = film(library).isel(energy=[0, 20, 40])
    found = purity(od, np.ones(SHAPE, bool))
    assert found.rank == 1


def test_noise_free_thickness_is_one_component(library):
    energy = np.linspace(510, 550, 60)
    spectrum = library.select(MAIN).spectra(energy).values[0]
    thickness = np.random.default_rng(0).uniform(0.3, 1.0, SHAPE)
    od = np.multiply.outer(spectrum / spectrum.max(), thickness)
    assert purity(stack_of(energy, od), np.ones(SHAPE, bool)).rank == 1


def test_shares_of_a_mixture_without_noise(library):
    energy = np.arange(510.0, 550.0, 0.2)
    a, b = library.select(MAIN, OTHER).spectra(energy).values
    found = explain(energy, 2e-5 * (0.7 * a + 0.3 * b) + 0.05, library)
    assert [one.standard for one in found.shares] == [MAIN, OTHER]
    assert [one.share for one in found.shares] == pytest.approx([0.7, 0.3], abs=1e-3)
    assert found.unexplained < 1e-3
    assert str(found).startswith("70.0 ± 0.0 % epsilon-Li0.45V2O5, 30.0 ± 0.0 % alpha")


def test_sd_of_shares_covers_their_scatter(library):
    """Delta method against 40 draws of noise that is known."""
    energy = np.arange(512.0, 540.0, 0.4)
    two = library.select(MAIN, OTHER)
    a, b = two.spectra(energy).values * 2e-5
    rng = np.random.default_rng(0)
    found = [
        explain(energy, 0.8 * a + 0.2 * b + rng.normal(0, 0.01, energy.size), two)
        for _ in range(40)
    ]
    shares = np.array([one.shares[-1].share for one in found])
    sds = np.array([one.shares[-1].sd for one in found])
    assert shares.mean() == pytest.approx(0.2, abs=0.01)
    assert 0.65 < sds.mean() / shares.std(ddof=1) < 1.5
