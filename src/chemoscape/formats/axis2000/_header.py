"""The ``.dat`` beside an ``.ncb``: a few lines of text that say what its bytes are.

::

    nx ny scale
    x0 x1
    y0 y1
    nE
    E            (nE of these)
    name E dwell (nE of these, or none)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard

#: Scales are powers of ten; far outside of this they are damage.
_SMALLEST_SCALE = 1e-20

#: A line of 200 characters for each of some ten thousand frames.
_TEXT_LIMIT = 4_000_000

#: More pixels along an axis, or more energies, than any scan has.
_LONGEST_AXIS = 1_000_000

_SEPARATORS = re.compile(r"[,\s]+")
_NAME_OF_MANTIS = re.compile(r"image(\d+)")


@dataclass(frozen=True, eq=False)
class Header:
    """What the text says.

    Parameters
    ----------
    n_x, n_y : int
        Pixels in a row, rows.
    scale : float
        Above 0: integers of 16 bits, to be divided by it; below 0: 32-bit floats.
    x, y : (first, last)
        Centres of the first and last pixel, µm.
    energy : ndarray, shape (n,)
        eV.
    names : tuple of str
        Of the frames; empty when the text has no such lines.
    dwell : ndarray, shape (n,)
        ms, NaN where the text does not say.
    ended : bool
        Whether the last line of energies has a line end; without one it may be cut.
    """

    n_x: int
    n_y: int
    scale: float
    x: tuple[float, float]
    y: tuple[float, float]
    energy: np.ndarray
    names: tuple[str, ...]
    dwell: np.ndarray
    ended: bool = True

    @property
    def from_mantis(self) -> bool:
        """Whether frames are named image1, image2, …, as by MANTiS."""
        numbers = [_NAME_OF_MANTIS.fullmatch(name) for name in self.names]
        return bool(numbers) and all(
            match is not None and int(match[1]) == k for k, match in enumerate(numbers, start=1)
        )


def read_header(path: Path) -> Header:
    """The header in a text file.

    Raises
    ------
    FileFormatError
        It is no such text; says which line.
    """
    return parse_header(_guard.read_text(path, limit=_TEXT_LIMIT), str(path))


def parse_header(text: str, where: str) -> Header:
    """The header in a text; `where` names it in errors."""
    lines = [(k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    sizes = _numbers(lines, 0, 3, "nx ny scale", where)
    x = _numbers(lines, 1, 2, "the first and last x", where)
    y = _numbers(lines, 2, 2, "the first and last y", where)
    count = _numbers(lines, 3, 1, "the number of energies", where)
    n_x, n_y = (_length(value, lines[0][0], where) for value in sizes[:2])
    n_energy = _length(count[0], lines[3][0], where)
    if not _SMALLEST_SCALE < abs(sizes[2]) < 1 / _SMALLEST_SCALE:
        raise FileFormatError(
            f"the scale in line 1 is {sizes[2]:g}",
            where,
            "correct it: a power of ten, or -1 for floats",
        )
    energy, after = _energies(lines[4:], n_energy, where)
    named = [_name_line(line, e) for (_, line), e in zip(after, energy, strict=False)]
    dwell = np.full(n_energy, np.nan)
    dwell[: len(named)] = [its_dwell for _, its_dwell in named]
    return Header(
        n_x=n_x,
        n_y=n_y,
        scale=sizes[2],
        x=(x[0], x[1]),
        y=(y[0], y[1]),
        energy=np.array(energy),
        names=tuple(name for name, _ in named) if len(named) == n_energy else (),
        dwell=dwell,
        ended=bool(after) or text.endswith(("\n", "\r")),
    )


def header_text(header: Header) -> str:
    """The text of a header, with as many digits as its numbers have."""
    scale = f"{header.scale:.1f}" if abs(header.scale) >= 0.1 else repr(header.scale)
    names = [
        f"{name} {energy!r} {dwell if np.isfinite(dwell) else 0.0!r}"
        for name, energy, dwell in zip(
            header.names, header.energy.tolist(), header.dwell.tolist(), strict=True
        )
    ]
    lines = [
        f"{header.n_x} {header.n_y} {scale}",
        f"{header.x[0]!r} {header.x[1]!r}",
        f"{header.y[0]!r} {header.y[1]!r}",
        f"{header.energy.size}",
        *map(repr, header.energy.tolist()),
        *names,
    ]
    return "\n".join(lines) + "\n"


def _number(word: str) -> float:
    """A finite number, or NaN."""
    try:
        value = float(word) if "_" not in word else np.nan  # float() would take 1_0 for ten
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _numbers(
    lines: Sequence[tuple[int, str]], place: int, n: int, meaning: str, where: str
) -> list[float]:
    """The numbers in one of the first four lines."""
    number, line = lines[place] if place < len(lines) else (place + 1, "")
    words = [word for word in _SEPARATORS.split(line) if word]
    values = [_number(word) for word in words]
    if len(values) != n or not np.isfinite(values).all():
        raise FileFormatError(
            f"line {number} should hold {meaning}, and is {line[:40]!r}",
            where,
            "give the .dat that aXis2000 wrote beside the .ncb",
        )
    return values


def _length(value: float, line: int, where: str) -> int:
    """Number of pixels or energies."""
    if not (1 <= value <= _LONGEST_AXIS and value == int(value)):
        raise FileFormatError(
            f"line {line} says {value:g}, which is no number of pixels or energies",
            where,
            "correct it, or copy the file again",
        )
    return int(value)


def _energies(
    lines: Sequence[tuple[int, str]], n: int, where: str
) -> tuple[list[float], Sequence[tuple[int, str]]]:
    """The energies, usually one in a line, and the lines after them."""
    energies: list[float] = []
    for k, (number, line) in enumerate(lines):
        if len(energies) >= n:
            return energies[:n], lines[k:]
        for word in filter(None, _SEPARATORS.split(line)):
            energies.append(_number(word))
            if len(energies) <= n and not np.isfinite(energies[-1]):
                raise FileFormatError(
                    f"line {number} should hold energy {len(energies)} of {n}, and is "
                    f"{line[:40]!r}",
                    where,
                    "correct it, or copy the file again",
                )
    if len(energies) < n:
        raise FileFormatError(
            f"ends after {len(energies)} of {n} energies", where, "copy the file again"
        )
    return energies[:n], []


def _name_line(line: str, energy: float) -> tuple[str, float]:
    """Name and dwell (ms, or NaN) in a line ``name E dwell``, read from its right end.

    A name may have blanks and end in a number, and the dwell may be missing: the word closer to the
    frame's energy is taken for the energy.
    """
    words = line.split()
    last, before = _number(words[-1]), _number(words[-2]) if len(words) > 1 else np.nan
    if np.isfinite(last) and np.isfinite(before) and abs(before - energy) <= abs(last - energy):
        return " ".join(words[:-2]), last if last > 0 else np.nan
    if np.isfinite(last) and abs(last - energy) < 1:
        return " ".join(words[:-1]), np.nan
    return " ".join(words), np.nan
