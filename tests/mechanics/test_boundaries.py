"""Cut edges, rollers, parts of outlines by name, pins where nothing holds, moments of reactions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from skfem import MeshTri

from chemoscape.errors import RecipeError
from chemoscape.mechanics.boundaries import (
    Cut,
    Springs,
    Supports,
    boundary_moments,
    near_cut,
    with_frame,
)
from chemoscape.mechanics.cuts import cut_facets, image_frame, rim_facets
from chemoscape.mechanics.elasticity import eigenstrain_load
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain, strain_of
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.solvers import factorise

E, NU, EPS = 43.0, 0.3, 0.01
STIFFNESS = Material(E, NU, 0.02).stiffness()
UNIT = (0.0, 0.0, 1.0, 1.0)


def rectangle(x, y, drop=None):
    """Triangles of a grid, without those whose middle obeys `drop`."""
    grid = MeshTri.init_tensor(np.asarray(x), np.asarray(y))
    triangles = grid.t.T
    if drop is not None:
        triangles = triangles[~drop(*grid.p[:, grid.t].mean(axis=1))]
    used, triangles = np.unique(triangles, return_inverse=True)
    a, b, c = np.moveaxis(grid.p.T[used][triangles.reshape(-1, 3)], 1, 0)
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    triangles = triangles.reshape(-1, 3)
    triangles = np.where(turn[:, None] < 0, triangles[:, [0, 2, 1]], triangles)
    return Mesh(grid.p.T[used].copy(), triangles)


def together(*meshes):
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])
    return Mesh(
        np.vstack([mesh.points for mesh in meshes]),
        np.vstack([m.triangles + n for m, n in zip(meshes, starts[:-1], strict=True)]),
    )


def stress_of(system, eigenstrain, displacement):
    strain = np.array(strain_of(system.basis.interpolate(displacement).grad))
    return np.einsum("ij,jeq->ieq", system.stiffness, strain - eigenstrain)


def solved(system, eigenstrain, boundary):
    """Displacement and stress, once the moment of what acts on the outlines is checked."""
    load = eigenstrain_load(system, eigenstrain)
    displacement = factorise(system, boundary)(load)
    stress = stress_of(system, eigenstrain, displacement)
    moments = boundary_moments(system, boundary, displacement, load)
    forces = np.abs(np.einsum("ij,jeq->ieq", system.stiffness, eigenstrain)) * system.basis.dx
    for number in range(len(moments)):
        own = system.particle == number
        found = (stress * system.basis.dx)[:, own].sum(axis=(1, 2))
        np.testing.assert_allclose(moments[number], found, atol=1e-10 * forces[:, own].sum())
    return displacement, stress


@pytest.fixture(scope="module")
def square():
    steps = np.linspace(0, 1, 9)
    return assemble(rectangle(steps, steps), STIFFNESS)


def uneven(system):
    x, y = system.mesh.points.T
    return isotropic_eigenstrain(system, EPS * np.sin(3 * x + 0.4) * np.cos(2 * y))


def test_facets_on_the_border_of_the_image(square):
    found = cut_facets(square.mesh, UNIT)
    assert {edge: len(pairs) for edge, pairs in found.items()} == dict.fromkeys(
        ("left", "bottom", "right", "top"), 8
    )
    assert (square.mesh.points[found["top"], 1] == 1.0).all()
    assert (square.mesh.points[found["left"], 0] == 0.0).all()
    assert len(rim_facets(square.mesh)) == 32
    nothing = cut_facets(square.mesh, (-1.0, -1.0, 2.0, 2.0))
    assert not any(map(len, nothing.values()))
    near = cut_facets(square.mesh, (-0.01, -1.0, 2.0, 2.0), tolerance=0.02)
    assert len(near["left"]) == 8


def test_frame_is_the_border_of_the_outermost_pixels():
    image = xr.DataArray(
        np.ones((4, 5)), dims=("y", "x"), coords={"y": 0.1 * np.arange(4), "x": np.arange(5.0)}
    )
    assert image_frame(image) == pytest.approx((-0.5, -0.05, 4.5, 0.35))
    assert image_frame(image[::-1]) == pytest.approx((-0.5, -0.05, 4.5, 0.35))
    assert image_frame(image[:1, :1]) == pytest.approx((-0.5, -0.5, 0.5, 0.5))
    framed = with_frame(Cut(), image_frame(image))
    assert framed.frame == image_frame(image)
    assert with_frame(framed, UNIT) is framed
    assert with_frame("free", UNIT) == "free"


@pytest.mark.parametrize("order", [1, 2])
def test_cut_edge_is_straight_and_carries_neither_force_nor_moment_nor_shear(square, order):
    system = assemble(square.mesh, STIFFNESS, order=order)
    eigenstrain = uneven(system)
    displacement, stress = solved(system, eigenstrain, Cut(("left",), frame=UNIT))
    assert np.abs(stress).max() > 0.05 * E * EPS
    edge = np.flatnonzero(system.basis.doflocs[0] == system.basis.doflocs[0].min())
    horizontal = np.zeros(system.basis.N, bool)
    horizontal[system.basis.nodal_dofs[0]] = True
    if order == 2:
        horizontal[system.basis.facet_dofs[0]] = True
    y = system.basis.doflocs[1]
    across, along = edge[horizontal[edge]], edge[~horizontal[edge]]
    line = np.polyfit(y[across], displacement[across], 1)
    size = np.abs(displacement).max()
    bent = displacement[across] - np.polyval(line, y[across])
    assert np.abs(bent).max() < 1e-12 * size
    assert abs(line[0]) > 1e-3 * size  # it turns
    free = factorise(system, "free")(eigenstrain_load(system, eigenstrain))
    bulge = free[across] - np.polyval(np.polyfit(y[across], free[across], 1), y[across])
    assert np.abs(bulge).max() > 1e-3 * size  # and would bend by itself

    reaction = system.matrix @ displacement - eigenstrain_load(system, eigenstrain)
    largest = np.abs(reaction).max()
    assert largest > 1e-4 * E * EPS
    assert abs(reaction[across].sum()) < 1e-11 * largest
    assert abs((reaction * y)[across].sum()) < 1e-11 * largest
    assert np.abs(reaction[along]).max() < 1e-11 * largest
    rest = np.setdiff1d(np.arange(system.basis.N), edge)
    assert np.abs(reaction[rest]).max() < 1e-11 * largest


def test_every_piece_of_every_particle_moves_by_itself():
    """Two bars through the left border, one of them forked: swelling unlike, none has stress."""
    bar = rectangle(np.linspace(0, 2, 17), np.linspace(0, 0.5, 5))
    fork = rectangle(
        np.linspace(0, 2, 17),
        np.linspace(1, 2, 9),
        drop=lambda x, y: (x < 1) & (abs(y - 1.5) < 0.2),
    )
    system = assemble(together(bar, fork), STIFFNESS)
    frame = (0.0, -1.0, 3.0, 3.0)
    x, y = system.mesh.points.T
    linear = np.where(system.mesh.particle == 0, EPS * (1 + y), EPS * (x - 2 * y))
    _, stress = solved(system, isotropic_eigenstrain(system, linear), Cut(frame=frame))
    # the slope along x bends the cut edge: only the first bar stays free of stress
    first = system.particle == 0
    assert np.abs(stress[:, first]).max() < 1e-10 * E * EPS
    only_y = np.where(system.mesh.particle == 0, EPS, EPS * (2 - y))
    displacement, stress = solved(system, isotropic_eigenstrain(system, only_y), Cut(frame=frame))
    assert np.abs(stress).max() < 1e-10 * E * EPS
    assert np.abs(displacement).max() > 0.1 * EPS


@pytest.mark.parametrize(
    ("boundary", "left"),
    [
        ("free", 3),
        ("fixed", 0),
        (Springs(1e-3), 0),
        (Cut(frame=UNIT), 3),
        (Cut(ends="roller", frame=UNIT), 0),
        (Cut(("left",), ends="roller", frame=UNIT), 1),
        (Cut(("left", "right"), ends="roller", frame=UNIT), 1),
        (Cut(("left", "top"), ends="roller", frame=UNIT), 0),
        (Cut(("left",), rest="fixed", frame=UNIT), 0),
        (Cut(("left",), rest=Springs(2.0), frame=UNIT), 0),
        (Supports({"left": "fixed"}, frame=UNIT), 0),
        (Supports({"left": "free"}, frame=UNIT), 3),
        (Supports({"spot": "fixed"}, {"spot": (0.3, -0.1, 0.45, 0.1)}), 0),
        (Supports({"spot": Springs(5.0)}, {"spot": lambda x, y: (x < 0.2) & (y == 0)}), 0),
        (Supports({"side": "roller"}, {"side": [(0, 0), (1, 0)]}), 1),
        (Supports({"side": "roller"}, {"side": [(0, 1), (0, 0), (1, 0)]}), 0),
        (Supports({"left": "cut", "right": "roller"}, frame=UNIT), 1),
    ],
)
def test_pins_only_what_is_left(square, boundary, left):
    """Uniform swelling about any held place; stress is unique and the count of motions right."""
    factor = factorise(square, boundary)
    assert factor.motions.shape[1] == left
    displacement, stress = solved(square, uneven(square), boundary)
    np.testing.assert_allclose(factor.means @ displacement, 0.0, atol=1e-14)
    assert np.isfinite(stress).all()


def test_rollers_on_a_round_outline_leave_its_rotation():
    """Normals at the corners of a polygon are the mean of its sides': a ring can turn, not move."""
    steps = 2 * np.pi * np.arange(24) / 24
    rings = [r * np.column_stack([np.cos(steps), np.sin(steps)]) for r in (0.6, 0.8, 1.0)]
    triangles = [
        corner
        for ring in range(2)
        for k in range(24)
        for corner in (
            (24 * ring + k, 24 * ring + 24 + k, 24 * ring + 24 + (k + 1) % 24),
            (24 * ring + k, 24 * ring + 24 + (k + 1) % 24, 24 * ring + (k + 1) % 24),
        )
    ]
    system = assemble(Mesh(np.vstack(rings), np.array(triangles)), STIFFNESS)
    boundary = Supports({"outside": "roller"}, {"outside": lambda x, y: x**2 + y**2 > 0.9})
    factor = factorise(system, boundary)
    assert factor.motions.shape[1] == 1
    places = system.basis.doflocs[:, system.basis.nodal_dofs[0]]
    turn = factor.motions.toarray()[system.basis.nodal_dofs, 0]
    np.testing.assert_allclose((places * turn).sum(axis=0), 0.0, atol=1e-12)


