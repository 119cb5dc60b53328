"""The brightest plateau of one image, on a beam that may be inclined or vignetted.

All levels are natural logarithms of the brightness: a step of 0.1 is an optical density of 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape import blocks
from chemoscape.errors import StackError
from chemoscape.preprocess.beam.morphology import (
    dilated,
    dilated_cross,
    eroded,
    eroded_cross,
    eroded_inside,
    opened,
)

#: A background smaller than this, in pixels or as a share of the image, is not trusted.
SMALLEST_PIXELS = 16
SMALLEST_SHARE = 0.002
#: ln(I) of pixels within this of each other is flat, whatever the noise.
FLAT = 0.001
#: A brightest plateau whose ln(I) scatters more than this is no empty beam.
UNEVEN = 0.05
#: Bright spots that cover less of the image than this do not hide the plateau below them.
FEW_SHARE = 0.03
#: Statistics are taken from a grid of at most so many pixels.
SAMPLE = 65_536
#: The image is averaged over neighbours until ln(I) scatters less than this, over 5 × 5 at most.
QUIET = 0.003
#: A plateau whose pixels scatter by more than this many times the noise has a texture.
TEXTURED = 1.4
#: A plateau follows the beam's shape when that takes this share off its scatter.
FLATTER = 0.7


@dataclass(frozen=True)
class Plateau:
    """Pixels (y, x) bool of the brightest plateau, of what is compact and brighter, and of what is
    clearly darker; the shape of the beam in it, as ln(I) (y, x), None where it is even.
    """

    empty: np.ndarray
    brighter: np.ndarray
    darker: np.ndarray
    shape: np.ndarray | None


def refusal(why: str) -> StackError:
    """The error for an image without a background."""
    return StackError(
        f"no empty background was found in the image: {why}",
        remedy="give the region without sample, or an I0 spectrum",
    )


def fewest_pixels(n_pixels: int) -> int:
    """Fewest pixels of a background in an image of `n_pixels`."""
    return max(SMALLEST_PIXELS, int(SMALLEST_SHARE * n_pixels))


def brightest_plateau(level: np.ndarray) -> Plateau:
    """Find the brightest plateau of a level (y, x) float32, not finite where nothing is known.

    The densest value is taken, and then the next brighter one as long as there is one: sample only
    ever darkens. Where the plateau is broad for its noise, a quadratic surface through the
    brightest parts of the image is tried as the shape of the beam.

    Raises
    ------
    StackError
        Nothing is flat, or everything is.
    """
    usable = np.isfinite(level)
    if usable.sum() < fewest_pixels(level.size):
        raise refusal("too few pixels hold counts at every energy")
    noise = _local_noise(level)
    usable &= ~_lonely(level, 6 * noise)
    width = 1 if noise < QUIET else 3 if noise < 5 * QUIET else 5
    quiet = _box_mean(level, usable, width)
    candidates = usable & ~_bright_stripes(quiet, noise)
    centre, spread, distinct = _climb(quiet, candidates, noise / width)
    shape = None
    # a beam's shape is looked for where the plateau is broader than noise makes it
    if spread > max(2.5 * noise / width, 0.004) or not distinct:
        surface = _beam_shape(quiet, candidates, noise / width)
        even = quiet - surface
        c, s, d = _climb(even, candidates, noise / width)
        if d and s < FLATTER * spread:
            shape, quiet, centre, spread, distinct = surface, even, c, s, d
    broad = np.sqrt(max(spread**2 - (noise / width) ** 2, 0.0)) > UNEVEN
    if broad or not distinct:
        scatter = f"{100 * spread:.0f} %" if broad else "no level stands out"
        raise refusal(f"its brightest part is uneven ({scatter}), as where sample lies everywhere")
    darker = usable & (quiet < centre - 6 * spread)
    if darker.sum() < 9:
        if shape is not None:
            raise refusal(
                f"it is uneven ({100 * float(np.ptp(shape)):.0f} %) and nothing stands out from "
                "that, so that an inclined beam and a wedge of sample look the same"
            )
        raise refusal("it is uniform, so that an empty field and an even film look the same")

    empty = usable & (np.abs(quiet - centre) < 3 * spread)
    if width > 1:
        away = np.abs((level if shape is None else level - shape) - centre)
        own = 1.4826 * float(np.median(away[_grid(empty)]))
        if own > TEXTURED * noise and own**2 - noise**2 > UNEVEN**2:
            raise refusal(
                f"its brightest part has a texture ({100 * own:.0f} %, of which noise "
                f"{100 * noise:.0f} %), as where small particles lie everywhere"
            )
        empty &= away < 4 * np.hypot(spread, noise)
    empty = opened(empty, eroded_cross, dilated_cross)
    inner = eroded(empty)
    if inner.sum() >= fewest_pixels(level.size):
        empty = inner
    if empty.sum() < SMALLEST_PIXELS:
        raise refusal(f"only {empty.sum()} pixels of it are bright and even")
    brighter = opened(usable & (quiet > centre + 6 * spread), eroded_inside, dilated)
    if shape is not None:
        shape = shape - shape[empty].mean()
    return Plateau(empty, brighter, darker, shape)


def _climb(level: np.ndarray, usable: np.ndarray, noise: float) -> tuple[float, float, bool]:
    """Centre and standard deviation of the brightest plateau, and whether it stands out from what
    is darker.
    """
    fewest = fewest_pixels(level.size)
    population, seen = usable, level[_grid(usable)]
    below: tuple[float, float, bool] | None = None
    while True:
        centre, spread = _densest(level[_grid(population)])
        distinct = _stands_out(seen, centre, spread)
        # the values of a sample are broad, and the next plateau may lie within them
        narrow = spread < max(3 * noise, 0.02) or (distinct and spread < UNEVEN)
        step = 6 * spread if narrow else 0.5 * spread
        # lone bright pixels and the thin bright rim that diffraction draws around a particle are no
        # plateau
        brighter = opened(population & (level > centre + step), eroded_inside, dilated)
        if brighter.sum() < fewest:
            break
        if distinct and narrow and brighter.sum() < max(5 * fewest, FEW_SHARE * level.size):
            below = centre, spread, distinct
        population = brighter
    # a few bright spots of any brightness are no plateau, and do not hide the one below
    return below if below and not (distinct and narrow) else (centre, spread, distinct)


def _stands_out(values: np.ndarray, centre: float, spread: float) -> bool:
    """Whether a level is held by more pixels than some darker one nearby: in a wedge, none is."""
    edges = centre + spread * np.arange(-8.0, 2.0)
    numbers = np.histogram(values, edges)[0].astype(float)
    peak, valley = numbers[-2:].mean(), numbers[:-3].min()
    return bool(peak > 2 * valley + 3 * np.sqrt(peak + valley))


def _densest(values: np.ndarray) -> tuple[float, float]:
    """Centre and standard deviation of the densest group of values: the half-sample mode, then
    clipped moments.
    """
    ordered = np.sort(values)
    window = ordered
    while window.size > max(0.1 * ordered.size, 8):
        half = window.size // 2
        start = int(np.argmin(window[half:] - window[: window.size - half]))
        window = window[start : start + half + 1]
        if half < 4:
            break
    centre = float(np.median(window))
    # a tenth of a Gaussian lies within 0.126 sd of its centre; other pixels only make this too wide
    spread = max(float(window[-1] - window[0]) / 0.25, FLAT)
    for _ in range(5):
        near = values[np.abs(values - centre) < 2.5 * spread]
        if near.size < 5:
            break
        centre = float(np.median(near))
        spread = max(1.4826 * float(np.median(np.abs(near - centre))) / 0.95, FLAT)
    return centre, spread


def _local_noise(level: np.ndarray) -> float:
    """Standard deviation of a pixel, from its quieter surroundings.

    Differences reach over one pixel, as interpolation correlates neighbours; runs of 32 of them are
    judged together, and the quieter third of these decides.
    """
    rows = level[:: max(level.size // SAMPLE, 1)].astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = rows[:, 2:] - rows[:, :-2]
    known = np.abs(difference[np.isfinite(difference)])
    run = min(32, known.size)
    if not run:
        return FLAT
    runs = known[: known.size // run * run].reshape(-1, run)
    return max(1.15 * 1.4826 / np.sqrt(2) * float(np.quantile(np.median(runs, axis=1), 0.3)), FLAT)


def _grid(population: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices of at most `SAMPLE` pixels of a map, evenly spread."""
    flat = np.flatnonzero(population)
    return np.unravel_index(flat[:: -(-flat.size // SAMPLE) or 1], population.shape)


def _lonely(level: np.ndarray, step: float) -> np.ndarray:
    """Pixels that exceed or fall below all four neighbours by `step`."""
    alone = np.zeros(level.shape, dtype=bool)
    _mark_lonely(level, np.float32(step), alone)
    return alone


@blocks.kernel
def _mark_lonely(level: np.ndarray, step: np.float32, alone: np.ndarray) -> None:
    n_y, n_x = level.shape
    for y in range(n_y):
        for x in range(n_x):
            above, below = True, True
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= y + dy < n_y and 0 <= x + dx < n_x:
                    away = level[y, x] - level[y + dy, x + dx]
                    above &= not away <= step  # a neighbour without value is none
                    below &= not away >= -step
            alone[y, x] = above or below


def _box_mean(level: np.ndarray, usable: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` × `width` usable pixels around each; NaN where it is not usable itself."""
    if width == 1:
        return level
    total = _box_sum(np.where(usable, level, np.float32(0)), width)
    total /= np.maximum(_box_sum(usable.astype(np.float32), width), 1)
    total[~usable] = np.nan
    return total


def _box_sum(values: np.ndarray, width: int) -> np.ndarray:
    reach = width // 2
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (reach, reach)
        wide, length = np.pad(values, pad), values.shape[axis]
        parts = [np.take(wide, range(k, k + length), axis) for k in range(width)]
        values = np.asarray(np.sum(parts, axis=0, dtype=np.float32))
    return values


def _bright_stripes(level: np.ndarray, noise: float) -> np.ndarray:
    """Rows and columns, up to 8 wide, that are brighter as a whole than those on both sides.

    A detector or a scan line does that, and samples rarely do; a gap across the whole image does
    too, and is found again as what is brighter than the plateau.
    """
    found = np.zeros(level.shape, dtype=bool)
    for image, mask in ((level, found), (level.T, found.T)):
        n, m = image.shape
        if n < 40 or m < 8:
            continue
        thin = np.ascontiguousarray(image[:, :: max(m // 128, 1)])
        rise = np.full(n, np.inf)
        with np.errstate(invalid="ignore"):
            for reach in (4, 12):
                middle = np.arange(n)
                sides = (thin[np.abs(middle - reach)], thin[n - 1 - np.abs(n - 1 - middle - reach)])
                rise = np.minimum(rise, _row_medians(thin - np.maximum(*sides)))
        sd = 1.4826 * float(np.median(np.abs(rise - np.median(rise))))
        lines = rise > max(5 * sd, noise, 0.01)
        lines[1:-1] |= lines[2:] | lines[:-2]
        mask[lines] = True
    return found


def _row_medians(rows: np.ndarray) -> np.ndarray:
    """Median of every row, 0 where fewer than half is known."""
    ordered = np.sort(rows, axis=1)  # NaN last
    known = np.isfinite(rows).sum(axis=1)
    medians = ordered[np.arange(len(rows)), np.maximum(known // 2, 0)]
    return np.where(known >= rows.shape[1] / 2, medians, 0.0)


def _beam_shape(level: np.ndarray, usable: np.ndarray, noise: float) -> np.ndarray:
    """Quadratic surface through the brightest parts of a level (y, x), with a mean of 0.

    A pixel counts the less the darker it is than the surface, for sample only darkens. First
    through the tops of 12 × 12 tiles, then through a grid of pixels.
    """
    n_y, n_x = level.shape
    y, x = np.linspace(-1, 1, n_y), np.linspace(-1, 1, n_x)

    tiles = []
    for rows in np.array_split(np.arange(n_y), min(12, n_y)):
        for columns in np.array_split(np.arange(n_x), min(12, n_x)):
            part = level[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            seen = part[usable[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]]
            if seen.size > 8:
                tiles.append((y[rows].mean(), x[columns].mean(), np.quantile(seen, 0.9)))
    if len(tiles) < 12:
        return np.zeros_like(level)
    at_y, at_x, top = np.array(tiles).T
    coefficients = _upper_fit(_basis(at_y, at_x), top, None, noise)
    iy, ix = _grid(usable)
    iy, ix = iy[:: max(iy.size // 4096, 1)], ix[:: max(ix.size // 4096, 1)]
    coefficients = _upper_fit(_basis(y[iy], x[ix]), level[iy, ix], coefficients, noise)
    c = coefficients.astype(np.float32)
    y, x = y.astype(np.float32), x.astype(np.float32)
    along_y, along_x = c[1] * y + c[3] * y * y, c[2] * x + c[4] * x * x
    surface = along_y[:, None] + along_x[None, :] + (c[5] * y)[:, None] * x[None, :]
    return np.asarray(surface - surface.mean())


def _basis(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(y), y, x, y * y, x * x, y * x], axis=1)


def _upper_fit(
    basis: np.ndarray, values: np.ndarray, start: np.ndarray | None, noise: float
) -> np.ndarray:
    """Coefficients of the surface from which values deviate downwards only, by reweighting."""
    weight = np.ones_like(values)
    if start is not None:
        weight = _upper_weight(values - basis @ start, noise)
    for _ in range(15):
        root = np.sqrt(weight)
        coefficients = np.linalg.lstsq(basis * root[:, None], values * root, rcond=None)[0]
        weight = _upper_weight(values - basis @ coefficients, noise)
    return coefficients


def _upper_weight(rest: np.ndarray, noise: float) -> np.ndarray:
    """Tukey's biweight around the bulk of what is not sample."""
    above = rest[rest > 0]
    scale = 1.4826 * float(np.median(above)) if above.size else noise
    scale = max(scale, noise, FLAT)
    weight = np.clip(1 - (rest / (5 * scale)) ** 2, 0, None) ** 2
    return weight + 1e-3
