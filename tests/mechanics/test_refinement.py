"""Meshes that resolve or follow a change of composition, against closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import shapely
import xarray as xr
from scipy import ndimage
from scipy.integrate import cumulative_trapezoid

from chemoscape.errors import ChemoscapeWarning, MeshError
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.outline import Outline, fill_outside, sample, trace
from chemoscape.mechanics.phases import phase_contour
from chemoscape.mechanics.refinement import size_from_gradient

E, NU, EPS = 43.0, 0.3, 0.01
LAW = E / (1 - NU**2) * np.array([[1, NU, 0], [NU, 1, 0], [0, 0, (1 - NU) / 2]])
PIXEL, CORE = 0.02, 0.5


def circle(radius, corners, centre=(0.0, 0.0)):
    angle = 2 * np.pi * np.arange(corners) / corners
    return shapely.Polygon(np.column_stack([np.cos(angle), np.sin(angle)]) * radius + centre)


DISK = Outline((circle(1.0, 126),))


def disk_map(profile, pixels=108):
    """Map of composition(r) in a disk of radius 1, centred off the grid."""
    axis = PIXEL * (np.arange(pixels) - (pixels - 1) / 2) + 0.003
    r = np.hypot(*np.meshgrid(axis, axis))
    return xr.DataArray(
        np.where(r < 1, profile(r), np.nan), dims=("y", "x"), coords={"y": axis, "x": axis}
    )


def box_map(values, pitch=1.0):
    rows, columns = values.shape
    return xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": pitch * np.arange(rows), "x": pitch * np.arange(columns)},
    )


def von_mises(stress):
    xx, yy, xy = stress[:3]
    return np.sqrt(xx**2 + yy**2 - xx * yy + 3 * xy**2)


def relative_l2(found, wanted, dx):
    return np.sqrt(((found - wanted) ** 2 * dx).sum() / (wanted**2 * dx).sum())


def core_shell(x, y):
    """Von Mises of a sharp core in a free disk (closed form d)."""
    r2 = np.maximum(x**2 + y**2, 1e-30)
    inside = r2 < CORE**2
    uniform = -E * EPS / 2 * (1 - CORE**2)
    shell = E * EPS * CORE**2 / 2
    radial = np.where(inside, uniform, shell * (1 - 1 / r2))
    hoop = np.where(inside, uniform, shell * (1 + 1 / r2))
    return np.sqrt(radial**2 + hoop**2 - radial * hoop)


def test_core_from_a_pixel_map_followed_by_the_mesh():
    comp = disk_map(lambda r: (r < CORE) * 1.0)
    (line,) = phase_contour(comp, 0.5, DISK)
    core = shapely.Polygon(line)
    assert core.area == pytest.approx(np.pi * CORE**2, rel=5e-3)
    assert shapely.hausdorff_distance(core.exterior, circle(CORE, 400).exterior) < 0.5 * PIXEL

    errors, away = {}, {}
    exact = circle(CORE, 126)
    for name, embedded in (("circle", exact), ("followed", core), ("across", None)):
        mesh = triangulate(DISK.polygons, 2 * PIXEL, embedded=[embedded] if embedded else ())
        # many points: a coarse rule would miss the strip between the contour and the circle
        system = assemble(mesh, LAW, quadrature_order=10)
        x, y = system.positions
        if embedded:
            centroids = mesh.points[mesh.triangles].mean(axis=1)
            strain = np.broadcast_to(shapely.contains_xy(embedded, *centroids.T)[:, None], x.shape)
        else:
            filled = fill_outside(comp.values, np.isfinite(comp.values))
            at = np.column_stack([x.ravel(), y.ravel()])
            strain = sample(filled, at, comp).reshape(x.shape)
        found = von_mises(solve(system, EPS * np.array([strain, strain, 0 * strain])).stress)
        dx = system.basis.dx
        errors[name] = relative_l2(found, core_shell(x, y), dx)
        far = np.abs(np.hypot(x, y) - CORE) > 2 * PIXEL
        away[name] = relative_l2(found[far], core_shell(x, y)[far], dx[far])
    assert errors["circle"] < 3e-3
    # what the pixels do not tell: half a pixel of the boundary's place
    assert errors["followed"] < 0.055
    assert errors["followed"] < 0.7 * errors["across"]
    assert away["followed"] < 0.01


def interface(r):
    return 0.5 * (1 - np.tanh((r - CORE) / 0.05))


def error_near_interface(mesh):
    """Von Mises against closed form c, eigenstrain taken exactly at the mesh's points."""
    grid = np.linspace(0, 1, 4001)
    integral = cumulative_trapezoid(interface(grid) * grid, grid, initial=0)
    system = assemble(mesh, LAW)
    x, y = system.positions
    r = np.maximum(np.hypot(x, y), 1e-9)
    inner = np.interp(r, grid, integral) / r**2
    radial = E * EPS * (integral[-1] - inner)
    hoop = E * EPS * (integral[-1] + inner - interface(r))
    wanted = np.sqrt(radial**2 + hoop**2 - radial * hoop)
    strain = EPS * interface(np.hypot(*mesh.points.T))
    found = solve(system, isotropic_eigenstrain(system, strain)).stress
    return relative_l2(von_mises(found), wanted, system.basis.dx)


