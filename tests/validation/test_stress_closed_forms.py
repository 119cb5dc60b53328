"""Stress against answers known in closed form: disks, a strip, springs, a manufactured solution."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shapely
import shapely.affinity
import xarray as xr
from scipy.integrate import quad
from skfem import MeshTri

from chemoscape import simulate
from chemoscape.mechanics.boundaries import Springs
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.fields import stress
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE, Material
from chemoscape.mechanics.mesh import Mesh, triangulate
from chemoscape.mechanics.solvers import factorise

E, NU, EPS = 43.0, 0.3, 0.01
MATERIAL = Material(E, NU, 1.0 - 1e-12)
R, A = 1.0, 0.5


def circle(radius, corners, centre=(0.0, 0.0)):
    angle = 2 * np.pi * np.arange(corners) / corners
    return shapely.Polygon(
        np.column_stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)])
    )


@pytest.fixture(scope="module")
def disk():
    return triangulate([circle(R, 126)], R / 20)


@pytest.fixture(scope="module")
def core_shell_mesh():
    return triangulate([circle(R, 202)], R / 32, embedded=[circle(A, 101)])


@pytest.fixture(scope="module")
def ring_and_disk():
    ring = shapely.Polygon(circle(1.0, 60).exterior, [circle(0.4, 30).exterior])
    return triangulate([ring, circle(0.5, 40, (2.0, 0.3))], 0.1)


def of_core(mesh, radius):
    """Which triangles lie in the core."""
    return np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T) < radius


def core_shell_stress(x, y, inside):
    """Case d, free, in units of GPa: where `inside`, that of the core."""
    r2 = x**2 + y**2
    uniform = -E * EPS / 2 * (1 - A**2 / R**2)
    shell = E * EPS * A**2 / 2
    radial = np.where(inside, uniform, shell * (1 / R**2 - 1 / r2))
    hoop = np.where(inside, uniform, shell * (1 / R**2 + 1 / r2))
    return polar_to_cartesian(radial, hoop, x, y)


def isotropic(values):
    return np.array([values, values, np.zeros_like(values)])


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
@pytest.mark.parametrize("plane", ["stress", "strain"])
def test_uniform_eigenstrain(ring_and_disk, order, plane, reach):
    """Case a: nothing when free; case b: -E e/(1-nu), or its plane-strain form, when clamped."""
    system = assemble(ring_and_disk, MATERIAL.stiffness(plane), order=order)
    load = isotropic_eigenstrain(system, np.full(len(ring_and_disk.points), EPS))
    free = solve(system, load, "free")
    left = np.abs(free.stress).max() / (E * EPS)
    reach("stress", "a: uniform strain, free: stress left, over E e", left, most=1e-10)

    clamped = -E * EPS / ((1 - NU) if plane == "stress" else (1 + NU) * (1 - 2 * NU))
    fixed = solve(system, load, "fixed")
    off = np.abs(fixed.stress[:2] / clamped - 1).max()
    reach("stress", "b: uniform strain, clamped, both planes: relative error", off, most=1e-10)
    assert np.abs(fixed.stress[2]).max() < 1e-10 * E * EPS


def test_composition_linear_in_position_strains_a_free_particle_without_stress(disk, reach):
    """Compatible eigenstrain: the particle bends, nothing resists."""
    system = assemble(disk, MATERIAL.stiffness())
    x, y = disk.points.T
    free = solve(system, isotropic_eigenstrain(system, EPS * (0.3 + x - 0.7 * y)))
    left = np.abs(free.stress).max() / (E * EPS)
    reach("stress", "c linear in x and y, free: stress left, over E e", left, most=1e-10)
    assert np.abs(free.strain).max() > EPS


def test_harmonic_composition_converges_to_no_stress(reach):
    """c = x² - y² has no curvature to resist: what is left is interpolation error, order 2."""
    sizes, left = [], []
    for size in (0.1, 0.05):
        mesh = triangulate([circle(R, 64)], size)
        system = assemble(mesh, MATERIAL.stiffness())
        x, y = mesh.points.T
        free = solve(system, isotropic_eigenstrain(system, EPS * (x**2 - y**2)))
        left.append(np.sqrt((free.stress**2 * system.basis.dx).sum()) / (E * EPS))
        sizes.append(np.sqrt(mesh.areas.mean()))  # what the mesher made of the size asked for
    assert left[0] < 3e-3
    order = np.log(left[0] / left[1]) / np.log(sizes[0] / sizes[1])
    reach("stress", "c = x² - y², free: order at which stress vanishes", order, least=1.95, aim=2.0)


@pytest.mark.parametrize("boundary", ["free", "fixed"])
def test_disk_with_radial_composition(disk, boundary, reach):
    """Case c with T(r) = e (1 - r²): I(r) = e (r²/2 - r⁴/4)."""
    system = assemble(disk, MATERIAL.stiffness())
    x, y = system.positions
    r2 = x**2 + y**2
    swelling = EPS * (1 / 2 - 1 / 4) * (1.0 if boundary == "free" else -(1 + NU) / (1 - NU))
    ratio = EPS * (1 / 2 - r2 / 4)  # I(r) / r²
    radial = E * (swelling - ratio)
    hoop = E * (swelling + ratio - EPS * (1 - r2))
    wanted = polar_to_cartesian(radial, hoop, x, y)

    nodes = EPS * (1 - (disk.points**2).sum(axis=1))
    found = solve(system, isotropic_eigenstrain(system, nodes), boundary).stress
    error = relative_l2(found, wanted, system.basis.dx)
    reach("stress", f"disk, e(r), {boundary}, h = R/20: relative L2", error, most=2e-3)


@pytest.mark.parametrize("boundary", ["free", "fixed"])
def test_core_shell_disk_on_a_mesh_that_follows_the_phase_boundary(
    core_shell_mesh, boundary, reach
):
    """Case d: core -E e/2 (1 - a²/R²), shell E e a²/2 (1/R² ∓ 1/r²); clamping adds a pressure."""
    mesh = core_shell_mesh
    centroid = mesh.points[mesh.triangles].mean(axis=1)
    core = np.hypot(*centroid.T) < A
    # the polygons' own area: 0.02 % less than the circles'
    assert mesh.areas[core].sum() == pytest.approx(circle(A, 101).area, rel=1e-9)

    system = assemble(mesh, MATERIAL.stiffness())
    x, y = system.positions
    r2 = x**2 + y**2
    inside = np.broadcast_to(core[:, None], r2.shape)
    pressure = 0.0 if boundary == "free" else -E * EPS * A**2 / R**2 / (1 - NU)
    shell = E * EPS * A**2 / 2
    uniform = -E * EPS / 2 * (1 - A**2 / R**2)
    radial = np.where(inside, uniform, shell * (1 / R**2 - 1 / r2)) + pressure
    hoop = np.where(inside, uniform, shell * (1 / R**2 + 1 / r2)) + pressure
    wanted = polar_to_cartesian(radial, hoop, x, y)

    found = solve(system, isotropic(EPS * inside.astype(float)), boundary).stress
    error = relative_l2(found, wanted, system.basis.dx)
    reach("stress", f"core-shell disk, {boundary}, h = R/32: relative L2", error, most=3e-3)


@pytest.mark.parametrize("boundary", ["free", "fixed"])
def test_core_shell_disk_that_counts_from_another_reference(core_shell_mesh, boundary):
    """Case d with a strained shell: free, only the difference counts; fixed, the mean as well."""
    system = assemble(core_shell_mesh, MATERIAL.stiffness())
    factor = factorise(system, boundary)
    x, y = system.positions
    r2 = x**2 + y**2
    inside = np.broadcast_to(of_core(core_shell_mesh, A)[:, None], r2.shape)
    for reference in (0.1, 0.3):
        core, shell = EPS * (0.45 - reference), EPS * (0.1 - reference)
        wanted = (core - shell) * core_shell_stress(x, y, inside) / EPS
        if boundary == "fixed":
            mean = shell + (core - shell) * A**2 / R**2
            wanted[:2] -= E * mean / (1 - NU)
        load = isotropic(np.where(inside, core, shell))
        found = solve(system, load, boundary, factor=factor).stress
        assert relative_l2(found, wanted, system.basis.dx) < 3e-3


def test_phase_boundary_across_the_triangles():
    """Case d where no side follows the boundary: 18 to 30 % of error, falling as h^0.5."""
    sides = (8, 20)
    meshes = [triangulate([circle(R, 6 * n)], R / n) for n in sides]
    for order in (1, 2):
        errors = []
        for mesh in meshes:
            system = assemble(mesh, MATERIAL.stiffness(), order=order, quadrature_order=2)
            x, y = system.positions
            wanted = core_shell_stress(x, y, np.hypot(x, y) < A)
            at_nodes = EPS * (np.hypot(*mesh.points.T) < A)
            found = solve(system, isotropic_eigenstrain(system, at_nodes)).stress
            errors.append(relative_l2(found, wanted, system.basis.dx))
        assert 0.1 < errors[1] < errors[0] < 0.4, errors
        rate = np.log(errors[0] / errors[1]) / np.log(sides[1] / sides[0])
        assert rate == pytest.approx(0.5, abs=0.2)


def inside_an_ellipse(a, b, nu, eigenstrain):
    """Strain (xx, yy, 2 xy) in Eshelby's inclusion, plane strain (Mura 1987, section 11)."""
    k = 1 / (2 * (1 - nu))

    def pair(a, b):
        s = a + b
        own = (b**2 + 2 * a * b) / s**2 + (1 - 2 * nu) * b / s
        return k * own, k * (b**2 / s**2 - (1 - 2 * nu) * b / s)

    (xxxx, xxyy), (yyyy, yyxx) = pair(a, b), pair(b, a)
    shear = 2 * k * ((a**2 + b**2) / (2 * (a + b) ** 2) + (1 - 2 * nu) / 2)
    return np.array([[xxxx, xxyy, 0], [yyxx, yyyy, 0], [0, 0, shear]]) @ eigenstrain


