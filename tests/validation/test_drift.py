"""Drift with jumps across an edge, beside the Cramér-Rao bound and a chain of neighbours.

The phantoms are two materials whose contrast reverses at the edge, drifting by up to some ten
pixels, with two jumps of 3 to 6 pixels, each frame computed where it lies and counted with Poisson
noise. The bound is that of one frame's shift when the sample itself is known: more than any program
knows. A chain correlates the edges of each frame with those of the one before and adds up.
"""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import farid
from skimage.registration import phase_cross_correlation

from chemoscape.preprocess.drift import measure_drift

_WHERE = Path(__file__).resolve().parents[1] / "preprocess" / "conftest.py"


def _phantoms():
    """The maker of phantoms of the drift's own tests."""
    spec = importlib.util.spec_from_file_location("phantoms_of_drift", _WHERE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module.phantom


phantom = _phantoms()


def chain(frames):
    """Shifts (n, 2) to apply, each frame against its neighbour."""
    edges = [farid(ndimage.gaussian_filter(frame.astype(float), 1.0)) for frame in frames]
    edges = [edge - edge.mean() for edge in edges]
    steps = [
        phase_cross_correlation(before, after, upsample_factor=100, normalization=None)[0]
        for before, after in pairwise(edges)
    ]
    return np.cumsum([np.zeros(2), *steps], axis=0)


@pytest.mark.parametrize("counts", [100, 400, 1000])
def test_error_with_jumps_beside_the_bound_and_a_chain(counts, reach):
    errors, ratios, chained = [], [], []
    for seed in range(700, 708):
        made = phantom(seed, counts=counts, ramp_px=6.0, jumps="random")
        errors.append(made.rms_px(measure_drift(made.stack).shifts))
        ratios.append(errors[-1] / made.bound_px)
        chained.append(made.rms_px(chain(made.stack.values)) / made.bound_px)
    beside = f"median rms over Cramér-Rao bound, {counts} counts, 8 seeds"
    reach("drift", beside, np.median(ratios), most=2.5, aim=3.0)
    assert max(ratios) <= 4.5
    assert np.median(chained) >= 2 * np.median(ratios)
    if counts == 400:
        reach("drift", "median rms (pixels), 400 counts", np.median(errors), most=0.09)
        assert max(errors) <= 0.15


def test_more_photons_make_it_better():
    errors = [
        np.median(
            [
                made.rms_px(measure_drift(made.stack).shifts)
                for made in (phantom(seed, counts=counts, jumps="random") for seed in (720, 721))
            ]
        )
        for counts in (60, 600, 6000)
    ]
    assert errors[0] > errors[1] > errors[2]
