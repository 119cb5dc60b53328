"""The Match view: clusters against standards, their runners-up, and the energy shift."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers import match_words as words
from chemoscape.app.answers.match_fits import (
    FURTHEST_EV,
    WHILE_MOVING,
    Comparison,
    curves_of_fit,
    curves_of_table,
    held,
    stands_out,
    thickness,
)
from chemoscape.app.answers.match_libraries import standards
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.decompose.combinations.ranking import CLOSE_IN_BIC, RankedFits
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import ChemoscapeError, FitError
from chemoscape.recipe import Recipe
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library

#: Runners-up that are listed, beside all that are close in BIC up to the larger number.
LISTED, MOST_LISTED = 5, 12
CLUSTERS, MATCH = "/clustered/clusters", "/clustered/match"


def table(session: Session, asked: Asked) -> dict[str, Any]:
    """What every cluster was matched with, the runners-up, and how sure that is."""
    groups, found = session.node(CLUSTERS), session.node(MATCH)
    axis = EnergyShift.from_attrs(found.attrs)
    told: dict[str, Any] = {
        "stamp": session.stamp,
        "variable": found.attrs["variable"],
        "shift": {"value": axis.value, "sd": axis.sd, "source": axis.source},
        "shift_words": words.axis(axis),
        "energies": [float(groups["energy"][0]), float(groups["energy"][-1])],
        "kind": found.attrs["kind"],
        "changed": _changed(session.recipe, session.run_recipe()),
    }
    fits: list[RankedFits | None] = [None] * groups.sizes["cluster"]
    library = None
    try:
        library = _library(session)
        fits = session.remembered(("match", "ranked"), lambda: _ranked(session, axis))
        told |= {"standards": words.status(library), "library_error": ""}
    except ChemoscapeError as error:  # the table stands without what only the standards tell
        told |= {"standards": None, "library_error": str(error)}
    rows = range(groups.sizes["cluster"])
    told["clusters"] = [_row(groups, found, k, axis, fits[k], library) for k in rows]
    return told


def _row(
    groups: xr.Dataset,
    found: xr.Dataset,
    k: int,
    axis: EnergyShift,
    fits: RankedFits | None,
    library: Library | None,
) -> dict[str, Any]:
    """One cluster's match."""
    alone, alone_sd = (
        float(found[name][k]) for name in ("energy_shift_each", "energy_shift_each_sd")
    )
    scale, unit = (1e6, "µg/cm²") if found.attrs["mass_scale"] else (1.0, "1")
    thick = {"value": scale * float(found["thickness"][k]), "sd": None, "unit": unit}
    if fits is not None and library is not None:
        thick = thickness(fits.best, library)
    return {
        "cluster": int(groups["cluster"][k]),
        "pixels": int(groups["size"][k]),
        "composition": {
            "value": float(found["composition"][k]),
            "sd": float(found["composition_sd"][k]),
        },
        "thickness": thick,
        "r_factor": float(found["r_factor"][k]),
        "ambiguous": bool(found["ambiguous"][k]),
        "words": words.assignment(found, k),
        "shift_alone": {"value": alone, "sd": alone_sd},
        "shift_words": words.alone(alone, alone_sd, axis),
        "candidates": _candidates(found, k, fits),
    }


def _candidates(found: xr.Dataset, k: int, fits: RankedFits | None) -> list[dict[str, Any]]:
    """The assignment and its runners-up, as the table has them; with their own errors where the
    standards are at hand.
    """
    own = {} if fits is None else {" + ".join(one.standards): one for one in fits.fits}
    listed = []
    delta = found["delta_bic"].values[k]
    for rank, name in enumerate(map(str, found["candidate"].values[k])):
        far = rank > LISTED and not delta[rank] < CLOSE_IN_BIC
        if not name or far or rank == MOST_LISTED:
            break
        fit = own.get(name)
        listed.append(
            {
                **words.named(name.split(" + ")),
                "shares": None if fit is None else fit.shares,
                "delta_bic": delta[rank],
                "composition": found["candidate_composition"].values[k, rank],
                "sd": None if fit is None else fit.composition_sd,
                "r_factor": None if fit is None else fit.r_factor,
            }
        )
    return listed


def curves(session: Session, asked: Asked) -> dict[str, Any]:
    """One cluster's spectrum ± se, its fit, and each standard's part; they add up to the fit."""
    groups, found = session.node(CLUSTERS), session.node(MATCH)
    cluster = asked.whole("cluster", 0, groups.sizes["cluster"] - 1)
    library = _library(session)
    told = curves_of_table(groups, found, library, cluster)
    return {"cluster": cluster, **told, "standards": words.status(library)}


