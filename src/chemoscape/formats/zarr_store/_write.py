"""A stack as a zarr folder: chunks of all energies × some rows, with checksums.

Version 2 with the names of the dimensions as xarray has them: zarr 2 and 3, xarray and Dask open it
as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.formats import _labelled
from chemoscape.formats.zarr_store._library import library

VARIABLE = "stack"

#: Attribute with texts along energy by name: not every zarr 3 keeps arrays of text.
TEXTS = "texts_along_energy"

#: Bytes that a chunk should have: a file each.
_CHUNK_BYTES = 4_000_000


def write(stack: xr.DataArray, path: Path, final: Path) -> str:
    """Write a Stack band by band."""
    zarr = library(final)
    zstd = import_module("numcodecs").Zstd(level=1, checksum=True)

    def add(name: str, like: xr.DataArray, chunks: Sequence[int], **more: Any) -> Any:
        return group.create_array(
            name,
            shape=like.shape,
            dtype=like.dtype,
            chunks=tuple(chunks),
            compressors=zstd,
            config={"write_empty_chunks": True},  # so that a chunk that is not there is a loss
            **more,
        )

    group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"program": "chemoscape"})
    others = _along(stack)
    for name in (*stacks.DIMS, *others):
        coord = stack[name]
        # no fill value: xarray would take it for "not measured", and an axis may begin with 0
        facts = {"_ARRAY_DIMENSIONS": list(coord.dims), **_labelled.storable(coord.attrs)}
        add(name, coord, coord.shape, fill_value=None, attributes=facts)[...] = coord.values
    n_energy, _, n_x = stack.shape
    height = _height_of_chunks(stack)
    facts = {"_ARRAY_DIMENSIONS": list(stacks.DIMS), "coordinates": " ".join(others)}
    texts = _texts_along(stack)
    cube = add(
        VARIABLE,
        stack,
        (n_energy, height, n_x),
        fill_value=np.nan,
        attributes={**_labelled.storable(stack.attrs), **facts, TEXTS: texts},
    )
    for rows, values in blocks.iterate(stack, rows_per_read=height):
        cube[:, rows] = values
    zarr.consolidate_metadata(path, zarr_format=2)
    kept = {*stacks.DIMS, *others, *texts, *_labelled.storable(stack.attrs)}
    lost = [str(name) for name in (*stack.coords, *stack.attrs) if str(name) not in kept]
    return f"{', '.join(lost)} cannot be kept" if lost else ""


def _along(stack: xr.DataArray) -> list[str]:
    """Coordinates along energy that are numbers."""
    return [
        str(name)
        for name, coord in stack.coords.items()
        if coord.dims == ("energy",) and name != "energy" and coord.dtype.kind in "fiub"
    ]


def _texts_along(stack: xr.DataArray) -> dict[str, list[str]]:
    """Coordinates along energy that are texts."""
    return {
        str(name): coord.values.tolist()
        for name, coord in stack.coords.items()
        if coord.dims == ("energy",) and coord.dtype.kind == "U"
    }


def _height_of_chunks(stack: xr.DataArray) -> int:
    """Rows of a chunk: about `_CHUNK_BYTES`, a divisor of the bands of a lazy stack, so that no
    chunk is written twice.
    """
    n_energy, n_y, n_x = stack.shape
    most = int(np.clip(_CHUNK_BYTES // (4 * n_energy * n_x), 1, n_y))
    if not blocks.is_lazy(stack):
        return most
    band = int(stack.data.chunks[1][0])
    return next(height for height in range(min(most, band), 0, -1) if band % height == 0)
