"""Stress of materials against closed forms: planes, angles, moduli by phase, lattice tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shapely
from scipy.integrate import quad
from skfem import MeshTri

from chemoscape.mechanics.boundaries import Springs
from chemoscape.mechanics.elasticity import SelfCheckError, solve
from chemoscape.mechanics.elements import (
    assemble,
    isotropic_eigenstrain,
    material_eigenstrain,
    material_law,
)
from chemoscape.mechanics.lattice import Lattice
from chemoscape.mechanics.material import Material, PhaseModulus
from chemoscape.mechanics.mesh import Mesh, triangulate
from chemoscape.mechanics.solvers import factorise

E, NU, EPS = 43.0, 0.3, 0.01
R, A = 1.0, 0.5
SOLID = Material(E, NU, EPS)
#: Along a, b and across: contracts, expands, and swells a little, unlike in stiffness too.
CRYSTAL = Material(
    (60.0, 35.0, 20.0), (0.2, 0.3, 0.25), (-0.03, 0.05, 0.02), shear_GPa=12.0, angle_deg=20.0
)


def circle(radius, corners, centre=(0.0, 0.0)):
    angle = 2 * np.pi * np.arange(corners) / corners
    return shapely.Polygon(
        np.column_stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)])
    )


@pytest.fixture(scope="module")
def disk():
    return triangulate([circle(R, 126)], R / 20)


@pytest.fixture(scope="module")
def ring_and_disk():
    ring = shapely.Polygon(circle(1.0, 60).exterior, [circle(0.4, 30).exterior])
    return triangulate([ring, circle(0.5, 40, (2.0, 0.3))], 0.1)


@pytest.fixture(scope="module")
def core_shell_meshes():
    """Two meshes that follow the phase boundary, the second twice as fine."""
    return [triangulate([circle(R, 2 * n)], 3 * R / n, embedded=[circle(A, n)]) for n in (63, 126)]


def solved(mesh, material, composition, plane, boundary, order=2):
    system = assemble(mesh, material_law(mesh, material, composition, plane), order=order)
    return solve(system, material_eigenstrain(system, material, composition), boundary)


def relative_l2(found, wanted, dx):
    return np.sqrt((((found - wanted) ** 2) * dx).sum() / ((wanted**2) * dx).sum())


def polar_to_cartesian(radial, hoop, x, y):
    r2 = x**2 + y**2
    return np.array(
        [
            (radial * x**2 + hoop * y**2) / r2,
            (radial * y**2 + hoop * x**2) / r2,
            (radial - hoop) * x * y / r2,
        ]
    )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("rates", [(EPS, EPS, EPS), (EPS, EPS, 0.0), (EPS, EPS, -2 * EPS)])
@pytest.mark.parametrize("plane", ["stress", "strain", "generalised"])
def test_uniform_eigenstrain_in_every_plane(ring_and_disk, plane, rates, order):
    """Cases a and b: e in the plane acts as e + nu e_z where the thickness is held."""
    material = dataclasses.replace(SOLID, eigenstrain=rates)
    across = rates[2]
    x = np.ones(len(ring_and_disk.points))
    free = solved(ring_and_disk, material, x, plane, "free", order)
    assert np.abs(free.stress).max() < 1e-10 * E * EPS
    pull = -E * across if plane == "strain" else 0.0
    np.testing.assert_allclose(free.stress_zz, pull, atol=1e-10 * E * EPS)

    fixed = solved(ring_and_disk, material, x, plane, "fixed", order)
    if plane == "strain":
        wanted = -E * (EPS + NU * across) / ((1 + NU) * (1 - 2 * NU))
        wanted_zz = 2 * NU * wanted - E * across
    else:
        wanted, wanted_zz = -E * EPS / (1 - NU), 0.0
    np.testing.assert_allclose(fixed.stress[:2], wanted, rtol=1e-10)
    assert np.abs(fixed.stress[2]).max() < 1e-10 * E * EPS
    np.testing.assert_allclose(fixed.stress_zz, wanted_zz, rtol=1e-10, atol=1e-10 * E * EPS)
    if plane == "generalised":
        np.testing.assert_allclose(free.strain_zz, across, atol=1e-12 * EPS)
        # squeezed in the plane, it grows across
        np.testing.assert_allclose(fixed.strain_zz, across + 2 * NU * EPS / (1 - NU), rtol=1e-10)
    else:
        assert (
            (fixed.strain_zz == 0).all() if plane == "strain" else np.isnan(fixed.strain_zz).all()
        )


@pytest.mark.parametrize("plane", ["stress", "strain", "generalised"])
def test_clamped_crystal(ring_and_disk, plane):
    """Case b with axes of its own: no strain, hence Hooke's law of the eigenstrain alone."""
    fixed = solved(ring_and_disk, CRYSTAL, np.full(len(ring_and_disk.points), 0.4), plane, "fixed")
    full = np.linalg.inv(CRYSTAL.elastic.compliance)  # in the crystal's axes
    rates = np.array(CRYSTAL.eigenstrain) * 0.4
    own = np.array([rates[0], rates[1], 0.0, rates[2]])
    if plane != "strain":  # nothing pulls across: condense
        own[3] = full[3, :3] @ -own[:3] / full[3, 3]
    xi, eta, _, zz = -full @ own
    c, s = np.cos(np.deg2rad(20.0)), np.sin(np.deg2rad(20.0))
    turn = np.array([[c, -s], [s, c]])
    (xx, xy), (_, yy) = turn @ np.diag([xi, eta]) @ turn.T
    wanted = np.array([xx, yy, xy])[:, None, None]
    np.testing.assert_allclose(
        fixed.stress, np.broadcast_to(wanted, fixed.stress.shape), rtol=1e-10
    )
    np.testing.assert_allclose(fixed.stress_zz, zz, rtol=1e-10, atol=1e-10)


