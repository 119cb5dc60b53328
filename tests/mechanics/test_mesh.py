"""Meshes: what they must satisfy, and outlines that Gmsh turns into nonsense."""

from __future__ import annotations

import importlib.util
import os
import sys
import time

import numpy as np
import pytest
import shapely
import xarray as xr

from chemoscape.errors import MeshError
from chemoscape.mechanics import meshing
from chemoscape.mechanics.mesh import Mesh, check_mesh, triangulate
from chemoscape.mechanics.mesh_checks import check_faces

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
        ("import time; time.sleep(600)", "Gmsh did not finish within its time limit of 0.5 s"),
        ("raise OSError('libGLU.so.1: cannot open shared object file')", "libGLU.*libglu1-mesa"),
        ("import os; os.abort()", "Gmsh stopped with status"),
        ("raise ValueError('odd geometry')", "odd geometry"),
    ],
)
def test_wheel_that_hangs_crashes_or_cannot_load(tmp_path, monkeypatch, code, match):
    (tmp_path / "gmsh.py").write_text(code)
    monkeypatch.setattr(meshing, "_package_folder", {"gmsh": tmp_path}.get)
    monkeypatch.setattr("shutil.which", lambda name: None)
    limit = 0.5 if "sleep" in code else 60.0
    with pytest.raises(MeshError, match=match):
        triangulate([Polygon(SQUARE)], 1.0, time_limit=limit)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan, np.inf])
def test_impossible_time_limits(limit):
    with pytest.raises(MeshError, match="time limit"):
        triangulate([Polygon(SQUARE)], 1.0, time_limit=limit)


def test_without_any_mesher_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MeshError) as caught:
        triangulate([Polygon(SQUARE)], 1.0)
    assert str(caught.value).startswith(
        "no mesher runs here: Gmsh is not installed, there is no program gmsh on the path, netgen "
        "is not installed; pip install gmsh"
    )
    assert "pip install netgen-mesher" in str(caught.value)


GRID = """import sys, pathlib
text = pathlib.Path(sys.argv[1]).read_text()
assert "Plane Surface(1)" in text and "-2" in sys.argv, text
mesh = '''$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
4
{nodes}
$EndNodes
$Elements
2
1 2 2 0 1 1 2 3
2 2 2 0 1 1 3 4
$EndElements
'''
pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).write_text(mesh)
"""
CORNERS = "1 -5 -5 0\n2 5 -5 0\n3 5 5 0\n4 -5 5 0"


def only_a_program(tmp_path, monkeypatch, code):
    """A path with one `gmsh` on it, no wheel."""
    program = tmp_path / "gmsh"
    program.write_text(f"#!{sys.executable} -I\n{code}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(meshing, "_package_folder", lambda name: None)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a script")
def test_program_gmsh_takes_over_and_is_checked_as_strictly(tmp_path, monkeypatch):
    only_a_program(tmp_path, monkeypatch, GRID.format(nodes=CORNERS))
    mesh = triangulate([Polygon(SQUARE)], 1.0)
    assert sorted(map(tuple, mesh.points)) == sorted(SQUARE)
    assert len(mesh.triangles) == 2
    assert mesh.made_by == f"program {tmp_path / 'gmsh'}"
    only_a_program(tmp_path, monkeypatch, GRID.format(nodes=CORNERS.replace("5 5", "5 4")))
    with pytest.raises(MeshError, match="cover 90"):
        triangulate([Polygon(SQUARE)], 1.0)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a script")
@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import sys; sys.exit('libGLU.so.1: no such file')", "status 1 .libGLU.so.1: no such"),
        ("open('mesh.msh', 'w').write('nonsense')", "wrote a mesh that cannot be read"),
        ("", "status 0 .no message"),
    ],
)
def test_program_that_does_not_work(tmp_path, monkeypatch, code, match):
    only_a_program(tmp_path, monkeypatch, code)
    with pytest.raises(MeshError, match=match):
        triangulate([Polygon(SQUARE)], 1.0)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_time_limit_ends_grandchildren_too(tmp_path, monkeypatch):
    note = tmp_path / "pid"
    only_a_program(
        tmp_path,
        monkeypatch,
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(600)",
    )
    with pytest.raises(MeshError, match="time limit of 2 s"):
        triangulate([Polygon(SQUARE)], 1.0, time_limit=2.0)
    grandchild = int(note.read_text())
    for _ in range(100):  # whoever adopts it needs a moment to collect it
        try:
            with open(f"/proc/{grandchild}/stat") as stat:
                alive = stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            alive = False
        if not alive:
            break
        time.sleep(0.05)
    assert not alive