@pytest.mark.parametrize(
    ("a", "b", "corners", "planes"),
    [
        (1.0, 1.0, 600, ["strain"]),
        (0.7, 1.0, 600, ["stress", "strain"]),
        (1.0, 0.4, 480, ["stress"]),
    ],
)
def test_ellipse_in_a_large_plate(a, b, corners, planes, reach):
    """Case e, R/a = 60: uniform D (S - I) e inside; plane stress is nu -> nu/(1+nu)."""
    far = 60.0
    ellipse = shapely.affinity.scale(circle(1.0, corners), a, b, origin=(0, 0))
    axis = np.linspace(-far, far, 241)
    distance = np.hypot(*np.meshgrid(axis, axis))
    sizes = xr.DataArray(
        np.clip(0.08 + 0.3 * (distance - 1.2), 0.08, 5.0),
        dims=("y", "x"),
        coords={"y": axis, "x": axis},
    )
    mesh = triangulate([circle(far, 80)], 5.0, embedded=[ellipse], size_field=sizes)
    core = shapely.contains_xy(ellipse, *mesh.points[mesh.triangles].mean(axis=1).T)
    assert mesh.areas[core].sum() == pytest.approx(ellipse.area, rel=1e-9)
    for plane in planes:
        nu = NU if plane == "strain" else NU / (1 + NU)
        stiffness = MATERIAL.stiffness(plane)
        system = assemble(mesh, stiffness)
        inside = np.broadcast_to(core[:, None], system.basis.dx.shape)
        factor = factorise(system, "free")
        for strain in (EPS * np.array([1.0, -0.4, 0.6]), EPS * np.array([1.0, 1.0, 0.0])):
            wanted = stiffness @ (inside_an_ellipse(a, b, nu, strain) - strain)
            load = strain[:, None, None] * inside
            found = solve(system, load, factor=factor).stress[:, core]
            error = relative_l2(found, wanted[:, None, None], system.basis.dx[core])
            reach("stress", "Eshelby's ellipse, R/a = 60: relative L2", error, most=1e-3)


