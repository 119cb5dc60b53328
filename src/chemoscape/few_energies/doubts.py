"""What may pass for composition in a few images, said before it does."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning
from chemoscape.standards.library import Library

#: An offset of this optical density is what the doubt about a missing image is stated for.
TYPICAL_OFFSET = 0.01
#: A difference between thick and thin parts of more than this looks like chemistry.
FABRICATED = 0.02
#: A reduced chi-squared above this, in the median, is that of other standards.
MISFIT = 3.0
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


def warn_of_misfit(maps: xr.Dataset, library: Library) -> None:
    """Say when the images are those of no mixture of the standards.

    Warns
    -----
    ChemoscapeWarning
        The median reduced chi-squared of the sample exceeds 3. A phase that is none of the
        standards may otherwise pass for a composition between them: two features cannot tell.
    """
    known = maps["reduced_chi2"].values[maps["sample"].values]
    known = known[np.isfinite(known)]
    if known.size and np.median(known) > MISFIT:
        warnings.warn(
            f"the images are those of no mixture of {' and '.join(library.names)} (reduced "
            f"chi-squared {np.median(known):.1f}): another phase, a wrong energy or a wrong "
            "optical density passes for composition here",
            ChemoscapeWarning,
            stacklevel=2,
        )
