"""The variance of aligned optical densities against their scatter over repeated measurements.

A scene given by a formula is measured at its drifted places, nowhere interpolated, again and again
with Poisson noise; each measurement is aligned back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from chemoscape.preprocess.absorbance import optical_density
from chemoscape.preprocess.alignment import align, align_density
from chemoscape.preprocess.shifts import Drift
from chemoscape.stack import build

#: The scene has no empty part; a thin one may be taken for it, and does not fit the I0 given.
pytestmark = pytest.mark.filterwarnings("ignore:the empty background")

N, SIZE, REPEATS, I0 = 8, 72, 60, 900.0
INNER = (..., slice(12, -12), slice(12, -12))

random = np.random.default_rng(7)
SHIFTS = {
    "half a pixel on both axes": np.tile(
        [[0.5, -0.5], [1.5, 2.5], [-3.5, 0.5], [-0.5, 4.5]], (2, 1)
    ),
    "half a pixel on one axis": np.tile([[0.5, 0.0], [0.0, -1.5]], (N // 2, 1)),
    "anywhere": random.normal(0, 0.8, (N, 2)).cumsum(axis=0),
    "whole pixels": random.integers(-4, 5, (N, 2)).astype(float),
}
TURNED = "turned and scaled"


@dataclass(frozen=True)
class Repeats:
    """Optical densities (repeat, energy, y, x), their mean variance as stated, the truth, and the
    noise gain (energy).
    """

    density: np.ndarray
    variance: np.ndarray
    truth: np.ndarray
    gain: np.ndarray


def scene(y, x):
    """Optical density: smooth over a few pixels, as a beam makes it."""
    return 0.7 * np.exp(-(((y - 30) ** 2 + (x - 38) ** 2) / 300)) + 0.2 * np.sin(y / 6 + x / 8) ** 2


def measured(shifts, linear):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    place, centre = np.stack([y, x]), (SIZE - 1) / 2
    # in(q) = scene(c + linear (q - c) + shift): moving it by shift and linear gives the scene
    expected = I0 * np.exp(
        [
            -scene(*(np.einsum("ab,byx->ayx", matrix, place) + shift[:, None, None] + centre))
            for matrix, shift in zip(linear, shifts, strict=True)
        ]
    )
    n = REPEATS * N  # repeats one after the other, as frames of one stack
    energy = 515.0 + 0.05 * np.arange(n)
    still = np.array_equal(linear, np.tile(np.eye(2), (N, 1, 1)))
    drift = Drift(
        np.tile(shifts, (REPEATS, 1)),
        energy,
        0,
        np.ones(n),
        np.zeros(n, bool),
        None if still else np.tile(linear, (REPEATS, 1, 1)),
    )
    counts = np.random.default_rng(0).poisson(np.tile(expected, (REPEATS, 1, 1)))
    stack = build(counts, energy, np.arange(SIZE), np.arange(SIZE), quantity="counts")
    aligned = align(stack, drift)
    od = optical_density(aligned, (energy, np.full(n, I0)), i0_unit="image", noise=1.0)
    shape = (REPEATS, N, SIZE, SIZE)
    return Repeats(
        od.optical_density.values.astype(float).reshape(shape),
        od.variance.values.reshape(shape).mean(axis=0),
        scene(y + centre, x + centre),
        aligned.noise_gain.values[:N],
    )


def test_flat_images_stay_with_the_detector():
    """A flat field that the drift does not move, taken out before the frames are aligned."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    flat = 1 + 0.3 * np.sin(x / 2) * np.cos(y / 3)  # structure that alignment would smear
    shifts = SHIFTS["anywhere"]
    expected = 4000 * flat * np.exp([-scene(y + dy, x + dx) for dy, dx in shifts])
    energy = 515.0 + 0.5 * np.arange(N)
    repeats = []
    for seed in range(40):
        counts = np.random.default_rng(seed).poisson(expected)
        stack = build(counts, energy, np.arange(SIZE), np.arange(SIZE), quantity="counts")
        image = xr.DataArray(4000 * flat, dims=("y", "x"), coords={"y": stack.y, "x": stack.x})
        raw = optical_density(stack, image, i0_unit="image", noise=1.0)
        drift = Drift(shifts, energy, 0, np.ones(N), np.zeros(N, bool))
        repeats.append(align_density(raw, drift))
    od = repeats[0]
    density = np.array([one["optical_density"].values for one in repeats])
    truth = scene(*np.meshgrid(od.y, od.x, indexing="ij"))
    assert abs((density.mean(axis=0) - truth)[INNER]).mean() < 4e-3
    # the flat image is taken to have noise of its own, which is interpolated too; here it has none
    of_flat = (od["noise_gain"] * od["i0_variance"] / od["i0"] ** 2).values[:, None, None]
    own = od["variance"].values - of_flat
    ratio = density.var(axis=0, ddof=1)[INNER].mean() / own[INNER].mean()
    assert 0.95 < ratio < 1.05
    assert not od["flag"].values.any()


@pytest.fixture(scope="module", params=[*SHIFTS, TURNED])
def repeats(request):
    linear = np.tile(np.eye(2), (N, 1, 1))
    if request.param == TURNED:
        angle = np.deg2rad(np.linspace(-4, 5, N))
        linear = np.exp(np.linspace(-0.02, 0.03, N))[:, None, None] * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        ).transpose(2, 0, 1)
        return measured(SHIFTS["anywhere"], linear)
    return measured(SHIFTS[request.param], linear)


def test_the_stated_variance_is_the_scatter_over_repeats(repeats):
    scatter = repeats.density.var(axis=0, ddof=1)[INNER].mean(axis=(1, 2))
    stated = repeats.variance[INNER].mean(axis=(1, 2))
    np.testing.assert_allclose(stated / scatter, 1, atol=0.05)


def test_reduced_chi2_against_the_truth(repeats, reach):
    squares = (repeats.density - repeats.truth) ** 2 / repeats.variance
    chi2 = squares[INNER].mean(axis=(0, 2, 3))
    for one in (chi2.min(), chi2.max()):
        reach("drift", "reduced χ² after drifting and aligning back", one, within=(0.95, 1.05))


def test_alignment_does_not_bias_the_optical_density(repeats):
    """But for what counting does: the mean of -ln of a Poisson variable is 1/(2 N) too high."""
    bias = (repeats.density.mean(axis=0) - repeats.truth - repeats.variance / 2)[INNER]
    assert np.abs(bias.mean(axis=(1, 2))).max() < 3e-4


def test_an_average_over_many_pixels_keeps_its_variance(repeats):
    """Interpolation only shares noise between neighbours: it makes no average better."""
    block = repeats.density[INNER][..., :48, :48].reshape(REPEATS, N, 2, 24, 2, 24)
    means = block.mean(axis=(3, 5))
    scatter = means.var(axis=0, ddof=1)
    single = (repeats.variance / repeats.gain[:, None, None])[INNER][..., :48, :48]
    stated = single.reshape(N, 2, 24, 2, 24).mean(axis=(2, 4)) / 24**2
    assert (scatter / stated).mean() == pytest.approx(1, abs=0.08)
