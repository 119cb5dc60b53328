"""Reading recipes: TOML to models, with one plain sentence about whatever is wrong."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chemoscape.errors import RecipeError
from chemoscape.recipe.files import LIBRARY, is_placed, with_paths
from chemoscape.recipe.models import Recipe


def read_recipe(path: str | Path, changes: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe file, apply ``section.key`` changes, and make its paths absolute.

    Raises
    ------
    RecipeError
        The file is missing or not TOML, a key is unknown, or a value is wrong.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(
            "there is no such recipe", str(path), "make one with: chemoscape init STACK"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"not valid TOML ({error})", str(path), "correct that line") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            "is not a text in UTF-8",
            str(path),
            "give a recipe; chemoscape init STACK writes one for a stack",
        ) from error
    except (OSError, ValueError) as error:  # a folder, no permission, NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(
            f"the recipe cannot be read ({reason})", str(path), "give the path of a recipe (.toml)"
        ) from error
    return make_recipe(table, changes, where=str(path), folder=path.resolve().parent)


def make_recipe(
    table: dict[str, Any],
    changes: dict[str, Any] | None = None,
    *,
    where: str = "recipe",
    folder: Path | None = None,
) -> Recipe:
    """Validate a recipe given as nested tables; relative paths are taken from `folder`."""
    for key, value in (changes or {}).items():
        _set(table, key, value, where)
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise _first_complaint(error, where) from error
    return _with_absolute_paths(recipe, folder or Path.cwd())


def parse_change(text: str) -> tuple[str, Any]:
    """``section.key=value`` to key and value; the value is TOML, or a plain string when it is not.

    Examples
    --------
    >>> parse_change("clusters.n_clusters=3")
    ('clusters.n_clusters', 3)
    >>> parse_change("absorbance.i0=i0.xsp")
    ('absorbance.i0', 'i0.xsp')
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(
            f"--set {text!r} is not of the form section.key=value",
            remedy="write --set clusters.n_clusters=3",
        )
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _set(table: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    """Put a value at section.key of nested tables."""
    *path, last = dotted.split(".")
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise RecipeError(
                f"{dotted!r} goes through {name!r}, which is a value", where, "correct --set"
            )
    table[last] = value


#: pydantic's words where they speak of Python.
_PLAIN = {
    "model_type": "Input should be a table of keys",
    "tuple_type": "Input should be a list of two numbers",
    "missing": "This is missing",
}


def _first_complaint(error: ValidationError, where: str) -> RecipeError:
    """One plain sentence: an unknown key before all others, else all complaints about one place."""
    complaints = error.errors(include_url=False)
    unknown = [item for item in complaints if item["type"] == "extra_forbidden"]
    if unknown:
        *section, key = [*_place(unknown[0]["loc"]), str(unknown[0]["loc"][-1])]
        known = _keys_of(section)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
        remedy = f"you may mean {near[0]!r}" if near else f"the keys here are {', '.join(known)}"
        return RecipeError(f"unknown key {'.'.join([*section, key])!r}", where, remedy)
    # Where a value may be one of several kinds, the deepest complaint is about the kind meant.
    place = max((_place(item["loc"]) for item in complaints), key=len)
    alike = [item for item in complaints if _place(item["loc"]) == place]
    messages = [
        _PLAIN.get(item["type"], item["msg"]).removeprefix("Value error, ").rstrip(".")
        for item in alike
    ]
    given = alike[0].get("input")
    shown = "" if isinstance(given, dict) or given is None else f" (given: {given!r})"
    name = ".".join(place) or "recipe"
    return RecipeError(
        f"{name}: {' or '.join(dict.fromkeys(messages))}{shown}",
        where,
        "correct it; chemoscape init shows every key",
    )


def _place(location: tuple[int | str, ...]) -> list[str]:
    """Keys along a validation error's location, without the names of a union's branches."""
    place: list[str] = []
    model: type[BaseModel] | None = Recipe
    for part in location:
        if isinstance(part, int):
            place.append(str(part))
            continue
        fields = _fields(model) if model is not None else {}
        if part in fields:
            place.append(part)
            model = _model_of(fields[part])
    return place


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Fields of a model by the key used in the file."""
    return {field.alias or key: field for key, field in model.model_fields.items()}


def _model_of(field: Any) -> type[BaseModel] | None:
    """The table behind a field, if it is one (or may be one, or is a list of them)."""
    pending = [field.annotation] if field is not None else []
    while pending:
        annotation = pending.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending += getattr(annotation, "__args__", ())
    return None


def _keys_of(place: list[str]) -> list[str]:
    """Keys of the table at a place in the recipe."""
    model: type[BaseModel] = Recipe
    for part in place:
        model = _model_of(_fields(model).get(part)) or model
    return list(_fields(model))


def _with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    """Paths in a recipe are relative to it; a library may also be a shipped one's name."""

    def absolute(key: str, text: str) -> str:
        try:
            if key == LIBRARY and not (is_placed(text) or (folder / text).exists()):
                return text
            return str((folder / os.path.expanduser(text)).resolve())
        except (OSError, RuntimeError, ValueError) as error:  # NUL in it, links in a circle
            raise RecipeError(
                f"no file can lie at {text!r} ({error})", remedy="correct the path"
            ) from error

    return with_paths(recipe, absolute)
