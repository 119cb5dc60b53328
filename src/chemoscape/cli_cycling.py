"""The command line's `cycling`: galvanostatic curves, their plateaus, and a map's place on them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, require_figure, warnings_in_a_line
from chemoscape.errors import FitError, ResultsError

if TYPE_CHECKING:
    import xarray as xr

    from chemoscape.electrochemistry import PhaseDiagram, Placement

Several = Annotated[list[float] | None, Parameter(consume_multiple=True)]
Words = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@dataclass(frozen=True)
class ElectrodeOptions:
    """What was cycled."""

    mass_mg: Several = None
    "Mass of the electrode's coating without its foil, mg; several: one for each curve."
    mass_sd_mg: float | None = None
    "Its standard deviation."
    active_fraction: float | None = None
    "Mass share of active material: 0.7 for 70:20:10, 1 where it alone was weighed."
    active_fraction_sd: float | None = None
    "Its standard deviation."
    current_sd_relative: float | None = None
    "Relative standard deviation of the cycler's current."
    current_offset_sd_mA: Annotated[float | None, Parameter(name="--current-offset-sd-ma")] = None
    "Standard deviation of a current that flows unseen, mA."
    formula: str = "V2O5"
    "Formula of the host without ions: FePO4 for LiFePO4."
    ion: str = "Li"
    "Element that goes in."
    electrons: int = 1
    "Electrons that come with each ion: 1 for Li, 2 for Mg."
    start_x: float = 0.0
    "Composition at the first record: 1 for fresh LiFePO4."
    start_x_sd: float | None = None
    "Its standard deviation."
    weighed_x: float = 0.0
    "Composition of the active material when it was weighed: 1 for LiFePO4."
    phases: Path | None = None
    "TOML file of phases; default: those of LixV2O5 for V2O5."

    def lithiation(self, k: int) -> dict[str, Any]:
        """Arguments of `lithiation` for the k-th curve."""
        names = (
            *("mass_sd_mg", "active_fraction", "active_fraction_sd", "current_sd_relative"),
            "current_offset_sd_mA",
            *("formula", "ion", "electrons", "start_x", "start_x_sd", "weighed_x"),
        )
        mass = None
        if self.mass_mg:
            mass = self.mass_mg[k] if len(self.mass_mg) > 1 else self.mass_mg[0]
        return {"mass_mg": mass, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class ReadingOptions:
    """What the files do not say themselves."""

    column: Words = None
    "Columns that cannot be told, by heading or number, as voltage=3 'capacity=Q (mAh)'."
    unit: Words = None
    "Units that the headings do not give, as current=mA."
    decimal: Literal[".", ","] | None = None
    "Mark before decimals, where it cannot be told."
    positive_current: Literal["charge", "discharge"] | None = None
    "What a positive current does; default: what raises the voltage is charge."
    join: bool = False
    "The files are one test, in this order."


Made = Annotated[ElectrodeOptions, Parameter(name="*")]
Read = Annotated[ReadingOptions, Parameter(name="*")]
_ELECTRODE, _READING = ElectrodeOptions(), ReadingOptions()


def cycling(
    curves: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    made: Made = _ELECTRODE,
    read: Read = _READING,
    results: Path | None = None,
    after_half_cycle: int | None = None,
    figure: Path | None = None,
    csv: Path | None = None,
    json: bool = False,
) -> int:
    """Galvanostatic curves: capacity, composition, plateaus, and the map's place on them.

    Examples:
    chemoscape cycling cell.txt --mass-mg 3.2 --active-fraction 0.7 --figure cell.png
    chemoscape cycling cell.txt --mass-mg 3.2 --active-fraction 0.7 --results wire-results
    chemoscape cycling sphere.csv wire.csv --mass-mg 3.2 2.9 --active-fraction 0.7 --figure 6a.png
    chemoscape cycling lfp.mpt --formula FePO4 --start-x 1 --weighed-x 1 --mass-mg 9 \
