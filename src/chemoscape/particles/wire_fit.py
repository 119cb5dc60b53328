"""The shape of one wire, fitted to what a blurring microscope has seen of it.

The blur acts on the intensity, so the model is one of transmission. Along the axis of a wire, u,
and across it, v, it is T = B (1 - q(v) E(u)): B the background, a plane; E a box between the two
ends, blurred; q the share of light that the wire takes away across its width, as `profiles` gives
it. A Gaussian stands for the spot and the pixel, sigma² = (FWHM / 2.355)² + pixel² / 12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from chemoscape.particles.profiles import Profile, absorbed, rule

#: Spread of what is assumed beside the data: a kink of the outline, as a share of the half-width,
#: and ln(optical density) around its first guess. Both say nothing where the data say anything.
KINK, LN_DENSITY = 0.3, 1.5
#: Most evaluations of the model in one fit.
EVALUATIONS = 60


@dataclass(frozen=True)
class Patch:
    """What was measured on and around one wire, in its own axes.

    Attributes
    ----------
    u, v : ndarray, shape (n,)
        Position of each pixel's centre along and across a straight line through the wire, µm.
    transmission : ndarray, shape (n,)
        exp(-optical density); the unit is of no matter.
    sigma : float
        Of the Gaussian that stands for the spot and the pixel, µm.
    """

    u: np.ndarray
    v: np.ndarray
    transmission: np.ndarray
    sigma: float


@dataclass(frozen=True)
class Shape:
    """A wire: where its axis runs, and how wide and dense it is.

    Attributes
    ----------
    ends : ndarray, shape (2,)
        u of the two ends, µm.
    axis : ndarray, shape (2,) or (3,)
        Coefficients of v = a + b t + c (t² - 1/3), with t from -1 to 1 between `frame`.
    frame : tuple of float
        u of t = -1 and t = 1.
    halves : ndarray, shape (k,)
        Half-width at k points evenly spaced from end to end, linear between them, µm.
    density : float
        Optical density; that of the middle where the profile is elliptic.
    background : ndarray, shape (3,)
        Transmission beside the wire, and its relative slopes along t and v / sigma.
    """

    ends: np.ndarray
    axis: np.ndarray
    frame: tuple[float, float]
    halves: np.ndarray
    density: float
    background: np.ndarray

    @property
    def area(self) -> float:
        """Integral of the width from end to end, µm²."""
        return float(2 * (self.ends[1] - self.ends[0]) * _trapezoid(len(self.halves)) @ self.halves)

    @property
    def length(self) -> float:
        """Length of the axis, which may be bent, µm."""
        along = np.linspace(self.ends[0], self.ends[1], 65)
        return float(np.hypot(np.diff(along), np.diff(axis_at(self, along)[0])).sum())


@dataclass(frozen=True)
class Fit:
    """A shape fitted to a patch.

    Attributes
    ----------
    shape : Shape
    area_sd : float
        Standard deviation of the area by the noise that the residuals show, µm².
    misfit : float
        Sum of squared residuals over the variance of the noise.
    reduced : float
        The same per degree of freedom.
    converged : bool
    """

    shape: Shape
    area_sd: float
    misfit: float
    reduced: float
    converged: bool


def axis_at(shape: Shape, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V of the axis, µm, and its slope at positions along the wire."""
    start, stop = shape.frame
    t = (u - start) / (stop - start) * 2 - 1
    powers = _powers(t, len(shape.axis))
    slope = shape.axis[1] + (2 * shape.axis[2] * t if len(shape.axis) > 2 else 0 * t)
    return powers @ shape.axis, slope * 2 / (stop - start)


def _powers(t: np.ndarray, terms: int) -> np.ndarray:
    """What the coefficients of an axis multiply, shape (n, terms)."""
    return np.stack([np.ones_like(t), t, t**2 - 1 / 3][:terms], axis=1)


def _trapezoid(points: int) -> np.ndarray:
    """Weights of the trapezoidal rule from 0 to 1."""
    weights = np.full(points, 1 / (points - 1))
    weights[[0, -1]] /= 2
    return weights


