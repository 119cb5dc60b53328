"""How stress converges with the mesh, for two answers in closed form.

A disk whose composition falls off smoothly, and a disk with a sharp core, once with triangles that
follow the phase boundary and once without. Elements are of second order (`order=2`, the default)
and of first (the paper's). The printed rates are those between the two finest meshes. Give a file
name to keep the figure, with one mesh more: ``python stress_convergence.py figure.png``.
"""

import sys
from functools import cache

import numpy as np
import shapely
from matplotlib.figure import Figure

from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.solvers import factorise
from chemoscape.report.panels import CATEGORIES, INK, SINGLE, save_figure, styled

E, NU, STRAIN, CORE = 43.0, 0.3, 0.01, 0.5  # GPa, 1, 1, µm; the disk's radius is 1 µm
material = Material(E, NU, STRAIN)
DRAWN = len(sys.argv) > 1 and sys.argv[1].endswith(".png")
SIZES = (0.2, 0.1, 0.05, 0.025) if DRAWN else (0.1, 0.05)  # the finest for the figure only


def circle(radius, size):
    angle = np.linspace(0, 2 * np.pi, round(4 * np.pi * radius / size), endpoint=False)
    return shapely.Polygon(radius * np.column_stack([np.cos(angle), np.sin(angle)]))


@cache
def disk(size, follow):
    """Triangles; those of a sharp core follow its rim."""
    lines = [circle(CORE, size)] if follow else []
    return triangulate([circle(1.0, size)], size, embedded=lines)


@cache
def system_of(size, follow, order):
    """Equations of a disk and their factor, which does not depend on the strain."""
    system = assemble(disk(size, follow), material.stiffness(), order=order, quadrature_order=4)
    return system, factorise(system, "free")


def cartesian(radial, hoop, x, y):
    r2 = x**2 + y**2
    across, along, shear = radial * x**2 + hoop * y**2, radial * y**2 + hoop * x**2, radial - hoop
    return np.array([across / r2, along / r2, shear * x * y / r2])


def smooth_error(size, order):
    """Composition 1 - r², free: E e (1/4 - (1/2 - r²/4)) along r, Timoshenko's hoop stress."""
    mesh = disk(size, False)
    system, factor = system_of(size, False, order)
    x, y = system.positions
    r2 = x**2 + y**2
    mean, ratio = 1 / 4, 1 / 2 - r2 / 4
    wanted = E * STRAIN * cartesian(mean - ratio, mean + ratio - (1 - r2), x, y)
    nodes = STRAIN * (1 - (mesh.points**2).sum(axis=1))
    return error_of(solve(system, isotropic_eigenstrain(system, nodes), factor=factor), wanted)


def sharp_error(size, order, follow):
    """A core of radius 0.5, free: -E e/2 (1 - a²/R²) inside, even pressure."""
    mesh = disk(size, follow)
    system, factor = system_of(size, follow, order)
    x, y = system.positions
    middle = np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T) < CORE
    core = np.broadcast_to(middle[:, None], x.shape) if follow else np.hypot(x, y) < CORE
    r2, shell = x**2 + y**2, CORE**2 / 2
    inside = -(1 - CORE**2) / 2
    radial = np.where(core, inside, shell * (1 - 1 / r2))
    hoop = np.where(core, inside, shell * (1 + 1 / r2))
    if follow:
        strain = STRAIN * np.array([core, core, 0 * x])
    else:
        strain = isotropic_eigenstrain(system, STRAIN * (np.hypot(*mesh.points.T) < CORE))
    return error_of(
        solve(system, strain, factor=factor), E * STRAIN * cartesian(radial, hoop, x, y)
    )


def error_of(solution, wanted):
    dx = solution.system.basis.dx
    return np.sqrt((((solution.stress - wanted) ** 2) * dx).sum() / ((wanted**2) * dx).sum())


CASES = {
    "smooth composition": smooth_error,
    "sharp boundary, followed": lambda size, order: sharp_error(size, order, True),
    "sharp boundary, not followed": lambda size, order: sharp_error(size, order, False),
}


@styled
def convergence_figure(errors):
    figure = Figure(figsize=(1.2 * SINGLE, 3.3), layout="constrained")
    ax = figure.subplots()
    for colour, marker, name in zip(CATEGORIES, "osD", CASES, strict=False):
        look = {"color": colour, "marker": marker}
        ax.loglog(SIZES, errors[name, 1], **look, linestyle="--", markerfacecolor="white")
        ax.loglog(SIZES, errors[name, 2], **look, label=name)
    ax.plot([], [], color=INK, label="elements of order 2")
    ax.plot([], [], color=INK, linestyle="--", label="elements of order 1 (the paper's)")
    ax.set_xlabel("side of the triangles / radius of the disk")
    ax.set_ylabel("relative error of stress (L2)")
    ax.set_xticks(SIZES, [f"{size:g}" for size in SIZES])
    ax.minorticks_off()
    ax.set_ylim(top=1.0)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


errors = {
    (name, order): np.array([error(size, order) for size in SIZES])
    for name, error in CASES.items()
    for order in (1, 2)
}
for (name, order), found in errors.items():
    rate = np.log2(found[-2] / found[-1])
    finest = f"error {found[-1]:.1e} at h = R/{1 / SIZES[-1]:.0f}"
    print(f"{name}, order {order}: {finest}, falling as h^{rate:.1f}")
if DRAWN:
    save_figure(convergence_figure(errors), sys.argv[1])

at = SIZES.index(0.05)
assert errors["smooth composition", 2][at] < 2e-3
assert errors["sharp boundary, followed", 2][at] < 6e-3
assert errors["sharp boundary, not followed", 2][at] > 0.1