def test_middle_of_a_long_strip(reach):
    """Case f: s_yy = E (e0 + k x - e), e0 the mean of e and k its slope, away from the ends."""
    width, length = 1.0, 6.0
    mesh = triangulate([shapely.box(-width / 2, -length / 2, width / 2, length / 2)], width / 10)
    system = assemble(mesh, MATERIAL.stiffness())
    x, y = system.positions

    def strain(x):
        return EPS * (1 + x + 8 * x**3 - 6 * x**2)

    mean = quad(strain, -0.5, 0.5)[0]
    slope = 12 / width**3 * quad(lambda t: strain(t) * t, -0.5, 0.5)[0]
    wanted = E * (mean + slope * x - strain(x))
    found = solve(system, isotropic(strain(x))).stress[1]
    middle = np.abs(y) < length / 6
    error = relative_l2(found[middle], wanted[middle], system.basis.dx[middle])
    reach("stress", "long strip, e(x): relative L2", error, most=5e-3)


@pytest.mark.parametrize("boundary", ["free", "fixed"])
def test_rotation_leaves_von_mises_unchanged(ring_and_disk, boundary, reach):
    """Case g: particles and composition turned by 37°, and moved across the stage."""
    angle = np.deg2rad(37)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = ring_and_disk.points.T
    nodes = EPS * np.exp(-(x**2) - 3 * (y - 0.2) ** 2)

    def von_mises(mesh):
        system = assemble(mesh, MATERIAL.stiffness())
        xx, yy, xy = solve(system, isotropic_eigenstrain(system, nodes), boundary).stress
        return np.sqrt(xx**2 + yy**2 - xx * yy + 3 * xy**2)

    straight = von_mises(ring_and_disk)
    turned = von_mises(Mesh(ring_and_disk.points @ turn.T, ring_and_disk.triangles))
    off = np.abs(turned - straight).max() / straight.max()
    reach("stress", "all turned by 37°: largest change of von Mises", off, most=1e-10)
    # 10 nm pixels at 10 mm: the coordinates themselves keep 12 digits
    moved = von_mises(Mesh(ring_and_disk.points + np.array([1e4, -3e3]), ring_and_disk.triangles))
    np.testing.assert_allclose(moved, straight, rtol=0, atol=1e-8 * straight.max())