def ring_with_field():
    polygon = Polygon(circle(2, 60, (500, 3)).exterior, [circle(0.4, 20, (500, 4.2)).exterior])
    return polygon, slope_field((498, 502), (1, 5))


def slope_field(x_range, y_range):
    x, y = np.linspace(*x_range, 41), np.linspace(*y_range, 31)
    return xr.DataArray(
        np.broadcast_to(0.05 + 0.05 * (x - x[0]), (31, 41)),
        dims=("y", "x"),
        coords={"y": y, "x": x},
    )


def ratio_to_field(mesh, field):
    """Side of the equilateral triangle of equal area over the field's, at the centroids."""
    x, y = mesh.points[mesh.triangles].mean(axis=1).T
    wanted = field.interp(x=("t", x), y=("t", y)).values
    return np.sqrt(mesh.areas * 4 / np.sqrt(3)) / wanted


@pytest.mark.skipif(importlib.util.find_spec("gmsh") is None, reason="the wheel's own script")
def test_program_and_wheel_make_the_same_mesh(tmp_path, monkeypatch):
    polygon, field = ring_with_field()
    wheel = triangulate([polygon], 0.3, embedded=[circle(1, 40, (500, 3))], size_field=field)
    folder = meshing._package_folder("gmsh")
    only_a_program(
        tmp_path,
        monkeypatch,
        f"import sys; sys.path.insert(0, {str(folder)!r}); import gmsh\n"
        "gmsh.initialize(sys.argv, run=True); gmsh.finalize()",
    )
    program = triangulate([polygon], 0.3, embedded=[circle(1, 40, (500, 3))], size_field=field)
    assert program.made_by.startswith("program")
    assert wheel.made_by.startswith("Gmsh 4")
    np.testing.assert_allclose(program.points, wheel.points, atol=1e-9)
    np.testing.assert_array_equal(program.triangles, wheel.triangles)


@pytest.mark.skipif(importlib.util.find_spec("netgen") is None, reason="netgen is optional")
def test_netgen_takes_over(monkeypatch):
    polygon, field = ring_with_field()
    found = meshing._package_folder
    monkeypatch.setattr(meshing, "_package_folder", lambda n: None if n == "gmsh" else found(n))
    monkeypatch.setattr("shutil.which", lambda name: None)
    coarse = triangulate(
        [polygon, circle(1, 30, (504, 4))], 0.3, embedded=[circle(1, 40, (500, 3))]
    )
    assert coarse.made_by.startswith("netgen")
    assert coarse.quality.min() > 0.4
    graded = triangulate([polygon], 0.3, size_field=field)
    assert len(graded.triangles) > 2 * len(triangulate([polygon], 0.3).triangles)
    assert 0.5 < np.median(ratio_to_field(graded, field)) < 2


def test_sides_follow_a_size_field():
    polygon, field = ring_with_field()
    for grid in (field, field.transpose("x", "y"), field.isel(x=[0, 3, 5, *range(6, 41)])):
        mesh = triangulate([polygon], 0.5, size_field=grid)
        ratio = ratio_to_field(mesh, field)
        assert 0.85 < np.median(ratio) < 1.15
        assert np.percentile(ratio, 99) < 1.4
        assert mesh.quality.min() > 0.3
    # the smaller of field and size counts
    fine = triangulate([polygon], 0.1, size_field=field)
    assert np.sqrt(fine.areas.max() * 4 / np.sqrt(3)) < 0.15


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.where(f.x < 499), "size field is nan µm"),
        (lambda f: f * 0, "size field is 0.0 µm"),
        (lambda f: f.isel(x=0), "size field has dims"),
        (lambda f: f.isel(x=slice(None, None, -1)), "coordinate 'x' of the size field"),
        (lambda f: f * 1e-3, "more than 2,000,000"),
    ],
)
def test_bad_size_fields(change, match):
    polygon, field = ring_with_field()
    with pytest.raises(MeshError, match=match):
        triangulate([polygon], 0.5, size_field=change(field))


def test_mesh_that_does_not_follow_an_embedded_line_is_refused():
    mesh = triangulate([Polygon(SQUARE)], 3.0)
    half = [shapely.box(0, 0, 5.3, 10), shapely.box(5.3, 0, 10, 10)]
    with pytest.raises(MeshError, match=r"do not follow an embedded line.*µm² instead of"):
        check_faces(mesh, half)


def test_embedded_line_too_near_the_outline_is_refused():
    with pytest.raises(MeshError, match="embedded line comes within 1e-05 µm"):
        triangulate([Polygon(SQUARE)], 1.0, embedded=[shapely.box(1e-5, 1, 9, 9)])


def test_meshing_leaves_gmsh_out_of_this_process():
    triangulate([Polygon(SQUARE)], 2.0)
    assert "gmsh" not in sys.modules
