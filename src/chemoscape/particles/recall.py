"""How many particles of a size are found at all: what a histogram of sizes does not show."""

from __future__ import annotations

from collections.abc import Mapping

#: Of each method (a network by its version): median area of a bin, µm², and the share of its
#: particles that were found, on the 100 held-out images of 40 nm pixels of `evaluation.CONDITIONS`
#: (``chemoscape particles evaluate --images 100 --json``). Crowds are worse.
HELD_OUT: Mapping[str, tuple[tuple[float, float], ...]] = {
    "wires-1": (
        (0.069, 0.558),
        (0.149, 0.705),
        (0.295, 0.776),
        (0.564, 0.878),
        (1.045, 0.903),
        (2.083, 0.986),
    ),
    "classical": (
        (0.069, 0.116),
        (0.149, 0.341),
        (0.295, 0.612),
        (0.564, 0.729),
        (1.045, 0.772),
        (2.083, 0.899),
    ),
}


def recall_of(attrs: Mapping[str, object]) -> tuple[tuple[float, float], ...]:
    """Share found against area, of the method that a table of particles names; empty if unknown.

    Examples
    --------
    >>> recall_of({"method": "classical", "model": ""})[0]
    (0.069, 0.116)
    """
    name = attrs.get("model") or attrs.get("method", "")
    return HELD_OUT.get(str(name), ())
