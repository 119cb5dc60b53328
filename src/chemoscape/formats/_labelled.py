"""Arrays with labels: which dimension is energy, y or x, in which units, and what the values are.

Shared by the formats that name their axes: xarray's files, zarr, NumPy archives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import numpy as np

from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats import _lengths
from chemoscape.formats._source import fitted_axis

ROLES = {
    "e": ("energy", "energies", "e", "ev", "energy_ev", "photon_energy", "photonenergy", "hv"),
    "y": ("y", "y_um", "row", "rows", "sample_y", "y_position", "ypos", "height"),
    "x": ("x", "x_um", "col", "column", "columns", "sample_x", "x_position", "xpos", "width"),
}

#: Names of arrays that say what their values are.
QUANTITIES = {
    **dict.fromkeys(("counts", "intensity", "data", "stack", "images"), "counts"),
    **dict.fromkeys(("od", "optical_density", "absorbance"), "optical_density"),
    **dict.fromkeys(("transmission", "transmittance"), "transmission"),
}

#: Values along energy that a stack knows.
ALONG = ("ring_current", "dwell", "time", "polarisation", "angle", "acquired")

_ELECTRONVOLTS = {"": 1.0, "ev": 1.0, "electronvolt": 1.0, "kev": 1e3, "j": 1 / 1.602176634e-19}

#: Beyond these an axis is damage, not a measurement: eV and µm.
_FARTHEST = 1e9

_PLUMBING = {
    *("quantity", "units", "coordinates", "DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"),
    *("scale_factor", "add_offset", "missing_value", "_FillValue", "_ARRAY_DIMENSIONS", "dtype"),
}


@dataclass(frozen=True)
class Packing:
    """How values were packed: ``value × scale + offset``, NaN where one of `missing` stands."""

    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> Packing:
        """As the climate conventions write it into attributes."""
        found = {
            name: _finite(attrs.get(name))
            for name in ("scale_factor", "add_offset", "missing_value", "_FillValue")
        }
        scale, offset = found["scale_factor"], found["add_offset"]
        missing = {found[name] for name in ("missing_value", "_FillValue")} - {None}
        return cls(
            1.0 if scale is None else scale,
            0.0 if offset is None else offset,
            tuple(value for value in missing if value is not None),
        )

    def undone(self, values: np.ndarray) -> np.ndarray:
        """Values as measured."""
        if self == Packing():
            return values
        with np.errstate(all="ignore"):
            result = (values * self.scale + self.offset).astype(np.float32)
        for one in self.missing:
            result[values == one] = np.nan
        return result


def role_of(name: str) -> str:
    """``"e"``, ``"y"``, ``"x"`` or ``""`` for the name of a dimension.

    Examples
    --------
    >>> role_of("photon_energy"), role_of("row"), role_of("angle")
    ('e', 'y', '')
    """
    plain = name.strip().rsplit("/", 1)[-1].lower()
    return next((role for role, names in ROLES.items() if plain in names), "")


def roles_of(names: Sequence[str]) -> str:
    """Roles of three dimensions such as ``"eyx"``, "" unless each of the three occurs once."""
    roles = "".join(role_of(name) for name in names)
    return roles if len(names) == 3 and sorted(roles) == ["e", "x", "y"] else ""


def axes_by_length(
    shape: Sequence[int], lengths: Mapping[str, int | None], wanted: str | None
) -> tuple[str, str]:
    """Order of the dimensions of an array without labels, and what to say of it.

    Parameters
    ----------
    shape : (int, int, int)
        Of the array.
    lengths : mapping
        How many labels are known for ``e``, ``y`` and ``x``; None when there are none.
    wanted : str, optional
        What the user says.

    Examples
    --------
    >>> axes_by_length((6, 7, 5), {"e": 5, "y": None, "x": None}, None)
    ('yxe', '')
    """
    orders = ["".join(order) for order in permutations("eyx")]
    if wanted is not None and sorted(wanted.lower()) == sorted("eyx"):
        return wanted.lower(), ""
    orders.sort(key=["eyx", "yxe", "yex", "exy", "xye", "xey"].index)
    fitting = [
        order
        for order in orders
        if all(lengths.get(role) in (None, shape[order.index(role)]) for role in order)
    ]
    upright = [order for order in fitting if order in ("eyx", "yxe", "yex")]
    certain = len({order.index("e") for order in fitting}) == 1 and (
        lengths.get("e") is not None or lengths.get("y") is not None
    )
    best = (upright or fitting or ["eyx"])[0]
    said = {"e": "energy", "y": "y", "x": "x"}
    listed = ", ".join(said[role] for role in best)
    return (
        best,
        ""
        if certain
        else f'its dimensions are taken as {listed}; if they are not, say so, as in axes = "yxe"',
    )


def in_order(values: np.ndarray, axes: str) -> np.ndarray:
    """A view of an array with dimensions `axes` as ``(energy, y, x)``."""
    return values.transpose([axes.index(role) for role in "eyx"])


def energies(values: np.ndarray, unit: str, n: int, where: Path | str) -> np.ndarray:
    """Photon energies in eV, one for each of `n` frames.

    Raises
    ------
    FileFormatError
        They are not `n` positive numbers.
    """
    factor = _ELECTRONVOLTS.get(unit.strip().lower(), 1.0)
    with np.errstate(all="ignore"):
        found = np.asarray(values, dtype=np.float64).reshape(-1) * factor
        possible = np.isfinite(found) & (found > 0) & (found < _FARTHEST)
    if found.size != n or not possible.all():
        trouble = f"{found.size} energies" if found.size != n else "an impossible energy"
        raise FileFormatError(
            f"holds {n} images and {trouble}", str(where), "give energy, one in eV per image"
        )
    return found


def positions(
    values: np.ndarray | None, unit: str, n: int, name: str, where: Path | str
) -> tuple[np.ndarray | None, str]:
    """Pixel centres in µm of an image axis of `n` pixels, None without usable labels; and what to
    say.

    Raises
    ------
    FileFormatError
        A label is not finite.
    """
    if values is None:
        return None, ""
    if unit.strip() and not _lengths.is_length(unit):
        return None, f"its {name} axis is in {unit.strip()[:20]!r}, which is no length known here"
    with np.errstate(all="ignore"):
        found = np.asarray(values, dtype=np.float64).reshape(-1) * _lengths.micrometres(unit)
        possible = np.isfinite(found) & (np.abs(found) < _FARTHEST)
    if not possible.all():
        raise FileFormatError(
            f"its {name} axis holds an impossible position", str(where), "correct the file's axis"
        )
    return fitted_axis(found, n, name)


def quantity_of(attrs: Mapping[str, Any], name: str) -> str:
    """What values are: by the attribute ``quantity``, else by the array's name, else counts."""
    said = attrs.get("quantity")
    if said in get_args(stacks.Quantity):
        return str(said)
    return QUANTITIES.get(name.rsplit("/", 1)[-1].lower(), "counts")


