"""The least squares of a whole pattern: what is searched, the model there, and its slopes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import optimize

from chemoscape.crystals.intensities import Linear, chebyshev_base, solve_linear
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.profile import SLOPES, Lines, Profile, Shift, lines_of
from chemoscape.crystals.reflections import Reflections, spacings

#: Fewer degrees than this do not tell U and V from W.
_RANGE_OF_WIDTHS = 40.0


@dataclass(frozen=True, eq=False)
class State:
    """A model at some values of what is searched."""

    values: np.ndarray
    lines: Lines
    linear: Linear
    d: np.ndarray
    profile: Profile

    @property
    def cost(self) -> float:
        """Weighted sum of squares."""
        return float((self.linear.residual**2).sum())


@dataclass(eq=False)
class Problem:
    """Values: components of G*, offset, U, V, W, η."""

    pattern: Pattern
    found: Reflections
    basis: np.ndarray
    kind: Shift
    n_background: int
    last: State | None = None
    weight: np.ndarray = field(init=False)
    base: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.weight = np.where(np.isfinite(self.pattern.sd), 1 / self.pattern.sd, 0.0)
        self.base = chebyshev_base(self.pattern.two_theta, self.n_background)
        #: h E h of every reflection and component, for the slopes of the spacings
        self.products = np.einsum("ni,kij,nj->kn", self.found.hkl, self.basis, self.found.hkl)

    @property
    def n_used(self) -> int:
        """Points that count."""
        return int((self.weight > 0).sum())

    @property
    def n_most(self) -> int:
        """Values that may vary."""
        return len(self.found) + self.n_background + len(self.basis) + 5

    def at(self, values: np.ndarray) -> State:
        """The model at some values, the last one kept."""
        if self.last is not None and np.array_equal(self.last.values, values):
            return self.last
        n = len(self.basis)
        d = spacings(self.found.hkl, np.tensordot(values[:n], self.basis, axes=1))
        shift, *widths = values[n:].tolist()
        profile = Profile(*widths)
        x = self.pattern.two_theta
        lines = lines_of(x, d, profile, self.pattern.radiation, shift, self.kind)
        before = None if self.last is None else self.last.linear.positive
        linear = solve_linear(lines.value, self.base, self.pattern.intensity, self.weight, before)
        self.last = State(values.copy(), lines, linear, d, profile)
        return self.last

    def residual(self, values: np.ndarray) -> np.ndarray:
        """Weighted, of opposite sign to what is measured."""
        return -self.at(values).linear.residual

    def slopes(self, values: np.ndarray, lines: np.ndarray | None = None) -> np.ndarray:
        """Of the residual, shape (n, values), what linear terms can mimic taken out; of some lines
        alone where they are named.
        """
        now = self.at(values)
        strength = now.linear.intensities if lines is None else now.linear.intensities * lines
        slope = now.lines.slope
        columns = [slope("d", one * strength) for one in -0.5 * now.d**2 * self.products]
        columns += [slope(name, strength) for name in SLOPES[1:]]
        return now.linear.without_linear(np.column_stack(columns) * self.weight[:, None])

    def fitted(self, values: np.ndarray, free: np.ndarray, *, roughly: bool = False) -> np.ndarray:
        """The values after least squares in those that are free."""
        n = len(self.basis)
        high = np.r_[np.full(n, np.inf), 1.0, 5.0, 5.0, 9.0, 1.0]
        low = np.r_[np.full(n, -np.inf), -1.0, -5.0, -5.0, 1e-6, 0.0]

        def whole(part: np.ndarray) -> np.ndarray:
            full = values.copy()
            full[free] = part
            return full

        def allowed(part: np.ndarray) -> bool:
            lattice = np.tensordot(whole(part)[:n], self.basis, axes=1)
            return bool(np.linalg.eigvalsh(lattice)[0] > 0)

        def residual(part: np.ndarray) -> np.ndarray:
            if not allowed(part):
                return np.full(len(self.weight), 1e6)
            return self.residual(whole(part))

        found = optimize.least_squares(
            residual,
            np.clip(values[free], low[free], high[free]),
            jac=lambda part: self.slopes(whole(part))[:, free],
            bounds=(low[free], high[free]),
            x_scale="jac",
            max_nfev=20 if roughly else 40,
            xtol=1e-6 if roughly else 1e-10,
            ftol=1e-4 if roughly else 1e-9,
            gtol=1e-9,
        )
        return whole(found.x)


def free_values(problem: Problem) -> np.ndarray:
    """Which values are refined in the end."""
    x = problem.pattern.two_theta
    wide = bool(x[-1] - x[0] >= _RANGE_OF_WIDTHS)
    last = [problem.kind != "none", wide, wide, True, True]
    return np.r_[np.ones(len(problem.basis), bool), last]
