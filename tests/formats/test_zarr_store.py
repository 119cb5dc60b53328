"""zarr stores: our own, xarray's, plain arrays, zip files, and those that are not to be trusted."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, find_format, open_source, open_stack, save_stack
from chemoscape.formats.zarr_store import _write
from chemoscape.stack import build

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

zarr = pytest.importorskip("zarr")

ENERGY = 510 + 0.2 * np.arange(5)


@pytest.fixture
def stack() -> xr.DataArray:
    values = np.random.default_rng(0).poisson(300, (5, 6, 7)) / 3
    values[0, 0, 0] = np.nan
    values[:, 5] = np.nan
    return build(
        values,
        ENERGY,
        np.arange(6) * 0.04,
        1.0 + np.arange(7) * 0.05,
        quantity="counts",
        per_energy={
            "ring_current": np.array([300, np.nan, 299, 298, 297]),
            "polarisation": np.array(["LH", "LH", "LV", "LV", "LV"]),
            "scan": np.arange(5),
        },
        attrs={"dwell_ms": 1.5, "counter_divider": 10, "sample": "α-V2O5"},
    )


def plain(stack: xr.DataArray) -> xr.DataArray:
    """The stack without what opening adds."""
    bare = stack.copy()
    bare.attrs = {k: v for k, v in stack.attrs.items() if k not in ("format", "source", "origin")}
    return bare


# what is written


def test_round_trip_is_exact(stack: xr.DataArray, tmp_path: Path) -> None:
    for _ in range(2):  # also over an older one
        assert save_stack(stack, tmp_path / "s.zarr") == ""
        assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]
        opened = open_stack(tmp_path / "s.zarr")
        xr.testing.assert_identical(plain(opened), stack)
    assert opened.attrs["format"] == "zarr"


@pytest.mark.parametrize("rows", [4, 2, (1, 5)])
def test_lazy_stack_is_written_and_read(
    stack: xr.DataArray, tmp_path: Path, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_write, "_CHUNK_BYTES", 4 * 5 * 7 * 3)  # three rows
    save_stack(stack.chunk({"y": rows}), tmp_path / "s.zarr")
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.zarr", lazy=True).compute()), stack)
    band = open_stack(tmp_path / "s.zarr", lazy=True)[:, 2:5].compute()
    np.testing.assert_array_equal(band, stack[:, 2:5])


def test_single_pixel(tmp_path: Path) -> None:
    one = build(np.full((1, 1, 1), 50.0), [500.0], [0.0], [0.0], quantity="counts")
    save_stack(one, tmp_path / "s.zarr")
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.zarr")), one)


def test_xarray_reads_what_is_written(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    with xr.open_zarr(tmp_path / "s.zarr") as there:
        np.testing.assert_array_equal(there["stack"], stack)
        numeric = set(stack.coords) - {"polarisation"}
        for name in numeric:
            np.testing.assert_array_equal(there[name], stack[name])
        assert set(there["stack"].coords) == numeric
        assert there["stack"].attrs["quantity"] == "counts"


def test_what_zarr_cannot_keep_is_said(stack: xr.DataArray, tmp_path: Path) -> None:
    more = stack.assign_coords(depth=("y", np.arange(6.0)))
    with pytest.warns(ChemoscapeWarning, match="depth cannot be kept"):
        save_stack(more, tmp_path / "s.zarr")


def test_describe_and_pickle(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    facts = describe(tmp_path / "s.zarr")
    assert facts["format"] == "zarr"
    assert facts["pixel_um"] == [0.04, 0.05]
    source, _ = open_source(tmp_path / "s.zarr")
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(1, 3), slice(2, 5)), stack[1:3, 2:5])


# what others write


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("chunks", [(1, 6, 7), (5, 2, 7), (2, 3, 4)])
@pytest.mark.parametrize("order", ["eyx", "yxe"])
def test_xarray(
    stack: xr.DataArray, tmp_path: Path, version: int, chunks: tuple[int, ...], order: str
) -> None:
    dims = [{"e": "energy"}.get(role, role) for role in order]
    data = stack.drop_vars("polarisation").transpose(*dims).to_dataset(name="optical_density")
    encoding = {"optical_density": {"chunks": tuple(chunks["eyx".index(r)] for r in order)}}
    data["optical_density"].attrs["quantity"] = "optical_density"
    data.to_zarr(tmp_path / "s.zarr", encoding=encoding, zarr_format=version, consolidated=False)
    opened = open_stack(tmp_path / "s.zarr")
    assert opened.attrs["quantity"] == "optical_density"
    np.testing.assert_array_equal(opened, stack)
    np.testing.assert_array_equal(open_stack(tmp_path / "s.zarr", lazy=True), stack)
    for name in ("energy", "y", "x", "ring_current", "scan"):
        np.testing.assert_array_equal(opened[name], stack[name])
    source, _ = open_source(tmp_path / "s.zarr")
    assert source.framewise == (chunks[0] == 1)
    assert source.rows_per_read == chunks[1]


def codecs(version: int) -> list[dict[str, Any]]:
    if version == 2:
        from numcodecs import LZ4, Blosc, Delta, GZip, Zlib

        return [
            {"compressors": None},
            {"compressors": Blosc(cname="lz4")},
            {"compressors": GZip()},
            {"compressors": Zlib(), "filters": [Delta("u2")]},
            {"compressors": LZ4(), "order": "F"},
        ]
    from zarr.codecs import BloscCodec, GzipCodec

    return [
        {"compressors": None},
        {"compressors": BloscCodec()},
        {"compressors": GzipCodec()},
        {"shards": (5, 4, 8)},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    ]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", range(5))
def test_plain_array(tmp_path: Path, version: int, kind: int) -> None:
    values = np.random.default_rng(0).poisson(300, (5, 6, 7)).astype("u2")
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=(5, 6, 7),
        dtype="u2",
        chunks=(5, 2, 4),
        zarr_format=version,
        **codecs(version)[kind],
    )
    array[...] = values
    assert find_format(tmp_path / "a.zarr")[0].name == "zarr"
    opened = open_stack(tmp_path / "a.zarr", energy=ENERGY, pixel_um=0.1)
    np.testing.assert_array_equal(opened, values)
    lazy = open_stack(tmp_path / "a.zarr", energy=ENERGY, pixel_um=0.1, lazy=True)
    np.testing.assert_array_equal(lazy[:, 3:5], values[:, 3:5])
    turned = open_stack(tmp_path / "a.zarr", energy=range(1, 8), pixel_um=0.1, axes="xye")
    np.testing.assert_array_equal(turned, values.transpose(2, 1, 0))


def test_list_beside(tmp_path: Path) -> None:
    values = np.random.default_rng(0).poisson(300, (6, 7, 5))
    zarr.create_array(tmp_path / "a.zarr", data=values)
    (tmp_path / "energies.txt").write_text("\n".join(map(str, ENERGY)))
    opened = open_stack(tmp_path / "a.zarr", pixel_um=0.1)
    np.testing.assert_array_equal(opened, values.transpose(2, 0, 1))
    (tmp_path / "energies.txt").write_text("1\n2\n")
    with pytest.raises(FileFormatError, match=r"holds 6 images, but energies\.txt has 2 energies"):
        open_stack(tmp_path / "a.zarr")


def test_coordinates_without_names_of_dimensions(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w")
    values = np.random.default_rng(0).poisson(300, (6, 7, 5))
    axes = {"energy": ENERGY, "y": np.arange(6) * 0.1, "x": np.arange(7) * 0.2}
    for name, one in {"counts": values, **axes}.items():
        zarr.create_array(tmp_path / "a.zarr", name=name, data=one)
    opened = open_stack(tmp_path / "a.zarr")
    np.testing.assert_array_equal(opened, values.transpose(2, 0, 1))
    assert opened.x[-1] == pytest.approx(1.2)


def test_several_arrays(stack: xr.DataArray, tmp_path: Path) -> None:
    both = xr.Dataset({"variance": stack + 1, "counts": stack}).drop_vars("polarisation")
    both.to_zarr(tmp_path / "s.zarr", group="one", consolidated=False)
    zarr.open_group(tmp_path / "s.zarr", mode="a")
    with pytest.warns(ChemoscapeWarning, match="'one/counts' was opened"):
        opened = open_stack(tmp_path / "s.zarr")
    np.testing.assert_array_equal(opened, stack)
    other = open_stack(tmp_path / "s.zarr", channel="one/variance")
    np.testing.assert_array_equal(other, stack + 1)


@pytest.mark.parametrize("below", [False, True])
def test_zip(stack: xr.DataArray, tmp_path: Path, below: bool) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    base = "s.zarr" if below else "."
    root = tmp_path if below else tmp_path / "s.zarr"
    shutil.make_archive(str(tmp_path / "s"), "zip", root, base)
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.zip")), stack)
    lazy = open_stack(tmp_path / "s.zip", lazy=True)
    np.testing.assert_array_equal(lazy[:, 1:3].compute(), stack[:, 1:3])


def test_packed_values(stack: xr.DataArray, tmp_path: Path) -> None:
    coding = {"dtype": "i2", "scale_factor": 0.5, "add_offset": 100, "_FillValue": -30000}
    rounded = (stack * 2).round() / 2
    rounded.drop_vars("polarisation").to_dataset(name="counts").to_zarr(
        tmp_path / "s.zarr", encoding={"counts": coding}, consolidated=False
    )
    np.testing.assert_array_equal(open_stack(tmp_path / "s.zarr"), rounded)


# damage


def small_chunks(stack: xr.DataArray, path: Path) -> None:
    """Our own layout in chunks of two rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_write, "_CHUNK_BYTES", 4 * 5 * 7 * 2)
        save_stack(stack, path)


