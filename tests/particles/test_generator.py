"""The generator against closed forms: areas, volumes, blur, counts, and what may be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gamma, ndtr

from chemoscape.particles.generator import (
    FAINTEST,
    FWHM_PER_SIGMA,
    SMALLEST_MASK,
    blurred_transmission,
    make_ensemble,
    measured_density,
    sample_sheets,
    sample_wires,
    smooth_noise,
    visible,
)
from chemoscape.particles.shapes import Wire, density_of, outline, sheets_density, thickness

PIXEL = 0.04
BAR = Wire(4.0, 4.0, 3.0, 0.4, 0.0)


def superellipse(wire):
    """Area of the superellipse |x/a|ᵖ + |y/b|ᵖ = 1: 4 a b Γ(1 + 1/p)² / Γ(1 + 2/p)."""
    p = wire.bluntness
    return wire.length * wire.width * gamma(1 + 1 / p) ** 2 / gamma(1 + 2 / p)


def anywhere(rng, wire):
    """The wire at another angle, its centre anywhere in a pixel."""
    y, x = 4 + rng.uniform(0, PIXEL, 2)
    return replace(wire, y=y, x=x, angle=rng.uniform(0, np.pi))


@pytest.mark.parametrize("bluntness", [2.0, 4.0, 8.0, 30.0])
@pytest.mark.parametrize(("taper", "bend"), [(0.0, 0.0), (0.15, 0.04)])
def test_area_is_the_superellipse_whatever_taper_and_bend(bluntness, taper, bend):
    wire = replace(BAR, bluntness=bluntness, taper=taper, bend=bend)
    assert wire.area == pytest.approx(superellipse(wire), rel=6e-4)


def test_a_bar_has_the_area_of_a_rectangle_and_a_spindle_that_of_an_ellipse():
    assert BAR.area == pytest.approx(3.0 * 0.4, rel=3e-3)
    assert replace(BAR, bluntness=2.0).area == pytest.approx(np.pi / 4 * 3.0 * 0.4, rel=1e-4)


@pytest.mark.parametrize("width_px", [3, 5, 8])
@pytest.mark.parametrize(
    "shape", [{}, {"bend": 0.03, "taper": 0.1, "bluntness": 3.0, "roughness": (0.05, -0.03)}]
)
def test_masks_are_as_large_as_the_wire_over_many_angles(width_px, shape):
    rng = np.random.default_rng(width_px)
    wire = replace(BAR, width=width_px * PIXEL, **shape)
    turned = [anywhere(rng, wire) for _ in range(200)]
    pixels = [outline(one, (200, 200), PIXEL)[0].sum() for one in turned]
    areas = [one.area for one in turned]  # the phase of the roughness follows the angle
    assert np.sum(pixels) * PIXEL**2 == pytest.approx(np.sum(areas), rel=0.01)


@pytest.mark.parametrize(
    ("profile", "share", "tolerance"), [("flat", 1, 0.004), ("round", np.pi / 4, 0.01)]
)
def test_volume_is_that_of_a_bar_or_an_elliptic_cylinder(profile, share, tolerance):
    rng = np.random.default_rng(4)
    wire = replace(BAR, width=20 * PIXEL, length=5.0, profile=profile, optical_density=0.7)
    volumes = []
    for _ in range(50):
        _, density = thickness(anywhere(rng, wire), (200, 200), PIXEL)
        volumes.append(density.sum(dtype=float) * PIXEL**2)
    assert np.mean(volumes) == pytest.approx(0.7 * share * wire.area, rel=tolerance)


def test_mask_and_density_lie_where_the_wire_does():
    """Centre and direction: angle from x towards y, pixel centres at half-integers."""
    wire = Wire(3.1, 4.2, 3.0, 0.4, 0.5)
    mask, corner = outline(wire, (200, 200), PIXEL)
    rows, columns = (np.array(np.nonzero(mask)) + np.array(corner)[:, None] + 0.5) * PIXEL
    assert (rows.mean(), columns.mean()) == pytest.approx((3.1, 4.2), abs=0.005)
    slope = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]
    assert np.arctan(slope[1] / slope[0]) == pytest.approx(0.5, abs=0.01)

    image = measured_density(
        np.random.default_rng(0), density_of([wire], (400, 400), PIXEL / 2), PIXEL / 2,
        counts=1e8, bins=2, background=0.0,
    )  # fmt: skip
    grid = (np.arange(200) + 0.5) * PIXEL
    centre = image.sum(1) @ grid / image.sum(), image.sum(0) @ grid / image.sum()
    assert centre == pytest.approx((3.1, 4.2), abs=0.005)


def test_sagitta_is_the_bend():
    wire = replace(BAR, bend=0.1, width=0.1)
    mask, _ = outline(wire, (400, 400), PIXEL / 2)
    rows = [np.flatnonzero(column).mean() for column in mask.T if column.any()]
    ends, middle = (rows[0] + rows[-1]) / 2, rows[len(rows) // 2]
    assert (ends - middle) * PIXEL / 2 == pytest.approx(0.1 * 3.0, abs=0.025)


def test_densities_add():
    wires = sample_wires(np.random.default_rng(5), (8.0, 8.0), 6, gathered=0.9)
    together = density_of(wires, (100, 100), 0.08)
    apart = [density_of([one], (100, 100), 0.08) for one in wires]
    np.testing.assert_allclose(together, np.sum(apart, 0), atol=1e-5)
    half = density_of(wires, (100, 100), 0.08, weights=[0.5] * 6)
    np.testing.assert_allclose(half, together / 2, atol=1e-5)
    texture = np.full((100, 100), 0.1)
    np.testing.assert_allclose(
        density_of(wires, (100, 100), 0.08, texture=texture), 1.1 * together, rtol=1e-5
    )


@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_the_blur_of_a_straight_edge_is_an_error_function_of_intensity(step):
    pixel, fwhm = 0.005, 0.08
    density = np.zeros((20, 400))
    density[:, 200:] = step
    x = (np.arange(400) + 0.5 - 200) * pixel
    expected = 1 + (np.exp(-step) - 1) * ndtr(x * FWHM_PER_SIGMA / fwhm)
    seen = blurred_transmission(density, fwhm, pixel)
    np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), atol=4e-4)


@pytest.mark.parametrize("density", [0.0, 1.2])
@pytest.mark.parametrize("bins", [1, 2])
def test_counts_are_poisson(density, bins):
    counts = 200.0
    field = np.full((256 * bins, 256 * bins), density)
    image = measured_density(
        np.random.default_rng(6), field, PIXEL, counts=counts, bins=bins, background=0.0
    )
    photons = counts * np.exp(-image.astype(float))
    np.testing.assert_allclose(photons, np.round(photons), atol=1e-3)
    expected = counts * np.exp(-density)
    assert photons.mean() == pytest.approx(expected, rel=0.005)
    assert photons.var() == pytest.approx(expected, rel=0.03)


def test_a_pixel_without_a_count_is_finite():
    image = measured_density(np.random.default_rng(0), np.full((20, 20), 30.0), PIXEL, counts=10.0)
    np.testing.assert_allclose(image, np.log(10 / 0.5), rtol=1e-6)


def test_line_noise_is_the_same_along_a_line():
    image = measured_density(
        np.random.default_rng(7), np.zeros((400, 50)), PIXEL,
        counts=1e8, background=0.0, line_noise=0.02,
    )  # fmt: skip
    assert image.std(1).max() < 1e-3
    assert image.mean(1).std() == pytest.approx(0.02, rel=0.15)


def test_slow_noise_is_slow():
    field = smooth_noise(np.random.default_rng(8), (90, 120), 4, 1.0)
    assert field.shape == (90, 120)
    assert abs(np.diff(field, axis=0)).max() < 0.2
    assert abs(np.diff(field, axis=1)).max() < 0.2
    assert field.std() > 0.2


def test_the_same_seed_gives_the_same_image():
    first, again, other = (make_ensemble(np.random.default_rng(k), (64, 64)) for k in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.instances.dense(), again.instances.dense())
    assert str(first.wires) == str(again.wires)  # compositions are NaN, which equals nothing
    assert not np.array_equal(first.image, other.image)


def test_no_wires_give_no_instances():
    empty = make_ensemble(np.random.default_rng(9), (64, 48), n_wires=0)
    assert empty.image.shape == (64, 48)
    assert len(empty.instances) == 0
    assert empty.wires == ()
    assert empty.instances.shape == (64, 48)


def test_an_ensemble_is_in_step_with_its_truth():
    made = make_ensemble(np.random.default_rng(10), (128, 96), n_wires=15)
    assert made.image.dtype == np.float32
    assert np.isfinite(made.image).all()
    assert len(made.wires) == len(made.instances) > 5
    assert made.instances.areas.min() >= SMALLEST_MASK
    for wire, mask in zip(made.wires, made.instances.dense(), strict=True):
        own, (row, column) = outline(wire, (128, 96), made.pixel_um)
        np.testing.assert_array_equal(
            mask[row : row + own.shape[0], column : column + own.shape[1]], own
        )


@pytest.mark.parametrize(("below", "seen"), [(1.03, 1), (0.97, 0)])
def test_a_wire_is_seen_from_the_faintest_signal_on(below, seen):
    """A flat wire alone has a signal to noise of t sqrt(pixels N exp(-t))."""
    faint = replace(BAR, optical_density=0.02)
    pixels = superellipse(faint) / PIXEL**2
    counts = below**2 * FAINTEST**2 / (0.02**2 * pixels * np.exp(-0.02))
    instances, wires = visible([faint], (200, 200), PIXEL, counts)
    assert (len(instances), len(wires)) == (seen, seen)


def test_a_wire_under_a_dense_one_needs_more_light():
    faint = replace(BAR, optical_density=0.1)
    cover = replace(BAR, optical_density=3.0, width=0.8, length=3.4)
    alone = FAINTEST**2 / (0.1**2 * superellipse(faint) / PIXEL**2 * np.exp(-0.1))
    for counts, expected in ((2 * alone, 1), (2 * np.exp(3) * alone, 2)):
        _, wires = visible([faint, cover], (200, 200), PIXEL, counts)
        assert len(wires) == expected
    assert len(visible([faint], (200, 200), PIXEL, 2 * alone)[1]) == 1
    assert len(visible([faint], (200, 200), PIXEL, 2 * alone, weights=[0.5])[1]) == 0


def test_a_mask_of_a_few_pixels_is_no_label():
    outside = replace(BAR, y=-0.19)  # 0.01 µm of it in the field: on no pixel's centre
    sliver = replace(BAR, y=-0.16, x=-1.2)  # one row of 7 pixels
    for wire in (outside, sliver, replace(BAR, y=-3.0)):
        assert len(visible([wire], (200, 200), PIXEL, 1e6)[0]) == 0
    assert len(visible([replace(BAR, y=-0.16)], (200, 200), PIXEL, 1e6)[0]) == 1


def test_the_samples_keep_their_limits():
    limits = ((0.1, 0.5), (1.0, 4.0))
    wires = sample_wires(np.random.default_rng(11), (20.0, 20.0), 400, limits_um=limits)
    widths = np.array([one.width for one in wires])
    lengths = np.array([one.length for one in wires])
    assert widths.min() >= 0.1
    assert widths.max() <= 0.5
    assert lengths.min() >= 1.0
    assert lengths.max() <= 4.0
    assert np.all(lengths >= 2 * widths)
    assert all(0 <= one.angle < np.pi for one in wires)
    assert np.median(widths) == pytest.approx(0.22, rel=0.12)


def test_sheets_carry_density_and_no_label():
    rng = np.random.default_rng(12)
    sheets = sample_sheets(rng, (8.0, 8.0), 5)
    density = sheets_density(sheets, (100, 100), 0.08)
    assert density.max() <= sum(one.optical_density for one in sheets) + 1e-6
    assert density.max() > 0.03
    round_sheet = replace(sheets[0], y=4.0, x=4.0, radius=1.5, aspect=1.0, waves=(0.0,) * 5)
    disc = sheets_density([round_sheet], (200, 200), 0.04)
    volume = disc.sum(dtype=float) * 0.04**2
    assert volume == pytest.approx(np.pi * 1.5**2 * round_sheet.optical_density, rel=2e-3)
