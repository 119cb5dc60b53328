"""Rank criteria: closed forms, and what must change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chemoscape.decompose.factors import rank, unit_noise


def low_rank(
    n_energy: int, n_pixels: int, k: int, *, noise: float = 0.05, seed: int = 0
) -> np.ndarray:
    """Random matrix of known rank, and noise."""
    rng = np.random.default_rng(seed)
    signal = rng.random((n_energy, k)) @ rng.random((k, n_pixels))
    return signal + noise * rng.normal(size=signal.shape)


def everything(flat: np.ndarray, inside: np.ndarray | None = None) -> unit_noise.Pixels:
    inside = np.ones(flat.shape[1], dtype=bool) if inside is None else inside
    return unit_noise.Pixels(flat, inside, np.zeros(len(flat)))


def test_gram_is_that_of_the_whole_matrix():
    flat = low_rank(20, 500, 3).astype(np.float32)
    inside = np.random.default_rng(1).random(500) < 0.7
    pixels = unit_noise.Pixels(flat, inside, np.full(20, 0.3))
    by_pixel = np.random.default_rng(2).uniform(0.5, 2, int(inside.sum()))
    half = unit_noise.halves_of(len(by_pixel), 0)
    gram, summed = unit_noise.gram_matrices(pixels, by_pixel, half, band=37)
    wide = (flat[:, inside].astype(float) - 0.3) / by_pixel
    np.testing.assert_allclose(gram[0], wide[:, ~half] @ wide[:, ~half].T, rtol=1e-12)
    np.testing.assert_allclose(gram[1], wide[:, half] @ wide[:, half].T, rtol=1e-12)
    np.testing.assert_allclose(summed, wide @ (1 / by_pixel), rtol=1e-10, atol=1e-10)
    assert abs(half.sum() - half.size / 2) <= 1


@given(band=st.integers(1, 2000), seed=st.integers(0, 99))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_size_of_a_band_changes_nothing(band, seed):
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.2, 3, 900)
    flat = low_rank(15, 900, 2, noise=0) + 0.05 * np.sqrt(spread) * rng.normal(size=(15, 900))
    inside = rng.random(900) < 0.8
    stated = spread[inside], np.ones(15)
    half = unit_noise.halves_of(int(inside.sum()), 0)
    one, other = (
        unit_noise.scale_to_unit_noise(everything(flat, inside), stated, half, band=size)
        for size in (16384, band)
    )
    np.testing.assert_allclose(
        rank.eigen(one.gram)[0], rank.eigen(other.gram)[0], rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(one.by_energy, other.by_energy, rtol=1e-10)
    np.testing.assert_allclose(one.constant, other.constant, rtol=1e-10, atol=1e-10)


@given(seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_the_order_of_pixels_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    flat, spread = low_rank(15, 600, 2, seed=seed), rng.uniform(0.5, 2, 600)
    order = rng.permutation(600)
    half = unit_noise.halves_of(600, 0)
    one = unit_noise.scale_to_unit_noise(everything(flat), (spread, np.ones(15)), half)
    other = unit_noise.scale_to_unit_noise(
        everything(flat[:, order]), (spread[order], np.ones(15)), half[order]
    )
    np.testing.assert_allclose(one.halves, other.halves, rtol=1e-9, atol=1e-8)


def test_noise_is_measured_and_not_taken_on_trust():
    """Noise of each energy its own, and of each pixel the square root of what was stated."""
    rng = np.random.default_rng(0)
    by_energy, stated = rng.uniform(0.01, 0.1, 30), rng.uniform(0.1, 10, 20000)
    noise = by_energy[:, None] * stated**0.25 * rng.normal(size=(30, 20000))
    flat = low_rank(30, 20000, 2, noise=0) + noise
    scaled = unit_noise.scale_to_unit_noise(
        everything(flat), (stated, np.ones(30)), unit_noise.halves_of(20000, 0)
    )
    np.testing.assert_allclose(scaled.by_energy, by_energy, rtol=0.025)
    value = rank.eigen(scaled.gram)[0]
    level, edge = rank.marchenko_pastur(value, 30, 20000)
    assert level == pytest.approx(1.0, abs=0.01)
    assert (value > edge).sum() == 2


def test_few_of_many_pixels_measure_the_law_as_well(monkeypatch):
    rng = np.random.default_rng(0)
    stated = rng.uniform(0.1, 10, 12000)
    flat = low_rank(20, 12000, 2, noise=0) + 0.1 * np.sqrt(stated) * rng.normal(size=(20, 12000))
    powers = []
    for most in (10**6, 600):
        monkeypatch.setattr(unit_noise, "MEASURED_PIXELS", most)
        powers.append(unit_noise._power(everything(flat), stated, 4096))
    np.testing.assert_allclose(powers, 1.0, atol=0.04)


def test_f_test_is_malinowskis():
    """Equation written out as he has it, for a matrix of 8 × 40."""
    value = rank.eigen(low_rank(8, 40, 2) @ low_rank(8, 40, 2).T)[0]
    found = []
    for n in range(1, 8):
        above = sum((40 - j + 1) * (8 - j + 1) for j in range(n + 1, 9))
        f = above / ((40 - n + 1) * (8 - n + 1)) * value[n - 1] / value[n:].sum()
        found.append(stats.f.sf(f, 1, 8 - n))
    assert rank.f_test_rank(value, 40) == max(n for n in range(1, 8) if found[n - 1] < 0.01)
    assert rank.f_test_rank(value, 40, significance=1e-30) == 0


@pytest.mark.parametrize("k", [1, 2, 4])
def test_all_criteria_find_a_clear_rank(k):
    for seed in range(5):
        flat = low_rank(40, 3000, k, noise=0.03, seed=seed)
        half = unit_noise.halves_of(3000, seed)
        scaled = unit_noise.scale_to_unit_noise(everything(flat), None, half)
        value = rank.eigen(scaled.gram)[0]
        _, edge = rank.marchenko_pastur(value, 40, 3000)
        assert (value > edge).sum() == k
        assert rank.indicator_rank(value, 3000) == k
        assert rank.f_test_rank(value, 3000) == k
        assert rank.split_half_rank(scaled.halves, 40, 3000) == k


def test_pure_noise_has_no_rank():
    rng = np.random.default_rng(0)
    for _ in range(10):
        value = np.linalg.svd(rng.normal(size=(50, 800)), compute_uv=False) ** 2
        assert rank.f_test_rank(value, 800) == 0
        assert (value > rank.marchenko_pastur(value, 50, 800)[1]).sum() == 0


def test_without_noise_the_rank_is_that_of_the_matrix():
    value = np.array([5.0, 2.0, 0.0, 0.0, 0.0])
    assert rank.f_test_rank(value, 100) == 2
    assert rank.indicator_rank(value, 100) == 2


def test_few_energies_of_many_pixels_keep_their_rank():
    """The edge of the law is 5 % above the noise there: so well each energy's noise is measured."""
    rng = np.random.default_rng(0)
    flat = low_rank(60, 120_000, 2, noise=0) + 0.02 * rng.normal(size=(60, 120_000))
    half = unit_noise.halves_of(120_000, 0)
    scaled = unit_noise.scale_to_unit_noise(everything(flat.astype("f4")), None, half)
    np.testing.assert_allclose(scaled.by_energy, 0.02, rtol=0.01)
    value = rank.eigen(scaled.gram)[0]
    assert (value > rank.marchenko_pastur(value, 60, 120_000)[1]).sum() == 2
