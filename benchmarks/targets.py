"""What is aimed at: the numbers of docs/benchmarks.md, which names the rows as they are named here.

A ratio is to the machine's own limit in the same process, a factor is against a peer's time in the
same run; both are held as printed, to one decimal, or two where it is small.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Seconds of a step are to be at most this many times those of its limit."""

    row: str
    most: float
    digits: int = 1

    def judge(self, ratio: float) -> str:
        verdict = "met" if round(ratio, self.digits) <= self.most else "MISSED"
        return f"<= {self.most:g} {verdict}"


@dataclass(frozen=True)
class Factor:
    """A peer is to take at least this many times as long."""

    row: str
    least: float

    def judge(self, factor: float) -> str:
        verdict = "met" if round(factor, 1) >= self.least else "MISSED"
        return f">= {self.least:g} {verdict}"


@dataclass(frozen=True)
class Seconds:
    """A step is to take at most so long, on any machine of our days."""

    row: str
    most: float

    def judge(self, seconds: float) -> str:
        return f"<= {self.most:g} s {'met' if seconds <= self.most else 'MISSED'}"


OPTICAL_DENSITY = Ratio("counts -> optical density", 2.5)
LEAST_SQUARES = Ratio("least squares + residual map", 4.0)
NNLS = Ratio("NNLS (6 standards) + residual map + reduced chi2", 5.0)
ONE_PASS = Ratio("counts -> weights and residual in one pass", 8.0)
PCA = Ratio("PCA", 3.0)
WHOLE_JOB = Ratio("the whole main job, sum of its steps", 1.5, 2)
LARGE_MAPS = Ratio("larger than memory: counts -> NNLS maps, reading alone", 1.5, 2)
LARGE_PASSES = Ratio("larger than memory: passes of the whole main job", 4.0)
LARGE_MEMORY = Ratio("larger than memory: GB", 2.0)
EQUAL = Ratio("larger than memory: difference to the same in memory", 1e-6, 9)
REGISTRATION = Ratio("registration, 250 × 512²", 5.0)
MEMORY = Ratio("extra memory, in float32 stacks", 2.0)

ASSEMBLY = Ratio("stress: assembly and condensing", 0.5, 2)
SECOND_LOAD = Ratio("stress: a second load", 0.1, 2)
MESHING = Ratio("stress: meshing", 1.0, 2)
SOLVE_MEMORY = Ratio("stress: GB at 600,000 unknowns", 2.5)
NGSOLVE = Ratio("stress: mesh to displacement, NGSolve", 2.0, 2)

OPTICAL_DENSITY_MANTIS = Factor("counts -> optical density, MANTiS", 80.0)
REGISTRATION_MANTIS = Factor("registration, MANTiS", 3.0)
NNMA_MANTIS = Factor("NNMA, 100k × 120, a sweep, MANTiS", 10.0)
LEAST_SQUARES_MANTIS = Factor("least squares, MANTiS", 3.0)
PCA_MANTIS = Factor("PCA, MANTiS", 10.0)
PCA_HYPERSPY = Factor("PCA, 100k × 120, HyperSpy", 20.0)
KMEANS_MANTIS = Factor("k-means, 5 clusters on scores, MANTiS", 10.0)
NNLS_LOOP = Factor("NNLS, a scipy.optimize.nnls loop", 150.0)
READ_FRAMES = Factor("reading .hdr/.xim, numpy.loadtxt", 5.0)

DEMO = Seconds("chemoscape demo", 60.0)
LOOK = Seconds("chemoscape look, 250 × 512²", 10.0)
