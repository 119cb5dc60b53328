"""Stress fields on their mesh: as maps on pixels, in a few numbers, as files for ParaView."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import meshio
import numpy as np
import xarray as xr
from matplotlib.tri import Triangulation

from chemoscape.errors import ResultsError
from chemoscape.mechanics.uncertainty import summarise


@dataclass(frozen=True, eq=False)
class StressField:
    """Displacement, strain and stress under one boundary.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dims `node`, `element` and `vertex`: coordinates `node_x`, `node_y` (µm), corners
        `triangle(element, vertex)`, variables at the nodes and, named `element_…`, means over the
        triangles. Stresses are in MPa.
    y, x : numpy.ndarray
        Pixel centres in µm of the map that it was made from.
    """

    dataset: xr.Dataset
    y: np.ndarray
    x: np.ndarray

    @property
    def boundary(self) -> str:
        """How the outline was held: "free", "fixed", or the springs."""
        return str(self.dataset.attrs["boundary"])

    @property
    def reference(self) -> float:
        """Composition at which the material is free of strain."""
        return float(self.dataset.attrs["reference"])

    def to_grid(self, like: xr.DataArray | xr.Dataset | None = None) -> xr.Dataset:
        """Nodal variables on pixels, NaN outside the particles.

        Parameters
        ----------
        like : xarray.DataArray or Dataset, optional
            Carries the coordinates `y` and `x` in µm; by default those of the composition map.

        Returns
        -------
        xarray.Dataset
            Maps with dims (y, x).
        """
        y, x = (self.y, self.x) if like is None else (like["y"].values, like["x"].values)
        triangles = self.dataset["triangle"].values
        nodes = np.column_stack([self.dataset["node_x"], self.dataset["node_y"]])
        columns, rows = np.meshgrid(x, y)
        finder = Triangulation(nodes[:, 0], nodes[:, 1], triangles).get_trifinder()
        element = np.asarray(finder(columns, rows))
        inside = element >= 0
        corners = triangles[element[inside]]
        weights = _barycentric(nodes[corners], np.column_stack([columns[inside], rows[inside]]))
        maps = {}
        for name, values in self.dataset.data_vars.items():
            if values.dims == ("node",):
                image = np.full(inside.shape, np.nan)
                image[inside] = (values.values[corners] * weights).sum(axis=1)
                maps[name] = (("y", "x"), image, values.attrs)
        coords = {"y": ("y", y, {"units": "µm"}), "x": ("x", x, {"units": "µm"})}
        return xr.Dataset(maps, coords=coords, attrs=self.dataset.attrs)

    def von_mises_summary(self) -> dict[str, float]:
        """Largest, 99th percentile and mean von Mises stress of the triangles, in MPa.

        Percentile and mean are weighted by area. The largest depends on the mesh wherever a clamped
        outline has corners: compare the other two. Triangles near a cut edge do not count;
        NaN where no other is left.
        """
        data = self.dataset
        kept = data["element_near_cut"].values == 0 if "element_near_cut" in data else slice(None)
        largest, p99, mean = summarise(
            data["element_von_mises"].values[kept], data["element_area"].values[kept]
        )
        return {
            "von_mises_max_MPa": largest,
            "von_mises_p99_MPa": p99,
            "von_mises_mean_MPa": mean,
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a VTU file for ParaView; an older file of that name is replaced when done.

        Parameters
        ----------
        path : path-like
            Ends in ".vtu".

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ResultsError
            Another ending, or the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".vtu":
            raise ResultsError("stress fields are saved as .vtu", str(target), "name it so")
        data = self.dataset
        flat, moved = (
            np.column_stack([data[a].values, data[b].values, np.zeros(data.sizes["node"])])
            for a, b in (("node_x", "node_y"), ("displacement_x", "displacement_y"))
        )
        at_nodes = {str(k): v.values for k, v in data.data_vars.items() if v.dims == ("node",)}
        in_elements = {
            str(k): [v.values] for k, v in data.data_vars.items() if v.dims == ("element",)
        }
        content = meshio.Mesh(
            flat,
            [("triangle", data["triangle"].values)],
            point_data=at_nodes | {"displacement": moved},
            cell_data=in_elements,
        )
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vtu-") as folder:
                draft = Path(folder) / target.name
                meshio.write(draft, content, file_format="vtu")
                draft.replace(target)
        except OSError as error:
            raise ResultsError(
                f"the file cannot be written ({error.strerror or error})",
                str(target),
                "check folder and free space",
            ) from error
        return target


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights (n, 3) of the corners (n, 3, 2) of the triangles in which points (n, 2) lie."""
    a, b, c = np.moveaxis(corners, 1, 0)
    (ux, uy), (vx, vy), (px, py) = (b - a).T, (c - a).T, (points - a).T
    twice_area = ux * vy - uy * vx
    second, third = (px * vy - py * vx) / twice_area, (ux * py - uy * px) / twice_area
    return np.column_stack([1 - second - third, second, third])
