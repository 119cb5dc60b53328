"""One small sound file, or folder, of every reader, dialect and way of storing.

The tests of each format build these files from the published layouts; here they are only gathered,
so that they can be damaged (`fuzzing.py`) and attacked (`test_attacks.py`).
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import nxstxm_files as nxstxm
import test_athena as athena
import test_axis2000 as axis2000
import test_cxi as cxi
import test_exchange as exchange
import test_mistral as mistral
import test_msa as msa
import test_sdf as sdf
import test_sdf_spectra as sdf_spectra
import test_spectra as texts
import test_stk as stk
import test_xanespy as xanespy
import test_xradia as xradia
import tifffile
import xarray as xr
import zarr

from chemoscape.formats import save_spectra, save_stack
from chemoscape.formats.conversion import written_endings
from chemoscape.stack import build

ENERGY = 510 + 0.25 * np.arange(5)
COUNTS = np.random.default_rng(0).poisson(300, (5, 6, 7))

Built = tuple[str, Callable[[Path], Any]]


def small_stack() -> xr.DataArray:
    """A stack that every format can write."""
    return build(
        COUNTS,
        ENERGY,
        np.arange(6) * 0.04,
        np.arange(7) * 0.04,
        quantity="counts",
        per_energy={"dwell": np.full(5, 1.5), "polarisation": np.array(["LH"] * 4 + ["LV"])},
    )


def small_spectra() -> xr.DataArray:
    """A spectrum that both formats of text can write."""
    return xr.DataArray(
        np.random.default_rng(0).normal(1, 0.1, (1, 20)),
        dims=("spectrum", "energy"),
        coords={"spectrum": ["one"], "energy": 510 + np.arange(20.0)},
        attrs={"quantity": "optical_density", "source": "here"},
    )


def corpus(folder: Path) -> dict[str, Path]:
    """Files of every kind, each in a folder of its own, by what they are."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, (name, write) in {**_written(), **_built(), **_packed()}.items():
            home = folder / kind
            home.mkdir()
            write(home / name)
            found[kind] = home / name
    return found


def _written() -> dict[str, Built]:
    """Every format that is written here, by its ending."""
    return {
        f"written{ending}": (
            f"a{ending}",
            (lambda path: save_spectra(small_spectra(), path))
            if ending in (".txt", ".csv")
            else (lambda path: save_stack(small_stack(), path)),
        )
        for ending in written_endings()
    }


def _built() -> dict[str, Built]:
    """Every dialect that others write."""
    return {
        "sdf-stack": ("s.hdr", lambda path: sdf.small_stack(path.parent)),
        "sdf-points": ("s.hdr", lambda path: sdf_spectra.point_scan(path.parent, 2, 2)),
        "sdf-line": ("s.hdr", lambda path: sdf_spectra.line_scan(path.parent)),
        **_nxstxm(),
        "exchange": ("a.hdf5", lambda path: exchange.exchange(path, exchange.cube())),
        "exchange-mantis": ("a.hdf5", lambda path: exchange.mantis(path, exchange.cube())),
        "mistral": (
            "a.hdf5",
            lambda path: mistral.specnorm(path, spectroscopy_normalized=mistral.images()),
        ),
        "cxi": ("a.cxi", lambda path: cxi.cxi(path)),
        "cxi-entries": ("a.cxi", _cxi_entries),
        "cxi-folder": ("scan", _cxi_folder),
        "xanespy": ("a.h5", lambda path: xanespy.frameset(path, xanespy.images())),
        "tiff-folder": ("scan", _tiff_folder),
        "tiff-imagej": ("a.tif", lambda path: _tiff(path, imagej=True, metadata={"axes": "ZYX"})),
        "tiff-ome": ("a.ome.tif", lambda path: _tiff(path, metadata={"axes": "ZYX"}, ome=True)),
        "tiff-zlib": ("a.tif", lambda path: _tiff(path, compression="zlib", predictor=2)),
        "tiff-tiles": ("a.tif", lambda path: _tiff(path, tile=(16, 16), bigtiff=True)),
        "axis2000": ("s.ncb", lambda path: axis2000.pair(path.parent)),
        "stk": ("a.stk", lambda path: path.write_bytes(stk.content(trailing=_names()))),
        "txrm": ("s.txrm", lambda path: xradia.txrm(path.parent)),
        "txrm-floats": ("s.txrm", lambda path: xradia.txrm(path.parent, xradia.images("<f4"))),
        "xrm-folder": ("scan", _xrm_folder),
        "npz": ("a.npz", lambda path: np.savez(path, data=COUNTS, energy=ENERGY)),
        "npz-zlib": ("a.npz", _npz_zlib),
        "npy": ("a.npy", lambda path: _beside(path, lambda: np.save(path, COUNTS))),
        "npy-f": ("a.npy", lambda path: _beside(path, lambda: np.save(path, COUNTS.T))),
        **_zarr(),
        "results": ("results.h5", _results),
        "netcdf": ("a.nc", lambda path: small_stack().to_netcdf(path, engine="h5netcdf")),
        "library": ("a.h5", _library),
        "athena": ("a b.prj", lambda path: athena.saved(path.parent, _project(), packed=True)),
        "athena-text": ("a b.prj", lambda path: athena.saved(path.parent, _project())),
        "athena-json": (
            "a b.prj",
            lambda path: athena.saved(path.parent, athena.as_json(athena.RECORDS), packed=True),
        ),
        "msa": ("a.msa", lambda path: msa.saved(path.parent, msa.text())),
        **{
            f"text-{name.lower()}": ("a.txt", lambda path, name=name: _text(path, name))
            for name in ("AXIS2000", "XAS", "MANTIS", "NOR", "ASC", "XDI_OTHER_COMMENTS")
        },
    }


