"""Pixels of one substance: components beyond one thickness, and pixels that differ beyond noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from chemoscape.curation import shared_noise
from chemoscape.curation.above_noise import Space, space_of
from chemoscape.decompose.factors.unit_noise import Pixels

#: Correlation of the noise of neighbouring pixels, and energies, beyond which only those further
#: apart are asked for the rank.
MOST_CORRELATION, MOST_BY_ENERGY = 0.05, 0.03
#: Noise of a line's sum over that of pixels on their own, beyond which the line shares noise.
MOST_BY_LINE = 1.5
#: Largest distances tried (pixels, energies); energies, and pixels for each, that must be left.
MOST_STEP, MOST_ENERGY_STEP, LEAST_ENERGIES, LEAST_PER_ENERGY = 8, 8, 12, 3
#: A pixel differs when one of two tests calls it less likely than this.
SIGNIFICANCE = 5e-4
#: So many pixels are enough to find the law of the noise and the spectrum of the majority.
ENOUGH_PIXELS = 20_000
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Deviations:
    """What pixels hold beyond one spectrum of varying thickness.

    Parameters
    ----------
    rank : float
        Components above noise, what is allowed under all of them not counted; NaN where shared
        noise makes more than one of them, so that there is no telling.
    excess : ndarray
        Eigenvalues over the edge of noise, falling; above 1 they are components.
    sizes : ndarray
        Components beyond the first over the first, as rms of the densities divided by their noise
        (what noise adds taken off); as many as are above noise.
    share : float
        Share of the pixels that differ from the majority beyond noise; NaN with too few energies,
        and where noise is shared.
    step : int
        Distance in pixels of those that were asked for the rank (1: all).
    correlation : float
        Correlation of the noise at that distance.
    energy_step, energy_correlation : int, float
        The same of energies.
    by_line : float
        Noise of the sum along rows or columns over that of pixels with noise of their own.
    measured : bool
        Whether the noise was measured, which needs three pixels per energy.
    follows_thickness, follows_edges : float
        Share (0 to 1) of the second component's signal that is a smooth function of thickness, or
        follows the slopes of the thickness, as drift does; NaN for rank 1.
    """

    rank: float
    excess: np.ndarray
    sizes: np.ndarray
    share: float
    step: int
    correlation: float
    energy_step: int
    energy_correlation: float
    by_line: float
    measured: bool
    follows_thickness: float
    follows_edges: float


def deviations(
    flat: np.ndarray,
    inside: np.ndarray,
    stated: tuple[np.ndarray, np.ndarray],
    allowed: np.ndarray,
    *,
    seed: int = 0,
) -> Deviations:
    """Look for more than one spectrum in pixels of varying thickness.

    Densities are divided by their noise (`scale_to_unit_noise`) and freed of the `allowed` spectra
    (a straight line over the energies, an error of I0), ``Z' = P Z P``. The rank is the number of
    eigenvalues of ``Z'`` above the Marchenko-Pastur edge of pure noise; thickness alone makes one.
    That law needs noise of its own in every pixel at every energy: where neighbours share it
    (interpolation), only pixels of a coarser lattice, and every second energy or fewer, are asked.
    Where that does not help, or lines share noise (flux that varies from line to line of a scan),
    a rank above 1 is not told.

    A pixel differs where what it has beyond the majority's spectrum, ``|x|² - (x·u)²`` over its
    noise, exceeds chi2 of as many degrees of freedom, or what it has of the components beyond the
    first does.

    Parameters
    ----------
    flat : ndarray, shape (n_energy, n_pixels)
        Optical densities of the image.
    inside : ndarray of bool, shape (n_y, n_x)
        Pixels asked, finite at every energy.
    stated : pair of ndarray
        Variance by pixel (of those inside) and by energy, in any unit: its shape counts.
    allowed : ndarray, shape (k, n_energy)
        Spectra that any pixel may have any amount of.
    seed : int

    Returns
    -------
    Deviations
    """
    image, every = inside, 1
    space, step, correlation, measured = _uncorrelated(flat, image, stated, allowed, seed)
    by_energy = _by_energies(flat, image, space)
    while by_energy > MOST_BY_ENERGY and every < MOST_ENERGY_STEP:
        if len(flat[:: every + 1]) < LEAST_ENERGIES:
            break
        every += 1
        thinned = flat[::every], image, (stated[0], stated[1][::every]), allowed[:, ::every]
        space, step, correlation, measured = _uncorrelated(*thinned, seed)
        by_energy = _by_energies(flat[::every], image, space)
    flat = flat[::every]
    n_energy = len(flat)
    # Noise shared with two neighbours on either axis raises the largest eigenvalue by no more.
    shared = (1 + 4 * max(correlation, 0.0)) * (1 + 2 * max(by_energy, 0.0))
    several = space.rank > 1
    space = replace(space, excess=space.excess / shared)
    by_line = 1.0
    if space.rank > 1:
        by_line = shared_noise.of_lines(image, _noise_of(flat, space))
    # However lines share noise, no component of it is larger by more than `by_line`.
    rank = float((space.excess > max(by_line, 1.0)).sum()) if by_line > MOST_BY_LINE else space.rank
    spoilt = by_energy > MOST_BY_ENERGY or correlation > MOST_CORRELATION
    if several and (spoilt or (space.rank > 1 and rank < 2)):
        rank = np.nan
    pixels = Pixels(flat, image.ravel(), np.zeros(n_energy))
    by_pixel, freedom = _noise_of_pixels(pixels, stated[0], space)
    share, thickness, second = np.nan, np.zeros(0), np.zeros(0)
    if freedom > 1:
        share, thickness, second = _apart(pixels, by_pixel, space)
    smooth = slopes = np.nan
    if rank > 1 and thickness.size:
        noise = float((by_pixel**2).mean())
        smooth = _explained(second, np.vander(thickness / np.abs(thickness).max(), 4), noise)
        slopes = _explained(*_along_slopes(image, thickness, second), noise)
    return Deviations(
        rank=float(rank),
        excess=space.excess,
        sizes=space.sizes[: max(space.rank - 1, 0)],
        share=share if rank == space.rank else np.nan,
        step=step,
        correlation=correlation,
        energy_step=every,
        energy_correlation=by_energy,
        by_line=by_line,
        measured=measured,
        follows_thickness=smooth,
        follows_edges=slopes,
    )


def _uncorrelated(
    flat: np.ndarray,
    image: np.ndarray,
    stated: tuple[np.ndarray, np.ndarray],
    allowed: np.ndarray,
    seed: int,
) -> tuple[Space, int, float, bool]:
    """Components among pixels so far apart that they share no noise.

    Returns
    -------
    space, step, correlation, measured
        As of `Deviations`.
    """
    space, step, correlation, measured = None, 1, 0.0, True
    for trial in range(1, MOST_STEP + 1):
        lattice = np.zeros_like(image)
        lattice[::trial, ::trial] = image[::trial, ::trial]
        enough = int(lattice.sum()) >= LEAST_PER_ENERGY * len(flat)
        if trial > 1 and not enough:
            break  # what the finer lattice says is doubted, but better than noise not measured
        member = lattice[image]
        space = space_of(flat, lattice.ravel(), (stated[0][member], stated[1]), allowed, seed)
        step, measured = trial, enough
        noise = _noise_of(flat, space)
        correlation = shared_noise.of_neighbours(lattice, trial, noise)
        if correlation <= MOST_CORRELATION:
            break
    assert space is not None  # noqa: S101 - the first trial always gives one
    return space, step, correlation, measured


def _noise_of(flat: np.ndarray, space: Space) -> shared_noise.Residuals:
    return lambda some: space.noise_of(flat[:, some])


def _by_energies(flat: np.ndarray, image: np.ndarray, space: Space) -> float:
    """Correlation of neighbouring energies' noise; 0 where nothing but one component is seen."""
    if space.rank <= 1:
        return 0.0
    return shared_noise.of_energies(image, _noise_of(flat, space), space.kept)