def test_missing_chunks_are_counted(stack: xr.DataArray, tmp_path: Path) -> None:
    small_chunks(stack, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "stack" / "0.1.0").unlink()
    with pytest.warns(ChemoscapeWarning, match="1 of 3 chunks are not in the store"):
        opened = open_stack(tmp_path / "s.zarr")
    assert opened[:, 2:4].isnull().all()
    np.testing.assert_array_equal(opened[:, :2], stack[:, :2])


def test_damaged_chunk(stack: xr.DataArray, tmp_path: Path) -> None:
    small_chunks(stack, tmp_path / "s.zarr")
    chunk = tmp_path / "s.zarr" / "stack" / "0.1.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1  # the checksum
    chunk.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="stack cannot be read"):
        open_stack(tmp_path / "s.zarr")


def test_a_store_cannot_claim_a_large_array(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(1000, 100_000, 100_000), dtype="f4")
    with pytest.raises(FileFormatError, match="more than its 0 bytes can hold"):
        open_stack(tmp_path / "a.zarr", energy=[1])


def test_links_out_of_the_store(stack: xr.DataArray, tmp_path: Path) -> None:
    small_chunks(stack, tmp_path / "s.zarr")
    chunk = tmp_path / "s.zarr" / "stack" / "0.1.0"
    chunk.rename(tmp_path / "secret")
    chunk.symlink_to(tmp_path / "secret")
    with pytest.raises(FileFormatError, match=r"stack/0\.1\.0 leads out of the folder"):
        open_stack(tmp_path / "s.zarr")
    chunk.unlink()
    (tmp_path / "secret").rename(tmp_path / "s.zarr" / "elsewhere")
    chunk.symlink_to(tmp_path / "s.zarr" / "elsewhere")  # inside
    np.testing.assert_array_equal(open_stack(tmp_path / "s.zarr"), stack)
    (tmp_path / "s.zarr" / "round").symlink_to(tmp_path / "s.zarr")  # not walked
    np.testing.assert_array_equal(open_stack(tmp_path / "s.zarr"), stack)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_pipe_is_never_opened(stack: xr.DataArray, tmp_path: Path) -> None:
    small_chunks(stack, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "stack" / "0.1.0").unlink()
    os.mkfifo(tmp_path / "s.zarr" / "stack" / "0.1.0")
    with pytest.raises(FileFormatError, match=r"stack/0\.1\.0 is not a regular file"):
        open_stack(tmp_path / "s.zarr")


