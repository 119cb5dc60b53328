"""Sizes corrected for the resolution: the model against integrals, the fit against known wires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, ndimage

from chemoscape.errors import StackError
from chemoscape.particles import generator, shapes
from chemoscape.particles.geometry import VARIABLES, psf_sizes
from chemoscape.particles.masks import Instances, from_crops, from_dense
from chemoscape.particles.profiles import absorbed, rule
from chemoscape.particles.table import instances_of, particle_table, write_csv
from chemoscape.particles.wire_fit import Patch, Shape, _Model, expected, fit_wire

PIXEL, FINE = 0.04, 8
WIRE = shapes.Wire(2.2, 2.2, 2.6, 0.3, 0.4, "flat", 0.5, bluntness=200.0)
SHAPE = Shape(
    np.array([-1.3, 1.2]),
    np.array([0.02, 0.1, -0.05]),
    (-1.25, 1.25),
    np.array([0.12, 0.15, 0.14, 0.10]),
    0.6,
    np.array([0.97, 0.01, -0.003]),
)


def seen(wires, size=110, counts=1500.0, pixel=PIXEL, fwhm=0.08, seed=0, background=0.01):
    """Optical density of wires as measured, and their whole masks."""
    rng = np.random.default_rng(seed)
    grid = (size * FINE, size * FINE)
    density = shapes.density_of(wires, grid, pixel / FINE)
    image = generator.measured_density(
        rng, density, pixel / FINE, fwhm, counts, FINE, background=background
    )
    masks = [shapes.outline(wire, image.shape, pixel) for wire in wires]
    return image, from_crops(image.shape, masks, np.ones(len(wires)))


def sized(image, instances, pixel=PIXEL, fwhm=0.08):
    return psf_sizes(particle_table(instances, image, pixel), image, fwhm)


def one(*arguments, **options):
    return sized(*arguments, **options).isel(particle=0)


@pytest.mark.parametrize("profile", ["box", "elliptic"])
@pytest.mark.parametrize("half", [0.01, 0.04, 0.15, 0.45])
@pytest.mark.parametrize("density", [0.1, 0.8, 3.0])
def test_profiles_equal_a_numerical_convolution(profile, half, density):
    sigma = 0.04
    v = np.linspace(-0.8, 0.8, 161)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 8001)  # x = half * sin(turn), fine at the edges
    chord = np.ones_like(turn) if profile == "box" else np.cos(turn)
    taken = -np.expm1(-density * chord) * half * np.cos(turn)
    spot = np.exp(-(((v[:, None] - half * np.sin(turn)) / sigma) ** 2) / 2)
    blurred = integrate.trapezoid(taken * spot, turn) / (np.sqrt(2 * np.pi) * sigma)
    nodes = rule(profile, half / sigma)
    share, *_ = absorbed(v, np.full(len(v), half), density, sigma, profile, nodes)
    np.testing.assert_allclose(share, blurred, atol=1e-4 * blurred.max())


@pytest.mark.parametrize("profile", ["box", "elliptic"])
def test_derivatives_equal_differences(profile):
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-1.6, 1.6, 400), rng.uniform(-0.4, 0.4, 400)
    model = _Model(Patch(u, v, np.ones(400), 0.04), SHAPE, profile, np.ones(400))
    values = model.pack(SHAPE)
    light, by = model.light(values)
    for k in range(len(values)):
        step = np.zeros(len(values))
        step[k] = 1e-6
        slope = (model.light(values + step)[0] - model.light(values - step)[0]) / 2e-6
        np.testing.assert_allclose(by[:, k], slope, atol=2e-6 * max(1.0, abs(slope).max()))
    assert light.min() < 0.7


@pytest.mark.parametrize("profile", ["box", "elliptic"])
def test_the_fit_returns_what_the_model_was_made_of(profile):
    v, u = (axis.ravel() for axis in np.mgrid[-0.5:0.5:0.04, -1.6:1.6:0.04])
    patch = Patch(u, v, np.zeros(len(u)), 0.04)
    patch = Patch(u, v, expected(patch, SHAPE, profile), 0.04)
    start = replace(
        SHAPE,
        ends=np.array([-1.2, 1.15]),
        axis=np.array([0.0, 0.08, 0.0]),
        halves=np.full(4, 0.1),
        density=0.4,
        background=np.array([1.0, 0.0, 0.0]),
    )
    fit = fit_wire(patch, start, profile, np.full(len(u), 1e-4))
    assert fit.converged
    assert fit.shape.area == pytest.approx(SHAPE.area, rel=1e-3)
    assert fit.shape.density == pytest.approx(SHAPE.density, rel=1e-2)
    np.testing.assert_allclose(fit.shape.ends, SHAPE.ends, atol=2e-3)


def test_area_and_length_of_a_shape():
    straight = replace(SHAPE, axis=np.array([0.0, 0.0]), halves=np.array([0.1, 0.2]))
    assert straight.area == pytest.approx(2.5 * 0.3)
    assert straight.length == pytest.approx(2.5)
    slanted = replace(straight, axis=np.array([0.0, 1.25]))  # a slope of 1
    assert slanted.length == pytest.approx(2.5 * np.sqrt(2))
    assert slanted.area == pytest.approx(2.5 * 0.3)  # shear keeps areas


@pytest.mark.parametrize("profile", ["flat", "round"])
@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 1.9])
def test_a_lone_wire(profile, angle):
    wire = replace(WIRE, profile=profile, angle=angle)
    size = one(*seen([wire]))
    assert size["fit_ok"]
    assert size["profile"] == {"flat": "box", "round": "elliptic"}[profile]
    assert size["area_psf"] == pytest.approx(wire.area, rel=0.015)
    assert size["width_psf"] == pytest.approx(wire.width, rel=0.02)
    assert size["length_psf"] == pytest.approx(wire.length, rel=0.01)
    assert size["thickness_od"] == pytest.approx(wire.optical_density, rel=0.05)
    assert 0 < size["area_psf_sd"] < 0.02 * wire.area
    assert size["area_box"] < size["area_elliptic"]
    half = (size["area_elliptic"] - size["area_box"]) / 2
    assert size["area_model_sd"] == pytest.approx(half.item())
    assert not size["model_dependent"]
    assert not size["unresolved"]


@pytest.mark.parametrize(
    "shape",
    [
        {"bend": 0.05},
        {"taper": 0.3},
        {"bluntness": 3.0},
        {"bend": -0.04, "taper": 0.15, "roughness": (0.05, -0.04, 0.03)},
    ],
)
def test_bent_tapered_and_pointed_wires(shape):
    wire = replace(WIRE, **shape)
    assert one(*seen([wire]))["area_psf"] == pytest.approx(wire.area, rel=0.025)


def test_twice_the_scale_gives_four_times_the_area():
    image, instances = seen([WIRE])
    small, large = one(image, instances), one(image, instances, 2 * PIXEL, 0.16)
    for name in ("area_psf", "area_box", "area_elliptic", "area_psf_sd", "area_model_sd"):
        assert large[name] == pytest.approx(4 * small[name].item(), rel=1e-4)
    for name in ("width_psf", "length_psf"):
        assert large[name] == pytest.approx(2 * small[name].item(), rel=1e-4)
    assert large["thickness_od"] == pytest.approx(small["thickness_od"].item(), rel=1e-4)
    assert large["profile"] == small["profile"]


def test_a_turned_map_gives_the_same_sizes():
    image, instances = seen([replace(WIRE, profile="round")])
    straight = one(image, instances)
    for turned in (np.rot90, np.transpose, np.flipud):
        other = one(turned(image), from_dense(turned(instances.dense()[0])[None]))
        for name in ("area_psf", "area_box", "area_psf_sd", "length_psf"):
            assert other[name] == pytest.approx(straight[name].item(), rel=2e-3)


def test_a_constant_background_does_not_count():
    image, instances = seen([WIRE])
    plain, raised = one(image, instances), one(image + 0.7, instances)
    assert raised["area_psf"] == pytest.approx(plain["area_psf"].item(), rel=1e-4)


@pytest.mark.parametrize("other_is_known", [True, False])
@pytest.mark.parametrize("turn", [0.7, np.pi / 2])
def test_crossing_wires_are_measured_beside_the_crossing(other_is_known, turn):
    other = replace(WIRE, angle=WIRE.angle + turn, width=0.25, optical_density=0.7)
    image, instances = seen([WIRE, other])
    table = sized(image, instances if other_is_known else instances.take([0]))
    first = table.isel(particle=abs(table["area_raw"].values - WIRE.area).argmin())
    assert first["area_psf"] == pytest.approx(WIRE.area, rel=0.03)
    assert first["thickness_od"] == pytest.approx(WIRE.optical_density, rel=0.1)


def test_marks_by_width():
    marks = {}
    for width in (0.045, 0.11, 0.25):
        wire = replace(WIRE, width=width, optical_density=0.7)
        size = one(*seen([wire], counts=20000.0))
        assert size["fit_ok"]
        marks[width] = (bool(size["unresolved"]), bool(size["model_dependent"]))
    assert marks == {0.045: (True, False), 0.11: (False, True), 0.25: (False, False)}


def bar(rows, columns, shape=(110, 110)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return from_dense(mask[None])


def failures():
    """What cannot be fitted: image, masks and a word of the reason."""
    image, instances = seen([WIRE])
    mask = instances.dense()[0]
    thick = ndimage.binary_dilation(mask, iterations=3)
    tip = np.arange(110)[None, :] > 72
    over = from_dense(np.stack([mask, thick & (np.arange(110) < 75)[None, :]]))
    yield "border", image, bar(slice(40, 46), slice(0, 60)), "border"
    yield "round", image, bar(slice(40, 50), slice(40, 50)), "short"
    yield "small", image, bar(slice(40, 42), slice(40, 45)), "few pixels"
    yield "covered", image, over, "other particles"
    yield "end", image, from_dense(np.stack([mask, thick & tip])), "end is hidden"
    yield "missing", np.where(thick & tip, np.nan, image), instances, "end is hidden"
    yield "nothing", np.full_like(image, np.nan), instances, "without values"
    yield "flat", np.zeros_like(image), instances, "not darker"
    yield "bright", -image, instances, "not darker"
    left = (
        bar(slice(20, 26), slice(20, 90)).dense()[0] | bar(slice(20, 80), slice(20, 26)).dense()[0]
    )
    yield "angle", ndimage.gaussian_filter(left * 0.5, 0.85), from_dense(left[None]), "match"


@pytest.mark.parametrize("case", list(failures()), ids=lambda case: case[0])
def test_what_cannot_be_fitted_has_no_size_and_a_reason(case):
    _, image, instances, word = case
    table = sized(image, instances)
    lost = table.isel(particle=~table["fit_ok"].values)
    assert lost.sizes["particle"] >= 1
    assert any(word in reason for reason in lost["fit_reason"].values)
    for name in ("area_psf", "width_psf", "length_psf", "area_box", "area_elliptic", "area_psf_sd"):
        assert np.isnan(lost[name].values).all()
    assert (lost["profile"].values == "").all()
    assert not (lost["unresolved"] | lost["model_dependent"]).any()
    assert np.isfinite(table["area_raw"].values).all()


def test_noise_alone_never_raises_and_says_why():
    rng = np.random.default_rng(3)
    for _ in range(20):
        image = rng.normal(0, 0.05, (60, 60))
        size = one(image, bar(slice(28, 33), slice(15, 45), (60, 60)))
        assert size["fit_ok"] or str(size["fit_reason"].values)
        assert bool(size["fit_ok"]) == bool(np.isfinite(size["area_psf"]))


def test_the_table_is_kept_and_extended(tmp_path):
    image, instances = seen([WIRE, replace(WIRE, y=3.3, x=3.0, length=0.9)])
    before = particle_table(instances, image, PIXEL)
    after = psf_sizes(before, xr.DataArray(image.T, dims=("x", "y")), 0.08)
    assert set(after) == set(before) | set(VARIABLES)
    xr.testing.assert_identical(after[list(before)].drop_attrs(), before.drop_attrs())
    assert after.attrs["psf_fwhm_um"] == 0.08
    for name, (units, _) in VARIABLES.items():
        assert after[name].attrs["units"] == units
    assert len(instances_of(after)) == 2
    write_csv(after, tmp_path / "sizes.csv")
    assert "area_psf (µm²)" in (tmp_path / "sizes.csv").read_text(encoding="utf-8")


def test_a_table_without_particles():
    table = sized(np.zeros((40, 40)), Instances((40, 40)))
    assert table.sizes["particle"] == 0
    assert set(VARIABLES) <= set(table)


def test_wrong_maps_and_resolutions():
    image, instances = seen([WIRE])
    table = particle_table(instances, image, PIXEL)
    with pytest.raises(StackError, match="shape"):
        psf_sizes(table, image[:-1])
    with pytest.raises(StackError, match="no optical density"):
        psf_sizes(table, 300 * image)
    for fwhm in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(StackError, match="fwhm_um"):
            psf_sizes(table, image, fwhm)


def test_pixels_without_sight_are_left_out():
    image, instances = seen([WIRE])
    holed = image.copy()
    holed[::7, ::5] = np.nan
    holed[1::7, ::5] = np.inf
    assert one(holed, instances)["area_psf"] == pytest.approx(WIRE.area, rel=0.02)
    masked = np.ma.masked_array(image, np.isnan(holed))
    assert one(masked, instances)["area_psf"] == pytest.approx(WIRE.area, rel=0.02)