def _noise_of_pixels(pixels: Pixels, variance: np.ndarray, space: Space) -> tuple[np.ndarray, int]:
    """Noise of each pixel: the power of its stated variance that what components leave follows."""
    left = np.empty(len(variance))
    for one, members in pixels.blocks():
        block = space.scaled(pixels.read(one))
        left[members] = (block**2).sum(axis=0) - ((space.leading.T @ block) ** 2).sum(axis=0)
    freedom = pixels.shape[0] - space.n_allowed - space.leading.shape[1]
    if freedom < 2 or not (left > 0).any():
        return np.ones(len(variance)), freedom
    log_left = np.log(np.maximum(left, np.finfo(float).tiny))
    log_stated = np.log(variance)
    power = 0.0
    if np.ptp(log_stated) > 1e-6:
        power = float(np.clip(np.polyfit(log_stated, log_left, 1)[0], 0, 2))
    level = np.median(log_left - power * log_stated) - np.log(stats.chi2.median(freedom))
    return np.exp((power * log_stated + level) / 2), freedom


def _apart(
    pixels: Pixels, by_pixel: np.ndarray, space: Space
) -> tuple[float, np.ndarray, np.ndarray]:
    """Share of pixels that differ beyond noise; thickness and second component of every pixel."""
    majority = _majority(pixels, by_pixel, space)
    freedom = pixels.shape[0] - space.n_allowed - 1
    beyond = space.leading - np.outer(majority, majority @ space.leading)
    extra = np.linalg.svd(beyond, full_matrices=False)[0][:, : space.rank - 1]
    limit = stats.chi2.isf(SIGNIFICANCE, freedom)
    limit_extra = stats.chi2.isf(SIGNIFICANCE, max(space.rank - 1, 1))
    thickness, second = np.zeros((2, len(by_pixel)))
    n_apart = 0
    for one, members in pixels.blocks():
        block = space.scaled(pixels.read(one))
        thickness[members] = majority @ block
        second[members] = space.vectors[:, 1] @ block
        block = block / by_pixel[members]
        along = thickness[members] / by_pixel[members]
        apart = (block**2).sum(axis=0) - along**2 > limit
        if space.rank > 1:
            apart |= ((extra.T @ block) ** 2).sum(axis=0) > limit_extra
        n_apart += int(apart.sum())
    expected = SIGNIFICANCE * (2 if space.rank > 1 else 1)  # of pixels that do not differ
    return (
        max((n_apart / len(by_pixel) - expected) / (1 - expected), 0.0),
        thickness,
        second,
    )


