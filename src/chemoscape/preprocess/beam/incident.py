"""The incident beam I0: from pixels without sample, from a spectrum, or from flat images.

What comes from elsewhere is first brought to the image's unit, and then compared with the empty
part of the image.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import StackError
from chemoscape.preprocess.beam import spectrum, units
from chemoscape.preprocess.beam.background import (
    as_map,
    counted,
    empty_field,
    find_background,
    mean_image,
)
from chemoscape.preprocess.beam.flat import flat_at
from chemoscape.preprocess.beam.given import opened
from chemoscape.preprocess.beam.stale import check_shape, warn_of_film
from chemoscape.preprocess.beam.units import Beam, Unit, in_unit_of
from chemoscape.preprocess.counting import sums_over
from chemoscape.preprocess.noise import measure_noise
from chemoscape.region import Region

__all__ = ["I0", "Levels", "Unit", "find_incident"]

#: A beam that differs by more than this (in ln I) across the empty field is said.
UNEVEN = 0.05


@dataclass(frozen=True)
class Levels:
    """A range of brightness that holds the empty field.

    Parameters
    ----------
    low, high : float
        Bounds on the energy-averaged transmission image, as fractions of its brightest plateau: 1
        is the median of the brightest 1 % of the pixels.

    Examples
    --------
    >>> Levels(0.95, 1.05).describe()
    'levels 0.95 to 1.05 of the brightest'
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and 0 < self.low < self.high):
            raise StackError(
                f"levels of {self.low} to {self.high} hold no empty field",
                remedy="give two fractions of the brightest plateau, such as 0.95 and 1.05",
            )

    def describe(self) -> str:
        """One line."""
        return f"levels {self.low:g} to {self.high:g} of the brightest"

    def mask(self, stack: xr.DataArray) -> xr.DataArray:
        """Boolean map (y, x) of the pixels whose brightness lies in the range.

        Raises
        ------
        StackError
            There is none.
        """
        image = mean_image(stack)
        known = image[np.isfinite(image)]
        inside = np.zeros(image.shape, dtype=bool)
        if known.size:
            least = known.size - max(known.size // 100, 1)
            brightest = float(np.median(np.partition(known, least)[least:]))
            with np.errstate(invalid="ignore"):
                inside = (image >= self.low * brightest) & (image <= self.high * brightest)
        if not inside.any():
            raise StackError(
                f"no pixel has {self.describe()} ones",
                remedy="look at the histogram of the mean image, and give other levels",
            )
        return as_map(inside, stack)


@dataclass(frozen=True)
class I0:
    """Incident beam: values and their variance (n_energy,) in the stack's unit, and where they come
    from.

    `n_pixels` is the number of pixels averaged, 0 for what comes from elsewhere. The variance is 0
    where it is not known: of pixels until the noise is measured, and of spectra. `flat` is the
    shape of the beam across the image, (1 or n_energy, y, x), with a mean of 1 over its finite
    pixels; None is 1 everywhere. With flat images the variance is that of one of their pixels if
    g were 1, and `flat_net` their mean as recorded, less the dark.
    """

    values: np.ndarray
    variance: np.ndarray
    source: str
    units_correction: str = ""
    n_pixels: int = 0
    flat: np.ndarray | None = None
    flat_net: np.ndarray | None = None


def find_incident(
    stack: xr.DataArray,
    i0: str | Path | Region | Levels | xr.DataArray | tuple[ArrayLike, ArrayLike],
    *,
    unit: Unit,
    dark: float | np.ndarray,
) -> tuple[I0, xr.DataArray | None]:
    r"""I0 and the background, which may be unknown when I0 comes from elsewhere.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, also lazy.
    i0 : "auto", Region, Levels, (energy, values), DataArray or path
        The brightest plateau of the image, a part of the image, a spectrum (a DataArray (energy),
        with coordinate ``ring_current`` in mA where it is known), or flat images (y, x) or
        (energy, y, x); a file holds a spectrum or flat images.
    unit : {"auto", "image", "per_ms"}
        Unit of what comes from elsewhere.
    dark : float or ndarray, shape (n_energy,) or broadcasting to (n_energy, y, x)
        What the detector records without beam.

    Returns
    -------
    I0
        Of pixels, the mean over all of them, frame by frame; each frame carries its own ring
        current. What comes from elsewhere is scaled by the ratio of the ring currents (and of the
        dwells, for flat images) where both sides know theirs.
    DataArray (y, x) of bool, or None
        Pixels without sample.

    Raises
    ------
    StackError
        No background is found, there is no beam at some energy, a spectrum is malformed or does not
        cover the stack, or flat images do not fit it.

    Warns
    -----
    ChemoscapeWarning
        The unit was corrected or cannot be checked, I0 does not fit the empty part of the image,
        the beam is uneven across it, or it seems to be a film of sample.

    Notes
    -----
    The noise of a flat image is that of its counts: of a pixel that recorded F, d of it dark,
    :math:`\mathrm{var}(I_0)/I_0^2 = F/(g (F - d)^2)`, with g that of the stack (1 in what is
    returned here). Interpolation between
    energies would lower it, by at most half, and is not counted.
    """
    dark = _three_dimensional(dark)
    if isinstance(i0, str) and i0 == "auto":
        return _from_plateau(stack, dark)
    if isinstance(i0, Region | Levels):
        background = i0.mask(stack)
        named = f"region {i0.describe()}" if isinstance(i0, Region) else i0.describe()
        source = f"{named}, {counted(int(background.values.sum()), background.size)}"
        return _of_pixels(stack, background, dark, source), background
    try:
        empty: xr.DataArray | None = find_background(stack)
    except StackError:
        empty = None
    given, source = opened(i0)
    if isinstance(given, xr.DataArray) and "y" in given.dims:
        return _from_flat(stack, given, unit, dark, empty, source), empty
    return _from_spectrum(stack, given, unit, dark, empty, source), empty


def _three_dimensional(dark: float | np.ndarray) -> np.ndarray:
    values = np.asarray(dark, dtype=np.float64)
    return values if values.ndim == 3 else values.reshape(-1, 1, 1)


def _remedy_of(dark: np.ndarray) -> str:
    """What to do where no beam is left."""
    if dark.any():
        return "give a dark of the same dwell and gain, it is as large as the beam"
    return "drop these energies"


def _dark_in(dark: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean dark value (1 or n_energy,) over the pixels of a mask."""
    if dark.shape[1:] == (1, 1):
        return dark[:, 0, 0]
    cube = np.broadcast_to(dark, (len(dark), *mask.shape))
    return np.asarray(np.nanmean(cube[:, mask], axis=1))


def _from_plateau(stack: xr.DataArray, dark: np.ndarray) -> tuple[I0, xr.DataArray]:
    """I0 from the automatic background, whose pixels have been counted in finding it."""
    field = empty_field(stack)
    energy = stack["energy"].values
    values = field.counted.mean - _dark_in(dark, field.mask)
    spectrum.refuse_dark(values, energy, "the background", _remedy_of(dark))
    if field.unevenness > UNEVEN:
        units.warn(
            f"the empty part of the image is uneven: from its dark to its bright side the beam "
            f"changes by {100 * np.expm1(field.unevenness):.0f} %, and optical densities with it; "
            "give flat images, or the region next to the sample"
        )
    warn_of_film(energy, values, field.sample - _dark_in(dark, ~field.mask))
    n = int(field.mask.sum())
    source = f"automatic background, {counted(n, field.mask.size)}"
    return I0(values, np.zeros_like(values), source, n_pixels=n), as_map(field.mask, stack)


def _of_pixels(stack: xr.DataArray, background: xr.DataArray, dark: np.ndarray, source: str) -> I0:
    """Mean over the pixels of `background` (y, x), frame by frame, less the dark value."""
    values = sums_over(stack, background.values).mean - _dark_in(dark, background.values)
    spectrum.refuse_dark(values, stack["energy"].values, "the background", _remedy_of(dark))
    return I0(values, np.zeros_like(values), source, n_pixels=int(background.values.sum()))


def _from_spectrum(
    stack: xr.DataArray,
    given: xr.DataArray,
    unit: Unit,
    dark: np.ndarray,
    empty: xr.DataArray | None,
    source: str,
) -> I0:
    """I0 at the energies of the stack, in its unit, compared with its background."""
    wanted, at = stack["energy"].values, given["energy"].values
    values = spectrum.at_stack(wanted, at, given.values, source)
    ring = np.interp(wanted, at, given["ring_current"]) if "ring_current" in given.coords else None
    seen = None
    if empty is not None:
        seen = sums_over(stack, empty.values).mean - _dark_in(dark, empty.values)
    factor, said = in_unit_of(stack, Beam(values, source, ring), unit, seen)
    if empty is not None and seen is not None:

        def shifted(move: float) -> np.ndarray:
            moved = np.interp(wanted - move, at, given.values, left=np.nan, right=np.nan)
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(np.log(moved * factor / seen))

        variance = 1 / (_gain(stack, empty) * np.maximum(seen, 1e-9) * int(empty.values.sum()))
        with np.errstate(invalid="ignore", divide="ignore"):
            check_shape(wanted, np.log(values * factor / seen), variance, shifted)
    return I0(values * factor, np.zeros_like(values), source, said)


def _from_flat(
    stack: xr.DataArray,
    image: xr.DataArray,
    unit: Unit,
    dark: np.ndarray,
    empty: xr.DataArray | None,
    source: str,
) -> I0:
    """I0 of every pixel, in the unit of the stack, compared with its background."""
    flat, recorded, dwell, ring = flat_at(stack, image, dark, source)
    n = stack.sizes["energy"]
    means = np.array([np.nanmean(frame, dtype=np.float64) for frame in flat])
    flat /= means[:, None, None].astype(np.float32)
    values, seen = np.broadcast_to(means, (n,)), None
    if empty is not None:
        seen = sums_over(stack, empty.values).mean - _dark_in(dark, empty.values)
        # the background is one part of the field, I0 the mean of it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no flat there: NaN
            seen = seen / np.nanmean(flat[:, empty.values], axis=1, dtype=np.float64)
    factor, said = in_unit_of(stack, Beam(values, source, ring, dwell), unit, seen)
    values, g = values * factor, _gain(stack, empty)  # g: of the check alone
    if empty is not None and seen is not None:
        variance = 1 / (g * np.maximum(seen, 1e-9) * int(empty.values.sum()))
        with np.errstate(invalid="ignore", divide="ignore"):
            check_shape(stack["energy"].values, np.log(values / seen), variance, None)
    net = np.broadcast_to(means, (n,))
    variance = values**2 * recorded / net**2
    return I0(values, variance, source, said, flat=flat, flat_net=net)


def _gain(stack: xr.DataArray, background: xr.DataArray | None) -> float:
    """Counts per recorded unit, near enough for an error of I0: the header's, or as measured."""
    header = float(stack.attrs.get("counter_divider", np.nan))
    if np.isfinite(header) and header > 0:
        return header
    measured = measure_noise(stack, background)[0] if background is not None else np.nan
    return measured if measured > 0 else 1.0
