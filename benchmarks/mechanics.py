"""Stress of particles: each step against the factorisation of the stiffness matrix, on one thread.

A core-shell wire, as the paper's (Santos et al., Patterns 2022), meshed by as many triangles as
give the unknowns that are asked for.
"""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import shapely
from measure import Cost, heading, row, side_by_side
from scipy.sparse import csc_matrix
from targets import ASSEMBLY, MESHING, SECOND_LOAD, SOLVE_MEMORY
from threadpoolctl import threadpool_limits

from chemoscape.mechanics import solvers
from chemoscape.mechanics.elasticity import eigenstrain_load, solve
from chemoscape.mechanics.elements import System, assemble, isotropic_eigenstrain
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.mechanics.mesh import Mesh, triangulate

#: Half axes of the wire in µm.
LONG, SHORT = 2.0, 0.5
#: Unknowns for every triangle of quadratic elements: two for each corner and each side's middle.
PER_TRIANGLE = 4.0


def wire(unknowns: int) -> Mesh:
    """An ellipse in triangles, with about so many unknowns."""
    size = math.sqrt(math.pi * LONG * SHORT * PER_TRIANGLE / unknowns * 4 / math.sqrt(3))
    return triangulate([outline(size)], size)


def outline(size: float) -> shapely.Polygon:
    """The ellipse as a polygon with sides of about `size`."""
    angle = np.linspace(0, 2 * np.pi, max(64, int(8.6 / size)), endpoint=False)
    return shapely.Polygon(np.column_stack([LONG * np.cos(angle), SHORT * np.sin(angle)]))


def composition(points: np.ndarray) -> np.ndarray:
    """0.45 in the core, 0.1 in the shell, a smooth step between."""
    radius = np.hypot(points[:, 0] / LONG, points[:, 1] / SHORT)
    return 0.275 - 0.175 * np.tanh((radius - 0.6) / 0.08)


def system_of(mesh: Mesh) -> System:
    """Quadratic elements in plane stress."""
    return assemble(mesh, LIXV2O5_ILLUSTRATIVE.stiffness())


def eigenstrain_of(system: System) -> np.ndarray:
    """Strain of the stress-free material at the quadrature points."""
    nodes = LIXV2O5_ILLUSTRATIVE.strain(composition(system.mesh.points))
    return isotropic_eigenstrain(system, nodes)


def condensed(system: System) -> csc_matrix:
    """Everything that `factorise` does before SuperLU; the matrix that SuperLU gets."""
    seen: list[csc_matrix] = []
    with patch.object(solvers, "_superlu", lambda matrix: seen.append(matrix)):
        solvers.factorise(system, "free", solver="superlu")
    return seen[0]


def stress(largest: int, repeat: int = 3) -> None:
    """Steps of a free particle's stress at 10,000 and 100,000 unknowns, or up to `largest`."""
    for unknowns in sorted({min(n, largest) for n in (10_000, 100_000, largest)}):
        with threadpool_limits(limits=1):
            steps(unknowns, repeat if unknowns <= 200_000 else 1)


def steps(unknowns: int, repeat: int) -> None:
    """One size: from outline to stress."""
    mesh = wire(unknowns)
    system = system_of(mesh)
    eigenstrain = eigenstrain_of(system)
    # from the mesh to the stress, with its self-check
    (solved,) = side_by_side([lambda: solve(system_of(mesh), eigenstrain)], min(repeat, 2))
    matrix = condensed(system)
    factor = solvers.factorise(system, "free", solver="superlu")
    load = eigenstrain_load(system, eigenstrain)
    heading(f"stress, {system.basis.N:,} unknowns, one thread")
    meshing, assembly, limit, second = side_by_side(
        [
            lambda: wire(unknowns),
            lambda: condensed(system_of(mesh)),
            lambda: solvers._superlu(matrix),
            lambda: factor(load),
        ],
        repeat,
    )
    row("SuperLU, symmetric mode", limit.seconds, memory=_memory(limit, system))
    ratio = assembly.seconds / limit.seconds
    judged = ASSEMBLY.judge(ratio) if system.basis.N >= 90_000 else ""
    row(
        "assembly and condensing",
        assembly.seconds,
        f"{ratio:.2f} × SuperLU",
        judged,
        _memory(assembly, system),
    )
    ratio = second.seconds / limit.seconds
    row("a second load", second.seconds, f"{ratio:.2f} × SuperLU", SECOND_LOAD.judge(ratio))
    each = f"{1e6 * solved.seconds / system.basis.N:.1f} µs per unknown"
    memory = _memory(solved, system)
    if system.basis.N >= 500_000:
        memory += f" {SOLVE_MEMORY.judge(solved.extra_bytes / 1e9)}"
    row("solve: mesh to stress, checked", solved.seconds, each, memory=memory)
    ratio = meshing.seconds / solved.seconds
    judged = MESHING.judge(ratio) if system.basis.N >= 90_000 else ""
    row("meshing, its process included", meshing.seconds, f"{ratio:.2f} × the solve", judged)


def _memory(spent: Cost, system: System) -> str:
    if math.isnan(spent.extra_bytes):
        return ""
    each = spent.extra_bytes / system.basis.N
    return f"{spent.extra_bytes / 1e6:.0f} MB, {each / 1e3:.1f} kB per unknown"
