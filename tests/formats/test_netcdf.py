"""HDF5 as xarray writes it, and other HDF5 with dimension scales."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, find_format, netcdf, open_source, open_stack

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

ENERGY = 510 + 0.2 * np.arange(5)


@pytest.fixture
def cube() -> xr.DataArray:
    return xr.DataArray(
        np.random.default_rng(0).poisson(300, (5, 6, 7)).astype(np.float64),
        dims=("energy", "y", "x"),
        coords={
            "energy": ("energy", ENERGY, {"units": "eV"}),
            "y": ("y", np.arange(6) * 0.04, {"units": "µm"}),
            "x": ("x", np.arange(7) * 0.05, {"units": "µm"}),
            "ring_current": ("energy", np.linspace(300, 299, 5)),
            "polarisation": ("energy", ["LH", "LH", "LV", "LV", "LV"]),
        },
        name="counts",
        attrs={"dwell_ms": 1.5, "sample": "wire", "n": 3},
    )


def test_array_of_xarray(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert find_format(tmp_path / "a.nc")[0].name == "netcdf"
    opened = open_stack(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened, cube)
    assert opened.attrs["quantity"] == "counts"
    assert (opened.attrs["dwell_ms"], opened.attrs["sample"], opened.attrs["n"]) == (1.5, "wire", 3)
    np.testing.assert_array_equal(opened.energy, ENERGY)
    np.testing.assert_array_equal(opened.x, cube.x)
    np.testing.assert_array_equal(opened.ring_current, cube.ring_current)
    assert opened.polarisation.values.tolist() == ["LH", "LH", "LV", "LV", "LV"]
    lazy = open_stack(tmp_path / "a.nc", lazy=True)
    np.testing.assert_array_equal(lazy[:, 2:4].compute(), cube[:, 2:4])
    assert describe(tmp_path / "a.nc")["pixel_um"] == [0.04, 0.05]


@pytest.mark.parametrize("order", ["yxe", "xye", "exy", "yex", "xey"])
def test_any_order(cube: xr.DataArray, tmp_path: Path, order: str) -> None:
    dims = [{"e": "energy"}.get(role, role) for role in order]
    cube.transpose(*dims).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_array_equal(open_stack(tmp_path / "a.nc"), cube)
    np.testing.assert_array_equal(open_stack(tmp_path / "a.nc", lazy=True), cube)


@pytest.mark.parametrize(
    ("names", "unit", "factor"),
    [
        (("E", "row", "col"), "nm", 1e3),
        (("photon_energy", "sample_y", "sample_x"), "mm", 1e-3),
        (("eV", "Y", "X"), "m", 1e-6),
    ],
)
def test_other_names_and_units(
    cube: xr.DataArray, tmp_path: Path, names: tuple[str, str, str], unit: str, factor: float
) -> None:
    other = cube.drop_vars(["ring_current", "polarisation"])
    y = xr.Variable("y", cube.y.values * factor, {"units": unit})
    x = xr.Variable("x", cube.x.values * factor, {"units": unit})
    e = xr.Variable("energy", ENERGY / 1e3, {"units": "keV"})
    other = other.assign_coords(y=y, x=x, energy=e)
    other = other.rename(dict(zip(cube.dims, names, strict=True)))
    other.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    opened = open_stack(tmp_path / "a.nc")
    np.testing.assert_allclose(opened.energy, ENERGY)
    np.testing.assert_allclose(opened.x, cube.x)
    np.testing.assert_array_equal(opened, cube)


def test_without_positions(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.drop_vars(["x", "y"]).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.warns(ChemoscapeWarning, match="no pixel size"):
        opened = open_stack(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened, cube)
    opened = open_stack(tmp_path / "a.nc", pixel_um=0.1)
    assert opened.x[1] == pytest.approx(0.1)


def test_without_energies(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.drop_vars("energy").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="5 images and no photon energies; give them"):
        open_stack(tmp_path / "a.nc")
    np.testing.assert_array_equal(open_stack(tmp_path / "a.nc", energy=ENERGY), cube)


def test_dataset_of_several(cube: xr.DataArray, tmp_path: Path) -> None:
    both = xr.Dataset({"variance": cube + 1, "optical_density": cube / 100})
    both.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", group="one/two")
    with pytest.warns(ChemoscapeWarning, match="'one/two/optical_density' was opened"):
        opened = open_stack(tmp_path / "a.nc")
    assert opened.attrs["quantity"] == "optical_density"
    np.testing.assert_array_equal(opened, (cube / 100).astype(np.float32))
    other = open_stack(tmp_path / "a.nc", channel="one/two/variance", quantity="counts")
    np.testing.assert_array_equal(other, cube + 1)


def test_packed_values(cube: xr.DataArray, tmp_path: Path) -> None:
    gap = cube.where(cube.x > 0.01)
    gap.to_netcdf(
        tmp_path / "a.nc",
        engine="h5netcdf",
        encoding={
            "counts": {"dtype": "i2", "scale_factor": 0.5, "add_offset": 100, "_FillValue": -1}
        },
    )
    opened = open_stack(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened, gap)
    assert opened[:, :, 0].isnull().all()


def test_compressed_in_chunks(cube: xr.DataArray, tmp_path: Path) -> None:
    coding = {"zlib": True, "chunksizes": (1, 6, 7)}
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"counts": coding})
    source, _ = open_source(tmp_path / "a.nc")
    assert source.framewise
    np.testing.assert_array_equal(open_stack(tmp_path / "a.nc", lazy=True), cube)
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(1, 3), slice(2, 4)), cube[1:3, 2:4])


def test_labels_without_scales(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["od"] = values
        for dim, name in zip(file["od"].dims, ("energy", "y", "x"), strict=True):
            dim.label = name
    opened = open_stack(tmp_path / "a.h5", energy=[1, 2], pixel_um=1)
    np.testing.assert_array_equal(opened, values)
    assert opened.attrs["quantity"] == "optical_density"


def test_descending_axes(cube: xr.DataArray, tmp_path: Path) -> None:
    cube[::-1, ::-1].to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    opened = open_stack(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened, cube)
    np.testing.assert_array_equal(opened.ring_current, cube.ring_current)


@pytest.mark.parametrize("axis", ["energy", "y"])
def test_impossible_labels(cube: xr.DataArray, tmp_path: Path, axis: str) -> None:
    values = cube[axis].values.copy()
    values[2] = np.inf
    cube.assign_coords({axis: values}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="an impossible"):
        open_stack(tmp_path / "a.nc")


def test_axis_in_no_length(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.x.attrs["units"] = "pixels"
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.warns(ChemoscapeWarning, match="x axis is in 'pixels', which is no length"):
        open_stack(tmp_path / "a.nc", pixel_um=0.1)


def test_a_file_that_xarray_has_open(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as there:
        np.testing.assert_array_equal(there, cube)
        np.testing.assert_array_equal(open_stack(tmp_path / "a.nc"), cube)


def test_other_files_are_not_claimed(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.rename(energy="angle").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert not netcdf.sniff(tmp_path / "a.nc")
    (tmp_path / "b.nc").write_bytes(b"CDF\x01")
    assert not netcdf.sniff(tmp_path / "b.nc")


def test_links_out_of_the_file_are_not_followed(cube: xr.DataArray, tmp_path: Path) -> None:
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["counts"] = h5py.ExternalLink("a.nc", "/counts")
        file["soft"] = h5py.SoftLink("/counts")
    assert not netcdf.sniff(tmp_path / "b.h5")


def test_a_small_file_cannot_claim_a_large_array(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("od", (1000, 10_000, 10_000), "f4", chunks=(1, 100, 100))
        for dim, name in zip(file["od"].dims, ("energy", "y", "x"), strict=True):
            dim.label = name
        file["od"][0, :1, :1] = 1.0
    with pytest.raises(FileFormatError, match=r"more than its \d+ bytes can hold"):
        open_stack(tmp_path / "a.h5", energy=[1])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(
    cube: xr.DataArray, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "a.nc"
    if not path.exists():
        cube.to_netcdf(path, engine="h5netcdf")
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path / "damaged.nc"
    damaged.write_bytes(bytes(content))
    options: dict[str, Any]
    for options in ({}, {"energy": ENERGY}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            try:
                opened = open_stack(damaged, **options)
            except ChemoscapeError:
                continue
        assert opened.dims == ("energy", "y", "x")
        describe(damaged, look=False, **options)
