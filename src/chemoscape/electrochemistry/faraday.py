"""From charge to composition by Faraday's law, and what each half cycle passed."""

from __future__ import annotations

import math
import warnings

import numpy as np
import xarray as xr
from scipy.constants import physical_constants

from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.standards.mixing import counts_of, molar_mass

#: C/mol, exact since 2019.
FARADAY = physical_constants["Faraday constant"][0]
#: mAh/g, more than any host takes (silicon 4200).
_MOST = 6000.0
#: So far below none at all a composition may come by parasitic currents and rounding.
_BELOW_NONE = 0.05


def capacity_per_ion(formula: str, *, electrons: int = 1) -> float:
    """Charge that one ion per formula unit takes, ``n F / (3.6 M)``, mAh per gram of the host.

    Parameters
    ----------
    formula : str
        The host without the ion.
    electrons : int
        That come with each ion: 1 for Li, 2 for Mg.

    Raises
    ------
    LibraryError
        The formula cannot be read.
    FitError
        It is empty, or `electrons` is not positive.

    Examples
    --------
    >>> round(capacity_per_ion("V2O5"), 2), round(capacity_per_ion("FePO4"), 1)
    (147.36, 177.7)
    """
    mass = molar_mass(formula)
    if not mass > 0:
        raise FitError("there is no formula of the host", remedy="give one, such as V2O5")
    if electrons < 1:
        raise FitError(f"{electrons} electrons come with an ion", remedy="give 1 or more")
    return electrons * FARADAY / (3.6 * mass)


def lithiation(
    curve: xr.Dataset,
    *,
    mass_mg: float | None = None,
    active_fraction: float | None = None,
    formula: str = "V2O5",
    ion: str = "Li",
    electrons: int = 1,
    start_x: float = 0.0,
    weighed_x: float = 0.0,
    mass_sd_mg: float | None = None,
    active_fraction_sd: float | None = None,
    current_sd_relative: float | None = None,
    current_offset_sd_mA: float | None = None,
    start_x_sd: float | None = None,
) -> xr.Dataset:
    """Composition along a curve: ``x = x0 - 3.6 M Q / (n F m)``.

    Q is the net charge since the first record, positive on charge, and m the mass of the host
    without ions. The relative errors of mass, active share and current multiply every x - x0 by the
    same factor: they are kept apart from what differs from point to point, for no averaging lowers
    them.

    Parameters
    ----------
    curve : Dataset
        From `open_cycling`.
    mass_mg : float, optional
        Mass of the electrode's coating, mg, without its foil. Not needed where the file holds
        specific capacities only, which are then taken as per gram of the weighed active mass.
    active_fraction : float, optional
        Mass share of active material in it: 0.7 for 70:20:10; 1 where the active material itself
        was weighed. Needed with a mass.
    formula, ion, electrons
        The host without ions, the ion, and the electrons that come with one.
    start_x : float
        Composition at the first record.
    weighed_x : float
        Composition of the active material when it was weighed: 0 for a host without ions, 1 for
        LiFePO4 (formula FePO4).
    mass_sd_mg, active_fraction_sd, current_sd_relative, start_x_sd : float, optional
        Standard deviations; the current's is relative (0.0005 for 0.05 % of the reading).
    current_offset_sd_mA : float, optional
        Standard deviation of a current that flows unseen, mA; its charge grows with the time.

    Returns
    -------
    Dataset
        The curve with ``x``, ``x_sd_scale`` (common factor), ``x_sd_drift`` (sampling and
        offset of the current), ``x_sd`` (all, with that of x0; NaN where none was given) and
        ``specific_capacity`` (mAh per gram as weighed, from 0 in each half cycle). Attributes:
        ``variable``, ``mAh_per_g_per_ion``, ``host_mass_mg``, ``scale_sd_relative``, ….

    Raises
    ------
    FitError
        Mass or active share are missing or impossible.
    LibraryError
        A formula cannot be read.

    Warns
    -----
    ChemoscapeWarning
        More ions leave than `start_x` has, or a half cycle passes more than any host takes.
    """
    per_gram = curve["charge"].attrs.get("units") == "mAh/g"
    active = _active_mass(mass_mg, active_fraction, per_gram)
    for name, value in (("start_x", start_x), ("weighed_x", weighed_x)):
        if not (math.isfinite(value) and value >= 0):
            raise FitError(f"{name} is {value!r}", remedy="give a number of ions, 0 or more")
    each = capacity_per_ion(formula, electrons=electrons)
    host = molar_mass(formula)
    share = host / (host + weighed_x * molar_mass(ion))
    scale, known = _scale_sd(
        _relative("mass_sd_mg", mass_sd_mg, mass_mg),
        _relative("active_fraction_sd", active_fraction_sd, active_fraction),
        _relative("current_sd_relative", current_sd_relative, 1.0),
    )
    charge = curve["charge"].values - curve["charge"].values[0]
    to_x = 1.0 / (each * share * active)
    x = start_x - charge * to_x
    drift = curve["charge_sd"].values * to_x
    offset = _relative("current_offset_sd_mA", current_offset_sd_mA, 1.0)
    if offset and "time" in curve and not per_gram:
        hours = (curve["time"].values - curve["time"].values[0]) / 3600
        drift = np.hypot(drift, offset * hours * to_x)
    x_sd_scale = np.abs(x - start_x) * scale
    start_sd = _relative("start_x_sd", start_x_sd, 1.0) or 0.0
    total = np.sqrt(np.nan_to_num(x_sd_scale) ** 2 + drift**2 + start_sd**2)
    if not known and start_x_sd is None and offset is None:
        total = np.full(x.size, np.nan)
    name = _variable(formula, ion)
    specific = _since_start_of_half(curve, charge) / active
    _say_impossible(name, x, specific)
    out = curve.assign(
        x=("point", x, {"units": "1", "long_name": name}),
        x_sd_scale=("point", x_sd_scale, {"units": "1", "long_name": f"{name}: sd, common"}),
        x_sd_drift=("point", drift, {"units": "1", "long_name": f"{name}: sd, drift"}),
        x_sd=("point", total, {"units": "1", "long_name": f"{name}: sd"}),
        specific_capacity=(
            "point",
            specific,
            {"units": "mAh/g", "long_name": "specific capacity of the half cycle"},
        ),
    )
    return out.assign_attrs(
        variable=name,
        formula=formula,
        ion=ion,
        electrons=int(electrons),
        mAh_per_g_per_ion=each,
        active_mass_mg=np.nan if per_gram else 1e3 * active,
        host_mass_mg=np.nan if per_gram else 1e3 * active * share,
        start_x=float(start_x),
        start_x_sd=np.nan if start_x_sd is None else float(start_x_sd),
        weighed_x=float(weighed_x),
        scale_sd_relative=scale,
        scale_sd_from=", ".join(known) or "nothing: no error of mass or current was given",
        mAh_per_x=1.0 / to_x,
    )


