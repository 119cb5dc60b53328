"""The results tree: join the Datasets of a run, save them as HDF5, open them again."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from chemoscape.errors import ResultsError
from chemoscape.results.summary import RunSummary, none_if_not_finite

RESULTS_FILE = "results.h5"
#: Version of the tree's layout; raised when a reader of the old one would be misled.
LAYOUT = 1

#: What a viewer draws first: the first of these variables that a node has.
SIGNALS = (
    *("von_mises", "composition", "label", "weight", "mean", "shift_y", "eigenvalue"),
    "optical_density",
)
#: What it draws in the same axes.
BESIDE = {"shift_y": ["shift_x"]}
#: Arrays below this many bytes are not worth compressing.
LARGE_BYTES = 1 << 16
#: Room for groups, attributes and strings.
HEADERS_BYTES = 1 << 20
#: An HDF5 attribute holds 64 KiB at most; longer lists become text.
LONGEST_LIST = 1000


def results_tree(
    nodes: Mapping[str, xr.Dataset],
    *,
    summary: RunSummary,
    recipe_toml: str,
    seed: int = 0,
) -> xr.DataTree:
    """Join the Datasets of a run into one tree.

    A child in an `xarray.DataTree` shares its parent's coordinates. Where ``/clustered/match`` has
    other standards (the library's) than ``/clustered`` (the cluster spectra), its dimension
    becomes ``match_standard``.

    Parameters
    ----------
    nodes : mapping of path to Dataset
        For instance ``{"/composition": comp, "/clustered/match": table}``.
    summary : RunSummary
        The numbers of the run; kept as JSON text in the root's attributes.
    recipe_toml : str
        The recipe with every default written out.
    seed : int
        Seed of everything that was random.

    Returns
    -------
    xarray.DataTree
        Root attributes: program, program_version, layout, created, versions, seed, recipe, summary.

    Raises
    ------
    ResultsError
        A node's axes disagree with its parent's.
    """
    placed: dict[str, xr.Dataset] = {}
    for path in sorted(nodes, key=lambda path: path.count("/")):
        key = "/" + path.strip("/")
        placed[key] = _fit_below(key, nodes[path], placed)
    root = xr.Dataset(
        attrs={
            "program": "chemoscape",
            "program_version": _version_of("chemoscape"),
            "layout": LAYOUT,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": json.dumps(versions()),
            "seed": int(seed),
            "recipe": recipe_toml,
            "summary": summary.to_json(),
        }
    )
    try:
        return xr.DataTree.from_dict({"/": root, **placed})
    except ValueError as error:
        raise ResultsError(
            f"a node of the results does not share its parent's axes ({error})",
            remedy="give both the same coordinates, or put them side by side",
        ) from error


def _fit_below(path: str, node: xr.Dataset, placed: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """`node`, its standard and pair renamed where an ancestor uses them for something else."""
    leaf = path.rsplit("/", 1)[-1]
    for other, above in placed.items():
        if not path.startswith(other + "/"):
            continue
        for name in ("standard", "pair"):
            both = name in node.dims and name in above.dims
            if both and not np.array_equal(node[name].values, above[name].values):
                node = node.rename({name: f"{leaf}_{name}"})
    return node


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on.

    Examples
    --------
    >>> sorted(versions())[:3]
    ['chemoscape', 'gmsh', 'h5py']
    """
    packages = ("chemoscape", "numpy", "scipy", "xarray", "numba", "scikit-learn", "scikit-image")
    return {name: _version_of(name) for name in (*packages, "scikit-fem", "gmsh", "h5py")}


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def summary_of(tree: xr.DataTree) -> RunSummary:
    """Read the summary kept in the root's attributes."""
    return RunSummary.model_validate_json(tree.attrs["summary"])


def save_tree(tree: xr.DataTree, path: str | os.PathLike[str]) -> None:
    """Save a tree as HDF5 that xarray, h5py and silx read, with a default plot for each node.

    Every group carries its own copy of the coordinates and the NeXus attributes ``NX_class``,
    ``signal`` and ``axes``; booleans are stored as int8 with the attribute ``dtype = "bool"``
    (xarray restores them).

    Parameters
    ----------
    tree : xarray.DataTree
        As made by `results_tree`; not changed.
    path : path
        The file to write.

    Raises
    ------
    ResultsError
        Something in the tree cannot be stored.
    OSError
        The disk is full; said before HDF5 starts to write.
    """
    plain = {node.path: _storable(node.to_dataset()) for node in tree.subtree}
    shown = [key for key, node in plain.items() if "signal" in node.attrs]
    default = "/composition" if "/composition" in shown else next(iter(shown), "")
    plain["/"].attrs.update({"NX_class": "NXroot", **({"default": default[1:]} if default else {})})
    encoding = {
        key: {
            str(name): {"zlib": True, "complevel": 2, "shuffle": True}
            for name, variable in node.variables.items()
            if variable.nbytes > LARGE_BYTES and variable.dtype.kind in "fiub"
        }
        for key, node in plain.items()
    }
    whole = xr.DataTree.from_dict(plain)
    reserve(path, sum(node.dataset.nbytes for node in whole.subtree) + HEADERS_BYTES)
    try:
        whole.to_netcdf(path, engine="h5netcdf", encoding=encoding, write_inherited_coords=True)
    except (TypeError, ValueError) as error:
        raise ResultsError(
            f"the results cannot be stored as HDF5 ({error})", where=str(path)
        ) from error


def reserve(path: str | os.PathLike[str], n_bytes: int) -> None:
    """Raise OSError now if `n_bytes` do not fit: HDF5 crashes when the disk fills under it."""
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        elif shutil.disk_usage(Path(path).absolute().parent).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _storable(node: xr.Dataset) -> xr.Dataset:
    """A copy with flat attributes, plain strings and a default plot; encodings are forgotten."""
    node = node.drop_encoding().copy()
    for name, variable in node.variables.items():
        if variable.dtype.kind == "O":
            text = np.array(
                ["" if v is None or v != v else str(v) for v in variable.values.ravel()], dtype=str
            )
            node[name] = (variable.dims, text.reshape(variable.shape), variable.attrs)
    for name in node.variables:
        node[name].attrs = _flat(node[name].attrs)
    node.attrs = _flat(node.attrs)
    signal = next((name for name in SIGNALS if name in node.data_vars), None)
    if signal is not None:
        axes = _axes_of(node, node[signal].dims)
        node.attrs.update({"NX_class": "NXdata", "signal": signal, "axes": axes})
        if beside := [name for name in BESIDE.get(signal, []) if name in node]:
            node.attrs["auxiliary_signals"] = beside
    elif not node.variables and "NX_class" not in node.attrs:
        node.attrs["NX_class"] = "NXcollection"
    return node


def _axes_of(node: xr.Dataset, dims: Sequence[Any]) -> list[str]:
    """Names of the axes to draw `dims` against; "." where there is nothing numeric to use."""
    if tuple(dims) == ("node",) and {"node_x", "node_y"} <= set(node.variables):
        return ["node_x", "node_y"]  # a scatter plot
    return [
        str(dim) if dim in node.coords and node[dim].dtype.kind in "fiu" else "." for dim in dims
    ]


def _flat(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as HDF5 takes them: what is not str, int, float or a flat list becomes JSON."""
    return {str(key): _flat_value(value) for key, value in attrs.items()}


def _flat_value(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if type(value) in (str, int, float):
        return value
    if isinstance(value, list | tuple) and 0 < len(value) <= LONGEST_LIST:
        kinds = {type(item) for item in value}
        if kinds in ({str}, {int}, {float}, {int, float}):
            return list(value)
    return json.dumps(none_if_not_finite(value), ensure_ascii=False, default=str)


def open_results(path: str | os.PathLike[str]) -> xr.DataTree:
    """Open the results of a run.

    Parameters
    ----------
    path : path
        The folder that `run` wrote, or the ``results.h5`` in it.

    Returns
    -------
    xarray.DataTree
        In memory; the file is closed.

    Raises
    ------
    ResultsError
        Nothing is there, or it is not a results file of this program.
    """
    if not isinstance(path, str | os.PathLike):
        raise ResultsError(
            f"expected the path of results, got {type(path).__name__}",
            remedy="give the folder that chemoscape run wrote, or its results.h5",
        )
    file = Path(path)
    if file.is_dir():
        file = file / RESULTS_FILE
    if not file.is_file():
        raise ResultsError(
            "there are no results here",
            where=str(file),
            remedy="give the folder that chemoscape run wrote, or its results.h5",
        )
    try:
        with h5py.File(file) as root:
            _refuse_foreign(root.attrs, file)
        with xr.open_datatree(file, engine="h5netcdf", decode_timedelta=False) as opened:
            tree = opened.load()
            for node in tree.subtree:  # xarray's own load leaves out what is named as its node
                for variable in node.variables.values():
                    variable.load()
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"this is not a readable results file ({error})",
            where=str(file),
            remedy="copy it again, or repeat the run with the recipe.toml beside it",
        ) from error
    for node in tree.subtree:
        node.attrs = {key: _plain(value) for key, value in node.attrs.items()}
        for variable in node.variables.values():
            variable.attrs = {key: _plain(value) for key, value in variable.attrs.items()}
    return tree


def _refuse_foreign(attrs: Mapping[str, Any], file: Path) -> None:
    """Raise unless the root's attributes are those of results that this version can read."""
    if attrs.get("program") != "chemoscape" or "summary" not in attrs:
        raise ResultsError(
            "this HDF5 file was not written by chemoscape run",
            where=str(file),
            remedy="open a stack with cs.open_stack, results with cs.open_results",
        )
    if int(np.ravel(attrs["layout"])[0]) > LAYOUT:
        raise ResultsError(
            f"these results were written by a newer chemoscape ({attrs['program_version']})",
            where=str(file),
            remedy="update with pip install --upgrade chemoscape",
        )


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays read from attributes back to int, float and list."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
