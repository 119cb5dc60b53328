"""Writing recipes: resolved, commented, or as a start for a stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
import xarray as xr

from chemoscape.few_energies.problem import FEW_IMAGES
from chemoscape.recipe.models import Recipe
from chemoscape.recipe.sections.common import Section
from chemoscape.recipe.sections.fitting import FewEnergies, Standards
from chemoscape.recipe.sections.preparation import Absorbance, Input
from chemoscape.standards.folder import open_library


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML: every key, so that it can be read and re-run."""
    return tomlkit.dumps(recipe.model_dump(mode="json", by_alias=True, exclude_none=True))


def commented_toml(recipe: Recipe) -> str:
    """The recipe with a comment on every key: what `chemoscape init` writes."""
    document = tomlkit.document()
    document.add(tomlkit.comment("A chemoscape recipe. Run it with: chemoscape run THIS_FILE"))
    values = recipe.model_dump(mode="json", by_alias=True)
    for name, field in Recipe.model_fields.items():
        section = getattr(recipe, name)
        if not isinstance(section, Section):
            document.add(
                name, tomlkit.item(values[name]).comment(field.description or "format of this file")
            )
            continue
        document.add(tomlkit.nl())
        table = tomlkit.table()
        for attribute, inner in type(section).model_fields.items():
            key = inner.alias or attribute
            value, nested = values[name][key], getattr(section, attribute)
            if value is None:
                table.add(tomlkit.comment(f"{key} =   # {inner.description}"))
            elif isinstance(nested, Section):
                table.add(tomlkit.nl())
                table.add(key, _commented_table(nested, value))
            else:
                table.add(key, _item(value).comment(inner.description or ""))
        document.add(name, table)
    return tomlkit.dumps(document)


def starting_recipe(
    stack: xr.DataArray, path: Path, target: Path, options: Mapping[str, Any] | None = None
) -> str:
    """A commented recipe for one stack, its path relative to where the recipe will lie.

    `options` are those that the stack was opened with.

    What the file already says is filled in: an optical density needs no I0, and a shipped library
    is named only where it covers the stack's energies.
    """

    def relative(file: Path) -> str:
        return os.path.relpath(file.resolve(), target.resolve().parent)

    said = dict(options or {})
    if "energy" in said:
        said["energies"] = relative(said.pop("energy"))
    for kind in ("region", "angle"):  # what was taken of several, so that it stays so
        if kind in stack.attrs:
            said.setdefault(kind, stack.attrs[kind])
    energy = stack.energy.values
    changes: dict[str, Any] = {
        "input": Input(path=relative(path), **said),
        "absorbance": Absorbance(enabled=stack.attrs["quantity"] != "optical_density"),
    }
    shipped = Standards().library
    notes = [
        f"{path.name}: {energy.size} energies, {energy[0]:.2f} to {energy[-1]:.2f} eV, "
        f"{stack.sizes['y']} × {stack.sizes['x']} pixels, {stack.attrs['quantity']}"
    ]
    few = 2 <= energy.size <= FEW_IMAGES and stack.attrs["quantity"] != "optical_density"
    if few:
        changes["few_energies"] = FewEnergies(enabled=True)
    if few and not open_library(shipped).covers(energy).all():
        changes["standards"] = Standards(enabled=False, library="")
        notes.append(
            f"{energy.size} images, and no shipped library covers them: ratios of the images are "
            "mapped. For composition name a folder with a library.toml in [standards], select the "
            "two standards that bound it, and set enabled = true there."
        )
    elif not open_library(shipped).covers(energy).all():
        changes["standards"] = Standards(library="")
        notes.append(
            "No shipped library covers these energies: name a folder with a library.toml below, in "
            "[standards]."
        )
    elif few:
        notes.append(
            f"{energy.size} images are mapped between bounding standards: name two in [standards] "
            'select, such as ["alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"].'
        )
    recipe = Recipe(**changes)
    return "".join(f"# {' '.join(note.split())}\n" for note in notes) + commented_toml(recipe)


def _item(value: Any) -> Any:
    """A value on one line: tables among the values too."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        rows = tomlkit.array()
        rows.extend(map(_row, value))
        return rows
    if not isinstance(value, dict):
        return tomlkit.item(value)
    inline = tomlkit.inline_table()
    inline.update(value)
    return inline


def _row(value: Any) -> Any:
    """One of a list: a table without the keys that nobody has set, or a plain value."""
    if not isinstance(value, dict):
        return value
    return _item({k: v for k, v in value.items() if v is not None})


def _commented_table(model: Section, values: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for key, field in type(model).model_fields.items():
        if values[key] is not None:
            table.add(key, _item(values[key]).comment(field.description or ""))
    return table
