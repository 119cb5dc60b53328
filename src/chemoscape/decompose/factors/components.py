"""Principal components of a stack, and whether one of them is not of the sample."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, map_blocks, memory_limit
from chemoscape.decompose.factors import common, rank, unit_noise
from chemoscape.decompose.factors.pixels import evenly
from chemoscape.decompose.factors.survey import OUTSIDE, RANKED, SAMPLE, Survey, survey
from chemoscape.errors import FitError
from chemoscape.preprocess.absorbance import sample_mask

#: Correlation of neighbouring pixels' noise beyond which they are no longer independent.
MOST_CORRELATION = 0.1
#: Pixels, and bytes of them, that noise and ranks are worked out on: an even choice of more.
MOST_RANKED, MOST_RANKED_BYTES = 400_000, 256_000_000
#: Pixels around the sample that are asked whether they have a component too.
MOST_OUTSIDE = 50_000


def principal_components(
    od: xr.Dataset | xr.DataArray,
    *,
    centred: bool = False,
    mask: xr.DataArray | None = None,
    n_components: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Eigenspectra, eigenimages and five opinions on the rank.

    The Gram matrix ``Z = D·Dᵀ`` (energy × energy, float64) over the sample's pixels is diagonalised
    (Lerotic et al. 2004). Optical densities are not centred by default: without a mean to subtract,
    k components span k spectra. A lazy stack is read once; its scores are lazy, to be computed
    together with other maps.

    Rank criteria, on densities scaled to unit noise by its energy mean times its pixel mean (Keenan
    and Kotula 2004), as measured in what the energies do not tell of each other, of at most 400,000
    pixels or 256 MB of them, spread evenly (``n_pixels_rank``):

    - ``rank_mp``: eigenvalues above the Marchenko-Pastur edge of pure noise (-1, refused, for
      stacks that were interpolated: their pixels are not independent);
    - ``rank_ind``: minimum of Malinowski's indicator function;
    - ``rank_cv``: eigenspectra that one half of the pixels finds again in the other;
    - ``rank_f``: Malinowski's F-test of reduced eigenvalues, at 1 %;
    - ``rank_cumulative``: 99.9 % of the sum of squares, unscaled: the paper's criterion, shown
      because it is known, not because it decides.

    An error of I0 adds one and the same spectrum to all pixels, whatever is in them: a component
    that is not chemistry. It is told by the loss of one in rank when the mean is subtracted, and
    its number is ``common_component``.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
    centred : bool
        Subtract the mean spectrum first.
    mask : DataArray (y, x) of bool, optional
        Pixels that define the components; default `sample_mask`.
    n_components : int
        Number kept in the result.
    seed : int
        For the split into halves.

    Returns
    -------
    Dataset
        ``eigenvalue(pc)``, ``share(pc)`` of the sum of squares, ``eigenspectrum(pc, energy)`` (unit
        length), ``score(pc, y, x)`` (every pixel, NaN where data are missing), ``mean(energy)``
        (zeros when not centred), ``sample(y, x)``, ``asked(y, x)`` (the mask, pixels with missing
        values included), and of the mask's pixels, with missing values
        left out, ``sample_mean(energy)``, ``sample_mean_variance(energy)`` (its variance, from the
        stated ones) and ``sample_spread(energy)`` (standard deviation); attributes ``rank_*``,
        ``noise_level`` (sd of the scaled noise: 1 as it was measured; with fewer than three pixels
        per energy the stated variances take its place, and 1 says that they are right),
        ``noise_edge`` (of the
        ``scaled_eigenvalue``), ``common_component`` (0 for none) and ``common_in_background`` (1
        when the pixels outside the sample have it too, 0 when not, -1 when that is not known).

    Raises
    ------
    FitError
        Fewer than two complete pixels in the mask, or fewer than three energies.

    Warns
    -----
    ChemoscapeWarning
        A component is the same in all pixels.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
    n_energy = density.sizes["energy"]
    if n_energy < 3 or n_components < 1:
        raise FitError(
            f"principal components of {n_energy} energies say nothing"
            if n_energy < 3
            else f"{n_components} components were asked for",
            remedy="give three energies or more, or turn [clusters] off"
            if n_energy < 3
            else "ask for one or more",
        )
    stated = od["variance"].data if isinstance(od, xr.Dataset) and "variance" in od else None
    chosen = (sample_mask(od) if mask is None else stacks.as_mask(mask, density)).data
    background = _background(od)
    seen = survey(density.data, stated, _asked(chosen, background, n_energy), keep=is_lazy(density))
    complete, asked = np.concatenate(seen.complete), np.concatenate(seen.asked)
    inside = (asked & SAMPLE > 0) & complete
    n_pixels = int(inside.sum())
    if n_pixels < 2:
        raise FitError(
            "fewer than two pixels of sample have data at every energy",
            remedy="check the optical density, or give a mask",
        )
    mean, gram = np.zeros(n_energy), seen.gram
    if centred:
        mean = seen.total / n_pixels
        gram = gram - n_pixels * np.outer(mean, mean)
    eigenvalue, vectors = rank.eigen(gram)
    if not eigenvalue[0] > (rank.ROUNDING * np.trace(seen.gram) if centred else 0):
        raise FitError(
            "the optical densities of the sample are all "
            + ("equal from pixel to pixel" if centred else "zero"),
            remedy="check I0, or give a mask of pixels with sample in them",
        )
    kept = min(n_components, n_energy)
    vectors = vectors[:, :kept]
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
    score = map_blocks(partial(_scores, vectors=vectors, mean=mean), density.data, leading=(kept,))

    pixels = _pixels(density, (asked & RANKED > 0) & inside, mean, seen.ranked)
    n_ranked = pixels.shape[1]
    scaled = unit_noise.scale_to_unit_noise(
        pixels, _stated_variance(seen), unit_noise.halves_of(n_ranked, seed)
    )
    scaled_value, scaled_vectors = rank.eigen(scaled.gram)
    scaled_value[scaled_value < rank.ROUNDING * scaled_value[0]] = 0.0
    level, edge = rank.marchenko_pastur(scaled_value, *pixels.shape)
    unit = level**2 * n_ranked or 1.0  # a stack without noise has none
    share = eigenvalue / eigenvalue.sum()
    ranks = {
        "rank_ind": rank.indicator_rank(scaled_value, n_ranked),
        "rank_mp": -1 if _correlated(od) else int((scaled_value > edge).sum()),
        "rank_cv": rank.split_half_rank(scaled.halves, int((scaled_value > 0).sum()), n_ranked),
        "rank_f": rank.f_test_rank(scaled_value, n_ranked),
        "rank_cumulative": int(np.searchsorted(np.cumsum(share), rank.CUMULATIVE_SHARE) + 1),
    }
    found, seen_outside = 0, -1
    n_common = ranks["rank_mp"]
    if not centred and n_common >= 2:
        direction = common.common_direction(
            scaled, scaled_vectors[:, :n_common], scaled_value, edge
        )
        if direction is not None:
            found, seen_outside = common.name(
                direction,
                scaled,
                vectors.T,
                seen.total / n_pixels,
                _pixels(density, (asked & OUTSIDE > 0) & complete, mean, seen.outside),
                clear=scaled_value[n_common - 1] > common.CLEAR * edge,
                certain=background is not None,
            )
    sample_mean, sample_variance = seen.mean_and_variance(stated is not None)
    return xr.Dataset(
        {
            "eigenvalue": ("pc", eigenvalue[:kept]),
            "share": ("pc", share[:kept]),
            "scaled_eigenvalue": ("pc", scaled_value[:kept] / unit),
            "eigenspectrum": (("pc", "energy"), vectors.T),
            "score": (("pc", "y", "x"), score),
            "mean": ("energy", mean),
            "sample": (("y", "x"), inside),
            "asked": (("y", "x"), asked & SAMPLE > 0),
            "sample_mean": ("energy", sample_mean),
            "sample_mean_variance": ("energy", sample_variance),
            "sample_spread": ("energy", seen.spread),
        },
        coords={
            "pc": np.arange(1, kept + 1),
            "energy": density.energy,
            "y": density.y,
            "x": density.x,
        },
        attrs={
            "centred": int(centred),
            **ranks,
            "n_pixels_rank": n_ranked,
            "noise_level": level,
            "noise_edge": edge / unit,
            "common_component": found,
            "common_in_background": seen_outside,
        },
    )


def _asked(chosen: Any, background: np.ndarray | None, n_energy: int) -> Any:
    """What is asked of each pixel (y, x), bits of `survey`; lazy where the sample is."""
    n = math.prod(chosen.shape)
    most = min(MOST_RANKED_BYTES, memory_limit() // 16) // (4 * n_energy)
    ranked = evenly(n, min(max(most, 1), MOST_RANKED)).reshape(chosen.shape)
    around = evenly(n, MOST_OUTSIDE).reshape(chosen.shape)
    if background is not None:
        around &= background

    def work(chosen: np.ndarray, ranked: np.ndarray, around: np.ndarray) -> np.ndarray:
        inside = SAMPLE + RANKED * ranked
        return np.where(chosen, inside, OUTSIDE * around).astype(np.uint8)

    return map_blocks(work, chosen, ranked, around, leading=(), dtype=np.uint8)


def _pixels(
    density: xr.DataArray, inside: np.ndarray, mean: np.ndarray, kept: list[np.ndarray]
) -> unit_noise.Pixels:
    """Some pixels of a stack in memory, or those that were kept when a lazy one was read."""
    if not is_lazy(density):
        flat = density.values.reshape(len(mean), -1)
        return unit_noise.Pixels(flat, inside.ravel(), mean)
    n = sum(block.shape[1] for block in kept)
    flat = np.empty((len(mean), n), dtype=np.float32)
    everyone = np.ones(n, dtype=bool)
    while kept:  # a block is let go as soon as it is copied
        block = kept.pop()
        flat[:, n - block.shape[1] : n] = block
        n -= block.shape[1]
    return unit_noise.Pixels(flat, everyone, mean)


def _scores(density: np.ndarray, *, vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Scores (pc, rows, x) of rows of densities (energy, rows, x), NaN where data are missing."""
    with np.errstate(invalid="ignore"):  # pixels with infinities have no scores
        score = vectors.T.astype(np.float32) @ density.reshape(len(density), -1)
        score -= (vectors.T @ mean).astype(np.float32)[:, None]
    score[:, ~np.isfinite(score).all(axis=0)] = np.nan
    return score.reshape(-1, *density.shape[1:])


