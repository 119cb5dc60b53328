"""The registry: what opens, what is refused, and in which words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import FileFormatError, StackError
from chemoscape.formats import describe, formats, open_stack, save_stack
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
