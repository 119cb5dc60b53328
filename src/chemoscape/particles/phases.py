"""The composition of each particle, and which phases it consists of."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.stack import pixel_size

#: Mean of an error that non-negativity keeps from going below zero, in standard deviations.
ONE_SIDED = float(1 / np.sqrt(2 * np.pi))

#: name -> long name, of what is added along ``particle``; all have the units "1".
VARIABLES = {
    "composition_mean": "mean composition, by thickness",
    "composition_sd_within": "sd of the composition over the particle's pixels, noise included",
    "composition_sd_counting": "counting error of the composition of one pixel, rms",
    "composition_se_counting": "counting error of the mean composition",
    "composition_se": "error of the mean composition, with what is common to all pixels",
    "composition_pixels": "number of pixels that the composition is from",
    "composition_shared": "whether only pixels shared with other particles were to be had",
}


def with_composition(
    table: xr.Dataset, comp: xr.Dataset, maps: xr.Dataset | xr.DataArray | None = None
) -> xr.Dataset:
    """Add composition, its errors and phase fractions to a particle table.

    The mean over the pixels p of a particle is by thickness, ``x = Σ t_p x_p / Σ t_p``. Its error
    has two parts: the counting errors of the pixels, which average out
    (``Σ t_p² s_p² / (Σ t_p)²``, over pixels as large as were measured: those of a finer grid
    between them know nothing new), and the systematic ones, which do not. A pixel smoothed before
    the fit shares counts with its neighbours; that is not known here and makes the first part too
    small. Where weights were kept non-negative, pixels of a pure phase err to one side together by
    up to 0.4 of their counting error; this too is taken into ``composition_se``.

    A pixel on which several particles lie shows their sum and is left out of each. A particle that
    has no other pixels takes them all and is flagged.

    Parameters
    ----------
    table : Dataset
        As `particle_table` returns it.
    comp : Dataset of `chemistry.composition`
        Maps of the same field; the nearest pixel counts, whatever the grid.
    maps : Dataset of `deconvolve`, or DataArray (phase, y, x), optional
        Weights of the standards or amounts of phases; the first dimension may have any name.

    Returns
    -------
    Dataset
        The table with `VARIABLES` along ``particle``; with maps also ``phase_fraction`` (particle,
        phase), the share of each in the particle's weights, and ``dominant_phase``, empty where
        there is none. Attributes ``variable``, ``n_pixels_shared`` (pixels left out, each counted
        once) and ``n_shared_only`` (particles flagged).

    Raises
    ------
    StackError
        Particles lie outside the maps.
    """
    n = table.sizes["particle"]
    rows, columns = (table[f"pixel_{axis}"].values.astype(np.int64) for axis in "yx")
    owner = np.repeat(np.arange(n), table["pixel_count"].values)
    where = rows * int(table.attrs["image_shape"][1]) + columns
    _, place, layers = np.unique(where, return_inverse=True, return_counts=True)
    alone = layers[place.ravel()] == 1

    sampled = _sampled(comp, table)
    x, thick = sampled["composition"], sampled["thickness"]
    known = np.isfinite(x) & (thick > 0) & np.isfinite(sampled["composition_sd_counting"])
    used, flagged = _own_pixels(known, alone, owner, n)
    mass = np.where(used, thick, 0.0)
    x = np.where(used, x, 0.0)
    mean = _weighted(x, mass, owner, n)
    spread = np.sqrt(_weighted((x - mean[owner]) ** 2, mass, owner, n))
    counting, systematic = (
        np.where(used, sampled[f"composition_sd_{kind}"], 0.0)
        for kind in ("counting", "systematic")
    )
    of_pixel = np.sqrt(_weighted(counting**2, mass, owner, n))
    total = np.bincount(owner, mass, minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        averaged = np.sqrt(np.bincount(owner, (mass * counting) ** 2, minlength=n)) / total
    averaged = np.fmin(averaged * _correlated(comp, table), of_pixel)
    nonnegative = isinstance(maps, xr.Dataset) and bool(maps.attrs.get("nonnegative", False))
    one_sided = ONE_SIDED * of_pixel if nonnegative else 0.0
    common = np.hypot(_weighted(systematic, mass, owner, n), one_sided)
    columns_of = {
        "composition_mean": mean,
        "composition_sd_within": spread,
        "composition_sd_counting": of_pixel,
        "composition_se_counting": averaged,
        "composition_se": np.hypot(averaged, common),
        "composition_pixels": np.bincount(owner[used], minlength=n).astype(np.int32),
        "composition_shared": flagged,
    }
    out = table.assign(
        {
            name: ("particle", columns_of[name], {"units": "1", "long_name": words})
            for name, words in VARIABLES.items()
        }
    )
    out.attrs |= {
        "variable": str(comp.attrs.get("variable", "composition")),
        "n_pixels_shared": int((layers > 1).sum()),
        "n_shared_only": int(flagged.sum()),
    }
    return out if maps is None else _with_fractions(out, maps, owner, alone)


def _own_pixels(
    known: np.ndarray, alone: np.ndarray, owner: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels to use, shape (pixel,), and particles that have only shared ones, shape (n,)."""
    own = np.bincount(owner[known & alone], minlength=n)
    flagged = (own == 0) & (np.bincount(owner[known], minlength=n) > 0)
    return known & (alone | flagged[owner]), flagged