def test_graded_mesh_needs_fewer_triangles_for_the_same_error():
    field = size_from_gradient(disk_map(interface), 0.15, 0.0125, smoothing_px=0.5)
    graded = triangulate(DISK.polygons, 0.15, size_field=field)
    uniform = triangulate(DISK.polygons, 0.04)
    assert len(graded.triangles) < 0.5 * len(uniform.triangles)
    assert error_near_interface(graded) < error_near_interface(uniform)


def test_four_sides_span_the_change_and_sizes_grow_slowly():
    comp = disk_map(interface)
    field = size_from_gradient(comp, 0.2, 0.005, smoothing_px=0.3)
    r = np.hypot(*np.meshgrid(field.x, field.y))
    width = 2 * 0.05  # step over slope at the middle of (1 - tanh(r/w))/2
    at_interface = np.abs(r - CORE) < 0.5 * PIXEL
    assert (field.values[at_interface] <= width / 4 * 1.15).all()
    assert (field.values[at_interface] > width / 4 * 0.8).all()
    assert field.max() <= 0.2
    slope = np.hypot(*np.gradient(field.values, PIXEL))
    assert np.percentile(slope, 99) < 0.6
    mesh = triangulate(DISK.polygons, 0.2, size_field=field)
    near = np.abs(np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T) - CORE) < 0.02
    sides = np.sqrt(mesh.areas[near] * 4 / np.sqrt(3))
    assert np.percentile(sides, 95) < width / 4 * 1.3


def test_uniform_maps_single_pixels_and_given_steps():
    flat = size_from_gradient(box_map(np.full((20, 30), 0.3)), 2.0, 0.1)
    assert (flat == 2.0).all()
    assert size_from_gradient(box_map(np.array([[0.3]])), 2.0, 0.1).item() == 2.0
    line = size_from_gradient(box_map(np.array([[0.0, 0.0, 1.0, 1.0]])), 2.0, 0.1)
    assert line.min() < 1.0
    noise = box_map(0.3 + 1e-3 * np.random.default_rng(0).standard_normal((40, 40)))
    assert size_from_gradient(noise, 2.0, 0.1, smoothing_px=0).median() < 1.9
    assert (size_from_gradient(noise, 2.0, 0.1, smoothing_px=0, step=0.3) == 2.0).all()


def test_pixels_without_composition_make_no_gradient():
    values = np.full((30, 30), 0.3)
    values[:8] = np.nan
    assert (size_from_gradient(box_map(values), 2.0, 0.1) == 2.0).all()


@pytest.mark.parametrize(
    ("size", "finest"), [(1.0, 2.0), (1.0, 0.0), (np.nan, 0.1), (np.inf, 0.1), (1.0, -1.0)]
)
def test_impossible_grades(size, finest):
    with pytest.raises(MeshError, match="cannot be graded"):
        size_from_gradient(box_map(np.ones((5, 5))), size, finest)


def test_no_composition_at_all():
    empty = box_map(np.full((30, 30), np.nan))
    with pytest.raises(MeshError, match="finite composition"):
        size_from_gradient(empty, 1.0, 0.1)
    with pytest.raises(MeshError, match="finite composition"):
        phase_contour(empty, 0.5, trace(box_map(np.ones((30, 30), bool))))


