"""Flat images: the open beam as an image of its own, at one or at several energies."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.preprocess.beam.spectrum import bracket
from chemoscape.preprocess.beam.units import dwell_ms, ring_current


def flat_at(
    stack: xr.DataArray, image: xr.DataArray, dark: np.ndarray, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Flat images at the energies of the stack.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts.
    image : DataArray (y, x) or (energy, y, x)
        Open beam on the same pixels. One image serves all energies; several are interpolated
        linearly, and never beyond their ends.
    dark : ndarray, broadcasts to (n_energy, y, x)
        What the detector records without beam.
    source : str
        Where the images come from, for messages.

    Returns
    -------
    flat : ndarray, shape (1 or n_energy, y, x), float32
        Open beam, dark taken off; NaN where it is not positive.
    counted : ndarray, shape (1 or n_energy,)
        Mean of the recorded values, on which their counting noise depends.
    dwell, ring : ndarray, shape (n_energy,), or None
        In ms and mA, where the images know them.

    Raises
    ------
    StackError
        Dims or shape differ from the stack's, energies are not covered, or there is no beam.
    """
    if image.dims == ("y", "x"):
        image = image.expand_dims(energy=[float(stack["energy"].values[0])])
    if image.dims != stacks.DIMS or image.shape[1:] != stack.shape[1:]:
        raise StackError(
            f"flat images need the pixels of the stack, {stack.shape[1:]}, got dims "
            f"{image.dims} of shape {image.shape}",
            where=source,
            remedy="give (y, x) or (energy, y, x) images of the same field",
        )
    if image.attrs.get("quantity", "counts") != "counts":
        raise StackError(
            f"flat images are counts, and these hold {image.attrs['quantity']}",
            where=source,
            remedy="give the images of the open beam as recorded",
        )
    values = np.asarray(image.data, dtype=np.float32)
    wanted = stack["energy"].values
    dwell, ring = dwell_ms(image), ring_current(image)
    if len(values) > 1:
        order = np.argsort(image["energy"].values, kind="stable")
        low, high, share = bracket(wanted, image["energy"].values[order], source)
        values = _between(values[order], low, high, share)
        dwell, ring = (
            None
            if along is None
            else np.interp(wanted, image["energy"].values[order], along[order])
            for along in (dwell, ring)
        )
    else:
        dwell, ring = (
            None if along is None else np.full(wanted.size, along[0]) for along in (dwell, ring)
        )
    if len(values) == 1 and len(dark) > 1:
        dark = dark.mean(axis=0, keepdims=True)
    with np.errstate(invalid="ignore"):
        counted = np.array([frame[np.isfinite(frame)].mean() for frame in values])
        values = values - dark.astype(np.float32)
        values[~(values > 0) | ~np.isfinite(values)] = np.nan
    if not np.isfinite(values).any(axis=(1, 2)).all():
        raise StackError(
            "the flat images hold no beam", where=source, remedy="look at the file, or at the dark"
        )
    return values, counted, dwell, ring


def _between(
    frames: np.ndarray, low: np.ndarray, high: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """``(1 - share) frames[low] + share frames[high]``, frame by frame."""
    result = np.empty((len(low), *frames.shape[1:]), dtype=np.float32)
    for i, (a, b, s) in enumerate(zip(low, high, share, strict=True)):
        if s == 0:
            result[i] = frames[a]
        else:
            result[i] = np.float32(1 - s) * frames[a] + np.float32(s) * frames[b]
    return result
