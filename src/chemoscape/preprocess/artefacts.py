"""Repairs that are asked for and that report what they touched: spikes, and lines that jumped.

Neither is a filter: every value that is not named as touched stays as it was, bit for bit. What
neighbouring energies show in the same place is taken for sample and left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.preprocess.repairs import despiking
from chemoscape.preprocess.repairs.lines import Found
from chemoscape.preprocess.repairs.lines import levelled as levelled_lines


@dataclass(frozen=True, eq=False)
class Line:
    """A line that was levelled: where, and what its intensity was divided by (NaN: lost)."""

    energy: float
    axis: str
    position_um: float
    factor: float


@dataclass(frozen=True, eq=False)
class Touched:
    """What a repair touched.

    Parameters
    ----------
    kind : str
        ``"spikes"`` or ``"lines"``.
    n_values, n_pixels : int
        Values of the stack that are not what they were, and pixels with any of them.
    per_energy : ndarray, shape (n_energy,)
        Values touched in every frame.
    where : DataArray (y, x) of int
        Values touched in every pixel.
    sentence : str
        All this for a person.
    lines : tuple of Line
        The lines, by energy.
    """

    kind: str
    n_values: int
    n_pixels: int
    per_energy: np.ndarray
    where: xr.DataArray
    sentence: str
    lines: tuple[Line, ...] = ()

    def __str__(self) -> str:
        return self.sentence


def despike(stack: xr.DataArray, *, threshold: float = 8.0) -> tuple[xr.DataArray, Touched]:
    """Replace single values in single frames that nothing else explains, as cosmic rays leave them.

    A value is a spike when its departure from the median of the 3 × 3 pixels around it

    - exceeds `threshold` standard deviations of the frame's noise, measured in the frame itself at
      several levels of intensity (for Poisson counts upwards by ``T σ + T²/4``);
    - exceeds the spread of the 5 × 5 pixels around it, as edges do not;
    - is not seen, with the same sign, within two pixels in the two frames before or after: what
      stays is sample, however small, and may drift.

    Neighbours that depart alike by half the threshold belong to the same cosmic ray; groups of more
    than four pixels are none and stay. Spikes take the median of their untouched neighbours in the
    same frame. Run it before frames are aligned: interpolation spreads spikes.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density.
    threshold : float
        Standard deviations of the noise.

    Returns
    -------
    stack : DataArray (energy, y, x)
        The repaired stack; lazy when `stack` is. Of a lazy one all bands are read once here, and a
        few of them twice, to find the spikes; the values themselves are read when they are needed.
    touched : Touched

    Raises
    ------
    StackError
        `stack` is no Stack, or `threshold` is too low to tell spikes from noise.

    Notes
    -----
    A stack of one image has no other energies to ask: there a particle of one to three pixels is
    taken for a spike. A pixel that is wrong in several consecutive frames (a dead one) is taken for
    sample.

    Examples
    --------
    >>> from chemoscape import simulate
    >>> stack = simulate.core_shell(shape=(30, 40), poisson=True).stack
    >>> stack[20, 3, 4] += 3000
    >>> repaired, touched = despike(stack)
    >>> touched.n_values, int(touched.per_energy.argmax())
    (1, 20)
    """
    _require_threshold(threshold)
    stacks.check(stack, lazy=True)
    number, row, column, value = despiking.find(stack, threshold)
    repaired = stacks.like(stack, despiking.patched(stack.data, number, row, column, value))
    n_frames = np.unique(number).size
    sentence = (
        f"despiked: {number.size} of {_amount(stack.size)} values, in {n_frames} of "
        f"{stack.sizes['energy']} frames, stood out by more than {threshold:g} standard deviations "
        "and were replaced by the median of their neighbours"
        if number.size
        else f"despiked: no value stands out by more than {threshold:g} standard deviations"
    )
    return repaired, _touched("spikes", stack, number, row, column, sentence)


def level_lines(stack: xr.DataArray, *, threshold: float = 6.0) -> tuple[xr.DataArray, Touched]:
    """Level rows or columns of single frames whose intensity jumped, as at a dip of the beam.

    The robust mean intensity of every line is compared with the five lines on either side. A line,
    or up to three in a row, that departs from both sides with the same sign by more than
    `threshold` standard deviations, along its whole length, and in no frame before or after within
    two lines, is divided by one factor (of optical densities: a constant is subtracted), so that it
    fits to the lines around it. Lines that hold no count at all in this frame, and do in most
    others, become NaN.

    A step that lasts to the end of the frame is no line and stays, as do lines that jumped in part.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density; a lazy one is loaded if it fits into memory.
    threshold : float
        Standard deviations of a line's mean.

    Returns
    -------
    stack : DataArray (energy, y, x)
        The repaired stack.
    touched : Touched
        With the factor of every line. The noise of a line that was raised stays that of the counts
        it was measured with, which its new values do not tell.

    Raises
    ------
    StackError
        `stack` is no Stack or too large for the memory, or `threshold` is too low to tell jumps
        from noise.

    Examples
    --------
    >>> from chemoscape import simulate
    >>> stack = simulate.core_shell(shape=(30, 40), poisson=True).stack
    >>> stack[20, 3] *= 0.7
    >>> repaired, touched = level_lines(stack)
    >>> [(line.axis, round(line.factor, 1)) for line in touched.lines]
    [('y', 0.7)]
    """
    _require_threshold(threshold)
    stack = stacks.check(stack)
    values, found = levelled_lines(
        stack.values,
        stack["energy"].values,
        stack.attrs["quantity"] == "optical_density",
        threshold,
    )
    number, row, column = _values_of(found, stack.shape)
    n_lost = sum(np.isnan(line.factor) for line in found)
    levelled = [abs(line.factor - 1) for line in found if np.isfinite(line.factor)]
    parts = []
    if levelled:
        parts.append(f"{len(levelled)} were levelled, by up to {100 * max(levelled):.1f} %")
    if n_lost:
        parts.append(f"{n_lost} held no counts and are NaN now")
    n_frames = len({line.frame for line in found})
    sentence = (
        f"lines that jumped: {len(found)} in {n_frames} of {len(values)} frames; "
        + " and ".join(parts)
        if found
        else f"no line jumped by more than {threshold:g} standard deviations"
    )
    lines = tuple(
        Line(
            float(stack["energy"].values[line.frame]),
            line.axis,
            float(stack[line.axis].values[line.number]),
            line.factor,
        )
        for line in found
    )
    touched = _touched("lines", stack, number, row, column, sentence, lines)
    return stacks.like(stack, values), touched


def _require_threshold(threshold: float) -> None:
    if not (np.isfinite(threshold) and threshold >= 3):
        raise StackError(
            f"a threshold of {threshold} standard deviations does not tell artefacts from noise",
            remedy="give 3 or more",
        )


def _amount(n: int) -> str:
    """A number of values in words."""
    return f"{n / 1e6:.3g} million" if n >= 1e6 else str(n)


def _touched(
    kind: str,
    stack: xr.DataArray,
    number: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    sentence: str,
    lines: tuple[Line, ...] = (),
) -> Touched:
    """Counts of the values at these places."""
    n_energy, n_y, n_x = stack.shape
    where = np.bincount(row * n_x + column, minlength=n_y * n_x).reshape(n_y, n_x)
    return Touched(
        kind,
        int(number.size),
        int((where > 0).sum()),
        np.bincount(number, minlength=n_energy),
        xr.DataArray(
            where,
            dims=("y", "x"),
            coords={"y": stack["y"], "x": stack["x"]},
            name="touched",
            attrs={"long_name": f"values touched ({kind})", "units": "1"},
        ),
        sentence,
        lines,
    )


def _values_of(
    found: list[Found], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, row and column of every value on some lines, each once."""
    marked = []
    for line in found:
        rows, columns = np.arange(shape[1]), np.arange(shape[2])
        if line.axis == "y":
            rows = np.full(shape[2], line.number)
        else:
            columns = np.full(shape[1], line.number)
        marked.append(np.ravel_multi_index((np.full_like(rows, line.frame), rows, columns), shape))
    every = np.unique(np.concatenate(marked)) if marked else np.empty(0, dtype=np.int64)
    number, row, column = np.unravel_index(every, shape)
    return number, row, column
