"""A powder pattern: angles, intensities, their standard deviations, and the radiation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.crystals.radiation import Radiation, radiation
from chemoscape.errors import FileFormatError

#: Fewer points than this are no pattern.
FEWEST_POINTS = 20
#: Intensities beyond this, or differing by less than one over it, are none: squares overflow.
_HIGHEST = 1e30
#: What the source of a pattern says that nobody measured.
SYNTHETIC = "(SYNTHETIC pattern)"


@dataclass(frozen=True, eq=False)
class Pattern:
    """Intensity against 2θ.

    Parameters
    ----------
    two_theta : ndarray (n,)
        Degrees, rising.
    intensity : ndarray (n,)
        Counts, or what the file says.
    sd : ndarray (n,)
        Standard deviations of the intensities; infinite where a point is not to be used.
    radiation : Radiation
        Its wavelengths.
    source : str
        File, or how it was made; synthetic patterns say SYNTHETIC.
    sd_from : str
        ``"counts"`` (the square root), ``"file"``, ``"weights"`` or ``"scaled"`` (neither counts
        nor given: the square root times what makes neighbours scatter by it).
    wavelength_from : str
        ``"given"``, ``"file"`` or ``"assumed"``.

    Raises
    ------
    FileFormatError
        Fewer than 20 points, angles that do not rise or lie outside 0 to 180 degrees, or values
        that are no numbers.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    sd: np.ndarray
    radiation: Radiation = field(default_factory=lambda: radiation("Cu"))
    source: str = ""
    sd_from: str = "file"
    wavelength_from: str = "given"

    def __post_init__(self) -> None:
        columns = [np.asarray(one, float) for one in (self.two_theta, self.intensity, self.sd)]
        for name, column in zip(("two_theta", "intensity", "sd"), columns, strict=True):
            object.__setattr__(self, name, column)
        x, y, sd = columns
        if x.ndim != 1 or x.shape != y.shape or x.shape != sd.shape or x.size < FEWEST_POINTS:
            self._refuse(f"holds {x.size} points", "give angles and intensities of a whole pattern")
        if not (np.isfinite(x).all() and np.isfinite(y).all()) or np.isnan(sd).any():
            self._refuse("holds values that are no numbers", "remove those lines")
        if x.min() <= 0 or x.max() >= 180:
            self._refuse(
                f"its angles run from {x.min():g} to {x.max():g}, not between 0 and 180",
                "cut what lies beyond, or say which axis the first column is",
            )
        if len(falls := np.flatnonzero(np.diff(x) <= 0)):
            k = int(falls[0])
            self._refuse(
                f"its angles do not rise: {x[k + 1]:g} follows {x[k]:g} in row {k + 2}",
                "remove rows that repeat an angle, and give one pattern in a file",
            )
        if not (np.abs(y).max() < _HIGHEST and np.ptp(y) > 1 / _HIGHEST):
            self._refuse(
                f"its intensities run from {y.min():g} to {y.max():g}",
                "give counts, or what is in proportion to them",
            )
        if (sd < 1 / _HIGHEST).any():
            self._refuse("has standard deviations that are not positive", "leave that column out")

    def _refuse(self, what: str, remedy: str) -> None:
        raise FileFormatError(what, self.source or "pattern", remedy)

    @property
    def step(self) -> float:
        """Median distance of neighbouring angles, degrees."""
        return float(np.median(np.diff(self.two_theta)))

    def between(self, low: float | None = None, high: float | None = None) -> Pattern:
        """The part of the pattern between two angles (degrees)."""
        low = -np.inf if low is None else low
        high = np.inf if high is None else high
        keep = (self.two_theta >= low) & (self.two_theta <= high)
        return replace(
            self,
            two_theta=self.two_theta[keep],
            intensity=self.intensity[keep],
            sd=self.sd[keep],
        )

    def text(self) -> str:
        """The pattern as columns of 2θ, intensity and sd, with a header that `read_pattern` reads;
        what is not to be used is left out.
        """
        words = [f"# {self.source}", f"# wavelength {self.radiation.wavelength:g} A"]
        if self.radiation.is_doublet:
            mean = (2 * self.radiation.wavelengths[0] + self.radiation.wavelengths[1]) / 3
            words[1] = f"# wavelength {mean:.5f} A, the mean of a doublet"
        rows = zip(self.two_theta, self.intensity, self.sd, strict=True)
        lines = [f"{x:.5f} {y:.6g} {sd:.6g}" for x, y, sd in rows if np.isfinite(sd)]
        return "\n".join([*words, "# 2theta intensity sd", *lines]) + "\n"

    def without(self, *ranges: tuple[float, float]) -> Pattern:
        """The pattern with some ranges of angle (degrees) not to be used: their sd is infinite."""
        sd = self.sd.copy()
        for low, high in ranges:
            sd[(self.two_theta >= low) & (self.two_theta <= high)] = np.inf
        return replace(self, sd=sd)


def counting_sd(counts: ArrayLike) -> np.ndarray:
    """Standard deviations of counts, ``sqrt(max(N, 1))``: an empty channel is not known exactly."""
    return np.sqrt(np.maximum(np.asarray(counts, float), 1.0))


def scattered_sd(intensity: np.ndarray) -> np.ndarray:
    """Standard deviations of intensities that are no counts but follow them up to a factor.

    The third differences of neighbours, divided by the square root of their mean, scatter by the
    square root of the factor (the median, which peaks do not move).

        sd_i = s sqrt(y_i),   s = 1.4826 median |Δ³y_i / sqrt(20 ȳ_i)|

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rate = 0.01 * rng.poisson(400.0, 4000)  # counts per second of 100 s
    >>> bool(abs(np.median(scattered_sd(rate)) / 0.2 - 1) < 0.05)
    True
    """
    floor = np.maximum(intensity, max(1e-3 * np.max(np.abs(intensity)), 1e-300))
    third = np.diff(intensity, 3) / np.sqrt(20 * floor[1:-2])
    factor = 1.4826 * float(np.median(np.abs(third)))
    if not factor > 0:  # most neighbours are equal: a calculated pattern
        factor = 1e-3 * float(np.sqrt(np.max(floor)))
    return factor * np.sqrt(floor)
