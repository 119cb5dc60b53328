"""Where a map of composition can come from: the results of a run, a picture, a table."""

from __future__ import annotations

import io
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape.errors import FileFormatError, ResultsError, StackError
from chemoscape.formats import _guard
from chemoscape.results import open_results

#: Endings of files that hold one map.
ENDINGS = (".tif", ".tiff", ".png", ".npy", ".csv")
#: What readers raise on broken files.
UNREADABLE = (*(OSError, ValueError, SyntaxError, TypeError, EOFError), struct.error, LookupError)


def open_composition(
    path: str | Path,
    *,
    pixel_um: float | None = None,
    mask: str | Path | None = None,
    grey: tuple[float, float] = (0.0, 1.0),
    sd: float | None = None,
) -> xr.Dataset:
    """Composition and mask, as `chemoscape.stress` takes them.

    Parameters
    ----------
    path : path
        Folder or results.h5 of a run, or a picture (TIFF, PNG) or table (NPY, CSV) of composition
        with its first row at the top.
    pixel_um : float, optional
        Side of a pixel, µm: needed for a picture or table, refused for results, which know it.
    mask : path, optional
        Picture or table of the same shape, 0 outside the particles; else composition NaN or 0 is
        outside.
    grey : pair of float
        Composition of black and of white in pictures of whole numbers.
    sd : float, optional
        Standard deviation of the composition of every pixel by itself.

    Returns
    -------
    xarray.Dataset
        `composition` and `mask`, dims (y, x), both coordinates ascending in µm.

    Raises
    ------
    FileFormatError
        A file is missing or cannot be read, or holds no single map.
    ResultsError
        The results hold no composition.
    StackError
        The pixel size is missing or impossible, or the mask does not fit.
    """
    file = Path(path)
    if not file.exists():
        raise FileFormatError("there is no such file", str(file), "check the path")
    if file.is_dir() or file.suffix.lower() == ".h5":
        for value, name in ((pixel_um, "pixel size"), (mask, "mask"), (sd, "standard deviation")):
            if value is not None:
                raise StackError(f"results know their {name}", str(file), "leave it out")
        tree = open_results(file)
        if "composition" not in tree.children:
            raise ResultsError(
                "no composition is here", str(file), "run a recipe whose composition is enabled"
            )
        comp = tree.children["composition"].to_dataset(inherit=False).load()
        if "time" in comp.dims:
            raise ResultsError(
                f"this series holds maps at {comp.sizes['time']} times",
                str(file),
                "let its recipe solve [stress] for all of them, or take one in Python: "
                'cs.stress(tree["composition"].to_dataset().isel(time=0), …)',
            )
        return comp
    if pixel_um is None:
        raise StackError(
            "a picture or table does not say how large its pixels are",
            str(file),
            "give the side of a pixel in µm with --pixel-um",
        )
    if not (math.isfinite(pixel_um) and pixel_um > 0):
        raise StackError(f"pixels of {pixel_um:g} µm", remedy="give a positive size in µm")
    raw = _read(file)
    if raw.dtype.kind in "ui" and file.suffix.lower() not in (".npy", ".csv"):
        black, white = grey
        values = black + raw / float(np.iinfo(raw.dtype).max) * (white - black)
        inside = raw > 0
    else:
        values = raw.astype(float)
        inside = np.isfinite(values) & (values != 0)
    if mask is not None:
        drawn = _read(Path(mask))
        if drawn.shape != raw.shape:
            raise StackError(
                f"the mask has {drawn.shape[0]} × {drawn.shape[1]} pixels, the map "
                f"{raw.shape[0]} × {raw.shape[1]}",
                str(mask),
                "give a mask of the map's size",
            )
        inside = np.nan_to_num(drawn.astype(float)) != 0
    values = np.where(inside, values, np.nan)
    maps = {"composition": values, "mask": inside}
    if sd is not None:
        if not (math.isfinite(sd) and sd >= 0):
            raise StackError(
                f"a standard deviation of {sd:g} is impossible", remedy="give 0 or more"
            )
        maps["composition_sd_counting"] = np.where(inside, sd, np.nan)
    y, x = ((np.arange(size) + 0.5) * pixel_um for size in values.shape)
    # the first row is the top one, and y grows upwards
    return xr.Dataset(
        {name: (("y", "x"), image[::-1]) for name, image in maps.items()},
        coords={"y": ("y", y, {"units": "µm"}), "x": ("x", x, {"units": "µm"})},
        attrs={"source": str(file)},
    )


def _read(file: Path) -> np.ndarray:
    """One map of numbers, its first row at the top."""
    kind = file.suffix.lower()
    if kind not in ENDINGS:
        raise FileFormatError(
            "this is no map of composition",
            str(file),
            f"give the results of a run, or a file that ends in {', '.join(ENDINGS)}",
        )
    regular = _guard.regular_file(file)
    try:
        if kind == ".npy":
            values = np.asarray(np.load(regular, allow_pickle=False))
        elif kind == ".csv":
            text = _guard.read_text(regular).replace(";", ",").replace("\t", ",")
            values = np.genfromtxt(io.StringIO(text), delimiter=",", ndmin=2)
        else:
            from skimage.io import imread

            with warnings.catch_warnings():  # about palettes and the like
                warnings.simplefilter("ignore")
                values = np.asarray(imread(regular))
    except UNREADABLE as error:
        raise FileFormatError(
            "this file cannot be read", str(file), f"save it again as {kind[1:].upper()}"
        ) from error
    if values.ndim == 3 and values.shape[-1] in (2, 3, 4) and kind == ".png":
        colour = values[..., : 3 if values.shape[-1] > 2 else 1]
        if (colour != colour[..., :1]).any():
            raise FileFormatError(
                "a picture in colours is no map of composition", str(file), "save it in greys"
            )
        values = colour[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "biuf" or min(values.shape, default=0) < 2:
        raise FileFormatError(
            f"an array of {values.dtype} of shape {values.shape} is no map of composition",
            str(file),
            "save one map of numbers with two or more rows and columns",
        )
    return values
