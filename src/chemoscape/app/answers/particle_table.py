"""The table of particles as the page shows it: columns, histograms with their members, words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers.particle_words import contacts_in_words, statistics_in_words
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.particles.contacts import neighbours_alike

#: Variable -> its error, where the table has it.
ERRORS = {"composition_mean": "composition_se", "area_psf": "area_psf_sd"}
#: What a histogram can show: variable -> whether its axis is logarithmic.
BINNED = {
    "area_raw": True,
    "area_psf": True,
    "diameter": False,
    "length": False,
    "width": False,
    "composition_mean": False,
}
#: Most bins of a histogram.
MOST_BINS = 30
#: Draws of the test of neighbours: a thousandth is told.
ORDERS = 1999


def table(session: Session, asked: Asked) -> dict[str, Any]:
    """Everything measured of the particles: columns, histograms, statistics, contacts."""
    made: dict[str, Any] = session.remembered(("particles",), lambda: _table(session))
    return {"stamp": session.stamp, **made}


def _measured(session: Session) -> xr.Dataset:
    """The table, with the diameter of the circle of the same area."""
    node = session.node("/particles")
    facts = {"units": "µm", "long_name": "diameter of the circle of the same area"}
    return node.assign(diameter=("particle", np.sqrt(4 * node["area_raw"].values / np.pi), facts))


def _table(session: Session) -> dict[str, Any]:
    measured = _measured(session)
    told = {str(name): one for name, one in measured.data_vars.items() if one.dims == ("particle",)}
    shares = measured.get("phase_fraction")
    summary = json.loads(session.tree.attrs["summary"])["particles"] if session.tree else None
    statistics = (summary or {}).get("statistics")
    return {
        "n": measured.sizes["particle"],
        "variable": str(measured.attrs.get("variable", "composition")),
        "method": str(measured.attrs.get("method", "")),
        "method_reason": str(measured.attrs.get("method_reason", "")),
        "fwhm_um": measured.attrs.get("fwhm_um"),
        "n_excluded": measured.attrs.get("n_excluded", 0),
        "columns": {name: _column(name, one, told) for name, one in told.items()},
        "phases": None
        if shares is None
        else {
            "names": [str(name) for name in measured["phase"].values],
            "shares": shares.transpose("particle", "phase").values,
        },
        "histograms": {
            name: found
            for name, logarithmic in BINNED.items()
            if name in told and (found := histogram(told[name].values, logarithmic)) is not None
        },
        "statistics": statistics,
        "statistics_words": statistics_in_words(statistics, measured.sizes["particle"]),
        "contacts": _contacts(session, measured),
    }


def _column(name: str, one: xr.DataArray, told: dict[str, xr.DataArray]) -> dict[str, Any]:
    own = str(one.attrs.get("units", ""))
    unit = {"1": "", "degree": "°"}.get(own, own)
    sd = ERRORS.get(name)
    values = one.values
    return {
        "long_name": str(one.attrs.get("long_name", name)),
        "unit": unit,
        "sd": sd if sd in told else None,
        "values": values if values.dtype.kind in "fiub" else [str(text) for text in values],
    }


def histogram(values: np.ndarray, logarithmic: bool = False) -> dict[str, Any] | None:
    """Bins of a variable and the particles in each; None without a finite value.

    Parameters
    ----------
    values : ndarray, shape (n_particles,)
        NaN is left out.
    logarithmic : bool
        Bins even on a logarithmic axis; only values above zero count.

    Returns
    -------
    dict or None
        edges (n + 1), members (n lists of indices), logarithmic.

    Examples
    --------
    >>> histogram(np.array([1.0, 1.1, 4.0, np.nan]))["members"][0]
    [0, 1]
    """
    known = np.isfinite(values) & ((values > 0) if logarithmic else True)
    if not known.any():
        return None
    axis = np.log(values[known]) if logarithmic else values[known]
    low, high = axis.min(), axis.max()
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    number = len(np.histogram_bin_edges(axis, "auto", (low, high))) - 1
    edges = np.linspace(low, high, np.clip(number, min(5, known.sum()), MOST_BINS) + 1)
    bins = np.clip(np.searchsorted(edges, axis, side="right") - 1, 0, len(edges) - 2)
    which = np.flatnonzero(known)
    return {
        "edges": np.exp(edges) if logarithmic else edges,
        "members": [which[bins == one].tolist() for one in range(len(edges) - 1)],
        "logarithmic": logarithmic,
    }


def _contacts(session: Session, measured: xr.Dataset) -> dict[str, Any] | None:
    """Pairs that touch, and whether neighbours are alike."""
    if not session.has("/particles/contacts"):
        return None
    touching = session.node("/particles/contacts")
    test = None
    if "composition_mean" in measured:
        test = neighbours_alike(measured, touching, n_perm=ORDERS)
    return {
        "first": touching["first"].values,
        "second": touching["second"].values,
        "columns": {
            name: {
                "long_name": str(touching[name].attrs["long_name"]),
                "unit": {"1": ""}.get(touching[name].attrs["units"], touching[name].attrs["units"]),
                "values": touching[name].values,
            }
            for name in ("gap", "length", "difference", "difference_sd", "x", "y")
        },
        "words": contacts_in_words(touching, test),
    }