def _say_impossible(name: str, x: np.ndarray, specific: np.ndarray) -> None:
    """What no host does, and which argument it comes from."""
    if specific.max() > _MOST:
        said = (
            f"a half cycle has {specific.max():.3g} mAh/g, more than any host takes: is the mass "
            "in mg?"
        )
    elif x.min() < -_BELOW_NONE:
        said = (
            f"{name} falls to {x.min():.2f}, below none: say what the first record has (start_x, "
            "and weighed_x for a powder that was weighed with its ions: 1 and 1 for LiFePO4)"
        )
    else:
        return
    warnings.warn(said, ChemoscapeWarning, stacklevel=3)


def _since_start_of_half(curve: xr.Dataset, charge: np.ndarray) -> np.ndarray:
    """Charge of the half cycle so far, without sign."""
    half = curve["half_cycle"].values
    first = np.searchsorted(half, half)  # of the first record of the half cycle
    return np.abs(charge - charge[np.maximum(first - 1, 0)])


def _active_mass(mass: float | None, fraction: float | None, per_gram: bool) -> float:
    """Active mass as weighed, g; 1 for charges that are per gram already."""
    if per_gram:
        if mass is not None:
            raise FitError(
                "the file holds specific capacities, for which a mass was divided out already",
                remedy="leave the mass out, or name a column of capacity in mAh",
            )
        return 1.0
    if mass is None or not (math.isfinite(mass) and mass > 0):
        raise FitError(
            "composition needs the mass of the electrode's coating"
            if mass is None
            else f"a mass of {mass!r} mg is impossible",
            remedy="give mass_mg, in mg and without the foil",
        )
    if fraction is None or not 0 < fraction <= 1:
        raise FitError(
            "the share of active material in the mass is not said"
            if fraction is None
            else f"an active share of {fraction!r} is impossible",
            remedy="give active_fraction: 0.7 for 70:20:10, 1 where active material was weighed",
        )
    return 1e-3 * mass * fraction


def _relative(name: str, sd: float | None, value: float | None) -> float | None:
    """A relative standard deviation, if one was given."""
    if sd is None:
        return None
    if not (math.isfinite(sd) and sd >= 0):
        raise FitError(f"{name} is {sd!r}", remedy="give 0 or more")
    return sd / value if value else None


def _scale_sd(
    mass: float | None, fraction: float | None, current: float | None
) -> tuple[float, list[str]]:
    """Relative error common to all points, and what it is of; NaN where nothing is known."""
    parts = {"mass": mass, "active share": fraction, "current": current}
    known = {name: value for name, value in parts.items() if value is not None}
    if not known:
        return math.nan, []
    return math.sqrt(sum(value**2 for value in known.values())), list(known)


def _variable(formula: str, ion: str) -> str:
    """``x in LixV2O5``."""
    counts_of(formula)  # complains of formulae that cannot be read
    return f"x in {ion}x{formula}"
