"""What a run computes of a lazy stack in the pass in which the weights are fitted.

A stack in memory has all of it already.
"""

from __future__ import annotations

import math

import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, loaded, thinned
from chemoscape.preprocess.absorbance import count_flags
from chemoscape.products import Products

#: Pixels of a lazy stack that figures, damage and dose are made of.
SEEN_PIXELS = 65_536

_CUBES = ("optical_density", "variance")


def beside_the_fit(done: Products) -> xr.Dataset | None:
    """Lazy maps of a run: flags, scores of the components, and the stack at every so many pixels;
    None for a stack in memory.
    """
    od = done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    if not is_lazy(od["optical_density"]):
        return None
    lazy = {"flag": od["flag"]}
    if done.components is not None:
        lazy["score"] = done.components["score"]
    for name in _CUBES:
        if name in od:
            lazy[f"seen_{name}"] = xr.DataArray(
                thinned(od[name].data, _step(od)), dims=("seen_energy", "seen_y", "seen_x")
            )
    return xr.Dataset(lazy)


def take_up(done: Products, maps: xr.Dataset) -> xr.Dataset:
    """Put what `beside_the_fit` named where it belongs; return the maps without it."""
    od = done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    if not is_lazy(od["optical_density"]):
        done.seen = od
        return maps
    found = maps if "seen_optical_density" in maps else loaded(beside_the_fit(done) or maps)
    done.od = od = od.assign(flag=(("y", "x"), found["flag"].values, od["flag"].attrs))
    done.od.attrs.update(
        {name: n for name, n in count_flags(od).items() if name in ("n_thick", "n_too_thick")}
    )
    if done.components is not None:
        score = done.components["score"]
        done.components = done.components.assign(
            score=(score.dims, found["score"].values, score.attrs)
        )
    done.seen = _seen(od, found)
    beside = [name for name in maps.variables if str(name).startswith("seen_")]
    return maps.drop_vars([*beside, "flag", "score", "pc"], errors="ignore")


def _seen(od: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    """The stack at every so many pixels, as `optical_density` returns it."""
    step = _step(od)
    first = slice(step // 2, None, step)
    density = od["optical_density"]
    seen = stacks.like(
        density,
        found["seen_optical_density"].values,
        y=density["y"].values[first],
        x=density["x"].values[first],
    ).to_dataset(name="optical_density")
    for name, one in od.data_vars.items():
        if name in _CUBES[1:]:
            seen[name] = (stacks.DIMS, found[f"seen_{name}"].values, one.attrs)
        elif name != "optical_density":
            seen[name] = one.isel(y=first, x=first) if one.dims == ("y", "x") else one
    return seen.assign_attrs(od.attrs)


def _step(od: xr.Dataset) -> int:
    """Pixels from one that is kept to the next."""
    return math.ceil(math.sqrt(od["flag"].size / SEEN_PIXELS))