def _majority(pixels: Pixels, by_pixel: np.ndarray, space: Space) -> np.ndarray:
    """Spectrum (of unit length, scaled) of that half of the thicker pixels that is most alike."""
    some = np.flatnonzero(pixels.inside)
    every = -(-len(some) // ENOUGH_PIXELS)
    block = space.scaled(pixels.flat[:, some[::every]].astype(np.float64)) / by_pixel[::every]
    squares = (block**2).sum(axis=0)
    found = space.vectors[:, 0]
    for _ in range(_ROUNDS):
        along = found @ block
        thick = np.abs(along) >= np.quantile(np.abs(along), 0.25)
        left = squares - along**2
        alike = thick & (left <= np.median(left[thick]))
        total = block[:, alike] @ along[alike]
        if not np.linalg.norm(total) > 0:
            break
        found = total / np.linalg.norm(total)
    return np.asarray(found)


def _along_slopes(
    image: np.ndarray, thickness: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Second component of the pixels whose neighbours are known, and slopes of the thickness."""
    thick, other = np.full((2, *image.shape), np.nan)
    thick[image], other[image] = thickness, second
    if min(image.shape) < 2:
        return np.zeros(0), np.zeros((0, 3))
    slopes = np.gradient(thick)
    known = image & np.isfinite(slopes[0]) & np.isfinite(slopes[1])
    columns = np.stack([np.ones(known.sum()), slopes[0][known], slopes[1][known]], axis=1)
    return other[known], columns


def _explained(values: np.ndarray, columns: np.ndarray, noise: float) -> float:
    """Share of the values' variance beyond noise that columns explain; NaN with few values."""
    if len(values) < 10 * columns.shape[1]:
        return float("nan")
    left = values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
    signal = values.var() - noise
    if not signal > 0:
        return float("nan")
    return float(np.clip((values.var() - left.var()) / signal, 0.0, 1.0))
