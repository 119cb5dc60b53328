"""SDF point scans and line scans, built from the published layout: what is read, said, refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_spectra, open_stack

ENERGIES = [704.0, 704.25, 704.5, 705.0]
PLACES = [-1.5, -1.0, -0.5]


def points(values: list[float]) -> str:
    return f"Points = ({len(values)}, {', '.join(f'{v:.3f}' for v in values)});"


def axis(name: str, values: list[float], unit: str = "eV") -> str:
    return f'{{ Name = "{name}"; Unit = "{unit}"; {points(values)} }};'


ENERGY = axis("Energy", ENERGIES)
LINE = axis("Sample", PLACES, "um")


def header(kind: str, regions: list[str], channels: list[str], extra: str = "") -> str:
    channel = ", ".join(f'{{ Name = "{name}"; Unit = "counts";}}' for name in channels)
    return (
        f'\nScanDefinition = {{ Label = "s.hdr"; Type = "{kind}"; Flags = "Spectra";\n'
        "\tDwell = 1000;\n"
        f"\tRegions = ({len(regions)},\n{', '.join(f'{{ {one} }}' for one in regions)});\n"
        f"\tChannels = ({len(channels)},\n{channel});\n}};\n"
        ' Time = "2021 January 27 11:52:49"; StorageRingCurrent = 298.21;\n'
        " PMT_CounterDivider = 10;\n"
        f"{extra}\n"
        "Image0 = {StorageRingCurrent = 298.21; Energy = 705.00;};\n"
    )


def values_of(region: int, n_channels: int) -> np.ndarray:
    """Numbers that differ from those of all other regions: energies × channels."""
    return 4409087.0 + np.arange(4 * n_channels).reshape(4, n_channels) * 3 + 1000 * region


def point_scan(folder: Path, n_regions: int = 1, n_channels: int = 1) -> Path:
    channels = [f"counter{k}" for k in range(n_channels)]
    places = ", ".join(f"{{ CentreXPos = {k - 70.5}; CentreYPos = 2.5;}}" for k in range(n_regions))
    extra = f"ImageScan = {{ SpatialRegions = ({n_regions},\n{places});\n}};"
    text = header("NEXAFS Point Scan", [f"PAxis = {ENERGY}"] * n_regions, channels, extra)
    (folder / "s.hdr").write_text(text)
    for region in range(n_regions):
        rows = zip(ENERGIES, values_of(region, n_channels), strict=True)
        lines = ["\t".join([f"{e:g}", *(f"{v:.0f}" for v in row), ""]) for e, row in rows]
        (folder / f"s_{region}.xsp").write_text("\n".join(lines) + "\n")
    return folder / "s.hdr"


def image_text(image: np.ndarray) -> str:
    return "".join("\t".join(f"{v:g}" for v in row) + "\t\r\n" for row in image)


IMAGE = 10.0 + np.arange(12).reshape(3, 4)


def line_scan(folder: Path, region: str = f"PAxis = {ENERGY} QAxis = {LINE}", **files: str) -> Path:
    (folder / "s.hdr").write_text(header("NEXAFS Line Scan", [region], ["PMT", "I0"]))
    for name, text in (files or {"s_a": image_text(IMAGE), "s_b": image_text(IMAGE + 100)}).items():
        (folder / f"{name}.xim").write_text(text, newline="")
    return folder / "s.hdr"


# --- point scans ---


@pytest.mark.parametrize("name", ["s.hdr", "s_0.xsp", ""])
def test_point_scan(tmp_path: Path, name: str) -> None:
    point_scan(tmp_path)
    spectra = open_spectra(tmp_path / name)
    np.testing.assert_array_equal(spectra["energy"], ENERGIES)
    np.testing.assert_array_equal(spectra, values_of(0, 1).T)
    assert spectra["spectrum"].values.tolist() == ["s"]
    facts = {
        **{"quantity": "counts", "channel": "counter0", "layout": "SDF", "unit": "counts"},
        **{"scan_type": "NEXAFS Point Scan", "started": "2021 January 27 11:52:49"},
        **{"dwell_ms": 1000.0, "counter_divider": 10.0, "ring_current_mA": 298.21},
        **{"x_um": -70.5, "y_um": 2.5},
    }
    assert facts.items() <= spectra.attrs.items()
    assert describe(tmp_path / "s.hdr")["format"] == "sdf"


def test_channels_of_a_point_scan(tmp_path: Path) -> None:
    path = point_scan(tmp_path, n_channels=3)
    with pytest.warns(ChemoscapeWarning, match=r"3 channels.*'counter0' was opened"):
        spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra[0], values_of(0, 3)[:, 0])
    for k, wish in enumerate(["a", "counter1", 2]):
        np.testing.assert_array_equal(open_spectra(path, channel=wish)[0], values_of(0, 3)[:, k])
    with pytest.raises(FileFormatError, match="no channel 'd'; choose one of counter0, counter1"):
        open_spectra(path, channel="d")


def test_points_come_together(tmp_path: Path) -> None:
    path = point_scan(tmp_path, n_regions=3)
    spectra = open_spectra(path)
    assert spectra["spectrum"].values.tolist() == ["point 1", "point 2", "point 3"]
    np.testing.assert_array_equal(spectra, [values_of(k, 1)[:, 0] for k in range(3)])
    for one in (
        open_spectra(path, region=1),
        open_spectra(path, region="point 2"),
        open_spectra(tmp_path / "s_1.xsp"),
    ):
        np.testing.assert_array_equal(one, spectra[1:2])
        assert one.attrs["x_um"] == -69.5
    with pytest.raises(FileFormatError, match="no region 3; choose one of point 1, point 2"):
        open_spectra(path, region=3)
    (tmp_path / "s_1.xsp").unlink()
    with pytest.warns(ChemoscapeWarning, match="point 2 of 3 points are not there"):
        assert open_spectra(path).shape == (2, 4)
    text = (tmp_path / "s_2.xsp").read_text().replace("704.25", "704.3")
    (tmp_path / "s_2.xsp").write_text(text)
    with pytest.warns(ChemoscapeWarning) as said:
        assert open_spectra(path).shape == (1, 4)
    assert "2 different energy axes; 1 that share one were opened, without point 3" in str(
        said[-1].message
    )


def test_the_file_is_right_about_energies(tmp_path: Path) -> None:
    path = point_scan(tmp_path)
    text = (tmp_path / "s_0.xsp").read_text()
    (tmp_path / "s_0.xsp").write_text(text.replace("704.25", "704.26") + "706\t1\t\n")
    with pytest.warns(ChemoscapeWarning, match="holds 5 energies, the header says 4: all are read"):
        spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra["energy"], [704, 704.26, 704.5, 705, 706])


@pytest.mark.parametrize(
    ("cut", "n"), [("704.5\t4409093\t\n", 3), ("704.5\t4409093\t", 2), ("704.5\t", 2), ("7", 2)]
)
def test_a_point_scan_in_progress(tmp_path: Path, cut: str, n: int) -> None:
    path = point_scan(tmp_path)
    (tmp_path / "s_0.xsp").write_text("704\t4409087\t\n704.25\t4409090\t\n" + cut)
    with pytest.warns(ChemoscapeWarning, match=f"the last {4 - n} of 4 energies are not there"):
        spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra[0], values_of(0, 1)[:n, 0])


# --- line scans ---


def test_line_scan(tmp_path: Path) -> None:
    path = line_scan(tmp_path)
    with pytest.warns(ChemoscapeWarning, match="2 channels"):
        spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra, IMAGE)  # rows are positions, the first one first
    np.testing.assert_array_equal(spectra["energy"], ENERGIES)
    np.testing.assert_array_equal(spectra["position"], [0, 0.5, 1])
    assert spectra["position"].attrs["units"] == "µm"
    assert spectra["spectrum"].values.tolist() == ["0.000 µm", "0.500 µm", "1.000 µm"]
    assert spectra.attrs["scan_type"] == "NEXAFS Line Scan"
    for wish in (tmp_path / "s_b.xim", path):
        np.testing.assert_array_equal(open_spectra(wish, channel="I0"), IMAGE + 100)
    np.testing.assert_array_equal(open_spectra(tmp_path / "s_b.xim"), IMAGE + 100)


def test_line_scan_with_energies_as_rows(tmp_path: Path) -> None:
    path = line_scan(
        tmp_path, f"PAxis = {LINE} QAxis = {axis('Photon', ENERGIES)}", s_a=image_text(IMAGE.T)
    )
    spectra = open_spectra(path, channel="a")
    np.testing.assert_array_equal(spectra, IMAGE)
    np.testing.assert_array_equal(spectra["position"], [0, 0.5, 1])


def test_units_of_a_line_scan(tmp_path: Path) -> None:
    energy = axis("Energy", [0.704, 0.705, 0.706, 0.707], "keV")
    path = line_scan(tmp_path, f"PAxis = {energy} QAxis = {axis('Line', [2, 1, 0], 'nm')}")
    with pytest.warns(ChemoscapeWarning, match="are in keV and were converted"):
        spectra = open_spectra(path, channel="a")
    np.testing.assert_allclose(spectra["energy"], [704, 705, 706, 707])
    np.testing.assert_allclose(spectra["position"], [0, 0.001, 0.002])


def test_last_energies_that_were_never_measured(tmp_path: Path) -> None:
    image = IMAGE.copy()
    image[:, -1] = 0
    image[1, 1] = 0
    path = line_scan(tmp_path, s_a=image_text(image))
    with pytest.warns(ChemoscapeWarning, match="last 1 of 4 energies are zero everywhere"):
        spectra = open_spectra(path, channel="a")
    np.testing.assert_array_equal(spectra, image[:, :3])
    path = line_scan(tmp_path, s_a=image_text(0 * image))
    assert open_spectra(path, channel="a").shape == (3, 4)


def test_several_lines(tmp_path: Path) -> None:
    region = f"PAxis = {ENERGY} QAxis = {LINE}"
    (tmp_path / "s.hdr").write_text(header("NEXAFS Line Scan", [region] * 2, ["PMT"]))
    for k in range(2):
        (tmp_path / f"s_a{k}.xim").write_text(image_text(IMAGE + 50 * k))
    with pytest.warns(ChemoscapeWarning, match=r"2 regions \(line 1, line 2\); 'line 1' was open"):
        np.testing.assert_array_equal(open_spectra(tmp_path), IMAGE)
    np.testing.assert_array_equal(open_spectra(tmp_path, region=1), IMAGE + 50)


@pytest.mark.parametrize("cut", [10, 20, 25])
def test_a_line_scan_in_progress(tmp_path: Path, cut: int) -> None:
    path = line_scan(tmp_path, s_a=image_text(IMAGE)[: 14 + cut])
    n = (14 + cut) // 14
    with pytest.warns(ChemoscapeWarning, match=rf"the last {3 - n} of 3 rows of s_a\.xim are not"):
        spectra = open_spectra(path, channel="a")
    np.testing.assert_array_equal(spectra[:n], IMAGE[:n])
    assert np.isnan(spectra[n:]).all()


# --- refusals ---


@pytest.mark.parametrize("make", [point_scan, line_scan])
def test_such_a_scan_is_no_stack(tmp_path: Path, make) -> None:
    with pytest.raises(FileFormatError, match=r"not a stack of images; open it with cs\.open_spec"):
        open_stack(make(tmp_path))


def test_other_scans(tmp_path: Path) -> None:
    path = line_scan(tmp_path)
    path.write_text(path.read_text().replace("NEXAFS Line Scan", "Focus Scan"))
    with pytest.raises(FileFormatError, match="open an image scan"):
        open_stack(path)
    with pytest.raises(
        FileFormatError, match=r"'Focus Scan', no spectra; open it with cs\.open_st"
    ):
        open_spectra(path)
    (tmp_path / "s_5.xsp").write_text("704 1\n705 2\n")  # somebody's own, beside the images
    np.testing.assert_array_equal(open_spectra(tmp_path / "s_5.xsp"), [[1, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "s_0.xsp").unlink(), r"its data \(s_0\.xsp\) are not there; copy them"),
        (lambda f: (f / "s_0.xsp").write_text("704\t\n"), "s_0.xsp: holds no two columns"),
        (
            lambda f: (f / "s_0.xsp").write_text("704\t1\t\n705\tx\t\n"),
            "line 2 is not a row of num",
        ),
        (
            lambda f: (f / "s_0.xsp").write_text("1 1\n2 1\n3 1\n4 12"),
            "row 4 has no line end: its last number may be cut",
        ),
        (lambda f: edit(f, "Points = (4", "Points = (5"), "PAxis announces 5 points and lists 4"),
        (lambda f: edit(f, "Regions = (1", "Regions = (2"), "Regions is not a list"),
    ],
)
def test_damaged_point_scans(tmp_path: Path, change, message: str) -> None:
    path = point_scan(tmp_path)
    change(tmp_path)
    with pytest.raises(FileFormatError, match=message):
        open_spectra(path)


def test_infinite_energies_of_two_points(tmp_path: Path) -> None:
    path = point_scan(tmp_path, n_regions=2)
    for k in range(2):
        (tmp_path / f"s_{k}.xsp").write_text("704 1\n705 2\n1e999 3\n1e308 4\n")
    with pytest.raises(FileFormatError, match="the energy of point 3 is not a number"):
        open_spectra(path)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "s.hdr"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "s_a.xim").unlink(), r"its data \(s_a\.xim\) are not there"),
        (lambda f: (f / "s_a.xim").write_text(""), "has no complete row"),
        (lambda f: (f / "s_a.xim").write_text("1 2 3\n" * 3), "row 1 has 3 values, the header"),
        (lambda f: (f / "s_a.xim").write_text("1 2 3 4\n" * 4), "more than the 3 rows"),
        (lambda f: (f / "s_a.xim").write_text("1" * 2_000_000), "cannot be the 3 × 4 values"),
        (lambda f: edit(f, "Energy", "ZonePlate") or edit(f, '"eV"', '"um"'), "neither axis"),
        (lambda f: edit(f, '"um"', '"deg"'), "QAxis is in 'deg', which is no length known here"),
        (lambda f: edit(f, "QAxis", "RAxis"), "a region has no QAxis"),
        (lambda f: edit(f, "-1.500", "1e999"), "QAxis has a position that is no number"),
        (lambda f: edit(f, "704.250", "1e999"), "the energy of point 2 is not a number"),
    ],
)
def test_damaged_line_scans(tmp_path: Path, change, message: str) -> None:
    path = line_scan(tmp_path)
    change(tmp_path)
    with pytest.raises(FileFormatError, match=message):
        open_spectra(path, channel="a")


def test_links_stay_in_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    path = point_scan(inside)
    (inside / "s_0.xsp").rename(tmp_path / "s_0.xsp")
    (inside / "s_0.xsp").symlink_to(tmp_path / "s_0.xsp")
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        open_spectra(path)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.booleans(),
    st.integers(0, 1),
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from(b'09.-e(){};,="\t\nxE\xff')), max_size=3
    ),
    st.integers(0, 3000),
)
def test_fuzz(tmp_path: Path, is_line: bool, which: int, changes: list, length: int) -> None:
    path = line_scan(tmp_path) if is_line else point_scan(tmp_path, 2, 2)
    damaged = (path, tmp_path / ("s_a.xim" if is_line else "s_0.xsp"))[which]
    content = bytearray(damaged.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    damaged.write_bytes(content[: length or None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            spectra = open_spectra(path)
        except ChemoscapeError:
            return
    assert np.isfinite(spectra["energy"]).all()