def _nxstxm() -> dict[str, Built]:
    """The dialects of NXstxm."""
    return {
        "nxstxm": ("a.nxs", nxstxm.definition),
        "pollux": ("a.hdf5", lambda path: nxstxm.pollux(path, n_counters=2, n_regions=2)),
        "pollux-image": ("a.hdf5", lambda path: nxstxm.pollux(path, image=True)),
        "pollux-line": ("a.hdf5", nxstxm.pollux_line),
        "pollux-line-old": ("a.hdf5", lambda path: nxstxm.pollux_line(path, new=False)),
        "hermes": ("a.hdf5", nxstxm.hermes),
        "diamond": ("a.nxs", lambda path: nxstxm.diamond(path, "xye")),
        "cls": ("a.hdf5", lambda path: nxstxm.cls(path, measured=3, rows_of_last=2)),
        "cls-points": ("a.hdf5", nxstxm.cls_points),
        "nxstxm-mantis": ("a.hdf5", nxstxm.mantis),
        **{
            f"als-{version}": ("a.stxm", lambda path, version=version: nxstxm.als(path, version))
            for version in ("0", "2.0", "2.1")
        },
        "als-line-2.0": ("a.stxm", lambda path: nxstxm.als_line(path, "2.0")),
        "als-line-3.0": ("a.stxm", lambda path: nxstxm.als_line(path, "3.0")),
        "als-3-early": ("a.stxm", lambda path: nxstxm.als3(path, early=True)),
        "als-3": ("a.stxm", nxstxm.als3),
    }


def _zarr() -> dict[str, Built]:
    """Both versions of zarr, as folders and as zip files, packed in several ways."""
    from numcodecs import GZip, Zlib

    ways: dict[str, dict[str, Any]] = {
        "zarr-2": {"zarr_format": 2},
        "zarr-2-plain": {"zarr_format": 2, "compressors": None},
        "zarr-2-zlib": {"zarr_format": 2, "compressors": Zlib()},
        "zarr-2-gzip": {"zarr_format": 2, "compressors": GZip()},
        "zarr-3": {"zarr_format": 3},
        "zarr-3-gzip": {"zarr_format": 3, "compressors": zarr.codecs.GzipCodec()},
        "zarr-3-blosc": {"zarr_format": 3, "compressors": zarr.codecs.BloscCodec()},
        "zarr-3-shards": {"zarr_format": 3, "shards": (5, 6, 8)},
    }

    def store(path: Path, way: str) -> None:
        _beside(
            path,
            lambda: zarr.create_array(
                path, shape=COUNTS.shape, dtype="u2", chunks=(5, 2, 4), **ways[way]
            ).__setitem__(..., COUNTS),
        )

    def archive(path: Path) -> None:
        save_stack(small_stack(), path.with_name("b.zarr"))
        shutil.make_archive(str(path.with_suffix("")), "zip", path.with_name("b.zarr"))
        shutil.rmtree(path.with_name("b.zarr"))

    return {
        **{way: ("a.zarr", lambda path, way=way: store(path, way)) for way in ways},
        "zarr-xarray": ("a.zarr", lambda path: _xarray_store(path)),
        "zarr-zip": ("a.zarr.zip", archive),
    }


def _packed() -> dict[str, Built]:
    """HDF5 files stored otherwise: chunked and compressed with texts of variable length, or
    contiguous with texts of fixed length.
    """
    return {
        f"{kind}-{way}": (name, lambda path, write=write, way=way: _told_anew(path, write, way))
        for kind, (name, write) in _built().items()
        if kind in ("pollux", "cls", "als-2.1", "als-3", "diamond", "exchange-mantis", "mistral")
        or kind in ("cxi-entries", "xanespy", "library", "results")
        for way in ("chunked", "contiguous")
    }


