"""Composition from weights: exact on exact data, honest about its error, and on what grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from chemoscape import simulate
from chemoscape.chemistry import composition
from chemoscape.chemistry.grid import Finer
from chemoscape.decompose.direct import deconvolve
from chemoscape.errors import FitError, LibraryError, StackError
from chemoscape.preprocess import absorbance
from chemoscape.standards.folder import open_library
from chemoscape.standards.mixing import mean_composition

TWO = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")


@pytest.fixture(scope="module")
def library():
    return open_library("lixv2o5-model")


@pytest.fixture(scope="module")
def two(library):
    return library.select(*TWO)


@pytest.fixture(scope="module")
def maps(twin_density, two):
    return deconvolve(twin_density, two, energy_shift=-0.4)


def test_exact_without_noise(two, density_of):
    truth = simulate.core_shell()
    comp = composition(deconvolve(density_of(truth), two), two)
    thick = (truth.thickness >= 0.25).values
    error = (comp.composition - truth.composition).values[thick]
    assert np.abs(error).max() <= 0.001
    np.testing.assert_allclose(
        comp.thickness.values[thick],
        (truth.thickness * truth.thickness_nm).values[thick],
        rtol=1e-4,
    )
    assert comp.thickness.attrs["units"] == "nm"


@pytest.mark.parametrize(("names", "factor"), [(TWO, 1.10), (None, 1.5)], ids=["two", "six"])
def test_error_against_the_cramer_rao_bound(twin_density, twin, library, names, factor):
    chosen = library.select(*names) if names else library
    comp = composition(deconvolve(twin_density, chosen, energy_shift=-0.4), chosen)
    thick = (twin.thickness >= 0.25).values
    error = (comp.composition - twin.composition).values[thick]
    bound = simulate.cramer_rao_composition_sd(twin, chosen).values[thick]
    assert np.isfinite(error).all()
    assert np.sqrt((error**2).mean()) <= factor * np.sqrt((bound**2).mean())


def test_counting_sd_covers_two_thirds_of_mixed_pixels(maps, two, twin):
    comp = composition(maps, two)
    mixed = (twin.labels == 1).values & comp["mask"].values
    error = np.abs(comp.composition - twin.composition).values[mixed]
    assert mixed.sum() > 1000
    assert (error < comp.composition_sd_counting.values[mixed]).mean() == pytest.approx(
        0.683, abs=0.04
    )


def uniform_particle(library, shares, noise=0.0):
    """Optical density of the simulated particle's shape, made of one mixture throughout."""
    thickness = simulate.core_shell().thickness
    energy = simulate.measurement_energies()
    spectrum = np.asarray(shares) * 1e-4 @ library.spectra(energy).values
    rng = np.random.default_rng(0)
    clean = spectrum[:, None, None] * thickness.values
    density = xr.DataArray(
        (clean + noise * rng.normal(size=clean.shape)).astype(np.float32),
        dims=("energy", "y", "x"),
        coords={"energy": energy, "y": thickness.y, "x": thickness.x},
        attrs={"quantity": "optical_density"},
    )
    variance = xr.full_like(density, max(noise, 1e-4) ** 2)
    return xr.Dataset({"optical_density": density, "variance": variance}), thickness


def test_smoothing_lowers_the_noise_as_stated(two):
    """Inside a uniform particle the scatter of the smoothed map is its own stated sd."""
    od, thickness = uniform_particle(two, [0.5, 0.5], noise=0.01)
    smooth, plain = (
        composition(deconvolve(density, two, energy_shift=0.0), two)
        for density in (absorbance.smooth(od, 1.0), od)
    )
    thick = (thickness >= 0.4).values
    pull = (smooth.composition - smooth.composition.values[thick].mean()).values
    pull = pull[thick] / smooth.composition_sd_counting.values[thick]
    assert pull.std() == pytest.approx(1.0, abs=0.1)
    assert smooth.composition.values[thick].std() < 0.4 * plain.composition.values[thick].std()


