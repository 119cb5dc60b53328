"""aXis2000 .ncb and .dat: built from the published layout, written, read back, damaged."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError, StackError
from chemoscape.formats import axis2000, describe, open_source, open_stack, save_stack
from chemoscape.stack import build

ENERGIES = [700.0, 705.25, 708.4]
SHAPE = (3, 4, 5)


def numbers() -> np.ndarray:
    """Integers that all differ."""
    return (100 + 7 * np.arange(60).reshape(SHAPE)).astype("<i2")


def text(
    scale: str = "10.0",
    x: str = "1.0 1.4",
    y: str = "2.0 2.6",
    names: str = "a_000.xim 700.00 2.50\na_001.xim 705.25 2.50\na_002.xim 708.40 3.00\n",
) -> str:
    energies = "\n".join(f"   {e}" for e in ENERGIES)
    return f"  5  4  {scale}\n  {x}\n  {y}\n  3\n{energies}\n{names}"


def pair(folder: Path, header: str | None = None, data: np.ndarray | None = None) -> Path:
    """Both files (built from the published layout); returns the .ncb."""
    (folder / "s.dat").write_text(text() if header is None else header)
    (folder / "s.ncb").write_bytes((numbers() if data is None else data).tobytes())
    return folder / "s.ncb"


def a_stack(values: np.ndarray, quantity: str = "counts", **options: object) -> xr.DataArray:
    n_energy, n_y, n_x = values.shape
    return build(
        values,
        500.123456789 + 0.1 * np.arange(n_energy),
        -2.0001 + 0.04 * np.arange(n_y),
        3 + 0.05 * np.arange(n_x),
        quantity=quantity,  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )


# --- reading ---


@pytest.mark.parametrize("name", ["s.ncb", "s.dat"])
def test_integers_are_divided_by_the_scale(tmp_path: Path, name: str) -> None:
    pair(tmp_path)
    stack = open_stack(tmp_path / name)
    np.testing.assert_array_equal(stack, (numbers() / 10).astype(np.float32))
    assert stack.values[2, 3, 4] == np.float32(51.3)  # 100 + 7 * 59: the last number of the file
    assert stack.values[0, 0, 1] == np.float32(10.7)  # x is the fastest
    assert stack.values[0, 1, 0] == np.float32(13.5)
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    np.testing.assert_allclose(stack.x, [1.0, 1.1, 1.2, 1.3, 1.4])
    np.testing.assert_allclose(stack.y, [2.0, 2.2, 2.4, 2.6])
    np.testing.assert_array_equal(stack.dwell, [2.5, 2.5, 3.0])
    assert stack.image.values.tolist() == ["a_000.xim", "a_001.xim", "a_002.xim"]
    assert stack.attrs["format"] == "axis2000"
    assert stack.attrs["source"] == str(tmp_path / "s.ncb")
    assert stack.attrs["quantity"] == "counts"


def test_floats(tmp_path: Path) -> None:
    values = numbers().astype("<f4") + 0.25
    values[1, 2, 3] = np.nan
    stack = open_stack(pair(tmp_path, text(scale="-1.0"), values))
    np.testing.assert_array_equal(stack, values)
    assert "dwell_ms" not in stack.attrs  # the third frame has another


def test_scale_below_one(tmp_path: Path) -> None:
    """As where counts go beyond 32767."""
    stack = open_stack(pair(tmp_path, text(scale="0.1")))
    np.testing.assert_array_equal(stack, numbers() * np.float32(10))


@pytest.mark.parametrize(("x", "y"), [("1.4 1.0", "2.0 2.6"), ("1.0 1.4", "2.6 2.0")])
def test_descending_limits_flip_the_image(tmp_path: Path, x: str, y: str) -> None:
    stack = open_stack(pair(tmp_path, text(x=x, y=y, scale="1")))
    expected = numbers()[:, ::-1] if y.startswith("2.6") else numbers()[:, :, ::-1]
    np.testing.assert_array_equal(stack, expected)
    np.testing.assert_allclose(stack.x[[0, -1]], [1.0, 1.4])
    np.testing.assert_allclose(stack.y[[0, -1]], [2.0, 2.6])


@pytest.mark.parametrize(
    ("names", "dwell", "first"),
    [
        ("", None, None),
        ("a 700.00 1\n", [1, np.nan, np.nan], None),
        ("my scan 5 700 2\nmy scan 6 705.25 2\nmy scan 7 708.4 2\n", [2, 2, 2], "my scan 5"),
        ("scan 5 700.00\nscan 6 705.25\nscan 7 708.40\n", None, "scan 5"),
        ("first\nsecond\nthird\n", None, "first"),
        ("a 700 0\nb 705 0\nc 708 0\n", None, "a"),
        ("a\t700.0\t4\r\n\r\nb\t705.2\t5\r\nc\t708.4\t6\r\nmore\r\n", [4, 5, 6], "a"),
        ("700.0 4\n705.2 4\n708.4 4\n", [4, 4, 4], None),
    ],
)
def test_name_lines(
    tmp_path: Path, names: str, dwell: list[float] | None, first: str | None
) -> None:
    stack = open_stack(pair(tmp_path, text(names=names)))
    assert ("dwell" in stack.coords) == (dwell is not None)
    if dwell is not None:
        np.testing.assert_array_equal(stack.dwell, dwell)
        assert stack.attrs.get("dwell_ms") == (dwell[0] if len(set(dwell)) == 1 else None)
    assert ("image" in stack.coords) == (first is not None)
    if first is not None:
        assert stack.image.values[0] == first


def test_other_spellings_of_the_text(tmp_path: Path) -> None:
    header = "\n5,4,1.0E+01\n1.0,\t1.4\n 2 2.6\n\n3\n 700 705.25\n708.4\n"
    stack = open_stack(pair(tmp_path, header))
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    np.testing.assert_array_equal(stack, (numbers() / 10).astype(np.float32))


def test_text_that_ends_in_an_energy(tmp_path: Path) -> None:
    path = pair(tmp_path, text(names="")[:-2])
    with pytest.warns(ChemoscapeWarning, match="no line end behind the last energy, 708 eV: it"):
        open_stack(path)


def test_single_energy_and_single_row(tmp_path: Path) -> None:
    header = "20 1 1\n0 1.9\n5 5\n1\n300\n"
    stack = open_stack(pair(tmp_path, header, numbers().reshape(-1)[:20]))
    assert stack.shape == (1, 1, 20)
    assert stack.y.item() == 5


def test_limits_without_extent(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="no pixel size"):
        stack = open_stack(pair(tmp_path, text(x="0 0", y="0 0")))
    np.testing.assert_array_equal(stack.x, range(5))
    stack = open_stack(tmp_path / "s.ncb", pixel_um=0.5)
    np.testing.assert_array_equal(stack.y, [0, 0.5, 1, 1.5])


def test_small_values_are_taken_for_optical_densities(tmp_path: Path) -> None:
    path = pair(tmp_path, text(scale="1000"))
    with pytest.warns(ChemoscapeWarning, match=r"go up to 0\.513.*quantity = "):
        stack = open_stack(path)
    assert stack.attrs["quantity"] == "optical_density"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        assert open_stack(path, quantity="transmission").attrs["quantity"] == "transmission"


def test_mantis_may_have_exchanged_x_and_y(tmp_path: Path) -> None:
    names = "".join(f"\timage{k}\t{e}\t1\n" for k, e in enumerate(ENERGIES, 1))
    path = pair(tmp_path, text(names=names))
    with pytest.warns(ChemoscapeWarning, match=r'as by MANTiS.*axes = "exy" exchanges'):
        stack = open_stack(path)
    swapped = open_stack(path, axes="exy")  # no warning: it was said
    assert swapped.shape == (3, 5, 4)
    np.testing.assert_array_equal(swapped, stack.transpose("energy", "x", "y"))
    np.testing.assert_array_equal(swapped.y, stack.x)
    np.testing.assert_array_equal(swapped.x, stack.y)
    np.testing.assert_array_equal(open_stack(path, axes="eyx"), stack)
    source, _ = open_source(path, axes="exy")
    assert source.framewise
    np.testing.assert_array_equal(source.read(slice(1, 3), slice(1, 3)), swapped[1:, 1:3])
    lazy = open_stack(path, axes="EXY", lazy=True)
    np.testing.assert_array_equal(lazy[:, 2:4].values, swapped[:, 2:4])
    with pytest.raises(FileFormatError, match=r"axes = 'yxe' is not possible.*frame after frame"):
        open_stack(path, axes="yxe")


def test_bands_of_a_lazy_stack(tmp_path: Path) -> None:
    path = pair(tmp_path)
    lazy, eager = open_stack(path, lazy=True), open_stack(path, lazy=False)
    np.testing.assert_array_equal(lazy, eager)
    np.testing.assert_array_equal(lazy[:, 1:3].values, eager[:, 1:3])
    source, _ = open_source(path)
    assert not source.framewise
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(1, 3), slice(1, 3)), eager[1:3, 1:3])
    assert read(slice(0, 0), slice(0, 4)).shape == (0, 4, 5)


def test_describe(tmp_path: Path) -> None:
    facts = describe(pair(tmp_path))
    assert facts["format"] == "axis2000"
    assert facts["shape"] == [3, 4, 5]
    assert facts["pixel_um"] == [0.2, 0.1]
    assert facts["looks_wrong"] == []


def test_endings_in_capitals(tmp_path: Path) -> None:
    pair(tmp_path)
    (tmp_path / "s.dat").rename(tmp_path / "s.DAT")
    (tmp_path / "s.ncb").rename(tmp_path / "s.NCB")
    assert open_stack(tmp_path / "s.NCB").shape == SHAPE
    assert open_stack(tmp_path / "s.DAT").shape == SHAPE


# --- what is wrong ---


@pytest.mark.parametrize(
    ("n_bytes", "message"),
    [
        (119, r"s\.ncb: ends in frame 3 of 3 \(708\.40 eV\): 119 bytes, where 5 × 4 pixels at 3"),
        (79, r"ends in frame 2 of 3 \(705\.25 eV\).*copy it again"),
        (0, r"ends in frame 1 of 3 \(700\.00 eV\)"),
        (121, r"has 121 bytes, where .* \(int16, as the scale of 10 says\) need 120; the \.dat"),
        (240, "has 240 bytes"),
    ],
)
def test_size_must_agree(tmp_path: Path, n_bytes: int, message: str) -> None:
    path = pair(tmp_path)
    path.write_bytes((numbers().tobytes() * 3)[:n_bytes])
    with pytest.raises(FileFormatError, match=message):
        open_stack(path)


def test_missing_companions(tmp_path: Path) -> None:
    path = pair(tmp_path)
    (tmp_path / "s.dat").rename(tmp_path / "other.dat")
    with pytest.raises(FileFormatError, match=r"s\.ncb: s\.dat is missing beside it; copy both"):
        open_stack(path)
    with pytest.raises(FileFormatError, match=r"other\.dat: other\.ncb is missing beside it"):
        open_stack(tmp_path / "other.dat")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", r"line 1 should hold nx ny scale, and is ''"),
        ("5 4\n", "line 1 should hold nx ny scale, and is '5 4'"),
        ("5 4 nan\n1 2\n3 4\n1\n300", "line 1 should hold nx ny scale"),
        (text().replace("1.0 1.4", "1.0"), "line 2 should hold the first and last x"),
        (text().replace("2.0 2.6", "2.0 b"), "line 3 should hold the first and last y"),
        (text().replace("\n  3\n", "\n  3.5\n"), r"line 4 says 3\.5, which is no number of"),
        (text().replace("  5  4", "  -5  4"), "line 1 says -5"),
        (text().replace("  5  4", "  5  1e12"), r"line 1 says 1e\+12"),
        (text(scale="0"), "the scale in line 1 is 0"),
        (text(names="")[:-10], "ends after 2 of 3 energies"),
        (text().replace("705.25\n", "7o5.25\n", 1), "line 6 should hold energy 2 of 3"),
        (text().replace("705.25\n", "7_5.25\n", 1), "line 6 should hold energy 2 of 3"),
    ],
)
def test_damaged_text(tmp_path: Path, header: str, message: str) -> None:
    from chemoscape.formats.axis2000._header import parse_header

    with pytest.raises(FileFormatError, match=message):
        parse_header(header, "s.dat")
    for name in ("s.ncb", "s.dat"):
        with pytest.raises(FileFormatError, match=rf"s\.dat: {message}"):
            open_stack(pair(tmp_path, header).with_name(name))


def test_a_list_of_angles(tmp_path: Path) -> None:
    """As in MANTiS's tomography: a file for each energy, whose list holds the angles."""
    path = pair(tmp_path, text(names="").replace("700.0", "-60.0"))
    with pytest.raises(FileFormatError, match=r"lists an energy of -60 eV.*holds angles"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, energy=[701, 702, 703]).energy, [701, 702, 703])


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "s.dat").write_text("energy od\n700 1\n701 2\n")
    (tmp_path / "notes.txt").write_text(text())
    (tmp_path / "folder.ncb").mkdir()
    for path in tmp_path.iterdir():
        assert not axis2000.sniff(path)


