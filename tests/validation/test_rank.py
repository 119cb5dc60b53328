"""The rank of stacks that are made of two phases, on seeds of their own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.decompose.factors.components import principal_components
from chemoscape.errors import ChemoscapeWarning

SEEDS = range(7100, 7104)
NOISE = {
    "gaussian": {"od_noise": 0.01, "energy_shift_eV": -0.4},
    "5000 counts": {"poisson": True, "photons": 5000.0},
    "1000 counts": {"poisson": True, "photons": 1000.0},
}


def with_i0_error(od: xr.Dataset, seed: int) -> xr.Dataset:
    """I0 of each energy wrong by 0.5 %, in sample and background alike."""
    wrong = 0.005 * np.random.default_rng(seed).normal(size=(od.sizes["energy"], 1, 1))
    density = od["optical_density"]
    return od.assign(optical_density=(density + wrong.astype("f4")).assign_attrs(density.attrs))


@pytest.mark.parametrize("noise", NOISE)
def test_two_phases_are_two_components(noise, density_of, reach):
    """By the scaled Marchenko-Pastur law and the indicator function; no false alarm of I0."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChemoscapeWarning)
        for seed in SEEDS:
            pcs = principal_components(density_of(simulate.core_shell(seed=seed, **NOISE[noise])))
            for name, key in (("Marchenko-Pastur", "rank_mp"), ("indicator", "rank_ind")):
                reach("rank", f"{name}, {noise}", pcs.attrs[key], within=(2, 2))
            assert pcs.attrs["common_component"] == 0
            assert pcs.attrs["noise_level"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("noise", NOISE)
def test_an_error_of_i0_is_a_third_that_has_a_name(noise, density_of, reach):
    """Two or three components; where there are three, the third is said to be I0."""
    found = []
    for seed in SEEDS:
        od = with_i0_error(density_of(simulate.core_shell(seed=seed, **NOISE[noise])), seed)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            pcs = principal_components(od)
        for name, key in (("Marchenko-Pastur", "rank_mp"), ("indicator", "rank_ind")):
            what = f"{name}, I0 wrong by 0.5 %, the third named"
            reach("rank", what, pcs.attrs[key], within=(2, 3))
        named = pcs.attrs["common_component"]
        assert named == (3 if pcs.attrs["rank_mp"] == 3 else 0)
        assert [str(one.message).startswith("component 3") for one in said] == [True] * (named > 0)
        found.append(named)
    if noise != "1000 counts":  # there it drowns in the noise
        assert found == [3] * len(SEEDS)