def test_springs_lead_from_free_to_fixed(disk):
    """Uniform e: u = e S/(S/R + k) at the rim with S = E/(1-nu), uniform stress -k u."""
    system = assemble(disk, MATERIAL.stiffness())
    load = isotropic_eigenstrain(system, np.full(len(disk.points), EPS))
    bulk = E / (1 - NU)
    pressures = []
    for k in (0.1, 1.0, 10.0, 100.0, 1e4, 1e6):
        found = solve(system, load, Springs(k))
        pressures.append(-found.element_mean(found.stress[0]).mean())
        assert pressures[-1] == pytest.approx(k * EPS * bulk / (bulk / R + k), rel=2e-3)
    assert (np.diff(pressures) > 0).all()
    assert pressures[-1] == pytest.approx(EPS * bulk, rel=1e-3)


@pytest.mark.parametrize(("order", "wanted_orders"), [(2, (2.9, 1.9)), (1, (1.9, 0.95))])
def test_orders_of_a_manufactured_solution(order, wanted_orders, reach):
    """Case h: u and an Airy stress chosen freely, eigenstrain = strain(u) - D⁻¹ stress."""
    stiffness = MATERIAL.stiffness()
    pi = np.pi
    errors = []
    for refinement in (3, 4):
        square = MeshTri().refined(refinement)
        system = assemble(
            Mesh(square.p.T.copy(), square.t.T.copy()), stiffness, order=order, quadrature_order=6
        )
        x, y = system.positions
        ux = EPS * np.sin(pi * x) * np.sin(pi * y)
        uy = EPS * np.sin(pi * x) * np.sin(2 * pi * y)
        strain = EPS * np.array(
            [
                pi * np.cos(pi * x) * np.sin(pi * y),
                2 * pi * np.sin(pi * x) * np.cos(2 * pi * y),
                pi * np.sin(pi * x) * np.cos(pi * y) + pi * np.cos(pi * x) * np.sin(2 * pi * y),
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
        eigenstrain = strain - np.einsum("ij,jeq->ieq", np.linalg.inv(stiffness), wanted)
        found = solve(system, eigenstrain, "fixed")
        displacement = np.asarray(system.basis.interpolate(found.displacement))
        dx = system.basis.dx
        errors.append(
            [
                relative_l2(displacement, np.array([ux, uy]), dx),
                relative_l2(found.stress, wanted, dx),
            ]
        )
    orders = np.log2(np.array(errors[0]) / errors[1])
    names = ("displacement", "stress")
    for name, found_order, least in zip(names, orders, wanted_orders, strict=True):
        what = f"manufactured solution, elements of order {order}: order of {name}"
        reach("stress", what, found_order, least=least)


def core_shell_image(pixels):
    """Disk with core 0.45 and shell 0.1, a/R = 0.5, as `composition` gives it."""
    axis = 4.0 / pixels * (np.arange(pixels) - (pixels - 1) / 2)
    r = np.hypot(*np.meshgrid(axis, axis))
    inside = r < 1.5
    return xr.Dataset(
        {
            "composition": (("y", "x"), np.where(inside, np.where(r < 0.75, 0.45, 0.1), np.nan)),
            "thickness": (("y", "x"), inside.astype(float)),
            "mask": (("y", "x"), inside),
        },
        coords={"y": axis, "x": axis},
    )


def mean_von_mises(core, shell, fixed):
    """Area mean for a sharp core-shell disk (cases c and d), a/R = 0.5, in units of E."""

    def swollen(r):
        return core * r**2 / 2 if r <= A else core * A**2 / 2 + shell * (r**2 - A**2) / 2

    def density(r):
        held = -(1 + NU) / (1 - NU) if fixed else 1.0
        radial = held * swollen(R) / R**2 - swollen(r) / r**2
        hoop = held * swollen(R) / R**2 + swollen(r) / r**2 - (core if r < A else shell)
        return 2 * r * np.sqrt(radial**2 + hoop**2 - radial * hoop)

    return quad(density, 1e-9, A)[0] + quad(density, A, R)[0]


@pytest.mark.parametrize(("reference", "published"), [(0.0, 2.10), (0.1, 1.30)])
def test_core_shell_image_fixed_over_free(reference, published, reach):
    """Fixed over free, from pixels to summary: 2.10 when strain counts from x = 0."""
    ratio = mean_von_mises(0.45 - reference, 0.1 - reference, True) / mean_von_mises(
        0.45 - reference, 0.1 - reference, False
    )
    assert ratio == pytest.approx(published, abs=0.01)

    material = dataclasses.replace(LIXV2O5_ILLUSTRATIVE, reference=reference)
    free, fixed = stress(core_shell_image(120), material, boundary=["free", "fixed"])
    means = [field.von_mises_summary()["von_mises_mean_MPa"] for field in (free, fixed)]
    what = f"core-shell disk of pixels, reference {reference:g}: mean fixed/free over closed form"
    reach("stress", what, means[1] / means[0] / ratio, within=(0.985, 1.015))
    scale = 1e3 * material.young_GPa * material.eigenstrain
    assert means[0] == pytest.approx(scale * mean_von_mises(0.45, 0.1, False), rel=0.03)

    peak = []
    for field in (free, fixed):
        highest = int(np.argmax(field.dataset["von_mises"].values))
        peak.append(np.hypot(*(field.dataset[f"node_{c}"].values[highest] for c in "xy")))
    assert 0.75 < peak[0] < 0.9  # free: on the shell's side of the phase boundary
    if reference == 0.0:
        assert peak[1] < 0.75 + 4.0 / 120  # fixed: in the lithium-rich core, to a pixel


def test_demonstration_particle_fixed_over_free():
    """The demo's particle, reference 0: the paper finds two to three times as much when fixed."""
    truth = simulate.core_shell()
    comp = xr.Dataset(
        {"composition": truth.composition, "mask": truth.composition.notnull()},
        attrs=truth.composition.attrs,
    )
    boundaries = ["free", "fixed"]
    fields = stress(comp, LIXV2O5_ILLUSTRATIVE, boundary=boundaries, mesh_size=0.1)
    means = [field.von_mises_summary()["von_mises_mean_MPa"] for field in fields]
    assert 1.5 < means[1] / means[0] < 4.0
    at_peak = []
    for field in fields:
        data = field.dataset
        corners = data["triangle"].values[np.argmax(data["element_von_mises"].values)]
        at_peak.append(data["composition"].values[corners].mean())
    assert at_peak[0] < 0.2  # free: in the lithium-poor shell
    assert at_peak[1] > 0.4  # fixed: in the lithium-rich core


def test_reference_moves_the_clamped_stress_only():
    """Counting strain from x = 0.1 relieves a clamped particle by E e 0.1/(1-nu) everywhere."""
    image = core_shell_image(40)
    other = dataclasses.replace(LIXV2O5_ILLUSTRATIVE, reference=0.1)
    pairs = zip(
        *(stress(image, m, boundary=["free", "fixed"]) for m in (LIXV2O5_ILLUSTRATIVE, other)),
        strict=True,
    )
    moved = [b.dataset.stress_xx - a.dataset.stress_xx for a, b in pairs]
    relief = 1e3 * E * LIXV2O5_ILLUSTRATIVE.eigenstrain * 0.1 / (1 - NU)
    np.testing.assert_allclose(moved[0], 0.0, atol=1e-8)
    np.testing.assert_allclose(moved[1], relief, rtol=1e-9)
    assert relief == pytest.approx(130.8, abs=0.1)


def test_one_factor_serves_many_loads(disk):
    """Loads side by side give what each gives alone."""
    system = assemble(disk, MATERIAL.stiffness())
    factor = factorise(system, "fixed")
    rng = np.random.default_rng(0)
    loads = rng.standard_normal((system.basis.N, 3))
    together = factor(loads)
    for k in range(3):
        np.testing.assert_allclose(together[:, k], factor(loads[:, k]), atol=1e-13)
