"""SDF stacks: the real dialects against numpy.loadtxt, and every damage found and named."""

from __future__ import annotations

import pickle
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape import blocks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_source, open_stack, watch

ENERGIES = [510.0, 511.5, 512.25]


def frame(k: int, letter: str = "a", region: int = 0) -> np.ndarray:
    """A 3 × 4 image whose numbers differ from those of all other images."""
    return np.arange(12).reshape(3, 4) * 1.5 + 100 * k + 1000 * region + 5000 * (letter == "b")


def text_of(image: np.ndarray, end: str = "\r\n") -> str:
    return "".join("\t".join(f"{v:.6f}" for v in row) + end for row in image)


def points(values: list[float]) -> str:
    return f"Points = ({len(values)}, {', '.join(f'{v:.3f}' for v in values)});"


def header(*, n_regions: int = 1, n_channels: int = 1, notes: str = "", extra: str = "") -> str:
    region = (
        '{ PAxis = { Name = "Sample X"; Unit = "um"; '
        + points([0.0, 0.1, 0.2, 0.3])
        + ' };\n QAxis = { Name = "Sample Y"; Unit = "um"; '
        + points([5.0, 5.1, 5.2])
        + " }; }"
    )
    channels = ", ".join(f'{{ Name = "counter{k}"; Unit = "Hz"; }}' for k in range(n_channels))
    return (
        '\nScanDefinition = { Label = "s.hdr"; Type = "NEXAFS Image Scan"; Dwell = 2;\n'
        f" Regions = ({n_regions},\n{', '.join([region] * n_regions)});\n"
        f' StackAxis = {{ Name = "Energy"; Unit = "eV"; {points(ENERGIES)} }};\n'
        f" Channels = ({n_channels},\n{channels});\n}};\n"
        f" PMT_CounterDivider = 10; {extra}\n{notes}\n"
    )


def small_stack(folder: Path, end: str = "\r\n", **options: object) -> Path:
    (folder / "s.hdr").write_text(header(**options))  # type: ignore[arg-type]
    for k in range(3):
        (folder / f"s_a{k:03d}.xim").write_bytes(text_of(frame(k), end).encode())
    return folder / "s.hdr"


# --- real files ---


def test_als_stack(data_folder: Path) -> None:
    folder = data_folder / "als_fe2p" / "71214078"
    stack = open_stack(folder)
    assert stack.shape == (123, 125, 125)
    assert stack.dtype == np.float32
    np.testing.assert_allclose(stack.energy[[0, -1]], [700.0, 730.353])
    np.testing.assert_allclose(stack.x[[0, -1]], [-4736.602, -4726.682])
    np.testing.assert_allclose(stack.y[[0, -1]], [-638.153, -628.233])
    for k in (0, 61, 122):
        there = np.loadtxt(folder / f"71214078_a{k:03d}.xim", dtype=np.float32)
        np.testing.assert_array_equal(stack[k], there)
    np.testing.assert_array_equal(stack[0], np.round(stack[0]))  # the only one not interpolated
    assert stack.attrs["dwell_ms"] == 0.433
    assert stack.attrs["counter_divider"] == 10
    assert stack.attrs["unit"] == "counts"
    assert stack.attrs["source"] == str(folder.resolve() / "71214078.hdr")
    # the header counts its images from one and says nothing of the first
    assert np.isnan(stack.ring_current[0])
    np.testing.assert_allclose(stack.ring_current[[1, -1]], [333.08, 306.38])
    np.testing.assert_allclose(stack.time[[1, 2]], [0.0, 23.0])


def test_single_image(data_folder: Path) -> None:
    stack = open_stack(data_folder / "readers" / "30529000.hdr")
    assert stack.shape == (1, 200, 200)
    assert stack.energy.item() == 708.4
    there = np.loadtxt(data_folder / "readers" / "30529000_a.xim")
    np.testing.assert_array_equal(stack[0], there)


