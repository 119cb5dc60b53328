"""What may pass for composition in a few images, said before it does."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy.stats import chi2

from chemoscape.errors import ChemoscapeWarning
from chemoscape.few_energies.problem import Problem
from chemoscape.standards.library import Library

#: An offset of this optical density is what the doubt about a missing image is stated for.
TYPICAL_OFFSET = 0.01
#: A difference between thick and thin parts of more than this looks like chemistry.
FABRICATED = 0.02
#: A weight that is negative by more standard deviations is no noise.
NEGATIVE_SDS = 2.0
#: Images of a mixture that depart so much are rarer than this.
IMPROBABLE = 0.01
#: Thin and thick parts: below and above these shares of the 95th percentile of thickness.
THIN, THICK = 0.4, 0.75


def warn_without_pre_edge(maps: xr.Dataset, variable: str) -> float:
    """What an offset of 0.01 does to thin parts beyond what it does to thick ones, and a warning.

    A wrong I0 or carbon adds the same optical density everywhere. Where nothing takes it off, it
    weighs more the thinner the sample is, and a particle that thins towards its rim seems to have a
    shell.

    Parameters
    ----------
    maps : Dataset of `fit_maps`
        Of images that all lie above the edge.
    variable : str
        What is mapped.

    Returns
    -------
    float
        Difference between the median of thin and of thick pixels; NaN without either.

    Warns
    -----
    ChemoscapeWarning
        It exceeds 0.02.
    """
    inside = maps["sample"].values
    if not inside.any():
        return float("nan")
    thickness = maps["thickness"].values
    full = np.percentile(thickness[inside], 95)
    moved = TYPICAL_OFFSET * maps["per_offset"].values
    thin, thick = (
        moved[inside & where] for where in (thickness < THIN * full, thickness > THICK * full)
    )
    if not (thin.size and thick.size):
        return float("nan")
    at_the_rim, within = float(np.median(thin)), float(np.median(thick))
    if abs(at_the_rim - within) > FABRICATED:
        warnings.warn(
            f"there is no image before the edge: an optical density of {TYPICAL_OFFSET:g} too much "
            "everywhere (I0, support, carbon) would "
            f"change {variable} by {at_the_rim:+.3f} in thin parts and by {within:+.3f} in thick "
            "ones, which looks like a core and a shell; measure one image before the edge",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return at_the_rim - within


def warn_of_misfit(
    od: xr.Dataset, sample: xr.DataArray, problem: Problem, *, pixels_per_value: float = 1.0
) -> float:
    """Whether the sample's mean is that of a mixture of the standards.

    Judged by chi-squared of the mean of all sample pixels, with every error that they have in
    common in its covariance. As many images as standards are those of some mixture always; a test
    with one or two images more notices a phase that is none of the standards only if it happens to
    differ there.

    Parameters
    ----------
    od : Dataset of `optical_density`
        With its variance.
    sample : DataArray (y, x) of bool
    problem : Problem
    pixels_per_value : float
        Pixels that share their noise: ``4π σ²`` behind a Gaussian of σ pixels.

    Returns
    -------
    float
        Probability that images of a mixture depart as much; NaN where it cannot be judged.

    Warns
    -----
    ChemoscapeWarning
        It is below 0.01, or the mean has an amount of some standard that is negative by more than
        two of its standard deviations.
    """
    inside = sample.values & np.isfinite(od["optical_density"].values).all(axis=0)
    if not inside.any():
        return float("nan")
    mean = od["optical_density"].values[:, inside].mean(axis=1, dtype=np.float64)
    counting = od["variance"].values[:, inside].mean(axis=1, dtype=np.float64)
    counting *= max(pixels_per_value, 1.0) / inside.sum()
    weights, sd, squares, degrees = problem.of_mean(mean, counting)
    names = problem.library.names
    for name, weight, error in zip(names, weights, sd, strict=True):
        if weight < -NEGATIVE_SDS * error:
            warnings.warn(
                f"the sample's mean has a negative amount of {name} "
                f"({100 * weight / weights.sum():.0f} ± {100 * error / weights.sum():.0f} % of "
                f"all), so that it is no mixture of {' and '.join(names)}: another phase, a wrong "
                "energy or a wrong optical density passes for composition here",
                ChemoscapeWarning,
                stacklevel=2,
            )
    if degrees < 1:
        return float("nan")
    chance = float(chi2.sf(squares, degrees))
    if chance < IMPROBABLE:
        warnings.warn(
            f"the images are those of no mixture of {' and '.join(names)} (chi-squared of their "
            f"mean {squares:.1f} for {degrees} degree{'s' if degrees > 1 else ''} of freedom): "
            "another phase, a wrong energy or a wrong optical density passes for composition here",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return chance


def warn_of_little(maps: xr.Dataset, library: Library) -> None:
    """Say when the error of composition is about as large as the distance of its bounds.

    Warns
    -----
    ChemoscapeWarning
        The median standard deviation exceeds half of that distance.
    """
    inside = maps["sample"].values
    if not inside.any():
        return
    squares = maps["error"].values[:, inside].astype(np.float64) ** 2
    sd = float(np.median(np.sqrt(squares.sum(axis=0))))
    if sd > 0.5 * float(np.ptp(library.values)):
        largest = int(squares.mean(axis=1).argmax())
        warnings.warn(
            f"these images tell little: {library.variable} has a standard deviation of {sd:.2g} "
            f"(median), between bounds {np.ptp(library.values):.2g} apart; the largest part is "
            f"{str(maps['source'].values[largest])!r}; chemoscape plan says which energies would "
            "tell more",
            ChemoscapeWarning,
            stacklevel=2,
        )