class _Model:
    """Residuals of one profile on one patch, and their derivatives."""

    def __init__(self, patch: Patch, start: Shape, profile: Profile, noise: np.ndarray) -> None:
        self.patch, self.start, self.profile, self.noise = patch, start, profile, noise
        self.terms, self.points = len(start.axis), len(start.halves)
        low, high = start.frame
        self.t = (patch.u - low) / (high - low) * 2 - 1
        self.powers = _powers(self.t, self.terms)
        # seen along v, the spot is wider where the axis runs at a slant
        self.across = patch.sigma * np.hypot(1, axis_at(start, patch.u)[1])
        self.nodes = rule(profile, float(start.halves.max() / patch.sigma))
        self.stiff = np.diff(np.eye(self.points), 2, axis=0) / (KINK * start.halves.mean())
        self.seen: tuple[bytes, np.ndarray, np.ndarray] | None = None

    def pack(self, shape: Shape) -> np.ndarray:
        return np.concatenate(
            [shape.ends, shape.axis, shape.halves, [np.log(shape.density)], shape.background]
        )

    def unpack(self, values: np.ndarray) -> Shape:
        ends, axis, halves, density, background = np.split(
            values, np.cumsum([2, self.terms, self.points, 1])
        )
        return Shape(ends, axis, self.start.frame, halves, float(np.exp(density[0])), background)

    def light(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transmission of each pixel, shape (n,), and its derivatives, shape (n, parameters)."""
        shape, patch = self.unpack(values), self.patch
        first, last = shape.ends
        length = last - first
        # half-width: linear between the points, constant beyond the ends
        place = (patch.u - first) / length * (self.points - 1)
        within = np.clip(place, 0, self.points - 1)
        knot = np.minimum(within.astype(int), self.points - 2)
        share = within - knot
        half = shape.halves[knot] * (1 - share) + shape.halves[knot + 1] * share
        rise = np.where(place == within, np.diff(shape.halves)[knot], 0.0)
        v = patch.v - self.powers @ shape.axis
        q, by_v, by_half, by_density = absorbed(
            v, half, shape.density, self.across, self.profile, self.nodes
        )
        along = [(patch.u - end) / patch.sigma for end in shape.ends]
        inside = special.ndtr(along[0]) - special.ndtr(along[1])
        edges = [np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) / patch.sigma for x in along]
        level, *slopes = shape.background
        aside = patch.v / patch.sigma
        plane = 1 + slopes[0] * self.t + slopes[1] * aside
        empty = level * plane
        dark = 1 - q * inside
        by = np.empty((len(v), len(values)))
        steepness = by_half * inside * rise * (self.points - 1) / length
        part = place / (self.points - 1)
        by[:, 0] = -empty * (-q * edges[0] - steepness * (1 - part))
        by[:, 1] = -empty * (q * edges[1] - steepness * part)
        at = 2 + self.terms
        by[:, 2:at] = (empty * inside * by_v)[:, None] * self.powers
        widths = by[:, at : at + self.points]
        widths[:] = 0
        pull = -empty * inside * by_half
        row = np.arange(len(v))
        widths[row, knot] = pull * (1 - share)
        widths[row, knot + 1] = pull * share
        by[:, -4] = -empty * inside * by_density * shape.density
        by[:, -3] = plane * dark
        by[:, -2] = level * self.t * dark
        by[:, -1] = level * aside * dark
        return empty * dark, by

    def _evaluate(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals in units of the noise, with those of what is assumed, and derivatives."""
        key = values.tobytes()
        if self.seen is None or self.seen[0] != key:
            light, by = self.light(values)
            at = 2 + self.terms
            bent = self.stiff @ values[at : at + self.points]
            thick = (values[-4] - np.log(self.start.density)) / LN_DENSITY
            assumed = np.zeros((len(bent) + 1, len(values)))
            assumed[:-1, at : at + self.points] = self.stiff
            assumed[-1, -4] = 1 / LN_DENSITY
            residuals = (light - self.patch.transmission) / self.noise
            self.seen = (
                key,
                np.concatenate([residuals, bent, [thick]]),
                np.vstack([by / self.noise[:, None], assumed]),
            )
        return self.seen[1], self.seen[2]

    def residuals(self, values: np.ndarray) -> np.ndarray:
        return self._evaluate(values)[0]

    def jacobian(self, values: np.ndarray) -> np.ndarray:
        return self._evaluate(values)[1]


def expected(patch: Patch, shape: Shape, profile: Profile) -> np.ndarray:
    """Transmission of the pixels of a patch, shape (n,), if the wire had this shape."""
    model = _Model(patch, shape, profile, np.ones(len(patch.u)))
    return model.light(model.pack(shape))[0]


def fit_wire(patch: Patch, start: Shape, profile: Profile, noise: np.ndarray) -> Fit:
    """The shape that describes a patch best by least squares.

    Parameters
    ----------
    patch : Patch
        More pixels than the shape has numbers.
    start : Shape
        A guess, such as the mask gives it; says how many numbers describe axis and outline.
    profile : {"box", "elliptic"}
    noise : ndarray, shape (n,)
        Standard deviation of each transmission; a common factor is found from the residuals.
    """
    model = _Model(patch, start, profile, noise)
    with np.errstate(over="ignore", invalid="ignore"):
        found = optimize.least_squares(
            model.residuals,
            model.pack(start),
            model.jacobian,
            method="lm",
            x_scale="jac",
            ftol=1e-6,
            xtol=1e-6,
            gtol=1e-6,
            max_nfev=EVALUATIONS,
        )
        shape = model.unpack(found.x)
    n = len(patch.u)
    misfit = float((found.fun[:n] ** 2).sum())
    reduced = misfit / max(1, n - len(found.x))
    gradient = np.zeros(len(found.x))
    weights = 2 * _trapezoid(model.points)
    at = 2 + model.terms
    gradient[:2] = np.array([-1, 1]) * (weights @ shape.halves)
    gradient[at : at + model.points] = weights * (shape.ends[1] - shape.ends[0])
    variance = reduced * gradient @ np.linalg.pinv(found.jac.T @ found.jac) @ gradient
    spread = float(np.sqrt(max(float(variance), 0.0)))
    return Fit(shape, spread, misfit, reduced, found.status > 0)