def _told_anew(path: Path, write: Callable[[Path], Any], way: str) -> None:
    """Write a file and copy all it holds into one that is stored in another way."""
    first = path.with_name("first.h5")
    write(first)
    with h5py.File(first) as source, h5py.File(path, "w") as target:

        def text(value: Any) -> Any:
            given = np.asarray(value)
            if given.dtype.kind not in "SOU":
                return value
            plain = [v if isinstance(v, bytes) else str(v).encode() for v in given.reshape(-1)]
            if way == "contiguous":
                return np.array(plain, dtype="S").reshape(given.shape)
            decoded = np.array([v.decode("utf-8", "replace") for v in plain] + [""], dtype=object)
            return decoded[:-1].reshape(given.shape) if given.shape else decoded[0]

        def copy(name: str, thing: h5py.Group | h5py.Dataset) -> None:
            if isinstance(thing, h5py.Dataset):
                packed = {"chunks": True, "compression": "gzip", "shuffle": True}
                ways = packed if way == "chunked" and thing.shape else {}
                new: Any = target.create_dataset(name, data=text(thing[()]), **ways)
            else:
                new = target.require_group(name)
            for key, value in thing.attrs.items():
                if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS"):
                    new.attrs[key] = text(value)

        source.visititems(copy)
        for key, value in source.attrs.items():
            target.attrs[key] = text(value)
        for name, at in _scales(source):
            dim = target[name].dims[at]
            scale = target[source[name].dims[at][0].name]
            if not scale.is_scale:
                scale.make_scale(scale.name.rsplit("/", 1)[-1])
            dim.attach_scale(scale)
    first.unlink()


def _scales(file: h5py.File) -> list[tuple[str, int]]:
    """Names of arrays, and their dimensions that have a scale."""
    found = []

    def look(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset) and not thing.is_scale:
            found.extend((name, at) for at, dim in enumerate(thing.dims) if len(dim))

    file.visititems(look)
    return found


def _beside(path: Path, write: Callable[[], Any]) -> None:
    """What `write` makes at `path`, with a list of energies beside it."""
    write()
    (path.parent / "energies.txt").write_text("\n".join(f"{e:g}" for e in ENERGY))


def _tiff(path: Path, *, ome: bool = False, **how: Any) -> None:
    """A stack of pages with a list of energies."""
    values = COUNTS.astype(np.uint16)
    _beside(path, lambda: tifffile.imwrite(path, values, photometric="minisblack", ome=ome, **how))


def _tiff_folder(path: Path) -> None:
    path.mkdir()
    for k, image in enumerate(COUNTS.astype(np.uint16)):
        tifffile.imwrite(path / f"im{k}.tif", image)
    (path / "energies.txt").write_text("\n".join(f"{e:g}" for e in ENERGY))


def _cxi_entries(path: Path) -> None:
    for entry, ev in ((1, 700.0), (2, 710.0)):
        cxi.cxi(path, ev=ev, entry=entry)


def _cxi_folder(path: Path) -> None:
    path.mkdir()
    for k, ev in enumerate((700.0, 705.0, 710.0)):
        cxi.cxi(path / f"s{k}.cxi", ev=ev)


def _xrm_folder(path: Path) -> None:
    path.mkdir()
    noted = [np.array([e], "<f4") for e in xradia.ENERGIES]
    xradia.xrm_folder(path, [f"s{k}.xrm" for k in range(4)], Energy=noted)


def _npz_zlib(path: Path) -> None:
    np.savez_compressed(path, data=COUNTS, energy=ENERGY, names=np.array(["a"] * 5))


def _xarray_store(path: Path) -> None:
    small_stack().drop_vars("polarisation").to_dataset(name="stack").to_zarr(
        path, consolidated=True
    )


def _results(path: Path) -> None:
    """What a run keeps, as far as it is opened as a stack."""
    density = small_stack().astype(np.float32).rename("optical_density")
    density.to_netcdf(path, group="optical_density", engine="h5netcdf")
    with h5py.File(path, "a") as file:
        file.attrs.update({"program": "chemoscape", "summary": "{}", "layout": 1})


def _library(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for k in range(3):
            group = file.create_group(f"spectra/{k:06d}")
            group["x"], group["y"] = ENERGY, ENERGY * 0.01 + k
            group.attrs["label"] = f"standard {k}"


def _names() -> bytes:
    return stk.names(doubled=True)


def _project() -> str:
    return athena.perl(athena.RECORDS)


def _text(path: Path, name: str) -> None:
    path.write_text(getattr(texts, name))