def _with_fractions(
    table: xr.Dataset, maps: xr.Dataset | xr.DataArray, owner: np.ndarray, alone: np.ndarray
) -> xr.Dataset:
    """The table with the share of each phase in the weights of each particle."""
    n = table.sizes["particle"]
    weight = maps["weight"] if isinstance(maps, xr.Dataset) else maps
    dims = [str(dim) for dim in weight.dims if dim not in ("y", "x")]
    if len(dims) != 1:
        raise StackError(
            f"maps of phases have the dimensions {', '.join(map(str, weight.dims))}",
            remedy="give one of phases beside y and x",
        )
    names = [str(name) for name in weight[dims[0]].values]
    layers = weight.transpose(dims[0], "y", "x")
    at = _nearest(weight, table)
    sampled = layers.values[:, at[0], at[1]]
    used, _ = _own_pixels(np.isfinite(sampled).all(axis=0), alone, owner, n)
    amount = np.array([np.bincount(owner[used], one[used], minlength=n) for one in sampled])
    amount = amount.reshape(len(names), n).clip(min=0)  # less than nothing is noise
    total = amount.sum(axis=0)
    share = np.divide(amount, total, out=np.full(amount.shape, np.nan), where=total > 0).T
    best = np.where(total > 0, amount.argmax(axis=0), -1)
    dominant = np.array([*names, ""])[best]
    facts = {"units": "1", "long_name": "share of the phase in the particle's weights"}
    return table.assign_coords(phase=names).assign(
        phase_fraction=(("particle", "phase"), share, facts),
        dominant_phase=("particle", dominant, {"long_name": "phase of the largest share"}),
    )


def _sampled(comp: xr.Dataset, table: xr.Dataset) -> dict[str, np.ndarray]:
    """Values of the maps on the pixels of the particles."""
    at = _nearest(comp, table)
    names = ("composition", "composition_sd_counting", "composition_sd_systematic", "thickness")
    return {name: comp[name].transpose("y", "x").values[at] for name in names}


def _nearest(maps: xr.Dataset | xr.DataArray, table: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, on the grid of the maps, of each pixel of the particles."""
    pixel = float(table.attrs["pixel_um"])
    found = []
    for axis, start, step in zip("yx", table.attrs["origin_um"], pixel_size(maps), strict=True):
        wanted = float(start) + pixel * table[f"pixel_{axis}"].values
        grid = maps[axis].values
        index = np.rint((wanted - grid[0]) / step).astype(int).clip(0, grid.size - 1)
        beyond = abs(grid[index] - wanted).max(initial=0) - 0.5 * max(step, pixel)
        if beyond > 1e-3 * pixel:
            raise StackError(
                f"particles lie up to {beyond:.3g} µm outside the maps along {axis}",
                remedy="give the maps of the field in which they were found",
            )
        found.append(index)
    return found[0], found[1]


def _correlated(comp: xr.Dataset, table: xr.Dataset) -> float:
    """How much less the counting errors of a particle's pixels average out on an interpolated grid.

    The square root of the area of a measured pixel over that of a pixel of the particles.
    """
    dy, dx = pixel_size(comp)
    measured = dy * dx * int(comp.attrs.get("refine", 1)) ** 2
    return max(1.0, float(np.sqrt(measured)) / float(table.attrs["pixel_um"]))


def _weighted(values: np.ndarray, mass: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Mean over the pixels of each particle, by mass; NaN where there is none."""
    total = np.bincount(owner, mass, minlength=n)
    moment = np.bincount(owner, mass * values, minlength=n)
    return np.divide(moment, total, out=np.full(n, np.nan), where=total > 0)
