"""NumPy arrays: order of dimensions, archives, and headers that lie."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, find_format, open_source, open_stack

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

ENERGY = 510 + 0.2 * np.arange(5)
ORDERS = ["".join(order) for order in permutations("eyx")]


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(300, (5, 6, 7)).astype(np.int32)


def turned(counts: np.ndarray, axes: str, layout: str) -> np.ndarray:
    """The stack with its dimensions in another order, contiguous in C's or Fortran's way."""
    values = counts.transpose(["eyx".index(role) for role in axes])
    return np.ascontiguousarray(values) if layout == "C" else np.asfortranarray(values)


@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_orders(counts: np.ndarray, tmp_path: Path, axes: str, layout: str, kind: str) -> None:
    values = turned(counts, axes, layout)
    path = tmp_path / ("a.npy" if kind == "npy" else "a.npz")
    if kind == "npy":
        np.save(path, values)
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, data=values)
    options: dict[str, Any] = {"energy": ENERGY, "axes": axes, "pixel_um": 0.1}
    opened = open_stack(path, **options)
    np.testing.assert_array_equal(opened, counts)
    assert opened.dtype == np.float32
    lazy = open_stack(path, lazy=True, **options)
    np.testing.assert_array_equal(lazy, counts)
    np.testing.assert_array_equal(lazy[:, 2:5].compute(), counts[:, 2:5])
    source, _ = open_source(path, **options)
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(1, 4), slice(2, 5)), counts[1:4, 2:5])


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i8", "f2", ">f4", "f8", "?", "u8"])
def test_kinds_of_numbers(counts: np.ndarray, tmp_path: Path, dtype: str) -> None:
    values = (counts % 100).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    opened = open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1)
    np.testing.assert_array_equal(opened, values.astype(np.float32))


def test_too_large_for_float32(counts: np.ndarray, tmp_path: Path) -> None:
    values = counts.astype(float)
    values[0, 0, 0] = 1e300
    np.save(tmp_path / "a.npy", values)
    assert np.isinf(open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1)[0, 0, 0])


def test_archive_with_everything(counts: np.ndarray, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        od=turned(counts / 100, "yxe", "C"),
        energy=ENERGY[::-1],
        y=np.arange(6)[::-1] * 0.1,
        x=np.arange(7) * 0.2,
        ring_current=np.arange(5.0),
        polarisation=np.array(["LH", "LH", "LV", "LV", "LV"]),
        sample="α-V2O5",
        dwell_ms=1.5,
    )
    opened = open_stack(tmp_path / "a.npz")
    assert opened.attrs["quantity"] == "optical_density"
    assert opened.attrs["sample"] == "α-V2O5"
    assert opened.attrs["dwell_ms"] == 1.5
    expected = (counts / 100)[::-1, ::-1].astype(np.float32)
    np.testing.assert_array_equal(opened, expected)
    np.testing.assert_array_equal(opened.energy, ENERGY)
    np.testing.assert_array_equal(opened.ring_current, [4, 3, 2, 1, 0])
    assert opened.polarisation.values.tolist() == ["LV", "LV", "LV", "LH", "LH"]
    assert opened.x[-1] == pytest.approx(1.2)
    assert describe(tmp_path / "a.npz")["pixel_um"] == [0.1, 0.2]


def test_pixel_size_and_quantity(counts: np.ndarray, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz", stack=counts, ev=ENERGY, pixel_um=[0.1, 0.2], quantity="transmission"
    )
    opened = open_stack(tmp_path / "a.npz")
    assert opened.attrs["quantity"] == "transmission"
    assert (opened.y[1], opened.x[1]) == (pytest.approx(0.1), pytest.approx(0.2))


def test_several_arrays(counts: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", variance=counts + 1, counts=counts, energy=ENERGY, pixel_um=1)
    with pytest.warns(ChemoscapeWarning, match=r"2 channels \(variance, counts\); 'counts' was"):
        opened = open_stack(tmp_path / "a.npz")
    np.testing.assert_array_equal(opened, counts)
    other = open_stack(tmp_path / "a.npz", channel="variance")
    np.testing.assert_array_equal(other, counts + 1)
    with pytest.raises(FileFormatError, match="no channel 'sum'; choose one of variance, counts"):
        open_stack(tmp_path / "a.npz", channel="sum")


@pytest.mark.parametrize("axes", ["eyx", "yxe", "yex"])
def test_energies_decide_the_order(counts: np.ndarray, tmp_path: Path, axes: str) -> None:
    np.save(tmp_path / "a.npy", turned(counts, axes, "C"))
    opened = open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1)  # no word of caution
    np.testing.assert_array_equal(opened, counts)


def test_a_guess_is_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).poisson(300, (5, 5, 7))
    np.save(tmp_path / "a.npy", values)
    with pytest.warns(ChemoscapeWarning, match="are taken as energy, y, x; if they are not"):
        opened = open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1)
    np.testing.assert_array_equal(opened, values)
    opened = open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1, axes="yex")
    np.testing.assert_array_equal(opened, values.swapaxes(0, 1))


def test_list_beside(counts: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", turned(counts, "yxe", "F"))
    (tmp_path / "a.txt").write_text("\n".join(map(str, ENERGY)))
    opened = open_stack(tmp_path / "a.npy", pixel_um=1)
    np.testing.assert_array_equal(opened, counts)
    (tmp_path / "a.txt").write_text("510\n511\n")
    with pytest.raises(FileFormatError, match=r"holds 6 images, but a\.txt has 2 energies"):
        open_stack(tmp_path / "a.npy", pixel_um=1)


def test_one_image(counts: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counts[0])
    opened = open_stack(tmp_path / "a.npy", energy=[510], pixel_um=1)
    np.testing.assert_array_equal(opened, counts[:1])
    np.save(tmp_path / "b.npy", np.asfortranarray(counts[0]))
    opened = open_stack(tmp_path / "b.npy", energy=[510], pixel_um=1, lazy=True)
    np.testing.assert_array_equal(opened[:, 1:3], counts[:1, 1:3])
    with pytest.raises(FileFormatError, match="1 images and no photon energies"):
        open_stack(tmp_path / "a.npy", pixel_um=1)


# what is refused


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.array([[1, None]], dtype=object), "holds Python objects .a pickle., which are never"),
        (np.zeros((2, 3, 4), complex), "holds complex numbers, not measured values"),
        (np.zeros((2, 3, 4), [("a", "f4")]), "not measured values"),
        (np.zeros(7), r"no array of energy × y × x \(it \(7,\)\)"),
        (np.zeros((2, 3, 4, 5)), r"no array of energy × y × x \(it \(2, 3, 4, 5\)\)"),
        (np.zeros((2, 0, 4)), "no array of energy × y × x"),
        (np.array(["a", "b"]), "no array of energy × y × x"),
    ],
    ids=range(7),
)
def test_other_arrays(tmp_path: Path, values: np.ndarray, match: str) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(FileFormatError, match=match):
        open_stack(tmp_path / "a.npy", energy=[1, 2])


def test_objects_in_an_archive_are_left_alone(counts: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=counts, energy=ENERGY, pixel_um=1, meta={"a": 1})
    np.testing.assert_array_equal(open_stack(tmp_path / "a.npz"), counts)


def header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(5, 6, 8), (100_000, 100_000, 100_000), (-1, 2, 3)])
def test_absurd_headers(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "a.npy").write_bytes(header(shape) + bytes(4 * 5 * 6 * 7))
    with pytest.raises(FileFormatError, match=r"bytes, but 840 are there|no readable"):
        open_stack(tmp_path / "a.npy", energy=ENERGY)


def test_cut_short(counts: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counts)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-4])
    with pytest.raises(FileFormatError, match="840 bytes, but 836 are there; the file is trunc"):
        open_stack(tmp_path / "a.npy", energy=ENERGY)
    (tmp_path / "a.npy").write_bytes(content[:20])
    with pytest.raises(FileFormatError, match="no readable NumPy header"):
        open_stack(tmp_path / "a.npy", energy=ENERGY)


def test_a_file_that_shrinks_under_a_lazy_stack(counts: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counts)
    opened = open_stack(tmp_path / "a.npy", energy=ENERGY, pixel_um=1, lazy=True)
    np.save(tmp_path / "a.npy", counts[:2])
    with pytest.raises(FileFormatError, match="is no longer the array that was opened"):
        opened.compute()


def test_archive_that_lies(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", header((1000, 10_000, 10_000)) + bytes(10_000))
    with pytest.raises(FileFormatError, match=r"'data' says shape \(1000, 10000, 10000\)"):
        open_stack(tmp_path / "a.npz", energy=ENERGY)


def test_other_archives_are_not_claimed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(FileFormatError, match="no stack in a format known"):
        find_format(tmp_path / "a.npz")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(
    counts: np.ndarray, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / data.draw(st.sampled_from(["a.npy", "a.npz", "b.npz"]))
    if path.suffix == ".npy":
        np.save(path, counts.astype(float))
    else:
        save = np.savez if path.name[0] == "a" else np.savez_compressed
        save(path, data=counts, energy=ENERGY, y=np.arange(6), x=np.arange(7), time=ENERGY)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path / f"damaged{path.suffix}"
    damaged.write_bytes(bytes(content))
    for options in ({}, {"energy": ENERGY}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            try:
                opened = open_stack(damaged, **options)
            except ChemoscapeError:
                continue
        assert opened.dims == ("energy", "y", "x")
        describe(damaged, look=False, **options)