def test_composition_linear_in_position_bends_a_crystal_without_stress(disk):
    x, y = disk.points.T
    free = solved(disk, CRYSTAL, 0.3 + x - 0.7 * y, "stress", "free")
    assert np.abs(free.stress).max() < 1e-10 * 60 * 0.05
    assert np.abs(free.strain).max() > 0.02


def test_harmonic_composition_of_a_soft_cored_particle_is_not_stress_free_across(disk):
    """c = x in plane strain: nothing in the plane, but nu (sxx + syy) - E e across."""
    x = disk.points[:, 0]
    held = solved(disk, SOLID, x, "strain", "free")
    assert np.abs(held.stress).max() < 1e-10 * E * EPS
    np.testing.assert_allclose(
        held.stress_zz, -E * EPS * held.system.positions[0], atol=1e-10 * E * EPS
    )


@pytest.mark.parametrize("plane", ["strain", "generalised"])
def test_long_cylinder_with_radial_composition(disk, plane):
    """Timoshenko and Goodier, Theory of Elasticity, section 135: a long cylinder, T(r) = 1 - r².

    E e/(1-nu) (I(R)/R² - I(r)/r²), (I(R)/R² + I(r)/r² - T), and across (2 I(R)/R² - T) where the
    ends are free to part; where they are not, 2 nu I(R)/R² - T.
    """
    found = solved(disk, SOLID, 1 - (disk.points**2).sum(axis=1), plane, "free")
    x, y = found.system.positions
    r2 = x**2 + y**2
    mean, ratio = 1 / 2 - 1 / 4, 1 / 2 - r2 / 4  # I(R)/R², I(r)/r²
    scale = E * EPS / (1 - NU)
    wanted = scale * polar_to_cartesian(mean - ratio, mean + ratio - (1 - r2), x, y)
    ends = 2 * mean if plane == "generalised" else 2 * NU * mean
    dx = found.system.basis.dx
    assert relative_l2(found.stress, wanted, dx) < 2e-3
    assert relative_l2(found.stress_zz, scale * (ends - (1 - r2)), dx) < 2e-3
    if plane == "generalised":
        assert found.strain_zz == pytest.approx(2 * EPS * mean, rel=2e-3)


