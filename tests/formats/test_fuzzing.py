"""Damaged files of every format: the right answer or one of our errors."""

from __future__ import annotations

import warnings
from pathlib import Path

import fuzzing
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats import describe, formats

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


#: The kinds of files are dealt out to as many tests, which can run side by side.
_SHARES = 6


@pytest.mark.parametrize("share", range(_SHARES))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(0, 999), changes=damages, which=st.floats(0, 1, allow_nan=False))
def test_damaged_files(
    originals: dict[str, Path],
    tmp_path: Path,
    share: int,
    number: int,
    changes: list[object],
    which: float,
) -> None:
    kinds = sorted(originals)[share::_SHARES]
    original = originals[kinds[number % len(kinds)]]
    fuzzing.survives(fuzzing.damaged(original, tmp_path / "work", changes, which))


def test_sound_files(originals: dict[str, Path]) -> None:
    known = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        for path in originals.values():
            facts = describe(path)
            assert np.prod(facts["shape"]) > 0
            known.add(facts["format"])
    assert known == {"spectra", *(one.name for one in formats())}