def test_companion_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    path = pair(tmp_path / "stack")
    moved = path.rename(tmp_path / "elsewhere.ncb")
    path.symlink_to(moved)
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        open_stack(tmp_path / "stack" / "s.dat")


# --- writing ---


@pytest.mark.parametrize("lazy", [False, True])
def test_whole_counts_lose_nothing(tmp_path: Path, lazy: bool) -> None:
    values = np.random.default_rng(0).poisson(300, (4, 6, 7)).astype(np.float32)
    stack = a_stack(values, per_energy={"dwell": [1.0, 2.0, 3.5, 4.0]})
    assert save_stack(stack.chunk({"y": 4}) if lazy else stack, tmp_path / "w.ncb") == ""
    again = open_stack(tmp_path / "w.ncb")
    np.testing.assert_array_equal(again, stack)
    for name in ("energy", "dwell"):
        np.testing.assert_array_equal(again[name], stack[name])  # every digit
    for name in ("y", "x"):
        np.testing.assert_allclose(again[name], stack[name], atol=1e-12)
    assert again.image.values.tolist() == [f"w_00{k}" for k in range(4)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.dat", "w.ncb"]
    assert (tmp_path / "w.ncb").stat().st_size == 2 * values.size
    assert (tmp_path / "w.dat").read_text().startswith("7 6 10.0\n3.0 3.3")


@pytest.mark.parametrize("lazy", [False, True])
def test_optical_densities_are_rounded_and_it_is_said(tmp_path: Path, lazy: bool) -> None:
    values = np.random.default_rng(1).uniform(-0.1, 2.2, (4, 6, 7)).astype(np.float32)
    stack = a_stack(values, "optical_density")
    with pytest.warns(ChemoscapeWarning, match=r"values are rounded to 0\.0001; the file does not"):
        save_stack(stack.chunk({"y": 4}) if lazy else stack, tmp_path / "w.ncb")
    raw = np.fromfile(tmp_path / "w.ncb", "<i2").reshape(values.shape)
    np.testing.assert_array_equal(raw, np.rint(values * 1e4))
    assert raw.min() < 0  # and rounded, not cut towards zero
    with pytest.warns(ChemoscapeWarning, match="taken for optical densities"):
        again = open_stack(tmp_path / "w.ncb")
    assert np.abs(again - stack).max() <= 0.500001e-4


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 50_000, 60),  # the step of 16 bits would be 10 counts
        np.linspace(0, 4.0, 60),  # a step of 0.001 is more than 1e-4 of the range
        np.where(np.arange(60) == 7, np.nan, np.linspace(0, 200, 60)),
        np.where(np.arange(60) == 7, np.inf, np.linspace(0, 200, 60)),
        np.linspace(3000.001, 3000.002, 60),
        np.full(60, np.nan),
    ],
)
def test_what_16_bits_cannot_hold_stays_float(tmp_path: Path, values: np.ndarray) -> None:
    stack = a_stack(values.reshape(SHAPE).astype(np.float32)).chunk({"y": 2})
    assert save_stack(stack, tmp_path / "w.ncb") == ""
    there = np.fromfile(tmp_path / "w.ncb", "<f4").reshape(SHAPE)
    np.testing.assert_array_equal(there, stack)
    assert (tmp_path / "w.dat").read_text().startswith("5 4 -1.0\n")


