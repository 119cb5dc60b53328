"""Choice of the mesher, and the process that it runs in.

Gmsh's wheel comes first, then a program `gmsh` on the path (for machines that lack the libraries
which the wheel links), then netgen's wheel. Whichever runs can hang or crash: it does so in a
process group of its own that is killed at a time limit. Gmsh is under the GPL and never imported
here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from chemoscape.errors import MeshError

GMSH_WORKER = Path(__file__).with_name("_gmsh_worker.py")
NETGEN_WORKER = Path(__file__).with_name("_netgen_worker.py")
FRONTAL_DELAUNAY = 6
DEBIAN_PACKAGES = (
    "libglu1-mesa libgl1 libxrender1 libxcursor1 libxft2 libxinerama1 libfontconfig1 libgomp1"
)
#: Points (n, 2), triangles (m, 3), name and version of the mesher.
Answer = tuple[np.ndarray, np.ndarray, str]


@dataclass(frozen=True, eq=False)
class Grid:
    """Sides of triangles on a regular grid: x (n_x,), y (n_y,), values (n_y, n_x)."""

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray

    def write(self, file: Path) -> None:
        """Write what Gmsh calls a structured field: origin, steps, counts, values along y."""
        with file.open("w", encoding="utf-8") as out:
            out.write(f"{self.x[0]:.17g} {self.y[0]:.17g} 0\n")
            out.write(f"{_step(self.x):.17g} {_step(self.y):.17g} 1\n")
            out.write(f"{self.x.size} {self.y.size} 1\n")
            np.savetxt(out, self.values.T.ravel(), fmt="%.9g")


def _step(axis: np.ndarray) -> float:
    """Step of a regular axis; a single point has no neighbour to step to."""
    return float(axis[-1] - axis[0]) / (axis.size - 1) if axis.size > 1 else 1.0


class CannotRun(Exception):
    """A mesher is not here, or does not start; its text ends a sentence."""


def run_mesher(faces: Sequence[shapely.Polygon], grid: Grid | None, time_limit: float) -> Answer:
    """Triangles of side length 1, or that of the grid, by the first mesher that runs here.

    Parameters
    ----------
    faces : sequence of shapely.Polygon
        Counter-clockwise, holes clockwise; sides that two faces share are the same points.
    grid : Grid, optional
        Sides of the triangles; above 1 it has no effect.
    time_limit : float
        Seconds for each mesher that is tried.

    Returns
    -------
    points : numpy.ndarray, shape (n_points, 2)
    triangles : numpy.ndarray of int, shape (n_triangles, 3)
    mesher : str
        Name and version.

    Raises
    ------
    MeshError
        No mesher runs here, or the one that does exceeds its time or fails.
    """
    if not (np.isfinite(time_limit) and time_limit > 0):
        raise MeshError(
            f"the mesher's time limit is {time_limit} s", remedy="give a positive number of seconds"
        )
    job = _planar_graph(faces) | {
        "size": 1.0,
        "algorithm": FRONTAL_DELAUNAY,
        "field": "field.txt" if grid else "",
        "time_limit": time_limit,
    }
    reasons = []
    for mesher in MESHERS:
        with tempfile.TemporaryDirectory(
            prefix="chemoscape-mesh-", ignore_cleanup_errors=True
        ) as name:
            if grid:
                grid.write(Path(name) / "field.txt")
            try:
                return mesher(job, Path(name), time_limit)
            except CannotRun as error:
                reasons.append(str(error))
    raise MeshError(
        f"no mesher runs here: {', '.join(reasons)}",
        remedy="pip install gmsh (the libraries that it links are, on Debian: apt install "
        f"{DEBIAN_PACKAGES}), or pip install netgen-mesher",
    )


def _planar_graph(faces: Sequence[shapely.Polygon]) -> dict[str, list]:
    """Points, lines and surfaces for the mesher; a side that two faces share is one line."""
    points: dict[tuple[float, float], int] = {}
    lines: dict[tuple[int, int], int] = {}
    surfaces = []
    for face in faces:
        loops = []
        for ring in (face.exterior, *face.interiors):
            corners = [points.setdefault(xy, len(points)) for xy in ring.coords[:-1]]
            loop = []
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                line = lines.setdefault((min(a, b), max(a, b)), len(lines) + 1)
                loop.append(line if a < b else -line)
            loops.append(loop)
        surfaces.append(loops)
    return {"points": list(points), "lines": list(lines), "surfaces": surfaces}


def _package_folder(name: str) -> Path | None:
    """Folder that a module or package lies in, found without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return None
    origin = Path(found.origin)
    return origin.parents[1] if found.submodule_search_locations else origin.parent


def _by_gmsh_wheel(job: dict, folder: Path, time_limit: float) -> Answer:
    """Gmsh's Python wheel in a worker."""
    return _by_worker("Gmsh", GMSH_WORKER, _package_folder("gmsh"), job, folder, time_limit)


def _by_netgen_wheel(job: dict, folder: Path, time_limit: float) -> Answer:
    """netgen's Python wheel in a worker."""
    return _by_worker("netgen", NETGEN_WORKER, _package_folder("netgen"), job, folder, time_limit)


