"""The Particles view: table, outlines, what lies at a place, spectra, what to leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from chemoscape.app.answers.particle_table import table
from chemoscape.app.asking import Asked
from chemoscape.app.pictures import Picture
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.particles.sources import named_map
from chemoscape.particles.table import instances_of
from chemoscape.report.particles import outlines


def outlined(session: Session, asked: Asked) -> dict[str, Any]:
    """Outlines of every particle, closed polygons in µm, holes and separate parts each by itself,
    simplified to a third of a pixel; and the part of the map's name they were found in.
    """

    def make() -> dict[str, Any]:
        measured = session.node("/particles")
        pixel = float(measured.attrs["pixel_um"])
        drawn = [[_simplified(line, pixel / 3) for line in around] for around in outlines(measured)]
        return {"outlines": drawn, "pixel_um": pixel}

    found: dict[str, Any] = session.remembered(("particles", "outlines"), make)
    return found


def _simplified(line: np.ndarray, tolerance: float) -> list[list[float]]:
    kept = shapely.get_coordinates(shapely.LineString(line).simplify(tolerance))
    return [[round(float(x), 4), round(float(y), 4)] for x, y in kept]


def at(session: Session, asked: Asked) -> dict[str, Any]:
    """The particle at a place: {x, y} in µm -> {particle: index or null}."""
    measured = session.node("/particles")
    x, y = asked.number("x"), asked.number("y")
    pixel, start = float(measured.attrs["pixel_um"]), measured.attrs["origin_um"]
    row, column = (round((place - o) / pixel) for place, o in zip((y, x), start, strict=True))
    labels = session.remembered(("particles", "labels"), lambda: instances_of(measured).labels())
    inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
    found = int(labels[row, column]) if inside else -1
    return {"particle": found if found >= 0 else None}


def spectrum(session: Session, asked: Asked) -> dict[str, Any]:
    """The spectrum of a particle, and the mean of all: {particle: index}."""
    node = session.node("/particles/spectra")
    one = asked.whole("particle", 0, node.sizes["particle"] - 1)
    own = node.isel(particle=one)
    weights = node["pixels"].values
    mean = np.average(node["spectrum"].fillna(0).values, axis=0, weights=np.maximum(weights, 1))
    return {
        "energy": node["energy"].values,
        "spectrum": own["spectrum"].values,
        "spectrum_se": own["spectrum_se"].values,
        "mean": mean,
        "pixels": int(own["pixels"]),
        "pixels_shared": int(own["pixels_shared"]),
        "group": int(own["label"]) if "label" in own else None,
    }


def region(session: Session, asked: Asked) -> dict[str, Any]:
    """A region that leaves a particle out of the next run: {particle} -> {polygon} in µm.

    A run leaves particles out by their centres: the polygon follows the outline roughly, holds the
    particle's own centre, and where it can no other.

    Raises
    ------
    ChemoscapeError
        There is no such particle.
    """
    measured = session.node("/particles")
    if not measured.sizes["particle"]:
        raise ChemoscapeError("there is no particle", "particle", "press Run")
    one = asked.whole("particle", 0, measured.sizes["particle"] - 1)
    pixel = float(measured.attrs["pixel_um"])
    centres = np.column_stack([measured["centroid_x"].values, measured["centroid_y"].values])
    around = max(outlines(measured)[one], key=lambda line: shapely.Polygon(line).area)
    own = shapely.Polygon(around)
    rough = own.buffer(pixel).simplify(max(pixel, 0.1 * np.sqrt(own.area)))
    last = shapely.Point(centres[one]).buffer(2 * pixel, quad_segs=1)
    for polygon in (rough, own.buffer(pixel / 2), own.convex_hull, last):
        inside = shapely.contains_xy(polygon, *centres.T)
        if inside[one] and inside.sum() == 1:
            break
    corners = shapely.get_coordinates(polygon.exterior)[:-1]
    return {"polygon": [[round(float(x), 3), round(float(y), 3)] for x, y in corners]}


def searched(session: Session, asked: Asked) -> Picture:
    """The map in which the particles were found, thinned by `reduce`."""
    recipe = session.run_recipe()
    node = f"/{recipe.composition.source}"
    if session.has("/few_energies") and "weight" in session.node("/few_energies"):
        node = "/few_energies"
    image = named_map(session.node(node)["weight"], recipe.particles.map, "[particles] map")
    shown = Picture(
        image.values,
        image["x"].values,
        image["y"].values,
        recipe.particles.map,
        str(image.attrs.get("units", "1")),
    )
    return shown.thinned(asked.whole("reduce", 1, 64, default=1))


ANSWERS = {
    "particles/table": table,
    "particles/outlines": outlined,
    "particles/at": at,
    "particles/spectrum": spectrum,
    "particles/region": region,
    "particles/map": searched,
}
