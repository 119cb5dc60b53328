"""What a check found, and the table of all that was found."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import KW_ONLY, dataclass
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "not known"]
#: From bad to good: the order of the table.
VERDICTS: tuple[Verdict, ...] = ("fail", "warn", "not known", "pass")
_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """What one check found of one standard, or of the library.

    Parameters
    ----------
    standard : str
        Its id; ``""`` for the library as a whole.
    check : str
        Name of the check.
    verdict : {"pass", "warn", "fail", "not known"}
        What follows is given by name.
    number : float, optional
        What was measured.
    unit : str
    threshold : str
        What it should be, as in ``"<= 1.5"``.
    remedy : str
        What to do, as one clause; ``""`` where nothing is to be done.
    detail : str
        What was seen.

    Examples
    --------
    >>> told = {"number": 2.6, "threshold": "<= 1.5", "remedy": "use a thinner film"}
    >>> one = Finding("alpha", "optical density", "fail", **told)
    >>> print(one)
    alpha: optical density fail (2.6, should be <= 1.5); use a thinner film
    """

    standard: str
    check: str
    verdict: Verdict
    _: KW_ONLY
    number: float | None = None
    unit: str = ""
    threshold: str = ""
    remedy: str = ""
    detail: str = ""

    @property
    def measured(self) -> str:
        """The number and its unit, ``""`` when there is none."""
        return "" if self.number is None else f"{self.number:.3g} {self.unit}".rstrip()

    def __str__(self) -> str:
        said = f"{self.measured}, should be {self.threshold}" if self.measured else ""
        told = "; ".join(text for text in (self.detail, self.remedy) if text)
        head = f"{self.standard or 'library'}: {self.check} {self.verdict}"
        return head + (f" ({said})" if said else "") + (f"; {told}" if told else "")


@dataclass(frozen=True)
class CheckReport:
    """All findings of a library.

    Parameters
    ----------
    library : str
        Its name.
    findings : tuple of Finding
    """

    library: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Findings for which the library should not be used."""
        return self._with("fail")

    @property
    def warned(self) -> tuple[Finding, ...]:
        """Findings to look at before it is used."""
        return self._with("warn")

    def of(self, standard: str, check: str = "") -> tuple[Finding, ...]:
        """Findings of one standard (``""``: of the library), all or of one check."""
        return tuple(
            one for one in self.findings if one.standard == standard and check in ("", one.check)
        )

    def table(self, *, all: bool = False) -> str:
        """Findings as an aligned table: what is worst first, what passed only if asked for."""
        shown = [
            one
            for verdict in VERDICTS
            for one in self.findings
            if one.verdict == verdict and (all or verdict != "pass" or not one.standard)
        ]
        rows = [
            (one.verdict, one.standard or "library", one.check, one.measured, one.threshold)
            for one in shown
        ]
        head = ("verdict", "standard", "check", "found", "wanted")
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [_aligned(head, widths), _aligned(tuple("-" * width for width in widths), widths)]
        for one, row in zip(shown, rows, strict=True):
            lines.append(_aligned(row, widths))
            told = "; ".join(
                text for text in (one.detail, one.remedy and f"-> {one.remedy}") if text
            )
            lines += textwrap.wrap(told, _WIDTH, initial_indent="    ", subsequent_indent="    ")
        return "\n".join(lines)

    def __str__(self) -> str:
        standards = {one.standard for one in self.findings if one.standard}
        counts = Counter(one.verdict for one in self.findings)
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
        return f"{self.library}: {len(standards)} standards, {summary}\n\n{self.table()}"

    def _with(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.verdict == verdict)


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """One line of the table."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
