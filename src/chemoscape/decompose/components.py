"""Principal components of a stack, and how many of them are more than noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.integrate import cumulative_trapezoid

from chemoscape import stack as stacks
from chemoscape.blocks import bands
from chemoscape.errors import FitError
from chemoscape.preprocess.absorbance import sample_mask

#: The paper's criterion: components up to this share of the total sum of squares.
CUMULATIVE_SHARE = 0.999
#: Eigenvalues below this share of the largest are float32 rounding, not noise of a measurement.
ROUNDING = 1e-12
#: Correlation of neighbouring pixels' noise beyond which they are no longer independent.
MOST_CORRELATION = 0.1
#: Split halves are compared up to this many eigenspectra.
MOST_SHARED = 12


def principal_components(
    od: xr.Dataset | xr.DataArray,
    *,
    centred: bool = False,
    mask: xr.DataArray | None = None,
    n_components: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Eigenspectra, eigenimages and four opinions on the rank.

    The Gram matrix ``Z = D·Dᵀ`` (energy × energy, float64) over the sample's pixels is diagonalised
    (Lerotic et al. 2004). Optical densities are not centred by default: without a mean to subtract,
    k components span k spectra.

    Rank criteria, on densities scaled to unit noise by its energy mean times its pixel mean (Keenan
    and Kotula 2004), as measured in what the energies do not tell of each other:

    - ``rank_mp``: eigenvalues above the Marchenko-Pastur edge of pure noise (-1, refused, for
      stacks that were interpolated: their pixels are not independent);
    - ``rank_ind``: minimum of Malinowski's indicator function;
    - ``rank_cv``: eigenspectra that one half of the pixels finds again in the other;
    - ``rank_cumulative``: 99.9 % of the sum of squares, unscaled: the paper's criterion, shown
      because it is known, not because it decides.

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
        (zeros when not centred), ``sample(y, x)``; attributes ``rank_*`` and ``noise_level`` (sd of
        the scaled noise: 1 as it was measured; with fewer than three pixels per energy the stated
        variances take its place, and 1 says that they are right).

    Raises
    ------
    FitError
        Fewer than two complete pixels in the mask, or fewer than three energies.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density")
    n_energy = density.sizes["energy"]
    if n_energy < 3 or n_components < 1:
        raise FitError(
            f"{n_components} components of {n_energy} energies say nothing",
            remedy="give three energies or more, or turn [clusters] off",
        )
    flat = density.values.reshape(n_energy, -1)
    inside = (sample_mask(od) if mask is None else stacks.as_mask(mask, density)).values.ravel()
    inside = inside & np.isfinite(flat).all(axis=0)
    if inside.sum() < 2:
        raise FitError(
            "fewer than two pixels of sample have data at every energy",
            remedy="check the optical density, or give a mask",
        )
    pixels = flat[:, inside]
    mean = pixels.mean(axis=1, dtype=np.float64) if centred else np.zeros(n_energy)

    eigenvalue, vectors = _eigen(_gram(pixels, mean))
    kept = min(n_components, n_energy)
    vectors = vectors[:, :kept]
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
    score = vectors.T.astype(np.float32) @ (flat - mean[:, None].astype(np.float32))

    scaled = _scaled_to_unit_noise(pixels - mean[:, None], _stated_variance(od, inside))
    scaled_value = _eigen(_gram(scaled, np.zeros(n_energy)))[0]
    scaled_value[scaled_value < ROUNDING * scaled_value[0]] = 0.0
    level, edge = marchenko_pastur(scaled_value, *scaled.shape)
    unit = level**2 * scaled.shape[1] or 1.0  # a stack without noise has none
    share = eigenvalue / eigenvalue.sum()
    return xr.Dataset(
        {
            "eigenvalue": ("pc", eigenvalue[:kept]),
            "share": ("pc", share[:kept]),
            "scaled_eigenvalue": ("pc", scaled_value[:kept] / unit),
            "eigenspectrum": (("pc", "energy"), vectors.T),
            "score": (("pc", "y", "x"), score.reshape(kept, *density.shape[1:])),
            "mean": ("energy", mean),
            "sample": (("y", "x"), inside.reshape(density.shape[1:])),
        },
        coords={
            "pc": np.arange(1, kept + 1),
            "energy": density.energy,
            "y": density.y,
            "x": density.x,
        },
        attrs={
            "centred": int(centred),
            "rank_ind": malinowski_rank(scaled_value, scaled.shape[1]),
            "rank_mp": -1 if _correlated(od) else int((scaled_value > edge).sum()),
            "rank_cv": _split_half_rank(scaled, int((scaled_value > 0).sum()), seed),
            "rank_cumulative": int(np.searchsorted(np.cumsum(share), CUMULATIVE_SHARE) + 1),
            "noise_level": level,
            "noise_edge": edge / unit,
        },
    )


def malinowski_rank(eigenvalue: np.ndarray, n_pixels: int) -> int:
    """Rank at the minimum of ``IND(k) = RE(k) / (s - k)²`` (Malinowski 1977).

    ``RE(k) = sqrt(Σ_{j>k} λ_j / (r (s - k)))`` with r pixels and s energies (r >= s, else swapped).
    """
    s, r = sorted((len(eigenvalue), n_pixels))
    k = np.arange(1, s)
    tail = np.cumsum(eigenvalue[:s][::-1])[::-1][1:]
    real_error = np.sqrt(np.maximum(tail, 0) / (r * (s - k)))
    return int(k[np.argmin(real_error / (s - k) ** 2)])


def marchenko_pastur(eigenvalue: np.ndarray, n_energy: int, n_pixels: int) -> tuple[float, float]:
    """Noise level and the largest eigenvalue that noise alone would give.

    For unit noise the eigenvalues of ``D·Dᵀ/r`` fill ``(1 ± √β)²``, β = s/r. The level comes from
    the median eigenvalue against the median of that law (Gavish and Donoho 2014), found without the
    few that carry signal; the edge is raised by three widths of the Tracy-Widom law.

    Returns
    -------
    tuple of float
        Standard deviation of the noise, and the edge in units of the eigenvalues given.
    """
    s, r = sorted((n_energy, n_pixels))
    beta = s / r
    low, high = (1 - np.sqrt(beta)) ** 2, (1 + np.sqrt(beta)) ** 2
    x = np.linspace(low, high, 20001)
    law = np.sqrt(np.maximum((high - x) * (x - low), 0)) / np.maximum(x, 1e-12)
    cumulative = cumulative_trapezoid(law, x, initial=0)
    median = float(np.interp(0.5 * cumulative[-1], cumulative, x))
    values = eigenvalue[:s]
    level2, n_signal = 0.0, 0
    width = (np.sqrt(r) + np.sqrt(s)) * (1 / np.sqrt(r) + 1 / np.sqrt(s)) ** (1 / 3) / r
    for _ in range(5):
        level2 = float(np.median(values[n_signal:])) / (r * median)
        edge = level2 * r * (high + 3 * width)
        n_signal = int((values > edge).sum())
    return float(np.sqrt(level2)), float(edge)


def _gram(pixels: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """``Σ (d - mean)(d - mean)ᵀ`` over pixels, in float64, band by band."""
    total = np.zeros((len(pixels), len(pixels)))
    for band in bands(pixels.shape[1], 16384):
        block = pixels[:, band].astype(np.float64) - mean[:, None]
        total += block @ block.T
    return total


def _eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (falling, >= 0) and eigenvectors in columns."""
    value, vector = np.linalg.eigh(gram)
    return np.maximum(value[::-1], 0), vector[:, ::-1]


