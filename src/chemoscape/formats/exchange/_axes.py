"""Axes of exchange files: energies, the order of the array, positions."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._lengths import believable, centres, micrometres
from chemoscape.formats._source import Wanted, fitted_axis

_LETTERS = {
    **dict.fromkeys(["energy", "energies", "photon_energy", "ev", "e"], "e"),
    **dict.fromkeys(["x", "sample_x"], "x"),
    **dict.fromkeys(["y", "sample_y", "z"], "y"),
    **dict.fromkeys(["theta", "angle", "rotation", "rotation_angle"], "t"),
}

#: No photon energy of a stack is below this in eV, none above this in keV.
_LOWEST_EV, _HIGHEST_KEV = 30.0, 200.0

#: Below this an energy without unit is in keV: the lowest K edge measured so (Li) is at 55 eV.
_UNLABELLED_KEV = 50.0

#: The pixel size and the encoder should agree to this part.
_AGREES = 0.1


def energies(
    file: h5py.File, shape: tuple[int, ...], wanted: Wanted, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Energies in eV and what to say of their unit; those of the user when given.

    Raises
    ------
    FileFormatError
        There are none, or one for many images, as in a tomography.
    """
    if wanted.energy is not None:
        return wanted.energy, []
    found = _hdf5.numbers(file, "exchange/energy")
    values = np.empty(0) if found is None else found.reshape(-1)
    values = values[np.isfinite(values)]
    if not values.size or (values.size == 1 and len(shape) > 2 and 1 not in shape):
        many = "no energies" if not values.size else "one energy"
        raise FileFormatError(
            f"looks like a tomography: /exchange/data has shape {shape} and {many}",
            str(path),
            "give the energies if it is a stack: energy = a list in eV, or a text file",
        )
    unit = _hdf5.attribute_text(file["exchange/energy"], "units").lower()
    highest = float(values.max())
    if unit == "kev":
        if highest > _HIGHEST_KEV:
            return values, [f"energies up to {highest:g} keV are taken as eV"]
        return 1000 * values, []
    if highest < (_LOWEST_EV if unit == "ev" else _UNLABELLED_KEV):
        label = "labelled eV" if unit == "ev" else "without a unit"
        return 1000 * values, [f"energies up to {highest:g} {label} are taken as keV"]
    return values, []


def order(
    file: h5py.File, data: h5py.Dataset, n_energy: int, wanted: str | None, path: Path
) -> tuple[str, list[str]]:
    """Letters of the array's axes (e, y, x, and t for angles) and what to say of them.

    What the user says goes first, then the ``axes`` attribute, then lengths. Where these leave it
    open, energies are taken last; an image that nothing tells apart from its transpose is taken as
    MANTiS writes it, (x, y, E), or as (E, y, x). Where even that is open, the user must say.

    Raises
    ------
    FileFormatError
        Nothing decides, or what the user says contradicts the number of energies.
    """
    lengths = _lengths(file, n_energy)
    if wanted is not None and sorted(wanted.lower()) == sorted("eyx"):
        return _as_wanted(wanted.lower(), data.shape, lengths, path), []
    letters = {2: "yx", 3: "eyx", 4: "eyxt"}[data.ndim]
    labelled = _labelled(data, letters)
    fitting = _fitting(letters, data.shape, lengths) or _fitting(
        letters, data.shape, {**lengths, "x": None, "y": None}
    )
    if labelled in fitting:
        return labelled, []
    if not fitting and labelled:  # a scan that was stopped has fewer images than energies
        return labelled, []
    if not fitting:
        raise FileFormatError(
            f"{n_energy} energies fit none of the axes of /exchange/data, {data.shape}",
            str(path),
            "give the energies, energy = …, or the order of the axes, such as axes = 'xye'",
        )
    notes = []
    if labelled:
        notes.append(
            f"its axes attribute ({labelled}) contradicts the lengths {data.shape}: these are used"
        )
    if len(fitting) == 1:
        return fitting[0], notes
    chosen, said = _by_encoder(file, data.shape, fitting) or _by_convention(
        fitting, data.shape, n_energy, path
    )
    return chosen, notes + said


def _lengths(file: h5py.File, n_energy: int) -> dict[str, int | None]:
    """Lengths that the axes should have, None where there is no one-dimensional axis."""
    found = {
        letter: _hdf5.numbers(file, f"exchange/{name}")
        for letter, name in (("x", "x"), ("y", "y"), ("t", "theta"))
    }
    return {"e": n_energy} | {
        letter: axis.size if axis is not None and axis.ndim == 1 else None
        for letter, axis in found.items()
    }


def _fitting(letters: str, shape: tuple[int, ...], lengths: dict[str, int | None]) -> list[str]:
    """Orders in which all known lengths are those of the array."""
    return [
        "".join(one)
        for one in permutations(letters)
        if all(lengths[a] in (n, None) for a, n in zip(one, shape, strict=True))
    ]


def _as_wanted(
    wanted: str, shape: tuple[int, ...], lengths: dict[str, int | None], path: Path
) -> str:
    """The user's order, for the axes that the array has."""
    if len(shape) == 2:
        return wanted.replace("e", "")
    if len(shape) == 4:
        angles = [k for k in range(4) if shape[k] == lengths["t"]]
        place = angles[-1] if angles else 3  # as MANTiS writes
        wanted = wanted[:place] + "t" + wanted[place:]
    n, n_energy = shape[wanted.index("e")], lengths["e"]
    if n_energy is not None and n > n_energy:
        raise FileFormatError(
            f"axes = {wanted.replace('t', '')!r} gives {n} images, but there are {n_energy} "
            f"energies; the array has shape {shape}",
            str(path),
            "give the order of its axes, such as axes = 'xye'",
        )
    return wanted


