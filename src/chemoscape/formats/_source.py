"""What a reader found in a file, before any image is read.

A reader turns a path into a `Source` (or, of line scans and point spectra, into `Spectra`) and
knows nothing of the rest: no xarray, no Dask, no sorting or flipping. `chemoscape.formats` does
that for all formats alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from chemoscape.errors import FileFormatError

#: Reads frames × rows, both slices with start and stop within the shape, in the order of the file.
Read = Callable[[slice, slice], np.ndarray]

#: Which image of an energy that was measured more than once.
Visit = Literal["first", "last"]


@dataclass(frozen=True)
class Checked:
    """A reading function that answers in the shape described, or with one of our errors.

    Lazy stacks are read long after their files were described: these may be gone by then, or hold
    something else.

    Parameters
    ----------
    read : callable
        As in `Source`.
    where : Path
        The file to name in messages.
    n_x : int
        Columns of the images.
    """

    read: Read
    where: Path
    n_x: int

    def __call__(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images."""
        try:
            values = self.read(frames, rows)
        except OSError as error:
            raise FileFormatError(
                f"cannot be read any more ({error.strerror or error})",
                str(self.where),
                "put the file back and open it again",
            ) from error
        if values.shape != (frames.stop - frames.start, rows.stop - rows.start, self.n_x):
            raise FileFormatError(
                "has changed since it was opened", str(self.where), "open it again"
            )
        return values


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the user asked for, None where nothing was said.

    Parameters
    ----------
    channel, region, angle : str or int, optional
        Which of several, by name or by number from 0.
    axes : str, optional
        Order of the array's dimensions, such as ``"yxe"``, where a file does not say.
    energy : ndarray, optional
        Energies (eV) for a file that has none, or wrong ones.
    """

    channel: str | int | None = None
    region: str | int | None = None
    angle: str | int | None = None
    axes: str | None = None
    energy: np.ndarray | None = None


@dataclass(frozen=True)
class Choice:
    """Things of one kind of which a stack holds one.

    Parameters
    ----------
    kind : str
        ``"channel"``, ``"region"`` or ``"angle"``: the keyword that chooses.
    names : tuple of str
        What there is.
    index : int
        The one taken.
    said : bool
        Whether the user named it.
    """

    kind: str
    names: tuple[str, ...]
    index: int
    said: bool

    @property
    def name(self) -> str:
        """Name of the one taken."""
        return self.names[self.index]


def choose(
    kind: str,
    names: Sequence[str],
    wanted: str | int | None,
    where: Path | str,
    *,
    default: int = 0,
    aliases: Sequence[str] = (),
) -> Choice:
    """Choose one of `names` by name, by alias or by number; the default when nothing was said.

    Raises
    ------
    FileFormatError
        There is none of that name or number.

    Examples
    --------
    >>> choose("channel", ["PMT", "RingCurrent"], "pmt", "wire.hdr").name
    'PMT'
    """
    if wanted is None:
        return Choice(kind, tuple(names), default, said=False)
    text = str(wanted).strip()
    for offered in (list(names), [name.lower() for name in names], list(aliases)):
        for one in (text, text.lower()):
            if offered.count(one) == 1:
                return Choice(kind, tuple(names), offered.index(one), said=True)
    if text.isascii() and text.isdigit() and int(text) < len(names):
        return Choice(kind, tuple(names), int(text), said=True)
    offers = ", ".join(some(names))
    raise FileFormatError(
        f"there is no {kind} {wanted!r}", str(where), f"choose one of {offers} (or its number)"
    )


@dataclass(frozen=True, eq=False)
class Source:
    """One stack of images in a file, described and not yet read.

    Parameters
    ----------
    where : Path
        The file to name in messages.
    shape : (n_energy, n_y, n_x)
        Of the whole array; the axes below have these lengths.
    read : callable
        ``read(frames, rows)`` returns numbers of shape ``(frames, rows, n_x)`` in the order of the
        file, NaN where nothing was measured. It opens the file anew at each call, is safe in
        threads, and can be sent to another process (no closure).
    energy : ndarray, shape (n_energy,), or None
        True energy of every frame in eV, in the order of the file; None when the file has none.
    y, x : ndarray or None
        Pixel centres in µm, in the order of the file; None when the file has no scale.
    quantity : str
        ``"counts"``, ``"transmission"`` or ``"optical_density"``.
    per_energy : mapping of name to ndarray, shape (n_energy,)
        ``ring_current`` (mA), ``dwell`` (ms), ``time`` (s since the first frame),
        ``polarisation`` (text or number), …; only what the file knows.
    attrs : mapping
        Flat facts: ``dwell_ms``, ``counter_divider``, ``channel``, ``scan_type``, ``started``, …
    choices : tuple of Choice
        What could be chosen; listed also when there is only one.
    notes : tuple of str
        What a user must know: frames missing, labels that contradict lengths. Each becomes a
        warning.
    remarks : tuple of str
        What is as it should be, and worth knowing: `inspect` tells it.
    complete : bool
        False while frames are missing at the end, as in a scan in progress.
    framewise : bool
        The file keeps frame by frame (images, text, chunks of one frame), so that whole frames are
        cheaper to read than bands of rows.
    rows_per_read : int
        Height of the file's own chunks; bands are multiples of it.
    files : tuple of Path
        Files that hold the data; when one changes, so does the stack.
    visit : {"first", "last"}
        Which image the stack holds of an energy that repeats: the user's wish, not the reader's.
    """

    where: Path
    shape: tuple[int, int, int]
    read: Read
    energy: np.ndarray | None
    y: np.ndarray | None
    x: np.ndarray | None
    quantity: str = "counts"
    per_energy: Mapping[str, np.ndarray] = field(default_factory=dict)
    attrs: Mapping[str, str | int | float] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    complete: bool = True
    framewise: bool = False
    rows_per_read: int = 1
    files: tuple[Path, ...] = ()
    visit: Visit = "first"


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra in a file: columns of a table, a point spectrum, or a line scan.

    Parameters
    ----------
    where : Path
        The file to name in messages.
    energy : ndarray, shape (n_energy,)
        eV, in the order of the file.
    values : ndarray, shape (n_spectra, n_energy)
        NaN where nothing was measured.
    names : tuple of str
        One for each spectrum.
    position : ndarray, shape (n_spectra,), optional
        Of a line scan: distance along the line, µm.
    quantity : str
        ``"counts"``, ``"transmission"``, ``"optical_density"``; ``""`` when the file does not say.
    attrs, choices, notes
        As in `Source`.
    """

    where: Path
    energy: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    position: np.ndarray | None = None
    quantity: str = ""
    attrs: Mapping[str, str | int | float] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()


