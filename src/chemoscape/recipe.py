"""The recipe: one TOML file that says everything a run does, each default documented.

The models below are the reference: a key that is not here is an error that names the nearest one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
import xarray as xr
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from chemoscape.errors import RecipeError, RegionError
from chemoscape.stack import Region
from chemoscape.standards.folder import open_library

Pair = Annotated[tuple[float, float], Field(strict=False)]  # TOML has lists only
Positive = Annotated[float, Field(gt=0)]
#: scikit-learn takes 32 bits.
LARGEST_SEED = 2**32 - 1


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval written the wrong way round."""
    if not bounds[0] < bounds[1]:
        raise ValueError("the lowest energy comes first, then the highest")
    return bounds


class Section(BaseModel):
    """Common to all sections: no unknown keys, no change after reading; true is not the number 1,
    and no number is infinite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RegionTable(Section):
    """A region in µm: x and y bounds, or a polygon."""

    x: Pair | None = None
    y: Pair | None = None
    polygon: list[Pair] | None = None

    @model_validator(mode="after")
    def _is_a_region(self) -> RegionTable:
        try:
            self.region()
        except RegionError as error:
            raise ValueError(str(error)) from error
        return self

    def region(self) -> Region:
        """The same as a Region."""
        return Region.from_mapping(self.model_dump(exclude_none=True))


class Input(Section):
    """[input]: the stack."""

    path: str = Field("", description="the stack's file, relative to the recipe")
    channel: str = Field("", description="detector channel by name or letter; empty: the first")
    region: int = Field(0, ge=0, description="scan region, counted from 0")
    quantity: Literal["", "counts", "transmission", "optical_density"] = Field(
        "", description="what the file holds; empty: as the file says"
    )
    drop_energies: list[float] = Field(
        [], description="frames to leave out, eV (nearest within 0.01 eV)"
    )
    exclude: list[RegionTable] = Field([], description="regions to leave out of everything, µm")


class Drift(Section):
    """[drift]: registration of the frames."""

    enabled: bool = Field(True, description="measure the drift and align the frames")
    threshold_px: float = Field(
        0.1,
        ge=0,
        description="frames are left as they are when the rms drift is below this, pixels",
    )
    reference: int | None = Field(
        None, description="index of the reference frame; default: the best contrast"
    )
    region: RegionTable | None = Field(None, description="part of the image to register on")
    shifts: str = Field(
        "", description="an .aln file whose shifts are applied instead of measured ones"
    )


class Absorbance(Section):
    """[absorbance]: optical density."""

    enabled: bool = Field(True, description="false when the input already is an optical density")
    i0: Annotated[str, Field(min_length=1)] | RegionTable = Field(
        "auto", description='"auto", a region, or a file with the incident spectrum'
    )
    i0_unit: Literal["auto", "image", "per_ms"] = Field(
        "auto",
        description="unit of a spectrum from a file: as the images, per millisecond, or found out",
    )
    dark: float = Field(0.0, ge=0, description="dark counts per pixel")
    noise: Literal["auto"] | Positive = Field(
        "auto", description="counts per recorded unit, or measured"
    )


class Calibration(Section):
    """[calibration]: the energy axis."""

    enabled: bool = Field(True, description="false holds the shift at zero")
    energy_shift: Literal["fit"] | float = Field(
        "fit", description="E(file) - E(library) in eV, or fitted for the stack"
    )


class Standards(Section):
    """[standards]: the library."""

    enabled: bool = Field(
        True, description="false stops after the principal components and clusters"
    )
    library: str = Field(
        "lixv2o5-model", description="a shipped library's name, or a folder with library.toml"
    )
    select: list[str] | Literal["matched"] = Field(
        [], description='ids to use; empty: all; "matched": those that the clusters are made of'
    )


class Deconvolution(Section):
    """[deconvolution]: weights of the standards."""

    enabled: bool = Field(True, description="fit the standards")
    route: Literal["direct", "clustered", "both"] = Field(
        "direct", description="which of the paper's routes"
    )
    nonnegative: bool = Field(True, description="weights >= 0")
    baseline: Literal["constant", "none"] = Field(
        "constant", description="a free constant in every pixel"
    )
    weights: Literal["variance", "uniform"] = Field(
        "variance", description="weigh energies by 1/variance, or all alike"
    )
    range: Annotated[Pair, AfterValidator(_ascending)] | None = Field(
        None, description="lowest and highest energy used, eV"
    )


class Clusters(Section):
    """[clusters]: principal components and k-means."""

    enabled: bool = Field(True, description="compute components and clusters")
    n_clusters: Literal["auto"] | Annotated[int, Field(ge=1, le=50)] = Field(
        "auto", description="number of clusters; auto: 1 for one component, else the best of 2 to 8"
    )
    n_components: int | None = Field(None, ge=1, description="scores used; default: the rank found")
    merge: list[Annotated[list[int], Field(min_length=2)]] = Field(
        [], description="clusters to join, such as [[0, 3]]"
    )


class Composition(Section):
    """[composition]: the map of the library's variable."""

    enabled: bool = Field(True, description="compute the composition")
    source: Literal["direct", "clustered"] = Field(
        "direct", alias="from", description="the route whose weights are used"
    )
    smooth_px: float = Field(1.0, ge=0, le=20, description="σ of the Gaussian filter, pixels")
    refine: int = Field(
        2, ge=1, le=8, description="bilinear interpolation onto a grid this many times finer"
    )
    min_thickness: float = Field(
        0.0, ge=0, description="pixels thinner than this are left out (nm, or relative weight)"
    )
    normalise: Literal["molar", "none"] = Field(
        "molar", description='"none": the paper\'s literal sum'
    )

    model_config = ConfigDict(populate_by_name=True)


