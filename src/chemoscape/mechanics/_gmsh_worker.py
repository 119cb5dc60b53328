"""Gmsh behind a process boundary: reads lines and their loops, writes triangles.

Started by `meshing.py` as ``python -I _gmsh_worker.py FOLDER``. Gmsh can hang, crash or print
without raising, and its licence is the GPL: it is imported in this process only, and nothing of
chemoscape is.
"""

from __future__ import annotations

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
    sys.path.insert(
        0, job["package_folder"]
    )  # isolated mode (-I) leaves out user-wide installations
    try:
        import gmsh
    except (ImportError, OSError) as error:  # OSError: a shared library that it links is not there
        answer = {"cannot_load": str(error)}
    else:
        answer = triangulate(gmsh, job, folder)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def triangulate(gmsh, job: dict, folder: Path) -> dict:  # type: ignore[no-untyped-def]
    """Triangulate the job's surfaces; every line is shared by the surfaces on its two sides."""
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    for option, value in (
        ("General.Terminal", 0),
        ("General.NumThreads", 1),  # the mesh must not depend on the machine
        ("Mesh.Algorithm", job["algorithm"]),
        ("Mesh.MeshSizeMax", job["size"]),
        # an outline's short sides must not make the whole inside finer than was asked for
        ("Mesh.MeshSizeExtendFromBoundary", 0),
    ):
        gmsh.option.setNumber(option, value)
    geo = gmsh.model.geo
    points = [geo.addPoint(x, y, 0.0, job["size"]) for x, y in job["points"]]
    lines = [geo.addLine(points[a], points[b]) for a, b in job["lines"]]
    for loops in job["surfaces"]:
        # a loop lists lines as ±(index + 1), negative when the line is run backwards
        geo.addPlaneSurface(
            [
                geo.addCurveLoop([lines[abs(k) - 1] * (1 if k > 0 else -1) for k in loop])
                for loop in loops
            ]
        )
    geo.synchronize()
    if job["field"]:
        # sizes on a regular grid: a callback into Python would be slow
        fields = gmsh.model.mesh.field
        field = fields.add("Structured")
        fields.setString(field, "FileName", str(folder / job["field"]))
        fields.setNumber(field, "TextFormat", 1)
        fields.setAsBackgroundMesh(field)
    gmsh.model.mesh.generate(2)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    _, corners = gmsh.model.mesh.getElementsByType(2)
    for name, kind, values in (
        ("tags", "q", tags),
        ("coordinates", "d", coordinates),
        ("corners", "q", corners),
    ):
        with (folder / f"{name}.bin").open("wb") as file:
            array(kind, values).tofile(file)
    answer = {"mesher": f"Gmsh {gmsh.__version__}"}
    gmsh.finalize()
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
