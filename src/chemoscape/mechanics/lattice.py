"""Cell parameters against composition: a table, from which each axis strains by itself.

LixV2O5 contracts along a and expands along b, by a step between its phases: straight lines between
the rows of a table keep both. Tables are the user's; none is shipped.
"""

from __future__ import annotations

import csv
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import MaterialError
from chemoscape.formats import _guard

Status = Literal["measured", "literature", "illustrative"]

#: What a composition may lie outside the table, as a share of the table's range: rounding.
ROUNDING = 1e-6
COLUMNS = ("x", "a", "b", "c")


@dataclass(frozen=True)
class Lattice:
    """Cell parameters a, b, c at compositions x; straight lines between, nothing beyond.

    Two rows at the same x are a step. The first of them holds at that x itself and below, the
    second above it.

    Parameters
    ----------
    x : tuple of float
        Compositions, not falling; two or more.
    a, b, c : tuple of float
        Cell parameters there, in Å (any unit: only their ratios count).
    phase : tuple of str
        Name of the phase of every row, or empty.
    axes : tuple of 3 str
        Which of "a", "b", "c" lies along xi, along eta (both in the image) and across it. Scanning
        transmission looks through the thin axis of a particle: say which it is.
    source : str
        Where the values come from; required unless they are illustrative.
    status : {"measured", "literature", "illustrative"}
        How far to trust them.

    Raises
    ------
    MaterialError
        Rows do not rise, lengths differ, a value is impossible, or the source is missing.

    Examples
    --------
    >>> table = Lattice((0.0, 1.0), (10.0, 9.8), (4.0, 4.2), (5.0, 5.0), axes=("b", "a", "c"))
    >>> table.strain([0.0, 0.5], reference=0.0).round(4).tolist()
    [[0.0, 0.025], [0.0, -0.01], [0.0, 0.0]]
    """

    x: tuple[float, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    phase: tuple[str, ...] = ()
    axes: tuple[str, str, str] = ("a", "b", "c")
    source: str = ""
    status: Status = "illustrative"

    def __post_init__(self) -> None:
        for name in COLUMNS:
            object.__setattr__(self, name, _column(name, getattr(self, name)))
        for name in ("phase", "axes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_evidence(self.source, self.status, where="lattice table")
        self._check_shape()
        steps = np.diff(self.x)
        for row in np.flatnonzero(steps < 0):
            self._refuse(
                f"x falls from {self.x[row]:g} to {self.x[row + 1]:g} in row {row + 2}",
                "order the rows by composition",
            )
        for row in np.flatnonzero((steps[:-1] == 0) & (steps[1:] == 0)):
            self._refuse(
                f"three rows have x = {self.x[row]:g}", "a step has two: before it and after it"
            )
        if steps[0] == 0 or steps[-1] == 0:
            self._refuse(
                f"the step at x = {self.x[0] if steps[0] == 0 else self.x[-1]:g} has no row "
                "on its other side",
                "let the table begin and end with a single row",
            )

    def cell(self, composition: ArrayLike) -> np.ndarray:
        """Cell parameters a, b, c at compositions, shape (3, …); NaN where a composition is.

        Raises
        ------
        MaterialError
            A composition lies outside the table.
        """
        x = np.asarray(composition, dtype=float)
        low, high = self.x[0], self.x[-1]
        with np.errstate(invalid="ignore"):
            beyond = np.maximum(low - x, x - high)
        if (beyond > ROUNDING * (high - low)).any():
            worst = x.flat[np.nanargmax(beyond)]
            self._refuse(
                f"composition {worst:g} lies outside its range {low:g} to {high:g}",
                "add rows that reach it, or cut the composition to the range",
            )
        table = np.array([self.a, self.b, self.c])
        # an x of the table belongs to the segment that ends there: the step comes after it
        after = np.clip(np.searchsorted(self.x, x, side="left"), 1, len(self.x) - 1)
        start, end = np.take(self.x, after - 1), np.take(self.x, after)
        share = np.clip((x - start) / (end - start), 0.0, 1.0)
        return (1 - share) * table[:, after - 1] + share * table[:, after]

    def strain(self, composition: ArrayLike, reference: float) -> np.ndarray:
        """Strain along xi, eta and across the image, shape (3, …).

            e_i = l_i(x) / l_i(reference) - 1

        Parameters
        ----------
        composition : array_like
            Compositions.
        reference : float
            Composition of the cell from which strain is counted; in the table.

        Raises
        ------
        MaterialError
            A composition or the reference lies outside the table.
        """
        order = ["abc".index(axis) for axis in self.axes]
        start = self.cell(reference)[order]
        now = self.cell(composition)[order]
        return now / start.reshape(3, *[1] * (now.ndim - 1)) - 1

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, object]],
        *,
        axes: tuple[str, str, str] = ("a", "b", "c"),
        source: str = "",
        status: Status = "illustrative",
    ) -> Lattice:
        """Lattice from rows with the keys x, a, b, c and, in all or none, phase.

        Raises
        ------
        MaterialError
            A row lacks a key or has another, or as for `Lattice`.
        """
        rows = [dict(row) for row in rows]
        for number, row in enumerate(rows, start=1):
            if odd := set(COLUMNS).symmetric_difference(set(row) - {"phase"}):
                raise MaterialError(
                    f"row {number} has the columns {', '.join(map(str, row)) or 'none'}, which "
                    f"differ in {', '.join(sorted(map(str, odd)))}",
                    "lattice table",
                    "give x, a, b, c and, if wanted, phase",
                )
        values = {name: tuple(row[name] for row in rows) for name in COLUMNS}
        phase = tuple(str(row["phase"]) for row in rows if "phase" in row)
        return cls(**values, phase=phase, axes=axes, source=source, status=status)  # type: ignore[arg-type]

    def _check_shape(self) -> None:
        """Columns of one length, positive; axes a, b, c in some order."""
        lengths = {len(getattr(self, name)) for name in COLUMNS}
        if len(lengths) > 1 or len(self.x) < 2:
            self._refuse(
                f"its columns have {sorted(lengths)} values", "give two or more rows of x, a, b, c"
            )
        if self.phase and len(self.phase) != len(self.x):
            self._refuse(
                f"{len(self.phase)} phases for {len(self.x)} rows", "name the phase of all or none"
            )
        if sorted(self.axes) != ["a", "b", "c"]:
            self._refuse(
                f"the axes are {self.axes}",
                'name the cell axis along xi, eta and across, such as ("b", "a", "c")',
            )
        for name in "abc":
            if min(getattr(self, name)) <= 0:
                self._refuse(f"{name} has a value that is not positive", "give lengths in Å")

    def _refuse(self, what: str, remedy: str) -> None:
        raise MaterialError(what, "lattice table", remedy)


