"""The empty part of an image, found or refused."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import StackError
from chemoscape.preprocess.background import find_background
from chemoscape.stack import build

Y, X = np.mgrid[:80, :80].astype(float)
SPECTRUM = np.array([0.3, 0.5, 1.0, 0.8, 0.6])


def stack_of(thickness, *, counts=2000, extra=0.0, seed=0):
    expected = counts * np.exp(-SPECTRUM[:, None, None] * thickness) + extra
    recorded = np.random.default_rng(seed).poisson(expected)
    return build(recorded, np.arange(500.0, 505.0), np.arange(80), np.arange(80), quantity="counts")


def disc(cy, cx, radius):
    return (np.hypot(Y - cy, X - cx) < radius).astype(float)


def test_an_empty_field_around_particles():
    sample = disc(30, 30, 15) + 0.3 * disc(60, 55, 12)
    mask = find_background(stack_of(sample)).values
    assert not mask[sample > 0].any()
    assert mask[sample == 0].mean() > 0.8


def test_holes_in_a_film_that_fills_most_of_the_field():
    film = 0.15 + 1.5 * disc(40, 40, 20)
    film = film * (1 - disc(12, 12, 9)) * (1 - disc(66, 66, 9))
    mask = find_background(stack_of(film)).values
    assert not mask[film > 0].any()
    assert mask.sum() > 0.5 * (film == 0).sum()


def test_a_bright_rim_around_a_particle_is_no_background():
    rim = disc(40, 40, 17) - disc(40, 40, 15)
    stack = stack_of(2 * disc(40, 40, 15), extra=100 * rim)
    mask = find_background(stack).values
    assert mask[disc(40, 40, 19) == 0].mean() > 0.8
    assert not mask[rim > 0].any()


def test_an_uneven_beam_is_still_empty():
    sample = disc(30, 30, 15)
    stack = stack_of(sample)
    uneven = (1 + 0.01 * np.sin(X / 25))[None] * stack.values
    stack = build(uneven, stack.energy, stack.y, stack.x, quantity="counts")
    mask = find_background(stack).values
    assert not mask[sample > 0].any()
    assert mask.mean() > 0.4


def test_spikes_and_missing_pixels_are_left_out():
    stack = stack_of(disc(30, 30, 15))
    stack.values[2, 70, 70] = 60000
    stack.values[3, 65, 20] = 0
    stack.values[1, 60:62, 60] = np.nan
    mask = find_background(stack).values
    for y, x in ((70, 70), (65, 20), (60, 60)):
        assert not mask[y, x]
    assert mask.mean() > 0.5


@pytest.mark.parametrize(
    ("thickness", "why"),
    [
        (np.zeros((80, 80)), "uniform"),
        (0.5 * np.ones((80, 80)), "uniform"),
        (0.3 + X / 80 + Y / 160, "uneven"),
    ],
    ids=["empty", "film", "wedge"],
)
def test_a_field_without_a_background_is_refused(thickness, why):
    with pytest.raises(StackError, match=f"no empty background.*{why}.*give the region"):
        find_background(stack_of(thickness))


def test_one_pixel_is_refused():
    stack = build(np.full((3, 1, 1), 100.0), [1.0, 2.0, 3.0], [0], [0], quantity="counts")
    with pytest.raises(StackError, match="too few pixels"):
        find_background(stack)
