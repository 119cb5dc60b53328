"""What things of a library are called: ids, files, edges; and what somebody meant who mistyped."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.standards.atomic import edges_of
from chemoscape.standards.scale_windows import forbidden_zones

#: What an id made of a name does not hold: anything but letters, digits and ``._+-()``.
UNSAFE = re.compile(r"[^\w.+()-]+")

#: Offers listed where nothing is near to what was asked for.
_MOST_OFFERS = 12


def unique_ids(
    names: Iterable[str],
    taken: Iterable[str] = (),
    forbidden: re.Pattern[str] = UNSAFE,
    *,
    ending: str = "",
    otherwise: str = "spectrum",
    longest: int | None = None,
) -> list[str]:
    """Ids (or names of files) for names: safe to write, unique whatever the case of their letters.

    Parameters
    ----------
    names : iterable of str
    taken : iterable of str
        Not to be used, endings included.
    forbidden : compiled regular expression
        Each match becomes ``-``.
    ending : str
        Of all ids, behind the number that tells two apart.
    otherwise : str
        In place of a name of which nothing is left.
    longest : int, optional
        Characters of a name that are kept.

    Examples
    --------
    >>> unique_ids(["LiFe(II)PO4", "ALL_-05 NNO-1.2", "norm", "Norm", "[?]"])
    ['LiFe(II)PO4', 'ALL_-05-NNO-1.2', 'norm', 'Norm-2', 'spectrum']
    >>> unique_ids(["rust", "Rust"], taken=["rust.xdi"], ending=".xdi")
    ['rust-2.xdi', 'Rust-3.xdi']
    """
    used = {one.lower() for one in taken}
    ids = []
    for name in names:
        stem = forbidden.sub("-", name)[:longest].strip("-.") or otherwise
        id_, number = f"{stem}{ending}", 1
        while id_.lower() in used:
            number += 1
            id_ = f"{stem}-{number}{ending}"
        used.add(id_.lower())
        ids.append(id_)
    return ids


def edge_names(formula: str, energy: np.ndarray) -> str:
    """Names of a substance's edges among energies, as a record writes them.

    Only edges where absorption steps up count: a spectrum shows nothing at an L1 or M1 edge.

    Parameters
    ----------
    formula : str
        May be empty.
    energy : ndarray, shape (n,)
        eV, ascending.

    Returns
    -------
    str
        By ascending energy; ``""`` where there are none, or the tables have no such element.

    Examples
    --------
    >>> edge_names("V2O5", np.array([500.0, 650.0]))
    'V L3, V L2, O K'
    """
    if not formula:
        return ""
    try:
        return ", ".join(
            edge.name
            for edge in edges_of(formula, float(energy[0]), float(energy[-1]))
            if forbidden_zones(edge.name.split()[0], edge.energy, edge.energy)
        )
    except LibraryError:
        return ""


def meant(wish: str, offers: Iterable[str], otherwise: str = "") -> str:
    """Remedy for a name that is not known: the nearest one, or what there is.

    Examples
    --------
    >>> meant("secnd", ["first", "second"]), meant("a", ["first", "second"])
    ("did you mean 'second'", 'choose among first, second')
    """
    known = list(offers)
    near = difflib.get_close_matches(wish, known, n=1)
    if near:
        return f"did you mean {near[0]!r}"
    more = [f"{len(known) - _MOST_OFFERS} more"] if len(known) > _MOST_OFFERS else []
    return otherwise or f"choose among {', '.join([*known[:_MOST_OFFERS], *more])}"
