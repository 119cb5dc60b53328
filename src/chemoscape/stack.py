"""What a Stack is: build it, check it, make another like it.

A Stack is an `xarray.DataArray` with dims ``("energy", "y", "x")`` and float32 values. ``energy``
is in eV and strictly ascending, ``y`` and ``x`` are pixel centres in µm, both ascending.
``attrs["quantity"]`` says what the values are. Only `build` writes that layout; every public
function checks it at its door with `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape import blocks
from chemoscape.errors import StackError

Quantity = Literal["counts", "transmission", "optical_density"]
DIMS = ("energy", "y", "x")

#: Above this an array called "counts" is believed: optical densities of a measurable sample stay
#: below 5.
LOWEST_CREDIBLE_COUNT = 10.0

#: Attribute of a stack whose quantity the user named: detectors in ampere or volt never reach tens.
SAID = "quantity_said"


def build(
    data: ArrayLike,
    energy: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    *,
    quantity: Quantity,
    per_energy: Mapping[str, ArrayLike] | None = None,
    attrs: Mapping[str, str | int | float] | None = None,
) -> xr.DataArray:
    """Make a Stack, putting energies and both image axes in ascending order.

    Parameters
    ----------
    data : array_like or dask Array, shape (n_energy, n_y, n_x)
        Raw values; stored as float32, NaN where nothing was measured. Of a Dask array the Stack is
        lazy.
    energy : array_like, shape (n_energy,)
        True photon energies in eV; sorted here together with the frames.
    y, x : array_like
        Pixel centres in µm; a descending axis is flipped together with the image.
    quantity : {"counts", "transmission", "optical_density"}
        What the values are.
    per_energy : mapping of name to array_like, shape (n_energy,), optional
        Coordinates along energy, such as ``ring_current`` (mA), ``dwell`` (ms) or ``time``.
    attrs : mapping, optional
        Flat facts of the measurement: ``dwell_ms``, ``counter_divider``, ``source``, ``format``, …

    Returns
    -------
    xarray.DataArray
        The Stack.

    Raises
    ------
    StackError
        Shapes disagree, an axis is not finite, or two frames share an energy.

    Examples
    --------
    >>> stack = build(np.ones((2, 1, 3)), [511.0, 510.0], [0.0], [2.0, 1.0, 0.0], quantity="counts")
    >>> stack.energy.values.tolist(), stack.x.values.tolist()
    ([510.0, 511.0], [0.0, 1.0, 2.0])
    """
    if quantity not in get_args(Quantity):
        raise StackError(
            f"there is no quantity {quantity!r}", remedy=f"use {', '.join(get_args(Quantity))}"
        )
    try:
        values = _as_float32(data)
        axes = {
            name: np.asarray(axis, dtype=np.float64).reshape(-1)
            for name, axis in (("energy", energy), ("y", y), ("x", x))
        }
    except (TypeError, ValueError) as error:
        raise StackError(
            f"data or axes are not arrays of numbers ({error})", remedy="give arrays of floats"
        ) from error
    if (
        values.size == 0
        or values.ndim != 3
        or values.shape != tuple(axis.size for axis in axes.values())
    ):
        expected = " × ".join(f"{axis.size} {name}" for name, axis in axes.items())
        raise StackError(
            f"the data have shape {values.shape} but the axes say {expected}",
            remedy="give data as (energy, y, x) with one axis value per frame, row and column",
        )
    for name, axis in axes.items():
        if not np.isfinite(axis).all():
            raise StackError(
                f"the {name} axis holds a value that is not finite",
                remedy="correct the file's axis",
            )
    if axes["energy"].min() <= 0:
        raise StackError(
            f"a frame has an energy of {axes['energy'].min():g} eV",
            remedy="correct the file's energies",
        )

    order = np.argsort(axes["energy"], kind="stable")
    repeated = np.flatnonzero(np.diff(axes["energy"][order]) <= 0)
    if repeated.size:
        value = axes["energy"][order][repeated[0]]
        raise StackError(
            f"two frames have the same energy, {value:.3f} eV",
            remedy="leave out or average all but one of them",
        )
    flips = {name: _ascending(name, axes[name]) for name in ("y", "x")}
    if not np.array_equal(order, np.arange(order.size)):
        values = values[order]
    values = values[:, flips["y"], flips["x"]]
    if not blocks.is_lazy(values):
        values = np.ascontiguousarray(values)

    coords: dict[str, Any] = {
        "energy": ("energy", axes["energy"][order], {"units": "eV", "long_name": "photon energy"}),
        "y": ("y", axes["y"][flips["y"]], {"units": "µm"}),
        "x": ("x", axes["x"][flips["x"]], {"units": "µm"}),
    }
    for name, along in (per_energy or {}).items():
        if np.shape(along) != (order.size,):
            raise StackError(
                f"{name} has shape {np.shape(along)}, the stack has {order.size} frames",
                remedy="give one value per frame",
            )
        coords[name] = ("energy", np.asarray(along)[order])
    units = {"counts": "counts", "transmission": "1", "optical_density": "1"}[quantity]
    return xr.DataArray(
        values,
        dims=DIMS,
        coords=coords,
        name=quantity,
        attrs={"quantity": quantity, "units": units, **(attrs or {})},
    )


def along_energy(stack: xr.DataArray) -> dict[str, np.ndarray]:
    """Coordinates that belong to frames (ring current, dwell, noise gain, …), energy itself left
    out.
    """
    return {
        str(name): coordinate.values
        for name, coordinate in stack.coords.items()
        if coordinate.dims == ("energy",) and name != "energy"
    }


def like(
    stack: xr.DataArray,
    values: ArrayLike,
    *,
    y: ArrayLike | None = None,
    x: ArrayLike | None = None,
    per_energy: Mapping[str, ArrayLike] | None = None,
) -> xr.DataArray:
    """A new Stack of the same quantity and measurement, with other values.

    Axes and coordinates along energy are those of `stack` where none are given; a Dask array of
    values makes it lazy.
    """
    facts = {key: value for key, value in stack.attrs.items() if key not in ("quantity", "units")}
    return build(
        values,
        stack["energy"].values,
        stack["y"].values if y is None else y,
        stack["x"].values if x is None else x,
        quantity=stack.attrs["quantity"],
        per_energy=along_energy(stack) if per_energy is None else per_energy,
        attrs={str(key): value for key, value in facts.items()},
    )


def _as_float32(data: Any) -> Any:
    """Numbers as float32; a Dask array stays one, in chunks of all energies × bands of rows."""
    data = getattr(data, "data", data) if isinstance(data, xr.DataArray) else data
    if not blocks.is_lazy(data):
        return np.asarray(data, dtype=np.float32)
    if data.ndim == len(DIMS) and (data.numblocks[0] > 1 or data.numblocks[2] > 1):
        rows = blocks.rows_per_band(data.shape, max(data.chunks[1]))
        data = data.rechunk({0: -1, 1: rows, 2: -1})
    return data.astype(np.float32)


def _ascending(name: str, axis: np.ndarray) -> slice:
    """Slice that puts a strictly monotonic axis in ascending order."""
    step = np.diff(axis)
    if (step > 0).all():
        return slice(None)
    if (step < 0).all():
        return slice(None, None, -1)
    raise StackError(
        f"the {name} axis neither rises nor falls steadily", remedy="correct the file's axis"
    )


def check(stack: xr.DataArray, *quantities: Quantity, lazy: bool = False) -> xr.DataArray:
    """Return `stack` if it is a Stack of one of `quantities` (of any, when none is named).

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        What a public function was given.
    *quantities : str
        What it can take.
    lazy : bool
        Whether it works on lazy stacks band by band; otherwise a lazy stack that fits into memory
        is loaded here.

    Raises
    ------
    StackError
        Wrong dims or quantity, axes not ascending, "counts" that look like optical densities, or a
        lazy stack that is too large for a step that needs all of it.
    """
    check_layout(stack, *quantities)
    if blocks.is_lazy(stack):
        if lazy:
            return stack  # its values are looked at when they are read
        stack = _in_memory(stack)
    if stack.attrs["quantity"] != "counts":
        _refuse_counts(stack)
    elif not stack.attrs.get(SAID):
        _refuse_optical_density(stack)
    return stack


def check_layout(stack: xr.DataArray, *quantities: Quantity) -> None:
    """Raise unless `stack` is laid out as a Stack of one of `quantities`; its values are not looked
    at.

    Raises
    ------
    StackError
        Wrong dims or quantity, or axes not ascending.
    """
    allowed = quantities or get_args(Quantity)
    if not isinstance(stack, xr.DataArray) or stack.dims != DIMS:
        found = getattr(stack, "dims", type(stack).__name__)
        raise StackError(
            f"expected a stack with dims {DIMS}, got {found}", remedy="open it with cs.open_stack"
        )
    quantity = stack.attrs.get("quantity")
    if quantity not in allowed:
        raise StackError(
            f"this step needs {' or '.join(allowed)}, the stack holds {quantity or 'no quantity'}",
            where=str(stack.attrs.get("source", "")),
            remedy="give it the right quantity with cs.open_stack or chemoscape.stack.build",
        )
    for name in DIMS:
        if (np.diff(stack[name].values) <= 0).any():
            raise StackError(
                f"the {name} axis is not ascending",
                remedy="make the stack with chemoscape.stack.build",
            )


def _in_memory(stack: xr.DataArray) -> xr.DataArray:
    """A lazy stack, loaded if it fits."""
    if stack.nbytes > blocks.memory_limit():
        raise StackError(
            f"this step needs the whole stack in memory, {stack.nbytes / 1e9:.1f} GB, and a "
            f"quarter of the memory is {blocks.memory_limit() / 1e9:.1f} GB",
            where=str(stack.attrs.get("source", "")),
            remedy="take a part of it first: stack.isel(y=slice(0, 500), x=slice(0, 500))",
        )
    return stack.compute(num_workers=blocks.n_workers())


def _refuse_optical_density(stack: xr.DataArray) -> None:
    """Counts of a usable image reach tens; an array that never does is an optical density or a
    transmission.
    """
    if any(np.fmax.reduce(frame, axis=None) >= LOWEST_CREDIBLE_COUNT for frame in stack.values):
        return  # the first frame tells, as a rule
    highest = float(stack.max())
    if np.isnan(highest):
        raise StackError(
            "the stack holds no value at all",
            where=str(stack.attrs.get("source", "")),
            remedy="look at the file: every pixel is NaN",
        )
    if highest <= 0:
        raise StackError(
            f"the stack is called counts but its largest value is {highest:.3g}",
            where=str(stack.attrs.get("source", "")),
            remedy="look at the file: no pixel counted anything",
        )
    raise StackError(
        f"the stack is called counts but its largest value is {highest:.3g}, "
        "as in an optical density or a transmission",
        where=str(stack.attrs.get("source", "")),
        remedy='say what it is with [input] quantity = "optical_density" (or "transmission")',
    )


def _refuse_counts(stack: xr.DataArray) -> None:
    """No usable optical density or transmission is above 10 in half of an image's pixels."""
    first = stack.values[0]
    known = first[np.isfinite(first)]
    if known.size and (middle := float(np.median(known))) > LOWEST_CREDIBLE_COUNT:
        raise StackError(
            f"the stack is called {stack.attrs['quantity']} but its first image has a median of "
            f"{middle:.3g}, as in counts",
            where=str(stack.attrs.get("source", "")),
            remedy='say what it is with [input] quantity = "counts"',
        )


def as_mask(mask: xr.DataArray | ArrayLike, image: xr.DataArray) -> xr.DataArray:
    """A boolean map on the pixels of `image`, from one or from a plain array of its shape.

    Raises
    ------
    StackError
        The shapes differ.
    """
    values = np.asarray(mask, dtype=bool)
    plane = {"y": image["y"], "x": image["x"]}
    shape = tuple(axis.size for axis in plane.values())
    if values.shape != shape:
        raise StackError(
            f"the mask has shape {values.shape}, the image {shape}",
            remedy="make the mask from a map of the same stack",
        )
    return xr.DataArray(values, dims=("y", "x"), coords=plane)


def pixel_size(image: xr.DataArray | xr.Dataset) -> tuple[float, float]:
    """Mean pixel size ``(dy, dx)`` in µm; an axis with one pixel borrows the other's, both single
    give 1 µm.
    """
    sizes = [
        float(np.diff(image[name].values).mean()) if image.sizes[name] > 1 else np.nan
        for name in ("y", "x")
    ]
    known = [size for size in sizes if np.isfinite(size)] or [1.0]
    return tuple(size if np.isfinite(size) else known[0] for size in sizes)  # type: ignore[return-value]