def _correlated(od: xr.Dataset | xr.DataArray) -> bool:
    """Whether neighbouring pixels share noise: the Marchenko-Pastur law does not hold then."""
    return abs(float(od.attrs.get("noise_correlation", 0.0))) > MOST_CORRELATION


def _stated_variance(od: xr.Dataset | xr.DataArray, inside: np.ndarray) -> np.ndarray:
    """Variance that came with the data, (n_energy, n_pixels); a single one if unknown."""
    if isinstance(od, xr.DataArray) or "variance" not in od:
        return np.ones((1, 1))
    return od["variance"].values.reshape(od.sizes["energy"], -1)[:, inside].astype(np.float64)


def _scaled_to_unit_noise(pixels: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Divide by the noise that is there, (of the energy) × (of the pixel), not that stated.

    A stated variance of the wrong shape (noise that is not Poisson, or was interpolated) would let
    noise pass for components. So noise is measured as what the other energies do not predict, by
    regression of every energy on all others (Bioucas-Dias and Nascimento 2008): its residual is
    ``(G⁻¹D)_e / (G⁻¹)_ee`` with ``G = D·Dᵀ``. From pixel to pixel it is given the power of the
    stated variance that it follows; single pixels are too few data to be measured one by one.
    """
    by_pixel = variance.mean(axis=0)
    n_energy, n_pixels = pixels.shape
    if n_pixels < 3 * n_energy:
        return pixels / np.sqrt(by_pixel * variance.mean(axis=1)[:, None] / variance.mean())
    left = _unpredicted(pixels / np.sqrt(by_pixel)) * np.sqrt(by_pixel)
    squares = np.maximum(left**2, np.finfo(float).tiny)
    if np.ptp(by_pixel) > 0:
        power = np.polyfit(np.log(by_pixel), np.log(squares.mean(axis=0)), 1)[0]
        by_pixel = by_pixel ** float(np.clip(power, 0, 2))
    by_energy = (_unpredicted(pixels / np.sqrt(by_pixel)) ** 2).mean(axis=1)
    dof = (n_pixels - n_energy + 1) / n_pixels
    return pixels / np.sqrt(np.maximum(by_energy[:, None] / dof, np.finfo(float).tiny) * by_pixel)


def _unpredicted(pixels: np.ndarray) -> np.ndarray:
    """What a regression on all other energies leaves of each energy."""
    gram = _gram(pixels, np.zeros(len(pixels)))
    gram.flat[:: len(gram) + 1] *= 1 + ROUNDING
    precision = np.linalg.pinv(gram, rcond=ROUNDING, hermitian=True)
    return (precision @ pixels) / np.maximum(np.diag(precision), np.finfo(float).tiny)[:, None]


def _split_half_rank(scaled: np.ndarray, n_nonzero: int, seed: int) -> int:
    """Leading eigenspectra that two halves of the pixels share, of those above rounding.

    The whole space is shared by any two halves, so its last dimension is not asked for. The k-th
    counts while the k-dimensional spaces of both halves have their largest angle below 45°
    (smallest singular value of ``VₐᵀV_b`` above 0.7): noise directions are unrelated.
    """
    order = np.random.default_rng(seed).permutation(scaled.shape[1])
    zero = np.zeros(len(scaled))
    halves = [_eigen(_gram(scaled[:, part], zero))[1] for part in np.array_split(order, 2)]
    rank = 0
    for k in range(1, min(MOST_SHARED, n_nonzero, len(scaled) - 1, scaled.shape[1] // 2) + 1):
        overlap = np.linalg.svd(halves[0][:, :k].T @ halves[1][:, :k], compute_uv=False)
        if overlap[-1] < np.sqrt(0.5):
            break
        rank = k
    return rank
