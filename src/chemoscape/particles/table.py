"""What is measured of each particle, in µm, beside the masks themselves.

The masks are a contiguous ragged array in the manner of the CF conventions: the pixels of all
particles one after the other along the dim ``pixel``, and how many belong to each particle in
``pixel_count``. `instances_of` reads them back; `take` keeps some particles and their pixels.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence

import numpy as np
import shapely
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.particles.masks import Instances
from chemoscape.results import write_text

#: name -> units, long name, of every variable along ``particle``.
VARIABLES = {
    "centroid_y": ("µm", "centroid along y"),
    "centroid_x": ("µm", "centroid along x"),
    "area_raw": ("µm²", "projected area of the mask, not corrected for the resolution"),
    "length": ("µm", "length of the bar with the same second moment"),
    "width": ("µm", "mean width, area over length"),
    "aspect": ("1", "length over width"),
    "orientation": ("degree", "direction of the long axis, from x towards y"),
    "solidity": ("1", "share of the pixels in the convex hull that are the mask's"),
    "border": ("1", "whether the mask touches the edge of the map"),
    "overlap": ("1", "share of the mask's pixels that other masks cover too"),
    "value_mean": ("1", "mean of the map over the mask"),
    "score": ("1", "confidence of the detection"),
    "pixel_count": ("1", "number of pixels of the mask"),
}


def particle_table(
    instances: Instances,
    image: xr.DataArray | np.ndarray,
    pixel_um: float,
    origin: tuple[float, float] | None = None,
) -> xr.Dataset:
    """Measure particles.

    The covariance of a mask is that of its pixels taken as squares: that of their centres and
    1/12 of a pixel². With its larger eigenvalue λ, a bar is sqrt(12 λ) long; the width is the area
    over that length. No length is given below that of the square of the same area.

    Parameters
    ----------
    instances : Instances
        Masks; those without a pixel are left out.
    image : ndarray or DataArray, shape (y, x)
        The map, for the mean value; NaN is left out of the mean.
    pixel_um : float
        Side of a pixel, µm.
    origin : tuple of float, optional
        y and x of the centre of the first pixel, µm; half a pixel when None.

    Returns
    -------
    Dataset
        `VARIABLES` along ``particle``, by falling area; pixel_y and pixel_x (int32 indices) along
        ``pixel``. Attributes pixel_um, origin_um and image_shape.

    Raises
    ------
    StackError
        The map does not have the shape that the masks are of.

    Examples
    --------
    >>> bar = Instances((9, 9), np.array([[2, 1]]), (np.ones((3, 6), bool),), np.ones(1))
    >>> table = particle_table(bar, np.ones((9, 9)), 0.5)
    >>> [round(table[name].item(), 6) for name in ("length", "width", "area_raw", "centroid_x")]
    [3.0, 1.5, 4.5, 2.0]
    """
    values = np.asarray(image, float)
    if values.shape != tuple(instances.shape):
        raise StackError(
            f"the masks are of a map of shape {tuple(instances.shape)}, the map has {values.shape}",
            remedy="give the map in which the particles were found",
        )
    areas = instances.areas
    corners = instances.corners.T if len(instances) else np.zeros((2, 0))
    order = np.lexsort((corners[1], corners[0], -areas))
    sorted_ones = instances.take(order[areas[order] > 0])
    counts, rows, columns = _pixels(sorted_ones)
    owner = np.repeat(np.arange(len(counts)), counts)
    start = (0.5 * pixel_um, 0.5 * pixel_um) if origin is None else origin
    middle_y, middle_x = (_mean(one, owner, counts) for one in (rows, columns))
    columns_of = {
        "centroid_y": start[0] + pixel_um * middle_y,
        "centroid_x": start[1] + pixel_um * middle_x,
        "area_raw": counts * pixel_um**2,
        **_bars(rows - middle_y[owner], columns - middle_x[owner], owner, counts, pixel_um),
        "solidity": _solidity(rows, columns, owner, counts),
        "border": _border(sorted_ones),
        "overlap": _overlap(rows, columns, owner, counts, sorted_ones.shape),
        "value_mean": _known_mean(values[rows, columns], owner, len(counts)),
        "score": sorted_ones.scores.astype(float),
        "pixel_count": counts.astype(np.int32),
    }
    data = {
        name: ("particle", columns_of[name], {"units": units, "long_name": words})
        for name, (units, words) in VARIABLES.items()
    }
    data["pixel_count"][2]["sample_dimension"] = "pixel"
    for name, index in (("pixel_y", rows), ("pixel_x", columns)):
        facts = {"units": "1", "long_name": f"index along {name[-1]} of a pixel of a mask"}
        data[name] = ("pixel", index.astype(np.int32), facts)
    return xr.Dataset(
        data,
        attrs={
            "pixel_um": float(pixel_um),
            "origin_um": [float(one) for one in start],
            "image_shape": [int(size) for size in sorted_ones.shape],
        },
    )


def instances_of(table: xr.Dataset) -> Instances:
    """Masks of a particle table, in its order.

    Raises
    ------
    StackError
        Particles were taken without their pixels.
    """
    counts = table["pixel_count"].values.astype(int)
    if counts.sum() != table.sizes["pixel"]:
        raise StackError(
            f"the table has {table.sizes['pixel']} pixels of masks for particles that have "
            f"{counts.sum()}",
            remedy="keep some particles with chemoscape.particles.table.take",
        )
    ends = np.cumsum(counts)[:-1]
    corners, crops = [], []
    for rows, columns in zip(
        np.split(table["pixel_y"].values.astype(int), ends),
        np.split(table["pixel_x"].values.astype(int), ends),
        strict=True,
    ):
        if not len(rows):
            continue
        top, left = rows.min(), columns.min()
        crop = np.zeros((rows.max() - top + 1, columns.max() - left + 1), bool)
        crop[rows - top, columns - left] = True
        corners.append((top, left))
        crops.append(crop)
    high, wide = (int(size) for size in table.attrs["image_shape"])
    return Instances(
        (high, wide),
        np.array(corners, int).reshape(-1, 2),
        tuple(crops),
        table["score"].values[counts > 0].astype(float),
    )


def take(table: xr.Dataset, index: Sequence[int] | np.ndarray) -> xr.Dataset:
    """Those particles of an index array or a boolean one, in its order, with their pixels."""
    chosen = np.arange(table.sizes["particle"])[np.asarray(index)] if len(index) else []
    counts = table["pixel_count"].values.astype(int)
    first = np.cumsum(counts) - counts
    pixels = [np.arange(first[one], first[one] + counts[one]) for one in chosen]
    where = np.concatenate(pixels) if pixels else np.zeros(0, int)
    return table.isel(particle=np.asarray(chosen, int), pixel=where)


def csv_text(table: xr.Dataset, along: str = "particle") -> str:
    """One row per particle, with units in the header; masks are left out.

    Parameters
    ----------
    table : Dataset
        As `particle_table` returns it.
    along : str
        The dimension whose variables are told.
    """
    told = {str(name): one for name, one in table.variables.items() if one.dims == (along,)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    units = {name: one.attrs.get("units", "1") for name, one in told.items()}
    writer.writerow(
        [along] + [name if units[name] == "1" else f"{name} ({units[name]})" for name in told]
    )
    for number, row in enumerate(zip(*(one.values for one in told.values()), strict=True)):
        writer.writerow([number, *map(_cell, row)])
    return text.getvalue()


def write_csv(table: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write `csv_text` to a file, whole or not at all.

    Raises
    ------
    ResultsError
        The file exists and is not to be replaced, or cannot be written.
    """
    write_text(path, csv_text(table), overwrite=overwrite)