def test_energy_of_the_image_wins_over_the_axis(data_folder: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="differ from the stack axis by up to 18 eV"):
        stack = open_stack(data_folder / "readers" / "max_iv.hdr")  # the axis says 698 and 700
    np.testing.assert_allclose(stack.energy, [698.0, 718.0])
    np.testing.assert_allclose(stack.ring_current, [248.32, 248.32])
    np.testing.assert_allclose(stack.time, [0.0, 3727.0])


def test_missing_frames_are_named(data_folder: Path) -> None:
    with pytest.warns(ChemoscapeWarning) as warned:
        stack = open_stack(data_folder / "readers" / "ptycho-data-cosmic__stxm-scan.hdr")
    missing, to_come = (str(one.message) for one in warned)
    assert "18 of 34 images are missing, at 850.00, 851.00" in missing
    assert "the last 14 of 34 images, at 858.00, " in to_come
    np.testing.assert_allclose(stack.energy[:3], [853.0, 857.75, 858.0])
    assert stack.shape == (16, 120, 120)
    assert stack[:2].notnull().all()
    assert stack[2:].isnull().all()
    assert "ring_current" not in stack.coords  # noted as 0.00, that is, not at all
    np.testing.assert_allclose(stack.dwell, 4.0)
    assert stack.attrs["polarisation"] == 0  # the undulator's; the header's own -99.99 is none


def test_header_without_images(data_folder: Path) -> None:
    with pytest.raises(FileFormatError, match="none of its images"):
        open_stack(data_folder / "readers" / "ptycho-data-cosmic__NS_181111148.hdr")


def test_folder_with_several_headers(data_folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"holds 4 SDF headers.*give the path of the \.hdr"):
        open_stack(data_folder / "readers")


def test_describe(data_folder: Path) -> None:
    facts = describe(data_folder / "als_fe2p" / "71214078" / "71214078_a003.xim")
    assert facts["format"] == "sdf"
    assert facts["shape"] == [123, 125, 125]
    assert facts["energy_range_eV"] == [700.0, 730.353]
    assert facts["channels"] == ["counter1"]
    assert facts["unit"] == "counts"
    assert facts["ring_current"] == [306.38, 333.08]
    assert facts["looks_wrong"] == []
    missing = describe(data_folder / "readers" / "ptycho-data-cosmic__stxm-scan.hdr")
    assert missing["shape"] == [16, 120, 120]
    assert not missing["complete"]
    assert len(missing["looks_wrong"]) == 3  # in the middle, at the end, and the share of NaN


# --- written here ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t\r\n"])
@pytest.mark.parametrize("name", ["s.hdr", "s_a001.xim", ""])
def test_any_of_its_paths_opens_it(tmp_path: Path, name: str, end: str) -> None:
    small_stack(tmp_path, end)
    stack = open_stack(str(tmp_path / name))
    np.testing.assert_array_equal(stack, np.stack([frame(k) for k in range(3)]))
    np.testing.assert_allclose(stack.energy, ENERGIES)
    np.testing.assert_allclose(stack.y, [5.0, 5.1, 5.2])


def test_regions_and_channels(tmp_path: Path) -> None:
    (tmp_path / "s.hdr").write_text(header(n_regions=2, n_channels=2))
    for letter in "ab":
        for region in (0, 1):
            for k in range(3):
                path = tmp_path / f"s_{letter}{k:03d}{region}.xim"
                path.write_text(text_of(frame(k, letter, region)))
    for letter, region in (("a", 0), ("b", 1)):
        stack = open_stack(tmp_path, channel=letter, region=region)
        np.testing.assert_array_equal(stack[2], frame(2, letter, region))
    with pytest.warns(ChemoscapeWarning) as warned:
        stack = open_stack(tmp_path)
    assert "holds 2 channels (counter0, counter1); 'counter0' was opened" in str(warned[0].message)
    assert "2 regions (0 (3 × 4 pixels), 1 (3 × 4 pixels)); '0" in str(warned[1].message)
    np.testing.assert_array_equal(stack, open_stack(tmp_path, channel="counter0", region="0"))
    assert open_stack(tmp_path / "s_b0001.xim", region=1).attrs["channel"] == "counter1"
    with pytest.raises(FileFormatError, match=r"no channel 'c'; choose one of counter0, counter1"):
        open_stack(tmp_path, channel="c")
    with pytest.raises(FileFormatError, match=r"no region 2; choose one of 0 \(3 × 4"):
        open_stack(tmp_path, region=2)


