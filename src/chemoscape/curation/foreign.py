"""Pixels of one substance: components beyond one thickness, and pixels that differ beyond noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from chemoscape.decompose.factors import rank as ranks
from chemoscape.decompose.factors.unit_noise import Pixels, halves_of, scale_to_unit_noise

#: Correlation of neighbours' noise beyond which only pixels further apart are asked for the rank.
MOST_CORRELATION = 0.1
#: Largest distance (pixels) tried, and pixels per energy below which noise is not measured.
MOST_STEP, LEAST_PER_ENERGY = 4, 3
#: A pixel differs when one of two tests calls it less likely than this.
SIGNIFICANCE = 5e-4
#: So many pixels are enough to find the law of the noise and the spectrum of the majority.
ENOUGH_PIXELS, MOST_PAIRS = 20_000, 4000
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Deviations:
    """What pixels hold beyond one spectrum of varying thickness.

    Parameters
    ----------
    rank : int
        Components above noise, what is allowed under all of them not counted.
    excess : ndarray
        Eigenvalues over the edge of noise, falling; above 1 they are components.
    sizes : ndarray
        Components beyond the first over the first, as rms of the densities divided by their noise
        (what noise adds taken off); as many as are above noise.
    share : float
        Share of the pixels that differ from the majority beyond noise; NaN with too few energies.
    step : int
        Distance in pixels of those that were asked for the rank (1: all).
    correlation : float
        Correlation of the noise at that distance.
    measured : bool
        Whether the noise was measured, which needs three pixels per energy.
    follows_thickness, follows_edges : float
        Share (0 to 1) of the second component's signal that is a smooth function of thickness, or
        follows the slopes of the thickness, as drift does; NaN for rank 1.
    """

    rank: int
    excess: np.ndarray
    sizes: np.ndarray
    share: float
    step: int
    correlation: float
    measured: bool
    follows_thickness: float
    follows_edges: float


@dataclass(frozen=True, eq=False)
class _Space:
    """Components of scaled densities outside the allowed directions."""

    by_energy: np.ndarray
    projector: np.ndarray
    vectors: np.ndarray
    excess: np.ndarray
    sizes: np.ndarray
    n_allowed: int

    @property
    def rank(self) -> int:
        return int((self.excess > 1).sum())

    @property
    def leading(self) -> np.ndarray:
        return self.vectors[:, : max(self.rank, 1)]

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Densities (energy, pixel) over the noise of the energy, less what is allowed."""
        return self.projector @ (values / self.by_energy[:, None])


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
    That law needs pixels with noise of their own: where neighbours share it (interpolation), only
    pixels of a coarser lattice are asked.

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
    n_energy, image = len(flat), inside
    space, step, correlation, measured = None, 1, 0.0, True
    for trial in range(1, MOST_STEP + 1):
        lattice = np.zeros_like(image)
        lattice[::trial, ::trial] = image[::trial, ::trial]
        enough = int(lattice.sum()) >= LEAST_PER_ENERGY * n_energy
        if trial > 1 and not enough:
            break  # what the finer lattice says is doubted, but better than noise not measured
        member = lattice[image]
        space = _space(flat, lattice.ravel(), (stated[0][member], stated[1]), allowed, seed)
        step, measured = trial, enough
        correlation = _correlation(flat, lattice, trial, space)
        if correlation <= MOST_CORRELATION:
            break
    assert space is not None  # noqa: S101 - the first trial always gives one
    pixels = Pixels(flat, image.ravel(), np.zeros(n_energy))
    by_pixel, freedom = _noise_of_pixels(pixels, stated[0], space)
    share, thickness, second = np.nan, np.zeros(0), np.zeros(0)
    if freedom > 1:
        share, thickness, second = _apart(pixels, by_pixel, space)
    smooth = slopes = np.nan
    if space.rank > 1 and thickness.size:
        noise = float((by_pixel**2).mean())
        smooth = _explained(second, np.vander(thickness / np.abs(thickness).max(), 4), noise)
        slopes = _explained(*_along_slopes(image, thickness, second), noise)
    return Deviations(
        space.rank, space.excess, space.sizes, share, step, correlation, measured, smooth,
        slopes,
    )  # fmt: skip


def _space(
    flat: np.ndarray,
    inside: np.ndarray,
    stated: tuple[np.ndarray, np.ndarray],
    allowed: np.ndarray,
    seed: int,
) -> _Space:
    """Components above noise among some pixels, the allowed spectra taken out."""
    n_energy, n_pixels = len(flat), int(inside.sum())
    scaled = scale_to_unit_noise(
        Pixels(flat, inside, np.zeros(n_energy)), stated, halves_of(n_pixels, seed)
    )
    everything, _ = ranks.eigen(scaled.gram)
    everything[everything < ranks.ROUNDING * everything[0]] = 0.0
    _, edge = ranks.marchenko_pastur(everything, n_energy, n_pixels)
    basis, _ = np.linalg.qr((allowed / scaled.by_energy).T)
    projector = np.eye(n_energy) - basis @ basis.T
    value, vectors = ranks.eigen(projector @ scaled.gram @ projector)
    value[value < ranks.ROUNDING * everything[0]] = 0.0
    edge = max(edge, ranks.ROUNDING * float(everything[0]), np.finfo(float).tiny)
    above = value[1:][value[1:] > edge]
    sizes = np.sqrt((above - edge) / value[0])
    return _Space(scaled.by_energy, projector, vectors, value / edge, sizes, basis.shape[1])


def _correlation(flat: np.ndarray, lattice: np.ndarray, step: int, space: _Space) -> float:
    """Correlation of what components leave in neighbours of a lattice; 0 where there are few."""
    number = np.arange(lattice.size).reshape(lattice.shape)
    pairs = [
        np.stack([number[one][both], number[other][both]])
        for one, other in (
            (np.s_[:, :-step], np.s_[:, step:]),
            (np.s_[:-step], np.s_[step:]),
        )
        if (both := lattice[one] & lattice[other]).any()
    ]
    if not pairs:
        return 0.0
    chosen = np.concatenate(pairs, axis=1)
    chosen = chosen[:, :: -(-chosen.shape[1] // MOST_PAIRS)]
    if chosen.size < 100:
        return 0.0
    left = []
    for side in chosen:
        block = space.scaled(flat[:, side].astype(np.float64))
        left.append(block - space.leading @ (space.leading.T @ block))
    power = np.sqrt((left[0] ** 2).sum() * (left[1] ** 2).sum())
    return float((left[0] * left[1]).sum() / power) if power > 0 else 0.0


def _noise_of_pixels(pixels: Pixels, variance: np.ndarray, space: _Space) -> tuple[np.ndarray, int]:
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
    pixels: Pixels, by_pixel: np.ndarray, space: _Space
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


def _majority(pixels: Pixels, by_pixel: np.ndarray, space: _Space) -> np.ndarray:
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
