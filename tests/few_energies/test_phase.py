"""Phases without constant and ramp: planes that are known, of many turns, under noise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.few_energies.phase import phase_maps, wrapped

Y, X = 0.01 * np.arange(90), 2 + 0.01 * np.arange(130)
SAMPLE = (np.abs(Y - 0.45) < 0.2)[:, None] & (np.abs(X - 2.6) < 0.45)
OWN = -2.5 * np.cos(np.pi * (X - 2.6) / 0.9) * SAMPLE


def images(ramps: list[tuple[float, float]], noise: float = 0.0, seed: int = 0) -> xr.DataArray:
    """The sample's phase with a constant, a ramp in rad/µm and noise, wrapped."""
    rng = np.random.default_rng(seed)
    stack = [
        OWN + 1.1 + y * Y[:, None] + x * X + rng.normal(0, noise or 1e-12, OWN.shape)
        for y, x in ramps
    ]
    return xr.DataArray(
        wrapped(np.array(stack)),
        dims=("energy", "y", "x"),
        coords={"energy": 518.2 + np.arange(len(ramps)), "y": Y, "x": X},
        attrs={"unit": "rad", "quantity": "optical_density", "source": "here"},
    )


def test_ramps_of_many_turns() -> None:
    ramps = [(0.0, 0.0), (0.3, -0.8), (37.0, -91.0), (-210.0, 160.0)]  # up to 33 turns in the field
    maps = phase_maps(images(ramps), ~SAMPLE)
    np.testing.assert_allclose(maps, np.broadcast_to(OWN, maps.shape), atol=1e-5)
    np.testing.assert_allclose(np.stack([maps.ramp_y, maps.ramp_x], axis=1), ramps, atol=1e-6)
    assert (maps.background_sd < 1e-5).all()
    assert maps.attrs["units"] == "rad"
    assert maps.ramp_x.attrs["units"] == "rad/µm"
    assert maps.attrs["background_pixels"] == (~SAMPLE).sum()
    assert "quantity" not in maps.attrs


def test_error_of_the_ramp_is_that_of_least_squares() -> None:
    """From a narrow region at one side, with noise of 0.3 rad."""
    empty = ~SAMPLE & (X < 2.3)
    noise, n = 0.3, 40
    maps = phase_maps(images([(20.0, 150.0)] * n, noise), empty)
    np.testing.assert_allclose(maps.background_sd, noise, rtol=0.1)
    rows, columns = np.nonzero(empty)
    design = np.stack([np.ones(rows.size), Y[rows], X[columns]], axis=1)
    expected = noise * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))[1:]
    found = np.stack([maps.ramp_y - 20, maps.ramp_x - 150], axis=1)
    assert (np.sqrt((found**2).mean(axis=0)) < 1.4 * expected).all()
    assert (np.sqrt((found**2).mean(axis=0)) > 0.6 * expected).all()


def test_some_sample_in_the_empty_region_hardly_matters() -> None:
    dirty = ~SAMPLE | (np.abs(X - 2.6) < 0.05)
    maps = phase_maps(images([(10.0, 60.0)], 0.05), dirty)
    assert abs(maps.ramp_x.item() - 60) < 0.02
    assert abs(float(maps[0].where(~xr.DataArray(SAMPLE, dims=("y", "x"))).mean())) < 0.05


def test_missing_pixels_stay_missing() -> None:
    stack = images([(5.0, 70.0)])
    stack[0, :4] = np.nan
    maps = phase_maps(stack, ~SAMPLE)
    assert np.isnan(maps[0, :4]).all()
    np.testing.assert_allclose(maps[0, 4:], OWN[4:], atol=1e-5)


def test_wrapping() -> None:
    phases = np.linspace(-20, 20, 4001)
    np.testing.assert_allclose(np.exp(1j * wrapped(phases)), np.exp(1j * phases))
    assert wrapped(phases).max() <= np.pi
    assert (wrapped(np.array([-np.pi, np.pi])) == np.pi).all()


def test_what_is_refused() -> None:
    stack = images([(1.0, 2.0)])
    with pytest.raises(StackError, match=r"518\.20 eV: the empty region has 0 pixels"):
        phase_maps(stack, np.zeros(OWN.shape, dtype=bool))
    with pytest.raises(StackError, match="lies along a line"):
        phase_maps(stack, np.broadcast_to((Y[3] == Y)[:, None], OWN.shape))
    with pytest.raises(StackError, match="in arbitrary, not in rad"):
        phase_maps(stack.assign_attrs(unit="arbitrary"), ~SAMPLE)
    with pytest.raises(StackError, match=r"phases have the dims"):
        phase_maps(stack[0], ~SAMPLE)
    with pytest.raises(StackError, match="mask has shape"):
        phase_maps(stack, ~SAMPLE[1:])


def test_a_region_that_is_not_empty_is_said() -> None:
    stack = images([(1.0, 2.0)], noise=2.5)
    with pytest.warns(ChemoscapeWarning, match="scatter by"):
        phase_maps(stack, ~SAMPLE)