def _by_worker(
    name: str, worker: Path, package: Path | None, job: dict, folder: Path, time_limit: float
) -> Answer:
    """Let one of our workers import the mesher, mesh the job and leave its arrays in the folder."""
    if package is None:
        raise CannotRun(f"{name} is not installed")
    text = json.dumps(job | {"package_folder": str(package)})
    (folder / "job.json").write_text(text, encoding="utf-8")
    # -I: nothing in the working folder or the environment can stand in for the mesher
    status = _run([sys.executable, "-I", str(worker), str(folder)], name, folder, time_limit)
    answer_file = folder / "answer.json"
    if not answer_file.exists():
        raise _stopped(name, status, folder)
    answer = json.loads(answer_file.read_text(encoding="utf-8"))
    if "cannot_load" in answer:
        raise CannotRun(f"{name} cannot be loaded ({answer['cannot_load']})")
    tags = np.fromfile(folder / "tags.bin", dtype=np.int64)
    points = np.fromfile(folder / "coordinates.bin").reshape(-1, 3)[:, :2]
    corners = np.fromfile(folder / "corners.bin", dtype=np.int64).reshape(-1, 3)
    order = np.argsort(tags)
    return points[order], np.searchsorted(tags[order], corners), answer["mesher"]


def _by_gmsh_program(job: dict, folder: Path, time_limit: float) -> Answer:
    """A `gmsh` on the path: reads a .geo file, writes a .msh file."""
    program = shutil.which("gmsh")
    if program is None:
        raise CannotRun("there is no program gmsh on the path")
    (folder / "job.geo").write_text(_geo_file(job), encoding="utf-8")
    command = [program, "job.geo", "-2", "-nt", "1", "-format", "msh22", "-o", "mesh.msh"]
    status = _run(command, "Gmsh", folder, time_limit)
    if not (folder / "mesh.msh").exists():
        raise CannotRun(f"the program {program} stops with status {status} ({_last_words(folder)})")
    import meshio  # needed here only, and slow to import

    try:
        with contextlib.redirect_stdout(None):
            mesh = meshio.read(folder / "mesh.msh", file_format="gmsh")
    except (meshio.ReadError, ValueError, IndexError, SystemExit) as error:
        raise MeshError(
            f"the program {program} wrote a mesh that cannot be read ({error})",
            remedy="install another version of Gmsh",
        ) from None
    triangles = mesh.cells_dict.get("triangle", np.zeros((0, 3), dtype=np.int64))
    return mesh.points[:, :2], triangles.astype(np.int64), f"program {program}"


def _geo_file(job: dict) -> str:
    """The job in Gmsh's own language, with the options of the worker."""
    text = [
        f"Mesh.Algorithm = {job['algorithm']};",
        f"Mesh.MeshSizeMax = {job['size']};",
        "Mesh.MeshSizeExtendFromBoundary = 0;",
        "Mesh.Binary = 0;",
    ]
    text += [
        f"Point({k}) = {{{x!r}, {y!r}, 0, {job['size']}}};"
        for k, (x, y) in enumerate(job["points"], start=1)
    ]
    text += [f"Line({k}) = {{{a + 1}, {b + 1}}};" for k, (a, b) in enumerate(job["lines"], start=1)]
    loop_number = 0
    for surface, loops in enumerate(job["surfaces"], start=1):
        own = []
        for loop in loops:
            loop_number += 1
            own.append(str(loop_number))
            text.append(f"Curve Loop({loop_number}) = {{{', '.join(map(str, loop))}}};")
        text.append(f"Plane Surface({surface}) = {{{', '.join(own)}}};")
    if job["field"]:
        text += [
            "Field[1] = Structured;",
            f'Field[1].FileName = "{job["field"]}";',
            "Field[1].TextFormat = 1;",
            "Background Field = 1;",
        ]
    return "\n".join(text) + "\n"


#: In the order in which they are tried.
MESHERS: tuple[Callable[[dict, Path, float], Answer], ...] = (
    _by_gmsh_wheel,
    _by_gmsh_program,
    _by_netgen_wheel,
)


def _run(command: list[str], name: str, folder: Path, time_limit: float) -> int:
    """Exit status of a command that is killed, with all that it started, at the time limit.

    What it says goes to a file: a pipe would stay open as long as any grandchild lives.
    """
    with (folder / "said.txt").open("wb") as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own worker, or gmsh from the path
                command,
                cwd=folder,
                # no settings of the user's may change the mesh
                env=os.environ | {"GMSH_HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotRun(f"{command[0]} does not start ({error.strerror})") from None
        try:
            return process.wait(time_limit)
        except subprocess.TimeoutExpired:
            raise MeshError(
                f"{name} did not finish within its time limit of {time_limit:g} s",
                remedy="raise mesh_size or smooth the mask",
            ) from None
        finally:
            if process.poll() is None:
                _kill(process)


def _kill(process: subprocess.Popen) -> None:
    """End a process and its whole group, and collect it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _stopped(name: str, status: int, folder: Path) -> MeshError:
    """Sentence with the last words of a mesher that died."""
    return MeshError(
        f"{name} stopped with status {status} ({_last_words(folder)})",
        remedy="raise mesh_size or smooth the mask",
    )


def _last_words(folder: Path) -> str:
    said = (folder / "said.txt").read_bytes().decode(errors="replace").strip().splitlines()
    return said[-1][:200] if said else "no message"