@pytest.mark.parametrize("key", ["Image{k:03d}_0", "Image{one}", "Image{one:03d}"])
def test_notes_of_each_image(tmp_path: Path, key: str) -> None:
    notes = "\n".join(
        f"{key.format(k=k, one=k + 1)} = {{StorageRingCurrent = {300 - k}; Energy = {510.5 + k}; "
        f'Time = "2018 Nov 11 00:0{k}:30";}};'
        for k in range(3)
    )
    stack = open_stack(small_stack(tmp_path, notes=notes))
    np.testing.assert_allclose(stack.energy, [510.5, 511.5, 512.5])
    np.testing.assert_allclose(stack.ring_current, [300, 299, 298])
    np.testing.assert_allclose(stack.time, [0, 60, 120])


def test_dwell_of_each_energy_region(tmp_path: Path) -> None:
    regions = (
        "ImageScan = { EnergyRegions = (2,"
        "{ StartEnergy = 510; EndEnergy = 511.5; Points = 2; DwellTime = 1;},"
        "{ StartEnergy = 512.25; EndEnergy = 512.25; Points = 1; DwellTime = 3;}); };"
    )
    stack = open_stack(small_stack(tmp_path, extra=regions))
    np.testing.assert_allclose(stack.dwell, [1, 1, 3])
    assert stack.attrs["dwell_ms"] == 2


def test_descending_axes_are_flipped(tmp_path: Path) -> None:
    path = small_stack(tmp_path)
    path.write_text(header().replace("5.000, 5.100, 5.200", "5.200, 5.100, 5.000"))
    stack = open_stack(path)
    np.testing.assert_allclose(stack.y, [5.0, 5.1, 5.2])
    np.testing.assert_array_equal(stack[0], frame(0)[::-1])


def test_of_images_at_one_energy_the_first_is_kept(tmp_path: Path) -> None:
    """As where two energy regions meet."""
    path = small_stack(tmp_path)
    path.write_text(header().replace("510.000, 511.500, 512.250", "510.000, 510.000, 512.250"))
    with pytest.warns(ChemoscapeWarning, match=r"1 images repeat an energy, at 510\.00 eV"):
        stack = open_stack(path)
    np.testing.assert_allclose(stack.energy, [510.0, 512.25])
    np.testing.assert_array_equal(stack[0], frame(0))
    np.testing.assert_array_equal(stack[1], frame(2))
    facts = describe(path)
    assert facts["shape"] == [3, 3, 4]
    assert "1 images repeat an energy, at 510.00 eV" in facts["looks_wrong"][0]


def test_missing_and_empty_images_are_dropped_with_a_warning(tmp_path: Path) -> None:
    path = small_stack(tmp_path)
    (tmp_path / "s_a001.xim").unlink()
    with pytest.warns(ChemoscapeWarning, match=r"1 of 3 images are missing, at 511\.50 eV"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack[1], frame(2))
    (tmp_path / "s_a001.xim").touch()
    with pytest.warns(ChemoscapeWarning, match=r"511\.50"):
        open_stack(path)


