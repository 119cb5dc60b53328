"""Fixtures shared by all tests: where the real data lie, and how to read a stack's truth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real data measured by others (`CHEMOSCAPE_DATA`, else ../shared/data beside the checkout)."""
    folder = Path(os.environ.get("CHEMOSCAPE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}: set CHEMOSCAPE_DATA to the folder described in docs/data.md"
        )
    return folder
