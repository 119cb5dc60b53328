"""Files made to harm, folders with traps, and files that change: the right answer or our error."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fuzzing
import h5py
import numpy as np
import pytest
import sound
import xarray as xr
import zarr

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import _hdf5, describe, open_spectra, open_stack, save_stack
from chemoscape.formats.conversion import written_endings
from chemoscape.stack import build

SECRET = 54321.0

STACKS = [ending for ending in written_endings() if ending not in (".txt", ".csv")]

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_note)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Names of all files that Python opens during a test."""
    global _opened
    _opened = []
    yield _opened
    _opened = None


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return sound.corpus(tmp_path_factory.mktemp("sound"))


def copy_of(original: Path, into: Path) -> Path:
    """A copy of a file and its companions."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(original.parent, into)
    return into / original.name


def answers(path: Path) -> list[xr.DataArray]:
    """What a file opens as, in every way; anything else than our errors passes through."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for work in (open_stack, open_spectra, describe, lazily):
            try:
                got = work(path)
            except ChemoscapeError:
                continue
            if isinstance(got, xr.DataArray):
                found.append(got)
    return found


def lazily(path: Path) -> xr.DataArray:
    return open_stack(path, lazy=True).compute()


# --- links ---


def test_companions_that_are_links_out_of_the_folder(
    originals: dict[str, Path], tmp_path: Path, opened: list[str]
) -> None:
    outside = tmp_path / "outside"
    found = []
    for original in originals.values():
        names = [p.relative_to(original.parent) for p in original.parent.rglob("*") if p.is_file()]
        for name in names:
            if len(names) == 1 or name == Path(original.name):
                continue  # the user may give a link
            path = copy_of(original, tmp_path / "work")
            shutil.rmtree(outside, ignore_errors=True)
            outside.mkdir()
            victim = path.parent / name
            shutil.move(victim, outside / "secret")
            victim.symlink_to(outside / "secret")
            opened.clear()
            answers(path)
            real = [os.path.realpath(one) for one in opened]
            if any(one.startswith(str(outside)) for one in real):
                found.append(f"{original.parent.name}: {name}")
    assert not found


def test_folders_that_are_links_out_of_the_folder(
    originals: dict[str, Path], tmp_path: Path, opened: list[str]
) -> None:
    for kind, original in originals.items():
        if not kind.startswith(("zarr", "written.zarr")) or not original.is_dir():
            continue
        for name in [p.name for p in original.iterdir() if p.is_dir()]:
            path = copy_of(original, tmp_path / kind)
            shutil.move(path / name, tmp_path / kind / "elsewhere")
            (path / name).symlink_to(tmp_path / kind / "elsewhere")
            opened.clear()
            answers(path)
            assert not [one for one in map(os.path.realpath, opened) if "elsewhere" in one]


#: Kinds of files, one or two for each reader.
READERS = (
    *("sdf-stack", "sdf-points", "written.h5", "pollux", "exchange", "mistral", "cxi-folder"),
    *("xanespy", "tiff-folder", "axis2000", "stk", "txrm", "xrm-folder", "npy", "npz", "zarr-2"),
    *("zarr-3-shards", "zarr-zip", "results", "netcdf", "library", "athena", "msa", "text-xas"),
)

#: Kinds of HDF5 files, one for each reader.
HDF5 = (
    *("written.h5", "written.nxs", "nxstxm", "als-2.1", "exchange-mantis", "mistral"),
    *("cxi-entries", "xanespy", "results", "netcdf", "library"),
)


def things_in(path: Path, kind: type) -> list[str]:
    """Names of the groups down to the second level, or of the images and energies, of a file."""
    found: list[str] = []

    def look(name: str, thing: Any) -> None:
        if isinstance(thing, kind) and (
            name.count("/") < 2
            if kind is h5py.Group
            else thing.ndim > 1 or name.endswith(("energy", "energies", "/x"))
        ):
            found.append(name)

    with h5py.File(path) as file:
        file.visititems(look)
    return found


def secretly(_: str, thing: Any) -> None:
    """Fill an array with the secret."""
    if isinstance(thing, h5py.Dataset) and thing.dtype.kind in "fiu" and thing.size:
        thing[...] = np.full(thing.shape, SECRET).astype(thing.dtype)