def test_a_scan_in_progress(tmp_path: Path) -> None:
    """The images to come are NaN, and so are the rows that the last one does not have yet."""
    path = small_stack(tmp_path)
    (tmp_path / "s_a002.xim").unlink()
    rows = (tmp_path / "s_a001.xim").read_bytes().splitlines(keepends=True)
    (tmp_path / "s_a001.xim").write_bytes(rows[0] + rows[1] + rows[2][:7])
    with pytest.warns(
        ChemoscapeWarning, match=r"the last 1 of 3 images, at 512\.25 eV, are not th"
    ):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack[0], frame(0))
    np.testing.assert_array_equal(stack[1, :2], frame(1)[:2])
    assert stack[1, 2].isnull().all()
    assert stack[2].isnull().all()
    np.testing.assert_allclose(stack.energy, ENERGIES)
    assert not describe(path)["complete"]


def test_watching_a_scan(tmp_path: Path) -> None:
    path = small_stack(tmp_path)
    images = [tmp_path / f"s_a{k:03d}.xim" for k in range(3)]
    to_come = [image.read_bytes() for image in images]
    for image in images[1:]:
        image.unlink()
    seen = []
    for k, stack in enumerate(watch(path, every=0.001), start=1):
        seen.append(int(stack.notnull().all(("y", "x")).sum()))
        if k < 3:
            images[k].write_bytes(to_come[k])
    assert seen == [1, 2, 3]


def test_watching_waits_for_the_first_image(tmp_path: Path) -> None:
    path = small_stack(tmp_path)
    to_come = [(image, image.read_bytes()) for image in sorted(tmp_path.glob("*.xim"))]
    for image, _ in to_come:
        image.unlink()
    with pytest.raises(FileFormatError, match="none of its images"):
        next(iter(watch(path, every=0.001, patience=0.01)))
    later = threading.Timer(0.05, lambda: [image.write_bytes(text) for image, text in to_come])
    later.start()
    stacks = list(watch(path, every=0.001))
    later.join()
    assert stacks[-1].notnull().all()


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 3), slice(2, 3), slice(0, 3)])
@pytest.mark.parametrize("end", ["\n", "\t\r\n", "\r\n\r\n"])
def test_bands_of_rows(tmp_path: Path, rows: slice, end: str) -> None:
    path = small_stack(tmp_path, end)
    source, _ = open_source(path)
    band = pickle.loads(pickle.dumps(source.read))(slice(1, 3), rows)
    np.testing.assert_array_equal(band, np.stack([frame(1), frame(2)])[:, rows])


def test_lazy_is_the_same(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_folder / "als_fe2p" / "71214078"
    monkeypatch.setattr(blocks._sizes, "BAND_BYTES", 123 * 125 * 4 * 20)
    lazy, whole = open_stack(folder, lazy=True), open_stack(folder, lazy=False)
    assert blocks.is_lazy(lazy)
    assert lazy.data.chunks == ((123,), (20,) * 6 + (5,), (125,))
    xr.testing.assert_identical(lazy.isel(y=slice(33, 50)).compute(), whole.isel(y=slice(33, 50)))
    xr.testing.assert_identical(lazy.compute(), whole)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda t: t[: t.rindex(b"\r\n", 0, -2) + 2],
            r"s_a001\.xim: has 2 rows, the header says 3",
        ),
        (lambda t: t[: t.rindex(b"\t")], r"s_a001\.xim: row 3 has 3 values, the header says 4"),
        (lambda t: t[:-3], r"s_a001\.xim: row 3 has no line end"),
        (lambda t: t + b"1\t2\t3\t4\r\n", "has more than the 3 rows"),
        (lambda t: t.replace(b"\t", b"\t7\t", 1), "row 1 has 5 values, the header says 4"),
        (lambda t: t.replace(b"\t", b"-", 1), "row 1, column 1 is not a number"),
        (lambda t: t.replace(b"0\r\n", b"x\r\n", 1), "row 1, column 4 is not a number"),
        (lambda t: t[:9], r"ends in row 1 of 3: 9 bytes cannot hold the 3 × 4 values"),
        (lambda t: t.replace(b"0\r\n", b"0e99\r\n", 1), "row 1, column 4 is not a number"),
        (lambda t: t + b" " * 2_000_000, "2 MB long"),
    ],
)
def test_damaged_image_is_named(tmp_path: Path, damage: object, message: str) -> None:
    path = small_stack(tmp_path)
    image = tmp_path / "s_a001.xim"
    image.write_bytes(damage(image.read_bytes()))  # type: ignore[operator]
    with pytest.raises(FileFormatError, match=message):
        open_stack(path)


