"""Our own stack file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import describe, open_stack, save_stack
from chemoscape.stack import build


@pytest.fixture
def stack() -> xr.DataArray:
    values = np.random.default_rng(0).poisson(300, (5, 6, 7)).astype(float)
    values[0, 0, 0] = np.nan
    return build(
        values,
        510 + 0.2 * np.arange(5),
        np.arange(6) * 0.04,
        np.arange(7) * 0.04,
        quantity="counts",
        per_energy={"ring_current": np.linspace(300, 299, 5), "time": np.arange(5.0)},
        attrs={"source": "somewhere", "dwell_ms": 1.5, "counter_divider": 10},
    )


def test_round_trip(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.h5")
    again = open_stack(tmp_path / "s.h5")
    assert again.attrs.pop("format") == "hdf5"
    assert again.attrs.pop("source") == str(tmp_path / "s.h5")
    again.attrs["source"] = again.attrs.pop("origin")
    xr.testing.assert_identical(again, stack)
    assert again.dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_other_programs_read_it(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.h5")
    with xr.open_dataset(tmp_path / "s.h5", engine="h5netcdf") as there:
        np.testing.assert_array_equal(there["stack"], stack)
        assert there["stack"].attrs["quantity"] == "counts"
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["stack"].fletcher32
        np.testing.assert_array_equal(file["ring_current"], stack.ring_current)


def test_lazy_stack_is_written(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack.chunk({"y": 2}), tmp_path / "s.h5")
    xr.testing.assert_equal(open_stack(tmp_path / "s.h5"), stack)


def test_describe(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.h5")
    facts = describe(tmp_path / "s.h5")
    assert facts["shape"] == [5, 6, 7]
    assert facts["quantity"] == "counts"
    assert facts["ring_current"] == [299, 300]
    assert facts["looks_wrong"] == ["0.5% of the values are missing (NaN)"]
    assert facts["energy_range_eV"] == pytest.approx([510, 510.8])


def test_a_small_file_cannot_claim_a_large_array(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.attrs["chemoscape_stack"] = 1
        shape = (1000, 10_000, 10_000)
        file.create_dataset("stack", shape, dtype="f4", chunks=(1, 100, 100))[0, :99, :99] = 1
        for name, n in (("energy", 1000), ("y", 10_000), ("x", 10_000)):
            file[name] = np.arange(n, dtype=float)
    with pytest.raises(FileFormatError, match="more than its 40000 bytes can hold"):
        open_stack(tmp_path / "bomb.h5")


def test_later_version(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file.attrs["chemoscape_stack"] = 2
    with pytest.raises(FileFormatError, match="version 2, this program reads 1; update"):
        open_stack(tmp_path / "s.h5")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_the_right_answer_or_our_error(
    stack: xr.DataArray, tmp_path: Path, data: st.DataObject
) -> None:
    save_stack(stack, tmp_path / "whole.h5")
    content = bytearray((tmp_path / "whole.h5").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "damaged.h5").write_bytes(bytes(content))
    try:
        again = open_stack(tmp_path / "damaged.h5")
    except ChemoscapeError:
        return
    np.testing.assert_array_equal(again, stack)  # checksums guard images and axes
