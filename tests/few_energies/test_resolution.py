"""STXM beside ptychography of a simulated particle: known shift, blur and regression."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.few_energies.resolution import search
from chemoscape.few_energies.resolution.blur import Fine, kernel
from chemoscape.few_energies.resolution.compositions import compare_compositions
from chemoscape.few_energies.resolution.densities import compare_resolutions

#: Truth, fine and coarse pixels (µm); µm that the coarse image lies off; σ of its beam (µm).
TRUE, FINE, COARSE, SHIFT, SIGMA = 0.005, 0.01, 0.04, (3.213, -1.087), 0.03
SIDE, MARGIN = 280, 60


def plane(values, y, x, **coords):
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x, **coords})


def rods(y, x, seed):
    """Optical density of three rods in the middle, and the composition of each point."""
    random = np.random.default_rng(seed)
    density, moved = np.zeros_like(y), np.zeros_like(y)
    for _ in range(3):
        cy, cx = random.uniform(0.4, 1.0, 2)
        angle, length, width = random.uniform(0, np.pi), random.uniform(0.2, 0.4), 0.06
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        rod = (
            1
            / (1 + np.exp((abs(along) - length) / 0.006))
            / (1 + np.exp((abs(across) - width) / 0.006))
        )
        density += random.uniform(0.3, 0.6) * rod
        moved += along * rod
    return density, 0.2 + 0.1 * np.tanh(4 * moved)


def means(image, size):
    """Means of size × size pixels."""
    n, m = (length // size for length in image.shape)
    return image[: n * size, : m * size].reshape(n, size, m, size).mean(axis=(1, 3))


def make(seed=0, *, slope=1.0, offset=0.0, photons=4000.0, turn=0.0, other=None, **coords):
    """The coarse and the fine image, each with its own Poisson noise."""
    random = np.random.default_rng(seed)
    at = (np.arange(SIDE + 2 * MARGIN) + 0.5 - MARGIN) * TRUE
    y, x = np.meshgrid(at, at, indexing="ij")
    inner = slice(MARGIN, MARGIN + SIDE)
    middle = SIDE * TRUE / 2
    # the fine image sees the sample turned the other way
    cos, sin = np.cos(np.radians(-turn)), np.sin(np.radians(-turn))
    up, right = y[inner, inner] - middle, x[inner, inner] - middle
    turned = middle + cos * up + sin * right, middle - sin * up + cos * right
    fine = means(np.exp(-rods(*turned, seed)[0]), 2)
    seen = np.exp(-rods(y, x, seed if other is None else other)[0])
    blurred = ndimage.gaussian_filter(seen, SIGMA / TRUE, mode="nearest")
    density = -slope * np.log(means(blurred, 8)) + offset
    recorded = [random.poisson(photons * one) / photons for one in (np.exp(-density), fine)]
    coarse_at = at[0] - TRUE / 2 + (np.arange(len(density)) + 0.5) * COARSE
    fine_at = (np.arange(len(fine)) + 0.5) * FINE
    return (
        plane(-np.log(recorded[0]), coarse_at + SHIFT[0], coarse_at + SHIFT[1], **coords),
        plane(-np.log(recorded[1]), fine_at, fine_at, **coords),
    )


def test_kernel_is_the_convolution_of_pixel_and_beam():
    u = np.arange(-4000, 4001) / 100
    beam, pixel = np.exp(-0.5 * (u / 2.3) ** 2), (np.abs(u) <= 1.7).astype(float)
    pixel[[4000 - 170, 4000 + 170]] = 0.5
    both = np.convolve(beam, pixel, mode="same")[::100]
    weights = kernel(3.4, 2.3)
    reach = weights.size // 2
    np.testing.assert_allclose(weights, (both / both.sum())[40 - reach : 41 + reach], atol=2e-5)


def test_a_beam_sees_the_mean_transmission_and_says_what_it_misses():
    values = np.random.default_rng(0).uniform(size=(30, 40))
    values[:, :10] = np.nan
    fine = Fine(values, np.arange(30.0), np.arange(40.0))
    seen, share = fine.through(np.array([[14.0, 25.0], [14.0, 9.5]]), np.array([3.0, 3.0]), 1.5)
    weights = kernel(3.0, 1.5)
    reach = weights.size // 2
    window = values[14 - reach : 15 + reach, 25 - reach : 26 + reach]
    assert seen[0] == pytest.approx(weights @ window @ weights, abs=1e-3)
    np.testing.assert_allclose(share, [1.0, 0.5], atol=0.02)


def test_correlation_surface_is_that_of_every_overlap():
    random = np.random.default_rng(1)
    fixed, moving = random.normal(size=(9, 12)), random.normal(size=(6, 7))
    fixed[2, 3], moving[4, 4] = np.nan, np.nan
    correlation, shared = search.surface(fixed, moving)
    for dy, dx in ((0, 0), (3, -4), (-2, 7), (5, 8)):
        one = np.full((30, 30), np.nan)
        other = one.copy()
        one[10:19, 10:22] = fixed
        other[10 + dy : 16 + dy, 10 + dx : 17 + dx] = moving
        both = np.isfinite(one) & np.isfinite(other)
        assert shared[dy + 5, dx + 6] == both.sum()
        wanted = np.corrcoef(one[both], other[both])[0, 1]
        assert correlation[dy + 5, dx + 6] == pytest.approx(wanted, abs=1e-9)


def test_independent_pixels_predict_the_scatter_of_chance():
    random = np.random.default_rng(2)
    found, told = [], []
    for _ in range(150):
        one, other = ndimage.gaussian_filter(random.normal(size=(2, 40, 40)), (0, 2, 2))
        found.append(np.corrcoef(one.ravel(), other.ravel())[0, 1])
        told.append(1 / (search.independent_pixels(one, other) - 1))
    assert np.var(found) == pytest.approx(np.mean(told), rel=0.35)


def test_shift_blur_and_regression_are_found_within_their_errors():
    away = []
    for seed in range(6):
        facts = compare_resolutions(*make(seed, slope=0.8, offset=0.05)).attrs
        away.append(
            [
                (facts["shift_y_um"] - SHIFT[0]) / facts["shift_y_sd_um"],
                (facts["shift_x_um"] - SHIFT[1]) / facts["shift_x_sd_um"],
                (facts["blur_sigma_nm"] - 1e3 * SIGMA) / facts["blur_sigma_sd_nm"],
                (facts["slope"] - 0.8) / facts["slope_sd"],
                (facts["offset"] - 0.05) / facts["offset_sd"],
            ]
        )
        assert facts["shift_y_sd_um"] < 0.002
        assert facts["blur_sigma_sd_nm"] < 2.0
        assert facts["unlike"] < 0.01
    assert 0.4 < np.sqrt(np.mean(np.square(away))) < 1.8


def test_what_is_returned_lies_where_it_says():
    coarse, fine = make(3, energy=518.2)
    found = compare_resolutions(coarse, fine)
    np.testing.assert_allclose(
        found["fine"].fine_y.values - fine.y.values, found.attrs["shift_y_um"]
    )
    xr.testing.assert_allclose(found["difference"], found["fine_on_coarse"] - found["coarse"])
    both = np.isfinite(found["difference"].values)
    assert found.attrs["n_pixels"] == both.sum()
    assert found.attrs["fine_energy_eV"] == 518.2
    assert found.attrs["rms_difference"] == pytest.approx(
        np.sqrt(np.nanmean(found["difference"].values ** 2))
    )
    whole = found.attrs["blur_fwhm_nm"] ** 2 + (2.3548 * 40) ** 2 / 12
    assert found.attrs["resolution_fwhm_nm"] ** 2 == pytest.approx(whole, rel=1e-3)


def test_missing_pixels_and_a_part_of_the_field():
    coarse, fine = make(4)
    coarse.values[:, :5] = np.nan
    coarse.values[20] = np.nan
    found = compare_resolutions(coarse[:, :38], fine[:110])
    assert found.attrs["shift_y_um"] == pytest.approx(SHIFT[0], abs=0.004)
    assert found.attrs["shift_x_um"] == pytest.approx(SHIFT[1], abs=0.004)


def test_a_turn_is_found():
    turned = make(5, turn=2.0)
    still, free = (
        compare_resolutions(*turned, motion=motion) for motion in ("translation", "rigid")
    )
    assert free.attrs["turn_degree"] == pytest.approx(2.0, abs=0.3)
    assert free.attrs["rms_residual"] < still.attrs["rms_residual"]
    assert free.attrs["scale"] == pytest.approx(1.0)


def test_another_orientation_is_told_and_can_be_asked_for():
    coarse, fine = make(0)
    flipped = fine.copy(data=fine.values[::-1])
    with pytest.raises(FitError, match="rows reversed"):
        compare_resolutions(coarse, flipped)
    found = compare_resolutions(coarse, flipped, orientation="rows reversed")
    assert found.attrs["slope"] == pytest.approx(1.0, abs=0.05)
    assert found.attrs["best_orientation"] == "rows reversed"
    assert len(found.attrs["orientation_correlation"]) == 4


def test_other_samples_are_refused_or_doubted():
    doubted = 0
    for seed in range(6):
        coarse, fine = make(seed, other=seed + 50)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                compare_resolutions(coarse, fine)
            except FitError as error:
                assert "nothing matches" in str(error)  # noqa: PT017 - or a warning
                doubted += 1
            else:
                doubted += any("same particle" in str(one.message) for one in said)
    assert doubted == 6
    random = np.random.default_rng(0)
    coarse.values[:] = random.normal(0.5, 0.1, coarse.shape)
    with pytest.raises(FitError, match="nothing matches"):
        compare_resolutions(coarse, fine)


def test_energies():
    coarse, fine = make(2)
    several = xr.concat([coarse * 0 + np.nan, coarse, coarse], "energy")
    several = several.assign_coords(energy=[518.0, 518.4, 530.0])
    here = fine.assign_coords(energy=518.2)
    assert compare_resolutions(several, here).attrs["coarse_energy_eV"] == 518.4
    with pytest.warns(ChemoscapeWarning, match=r"530\.00 and 518\.20 eV"):
        compare_resolutions(several, here, energy=530.0)
    both = xr.concat([fine, fine], "energy").assign_coords(energy=[518.4, 530.0])
    with pytest.raises(FitError, match="energy ="):
        compare_resolutions(several, both)


def test_wrong_input_is_refused():
    coarse, fine = make(2)
    with pytest.raises(StackError, match="holds counts"):
        compare_resolutions(coarse.assign_attrs(quantity="counts"), fine)
    with pytest.raises(StackError, match="y axis"):
        compare_resolutions(coarse[::-1], fine)
    with pytest.raises(StackError, match="shows nothing"):
        compare_resolutions(coarse, fine * np.nan)
    with pytest.raises(FitError, match="orientation"):
        compare_resolutions(coarse, fine, orientation="upside down")
    with pytest.raises(FitError, match="motion"):
        compare_resolutions(coarse, fine, motion="free")
    with pytest.raises(FitError, match="do not overlap"):
        compare_resolutions(coarse, fine[:8, :8])


def test_compositions_agree_with_their_mean_by_mass():
    coarse, fine = make(6)
    found = compare_resolutions(coarse, fine)
    random, sd = np.random.default_rng(0), 0.02
    y, x = np.meshgrid(fine.y, fine.x, indexing="ij")
    mass, value = rods(y, x, 6)
    thick = mass > 0.05
    noisy = np.where(thick, value + random.normal(0, sd, value.shape), np.nan)
    sharp = xr.Dataset(
        {
            "composition": (("y", "x"), noisy),
            "thickness": (("y", "x"), mass),
            "composition_sd_counting": (("y", "x"), np.where(thick, sd, np.nan)),
        },
        coords={"y": fine.y, "x": fine.x},
    )
    # truth by brute force: the mean by mass under the beam, on the grid of the truth
    at = (np.arange(SIDE + 2 * MARGIN) + 0.5 - MARGIN) * TRUE
    mass, value = rods(*np.meshgrid(at, at, indexing="ij"), 6)
    mass = np.where(mass > 0.05, mass, 0.0)
    blurred = [
        means(ndimage.gaussian_filter(one, SIGMA / TRUE, mode="nearest"), 8)
        for one in (mass * value, mass)
    ]
    truth = blurred[0] / np.maximum(blurred[1], 1e-9)
    seen = np.where(blurred[1] > 0.05, truth + 0.1 + random.normal(0, 0.03, truth.shape), np.nan)
    wide = xr.Dataset(
        {"composition": coarse.copy(data=seen), "composition_sd": coarse.copy(data=0 * seen + 0.03)}
    )
    compared = compare_compositions(wide, sharp, found)
    n = compared.attrs["n_pixels"]
    assert compared.attrs["mean_difference"] == pytest.approx(-0.1, abs=4 * 0.03 / np.sqrt(n))
    pull = compared["pull"].values
    assert np.nanstd(pull) == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))
    assert compared.attrs["pull_mean"] == pytest.approx(np.nanmean(pull))
    with pytest.raises(FitError, match="registered"):
        compare_compositions(wide, sharp.isel(y=slice(5, None)), found)
    with pytest.raises(FitError, match="no composition"):
        compare_compositions(wide, found, found)
    with pytest.raises(FitError, match="10 are needed"):
        compare_compositions(wide * np.nan, sharp, found)
