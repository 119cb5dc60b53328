"""Where there is sample, and where it is too thick to be believed."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape.blocks import computed, is_lazy, kernel, map_blocks
from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess.density.logarithm import MILD, NOT_POSITIVE, STRONG

#: A smaller share of the pixels than this is not worth a warning.
NOTABLE_SHARE = 1e-3
#: Of an image of more pixels than the first number, the 95th percentile is that of so many as the
#: second, in so many strips.
MOST_PIXELS, STRIP_PIXELS, N_STRIPS = 1_000_000, 200_000, 8
#: A mean optical density below minus this is more than noise.
BRIGHTER = 0.05


def count_flags(od: xr.Dataset) -> dict[str, int]:
    """Count flagged pixels, and warn of a thick sample; reads a lazy stack to its end.

    Parameters
    ----------
    od : Dataset of `optical_density`

    Returns
    -------
    dict
        ``n_pixels``, ``n_thick`` and ``n_too_thick`` (above 1.5 and above 2.2),
        ``n_pixels_not_positive`` (some energy without a positive count).

    Warns
    -----
    ChemoscapeWarning
        The sample is too thick in more than 0.1 % of the pixels.
    """
    (flag,) = computed(od["flag"].data)
    counted = thick_pixels(flag)
    warn_if_thick(counted, flag.size)
    lost = int(((flag & NOT_POSITIVE) > 0).sum())
    return {"n_pixels": int(flag.size), **counted, "n_pixels_not_positive": lost}


def sample_mask(od: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Pixels with sample in them.

    Parameters
    ----------
    od : Dataset of `optical_density`, or DataArray (energy, y, x)
        Optical densities. Where the Dataset has a ``sample`` (y, x) already, that is returned.

    Returns
    -------
    DataArray (y, x) of bool
        True where the energy-averaged optical density exceeds five of its standard deviations (when
        the variance is known) and a tenth of its 95th percentile over the image, of large images
        over strips of it. Lazy for lazy optical densities, of which the strips are read.
    """
    if isinstance(od, xr.Dataset) and "sample" in od:
        return od["sample"]
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    cubes = [density.data]
    if isinstance(od, xr.Dataset) and "variance" in od:
        cubes.append(od["variance"].data)
    if is_lazy(density):
        strips = (density.data[:, rows] for rows in _strips(density.shape[1:]))
        mean = [
            computed(map_blocks(_mean_and_sd, strip, leading=(2,), dtype=np.float64))[0][0]
            for strip in strips
        ]
        least = _least(mean)

        def work(*bands: np.ndarray) -> np.ndarray:
            above, sd = _mean_and_sd(*bands)
            return _exceeds(above, sd, least)

        mask = map_blocks(work, *cubes, leading=(), dtype=bool)
    else:
        mean, sd = map_blocks(_mean_and_sd, *cubes, leading=(2,), dtype=np.float64)
        mask = _exceeds(mean, sd, _least([mean[rows] for rows in _strips(mean.shape)]))
    return xr.DataArray(
        mask, dims=("y", "x"), coords={"y": density["y"], "x": density["x"]}, name="sample"
    )


def _strips(shape: tuple[int, ...]) -> list[slice]:
    """Rows of an image that its 95th percentile is taken from: all, or of a large one strips, so
    that a lazy stack need not be read twice.
    """
    n_y, n_x = shape
    height = max(STRIP_PIXELS // (N_STRIPS * n_x), 1)
    if n_y * n_x <= MOST_PIXELS or height * N_STRIPS >= n_y:
        return [slice(0, n_y)]
    starts = ((np.arange(N_STRIPS) + 0.5) / N_STRIPS * n_y - height / 2).astype(int).tolist()
    return [slice(start, start + height) for start in starts]


def _least(mean: list[np.ndarray]) -> float:
    """A tenth of the 95th percentile, not below zero; infinite where nothing is known."""
    values = np.concatenate([part.ravel() for part in mean])
    if not np.isfinite(values).any():
        return np.inf
    return max(0.1 * float(np.nanquantile(values, 0.95)), 0.0)


def _exceeds(mean: np.ndarray, sd: np.ndarray, least: float) -> np.ndarray:
    return np.asarray((mean > least) & (mean > 5 * sd))


def _mean_and_sd(density: np.ndarray, variance: np.ndarray | None = None) -> np.ndarray:
    """Mean over energy and its standard deviation (2, rows, x), 0 where no variance is given."""
    total, seen = np.zeros((2, *density.shape[1:]))
    for frame in density:
        _add_known(frame, total, seen)
    out = np.zeros((2, *density.shape[1:]))
    with np.errstate(invalid="ignore", divide="ignore"):
        out[0] = total / seen
    if variance is not None:
        spread, known = np.zeros((2, *density.shape[1:]))
        for frame in variance:
            _add_known(frame, spread, known)
        out[1] = np.sqrt(spread) / np.maximum(seen, 1)
    return out


@kernel
def _add_known(frame, total, seen):  # type: ignore[no-untyped-def]
    """Add the finite values of a frame (rows, x), which lies in one piece, and count them."""
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            value = frame[y, x]
            known = abs(value) < np.inf
            total[y, x] += value if known else 0.0
            seen[y, x] += 1.0 if known else 0.0


def thick_pixels(flag: np.ndarray) -> dict[str, int]:
    """``n_thick`` and ``n_too_thick`` of a flag map in memory."""
    thick = flag % NOT_POSITIVE
    return {"n_thick": int((thick > 0).sum()), "n_too_thick": int((thick > 1).sum())}


def warn_if_thick(counted: dict[str, int], n_pixels: int) -> None:
    """One warning on optical densities that a real beamline does not measure faithfully."""
    strong, mild = counted["n_too_thick"] / n_pixels, counted["n_thick"] / n_pixels
    if strong > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {STRONG} in {100 * strong:.1f} % of the pixels (and {MILD} "
            f"in {100 * mild:.1f} %): stray light and higher orders flatten such peaks, and their "
            "height is not to be believed; measure a thinner area, or leave these energies out of "
            "the fit"
        )
    elif mild > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {MILD} in {100 * mild:.1f} % of the pixels: stray light of "
            "1 % already lowers such peaks by 0.03 and more"
        )
    else:
        return
    warnings.warn(text, ChemoscapeWarning, stacklevel=3)


def warn_if_brighter_than_i0(mean: np.ndarray) -> None:
    """Light gains nothing in a sample: where the image outshines I0, I0 was dimmed."""
    known = mean[np.isfinite(mean)]
    share = float((known < -BRIGHTER).mean()) if known.size else 0.0
    if share > 0.05:
        warnings.warn(
            f"{share:.0%} of the image is brighter than I0: there is sample in the I0 region",
            ChemoscapeWarning,
            stacklevel=3,
        )