def test_pure_pixels_are_covered_by_default(twin_density, twin, library):
    """Non-negative weights behind a filter would share one bias, many of its stated errors wide."""
    comp = composition(deconvolve(twin_density, library, energy_shift=-0.4), library)
    for phase in (simulate.CORE, simulate.SHELL):
        pure = (twin.labels == phase).values & (twin.thickness >= 0.25).values
        error = np.abs(comp.composition - twin.composition).values[pure]
        assert 0.6 < (error <= comp.composition_sd_counting.values[pure]).mean() < 0.9


def test_the_means_lie_within_their_error(twin_density, twin, library, two):
    """The bias of non-negative weights is common to all pixels and does not average out."""
    for chosen in (library, two):
        comp = composition(deconvolve(twin_density, chosen, energy_shift=-0.4), chosen)
        inside = comp["mask"].values & (twin.labels.values >= 0)
        x, t = twin.composition.values[inside], twin.thickness.values[inside]
        assert comp.attrs["mean_mass_weighted"] == pytest.approx(
            np.average(x, weights=t), abs=comp.attrs["mean_sd"]
        )
        assert comp.attrs["mean_sd"] < 0.05


def test_refining_keeps_the_pixels_and_fills_between(maps, two):
    coarse = composition(maps, two)
    fine = composition(maps, two, refine=2)
    at_pixels = fine.isel(y=slice(None, None, 2), x=slice(None, None, 2))
    np.testing.assert_allclose(at_pixels.composition, coarse.composition, atol=1e-12)
    np.testing.assert_allclose(at_pixels.y, coarse.y)
    assert fine.sizes["x"] == 2 * coarse.sizes["x"] - 1


def test_no_false_rim(two):
    """A uniform particle stays uniform to its edge after smoothing."""
    od, _ = uniform_particle(two, [0.2, 0.8])
    maps = deconvolve(absorbance.smooth(od, 1.0), two, energy_shift=0.0)
    comp = composition(maps, two, refine=2)
    want = mean_composition(np.array([0.2, 0.8]), two.values, two.molar_mass).value
    x = comp.composition.values[comp["mask"].values]
    assert x.size > 10_000
    np.testing.assert_allclose(x, want, atol=1e-4)


def test_the_shift_error_is_systematic(twin_density, two):
    held = deconvolve(twin_density, two, energy_shift=-0.4)
    held = held.assign_attrs(misfit_scale=0.0, misfit_level=0.0)  # nothing but the shift
    comp = composition(held, two)
    inside = comp["mask"].values
    moved = deconvolve(twin_density, two, energy_shift=-0.39)
    other = composition(moved, two, mask=comp["mask"])
    change = np.abs(other.composition - comp.composition).values[inside]
    stated = comp.composition_sd_systematic.values[inside] / held.attrs["energy_shift_sd_eV"] * 0.01
    assert np.median(stated) == pytest.approx(np.median(change), rel=0.2)
    total = np.hypot(comp.composition_sd_counting, comp.composition_sd_systematic)
    xr.testing.assert_allclose(comp.composition_sd_total, total.rename("composition_sd_total"))


def test_the_change_with_the_shift_needs_no_fine_steps(two, density_of):
    """Energies 1 eV apart: the stated slope is still the one seen when the shift is moved."""
    truth = simulate.core_shell(energy=np.arange(508.0, 560.0), poisson=True)
    od = density_of(truth)
    held = composition(deconvolve(od, two, energy_shift=0.0), two)
    low, high = (
        composition(deconvolve(od, two, energy_shift=shift), two, mask=held["mask"])
        for shift in (-0.01, 0.01)
    )
    moved = (high.attrs["mean_mass_weighted"] - low.attrs["mean_mass_weighted"]) / 0.02
    assert held.attrs["mean_per_eV"] == pytest.approx(moved, rel=0.1)


def test_outside_the_mask_nothing_is_claimed(maps, two, twin):
    comp = composition(maps, two)
    outside = ~comp["mask"].values
    assert np.isnan(comp.composition.values[outside]).all()
    assert np.isnan(comp.composition_sd_total.values[outside]).all()
    empty = (twin.labels.values < 0) & ~comp["mask"].values
    assert empty.sum() > 0.98 * (twin.labels.values < 0).sum()
    assert comp.attrs["masked_share"] == pytest.approx(outside.mean())


