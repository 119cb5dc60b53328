"""The mass-absorption scale of a standard: from an optical density to cm2/g.

Below the lowest edge and well above the highest, a solid absorbs nearly as its free atoms do.
There, in two windows, the optical density is compared with the tables, ``OD = s mu + constant``:
`s` is the areal mass (g/cm2). Nothing more is fitted, since slopes, Victoreen curves and
polynomials are undetermined with the short pre-edge of a soft x-ray spectrum (in V2O5 they scatter
by 15 % and are wrong by up to 113 %); what an unseen slope does is counted as uncertainty instead.
Several edges between the windows, V L and O K for instance, count as one.

Soft x-ray spectra are the purpose. A hard x-ray foil can be scaled too, but its long pre-edge would
bear the slope that is left out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from chemoscape.errors import LibraryError
from chemoscape.standards.atomic import Table, mass_absorption
from chemoscape.standards.scale_windows import Windows, as_text, choose_windows, in_window
from chemoscape.standards.standard import Standard

#: Relative standard deviation of a solid's absorption from its free atoms' in the upper window. An
#: EXAFS-like oscillation of 3 % amplitude and unknown phase stays within 0.88 of its amplitude for
#: 68 % of phases (its own standard deviation, 0.71 of it, would cover 50 %).
FINE_STRUCTURE = 0.026

_OTHER: dict[Table, Table] = {"Henke": "Chantler", "Chantler": "Henke"}
_NM_PER_CM = 1e7
#: What a normal distribution has below one standard deviation.
_WITHIN_SD = 0.841345


@dataclass(frozen=True)
class MassScale:
    """Areal mass of a film, and how well it is known.

    Parameters
    ----------
    areal_mass : float
        g/cm2.
    constant : float
        Optical density that the film does not explain.
    windows : pair of (low, high)
        eV.
    table : {"Henke", "Chantler"}
    noise, background, fine_structure : float
        Relative standard deviations of `areal_mass`; `fit_mass_scale` says of what.
    table_difference : float
        What the other table would give, relative, with its sign.
    background_od : float
        The slope that `background` speaks of.
    """

    areal_mass: float
    constant: float
    windows: Windows
    table: Table
    noise: float
    background: float
    table_difference: float
    fine_structure: float = 0.0
    background_od: float = 0.0

    @property
    def uncertainty(self) -> float:
        """Relative standard deviation that differs from standard to standard: noise, background
        and fine structure.
        """
        return float(np.sqrt(self.noise**2 + self.background**2 + self.fine_structure**2))

    @property
    def relative_sd(self) -> float:
        """Relative standard deviation with the tables' own, which a whole library shares; NaN
        where there is no second table to compare with.
        """
        return float(np.hypot(self.uncertainty, self.table_difference))


def fit_mass_scale(
    energy: ArrayLike,
    optical_density: ArrayLike,
    formula: str,
    *,
    sd: ArrayLike | None = None,
    windows: Sequence[Sequence[float]] | None = None,
    background_od: float = 0.02,
    table: Table = "Henke",
    fine_structure: float = FINE_STRUCTURE,
) -> MassScale:
    """Areal mass of a film of known formula from its optical density.

    ``OD_i = s mu_i + c`` in least squares over two windows of equal total weight (Weng, Waldo and
    Penner-Hahn, J. Synchrotron Rad. 12, 506, 2005, without their polynomial and error function).
    The answer is linear, ``s = sum_i g_i OD_i`` with

    ``g_i = w_i (mu_i - <mu>) / sum_j w_j (mu_j - <mu>)**2``,

    and so are the four uncertainties, each relative to `s`:

    - *noise*: ``sqrt(sum_i (g_i sd_i)**2)``. Without `sd` the noise of each window is taken from
      its own scatter about the fit (``nu = n - 1``, since two windows and two unknowns leave each
      its mean). For having been estimated from few points the sum of both is widened by the 84 %
      quantile of Student's t, with the degrees of freedom of Welch and Satterthwaite. Noise is
      taken as independent from energy to energy; what neighbours share, such as a drift of the
      incident flux, belongs to the background.
    - *background*: an unseen line ``b (E - E_mid) / half range`` over the energies given, `b`
      normally distributed with mean 0 and standard deviation `background_od`. A slope of just
      `background_od` thus lies at one standard deviation.
    - *fine structure*: the solid absorbs in the upper window `fine_structure` (relative standard
      deviation, all of the window alike) more or less than free atoms.
    - *table difference*: how far, and to which side, the answer by the other table lies.

    Parameters
    ----------
    energy : array_like, shape (n,)
        eV, strictly ascending.
    optical_density : array_like, shape (n,)
        Natural logarithm; what is not finite is left out.
    formula : str
        ``"Li0.45V2O5"``.
    sd : float or array_like, shape (n,), optional
        Standard deviation of the optical density.
    windows : pair of (low, high), optional
        eV, below and above the edges. When left out, the last 3 eV before the lowest edge can
        begin in a solid, and the last 5 eV of the range, 12 eV or more above the highest edge (30
        eV above the K edges of B and C, 18 eV above those of N and F, for their resonances); for
        V2O5 from 508 to 560 eV, 508-511 and 555-560 eV.
    background_od : float
        Optical density at either end of the range.
    table : {"Henke", "Chantler"}
    fine_structure : float

    Returns
    -------
    MassScale

    Raises
    ------
    LibraryError
        The range holds no edge, or too few energies below or above the edges; a window enters
        where tables of free atoms do not describe a solid; the optical density has no step.

    Examples
    --------
    >>> energy = np.arange(508.0, 560.1, 0.5)
    >>> film = 1e-5 * mass_absorption("V2O5", energy) + 0.05
    >>> scale = fit_mass_scale(energy, film, "V2O5")
    >>> scale.windows, round(thickness_nm(scale.areal_mass, 3.36), 1)
    (((508.0, 511.0), (555.0, 560.0)), 29.8)
    """
    energy, od, sd = _arrays(energy, optical_density, sd)
    for name, value in (("background_od", background_od), ("fine_structure", fine_structure)):
        if not 0 <= value < np.inf:
            raise LibraryError(f"{name} is {value:g}", remedy="give 0 or a positive number")
    usable = np.isfinite(od)
    chosen = choose_windows(formula, energy, usable, windows)
    pre, post = (in_window(energy, window) & usable for window in chosen)
    mu = mass_absorption(formula, energy[pre | post], table)
    below, at, od = pre[pre | post], energy[pre | post], od[pre | post]
    weight = np.where(below, 0.5 / pre.sum(), 0.5 / post.sum())
    before, after = float(mu[below].mean()), float(mu[~below].mean())
    if before >= after:
        raise LibraryError(
            f"tabulated absorption does not rise between {as_text(chosen)} ({before:.3g} and "
            f"{after:.3g} cm2/g), so that the scale cannot be told from a constant",
            formula,
            "measure a range with a higher edge, or give windows closer to its edge",
        )
    gain = _gain(mu, weight)
    areal_mass = float(gain @ od)
    if areal_mass <= 0:
        raise LibraryError(
            f"the optical density does not rise between {as_text(chosen)}",
            formula,
            "look at the incident flux, the energies and the formula",
        )
    residual = od - areal_mass * mu
    constant = float(weight @ residual)
    middle, half = (energy[-1] + energy[0]) / 2, (energy[-1] - energy[0]) / 2
    try:
        other = float(_gain(mass_absorption(formula, at, _OTHER[table]), weight) @ od)
    except LibraryError:  # that table does not go so far
        other = np.nan
    return MassScale(
        areal_mass=areal_mass,
        constant=constant,
        windows=chosen,
        table=table,
        noise=_noise(gain, residual - constant, below, None if sd is None else sd[pre | post])
        / areal_mass,
        background=float(gain @ (at - middle)) / half * background_od / areal_mass,
        background_od=background_od,
        fine_structure=fine_structure * float((gain * mu)[~below].sum()),
        table_difference=other / areal_mass - 1,
    )


def fit_standard(standard: Standard, **options: Any) -> MassScale:
    """Areal mass of the film that a standard in optical density was measured on.

    Parameters
    ----------
    standard : Standard
        Its energies, optical densities, their standard deviations and its formula are used.
    **options
        Windows and so on, of `fit_mass_scale`.

    Raises
    ------
    LibraryError
        It is in cm2/g already or has no formula, or as by `fit_mass_scale`; named by its id.

    Examples
    --------
    >>> energy = np.arange(508.0, 560.1, 0.5)
    >>> od = 1e-5 * mass_absorption("V2O5", energy)
    >>> film = Standard("film", "film", 0.0, energy, od, formula="V2O5")
    >>> round(fit_standard(film).areal_mass, 7)
    1e-05
    """
    where = f"standard {standard.id!r}"
    if standard.scale == "mass_absorption":
        raise LibraryError(
            "is in cm2/g already", where, "scale the optical density it was made from"
        )
    _require_formula(standard)
    options = {"sd": standard.spectrum_sd, **options}
    try:
        return fit_mass_scale(standard.energy, standard.spectrum, standard.formula, **options)
    except LibraryError as error:
        of = f"{where} ({error.where})" if error.where else where
        raise LibraryError(error.what, of, error.remedy) from None


def thickness_nm(areal_mass: float, density: float) -> float:
    """Thickness (nm) of a film of an areal mass (g/cm2) and a density (g/cm3).

    Raises
    ------
    LibraryError
        The density is not a positive number.

    Examples
    --------
    >>> round(thickness_nm(1.68e-5, 3.36), 6)
    50.0
    """
    if not 0 < density < np.inf:
        raise LibraryError(
            f"the density is {density:g} g/cm3", remedy="give the density of the phase"
        )
    return areal_mass / density * _NM_PER_CM


def scaled(standard: Standard, scale: MassScale) -> Standard:
    """The standard in cm2/g, ``(OD - constant) / areal mass``; its optical density is kept beside.

    `spectrum_sd` stays that of each energy; what is uncertain in the scale as a whole stands in
    ``record.scaling``.

    Raises
    ------
    LibraryError
        The standard is in cm2/g already, or has no formula.
    """
    where = f"standard {standard.id!r}"
    if standard.scale == "mass_absorption":
        raise LibraryError(
            "is in cm2/g already", where, "scale the optical density it was made from"
        )
    _require_formula(standard)
    od_sd = standard.spectrum_sd
    return replace(
        standard,
        spectrum=(standard.spectrum - scale.constant) / scale.areal_mass,
        spectrum_sd=None if od_sd is None else od_sd / scale.areal_mass,
        optical_density=standard.spectrum,
        optical_density_sd=od_sd,
        scale="mass_absorption",
        record=standard.record.with_(
            table=scale.table,
            windows=as_text(scale.windows),
            areal_mass=scale.areal_mass,
            constant=scale.constant,
            uncertainty=scale.uncertainty,
            background=scale.background,
            background_od=scale.background_od,
            table_difference=scale.table_difference,
        ),
    )


def agreement(
    standard: Standard,
    windows: Sequence[Sequence[float]] | None = None,
    table: Table = "Henke",
) -> tuple[float, float]:
    """Mean of ``spectrum / mu_table`` in the windows below and above the edges; 1 and 1 at best.

    Parameters
    ----------
    standard : Standard
        In cm2/g.
    windows : pair of (low, high), optional
        eV; as `fit_mass_scale` chooses them when left out.
    table : {"Henke", "Chantler"}

    Raises
    ------
    LibraryError
        The standard is in optical density or has no formula, or windows are as `fit_mass_scale`
        refuses them.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> standard = open_library("lixv2o5-model").standards[0]
    >>> [round(ratio, 2) for ratio in agreement(standard)]
    [1.0, 1.0]
    """
    if standard.scale != "mass_absorption":
        raise LibraryError(
            "is in optical density", f"standard {standard.id!r}", "put it on a mass scale first"
        )
    _require_formula(standard)
    energy = standard.energy
    chosen = choose_windows(standard.formula, energy, np.ones(energy.shape, dtype=bool), windows)
    ratio = standard.spectrum / mass_absorption(standard.formula, energy, table)
    below, above = (float(ratio[in_window(energy, window)].mean()) for window in chosen)
    return below, above


def _require_formula(standard: Standard) -> None:
    if not standard.formula.strip():
        raise LibraryError(
            "has no formula", f"standard {standard.id!r}", 'write formula = "V2O5" for it'
        )


def _arrays(
    energy: ArrayLike, od: ArrayLike, sd: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The three as arrays of one length; energies ascending."""
    energy, od = np.asarray(energy, dtype=np.float64), np.asarray(od, dtype=np.float64)
    if energy.ndim != 1 or energy.size < 2 or od.shape != energy.shape:
        raise LibraryError(
            f"there are {energy.size} energies and {od.size} optical densities",
            remedy="give one optical density for each energy, in ascending order",
        )
    if not (np.isfinite(energy).all() and (np.diff(energy) > 0).all()):
        raise LibraryError(
            "the energies do not ascend", remedy="sort them and leave out repeated ones"
        )
    if sd is None:
        return energy, od, None
    try:
        sd = np.broadcast_to(np.asarray(sd, dtype=np.float64), energy.shape)
    except ValueError:
        raise LibraryError(
            f"sd has {np.size(sd)} values for {energy.size} energies",
            remedy="give one number, or one for each energy",
        ) from None
    if not (sd[np.isfinite(od)] >= 0).all():
        raise LibraryError("sd is negative or not a number", remedy="give 0 or a positive number")
    return energy, od, sd


def _gain(mu: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What each optical density adds to the areal mass, for weights that sum to one."""
    apart = mu - weight @ mu
    return weight * apart / (weight @ apart**2)


def _noise(
    gain: np.ndarray, residual: np.ndarray, below: np.ndarray, sd: np.ndarray | None
) -> float:
    """Standard deviation (g/cm2) of the areal mass by noise alone."""
    if sd is not None:
        return float(np.sqrt(((gain * sd) ** 2).sum()))
    windows = (below, ~below)
    freedom = np.array([one.sum() - 1 for one in windows])
    scatter = [float(residual[one].var(ddof=1)) for one in windows]
    variance = np.array(
        [v * (gain[one] ** 2).sum() for v, one in zip(scatter, windows, strict=True)]
    )
    if not variance.sum() > 0:
        return 0.0
    together = variance.sum() ** 2 / (variance**2 / freedom).sum()
    return float(np.sqrt(variance.sum()) * stats.t.ppf(_WITHIN_SD, together))
