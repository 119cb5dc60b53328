"""A picture of another instrument brought onto the grid of a map, by points seen in both.

A scanning electron micrograph lies turned, shifted, scaled and, where the sample was tilted,
shortened along one direction: an affine transform, which three points fix and more points check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape.errors import StackError
from chemoscape.stack import pixel_size

Point = tuple[float, float]
#: Points whose spread across the line through them is a smaller share of that along it: one line.
FLATTEST = 0.05
#: Most that lengths along one direction may be stretched over those across it: a sample tilted by
#: 65° is seen shortened to 0.42. What is beyond are pairs that do not belong together.
MOST_STRETCH = 2.5


def register(
    picture: xr.DataArray, onto: xr.DataArray, pairs: Sequence[tuple[Point, Point]]
) -> xr.DataArray:
    """A picture on the grid of a map, by the affine transform that fits pairs of points best.

    Each pair is one feature: where it lies in the picture and where in the map. The sum of the
    squared distances in the map is least. Where pixels of the map are larger than those of the
    picture, the picture is smoothed first by what they take in.

    Parameters
    ----------
    picture : DataArray (y, x)
        Coordinates in µm; NaN where there is no value.
    onto : DataArray (y, x)
        The map that gives the grid, µm.
    pairs : sequence of ((x, y), (x, y))
        Points in the picture and in the map, µm: three or more that lie on no line.

    Returns
    -------
    DataArray (y, x)
        The picture on the map's grid, NaN where it does not reach. Attributes, besides those of the
        picture: ``matrix`` (a, b, c, d, e, f: x and y in the map are ``a x + b y + c`` and ``d x +
        e y + f``), ``scale`` (largest and smallest, map over picture), ``turn_degree`` (from x to
        y), ``mirrored`` (0 or 1), ``residual_um`` (one per pair, in the map) and, with four pairs
        or more, ``point_sd_um``, the standard deviation of one coordinate of a point.

    Raises
    ------
    StackError
        Fewer than three pairs, points on a line or outside their image, or a transform that
        stretches one direction 2.5 times more than another.

    Examples
    --------
    >>> axis = np.arange(8.0)
    >>> image = xr.DataArray(np.eye(8), dims=("y", "x"), coords={"y": axis, "x": axis})
    >>> turned = register(image, image, [((0, 0), (7, 7)), ((7, 0), (0, 7)), ((0, 7), (7, 0))])
    >>> round(abs(turned.attrs["turn_degree"])), turned.attrs["mirrored"]
    (180, 0)
    """
    picture, grid = _plane(picture, "picture"), _plane(onto, "map")
    seen, wanted = _points(pairs, picture, grid)
    matrix, shift = _affine(seen, wanted)
    left = wanted - seen @ matrix.T - shift
    y, x = np.meshgrid(grid["y"].values, grid["x"].values, indexing="ij")
    back = np.linalg.inv(matrix)
    there = (np.stack([x, y], axis=-1) - shift) @ back.T
    steps = np.abs(back) @ pixel_size(grid)[::-1]  # of the picture that a pixel of the map takes in
    values = _sampled(picture, there[..., ::-1], steps[::-1])
    largest, smallest = np.linalg.svd(matrix, compute_uv=False)
    mirrored = bool(np.linalg.det(matrix) < 0)
    facts = {
        "matrix": np.column_stack([matrix, shift]).ravel().tolist(),
        "scale": [float(largest), float(smallest)],
        "turn_degree": _turn(matrix, mirrored),
        "mirrored": int(mirrored),
        "residual_um": np.hypot(*left.T).tolist(),
    }
    if len(seen) > 3:
        facts["point_sd_um"] = float(np.sqrt((left**2).sum() / (2 * len(seen) - 6)))
    return xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": grid["y"], "x": grid["x"]},
        name=picture.name,
        attrs={**picture.attrs, **facts},
    )


def _plane(image: xr.DataArray, name: str) -> xr.DataArray:
    """The image as (y, x), or a sentence on why it is none."""
    if not isinstance(image, xr.DataArray) or set(image.dims) != {"y", "x"}:
        raise StackError(
            f"the {name} is no DataArray with the dimensions y and x",
            remedy="give one image, such as that of chemoscape.particles.sources.open_map",
        )
    for axis in ("y", "x"):
        if image.sizes[axis] < 2 or axis not in image.coords:
            raise StackError(
                f"the {name} has no {axis} axis in µm", remedy="give it coordinates in µm"
            )
        if not (np.diff(image[axis].values) > 0).all():
            raise StackError(f"the {axis} axis of the {name} is not ascending", remedy="sort it")
    return image.transpose("y", "x")


def _points(
    pairs: Sequence[tuple[Point, Point]], picture: xr.DataArray, grid: xr.DataArray
) -> tuple[np.ndarray, np.ndarray]:
    """Points in the picture and in the map, shape (n, 2) each."""
    try:
        points = np.asarray(pairs, float).reshape(-1, 2, 2)
    except (TypeError, ValueError) as error:
        raise StackError(
            "pairs of points are not numbers",
            remedy="give [((x, y), (x, y)), …], in the picture and in the map, µm",
        ) from error
    if len(points) < 3:
        raise StackError(
            f"{len(points)} pairs of points do not fix an affine transform",
            remedy="give three or more that lie on no line",
        )
    for name, image, at in (("picture", picture, points[:, 0]), ("map", grid, points[:, 1])):
        dy, dx = pixel_size(image)
        low = np.array([image["x"][0] - dx, image["y"][0] - dy])
        high = np.array([image["x"][-1] + dx, image["y"][-1] + dy])
        outside = ~((at >= low) & (at <= high)).all(axis=1)  # NaN lies nowhere
        if outside.any():
            first = int(outside.argmax())
            raise StackError(
                f"pair {first + 1}: ({at[first, 0]:g}, {at[first, 1]:g}) µm lies outside the "
                f"{name}, which reaches from ({low[0]:.4g}, {low[1]:.4g}) to ({high[0]:.4g}, "
                f"{high[1]:.4g})",
                remedy="give x before y, in µm and not in pixels",
            )
        along, across = np.linalg.svd(at - at.mean(axis=0), compute_uv=False)
        if across <= FLATTEST * along:
            raise StackError(
                f"the points in the {name} lie on one line",
                remedy="add a pair aside of it: what lies across the line is not known",
            )
    return points[:, 0], points[:, 1]


def _affine(seen: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (2, 2) and shift (2,) that bring points nearest to those wanted."""
    middle, target = seen.mean(axis=0), wanted.mean(axis=0)
    matrix = np.linalg.lstsq(seen - middle, wanted - target, rcond=None)[0].T
    largest, smallest = np.linalg.svd(matrix, compute_uv=False)
    if not largest <= MOST_STRETCH * smallest:
        raise StackError(
            f"the pairs stretch the picture by {largest:.3g} along one direction and by "
            f"{smallest:.3g} across it",
            remedy="check that each pair is one feature and that none is swapped",
        )
    return matrix, target - matrix @ middle


