"""What was measured beside what is asked for: one call asserts it and puts it on the page.

Tests take the fixture `reach` (tests/conftest.py) and say what they found::

    reach("rank", "components by Marchenko-Pastur", rank, within=(2, 2))

`make validation` keeps these and writes docs/validation-table.md with them.

Usage: python truth_table.py FOLDER-OF-ROWS PAGE
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

#: Headings of the page in their order.
CASES = (
    "core-shell particle, no noise",
    "core-shell particle, noise of 1 % of the peak",
    "honest twin: the sample is not made of the library",
    "energy axis off by -0.4 eV",
    "clustered route",
    "counting errors",
    "noise model",
    "rank",
    "few energies",
    "drift",
    "ALS Fe 2p stack",
    "linear combination fits of gold",
    "mass scale",
    "particles found by the network",
    "size of single wires",
    "area against lithiation",
    "stress",
)


@dataclass(frozen=True)
class Row:
    """One thing measured: the lowest and highest value of all that were measured under its name,
    what a test holds it to, and what is aimed at where that is more.
    """

    case: str
    what: str
    lowest: float
    highest: float
    most: float | None
    least: float | None
    aim: float | None
    times: int
    test: str

    def joined(self, other: Row) -> Row:
        """Both rows as one."""
        both = {
            "lowest": min(self.lowest, other.lowest),
            "highest": max(self.highest, other.highest),
            "times": self.times + other.times,
        }
        return Row(**{**asdict(self), **both})

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The lowest and highest value that the aim admits."""
        if self.aim is None:
            return self.least, self.most
        return (self.aim, None) if self.most is None else (None, self.aim)

    @property
    def met(self) -> bool:
        least, most = self.limits
        return (least is None or self.lowest >= least) and (most is None or self.highest <= most)

    def cells(self) -> list[str]:
        """What, measured, aimed at, verdict, test."""
        least, most = self.limits
        if least is not None and most is not None:
            aim = f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"
        else:
            aim = f"≤ {number(most)}" if least is None else f"≥ {number(least)}"
        ends = {"lowest": number(self.lowest), "highest": number(self.highest)}
        shown = [ends["highest"]] if least is None else [ends["lowest"]]
        if least is not None and most is not None:
            shown = list(dict.fromkeys(ends.values()))
        measured = " to ".join(shown)
        if self.times > 1 and len(shown) == 1 and ends["lowest"] != ends["highest"]:
            measured += f" (worst of {self.times})"
        verdict = "met" if self.met else "**missed**"
        return [self.what, measured, aim, verdict, f"`{self.test.partition('::')[0]}`"]


def number(value: float) -> str:
    """Three digits, as a reader wants them."""
    return f"{value:.3g}".replace("e-0", "e-")


Reach = Callable[..., None]


def reach_of(test: str) -> Reach:
    """The function that a test calls with what it found."""

    def reach(
        case: str,
        what: str,
        measured: float,
        *,
        most: float | None = None,
        least: float | None = None,
        within: tuple[float, float] | None = None,
        aim: float | None = None,
    ) -> None:
        """Assert it, and keep it for the page where one is being made.

        Parameters
        ----------
        case : str
            One of `CASES`.
        what : str
            Name and unit; what is measured again under one name makes one row, the worst counts.
        measured : float
        most, least, within : float, or a pair
            What the test holds it to.
        aim : float, optional
            What is aimed at where the test holds it to less: a row that may be missed.
        """
        assert case in CASES, f"{case!r} is no heading of the page"
        low, high = within if within is not None else (least, most)
        value = float(measured)
        if "CHEMOSCAPE_TRUTHS" in os.environ:
            keep(Row(case, what, value, value, high, low, aim, 1, test))
        assert low is None or value >= low, f"{what}: {value:.6g} is below {low:g}"
        assert high is None or value <= high, f"{what}: {value:.6g} is above {high:g}"

    return reach


def keep(row: Row) -> None:
    """Add the row to the file of this process."""
    folder = Path(os.environ["CHEMOSCAPE_TRUTHS"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def gathered(folder: Path) -> list[Row]:
    """The rows of all processes, joined by name, in the order of `CASES`."""
    rows: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = Row(**json.loads(line))
            key = (row.case, row.what)
            rows[key] = rows[key].joined(row) if key in rows else row
    return sorted(rows.values(), key=lambda row: (CASES.index(row.case), row.test, row.what))


def page(rows: Iterable[Row]) -> str:
    """Markdown: how many were met, and a table for each case."""
    rows = list(rows)
    met = sum(row.met for row in rows)
    text = [f"**{met} of {len(rows)} reached.**"]
    for case in CASES:
        of_case = [row for row in rows if row.case == case]
        if of_case:
            head = ["what", "measured", "to reach", "", "test"]
            lines = [head, ["---"] * len(head), *(row.cells() for row in of_case)]
            table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
            text += [f"### {case[0].upper()}{case[1:]}", table]
    return "\n\n".join(text) + "\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(gathered(Path(sys.argv[1]))), encoding="utf-8")