def preferred(names: Sequence[str]) -> int:
    """Which of several arrays is the stack: the first that is called so."""
    for known in ("stack", "data", "counts", "images", *QUANTITIES):
        for number, name in enumerate(names):
            if name.rsplit("/", 1)[-1].lower() == known:
                return number
    return 0


def flat(attrs: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Attributes of the measurement: text and numbers, without what belongs to the file."""
    return {
        str(name): value
        for name, value in attrs.items()
        if isinstance(value, str | int | float)
        and name not in _PLUMBING
        and not str(name).startswith("_")
    }


def storable(attrs: Mapping[Any, Any]) -> dict[str, str | int | float]:
    """Attributes that JSON keeps as they are."""
    plain = {
        str(name): value.item() if isinstance(value, np.generic) else value
        for name, value in attrs.items()
    }
    return {name: value for name, value in plain.items() if isinstance(value, str | int | float)}


def as_numbers(values: Any) -> np.ndarray:
    """Numbers as they are; those wider than float32 as float32, too large ones infinite."""
    found = np.asarray(values)
    if found.dtype.kind == "f" and found.dtype.itemsize > 4:
        with np.errstate(all="ignore"):
            return found.astype(np.float32)
    return found


def nonempty(*notes: str) -> tuple[str, ...]:
    """Notes that say something."""
    return tuple(note for note in notes if note)


def _finite(value: Any) -> float | None:
    """A finite number, None for anything else."""
    items: Iterable[Any] = np.ravel(value) if value is not None else ()
    try:
        number = float(next(iter(items)))
    except (StopIteration, TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
