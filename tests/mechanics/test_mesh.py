"""Meshes: what they must satisfy, and outlines that Gmsh turns into nonsense."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import shapely

from chemoscape.errors import MeshError
from chemoscape.mechanics import mesh as mesh_module
from chemoscape.mechanics.mesh import Mesh, check_mesh, triangulate

Polygon = shapely.Polygon
SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def circle(radius, corners, centre=(0.0, 0.0)):
    angle = 2 * np.pi * np.arange(corners) / corners
    return Polygon(np.column_stack([np.cos(angle), np.sin(angle)]) * radius + centre)


def test_disk_with_hole_and_a_second_particle():
    polygons = [Polygon(circle(2, 60).exterior, [circle(0.5, 20).exterior]), circle(1, 30, (4, 1))]
    mesh = triangulate(polygons, 0.2)
    area = sum(polygon.area for polygon in polygons)
    assert mesh.areas.min() > 0
    assert mesh.areas.sum() == pytest.approx(area, rel=1e-12)
    assert mesh.quality.min() > 0.6
    assert 0.9 < len(mesh.triangles) / (area / (0.2**2 * np.sqrt(3) / 4)) < 1.4
    assert set(mesh.particle) == {0, 1}
    assert set(np.unique(mesh.triangles)) == set(range(len(mesh.points)))


def test_same_mesh_every_time_and_in_every_unit():
    first = triangulate([circle(2, 60)], 0.3)
    again = triangulate([circle(2, 60)], 0.3)
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.triangles, again.triangles)
    elsewhere = triangulate([circle(2 / 1024, 60)], 0.3 / 1024)
    np.testing.assert_array_equal(first.triangles, elsewhere.triangles)


def test_size_holds_inside_an_outline_with_short_sides():
    coarse, fine = (len(triangulate([circle(2, 120)], size).triangles) for size in (0.4, 0.1))
    assert coarse < fine / 4


def test_sides_follow_an_embedded_contour():
    mesh = triangulate([circle(1, 60)], 0.1, embedded=[circle(0.5, 30), circle(0.2, 12).exterior])
    radius = np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T)
    for polygon, r in ((circle(0.5, 30), 0.5), (circle(0.2, 12), 0.2)):
        # the inscribed polygon's centroids lie inside the circle, all others outside
        inside = radius < r * np.cos(np.pi / 30)
        assert mesh.areas[inside].sum() == pytest.approx(polygon.area, rel=1e-9)
    assert set(mesh.particle) == {0}


def test_embedded_contour_may_cross_the_outline_but_not_end_inside():
    box = shapely.box(0, 0, 4, 4)
    crossing = circle(1.0, 24, (4.0, 2.0))
    mesh = triangulate([box], 0.4, embedded=[crossing])
    centroids = shapely.points(mesh.points[mesh.triangles].mean(axis=1))
    inside = shapely.contains(crossing, centroids)
    assert mesh.areas[inside].sum() == pytest.approx(crossing.intersection(box).area, rel=1e-9)
    with pytest.raises(MeshError, match="embedded line ends inside"):
        triangulate([box], 0.4, embedded=[shapely.LineString([(-1, 2), (2, 2)])])


@pytest.mark.parametrize(
    ("polygons", "match"),
    [
        pytest.param(
            [Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])],
            "particle 1, near x = 5, y = 5 µm.*cross",
            id="figure-8",
        ),
        pytest.param(
            [Polygon(SQUARE, [[(0, 3), (5, 3), (5, 6), (0, 6)]])],
            "hole 1 touches or crosses the outline",
            id="hole shares a side",
        ),
        pytest.param(
            [Polygon(SQUARE, [[(0, 3), (5, 3), (5, 6)]])],
            "near x = 0, y = 3 µm: hole 1 touches",
            id="hole touches in a point",
        ),
        pytest.param(
            [Polygon(SQUARE, [[(5, 5), (15, 5), (15, 6), (5, 6)]])],
            "near x = 10, .*hole 1 touches or crosses",
            id="hole crosses the outline",
        ),
        pytest.param(
            [Polygon(SQUARE, [[(15, 5), (16, 5), (16, 6)]])], "hole lies outside", id="hole outside"
        ),
        pytest.param(
            [Polygon(SQUARE, [[(2, 2), (4, 2), (4, 4)], [(3, 3.5), (5, 2), (5, 4)]])],
            "cross or touch",
            id="holes cross",
        ),
        pytest.param(
            [Polygon([(0, 0), (10, 0), (10, 0), (10, 10), (0, 10)])],
            "near x = 10, y = 0 µm: a corner of the outline is given twice",
            id="duplicate corner",
        ),
        pytest.param([Polygon(SQUARE), shapely.box(10, 2, 12, 4)], "particle 2", id="touching"),
        pytest.param([Polygon(SQUARE), shapely.box(2, 2, 4, 4)], "particle 2", id="overlapping"),
        pytest.param([Polygon()], "empty", id="empty"),
        pytest.param([], "no particle", id="none"),
    ],
)
def test_bad_outlines_are_refused_by_name_and_place(polygons, match):
    with pytest.raises(MeshError, match=match):
        triangulate(polygons, 1.0)


@pytest.mark.parametrize(
    ("gap", "match"), [(5e-10, "come within 5e-10 µm"), (0.01, "flattest triangle")]
)
def test_necks_are_refused(gap, match):
    low, high = 5 - gap / 2, 5 + gap / 2
    left, right = shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)
    dumbbell = shapely.union_all([left, shapely.box(10, low, 20, high), right])
    with pytest.raises(MeshError, match=match):
        triangulate([dumbbell], 1.0)


@pytest.mark.parametrize(
    ("size", "match"),
    [(0.0, "mesh size is 0"), (-1.0, "mesh size"), (np.nan, "mesh size"), (1e-4, "2,000,000")],
)
def test_impossible_sizes(size, match):
    with pytest.raises(MeshError, match=match):
        triangulate([Polygon(SQUARE)], size)


@pytest.mark.parametrize(
    ("points", "triangles", "match"),
    [
        (np.zeros((0, 2)), np.zeros((0, 3), int), "no triangles"),
        ([[0, 0], [10, 0], [10, np.nan], [0, 10]], [[0, 1, 2], [0, 2, 3]], "not finite"),
        ([[0, 0], [10, 0], [10, 10], [0, 10]], [[0, 1, 2]], "belong to no triangle"),
        ([[0, 0], [10, 0], [10, 10]], [[0, 1, 2]], "cover 50 µm² of the particles' 100"),
        ([[0, 0], [10, 0], [5, 0.1]], [[0, 1, 2]], "quality"),
        (
            [[0, 0], [10, 0], [10, 10], [0, 0], [10, 10], [0, 10]],
            [[0, 1, 2], [3, 4, 5]],
            "falls into 2 pieces",
        ),
    ],
)
def test_bad_meshes_are_refused(points, triangles, match):
    with pytest.raises(MeshError, match=match):
        check_mesh(Mesh(np.array(points, float), np.array(triangles)), [Polygon(SQUARE)])


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import time; time.sleep(600)", "time limit of 0.5 s"),
        ("raise OSError('libGLU.so.1: cannot open shared object file')", "libGLU.*libglu1-mesa"),
        ("import os; os.abort()", "stopped with status"),
        ("raise ValueError('odd geometry')", "odd geometry"),
    ],
)
def test_mesher_that_hangs_crashes_or_cannot_load(tmp_path, monkeypatch, code, match):
    (tmp_path / "gmsh.py").write_text(code)
    monkeypatch.setattr(mesh_module, "_gmsh_folder", lambda: str(tmp_path))
    limit = 0.5 if "sleep" in code else 60.0
    with pytest.raises(MeshError, match=match):
        triangulate([Polygon(SQUARE)], 1.0, time_limit=limit)


def test_gmsh_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MeshError, match="Gmsh is not installed"):
        triangulate([Polygon(SQUARE)], 1.0)


def test_meshing_leaves_gmsh_out_of_this_process():
    triangulate([Polygon(SQUARE)], 2.0)
    assert "gmsh" not in sys.modules
