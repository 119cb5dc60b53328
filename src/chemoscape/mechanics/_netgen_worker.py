"""netgen behind a process boundary: the same job and the same answer as `_gmsh_worker.py`.

Started by `meshing.py` as ``python -I _netgen_worker.py FOLDER``, where Gmsh cannot be had.
"""

from __future__ import annotations

import importlib
import json
import math
import signal
import sys
from array import array
from pathlib import Path


def main(folder: Path) -> None:
    """Mesh the job in `folder` and write the answer beside it."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if hasattr(signal, "alarm"):  # ends this process even where nobody is left to kill it
        signal.alarm(math.ceil(job["time_limit"]) + 5)
    sys.path.append(job["package_folder"])  # isolated mode (-I) leaves out user-wide installations
    try:
        config, geom2d, meshing = (
            importlib.import_module(f"netgen.{name}") for name in ("config", "geom2d", "meshing")
        )
    except (ImportError, OSError) as error:  # OSError: a shared library that it links is not there
        answer = {"cannot_load": str(error)}
    else:
        triangulate(geom2d, meshing, job, folder)
        answer = {"mesher": f"netgen {config.version}"}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def triangulate(geom2d, meshing, job: dict, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """Triangulate the job's surfaces; every line knows the surface on its left and right."""
    left, right = [0] * len(job["lines"]), [0] * len(job["lines"])
    for number, loops in enumerate(job["surfaces"], start=1):
        for k in (k for loop in loops for k in loop):
            # surfaces lie on the left of their loops: counter-clockwise outside, clockwise inside
            (left if k > 0 else right)[abs(k) - 1] = number
    geometry = geom2d.SplineGeometry()
    points = [geometry.AppendPoint(x, y) for x, y in job["points"]]
    for (a, b), on_left, on_right in zip(job["lines"], left, right, strict=True):
        geometry.Append(["line", points[a], points[b]], leftdomain=on_left, rightdomain=on_right)
    parameters = meshing.MeshingParameters(maxh=job["size"])
    if job["field"]:
        restrict(parameters, folder / job["field"], job["size"])
    mesh = geometry.GenerateMesh(mp=parameters)
    corners = [v.nr for element in mesh.Elements2D() for v in element.vertices]
    xyz = [c for x, y in mesh.Coordinates() for c in (x, y, 0.0)]
    for name, kind, values in (
        ("tags", "q", range(1, len(xyz) // 3 + 1)),
        ("coordinates", "d", xyz),
        ("corners", "q", corners),
    ):
        with (folder / f"{name}.bin").open("wb") as file:
            array(kind, values).tofile(file)


def restrict(parameters, file: Path, largest: float) -> None:  # type: ignore[no-untyped-def]
    """Hand the grid's sizes to netgen, point by point where they are below the general one."""
    words = file.read_text(encoding="utf-8").split()
    x0, y0, _, dx, dy, _ = map(float, words[:6])
    n_y = int(words[7])
    for k, h in enumerate(map(float, words[9:])):
        if h < largest:
            parameters.RestrictH(x0 + dx * (k // n_y), y0 + dy * (k % n_y), 0.0, h)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
