"""Wrong questions get one sentence that names what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.app.asking import Asked
from chemoscape.errors import ChemoscapeError

ASKED = Asked(
    {
        "energy": 12,
        "flag": True,
        "share": 0.5,
        "name": "free",
        "line": [[0, 1], [2.5, 3]],
        "region": {"x": [0, 1], "y": [0, 2]},
        "nan": float("nan"),
        "none": None,
    }
)


def test_what_is_right():
    assert ASKED.whole("energy", 0, 12) == 12
    assert ASKED.number("share", 0, 1) == 0.5
    assert ASKED.flag("flag")
    assert ASKED.text("name", "free", "fixed") == "free"
    np.testing.assert_array_equal(ASKED.pairs("line"), [[0, 1], [2.5, 3]])
    assert ASKED.region().x == (0, 1)
    assert ASKED.whole("none", 0, 3, default=2) == 2
    assert not ASKED.has("none")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: ASKED.whole("energy", 0, 11),
        lambda: ASKED.whole("flag", 0, 11),
        lambda: ASKED.whole("share", 0, 11),
        lambda: ASKED.whole("missing", 0, 11),
        lambda: ASKED.number("nan"),
        lambda: ASKED.number("flag"),
        lambda: ASKED.number("name"),
        lambda: ASKED.flag("energy"),
        lambda: ASKED.text("name", "fixed"),
        lambda: ASKED.text("energy"),
        lambda: ASKED.pairs("line", at_least=3),
        lambda: ASKED.pairs("line", at_most=1),
        lambda: ASKED.pairs("region"),
        lambda: ASKED.items("region"),
        lambda: ASKED.table("line"),
        lambda: Asked({"region": {"x": [0, 1]}}).region(),
        lambda: Asked({"region": {"polygon": [[0, 0], [1, "a"], [2, 2]]}}).region(),
    ],
)
def test_what_is_wrong(ask):
    with pytest.raises(ChemoscapeError) as error:
        ask()
    assert len(str(error.value).splitlines()) == 1
