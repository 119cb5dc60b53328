"""Maps from a few images: the fit, ratios, roles, noise of reconstructions, cutting off."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import binary_erosion, gaussian_filter, shift

from chemoscape import open_library, optical_density, simulate
from chemoscape.errors import ChemoscapeWarning, FitError, RecipeError, StackError
from chemoscape.few_energies.bounded import bounded_composition
from chemoscape.few_energies.doubts import (
    warn_of_little,
    warn_of_misfit,
    warn_without_pre_edge,
)
from chemoscape.few_energies.maps import fit_maps
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.noise import with_background_variance
from chemoscape.few_energies.problem import SOURCES, Problem
from chemoscape.few_energies.ratios import ratio_maps
from chemoscape.few_energies.roles import Roles, roles_of
from chemoscape.standards.mixing import mean_composition

ENERGIES = [508.0, 515.9, 517.2, 555.0]
EXACT = Nuisance(0.0, 0.0, 0.0, 0.0)
VARIABLE = "x in LixV2O5"


@pytest.fixture(scope="module")
def pair():
    return open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")


@pytest.fixture(scope="module")
def measured():
    """Truth and optical density of a core-shell particle with counting noise."""
    truth = simulate.core_shell(
        core="epsilon-Li0.3V2O5", energy=ENERGIES, poisson=True, photons=20_000, seed=11
    )
    return truth, optical_density(truth.stack)


def without_noise(truth, pair, energies=ENERGIES):
    """Its optical density on some energies, exactly, with a small variance."""
    spectra = pair.spectra(np.array(energies))
    weights = truth.weights.sel(standard=pair.names)
    density = xr.dot(spectra, weights, dim="standard").transpose("energy", "y", "x")
    density.attrs = {"quantity": "optical_density"}
    return xr.Dataset({"optical_density": density, "variance": xr.full_like(density, 1e-6)})


@pytest.mark.parametrize("nuisance", [EXACT, Nuisance(), Nuisance(offset_sd=np.inf)])
def test_composition_without_noise_is_exact(measured, pair, nuisance):
    truth, _ = measured
    maps = fit_maps(without_noise(truth, pair), pair, nuisance=nuisance)
    inside = maps["sample"].values & (truth.thickness.values > 0.05)
    apart = np.abs(maps["unclipped"].values - truth.composition.values)[inside]
    assert inside.sum() > 4000
    assert apart.max() < 2e-5  # maps are in single precision


def test_counting_errors_are_those_of_the_scatter(measured, pair):
    truth, od = measured
    maps = fit_maps(od, pair)
    inside = maps["sample"].values & np.isfinite(truth.composition.values)
    pull = (maps["unclipped"] - truth.composition).values / maps["error"].sel(source="counting")
    assert pull.values[inside].std() == pytest.approx(1.0, abs=0.03)
    assert abs(pull.values[inside].mean()) < 0.06
    assert list(maps["source"].values) == list(SOURCES)


def test_goodness_of_fit_is_one_for_the_right_standards(measured, pair):
    _, od = measured
    maps = fit_maps(od, pair, nuisance=EXACT)
    inside = maps["sample"].values
    assert np.nanmean(maps["reduced_chi2"].values[inside]) == pytest.approx(1.0, abs=0.06)
    two = fit_maps(od.isel(energy=[1, 2]), pair)  # no degree of freedom
    assert np.isnan(two["reduced_chi2"].values).all()


def test_per_offset_and_per_eV_are_derivatives(measured, pair):
    truth, _ = measured
    od = without_noise(truth, pair)
    nuisance = Nuisance(0.05, 0.05, 0.01, 0.0)
    maps = fit_maps(od, pair, nuisance=nuisance)
    raised = od.assign(optical_density=od["optical_density"] + 1e-4)
    moved = fit_maps(raised, pair, nuisance=nuisance)
    inside = maps["sample"].values & (truth.thickness.values > 0.3)
    change = (moved["unclipped"] - maps["unclipped"]).values[inside] / 1e-4
    wanted = np.median(maps["per_offset"].values[inside])
    assert np.median(change) == pytest.approx(wanted, rel=0.05)
    down, up = (fit_maps(od, pair, nuisance=nuisance, energy_shift=at) for at in (-0.05, 0.05))
    change = (down["unclipped"] - up["unclipped"]).values[inside] / 0.1
    assert np.median(change) == pytest.approx(np.median(maps["per_eV"].values[inside]), rel=0.05)


def test_missing_pixels_stay_missing(measured, pair):
    _, od = measured
    holed = od.copy(deep=True)
    holed["optical_density"][1, 40:44, 50:60] = np.nan
    maps = fit_maps(holed, pair)
    assert np.isnan(maps["unclipped"].values[40:44, 50:60]).all()
    assert not maps["sample"].values[40:44, 50:60].any()
    same = fit_maps(od, pair)
    kept = np.isfinite(maps["unclipped"].values)
    assert maps["unclipped"].values[kept] == pytest.approx(
        same["unclipped"].values[kept], rel=1e-3, abs=1e-3
    )


def test_what_cannot_be_fitted_is_refused(measured, pair):
    _, od = measured
    with pytest.raises(FitError, match="1 energy cannot tell 2 standards"):
        fit_maps(od.isel(energy=[1]), pair)
    with pytest.raises(FitError, match="2 standards and an offset"):
        fit_maps(od.isel(energy=[1, 2]), pair, nuisance=Nuisance(offset_sd=np.inf))
    with pytest.raises(FitError, match="no variance"):
        fit_maps(od.drop_vars("variance"), pair)
    many = od.isel(energy=[1] * 13).assign_coords(energy=515.9 + 0.1 * np.arange(13))
    with pytest.raises(FitError, match="13 energies are a stack"):
        fit_maps(many, pair)


@pytest.mark.parametrize("with_pre", [True, False])
def test_ratio_maps_without_noise_are_exact(measured, pair, with_pre):
    truth, _ = measured
    od = without_noise(truth, pair)
    roles = Roles((1, 2), 0 if with_pre else None, 3)
    maps = ratio_maps(od, pair, roles, nuisance=EXACT)
    inside = truth.thickness.values > 0.05
    for k in range(2):
        apart = np.abs(maps["ratio_composition"][k].values - truth.composition.values)[inside]
        assert np.nanmax(apart) < 2e-5
        ratio = maps["ratio"].values[k][inside]
        low, high = sorted((float(maps["ratio_first"][k]), float(maps["ratio_second"][k])))
        assert low - 1e-6 < ratio.min()
        assert ratio.max() < high + 1e-6


def test_the_straight_line_meets_the_bounds_and_bends_little_between(measured, pair):
    truth, _ = measured
    od = without_noise(truth, pair)
    roles = roles_of(np.array(ENERGIES), pair)
    line = ratio_maps(od, pair, roles, mapping="linear", nuisance=EXACT)["ratio_composition"]
    for part, tolerance in ((0, 1e-5), (2, 1e-5), (1, 0.005)):  # core, shell, mixture
        inside = (truth.labels.values == part) & (truth.thickness.values > 0.05)
        apart = np.abs(line.values - truth.composition.values)[:, inside]
        assert apart.max() < tolerance
    assert apart.max() > 1e-4  # the line is not the exact law


def test_ratio_errors_are_those_of_the_scatter(measured, pair):
    truth, od = measured
    roles = roles_of(np.array(ENERGIES), pair)
    maps = ratio_maps(od, pair, roles, nuisance=EXACT, misfit_scale=0.0)
    inside = truth.thickness.values > 0.4
    pull = (maps["ratio_composition"] - truth.composition) / maps["ratio_composition_sd"]
    assert pull.values[:, inside].std() == pytest.approx(1.0, abs=0.04)


def test_ratio_maps_need_two_bounds_and_an_image_after_the_edge(measured, pair):
    _, od = measured
    with pytest.raises(FitError, match="need an image after the edge"):
        ratio_maps(od, pair, Roles((1, 2), 0, None))
    with pytest.raises(FitError, match="two bounding standards"):
        ratio_maps(od, open_library("lixv2o5-model"), Roles((1, 2), 0, 3))
    with pytest.raises(FitError, match="mapping"):
        ratio_maps(od, pair, Roles((1, 2), 0, 3), mapping="cubic")


def test_roles_follow_the_spectra_of_the_library(pair):
    assert roles_of(np.array([515.9, 517.2, 555.0]), pair) == Roles((0, 1), None, 2)
    assert roles_of(np.array([518.2, 519.4]), pair) == Roles((0, 1), None, None)
    assert roles_of(np.array([500.2, 508.0, 516.8]), pair) == Roles((2,), 1, None)
    named = roles_of(np.array(ENERGIES), pair, pre=None, post=517.3)
    assert named == Roles((0, 1), None, 2)
    with pytest.raises(RecipeError, match="no image near 512 eV"):
        roles_of(np.array(ENERGIES), pair, pre=512.0)
    with pytest.raises(RecipeError, match="none is left for a feature"):
        roles_of(np.array([508.0, 555.0]), pair)


def test_noise_of_a_reconstruction_is_that_of_its_empty_part():
    """var(OD) = exp(OD)/N for white noise in the complex wave, in the mean over many pixels."""
    rng = np.random.default_rng(3)
    photons, density = np.array([400.0, 900.0]), np.zeros((2, 200, 200))
    density[:, 100:] = np.array([0.5, 1.2])[:, None, None]
    noise = rng.normal(size=(2, 200, 200)) + 1j * rng.normal(size=(2, 200, 200))
    wave = np.exp(-density / 2) + noise / (2 * np.sqrt(photons))[:, None, None]
    od = xr.Dataset(
        {
            "optical_density": (("energy", "y", "x"), -2 * np.log(np.abs(wave))),
            "background": (("y", "x"), density[0] == 0),
        },
        coords={"energy": [516.0, 555.0], "y": np.arange(200.0), "x": np.arange(200.0)},
    )
    out = with_background_variance(od)
    assert out["background_sd"].values == pytest.approx(photons**-0.5, rel=0.02)
    inside = density[0] > 0
    for k in range(2):
        seen = od["optical_density"].values[k][inside].var()
        assert out["variance"].values[k][inside].mean() == pytest.approx(seen, rel=0.05)
    with pytest.raises(StackError, match="neither is their empty part"):
        with_background_variance(od.drop_vars("background"))
    with pytest.raises(StackError, match="too few"):
        with_background_variance(od.isel(y=slice(99, 101), x=slice(0, 20)))


def test_composition_is_cut_off_and_the_share_said(measured, pair):
    truth, od = measured
    maps = fit_maps(od, pair)
    with pytest.warns(ChemoscapeWarning, match="noise beyond the bounds was cut off"):
        comp = bounded_composition(maps, pair)
    inside = comp["mask"].values
    value, before = (comp[name].values[inside] for name in ("composition", "composition_unclipped"))
    assert [value.min(), value.max()] == pytest.approx([0.1, 0.3])
    assert comp.attrs["clipped_low"] == pytest.approx((before < 0.1).mean())
    assert comp.attrs["clipped_high"] == pytest.approx((before > 0.3).mean())
    kept = (before >= 0.1) & (before <= 0.3)
    assert (value[kept] == before[kept]).all()
    assert comp.attrs["mean_pixel"] == pytest.approx(before.mean())
    assert comp.attrs["mean_clipped"] == pytest.approx(value.mean())
    true = truth.composition * truth.thickness  # formula units go as thickness here
    true = float(true.sum() / truth.thickness.where(truth.composition.notnull()).sum())
    assert comp.attrs["mean_mass_weighted"] == pytest.approx(true, abs=0.003)
    total = np.hypot(
        comp["composition_sd_counting"].values, comp["composition_sd_systematic"].values
    )
    assert comp["composition_sd_total"].values[inside] == pytest.approx(total[inside])
    thick = comp["thickness"].values[inside].max()
    assert thick == pytest.approx(truth.thickness_nm, rel=0.05)


def test_refined_composition_keeps_mean_and_mixes_by_formula_units(measured, pair):
    truth, _ = measured
    maps = fit_maps(without_noise(truth, pair), pair)
    fine = bounded_composition(maps, pair, refine=2)
    assert fine.sizes["y"] == 2 * maps.sizes["y"] - 1
    y, x = np.argwhere(truth.labels.values == 1)[0]
    between = maps["weight"].values[:, y, x : x + 2].mean(axis=1)
    wanted = mean_composition(between, pair.values, pair.molar_mass).value
    assert fine["composition_unclipped"].values[2 * y, 2 * x + 1] == pytest.approx(wanted, rel=1e-4)


def test_a_phase_beyond_the_bounds_is_warned_of(pair):
    truth = simulate.core_shell(
        core="epsilon-Li0.7V2O5", energy=ENERGIES, poisson=True, photons=50_000
    )
    maps = fit_maps(optical_density(truth.stack), pair)
    with pytest.warns(ChemoscapeWarning, match="cut off there: another phase"):
        bounded_composition(maps, pair)


def block_of(standards, energies, **how):
    """Optical density of a square block of even thickness, and where it is."""
    thickness = np.pad(np.ones((30, 30)), 15)
    truth = simulate.from_image(
        thickness, standards, energy=energies, photons=50_000, poisson=True, seed=4, **how
    )
    return optical_density(truth.stack), thickness > 0


def judged(od, pair):
    maps = fit_maps(od, pair)
    problem = Problem.of(od["energy"].values, pair, Nuisance(), 0.0, 1.0)
    return maps, warn_of_misfit(od, maps["sample"], problem)


def test_a_phase_that_passes_for_a_mixture_is_told_where_the_energies_can(pair):
    other = open_library("lixv2o5-model").select("delta-Li0.9V2O5")
    right, _ = block_of(pair, ENERGIES, composition=0.2, peak_optical_density=1.2)
    assert judged(right, pair)[1] > 0.3
    wrong, inside = block_of(other, ENERGIES, peak_optical_density=1.2)
    with pytest.warns(ChemoscapeWarning, match="no mixture of alpha-Li0.1V2O5 and epsilon"):
        _, chance = judged(wrong, pair)
    assert chance < 0.01
    # energies that are best between the two standards may be blind to a third
    blind, _ = block_of(other, [508.0, 518.5, 532.7, 539.2], peak_optical_density=1.2)
    maps, chance = judged(blind, pair)
    assert 0.1 < np.median(maps["unclipped"].values[inside]) < 0.3  # 0.9 in truth
    assert chance > 0.05
    two = wrong.isel(energy=[1, 2])
    assert np.isnan(judged(two, pair)[1])  # two images are those of some mixture always


def test_a_negative_amount_of_a_standard_is_told(pair):
    other = open_library("lixv2o5-model").select("epsilon-Li0.7V2O5")
    wrong, _ = block_of(other, [508.0, 516.8, 532.8, 555.0], peak_optical_density=1.2)
    with pytest.warns(ChemoscapeWarning, match="negative amount of alpha-Li0.1V2O5"):
        judged(wrong, pair)


def test_images_that_tell_little_are_warned_of(pair):
    od, _ = block_of(pair, [515.9, 517.2, 518.0], composition=0.2, peak_optical_density=1.2)
    with pytest.warns(ChemoscapeWarning, match="these images tell little"):
        warn_of_little(fit_maps(od, pair, nuisance=Nuisance(energy_sd_eV=0.2)), pair)


def test_misplaced_images_err_at_edges_as_stated(pair):
    """One image moved by 0.2 pixels changes composition at the rim by what 0.2 pixels state."""
    od, inside = block_of(pair, ENERGIES, composition=0.2, peak_optical_density=1.0)
    soft = od.copy(deep=True)
    soft["optical_density"].values[:] = gaussian_filter(
        od["optical_density"].values.astype(float), (0, 2, 2)
    )
    moved = soft.copy(deep=True)
    moved["optical_density"].values[2] = shift(
        soft["optical_density"].values[2], (0, 0.2), order=3, mode="nearest"
    )
    before, after = (fit_maps(one, pair, registration_px=0.2) for one in (soft, moved))
    rim = inside & (before["thickness"].values > 0.3 * before["thickness"].values.max())
    rim &= ~np.asarray(binary_erosion(inside, iterations=4))
    rim[:20] = rim[-20:] = False  # edges across the motion
    change = (after["unclipped"] - before["unclipped"]).values[rim]
    stated = before["error"].sel(source="registration").values[rim]
    assert np.sqrt(np.mean(change**2)) > 0.02
    assert np.sqrt(np.mean(change**2)) < 1.3 * np.sqrt(np.mean(stated**2))
    middle = before["error"].sel(source="registration").values[25:35, 25:35]
    assert middle.max() < 0.25 * stated.mean()


def test_no_sample_is_said(measured, pair):
    _, od = measured
    empty = od.assign(optical_density=0 * od["optical_density"])
    with pytest.raises(FitError, match="no pixel holds sample"):
        bounded_composition(fit_maps(empty, pair), pair)


def test_without_an_image_before_the_edge_thin_parts_are_in_doubt(measured, pair):
    _, od = measured
    without = fit_maps(od.isel(energy=[1, 2, 3]), pair)
    with pytest.warns(ChemoscapeWarning, match="looks like a core and a shell"):
        apart = warn_without_pre_edge(without, VARIABLE)
    assert apart > 0.02
    whole = fit_maps(od, pair, nuisance=Nuisance(offset_sd=np.inf))
    assert abs(warn_without_pre_edge(whole, VARIABLE)) < 1e-3  # a free offset: no doubt left
