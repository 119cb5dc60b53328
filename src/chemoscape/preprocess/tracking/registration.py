"""Where each frame lies: cross-correlation of its edges with those of one fixed frame.

Edges are the magnitude of the intensity's gradient, so that a particle that turns from bright to
dark across an absorption edge still matches. One fixed reference does not accumulate error as a
chain of neighbours does; only where a frame shows nothing of what the reference shows is it bridged
through its neighbour, and only where several shifts fit nearly alike (gratings) does the run of the
neighbours decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy import ndimage

from chemoscape.blocks import for_each_band, kernel
from chemoscape.preprocess.tracking.edges import edge_map

#: Pixels over which the noise of an edge map is correlated; fitted to the largest of n correlations
#: of pure noise.
NOISE_AREA = 6.0
#: The same for the scatter of a peak, which the slopes of that noise make; fitted to Poisson noise.
SLOPE_AREA = 28.0
#: Darkest intensity, relative to the mean, that counts as light in the choice of a reference.
DARKEST = 0.02
#: A correlation this close to the highest, further away than the peak is wide (pixels), is another
#: place where the frame may lie.
RIVAL, PEAK_RADIUS = 0.8, 4
#: Then the one nearest to the neighbour's is taken: a pixel is worth this fraction of the highest
#: correlation, all pixels together no more than makes a rival.
PIXEL_WORTH, MOST_WORTH = 0.03, 1 - RIVAL
#: No bridge is looked for where the fixed frame is found as well as this.
CLEAR = 0.7


@dataclass(frozen=True)
class Match:
    """Shifts (n, 2) in pixels to apply, the correlation coefficient (n,) at them, how uncertain
    noise leaves them (n, 2) in pixels, the next best correlation elsewhere relative to theirs (n,),
    and the reference frame.
    """

    shifts: np.ndarray
    quality: np.ndarray
    sd: np.ndarray
    rival: np.ndarray
    reference: int


@dataclass(frozen=True)
class Edges:
    """Transform of a frame's edge map, the map's sum of squares and its shape."""

    transform: np.ndarray
    power: float
    shape: tuple[int, int]


@dataclass(frozen=True)
class Peak:
    """Where two frames match: the shift (2,) to apply, the correlation coefficient, the shift's
    standard deviation (2,), and the next best correlation elsewhere relative to it.
    """

    shift: np.ndarray
    quality: float
    sd: np.ndarray
    rival: float


@kernel
def _information(frame, weight, floor):  # type: ignore[no-untyped-def]
    """Sum of |grad I|²/I over pixels binned by two."""
    ny, nx = frame.shape[0] // 2, frame.shape[1] // 2
    binned = np.empty((ny, nx), np.float32)
    for y in range(ny):
        for x in range(nx):
            binned[y, x] = 0.25 * (
                frame[2 * y, 2 * x]
                + frame[2 * y, 2 * x + 1]
                + frame[2 * y + 1, 2 * x]
                + frame[2 * y + 1, 2 * x + 1]
            )
    total = 0.0
    for y in range(1, ny - 1):
        for x in range(1, nx - 1):
            if weight[2 * y, 2 * x]:
                gy = binned[y + 1, x] - binned[y - 1, x]
                gx = binned[y, x + 1] - binned[y, x - 1]
                total += (gy * gy + gx * gx) / max(binned[y, x], floor)
    return total, binned


def survey(frames: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher information on each frame's position, sum of |grad I|²/I for Poisson noise (arbitrary
    unit), and the intensity of its open beam (95th percentile); both (n,).
    """
    contrast, bright = np.zeros(len(frames)), np.empty(len(frames))
    tiny = float(np.finfo(np.float32).tiny)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            floor = max(DARKEST * float(frames[i].mean()), tiny)
            frame = np.require(frames[i], np.float32, ["C", "W"])
            contrast[i], binned = _information(frame, weights[i].copy(), floor)
            bright[i] = max(float(np.percentile(binned[::2, ::2], 95)), tiny)

    for_each_band(work, len(frames), rows_per_band=4)
    return contrast, bright


def choose_reference(contrast: np.ndarray) -> int:
    """Frame with most contrast, passing over single frames that stick out of their neighbourhood
    (glitches).
    """
    usual = ndimage.median_filter(contrast, size=5, mode="nearest")
    return int(np.argmax(np.where(contrast > 1.5 * usual, 0.0, contrast)))


