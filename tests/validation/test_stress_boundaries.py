"""Particles cut by the image against closed forms: the endless strip; springs against limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from skfem import MeshTri

from chemoscape.mechanics.boundaries import Cut, Springs, Supports, near_cut
from chemoscape.mechanics.elasticity import eigenstrain_load
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain, strain_of
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.solvers import factorise

E, NU, EPS = 43.0, 0.3, 0.352 / 43.0
STIFFNESS = Material(E, NU, 0.02).stiffness()
WIDTH, LENGTH = 1.0, 4.0
FRAME = (-2.0, -LENGTH / 2, 2.0, LENGTH / 2)
ENDS = ("bottom", "top")


@pytest.fixture(scope="module")
def strip():
    """A wire along y; inner points are moved, so that no answer comes from symmetry."""
    grid = MeshTri.init_tensor(np.linspace(-0.5, 0.5, 17), np.linspace(-2, 2, 65))
    points = grid.p.T.copy()
    inside = np.setdiff1d(np.arange(len(points)), grid.boundary_nodes())
    points[inside] += np.random.default_rng(0).uniform(-0.012, 0.012, (inside.size, 2))
    a, b, c = np.moveaxis(points[grid.t.T], 1, 0)
    left = (b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]
    triangles = np.where(left[:, None], grid.t.T, grid.t.T[:, [0, 2, 1]])
    return assemble(Mesh(points, triangles), STIFFNESS)


def isotropic(values):
    return np.array([values, values, np.zeros_like(values)])


def stress_in(system, eigenstrain, boundary):
    displacement = factorise(system, boundary)(eigenstrain_load(system, eigenstrain))
    strain = np.array(strain_of(system.basis.interpolate(displacement).grad))
    return np.einsum("ij,jeq->ieq", STIFFNESS, strain - eigenstrain)


def relative_l2(found, wanted, dx):
    return np.sqrt((((found - wanted) ** 2) * dx).sum() / ((wanted**2) * dx).sum())


def uneven(x):
    return EPS * (1 + x + 8 * x**3 - 6 * x**2)


def test_cut_ends_leave_a_uniform_wire_without_stress(strip):
    """Rollers at both ends put -E e = -352 MPa along the wire; an end that cannot widen, more."""
    swelling = isotropic(np.full(strip.basis.dx.shape, EPS))
    cut = stress_in(strip, swelling, Cut(ENDS, frame=FRAME))
    assert np.abs(cut).max() < 1e-10 * E * EPS

    rollers = stress_in(strip, swelling, Cut(ENDS, ends="roller", frame=FRAME))
    np.testing.assert_allclose(1e3 * rollers[1], -352.0, rtol=1e-9)
    assert np.abs(rollers[[0, 2]]).max() < 1e-10 * E * EPS

    one = stress_in(strip, swelling, Cut(("bottom",), ends="roller", frame=FRAME))
    assert np.abs(one).max() < 1e-10 * E * EPS  # a plane of symmetry is none the worse

    # a rigid end, were it ever so free to move and turn, holds back the width as a clamp does
    rigid = stress_in(strip, swelling, Supports({"bottom": "fixed"}, frame=FRAME))
    assert np.abs(rigid).max() > 0.5 * E * EPS
    far = ~near_cut(strip, Cut(("bottom",), frame=FRAME), 1.0)
    assert np.abs(rigid[:, far]).max() < 0.1 * E * EPS


def test_strip_with_cut_ends_is_endless(strip):
    """Case f, everywhere and in all three components; free ends only far away from them."""
    x, _ = strip.positions
    mean = quad(uneven, -0.5, 0.5)[0] / WIDTH
    slope = 12 / WIDTH**3 * quad(lambda t: uneven(t) * t, -0.5, 0.5)[0]
    along = E * (mean + slope * x - uneven(x))
    wanted = np.array([0 * along, along, 0 * along])
    load, dx = isotropic(uneven(x)), strip.basis.dx

    boundary = Cut(ENDS, frame=FRAME)
    cut = stress_in(strip, load, boundary)
    assert relative_l2(cut, wanted, dx) < 5e-3
    near = near_cut(strip, boundary, 0.1)
    assert 0 < near.sum() < 0.1 * near.size
    assert relative_l2(cut[:, near], wanted[:, near], dx[near]) < 5e-3

    free = stress_in(strip, load, "free")
    assert relative_l2(free[:, near], wanted[:, near], dx[near]) > 0.5
    far = ~near_cut(strip, boundary, 1.0)
    assert 0.4 < far.mean() < 0.6
    assert relative_l2(free[:, far], wanted[:, far], dx[far]) < 0.03

    rollers = stress_in(strip, load, Cut(ENDS, ends="roller", frame=FRAME))
    unbent = np.array([0 * along, -E * uneven(x), 0 * along])
    assert relative_l2(rollers, unbent, dx) < 5e-3


def test_clamped_strip_with_cut_ends_is_endless(strip):
    """Sides held, ends cut: strain only across, s_xx = -(E/(1-nu)) e + E/(1-nu²) strain_xx."""
    x, _ = strip.positions
    mean = quad(uneven, -0.5, 0.5)[0] / WIDTH
    # u_y = 0, d s_xx/dx = 0, ∫ strain_xx dx = 0: s_xx is uniform
    across = -E / (1 - NU) * mean + 0 * x
    strain = (across + E / (1 - NU) * uneven(x)) * (1 - NU**2) / E
    wanted = np.array([across, NU * E / (1 - NU**2) * strain - E / (1 - NU) * uneven(x), 0 * x])
    found = stress_in(strip, isotropic(uneven(x)), Cut(ENDS, rest="fixed", frame=FRAME))
    assert relative_l2(found, wanted, strip.basis.dx) < 5e-3


def test_wire_through_a_slanted_cut_piece(strip):
    """A cut that is not along x or y: swelling without curvature passes it without stress."""
    c, s = np.cos(0.5), np.sin(0.5)
    turn = np.array([[c, s], [-s, c]])
    system = assemble(Mesh(strip.mesh.points @ turn, strip.mesh.triangles), STIFFNESS)
    end = np.array([(-0.5, -2.0), (0.5, -2.0)]) @ turn
    across = strip.mesh.points[:, 0]
    load = isotropic_eigenstrain(system, EPS * (1 + across))
    boundary = Supports({"end": "cut"}, {"end": end.tolist()})
    assert np.abs(stress_in(system, load, boundary)).max() < 1e-9 * E * EPS


def test_springs_run_smoothly_from_free_to_fixed(strip):
    """Elastic energy grows with every stiffness from 0.1 to 1e6 GPa/µm, between both limits."""
    x, y = strip.positions
    load = isotropic(uneven(x) * np.cos(y))
    compliance = np.linalg.inv(STIFFNESS)

    def energy(boundary):
        s = stress_in(strip, load, boundary)
        return 0.5 * (np.einsum("ieq,ij,jeq->eq", s, compliance, s) * strip.basis.dx).sum()

    stiffness = [0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]
    free, fixed = energy("free"), energy("fixed")
    found = np.array([energy(Springs(k)) for k in stiffness])
    assert (np.diff([free, *found, fixed]) > 0).all()
    share = (found - free) / (fixed - free)
    assert share[0] < 0.02
    assert 1 - share[-1] < 1e-3
    # no decade takes more than half of the way
    assert np.diff([0.0, *share]).max() < 0.5

    weak, strong = (stress_in(strip, load, Springs(k)) for k in (1e-6, 1e9))
    for spring, limit in ((weak, "free"), (strong, "fixed")):
        assert relative_l2(spring, stress_in(strip, load, limit), strip.basis.dx) < 1e-4
