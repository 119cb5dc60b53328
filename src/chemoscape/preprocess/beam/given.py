"""An I0 from elsewhere: a spectrum or flat images, from memory or from a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import FileFormatError, StackError
from chemoscape.preprocess.beam import spectrum

#: Files that hold images; any other is first read as a spectrum.
IMAGES = {
    ".cxi", ".h5", ".hdf", ".hdf5", ".hdr", ".nc", ".ncb", ".npy", ".npz", ".nxs", ".stk", ".tif",
    ".tiff", ".txrm", ".xim", ".xrm", ".zarr",
}  # fmt: skip

#: Columns of a table of spectra that hold the ring current (mA).
RING = re.compile(r"ring|storage|beam.?current", re.IGNORECASE)


def opened(
    i0: str | Path | xr.DataArray | tuple[ArrayLike, ArrayLike],
) -> tuple[xr.DataArray, str]:
    """A spectrum (energy) in ascending order or flat images, and its name for messages."""
    if isinstance(i0, str | Path):
        return _read(Path(i0))
    if isinstance(i0, xr.DataArray):
        if "y" in i0.dims or "x" in i0.dims:
            return i0, "flat images"
        return _spectrum_of(i0, "spectrum"), "spectrum"
    energy, values = i0
    at, beam = spectrum.in_order(energy, values, "spectrum")
    return xr.DataArray(beam, dims="energy", coords={"energy": at}), "spectrum"


def holds_images(i0: str | Path) -> bool:
    """Whether a file of I0 holds flat images, not a spectrum."""
    return "y" in _read(Path(i0))[0].dims


def _spectrum_of(given: xr.DataArray, source: str) -> xr.DataArray:
    """A spectrum in ascending order, with its ring current where it has one."""
    if given.dims != ("energy",):
        raise StackError(
            f"I0 cannot have the dims {given.dims}",
            where=source,
            remedy='give ("energy",), ("y", "x") or ("energy", "y", "x")',
        )
    at, beam = spectrum.in_order(given["energy"].values, given.values, source)
    result = xr.DataArray(beam, dims="energy", coords={"energy": at})
    if "ring_current" in given.coords:
        ring = np.broadcast_to(np.asarray(given["ring_current"].values, float), given.shape)
        if np.isfinite(ring).all() and (ring > 0).all():
            result = result.assign_coords(
                ring_current=("energy", spectrum.in_order(given["energy"].values, ring, source)[1])
            )
    return result


def _read(path: Path) -> tuple[xr.DataArray, str]:
    """A file of flat images or of a spectrum."""
    source = f"file {path.name}"
    readers = [_read_spectrum, _read_images]
    if path.is_dir() or path.suffix.lower() in IMAGES:
        readers.reverse()
    try:
        return readers[0](path), source
    except FileFormatError as error:
        try:
            return readers[1](path), source
        except FileFormatError:
            raise error from None


def _read_images(path: Path) -> xr.DataArray:
    from chemoscape.formats import open_stack

    return open_stack(path)


def _read_spectrum(path: Path) -> xr.DataArray:
    from chemoscape.formats import open_spectra

    spectra, source = open_spectra(path), f"file {path.name}"
    names = [str(name) for name in spectra["spectrum"].values]
    rings = [k for k, name in enumerate(names) if RING.search(name)]
    beams = [k for k in range(len(names)) if k not in rings]
    if not beams:
        raise StackError("there is no I0 beside the ring current", source, "give another file")
    values = spectra.values[beams].mean(axis=0) if "position" in spectra.coords else None
    given = xr.DataArray(
        spectra.values[beams[0]] if values is None else values,
        dims="energy",
        coords={"energy": spectra["energy"].values},
    )
    current = spectra.values[rings[0]] if rings else spectra.attrs.get("ring_current_mA", np.nan)
    ring = np.broadcast_to(np.asarray(current, dtype=np.float64), given.shape)
    return _spectrum_of(given.assign_coords(ring_current=("energy", ring)), source)