def _correlated(od: xr.Dataset | xr.DataArray) -> bool:
    """Whether neighbouring pixels share noise: the Marchenko-Pastur law does not hold then."""
    return abs(float(od.attrs.get("noise_correlation", 0.0))) > MOST_CORRELATION


def _stated_variance(seen: Survey) -> tuple[np.ndarray, np.ndarray] | None:
    """Means per pixel and per energy of the variance that came with the data, None without one."""
    if not seen.stated_by_pixel:
        return None
    by_pixel = np.concatenate(seen.stated_by_pixel)
    total, number = seen.stated_by_energy
    by_energy = total / np.maximum(number, 1)
    usable = [np.isfinite(part) & (part > 0) for part in (by_pixel, by_energy)]
    if not (usable[0].any() and usable[1].any()):
        return None
    # a pixel or an energy without a variance is taken as one like the others
    by_pixel[~usable[0]] = np.median(by_pixel[usable[0]])
    by_energy[~usable[1]] = np.median(by_energy[usable[1]])
    return by_pixel, by_energy


def _background(od: xr.Dataset | xr.DataArray) -> np.ndarray | None:
    """Pixels (y, x) known to be empty; None where none are named."""
    if isinstance(od, xr.Dataset) and "background" in od and bool(od["background"].any()):
        return np.asarray(od["background"].values, dtype=bool)
    return None
