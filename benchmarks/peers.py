"""One piece of work by another program, run by its own Python: python peers.py JOB FOLDER.

FOLDER holds counts.npy (energy, y, x) float32, energy.npy and, for optical density, i0.npy; for a
fits and factorisations od.npy, energy.npy, spectra.npy (standard, energy) and start.npy (energy,
part); for stress points.npy, triangles.npy,
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

import peer_fits as fits
import peer_images as images
from peer_stacks import Result
from peer_stress import ngsolve_stress

PACKAGES = (
    "mantis-xray", "hyperspy", "pymcr", "pystackreg", "scikit-image", "ngsolve", "numpy", "scipy",
    "PyQt5",
)  # fmt: skip

JOBS: dict[str, Callable[[Path, Result], Result]] = {
    "mantis_density_ncb": lambda folder, facts: images.mantis_optical_density(folder, "ncb"),
    "mantis_density_hdr": lambda folder, facts: images.mantis_optical_density(folder, "hdr"),
    "mantis_manual": images.mantis_manual,
    "mantis_fft": images.mantis_fft,
    "hyperspy": images.hyperspy,
    "pystackreg": images.pystackreg,
    "skimage": images.skimage,
    "mantis_least_squares": fits.mantis_least_squares,
    "mantis_pca": fits.mantis_pca,
    "mantis_kmeans": fits.mantis_kmeans,
    "mantis_nnma": fits.mantis_nnma,
    "hyperspy_pca": fits.hyperspy_pca,
    "pymcr_nnls": fits.pymcr_nnls,
    "pymcr_als": fits.pymcr_als,
    "ngsolve": ngsolve_stress,
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
