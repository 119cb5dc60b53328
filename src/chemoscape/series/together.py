"""The results of all stacks of a series as one tree, with a dimension ``time``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

#: Energies of the stacks, where they are not quite those of the first.
ENERGY_READ = "energy_read"
#: When each image of a stack was taken; in the stack itself it is called as the dimension here.
FRAME_TIME = "frame_time"


def joined(moments: Sequence[Mapping[str, xr.Dataset]], time: xr.Variable) -> dict[str, xr.Dataset]:
    """Nodes of the results tree, those of each stack joined along ``time``.

    Maps, and all that differs from stack to stack, get the dimension; what is the same in all of
    them (standards, spectra of the common clusters, a common mesh) is kept once. Of attributes,
    numbers that differ become variables of that name, texts that differ lists. What only some
    stacks have is left out.

    Parameters
    ----------
    moments : sequence of mapping of path to Dataset
        Of every stack, as `products.nodes_of` gives them.
    time : Variable
        The coordinate.
    """
    paths = [path for path in moments[0] if all(path in one for one in moments)]
    return {path: _node([one[path] for one in moments], time) for path in paths}


def _node(parts: Sequence[xr.Dataset], time: xr.Variable) -> xr.Dataset:
    """One node of all stacks."""
    first = parts[0]
    out = xr.Dataset(coords={"time": time})
    if "energy" in first.coords:
        read = [one["energy"].values for one in parts]
        if any(not np.array_equal(read[0], one) for one in read[1:]):
            attrs = {"units": "eV", "long_name": "photon energy of each stack"}
            out[ENERGY_READ] = (("time", "energy"), np.stack(read), attrs)
    shared_names = [name for name in first.variables if all(name in p.variables for p in parts)]
    for known in shared_names:
        held = [one.variables[known] for one in parts]
        alike = all(map(held[0].equals, held[1:]))
        name = FRAME_TIME if known == "time" else known
        if known in first.dims or (known in first.coords and alike):
            out.coords[name] = held[0]
        elif any(one.sizes != held[0].sizes for one in held):
            continue  # of different numbers of things
        elif {"y", "x"} <= set(held[0].dims) or not alike:
            values = np.stack([one.values for one in held])
            out[name] = (("time", *held[0].dims), values, held[0].attrs)
        else:
            out[name] = held[0]
    return _with_attributes(out, [one.attrs for one in parts])


def _with_attributes(out: xr.Dataset, known: Sequence[Mapping[Any, Any]]) -> xr.Dataset:
    """Attributes of all parts: as they are where they agree, else along ``time``."""
    for name in known[0]:
        values = [one.get(name) for one in known]
        if all(_same(values[0], one) for one in values[1:]):
            out.attrs[name] = values[0]
        elif all(isinstance(one, Real) and not isinstance(one, bool) for one in values):
            if name not in out:
                out[name] = ("time", np.array(values, dtype=float))
        else:
            out.attrs[name] = [str(one) for one in values]
    return out


def _same(one: Any, other: Any) -> bool:
    """Whether two attributes are equal; NaN equals itself."""
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True))
    except TypeError:  # texts
        return bool(one == other)
