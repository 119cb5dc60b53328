"""What the beam did to the sample: its composition early and late, and the dose.

Chemistry that moves while it is measured is no chemistry of the sample: energies measured twice
show it directly, the two halves of a scan indirectly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.preprocess import _change
from chemoscape.preprocess.dose import dose_map
from chemoscape.standards.library import Library, require_library, require_values

How = Literal["repeated energies", "halves of the scan"]

#: A change is damage above so many standard deviations, and above so much of the variable.
SDS, LEAST = 2.0, 0.02
#: How far standards that do not quite fit mislead on the size of a change (not on its being one).
SIZE_SHARE = 0.15
#: Fewest energies of either half.
FEWEST_IN_HALF = 4
#: Pixels with less than this share of the mean amount have no composition of their own.
THIN = 0.2


@dataclass(frozen=True, eq=False)
class Damage:
    """Change of composition while the stack was measured.

    Parameters
    ----------
    dx, sd : float
        Later minus earlier, in the library's variable, averaged over the sample by mass; its
        standard deviation.
    how : str
        ``"repeated energies"`` or ``"halves of the scan"``.
    n_pairs : int
        Energies that were measured twice; 0 for halves.
    significant : bool
        Whether ``|dx|`` exceeds two standard deviations and 0.02.
    sentence : str
        All this for a person.
    reduced_chi2 : float
        Of the fit; above 1 it has widened `sd`. NaN when nothing is left over to judge by.
    amount_change, amount_sd : float
        Relative change of the amount of sample; NaN where it was not fitted.
    energy_shift_eV : float
        E(file axis) - E(library), at which the standards were taken.
    change : Dataset or None
        Of repeated energies, maps (y, x): ``od_change``, the mean change of the optical density,
        and ``dx``, what of it a change of composition explains, NaN outside the sample.
    """

    dx: float
    sd: float
    how: How
    n_pairs: int
    significant: bool
    sentence: str
    reduced_chi2: float
    amount_change: float
    amount_sd: float
    energy_shift_eV: float
    change: xr.Dataset | None = None

    def __str__(self) -> str:
        return self.sentence


def radiation_damage(
    od: xr.Dataset,
    library: Library,
    *,
    later: xr.Dataset | None = None,
    energy_shift: Literal["fit"] | float = "fit",
) -> Damage:
    r"""Measure how composition changed during the measurement.

    The mean spectrum ``D`` of the sample is fitted with non-negative amounts ``t`` of the standards
    and a constant. A change of composition keeps the number of formula units: the standards that
    are present exchange (of one alone, its neighbours in composition), with ``n_k = t_k / M_k``

    .. math:: \frac{dn_k}{dx} = n_k (x_k - x) \frac{\sum n}{\sum_j n_j (x_j - x)^2}, \qquad
        m(E) = \sum_k M_k \frac{dn_k}{dx} μ_k(E)

    - *Repeated energies*: between both visits of an energy the spectrum changes by
      ``D_late - D_early = dx m + c D + b``, with a change ``c`` of the amount (of five energies or
      more) and an offset ``b`` (of three). What the standards do not describe is the same in both
      visits and cancels.
    - *Halves of the scan*: ``D = Σ t_k μ_k + b + s dD/dE + dx m`` with the last term in the later
      half only. Where the halves hold different energies, as in a one-way scan, standards that do
      not quite fit look like damage. They are therefore given the covariance of peaks off by
      0.02 eV and heights off by 2 %, alike over 2 eV: generalised least squares then say how little
      such a scan knows.

    Errors are those of counting over the sample and of I0, widened by the square root of reduced
    chi-squared when that exceeds one, and 15 % of the change itself: by so much standards with
    peaks off by 0.02 eV and 2 % mislead on its size in simulations.

    Parameters
    ----------
    od : Dataset of `optical_density`
        Aligned. Of energies visited more than once it holds the first visit.
    library : Library
        Standards of two compositions or more.
    later : Dataset of `optical_density`, optional
        The same with the last visits (``open_stack(path, visit="last")``), on the same grid. Frames
        taken at another time (coordinates ``time`` or ``acquired``; without them, frames that
        differ) are repeated ones. Without any, the halves of the scan are compared.
    energy_shift : "fit" or float
        E(file axis) - E(library) in eV; fitted to the mean spectrum, within 1 eV.

    Returns
    -------
    Damage
        Between the halves, a steady change shows half of what it is from first to last frame.

    Raises
    ------
    StackError
        `later` has another grid.
    FitError
        There is no sample, too few energies to compare, or one composition in the library.
    LibraryError
        `library` is none.

    Warns
    -----
    ChemoscapeWarning
        The change is significant.
    """
    require_values(require_library(library))
    if np.ptp(library.values) == 0:
        raise FitError(
            f"all standards have the same {library.variable}, so that no change of it can be told",
            f"library {library.id!r}",
            "add a standard of another composition",
        )
    sample = _sample(od, later)
    spectrum = _change.MeanSpectrum.of(od, sample)
    shift = _change.fitted_shift(spectrum, library) if energy_shift == "fit" else energy_shift
    covered = library.covers(spectrum.energy, shift)
    repeated = _repeated(od, later) & covered
    if covered.sum() < 2 * FEWEST_IN_HALF and not repeated.any():
        raise FitError(
            f"the library covers {covered.sum()} energies of the scan, too few to compare halves",
            remedy="use a library that covers the scan",
        )
    present = _change.Sample.of(spectrum.at(covered), library, shift)
    if later is not None and repeated.any():
        pairs = present.at(repeated[covered])
        late = _change.MeanSpectrum.of(later, sample).at(repeated)
        change = _change.between_visits(spectrum.at(repeated), late, pairs)
        maps = _maps(od, later, sample, repeated, pairs, library)
        damage = _judged(change, "repeated energies", int(repeated.sum()), shift, maps, library)
    else:
        spectrum = spectrum.at(covered)
        change = _change.between_halves(spectrum, _later_half(spectrum.place), present)
        damage = _judged(change, "halves of the scan", 0, shift, None, library)
    if damage.significant:
        warnings.warn(damage.sentence, ChemoscapeWarning, stacklevel=2)
    return damage


def _sample(od: xr.Dataset, later: xr.Dataset | None) -> np.ndarray:
    """Pixels (y, x) of the sample that have a value in every frame."""
    from chemoscape.preprocess.absorbance import sample_mask

    inside = sample_mask(od).values & _change.complete(od)
    if later is not None:
        for name in ("energy", "y", "x"):
            here, there = od[name].values, later[name].values
            if here.shape != there.shape or not np.allclose(here, there, rtol=0, atol=1e-3):
                raise StackError(
                    f"the later visits have another {name} axis",
                    remedy="make both from the same file, and align and crop them alike",
                )
        inside &= _change.complete(later)
    if not inside.any():
        raise FitError(
            "no pixel has sample and a value at every energy", remedy="look at the optical density"
        )
    return np.asarray(inside)


def _repeated(od: xr.Dataset, later: xr.Dataset | None) -> np.ndarray:
    """Frames (n_energy,) of `later` that are not those of `od`."""
    density = od["optical_density"]
    if later is None:
        return np.zeros(density.sizes["energy"], dtype=bool)
    if any(name in od.coords and name in later.coords for name in ("time", "acquired")):
        return np.asarray(_change.place_in_time(od) != _change.place_in_time(later))

    def work(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        differs = (first != last) & ~(np.isnan(first) & np.isnan(last))
        return np.asarray(differs.any(axis=(1, 2)))

    return blocks.reduce_blocks(work, np.logical_or, density.data, later["optical_density"].data)


def _later_half(place: np.ndarray) -> np.ndarray:
    """Which frames belong to the later half of the scan."""
    late = np.zeros(place.size, dtype=bool)
    late[np.argsort(place, kind="stable")[place.size // 2 :]] = True
    return late


def _maps(
    od: xr.Dataset,
    later: xr.Dataset,
    sample: np.ndarray,
    repeated: np.ndarray,
    pairs: _change.Sample,
    library: Library,
) -> xr.Dataset:
    """Change of every pixel: its optical density, and the composition that explains it best."""
    frames = np.flatnonzero(repeated)
    first, last = (
        one["optical_density"].isel(energy=frames).compute().values.astype(np.float64)
        for one in (od, later)
    )
    difference = last - first
    along = np.tensordot(pairs.per_x, difference, axes=1) / (pairs.per_x**2).sum()
    amount = np.tensordot(pairs.density, first, axes=1) / (pairs.density**2).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        dx = np.where(sample & (amount > THIN), along / amount, np.nan)
    plane = {"y": od["y"], "x": od["x"]}
    return xr.Dataset(
        {
            "od_change": (
                ("y", "x"),
                difference.mean(axis=0),
                {"units": "1", "long_name": "mean change of the optical density"},
            ),
            "dx": (("y", "x"), dx, {"units": "1", "long_name": f"change of {library.variable}"}),
        },
        coords=plane,
        attrs={"energies_eV": od["energy"].values[frames].tolist()},
    )


def _judged(
    change: _change.Change,
    how: How,
    n_pairs: int,
    shift: float,
    maps: xr.Dataset | None,
    library: Library,
) -> Damage:
    """A change with its verdict."""
    dx, sd = change.dx, float(np.hypot(change.sd, SIZE_SHARE * change.dx))
    significant = bool(np.isfinite(sd) and abs(dx) > SDS * sd and abs(dx) > LEAST)
    between = (
        f"between the visits of {n_pairs} repeated {'energy' if n_pairs == 1 else 'energies'}"
        if n_pairs
        else "between the halves of the scan"
    )
    value = f"{library.variable} changed by {dx:+.3f} ± {sd:.3f} {between}"
    if significant:
        sentence = f"radiation damage: {value}"
    elif np.isfinite(sd):
        limit = max(SDS * sd, LEAST)
        sentence = f"no radiation damage is seen: {value}; less than {limit:.2g} would not show"
    else:
        sentence = f"radiation damage cannot be told: {value}, without counts to judge it by"
    if np.isfinite(change.amount) and abs(change.amount) > max(SDS * change.amount_sd, LEAST):
        sentence += (
            f"; the amount of sample changed by {100 * change.amount:+.1f} ± "
            f"{100 * change.amount_sd:.1f} %"
        )
    return Damage(
        dx=dx,
        sd=sd,
        how=how,
        n_pairs=n_pairs,
        significant=significant,
        sentence=sentence,
        reduced_chi2=change.reduced_chi2,
        amount_change=change.amount,
        amount_sd=change.amount_sd,
        energy_shift_eV=float(shift),
        change=maps,
    )


__all__ = ["Damage", "dose_map", "radiation_damage"]