def test_another_library_is_refused(maps, library):
    with pytest.raises(LibraryError, match="give the library"):
        composition(maps, library)


@given(
    st.lists(st.floats(0.01, 10), min_size=2, max_size=6),
    st.floats(0.1, 100),
)
def test_mixture_is_a_mean_and_scale_free(weights, scale):
    t = np.array(weights)
    values, molar = np.linspace(0, 0.9, t.size), np.linspace(180, 190, t.size)
    one = mean_composition(t, values, molar)
    other = mean_composition(scale * t, values, molar)
    assert values.min() - 1e-12 <= one.value <= values.max() + 1e-12
    assert other.value == pytest.approx(one.value, rel=1e-9, abs=1e-12)
    # Homogeneous of degree zero: Euler's theorem.
    assert (one.gradient * t).sum() == pytest.approx(0, abs=1e-9)


def test_mixture_counts_formula_units():
    """Equal masses of a light and a heavy formula unit: more light ones."""
    mixture = mean_composition(np.array([1.0, 1.0]), np.array([0.0, 1.0]), np.array([100.0, 300.0]))
    assert mixture.value == pytest.approx(0.25)


def test_without_densities_the_thickness_is_relative(maps, two):
    bare = replace(two, standards=tuple(replace(s, density=np.nan) for s in two.standards))
    dense = composition(maps, two)
    comp = composition(maps, bare, mask=dense["mask"])
    assert comp.thickness.attrs["units"] == "1"
    xr.testing.assert_allclose(comp.composition, dense.composition)


@pytest.mark.parametrize("options", [{"normalise": "mass"}, {"refine": 0}])
def test_impossible_options_are_refused(maps, two, options):
    with pytest.raises(FitError):
        composition(maps, two, **options)


def test_a_plain_array_will_do_as_mask_and_a_wrong_one_is_refused(maps, two):
    mask = np.zeros(maps.residual.shape, dtype=bool)
    mask[40:50, 50:60] = True
    comp = composition(maps, two, mask=mask)
    assert int(np.isfinite(comp.composition).sum()) == 100
    with pytest.raises(StackError, match="mask has shape"):
        composition(maps, two, mask=mask[1:])


def test_the_literal_sum_has_the_errors_of_its_terms(twin_density, two):
    """``C = Σ φ x``: the standards' own errors count by weight, not by share."""
    unsure = replace(two, standards=tuple(replace(s, value_sd=0.05) for s in two.standards))
    maps = deconvolve(twin_density, unsure, energy_shift=-0.4)
    maps = maps.assign_attrs(misfit_scale=0.0, misfit_level=0.0, energy_shift_sd_eV=0.0)
    comp = composition(maps, unsure, normalise="none")
    inside = comp["mask"].values
    want = 0.05 * np.sqrt((maps.weight.values**2).sum(axis=0))[inside]
    np.testing.assert_allclose(comp.composition_sd_systematic.values[inside], want, rtol=1e-6)


def test_a_single_row_is_interpolated_along_itself(two, twin_density):
    row = twin_density.isel(y=slice(44, 45), x=slice(50, 70))
    maps = deconvolve(row, two, energy_shift=-0.4)
    comp = composition(maps, two, refine=2)
    assert comp.sizes == {"y": 1, "x": 39}
    assert comp.composition.notnull().all()


