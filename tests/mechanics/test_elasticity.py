"""The solver's own guards: pins, rigid motion, self-check, names of boundaries and orders."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from skfem import MeshTri
from skfem.models.elasticity import linear_elasticity

from chemoscape.errors import MaterialError, RecipeError
from chemoscape.mechanics.boundaries import Springs
from chemoscape.mechanics.elasticity import SelfCheckError, solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.solvers import factorise

MATERIAL = Material(43.0, 0.3, 0.02)


@pytest.fixture(scope="module")
def two_squares():
    """Two squares apart, one turned by 45°."""
    square = MeshTri().refined(3)
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    points = np.vstack([square.p.T, square.p.T @ turn.T + [3.0, -1.0]])
    return Mesh(points, np.vstack([square.t.T, square.t.T + square.p.shape[1]]))


def swelling(system):
    x, y = system.mesh.points.T
    return isotropic_eigenstrain(system, 0.01 * np.sin(3 * x) * np.cos(2 * y))


@pytest.mark.parametrize("order", [1, 2])
def test_stiffness_matrix_equals_scikit_fems_own_form(two_squares, order):
    stiffness = MATERIAL.stiffness()
    system = assemble(two_squares, stiffness, order=order)
    other = linear_elasticity(stiffness[0, 1], stiffness[2, 2]).assemble(system.basis)
    assert abs(system.matrix - other).max() < 1e-13 * abs(other).max()


def test_pins_carry_no_force_and_rigid_motion_is_gone(two_squares):
    """Mean displacement and rotation vanish; stress is that of the null-space solution."""
    system = assemble(two_squares, MATERIAL.stiffness())
    load = swelling(system)
    found = solve(system, load)
    field, dx = system.basis.interpolate(found.displacement), system.basis.dx
    curl = field.grad[1, 0] - field.grad[0, 1]
    for number in (0, 1):
        own = system.particle == number
        size = np.abs(found.displacement).max()
        assert abs((np.asarray(field) * dx)[:, own].sum(axis=(1, 2))).max() < 1e-12 * size
        assert abs((curl * dx)[own].sum()) < 1e-10 * size

    # Lagrange multipliers against the six rigid modes give the same stress
    along_x = np.zeros(system.basis.N, bool)
    along_x[system.basis.nodal_dofs[0]] = along_x[system.basis.facet_dofs[0]] = True
    x, y = system.basis.doflocs
    modes = []
    for number in (0, 1):
        own = np.zeros(system.basis.N, bool)
        own[system.basis.element_dofs[:, system.particle == number]] = True
        modes += [own * along_x, own * ~along_x, own * np.where(along_x, -y, x)]
    rigid = sp.csc_matrix(np.array(modes, float).T)
    force = system.matrix @ found.displacement
    bordered = sp.bmat([[system.matrix, rigid], [rigid.T, None]]).tocsc()
    other = sp.linalg.spsolve(bordered, np.r_[force, np.zeros(6)])[: system.basis.N]
    strain = np.asarray(system.basis.interpolate(other).grad)
    difference = strain[0, 0] - found.strain[0]
    assert np.abs(difference).max() < 1e-10 * np.abs(found.strain).max()


@pytest.mark.parametrize("boundary", ["free", "fixed", Springs(5.0)])
@pytest.mark.parametrize("order", [1, 2])
def test_self_check_catches_a_wrong_solve(two_squares, boundary, order):
    system = assemble(two_squares, MATERIAL.stiffness(), order=order)
    right = factorise(system, boundary)
    load = swelling(system)
    solve(system, load, boundary, factor=right)
    rng = np.random.default_rng(0)

    def wrong(force):
        answer = right(force)
        return answer + 1e-5 * np.abs(answer).max() * rng.standard_normal(answer.shape)

    with pytest.raises(SelfCheckError, match="mean stress is off"):
        solve(system, load, boundary, factor=wrong)


def test_no_eigenstrain_no_stress(two_squares):
    system = assemble(two_squares, MATERIAL.stiffness())
    for boundary in ("free", "fixed", Springs(1.0)):
        found = solve(
            system, isotropic_eigenstrain(system, np.zeros(len(two_squares.points))), boundary
        )
        assert not found.stress.any()


def test_nodal_values_reproduce_a_linear_field(two_squares):
    system = assemble(two_squares, MATERIAL.stiffness())
    found = solve(system, swelling(system))
    x, y = system.positions
    px, py = two_squares.points.T
    np.testing.assert_allclose(
        found.nodal(np.array([2 + x - 3 * y, x])), [2 + px - 3 * py, px], atol=1e-12
    )
    np.testing.assert_allclose(
        found.element_mean(x), px[two_squares.triangles].mean(axis=1), atol=1e-12
    )


@pytest.mark.parametrize("boundary", ["clamped", None, 3.0])
def test_unknown_boundary(two_squares, boundary):
    with pytest.raises(RecipeError, match="is unknown"):
        factorise(assemble(two_squares, MATERIAL.stiffness(), order=1), boundary)


@pytest.mark.parametrize("stiffness", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_springs(stiffness):
    with pytest.raises(MaterialError, match="hold nothing"):
        Springs(stiffness)


def test_unknown_order(two_squares):
    with pytest.raises(RecipeError, match="order 3"):
        assemble(two_squares, MATERIAL.stiffness(), order=3)
