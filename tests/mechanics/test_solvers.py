"""Solvers agree with each other, with a dense solution, and say what they cannot do."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from skfem import MeshTri

from chemoscape.errors import MeshError, RecipeError
from chemoscape.mechanics import multigrid, solvers
from chemoscape.mechanics.boundaries import Cut, Springs, Supports, boundary_moments
from chemoscape.mechanics.elasticity import eigenstrain_load
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain, strain_of
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.solvers import factorise, many_loads

STIFFNESS = Material(43.0, 0.3, 0.02).stiffness()
FRAME = (0.0, -1.0, 9.0, 2.0)
BOUNDARIES = [
    "free",
    "fixed",
    Springs(7.0),
    Cut(frame=FRAME),
    Cut(ends="roller", frame=FRAME),
]
OPTIONAL = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(module.split(".")[0]) is None, reason=f"no {package}"
        ),
    )
    for name, (module, package) in solvers.PACKAGES.items()
]


def squares(refined):
    """Three squares: two through the left border, one of them turned; one apart."""
    grid = MeshTri().refined(refined)
    points, triangles = grid.p.T, grid.t.T
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    slanted = np.array([[1.0, 1.0], [0.0, 1.0]])
    places = [points, points @ slanted + [0.0, 3.0], points @ turn + [4.0, 0.0]]
    starts = len(points) * np.arange(3)
    return Mesh(np.vstack(places), np.vstack([triangles + n for n in starts]))


@pytest.fixture(scope="module", params=[1, 2])
def system(request):
    return assemble(squares(4 if request.param == 1 else 3), STIFFNESS, order=request.param)


def load_of(system, phase=0.0):
    x, y = system.mesh.points.T
    values = 0.01 * np.sin(3 * x + phase) * np.cos(2 * y)
    return eigenstrain_load(system, isotropic_eigenstrain(system, values))


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
@pytest.mark.parametrize("order", [1, 2])
def test_answer_minimises_the_energy_among_all_that_the_boundary_admits(boundary, order):
    """Independent: a dense least-squares solution of T^T (K + S) T q = T^T f."""
    system = assemble(squares(3 - order), STIFFNESS, order=order)
    factor = factorise(system, boundary, solver="superlu")
    springs = solvers.spring_matrix(system, solvers.held_sides(system, boundary))
    whole = system.matrix.toarray() + (0 if springs is None else springs.toarray())
    eliminated = solvers.constraints(system, solvers.held_sides(system, boundary))
    admitted = eliminated.transform.toarray()
    load = load_of(system)
    q = np.linalg.lstsq(admitted.T @ whole @ admitted, admitted.T @ load, rcond=1e-12)[0]
    dense = admitted @ q
    found = factor(load)
    difference = np.asarray(system.basis.interpolate(found - dense).grad)
    strain = np.asarray(system.basis.interpolate(found).grad)
    symmetric = np.array(strain_of(difference))
    assert np.abs(symmetric).max() < 1e-9 * np.abs(strain).max()
    np.testing.assert_allclose(
        (eliminated.pick @ eliminated.transform).toarray(), np.eye(admitted.shape[1]), atol=1e-12
    )


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
@pytest.mark.parametrize("solver", OPTIONAL)
def test_solvers_agree(system, boundary, solver):
    wanted = factorise(system, boundary, solver="superlu")(load_of(system))
    factor = factorise(system, boundary, solver=solver)
    assert factor.solver == solver
    found = factor(load_of(system))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-8 * np.abs(wanted).max())
    two = factor(np.column_stack([load_of(system, 1.0), load_of(system)]))
    np.testing.assert_allclose(two[:, 1], found, rtol=0, atol=1e-8 * np.abs(wanted).max())
    assert not factor(np.zeros_like(found)).any()


def test_rigid_motion_that_nothing_holds_is_gone_and_the_rest_kept(system):
    for boundary in BOUNDARIES:
        factor = factorise(system, boundary)
        found = factor(load_of(system))
        np.testing.assert_allclose(factor.means @ found, 0.0, atol=1e-13 * np.abs(found).max())
        identity = (factor.means @ factor.motions).toarray()
        np.testing.assert_allclose(identity, np.eye(len(identity)), atol=1e-12)
        forces = system.matrix @ factor.motions
        assert np.abs(forces.toarray()).max(initial=0.0) < 1e-12 * np.abs(system.matrix).max()


def test_many_loads_in_blocks(system):
    """The same displacements whatever the block; loads are asked for as they are needed."""
    factor = factorise(system, "fixed")
    loads = [load_of(system, phase) for phase in np.arange(7.0)]
    wanted = [factor(load) for load in loads]
    asked = []

    def source():
        for number, load in enumerate(loads):
            asked.append(number)
            yield load

    for block in (1, 3 * loads[0].nbytes, 10**9):
        asked.clear()
        answers = many_loads(factor, source(), block_bytes=block)
        first = next(answers)
        assert len(asked) == min(max(1, block // loads[0].nbytes), 7)
        size = np.abs(first).max()
        found = [first, *answers]
        assert len(found) == 7
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * size)
    assert list(many_loads(factor, [])) == []


def test_spread_of_many_loads_is_that_of_their_covariance():
    """Uncorrelated draws of nodal strain: the sd of displacement is (G diag(s²) G^T)^½."""
    system = assemble(squares(1), STIFFNESS)
    factor = factorise(system, "fixed")
    points = len(system.mesh.points)
    columns = [eigenstrain_load(system, isotropic_eigenstrain(system, e)) for e in np.eye(points)]
    answers = np.array(list(many_loads(factor, columns))).T
    wanted = 0.01 * np.sqrt((answers**2).sum(axis=1))
    rng = np.random.default_rng(5)
    draws = (np.column_stack(columns) @ (0.01 * rng.standard_normal(points)) for _ in range(2000))
    square, count = np.zeros(system.basis.N), 0
    for displacement in many_loads(factor, draws, block_bytes=50_000):
        square, count = square + displacement**2, count + 1
    moving = wanted > 1e-9
    assert moving.sum() > 10
    ratio = np.sqrt(square / count)[moving] / wanted[moving]
    assert np.abs(ratio - 1).max() < 5 / np.sqrt(2 * count)


def test_unknown_solver(system):
    with pytest.raises(RecipeError, match="the solver 'pardiso' is unknown"):
        factorise(system, "free", solver="pardiso")


@pytest.mark.parametrize("solver", ["cholmod", "amg"])
def test_solver_that_is_not_installed(system, solver, monkeypatch):
    monkeypatch.setitem(solvers.PACKAGES, solver, ("no_such_module_here", "no-such-package"))
    with pytest.raises(RecipeError, match=r"not installed.*pip install no-such-package"):
        factorise(system, "free", solver=solver)


def test_automatic_choice(system, monkeypatch):
    """CHOLMOD where it is; the iterative solver only for many unknowns; SuperLU always."""
    here = set()
    monkeypatch.setattr(solvers, "_module", lambda name: name if name in here else None)
    assert solvers._chosen("auto", 10**6) == "superlu"
    here.add("amg")
    assert solvers._chosen("auto", 400_000) == "superlu"
    assert solvers._chosen("auto", 10**6) == "amg"
    here.add("cholmod")
    assert solvers._chosen("auto", 100) == "cholmod"


def test_full_memory_is_said(system, monkeypatch):
    def full(*args, **options):
        raise MemoryError

    monkeypatch.setattr(solvers, "splu", full)
    with pytest.raises(MeshError, match="unknowns do not fit into memory; raise mesh_size"):
        factorise(system, "free", solver="superlu")


def test_stalled_iteration_is_said():
    class Stalled:
        def solve(self, load, residuals, **options):
            residuals.extend([1.0, 1e-3])
            return load

    with pytest.raises(MeshError, match=r"stalls at a residual of 1\.0e-03"):
        multigrid._conjugate_gradients(Stalled(), np.ones(3))


def test_oblique_rollers_and_cuts_in_one_image():
    """A part that follows no axis: the equilibrium of forces holds all the same."""
    system = assemble(squares(3), STIFFNESS)
    line = [(4.0, 0.0), (4.0 + 2**-0.5, 2**-0.5)]
    boundary = Supports({"low": "roller", "left": "cut"}, {"low": line}, frame=FRAME)
    factor = factorise(system, boundary)
    assert factor.motions.shape[1] == 3 + 3 + 1
    load = load_of(system)
    displacement = factor(load)
    x, y = system.mesh.points.T
    on_line = np.abs((x - 4.0) - y) < 1e-9
    ux, uy = displacement[system.basis.nodal_dofs]
    assert np.abs((ux - uy)[on_line & (x > 3.9)]).max() < 1e-14
    moments = boundary_moments(system, boundary, displacement, load)
    assert moments.shape == (3, 3)
