"""Words in figures and report: formulae with subscripts, units, notes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from matplotlib.textpath import TextPath

UNKNOWN = "not determined"
#: Decimals beyond which no composition or energy in eV is known, whatever its counting error.
FINEST = 4
#: Said under every figure that rests on standards nobody measured.
SYNTHETIC_NOTE = "Synthetic standards: the spectra of the library were calculated, not measured."

_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε"}
_FORMULA = re.compile(
    r"(?<![A-Za-z0-9])((?:[A-Z][a-z]?(?:\d+(?:\.\d+)?|x(?![a-z]))?){2,})(?![A-Za-z])"
)
_COUNT = re.compile(r"(\d+(?:\.\d+)?|x)")


def formulae(text: str, before: str, after: str, unknown: str) -> str:
    """Set the counts in chemical formulae between `before` and `after`; phases in Greek.

    Examples
    --------
    >>> formulae("epsilon-LixV2O5 (2022)", "<", ">", "x")
    'ε-Li<x>V<2>O<5> (2022)'
    """
    for name, letter in _GREEK.items():
        text = re.sub(rf"\b{name}(?=-)", letter, text)

    def lowered(count: re.Match[str]) -> str:
        return f"{before}{count[1].replace('x', unknown)}{after}"

    return _FORMULA.sub(lambda found: _COUNT.sub(lowered, found[1]), text)


def pretty(text: str) -> str:
    r"""Formulae with subscripts and phases in Greek, as matplotlib's mathtext.

    Examples
    --------
    >>> pretty("epsilon-Li0.45V2O5 (synthetic)")
    'ε-Li$_{0.45}$V$_{2}$O$_{5}$ (synthetic)'
    >>> print(pretty("x in LixV2O5"), pretty("Fe(II) fraction"), sep=", ")
    $\mathit{x}$ in Li$_{\mathit{x}}$V$_{2}$O$_{5}$, Fe(II) fraction
    """
    text = formulae(text.replace("$", r"\$"), "$_{", "}$", r"\mathit{x}")
    return re.sub(r"^x in ", r"$\\mathit{x}$ in ", text)


def synthetic_note(labels: Iterable[str]) -> str:
    """The note for figures whose standards call themselves synthetic, else nothing."""
    return SYNTHETIC_NOTE if any("synthetic" in label.lower() for label in labels) else ""


def with_units(name: str, units: str) -> str:
    """``name (units)``, or the name alone where there is no unit."""
    return f"{name} ({units})" if units not in ("", "1") else name


def wrapped(text: str, across: int) -> str:
    """Break into lines of `across` characters, not counting the marks of mathtext."""
    lines = [""]
    for word in text.split():
        seen = len(re.sub(r"\\mathit|[$_{}]", "", f"{lines[-1]} {word}"))
        if lines[-1] and seen > across:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def measured(value: float | None, sd: float | None) -> str:
    """A value with its standard deviation, to two digits of the latter, at most four decimals.

    Examples
    --------
    >>> measured(-0.40013, 0.00512), measured(0.35, None), measured(None, 0.1)
    ('−0.4001 ± 0.0051', '0.35', 'not determined')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if sd is None or not math.isfinite(sd) or sd <= 0:
        return number(value, ".4g")
    digits = min(max(0, 1 - math.floor(math.log10(sd))), FINEST)
    spread = f"± {sd:.{digits}f}" if sd >= 0.5 * 10**-FINEST else f"(sd < {10**-FINEST:g})"
    return f"{value:.{digits}f} {spread}".replace("-", "−")


def number(value: float | None, form: str) -> str:
    """A number in the given form, with a true minus; or that it is not known."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:{form}}".replace("-", "−")


def elided(name: str, inches: float, *, size: float = 6.5) -> str:
    """The name as `pretty` sets it, without its middle where it is wider than `inches`.

    Names of a series differ at their ends: the middle tells least.

    Parameters
    ----------
    name : str
        Plain text.
    inches : float
        Largest width.
    size : float
        Of the type, points.
    """
    shown = pretty(name)
    width = width_of(shown, size)
    kept = min(len(name), int(len(name) * inches / max(width, inches)) + 3)  # a little too many
    while kept > 4 and width > inches:
        kept -= 1
        head = (kept + 1) // 2
        shown = pretty(f"{name[:head].rstrip()}…{name[len(name) - kept + head :].lstrip()}")
        width = width_of(shown, size)
    return shown


def width_of(text: str, size: float) -> float:
    """Width of a line of text, inches, with a little for hinting to the pixels."""
    if not text.strip():
        return 0.0
    return 1.05 * TextPath((0, 0), text, size=size).get_extents().width / 72
