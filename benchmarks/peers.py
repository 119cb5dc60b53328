"""One piece of work by another program, run by its own Python: python peers.py JOB FOLDER.

FOLDER holds counts.npy (energy, y, x) float32, energy.npy and, for optical density, i0.npy; for a
factorisation od.npy, energy.npy and start.npy (energy, part); for stress points.npy, triangles.npy,
eigenstrain.npy (isotropic, at the points) and stiffness.npy (3, 3); facts
of the job come as JSON in the environment variable FACTS. What is printed is JSON: seconds, extra
bytes and, for a registration, shifts (dy, dx) in pixels to apply.

Each program is called as its own interface calls it, with the defaults that a user finds there;
loading the stack and starting up are not timed. Nothing here imports chemoscape, and chemoscape
imports none of these.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from measure import Work, cost

#: Subpixels per pixel where a program leaves the choice to its user; MANTiS calls it high accuracy.
UPSAMPLING = 20

PACKAGES = (
    "mantis-xray", "hyperspy", "pystackreg", "scikit-image", "ngsolve", "numpy", "scipy",
    "PyQt5",
)  # fmt: skip

Result = dict[str, Any]


def timed(work: Work, shifts: Callable[[], np.ndarray] | None = None) -> Result:
    spent = cost(work)
    extra = None if np.isnan(spent.extra_bytes) else spent.extra_bytes
    found = None if shifts is None else np.asarray(shifts(), dtype=float).tolist()
    return {"seconds": spent.seconds, "extra_bytes": extra, "shifts": found}


def mantis_stack(folder: Path, *, like: str = "ncb") -> Any:
    """MANTiS's stack in memory (x, y, energy) as its readers leave it.

    From .ncb it is float64, a frame after the other; from .hdr int32, the energies of a pixel
    together.
    """
    from mantis_xray.analysis import data_stack, data_struct

    counts = np.load(folder / "counts.npy")
    stack = data_stack.data(data_struct.h5())
    stack.new_data()
    if like == "ncb":
        stack.absdata = counts.astype(np.float64).T
    else:
        stack.absdata = np.ascontiguousarray(counts.astype(np.int32).T)
    stack.n_cols, stack.n_rows, stack.n_ev = stack.absdata.shape
    stack.ev = np.load(folder / "energy.npy")
    stack.data_dwell = None
    return stack


def mantis_optical_density(folder: Path, like: str) -> Result:
    """`calculate_optical_density` with I0 known: no search for I0, no variance."""
    stack = mantis_stack(folder, like=like)
    stack.evi0, stack.i0data = stack.ev.copy(), np.load(folder / "i0.npy").astype(np.float64)
    return timed(stack.calculate_optical_density)


def mantis_manual(folder: Path, facts: Result) -> Result:
    """Stack Alignment: `register_images` of every frame against the reference, no edge
    enhancement, neither plots nor resampling.
    """
    stack = mantis_stack(folder)
    reference = stack.absdata[:, :, facts["reference"]].copy()
    found = np.zeros((stack.n_ev, 2))

    def work() -> None:
        for i in range(stack.n_ev):
            frame = stack.absdata[:, :, i]
            x, y, _ = stack.register_images(reference, frame, have_ref_img_fft=i > 0)
            found[i] = y, x

    return timed(work, lambda: found)


def mantis_fft(folder: Path, facts: Result) -> Result:
    """FFT Stack Alignment: the dialog itself, its Align button pressed with everything as it comes
    (reference image, high accuracy, edge detection, Gauss 1), until the shifts are known.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from mantis_xray.gui.dialogs.alignment import ImageRegistrationFFT
    from PyQt5.QtWidgets import QApplication

    application = QApplication([])
    stack = mantis_stack(folder)
    common = SimpleNamespace(stack_loaded=1, stack_4d=0)
    dialog = ImageRegistrationFFT(None, common, stack)
    dialog.OnAligned = application.quit  # resampling would follow
    dialog.OnScrollEng(facts["reference"])

    def work() -> None:
        dialog.ComposeAlignQueue()
        application.exec_()

    def shifts() -> np.ndarray:
        dialog.poolthread.quit()
        dialog.poolthread.wait()
        found = stack.shiftsdict[0]
        return -np.column_stack([found["ydots"], found["xdots"]]).astype(float)

    return timed(work, shifts)