@pytest.mark.parametrize("boundary", ["free", "fixed", Springs(20.0)])
def test_every_particle_parts_by_itself_and_takes_no_force_across(ring_and_disk, boundary):
    """Generalised plane strain: the mean of stress_zz is 0 in each, with a strain of its own."""
    x, y = ring_and_disk.points.T
    material = dataclasses.replace(CRYSTAL, angle_deg=(20.0, -65.0))
    found = solved(ring_and_disk, material, 0.3 + 0.2 * np.sin(3 * x * y), "generalised", boundary)
    dx, particle = found.system.basis.dx, found.system.particle
    for number in (0, 1):
        own = particle == number
        force = (found.stress_zz * dx)[own].sum()
        assert abs(force) < 1e-10 * (np.abs(found.stress_zz) * dx)[own].sum()
    assert abs(np.diff(found.strain_zz)[0]) > 1e-5

    # the other particle far away changes nothing
    points = np.flatnonzero(ring_and_disk.particle == 1)
    triangles = np.searchsorted(points, ring_and_disk.triangles[particle == 1])
    alone = Mesh(ring_and_disk.points[points], triangles)
    px, py = alone.points.T
    other = solved(
        alone,
        dataclasses.replace(CRYSTAL, angle_deg=-65.0),
        0.3 + 0.2 * np.sin(3 * px * py),
        "generalised",
        boundary,
    )
    size = np.abs(found.stress).max()
    np.testing.assert_allclose(found.stress[:, particle == 1], other.stress, atol=1e-10 * size)
    assert found.strain_zz[1] == pytest.approx(other.strain_zz[0], rel=1e-10)