def test_errors_of_the_mass_scales_are_systematic_and_cover(two):
    """Scales drawn off by 5 % each: the composition moves by what is stated, two times in three."""
    shares = (0.4, 0.6)
    density = uniform_particle(two, shares)[0].isel(y=slice(44, 47), x=slice(59, 62))
    rng = np.random.default_rng(7)

    def drawn(sd, off):
        return replace(
            two,
            standards=tuple(
                replace(
                    one, spectrum=one.spectrum * (1 + d), record=one.record.with_(uncertainty=sd)
                )
                for one, d in zip(two.standards, off, strict=True)
            ),
        )

    def at_the_centre(library):
        comp = composition(deconvolve(density, library, energy_shift=0.0), library)
        return (comp[name].values[1, 1] for name in ("composition", "composition_sd_systematic"))

    exact, none = at_the_centre(two)
    x, stated = at_the_centre(drawn(0.05, (0.0, 0.0)))
    n = np.asarray(shares) / two.molar_mass
    f = n[1] / n.sum()
    closed = np.sqrt(2) * 0.05 * f * (1 - f) * np.ptp(two.values)
    assert x == exact
    assert np.hypot(none, closed) == pytest.approx(stated, rel=1e-3)
    moved = []
    for off in rng.normal(0, 0.05, (40, 2)):
        found, _ = at_the_centre(drawn(0.05, off))
        moved.append(found - exact)
    assert np.std(moved) == pytest.approx(closed, rel=0.25)  # 40 draws: 11 % each way
    common, _ = at_the_centre(drawn(0.05, (0.1, 0.1)))
    assert common == pytest.approx(exact, abs=1e-6)  # what all scales share moves nothing


def test_the_scale_of_the_thickness_is_told(two, maps):
    """Two standards half and half: independent parts average, common ones do not."""
    half = maps.assign(weight=xr.ones_like(maps.weight))
    known = {"uncertainty": 0.05, "background": 0.03, "background_od": 0.02, "areal_mass": 1e-5}
    scaled = replace(
        two,
        standards=tuple(
            replace(one, density=3.0, record=one.record.with_(**known, table_difference=0.02))
            for one in two.standards
        ),
    )
    told = composition(half, scaled).attrs["thickness_scale_sd"]
    assert told == pytest.approx(np.sqrt(0.04**2 / 2 + 0.03**2 + 0.02**2), rel=1e-6)
    assert composition(half, two).attrs["thickness_scale_sd"] == 0


def test_unknown_compositions_are_refused_by_name(maps, two):
    unknown = replace(two, standards=(two.standards[0], replace(two.standards[1], value=np.nan)))
    with pytest.raises(LibraryError, match=r"Li0\.45V2O5 has no value of x in LixV2O5"):
        composition(maps, unknown)


def test_errors_reach_the_edge_undiluted(two, maps):
    """Where all pixels have one error, so has every place between them, up to the edge."""
    inside = np.zeros(maps["residual"].shape, dtype=bool)
    inside[20:40, 30:60] = True
    inside[20:25, 30:35] = False  # a corner of three pixels inside and one outside
    pixel = maps.isel(y=[30], x=[45])
    alike = maps.copy()
    for name in ("weight", "weight_covariance", "weight_per_eV"):
        alike[name] = xr.zeros_like(maps[name]) + pixel[name].values
    comp = composition(alike, two, refine=4, mask=inside)
    kept = comp["mask"].values
    for kind in ("counting", "systematic", "total"):
        sd = comp[f"composition_sd_{kind}"].values
        np.testing.assert_allclose(sd[kept], sd[4 * 30, 4 * 45], rtol=1e-6)
        assert np.isnan(sd[~kept]).all()


@pytest.mark.parametrize("start", [0.0, 0.7, -13.37, 5321.123])
def test_half_way_to_an_outside_pixel_is_outside_wherever_the_stage_was(start):
    """At an edge between pixels the rounding of µm decides nothing."""
    x, y = start + 0.04 * np.arange(60), 0.03 * np.arange(4)
    mask = np.zeros((4, 60), dtype=bool)
    mask[:, 1::4] = mask[:, 2::4] = True  # left and right edges at many places
    fine = Finer(xr.Dataset(coords={"y": y, "x": x}), 2).inside(mask)
    np.testing.assert_array_equal(fine[:, ::2], np.repeat(mask, 2, axis=0)[:7])
    np.testing.assert_array_equal(fine[:, 1::2], (mask[:, :-1] & mask[:, 1:])[[0] * 7])
