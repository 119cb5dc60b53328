"""The Stress view: fields on the mesh, values at points and along lines, help with springs."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.tri import LinearTriInterpolator, Triangulation

from chemoscape.app.answers.stress_fields import boundaries_of, field_of, listed
from chemoscape.app.asking import Asked
from chemoscape.app.meshes import MOST_TRIANGLES, MeshPicture, mesh_of_pixels
from chemoscape.app.session import Session
from chemoscape.errors import ResultsError
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE

#: Points along a line.
ALONG = 300


def mesh(session: Session, asked: Asked) -> bytes:
    """One field under one boundary: {boundary, field}."""
    solved = boundaries_of(session)
    name = asked.text("boundary", *solved)
    own, which = solved[name], asked.text("field", default="von_mises")
    values, unit, long_name = field_of(own, which)
    points = np.column_stack([own["node_x"].values, own["node_y"].values])
    moved = np.column_stack([own["displacement_x"].values, own["displacement_y"].values])
    triangles, note = own["triangle"].values[:, :3], ""
    if len(triangles) > MOST_TRIANGLES:
        note = (
            f"{len(triangles):,} triangles are too many to draw: shown on the pixels of the map; "
            "probes and lines use the triangles"
        )
        grid = session.node(f"/stress/{name}/grid")
        points, moved, values, triangles = mesh_of_pixels(grid, field_of(grid, which)[0])
    facts = {"boundary": name, "field": which, "name": long_name, "unit": unit, "note": note}
    return MeshPicture(points, moved, values, triangles, facts).encoded()


def probe(session: Session, asked: Asked) -> dict[str, Any]:
    """Everything known at points: {points: [[x, y], …]} in µm."""
    solved = boundaries_of(session)
    points = asked.pairs("points", at_most=50)
    finder, triangles = _finder(session, next(iter(solved.values())))
    element = np.asarray(finder(points[:, 0], points[:, 1]))
    first = next(iter(solved.values()))
    names = [one["name"] for one in listed(session, asked)["fields"]]
    answers: list[dict[str, Any]] = [
        {"x": x, "y": y, "inside": bool(where >= 0)}
        for (x, y), where in zip(points, element, strict=True)
    ]
    at = {
        boundary: {name: _at(triangles, field_of(own, name)[0], points) for name in names}
        for boundary, own in solved.items()
    }
    for number, (answer, where) in enumerate(zip(answers, element, strict=True)):
        if where < 0:
            answer["sentence"] = "outside the particles: nothing is strained here"
            continue
        values = {
            boundary: {name: one[number] for name, one in of.items()} for boundary, of in at.items()
        }
        answer |= {
            "particle": int(first["element_particle"].values[where]),
            "composition": next(iter(values.values()))["composition"],
            "composition_sd": _composition_sd(session, *points[number]),
            "near_cut": {
                boundary: bool(own["element_near_cut"].values[where])
                for boundary, own in solved.items()
                if "element_near_cut" in own
            },
            "values": values,
            "principal_deg": {boundary: _direction(one) for boundary, one in values.items()},
        }
    return {"points": answers}


def line(session: Session, asked: Asked) -> dict[str, Any]:
    """A field along a line: {line: [[x, y], …] in µm, field}, under every boundary."""
    solved = boundaries_of(session)
    corners, name = asked.pairs("line", at_least=2, at_most=200), asked.text("field")
    steps = np.r_[0.0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T))]
    if not steps[-1] > 0:
        raise ResultsError("the line has no length", remedy="draw it from one place to another")
    distance = np.linspace(0.0, steps[-1], ALONG)
    points = np.column_stack([np.interp(distance, steps, corners[:, axis]) for axis in (0, 1)])
    finder_and_triangles = _finder(session, next(iter(solved.values())))
    triangles = finder_and_triangles[1]
    curves, unit, long_name = {}, "", ""
    for boundary, own in solved.items():
        values, unit, long_name = field_of(own, name)
        curve: dict[str, Any] = {"values": _at(triangles, values, points), "sd": None}
        if f"{name}_sd" in own:
            curve["sd"] = _at(triangles, field_of(own, f"{name}_sd")[0], points)
        curves[boundary] = curve
    first = next(iter(solved.values()))
    return {
        "distance_um": distance,
        "curves": curves,
        "composition": _at(triangles, first["composition"].values, points),
        "unit": unit,
        "name": long_name,
    }


def springs(session: Session, asked: Asked) -> dict[str, Any]:
    """How a recipe writes boundaries, what springs mean, and stiffnesses between the limits.

    A disk of radius R with an even strain is half held by springs of E / ((1 - ν) R): its stress
    is then half that of a fixed outline.
    """
    half = None
    if session.has("/stress"):
        first = next(iter(boundaries_of(session).values()))
        half = _half_way(first)
    preset = LIXV2O5_ILLUSTRATIVE
    return {
        "forms": ["free", "fixed", {"springs_GPa_per_um": 10.0}],
        "brief": "0.1 GPa/µm is nearly free, 1e6 nearly fixed.",
        "words": [
            "Springs pull the outline back with so many GPa for each µm of its displacement "
            "(Winkler's foundation). A layer of binder or matrix of modulus E and thickness t "
            "around the particle acts like about E / t: 1 GPa and 0.1 µm give 10 GPa/µm.",
            "At 0.1 GPa/µm the outline is nearly free, at 1e6 nearly fixed. Free and fixed are the "
            "two ends between which a real support lies.",
        ],
        "half_way_GPa_per_um": half,
        "presets": [
            {
                "name": "LixV2O5, illustrative",
                "young_GPa": preset.young_GPa,
                "poisson": preset.poisson,
                "eigenstrain": preset.eigenstrain,
                "reference": preset.reference,
                "source": preset.source,
                "status": preset.status,
            }
        ],
    }


def _half_way(solved: xr.Dataset) -> float | None:
    """E / ((1 - ν) R) of the largest particle, GPa/µm; None where the material has axes."""
    young, poisson = solved.attrs.get("young_GPa"), solved.attrs.get("poisson")
    if not isinstance(young, float) or not isinstance(poisson, float):
        return None
    area = np.bincount(solved["element_particle"].values, solved["element_area"].values).max()
    return float(young / ((1 - poisson) * np.sqrt(area / np.pi)))


def _finder(session: Session, solved: xr.Dataset) -> tuple[Any, Triangulation]:
    """What finds the triangle of a point; the mesh is that of every boundary."""

    def make() -> tuple[Any, Triangulation]:
        corners = solved["triangle"].values[:, :3]
        of = Triangulation(solved["node_x"].values, solved["node_y"].values, corners)
        return of.get_trifinder(), of

    found: tuple[Any, Triangulation] = session.remembered(("stress", "finder"), make)
    return found


def _at(triangles: Triangulation, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values (nodes) at points (n, 2), linear in the triangles; NaN outside."""
    along = LinearTriInterpolator(triangles, values)(points[:, 0], points[:, 1])
    return np.asarray(along.filled(np.nan), dtype=float)


def _direction(at: dict[str, float]) -> float:
    """Degrees from x towards y to the direction of the largest principal stress."""
    turned = np.arctan2(2 * at["stress_xy"], at["stress_xx"] - at["stress_yy"])
    return float(np.degrees(turned) / 2)


def _composition_sd(session: Session, x: float, y: float) -> float | None:
    """Total standard deviation of the composition on the pixel of a point."""
    if not session.has("/composition"):
        return None
    node = session.node("/composition")
    return float(node["composition_sd_total"].sel(x=x, y=y, method="nearest"))


ANSWERS = {
    "stress/list": listed,
    "stress/mesh": mesh,
    "stress/probe": probe,
    "stress/line": line,
    "stress/springs": springs,
}
