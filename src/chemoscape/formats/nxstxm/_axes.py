"""Which dimension of an NXstxm array is which: by names, numbers, lengths, or as the user says.

An order is a text with one letter for each dimension: e (energy), y, x, l (along a line), or "."
for a dimension of length one that means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats.nxstxm._names import role_of

_ORDERS = {
    1: ("e",),
    2: ("yx", "xy", "el", "le"),
    3: tuple("".join(order) for order in permutations("eyx")),
}


def from_names(names: list[str], n_dims: int) -> str:
    """Order that the attribute ``axes`` tells, "" when it does not fit the array.

    Examples
    --------
    >>> from_names(["sample_x", "sample_y", "energy"], 3), from_names(["energy", "sample_x"], 2)
    ('xye', 'el')
    """
    order = "".join(map(role_of, names))
    if order.count(".") == 1 and len(order) == 3:
        order = order.replace(".", (set("eyx") - set(order)).pop())
    if len(order) == 2 and "e" in order:
        order = order.replace("y", "l").replace("x", "l")
    return order if len(order) == n_dims and order in _ORDERS.get(n_dims, ()) else ""


def from_numbers(numbers: Mapping[str, int], n_dims: int) -> str:
    """Order that the old attribute ``axis`` of each list tells, "" when it tells none.

    Energy without a number means one energy; y and x with the same number are a line.

    Examples
    --------
    >>> from_numbers({"e": 3, "y": 2, "x": 1}, 3), from_numbers({"e": 1, "y": 3, "x": 3}, 2)
    ('xye', 'el')
    """
    told = dict(numbers)
    if "y" in told and told.get("x") == told["y"]:
        told = {"l": told["y"], **({"e": told["e"]} if "e" in told else {})}
    if len(set(told.values())) != len(told) or len(told) != n_dims:
        return ""
    order = "".join(sorted(told, key=lambda role: told[role]))
    return order if order in _ORDERS.get(n_dims, ()) else ""


def from_lengths(shape: tuple[int, ...], lengths: Mapping[str, int], *, line: bool) -> list[str]:
    """All orders in which the array has as many frames, rows and columns as the lists are long.

    Lists that a file does not have (length 0) fit everything.

    Examples
    --------
    >>> from_lengths((3, 4, 5), {"e": 3, "y": 4, "x": 5}, line=False)
    ['eyx']
    >>> from_lengths((4, 4), {"e": 4, "y": 4, "x": 4}, line=True)
    ['el', 'le']
    """
    return [
        order
        for order in _ORDERS.get(len(shape), ())
        if (len(shape) != 2 or ("l" in order) == line) and _misfits(order, shape, lengths) == 0
    ]


def decide(
    shape: tuple[int, ...],
    lengths: Mapping[str, int],
    *,
    told: str,
    wanted: str | None,
    certain: bool,
    line: bool,
    where: str,
) -> tuple[str, str]:
    """The order of an array of one to three dimensions, and what to say of it.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    lengths : mapping
        Of the lists of energies (``e``) and positions, 0 for those that are not there.
    told : str
        The order that names or numbers tell, or "".
    wanted : str, optional
        The order that the user gave.
    certain : bool
        Whether the file follows the definition, which has frames, then rows, then columns.
    line : bool
        Whether the file says that this is a line scan.
    where : str
        The file, for the message.

    Raises
    ------
    FileFormatError
        Several orders are possible and the user gave none.
    """
    line = line or (len(shape) == 2 and lengths.get("e", 0) > 1)
    fitting = from_lengths(shape, lengths, line=line)
    if told and (told in fitting or len(fitting) != 1 or len(shape) != 3):
        return told, ""
    if told:
        return fitting[0], f"its labels say {told} but its lengths {fitting[0]}: lengths are used"
    if len(fitting) == 1:
        return fitting[0], ""
    usual = {1: "e", 2: "el" if line else "yx", 3: "eyx"}[len(shape)]
    possible = fitting or _nearest(shape, lengths)
    asked = "" if wanted is None else wanted.lower()
    if len(shape) == 2 and "l" not in usual:
        asked = asked.replace("e", "")
    if sorted(asked) == sorted(usual):
        return asked, ""
    if (certain or line) and (usual in possible or not fitting):
        return usual, ""
    if not fitting and len(possible) == 1:
        return possible[0], ""
    orders = [order if len(shape) == 3 else f"e{order}" for order in possible]
    listed = ", ".join(f"{n} {name}" for name, n in _named(lengths).items())
    raise FileFormatError(
        f"the order of its axes cannot be told: the array is {_times(shape)}, the lists have "
        f"{listed or 'no lengths'}",
        where,
        "say which it is: " + " or ".join(f'axes = "{order}"' for order in orders),
    )


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Dimensions that an array of more than three keeps; those of length one mean nothing.

    Examples
    --------
    >>> without_ones((7, 1, 5, 4)), without_ones((1, 5, 4)), without_ones((2, 2, 5, 4))
    ((0, 2, 3), (0, 1, 2), (0, 1, 2, 3))
    """
    kept = list(range(len(shape)))
    # The second is sample_z in the files that have four; the first may be one energy.
    for axis in sorted(kept, key=lambda k: (k != 1, -k)):
        if len(kept) > 3 and shape[axis] == 1:
            kept.remove(axis)
    return tuple(kept)


def _misfits(order: str, shape: tuple[int, ...], lengths: Mapping[str, int]) -> int:
    """How many dimensions are not as long as their lists."""
    along = {**lengths, "l": max(lengths.get("y", 0), lengths.get("x", 0))}
    return sum(along.get(role, 0) not in (0, n) for role, n in zip(order, shape, strict=True))


def _nearest(shape: tuple[int, ...], lengths: Mapping[str, int]) -> list[str]:
    """Orders of images with the fewest misfits."""
    orders = [order for order in _ORDERS[len(shape)] if "l" not in order]
    misfits = np.array([_misfits(order, shape, lengths) for order in orders])
    return [order for order, n in zip(orders, misfits, strict=True) if n == misfits.min()]


def _named(lengths: Mapping[str, int]) -> dict[str, int]:
    """Lengths under the names of their lists."""
    names = {"e": "energies", "y": "sample_y", "x": "sample_x"}
    return {name: lengths[role] for role, name in names.items() if lengths.get(role)}


def _times(shape: tuple[int, ...]) -> str:
    """A shape for people."""
    return " × ".join(map(str, shape))
