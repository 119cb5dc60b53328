"""A stack as float32 pages of a TIFF that ImageJ opens, with a list of its energies beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _labelled
from chemoscape.formats.tiff import _facts, _pages
from chemoscape.formats.tiff._facts import Own

#: Classic TIFF counts bytes in 32 bits.
_CLASSIC_BYTES = 4_000_000_000


def write(stack: xr.DataArray, path: Path, final: Path) -> str:
    """Write a Stack as float32 pages, with its energies in a list beside it."""
    import tifffile

    top_down = stack.isel(y=slice(None, None, -1))
    own, lost = _own_facts_of(top_down)
    n_energy, n_y, n_x = stack.shape
    steps = [abs(axis[-1] - axis[0]) / max(axis.size - 1, 1) for axis in (own.y, own.x)]
    dy, dx = (step if step > 0 else max(*steps, 0.0) or 1.0 for step in steps)
    facts = ["ImageJ=1.54f", f"images={n_energy}", f"slices={n_energy}", "unit=um", "loop=false"]
    tifffile.imwrite(  # the pages' places, without their pixels
        path,
        shape=stack.shape,
        dtype=np.float32,
        bigtiff=4 * stack.size > _CLASSIC_BYTES,
        byteorder="<",
        photometric="minisblack",
        resolution=(min(1 / dx, 1e9), min(1 / dy, 1e9)),
        resolutionunit=1,
        description="\n".join([*facts, _facts.own_line(own), ""]),
        metadata=None,
        software="chemoscape",
    )
    starts = [int(page.offsets[0]) for page in _pages.pages_of(path)]
    with path.open("r+b") as file:  # a memory map would crash on a full disk
        for rows, values in blocks.iterate(stack):
            upside_down = values[:, ::-1].astype("<f4")
            for start, part in zip(starts, upside_down, strict=True):
                file.seek(start + 4 * n_x * (n_y - rows.stop))
                file.write(part.tobytes())
    listed = final.with_suffix(".txt")
    if listed.exists() and not (final.exists() and _is_a_list(listed)):
        return lost + f"{listed.name} is another file, so the energies are in the image only"
    lines = [*(repr(float(energy)) for energy in own.energy), ""]
    path.with_suffix(".txt").write_text("\n".join(lines), encoding="ascii")
    return lost.removesuffix("; ")


def _own_facts_of(stack: xr.DataArray) -> tuple[Own, str]:
    """What the description keeps of a stack, and what it cannot."""
    along = {
        str(name): np.asarray(coord.values)
        for name, coord in stack.coords.items()
        if coord.dims == ("energy",) and name != "energy" and coord.dtype.kind in "fiubU"
    }
    attrs = _labelled.storable(stack.attrs)
    attrs.pop("quantity", None)
    kept = {*along, *attrs, "quantity", "energy", "y", "x"}
    lost = [str(name) for name in (*stack.coords, *stack.attrs) if str(name) not in kept]
    energy, y, x = (stack[name].values.astype(np.float64) for name in ("energy", "y", "x"))
    own = Own(energy, y, x, str(stack.attrs["quantity"]), along, attrs)
    return own, f"{', '.join(lost)} cannot be kept in a TIFF; " if lost else ""


def _is_a_list(file: Path) -> bool:
    """Whether a text holds one number per line and nothing else, as is written here."""
    try:
        for line in _guard.read_text(file, limit=4_000_000).split():
            float(line)
    except (FileFormatError, ValueError):
        return False
    return True
