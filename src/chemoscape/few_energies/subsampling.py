r"""Does a prediction hold? A few images of a stack that is there, against all of them.

Both compositions come from the same counts, so that their difference errs by less than the few
alone: with weights a of the few energies (zero elsewhere) and A of all, it is ``Σ (a_j - A_j)
δD_j``, and its variance by counting is ``Σ (a_j - A_j)² v_j``, whatever the weights. Where both are
efficient, which they are under the whole of the model, that is the difference of the variances,
``V_few - V_all`` (Hausman, Econometrica 46, 1251, 1978). Counting differs from pixel to pixel and
shows as scatter; errors of energies, offset and I0 are the same in all pixels of a stack and show
as a mean difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.decompose.design import slopes_of
from chemoscape.errors import FitError, StackError
from chemoscape.few_energies.model import ErrorParts, Nuisance, coefficients, error_parts
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.standards.library import Library, require_library, require_values
from chemoscape.standards.mixing import mean_composition

#: A frame of the stack may lie so far from a planned energy, eV.
FARTHEST_EV = 0.5
#: Pixels whose weights are computed at a time.
_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Subsampling:
    """Composition from a few images of a stack, against that from all.

    Parameters
    ----------
    energies : ndarray, shape (n,)
        Of the frames taken, eV on the file's axis.
    few, full : DataArray (y, x)
        Composition from the few and from all frames; NaN outside the sample.
    n_pixels : int
        Compared.
    mean, scatter : float
        Of the difference few - full: its mean, and the standard deviation about that.
    predicted_scatter : float
        Root mean square over the pixels of the counting part of that difference.
    predicted_mean : float
        Standard deviation of what is common to all pixels: energies, calibration, offset, I0.
    few_sd, full_sd : float
        Predicted root mean square error of either composition, all sources.
    """

    energies: np.ndarray
    few: xr.DataArray
    full: xr.DataArray
    n_pixels: int
    mean: float
    scatter: float
    predicted_scatter: float
    predicted_mean: float
    few_sd: float
    full_sd: float

    @property
    def rms(self) -> float:
        """Root mean square difference."""
        return float(np.hypot(self.mean, self.scatter))

    @property
    def ratio(self) -> float:
        """Scatter over what was predicted: 1 where the model holds."""
        return self.scatter / self.predicted_scatter

    def to_dict(self) -> dict[str, object]:
        """Numbers without the maps, for JSON."""
        left_out = ("few", "full", "energies")
        numbers = {key: value for key, value in vars(self).items() if key not in left_out}
        return {
            "energies_eV": self.energies.tolist(),
            **numbers,
            "rms": self.rms,
            "ratio": self.ratio,
        }

    def __str__(self) -> str:
        energies = ", ".join(f"{one:.1f}" for one in self.energies)
        return (
            f"{self.energies.size} frames of the stack ({energies} eV) against all, "
            f"{self.n_pixels} pixels: scatter {self.scatter:.4f}, predicted "
            f"{self.predicted_scatter:.4f} ({self.ratio:.2f} times); mean difference "
            f"{self.mean:+.4f}, of which ±{self.predicted_mean:.4f} is expected"
        )


def subsample(
    od: xr.Dataset,
    pair: Library,
    energies: ArrayLike,
    *,
    nuisance: Nuisance | None = None,
    energy_shift: float = 0.0,
    mask: xr.DataArray | None = None,
) -> Subsampling:
    """Compare the composition from a few frames of a stack with that from all of its frames.

    Parameters
    ----------
    od : Dataset of `optical_density`
        With variance.
    pair : Library
        The standards.
    energies : array_like, shape (n,)
        Planned energies on the library's axis, eV; the nearest frames are taken.
    nuisance : Nuisance, optional
        What is uncertain besides the counts.
    energy_shift : float
        E(file axis) - E(library), eV.
    mask : DataArray (y, x) of bool, optional
        Pixels to compare; default `sample_mask`. Those without a value at some energy are left out.

    Raises
    ------
    FitError
        A planned energy is not in the stack, or the energies do not tell the standards apart.
    StackError
        The variances are not known, or there is no sample.
    """
    nuisance = nuisance or Nuisance()
    pair = require_values(require_library(pair))
    if "variance" not in od:
        raise StackError(
            "the prediction needs the noise of the stack, and no counts were given",
            remedy="make the optical density from counts",
        )
    inside = pair.covers(od["energy"].values, energy_shift)
    if not inside.any():
        raise StackError(
            f"none of its energies is covered by the library {pair.id!r}",
            remedy="use standards of this edge",
        )
    od = od.isel(energy=inside)
    axis = np.asarray(od["energy"].values, dtype=np.float64)
    places = _nearest(axis - energy_shift, np.asarray(energies, dtype=np.float64).ravel())
    density = od["optical_density"].transpose("energy", "y", "x").values
    variance = od["variance"].transpose("energy", "y", "x").values
    wanted = (sample_mask(od) if mask is None else mask).transpose("y", "x").values
    wanted = wanted & np.isfinite(density).all(axis=0) & np.isfinite(variance).all(axis=0)
    if not wanted.any():
        raise StackError(
            "no pixel has sample and a value at every energy", remedy="look at the optical density"
        )
    pixels = _Pixels.of(
        density[:, wanted].astype(np.float64),
        variance[:, wanted].astype(np.float64),
        pair.spectra(axis, shift=energy_shift).values.T,
        slopes_of(pair, axis, energy_shift),
        nuisance,
    )
    found = [
        pixels.compared(slice(start, start + _AT_ONCE), pair, places, nuisance)
        for start in range(0, int(wanted.sum()), _AT_ONCE)
    ]
    fews, fulls, of_difference, of_few, of_full = zip(*found, strict=True)
    few, full = np.concatenate(fews), np.concatenate(fulls)
    difference = few - full
    return Subsampling(
        axis[places],
        _as_map(few, wanted, od),
        _as_map(full, wanted, od),
        int(wanted.sum()),
        float(difference.mean()),
        float(difference.std()),
        _rms([one.counting for one in of_difference]),
        _rms([one.systematic for one in of_difference]),
        _rms([one.total for one in of_few]),
        _rms([one.total for one in of_full]),
    )


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Optical densities (P, n), their variances by the model, spectra (n, K), slopes (P, n)."""

    density: np.ndarray
    variance: np.ndarray
    mu: np.ndarray
    slope: np.ndarray

    @classmethod
    def of(
        cls,
        density: np.ndarray,
        variance: np.ndarray,
        mu: np.ndarray,
        slopes: np.ndarray,
        nuisance: Nuisance,
    ) -> _Pixels:
        """Variances as the fitted optical densities have them: a pixel's own follow its noise, and
        weights that know the noise are biased.
        """
        mean = density.mean(axis=1)
        per_light = np.median(variance * np.exp(-density), axis=1)  # of a pixel without sample
        rough = np.linalg.lstsq(mu / np.abs(mu).max(), mean, rcond=None)[0] / np.abs(mu).max()
        first = coefficients(mu, slopes @ rough, per_light * np.exp(mu @ rough), nuisance)
        weights = first @ density
        fitted = mu @ weights
        return cls(density.T, (per_light[:, None] * np.exp(fitted)).T, mu, (slopes @ weights).T)

    def compared(
        self, some: slice, pair: Library, places: np.ndarray, nuisance: Nuisance
    ) -> tuple[np.ndarray, np.ndarray, ErrorParts, ErrorParts, ErrorParts]:
        """Composition from few and from all frames; errors of the difference, of few, of all."""
        density, variance, slope = self.density[some], self.variance[some], self.slope[some]
        all_of = coefficients(self.mu, slope, variance, nuisance)
        few_of = np.zeros_like(all_of)
        few_of[..., places] = coefficients(
            self.mu[places], slope[:, places], variance[:, places], nuisance
        )
        few, full = (
            mean_composition(np.einsum("pkj,pj->kp", one, density), pair.values, pair.molar_mass)
            for one in (few_of, all_of)
        )
        a, everything = (np.einsum("kp,pkj->pj", full.gradient, one) for one in (few_of, all_of))
        return (
            few.value,
            full.value,
            error_parts(a - everything, slope, variance, nuisance),
            error_parts(a, slope, variance, nuisance),
            error_parts(everything, slope, variance, nuisance),
        )


def _nearest(axis: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Places of the frames nearest to the planned energies."""
    places = np.abs(axis[:, None] - energies).argmin(axis=0)
    apart = np.abs(axis[places] - energies)
    if (apart > FARTHEST_EV).any():
        worst = int(apart.argmax())
        raise FitError(
            f"the stack has no image within {FARTHEST_EV:g} eV of {energies[worst]:.2f} eV "
            f"(the nearest: {axis[places[worst]]:.2f} eV on the library's axis)",
            remedy="plan with energies that the stack has, or use a stack of this edge",
        )
    if np.unique(places).size != places.size:
        raise FitError(
            "two planned energies fall on one image of the stack",
            remedy="plan with energies further apart than the stack's steps",
        )
    return np.asarray(np.sort(places))


def _rms(values: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(values) ** 2)))


def _as_map(values: np.ndarray, where: np.ndarray, od: xr.Dataset) -> xr.DataArray:
    """Values of the pixels as a map (y, x), NaN elsewhere."""
    full = np.full(where.shape, np.nan)
    full[where] = values
    return xr.DataArray(full, dims=("y", "x"), coords={"y": od["y"], "x": od["x"]})
