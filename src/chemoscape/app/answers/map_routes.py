"""Maps of one route: weights, fractions, and how well the fit does, with their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from chemoscape.app.answers.map_entries import (
    ALONE,
    IS_ONE,
    NOT_KEPT,
    Entry,
    plain,
    stacked,
    variable,
)
from chemoscape.app.answers.map_fractions import Fractions, fractions_of
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.standards.folder import open_library

#: g/cm² are shown as µg/cm².
MICRO = 1e6
AT_BOUND = "counting; none where a weight is held at zero"


def route_maps(session: Session, node: str, route: str) -> Iterator[Entry]:
    """Weights of a route's standards, their errors, fractions, and the quality of the fit."""
    maps = session.node(node)
    names = [plain(str(name)) for name in maps["standard"].values]
    mass = maps["weight"].attrs.get("units") == "g/cm2"
    unit, scale = ("µg/cm²", MICRO) if mass else ("1", 1.0)
    covariance = "weight_covariance" in maps
    for k, name in enumerate(names):
        own, sd = f"{node}/weight/{k}", f"{node}/weight_sd/{k}"
        yield Entry(
            own,
            f"Weights, {route}",
            name,
            unit,
            "sequential",
            lambda k=k: maps["weight"][k] * scale,  # type: ignore[misc]
            node=f"{node}/weight",
            at={"standard": k},
            sds=((sd, f"sd, {AT_BOUND}"),) if covariance else (),
            no_sd="" if covariance else NOT_KEPT,
            counting=sd if covariance else "",
            blur_px=ALONE,
        )
    if covariance:
        for k, name in enumerate(names):
            yield Entry(
                f"{node}/weight_sd/{k}",
                f"Errors of weights, {route}",
                f"{name}: sd",
                unit,
                "sequential",
                lambda k=k: _weight_sd(maps, k) * scale,  # type: ignore[misc]
                no_sd=IS_ONE,
            )
    if len(names) > 1 and covariance:
        yield from _fractions(session, node, route, maps, names)
    if "group_weight" in maps:
        yield from stacked(session, node, "group_weight", f"Groups, {route}", "", scale, unit)
    for one in ("residual", "reduced_chi2", "baseline", "baseline_per_eV"):
        if one in maps:
            yield variable(session, node, one, f"Quality of the fit, {route}")


def _weight_sd(maps: xr.Dataset, k: int) -> xr.DataArray:
    """Standard deviation of one weight; NaN where it is at its bound."""
    n = maps.sizes["standard"]
    diagonal = sum(range(n - k + 1, n + 1))  # of the upper triangle, row by row
    variance = maps["weight_covariance"][diagonal]
    sd = variance.copy(data=np.sqrt(variance.values))
    return sd.where(sd > 0).drop_vars(["pair", "pair_first", "pair_second"], errors="ignore")


def _fractions(
    session: Session, node: str, route: str, maps: xr.Dataset, names: list[str]
) -> Iterator[Entry]:
    def mass() -> Fractions:
        return _of_route(session, node, np.ones(len(names)))

    by_mass = "by mass" if maps["weight"].attrs.get("units") == "g/cm2" else "of the weights"
    terms: list[tuple[str, str, Callable[[], Fractions]]] = [("fraction", by_mass, mass)]
    molar = _molar_masses(session, [str(one) for one in maps["standard"].values])
    if molar is not None:
        terms.append(("molar", "by formula units", lambda: _of_route(session, node, molar)))
    for key, how, make in terms:
        group = f"Fractions {how}, {route}"
        for k, name in enumerate(names):
            sd = f"{node}/{key}_sd/{k}"
            yield Entry(
                f"{node}/{key}/{k}",
                group,
                name,
                "1",
                "sequential",
                lambda k=k, make=make: make().share(k),  # type: ignore[misc]
                sds=((sd, "sd, counting"),),
                counting=sd,
                blur_px=ALONE,
            )
        for k, name in enumerate(names):
            yield Entry(
                f"{node}/{key}_sd/{k}",
                f"Errors of fractions, {route}",
                f"{name}: sd of its fraction {how}",
                "1",
                "sequential",
                lambda k=k, make=make: make().sd(k),  # type: ignore[misc]
                no_sd=IS_ONE,
            )


def _of_route(session: Session, node: str, molar_mass: np.ndarray) -> Fractions:
    def make() -> Fractions:
        maps = session.node(node)
        inside = maps["sample"].values
        if session.has("/composition"):
            comp = session.node("/composition")
            step = int(comp.attrs["refine"])
            inside = comp["mask"].values[::step, ::step]
        return fractions_of(maps, inside, molar_mass)

    key = ("fractions", node, *molar_mass.tolist())
    found: Fractions = session.remembered(key, make)
    return found


def _molar_masses(session: Session, names: list[str]) -> np.ndarray | None:
    """g/mol of these standards; None where one is not known, or they are clusters."""
    try:
        library = open_library(session.run_recipe().standards.library).select(*names)
    except ChemoscapeError:
        return None
    return library.molar_mass if np.isfinite(library.molar_mass).all() else None
