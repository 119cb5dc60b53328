"""Which phases are there at a composition: a simplified phase diagram (the paper's Figure 6F)."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chemoscape.errors import LibraryError
from chemoscape.formats import _guard


@dataclass(frozen=True)
class Phase:
    """A phase and the compositions at which it is there alone."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class PhaseDiagram:
    """Phases by rising composition; between two of them both are there, by the lever rule.

    Parameters
    ----------
    phases : tuple of Phase
        Their ranges must not overlap.
    variable : str
        As in ``x in LixV2O5``.
    source : str
        Where the ranges come from.
    irreversible_above : float
        Composition beyond which what forms does not go back; infinite where there is none.
    beyond : str
        What forms there.

    Raises
    ------
    LibraryError
        A range is empty, or two overlap.

    Examples
    --------
    >>> LIXV2O5.at(0.05), LIXV2O5.at(0.2), LIXV2O5.at(1.3)
    ('α', 'α + ε', 'γ (irreversible)')
    >>> {name: round(share, 2) for name, share in LIXV2O5.shares(0.25).items()}
    {'α': 0.25, 'ε': 0.75}
    """

    phases: tuple[Phase, ...]
    variable: str = ""
    source: str = ""
    irreversible_above: float = math.inf
    beyond: str = ""

    def __post_init__(self) -> None:
        if not self.phases:
            raise LibraryError("the phase diagram has no phase", remedy="name one or more")
        for one in self.phases:
            if not (math.isfinite(one.low) and math.isfinite(one.high) and one.low <= one.high):
                raise LibraryError(
                    f"phase {one.name!r} goes from {one.low} to {one.high}",
                    remedy="give its lowest composition, then its highest",
                )
        for one, other in zip(self.phases, self.phases[1:], strict=False):
            if other.low < one.high:
                raise LibraryError(
                    f"phases {one.name!r} and {other.name!r} overlap",
                    remedy="list them by rising composition, apart from one another",
                )

    def shares(self, x: float) -> dict[str, float]:
        """Share of each phase (of the formula units) at equilibrium; {} where none is known.

        Between ``x1`` and ``x2`` the lever rule: ``(x2 - x) / (x2 - x1)`` is of the first.
        """
        if not math.isfinite(x) or x > self.irreversible_above:
            return {}
        for one in self.phases:
            if one.low <= x <= one.high:
                return {one.name: 1.0}
        for one, other in zip(self.phases, self.phases[1:], strict=False):
            if one.high < x < other.low:
                second = (x - one.high) / (other.low - one.high)
                return {one.name: 1 - second, other.name: second}
        return {}

    def at(self, x: float) -> str:
        """The phases at a composition in words."""
        if math.isfinite(x) and x > self.irreversible_above:
            return f"{self.beyond} (irreversible)"
        return " + ".join(self.shares(x)) or "unknown"


#: The paper's ca. ranges (Santos et al. 2022, Characterizing standards; Figure 6F); the γ phase
#: that forms beyond x = 1 does not go back.
LIXV2O5 = PhaseDiagram(
    (Phase("α", 0.0, 0.1), Phase("ε", 0.3, 0.7), Phase("δ", 0.9, 1.0)),
    variable="x in LixV2O5",
    source="Santos et al. 2022, ca. values",
    irreversible_above=1.0,
    beyond="γ",
)


def read_phases(path: str | Path) -> PhaseDiagram:
    """A phase diagram from a TOML file.

    ``variable``, ``source``, ``irreversible_above`` and ``beyond`` stand at the top, and for each
    phase ``[[phase]]`` with ``name``, ``low``, ``high``.

    Raises
    ------
    FileFormatError
        The file cannot be read.
    LibraryError
        It is not TOML, a key is missing or unknown, or ranges overlap.
    """
    file = _guard.regular_file(path)
    try:
        table = tomllib.loads(_guard.read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise LibraryError(f"not valid TOML ({error})", str(path), "correct that line") from None
    listed = table.pop("phase", [])
    strange = set(table) - {"variable", "source", "irreversible_above", "beyond"}
    if strange or not isinstance(listed, list):
        raise LibraryError(
            f"unknown keys {', '.join(sorted(strange)) or 'phase'}",
            str(path),
            "give variable, source, irreversible_above, beyond and [[phase]] tables",
        )
    return _diagram(listed, str(path), **table)


def phases_of(rows: Sequence[Sequence[object]], variable: str) -> PhaseDiagram:
    """A phase diagram from rows of name, low, high."""
    tables = [dict(zip(("name", "low", "high"), row, strict=False)) for row in rows]
    return _diagram(tables, "phases", variable=variable)


def _diagram(listed: Sequence[object], where: str, **more: object) -> PhaseDiagram:
    """Phases of tables, checked."""
    found = []
    for one in listed:
        if not isinstance(one, dict) or set(one) != {"name", "low", "high"}:
            raise LibraryError(
                f"{one!r} does not describe a phase", where, "give its name, low and high"
            )
        low, high = one["low"], one["high"]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high)):
            raise LibraryError(
                f"phase {one['name']!r} goes from {low!r} to {high!r}", where, "give two numbers"
            )
        found.append(Phase(str(one["name"]), float(low), float(high)))
    above = more.get("irreversible_above", math.inf)
    if not isinstance(above, int | float) or isinstance(above, bool):
        raise LibraryError(f"irreversible_above is {above!r}", where, "give a number")
    return PhaseDiagram(
        tuple(found),
        str(more.get("variable", "")),
        str(more.get("source", where)),
        float(above),
        str(more.get("beyond", "what forms beyond")),
    )
