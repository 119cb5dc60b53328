"""The detector: what it records without beam, while it is busy, and of light astray."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.beam.units import dwell_ms

#: A number, one per energy (energy), an image (y, x), a cube (energy, y, x), or a file of dark
#: images.
Dark = float | xr.DataArray | str | Path

#: A detector that is busy for more than this share of the time is corrected with a warning: real
#: ones follow neither model well.
BUSY = 0.3
#: Energies of a dark and a stack that differ by less (eV) are the same: files round to 0.01 eV.
SAME_ENERGY_EV = 0.02


@dataclass(frozen=True, eq=False)
class Detector:
    r"""How a recorded value N comes from the light.

    Without beam the detector records d. After each count it is busy for τ and misses what arrives
    (non-paralysable), so that a true count M leaves, in the dwell T,

    .. math:: N - d = \frac{M}{1 + g M τ/T}, \qquad M = \frac{N - d}{1 - g (N - d) τ/T}

    (Knoll, Radiation Detection and Measurement, 4.VII), with g counts per recorded unit. Of the
    light that reaches it, a share h of the beam passes the sample unabsorbed.

    Parameters
    ----------
    dark : ndarray, shape (1 or n_energy, 1 or n_y, 1 or n_x)
        d, in the stack's unit; NaN in pixels of the detector that are dead.
    dark_variance : float
        Variance of d in one recorded value, in the stack's unit squared.
    busy_per_count : ndarray, shape (n_energy,)
        τ/T, dimensionless.
    stray_light : float
        h, as a share of the true beam.
    """

    dark: np.ndarray
    dark_variance: float
    busy_per_count: np.ndarray
    stray_light: float

    @property
    def has_dark_image(self) -> bool:
        """Whether the dark differs from pixel to pixel."""
        return self.dark.shape[1:] != (1, 1)

    def busy(self, counts: np.ndarray, g: float) -> np.ndarray:
        """Share of the time (n_energy,) that the detector is busy with `counts` (n_energy,), as
        recorded and without dark.
        """
        return np.asarray(g * counts * self.busy_per_count)

    @property
    def counts_like_poisson(self) -> bool:
        """Whether the noise is that of the recorded counts alone: no dead time, no read noise."""
        return not (self.busy_per_count.any() or self.dark_variance)

    def dark_under(self, mask: xr.DataArray | None) -> np.ndarray:
        """Mean dark (1 or n_energy,) of the pixels in `mask` (y, x), of all without one."""
        if not self.has_dark_image:
            return np.asarray(self.dark[:, 0, 0])
        inside = np.ones(self.dark.shape[1:], dtype=bool) if mask is None else mask.values
        return np.asarray(np.nanmean(self.dark[:, inside], axis=1))


def detector_of(
    stack: xr.DataArray,
    dark: Dark,
    dark_sd: float,
    dead_time_us: float,
    stray_light: float,
) -> Detector:
    """The detector that `optical_density` was told of.

    Raises
    ------
    StackError
        A number is impossible, the dark does not fit the stack or lies above all that was recorded,
        or the dwell is not known and there is a dead time.
    """
    for name, value, remedy in (
        ("a dark_sd", dark_sd, "give 0 or a positive number in the stack's unit"),
        ("a dead time", dead_time_us, "give 0 or a positive number of microseconds"),
    ):
        if not (np.isfinite(value) and value >= 0):
            raise StackError(f"{name} of {value} is impossible", remedy=remedy)
    if not (0 <= stray_light < 1):
        raise StackError(
            f"a stray-light fraction of {stray_light} is impossible",
            remedy="give the share of the beam that is stray light, such as 0.02",
        )
    values, variance_of_mean = _dark_values(stack, dark)
    return Detector(
        values,
        float(dark_sd) ** 2 + variance_of_mean,
        _busy_per_count(stack, float(dead_time_us)),
        float(stray_light),
    )


def counted_while_idle(counts: np.ndarray, busy: np.ndarray) -> np.ndarray:
    """True counts from recorded ones, ``M = N/(1 - busy)``."""
    return counts / (1 - busy)


def refuse_overload(busy: np.ndarray, energy: np.ndarray) -> None:
    """Stop where the beam alone would keep the detector busy all the time; warn where nearly.

    Raises
    ------
    StackError
        The busy share is 1 or more at some energy.

    Warns
    -----
    ChemoscapeWarning
        It exceeds 0.3.
    """
    worst = int(np.nanargmax(busy)) if np.isfinite(busy).any() else 0
    if busy[worst] >= 1:
        raise overload(f"at {energy[worst]:.3f} eV ")
    if busy[worst] > BUSY:
        warnings.warn(
            f"the detector is busy for {busy[worst]:.0%} of the time at {energy[worst]:.3f} eV: "
            f"above {BUSY:.0%} the correction for dead time is a large one, and no detector "
            "follows the model exactly; measure with less flux",
            ChemoscapeWarning,
            stacklevel=3,
        )


def overload(where: str = "") -> StackError:
    """The error for counts that the dead time does not allow."""
    return StackError(
        f"more was counted {where}than the dead time allows (counts times dead time is more than "
        "the dwell)",
        remedy="correct dead_time_us, the dwell or the counts per recorded unit",
    )


def warn_of_dark(detector: Detector, beam: np.ndarray, stack: xr.DataArray) -> None:
    """Warn where a dark image outshines the open beam, or comes after an alignment.

    `beam` (n_energy,) is I0 less dark, as recorded.
    """
    if not detector.has_dark_image:
        return
    with np.errstate(invalid="ignore"):
        above = detector.dark > (beam + np.nanmean(detector.dark))[:, None, None]
    n_above = int(above.any(axis=0).sum())
    if n_above:
        warnings.warn(
            f"the dark is larger than the beam itself in {n_above} pixels: these are hot pixels, "
            "or the dark was taken with another dwell or gain; their optical density means nothing",
            ChemoscapeWarning,
            stacklevel=3,
        )
    if "noise_gain" in stack.coords:
        warnings.warn(
            "the dark image is subtracted from frames that were aligned: it belongs to the pixels "
            "of the detector, which the alignment moved; subtract it before, or give one number",
            ChemoscapeWarning,
            stacklevel=3,
        )


def _busy_per_count(stack: xr.DataArray, dead_time_us: float) -> np.ndarray:
    """τ/T for every energy; 0 without dead time."""
    if dead_time_us == 0:
        return np.zeros(stack.sizes["energy"])
    dwell = dwell_ms(stack)
    if dwell is None:
        raise StackError(
            "a dead time needs to know how long the detector counted, and the stack has no dwell",
            where=str(stack.attrs.get("source", "")),
            remedy="give the dwell (stack.attrs['dwell_ms']), or correct for dead time beforehand",
        )
    return dead_time_us / (1000 * dwell)


def _dark_values(stack: xr.DataArray, dark: Dark) -> tuple[np.ndarray, float]:
    """Dark (1 or n, 1 or y, 1 or x), and the variance of a mean that it is."""
    if isinstance(dark, str | Path):
        return _dark_of_file(stack, dark)
    if isinstance(dark, xr.DataArray):
        return _dark_of_array(stack, dark), 0.0
    if not (np.isfinite(dark) and dark >= 0):
        raise StackError(
            f"a dark value of {dark} is impossible", remedy="give 0 or a positive number"
        )
    values = np.full((1, 1, 1), dark, dtype=np.float64)
    _refuse_above_all(stack, values)
    return values, 0.0


def _dark_of_array(stack: xr.DataArray, dark: xr.DataArray) -> np.ndarray:
    """Dark from an array whose dims say what it is."""
    if dark.dims not in (("energy",), ("y", "x"), stacks.DIMS):
        raise StackError(
            f"a dark cannot have the dims {dark.dims}",
            remedy='give one of ("energy",), ("y", "x") or ("energy", "y", "x")',
        )
    for name in dark.dims:
        if dark.sizes[name] != stack.sizes[name]:
            raise StackError(
                f"the dark has {dark.sizes[name]} values along {name}, the stack "
                f"{stack.sizes[name]}",
                remedy="give a dark of the same energies and pixels",
            )
    if "energy" in dark.coords and "energy" in dark.dims:
        apart = np.abs(dark["energy"].values - stack["energy"].values).max()
        if apart > SAME_ENERGY_EV:
            raise StackError(
                f"the dark belongs to other energies, up to {apart:.2f} eV away",
                remedy="give the dark at the energies of the stack",
            )
    values = np.asarray(dark.values, dtype=np.float64)
    if dark.dims == ("energy",):
        values = values[:, None, None]
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise StackError(
                "a dark value along energy is negative or not finite",
                remedy="give 0 or a positive number for every energy",
            )
        _refuse_above_all(stack, values)
        return values
    return values if values.ndim == 3 else values[None]


def _dark_of_file(stack: xr.DataArray, path: str | Path) -> tuple[np.ndarray, float]:
    """Mean over the images of a file, and the variance of that mean, averaged over pixels."""
    from chemoscape.formats import find_format, open_stack
    from chemoscape.formats._source import Wanted

    known, found = find_format(path)
    source = known.open(found, Wanted(None, None, None, None, None))
    n = source.shape[0]
    if source.quantity not in (None, "counts"):
        raise StackError(
            f"a dark image holds counts, this file {str(source.quantity).replace('_', ' ')}",
            where=str(path),
            remedy="give images taken without beam",
        )
    with warnings.catch_warnings():  # their energies mean nothing, and may all be the same
        warnings.simplefilter("ignore", ChemoscapeWarning)
        frames = open_stack(
            path,
            quantity="counts",
            energy=1000.0 + np.arange(n),
            pixel_um=None if source.y is not None and source.x is not None else 1.0,
        )
    if frames.shape[1:] != stack.shape[1:]:
        raise StackError(
            f"the dark images have {frames.shape[1]} × {frames.shape[2]} pixels, the stack "
            f"{stack.shape[1]} × {stack.shape[2]}",
            where=str(path),
            remedy="give dark images of the same field and binning",
        )
    moments = blocks.map_blocks(_mean_and_variance, frames.data, leading=(2,), dtype=np.float64)
    mean, variance = np.asarray(moments)
    if not np.isfinite(mean).any() or np.nanmean(mean) < 0:
        what = "are negative" if np.isfinite(mean).any() else "hold no value"
        raise StackError(f"the dark images {what}", where=str(path), remedy="look at the file")
    known = np.isfinite(variance)
    return mean[None], float(variance[known].mean()) if known.any() else 0.0


def _mean_and_variance(frames: np.ndarray) -> np.ndarray:
    """Mean over frames and its variance (2, rows, x)."""
    seen = np.isfinite(frames)
    numbers = seen.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(seen, frames, 0.0).sum(axis=0, dtype=np.float64) / numbers
        squares = (np.where(seen, frames - mean, 0.0) ** 2).sum(axis=0)
        return np.stack([mean, squares / (numbers - 1) / numbers])


def _refuse_above_all(stack: xr.DataArray, dark: np.ndarray) -> None:
    """Raise where a dark value exceeds everything that a frame recorded (of one row in eight)."""
    if blocks.is_lazy(stack) or not dark.any():
        return  # a lazy stack is not read for this: I0 will not be positive
    brightest = np.fmax.reduce(stack.values[:, ::8], axis=(1, 2))
    above = np.broadcast_to(dark[:, 0, 0], brightest.shape) >= brightest
    if above.any():
        first = stack["energy"].values[above][0]
        raise StackError(
            f"the dark value is larger than all that was recorded at {above.sum()} energies, the "
            f"first {first:.3f} eV",
            remedy="give the dark of the same dwell and gain",
        )
