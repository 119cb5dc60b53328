"""Stacks of several files as one: exact where grids agree, on common pixels where not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.formats import open_stack, save_stack
from chemoscape.preprocess.joining import join_energies
from chemoscape.regrid import noise_gain
from chemoscape.stack import build


def image(energy: float, pixel: float = 0.05, n: int = 40, at: float = 3.0, **more: Any) -> Any:
    """A stack of one energy of a smooth sample at a known place, positions from `at` on."""
    axis = at + pixel * np.arange(n)
    counts = (
        1000 * (energy / 500) * np.exp(-np.exp(-((axis - 4) ** 2 + (axis[:, None] - 4.2) ** 2)))
    )
    attrs = {"format": "sdf", "source": f"{energy:g}.hdr"} | more.pop("attrs", {})
    per_energy = more.pop("per_energy", {})
    return build(
        counts[None], [energy], axis, axis, quantity="counts", per_energy=per_energy, attrs=attrs
    )


def quietly(stacks: list[xr.DataArray]) -> tuple[xr.DataArray, str]:
    """The joined stack and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        joined = join_energies(stacks)
    return joined, "\n".join(str(one.message) for one in said)


def test_exact_where_grids_agree() -> None:
    one, other = image(555.0), image(518.2)
    joined = join_energies([one, other])
    assert joined.energy.values.tolist() == [518.2, 555.0]
    np.testing.assert_array_equal(joined[0], other[0])
    np.testing.assert_array_equal(joined[1], one[0])
    np.testing.assert_array_equal(joined.y, one.y)
    assert "noise_gain" not in joined.coords
    assert joined.attrs["source"] == "555.hdr; 518.2.hdr"
    assert joined.attrs["format"] == "sdf"
    assert joined.attrs["joined"] == "2 stacks on pixels of 50 × 50 nm"
    np.testing.assert_array_equal(join_energies([joined]), joined)


def test_positions_of_a_stage_are_kept() -> None:
    coarse, fine = image(518.2, 0.05, 40, at=3.0), image(519.4, 0.02, 80, at=3.31)
    joined = join_energies([fine, coarse])
    np.testing.assert_allclose(np.diff(joined.x), 0.05)
    assert set(joined.x.values) <= set(coarse.x.values)
    assert joined.x[0] - 0.025 >= 3.30 - 1e-9
    assert joined.x[-1] + 0.025 <= 3.30 + 80 * 0.02 + 1e-9
    inside = coarse.sel(x=joined.x, y=joined.y)[0]
    np.testing.assert_array_equal(joined[0], inside)
    np.testing.assert_allclose(joined[1], inside * 519.4 / 518.2, rtol=1e-3)  # means of its pixels
    there = (fine.y.values, fine.x.values, joined.y.values, joined.x.values)
    np.testing.assert_allclose(joined.noise_gain, [1, noise_gain(*there)])
    assert joined.noise_gain[1] < 0.25


def test_fields_without_positions_are_centred() -> None:
    """Reconstructions have none, nor have files whose axes begin at 0."""
    stage = image(518.2, 0.05, 40, at=3.2)
    lost = image(519.4, 0.02, 60, at=3.59)
    axis = 0.02 * np.arange(60)
    lost = lost.assign_coords(y=axis + 7, x=axis + 9).assign_attrs(format="cxi")
    joined, said = quietly([stage, lost])
    assert "put on each other by their centres, since 519.4.hdr has no absolute position" in said
    assert "1 of 2 stacks resampled" in joined.attrs["joined"]
    assert joined.shape == (2, 24, 24)  # 1.2 µm
    middle = stage[0].isel(y=slice(8, 32), x=slice(8, 32))
    np.testing.assert_array_equal(joined[0], middle)
    shift = 0.005  # the fields' centres: 4.175 and 4.18 µm
    seen = image(519.4, 0.05, 24, at=3.2 + 8 * 0.05 + shift)[0]
    np.testing.assert_allclose(joined[1], seen, rtol=2e-3)
    apart, said = quietly([image(518.2), image(519.4, at=30.0)])
    assert "do not overlap in the positions of their files" in said
    assert apart.shape == (2, 40, 40)


def test_phases_are_interpolated_as_waves() -> None:
    attrs = {"unit": "rad", "channel": "phase", "format": "cxi"}

    def phases(energy: float, pixel: float, n: int) -> xr.DataArray:
        axis = pixel * (np.arange(n) - (n - 1) / 2)
        turned = np.angle(np.exp(1j * (90 * axis - 70 * axis[:, None])))  # many turns
        return build(turned[None], [energy], axis, axis, quantity="optical_density", attrs=attrs)

    joined, _ = quietly([phases(518.2, 0.01, 90), phases(519.4, 0.0095, 96)])
    apart = np.angle(np.exp(1j * (joined[1] - joined[0]).values))
    np.testing.assert_allclose(apart, apart.mean(), atol=1e-4)


def test_coordinates_of_every_image() -> None:
    first = image(
        518.2,
        per_energy={"ring_current": [500.0], "time": [2.0], "polarisation": ["LH"]},
        attrs={"started": "2020-01-02T03:04:05", "dwell_ms": 1.0, "beamline": "x"},
    )
    second = image(
        519.4,
        per_energy={"ring_current": [499.0], "time": [1.0]},
        attrs={"started": "2020-01-02 03:14:05", "dwell_ms": 2.0, "beamline": "x"},
    )
    joined = join_energies([second, first])
    assert joined.ring_current.values.tolist() == [500.0, 499.0]
    assert joined.time.values.tolist() == [2.0, 601.0]
    assert joined.dwell.values.tolist() == [1.0, 2.0]
    assert "polarisation" not in joined.coords
    assert joined.attrs["beamline"] == "x"
    assert not {"dwell_ms", "started"} & set(joined.attrs)
    joined = join_energies([first, second.assign_attrs(started="yesterday")])
    assert "time" not in joined.coords


def test_what_cannot_be_joined() -> None:
    with pytest.raises(StackError, match="there is no stack"):
        join_energies([])
    with pytest.raises(StackError, match=r"518\.2\.hdr and 518\.2\.hdr both hold an image at 518"):
        join_energies([image(518.2), image(518.2, 0.02)])
    density = image(519.4).copy()
    density.values[:] = 1.0
    density.attrs |= {"quantity": "optical_density", "units": "1"}
    with pytest.raises(StackError, match=r"in counts, 519\.4\.hdr holds optical_density in 1"):
        join_energies([image(518.2), density])
    wave = {"unit": "arbitrary", "format": "cxi"}
    with pytest.raises(StackError, match=r"counts in arbitrary.* amplitude counts in arbitrary"):
        join_energies(
            [
                image(518.2, attrs=wave | {"channel": "intensity"}),
                image(519.4, attrs=wave | {"channel": "amplitude"}),
            ]
        )


def test_files_of_different_formats(tmp_path: Path) -> None:
    for energy, name in ((518.2, "a.nxs"), (519.4, "b.tif")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            save_stack(image(energy), tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        stacks = [open_stack(tmp_path / name) for name in ("a.nxs", "b.tif")]
    joined, _ = quietly(stacks)
    assert joined.shape == (2, 40, 40)
    for k, energy in enumerate((518.2, 519.4)):
        np.testing.assert_array_equal(joined[k], image(energy)[0])
    assert "format" not in joined.attrs
