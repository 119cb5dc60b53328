"""A zarr stack of any size with known content, written band by band: nothing of it is ever whole.

The layout is that of `cs.save_stack` but for the chunks, which are (all energies, 64, 64).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import phantoms
import zarr
from numcodecs import Zstd

#: Side of a chunk, and of the field that is repeated.
CHUNK, TILE = 64, 256


def tile(n_energy: int) -> phantoms.Drifting:
    """A drifting field of rods of two standards, noise included."""
    return phantoms.drifting(n_energy, TILE, counts=2000.0, of_library=True)


def side_of(gigabytes: float, n_energy: int) -> int:
    """Pixels along each side, a multiple of the field's."""
    return TILE * max(round(np.sqrt(gigabytes * 1e9 / 4 / n_energy) / TILE), 1)


def write(path: Path, field: phantoms.Drifting, side: int, *, compressed: bool) -> int:
    """Write the field side by side in both directions; bytes of the cube in the store.

    Compressed is with the codec of `cs.save_stack`.
    """
    stack = field.stack
    n_energy = len(stack)
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"program": "benchmark"})
    pitch = float(stack["y"][1] - stack["y"][0])
    for name, values in {
        "energy": stack["energy"].values,
        "y": pitch * np.arange(side),
        "x": pitch * np.arange(side),
    }.items():
        facts = {"_ARRAY_DIMENSIONS": [name], "units": "eV" if name == "energy" else "um"}
        group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=values.shape, attributes=facts
        )[...] = values
    cube = group.create_array(
        "stack",
        shape=(n_energy, side, side),
        dtype=np.float32,
        chunks=(n_energy, CHUNK, CHUNK),
        compressors=Zstd(level=1, checksum=True) if compressed else None,
        fill_value=np.nan,
        attributes={"_ARRAY_DIMENSIONS": ["energy", "y", "x"], "quantity": "counts"},
    )
    for start in range(0, side, CHUNK):
        rows = slice(start % TILE, start % TILE + CHUNK)
        cube[:, start : start + CHUNK] = np.tile(stack.values[:, rows], (1, 1, side // TILE))
    zarr.consolidate_metadata(path, zarr_format=2)
    return sum(file.stat().st_size for file in files_of(path))


def files_of(path: Path) -> list[Path]:
    """The chunks of the cube."""
    return [file for file in (path / "stack").rglob("*") if file.name[0].isdigit()]


def drop_from_cache(path: Path) -> bool:
    """Ask the system to forget what it keeps of the files; whether it can be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in files_of(path):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return True
