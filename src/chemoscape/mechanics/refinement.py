"""Triangles that are fine where composition changes: four sides span the change."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape.errors import MeshError
from chemoscape.mechanics.mesh_checks import check_map
from chemoscape.mechanics.outline import fill_outside

#: Sides of triangles across a change of composition.
SIDES_PER_WIDTH = 4.0
#: Sizes grow by at most this much per length, so that triangles stay sound.
GRADING = 0.25
#: Sizes are graded in steps of this ratio.
STEP = 1.15


def size_from_gradient(
    composition: xr.DataArray,
    size: float,
    finest: float,
    *,
    smoothing_px: float = 1.0,
    step: float | None = None,
) -> xr.DataArray:
    """Sides of triangles that resolve a composition map, for `triangulate(size_field=...)`.

        h = width / 4,   width = step / |grad c|,   finest <= h <= size

    Away from a change h grows by a quarter of the distance.

    Parameters
    ----------
    composition : xarray.DataArray, dims (y, x)
        NaN outside the particles; coordinates in µm.
    size, finest : float
        Largest and smallest side in µm.
    smoothing_px : float
        Standard deviation in pixels of the Gaussian that quiets noise before the gradient is taken.
    step : float, optional
        Difference of composition that makes one change; by default between the 1st and 99th
        percentile of the map. Give it for maps that are uniform but for their noise: against its
        own range noise is steep everywhere.

    Returns
    -------
    xarray.DataArray, dims (y, x)
        Sides in µm on the map's grid.

    Raises
    ------
    MeshError
        Sizes are not positive or in the wrong order, or the map holds no finite value.

    Examples
    --------
    >>> x = np.arange(40.0)
    >>> c = xr.DataArray(np.tile(x > 20, (30, 1)) * 1.0, dims=("y", "x"),
    ...                  coords={"y": np.arange(30.0), "x": x})
    >>> h = size_from_gradient(c, size=4.0, finest=0.5)
    >>> float(h.min().round(2)), float(h.max())
    (0.78, 4.0)
    """
    if not 0 < finest <= size < np.inf:
        raise MeshError(
            f"sides from {finest} to {size} µm cannot be graded", remedy="give 0 < finest <= size"
        )
    composition = check_map(composition, "composition map")
    finite = np.isfinite(composition.values)
    values = fill_outside(composition.values, finite)
    if step is None:
        step = float(np.ptp(np.percentile(values[finite], [1, 99])))
    smooth = ndimage.gaussian_filter(values, smoothing_px, mode="nearest")
    axes = [composition[name].values.astype(float) for name in ("y", "x")]
    steepness = np.zeros(smooth.shape)
    for k, axis in enumerate(axes):
        if axis.size > 1:
            steepness = np.hypot(steepness, np.gradient(smooth, axis, axis=k))
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(steepness > 0, step / steepness / SIDES_PER_WIDTH, size)
    pitch = [float(np.diff(axis).mean()) if axis.size > 1 else 1.0 for axis in axes]
    graded = _graded(np.clip(wanted, finest, size), finest, size, pitch)
    return xr.DataArray(
        graded,
        dims=("y", "x"),
        coords={name: composition[name] for name in ("y", "x")},
        name="mesh_size",
        attrs={"long_name": "side of the triangles", "units": "µm"},
    )


def _graded(wanted: np.ndarray, finest: float, size: float, pitch: list[float]) -> np.ndarray:
    """Largest sizes below `wanted` that grow no faster than the grading, to one step."""
    graded = wanted.copy()
    level = finest * STEP
    while level < size:
        here = wanted <= level
        if here.any() and not here.all():
            distance = ndimage.distance_transform_edt(~here, sampling=pitch)
            graded = np.minimum(graded, level + GRADING * distance)
        level *= STEP
    return graded
