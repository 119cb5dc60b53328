"""How a look is told: ten labelled lines, the numbers behind them, and what they add up to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning

#: Words before the lines, in their order.
LABELS = (
    *("file", "energies", "background", "noise", "saturation"),
    *("drift", "thickness", "damage", "spectrum", "verdict"),
)
_WIDTH = 2 + max(map(len, LABELS))

Result = TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """What `look` saw; prints as its ten lines.

    Parameters
    ----------
    lines : list of str
        Ten, each beginning with its label.
    go : bool
        Whether more stacks like this one are worth measuring.
    grade : str
        ``"go"``, ``"go, with care"`` or ``"no-go"``.
    facts : dict
        The same as numbers, short texts and lists of them, flat, ready for JSON; None or missing
        where something could not be told. Keys end in their unit.
    """

    lines: list[str]
    go: bool
    grade: str
    facts: dict[str, Any]

    def __str__(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Notes:
    """Lines, numbers, and what speaks against the stack, as they come."""

    lines: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    cares: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def tell(self, label: str, text: str, **facts: Any) -> None:
        """One line and its numbers."""
        self.lines[label] = " ".join(text.split())
        self.facts.update(facts)

    def stop(self, why: str, remedy: str) -> None:
        """A reason against the stack, and what to do."""
        self.stops.append(f"{why} ({remedy})")

    def care(self, why: str) -> None:
        """A reason for care."""
        self.cares.append(why)

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Keep our warnings among the facts, and pass all others on."""
        said: list[str] = []
        shown = warnings.showwarning

        def keep(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, ChemoscapeWarning):
                said.append(str(message))
            else:
                shown(message, category, *where, **more)

        with warnings.catch_warnings():
            warnings.simplefilter("always", ChemoscapeWarning)
            warnings.showwarning = keep
            try:
                yield said
            finally:
                self.heard += [text for text in said if text not in self.heard]

    def attempt(
        self, label: str, step: Callable[..., Result], *given: Any, **more: Any
    ) -> Result | None:
        """What ``step(notes, …)`` returns; None when the stack does not allow it, which is said in
        its line. A defect of the program is raised: it must not end in a go.
        """
        try:
            with self.listening():
                return step(self, *given, **more)
        except ChemoscapeError as error:
            self.tell(label, f"not judged: {error}")
        self.care(f"the {label} could not be judged")
        return None

    def looked(self) -> Look:
        """The ten lines with the verdict."""
        grade = "no-go" if self.stops else "go, with care" if self.cares else "go"
        reasons = self.stops or self.cares
        self.tell("verdict", f"{grade}: {'; '.join(reasons)}" if reasons else grade)
        self.facts.update(go=not self.stops, grade=grade, against=self.stops, care=self.cares)
        self.facts["warnings"] = self.heard
        lines = [f"{label:<{_WIDTH}}{self.lines[label]}" for label in LABELS]
        return Look(lines, not self.stops, grade, self.facts)


def percent(share: float) -> str:
    """A share in two digits.

    Examples
    --------
    >>> percent(0.0002), percent(0.021), percent(0.998), percent(0.0)
    ('0.02 %', '2.1 %', '100 %', 'none')
    """
    if share == 0:
        return "none"
    return "100 %" if share > 0.995 else f"{100 * share:.2g} %"


def number(value: float) -> str:
    """Three digits, and all of those before the point.

    Examples
    --------
    >>> number(19103.7), number(15.94), number(0.552)
    ('19104', '15.9', '0.552')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def some(energies: Any, most: int = 4) -> str:
    """The first few energies as text, eV."""
    named = ", ".join(f"{value:.2f}" for value in energies[:most])
    return f"{named}{', …' if len(energies) > most else ''} eV"
