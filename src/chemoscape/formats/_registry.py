"""Which formats there are, and which one a file has."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _hdf5
from chemoscape.formats._record import Format

_MODULES = (
    "sdf",
    "hdf5",
    "nxstxm",
    "exchange",
    "mistral",
    "cxi",
    "xanespy",
    "tiff",
    "axis2000",
    "stk",
    "xradia",
    "numpy_array",
    "zarr_store",
    "results_file",
    "netcdf",
)


def formats() -> tuple[Format, ...]:
    """Records of all known formats, in the order in which they are tried."""
    return tuple(import_module(f"chemoscape.formats.{name}").FORMAT for name in _MODULES)


def find_format(path: str | Path) -> tuple[Format, Path]:
    """The format of a file or folder, judged by its content, and its resolved path.

    Raises
    ------
    FileFormatError
        Nothing is there, or no known format fits.
    """
    found = _guard.existing(path)
    for known in formats():
        if known.sniff(found):
            return known, found
    if _hdf5.is_hdf5(found):
        with _hdf5.opened(found):  # says why, if it cannot be read
            pass
    titles = ", ".join(known.title for known in formats())
    raise FileFormatError("is no stack in a format known here", str(path), f"known are {titles}")