def transform(frame: np.ndarray, weight: np.ndarray) -> Edges:
    """Fourier transform of a frame's edge map."""
    edges = edge_map(frame, weight)
    flat = edges.ravel()
    return Edges(scipy.fft.rfft2(edges), float(flat @ flat), frame.shape)


def correlate(fixed: Edges, moving: Edges, near: np.ndarray | None = None) -> Peak:
    """Where `moving` matches `fixed` best; of places nearly as good, that nearest to the shift
    `near`.
    """
    if not (fixed.power and moving.power):
        return Peak(np.zeros(2), 0.0, np.full(2, np.inf), 0.0)
    product = fixed.transform * np.conj(moving.transform)
    surface = scipy.fft.irfft2(product, s=fixed.shape)
    shape = np.array(surface.shape)
    at = np.array(np.unravel_index(np.argmax(surface), surface.shape))
    highest = float(surface[tuple(at)])
    if near is not None:
        away = [
            (np.arange(n, dtype=np.float32) - centre + n / 2) % n - n / 2
            for n, centre in zip(shape, near.astype(np.float32), strict=True)
        ]
        distance = np.hypot(away[0][:, None], away[1][None, :])
        worth = surface - highest * np.minimum(PIXEL_WORTH * distance, MOST_WORTH)
        at = _climb(surface, np.array(np.unravel_index(np.argmax(worth), surface.shape)))
    norm = float(np.sqrt(fixed.power * moving.power))
    shift, quality, sd = _peak(
        product, np.where(at > shape // 2, at - shape, at), norm, fixed.shape
    )
    around = np.arange(-PEAK_RADIUS, PEAK_RADIUS + 1)
    surface[np.ix_(*((at[:, None] + around) % shape[:, None]))] = -np.inf
    return Peak(shift, quality, sd, float(surface.max()) / highest)


def _climb(surface: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The maximum of a periodic surface that steps upwards from the pixel `at` lead to."""
    shape = np.array(surface.shape)
    for _ in range(10):
        patch = surface[np.ix_(*((at[:, None] + np.arange(-1, 2)) % shape[:, None]))]
        step = np.array(np.unravel_index(np.argmax(patch), (3, 3))) - 1
        if not step.any():
            break
        at = (at + step) % shape
    return at


def _peak(
    product: np.ndarray, at: np.ndarray, norm: float, shape: tuple[int, int]
) -> tuple[np.ndarray, float, np.ndarray]:
    """Newton's way from a whole-pixel peak to the top of the correlation, summed exactly from its
    Fourier series.

    Of two frames with a correlation coefficient q at the peak the unlike part, 1 - q², moves the
    peak by a standard deviation of sqrt((1 - q²) a / (N q² κ)), with κ the relative curvature and a
    = `SLOPE_AREA` of N pixels.
    """
    ny, nx = shape
    fy, fx = 2j * np.pi * scipy.fft.fftfreq(ny), 2j * np.pi * scipy.fft.rfftfreq(nx)
    twice = np.full(fx.size, 2.0)  # rfft leaves out the negative frequencies
    twice[0] = 1.0
    if nx % 2 == 0:
        twice[-1] = 1.0
    shift, value, curved = at.astype(np.float64), 0.0, np.eye(2)
    for _ in range(3):
        ex, ey = twice * np.exp(fx * shift[1]), np.exp(fy * shift[0])
        columns = np.stack([ex, fx * ex, fx**2 * ex], axis=1).astype(np.complex64)
        rows = np.stack([ey, fy * ey, fy**2 * ey]).astype(np.complex64)
        series = (rows @ (product @ columns)).real / (ny * nx)
        value = float(series[0, 0])
        slope = np.array([series[1, 0], series[0, 1]])
        curved = -np.array([[series[2, 0], series[1, 1]], [series[1, 1], series[0, 2]]])
        if np.linalg.eigvalsh(curved)[0] <= 0:
            break
        moved = np.clip(shift + np.linalg.solve(curved, slope), at - 1.0, at + 1.0)
        if np.abs(moved - shift).max() < 1e-3:
            break
        shift = moved
    quality = min(max(value / norm, 0.0), 1.0)
    curvature = curved / max(value, np.finfo(float).tiny)
    if quality == 0.0 or np.linalg.eigvalsh(curvature)[0] <= 0:
        return shift, quality, np.full(2, np.inf)
    variance = np.diag(np.linalg.inv(curvature)) * (1 - quality**2) / quality**2
    return shift, quality, np.sqrt(variance * SLOPE_AREA / (ny * nx))


def chance_correlation(n_pixels: float) -> float:
    """Largest correlation coefficient that two frames of pure noise would show somewhere."""
    if n_pixels < 2:
        return 1.0
    return min(float(np.sqrt(2 * np.log(n_pixels) * NOISE_AREA / n_pixels)), 0.9)


def match_frames(frames: np.ndarray, weights: np.ndarray, reference: int) -> Match:
    """Shift of every frame against frame `reference`, bridged through a neighbour where that shows
    more.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    weights : ndarray of bool, shape (n, ny, nx)
        Pixels that count.
    reference : int
        Index of the fixed frame.
    """
    n = len(frames)
    best: dict[int, Peak] = {}
    fixed = transform(frames[reference], weights[reference])

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            best[i] = correlate(fixed, transform(frames[i], weights[i]))

    def along(band: slice) -> None:
        for outwards in directions[band]:
            for i in outwards:
                before = i - outwards.step
                best[i] = _bridged(frames, weights, fixed, (before, best[before]), (i, best[i]))

    for_each_band(work, n, rows_per_band=1)
    best[reference] = correlate(fixed, fixed, np.zeros(2))
    directions = [range(reference + 1, n), range(reference - 1, -1, -1)]
    for_each_band(along, len(directions), rows_per_band=1)
    peaks = [best[i] for i in range(n)]
    return Match(
        np.array([peak.shift for peak in peaks]),
        np.array([peak.quality for peak in peaks]),
        np.array([peak.sd for peak in peaks]),
        np.array([peak.rival for peak in peaks]),
        reference,
    )


def _bridged(
    frames: np.ndarray,
    weights: np.ndarray,
    fixed: Edges,
    neighbour: tuple[int, Peak],
    own: tuple[int, Peak],
) -> Peak:
    """Where frame `own` lies, in doubt with the help of its `neighbour` nearer to the reference."""
    (before, known), (i, found) = neighbour, own
    if np.abs(found.shift - known.shift).max() < 1.5:
        return found
    moving = transform(frames[i], weights[i])
    if found.rival > RIVAL:
        found = correlate(fixed, moving, known.shift)
    if found.quality >= CLEAR or np.abs(found.shift - known.shift).max() < 1.5:
        return found
    between = correlate(transform(frames[before], weights[before]), moving, np.zeros(2))
    bridged = known.shift + between.shift
    if between.quality > found.quality and np.abs(bridged - found.shift).max() > 1.0:
        return Peak(bridged, between.quality, between.sd, between.rival)
    return found


def untrusted(match: Match, chance: float) -> np.ndarray:
    """Frames whose shift is not to be believed.

    Either the correlation is what noise would give, or the shift leaves the run of its neighbours
    while the frame correlates worse than they do: a jump of the stage moves a frame but leaves it
    alike. The worse the correlation, the smaller the departure that condemns.
    """
    poor = match.quality <= chance
    usual = usual_quality(match)
    away = np.abs(match.shifts - _running_median(match.shifts)).max(axis=1)
    noise = 1.4826 * np.median(away)
    far = (away > max(6 * noise, 0.5)) & (match.quality < 0.75 * usual)
    unlike = (away > 0.5) & (match.quality < 0.5 * usual)
    return np.asarray(poor | far | unlike)


def usual_quality(match: Match) -> np.ndarray:
    """Correlation (n,) of the frames around each frame."""
    return np.asarray(ndimage.median_filter(match.quality, size=9, mode="nearest"))


def bridge_gaps(shifts: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Shifts with those of `bad` frames interpolated from the frames before and after."""
    if bad.all():
        return np.zeros_like(shifts)
    frame = np.arange(len(shifts))
    return np.column_stack([np.interp(frame, frame[~bad], column[~bad]) for column in shifts.T])


def _running_median(shifts: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.median_filter(shifts, size=(7, 1), mode="nearest"))
