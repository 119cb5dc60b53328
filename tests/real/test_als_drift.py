"""A drift added to the ALS Fe 2p stack is found and taken out again.

It is added with quintic splines (scipy), not by this package. The stack as published was aligned
once, not perfectly: what it drifts itself is measured first and taken off.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from chemoscape.formats import open_stack
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift
from chemoscape.stack import like

#: No frame's border reaches further in, in any of the cases.
INNER = (slice(None), slice(12, -12), slice(12, -12))


@pytest.fixture(scope="module")
def stack(als):
    return open_stack(als)


@pytest.fixture(scope="module")
def own(stack):
    return measure_drift(stack)


def sub_pixel(n):
    return np.random.default_rng(1).uniform(-0.5, 0.5, (n, 2))


def slow_with_a_jump(n):
    path = np.random.default_rng(2).normal(0, 0.15, (n, 2)).cumsum(axis=0)
    path += np.linspace(0, 4, n)[:, None] * [1.0, -0.6]
    path[n // 3 :] += (-3.3, 2.2)
    return path


def drifted(stack, displacement):
    y, x = np.mgrid[: stack.sizes["y"], : stack.sizes["x"]].astype(float)
    return like(
        stack,
        [
            ndimage.map_coordinates(frame.astype(float), (y - dy, x - dx), order=5, mode="mirror")
            for frame, (dy, dx) in zip(stack.values, displacement, strict=True)
        ],
    )


def unexplained(stack):
    """Variance of the optical density beyond three principal components."""
    counts = stack.values[INNER].astype(float)
    density = -np.log(counts / np.percentile(counts, 95, axis=(1, 2), keepdims=True))
    singular = np.linalg.svd(density.reshape(len(density), -1), compute_uv=False)
    return float((singular[3:] ** 2).sum())


def test_the_stack_as_published_hardly_drifts(own):
    assert own.rms_px < 0.1
    assert not own.replaced.any()


@pytest.mark.parametrize("path", [sub_pixel, slow_with_a_jump])
def test_an_added_drift_is_found_and_taken_out(stack, own, path):
    displacement = path(stack.sizes["energy"])
    moved = drifted(stack, displacement)
    found = measure_drift(moved)
    error = found.shifts - own.shifts + displacement
    error -= np.median(error, axis=0)
    assert np.sqrt((error**2).mean()) <= 0.1
    assert np.abs(error).max() <= 0.2
    assert not found.replaced.any()

    aligned = unexplained(align(moved, found))
    assert unexplained(moved) > 1.4 * unexplained(stack)
    assert aligned <= 1.10 * unexplained(stack)
    # interpolating lowers the noise; what is known without error is interpolated as often
    n = len(displacement)
    known = Drift(own.shifts - displacement, found.energy, 0, np.ones(n), np.zeros(n, dtype=bool))
    assert aligned <= 1.05 * unexplained(align(moved, known))
