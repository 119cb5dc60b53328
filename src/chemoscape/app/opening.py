"""What is opened: a stack, a recipe, results, a folder to choose from, or the demo."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import blocks, simulate
from chemoscape.demo import DATA_SETS, PARTICLE, demo_recipe
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError, ResultsError
from chemoscape.formats import open_stack, save_stack
from chemoscape.recipe import Recipe, commented_toml, make_recipe, read_recipe, starting_recipe
from chemoscape.results import RESULTS_FILE, open_results

#: Bytes of a stack that are kept in memory for looking; of a larger one every n-th pixel.
KEPT_BYTES = 2e9
#: The demo's stack, where the app was started.
DEMO_STACK = "chemoscape-demo-stack.h5"
#: Files of a folder that are listed.
MOST_FILES = 500


@dataclass
class Opened:
    """What lies at a path.

    `stack` is as recorded, every `step`-th pixel of it; None where results were opened whose input
    is gone. `recipe` is its text as it would be saved at `recipe_path`; `on_disk` says whether that
    file holds it already.
    """

    path: Path
    kind: str
    recipe: str
    recipe_path: Path
    on_disk: bool = False
    stack: xr.DataArray | None = None
    step: int = 1
    tree: xr.DataTree | None = None
    notes: list[str] = field(default_factory=list)


def open_path(path: Path, options: Mapping[str, Any] | None = None) -> Opened:
    """Open whatever lies at a path; `options` are those of opening a stack.

    Raises
    ------
    ChemoscapeError
        Nothing is there, or it is none of these.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise FileFormatError(
            "there is no such file", str(path), "give a stack, a recipe or results"
        )
    _refuse_pipe(path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        if path.suffix.lower() == ".toml":
            opened = _open_recipe(path)
        elif is_results(path):
            opened = _open_results(path)
        else:
            opened = _open_stack(path, dict(options or {}))
    texts = [str(one.message) for one in said if issubclass(one.category, ChemoscapeWarning)]
    opened.notes += dict.fromkeys(texts)
    return opened


def make_demo(folder: Path) -> Path:
    """Simulate the demo's clean stack in a folder, if it is not there yet; its path."""
    target = folder / DEMO_STACK
    if not target.exists():
        save_stack(simulate.core_shell(**PARTICLE, **DATA_SETS["clean"]).stack, target)
    return target


def is_results(path: Path) -> bool:
    """Whether this is what `run` wrote."""
    if path.is_dir():
        return (path / RESULTS_FILE).is_file()
    if path.suffix != ".h5":
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            return file.attrs.get("program") == "chemoscape" and "summary" in file.attrs
    except OSError:
        return False


def listing(folder: Path, root: Path) -> list[dict[str, Any]]:
    """Files and folders below `root`, hidden ones left out: name, kind, bytes."""
    try:
        found = sorted(os.scandir(folder), key=lambda entry: (not _is_folder(entry), entry.name))
    except OSError as error:
        raise FileFormatError(
            f"the folder cannot be read ({error.strerror})", str(folder), "choose another"
        ) from error
    rows = []
    for one in found:
        try:
            row = None if one.name.startswith(".") else _row(one, root)
        except (OSError, RuntimeError):
            continue  # it has gone meanwhile, leads nowhere or in a circle
        if row is not None:
            rows.append(row)
        if len(rows) == MOST_FILES:
            break
    return rows


def _row(one: os.DirEntry[str], root: Path) -> dict[str, Any] | None:
    """One file or folder as it is listed; None for what lies elsewhere, or is a device or pipe."""
    path = Path(one.path)
    if not path.resolve().is_relative_to(root.resolve()):
        return None
    if one.is_dir():
        return {
            "name": one.name,
            "kind": "results" if is_results(path) else "folder",
            "bytes": None,
        }
    if not one.is_file():
        return None
    kind = "recipe" if one.name.endswith(".toml") else "file"
    return {"name": one.name, "kind": kind, "bytes": one.stat().st_size}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _open_stack(path: Path, options: dict[str, Any]) -> Opened:
    stack, step = _kept(open_stack(path, **options))
    target = path.parent / f"{path.stem}.toml"
    if path.name == DEMO_STACK:
        text = commented_toml(demo_recipe(path, "clean"))
    else:
        text = starting_recipe(stack, path, target, options)
    return Opened(path, "stack", text, target, stack=stack, step=step)


def _open_recipe(path: Path) -> Opened:
    recipe = read_recipe(path)
    _refuse_series(recipe)
    _refuse_pipe(Path(recipe.input.path))
    stack, step = _kept(open_stack(recipe.input.path, **recipe.input.options()))
    text = path.read_text(encoding="utf-8-sig")
    return Opened(path, "recipe", text, path, on_disk=True, stack=stack, step=step)


def _open_results(path: Path) -> Opened:
    tree = open_results(path)
    recipe = make_recipe(tomllib.loads(tree.attrs["recipe"]), where=f"{path}: recipe")
    _refuse_series(recipe)
    folder = path if path.is_dir() else path.parent
    target = folder.parent / f"{folder.name.removesuffix('-results')}.toml"
    opened = Opened(path, "results", commented_toml(recipe), target, tree=tree)
    try:
        _refuse_pipe(Path(recipe.input.path))
        opened.stack, opened.step = _kept(open_stack(recipe.input.path, **recipe.input.options()))
    except ChemoscapeError as error:
        opened.notes.append(f"the stack that these results were made of is not shown: {error}")
    return opened


def _refuse_pipe(path: Path) -> None:
    """Refuse what is neither file nor folder: reading a pipe would never end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileFormatError("is neither a file nor a folder", str(path), "choose another")


def _refuse_series(recipe: Recipe) -> None:
    if recipe.series.enabled or not recipe.input.path:
        raise ResultsError(
            "the app shows one stack, and this recipe "
            + ("is of a series" if recipe.series.enabled else "names none"),
            remedy="look at a series in its report.html; open one of its stacks here",
        )


def _kept(stack: xr.DataArray) -> tuple[xr.DataArray, int]:
    """A stack in memory; of one that is larger than is kept for looking every n-th pixel."""
    if not blocks.is_lazy(stack):
        return stack, 1
    step = max(int(np.ceil(np.sqrt(stack.nbytes / KEPT_BYTES))), 1)
    return thinned(stack, step), step


def thinned(stack: xr.DataArray, step: int) -> xr.DataArray:
    """Every `step`-th pixel of a stack, in memory."""
    every = slice(None, None, step)
    part = stack.isel(y=every, x=every)
    data = blocks.computed(part.data)[0] if blocks.is_lazy(part) else part.values
    return part.copy(data=data).assign_attrs(stack.attrs)
