"""The header language of SDF: ``key = value;`` nested in braces, lists in parentheses.

::

    ScanDefinition = { Type = "Image Scan"; Dwell = 0.5;
        Regions = (1, { PAxis = { Points = (3, 0.0, 0.1, 0.2); }; });
    };
    Image000_0 = {StorageRingCurrent = 248.32; Energy = 698.00;};

A list starts with the number of its items. Values are texts in quotes, numbers, or bare words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from chemoscape.errors import FileFormatError

#: Real headers are below 100 kB; this many bytes already make some 100 MB of Python objects.
HEADER_LIMIT = 4_000_000

#: Real headers nest five levels deep.
DEEPEST = 32

Table = dict[str, Any]

_TOKEN = re.compile(r'\s*(?:"([^"]*)"|([{}()=;,])|([^\s{}()=;,"]+)|(")|\Z)')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z")


class _Token(NamedTuple):
    kind: str  # "text", "mark", "word" or "end"
    text: str
    offset: int


class _Tokens:
    """Tokens of a header, one ahead."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self._source = self._split()
        self.next = next(self._source)

    def _split(self) -> Iterator[_Token]:
        offset = 0
        while offset < len(self.text):
            match = _TOKEN.match(self.text, offset)
            assert match is not None  # noqa: S101  (the pattern takes any character)
            quoted, mark, word, open_quote = match.groups()
            if open_quote is not None:
                self.fail("a text is opened by a quote and never closed", match.start(4))
            if quoted is not None:
                yield _Token("text", quoted, match.start(1))
            elif mark is not None:
                yield _Token("mark", mark, match.start(2))
            elif word is not None:
                yield _Token("word", word, match.start(3))
            offset = match.end()
        yield _Token("end", "the end of the file", len(self.text))

    def take(self) -> _Token:
        """The next token, which is removed."""
        token = self.next
        if token.kind != "end":
            self.next = next(self._source)
        return token

    def at(self, mark: str) -> bool:
        """Whether the next token is this mark."""
        return self.next.kind == "mark" and self.next.text == mark

    def expect(self, mark: str, after: str) -> None:
        """Remove the mark that must come now."""
        if not self.at(mark):
            self.fail(f"{mark!r} is missing after {after}, found {self.next.text[:30]!r}")
        self.take()

    def fail(self, what: str, offset: int | None = None) -> None:
        """Refuse the header, naming the line."""
        line = self.text.count("\n", 0, self.next.offset if offset is None else offset) + 1
        raise FileFormatError(
            f"line {line}: {what}", self.where, "the header is truncated or damaged: copy it again"
        )


def parse_header(text: str, *, where: str) -> Table:
    """Parse an SDF header.

    Parameters
    ----------
    text : str
        The header.
    where : str
        Its name in errors.

    Returns
    -------
    dict
        Nested dicts and lists; numbers are floats, ``true`` and ``false`` bools, all else texts.
        Lists keep the count that they start with.

    Raises
    ------
    FileFormatError
        The text is not in this language, ends too early, or nests absurdly deep.

    Examples
    --------
    >>> parse_header('Scan = { Dwell = 0.5; Points = (2, 1.0, 2.0); };', where="a.hdr")
    {'Scan': {'Dwell': 0.5, 'Points': [2.0, 1.0, 2.0]}}
    """
    tokens = _Tokens(text, where)
    table = _entries(tokens, depth=0)
    if tokens.next.kind != "end":
        tokens.fail(f"{tokens.next.text!r} closes nothing")
    return table


def _entries(tokens: _Tokens, depth: int) -> Table:
    """``key = value;`` until something closes."""
    table: Table = {}
    while True:
        while tokens.at(";") or tokens.at(","):
            tokens.take()
        if tokens.next.kind == "end" or tokens.at("}") or tokens.at(")"):
            return table
        key = _words(tokens)
        if not key:
            tokens.fail(f"a name is missing before {tokens.next.text!r}")
        tokens.expect("=", f"{key[:30]!r}")
        table[key] = _value(tokens, depth + 1)


def _value(tokens: _Tokens, depth: int) -> Any:
    """One value."""
    if depth > DEEPEST:
        tokens.fail(f"brackets are nested more than {DEEPEST} deep")
    if tokens.at("{"):
        tokens.take()
        table = _entries(tokens, depth)
        tokens.expect("}", "a block")
        return table
    if tokens.at("("):
        tokens.take()
        items: list = []
        while not tokens.at(")"):
            if tokens.next.kind == "end":
                tokens.fail("a list is never closed")
            items.append(_value(tokens, depth + 1))
            if tokens.at(","):
                tokens.take()
            elif not tokens.at(")"):
                tokens.fail(f"a comma is missing before {tokens.next.text[:30]!r}")
        tokens.take()
        return items
    if tokens.next.kind == "text":
        return tokens.take().text
    return _plain(_words(tokens))


def _words(tokens: _Tokens) -> str:
    """Bare words up to the next mark, joined by single spaces."""
    words = []
    while tokens.next.kind == "word":
        words.append(tokens.take().text)
    return " ".join(words)


def _plain(word: str) -> str | float | bool:
    """Number, truth value, or the word itself."""
    if _NUMBER.match(word):
        return float(word)
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    return word
