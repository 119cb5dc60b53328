"""The table of a batch: one row per stack, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chemoscape.results import RunSummary

Status = Literal["done", "kept", "failed"]


@dataclass(frozen=True)
class Row:
    """What became of one stack.

    Parameters
    ----------
    name : str
        Of its results folder.
    file : str
        The stack.
    status : {"done", "kept", "failed"}
        Kept: its results were there already.
    message : str
        Why it failed, or why it was done again.
    seconds : float
        Time it took; of one that was kept, the time that its results took.
    summary : RunSummary, optional
        Its numbers, unless it failed.
    file_state : str
        Digest of names, sizes and times of its files: equal while nothing touched them.
    defect : bool
        It failed by an error of the program, not of the input.
    """

    name: str
    file: str
    status: Status
    message: str = ""
    seconds: float | None = None
    summary: RunSummary | None = None
    file_state: str = ""
    defect: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the run doubted."""
        return () if self.summary is None else self.summary.warnings

    def __str__(self) -> str:
        """One line for a person."""
        parts = [self.message] if self.message else []
        comp = None if self.summary is None else self.summary.composition
        if comp is not None and comp.mean_pixel is not None:
            sd = "" if comp.sd is None else f" ± {comp.sd:.3f}"
            parts.append(f"mean {comp.mean_pixel:.3f}{sd} ({comp.variable})")
        if self.warnings:
            parts.append(f"{len(self.warnings)} warnings" if self.warnings[1:] else "1 warning")
        if self.seconds is not None and self.status == "done":
            parts.append(f"{self.seconds:.1f} s")
        return f"{self.name}  {self.status}  {', '.join(parts)}".rstrip()


#: Column -> where it is in the summary; "*" stands for every key there, and "{}" for that key.
COLUMNS: dict[str, tuple[str | int, ...]] = {
    "n_energies": ("input", "shape", 0),
    "ny": ("input", "shape", 1),
    "nx": ("input", "shape", 2),
    "energy_min_eV": ("input", "energy_range_eV", 0),
    "energy_max_eV": ("input", "energy_range_eV", 1),
    "energy_shift_eV": ("energy_shift_eV", "value"),
    "energy_shift_sd_eV": ("energy_shift_eV", "sd"),
    "drift_max_px": ("drift", "max_px"),
    "drift_rms_px": ("drift", "rms_px"),
    "composition_variable": ("composition", "variable"),
    "composition_mean_pixel": ("composition", "mean_pixel"),
    "composition_mean_mass_weighted": ("composition", "mean_mass_weighted"),
    "composition_sd": ("composition", "sd"),
    "composition_p05": ("composition", "p05"),
    "composition_p95": ("composition", "p95"),
    "mass_fraction {}": ("phases", "*", "mass_fraction"),
    "residual_rms_OD {}": ("routes", "*", "residual_rms"),
    "reduced_chi2 {}": ("routes", "*", "reduced_chi2"),
    "rank_{}": ("rank", "*"),
    "von_mises_max_MPa {}": ("stress", "*", "von_mises_max_MPa"),
    "von_mises_p99_MPa {}": ("stress", "*", "von_mises_p99_MPa"),
    "von_mises_mean_MPa {}": ("stress", "*", "von_mises_mean_MPa"),
    "n_particles": ("particles", "n"),
}


def values_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The table: the same keys, in the same order, for every row; None where nothing is known."""
    found = [_numbers(row.summary) for row in rows]
    columns = [  # those of one kind together: a phase may be seen in the last stack only
        column
        for kind in COLUMNS
        for column in dict.fromkeys(column for numbers in found for column in numbers[kind])
    ]
    return [
        {
            "name": row.name,
            "file": row.file,
            "status": row.status,
            "message": row.message,
            **dict.fromkeys(columns),
            **{column: value for kind in numbers.values() for column, value in kind.items()},
            "n_warnings": None if row.summary is None else len(row.warnings),
            "seconds": row.seconds,
        }
        for row, numbers in zip(rows, found, strict=True)
    ]


def _numbers(summary: RunSummary | None) -> dict[str, dict[str, Any]]:
    """Of each entry of `COLUMNS` its columns with their values."""
    data = {} if summary is None else summary.model_dump(mode="json")
    numbers: dict[str, dict[str, Any]] = {}
    for kind, place in COLUMNS.items():
        if "*" not in place:
            numbers[kind] = {kind: _at(data, place)}
            continue
        star = place.index("*")
        numbers[kind] = {
            kind.format(key): _at(data, (*place[:star], key, *place[star + 1 :]))
            for key in _at(data, place[:star]) or ()
        }
    return numbers


def _at(data: Any, place: Sequence[str | int]) -> Any:
    """What lies at a place of nested tables and lists; None where the way ends before."""
    for key in place:
        if data is None or (isinstance(key, str) and key not in data):
            return None
        data = data[key]
    return data


def table_csv(rows: Sequence[Row]) -> str:
    """The table as CSV: units in the names of the columns, cells empty where nothing is known."""
    text = io.StringIO()
    table = values_of(rows)
    writer = csv.DictWriter(text, list(table[0]) if table else ["name"], lineterminator="\n")
    writer.writeheader()
    for values in table:
        writer.writerow({column: _cell(value) for column, value in values.items()})
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else " ".join(str(value).split())
