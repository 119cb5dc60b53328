"""Where a map can come from: the results of a run, or a picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape.errors import FileFormatError, ResultsError, StackError
from chemoscape.particles.maps import require_pixel
from chemoscape.results import open_results

#: Endings of pictures that can be read.
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
#: What is added up where no map of the results is named.
THICKNESS = "thickness"


def open_map(
    path: str | Path, name: str | None = None, pixel_um: float | None = None
) -> xr.DataArray:
    """The map in which particles are to be found.

    Parameters
    ----------
    path : path
        The folder or results.h5 of a run, or a picture (PNG, TIFF, JPEG).
    name : str, optional
        Of results: a standard, for the map of its weight, or "thickness", the sum of all weights;
        that when None.
    pixel_um : float, optional
        Side of a pixel, µm: needed for a picture, refused for results, which know it.

    Returns
    -------
    DataArray (y, x)
        Coordinates in µm, both ascending: a picture's last row lies at the lowest y.

    Raises
    ------
    FileFormatError
        The file is no picture that can be read.
    ResultsError
        The results hold no such map.
    StackError
        The size of a picture's pixels is missing, or that of results was given.
    """
    file = Path(path)
    if not file.exists():
        raise FileFormatError("there is no such file", str(file), "check the path")
    if file.suffix.lower() in PICTURES and not file.is_dir():
        if name is not None:
            raise StackError("a picture has one map only", str(file), "leave the map's name out")
        return _picture(file, pixel_um)
    if pixel_um is not None and file.is_dir():
        raise StackError(
            "results say how large their pixels are", str(file), "leave the pixel size out"
        )
    return _of_results(file, name or THICKNESS)


def _picture(file: Path, pixel_um: float | None) -> xr.DataArray:
    """A picture as a map: grey values 0 to 1, or the values of a TIFF of real numbers."""
    from skimage.color import rgb2gray
    from skimage.io import imread

    if pixel_um is None:
        raise StackError(
            "a picture does not say how large its pixels are",
            str(file),
            "give the side of a pixel in µm with --pixel-um",
        )
    require_pixel(pixel_um)
    try:
        with warnings.catch_warnings():  # about palettes and the like
            warnings.simplefilter("ignore")
            raw = np.asarray(imread(file))
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise FileFormatError(
            "this picture cannot be read", str(file), "save it again as PNG or TIFF"
        ) from error
    if raw.ndim == 3 and raw.shape[-1] in (3, 4):
        raw = rgb2gray(raw[..., :3])
    if raw.dtype.kind not in "biuf":
        raise FileFormatError(
            f"a picture of {raw.dtype} is no map", str(file), "save real numbers, as the modulus"
        )
    if raw.ndim != 2:
        raise FileFormatError(
            f"an array of shape {raw.shape} is not one picture", str(file), "save one map as TIFF"
        )
    largest = np.iinfo(raw.dtype).max if raw.dtype.kind in "ui" else 1
    values = raw[::-1] if raw.dtype == np.float64 else raw[::-1].astype(np.float32) / largest
    y, x = ((np.arange(size) + 0.5) * pixel_um for size in values.shape)
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}, name=file.stem)


def _of_results(file: Path, name: str) -> xr.DataArray:
    """The weight of a standard, or the sum of all."""
    if not file.is_dir() and file.suffix.lower() != ".h5":
        raise FileFormatError(
            "particles are found in the results of a run or in a picture",
            str(file),
            f"give its folder, its results.h5, or a file that ends in {', '.join(PICTURES)}; of a "
            "stack, carry out a recipe first (chemoscape run)",
        )
    tree = open_results(file)
    route = next((one for one in ("direct", "clustered") if one in tree.children), None)
    if route is None:
        raise ResultsError(
            "no map of weights is here", str(file), "run a recipe whose deconvolution is enabled"
        )
    return named_map(tree.children[route].to_dataset(inherit=False)["weight"], name, str(file))


def named_map(weight: xr.DataArray, name: str, where: str) -> xr.DataArray:
    """The weight of a standard, or the sum of all.

    Parameters
    ----------
    weight : DataArray (standard, y, x)
    name : str
        A standard, or "thickness".
    where : str
        For the error: where the name was given.

    Raises
    ------
    ResultsError
        There is no such standard.
    """
    names = [str(one) for one in weight["standard"].values]
    if name == THICKNESS:
        found = weight.sum("standard", skipna=False)
    elif name in names:
        found = weight.sel(standard=name, drop=True)
    else:
        raise ResultsError(
            f"no map is called {name!r}", where, f"give one of {', '.join([THICKNESS, *names])}"
        )
    # larger where there is more material, however much of the map is covered
    return found.rename(name).assign_attrs(quantity="optical_density")
