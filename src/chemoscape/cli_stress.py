"""The command line's `stress`: from a map of composition to stress, without the rest of a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, progress_bar, warnings_in_a_line
from chemoscape.errors import RecipeError

if TYPE_CHECKING:
    from chemoscape.mechanics.fields import StressField

Several = Annotated[list[float] | None, Parameter(consume_multiple=True)]


@dataclass(frozen=True)
class MaterialOptions:
    """What the particles are made of; default: the illustrative LixV2O5 of the demo."""

    material: Path | None = None
    "TOML file with the keys of the recipe's [stress.material]; the options below win over it."
    young: Several = None
    "Young's modulus, GPa; or E1 E2 (E3) along the particle's axes."
    poisson: Several = None
    "Poisson's ratio; or nu12 nu13 nu23."
    shear: float | None = None
    "Shear modulus G12, GPa, of an orthotropic material."
    eigenstrain: Several = None
    "Linear strain per unit of composition; or those along the particle's axes."
    lattice: Path | None = None
    "Instead of eigenstrain: table of x, a, b, c (.csv or .toml)."
    angle: Several = None
    "Degrees from the map's x to the particle's first axis; or one for each particle."
    reference: float | None = None
    "Composition without strain."

    def table(self) -> dict[str, Any]:
        """Keys of [stress.material]."""
        from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE

        keys = ("young_GPa", "poisson", "eigenstrain", "reference", "source", "status")
        table: dict[str, Any] = {key: getattr(LIXV2O5_ILLUSTRATIVE, key) for key in keys}
        if self.material is not None:
            table = {"source": str(self.material)} | _read_table(self.material)
        given = {
            "young_GPa": _one_or_all(self.young),
            "poisson": _one_or_all(self.poisson),
            "shear_GPa": self.shear,
            "eigenstrain": _one_or_all(self.eigenstrain),
            "lattice": None if self.lattice is None else str(self.lattice.absolute()),
            "angle_deg": _one_or_all(self.angle),
            "reference": self.reference,
        }
        given = {key: value for key, value in given.items() if value is not None}
        if "lattice" in given:
            table.pop("eigenstrain", None)
        if "eigenstrain" in given:
            table.pop("lattice", None)
        if given:
            table["source"] = f"{table.get('source', '')}; {', '.join(given)}: by command"
        return table | given


@dataclass(frozen=True)
class SolveOptions:
    """How the stress is computed."""

    plane: Literal["stress", "strain", "generalised"] = "stress"
    "Plane stress, plane strain, or a strain across that is uniform in every particle."
    mesh_size: float | None = None
    "Side of the triangles, µm; default: two pixels."
    graded: bool = False
    "Triangles up to four times finer where composition changes."
    follow_phase: float | None = None
    "Composition of a phase boundary that the triangles follow."
    cut_edges: bool = True
    "Edges at which particles leave the image stay straight but free."
    order: Literal[1, 2] = 2
    "Order of the elements; 1 is the paper's."
    draws: int = 16
    "Draws of the composition's errors, where they are known; 0: none."
    noise_length_px: float | None = None
    "Standard deviation, pixels, of the Gaussian that the composition's noise went through."
    seed: int = 0
    "Of the draws."

    def table(self) -> dict[str, Any]:
        """Keys of [stress]."""
        table = {
            "plane": self.plane,
            "mesh_size_um": self.mesh_size,
            "graded": self.graded,
            "follow_phase": self.follow_phase,
            "cut_edges": self.cut_edges,
            "order": self.order,
            "uncertainty_draws": self.draws,
        }
        return {key: value for key, value in table.items() if value is not None}


Made = Annotated[MaterialOptions, Parameter(name="*")]
How = Annotated[SolveOptions, Parameter(name="*")]
_ILLUSTRATIVE, _AS_USUAL = MaterialOptions(), SolveOptions()


def stress_of_a_map(
    map: Path,
    /,
    *,
    boundary: Annotated[
        list[Literal["free", "fixed"]] | None, Parameter(consume_multiple=True)
    ] = None,
    pixel_um: float | None = None,
    mask: Path | None = None,
    grey: tuple[float, float] = (0.0, 1.0),
    sd: float | None = None,
    made: Made = _ILLUSTRATIVE,
    how: How = _AS_USUAL,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Compute the stress of a map of composition: fields for ParaView, a figure, the numbers.

    Examples:
    chemoscape stress wire-results --young 43 --poisson 0.3 --eigenstrain 0.02
    chemoscape stress x.tif --pixel-um 0.04 --boundary fixed --plane strain
    chemoscape stress x.npy --pixel-um 0.04 --material wire.toml --angle 30 --follow-phase 0.3

    Parameters
    ----------
    map
        Results of a run (the folder, or its results.h5), or composition as a picture (TIFF, PNG) or
        table (NPY, CSV), first row at the top.
    boundary
        How outlines are held: free, fixed, or both, which is the default.
    pixel_um
        Side of a pixel of a picture or table, µm.
    mask
        Picture or table of the same size, 0 outside the particles; default: where composition is 0
        or not a number.
    grey
        Composition of black and of white in a picture of whole numbers.
    sd
        Standard deviation of a pixel's composition, for the error of the stress; results know it.
    output
        Folder for the answer; default: the map's name with -stress.
    overwrite
        Replace an earlier answer.
    json
        Print the numbers as JSON.
    """
    from json import dumps

    from chemoscape.mechanics.sources import open_composition
    from chemoscape.recipe import make_recipe
    from chemoscape.report.outcomes import stress_figure
    from chemoscape.report.panels import save_figure
    from chemoscape.results import none_if_not_finite, results_folder
    from chemoscape.stages import stresses

    folder = output or Path(f"{map.resolve().stem}-stress")
    section = {
        "enabled": True,
        "boundary": list(dict.fromkeys(boundary or ["free", "fixed"])),
        "material": made.table(),
        **how.table(),
    }
    recipe = make_recipe({"seed": how.seed, "stress": section}, where="options")
    with (
        warnings_in_a_line(),
        progress_bar(map.name) as progress,
        results_folder(folder, overwrite=overwrite) as staging,
    ):
        progress("reading")
        comp = open_composition(map, pixel_um=pixel_um, mask=mask, grey=grey, sd=sd)
        if how.noise_length_px is not None:
            comp = comp.assign_attrs(noise_length_px=how.noise_length_px)
        progress("stress")
        fields = stresses(comp, recipe)
        facts = {one.boundary: _facts(one) for one in fields}
        for one in fields:
            one.save(staging / f"stress-{one.boundary}.vtu")
        (staging / "figures").mkdir()
        save_figure(stress_figure(fields), staging / "figures" / "stress.png")
        text = dumps(none_if_not_finite(facts), indent=2, ensure_ascii=False, allow_nan=False)
        (staging / "summary.json").write_text(text + "\n", encoding="utf-8")
        (staging / "stress.csv").write_text(_csv(facts), encoding="utf-8")
    answer(facts, "\n".join(_line(name, one) for name, one in facts.items()), json)
    print(f"written to {folder}: look at {folder / 'figures' / 'stress.png'}", file=sys.stderr)
    return 0


