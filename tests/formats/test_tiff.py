"""TIFF stacks: pages, folders, lists of energies beside them, and what is refused.

Files are made with tifffile and Pillow (libtiff), which know nothing of the reader here.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, find_format, open_source, open_stack, save_stack
from chemoscape.formats.tiff import _write
from chemoscape.stack import build

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

ENERGY = 510 + 0.2 * np.arange(4)


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(300, (4, 37, 53)).astype(np.uint16)


@pytest.fixture
def stack() -> xr.DataArray:
    values = np.random.default_rng(0).poisson(300, (5, 6, 7)) / 3
    values[0, 0, 0] = np.nan
    return build(
        values,
        510 + 0.2 * np.arange(5),
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


def upright(opened: xr.DataArray) -> np.ndarray:
    """Images as a viewer shows them, first row on top."""
    return opened.values[:, ::-1]


def quietly(path: Path, **options: Any) -> xr.DataArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        return open_stack(path, **options)


# what is written


def test_round_trip_is_exact(stack: xr.DataArray, tmp_path: Path) -> None:
    assert save_stack(stack, tmp_path / "s.tif") == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.tif", "s.txt"]
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.tif")), stack)
    assert open_stack(tmp_path / "s.tif").attrs["format"] == "tiff"


def test_lazy_stack_is_written_and_read(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack.chunk({"y": 4}), tmp_path / "s.tiff")
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.tiff", lazy=True).compute()), stack)
    band = open_stack(tmp_path / "s.tiff", lazy=True)[:, 2:5].compute()
    np.testing.assert_array_equal(band, stack[:, 2:5])


def test_other_programs_read_what_is_written(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "s.tif"), stack[:, ::-1])
    with tifffile.TiffFile(tmp_path / "s.tif") as file:
        assert file.is_imagej
        assert len(file.pages) == 5
        assert file.imagej_metadata["unit"] == "um"
        high, low = file.pages[0].tags["XResolution"].value
        assert high / low == pytest.approx(20)
        assert file.pages[0].tags["YResolution"].value == (25, 1)
    with Image.open(tmp_path / "s.tif") as image:
        image.seek(3)
        np.testing.assert_array_equal(np.asarray(image), stack[3, ::-1])
    listed = np.loadtxt(tmp_path / "s.txt")
    np.testing.assert_array_equal(listed, stack.energy)


def test_large_stacks_become_bigtiff(
    stack: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_write, "_CLASSIC_BYTES", 100)
    save_stack(stack, tmp_path / "s.tif")
    assert (tmp_path / "s.tif").read_bytes()[:3] == b"II+"
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.tif")), stack)


def test_a_foreign_text_is_not_replaced(stack: xr.DataArray, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("my notes\n")
    with pytest.warns(ChemoscapeWarning, match=r"s\.txt is another file"):
        save_stack(stack, tmp_path / "s.tif")
    assert (tmp_path / "s.txt").read_text() == "my notes\n"
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.tif")), stack)
    (tmp_path / "s.txt").unlink()
    for _ in range(2):  # our own list is
        assert save_stack(stack, tmp_path / "s.tif") == ""


def test_what_a_tiff_cannot_keep_is_said(stack: xr.DataArray, tmp_path: Path) -> None:
    more = stack.assign_coords(depth=("y", np.arange(6.0)))
    with pytest.warns(ChemoscapeWarning, match="depth cannot be kept in a TIFF"):
        save_stack(more, tmp_path / "s.tif")


def test_single_pixels(tmp_path: Path) -> None:
    one = build(np.full((1, 1, 1), 50.0), [500.0], [0.0], [0.0], quantity="counts")
    save_stack(one, tmp_path / "s.tif")
    xr.testing.assert_identical(plain(open_stack(tmp_path / "s.tif")), one)


def test_an_edited_list_is_noticed(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.tif")
    (tmp_path / "s.txt").write_text("\n".join(str(511.0 + k) for k in range(5)))
    with pytest.warns(ChemoscapeWarning, match=r"s\.txt differs from the energies in the images"):
        assert open_stack(tmp_path / "s.tif").energy[0] == 510
    assert open_stack(tmp_path / "s.tif", energy=tmp_path / "s.txt").energy[0] == 511


# kinds of TIFF


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", "u8"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"tile": (16, 32)},
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 5, "byteorder": ">"},
    ],
    ids=str,
)
def test_layouts(counts: np.ndarray, tmp_path: Path, dtype: str, how: dict[str, Any]) -> None:
    values = (counts % 250).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **how)
    opened = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=0.1)
    assert opened.dtype == np.float32
    np.testing.assert_array_equal(upright(opened), values)
    band = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=0.1, lazy=True)[:, 9:12]
    np.testing.assert_array_equal(band, opened[:, 9:12])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4"])
@pytest.mark.parametrize("how", [{}, {"byteorder": ">"}, {"tile": (16, 32)}], ids=str)
def test_differences(counts: np.ndarray, tmp_path: Path, dtype: str, how: dict[str, Any]) -> None:
    values = counts.astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", compression="zlib", predictor=2, **how
    )
    opened = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=0.1)
    np.testing.assert_array_equal(upright(opened), values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_libtiff(counts: np.ndarray, tmp_path: Path, compression: str, predictor: int) -> None:
    values = counts[0].astype(np.float32) / 7 if predictor == 3 else counts[0]
    values[5:20] = 7  # long runs
    wide = np.tile(values, (6, 40))  # enough for codes of 12 bits and a new table
    Image.fromarray(wide).save(
        tmp_path / "a.tif", compression=compression, tiffinfo={317: predictor}
    )
    opened = open_stack(tmp_path / "a.tif", energy=[500.0], pixel_um=0.1)
    np.testing.assert_array_equal(upright(opened)[0], wide)


def test_imagej(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        counts,
        imagej=True,
        resolution=(25, 20),
        metadata={"unit": "\\u00B5m", "axes": "TYX"},
    )
    opened = open_stack(tmp_path / "a.tif", energy=ENERGY)
    np.testing.assert_array_equal(upright(opened), counts)
    assert opened.x[1] - opened.x[0] == pytest.approx(0.04)
    assert opened.y[1] - opened.y[0] == pytest.approx(0.05)


def test_imagej_signed_numbers(counts: np.ndarray, tmp_path: Path) -> None:
    text = "ImageJ=1.53t\nimages=4\nslices=4\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=gray value\n"
    tifffile.imwrite(
        tmp_path / "a.tif", counts, photometric="minisblack", description=text, metadata=None
    )
    with pytest.warns(ChemoscapeWarning, match="mean -32768 \\+ 1 n"):
        opened = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=1)
    np.testing.assert_array_equal(upright(opened), counts.astype(float) - 32768)


@pytest.mark.parametrize("text", ["ImageJ=1.53t\nimages=4\nslices=4\n", "tifffile"])
def test_one_directory_for_all_images(counts: np.ndarray, tmp_path: Path, text: str) -> None:
    """As ImageJ writes stacks beyond 4 GB, and tifffile truncated series."""
    if text == "tifffile":
        tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack", truncate=True)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            assert len(file.pages) == 1
    else:
        tifffile.imwrite(
            tmp_path / "a.tif", counts[0], photometric="minisblack", description=text, metadata=None
        )
        with (tmp_path / "a.tif").open("ab") as file:
            file.write(counts[1:].tobytes())
    opened = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=1)
    np.testing.assert_array_equal(upright(opened), counts)
    with (tmp_path / "a.tif").open("r+b") as file:
        file.truncate((tmp_path / "a.tif").stat().st_size - 10)
    with pytest.raises(FileFormatError, match="says that it holds 4 images, but is too short"):
        open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=1)


def test_ome(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        counts,
        photometric="minisblack",
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 40.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.05,
        },
    )
    opened = open_stack(tmp_path / "a.ome.tif", energy=ENERGY)
    np.testing.assert_array_equal(upright(opened), counts)
    assert opened.x[1] - opened.x[0] == pytest.approx(0.04)
    assert opened.y[1] - opened.y[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("unit", "per_unit", "pixel"),
    [("CENTIMETER", 250_000, 0.04), ("INCH", 635_000, 0.04), ("INCH", 72, None), ("NONE", 5, None)],
)
def test_resolution(
    counts: np.ndarray, tmp_path: Path, unit: str, per_unit: float, pixel: float | None
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        counts,
        photometric="minisblack",
        resolution=(per_unit, per_unit),
        resolutionunit=unit,
    )
    if pixel is None:  # a screen's resolution is none
        with pytest.warns(ChemoscapeWarning, match="no pixel size"):
            opened = open_stack(tmp_path / "a.tif", energy=ENERGY)
    else:
        opened = open_stack(tmp_path / "a.tif", energy=ENERGY)
    assert opened.x[1] == pytest.approx(pixel or 1.0)
    np.testing.assert_array_equal(upright(opened), counts)


def test_thumbnails_are_left_out(counts: np.ndarray, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for image in counts:
            file.write(image, photometric="minisblack", contiguous=False)
            file.write(image[::4, ::4], photometric="minisblack", subfiletype=1)
    opened = open_stack(tmp_path / "a.tif", energy=ENERGY, pixel_um=1)
    np.testing.assert_array_equal(upright(opened), counts)


# energies


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.dat", "energies.txt", "energy.csv"])
def test_list_beside(counts: np.ndarray, tmp_path: Path, name: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack")
    (tmp_path / name).write_text("# eV\n" + "\n".join(map(str, ENERGY)) + "\n")
    opened = open_stack(tmp_path / "a.tif", pixel_um=1)
    np.testing.assert_array_equal(opened.energy, ENERGY)
    source, _ = open_source(tmp_path / "a.tif", pixel_um=1)
    assert tmp_path / name in source.files


def test_descending_energies(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack")
    (tmp_path / "a.txt").write_text("\n".join(map(str, ENERGY[::-1])))
    opened = open_stack(tmp_path / "a.tif", pixel_um=1)
    np.testing.assert_array_equal(opened.energy, ENERGY)
    np.testing.assert_array_equal(upright(opened), counts[::-1])


def test_a_list_that_does_not_fit_names_both_counts(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack")
    (tmp_path / "a.txt").write_text("510\n511\n512\n")
    (tmp_path / "energies.txt").write_text("not yet known\n")
    with pytest.raises(
        FileFormatError,
        match=r"holds 4 images, but a\.txt has 3 energies and energies\.txt is no list",
    ):
        open_stack(tmp_path / "a.tif", pixel_um=1)
    (tmp_path / "energy.txt").write_text("510\n511\n512\n513\n")
    assert open_stack(tmp_path / "a.tif", pixel_um=1).energy[3] == 513


def test_no_energies(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack")
    with pytest.raises(FileFormatError, match="4 images and no photon energies; give them"):
        open_stack(tmp_path / "a.tif", pixel_um=1)
    with pytest.raises(FileFormatError, match="number of images: 4, number of energies given: 3"):
        open_stack(tmp_path / "a.tif", pixel_um=1, energy=[1, 2, 3])


# folders


def folder_of(counts: np.ndarray, folder: Path, name: str) -> Path:
    folder.mkdir()
    for k, image in enumerate(counts):
        tifffile.imwrite(folder / name.format(k=8 + k, energy=ENERGY[k]), image)
    (folder / "notes.doc").write_bytes(b"anything")
    (folder / "preview.png").write_bytes(b"\x89PNG")
    return folder


def test_folder_in_natural_order(counts: np.ndarray, tmp_path: Path) -> None:
    folder = folder_of(counts, tmp_path / "scan", "im{k}.tif")  # im8, im9, im10, im11
    (folder / "energies.txt").write_text("\n".join(map(str, ENERGY)))
    opened = open_stack(folder, pixel_um=0.1)
    np.testing.assert_array_equal(upright(opened), counts)
    np.testing.assert_array_equal(opened.energy, ENERGY)
    np.testing.assert_array_equal(open_stack(folder, pixel_um=0.1, lazy=True), opened)


def test_list_beside_the_folder(counts: np.ndarray, tmp_path: Path) -> None:
    folder = folder_of(counts, tmp_path / "scan", "im{k}.tif")
    (tmp_path / "scan.csv").write_text("energy,dwell\n" + "\n".join(f"{e},1" for e in ENERGY))
    np.testing.assert_array_equal(open_stack(folder, pixel_um=1).energy, ENERGY)


@pytest.mark.parametrize("name", ["wire_{energy:07.2f}eV.tif", "w2_{energy:.1f}_ev_{k}.tiff"])
def test_energies_in_names(counts: np.ndarray, tmp_path: Path, name: str) -> None:
    folder = folder_of(counts, tmp_path / "scan", name)
    with pytest.warns(ChemoscapeWarning, match="energies are those in the names"):
        opened = open_stack(folder, pixel_um=1)
    np.testing.assert_allclose(opened.energy, ENERGY)
    np.testing.assert_array_equal(upright(opened), counts)
    (folder / "energies.txt").write_text("1\n2\n")
    with pytest.warns(
        ChemoscapeWarning, match=r"names of the images \(energies\.txt has 2 energies"
    ):
        open_stack(folder, pixel_um=1)


def test_folder_of_one_stack(stack: xr.DataArray, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    save_stack(stack, tmp_path / "a" / "s.tif")
    xr.testing.assert_identical(plain(open_stack(tmp_path / "a")), stack)


def test_folder_of_several_stacks(counts: np.ndarray, tmp_path: Path) -> None:
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", counts, photometric="minisblack")
    with pytest.raises(FileFormatError, match=r"of which a\.tif, b\.tif hold several images"):
        open_stack(tmp_path, energy=[1, 2])


def test_folder_of_different_images(counts: np.ndarray, tmp_path: Path) -> None:
    folder = folder_of(counts, tmp_path / "scan", "im{k}.tif")
    tifffile.imwrite(folder / "im9.tif", counts[1, :5])
    with pytest.raises(FileFormatError, match=r"im9\.tif has 5 × 53 pixels \(uint16\), the first"):
        open_stack(folder, energy=ENERGY)


def test_links_out_of_the_folder(counts: np.ndarray, tmp_path: Path) -> None:
    folder = folder_of(counts, tmp_path / "scan", "im{k}.tif")
    tifffile.imwrite(tmp_path / "secret.tif", counts[0])
    (folder / "im12.tif").symlink_to(tmp_path / "secret.tif")
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        open_stack(folder, energy=[1, 2, 3, 4, 5])


# what is refused


def test_colours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(FileFormatError, match=r"image 1 is in colour \(RGB\); give the grey"):
        open_stack(tmp_path / "a.tif", energy=[1])


def test_table_of_colours(counts: np.ndarray, tmp_path: Path) -> None:
    table = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", counts[0].astype(np.uint8), photometric="palette", colormap=table
    )
    with pytest.warns(ChemoscapeWarning, match="a table of colours; the numbers below are taken"):
        opened = open_stack(tmp_path / "a.tif", energy=[500], pixel_um=1)
    np.testing.assert_array_equal(upright(opened)[0], counts[0].astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "how", "match"),
    [
        (np.zeros((9, 8), complex), {}, "image 1 has pixels of 128 bits"),
        (np.zeros((9, 8), bool), {}, "image 1 has pixels of 1 bits"),
        (
            np.zeros((4, 9, 8), np.uint8),
            {"volumetric": True, "tile": (4, 16, 16)},
            "several planes",
        ),
    ],
)
def test_other_pixels(tmp_path: Path, values: np.ndarray, how: dict[str, Any], match: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **how)
    with pytest.raises(FileFormatError, match=match):
        open_stack(tmp_path / "a.tif", energy=[1])


def test_unknown_compression(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(FileFormatError, match="compressed with JPEG, which is not read here; save"):
        open_stack(tmp_path / "a.tif", energy=[1])


def test_different_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((9, 8), np.uint8))
        file.write(np.zeros((9, 9), np.uint8))
    with pytest.raises(FileFormatError, match=r"image 2 has 9 × 9 pixels \(uint8\), the first has"):
        open_stack(tmp_path / "a.tif", energy=[1, 2])


def directory(entries: dict[int, tuple[int, int, int]], following: int) -> bytes:
    """A directory of classic TIFF: tag to (type, count, value)."""
    tags = b"".join(struct.pack("<HHII", tag, *entries[tag]) for tag in sorted(entries))
    return struct.pack("<H", len(entries)) + tags + struct.pack("<I", following)


def grey(height: int, width: int, offset: int, count: int, compression: int = 1) -> dict:
    return {
        **{256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, compression)},
        **{273: (4, 1, offset), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, count)},
    }


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"II*\0\x08\0\0\0", "its chain of images breaks after image 0"),
        (b"II*\0\0\0\0\0", "holds no image"),
        (b"II*\0", "is no TIFF file"),
        (b"II*\0\x08\0\0\0" + directory(grey(2, 2, 8, 4), 8), "breaks after image 1"),
        (
            b"II*\0\x08\0\0\0" + directory(grey(2, 2, 9999, 4), 0),
            "its pixels lie behind the end of the file",
        ),
        (
            b"II*\0\x08\0\0\0" + directory(grey(2**31, 2**31, 8, 20), 0),
            "more than its 20 bytes can hold",
        ),
        (
            b"II*\0\x08\0\0\0" + directory(grey(2**20, 2**20, 8, 20, 8), 0),
            "more than its 20 bytes can hold",
        ),
        (b"II*\0\x08\0\0\0\xff\xff", "lists 65535 tags"),
    ],
    ids=range(8),
)
def test_damage_by_hand(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(FileFormatError, match=match):
        open_stack(tmp_path / "a.tif", energy=[1])


def test_bomb(tmp_path: Path) -> None:
    """A strip that unpacks to far more than its image needs is unpacked no further."""
    import zlib

    packed = zlib.compress(bytes(50_000_000), 9)
    entries = grey(4, 4, 200, len(packed), 8)
    content = (b"II*\0\x08\0\0\0" + directory(entries, 0)).ljust(200, b"\0") + packed
    (tmp_path / "a.tif").write_bytes(content)
    assert not open_stack(tmp_path / "a.tif", energy=[1], pixel_um=1).any()


def test_sniff(tmp_path: Path, counts: np.ndarray) -> None:
    (tmp_path / "a.tif").write_text("not a picture")
    with pytest.raises(FileFormatError, match="is no stack in a format known here"):
        find_format(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.dat", counts, photometric="minisblack")
    assert find_format(tmp_path / "b.dat")[0].name == "tiff"


def test_describe_and_pickle(counts: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack", compression="zlib")
    facts = describe(tmp_path / "a.tif", energy=ENERGY, pixel_um=0.1)
    assert facts["format"] == "tiff"
    assert facts["shape"] == [4, 37, 53]
    source, _ = open_source(tmp_path / "a.tif", energy=ENERGY, pixel_um=0.1)
    again = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(again(slice(1, 3), slice(2, 5)), counts[1:3, 2:5])


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(
    stack: xr.DataArray, tmp_path: Path, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["own", "zlib", "tiles", "lzw", "big"]))
    path = tmp_path / f"{kind}.tif"
    values = stack.fillna(0).values.astype(np.uint16)
    if kind == "own":
        save_stack(stack, path)
    elif kind == "lzw":
        Image.fromarray(values[0]).save(path, compression="tiff_lzw")
    else:
        how: dict[str, Any] = {
            "zlib": {"compression": "zlib", "predictor": 2, "rowsperstrip": 2},
            "tiles": {"tile": (16, 16)},
            "big": {"bigtiff": True, "imagej": False},
        }[kind]
        tifffile.imwrite(path, values, photometric="minisblack", **how)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(bytes(content))
    for options in ({}, {"energy": 500.0 + np.arange(1 if kind == "lzw" else 5)}):
        try:
            opened = quietly(damaged, **options)
        except ChemoscapeError:
            continue
        assert opened.dims == ("energy", "y", "x")
        describe(damaged, look=False, **options)