@pytest.mark.parametrize("way", ["external", "soft", "virtual", "raw", "loop"])
@pytest.mark.parametrize("kind", HDF5)
def test_arrays_in_another_file(
    originals: dict[str, Path], tmp_path: Path, kind: str, way: str
) -> None:
    for name in things_in(originals[kind], h5py.Dataset):
        path = copy_of(originals[kind], tmp_path / "work")
        secret = str(path.parent / "secret")
        with h5py.File(path, "a") as file:
            shape, dtype = file[name].shape, file[name].dtype
            values = np.full(shape, SECRET).astype(dtype)
            del file[name]
            if way == "raw":
                values.tofile(secret)
                file.create_dataset(name, shape, dtype, external=[(secret, 0, values.nbytes)])
            elif way == "loop":
                file[name] = h5py.SoftLink(f"/{name}")
            else:
                with h5py.File(secret, "w") as other:
                    other["secret"] = values
            if way == "external":
                file[name] = h5py.ExternalLink(secret, "/secret")
            elif way == "soft":
                file["out"] = h5py.ExternalLink(secret, "/secret")
                file[name] = h5py.SoftLink("/out")
            elif way == "virtual":
                layout = h5py.VirtualLayout(shape, dtype)
                layout[...] = h5py.VirtualSource(secret, "secret", shape, dtype)
                file.create_virtual_dataset(name, layout)
        assert not any(map(holds_secret, answers(path))), name


@pytest.mark.parametrize("way", ["external", "soft"])
@pytest.mark.parametrize("kind", HDF5)
def test_groups_in_another_file(
    originals: dict[str, Path], tmp_path: Path, kind: str, way: str
) -> None:
    for name in things_in(originals[kind], h5py.Group):
        path = copy_of(originals[kind], tmp_path / "work")
        secret = str(path.parent / "secret")
        with h5py.File(path, "a") as file, h5py.File(secret, "w") as other:
            file.copy(name, other, "secret")
            other["secret"].visititems(secretly)
            del file[name]
            file["out" if way == "soft" else name] = h5py.ExternalLink(secret, "/secret")
            if way == "soft":
                file[name] = h5py.SoftLink("/out")
        assert not any(map(holds_secret, answers(path))), name


def holds_secret(found: xr.DataArray) -> bool:
    """Whether values or axes hold the number of the other file."""
    numbers = [found, *(axis for axis in found.coords.values() if axis.dtype.kind in "fiu")]
    return any((one.values == SECRET).any() for one in numbers)


