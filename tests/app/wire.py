"""A small run with clusters, matches and maps of both routes, as a session shows it."""

from __future__ import annotations

import tempfile
import tomllib
import warnings
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import xarray as xr

import chemoscape as cs
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeWarning
from chemoscape.recipe import make_recipe

MADE_WITH = {
    "deconvolution": {"route": "both"},
    "standards": {"select": "matched"},
    "calibration": {"energy_shift": "fit"},
    "composition": {"refine": 2, "smooth_px": 1.0},
    "drift": {"enabled": False},
    "stress": {"enabled": False},
    "report": {"enabled": False},
}


class Shown(Session):
    """A session that shows a tree, beside a recipe that may have changed since."""

    def __init__(self, tree: xr.DataTree, folder: Path, **changes: object) -> None:
        self.tree, self._memory, self.stamp, self.folder = tree, {}, 1, folder
        table = tomllib.loads(tree.attrs["recipe"])
        for name, section in changes.items():
            table[name].update(section)
        recipe = make_recipe(table, folder=folder)
        self._draft = SimpleNamespace(path=folder / "wire.toml", recipe=recipe)


@cache
def wire() -> xr.DataTree:
    """Results of a run on a simulated particle, found at -0.4 eV."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        truth = cs.simulate.core_shell(shape=(36, 48), poisson=True, seed=3, energy_shift_eV=-0.4)
        path = Path(folder) / "wire.h5"
        cs.save_stack(truth.stack, path)
        return cs.run(make_recipe({"input": {"path": str(path)}, **MADE_WITH}))
