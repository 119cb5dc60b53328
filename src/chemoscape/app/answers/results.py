"""What the last run has made: its index, its numbers, its maps."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.as_run import drift_of
from chemoscape.app.asking import Asked
from chemoscape.app.pictures import Kind, Picture
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError, ResultsError
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.shifts import Drift

#: Values of one variable that go to the browser as JSON.
MOST_VALUES = 200_000
MAP = ("y", "x")


def results(session: Session, asked: Asked) -> dict[str, Any]:
    """Index of the results: nodes, their variables, and the run's summary."""
    tree = session.tree
    if tree is None:
        return {"stamp": session.stamp, "nodes": {}, "summary": None}
    return {
        "stamp": session.stamp,
        "revision": session.results_revision,
        "nodes": session.remembered(("index",), lambda: _index(tree)),
        "summary": json.loads(tree.attrs["summary"]),
        "versions": json.loads(tree.attrs["versions"]),
        "created": tree.attrs["created"],
    }


def _index(tree: xr.DataTree) -> dict[str, Any]:
    nodes = {}
    for node in tree.subtree:
        data = node.to_dataset(inherit=False)
        variables = {
            str(name): {
                "dims": list(map(str, one.dims)),
                "shape": list(one.shape),
                "unit": str(one.attrs.get("units", "")),
                "long_name": str(one.attrs.get("long_name", name)),
            }
            for name, one in data.data_vars.items()
        }
        attrs = {} if node.path == "/" else dict(data.attrs)
        nodes[node.path] = {"variables": variables, "attrs": attrs}
    return nodes


def values(session: Session, asked: Asked) -> dict[str, Any]:
    """One variable as numbers: {of: "/clustered/components/eigenvalue"}."""
    variable = _variable(session, asked.text("of"))
    if variable.size > MOST_VALUES:
        raise ResultsError(
            f"{variable.name} has {variable.size} values", remedy="ask for a picture"
        )
    coords = {str(dim): variable[dim].values for dim in variable.dims if dim in variable.coords}
    return {
        "dims": list(variable.dims),
        "values": variable.values,
        "coords": coords,
        "unit": str(variable.attrs.get("units", "")),
        "long_name": str(variable.attrs.get("long_name", variable.name)),
    }


def picture(session: Session, asked: Asked) -> Picture:
    """A map or a frame.

    {of: "stack" | "aligned" | "optical_density", energy: index}, or {of: "/node/variable", at:
    {dim: index, …}}; `reduce` takes every so many pixels.
    """
    of = asked.text("of")
    step = asked.whole("reduce", 1, 64, default=1)
    if of == "stack":
        frame = _frame(session.recorded(), asked)
        return _picture(frame, frame.attrs.get("quantity", "")).thinned(step)
    if of == "aligned":
        return _aligned(session, asked).thinned(step)
    if of == "optical_density":
        frame = _frame(session.density()["optical_density"], asked)
        return _picture(frame, "optical density").thinned(step)
    variable = _variable(session, of)
    chosen = {}
    for name, index in asked.table("at", default={}).items():
        if name not in variable.dims or name in MAP:
            raise ChemoscapeError(f"{of} has no dimension {name!r}", "at", "reload the page")
        size = variable.sizes[name]
        chosen[name] = Asked({name: index}).whole(name, 0, size - 1)
    variable = variable.isel(chosen)
    if variable.dims != MAP:
        raise ChemoscapeError(f"{of} is no map of y and x", "of", "reload the page")
    return _picture(variable, str(variable.attrs.get("long_name", variable.name))).thinned(step)


def _frame(stack: xr.DataArray, asked: Asked) -> xr.DataArray:
    return stack.isel(energy=asked.whole("energy", 0, stack.sizes["energy"] - 1))


def _aligned(session: Session, asked: Asked) -> Picture:
    """A recorded frame, moved as the last run has moved it."""
    stack = session.recorded()
    index = asked.whole("energy", 0, stack.sizes["energy"] - 1)
    drift = drift_of(session.tree, session.opened.step) if session.tree is not None else None
    frame = stack.isel(energy=[index]).assign_attrs(stack.attrs)
    if drift is not None:
        frame = _moved(frame, drift, float(stack["energy"].values[index]))
    return _picture(frame.isel(energy=0), str(stack.attrs["quantity"]))


def _moved(frame: xr.DataArray, drift: Drift, energy: float) -> xr.DataArray:
    """One frame without its drift; as recorded where the run has left it out."""
    apart = np.abs(drift.energy - energy)
    if apart.min() > 0.01:
        return frame
    own = slice(int(apart.argmin()), int(apart.argmin()) + 1)
    alone = Drift(
        drift.shifts[own],
        drift.energy[own],
        0,
        drift.quality[own],
        drift.replaced[own],
        linear=None if drift.linear is None else drift.linear[own],
    )
    return align(frame, alone)


def _variable(session: Session, of: str) -> xr.DataArray:
    path, _, name = of.rpartition("/")
    node = session.node(path or "/")
    if name not in node.data_vars:
        raise ResultsError(f"the results hold no {of}", remedy="press Run here")
    return node[name]


#: Variables whose zero is the middle of their colours.
SIGNED = ("eigenspectrum", "score", "feature", "hydrostatic", "displacement", "strain", "stress")
COUNTED = ("label", "flag", "phase_label")


def kind_of(name: str, values: np.ndarray) -> Kind:
    """How a variable's colours are to be chosen."""
    if values.dtype == bool:
        return "mask"
    if name in COUNTED:
        return "labels"
    signed = name.startswith(SIGNED) or name in ("background_residual",)
    return "diverging" if signed and np.nanmin(values) < 0 < np.nanmax(values) else "sequential"


def _picture(image: xr.DataArray, name: str) -> Picture:
    kind = kind_of(str(image.name or ""), image.values)
    unit = str(image.attrs.get("units", ""))
    if not unit and image.attrs.get("quantity") == "counts":
        unit = "counts"
    return Picture(
        image.values, image["x"].values, image["y"].values, name.replace("_", " "), unit, kind
    )


ANSWERS = {"results": results, "values": values, "picture": picture}