# --- bombs and pickles ---


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["npy", "npz", "npz energy", "zarr", "zarr zip"])
def test_pickles_are_never_loaded(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    objects = np.full((2, 2, 2), None, dtype=object)
    objects[0, 0, 0] = Bomb(mark)
    if kind == "npy":
        path = tmp_path / "a.npy"
        np.save(path, objects, allow_pickle=True)
    elif kind.startswith("npz"):
        path = tmp_path / "a.npz"
        arrays = {"data": objects} if kind == "npz" else {"data": sound.COUNTS, "energy": objects}
        np.savez(path, **arrays, allow_pickle=True)
    else:
        path = tmp_path / "a.zarr"
        path.mkdir()
        facts = {"zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2], "dtype": "|O"}
        facts |= {"fill_value": None, "order": "C", "compressor": None}
        (path / ".zarray").write_text(json.dumps({**facts, "filters": [{"id": "pickle"}]}))
        (path / "0.0.0").write_bytes(pickle.dumps(objects))
        if kind == "zarr zip":
            path = Path(shutil.make_archive(str(path), "zip", path))
    answers(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # it would have gone off


def bombs(folder: Path) -> dict[str, Path]:
    """Small files that unpack to 320 MB in one piece."""
    zeros = bytes(64_000_000)
    found = {}

    def zipped(name: str, member: str, head: bytes, n: int) -> None:
        found[name] = folder / name
        with (
            zipfile.ZipFile(found[name], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(member, "w", force_zip64=True) as stream,
        ):
            stream.write(head)
            for _ in range(n):
                stream.write(zeros)

    header = io.BytesIO()
    shape = (20, 4000, 4000)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<u1", "fortran_order": False, "shape": shape}
    )
    zipped("a.npz", "data.npy", header.getvalue(), 5)
    zipped("long.npz", "energy.npy", header.getvalue(), 5)
    zipped("a.zip", "zarr.json", b" ", 5)
    found["a.prj"] = folder / "a.prj"
    with gzip.open(found["a.prj"], "wb", compresslevel=1) as stream:
        stream.write(b"# Athena project file -- Demeter version 0.9.24\n")
        for _ in range(5):
            stream.write(zeros)
    found["a.h5"] = folder / "a.h5"
    with h5py.File(found["a.h5"], "w") as file:
        file["exchange/energy"] = np.arange(500.0, 520)
        packed = {"chunks": shape, "compression": "gzip", "compression_opts": 9}
        file.create_dataset("exchange/data", shape, "u1", **packed)
        file["exchange/data"].id.write_direct_chunk((0, 0, 0), b"".join(_deflated(zeros, 5)), 0)
    return found


def _deflated(piece: bytes, n: int) -> Iterator[bytes]:
    packer = zlib.compressobj(1)
    for _ in range(n):
        yield packer.compress(piece)
    yield packer.flush()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is only known on Linux")
def test_bombs(tmp_path: Path) -> None:
    for name, path in bombs(tmp_path).items():
        before = fuzzing.peak_memory(anew=True)
        begun = time.monotonic()
        answers(path)
        grown, took = fuzzing.peak_memory() - before, time.monotonic() - begun
        assert took < fuzzing.LONGEST, (name, took)
        assert grown < 4 * path.stat().st_size + fuzzing.LARGEST, (name, grown)


@pytest.mark.parametrize("at", [8, 2**16, 2**40])
@pytest.mark.parametrize("thing", ["attribute", "array", "chunked array"])
def test_texts_that_claim_to_be_long(tmp_path: Path, thing: str, at: int) -> None:
    path = tmp_path / "a.nxs"
    sound.nxstxm.definition(path)
    text = "sample image stack, told at some length"
    with h5py.File(path, "a", libver=("earliest", "v110")) as file:
        group = file["entry/detector_1"]
        del group["stxm_scan_type"]
        if thing == "attribute":
            group["stxm_scan_type"] = np.bytes_(text)
            group.attrs["axes"] = text
        else:
            chunks = (1,) if thing == "chunked array" else None
            group.create_dataset("stxm_scan_type", data=[text], chunks=chunks)
    content = bytearray(path.read_bytes())
    reference = struct.pack("<IQ", len(text), content.find(b"GCOL"))
    place = content.find(reference)
    content[place : place + 12] = struct.pack("<IQ", 2**32 - 1, at)
    path.write_bytes(content)
    before = fuzzing.peak_memory(anew=True)
    answers(path)
    assert fuzzing.peak_memory() - before < fuzzing.LARGEST


def test_texts_of_another_kind_are_not_read(tmp_path: Path) -> None:
    path = sound.nxstxm.definition(tmp_path / "a.nxs")
    numbers = h5py.vlen_dtype(np.int32)
    with h5py.File(path, "a") as file:
        group = file["entry/detector_1"]
        del group["stxm_scan_type"]
        group.create_dataset("stxm_scan_type", (1,), dtype=numbers)[0] = np.arange(
            3, dtype=np.int32
        )
        several = np.empty(1, dtype=object)
        several[0] = np.arange(3, dtype=np.int32)
        group.attrs.create("axes", several, dtype=numbers)
        assert _hdf5.text(group, "stxm_scan_type") == ""
        assert _hdf5.array(group, "stxm_scan_type") is None
        assert _hdf5.attribute(group, "axes") is None
        assert "axes" not in _hdf5.attributes(group)
    assert open_stack(path).shape == (4, 5, 6)


def packings() -> dict[str, tuple[Any, int, bytes]]:
    """Codecs, and what in a chunk's header makes it claim more than it holds."""
    import numcodecs

    return {
        "blosc, packed": (numcodecs.Blosc(), 12, b"\xff\xff\0\0"),
        "blosc, unpacked": (numcodecs.Blosc(), 4, b"\0\0\0\x70"),
        "zstd": (numcodecs.Zstd(), 4, b"\xe0" + b"\0\0\0\0\1\0\0\0"),
        "lz4": (numcodecs.LZ4(), 0, b"\0\0\0\x70"),
        "gzip": (numcodecs.GZip(), -4, b"\0\0\0\x70"),
    }


@pytest.mark.parametrize("kind", sorted(packings()))
@pytest.mark.parametrize("zipped", [False, True])
def test_chunks_that_claim_much(tmp_path: Path, kind: str, zipped: bool) -> None:
    codec, at, lie = packings()[kind]
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path, shape=(2, 30, 30), dtype="u2", chunks=(2, 30, 30), zarr_format=2, compressors=codec
    )
    array[...] = np.arange(1800).reshape(2, 30, 30)
    chunk = path / "0.0.0"
    content = bytearray(chunk.read_bytes())
    at %= len(content)
    content[at : at + len(lie)] = lie
    chunk.write_bytes(content)
    if zipped:
        path = Path(shutil.make_archive(str(path), "zip", path))
    with pytest.raises(FileFormatError, match=r"chunk 0\.0\.0 (claims to hold|is cut short)"):
        open_stack(path, energy=[500, 501], pixel_um=1)


def test_shards_that_claim_much(originals: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path,
        shape=(4, 8, 8),
        shards=(4, 8, 8),
        chunks=(2, 4, 8),
        dtype="u2",
        compressors=zarr.codecs.BloscCodec(),
    )
    array[...] = np.arange(256).reshape(4, 8, 8)
    assert open_stack(path, energy=range(501, 505), pixel_um=1).values[3, 7, 7] == 255
    shard = path / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[12:16] = b"\xff\xff\0\0"  # what Blosc says of the length of the first chunk
    shard.write_bytes(content)
    with pytest.raises(FileFormatError, match="is cut short"):
        open_stack(path, energy=range(501, 505), pixel_um=1)


@pytest.mark.parametrize("name", ["../data.npy", "/data.npy", "a/../../data.npy"])
def test_members_that_lead_out_of_an_archive(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for member, values in ((name, sound.COUNTS), ("energy.npy", sound.ENERGY)):
            content = io.BytesIO()
            np.save(content, values)
            archive.writestr(member, content.getvalue())
    with pytest.raises(FileFormatError, match="leads out of it"):
        open_stack(tmp_path / "a.npz")


def test_names_of_chunks_that_lead_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    facts: dict[str, Any] = {"zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2]}
    facts |= {"dtype": "<u2", "fill_value": 0, "order": "C", "compressor": None, "filters": None}
    text = json.dumps({**facts, "dimension_separator": "/../../"})
    (tmp_path / "a.zarr" / ".zarray").write_text(text)
    with pytest.raises(FileFormatError, match="description of the root is incomplete"):
        open_stack(tmp_path / "a.zarr", energy=[1, 2])


# --- things that are no files, and strange names ---


@pytest.mark.parametrize("what", ["empty", "folder", "pipe", "line", "spaces"])
def test_what_lies_there_instead(originals: dict[str, Path], tmp_path: Path, what: str) -> None:
    if what == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    for original in (originals[kind] for kind in READERS):
        names = [p.relative_to(original.parent) for p in original.parent.rglob("*") if p.is_file()]
        for name in {max(names), min(names), Path(original.name)} & set(names):
            path = copy_of(original, tmp_path / "work")
            victim = path.parent / name
            victim.unlink()
            if what == "folder":
                victim.mkdir()
            elif what == "pipe":
                os.mkfifo(victim)  # to open it would wait for ever
            else:
                content = {"empty": b"", "line": b"1" * 300_000}
                victim.write_bytes(content.get(what, b" \t" * 150_000))
            answers(path)


def test_devices() -> None:
    for path in ("/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/mem", "/proc/self/status"):
        if Path(path).exists():
            answers(Path(path))


NAMES = ["-rf a b\nc ünï [x]*?", "$HOME%s{0}'\"\\\udcff", "x" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_names(originals: dict[str, Path], tmp_path: Path, name: str) -> None:
    for kind in READERS:
        original = originals[kind]
        path = copy_of(original, tmp_path / name)
        if kind.startswith(("sdf", "axis2000", "written.ncb")):
            for one in list(path.parent.iterdir()):
                one.rename(one.with_name(one.name.replace(path.stem, name, 1)))
        else:
            path.rename(path.with_name(name + "".join(path.suffixes)))
        path = path.with_name(name + "".join(path.suffixes))
        sound_one, strange_one = answers(original), answers(path)
        assert len(strange_one) == len(sound_one) > 0, kind
        for there, here in zip(sound_one, strange_one, strict=True):
            np.testing.assert_array_equal(here.values, there.values)


@pytest.mark.parametrize("ending", [".tif", ".cxi", ".xrm", ".hdr"])
def test_many_files_in_a_folder(tmp_path: Path, ending: str) -> None:
    (tmp_path / "scan").mkdir()
    for k in range(500):
        (tmp_path / "scan" / f"s_{k}{ending}").touch()
    begun = time.monotonic()
    answers(tmp_path / "scan")
    assert time.monotonic() - begun < fuzzing.LONGEST  # a hang, not a speed


# --- files that change between the description and the reading ---


@pytest.mark.parametrize("change", ["deleted", "cut", "zeros", "other", "folder"])
def test_files_that_change(originals: dict[str, Path], tmp_path: Path, change: str) -> None:
    for kind in READERS:
        original = originals[kind]
        path = copy_of(original, tmp_path / "work")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                stack = open_stack(path, lazy=True)
            except ChemoscapeError:
                continue  # spectra
            others = [one for one in originals.values() if one.name == original.name]
            for file in [one for one in path.parent.rglob("*") if one.is_file()]:
                content = file.read_bytes()
                if change == "cut":
                    file.write_bytes(content[: len(content) // 2])
                elif change == "zeros":
                    file.write_bytes(bytes(len(content)))
                else:
                    file.unlink()
                if change == "folder":
                    file.mkdir()
            if change == "other":
                other = others[(others.index(original) + 1) % len(others)]
                copy_of(other, tmp_path / "work")
            try:
                values = stack.compute()
            except ChemoscapeError:
                continue
            assert values.shape == stack.shape, kind


# --- small and odd stacks ---


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (1, 5, 1), (4, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("ending", STACKS)
def test_smallest(tmp_path: Path, ending: str, shape: tuple[int, int, int]) -> None:
    n_energy, n_y, n_x = shape
    counts = 1 + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    energy, y, x = 500.0 + np.arange(n_energy), 0.5 * np.arange(n_y), 0.5 * np.arange(n_x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_stack(build(counts, energy, y, x, quantity="counts"), tmp_path / f"a{ending}")
        found = open_stack(tmp_path / f"a{ending}")
        assert describe(tmp_path / f"a{ending}")["shape"] == list(shape)
    np.testing.assert_allclose(found.values, counts, rtol=1e-3)


@pytest.mark.parametrize(
    ("number", "share"),
    [(np.nan, "one"), (np.nan, "all"), (0.0, "all"), (-1.0, "one"), (1e300, "one")],
)
@pytest.mark.parametrize("kind", HDF5)
def test_odd_numbers(
    originals: dict[str, Path], tmp_path: Path, kind: str, share: str, number: float
) -> None:
    for name in things_in(originals[kind], h5py.Dataset):
        path = copy_of(originals[kind], tmp_path / "work")
        with h5py.File(path, "a") as file:
            if not file[name].shape or file[name].dtype.kind not in "fiu":
                continue
            values = file[name][()].astype(float)
            values[() if share == "all" else (0,) * values.ndim] = number
            attrs = dict(file[name].attrs)
            del file[name]
            file[name] = values
            for key in attrs.keys() & {"axes", "signal", "units"}:
                file[name].attrs[key] = attrs[key]
        for found in answers(path):
            energy = found["energy"].values
            assert np.isfinite(energy).all(), name
            assert ((energy > 0) & (energy < 1e6)).all(), name
            assert all(np.isfinite(found[axis]).all() for axis in "yx" if axis in found.coords)
