"""Xradia .xrm and .txrm, in compound files built here from Microsoft's published layout [MS-CFB].

Streams and their meaning are built from the layouts that other readers publish, not from real
files.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import olefile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, find_format, open_source, open_stack, xradia
from chemoscape.formats.xradia._ole import opened

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

FREE, CHAIN_END, FAT_MARK, DIFAT_MARK = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
NOBODY = 0xFFFFFFFF
ENERGIES = [700.0, 702.5, 705.25, 707.0]
SHAPE = (4, 5, 6)


# --- a writer of compound files ---


def directory(streams: dict[str, tuple[int, int]], root: tuple[int, int]) -> bytes:
    """Entries of 128 bytes: the root, storages and streams, each storage's children as a tree."""
    nodes: list[tuple[str, int, tuple[int, int]]] = [("Root Entry", 5, root)]
    children: dict[int, list[int]] = {0: []}
    storages = {"": 0}
    for path, place in streams.items():
        *above, name = path.split("/")
        parent = 0
        for depth in range(len(above)):
            key = "/".join(above[: depth + 1])
            if key not in storages:
                storages[key] = len(nodes)
                children[storages[key]] = []
                children[parent].append(len(nodes))
                nodes.append((above[depth], 1, (0, 0)))
            parent = storages[key]
        children[parent].append(len(nodes))
        nodes.append((name, 2, place))
    links = {k: [NOBODY, NOBODY, NOBODY] for k in range(len(nodes))}

    def tree(kids: list[int]) -> int:
        if not kids:
            return NOBODY
        middle = len(kids) // 2
        links[kids[middle]][0] = tree(kids[:middle])
        links[kids[middle]][1] = tree(kids[middle + 1 :])
        return kids[middle]

    for parent, kids in children.items():
        kids.sort(key=lambda k: (len(nodes[k][0]), nodes[k][0].upper()))
        links[parent][2] = tree(kids)
    out = b""
    for k, (name, kind, (start, size)) in enumerate(nodes):
        text = name.encode("utf-16-le") + b"\0\0"
        out += text.ljust(64, b"\0") + struct.pack("<HBB3I", len(text), kind, 1, *links[k])
        out += bytes(36) + struct.pack("<IQ", start, size)
    return out