@pytest.mark.parametrize("boundary", ["free", "fixed"])
@pytest.mark.parametrize("plane", ["stress", "strain", "generalised"])
def test_rotation_of_particles_and_their_axes(ring_and_disk, plane, boundary):
    """Case g: two crystals, each with an angle of its own, turned by 37° together."""
    x, y = ring_and_disk.points.T
    composition = np.exp(-(x**2) - 3 * (y - 0.2) ** 2)
    angle = np.deg2rad(37)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = Mesh(ring_and_disk.points @ turn.T, ring_and_disk.triangles)

    def von_mises(mesh, by):
        material = dataclasses.replace(CRYSTAL, angle_deg=(20.0 + by, -65.0 + by))
        found = solved(mesh, material, composition, plane, boundary)
        (xx, yy, xy), zz = found.stress, found.stress_zz
        return np.sqrt(((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 2 + 3 * xy**2)

    straight = von_mises(ring_and_disk, 0.0)
    np.testing.assert_allclose(
        von_mises(turned, 37.0), straight, rtol=0, atol=1e-10 * straight.max()
    )
    if plane == "stress":  # and it is the axes that matter
        assert np.abs(von_mises(turned, 0.0) - straight).max() > 0.1 * straight.max()


@pytest.mark.parametrize("boundary", ["free", "fixed"])
@pytest.mark.parametrize(
    ("inner", "outer"), [((43.0, 0.3), (20.0, 0.3)), ((20.0, 0.2), (80.0, 0.4))]
)
def test_core_and_shell_of_different_moduli(core_shell_meshes, inner, outer, boundary):
    """Case d: the pressure p between core and shell, from their displacements at r = a."""
    (e1, nu1), (e2, nu2) = inner, outer
    # core: s = -p, u = a (e - p (1-nu1)/E1); shell: s_r = f - g/r², with u(R) = 0 or s_r(R) = 0
    rim = [1, -1 / R**2] if boundary == "free" else [1 - nu2, (1 + nu2) / R**2]
    p, f, g = np.linalg.solve(
        [
            [1, 1, -1 / A**2],
            [0, *rim],
            [(1 - nu1) / e1, (1 - nu2) / e2, (1 + nu2) / e2 / A**2],
        ],
        [0, 0, EPS],
    )
    if boundary == "free" and nu1 == nu2:
        stated = EPS / ((1 - nu1) / e1 + ((R**2 + A**2) / (R**2 - A**2) + nu2) / e2)
        assert p == pytest.approx(stated, rel=1e-12)

    material = Material(*outer, EPS, phases=(PhaseModulus(0.5, 1.5, *inner, name="core"),))
    errors = []
    for mesh in core_shell_meshes:
        core = np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T) < A
        system = assemble(mesh, material.law("stress", core.astype(float)))
        x, y = system.positions
        inside = np.broadcast_to(core[:, None], x.shape)
        r2 = x**2 + y**2
        wanted = polar_to_cartesian(
            np.where(inside, -p, f - g / r2), np.where(inside, -p, f + g / r2), x, y
        )
        found = solve(system, material.image_strain(inside.astype(float)), boundary)
        errors.append(relative_l2(found.stress, wanted, system.basis.dx))
    assert errors[1] < 3e-3
    # what is left is the polygon's: it goes with the triangles
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("order", [1, 2])
def test_self_check_of_a_clamped_particle_of_two_moduli(ring_and_disk, order):
    """The mean stress is the moment of the reactions: a wrong displacement breaks that."""
    material = Material(E, NU, EPS, phases=(PhaseModulus(0.5, 2.0, 10.0, 0.1),))
    x = 0.5 + 0.5 * np.sin(3 * ring_and_disk.points[:, 0])
    law = material_law(ring_and_disk, material, x)
    assert law.stiffness.shape == (3, 3, len(ring_and_disk.triangles))
    system = assemble(ring_and_disk, law, order=order)
    right = factorise(system, "fixed")
    load = material_eigenstrain(system, material, x)
    solve(system, load, "fixed", factor=right)
    rng = np.random.default_rng(0)

    def wrong(force):
        answer = right(force)
        return answer + 1e-5 * np.abs(answer).max() * rng.standard_normal(answer.shape)

    with pytest.raises(SelfCheckError, match="mean stress is off"):
        solve(system, load, "fixed", factor=wrong)


@pytest.mark.parametrize("axes", [("a", "b", "c"), ("b", "a", "c")])
def test_middle_of_a_long_strip_with_a_lattice_table(axes):
    """Case f: a strip along y takes E (e0 + k x - e) of the cell axis along it, steps included."""
    width, length = 1.0, 6.0
    table = Lattice(
        (0.0, 0.1, 0.3, 0.3, 0.7),
        (11.50, 11.49, 11.48, 11.40, 11.36),
        (3.56, 3.565, 3.57, 3.61, 3.60),
        (4.37, 4.38, 4.40, 4.50, 4.60),
        axes=axes,
    )
    material = Material(E, NU, table, reference=0.05)
    lengths = {"a": table.a, "b": table.b}[axes[1]]
    start = np.interp(0.05, table.x[:3], lengths[:3])

    def strain(x):
        composition = 0.35 + 0.6 * x
        alpha = np.interp(composition, table.x[:3], lengths[:3])
        epsilon = np.interp(composition, table.x[3:], lengths[3:])
        return np.where(composition <= 0.3, alpha, epsilon) / start - 1

    kinks = [(0.1 - 0.35) / 0.6, (0.3 - 0.35) / 0.6]
    mean = quad(strain, -0.5, 0.5, points=kinks)[0]
    slope = 12 / width**3 * quad(lambda t: strain(t) * t, -0.5, 0.5, points=kinks)[0]
    mesh = triangulate(
        [shapely.box(-width / 2, -length / 2, width / 2, length / 2)],
        width / 10,
        embedded=[shapely.LineString([(k, -length / 2), (k, length / 2)]) for k in kinks],
    )
    system = assemble(mesh, material.law())
    x, y = system.positions
    found = solve(system, material.image_strain(0.35 + 0.6 * x)).stress[1]
    middle = np.abs(y) < length / 6
    wanted = E * (mean + slope * x - strain(x))
    assert relative_l2(found[middle], wanted[middle], system.basis.dx[middle]) < 5e-3


def test_bends_of_a_lattice_table_that_the_mesh_does_not_follow():
    """Case f from composition at the nodes: means of the triangles against exact means."""
    width, length = 1.0, 4.0
    b = (3.56, 3.565, 3.61, 3.60)
    table = Lattice((0.0, 0.1, 0.3, 0.7), b, b, b)
    material = Material(E, NU, table, reference=0.05)

    def strain(x):
        return table.strain(0.35 + 0.6 * x, 0.05)[1]

    kinks = [(0.1 - 0.35) / 0.6, (0.3 - 0.35) / 0.6]
    mean = quad(strain, -0.5, 0.5, points=kinks)[0]
    slope = 12 / width**3 * quad(lambda t: strain(t) * t, -0.5, 0.5, points=kinks)[0]
    mesh = triangulate([shapely.box(-width / 2, -length / 2, width / 2, length / 2)], width / 24)
    found = solved(mesh, material, 0.35 + 0.6 * mesh.points[:, 0], "stress", "free")
    fine = assemble(mesh, material.law(), quadrature_order=12)
    x = fine.positions[0]
    exact = E * (mean + slope * x - strain(x))
    wanted = (exact * fine.basis.dx).sum(axis=1) / mesh.areas
    means = found.element_mean(found.stress[1])
    middle = np.abs(mesh.points[mesh.triangles].mean(axis=1)[:, 1]) < length / 6
    # strain carried from the corners is off by 1.0e-2
    assert relative_l2(means[middle], wanted[middle], mesh.areas[middle]) < 5e-3


def test_orders_of_a_manufactured_solution_in_a_crystal():
    """Case h with the crystal's D, made by turning its tensor index by index."""
    c, s = np.cos(np.deg2rad(20.0)), np.sin(np.deg2rad(20.0))
    turn = np.array([[c, -s], [s, c]])
    own = np.linalg.inv(CRYSTAL.elastic.compliance[:3, :3])
    voigt = np.array([[0, 2], [2, 1]])
    tensor = np.einsum("ia,jb,kc,ld,abcd->ijkl", turn, turn, turn, turn, own[voigt][..., voigt])
    pairs = ([0, 1, 0], [0, 1, 1])
    stiffness = tensor[pairs[0], pairs[1]][:, pairs[0], pairs[1]]
    np.testing.assert_allclose(CRYSTAL.stiffness(), stiffness, rtol=1e-12)

    pi, errors = np.pi, []
    for refinement in (3, 4):
        square = MeshTri().refined(refinement)
        mesh = Mesh(square.p.T.copy(), square.t.T.copy())
        system = assemble(mesh, CRYSTAL.law(), quadrature_order=6)
        x, y = system.positions
        wave = np.sin(pi * x), np.cos(pi * x), np.sin(pi * y), np.cos(pi * y)
        u = EPS * np.array([wave[0] * wave[2], wave[0] * np.sin(2 * pi * y)])
        strain = (EPS * pi) * np.array(
            [
                wave[1] * wave[2],
                2 * wave[0] * np.cos(2 * pi * y),
                wave[0] * wave[3] + wave[1] * np.sin(2 * pi * y),
            ]
        )
        # phi = sin(2x) cosh(y): stress = (phi_yy, phi_xx, -phi_xy)
        wanted = np.array(
            [
                np.sin(2 * x) * np.cosh(y),
                -4 * np.sin(2 * x) * np.cosh(y),
                -2 * np.cos(2 * x) * np.sinh(y),
            ]
        )
        load = strain - np.einsum("ij,jeq->ieq", np.linalg.inv(stiffness), wanted)
        found = solve(system, load, "fixed")
        place = np.asarray(system.basis.interpolate(found.displacement))
        dx = system.basis.dx
        errors.append([relative_l2(place, u, dx), relative_l2(found.stress, wanted, dx)])
    orders = np.log2(np.array(errors[0]) / errors[1])
    assert (orders > (2.9, 1.9)).all(), orders


def test_one_material_three_ways(ring_and_disk):
    """A number, three equal numbers, and a stiffness for every triangle give the same."""
    x = ring_and_disk.points[:, 0] ** 2
    one = solved(ring_and_disk, SOLID, x, "strain", "fixed")
    three = dataclasses.replace(SOLID, eigenstrain=[EPS] * 3, angle_deg=33.0)
    same = dataclasses.replace(SOLID, phases=[PhaseModulus(0.2, 0.6, E, NU)])
    for material in (three, same):
        other = solved(ring_and_disk, material, x, "strain", "fixed")
        size = np.abs(one.stress).max()
        np.testing.assert_allclose(other.stress, one.stress, atol=1e-11 * size)
        np.testing.assert_allclose(other.stress_zz, one.stress_zz, atol=1e-11 * size)

    flat = assemble(ring_and_disk, SOLID.stiffness())
    old = solve(flat, isotropic_eigenstrain(flat, SOLID.strain(x)))
    new = solved(ring_and_disk, SOLID, x, "stress", "free")
    np.testing.assert_allclose(new.stress, old.stress, atol=1e-12 * np.abs(old.stress).max())
    assert np.isnan(old.stress_zz).all()