--active-fraction 0.9
    chemoscape cycling odd.csv --column voltage=2 capacity=3 --unit capacity=mAh/g

    Parameters
    ----------
    curves
        Files of a cycler (CSV, TXT, MPT, XLSX; NDA and NDAX with the extra cycler).
    results
        Results of a run whose mean composition is placed on the curve.
    after_half_cycle
        Half cycle after which the sample was taken, from 1; default: the last.
    figure
        PNG or PDF of voltage and dQ/dV over the phases.
    csv
        Table of all records with their composition.
    json
        Print the numbers as JSON.
    """
    from chemoscape.electrochemistry import lithiation, open_cycling
    from chemoscape.electrochemistry.in_words import facts_of, in_lines, placed_in_numbers
    from chemoscape.electrochemistry.writing import write_records

    require_figure(figure)
    with warnings_in_a_line():
        groups = [curves] if read.join else [[one] for one in curves]
        masses = made.mass_mg or []
        if len(masses) > 1 and len(masses) != len(groups):
            raise FitError(
                f"{len(masses)} masses for {len(groups)} curves",
                remedy="give one mass, or one for each curve",
            )
        columns, units = _pairs(read.column, "column"), _pairs(read.unit, "unit")
        opened: dict[str, xr.Dataset] = {}
        for k, group in enumerate(groups):
            curve = open_cycling(
                group if len(group) > 1 else group[0],
                columns=columns,
                units=units,
                decimal=read.decimal or "",
                positive_current=read.positive_current,
            )
            if masses or curve["charge"].attrs["units"] == "mAh/g":
                curve = lithiation(curve, **made.lithiation(k))
            opened[_name(group[0], opened)] = curve
        first = next(iter(opened.values()))
        diagram = _diagram(made)
        placement = _placement(first, results, after_half_cycle, diagram)
        if figure is not None:
            _draw(opened, diagram, placement, figure)
        if csv is not None:
            write_records(opened, csv)
        facts = {name: facts_of(curve) for name, curve in opened.items()}
        data: dict[str, Any] = {"curves": facts}
        if placement is not None:
            data["map"] = placed_in_numbers(placement)
        answer(data, in_lines(facts, placement), json)
    for made_file in (figure, csv):
        if made_file is not None:
            print(f"written: {made_file}", file=sys.stderr)
    return 0


def _pairs(words: list[str] | None, what: str) -> dict[str, str]:
    """``role=value`` of the command line."""
    pairs = {}
    for word in words or []:
        role, mark, value = word.partition("=")
        if not mark or not value:
            raise FitError(f"{what} {word!r} names nothing", remedy="write it as in voltage=3")
        pairs[role.strip()] = value.strip()
    return pairs


def _name(path: Path, taken: dict[str, Any]) -> str:
    """Name of a curve, told from others of the same stem."""
    return path.stem if path.stem not in taken else f"{path.stem} ({len(taken) + 1})"


def _diagram(made: ElectrodeOptions) -> PhaseDiagram | None:
    """The user's phases, or LixV2O5's for V2O5."""
    from chemoscape.electrochemistry import LIXV2O5, read_phases

    if made.phases is not None:
        return read_phases(made.phases)
    return LIXV2O5 if made.formula == "V2O5" and made.ion == "Li" else None


def _placement(
    curve: xr.Dataset, results: Path | None, after: int | None, diagram: PhaseDiagram | None
) -> Placement | None:
    """The map of the results on the (first) curve."""
    from json import loads

    from chemoscape.electrochemistry import place_on_curve
    from chemoscape.results import open_results

    if results is None:
        return None
    tree = open_results(results)
    if "composition" not in tree.children:
        raise ResultsError(
            "no composition is here", str(results), "run a recipe whose composition is enabled"
        )
    attrs = tree["composition"].attrs
    own, variable = curve.attrs.get("variable", "not known without a mass"), attrs["variable"]
    if own != variable:
        raise FitError(
            f"the map's composition is {variable}, the curve's {own}",
            remedy="give --mass-mg, --active-fraction, --formula and --ion",
        )
    phases = loads(str(tree.attrs.get("summary", "{}"))).get("phases") or {}
    return place_on_curve(
        curve,
        float(attrs["mean_mass_weighted"]),
        float(attrs["mean_sd"]),
        after_half_cycle=after,
        phases=diagram,
        map_phases={name: one["mass_fraction"] for name, one in phases.items()},
    )


def _draw(
    opened: dict[str, xr.Dataset],
    diagram: PhaseDiagram | None,
    placement: Placement | None,
    path: Path,
) -> None:
    """The figure, which needs compositions."""
    from chemoscape.report.cycling import cycling_figure
    from chemoscape.report.panels import save_figure

    if not all("x" in curve for curve in opened.values()):
        raise FitError(
            "the figure needs compositions", remedy="give --mass-mg and --active-fraction"
        )
    save_figure(cycling_figure(opened, phases=diagram, placement=placement), path)