def _facts(field: StressField) -> dict[str, Any]:
    """The numbers of one boundary, and what they depend on."""
    import numpy as np

    data = field.dataset
    energy = np.average(data["element_elastic_energy"], weights=data["element_area"])
    return {
        **field.von_mises_summary(),
        "von_mises_p99_sd_MPa": data.attrs.get("von_mises_p99_sd_MPa"),
        "von_mises_mean_sd_MPa": data.attrs.get("von_mises_mean_sd_MPa"),
        "principal_1_max_MPa": float(data["element_principal_1"].max()),
        "principal_2_min_MPa": float(data["element_principal_2"].min()),
        "elastic_energy_mean_kJ_m3": float(energy),
        "area_um2": float(data["element_area"].sum()),
        **{key: value for key, value in data.attrs.items() if key not in ("boundary",)},
    }


def _line(name: str, facts: dict[str, Any]) -> str:
    """One boundary in a line."""

    def with_sd(key: str) -> str:
        sd = facts[f"von_mises_{key}_sd_MPa"]
        return f"{facts[f'von_mises_{key}_MPa']:.1f}" + ("" if sd is None else f" ± {sd:.1f}")

    return (
        f"stress {name:<8}von Mises {with_sd('p99')} MPa (99th percentile), mean "
        f"{with_sd('mean')} MPa, energy {facts['elastic_energy_mean_kJ_m3']:.1f} kJ/m³, "
        f"reference {facts['reference']:g} ({facts['material_status']} values)"
    )


def _csv(facts: dict[str, dict[str, Any]]) -> str:
    """A row for every number, a column for every boundary."""
    import csv
    import io

    keys = [key for key, value in next(iter(facts.values())).items() if isinstance(value, float)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["quantity", *facts])
    writer.writerows([key, *(one[key] for one in facts.values())] for key in keys)
    return text.getvalue()


def _one_or_all(values: list[float] | None) -> float | list[float] | None:
    """A single number where a single one is given."""
    return values[0] if values is not None and len(values) == 1 else values


def _read_table(file: Path) -> dict[str, Any]:
    """[stress.material] of a recipe, or the same keys at the top of a file of their own."""
    import tomllib

    from chemoscape.formats import _guard

    try:
        table = tomllib.loads(_guard.read_text(_guard.regular_file(file)))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"not valid TOML ({error})", str(file), "correct that line") from error
    if "stress" in table or "material" in table:
        section = table.get("stress", table)
        table = section.get("material", {}) if isinstance(section, dict) else {}
    if not isinstance(table, dict) or not table:
        raise RecipeError(
            "it describes no material", str(file), "give the keys of [stress.material]"
        )
    if isinstance(table.get("lattice"), str) and table["lattice"]:
        table["lattice"] = str((file.absolute().parent / table["lattice"]).resolve())
    return table
