"""Parts of an image, in µm: what a recipe, a function and the app call a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import xarray as xr

from chemoscape.errors import RegionError


@dataclass(frozen=True)
class Region:
    """Part of an image, in µm: a rectangle or a polygon.

    Parameters
    ----------
    x, y : pair of float, optional
        Lower and upper bound of a rectangle; both or neither.
    polygon : sequence of (x, y), optional
        Corners of a polygon, at least three.

    Examples
    --------
    >>> Region(x=(0, 2), y=(0, 1)).describe()
    'x 0 to 2, y 0 to 1 µm'
    """

    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    polygon: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        rectangle = self.x is not None and self.y is not None
        for name in ("x", "y"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _interval(name, getattr(self, name)))
        if self.polygon is not None:
            object.__setattr__(self, "polygon", _corners(self.polygon))
        if rectangle == (self.polygon is not None) or (self.x is None) != (self.y is None):
            raise RegionError(
                "a region is a rectangle or a polygon",
                remedy="give x = [a, b] and y = [a, b], or polygon = [[x, y], …]",
            )
        if self.polygon is not None and len(self.polygon) < 3:
            raise RegionError(
                "a polygon needs three corners or more", remedy="add corners to the region"
            )
        if self.polygon is not None and not (outline := shapely.Polygon(self.polygon)).is_valid:
            raise RegionError(
                f"the polygon is no area ({shapely.is_valid_reason(outline)})",
                remedy="give its corners in the order in which they follow each other",
            )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Sequence[Any]]) -> Region:
        """Make a region from the recipe's form, ``{x = [a, b], y = [a, b]}`` or ``{polygon = [[x,
        y], …]}``.
        """
        unknown = set(mapping) - {"x", "y", "polygon"}
        if unknown:
            raise RegionError(
                f"a region has no key {sorted(unknown)[0]!r}", remedy="use x and y, or polygon"
            )
        return cls(**mapping)  # type: ignore[arg-type]

    def describe(self) -> str:
        """One line with units."""
        if self.polygon is not None:
            return f"polygon of {len(self.polygon)} corners (µm)"
        (x0, x1), (y0, y1) = self.x, self.y  # type: ignore[misc]
        return f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g} µm"

    def mask(self, image: xr.DataArray | xr.Dataset) -> xr.DataArray:
        """Boolean map ``(y, x)`` of the pixels whose centres lie inside.

        Raises
        ------
        RegionError
            No pixel centre of the image lies inside.
        """
        if not isinstance(image, xr.DataArray | xr.Dataset) or not {"x", "y"} <= set(image.coords):
            raise RegionError(
                "a region is taken of an image with coordinates x and y in µm",
                remedy="open it with cs.open_stack",
            )
        x, y = image["x"].values, image["y"].values
        if self.polygon is not None:
            inside = shapely.intersects_xy(shapely.Polygon(self.polygon), *np.meshgrid(x, y))
        else:
            (x0, x1), (y0, y1) = self.x, self.y  # type: ignore[misc]
            inside = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None, :]
        if not inside.any():
            raise RegionError(
                f"the region ({self.describe()}) holds no pixel of the image, which spans "
                f"x {x[0]:g} to {x[-1]:g}, y {y[0]:g} to {y[-1]:g} µm",
                remedy="give the region in the image's own µm",
            )
        return xr.DataArray(
            inside, dims=("y", "x"), coords={"y": image["y"], "x": image["x"]}, name="region"
        )


def _interval(name: str, bounds: Sequence[Any]) -> tuple[float, float]:
    """Two bounds in ascending order."""
    try:
        low, high = sorted(map(float, bounds))
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not np.isfinite([low, high]).all():
        raise RegionError(
            f"{name} needs two bounds, got {bounds!r}", remedy=f"write {name} = [lowest, highest]"
        )
    return low, high


def _corners(corners: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    """Corners of a polygon as pairs of numbers."""
    try:
        pairs = tuple((float(x), float(y)) for x, y in corners)
    except (TypeError, ValueError):
        pairs = ((np.nan, np.nan),)
    if not np.isfinite(pairs).all():
        raise RegionError(
            "a polygon is a list of corners in µm", remedy="write polygon = [[x, y], [x, y], …]"
        )
    return pairs