def compound(streams: dict[str, bytes], *, sector: int = 512, order: str = "plain") -> bytes:
    """A compound file.

    Parameters
    ----------
    streams : mapping of path to content
        Those below 4096 bytes go into the mini stream.
    sector : {512, 4096}
        Bytes of a sector.
    order : {"plain", "microsoft", "scattered"}
        Each stream in one run; with a sector of the table after every 127, as Windows does; or all
        sectors shuffled.
    """
    per = sector // 4
    minis, small = b"", {}
    for name, content in streams.items():
        if len(content) < 4096:
            small[name] = len(minis) // 64
            minis += content.ljust(-(-len(content) // 64) * 64, b"\0")
    mini_table: list[int] = []
    for name, first in small.items():
        n = -(-len(streams[name]) // 64)
        mini_table += [*range(first + 1, first + n), CHAIN_END][:n]
    parts = {name: content for name, content in streams.items() if name not in small}
    parts["/minis"] = minis
    parts["/mini table"] = struct.pack(f"<{len(mini_table)}I", *mini_table)
    fake = dict.fromkeys(streams, (0, 0))
    parts["/directory"] = bytes(-(-len(directory(fake, (0, 0))) // sector) * sector)
    counts = {name: -(-len(content) // sector) for name, content in parts.items()}
    n_used = sum(counts.values())
    n_fat, n_difat = 1, 0
    while n_used + n_fat + n_difat > n_fat * per:
        n_fat += 1
        n_difat = max(-(-(n_fat - 109) // (per - 1)), 0)
    total = n_used + n_fat + n_difat
    tables = [per * k if order == "microsoft" else n_used + k for k in range(n_fat)]
    free = sorted(set(range(total)) - set(tables))
    places, difats = free[:n_used], free[n_used:]
    if order == "scattered":
        np.random.default_rng(0).shuffle(places)
    fat = [FREE] * (n_fat * per)
    sectors = [b""] * total
    starts, at = {}, 0
    for name, content in parts.items():
        chain = places[at : at + counts[name]]
        at += counts[name]
        starts[name] = chain[0] if chain else CHAIN_END
        for k, place in enumerate(chain):
            fat[place] = chain[k + 1] if k + 1 < len(chain) else CHAIN_END
            sectors[place] = content[k * sector : (k + 1) * sector]
    found = {
        name: (small.get(name, starts.get(name, CHAIN_END)), len(content))
        for name, content in streams.items()
    }
    entries = directory(found, (starts["/minis"], len(minis)))
    entries = entries.ljust(counts["/directory"] * sector, b"\0")
    place = starts["/directory"]
    for k in range(counts["/directory"]):
        sectors[place] = entries[k * sector : (k + 1) * sector]
        place = fat[place]
    for place in tables:
        fat[place] = FAT_MARK
    for place in difats:
        fat[place] = DIFAT_MARK
    for k, place in enumerate(tables):
        sectors[place] = struct.pack(f"<{per}I", *fat[k * per : (k + 1) * per])
    beyond = tables[109:]
    for k, place in enumerate(difats):
        listed = beyond[k * (per - 1) : (k + 1) * (per - 1)]
        listed += [FREE] * (per - 1 - len(listed))
        following = difats[k + 1] if k + 1 < n_difat else CHAIN_END
        sectors[place] = struct.pack(f"<{per}I", *listed, following)
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    header += struct.pack(
        "<5H", 0x3E, 3 if sector == 512 else 4, 0xFFFE, sector.bit_length() - 1, 6
    )
    header += bytes(6) + struct.pack(
        "<9I",
        counts["/directory"] if sector == 4096 else 0,
        n_fat,
        starts["/directory"],
        0,
        4096,
        starts["/mini table"],
        counts["/mini table"],
        difats[0] if difats else CHAIN_END,
        n_difat,
    )
    first = tables[:109] + [FREE] * (109 - len(tables[:109]))
    header += struct.pack("<109I", *first)
    return header.ljust(sector, b"\0") + b"".join(one.ljust(sector, b"\0") for one in sectors)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("order", ["plain", "microsoft", "scattered"])
def test_compound_files_are_valid(tmp_path: Path, sector: int, order: str) -> None:
    rng = np.random.default_rng(1)
    streams = {
        f"{'Storage' * (k % 3 > 0)}{k % 3}/Stream{k}".lstrip("0/"): rng.bytes(size)
        for k, size in enumerate([0, 1, 64, 65, 4095, 4096, 4097, 200_000, 100_000, 3000])
    }
    path = tmp_path / "a.ole"
    path.write_bytes(compound(streams, sector=sector, order=order))
    assert olefile.isOleFile(path)
    with olefile.OleFileIO(str(path), raise_defects=olefile.DEFECT_UNSURE) as file:
        assert not file.parsing_issues
        assert sorted("/".join(one) for one in file.listdir()) == sorted(streams)
        for name, content in streams.items():
            if content:
                assert file.openstream(name).read() == content
    ours = opened(path)
    for name, content in streams.items():
        stream = ours.stream(name)
        assert stream is not None
        assert stream.size == len(content)
        assert stream.read(path, 0, stream.size) == content
        start, stop = len(content) // 3, len(content) // 2
        assert stream.read(path, start, stop) == content[start:stop]
        if len(content) > 10_000:
            assert stream.compact == (order != "scattered")
            if sector == 512:  # a table of 4096 bytes stands between 4 MB
                assert (stream.offsets.size == 1) == (order == "plain")
    assert ours.stream("storage1/stream1") is not None  # case does not count
    assert ours.stream("Nothing") is None


def test_table_longer_than_the_header_lists(tmp_path: Path) -> None:
    """Above 7 MB the table's sectors are listed in sectors of their own (DIFAT)."""
    content = np.random.default_rng(2).bytes(8_000_000)
    path = tmp_path / "a.ole"
    path.write_bytes(compound({"A/B": content}))
    stream = opened(path).stream("A/B")
    assert stream is not None
    assert stream.read(path, 0, stream.size) == content
    with olefile.OleFileIO(str(path)) as file:
        assert file.num_difat_sectors == 1


# --- a writer of Xradia's streams ---


def images(dtype: str = "<u2") -> np.ndarray:
    return (40_000 + 11 * np.arange(120).reshape(SHAPE)).astype(dtype)


def streams_of(data: np.ndarray, **changes: object) -> dict[str, bytes]:
    """Streams of a file (built from the layout that other readers publish)."""
    n, n_y, n_x = data.shape
    dates = [f"03/2{k % 10}/19 10:0{k % 6}:30".encode().ljust(40, b"\0") for k in range(n)]
    streams: dict[str, object] = {
        "Version": np.float32(2.0),
        "ImageInfo/ImageWidth": np.uint32(n_x),
        "ImageInfo/ImageHeight": np.uint32(n_y),
        "ImageInfo/NoOfImages": np.uint32(n),
        "ImageInfo/ImagesTaken": np.uint32(n),
        "ImageInfo/DataType": np.uint32({"u2": 5, "f4": 10}[data.dtype.str[1:]]),
        "ImageInfo/PixelSize": np.float32(0.0125),
        "ImageInfo/Energy": np.array(ENERGIES[:n], "<f4"),
        "ImageInfo/ExpTimes": np.array([2.0, 2, 4, 4][:n], "<f4"),
        "ImageInfo/Angles": np.zeros(n, "<f4"),
        "ImageInfo/Current": np.array([200.0, 199, 198, 197][:n], "<f4"),
        "ImageInfo/Date": b"".join(dates),
        "SampleInfo/Facility": b"ALBA".ljust(50, b"\0"),
        "SampleInfo/SampleID": b"cathode 7".ljust(50, b"\0"),
        **{f"ImageData{k // 100 + 1}/Image{k + 1}": data[k] for k in range(n)},
    }
    for key, value in changes.items():
        name = key.replace("__", "/")
        matches = [known for known in streams if known.endswith(f"/{name}")]
        streams[matches[0] if matches else name] = value
    return {
        name: value if isinstance(value, bytes) else np.asarray(value).tobytes()
        for name, value in streams.items()
        if value is not None
    }


def txrm(
    folder: Path, data: np.ndarray | None = None, name: str = "s.txrm", **changes: object
) -> Path:
    path = folder / name
    path.write_bytes(compound(streams_of(images() if data is None else data, **changes)))
    return path


def xrm_folder(folder: Path, names: list[str], **changes: object) -> Path:
    """Files with one image each; image k belongs to name k."""
    for k, name in enumerate(names):
        own = {
            key: value[k] if isinstance(value, list) else value for key, value in changes.items()
        }
        txrm(folder, images()[k : k + 1], name, **own)
    return folder


# --- reading ---


def test_counts_are_unsigned(tmp_path: Path) -> None:
    path = txrm(tmp_path)
    stack = open_stack(path)
    assert stack.values.min() == 40_000  # as signed numbers these would be negative
    np.testing.assert_array_equal(stack, images())
    assert stack.values[3, 4, 5] == 40_000 + 11 * 119
    assert stack.values[0, 0, 1] == 40_011  # x is the fastest; rows stay as stored
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    np.testing.assert_allclose(stack.x, 0.0125 * np.arange(6), rtol=1e-6)
    np.testing.assert_allclose(stack.y, 0.0125 * np.arange(5), rtol=1e-6)
    np.testing.assert_array_equal(stack.dwell, [2000, 2000, 4000, 4000])
    np.testing.assert_array_equal(stack.ring_current, [200, 199, 198, 197])
    np.testing.assert_array_equal(stack.time, 86_460.0 * np.arange(4))
    assert stack.attrs["started"] == "2019-03-20T10:00:30"
    assert stack.attrs["facility"] == "ALBA"
    assert stack.attrs["sample"] == "cathode 7"
    assert stack.attrs["channel"] == "counts"
    assert describe(path)["values"] == [40_000, 40_000 + 11 * 119]


def test_floats_and_rounder_clocks(tmp_path: Path) -> None:
    data = images("<f4") + np.float32(0.25)
    data[1, 2, 3] = np.nan
    dates = b"".join(f"12/31/2024 23:59:5{k}.500".encode().ljust(40, b"\0") for k in range(4))
    stack = open_stack(txrm(tmp_path, data, Date=dates))
    np.testing.assert_array_equal(stack, data)
    np.testing.assert_array_equal(stack.time, range(4))
    assert stack.attrs["started"] == "2024-12-31T23:59:50"


@pytest.mark.parametrize("dtype", ["<u2", "<f4"])
def test_type_of_pixels_from_their_size(tmp_path: Path, dtype: str) -> None:
    stack = open_stack(txrm(tmp_path, images(dtype), DataType=None))
    np.testing.assert_array_equal(stack, images())


@pytest.mark.parametrize("order", ["plain", "microsoft", "scattered"])
@pytest.mark.parametrize("sector", [512, 4096])
def test_images_in_any_sectors(tmp_path: Path, order: str, sector: int) -> None:
    data = np.random.default_rng(0).integers(0, 65_536, (3, 200, 220)).astype("<u2")
    path = tmp_path / "s.txrm"
    path.write_bytes(compound(streams_of(data), sector=sector, order=order))
    source, _ = open_source(path)
    assert source.framewise == (order == "scattered")
    part = source.read(slice(1, 3), slice(50, 67))
    np.testing.assert_array_equal(part, data[1:, 50:67])
    assert part.dtype == np.uint16
    lazy = open_stack(path, lazy=True)
    np.testing.assert_array_equal(lazy[:, 190:].values, data[:, 190:])
    np.testing.assert_array_equal(open_stack(path, lazy=False), data)
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(0, 1), slice(3, 5)), data[:1, 3:5])


def test_more_than_a_hundred_images(tmp_path: Path) -> None:
    """ImageData1 holds images 1 to 100, ImageData2 the next hundred."""
    n = 103
    data = np.arange(n * 20, dtype="<u2").reshape(n, 4, 5)
    energies = np.linspace(500, 600, n).astype("<f4")
    stack = open_stack(txrm(tmp_path, data, Energy=energies, ExpTimes=None, Current=None))
    np.testing.assert_array_equal(stack, data)
    assert "dwell" not in stack.coords


def test_slots_of_forty_bytes(tmp_path: Path) -> None:
    slots = np.array(ENERGIES, "<f4")[:, None].view("u1")
    padded = np.pad(slots, ((0, 0), (0, 36))).tobytes()[:-36]
    np.testing.assert_array_equal(open_stack(txrm(tmp_path, Energy=padded)).energy, ENERGIES)


def test_without_a_pixel_size(tmp_path: Path) -> None:
    path = txrm(tmp_path, PixelSize=np.float32(0))
    with pytest.warns(ChemoscapeWarning, match="no pixel size"):
        open_stack(path)
    assert open_stack(path, pixel_um=0.02).x[1] == 0.02


def test_shifts_are_not_applied(tmp_path: Path) -> None:
    path = txrm(tmp_path, **{"Alignment__X-Shifts": np.array([0, 1.5, 2, 3], "<f4")})
    with pytest.warns(ChemoscapeWarning, match="shifts that align the images; they are not"):
        np.testing.assert_array_equal(open_stack(path), images())


# --- scans in progress, missing images ---


def test_scan_in_progress(tmp_path: Path) -> None:
    path = txrm(tmp_path, ImagesTaken=np.uint32(3), Image4=None)
    with pytest.warns(ChemoscapeWarning, match="3 of 4 planned images were taken"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack[:3], images()[:3])
    assert np.isnan(stack[3]).all()
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    source, _ = open_source(path)
    assert not source.complete


def test_images_that_were_counted_and_never_written(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="3 of 4 planned images were taken"):
        stack = open_stack(txrm(tmp_path, ImagesTaken=None, Image4=b""))
    assert np.isnan(stack[3]).all()


def test_planned_images_without_energies_are_left_out(tmp_path: Path) -> None:
    noted = np.array([*ENERGIES[:3], 0], "<f4")
    path = txrm(tmp_path, ImagesTaken=np.uint32(3), Energy=noted)
    with pytest.warns(ChemoscapeWarning, match="3 of 4 planned"):
        assert open_stack(path).shape == (3, 5, 6)
    with pytest.warns(ChemoscapeWarning, match="3 of 4 planned"):
        np.testing.assert_array_equal(open_stack(path, energy=[1, 2, 3]).energy, [1, 2, 3])


def test_missing_in_the_middle(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="1 of 4 images are missing in the middle: 2"):
        stack = open_stack(txrm(tmp_path, Image2=None))
    assert np.isnan(stack[1]).all()
    np.testing.assert_array_equal(stack[2], images()[2])


# --- transmission ---


def test_transmission_is_offered(tmp_path: Path) -> None:
    light = np.full((5, 6), 50_000, "<f4")
    light[0, 0] = 0
    light[0, 1] = np.nan
    path = txrm(
        tmp_path,
        ReferenceData__Image=light,
        ReferenceData__DataType=np.uint32(10),
        ReferenceData__ExpTime=np.float32(1.0),
    )
    with pytest.warns(ChemoscapeWarning, match=r"2 channels \(counts, transmission\); 'counts'"):
        counts = open_stack(path)
    np.testing.assert_array_equal(counts, images())
    stack = open_stack(path, channel="transmission")
    assert stack.attrs["quantity"] == "transmission"
    assert np.isnan(stack[:, 0, :2]).all()
    expected = images() / 50_000 / np.array([2, 2, 4, 4])[:, None, None]
    np.testing.assert_allclose(stack[:, 1:], expected[:, 1:], rtol=1e-6)
    lazy = open_stack(path, channel="transmission", lazy=True)
    np.testing.assert_array_equal(lazy[:, 2:4].values, stack[:, 2:4])


def test_reference_of_integers_without_times(tmp_path: Path) -> None:
    light = np.full((5, 6), 50_000, "<u2")
    path = txrm(tmp_path, ReferenceData__Image=light)
    with pytest.warns(ChemoscapeWarning, match="exposure times .* are taken as equal"):
        stack = open_stack(path, channel="transmission")
    np.testing.assert_allclose(stack, images() / 50_000, rtol=1e-6)


def test_reference_of_another_size(tmp_path: Path) -> None:
    path = txrm(tmp_path, ReferenceData__Image=np.zeros(7, "<f4"))
    with pytest.warns(ChemoscapeWarning, match="reference image has another size"):
        assert open_stack(path).attrs["channel"] == "counts"


def test_corrected_already(tmp_path: Path) -> None:
    data = (images() / 60_000).astype("<f4")
    changes = {"ImageInfo__OriginalDataRefCorrected": np.uint32(1)}
    path = txrm(tmp_path, data, **changes, ReferenceData__Image=data[0])
    stack = open_stack(path)  # nothing to say: the file says it
    assert stack.attrs["quantity"] == "transmission"
    np.testing.assert_array_equal(stack, data)
    with pytest.warns(ChemoscapeWarning, match=r"no transmission \(up to .*taken for counts"):
        assert open_stack(txrm(tmp_path, data * 100, **changes)).attrs["quantity"] == "counts"
    with pytest.warns(ChemoscapeWarning, match=r"go up to 0\.683.*taken for transmission"):
        assert open_stack(txrm(tmp_path, data)).attrs["quantity"] == "transmission"


# --- energies ---


@pytest.mark.parametrize(
    ("noted", "message"),
    [
        (None, "notes no photon energies; give them: energy = a list in eV"),
        (np.array(ENERGIES[:3], "<f4"), "notes 3 photon energies for 4 images"),
        (np.array([*ENERGIES, 710], "<f4"), "notes 5 photon energies for 4 images"),
        (np.zeros(4, "<f4"), "notes photon energies of 0 eV"),
        (np.full(4, np.nan, "<f4"), "notes photon energies of 0 eV"),
        (np.array([700, 700, 705, 705], "<f4"), "only 2 different photon energies for 4 images"),
    ],
)
def test_energies_are_asked_for(tmp_path: Path, noted: np.ndarray | None, message: str) -> None:
    path = txrm(tmp_path, Energy=noted)
    with pytest.raises(FileFormatError, match=message):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, energy=ENERGIES).energy, ENERGIES)


def test_an_energy_that_repeats_once(tmp_path: Path) -> None:
    """As where two ranges of a scan meet; that is no rounding."""
    data = np.arange(10 * 20, dtype="<u2").reshape(10, 4, 5) + 1000
    noted = np.array([700, 701, 702, 703, 704, 704, 705, 706, 707, 708], "<f4")
    with pytest.warns(ChemoscapeWarning, match=r"1 images repeat an energy, at 704\.00 eV"):
        stack = open_stack(txrm(tmp_path, data.astype("<u2"), Energy=noted, Date=None))
    assert stack.sizes["energy"] == 9


@pytest.mark.parametrize(
    ("name", "noted", "energy", "message"),
    [
        ("a_0250.52eV_1.xrm", None, 250.52, "energies are those in the file names; the files note"),
        ("a_0250.52_eV_1.xrm", [0.0], 250.52, "the files note none"),
        ("a_0250.52eV.xrm", [250.0], 250.52, "the files note rounded ones"),
        ("a_0250.52eV.xrm", [250.52], 250.52, ""),
        ("a_0250eV.xrm", [250.52], 250.52, ""),
        ("a_0250.52eV.xrm", [700.0], 700.0, r"named 250\.52 eV and notes 700\.00 eV, which is"),
        ("a.xrm", [700.0], 700.0, ""),
    ],
)
def test_energy_in_the_name(
    tmp_path: Path, name: str, noted: list[float] | None, energy: float, message: str
) -> None:
    path = txrm(
        tmp_path,
        images()[:1],
        name,
        Energy=None if noted is None else np.array(noted, "<f4"),
    )
    if message:
        with pytest.warns(ChemoscapeWarning, match=message):
            stack = open_stack(path)
    else:
        stack = open_stack(path)
    assert stack.energy.item() == pytest.approx(energy, abs=1e-4)


def test_no_energy_at_all(tmp_path: Path) -> None:
    path = txrm(tmp_path, images()[:1], "image.xrm", Energy=None)
    with pytest.raises(FileFormatError, match=r"notes no photon energies, nor does its name"):
        open_stack(path)


# --- folders ---


def test_folder_of_single_images(tmp_path: Path) -> None:
    names = ["b_0705.25eV.xrm", "a_0707.00eV.xrm", "d_0700.00eV.xrm", "c_0702.50eV.XRM"]
    noted = [np.array([e], "<f4") for e in (705.25, 707.0, 700.0, 702.5)]
    folder = xrm_folder(tmp_path, names, Energy=noted)
    stack = open_stack(folder)
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    np.testing.assert_array_equal(stack, images()[[2, 3, 0, 1]])
    assert stack.attrs["source"] == str(folder)
    lazy = open_stack(folder, lazy=True)
    np.testing.assert_array_equal(lazy[:, 1:3].values, stack[:, 1:3])
    one = open_stack(folder / names[0])
    np.testing.assert_array_equal(one, images()[:1])


def test_folder_with_energies_in_the_names(tmp_path: Path) -> None:
    names = [f"scan_{e:07.2f}eV.xrm" for e in ENERGIES]
    folder = xrm_folder(tmp_path, names, Energy=np.array([700], "<f4"))
    with pytest.warns(ChemoscapeWarning, match="energies are those in the file names"):
        np.testing.assert_array_equal(open_stack(folder).energy, ENERGIES)
    np.testing.assert_array_equal(open_stack(folder, energy=[4, 3, 2, 1])[0], images()[3])


def test_folder_without_energies(tmp_path: Path) -> None:
    folder = xrm_folder(tmp_path, ["a2.xrm", "a10.xrm"], Energy=None)
    with pytest.raises(FileFormatError, match=r"2 of 2 files note no energy, as a2\.xrm; give"):
        open_stack(folder)
    stack = open_stack(folder, energy=[700, 710])  # in the order 2, 10
    np.testing.assert_array_equal(stack, images()[:2])


def test_folder_of_one_txrm(tmp_path: Path) -> None:
    np.testing.assert_array_equal(open_stack(txrm(tmp_path).parent), images())
    txrm(tmp_path, name="again.txrm")
    with pytest.raises(FileFormatError, match=r"2 files, and in again\.txrm there are several im"):
        open_stack(tmp_path)


def test_folder_of_different_images(tmp_path: Path) -> None:
    txrm(tmp_path, images()[:1], "a.xrm")
    txrm(tmp_path, images()[1:2, 1:], "b.xrm", Energy=np.array([701], "<f4"))
    with pytest.raises(FileFormatError, match=r"b\.xrm: has 6 × 4 pixels, a\.xrm 6 × 5"):
        open_stack(tmp_path)


def test_folder_with_changing_pixels(tmp_path: Path) -> None:
    sizes = [np.float32(s) for s in (0.01, 0.0101)]
    noted = [np.array([e], "<f4") for e in (700, 701)]
    folder = xrm_folder(tmp_path, ["a.xrm", "b.xrm"], PixelSize=sizes, Energy=noted)
    with pytest.warns(ChemoscapeWarning, match=r"from 0\.01 to 0\.0101 µm; that of a\.xrm is used"):
        open_stack(folder)


# --- what is refused ---


def test_tomography(tmp_path: Path) -> None:
    angles = np.array([-60, -20, 20, 60], "<f4")
    path = txrm(tmp_path, Angles=angles, Energy=np.full(4, 520, "<f4"))
    with pytest.raises(FileFormatError, match="4 images at 4 angles and 1 photon energies: a tomo"):
        open_stack(path)
    with pytest.raises(FileFormatError, match="a tomography"):
        open_stack(txrm(tmp_path, Angles=angles, Energy=None))
    stack = open_stack(txrm(tmp_path, Angles=angles))  # each angle has its own energy
    np.testing.assert_array_equal(stack.angle, angles)


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageInfo__MosiacMode": np.uint32(1)},
        {"ImageInfo__MosiacColumns": np.uint32(2), "ImageInfo__MosiacRows": np.uint32(2)},
    ],
)
def test_mosaic(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(FileFormatError, match="is a mosaic: its images are tiles"):
        open_stack(txrm(tmp_path, **changes))


def test_no_mosaic_where_the_mode_is_off(tmp_path: Path) -> None:
    changes = {"ImageInfo__MosiacMode": np.uint32(0), "ImageInfo__MosiacColumns": np.uint32(3)}
    assert open_stack(txrm(tmp_path, **changes)).shape == SHAPE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Image3": bytes(59)}, "image 3 of 4 has 59 bytes, where 6 × 5 pixels of uint16 need 60"),
        ({"Image3": bytes(61)}, "image 3 of 4 has 61 bytes"),
        ({"ImageWidth": np.uint32(7)}, "image 1 of 4 has 60 bytes, where 7 × 5 pixels"),
        ({"ImageWidth": np.uint32(4_000_000_000)}, r"ImageInfo/ImageWidth is -2\.9"),
        ({"ImageHeight": None, "Height": b""}, "ImageInfo/ImageHeight is nan"),
        ({"NoOfImages": np.uint32(0)}, "ImageInfo/NoOfImages is 0"),
        ({"NoOfImages": np.uint32(2_000_000)}, "ImageInfo/NoOfImages is 2e"),
        ({"DataType": np.uint32(10)}, "pixels of float32 need 120"),
        ({"DataType": np.uint32(77)}, "ImageInfo/DataType is 77, which is no type of pixels"),
        ({f"Image{k}": None for k in range(1, 5)}, "holds no image"),
        ({"ImagesTaken": np.uint32(0)}, "holds no image"),
    ],
)
def test_sizes_are_not_trusted(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_stack(txrm(tmp_path, **changes))


def test_truncated_file(tmp_path: Path) -> None:
    data = np.full((3, 100, 100), 300, "<u2")
    path = tmp_path / "s.txrm"
    content = compound({"first": bytes(5000), **streams_of(data)}, order="microsoft")
    path.write_bytes(content)
    assert open_stack(path).shape == (3, 100, 100)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match=r"table of contents is damaged .*truncated or still"):
        open_stack(path)
    other = path.rename(tmp_path / "s.doc")
    assert not xradia.sniff(other)


def test_image_behind_the_end_of_the_file(tmp_path: Path) -> None:
    """The table of contents is whole, the images are not."""
    data = np.full((3, 100, 100), 300, "<u2")
    streams = streams_of(data)
    late = {name: streams.pop(name) for name in list(streams) if "ImageData" in name}
    path = tmp_path / "s.txrm"
    content = compound({**late, **streams})
    path.write_bytes(content)
    first = opened(path).stream("ImageData1/Image3")
    assert first is not None
    damaged = bytearray(content)
    fat = np.frombuffer(content[512:], "<u4")
    sector = int(first.offsets[0]) // 512 - 1
    chained = np.flatnonzero(fat == sector + 1)
    for place in chained:
        struct.pack_into("<I", damaged, 512 + 4 * int(place), 900_000)
    path.write_bytes(bytes(damaged))
    with pytest.raises(FileFormatError, match=r"Image3 is not wholly in the file \(its chain of"):
        open_stack(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [(44, 4_000_000), (44, 2**32 - 1), (64, 2**31), (72, 2**31), (30, 0xFFFF), (30, 40), (32, 9)],
)
def test_absurd_tables(tmp_path: Path, place: int, value: int) -> None:
    path = txrm(tmp_path)
    damaged = bytearray(path.read_bytes())
    struct.pack_into("<H" if value < 2**16 and place < 40 else "<I", damaged, place, value)
    path.write_bytes(bytes(damaged))
    with pytest.raises(FileFormatError, match=r"announces tables larger|no compound"):
        open_stack(path)


def test_ring_of_sectors(tmp_path: Path) -> None:
    """A chain that leads back into itself, in a stream that claims to be endless."""
    data = np.full((1, 100, 100), 300, "<u2")
    path = tmp_path / "s.xrm"
    content = bytearray(compound(streams_of(data), sector=4096))
    path.write_bytes(bytes(content))
    stream = opened(path).stream("ImageData1/Image1")
    assert stream is not None
    sector = int(stream.offsets[0]) // 4096 - 1
    table = content.rindex(struct.pack("<I", FAT_MARK)) // 4096 * 4096
    struct.pack_into("<I", content, table + 4 * (sector + 2), sector)
    name = content.index("Image1".encode("utf-16-le") + b"\0\0")
    struct.pack_into("<Q", content, name + 120, 2**62)
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="Image1 is not wholly in the file"):
        open_stack(path)
    struct.pack_into("<Q", content, name + 120, data.nbytes)
    path.write_bytes(bytes(content))
    assert open_stack(path).shape == (1, 100, 100)  # right in length; a ring cannot be seen


@pytest.mark.parametrize(
    "content",
    [
        compound({"WordDocument": bytes(5000), "1Table": bytes(100)}),
        compound({}),
        bytes.fromhex("d0cf11e0a1b11ae1"),
        bytes(2000),
        b"",
    ],
)
def test_other_files_are_not_claimed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xrm"
    path.write_bytes(content)
    for given_path in (path, tmp_path):
        assert not xradia.sniff(given_path)
        with pytest.raises(FileFormatError):
            find_format(given_path)


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    txrm(tmp_path, images()[:1], "a.xrm")
    txrm(tmp_path / "scan", images()[1:2], "b.xrm")
    (tmp_path / "scan" / "c.xrm").symlink_to(tmp_path / "a.xrm")
    with pytest.raises(FileFormatError):
        open_stack(tmp_path / "scan")


SMALL = compound(
    streams_of(
        np.random.default_rng(5).integers(300, 60_000, (3, 50, 50)).astype("<u2"),
        ReferenceData__Image=np.full((50, 50), 50_000, "<f4"),
    )
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_the_right_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(SMALL)
    kind = data.draw(st.sampled_from(["cut", "flip", "word"]))
    tables = [*range(80), *range(len(content) - 8192, len(content))]  # header, directory, table
    if kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    elif kind == "flip":
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.sampled_from(tables))] ^= data.draw(st.integers(1, 255))
    else:
        place = data.draw(st.sampled_from(tables[::4])) & ~3
        struct.pack_into(
            "<I", content, min(place, len(content) - 4), data.draw(st.integers(0, 2**32 - 1))
        )
    path = tmp_path / "s.txrm"
    path.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        for channel in ("counts", "transmission"):
            try:
                stack = open_stack(path, channel=channel, energy=[1, 2, 3])
            except ChemoscapeError:
                continue
            assert stack.sizes["energy"] == 3