def phase_areas(comp, outline, level, size):
    """Area of the mesh above the level, by where centroids lie, and the number of lines."""
    lines = phase_contour(comp, level, outline)
    mesh = triangulate(outline.polygons, size, embedded=lines)
    x, y = mesh.points[mesh.triangles].mean(axis=1).T
    high = sample(fill_outside(comp.values, np.ones(comp.shape)), np.column_stack([x, y]), comp)
    return mesh.areas[high > level].sum(), len(lines)


def test_straight_boundary_is_led_to_the_outline_at_both_ends():
    y, x = np.mgrid[:40, :60]
    comp = box_map((x + 0.3 * y < 35) * 1.0)
    outline = trace(box_map(np.ones((40, 60), bool)))
    area, count = phase_areas(comp, outline, 0.5, 2.0)
    assert count == 1
    # x from -0.5 to 35 - 0.3 y, 40 rows of mean y = 19.5
    assert area == pytest.approx(40 * (35.5 - 0.3 * 19.5), rel=0.01)


def test_boundary_through_a_ring_gives_two_lines():
    y, x = np.mgrid[:60, :60]
    r = np.hypot(x - 29.3, y - 29.6)
    outline = trace(box_map((r < 27) & (r > 12)))
    _, count = phase_areas(box_map((y > 29.6) * 1.0), outline, 0.5, 2.0)
    assert count == 2


def test_patch_at_the_outline_is_cut_off_by_one_line():
    y, x = np.mgrid[:60, :60]
    outline = trace(box_map(np.hypot(x - 30, y - 30) < 25))
    patch = np.hypot(x - 55, y - 30) < 10
    area, count = phase_areas(box_map(patch * 1.0), outline, 0.5, 2.0)
    assert count == 1
    disks = circle(25, 300, (30, 30)).intersection(circle(10, 300, (55, 30)))
    assert area == pytest.approx(disks.area, rel=0.08)


def test_specks_are_left_out_and_said():
    y, x = np.mgrid[:60, :60]
    inside = np.hypot(x - 30, y - 30) < 25
    values = (x < 30) * 1.0
    values[30, 40] = values[20:22, 45:47] = 1.0
    values[40:42, 15:17] = 0.0
    with pytest.warns(ChemoscapeWarning, match="3 patches of composition across 0.5"):
        lines = phase_contour(box_map(values), 0.5, trace(box_map(inside)), smoothing_px=0.0)
    assert len(lines) == 1


@pytest.mark.parametrize("level", [-1.0, 0.3, 2.0])
def test_no_crossing_no_line(level):
    outline = trace(box_map(np.ones((20, 30), bool)))
    assert phase_contour(box_map(np.full((20, 30), 0.3)), level, outline) == ()


def test_plateau_at_the_level():
    _, x = np.mgrid[:20, :30]
    comp = box_map(np.clip((x - 10) / 10, 0, 1.0))
    (line,) = phase_contour(comp, 1.0, trace(box_map(np.ones((20, 30), bool))), smoothing_px=0)
    assert np.allclose(shapely.get_coordinates(line)[:, 0], 20.0, atol=1e-6)


def test_contours_of_noise_can_always_be_meshed():
    left_out = followed = 0
    y, x = np.mgrid[:50, :50]
    inside = np.hypot(x - 25, y - 25) < 22
    inside &= np.hypot(x - 30, y - 25) > 6
    outline = trace(box_map(inside, 0.05))
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values = ndimage.gaussian_filter(rng.standard_normal((50, 50)), (0.7, 1.5, 4.0)[seed % 3])
        values = values / values.std() if seed % 2 else (values > 0) * 1.0
        comp = box_map(np.where(inside, values, np.nan), 0.05)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ChemoscapeWarning)
            lines = phase_contour(comp, 0.4, outline)
        left_out += sum("cannot follow" in str(w.message) for w in said)
        followed += len(lines)
        triangulate(outline.polygons, (0.05, 0.1, 0.25)[seed // 4], embedded=lines)
    assert followed > 30
    assert left_out < 10
