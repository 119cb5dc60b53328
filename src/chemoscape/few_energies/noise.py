"""Noise of images whose values are no counts, from their empty parts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.stack import DIMS

#: Median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6744897501960817
#: Fewest empty pixels that tell a frame's noise.
FEWEST = 50


def with_background_variance(od: xr.Dataset) -> xr.Dataset:
    r"""The optical density with the variance that the empty part of each image shows.

    Shot noise of a reconstruction is white in its complex wave ψ, whatever the sample lets through:
    with N photons on a pixel the amplitude has the standard deviation ``|ψ_0| / (2 √N)``. For
    ``OD = -2 ln(|ψ|/|ψ_0|)`` this gives

    .. math:: \mathrm{var(OD)} = \frac{4\,\mathrm{var}|ψ|}{|ψ|^2} = s^2 e^{\mathrm{OD}}

    with s² = 1/N the variance of the optical density in the empty part: the law of counted photons,
    with a count that is measured for every image. s is taken robustly over all empty pixels, so
    that it holds the slow artefacts of a reconstruction as well as its noise, and whatever
    alignment and smoothing have left of both. Such artefacts do not average out over pixels as
    noise does, and those of the probe do not grow with the optical density, where s² exp(OD) is on
    the large side.

    Parameters
    ----------
    od : Dataset of `optical_density`
        With its ``background``, as aligned and filtered.

    Returns
    -------
    Dataset
        As `od`, with ``variance`` replaced, and the coordinate ``background_sd`` (energy).

    Raises
    ------
    StackError
        The empty part is not known, or too small.
    """
    if "background" not in od:
        raise StackError(
            "the noise of these images is not known, and neither is their empty part",
            remedy='open transmissions as counts ([input] quantity = "counts"), so that I0 and the '
            "noise come from the empty part; instead of optical densities give what was recorded",
        )
    density = od["optical_density"].values
    empty = od["background"].values & np.isfinite(density).all(axis=0)
    if empty.sum() < FEWEST:
        raise StackError(
            f"{int(empty.sum())} empty pixels are too few to measure the noise in",
            remedy="name a region without sample in [absorbance] i0",
        )
    outside = density[:, empty].astype(np.float64)
    middle = np.median(outside, axis=1)
    sd = np.median(np.abs(outside - middle[:, None]), axis=1) / _MAD
    if not (sd > 0).all():
        raise StackError(
            f"the empty part of the image at {od['energy'].values[int(sd.argmin())]:.2f} eV has no "
            "noise: it was masked or filled",
            remedy="name a region in [absorbance] i0 that was measured",
        )
    variance = sd[:, None, None] ** 2 * np.exp(density)  # `fit_maps` takes that of its fit
    out = od.assign_coords(background_sd=("energy", sd))
    out["variance"] = (DIMS, variance.astype(np.float32), {"units": "1"})
    return out.assign_attrs(noise_source="background of each image")
