"""Correlation of edges, frames found by the images of others, and what stands still."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import farid

from chemoscape.preprocess.tracking import joint_fit, registration, weak_frames
from chemoscape.preprocess.tracking.edges import edge_map
from chemoscape.preprocess.tracking.sound_frames import sound_frames


@pytest.fixture
def image():
    return ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (60, 71)), 2.0) + 5.0


def moved(image, shift):
    """Periodic image moved by `shift`, exactly."""
    return np.fft.ifftn(ndimage.fourier_shift(np.fft.fftn(image), shift)).real


def everywhere(image):
    return np.ones(image.shape, dtype=bool)


def test_edge_map_is_the_gradient_of_farid(image):
    ours = edge_map(image, everywhere(image))[8:-8, 8:-8]
    theirs = np.sqrt(2) * farid(ndimage.gaussian_filter(image, 1.0))[8:-8, 8:-8]
    difference = ours - theirs
    assert np.ptp(difference) < 0.02 * np.ptp(theirs)


def test_edge_map_has_no_mean_no_border_and_nothing_where_nothing_counts(image):
    weight = everywhere(image)
    weight[20:30] = False
    edges = edge_map(image, weight)
    assert edges.dtype == np.float32
    assert abs(edges.mean()) < 1e-4 * edges.std()
    assert not edges[20:30].any()
    assert not edges[:3].any()
    assert not edges[:, -3:].any()
    assert not edge_map(np.full((20, 20), 7.0), np.ones((20, 20), bool)).any()


@pytest.mark.parametrize("shape", [(60, 71), (61, 70), (64, 64)])
def test_correlation_finds_a_fraction_of_a_pixel(shape):
    random = np.random.default_rng(1)
    edges = ndimage.gaussian_filter(random.normal(0, 1, shape), 2.0, mode="wrap")
    for shift in ([0.0, 0.0], [3.37, -7.81], [-20.5, 0.25]):
        pair = [
            registration.Edges(np.fft.rfft2(a), float((a**2).sum()), shape)
            for a in (moved(edges, shift), edges)
        ]
        peak = registration.correlate(*pair)
        np.testing.assert_allclose(peak.shift, shift, atol=2e-3)
        assert peak.quality == pytest.approx(1.0, abs=1e-3)
        assert peak.rival < registration.RIVAL


def test_uncertainty_of_a_correlation_is_its_scatter():
    shape, misses, said = (64, 64), [], []
    sample = np.hypot(*(np.mgrid[:64, :64] - 31.5)) < 14
    for seed in range(40):
        random = np.random.default_rng(seed)
        frames = random.poisson(120 - 60 * ndimage.gaussian_filter(sample * 1.0, 1.0), (2, *shape))
        edges = [registration.transform(frame, everywhere(frame)) for frame in frames]
        peak = registration.correlate(*edges)
        misses.append(peak.shift)
        said.append(peak.sd)
    assert 0.7 < np.sqrt((np.array(misses) ** 2).mean()) / np.mean(said) < 1.4


def test_of_a_gratings_shifts_the_one_nearest_to_the_neighbours():
    x = np.arange(96)
    wires = np.tile(np.cos(2 * np.pi * x / 12) > 0.3, (96, 1)) * 50.0 + 100
    edges = [
        registration.transform(frame, everywhere(frame)) for frame in (wires, np.roll(wires, 3, 1))
    ]
    for near in (-27.0, -15.0, 9.0):
        peak = registration.correlate(*edges, near=np.array([0.0, near + 1.0]))
        assert peak.shift[1] == pytest.approx(near, abs=0.1)
        assert peak.rival > registration.RIVAL


def test_reference_passes_over_a_glitch():
    contrast = np.array([1.0, 2.0, 3.0, 90.0, 5.0, 6.0, 4.0])
    assert registration.choose_reference(contrast) == 5


def test_survey_ranks_by_contrast_and_finds_the_open_beam(image):
    disc = np.hypot(*(np.mgrid[:60, :70] - 30)) < 12
    frames = np.random.default_rng(0).poisson([400 * np.exp(-a * disc) for a in (0.1, 0.8, 0.3)])
    weights = np.ones(frames.shape, dtype=bool)
    contrast, bright = registration.survey(frames.astype(np.float32), weights)
    assert np.argsort(contrast).tolist() == [0, 2, 1]
    np.testing.assert_allclose(bright, 400, rtol=0.06)


def test_a_known_walk_keeps_its_jumps_and_its_well_known_frames():
    random = np.random.default_rng(2)
    truth = random.normal(0, 0.1, (60, 2)).cumsum(axis=0)
    truth[25:] += (4.0, -2.0)
    sd = np.full((60, 2), 0.03)
    sd[40:50] = 1.5
    shifts = truth + random.normal(0, 1, truth.shape) * sd
    sd[10] = np.inf
    shifts[10] = 99.0
    smooth, own = weak_frames.most_probable(shifts, sd)
    error = smooth - truth
    assert np.sqrt((error[sd[:, 0] == 0.03] ** 2).mean()) < 0.033
    assert np.sqrt((error[40:50] ** 2).mean()) < 0.4
    assert np.abs(error[[24, 25]]).max() < 0.12
    np.testing.assert_allclose(smooth[10], (smooth[9] + smooth[11]) / 2, atol=1e-9)
    assert own[10] == 0
    assert own[40:50].max() < 0.2 < 0.8 < own[~np.isin(np.arange(60), [10, *range(40, 50)])].min()


def test_weak_frames_are_found_anywhere(make_phantom):
    phantom = make_phantom(560, counts=1000, before_edge=0.15, jumps=[(3, 14.0, -11.0)])
    frames = phantom.stack.values
    truth = -phantom.displacement
    weak = np.arange(24) < 5
    _, bright = registration.survey(frames, np.ones(frames.shape, dtype=bool))
    found = weak_frames.locate(frames, bright, truth, weak)
    for one, shift in zip(found, truth[weak], strict=True):
        assert one.sound
        np.testing.assert_allclose(one.shift, shift, atol=4 * one.sd.max() + 0.1)
    assert np.mean([one.sd for one in found]) < 3 * phantom.bounds[weak].mean()


def test_nothing_is_found_in_noise(make_phantom):
    phantom = make_phantom(561)
    frames = phantom.stack.values.copy()
    frames[3] = np.random.default_rng(0).poisson(380, frames[3].shape)
    frames[7] = np.random.default_rng(1).poisson(4, frames[7].shape)
    weak = np.isin(np.arange(24), [3, 7])
    _, bright = registration.survey(frames, np.ones(frames.shape, dtype=bool))
    for one in weak_frames.locate(frames, bright, -phantom.displacement, weak):
        assert np.isinf(one.sd).all()


def test_joint_fit_says_how_sure_it_is(make_phantom):
    phantom = make_phantom(562, n_materials=1)
    frames = phantom.stack.values
    start = -phantom.displacement + np.random.default_rng(0).normal(0, 0.1, (24, 2))
    _, bright = registration.survey(frames, np.ones(frames.shape, dtype=bool))
    inside = np.ones(frames.shape[1:], dtype=bool)
    fit = joint_fit.refine(frames, np.arange(24), start, inside, bright)
    error = fit.shifts + phantom.displacement
    error -= error.mean(axis=0)
    assert 0.6 < np.sqrt((error**2).mean() / (fit.sd**2).mean()) < 1.6
    assert 0.6 < np.sqrt((fit.sd**2).mean()) / phantom.bound_px < 1.6


def test_joint_fit_of_what_is_no_sum_of_images_gives_up():
    discs = [np.hypot(*(np.mgrid[:64, :64] - c)) < 12.0 for c in range(12, 52)]
    frames = np.random.default_rng(0).poisson([400 * np.exp(-1.0 * disc) for disc in discs])
    fit = joint_fit.refine(
        frames.astype(np.float32),
        np.arange(40),
        np.zeros((40, 2)),
        np.ones((64, 64), dtype=bool),
        np.full(40, 400.0),
    )
    assert fit is None


def test_gram_is_the_product_of_rows():
    data = np.random.default_rng(0).normal(size=(7, 1001)).astype(np.float32)
    np.testing.assert_allclose(joint_fit.gram(data), data.astype(float) @ data.T.astype(float))


def test_sound_frames_are_not_copied(make_phantom):
    values = make_phantom(563, n_energy=6).stack.values
    inside = np.ones(values.shape[1:], dtype=bool)
    frames, weights = sound_frames(values, inside, density=False)
    assert frames is values
    assert np.shares_memory(weights, inside)
    densities = -np.log(np.maximum(values, 1.0) / 400)
    frames, _ = sound_frames(densities, inside, density=True)
    np.testing.assert_allclose(frames, np.maximum(values, 1.0) / 400, rtol=1e-5)


@pytest.mark.parametrize("tilt", [0.0, 0.02, 0.05])
def test_a_wire_along_a_row_is_no_stray_line(tilt):
    y, x = np.mgrid[:80, :80]
    wire = np.exp(-(((y - 40 - tilt * x) / 2.5) ** 4))
    values = np.random.default_rng(0).poisson(400 * np.exp(-wire), (6, 80, 80)).astype(np.float32)
    frames, _ = sound_frames(values, np.ones((80, 80), dtype=bool), density=False)
    np.testing.assert_array_equal(frames, values)
