"""Images at one energy, of which a stack holds one, and the order in which images were taken.

Energies are measured twice where two energy regions of a scan meet, and on purpose, to see what the
beam did to the sample in between: compare the first visits with the last.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Source, Visit, some

#: Coordinate with the places that images have in the file, which is how they were acquired.
ACQUIRED = "acquired"


def require_visit(visit: object) -> None:
    """Raise unless `visit` is one of the words for it."""
    if visit not in get_args(Visit):
        raise FileFormatError(
            f"there is no visit {visit!r} of an energy",
            remedy='choose the "first" or the "last" image of energies that repeat',
        )


def kept(source: Source) -> np.ndarray:
    """Numbers of the images that the stack holds, one for each energy, in the order of the
    file.
    """
    energy = np.asarray(source.energy)
    if source.visit == "first":
        return np.sort(np.unique(energy, return_index=True)[1])
    return np.sort(energy.size - 1 - np.unique(energy[::-1], return_index=True)[1])


def sayings(source: Source) -> list[str]:
    """Says which images are left out for another at the same energy."""
    lost = np.delete(np.asarray(source.energy), kept(source))
    if not lost.size:
        return []
    listed = ", ".join(some([f"{energy:.2f}" for energy in lost]))
    return [
        f"{lost.size} images repeat an energy, at {listed} eV; "
        f"the stack holds the {source.visit} of each"
    ]


def facts(source: Source) -> dict[str, str | int]:
    """Attributes of a stack that leaves images out: how many, and which it holds."""
    n_repeated = source.shape[0] - kept(source).size
    return {"n_repeated": n_repeated, "visit": source.visit} if n_repeated else {}


def along_energy(source: Source) -> dict[str, Any]:
    """Coordinates of the images that are kept, and their order of acquisition where neither their
    energies nor their times tell it.
    """
    frames = kept(source)
    found = {name: np.asarray(along)[frames] for name, along in source.per_energy.items()}
    rising = frames[np.argsort(np.asarray(source.energy)[frames], kind="stable")]
    in_order = frames.size == source.shape[0] and bool((np.diff(rising) > 0).all())
    if ACQUIRED not in found and not in_order and not _timed(source):
        found[ACQUIRED] = frames
    return found


def _timed(source: Source) -> bool:
    """Whether the time of every image is known."""
    time = np.asarray(source.per_energy.get("time", np.nan))
    return time.dtype.kind in "fiu" and bool(np.isfinite(time).all())