def test_writer_that_never_ends_the_last_line(tmp_path: Path) -> None:
    path = small_stack(tmp_path)
    for k in range(3):
        (tmp_path / f"s_a{k:03d}.xim").write_text(text_of(frame(k)).rstrip())
    np.testing.assert_array_equal(open_stack(path)[2], frame(2))


def test_numbers_as_python_reads_them(tmp_path: Path) -> None:
    words = [
        ["0", "-1", "+2.5", "1e3"],
        ["1.5E-3", ".25", "7.", "123456789012345678901"],
        ["3.4028234e38", "1.17549435e-38", "0.1", "16777217"],
    ]
    path = small_stack(tmp_path)
    (tmp_path / "s_a000.xim").write_text("\n".join(", ".join(row) for row in words) + "\n")
    expected = np.array([[np.float32(word) for word in row] for row in words])
    np.testing.assert_array_equal(open_stack(path)[0], expected)


def test_image_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    path = small_stack(tmp_path / "stack")
    elsewhere = shutil.move(path.with_name("s_a001.xim"), tmp_path / "secret.xim")
    path.with_name("s_a001.xim").symlink_to(elsewhere)
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        open_stack(path)


@pytest.mark.parametrize("kind", ["NEXAFS Line Scan", "NEXAFS Point Scan", "Focus Scan"])
def test_other_scans_are_refused(tmp_path: Path, kind: str) -> None:
    path = small_stack(tmp_path)
    path.write_text(header().replace("NEXAFS Image Scan", kind))
    with pytest.raises(FileFormatError, match=f"scan of type '{kind}', not a stack"):
        open_stack(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t[: t.index("StackAxis")], r"s\.hdr: line \d+: '}' is missing"),
        (lambda t: t.replace("Points = (4,", "Points = (4000000000,"), "announces 4e.09 points"),
        (lambda t: t.replace("(4, 0.000", "(4, wide"), "PAxis has no list of points"),
        (lambda t: t.replace("Regions = (1", "Regions = (2"), "Regions is not a list of as many"),
        (lambda t: t.replace('"um"', '"eV"', 1), "PAxis is in 'eV', which is no length"),
        (lambda t: t + "Deep = " + "{ a = " * 5000, "nested more than 32 deep"),
        (lambda t: t + "Deep = " + "(" * 5000, "nested more than 32 deep"),
        (lambda t: t + 'Name = "cut', "opened by a quote and never closed"),
    ],
)
def test_damaged_header_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    path = small_stack(tmp_path)
    path.write_text(damage(header()))  # type: ignore[operator]
    with pytest.raises(FileFormatError, match=message):
        open_stack(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_the_right_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = small_stack(tmp_path, notes="Image000_0 = {Energy = 510.01; StorageRingCurrent = 300;};")
    victim = tmp_path / data.draw(st.sampled_from(["s.hdr", "s_a000.xim", "s_a002.xim"]))
    content = bytearray(victim.read_bytes())
    truncated = data.draw(st.booleans())
    if truncated:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    victim.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # an empty image is a missing one
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    seen = np.isfinite(stack).all(("y", "x"))
    assert (seen | np.isnan(stack).all(("y", "x"))).all()  # whole frames only, those to come
    stack = stack[seen.values]
    if truncated:  # a changed digit cannot be seen, a missing one can
        for energy, image in zip(stack.energy.values, stack.values, strict=True):
            k = int(np.abs(np.array(ENERGIES) - energy).argmin())
            np.testing.assert_array_equal(image, frame(k))