def read_lattice(
    path: str | os.PathLike[str],
    *,
    axes: tuple[str, str, str] | None = None,
    source: str | None = None,
    status: Status | None = None,
) -> Lattice:
    """Lattice table of a CSV or TOML file.

    CSV: a line of names (x, a, b, c and, if wanted, phase), then rows; lines that begin with # are
    skipped. TOML: an array ``row`` of tables with the same keys, beside axes, source and status.

    Parameters
    ----------
    path : path-like
        Ends in ".csv" or ".toml".
    axes, source, status
        As for `Lattice`; they override what a TOML file says.

    Returns
    -------
    Lattice

    Raises
    ------
    FileFormatError
        The file cannot be read.
    MaterialError
        It is no such table.
    """
    file = Path(path)
    text = _guard.read_text(_guard.regular_file(file))
    given: dict[str, object] = {"axes": axes, "source": source, "status": status}
    if file.suffix.lower() == ".toml":
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MaterialError(f"no TOML ({error})", str(file), "mend it") from None
        rows = content.pop("row", None)
        if odd := set(content) - set(given):
            raise MaterialError(
                f"unknown keys {', '.join(sorted(odd))}",
                str(file),
                "use axes, source, status and [[row]]",
            )
        given = content | {key: value for key, value in given.items() if value is not None}
    elif file.suffix.lower() == ".csv":
        lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
        rows = [
            {str(key).strip(): value for key, value in row.items()}
            for row in csv.DictReader(lines, skipinitialspace=True)
        ]
    else:
        raise MaterialError("lattice tables end in .csv or .toml", str(file), "name it so")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MaterialError("it holds no rows", str(file), "give an array of tables, [[row]]")
    try:
        return Lattice.from_rows(
            rows,
            **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
        )
    except MaterialError as error:
        raise MaterialError(error.what, str(file), error.remedy) from None


def check_evidence(source: str, status: str, *, where: str = "") -> None:
    """Every value says how far to trust it, and, unless illustrative, where it comes from.

    Raises
    ------
    MaterialError
        The status is unknown, or the source is missing.
    """
    if status not in get_args(Status):
        raise MaterialError(
            f"the status {status!r} is unknown",
            where,
            f"use one of {', '.join(get_args(Status))}",
        )
    if status != "illustrative" and not str(source).strip():
        raise MaterialError(
            f"values called {status} need their source",
            where,
            'name it in source, or set status = "illustrative"',
        )


def _column(name: str, values: object) -> tuple[float, ...]:
    """A column as finite numbers."""
    try:
        column = tuple(float(value) for value in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        column = (np.nan,)
    if not np.isfinite(column).all():
        raise MaterialError(
            f"column {name} has a value that is no finite number",
            "lattice table",
            "give numbers with a decimal point",
        )
    return column
