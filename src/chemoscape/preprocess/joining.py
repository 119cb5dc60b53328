"""One stack of images that come in several files, on pixels that all have in common."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape import stack as layout
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.regrid import Grid, centred, common_grid, noise_gain, pitch, regrid, regrid_wave

#: Channels of a complex image that are another quantity than its intensity.
_OF_A_WAVE = ("amplitude", "phase")

#: Energies that differ by less than this are one, eV.
_SAME_EV = 1e-6


def join_energies(stacks: Sequence[xr.DataArray]) -> xr.DataArray:
    """Put stacks of one or more energies each together as one.

    Images whose pixels differ are brought to the coarsest pixel, in the field that all share:
    interpolated with a cubic spline, or averaged where that pixel is much larger (`regrid`).
    Phases are interpolated as ``exp(i phase)`` without its ramp (`regrid_wave`).

    Parameters
    ----------
    stacks : sequence of DataArray (energy, y, x)
        Stacks of the same quantity and unit, from files of any format.

    Returns
    -------
    DataArray (energy, y, x)
        A Stack in ascending energies. Images that need no change are exactly as they were.
        Coordinates along energy are kept where all stacks have them; ``time`` is counted from the
        first stack, and is left out where some stack does not say when it started (attribute
        ``started``); ``noise_gain`` is the factor by which resampling has changed the variance of
        an image's white noise; a dwell that differs from stack to stack becomes the coordinate
        ``dwell``. Attributes are those that all stacks agree on, ``source`` the files, and
        ``joined`` says what was done.

    Raises
    ------
    StackError
        Stacks of different quantities or units, the same energy twice, or no field in common.

    Warns
    -----
    ChemoscapeWarning
        Fields were put on each other by their centres: reconstructions and files without positions
        have no other place, and fields that do not overlap are taken for offsets of the stage.

    Examples
    --------
    >>> def at(energy, pixel_um):
    ...     axis = 5 + pixel_um * np.arange(8)
    ...     return layout.build(np.ones((1, 8, 8)), [energy], axis, axis, quantity="transmission")
    >>> both = join_energies([at(519.4, 0.2), at(518.2, 0.1)])
    >>> both.energy.values.tolist(), both.shape, both.x.values[0].item()
    ([518.2, 519.4], (2, 3, 3), 5.2)
    """
    given = [layout.check(one) for one in stacks]
    if not given:
        raise StackError("there is no stack to join", remedy="give the stacks of the energies")
    kind = _one_kind(given)
    energy = np.concatenate([one["energy"].values for one in given])
    _refuse_repeats(energy, given)
    own = [(one["y"].values, one["x"].values) for one in given]
    placed, said = _placed(given, own)
    grid = common_grid(placed)
    values, gains = [], []
    for one, field in zip(given, placed, strict=True):
        gain = noise_gain(*field, *grid)
        values.append(_brought(one.values, field, grid, kind))
        gains.append(gain * np.asarray(one.coords.get("noise_gain", np.ones(len(one)))))
    changed = sum(noise_gain(*field, *grid) != 1 for field in placed)
    note = f"{said}; {changed} of {len(given)} stacks resampled" if changed else said
    if said:
        warnings.warn(note, ChemoscapeWarning, stacklevel=2)
    per_energy = _along_energy(given)
    if (np.concatenate(gains) != 1).any():
        per_energy["noise_gain"] = np.concatenate(gains)
    size = f"{1000 * pitch(grid[0]):.4g} × {1000 * pitch(grid[1]):.4g} nm"
    return layout.build(
        np.concatenate(values),
        energy,
        *grid,
        quantity=given[0].attrs["quantity"],
        per_energy=per_energy,
        attrs={
            **_shared_facts(given),
            "source": "; ".join(dict.fromkeys(str(one.attrs.get("source", "")) for one in given)),
            "joined": f"{len(given)} stacks on pixels of {size}" + (f"; {note}" if note else ""),
        },
    )


def _one_kind(given: list[xr.DataArray]) -> str:
    """What the stacks are of: "phase", "amplitude" or ""; refuses a mixture."""
    kinds = []
    for one in given:
        channel = one.attrs.get("channel", "")
        kinds.append(
            (
                one.attrs["quantity"],
                one.attrs.get("unit", one.attrs.get("units", "")),
                channel if channel in _OF_A_WAVE else "",
            )
        )
    odd = next((k for k, kind in enumerate(kinds) if kind != kinds[0]), None)
    if odd is None:
        return str(kinds[0][2])
    first, second = (
        f"{_name(given[k], k)} holds {' '.join(filter(None, (kinds[k][2], kinds[k][0])))} in "
        f"{kinds[k][1] or 'no unit'}"
        for k in (0, odd)
    )
    raise StackError(
        f"{first}, {second}",
        remedy="make both the same first, as with cs.optical_density of each",
    )


def _refuse_repeats(energy: np.ndarray, given: list[xr.DataArray]) -> None:
    """Raise where two images have one energy."""
    owner = np.repeat(np.arange(len(given)), [len(one) for one in given])
    order = np.argsort(energy, kind="stable")
    again = np.flatnonzero(np.diff(energy[order]) < _SAME_EV)
    if again.size:
        first, second = owner[order[again[0]]], owner[order[again[0] + 1]]
        raise StackError(
            f"{_name(given[first], first)} and {_name(given[second], second)} both hold an image "
            f"at {energy[order[again[0]]]:.3f} eV",
            remedy="leave one of them out",
        )


def _placed(given: list[xr.DataArray], own: list[Grid]) -> tuple[list[Grid], str]:
    """Where the fields lie on each other, and what to say of it."""
    if all(np.array_equal(a, b) for field in own for a, b in zip(field, own[0], strict=True)):
        return own, ""
    lost = [_name(one, k) for k, one in enumerate(given) if not _has_position(one)]
    if lost:
        return centred(own), (
            f"fields are put on each other by their centres, since {lost[0]}"
            f"{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''} has no absolute position"
        )
    try:
        common_grid(own)
    except StackError:
        return centred(own), (
            "the fields do not overlap in the positions of their files, and are put on each other "
            "by their centres: are they of the same particle?"
        )
    return own, ""


def _has_position(one: xr.DataArray) -> bool:
    """Whether the axes are positions of a stage: not of a reconstruction, nor counted from 0."""
    reconstructed = one.attrs.get("format") == "cxi" or "ptycho" in str(
        one.attrs.get("technique", "")
    )
    return not reconstructed and bool(one["y"][0] != 0 or one["x"][0] != 0)


def _brought(values: np.ndarray, field: Grid, grid: Grid, kind: str) -> np.ndarray:
    """Images (energy, y, x) on the common pixels."""
    if kind != "phase" or noise_gain(*field, *grid) == 1:
        return regrid(values, *field, *grid)
    return np.stack(
        [np.angle(regrid_wave(np.exp(1j * image.astype(float)), *field, *grid)) for image in values]
    )


def _along_energy(given: list[xr.DataArray]) -> dict[str, np.ndarray]:
    """Coordinates along energy that all stacks have, in the order given."""
    dwells = [one.attrs.get("dwell_ms") for one in given]
    found = [
        {"dwell": np.full(len(one), dwell, dtype=float)} | layout.along_energy(one)
        if None not in dwells and len(set(dwells)) > 1
        else layout.along_energy(one)
        for one, dwell in zip(given, dwells, strict=True)
    ]
    names = set(found[0]).intersection(*found) - {"noise_gain", "time", "acquired"}
    joined = {name: np.concatenate([one[name] for one in found]) for name in sorted(names)}
    if all("time" in one for one in found):
        starts = [_started(one) for one in given]
        if not np.isnat(starts).any():
            joined["time"] = np.concatenate(
                [
                    one["time"] + (start - min(starts)) / np.timedelta64(1, "s")
                    for one, start in zip(found, starts, strict=True)
                ]
            )
    return joined


def _started(one: xr.DataArray) -> np.datetime64:
    """When a stack was begun; NaT when it does not say so in a way that is understood."""
    text = str(one.attrs.get("started", "")).strip().replace(" ", "T", 1)
    try:
        return np.datetime64(text[:26].rstrip("Z"), "us")
    except ValueError:
        return np.datetime64("NaT", "us")


def _shared_facts(given: list[xr.DataArray]) -> dict[str, str | int | float]:
    """Attributes that all stacks agree on; of several formats none."""
    first = given[0].attrs
    return {
        str(key): value
        for key, value in first.items()
        if key not in ("quantity", "units", "source", "joined")
        and all(key in one.attrs and _equal(one.attrs[key], value) for one in given)
    }


def _equal(one: object, other: object) -> bool:
    """Whether two attributes are the same."""
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))


def _name(one: xr.DataArray, k: int) -> str:
    """What to call a stack."""
    return str(one.attrs.get("source", "")) or f"stack {k + 1}"