def hyperspy(folder: Path, facts: Result) -> Result:
    """`Signal2D.estimate_shift2D` against the reference, its Sobel, median and Hann filters on."""
    from hyperspy.signals import Signal2D

    signal = Signal2D(np.load(folder / "counts.npy"))
    signal.axes_manager.indices = (facts["reference"],)
    found: list[np.ndarray] = []

    def work() -> None:
        found.append(
            signal.estimate_shift2D(
                reference="current", sub_pixel_factor=UPSAMPLING, show_progressbar=False
            )
        )

    return timed(work, lambda: -found[-1])


def pystackreg(folder: Path, facts: Result) -> Result:
    """StackReg: translations, each frame against the one before it."""
    from pystackreg import StackReg

    frames = np.load(folder / "counts.npy")
    register = StackReg(StackReg.TRANSLATION)
    found: list[np.ndarray] = []

    def work() -> None:
        found.append(register.register_stack(frames, reference="previous"))

    return timed(work, lambda: -found[-1][:, [1, 0], 2])


def skimage(folder: Path, facts: Result) -> Result:
    """`phase_cross_correlation` of each frame with the one before it, summed up."""
    from skimage.registration import phase_cross_correlation

    frames = np.load(folder / "counts.npy")
    steps = np.zeros((len(frames), 2))

    def work() -> None:
        for i in range(1, len(frames)):
            steps[i] = phase_cross_correlation(
                frames[i - 1], frames[i], upsample_factor=UPSAMPLING
            )[0]

    return timed(work, lambda: steps.cumsum(axis=0))


def mantis_nnma(folder: Path, facts: Result) -> Result:
    """NNMA from cluster spectra; its stop after a small change is disarmed to count iterations."""
    from mantis_xray.analysis.nnma import nnma

    od, start = np.load(folder / "od.npy"), np.load(folder / "start.npy")
    n_energy, n_y, n_x = od.shape
    flat = np.ascontiguousarray(od.reshape(n_energy, -1).T.astype(np.float64))
    energy = np.load(folder / "energy.npy")
    stack = SimpleNamespace(od=flat, ev=energy, n_ev=n_energy, n_cols=n_y, n_rows=n_x)
    work = nnma(stack)
    work.setParameters(
        kNNMA=start.shape[1],
        maxIters=facts["sweeps"],
        deltaErrorThreshold=1e99,
        initMatrices="Cluster",
        lambdaClusterSim=facts["similarity"],
    )
    work.setClusterSpectra(start.T)
    np.random.seed(0)  # noqa: NPY002 - what it draws from
    answer = timed(lambda: work.calcNNMA("Cluster"))
    weights = work.tRecon.reshape(start.shape[1], -1, order="F")
    left = ((flat - (work.muRecon @ weights).T) ** 2).sum() / (flat**2).sum()
    return {**answer, "seconds": work.timeTaken / work.maxIters, "unexplained": float(left)}


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


#: Principal components, clusters and least squares get their places here.
JOBS: dict[str, Callable[[Path, Result], Result]] = {
    "mantis_density_ncb": lambda folder, facts: mantis_optical_density(folder, "ncb"),
    "mantis_density_hdr": lambda folder, facts: mantis_optical_density(folder, "hdr"),
    "mantis_manual": mantis_manual,
    "mantis_fft": mantis_fft,
    "mantis_nnma": mantis_nnma,
    "ngsolve": ngsolve_stress,
    "hyperspy": hyperspy,
    "pystackreg": pystackreg,
    "skimage": skimage,
}


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main(job: str, *folder: str) -> None:
    with redirect_stdout(sys.stderr):  # some of them talk
        if job == "versions":
            answer = versions()
        else:
            facts = json.loads(os.environ.get("FACTS", "{}"))
            answer = JOBS[job](Path(*folder), facts)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # Qt's threads may not all have noticed


if __name__ == "__main__":
    main(*sys.argv[1:])