def test_part_held_twice_takes_the_later_and_corner_nodes_the_stricter(square):
    both = {"all": lambda x, y: x > -1, "left": lambda x, y: x == 0}
    eigenstrain = uneven(square)
    found = solved(square, eigenstrain, Supports({"all": "free", "left": "fixed"}, both))[0]
    wanted = solved(square, eigenstrain, Supports({"left": "fixed"}, frame=UNIT))[0]
    np.testing.assert_allclose(found, wanted, atol=1e-15)
    edge = square.basis.doflocs[0] == square.basis.doflocs[0].min()
    assert not wanted[edge].any()
    assert np.abs(wanted[~edge]).min() >= 0


def test_cut_next_to_what_is_fixed_is_a_roller(square):
    """Both ends of the cut edge are held: what is straight between them does not move across."""
    eigenstrain = uneven(square)
    cut = solved(square, eigenstrain, Cut(("left",), rest="fixed", frame=UNIT))[0]
    roller = solved(square, eigenstrain, Cut(("left",), "roller", "fixed", UNIT))[0]
    np.testing.assert_allclose(cut, roller, atol=1e-15)


@pytest.mark.parametrize("angle", [30.0, 127.0])
def test_turned_supports_turn_the_answer(square, angle):
    """Rollers and cut edges across any direction: rotating everything keeps von Mises."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[c, s], [-s, c]])
    names = {"low": [(0.0, 0.0), (1.0, 0.0)], "side": [(0.0, 0.0), (0.0, 1.0)]}
    turned = {name: (np.array(line) @ turn).tolist() for name, line in names.items()}
    moved = assemble(Mesh(square.mesh.points @ turn, square.mesh.triangles), STIFFNESS)
    x, y = square.mesh.points.T
    values = EPS * np.sin(3 * x + 0.4) * np.cos(2 * y)
    sizes = []
    for system, parts in ((square, names), (moved, turned)):
        boundary = Supports({"low": "cut", "side": "roller"}, parts)
        xx, yy, xy = solved(system, isotropic_eigenstrain(system, values), boundary)[1]
        sizes.append(np.sqrt(xx**2 + yy**2 - xx * yy + 3 * xy**2))
    np.testing.assert_allclose(sizes[1], sizes[0], atol=1e-10 * sizes[0].max())


def test_forty_particles_with_holes_and_islands_each_have_their_own_pins():
    """What one particle does is what it does alone; a whole image swells without stress."""
    rng = np.random.default_rng(3)
    steps = np.linspace(-0.5, 0.5, 7)
    hole = rectangle(steps, steps, drop=lambda x, y: (abs(x) < 0.3) & (abs(y) < 0.3))
    island = rectangle(np.linspace(-0.2, 0.2, 4), np.linspace(-0.1, 0.1, 3))
    whole = rectangle(steps, steps / 2)
    pieces = []
    for k in range(20):
        angle = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        place = np.array([2.0 * (k % 5), 2.0 * (k // 5)])
        both = (hole, island) if k % 2 == 0 else (whole, whole)
        for number, mesh in enumerate(both):
            apart = number * (0.0 if k % 2 == 0 else 0.8) * np.array([-s, c])
            turned = mesh.points @ np.array([[c, s], [-s, c]])
            pieces.append(Mesh(turned + place + apart, mesh.triangles))
    system = assemble(together(*pieces), STIFFNESS)
    assert system.mesh.particle.max() == 39
    factor = factorise(system, "free")
    assert factor.motions.shape[1] == 120
    _, stress = solved(system, isotropic_eigenstrain(system, np.full(len(system.mesh.points), EPS)),
                       "free")  # fmt: skip
    assert np.abs(stress).max() < 1e-10 * E * EPS

    x, y = system.mesh.points.T
    displacement, stress = solved(
        system, isotropic_eigenstrain(system, EPS * np.sin(3 * x) * np.cos(2 * y)), "free"
    )
    np.testing.assert_allclose(factor.means @ displacement, 0.0, atol=1e-14)
    starts = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    for number in (0, 1, 17, 39):
        alone = assemble(pieces[number], STIFFNESS)
        px, py = pieces[number].points.T
        own = isotropic_eigenstrain(alone, EPS * np.sin(3 * px) * np.cos(2 * py))
        wanted = solved(alone, own, "free")[1]
        point = starts[number]
        found = stress[:, system.particle == system.mesh.particle[point]]
        np.testing.assert_allclose(found, wanted, atol=1e-10 * np.abs(wanted).max())


def test_one_held_particle_among_free_ones():
    steps = np.linspace(0, 1, 5)
    first = rectangle(steps, steps)
    second = Mesh(first.points + np.array([2.0, 0.0]), first.triangles)
    system = assemble(together(first, second), STIFFNESS)
    boundary = Supports({"foot": "fixed"}, {"foot": (-0.1, -0.1, 1.1, 0.01)})
    assert factorise(system, boundary).motions.shape[1] == 3
    _, stress = solved(system, isotropic_eigenstrain(system, np.full(50, EPS)), boundary)
    held = system.particle == system.mesh.particle[0]
    assert np.abs(stress[:, held]).max() > 0.1 * E * EPS
    assert np.abs(stress[:, ~held]).max() < 1e-10 * E * EPS


def test_moment_of_reactions_does_not_excuse_a_wrong_solution(square):
    boundary = Cut(("left",), frame=UNIT)
    eigenstrain = uneven(square)
    load = eigenstrain_load(square, eigenstrain)
    displacement = factorise(square, boundary)(load)
    wrong = displacement * (1 + 1e-6 * np.random.default_rng(0).standard_normal(square.basis.N))
    moment = boundary_moments(square, boundary, wrong, load)[0]
    found = (stress_of(square, eigenstrain, wrong) * square.basis.dx).sum(axis=(1, 2))
    assert np.abs(found - moment).max() > 1e-9 * E * EPS


def test_triangles_near_a_cut(square):
    frame = (0.0, -1.0, 2.0, 2.0)
    centres = square.mesh.points[square.mesh.triangles].mean(axis=1)
    for boundary in (Cut(frame=frame), Cut(ends="roller", frame=frame),
                     Supports({"side": "cut"}, {"side": (-0.1, -1, 0.01, 2)})):  # fmt: skip
        np.testing.assert_array_equal(near_cut(square, boundary, 0.25), centres[:, 0] < 0.25)
        assert near_cut(square, boundary).all()
    for boundary in ("free", "fixed", Springs(1.0), Cut(frame=(-1.0, -1.0, 2.0, 2.0))):
        assert not near_cut(square, boundary).any()


def test_width_of_a_cut_is_that_of_its_own_piece():
    """A broad and a thin bar: one width is far in one, near in the other."""
    broad = rectangle(np.linspace(0, 3, 25), np.linspace(0, 1, 9))
    thin = rectangle(np.linspace(0, 3, 49), np.linspace(2, 2.25, 5))
    system = assemble(together(broad, thin), STIFFNESS)
    near = near_cut(system, Cut(frame=(0.0, -1.0, 4.0, 3.0)))
    x, y = system.mesh.points[system.mesh.triangles].mean(axis=1).T
    np.testing.assert_array_equal(near, x < np.where(y < 1.5, 1.0, 0.25))


def test_names_of_boundaries_name_files():
    assert str(Cut()) == "cut"
    assert str(Cut(("left", "top"), rest="fixed")) == "cut-left-top-rest-fixed"
    named = Supports({"left": "cut", "tip": Springs(2.0)}, {"tip": UNIT}, rest="fixed")
    assert str(named) == "left-cut-tip-springs-2-GPa-per-um-rest-fixed"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cut(("north",)), "edges"),
        (lambda: Cut("left"), "edges"),
        (lambda: Cut(()), "edges"),
        (lambda: Cut(ends="free"), "ends are 'free'"),
        (lambda: Cut(rest="cut"), "unknown"),
        (lambda: Cut(rest=Cut()), "the rest is cut"),
        (lambda: Cut(frame=(1.0, 0.0, 0.0, 1.0)), "no box"),
        (lambda: Cut(frame=(0.0, 0.0, np.nan, 1.0)), "no box"),
        (lambda: Supports({"tip": "fixed"}), "nowhere described"),
        (lambda: Supports({"left": "glued"}), "held by 'glued'"),
        (lambda: Supports({"left": "fixed"}, rest="cut"), "rest of an outline"),
        (lambda: Supports({"a/b": "fixed"}, {"a/b": UNIT}), "named 'a/b'"),
    ],
)
def test_impossible_boundaries(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (Cut(), "border is not given"),
        (Supports({"tip": "fixed"}, {"tip": (5.0, 5.0, 6.0, 6.0)}), "'tip'.*holds no side"),
        (Supports({"tip": "fixed"}, {"tip": [(5.0, 5.0), (6.0, 6.0)]}), "'tip'.*holds no side"),
        (Supports({"tip": "fixed"}, {"tip": (1.0, 2.0, 3.0)}), "has shape"),
        (Supports({"tip": "fixed"}, {"tip": lambda x, y: True}), "gives shape"),
    ],
)
def test_boundaries_that_do_not_fit_the_mesh(square, boundary, message):
    with pytest.raises(RecipeError, match=message):
        factorise(square, boundary)


def test_a_bent_part_cannot_stay_straight():
    for corners in (120, 240):
        steps = 2 * np.pi * np.arange(corners) / corners
        rim = np.column_stack([np.cos(steps), np.sin(steps)])
        following = (np.arange(corners) + 1) % corners
        fan = np.column_stack([np.full(corners, corners), np.arange(corners), following])
        system = assemble(Mesh(np.vstack([rim, [[0.0, 0.0]]]), fan), STIFFNESS, order=1)
        with pytest.raises(RecipeError, match="is bent"):
            factorise(system, Supports({"arc": "cut"}, {"arc": lambda x, y: y > 0.2}))