def at(session: Session, asked: Asked) -> dict[str, Any]:
    """All clusters refitted with the energy shift held, with the standards that the recipe names
    now: {shift_eV, stretch?, cluster?}; the curves are those of `cluster`.
    """
    value = asked.number("shift_eV", -FURTHEST_EV, FURTHEST_EV)
    groups, compared = session.node(CLUSTERS), _compared(session)
    stretch = asked.number("stretch", -0.1, 0.1) if asked.has("stretch") else None
    fitted = _fitted(session, compared)
    fits = compared.ranked(held(value, fitted, stretch), WHILE_MOVING)
    best = session.remembered((*_key(session), "at best"), lambda: compared.ranked(fitted, 1))
    now, then = _mean_square(fits), _mean_square(best)
    shown = asked.whole("cluster", 0, groups.sizes["cluster"] - 1, default=0)
    chosen = fits[shown]
    return {
        "shift_eV": value,
        "fitted": {"value": fitted.value, "sd": fitted.sd},
        "rms": float(np.sqrt(now)),
        "chi2_ratio": now / then if then > 0 else None,
        "cluster": shown,
        "curves": None if chosen is None else curves_of_fit(chosen.best),
        "clusters": [_refit(one) for one in fits],
        "standards": words.status(compared.library),
    }


def _refit(fits: RankedFits | None) -> dict[str, Any] | None:
    if fits is None:
        return None
    best = fits.best
    return {
        **words.named(best.standards),
        "shares": best.shares,
        "composition": best.composition if stands_out(fits) else None,
        "r_factor": best.r_factor,
        "ambiguous": fits.ambiguous,
        "energy": best.energy,
        "residual": best.residual,
    }


def _mean_square(fits: list[RankedFits | None]) -> float:
    """Mean square residual over the clusters that have a fit; NaN without any."""
    left = [one.best.residual for one in fits if one is not None]
    return float((np.concatenate(left) ** 2).mean()) if left else float("nan")


def scan(session: Session, asked: Asked) -> dict[str, Any]:
    """Rms residual of all clusters against the energy shift, about the one that fits best."""
    compared = _compared(session)
    fitted = _fitted(session, compared)
    shifts, rms = session.remembered((*_key(session), "scan"), lambda: compared.scan(fitted.value))
    return {
        "shift_eV": shifts,
        "rms": rms,
        "fitted": {"value": fitted.value, "sd": fitted.sd},
        "words": "fitted with all the standards, at the same energies for every shift",
        "standards": words.status(compared.library),
    }


def _library(session: Session) -> Library:
    """The standards of the run's match."""
    names = _standard_names(session.node(MATCH))
    named = session.run_recipe().standards.library
    library: Library = session.remembered(
        ("match", "library"), lambda: open_library(named).select(*names)
    )
    return library


def _standard_names(found: xr.Dataset) -> list[str]:
    dim = next(str(one) for one in found["weight"].dims if one != "cluster")
    return [str(one) for one in found[dim].values]


def _ranked(session: Session, axis: EnergyShift) -> list[RankedFits | None]:
    """Every combination for every cluster, as the run had them."""
    compared = Comparison.of(session.node(CLUSTERS), session.run_recipe())
    with suppress(FitError):  # how far the standards fit belongs to the errors
        axis = replace(axis, misfit=compared.fitted_shift().misfit)
    return compared.ranked(axis)


def _key(session: Session) -> tuple[str, ...]:
    """What a comparison under the recipe as it is now depends on."""
    recipe = session.recipe
    parts = (recipe.standards, recipe.deconvolution, recipe.clusters)
    return ("match", *(one.model_dump_json() for one in parts))


def _compared(session: Session) -> Comparison:
    """The run's clusters against the standards that the recipe names now."""
    recipe = session.recipe
    compared: Comparison = session.remembered(
        _key(session), lambda: Comparison.of(session.node(CLUSTERS), recipe)
    )
    return compared


def _fitted(session: Session, compared: Comparison) -> EnergyShift:
    fitted: EnergyShift = session.remembered((*_key(session), "fitted"), compared.fitted_shift)
    return fitted


def _changed(recipe: Recipe, run: Recipe) -> bool:
    """Whether the recipe asks for another match than the results hold."""
    return any(
        getattr(recipe, name) != getattr(run, name)
        for name in ("standards", "deconvolution", "calibration", "clusters")
    )


ANSWERS = {
    "match/table": table,
    "match/curves": curves,
    "match/at": at,
    "match/scan": scan,
    "match/standards": standards,
}
