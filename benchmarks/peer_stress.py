"""Stress by NGSolve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from peer_stacks import Result, timed


def ngsolve_stress(folder: Path, facts: Result) -> Result:
    """Plane elasticity of second order: assembly, sparse Cholesky, one solve, on one thread.

    The integral of the squared von Mises stress is not timed.
    """
    import ngsolve as ng
    from netgen.meshing import Element1D, FaceDescriptor
    from netgen.meshing import Mesh as Netgen

    points, triangles = np.load(folder / "points.npy"), np.load(folder / "triangles.npy")
    raw = Netgen(dim=2)
    raw.AddPoints(np.column_stack([points, np.zeros(len(points))]))
    index = raw.Add(FaceDescriptor(surfnr=1, domin=1, bc=1))
    raw.AddElements(dim=2, index=index, data=triangles.astype(np.int32), base=0)
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    )
    rim, count = np.unique(sides, axis=0, return_counts=True)
    for pair in rim[count == 1]:
        raw.Add(Element1D([int(k) + 1 for k in pair], index=1))
    raw.SetBCName(0, "rim")
    mesh = ng.Mesh(raw)

    swelling = ng.GridFunction(ng.H1(mesh, order=1))
    swelling.vec.FV().NumPy()[:] = np.load(folder / "eigenstrain.npy")
    d = [
        [ng.CoefficientFunction(float(v)) for v in line]
        for line in np.load(folder / "stiffness.npy")
    ]
    fixed = facts["boundary"] == "fixed"
    space = ng.VectorH1(mesh, order=2, dirichlet="rim" if fixed else "")
    free = ng.BitArray(space.FreeDofs())
    if not fixed:  # three pins: the first point, and the one farthest from it, across
        away = points - points[0]
        far = int(np.argmax((away**2).sum(axis=1)))
        across = int(abs(away[far, 0]) >= abs(away[far, 1]))
        per_axis = space.ndof // 2
        for dof in (0, per_axis, across * per_axis + far):
            free.Clear(dof)

    def strain(w: Any) -> list[Any]:
        g = ng.Grad(w)
        return [g[0, 0], g[1, 1], g[0, 1] + g[1, 0]]

    def stress(e: list[Any]) -> list[Any]:
        return [sum(row[k] * e[k] for k in range(3)) for row in d]

    u, v = space.TnT()
    moved = ng.GridFunction(space)

    def work() -> None:
        bilinear = ng.BilinearForm(space, symmetric=True)
        bilinear += sum(a * b for a, b in zip(stress(strain(u)), strain(v), strict=True)) * ng.dx
        load = ng.LinearForm(space)
        pull = stress([swelling, swelling, ng.CoefficientFunction(0.0)])
        load += sum(a * b for a, b in zip(pull, strain(v), strict=True)) * ng.dx
        bilinear.Assemble()
        load.Assemble()
        moved.vec.data = bilinear.mat.Inverse(free, inverse="sparsecholesky") * load.vec

    answer = timed(work)
    xx, yy, xy = strain(moved)
    sx, sy, t = stress([xx - swelling, yy - swelling, xy])
    squared = ng.Integrate(sx * sx + sy * sy - sx * sy + 3 * t * t, mesh, order=4)
    return {**answer, "von_mises": float(np.sqrt(squared)), "unknowns": int(space.ndof)}
