"""The registry: what opens, what is refused, and in which words."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning, FileFormatError, StackError
from chemoscape.formats import checksum, describe, formats, open_stack, save_stack
from chemoscape.stack import build


def test_unknown_content(tmp_path: Path) -> None:
    path = tmp_path / "notes.hdr"
    path.write_text("ENVI\nsamples = 3\n")
    with pytest.raises(FileFormatError, match=r"is no stack in a format known here; known are SDF"):
        open_stack(path)


@pytest.mark.parametrize("name", ["nothing.hdr", "no\0name", "loop"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    if name == "loop":
        (tmp_path / name).symlink_to(tmp_path / name)
    with pytest.raises(FileFormatError):
        open_stack(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.hdr")
    with pytest.raises(FileFormatError):
        open_stack(tmp_path / "pipe.hdr")


def test_save_names_the_endings(tmp_path: Path) -> None:
    stack = build(np.full((2, 3, 4), 50.0), [1, 2], range(3), range(4), quantity="counts")
    with pytest.raises(FileFormatError, match=r"'\.stk'; use one of \.h5, \.hdf5, \.nc"):
        save_stack(stack, tmp_path / "a.stk")
    with pytest.raises(StackError):
        save_stack(stack.isel(energy=0), tmp_path / "a.h5")


def test_options_are_checked(tmp_path: Path) -> None:
    stack = build(np.full((2, 3, 4), 50.0), [1, 2], range(3), range(4), quantity="counts")
    save_stack(stack, tmp_path / "a.h5")
    with pytest.raises(FileFormatError, match="there are no channels to choose from"):
        describe(tmp_path / "a.h5", channel="a")


def test_records_are_complete() -> None:
    names = [known.name for known in formats()]
    assert len(set(names)) == len(names)
    assert all(known.extensions and known.title for known in formats())


@pytest.mark.parametrize("given_wrongly", [None, 3, ["a.hdr"], np.ones(3)])
def test_what_is_no_path(given_wrongly):
    with pytest.raises(FileFormatError, match="expected the path of a file"):
        open_stack(given_wrongly)


def test_checksum(tmp_path: Path, data_folder: Path) -> None:
    """That of one file is its own; of several, that of what sha256sum prints."""
    stack = build(np.full((2, 3, 4), 50.0), [1, 2], range(3), range(4), quantity="counts")
    save_stack(stack, tmp_path / "a.h5")
    own = hashlib.sha256((tmp_path / "a.h5").read_bytes()).hexdigest()
    assert checksum(tmp_path / "a.h5") == own
    folder = data_folder / "als_fe2p" / "71214078"
    files = sorted([folder / "71214078.hdr", *folder.glob("*.xim")])
    lines = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in files]
    assert checksum(folder) == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert checksum(folder / "71214078.hdr") == checksum(folder)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"angle": 30}, "there are no angles to choose from"),
        ({"axes": "yyx"}, r"no order of e, y and x; write it as \"eyx\""),
        ({"quantity": "absorbance"}, "there is no quantity 'absorbance'; use counts"),
        ({"energy": [1.0]}, "number of images: 2, number of energies given: 1"),
        ({"energy": ["a"]}, "not positive numbers"),
        ({"energy": [-1.0, 2.0]}, "not positive numbers"),
        ({"pixel_um": 0.0}, "a pixel of 0.0 µm is impossible"),
    ],
)
def test_wishes_that_cannot_be_met(tmp_path: Path, wish: dict[str, object], message: str) -> None:
    stack = build(np.full((2, 3, 4), 50.0), [1, 2], range(3), range(4), quantity="counts")
    save_stack(stack, tmp_path / "a.h5")
    with pytest.raises(FileFormatError, match=message):
        open_stack(tmp_path / "a.h5", **wish)  # type: ignore[arg-type]


def test_a_decimal_comma_is_not_taken_for_two_columns(tmp_path: Path) -> None:
    (tmp_path / "energies.txt").write_text("# eV\n510,5\n520,5\n")
    stack = build(np.full((2, 3, 4), 50.0), [1, 2], range(3), range(4), quantity="counts")
    save_stack(stack, tmp_path / "a.h5")
    with pytest.raises(FileFormatError, match=r"'510,5', which could be one number or two"):
        open_stack(tmp_path / "a.h5", energy=tmp_path / "energies.txt")


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    stack = build(
        np.arange(24.0).reshape(2, 3, 4), [1, 2], range(3), [3, 2, 1, 0], quantity="counts"
    )
    save_stack(stack, tmp_path / "a.h5")
    (tmp_path / "energies.txt").write_text("# eV\n520.5\n510.5\n")
    with pytest.warns(ChemoscapeWarning) as warned:
        said = open_stack(
            tmp_path / "a.h5",
            energy=tmp_path / "energies.txt",
            pixel_um=0.5,
            quantity="transmission",
        )
    assert "the energies given replace the file's own, 1 to 2 eV" in str(warned[0].message)
    assert "the pixel size given replaces the file's own positions" in str(warned[1].message)
    assert said.energy.values.tolist() == [510.5, 520.5]
    np.testing.assert_array_equal(said, stack[::-1])  # energies are in the order of the file
    assert said.x.values.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert said.attrs["quantity"] == "transmission"
