"""Principal components of a stack, and whether one of them is not of the sample."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.decompose.factors import rank, unit_noise
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.preprocess.absorbance import sample_mask

#: Correlation of neighbouring pixels' noise beyond which they are no longer independent.
MOST_CORRELATION = 0.1
#: What the background does not have must stand out of noise by this factor to be called common.
CLEAR = 2.0
#: Standard errors by which the background's mean must differ from nothing.
SIGNIFICANT = 4.0
#: What all pixels share is an error of I0 while it is less than this share of their mean spectrum:
#: in a film of even thickness it is nearly all of it.
MOST_COMMON = 0.25
#: Pixels outside the sample that can tell whether they have it too.
LEAST_OUTSIDE = 10


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
    k components span k spectra.

    Rank criteria, on densities scaled to unit noise by its energy mean times its pixel mean (Keenan
    and Kotula 2004), as measured in what the energies do not tell of each other:

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
        (zeros when not centred), ``sample(y, x)``; attributes ``rank_*``, ``noise_level`` (sd of
        the scaled noise: 1 as it was measured; with fewer than three pixels per energy the stated
        variances take its place, and 1 says that they are right), ``noise_edge`` (of the
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
    stacks.check(density, "optical_density")
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
    flat = density.values.reshape(n_energy, -1)
    complete = _complete(flat)
    inside = (sample_mask(od) if mask is None else stacks.as_mask(mask, density)).values.ravel()
    inside = inside & complete
    n_pixels = int(inside.sum())
    if n_pixels < 2:
        raise FitError(
            "fewer than two pixels of sample have data at every energy",
            remedy="check the optical density, or give a mask",
        )
    mean = np.zeros(n_energy)
    if centred:
        mean = _mean(unit_noise.Pixels(flat, inside, mean))
    pixels = unit_noise.Pixels(flat, inside, mean)
    half = unit_noise.halves_of(n_pixels, seed)

    eigenvalue, vectors = rank.eigen(
        unit_noise.gram_matrices(pixels, np.ones(n_pixels), half)[0].sum(axis=0)
    )
    if not eigenvalue[0] > 0:
        raise FitError(
            "the optical densities of the sample are all "
            + ("equal from pixel to pixel" if centred else "zero"),
            remedy="check I0, or give a mask of pixels with sample in them",
        )
    kept = min(n_components, n_energy)
    vectors = vectors[:, :kept]
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
    with np.errstate(invalid="ignore"):  # pixels with infinities have no scores
        score = vectors.T.astype(np.float32) @ flat
        score -= (vectors.T @ mean).astype(np.float32)[:, None]
    score[:, ~complete] = np.nan

    scaled = unit_noise.scale_to_unit_noise(pixels, _stated_variance(od, inside), half)
    scaled_value, scaled_vectors = rank.eigen(scaled.gram)
    scaled_value[scaled_value < rank.ROUNDING * scaled_value[0]] = 0.0
    level, edge = rank.marchenko_pastur(scaled_value, *pixels.shape)
    unit = level**2 * n_pixels or 1.0  # a stack without noise has none
    share = eigenvalue / eigenvalue.sum()
    ranks = {
        "rank_ind": rank.indicator_rank(scaled_value, n_pixels),
        "rank_mp": -1 if _correlated(od) else int((scaled_value > edge).sum()),
        "rank_cv": rank.split_half_rank(scaled.halves, int((scaled_value > 0).sum()), n_pixels),
        "rank_f": rank.f_test_rank(scaled_value, n_pixels),
        "rank_cumulative": int(np.searchsorted(np.cumsum(share), rank.CUMULATIVE_SHARE) + 1),
    }
    common, seen_outside = 0, -1
    n_common = ranks["rank_mp"]
    if not centred and n_common >= 2:
        direction = _common_direction(scaled, scaled_vectors[:, :n_common], scaled_value, edge)
        if direction is not None:
            known = _background(od)
            outside = complete & ~inside & (True if known is None else known)
            common, seen_outside = _name(
                direction,
                scaled,
                vectors.T,
                pixels,
                unit_noise.Pixels(flat, outside, mean),
                clear=scaled_value[n_common - 1] > CLEAR * edge,
                certain=known is not None,
            )
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
            **ranks,
            "noise_level": level,
            "noise_edge": edge / unit,
            "common_component": common,
            "common_in_background": seen_outside,
        },
    )


def _complete(flat: np.ndarray) -> np.ndarray:
    """Which pixels have data at every energy, without a map of booleans as large as the stack."""
    complete = np.ones(flat.shape[1], dtype=bool)
    for frame in flat:
        complete &= np.isfinite(frame)
    return complete


def _mean(pixels: unit_noise.Pixels) -> np.ndarray:
    """Mean spectrum in float64."""
    total = sum((pixels.read(one).sum(axis=1) for one, _ in pixels.blocks()), pixels.mean * 0)
    return np.asarray(total / pixels.shape[1])


def _correlated(od: xr.Dataset | xr.DataArray) -> bool:
    """Whether neighbouring pixels share noise: the Marchenko-Pastur law does not hold then."""
    return abs(float(od.attrs.get("noise_correlation", 0.0))) > MOST_CORRELATION


def _stated_variance(
    od: xr.Dataset | xr.DataArray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Means per pixel and per energy of the variance that came with the data, None without one."""
    if isinstance(od, xr.DataArray) or "variance" not in od:
        return None
    flat = od["variance"].values.reshape(od.sizes["energy"], -1)
    by_pixel, by_energy = np.zeros(int(inside.sum())), np.zeros(len(flat))
    for number, frame in enumerate(flat):
        values = frame[inside].astype(np.float64)
        by_pixel += values / len(flat)
        by_energy[number] = values.mean()
    usable = [np.isfinite(part) & (part > 0) for part in (by_pixel, by_energy)]
    if not (usable[0].any() and usable[1].any()):
        return None
    # a pixel or an energy without a variance is taken as one like the others
    by_pixel[~usable[0]] = np.median(by_pixel[usable[0]])
    by_energy[~usable[1]] = np.median(by_energy[usable[1]])
    return by_pixel, by_energy


