"""What the Explore view asks: how many components, and the pixels that were brushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import xarray as xr

from chemoscape.app.answers import clusters as of_clusters
from chemoscape.app.answers.scores import labels_of, plane_of, scatter
from chemoscape.app.pictures import Picture
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.decompose.factors.clusters import chemical_rank
from chemoscape.errors import ChemoscapeError, RegionError

if TYPE_CHECKING:
    from chemoscape.app.asking import Asked
    from chemoscape.app.session import Session

_CRITERIA = {
    "rank_mp": ("Marchenko–Pastur", "{n} eigenvalues are above the largest that noise alone gives"),
    "rank_cv": ("split halves", "{n} eigenspectra of half the pixels are in the other half too"),
    "rank_ind": ("indicator (IND)", "Malinowski's indicator function is least at {n}"),
    "rank_f": ("F-test, 1 %", "the first {n} stand out from those that follow"),
    "rank_cumulative": (
        "99.9 % of the sum of squares",
        "reached with {n}; known from the paper, it decides nothing here",
    ),
}


def rank(session: Session, asked: Asked) -> dict[str, Any]:
    """Eigenvalues, and what each criterion says about how many components are more than noise."""
    pcs = session.node("/clustered/components")
    chemical = chemical_rank(pcs)
    refused = pcs.attrs["rank_mp"] < 0
    common = int(pcs.attrs.get("common_component", 0))
    return {
        "eigenvalue": pcs["eigenvalue"].values,
        "share": pcs["share"].values,
        "scaled_eigenvalue": pcs["scaled_eigenvalue"].values,
        "noise_edge": pcs.attrs["noise_edge"],
        "n_pixels": int(pcs["sample"].values.sum()),
        "centred": bool(pcs.attrs["centred"]),
        "common_component": common,
        "criteria": [
            {
                "key": key,
                "name": name,
                "n": None if pcs.attrs[key] < 0 else int(pcs.attrs[key]),
                "used": key == ("rank_cv" if refused else "rank_mp"),
                "says": says.format(n=int(pcs.attrs[key]))
                if pcs.attrs[key] >= 0
                else "refused: the stack was interpolated, its pixels share noise",
            }
            for key, (name, says) in _CRITERIA.items()
        ],
        "rank": chemical,
        "used": _used(session, chemical, common),
    }


def _used(session: Session, chemical: int, common: int) -> dict[str, Any]:
    """How many components the clusters of the last run are made of, and why."""
    if not session.has("/clustered/clusters"):
        return {"n": None, "says": "no clusters were made"}
    n = int(session.node("/clustered/clusters").attrs["n_components"])
    if session.run_recipe().clusters.n_components is not None:
        says = "set in the recipe"
    elif common and common == chemical + 1:
        says = f"by the rank, without component {common}, which is the same in all pixels"
    elif n != chemical:
        says = "two at least"
    else:
        says = "by the rank"
    return {"n": n, "says": says}


def brush(session: Session, asked: Asked) -> Picture:
    """Pixels (y, x) whose scores lie in a `polygon` of the plane."""
    inside = _brushed_pixels(session, asked)
    pcs = session.node("/clustered/components")
    return Picture(
        inside,
        pcs["x"].values,
        pcs["y"].values,
        name="pixels selected",
        kind="mask",
        extra={"n": int(inside.sum())},
    )


def _brushed_pixels(session: Session, asked: Asked) -> np.ndarray:
    plane = plane_of(session, asked)
    area = shapely.make_valid(shapely.Polygon(asked.pairs("polygon", at_least=3)))
    shapely.prepare(area)
    left, low, right, high = area.bounds
    near = (plane.across >= left) & (plane.across <= right)
    near &= (plane.up >= low) & (plane.up <= high)
    near[near] = shapely.intersects_xy(area, plane.across[near], plane.up[near])
    inside = np.zeros(plane.inside.shape, dtype=bool)
    inside[plane.inside] = near
    return inside


def brushed(session: Session, asked: Asked) -> dict[str, Any]:
    """Mean spectrum ± standard error of the pixels in a `polygon` of scores, a `region` in µm, or a
    `cluster`.
    """
    pcs = session.node("/clustered/components")
    if asked.has("polygon"):
        chosen = _brushed_pixels(session, asked)
    elif asked.has("region"):
        chosen = asked.region().mask(pcs).values
    else:
        labels = labels_of(session, asked)
        if labels is None:
            raise ChemoscapeError("no clusters were made", remedy="press Run")
        chosen = labels == asked.whole("cluster", 0, 1000)
    if not chosen.any():
        raise RegionError("no pixel is selected", remedy="draw round some")
    density = session.density()["optical_density"]
    here = xr.DataArray(chosen, {"y": pcs["y"], "x": pcs["x"]}, ("y", "x"))
    values, thinned = density.values, of_clusters.on_grid_of(density, here)
    known = np.isfinite(values[0]) & thinned
    label = np.where(known, 0, -1).ravel()
    flat = values.reshape(len(values), -1)
    spectrum, error = mean_spectra(flat, label, 1, like=of_clusters.sample_mean(session)[None])
    return {
        "energy": density["energy"].values,
        "spectrum": spectrum[0],
        "spectrum_se": error[0],
        "n": int(chosen.sum()),
        "n_used": int(known.sum()),
        "area_um2": float(chosen.sum() * _area_of_pixel(pcs)),
    }


def _area_of_pixel(image: xr.Dataset) -> float:
    """µm²."""
    sides = [np.ptp(image[axis].values) / max(image.sizes[axis] - 1, 1) for axis in ("y", "x")]
    return float(sides[0] * sides[1])


ANSWERS = {
    "explore/rank": rank,
    "explore/scatter": scatter,
    "explore/brush": brush,
    "explore/brushed": brushed,
    **of_clusters.ANSWERS,
}
