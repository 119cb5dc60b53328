"""What counting alone makes the mean composition of a stack uncertain by."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.decompose.sample import sample_statistics
from chemoscape.preprocess.density.shared import shared_variance


def counting_sd(comp: xr.Dataset, shared: float, *, one_sided: bool) -> float:
    """Error of the mean composition (by mass) that counting makes.

        sd² = Σ (m_i sd_i)² / (Σ m_i)² + s (Σ m_i sd_i / Σ m_i)²

    Pixels of a map that was smoothed or made finer err together over its noise length ℓ (px), a
    Gaussian's standard deviation: that is as if there were fewer by 4 π ℓ². The noise of I0, a
    share s of a pixel's variance, all pixels have in common. Weights kept non-negative err to one
    side, by an amount that goes with the counting error and changes with the composition: there it
    is the mean counting error, s = 1 and nothing else.

    Parameters
    ----------
    comp : Dataset of `composition`
    shared : float
        Share s, of `shared_of`.
    one_sided : bool
        Whether the weights were kept non-negative.
    """
    kept = comp["mask"].values
    mass, sd = (comp[name].values[kept] for name in ("thickness", "composition_sd_counting"))
    together = float(np.nansum(mass * sd) / mass.sum())
    if one_sided:
        return together
    smooth = float(comp.attrs.get("noise_length_px", 0.0))
    alike = max(4 * np.pi * smooth**2, float(comp.attrs["refine"]) ** 2)
    alone = alike * np.nansum((mass * sd) ** 2) / mass.sum() ** 2
    return float(np.sqrt(alone + shared * together**2))


def shared_of(od: xr.Dataset | None) -> float:
    """Share of a pixel's variance in the sample that is the noise of I0, on average over energies;
    0 where it is not known.
    """
    if od is None or "variance" not in od:
        return 0.0
    sample = sample_statistics(od)["sample"]
    own = od["variance"].where(sample).mean(("y", "x")).values
    return float(np.nan_to_num(np.nanmean(shared_variance(od) / own)))
