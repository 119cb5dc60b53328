"""Exchange HDF5: the SSRF's real file, and MANTiS's and the APS's layouts."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_source, open_stack

ENERGY = np.array([280.0, 285.0, 287.5, 291.0])
SSRF = "SF20230115235307_1318-1327eV.hdf5"


def cube(n_y: int = 5, n_x: int = 6, n_energy: int = 4) -> np.ndarray:
    """(E, y, x) whose numbers all differ."""
    return 100.0 + np.arange(n_energy * n_y * n_x, dtype=float).reshape(n_energy, n_y, n_x)


def exchange(path: Path, data: np.ndarray, axes: str | bytes | None = None, **others: Any) -> Path:
    """Built from the published layout; None leaves an item out, a tuple is (value, units)."""
    items = {"exchange/energy": (ENERGY, "ev"), "exchange/data": data, **others}
    with h5py.File(path, "w") as file:
        for name, value in items.items():
            if isinstance(value, tuple):
                file[name] = value[0]
                file[name].attrs["units"] = np.bytes_(value[1].encode())
            elif value is not None:
                file[name] = value
        if axes is not None:
            file["exchange/data"].attrs["axes"] = axes
    return path


def mantis(
    path: Path, values: np.ndarray, axes: str | bytes | None = "x:y:energy", **others: Any
) -> Path:
    """As MANTiS writes it: (x, y, E), with axes of its own. Built from the published layout."""
    n_energy, n_y, n_x = values.shape
    items = {
        "implements": np.bytes_("information:exchange:spectromicroscopy:Mantis"),
        "version": np.bytes_("1.0"),
        "exchange/x": 2.0 + 0.1 * np.arange(n_x),
        "exchange/y": 7.0 + 0.2 * np.arange(n_y),
        "exchange/energy": (ENERGY[:n_energy], "ev"),
    }
    return exchange(path, values.transpose(2, 1, 0), axes, **{**items, **others})


# --- real file ---


def test_ssrf(data_folder: Path) -> None:
    path = data_folder / "readers" / SSRF
    with pytest.warns(ChemoscapeWarning) as said:
        stack = open_stack(path)
    assert stack.shape == (2, 200, 201)
    np.testing.assert_allclose(stack.energy, [1318.0, 1327.48])
    np.testing.assert_allclose(stack.x[[0, -1]], [0, 40])
    np.testing.assert_allclose(stack.y[[0, -1]], [0, 39.8])
    with h5py.File(path) as file:
        there = np.asarray(file["exchange/data"]).transpose(2, 0, 1).astype(np.float32)
        encoder = np.median(file["exchange/y"], axis=1)
    assert encoder[-1] < encoder[0]  # row 0 of the file is the highest y
    np.testing.assert_array_equal(stack[:, 1:-1, 1:-1], there[:, -2:0:-1, 1:-1])
    edge = np.isnan(stack.values)
    assert edge[0].sum() == 790  # 98 % of the 798 outermost pixels
    assert not edge[:, 1:-1, 1:-1].any()
    text = "\n".join(str(one.message) for one in said)
    assert "y holds encoder readings of all pixels" in text
    assert "pixel size on record, 0.2 µm" in text
    assert "outermost pixels hold one constant (2694.05" in text
    assert stack.attrs["facility"] == "SSRF"
    stacks.check(stack, "counts")


def test_ssrf_lazy(data_folder: Path) -> None:
    path = data_folder / "readers" / SSRF
    with pytest.warns(ChemoscapeWarning):
        lazy, whole = open_stack(path, lazy=True), open_stack(path)
    np.testing.assert_array_equal(lazy.compute(), whole)
    source, _ = open_source(path)
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(
        read(slice(0, 2), slice(0, 7))[:, ::-1], whole[:, -7:].values.astype(np.float32)
    )
    np.testing.assert_array_equal(
        read(slice(1, 2), slice(90, 110))[:, ::-1], whole[1:, 90:110].values
    )


# --- the order of the axes ---


def test_mantis(tmp_path: Path) -> None:
    values = cube()
    stack = open_stack(mantis(tmp_path / "m.hdf5", values))
    np.testing.assert_array_equal(stack, values)
    np.testing.assert_allclose(stack.energy, ENERGY)
    np.testing.assert_allclose(stack.x, 2.0 + 0.1 * np.arange(6))
    np.testing.assert_allclose(stack.y, 7.0 + 0.2 * np.arange(5))
    assert stack.attrs["quantity"] == "counts"
    assert describe(tmp_path / "m.hdf5")["format"] == "exchange"
    lazy = open_stack(tmp_path / "m.hdf5", lazy=True)
    np.testing.assert_array_equal(lazy[:, 2:4].compute(), values[:, 2:4])


def test_falling_energies_and_axes(tmp_path: Path) -> None:
    values = cube()
    path = mantis(
        tmp_path / "m.hdf5",
        values,
        **{"exchange/energy": (ENERGY[::-1], "eV"), "exchange/y": np.arange(5.0)[::-1]},
    )
    np.testing.assert_array_equal(open_stack(path), values[::-1, ::-1])


@pytest.mark.parametrize(
    "axes", ["x:y", "x:y:energy", "[x, y, energy]", b"x:y", np.bytes_("x:y:energy"), None]
)
def test_axes_attribute_or_lengths(tmp_path: Path, axes: str | bytes | None) -> None:
    values = cube()
    np.testing.assert_array_equal(open_stack(mantis(tmp_path / "m.hdf5", values, axes)), values)


@pytest.mark.parametrize("order", ["eyx", "yxe", "xye", "yex", "exy"])
def test_lengths_decide(tmp_path: Path, order: str) -> None:
    values = cube()
    data = values.transpose(["eyx".index(letter) for letter in order])
    path = exchange(
        tmp_path / "m.h5", data, **{"exchange/x": np.arange(6.0), "exchange/y": np.arange(5.0)}
    )
    np.testing.assert_array_equal(open_stack(path), values)


def test_lengths_beat_the_attribute(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.hdf5", cube(), "energy:y:x")
    with pytest.warns(ChemoscapeWarning, match=r"axes attribute \(eyx\) contradicts the lengths"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, cube())


def test_aps_keeps_energies_first_and_in_kev(tmp_path: Path) -> None:
    data = cube(5, 5)
    path = exchange(
        tmp_path / "a.h5",
        data,
        **{"exchange/energy": ENERGY / 10, "exchange/data_white": data[:1] * 2},
    )
    with pytest.warns(ChemoscapeWarning) as said:
        stack = open_stack(path, pixel_um=0.03)
    np.testing.assert_array_equal(stack, data)
    np.testing.assert_allclose(stack.energy, 100 * ENERGY)
    text = "\n".join(str(one.message) for one in said)
    assert "without a unit are taken as keV" in text
    assert "flat fields are not applied" in text
    assert "which axis" not in text


def test_square_image_without_axes(tmp_path: Path) -> None:
    values = cube(6, 6)
    path = exchange(tmp_path / "m.h5", values.transpose(2, 1, 0))
    with pytest.warns(ChemoscapeWarning, match="which axis of .* is x: the first is taken"):
        stack = open_stack(path, pixel_um=1)
    np.testing.assert_array_equal(stack, values)
    stack = open_stack(path, pixel_um=1, axes="yxe")
    np.testing.assert_array_equal(stack, values.transpose(0, 2, 1))


def test_energies_are_last_when_only_that_is_open(tmp_path: Path) -> None:
    values = cube(5, 4)
    path = mantis(tmp_path / "m.h5", values, None)
    with pytest.warns(ChemoscapeWarning, match="fit more than one axis of .*: they are taken last"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, values)


def test_cube_asks_for_axes(tmp_path: Path) -> None:
    values = cube(4, 4)
    path = mantis(tmp_path / "m.h5", values, None)
    with pytest.raises(FileFormatError, match=r"order of the axes .* is open.*axes = 'xye'"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, axes="XYE"), values)
    np.testing.assert_array_equal(open_stack(path, axes="eyx"), values.transpose(2, 1, 0))


def test_axes_of_the_user_contradict_the_energies(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.h5", cube())
    with pytest.raises(FileFormatError, match="gives 6 images, but there are 4 energies"):
        open_stack(path, axes="eyx")


def test_energies_fit_no_axis(tmp_path: Path) -> None:
    path = exchange(tmp_path / "m.h5", cube(), **{"exchange/energy": np.arange(280.0, 300)})
    with pytest.raises(FileFormatError, match="20 energies fit none of the axes"):
        open_stack(path)
    with pytest.warns(ChemoscapeWarning, match="20 energies for 4 images: the first 4 are used"):
        stack = open_stack(path, axes="eyx", pixel_um=1)
    np.testing.assert_allclose(stack.energy, [280, 281, 282, 283])


def test_too_few_energies(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"exchange/energy": (ENERGY[:3], "eV")})
    with pytest.raises(FileFormatError, match="has 3 energies for 4 images"):
        open_stack(path)


def test_encoder_tells_rows_from_columns(tmp_path: Path) -> None:
    values = cube(6, 6)
    y, x = np.meshgrid(0.3 * np.arange(6), 0.3 * np.arange(6), indexing="ij")
    x[1::2] = x[1::2, ::-1]  # rows in both directions
    rows_first = {"exchange/x": (x, "um"), "exchange/y": (y[::-1], "um")}
    path = exchange(tmp_path / "m.h5", values.transpose(1, 2, 0), **rows_first)
    with pytest.warns(ChemoscapeWarning, match=r"median step, 0\.3 µm, is the pixel size"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, values[:, ::-1])
    np.testing.assert_allclose(stack.x, 0.3 * np.arange(6))
    path = exchange(
        tmp_path / "t.h5",
        values.transpose(2, 1, 0),
        **{"exchange/x": x.T, "exchange/y": y.T, "information/detector/pixel_size/vertical": 0.5},
    )
    with pytest.warns(ChemoscapeWarning) as said:
        stack = open_stack(path)
    assert any("0.5 µm, is used, though they step 0.3 µm" in str(one.message) for one in said)
    np.testing.assert_array_equal(stack, values)
    np.testing.assert_allclose(stack.y, 0.5 * np.arange(6))


def test_single_image(tmp_path: Path) -> None:
    path = exchange(
        tmp_path / "m.h5",
        cube()[0],
        **{"exchange/energy": 285.0, "exchange/x": np.arange(6.0), "exchange/y": np.arange(5.0)},
    )
    stack = open_stack(path)
    np.testing.assert_array_equal(stack, cube()[:1])


# --- energies, units, values ---


@pytest.mark.parametrize(
    ("values", "unit", "factor", "note"),
    [
        (ENERGY / 1000, "keV", 1000, None),
        (ENERGY / 1000, "eV", 1000, "labelled eV are taken as keV"),
        (ENERGY, "keV", 1, "keV are taken as eV"),
        (ENERGY[:, None], "eV", 1, None),
        (ENERGY, "", 1, None),
    ],
)
def test_units_of_energies(
    tmp_path: Path, values: np.ndarray, unit: str, factor: float, note: str | None
) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"exchange/energy": (values, unit)})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        stack = open_stack(path)
    np.testing.assert_allclose(stack.energy, factor * values.reshape(-1))
    assert [note in str(one.message) for one in said] == ([True] if note else [])


def test_energies_of_the_user(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"exchange/energy": None})
    np.testing.assert_allclose(open_stack(path, energy=ENERGY + 1).energy, ENERGY + 1)


@pytest.mark.parametrize("energy", [None, 8333.0])
def test_tomography(tmp_path: Path, energy: float | None) -> None:
    path = exchange(
        tmp_path / "t.h5",
        cube(),
        **{"exchange/energy": energy, "exchange/theta": np.linspace(0, 180, 4)},
    )
    with pytest.raises(FileFormatError, match=r"looks like a tomography.*(no energies|one energy)"):
        open_stack(path)


def test_angles(tmp_path: Path) -> None:
    values = np.stack([cube(), cube() + 1000, cube() + 2000], axis=-1)  # (E, y, x, theta)
    path = exchange(
        tmp_path / "t.h5",
        values.transpose(2, 1, 0, 3),
        "x:y:energy:theta",
        **{
            "exchange/theta": np.array([-30.0, 0, 30]),
            "exchange/x": np.arange(6.0),
            "exchange/y": np.arange(5.0),
            "spectromicroscopy/normalization/white_spectrum": np.arange(12.0).reshape(4, 3),
        },
    )
    with pytest.warns(ChemoscapeWarning, match=r"3 angles \(-30 deg, 0 deg, 30 deg\)"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, values[..., 0])
    stack = open_stack(path, angle="30 deg")
    np.testing.assert_array_equal(stack, values[..., 2])
    np.testing.assert_allclose(stack.i0_file, [2, 5, 8, 11])
    np.testing.assert_array_equal(open_stack(path, angle=1, axes="xye"), values[..., 1])


def test_optical_density_is_a_channel(tmp_path: Path) -> None:
    density = cube() / 1000 - 0.01
    flat = density.reshape(4, -1).T  # MANTiS 3.3: pixels in one list, x fastest
    for k, stored in enumerate((flat, density.transpose(2, 1, 0))):
        path = mantis(tmp_path / f"{k}.h5", cube(), **{"spectromicroscopy/optical_density": stored})
        with pytest.warns(ChemoscapeWarning, match=r"2 channels \(data, optical density\)"):
            assert open_stack(path).attrs["quantity"] == "counts"
        stack = open_stack(path, channel="optical density")
        assert stack.attrs["quantity"] == "optical_density"
        np.testing.assert_allclose(stack, density, rtol=1e-6)
        lazy = open_stack(path, channel=1, lazy=True)
        np.testing.assert_array_equal(lazy[:, 2:4].compute(), stack[:, 2:4])


def test_optical_density_that_does_not_fit(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"spectromicroscopy/optical_density": np.ones((3,))})
    with pytest.warns(ChemoscapeWarning, match=r"shape \(3,\), which does not fit"):
        open_stack(path)


def test_white_spectrum(tmp_path: Path) -> None:
    white = "spectromicroscopy/normalization/white_spectrum"
    path = mantis(tmp_path / "m.h5", cube(), **{white: np.array([9.0, 8, 7, 6])})
    np.testing.assert_allclose(open_stack(path).i0_file, [9, 8, 7, 6])
    at = {white: np.array([20.0, 10]), f"{white}_energy": np.array([300.0, 280])}
    np.testing.assert_allclose(
        open_stack(mantis(tmp_path / "n.h5", cube(), **at)).i0_file, [10, 12.5, 13.75, 15.5]
    )
    path = mantis(tmp_path / "o.h5", cube(), **{white: np.ones(7)})
    assert "i0_file" not in open_stack(path).coords


@pytest.mark.parametrize(("shift", "quantity"), [(0.0, "transmission"), (-0.2, "optical_density")])
def test_small_values_are_no_counts(tmp_path: Path, shift: float, quantity: str) -> None:
    path = mantis(tmp_path / "m.h5", cube() / 1000 + shift)
    expected = quantity.replace("_", " ")
    with pytest.warns(ChemoscapeWarning, match=f"are no counts and are taken as {expected}"):
        assert open_stack(path).attrs["quantity"] == quantity


def test_constant_frame_is_not_a_measurement(tmp_path: Path) -> None:
    values = cube(6, 7)
    for image in values:
        image[[0, -1]] = image[:, [0, -1]] = image.mean()
    path = mantis(tmp_path / "m.h5", values)
    with pytest.warns(ChemoscapeWarning, match="outermost pixels hold one constant"):
        stack = open_stack(path)
    assert np.isnan(stack).sum() == 4 * (2 * 6 + 2 * 7 - 4)
    np.testing.assert_array_equal(stack[:, 1:-1, 1:-1], values[:, 1:-1, 1:-1])
    flat = np.full_like(values, 300.0)  # a flat image is no fill
    assert not np.isnan(open_stack(mantis(tmp_path / "f.h5", flat))).any()


def test_unsteady_axis(tmp_path: Path) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"exchange/x": np.zeros(6)})
    with pytest.warns(ChemoscapeWarning, match="the x axis does not rise or fall steadily"):
        stack = open_stack(path, pixel_um=2)
    assert stack.x.values.tolist() == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1e-3), ("mm", 1e3), ("m", 1e6), ("μm", 1)])
def test_units_of_positions(tmp_path: Path, unit: str, factor: float) -> None:
    path = mantis(tmp_path / "m.h5", cube(), **{"exchange/x": (np.arange(6.0), unit)})
    np.testing.assert_allclose(open_stack(path).x, factor * np.arange(6))


def test_other_hdf5_files_are_not_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "o.h5", "w") as file:
        file["exchange/other"] = 1.0
    with pytest.raises(FileFormatError, match="no stack in a format known here"):
        open_stack(tmp_path / "o.h5")
    with h5py.File(tmp_path / "o.h5", "a") as file:
        file["exchange/data"] = np.arange(4.0)
    with pytest.raises(FileFormatError, match="/exchange/data is no array of images"):
        open_stack(tmp_path / "o.h5")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    # text of fixed length: damaged text of variable length can stop the HDF5 library itself
    path = mantis(
        tmp_path / "whole.h5",
        cube(),
        np.bytes_("x:y:energy"),
        **{
            "exchange/theta": np.zeros(1),
            "spectromicroscopy/optical_density": cube().reshape(4, -1).T,
            "spectromicroscopy/normalization/white_spectrum": np.ones(4),
        },
    )
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(
                st.integers(0, 7)
            )
    (tmp_path / "damaged.h5").write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(tmp_path / "damaged.h5", channel=data.draw(st.integers(0, 1)))
        except ChemoscapeError:
            return
    assert min(stack.shape) >= 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    sizes=st.tuples(*[st.lists(st.integers(0, 4), max_size=2)] * 4),
    axes=st.sampled_from(["", "x:y", "energy", "x:x:x", "theta:x:y:energy", "x:y:energy"]),
    value=st.sampled_from([0.0, 1.0, np.nan, np.inf, -3.0, 300.0]),
)
def test_any_lengths(
    tmp_path: Path, shape: list[int], sizes: tuple[list[int], ...], axes: str, value: float
) -> None:
    names = ("energy", "x", "y", "theta")
    items = {
        f"exchange/{name}": 300 + np.arange(float(np.prod(size))).reshape(size)
        for name, size in zip(names, sizes, strict=True)
    }
    path = exchange(tmp_path / "a.h5", np.full(shape, value), axes, **items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    assert stack.size == np.prod(shape) or "angle" in stack.attrs or len(shape) == 4