def some(items: Sequence[object], most: int = 6) -> list[str]:
    """The first few items as text, then how many more there are.

    Examples
    --------
    >>> some([1, 2, 3], most=2)
    ['1', '2', '1 more']
    """
    more = [f"{len(items) - most} more"] if len(items) > most else []
    return [str(item) for item in list(items)[:most]] + more


def fitted_axis(values: np.ndarray, n: int, name: str) -> tuple[np.ndarray, str]:
    """An axis of `n` values in steps of the labels, and what to say when those are not `n`.

    Array lengths are trusted over labels: an axis that is too long is cut, one that is too short
    goes on in its median step.

    Examples
    --------
    >>> axis, note = fitted_axis(np.array([0.0, 0.1, 0.2]), 2, "x")
    >>> axis.tolist(), note
    ([0.0, 0.1], 'the x axis has 3 labels for 2 pixels: the first 2 are used')
    """
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    if values.size == n:
        return values, ""
    if values.size > n:
        return values[:n], f"the {name} axis has {values.size} labels for {n} pixels: " + (
            f"the first {n} are used"
        )
    if values.size < 2:
        return np.arange(n, dtype=np.float64), (
            f"the {name} axis has {values.size} labels for {n} pixels: positions are pixel numbers"
        )
    step = float(np.median(np.diff(values)))
    more = values[-1] + step * np.arange(1, n - values.size + 1)
    return np.concatenate([values, more]), (
        f"the {name} axis has {values.size} labels for {n} pixels: it goes on in steps of {step:g}"
    )