def _cell(value: np.generic) -> str:
    """A number as text: six digits, whole ones as they are, nothing where there is no value."""
    if isinstance(value, np.floating):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return str(int(value)) if isinstance(value, np.bool_ | np.integer) else str(value)


def _pixels(instances: Instances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of pixels of each mask, and rows and columns of all, in reading order in each."""
    where = [np.nonzero(crop) for crop in instances.crops]
    counts = np.array([len(rows) for rows, _ in where], int)
    corners = np.repeat(instances.corners.reshape(-1, 2), counts, axis=0)
    within = np.hstack(where) if where else np.zeros((2, 0), int)
    return counts, within[0] + corners[:, 0], within[1] + corners[:, 1]


def _mean(of: np.ndarray, owner: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over the pixels of each particle."""
    return np.bincount(owner, of, minlength=len(counts)) / counts


def _bars(
    dy: np.ndarray, dx: np.ndarray, owner: np.ndarray, counts: np.ndarray, pixel_um: float
) -> dict[str, np.ndarray]:
    """Length, width, aspect and orientation, of pixels relative to their centroid."""
    yy, xx, xy = (_mean(one, owner, counts) for one in (dy * dy, dx * dx, dy * dx))
    largest = (yy + xx) / 2 + np.hypot((xx - yy) / 2, xy) + 1 / 12
    # a disc has a smaller moment than the square of its area, by 2 %
    length = np.maximum(np.sqrt(12 * largest), np.sqrt(counts))
    width = counts / length
    turned = np.degrees(np.arctan2(2 * xy, xx - yy)) / 2 % 180
    return {
        "length": length * pixel_um,
        "width": width * pixel_um,
        "aspect": length / width,
        "orientation": np.where(turned >= 180, 0.0, turned),  # -1e-17 % 180 is 180
    }


def _solidity(
    rows: np.ndarray, columns: np.ndarray, owner: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Pixels over those whose centres lie in the convex hull of the pixels' centres.

    So counted, a convex shape has a solidity of 1 at any angle, however thin it is: its stairs do
    not count as hollows. Pick's theorem gives the number, area + points on the edge / 2 + 1.
    """
    if not len(counts):
        return np.zeros(0)
    # only the outermost pixels of each row can be corners: pixels are in reading order
    first = np.flatnonzero(np.diff(owner, prepend=-1) | np.diff(rows, prepend=-1))
    ends = np.minimum.reduceat(columns, first), np.maximum.reduceat(columns, first)
    points = np.stack([np.stack(ends, axis=1), np.stack([rows[first]] * 2, axis=1)], axis=2)
    clouds = shapely.multipoints(
        points.reshape(-1, 2).astype(float), indices=owner[first].repeat(2)
    )
    hulls = shapely.convex_hull(clouds)
    outline, whose = shapely.get_coordinates(hulls, return_index=True)
    steps = np.gcd(*np.abs(np.diff(outline.astype(int), axis=0)).T)
    steps = np.where(np.diff(whose) == 0, steps, 0)
    on_edge = np.bincount(whose[1:], steps, minlength=len(counts))
    flat = shapely.get_type_id(hulls) == shapely.GeometryType.LINESTRING  # seen from both sides
    return counts / (shapely.area(hulls) + np.where(flat, 2, 1) * on_edge / 2 + 1)


def _border(instances: Instances) -> np.ndarray:
    """Whether each mask touches the edge of the image."""
    x0, y0, x1, y1 = instances.boxes.T
    high, wide = instances.shape
    return (x0 <= 0) | (y0 <= 0) | (x1 >= wide) | (y1 >= high)


def _overlap(
    rows: np.ndarray,
    columns: np.ndarray,
    owner: np.ndarray,
    counts: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Share of each mask's pixels on which other masks lie as well."""
    where = rows * shape[1] + columns
    _, place, layers = np.unique(where, return_inverse=True, return_counts=True)
    return _mean((layers[place] > 1).astype(float), owner, counts)


def _known_mean(values: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Mean over the pixels of each particle that have a value; NaN where none has."""
    known = np.isfinite(values)
    number = np.bincount(owner[known], minlength=n)
    total = np.bincount(owner[known], values[known], minlength=n)
    return np.divide(total, number, out=np.full(n, np.nan), where=number > 0)