@pytest.mark.parametrize("top", [0.0, 1e-40, 3.2767, 327.67, 32767.0, 32768.0, 3.4e38])
def test_largest_values_fit(tmp_path: Path, top: float) -> None:
    values = np.linspace(0, 1, 60).reshape(SHAPE).astype(np.float32) * np.float32(top)
    stack = a_stack(values).chunk({"y": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        save_stack(stack, tmp_path / "w.ncb")
        again = open_stack(tmp_path / "w.ncb")
    assert np.abs(again - stack).max() <= 0.51e-4 * top


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    stack = a_stack(
        np.full(SHAPE, 50.0),
        per_energy={"ring_current": [1, 2, 3], "image": ["one two", "b", "c"]},
        attrs={"dwell_ms": 2.5, "counter_divider": 10, "source": "a.hdr"},
    )
    with pytest.warns(ChemoscapeWarning, match=r"left out: ring_current, counter_divider$"):
        save_stack(stack, tmp_path / "w.ncb")
    again = open_stack(tmp_path / "w.ncb")
    assert again.attrs["dwell_ms"] == 2.5
    assert again.image.values.tolist() == ["one two", "b", "c"]


def test_uneven_axes(tmp_path: Path) -> None:
    stack = a_stack(np.full(SHAPE, 50.0))
    stack = stack.assign_coords(x=("x", [3.0, 3.05, 3.11, 3.15, 3.2]))
    with pytest.warns(ChemoscapeWarning, match=r"evenly spaced along x \(they were off by up to 0"):
        save_stack(stack, tmp_path / "w.ncb")
    stack = stack.assign_coords(x=("x", [3.0, 3.05, 3.07, 3.08, 3.2]))
    with pytest.raises(StackError, match=r"x axis is uneven by 0\.\d+ µm, more than half a pixel"):
        save_stack(stack, tmp_path / "v.ncb")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.dat", "w.ncb"]


def test_a_real_stack_survives(tmp_path: Path, data_folder: Path) -> None:
    stack = open_stack(data_folder / "als_fe2p" / "71214078")
    with pytest.warns(ChemoscapeWarning, match="left out: ring_current, time") as said:
        save_stack(stack, tmp_path / "w.ncb")
    again = open_stack(tmp_path / "w.ncb")
    np.testing.assert_array_equal(again.energy, stack.energy)
    np.testing.assert_allclose(again.x, stack.x, atol=1e-9)
    assert np.abs(again - stack).max() == 0 or "rounded" in str(said[0].message)
    assert np.abs(again - stack).max() <= 1e-4 * (stack.max() - stack.min())


def test_written_again_it_is_the_same(tmp_path: Path) -> None:
    path = pair(tmp_path, text(scale="100"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        stack = open_stack(path, quantity="counts")
        assert save_stack(stack.chunk({"y": 1}), tmp_path / "again.ncb") == ""
        xr.testing.assert_equal(open_stack(tmp_path / "again.ncb", quantity="counts"), stack)


def test_a_lazy_stack_is_written_band_by_band(tmp_path: Path) -> None:
    import dask.array as da

    n = 400
    values = da.random.default_rng(0).poisson(300, (10, n, n), chunks=(10, 8, n))
    stack = build(values, range(500, 510), range(n), range(n), quantity="counts")
    save_stack(stack[:, :16], tmp_path / "warm.ncb")
    tracemalloc.start()
    save_stack(stack, tmp_path / "w.ncb")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * values.size  # the whole would need this much as float32, and a copy
    np.testing.assert_array_equal(open_stack(tmp_path / "w.ncb"), stack)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_the_right_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = pair(tmp_path)
    victim = tmp_path / data.draw(st.sampled_from(["s.dat", "s.dat", "s.ncb"]))
    content = bytearray(victim.read_bytes())
    kind = data.draw(st.sampled_from(["cut", "flip", "number"]))
    if kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    elif kind == "flip":
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        words = text().split()
        word = data.draw(st.sampled_from(words))
        absurd = data.draw(st.sampled_from(["4000000000", "-1", "0", "1e308", "nan", "1e-320", ""]))
        content = bytearray(text().replace(word, absurd, 1).encode())
        victim = tmp_path / "s.dat"
    victim.write_bytes(bytes(content))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    if kind == "cut" and not any("it may be cut" in str(one.message) for one in said):
        np.testing.assert_array_equal(stack, (numbers() / 10).astype(np.float32))
