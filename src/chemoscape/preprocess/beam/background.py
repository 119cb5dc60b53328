"""The empty part of an image: where the beam passes the support alone, found as the brightest
plateau.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.preprocess.beam.morphology import eroded_inside
from chemoscape.preprocess.beam.plateau import (
    SMALLEST_PIXELS,
    Plateau,
    brightest_plateau,
    refusal,
)
from chemoscape.preprocess.counting import Sums, means_of, middle_and_spread, sums_in, values_of

#: Values that the mean image is made from, and its fewest frames.
VALUES_LOOKED_AT = 64_000_000
FRAMES_LOOKED_AT = 32
#: Pixels on a grid from which the level and the scatter of every frame are known.
GRID = 65_536
#: Pixels of the background from which they are taken.
JUDGED = 1024
#: Rows from which frames are brought to one scale.
ROWS = 4
#: The shape of the beam is the same at all energies within this share of it.
STEADY = 0.2
#: What is brighter by less than this, more where the sample absorbs, proves no film.
FILM_OD = 0.02


@dataclass(frozen=True)
class EmptyField:
    """Where there is no sample, and what was counted there.

    `mask` (y, x) bool; `counted` the sums over it; `unevenness` the difference in ln(I) between its
    bright and dark ends (1st to 99th percentile of the beam's shape), 0 where it is even; `sample`
    (n_energy,) the mean of what is clearly darker.
    """

    mask: np.ndarray
    counted: Sums
    unevenness: float
    sample: np.ndarray


def find_background(stack: xr.DataArray) -> xr.DataArray:
    """Find the pixels without sample.

    On the logarithm of the energy-averaged image, the densest value is taken, and then the next
    brighter plateau as long as there is one: sample only ever darkens. Pixels within three standard
    deviations of the last plateau are kept, less a border of one pixel around everything else and
    less pixels that stand out from it in some frame.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts; lazy stacks are read twice.

    Returns
    -------
    DataArray (y, x) of bool
        True where there is no sample.

    Raises
    ------
    StackError
        The image is uniform, so that sample and background cannot be told apart, or its brightest
        part is not flat, or is brighter in a way that changes with energy.

    Notes
    -----
    An inclined or vignetted beam is followed by a quadratic surface, which must be the same at all
    energies: a wedge of sample is not. What is brighter than the plateau but too small or too much
    like a line to be one must be brighter by the same factor at all energies; else the plateau is
    sample, and the bright spot is taken or the search refused.

    The mean image is made from evenly spread frames, 32 of them or as many as hold 64 million
    values. Levels of single frames, for outliers, are those of at most 1024 pixels: their error is
    4 % of a pixel's noise, which moves a limit of six standard deviations by nothing that matters.
    """
    return as_map(empty_field(stack).mask, stack)


def as_map(mask: np.ndarray, stack: xr.DataArray) -> xr.DataArray:
    """A mask (y, x) with the axes of the stack."""
    return xr.DataArray(
        mask, dims=("y", "x"), coords={"y": stack["y"], "x": stack["x"]}, name="background"
    )


def describe(background: xr.DataArray) -> str:
    """How many pixels a background has and where they lie, for a sentence or a caption.

    Examples
    --------
    >>> describe(xr.DataArray(np.eye(2, dtype=bool), dims=("y", "x"),
    ...                       coords={"y": [0, 1], "x": [2, 3]}))
    '2 pixels (50 % of the image), x 2 to 3, y 0 to 1 µm, centred on x 2.5, y 0.5 µm'
    """
    iy, ix = np.nonzero(background.values)
    y, x = background["y"].values[iy], background["x"].values[ix]
    return (
        f"{counted(iy.size, background.size)}, x {x.min():.4g} to {x.max():.4g}, "
        f"y {y.min():.4g} to {y.max():.4g} µm, centred on x {x.mean():.4g}, y {y.mean():.4g} µm"
    )


def counted(n: int, n_all: int) -> str:
    """So many pixels, as a number and as a share of the image."""
    return f"{n} pixels ({100 * n / n_all:.2g} % of the image)"


def empty_field(stack: xr.DataArray) -> EmptyField:
    """`find_background` with what was counted there, in two passes over the stack."""
    mean, judged = _look(stack, frame_scales(stack))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = brightest_plateau(np.log(mean))
    if found.shape is not None:
        _refuse_wedge(*judged(found.empty), found.shape)
    core = eroded_inside(found.darker)
    sample = means_of(judged(core if core.sum() >= SMALLEST_PIXELS else found.darker)[0])
    mask, counted, brighter = _sifted(stack, found, judged(found.empty))
    if found.brighter.any() and _rises_with(np.log(brighter / counted.mean), sample, counted.mean):
        found = _the_brighter(found, stack)
        mask, counted, _ = _sifted(stack, found, judged(found.empty))
    if mask.sum() < SMALLEST_PIXELS:
        raise refusal(f"only {mask.sum()} pixels of it are bright and even")
    unevenness = 0.0
    if found.shape is not None:
        unevenness = float(np.ptp(np.quantile(found.shape[mask], [0.01, 0.99])))
    return EmptyField(mask, counted, unevenness, sample)


def mean_image(stack: xr.DataArray) -> np.ndarray:
    """Energy-averaged image (y, x) float32, each frame with equal weight; NaN where one of those
    looked at has no value.
    """
    return _look(stack, frame_scales(stack))[0]


def frame_scales(stack: xr.DataArray) -> np.ndarray:
    """Brightness of every frame (n_energy,), from four rows: the mean of all but the brightest 5 %.

    0 in a frame without beam, NaN in one without values.
    """
    n_y = stack.sizes["y"]
    rows = np.unique(np.linspace(0, n_y - 1, 2 * ROWS + 1)[1::2].round().astype(int))
    values = _computed(stack.data[:, rows, :: max(stack.sizes["x"] // 256, 1)])
    scale = np.full(len(values), np.nan)
    for i, frame in enumerate(values):
        seen = frame[np.isfinite(frame)]
        if seen.size:
            most = max(int(0.95 * seen.size), 1)
            scale[i] = max(np.partition(seen, most - 1)[:most].mean(dtype=np.float64), 0.0)
    return scale


Judged = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _look(stack: xr.DataArray, scale: np.ndarray) -> tuple[np.ndarray, Judged]:
    """Mean over energy (y, x) float32, frames with equal weight and NaN where one has no value; and
    a function that gives the values (n_energy, m) of some pixels of a mask, with a map (y, x) bool
    of which these are.
    """
    n, n_y, n_x = stack.shape
    most = max(FRAMES_LOOKED_AT, VALUES_LOOKED_AT // (n_y * n_x))
    frames = np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)
    frames = frames[np.isfinite(scale[frames])]  # a frame without values tells nothing
    step = int(np.ceil(np.sqrt(n_y * n_x / GRID)))
    grid = np.zeros((n_y, n_x), dtype=bool)
    grid[step // 2 :: step, step // 2 :: step] = True
    lazy = blocks.is_lazy(stack)

    def work(band: np.ndarray, on_grid: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        total = np.zeros(band.shape[1:], dtype=np.float32)
        for i in frames:
            # a dark frame tells nothing either, but its gaps count
            _add(total, band[i], np.float32(1 / scale[i] if scale[i] > 0 else 0.0))
        return [total], [band[:, on_grid]] if lazy else []

    parts, kept = blocks.reduce_blocks(
        work, lambda a, b: (a[0] + b[0], a[1] + b[1]), stack.data, grid
    )
    mean = np.concatenate(parts) / np.float32(max(len(frames), 1))
    on_grid = np.concatenate(kept, axis=1) if lazy else np.empty((n, 0), dtype=np.float32)

    def judged(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = mask & grid
        few = chosen.sum() < 64
        if few:
            chosen = mask
        chosen = _thinned(chosen, JUDGED)
        if lazy and not few:
            return on_grid[:, chosen[grid]], chosen
        return values_of(stack, chosen), chosen

    return mean, judged


def _thinned(mask: np.ndarray, most: int) -> np.ndarray:
    """At most so many pixels of a mask, evenly spread."""
    flat = np.flatnonzero(mask)
    thin = np.zeros(mask.size, dtype=bool)
    thin[flat[:: max(-(-flat.size // most), 1)]] = True
    return thin.reshape(mask.shape)


def _sifted(
    stack: xr.DataArray, found: Plateau, judged: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, Sums, np.ndarray]:
    """The empty pixels less those that lie six standard deviations from the others in some frame,
    the sums over them, and the mean (n_energy,) of what is brighter. One pass.
    """
    values, chosen = judged
    shape = None if found.shape is None else np.exp(-found.shape).astype(np.float32)
    middle, spread = middle_and_spread(values if shape is None else values * shape[chosen])
    reach = 6 * spread + 1e-3 * np.abs(middle) + 1.0
    low, high = (middle - reach).astype(np.float32), (middle + reach).astype(np.float32)
    alive = np.isfinite(middle)

    def work(band: np.ndarray, empty: np.ndarray, brighter: np.ndarray, level: Any) -> Any:
        kept, even = empty.copy(), np.empty(empty.shape, dtype=np.float32)
        frames = np.flatnonzero(alive)
        for i in frames if empty.any() else ():
            frame = band[i] if shape is None else np.multiply(band[i], level, out=even)
            _sift(frame, low[i], high[i], kept)
        sums = sums_in(band, empty, frames)
        lost = band[:, empty & ~kept]
        seen = np.isfinite(lost)
        sums -= [np.where(seen, lost, 0).sum(axis=1, dtype=np.float64), seen.sum(axis=1)]
        return [kept], Sums(*sums), [band[:, brighter]]

    def join(a: Any, b: Any) -> Any:
        return (
            a[0] + b[0],
            a[1] + b[1],
            a[2] + b[2],
        )

    level = np.broadcast_to(np.float32(1), found.empty.shape) if shape is None else shape
    kept, counted, bright = blocks.reduce_blocks(
        work, join, stack.data, found.empty, found.brighter, level
    )
    counted = Sums(np.where(alive, counted.total, 0), np.where(alive, counted.number, 0))
    return np.concatenate(kept), counted, means_of(np.concatenate(bright, axis=1))


# Loops over one frame of a band, which lies in one piece: they run at the memory's rate.


@blocks.kernel
def _add(total: np.ndarray, frame: np.ndarray, weight: np.float32) -> None:
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            total[y, x] += frame[y, x] * weight


@blocks.kernel
def _sift(frame: np.ndarray, low: np.float32, high: np.float32, kept: np.ndarray) -> None:
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            kept[y, x] &= (frame[y, x] >= low) & (frame[y, x] <= high)  # NaN is not


def _refuse_wedge(values: np.ndarray, chosen: np.ndarray, shape: np.ndarray) -> None:
    """Refuse a shape of the beam (y, x) that is not the same at all energies.

    With T the shape, less its mean, in the pixels p looked at, its strength in frame i is
    ``a_i = sum_p (v_ip / mean_p v_ip - 1) T_p / sum_p T_p²``; averaged over groups of frames.
    """
    pattern = np.expm1(shape[chosen].astype(np.float64))
    pattern -= pattern.mean()
    seen = np.isfinite(values).all(axis=1) & (values.mean(axis=1) > 0)
    relative = values[seen] / values[seen].mean(axis=1, keepdims=True) - 1
    strength = relative @ pattern / (pattern @ pattern)
    error = relative.std(axis=1) / np.sqrt(pattern @ pattern)
    groups = np.array_split(np.arange(len(strength)), min(8, len(strength)))
    mean = np.array([strength[group].mean() for group in groups])
    sd = np.array([np.sqrt((error[group] ** 2).sum()) / group.size for group in groups])
    change = np.sqrt(max(float(mean.var() - (sd**2).mean()), 0.0))
    if change > STEADY and np.ptp(mean) > 5 * sd.mean():
        size = 100 * float(np.ptp(np.quantile(pattern, [0.01, 0.99])))
        raise refusal(
            f"its brightest part is uneven ({size:.0f} %), and by more at some energies than at "
            "others, as where sample lies everywhere"
        )


def _rises_with(excess: np.ndarray, sample: np.ndarray, plateau: np.ndarray) -> bool:
    """Whether an excess in ln(I) over the plateau (n_energy,) follows the sample's spectrum: then
    the plateau is a film of it.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        density = np.log(plateau / sample)
    seen = np.isfinite(excess) & np.isfinite(density)
    if seen.sum() < 4:
        return False
    excess, density = excess[seen] - excess[seen].mean(), density[seen] - density[seen].mean()
    power = float(density @ density)
    if not power > 0:
        return False
    slope = float(excess @ density) / power
    rest = excess - slope * density
    sd = np.sqrt(float(rest @ rest) / max(seen.sum() - 2, 1) / power)
    return bool(slope > 5 * sd and slope * np.ptp(density) > FILM_OD)


def _the_brighter(found: Plateau, stack: xr.DataArray) -> Plateau:
    """The spot that is brighter than a film, when it is large enough."""
    core = eroded_inside(found.brighter)
    if core.sum() >= SMALLEST_PIXELS:
        return Plateau(core, np.zeros_like(core), found.darker | found.empty, None)
    iy, ix = (int(np.median(index)) for index in np.nonzero(found.brighter))
    raise refusal(
        f"around x {stack['x'].values[ix]:.4g}, y {stack['y'].values[iy]:.4g} µm "
        f"{found.brighter.sum()} pixels are brighter than its brightest level, by more where the "
        "sample absorbs, so that the rest is sample, and they are too few"
    )


def _computed(values: Any) -> np.ndarray:
    return values.compute(num_workers=blocks.n_workers()) if blocks.is_lazy(values) else values
