"""Files made to harm, folders with traps, and files that change: the right answer or our error."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
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

from chemoscape.errors import ChemoscapeError
from chemoscape.formats import describe, open_spectra, open_stack

SECRET = 54321.0

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


#: Kinds of HDF5 files, one for each reader.
HDF5 = (
    *("written.h5", "written.nxs", "pollux", "als-2.1", "exchange-mantis", "mistral"),
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
    """Small files that unpack to 1 to 4 GB in one piece."""
    zeros = bytes(64_000_000)
    found = {}

    def zipped(name: str, member: str, head: bytes, n: int) -> None:
        found[name] = folder / name
        with (
            zipfile.ZipFile(found[name], "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(member, "w", force_zip64=True) as stream,
        ):
            stream.write(head)
            for _ in range(n):
                stream.write(zeros)

    header = io.BytesIO()
    shape = (16, 4000, 1000 * 16)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<u1", "fortran_order": False, "shape": shape}
    )
    zipped("a.npz", "data.npy", header.getvalue(), 16)
    zipped("long.npz", "energy.npy", header.getvalue(), 16)
    zipped("a.zip", "zarr.json", b" ", 16)
    found["a.prj"] = folder / "a.prj"
    with gzip.open(found["a.prj"], "wb", compresslevel=9) as stream:
        stream.write(b"# Athena project file -- Demeter version 0.9.24\n")
        for _ in range(16):
            stream.write(zeros)
    found["a.h5"] = folder / "a.h5"
    with h5py.File(found["a.h5"], "w") as file:
        file["exchange/energy"] = np.arange(500.0, 516)
        packed = {"chunks": shape, "compression": "gzip", "compression_opts": 9}
        file.create_dataset("exchange/data", shape, "u1", **packed)
        file["exchange/data"].id.write_direct_chunk((0, 0, 0), b"".join(_deflated(zeros, 16)), 0)
    return found


def _deflated(piece: bytes, n: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9)
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