def _background(od: xr.Dataset | xr.DataArray) -> np.ndarray | None:
    """Pixels known to be empty, flat; None where none are named."""
    if isinstance(od, xr.Dataset) and "background" in od and bool(od["background"].any()):
        return np.asarray(od["background"].values.ravel(), dtype=bool)
    return None


def _common_direction(
    scaled: unit_noise.Scaled, leading: np.ndarray, value: np.ndarray, edge: float
) -> np.ndarray | None:
    """Direction in which all pixels are alike though it is above noise, or None.

    If ``D = T·μ + 1·δ``, the vector of ones lies in the space of the scores, and taking the mean
    spectrum away, ``Z - h hᵀ`` with ``h = D·w / |w|``, takes a whole component with it: its
    smallest eigenvalue within the leading space falls into the noise. Its eigenvector is normal to
    all that varies from pixel to pixel.

    Returns
    -------
    ndarray, shape (n_energy,), or None
        Of unit length, on the scaled densities.
    """
    mean = scaled.constant
    within = leading.T @ (scaled.gram - np.outer(mean, mean)) @ leading
    left, vector = np.linalg.eigh(within)
    noise = max(edge, 1e-6 * float(value[leading.shape[1] - 1]))  # some stacks have none
    return leading @ vector[:, 0] if left[0] <= noise else None


def _name(
    direction: np.ndarray,
    scaled: unit_noise.Scaled,
    spectra: np.ndarray,
    pixels: unit_noise.Pixels,
    outside: unit_noise.Pixels,
    *,
    clear: bool,
    certain: bool,
) -> tuple[int, int]:
    """Number of the common component (0: none after all), and whether the outside has it too.

    The direction is normal to what varies, thickness included, so a thin rim outside the mask does
    not disturb. In a film of even thickness all pixels are alike as well, in nearly all of their
    spectrum: this is told by its size, and by a `certain` background that lacks it.
    """
    measure = direction / scaled.by_energy  # a functional of the unscaled densities
    here, _ = _level(measure, pixels)
    there = -1
    if outside.shape[1] >= LEAST_OUTSIDE:
        level, error = _level(measure, outside)
        there = int(0.5 < level / here < 1.5 and abs(level) > SIGNIFICANT * error)
    small = abs(direction @ scaled.constant) < MOST_COMMON * np.linalg.norm(scaled.constant)
    if not ((there == 1 and (small or certain)) or (small and clear)):
        return 0, -1
    common = int(np.argmax(np.abs(spectra @ (direction * scaled.by_energy)))) + 1
    said = {
        1: "in all pixels, background included: an error of I0, not chemistry",
        0: "in all pixels of the sample but not around it: an error of I0 if that was measured "
        "there, or a film of even thickness",
        -1: "in all pixels of the sample: an error of I0, or a film of even thickness",
    }[there]
    warnings.warn(f"component {common} is the same {said}", ChemoscapeWarning, stacklevel=3)
    return common, there


def _level(measure: np.ndarray, pixels: unit_noise.Pixels) -> tuple[float, float]:
    """Mean over pixels of a functional of their spectra, and its standard error."""
    values = np.concatenate([measure @ pixels.read(one) for one, _ in pixels.blocks()])
    return float(values.mean()), float(values.std() / np.sqrt(values.size))
