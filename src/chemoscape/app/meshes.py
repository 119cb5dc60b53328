"""A field on its triangles on the way to the browser: nodes, displacement, values, outline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.pictures import framed
from chemoscape.mechanics.cuts import rim_of

#: More triangles are slow to draw; the field is then taken from its pixels.
MOST_TRIANGLES = 200_000


@dataclass(frozen=True)
class MeshPicture:
    """One field on a mesh.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        x and y of the nodes, µm.
    moved : ndarray, shape (n, 2)
        Displacement along x and y, µm.
    values : ndarray, shape (n,)
        The field at the nodes.
    triangles : ndarray of int, shape (m, 3)
        Corners.
    extra : dict
        Joins the header: name, unit, limits, …
    """

    points: np.ndarray
    moved: np.ndarray
    values: np.ndarray
    triangles: np.ndarray
    extra: dict[str, Any] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The mesh as bytes, little-endian.

        A length (uint32), a header of that length (JSON, padded with spaces to a multiple of 4),
        then float32 x, y (from the header's `origin`, so that a far stage keeps its digits),
        displacement along x, along y and value of every node, uint32 corners of the triangles, and
        uint32 pairs of nodes along the outlines. Nodes of no triangle are left out.
        """
        used, corners = np.unique(self.triangles, return_inverse=True)
        corners = corners.reshape(-1, 3)
        rim = rim_of(corners, len(used))
        origin = self.points[used].mean(axis=0) if len(used) else np.zeros(2)
        header = {
            "origin": origin,
            "nodes": len(used),
            "triangles": len(corners),
            "sides": len(rim),
            **self.extra,
        }
        numbers = np.column_stack([self.points - origin, self.moved, self.values])[used]
        return framed(header, numbers.T.astype("<f4"), corners.astype("<u4"), rim.astype("<u4"))


def mesh_of_pixels(
    grid: xr.Dataset, values: np.ndarray, most: int = MOST_TRIANGLES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Triangles between the pixels of a map, thinned until there are few enough.

    Parameters
    ----------
    grid : Dataset
        displacement_x and displacement_y (y, x), µm; NaN outside the particles.
    values : ndarray, shape (y, x)
        The field.
    most : int
        Largest number of triangles.

    Returns
    -------
    points, moved, values, triangles
        As for `MeshPicture`.
    """
    inside = int(np.isfinite(values).sum())
    step = max(int(np.ceil(np.sqrt(2 * inside / most))), 1)
    part = grid.isel(y=slice(None, None, step), x=slice(None, None, step))
    shown = values[::step, ::step]
    columns, rows = np.meshgrid(part["x"].values, part["y"].values)
    points = np.column_stack([columns.ravel(), rows.ravel()])
    moved = np.column_stack([part[f"displacement_{axis}"].values.ravel() for axis in "xy"])
    number = np.arange(shown.size).reshape(shown.shape)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    corners = np.concatenate(
        [np.stack(three, axis=-1).reshape(-1, 3) for three in ((a, b, c), (a, c, d))]
    )
    known = np.isfinite(shown.ravel())
    return points, moved, shown.ravel(), corners[known[corners].all(axis=1)]
