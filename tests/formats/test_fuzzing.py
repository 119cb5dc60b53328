"""Damaged files of every format: the right answer or one of our errors."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_spec = importlib.util.spec_from_file_location("fuzzing", Path(__file__).with_name("fuzzing.py"))
assert _spec is not None
assert _spec.loader is not None
fuzzing = importlib.util.module_from_spec(_spec)
sys.modules["fuzzing"] = fuzzing
_spec.loader.exec_module(fuzzing)

damages = st.lists(
    st.builds(
        fuzzing.Damage,
        st.sampled_from(fuzzing.KINDS),
        st.floats(0, 1, allow_nan=False),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return fuzzing.corpus(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("ending", fuzzing.written_endings())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=damages, which=st.floats(0, 1, allow_nan=False))
def test_damaged_files(
    originals: dict[str, Path],
    tmp_path: Path,
    ending: str,
    changes: list[object],
    which: float,
) -> None:
    fuzzing.survives(fuzzing.damaged(originals[ending], tmp_path / "work", changes, which))