def edited(path: Path, **facts: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"compressor": {"id": "pickle"}}, "stack is packed with pickle, which is not read here"),
        ({"filters": [{"id": "json2"}]}, "stack is packed with json2"),
        ({"dtype": "|O"}, "holds no array of energy × y × x"),
        ({"dtype": [["a", "<f4"]]}, "holds no array of energy × y × x"),
        ({"shape": [5, -6, 7]}, "the description of stack is incomplete"),
        ({"shape": [5, 6]}, "the description of stack contradicts itself"),
        ({"shape": "many"}, "the description of stack is incomplete"),
        ({"chunks": [5, 10**9, 10**9]}, "more than its .* bytes can hold"),
        ({"zarr_format": 7}, "the description of stack contradicts itself"),
    ],
    ids=range(9),
)
def test_descriptions_that_are_refused(
    stack: xr.DataArray, tmp_path: Path, facts: dict[str, Any], match: str
) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    edited(tmp_path / "s.zarr" / "stack" / ".zarray", **facts)
    with pytest.raises(FileFormatError, match=match):
        open_stack(tmp_path / "s.zarr")


def test_pickle_in_a_shard(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "a.zarr", data=np.zeros((2, 3, 4)), shards=(2, 3, 4), chunks=(2, 3, 2)
    )
    path = tmp_path / "a.zarr" / "zarr.json"
    facts = json.loads(path.read_text())
    facts["codecs"][0]["configuration"]["codecs"].append({"name": "numcodecs.pickle"})
    path.write_text(json.dumps(facts))
    with pytest.raises(FileFormatError, match="the root is packed with pickle"):
        open_stack(tmp_path / "a.zarr", energy=[1, 2])


