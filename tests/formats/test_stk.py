"""stack_analyze .stk: built from the published layout; MetaMorph's TIFF files left alone."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_source, open_stack, stk

ENERGIES = [280.0, 285.25, 290.5]
SHAPE = (3, 4, 5)


def values() -> np.ndarray:
    return 100 + 0.5 * np.arange(60, dtype=np.float32).reshape(SHAPE)


def content(
    *,
    sizes: tuple[int, ...] = (5, 4, 3),
    x: np.ndarray | None = None,
    energies: list[float] | None = None,
    data: np.ndarray | None = None,
    trailing: bytes = b"",
) -> bytes:
    """A file (built from the published layout)."""
    floats = [
        1 + 0.1 * np.arange(5) if x is None else x,
        2 + 0.2 * np.arange(4),
        ENERGIES if energies is None else energies,
        [1.5, 1.5, 2.5],
    ]
    head = np.array(sizes, ">i4").tobytes() + b"".join(np.array(f, ">f4").tobytes() for f in floats)
    return head + (values() if data is None else data).astype(">f4").tobytes() + trailing


def names(*, doubled: bool) -> bytes:
    """File names behind the images, as XDR strings (layout inferred)."""
    out = b""
    for k in range(3):
        text = f"image_{k}.sm".encode()
        length = len(text).to_bytes(4, "big")
        out += length * (1 + doubled) + text + b"\0" * (-len(text) % 4)
    return out


def test_hand_made_file(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content())
    stack = open_stack(path)
    np.testing.assert_array_equal(stack, values())
    assert stack.dtype == np.float32
    assert stack.dtype.isnative
    assert stack.values[2, 3, 4] == 129.5
    assert stack.values[0, 0, 1] == 100.5  # x is the fastest
    np.testing.assert_array_equal(stack.energy, ENERGIES)
    np.testing.assert_allclose(stack.x, 1 + 0.1 * np.arange(5), rtol=1e-6)
    np.testing.assert_allclose(stack.y, 2 + 0.2 * np.arange(4), rtol=1e-6)
    np.testing.assert_array_equal(stack.dwell, [1.5, 1.5, 2.5])
    assert stack.attrs["quantity"] == "counts"
    assert describe(path)["format"] == "stk"


def test_bands_of_a_lazy_stack(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content())
    lazy = open_stack(path, lazy=True)
    np.testing.assert_array_equal(lazy, values())
    np.testing.assert_array_equal(lazy[:, 1:3].values, values()[:, 1:3])
    source, _ = open_source(path)
    assert not source.framewise
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(1, 3), slice(2, 4)), values()[1:, 2:])


def test_descending_axis_and_energies(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content(x=np.array([5, 4, 3, 2, 1]), energies=ENERGIES[::-1]))
    stack = open_stack(path)
    np.testing.assert_array_equal(stack, values()[::-1, :, ::-1])
    np.testing.assert_array_equal(stack.dwell, [2.5, 1.5, 1.5])


def test_axis_of_zeros_is_no_scale(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content(x=np.zeros(5)))
    with pytest.warns(ChemoscapeWarning, match="no pixel size"):
        np.testing.assert_array_equal(open_stack(path).x, range(5))


@pytest.mark.parametrize("doubled", [False, True])
def test_names_behind_the_images(tmp_path: Path, doubled: bool) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content(trailing=names(doubled=doubled)))
    stack = open_stack(path)
    np.testing.assert_array_equal(stack, values())
    assert stack.image.values.tolist() == ["image_0.sm", "image_1.sm", "image_2.sm"]


def test_small_values_are_taken_for_optical_densities(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content(data=values() / 100))
    with pytest.warns(ChemoscapeWarning, match=r"go up to 1\.29.*taken for optical densities"):
        assert open_stack(path).attrs["quantity"] == "optical_density"


@pytest.mark.parametrize(
    ("n_bytes", "trailing", "message"),
    [
        (-1, b"", r"s\.stk: ends in frame 3 of 3 \(290\.50 eV\): 311 bytes, where 5 × 4 pixels"),
        (-100, b"", r"ends in frame 2 of 3 \(285\.25 eV\).*copy it again"),
        (-240, b"", r"ends in frame 1 of 3 \(280\.00 eV\)"),
        (None, b"\0\0\0\x08abc", "has 319 bytes.*need 312, and what follows is no list of names"),
        (None, bytes(range(1, 250)), "what follows is no list of names"),
        (None, b"\0" * 20_000, "what follows is no list of names"),
    ],
)
def test_size_must_agree(
    tmp_path: Path, n_bytes: int | None, trailing: bytes, message: str
) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content(trailing=trailing)[:n_bytes])
    with pytest.raises(FileFormatError, match=message):
        open_stack(path)


@pytest.mark.parametrize(
    "other",
    [
        b"II*\0" + bytes(400),  # MetaMorph's .stk is TIFF
        b"MM\0*" + bytes(400),
        b"",
        b"\0" * 2000,
        content()[:60],
        content(sizes=(5, 4, 2_000_000)),
        content(sizes=(-5, 4, 3)),
        content(x=np.array([1, 1, 2, 3, 4])),
        content(x=np.array([1, np.nan, 2, 3, 4])),
        content(x=np.array([1, np.inf, np.inf, 3, 4])),
        content(energies=[280, 0, 290]),
        content(energies=[280, 1e9, 290]),
    ],
)
def test_other_files_are_not_claimed(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(other)
    assert not stk.sniff(path)


def test_files_that_shrink_under_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "s.stk"
    path.write_bytes(content())
    lazy = open_stack(path, lazy=True)
    path.write_bytes(content()[:-100])
    with pytest.raises(FileFormatError, match="became shorter while frame 1 was read"):
        lazy.compute()


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_the_right_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(content(trailing=names(doubled=True)))
    truncated = data.draw(st.booleans())
    if truncated:
        del damaged[data.draw(st.integers(0, 311)) :]
    elif data.draw(st.booleans()):
        size = data.draw(st.integers(-(2**31), 2**31 - 1))
        place = 4 * data.draw(st.integers(0, 2))
        damaged[place : place + 4] = size.to_bytes(4, "big", signed=True)
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "s.stk"
    path.write_bytes(bytes(damaged))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    assert not truncated
    assert stack.sizes["energy"] <= 3
