"""Compositions at two resolutions: what a wide beam sees is the mean of the fine one, by mass."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.errors import FitError
from chemoscape.few_energies.resolution.blur import Fine
from chemoscape.few_energies.resolution.fitting import WHOLE, placement_of
from chemoscape.few_energies.resolution.images import Image

#: A coarse pixel counts where its mean mass is this share of the 95th percentile: what the blur
#: lays beside the sample is none.
LEAST_MASS = 0.1
#: Fewest pixels that are worth a comparison.
FEWEST = 10


def compare_compositions(coarse: xr.Dataset, fine: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    r"""Compare a coarse composition with the mass-weighted mean of a fine one in each pixel.

    .. math:: \bar x = \frac{\sum_q k(q)\, m(q)\, x(q)}{\sum_q k(q)\, m(q)}

    over the fine pixels q with masses m, under the beam and the coarse pixel k that the optical
    densities showed. Optical densities do not add up under a beam, which makes this exact for thin
    samples only; at an optical density of 1 with holes as wide as the beam it is off by a few per
    cent of the contrast.

    Parameters
    ----------
    coarse, fine : Dataset of `composition` (y, x)
        With ``thickness`` of the fine one (else all its pixels weigh the same) and, for the pull,
        ``composition_sd_counting`` or ``composition_sd`` of either. NaN where there is none.
    found : Dataset
        What `compare_resolutions` returned for optical densities on the same axes.

    Returns
    -------
    Dataset
        ``coarse``, ``fine_on_coarse``, ``difference`` (fine less coarse) and, where a standard
        deviation is known, ``pull`` (difference over its standard deviation), all (y, x), NaN where
        one has no value. Attributes: ``mean_difference``, ``rms_difference``, ``correlation``,
        ``n_pixels`` and, with a pull, its ``pull_mean`` and ``pull_rms`` (1 when the standard
        deviations hold).

    Raises
    ------
    FitError
        Fewer than 10 pixels have both.
    """
    one, other = (_composition(given, name) for given, name in ((coarse, "coarse"), (fine, "fine")))
    image = Image(one.values.astype(np.float64), one["y"].values, one["x"].values)
    mass, sd = _masses(fine, other), _sd(fine)
    _require_same_field(other, found)
    placement = placement_of(found.attrs)
    beam = 1e-3 * float(found.attrs["blur_sigma_nm"])
    seen = placement.back(image.points), placement.seen(image.pixel), beam

    def under(values: np.ndarray, *, squared: bool = False) -> tuple[np.ndarray, np.ndarray]:
        turned = Fine(np.nan_to_num(values), other["y"].values, other["x"].values).turned(
            found.attrs["orientation"]
        )
        return turned.through(*seen, squared=squared)

    total, share = under(mass)
    enough = (share >= WHOLE) & (total > LEAST_MASS * float(np.percentile(mass[mass > 0], 95)))
    total = np.where(enough, total, np.nan)
    mean = under(mass * other.values)[0] / total
    difference = mean - image.values
    both = np.isfinite(difference)
    if both.sum() < FEWEST:
        raise FitError(
            f"{int(both.sum())} pixels have a composition at both resolutions, and {FEWEST} are "
            "needed",
            remedy="give maps of the same particle, on the axes that were registered",
        )
    maps = {"coarse": image.values, "fine_on_coarse": mean, "difference": difference}
    facts = {
        "mean_difference": float(difference[both].mean()),
        "rms_difference": float(np.sqrt(np.mean(difference[both] ** 2))),
        "correlation": float(np.corrcoef(image.values[both], mean[both])[0, 1]),
        "n_pixels": int(both.sum()),
    }
    own = _sd(coarse)
    if own is not None or sd is not None:
        variance = np.zeros(difference.shape) if own is None else own**2
        if sd is not None:
            variance = variance + under((mass * sd) ** 2, squared=True)[0] / total**2
        maps["pull"] = pull = difference / np.sqrt(variance)
        facts["pull_mean"] = float(np.nanmean(pull))
        facts["pull_rms"] = float(np.sqrt(np.nanmean(pull**2)))
    variables = {name: (("y", "x"), values) for name, values in maps.items()}
    return xr.Dataset(variables, coords={"y": one["y"], "x": one["x"]}, attrs=facts)


def _composition(given: xr.Dataset, name: str) -> xr.DataArray:
    """The composition as (y, x)."""
    if "composition" not in given or set(given["composition"].dims) != {"y", "x"}:
        raise FitError(
            f"the {name} Dataset has no composition (y, x)",
            remedy="give what a composition fit returned",
        )
    return given["composition"].transpose("y", "x")


def _masses(fine: xr.Dataset, composition: xr.DataArray) -> np.ndarray:
    """What each fine pixel weighs: nothing without a composition."""
    known = np.isfinite(composition.values)
    if "thickness" not in fine:
        return known.astype(np.float64)
    thickness = fine["thickness"].transpose("y", "x").values.astype(np.float64)
    return np.where(known & (thickness > 0), thickness, 0.0)


def _sd(given: xr.Dataset) -> np.ndarray | None:
    """Standard deviation of each pixel by itself, None where it is not known."""
    for name in ("composition_sd_counting", "composition_sd"):
        if name in given:
            return np.asarray(given[name].transpose("y", "x").values, np.float64)
    return None


def _require_same_field(fine: xr.DataArray, found: xr.Dataset) -> None:
    """Raise unless the fine map has the axes that were compared, so that it turns about the same
    middle.
    """
    middle = [float(fine[name].values[[0, -1]].mean()) for name in ("y", "x")]
    same = np.allclose(middle, found.attrs["centre_um"], atol=1e-3)
    if fine.shape != found["fine"].shape or not same:
        raise FitError(
            f"the fine composition has {fine.shape} pixels, the optical density that was "
            f"registered {found['fine'].shape}, or they lie elsewhere",
            remedy="register an optical density of the stack that the composition is of",
        )