def test_broken_description(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "stack" / ".zarray").write_text("{")
    with pytest.raises(FileFormatError, match=r"stack/\.zarray is no JSON"):
        open_stack(tmp_path / "s.zarr")


def test_other_shapes(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=np.zeros((1, 1, 2, 3, 4)))
    with pytest.raises(FileFormatError, match=r"no array of energy × y × x \(a \(1, 1, 2, 3, 4\)"):
        open_stack(tmp_path / "a.zarr", energy=[1])
    zarr.open_group(tmp_path / "b.zarr", mode="w")
    with pytest.raises(FileFormatError, match="no array at all"):
        open_stack(tmp_path / "b.zarr", energy=[1])


def test_archive_bomb(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.zarr")
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for file in (tmp_path / "s.zarr").rglob("*"):
            archive.write(file, file.relative_to(tmp_path / "s.zarr"))
        archive.writestr("stack/0.9.0", bytes(30_000_000))
    with pytest.raises(FileFormatError, match=r"stack/0\.9\.0 claims 30000000 bytes"):
        open_stack(tmp_path / "s.zip")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(
    stack: xr.DataArray, tmp_path: Path, data: st.DataObject
) -> None:
    whole = tmp_path / "whole.zarr"
    if not whole.exists():
        save_stack(stack, whole)
        shutil.make_archive(str(tmp_path / "whole"), "zip", whole, ".")
    damaged = tmp_path / "damaged.zarr"
    shutil.rmtree(damaged, ignore_errors=True)
    if data.draw(st.integers(0, 3)) == 0:
        damaged = victim = tmp_path / "damaged.zip"
        shutil.copy(tmp_path / "whole.zip", damaged)
    else:
        shutil.copytree(whole, damaged)
        files = sorted(path for path in damaged.rglob("*") if path.is_file())
        victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    victim.write_bytes(bytes(content))
    for options in ({}, {"energy": ENERGY}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            try:
                opened = open_stack(damaged, **options)
            except ChemoscapeError:
                continue
        assert opened.dims == ("energy", "y", "x")
        describe(damaged, look=False, **options)