def _turn(matrix: np.ndarray, mirrored: bool) -> float:
    """Angle of the rotation nearest to the matrix, after x was mirrored where it is; degrees."""
    one, _, other = np.linalg.svd(matrix @ np.diag([-1.0 if mirrored else 1.0, 1.0]))
    turned = one @ other
    return float(np.degrees(np.arctan2(turned[1, 0], turned[0, 0])))


def _sampled(picture: xr.DataArray, at: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Values of the picture at points (y, x) in µm, shape (..., 2), linear between its pixels.

    What each point takes in, `reach` µm along y and x, is averaged; pixels without a value do not
    count, and where they are more than half there is none.
    """
    size = np.array(pixel_size(picture))
    start = np.array([picture["y"].values[0], picture["x"].values[0]])
    index = np.moveaxis((at - start) / size, -1, 0)
    sigma = np.maximum(reach / size - 1, 0) / 2  # two sigma span what a larger pixel adds
    known = np.isfinite(picture.values)
    share, total = (
        ndimage.map_coordinates(
            ndimage.gaussian_filter(one, sigma, mode="nearest"), index, order=1, mode="nearest"
        )
        for one in (known.astype(float), np.where(known, picture.values, 0.0).astype(float))
    )
    inside = (index >= -0.5) & (index <= np.array(picture.shape)[:, None, None] - 0.5)
    inside = inside.all(axis=0) & (share > 0.5)
    return np.divide(total, share, out=np.full(share.shape, np.nan), where=inside)