def _labelled(data: h5py.Dataset, letters: str) -> str:
    """Order by the ``axes`` attribute, ``""`` when it does not name all axes, or all but one."""
    names = _hdf5.texts(_hdf5.attribute(data, "axes"))
    found = "".join(_LETTERS.get(name.strip().lower(), "?") for name in names)
    missing = [letter for letter in letters if letter not in found]
    if len(missing) == 1 and len(found) == len(letters) - 1:
        found += missing[0]  # older MANTiS: "x:y" of (x, y, E)
    return found if sorted(found) == sorted(letters) else ""


def _by_encoder(
    file: h5py.File, shape: tuple[int, ...], fitting: list[str]
) -> tuple[str, list[str]] | None:
    """Order by positions stored for every pixel: y changes from row to row, x does not."""
    y = _hdf5.numbers(file, "exchange/y")
    if y is None or y.ndim != 2 or min(y.shape) < 3:
        return None
    down, along = (_step(y, axis) for axis in (0, 1))
    pair = "yx" if down > along else "xy"
    found = [
        one
        for one in fitting
        if _spatial(one) == pair
        and tuple(n for a, n in zip(one, shape, strict=True) if a in "xy") == y.shape
    ]
    return (found[0], []) if len(found) == 1 else None


def _by_convention(
    fitting: list[str], shape: tuple[int, ...], n_energy: int, path: Path
) -> tuple[str, list[str]]:
    """The usual order of those that fit, and a word on it."""
    places = sorted({one.find("e") for one in fitting})
    last = [one for one in fitting if one.find("e") == places[-1]]
    if len(places) > 1 and len(last) == 1:
        return last[0], [
            f"{n_energy} energies fit more than one axis of {shape}: they are taken last; "
            "axes = … says otherwise"
        ]
    usual = next((one for one in ("eyx", "eyxt", "yx", "xye", "xyet") if one in fitting), "")
    if len(places) == 1 and usual.startswith("x"):
        return usual, [
            f"nothing says which axis of {shape} is x: the first is taken, as MANTiS writes; "
            "axes = 'yxe' takes the second"
        ]
    if len(places) == 1 and usual:
        return usual, []
    raise FileFormatError(
        f"the order of the axes of /exchange/data is open: shape {shape}, {n_energy} energies",
        str(path),
        "give it, such as axes = 'xye' (MANTiS), 'yxe' or 'eyx' (APS)",
    )


def _spatial(order: str) -> str:
    """Order of x and y alone."""
    return order.replace("e", "").replace("t", "")


def image_axes(
    file: h5py.File, order: str, n_y: int, n_x: int
) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
    """Pixel centres of rows and columns in µm, and what to say of them."""
    notes: list[str] = []
    axes: dict[str, np.ndarray | None] = {}
    for name, n, size in (("y", n_y, "vertical"), ("x", n_x, "horizontal")):
        found = _hdf5.numbers(file, f"exchange/{name}")
        size = f"information/detector/pixel_size/{size}"
        pixel = _hdf5.number(file, size) * _unit(file, size)
        note = ""
        if found is not None and found.ndim == 2 and min(found.shape) > 1:
            encoder = found * _unit(file, f"exchange/{name}")
            axes[name], note = _from_encoder(encoder, _spatial(order).index(name), n, pixel, name)
        elif found is not None and _steady(found.reshape(-1)):
            values = found.reshape(-1) * _unit(file, f"exchange/{name}")
            axes[name], note = fitted_axis(values, n, name)
        else:
            axes[name] = centres(n, pixel)
            if found is not None:
                note = f"the {name} axis does not rise or fall steadily and is not used"
        notes += [note] if note else []
    return axes["y"], axes["x"], notes


def _unit(file: h5py.File, name: str) -> float:
    """µm in the unit of a dataset; 1 when it says none."""
    found = _hdf5.child(file, name)
    return micrometres(_hdf5.attribute_text(found, "units") if found is not None else "")


def _steady(axis: np.ndarray) -> bool:
    """Whether an axis rises or falls from each value to the next."""
    if not axis.size or not np.isfinite(axis).all():
        return False
    step = np.diff(axis)
    return bool((step > 0).all() or (step < 0).all())


def _step(encoder: np.ndarray, axis: int) -> float:
    """Median size of a step along an axis, 0 when there is none."""
    with np.errstate(all="ignore"):
        step = np.abs(np.diff(encoder, axis=axis))
    step = step[np.isfinite(step)]
    return float(np.median(step)) if step.size else 0.0


def _from_encoder(
    encoder: np.ndarray, axis: int, n: int, pixel: float, name: str
) -> tuple[np.ndarray | None, str]:
    """An axis from positions read out at every pixel.

    They have noise and turn-rounds, and rows may run in both directions: only their median step
    and direction along the axis are used.
    """
    measured = _step(encoder, axis)
    with np.errstate(all="ignore"):
        across = np.median(encoder, axis=1 - axis)  # rows of both directions cancel
        falls = bool(across[-1] - across[0] < -0.5 * measured * (across.size - 1))
    head = f"{name} holds encoder readings of all pixels, not an axis: "
    if not believable(pixel):
        return centres(n, measured, top_down=falls), (
            f"{head}their median step, {measured:.4g} µm, is the pixel size"
        )
    differs = not abs(measured / pixel - 1) <= _AGREES
    return centres(n, pixel, top_down=falls), (
        f"{head}the pixel size on record, {pixel:g} µm, is used"
        + (f", though they step {measured:.3g} µm" if differs else "")
    )