class MaterialTable(Section):
    """The material: values, where they come from, and how far they can be trusted."""

    young_GPa: Positive = Field(description="Young's modulus, GPa")
    poisson: float = Field(gt=-1, lt=0.5, description="Poisson's ratio")
    eigenstrain: float = Field(description="linear strain per unit of the composition variable")
    reference: float = Field(0.0, description="composition without strain")
    source: str = Field(description="where the values come from")
    status: Literal["measured", "literature", "illustrative"] = Field(
        description="how far to trust them"
    )


class Stress(Section):
    """[stress]: linear elasticity with the composition's eigenstrain."""

    enabled: bool = Field(False, description="compute stress maps (needs a material)")
    boundary: list[Literal["free", "fixed"]] = Field(
        ["free", "fixed"], description="boundaries to solve for"
    )
    material: MaterialTable | None = Field(None, description="the material, see [stress.material]")
    mesh_size_um: Positive | None = Field(
        None, description="edge length of the elements; default: two pixels"
    )
    order: Literal[1, 2] = Field(2, description="order of the elements; 1 is the paper's")
    plane: Literal["stress", "strain"] = Field("stress", description="plane stress or plane strain")

    @model_validator(mode="after")
    def _has_a_material(self) -> Stress:
        if self.enabled and self.material is None:
            raise ValueError(
                "stress needs a material: add [stress.material] with young_GPa and the others"
            )
        return self


class Report(Section):
    """[report]: what is written."""

    enabled: bool = Field(True, description="write figures and report.html")
    title: str = Field("", description="title of the report; default: the input's name")
    keep_optical_density: bool = Field(False, description="keep the optical density in results.h5")


class Compute(Section):
    """[compute]: how it is computed."""

    threads: int = Field(0, ge=0, description="threads; 0: as many as there are processors")


class Recipe(Section):
    """A whole recipe: `version` and `seed`, then the sections in the order of the work."""

    version: Literal[1] = 1
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="for everything drawn at random")
    input: Input = Input()
    drift: Drift = Drift()
    absorbance: Absorbance = Absorbance()
    calibration: Calibration = Calibration()
    standards: Standards = Standards()
    deconvolution: Deconvolution = Deconvolution()
    clusters: Clusters = Clusters()
    composition: Composition = Composition()
    stress: Stress = Stress()
    report: Report = Report()
    compute: Compute = Compute()


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
        for key, inner in type(section).model_fields.items():
            key = inner.alias or key
            value = values[name][key]
            if value is None:
                table.add(tomlkit.comment(f"{key} =   # {inner.description}"))
            elif isinstance(value, dict):
                table.add(tomlkit.nl())
                table.add(key, _commented_table(getattr(section, key), value))
            else:
                table.add(key, tomlkit.item(value).comment(inner.description or ""))
        document.add(name, table)
    return tomlkit.dumps(document)


def starting_recipe(stack: xr.DataArray, path: Path, target: Path) -> str:
    """A commented recipe for one stack, its path relative to where the recipe will lie.

    What the file already says is filled in: an optical density needs no I0, and a shipped library
    is named only where it covers the stack's energies.
    """
    energy = stack.energy.values
    changes: dict[str, Any] = {
        "input": Input(path=os.path.relpath(path.resolve(), target.resolve().parent)),
        "absorbance": Absorbance(enabled=stack.attrs["quantity"] != "optical_density"),
    }
    shipped = Standards().library
    notes = [
        f"{path.name}: {energy.size} energies, {energy[0]:.2f} to {energy[-1]:.2f} eV, "
        f"{stack.sizes['y']} × {stack.sizes['x']} pixels, {stack.attrs['quantity']}"
    ]
    if not open_library(shipped).covers(energy).all():
        changes["standards"] = Standards(library="")
        notes.append(
            "No shipped library covers these energies: name a folder with a library.toml below, in "
            "[standards]."
        )
    recipe = Recipe(**changes)
    return "".join(f"# {' '.join(note.split())}\n" for note in notes) + commented_toml(recipe)


def _commented_table(model: Section, values: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for key, field in type(model).model_fields.items():
        if values[key] is not None:
            table.add(key, tomlkit.item(values[key]).comment(field.description or ""))
    return table


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

    def absolute(text: str) -> str:
        try:
            return str((folder / os.path.expanduser(text)).resolve()) if text else text
        except (OSError, RuntimeError, ValueError) as error:  # NUL in it, links in a circle
            raise RecipeError(
                f"no file can lie at {text!r} ({error})", remedy="correct the path"
            ) from error

    updates: dict[str, Any] = {
        "input": recipe.input.model_copy(update={"path": absolute(recipe.input.path)})
    }
    i0 = recipe.absorbance.i0
    if isinstance(i0, str) and i0 != "auto":
        updates["absorbance"] = recipe.absorbance.model_copy(update={"i0": absolute(i0)})
    if recipe.drift.shifts:
        updates["drift"] = recipe.drift.model_copy(update={"shifts": absolute(recipe.drift.shifts)})
    library = recipe.standards.library
    if (folder / library).exists() or any(mark in library for mark in "/\\"):
        updates["standards"] = recipe.standards.model_copy(update={"library": absolute(library)})
    return recipe.model_copy(update=updates)
