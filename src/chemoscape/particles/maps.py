"""What a map must be for its particles to be found: checked, filled, and placed in µm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import ndimage, stats

from chemoscape.errors import StackError
from chemoscape.stack import pixel_size

#: Fewest pixels along a side, and sides of a pixel (µm) that no microscope goes beyond.
SMALLEST_MAP, PIXEL_LIMITS = 16, (1e-4, 10.0)
#: Above it single precision has no squares.
LARGEST_VALUE = 1e18
#: Largest relative difference of a pixel's sides, and of two statements of its size.
SQUARE = 0.01
#: A map is inverted when its values are skewed downwards and the most frequent one lies so high in
#: their range: particles of less than half of the map, darker than what surrounds them.
INVERTED_SKEWNESS, INVERTED_MODE = -0.4, 0.7


class Map(NamedTuple):
    """A map that was checked.

    Attributes
    ----------
    values : ndarray of float32, shape (y, x)
        Finite: of the nearest pixel where a pixel or two have no value, of the background in gaps.
    missing, gap : ndarray of bool, shape (y, x)
        Where nothing was measured, and where that is three pixels wide or more, so that it may
        hide something.
    plane : DataArray (y, x)
        The values with their coordinates, µm.
    pixel_um : float
        Side of a pixel, µm.
    """

    values: np.ndarray
    missing: np.ndarray
    gap: np.ndarray
    plane: xr.DataArray
    pixel_um: float


def checked(image: xr.DataArray | np.ndarray, pixel_um: float | None) -> Map:
    """The map with its gaps filled, or an error that says what is wrong with it.

    Parameters
    ----------
    image : DataArray (y, x) in µm, or ndarray, shape (y, x)
        Larger where there is more material; NaN, or masked, where nothing was measured.
    pixel_um : float, optional
        Side of a pixel, µm, where the image has no coordinates.

    Raises
    ------
    StackError
        Not two-dimensional, not of real numbers, too small, infinite or without any value, of
        unknown or oblong pixels, or with particles darker than the background.
    """
    if isinstance(image, xr.DataArray) and image.ndim == 2 and set(image.dims) == {"y", "x"}:
        image = image.transpose("y", "x")
    elif isinstance(image, xr.DataArray) or np.ndim(image) != 2:
        found = image.dims if isinstance(image, xr.DataArray) else f"{np.ndim(image)} dims"
        raise StackError(
            f"expected a map (y, x), got {found}",
            remedy="give one map, such as the mean over energy or one phase",
        )
    raw = np.ma.getdata(image) if np.ma.isMaskedArray(image) else np.asarray(image)
    if raw.dtype.kind not in "biuf":
        raise StackError(
            f"a map of {raw.dtype} cannot be ordered by size",
            remedy="give real numbers, such as the absolute value",
        )
    if raw.dtype.kind == "f" and np.abs(raw[np.isfinite(raw)]).max(initial=0) > LARGEST_VALUE:
        raise StackError(
            f"values of the map reach {np.abs(raw[np.isfinite(raw)]).max():.0e}",
            remedy="divide the map by its range, or set to NaN what is no measurement",
        )
    values = raw.astype(np.float32)
    if np.ma.isMaskedArray(image):
        values[np.ma.getmaskarray(image)] = np.nan
    high, wide = values.shape
    if min(high, wide) < SMALLEST_MAP:
        raise StackError(
            f"the map has {high} × {wide} pixels",
            remedy=f"give one of at least {SMALLEST_MAP} pixels a side",
        )
    if np.isinf(values).any():
        raise StackError(
            f"{int(np.isinf(values).sum())} values of the map are infinite",
            remedy="set them to NaN where nothing was measured",
        )
    missing = np.isnan(values)
    if missing.all():
        raise StackError("every pixel of the map is NaN", remedy="look at how the map was made")
    gap = ndimage.binary_opening(missing, np.ones((3, 3)))
    if missing.any():
        nearest = ndimage.distance_transform_edt(
            missing, return_distances=False, return_indices=True
        )
        values = np.where(gap, _mode(values[~missing]), values[tuple(nearest)])
    plane, side = _placed(image, values, pixel_um)
    quantity = getattr(image, "attrs", {}).get("quantity", "")
    if quantity in ("transmission", "counts") or (
        quantity != "optical_density" and _is_inverted(values, missing)
    ):
        raise StackError(
            "the particles of the map are darker than its background",
            remedy="give its optical density, or the negative of the map; if it is one and most of "
            "it is covered, say so (attrs quantity, or --optical-density)",
        )
    return Map(values, missing, gap, plane, side)


def require_pixel(pixel_um: float) -> None:
    """Raise unless it can be the side of a pixel in µm."""
    low, high = PIXEL_LIMITS
    if not low <= pixel_um <= high:
        raise StackError(
            f"the side of a pixel is {pixel_um:g} µm",
            remedy=f"give it in µm, {low:g} to {high:g}",
        )


def _placed(
    image: xr.DataArray | np.ndarray, values: np.ndarray, pixel_um: float | None
) -> tuple[xr.DataArray, float]:
    """The map with coordinates in µm, and the side of its pixels."""
    if pixel_um is not None:
        require_pixel(pixel_um)
    if not isinstance(image, xr.DataArray) or not {"y", "x"} <= set(image.coords):
        if pixel_um is None:
            raise StackError(
                "the map has no coordinates that say how large its pixels are",
                remedy="give pixel_um, the side of a pixel in µm",
            )
        y, x = ((np.arange(size) + 0.5) * pixel_um for size in values.shape)
        return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}), float(pixel_um)
    for name in ("y", "x"):
        if not (np.diff(image[name].values) > 0).all():  # NaN is not ascending either
            raise StackError(
                f"the {name} axis of the map is not ascending",
                remedy="make the map from a stack of cs.open_stack, or sort it",
            )
    dy, dx = pixel_size(image)
    if abs(dy / dx - 1) > SQUARE:
        raise StackError(
            f"the pixels of the map are not square: {dy:.4g} µm along y, {dx:.4g} µm along x",
            remedy="bring it to square pixels first, with xarray's interp or coarsen",
        )
    side = (dy + dx) / 2
    if pixel_um is not None and abs(side / pixel_um - 1) > SQUARE:
        raise StackError(
            f"pixel_um is {pixel_um:.4g}, the map's own coordinates say {side:.4g}",
            remedy="leave pixel_um out, or correct the coordinates",
        )
    return xr.DataArray(values, dims=("y", "x"), coords={"y": image["y"], "x": image["x"]}), side


def _mode(values: np.ndarray) -> float:
    """The most frequent value, within a few hundredths of their range: that of the background."""
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        return float(low)
    number, edges = np.histogram(np.clip(values, low, high), 64)
    number[[0, -1]] = number[[1, -2]]  # these also hold what was clipped
    most = int(ndimage.gaussian_filter1d(number.astype(float), 1.5).argmax())
    return float(edges[most] + edges[most + 1]) / 2


def _is_inverted(values: np.ndarray, missing: np.ndarray) -> bool:
    """Whether particles are darker than what surrounds them."""
    smooth = ndimage.gaussian_filter(values, 1.0)[~missing]  # noise is skewed neither way
    low, high = np.percentile(smooth, [0.5, 99.5])
    if high <= low:
        return False
    place = (_mode(smooth) - low) / (high - low)
    skewness = stats.skew(np.clip(smooth, low, high))
    return bool(skewness < INVERTED_SKEWNESS and place > INVERTED_MODE)
