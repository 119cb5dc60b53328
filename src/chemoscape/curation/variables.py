"""What a composition variable says: the amounts of the elements as functions of its value."""

from __future__ import annotations

import re

#: Amount ``a + b v`` of each element.
Template = dict[str, tuple[float, float]]

_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₓ₊₋−–—‒‐‑[]", "0123456789x+-------()", "_{}$")
_VARIABLE = re.compile(r"\s*([a-z])\s+(?:in|of)\s+(\S+)(.*)", re.DOTALL)
#: What may follow a formula: nothing, or words ("per formula unit"), which are no part of it.
_AFTER = re.compile(r"[\s,;:.(]*([a-z]{2,}.*)?", re.DOTALL)
_HYDRATE = re.compile(r"[·⋅∙•*.]\s*[a-z\d.]*\(?H2O")
_NUMERAL = re.compile(r"\((?:II|III|IV|VI|VII|VIII)\)")
#: An oxidation numeral, or a group of one element.
_EITHER = re.compile(r"\([IV]\)")
_NUMBER = r"\d+/[1-9]\d*|\d*\.\d+|\d+"


def template_of(variable: str) -> Template | None:
    """Amount ``a + b v`` of each element as a composition variable gives it, None if it does not.

    Parameters
    ----------
    variable : str
        ``"x in LixV2O5"``, ``"y in LiNi1-yCoyO2"``, ``"x in Li3-xV2(PO4)3"``. Groups in brackets
        are multiplied out; underscores, braces, subscripts and the oxidation numerals of ``Fe(II)``
        are read over. Of what is not understood for sure, hydrates among it, nothing is said.

    Returns
    -------
    dict of str to (a, b), or None

    Examples
    --------
    >>> template_of("x in LixV2O5")
    {'Li': (0.0, 1.0), 'V': (2.0, 0.0), 'O': (5.0, 0.0)}
    >>> template_of("x in Li1-xFePO4")["Li"]
    (1.0, -1.0)
    >>> template_of("x in LixFe2(PO4)3")["O"]
    (12.0, 0.0)
    >>> template_of("Fe(II) fraction") is None
    True
    """
    found = _VARIABLE.fullmatch(variable)
    if not found or not _AFTER.fullmatch(found[3]):
        return None
    formula = found[2].translate(_PLAIN).rstrip(",;:.")
    if _HYDRATE.search(formula):
        return None
    try:
        amounts, rest = _group(formula, found[1])
    except ValueError:
        return None
    return amounts if not rest and any(b for _, b in amounts.values()) else None


def _group(text: str, letter: str) -> tuple[Template, str]:
    """Amounts up to a closing bracket or the end, and what follows.

    Raises
    ------
    ValueError
        Something is not understood.
    """
    amounts: Template = {}
    while text and text[0] != ")":
        if text[0] == "(":
            part, text = _group(text[1:], letter)
            if not part or not text:
                raise ValueError("a bracket is empty, or not closed")
            text = text[1:]
        else:
            symbol = _symbol(text, letter)
            part, text = {symbol: (1.0, 0.0)}, text[len(symbol) :]
            if _EITHER.match(text):
                raise ValueError("I and V are elements and numerals")
            numeral = _NUMERAL.match(text)
            text = text[numeral.end() :] if numeral else text
        (c, d), text = _subscript(text, letter)
        for symbol, (a, b) in part.items():
            if b and d:
                raise ValueError("the letter is squared")
            old = amounts.get(symbol, (0.0, 0.0))
            amounts[symbol] = (old[0] + a * c, old[1] + a * d + b * c)
    return amounts, text


def _symbol(text: str, letter: str) -> str:
    """The element's symbol that a text begins with; ``Ox`` is O with the letter x.

    Raises
    ------
    ValueError
        There is none, or two readings are possible, as of ``CnH2n``.
    """
    found = re.match(r"[A-Z][a-z]?", text)
    if found is None:
        raise ValueError(f"no element: {text}")
    long, short = found[0], found[0][0]
    if long == short:
        if not _is_element(short):
            raise ValueError(f"no element: {short}")
        return short
    if long[1] != letter:
        if not _is_element(long):
            raise ValueError(f"no element: {long}")
        return long
    readings = [one for one in (long, short) if _is_element(one)]
    if len(readings) != 1 and long != "Co":
        raise ValueError(f"{long} is one element or another with the letter")
    return readings[0]


def _subscript(text: str, letter: str) -> tuple[tuple[float, float], str]:
    """The subscript that a text begins with as (constant, factor), 1 if none, and what follows."""
    bracket = re.match(rf"\(([\d./+{letter}-]+)\)", text)
    found = bracket or re.match(rf"([\d./+{letter}-]*)", text)
    assert found is not None  # noqa: S101 - the second pattern matches nothing, too
    return _linear(found[1], letter), text[found.end() :]


def _linear(text: str, letter: str) -> tuple[float, float]:
    """A subscript such as ``"2"``, ``"1/3"``, ``"x"``, ``"1-x"`` or ``"2x"``.

    Raises
    ------
    ValueError
        It is something else.
    """
    if not text:
        return 1.0, 0.0
    term = rf"({_NUMBER})?({letter}?)"
    if not re.fullmatch(rf"[+-]?(?:(?:{_NUMBER}){letter}?|{letter})"
                        rf"(?:[+-](?:(?:{_NUMBER}){letter}?|{letter}))*", text):  # fmt: skip
        raise ValueError(f"no sum of numbers and {letter}: {text}")
    constant = factor = 0.0
    for sign, number, named in re.findall(rf"([+-]?){term}", text):
        if not number and not named:
            continue
        over, _, under = (number or "1").partition("/")
        size = float(over) / float(under or 1) * (-1 if sign == "-" else 1)
        constant, factor = constant + size * (not named), factor + size * bool(named)
    return constant, factor


def _is_element(symbol: str) -> bool:
    import periodictable

    try:
        periodictable.elements.symbol(symbol)
    except ValueError:
        return False
    return True
