"""Stacks of a series on the pixels and the energies of the first."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError

#: Pixel sizes that differ by less, relative, are the same.
SAME_PIXEL = 1e-3
#: Energies (eV) that differ by less are the same image of every stack: readbacks of one setpoint.
SAME_ENERGY_EV = 0.05
#: More of a sample than this should not come and go.
MOST_LOST = 0.1


def on_pixels_of(first: xr.DataArray, stack: xr.DataArray) -> xr.DataArray:
    """A stack with the coordinates of the first: places count from its corner, not by the stage.

    Between two scans the stage is moved back to a sample that has crept away, so that its readings
    say less of where the sample is than the image does.

    Raises
    ------
    StackError
        Images differ in shape, or pixels in size.
    """
    sizes = [
        tuple(
            float(np.diff(one[axis].values).mean()) if one.sizes[axis] > 1 else 1.0 for axis in "yx"
        )
        for one in (first, stack)
    ]
    alike = np.allclose(sizes[0], sizes[1], rtol=SAME_PIXEL, atol=0)
    if first.shape[1:] != stack.shape[1:] or not alike:
        here, there = (
            f"{one.shape[1]} × {one.shape[2]} pixels of {size[0]:.4g} × {size[1]:.4g} µm"
            for one, size in ((stack, sizes[1]), (first, sizes[0]))
        )
        raise StackError(
            f"its images have {here}, those of the first stack {there}",
            str(stack.attrs.get("source", "")),
            "a series needs one scan for all: leave this stack out, or cut all to the same field",
        )
    return stack.assign_coords(y=first["y"], x=first["x"])


def common_energies(stacks: Sequence[xr.DataArray], names: Sequence[str]) -> list[xr.DataArray]:
    """The images whose energy every stack has, within 0.05 eV.

    Each keeps its own energies: what the monochromator read back is what the fit needs.

    Raises
    ------
    StackError
        A stack shares fewer than half of the first one's energies.

    Warns
    -----
    ChemoscapeWarning
        Images are left out.
    """
    wanted = stacks[0]["energy"].values
    nearest = []
    shared = np.ones(wanted.size, dtype=bool)
    for stack, name in zip(stacks, names, strict=True):
        own = stack["energy"].values
        apart = np.abs(own[None, :] - wanted[:, None])
        place = apart.argmin(axis=1)
        there = apart.min(axis=1) <= SAME_ENERGY_EV
        # an image serves one energy only: the one that is nearest to it
        there &= apart.argmin(axis=0)[place] == np.arange(wanted.size)
        if there.mean() < 0.5:
            raise StackError(
                f"only {there.sum()} of the {wanted.size} energies of the first stack are in it, "
                f"within {SAME_ENERGY_EV:g} eV",
                name,
                "a series needs one energy list for all: leave this stack out of it",
            )
        nearest.append(place)
        shared &= there
    out = [stack.isel(energy=place[shared]) for stack, place in zip(stacks, nearest, strict=True)]
    left_out = [stack.sizes["energy"] - int(shared.sum()) for stack in stacks]
    if any(left_out):
        told = ", ".join(f"{n} of {name}" for n, name in zip(left_out, names, strict=True) if n)
        warnings.warn(
            f"images at energies that not every stack has are left out: {told}",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return out


def common_sample(masks: Sequence[xr.DataArray]) -> xr.DataArray:
    """Pixels that are sample at all times.

    Raises
    ------
    StackError
        There are none.

    Warns
    -----
    ChemoscapeWarning
        A tenth or more of a stack's sample is none at another time.
    """
    both = masks[0].copy(data=np.logical_and.reduce([one.values for one in masks]))
    if not both.values.any():
        raise StackError(
            "no pixel holds sample at all times",
            "series",
            "look whether the registration is right, and I0 free of sample",
        )
    lost = [1 - float(both.sum()) / max(float(one.sum()), 1) for one in masks]
    if max(lost) > MOST_LOST:
        warnings.warn(
            f"{max(lost):.0%} of the sample of stack {int(np.argmax(lost)) + 1} is none at another "
            "time and is left out of all: it moved, or became too thin",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return both


def common_field(fields: Sequence[xr.Dataset]) -> tuple[slice, slice]:
    """Rows and columns (µm, both ends included) that every stack shows.

    Raises
    ------
    StackError
        There are none: the sample left the field.
    """
    spans = []
    for axis in "yx":
        low = max(float(one[axis][0]) for one in fields)
        high = min(float(one[axis][-1]) for one in fields)
        if not low < high:
            raise StackError(
                "the stacks show no common part of the sample",
                "series",
                "leave out those in which it has left the field",
            )
        spans.append(slice(low, high))
    return spans[0], spans[1]
