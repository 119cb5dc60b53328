"""Stress in the particles of a composition map: the steps in order, and the fields they give."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import meshio
import numpy as np
import xarray as xr
from matplotlib.tri import Triangulation

from chemoscape.errors import ChemoscapeWarning, ResultsError, StackError
from chemoscape.mechanics.boundaries import Boundary, check_boundary
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.material import Material, Plane
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.outline import Outline, fill_outside, sample, trace
from chemoscape.mechanics.recovery import named_fields
from chemoscape.stack import pixel_size

PIXELS_PER_SIDE = 2.0
#: The default mesh size grows with the image so that the factor stays within about 2 GB.
MAX_DEFAULT_TRIANGLES = 60_000
LARGEST_SMALL_STRAIN = 0.03


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
        outline has corners: compare the other two.
        """
        stress, area = self.dataset["element_von_mises"].values, self.dataset["element_area"].values
        order = np.argsort(stress)
        share = np.cumsum(area[order]) / area.sum()
        return {
            "von_mises_max_MPa": float(stress.max()),
            "von_mises_p99_MPa": float(stress[order][np.searchsorted(share, 0.99)]),
            "von_mises_mean_MPa": float((stress * area).sum() / area.sum()),
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


@overload
def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundary = "free",
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
) -> StressField: ...


@overload
def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: list[Boundary] | tuple[Boundary, ...],
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
) -> list[StressField]: ...


def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundary | list[Boundary] | tuple[Boundary, ...] = "free",
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
) -> StressField | list[StressField]:
    """Stress that an uneven composition puts into the particles of an image (Equations 7 to 11).

    Outline the mask, mesh it, carry composition to the nodes, turn it into an eigenstrain, and
    solve linear elasticity.

    Parameters
    ----------
    comp : xarray.Dataset
        From `composition`: variables `composition` and `mask`, dims (y, x), coordinates in µm.
    material : Material
        Elastic constants, eigenstrain and the composition that is free of strain.
    boundary : "free", "fixed", Springs, or a list of them
        How outlines (holes included) are held. A list gives a list, solved on one mesh.
    mesh_size : float, optional
        Side of the triangles in µm; by default two pixels.
    order : {2, 1}
        Quadratic displacement with a linear eigenstrain in every triangle, or linear displacement
        with a constant one (the paper's).
    plane : {"stress", "strain"}
        Plane stress (the paper's), or plane strain without an out-of-plane eigenstrain.

    Returns
    -------
    StressField, or a list of them
        One for each boundary.

    Raises
    ------
    StackError
        A map is missing, or its coordinates are.
    MeshError
        The mask cannot be meshed.
    """
    boundaries = boundary if isinstance(boundary, list | tuple) else (boundary,)
    for each in boundaries:
        check_boundary(each)
    _check_maps(comp)
    stiffness = material.stiffness(plane)

    pixels = _own_pixels(comp)
    outline = trace(pixels["mask"])
    size = mesh_size if mesh_size is not None else _default_size(outline, pixels)
    mesh = triangulate(outline.polygons, size)
    x = sample(_filled(comp), mesh.points, comp)
    system = assemble(mesh, stiffness, order=order)
    eigenstrain = isotropic_eigenstrain(system, material.strain(x))
    facts = {
        "plane": plane,
        "order": order,
        "mesh_size_um": float(size),
        "variable": str(comp.attrs.get("variable", "")),
        "n_particles": len(outline.polygons),
        "islands_dropped": outline.islands_dropped,
        "holes_filled": outline.holes_filled,
    }
    fields = []
    for each in boundaries:
        dataset = named_fields(solve(system, eigenstrain, each), x, material, plane)
        _warn_of_large_strain(dataset, material)
        fields.append(StressField(dataset.assign_attrs(facts), comp["y"].values, comp["x"].values))
    return fields if isinstance(boundary, list | tuple) else fields[0]


def _own_pixels(comp: xr.Dataset) -> xr.Dataset:
    """The map at the pixels of its stack: between them the mask of a refined map is a staircase."""
    step = int(comp.attrs.get("refine", 1))
    return comp.isel(y=slice(None, None, step), x=slice(None, None, step))


def _check_maps(comp: xr.Dataset) -> None:
    """Two maps with dims (y, x) and ascending coordinates."""
    for name in ("composition", "mask"):
        if name not in comp or comp[name].dims != ("y", "x"):
            raise StackError(
                f"the composition data have no map {name!r} with dims (y, x)",
                remedy="make them with cs.composition",
            )
    for name in ("y", "x"):
        if name not in comp.coords or not (np.diff(comp[name].values) > 0).all():
            raise StackError(
                f"the composition map has no ascending coordinate {name!r} in µm",
                remedy="make it with cs.composition",
            )


def _filled(comp: xr.Dataset) -> np.ndarray:
    """Composition continued past the mask; what is filled inside it is said."""
    values, mask = comp["composition"].values, comp["mask"].values.astype(bool)
    missing = int((mask & ~np.isfinite(values)).sum())
    if missing:
        warnings.warn(
            f"{missing} of {mask.sum()} pixels inside the mask have no composition; their stress "
            "is computed with that of the nearest pixel that has one",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return fill_outside(values, mask)


def _default_size(outline: Outline, comp: xr.Dataset) -> float:
    """Two pixels, or more where the particles are so large that the solve would not fit."""
    fine = PIXELS_PER_SIDE * float(np.sqrt(np.prod(pixel_size(comp))))
    coarse = float(np.sqrt(outline.area / (MAX_DEFAULT_TRIANGLES * np.sqrt(3) / 4)))
    if coarse > fine:
        warnings.warn(
            f"the particles are large: the mesh size was set to {coarse:.3g} µm instead of two "
            f"pixels ({fine:.3g} µm); give mesh_size for another",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return max(fine, coarse)


def _warn_of_large_strain(dataset: xr.Dataset, material: Material) -> None:
    """Small-strain theory holds to two or three per cent."""
    xx, yy, xy = (dataset[name].values for name in ("strain_xx", "strain_yy", "strain_xy"))
    total = np.abs((xx + yy) / 2) + np.hypot((xx - yy) / 2, xy)
    largest = max(total.max(), np.abs(material.strain(dataset["composition"].values)).max())
    if largest > LARGEST_SMALL_STRAIN:
        warnings.warn(
            f"{dataset.attrs['boundary']} boundary: strains reach {largest:.1%}, beyond the "
            f"{LARGEST_SMALL_STRAIN:.0%} to which small-strain elasticity holds",
            ChemoscapeWarning,
            stacklevel=3,
        )


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights (n, 3) of the corners (n, 3, 2) of the triangles in which points (n, 2) lie."""
    a, b, c = np.moveaxis(corners, 1, 0)
    (ux, uy), (vx, vy), (px, py) = (b - a).T, (c - a).T, (points - a).T
    twice_area = ux * vy - uy * vx
    second, third = (px * vy - py * vx) / twice_area, (ux * py - uy * px) / twice_area
    return np.column_stack([1 - second - third, second, third])
