"""Which maps the results hold, where each comes from, and what is known of its error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers.map_entries import (
    ALONE,
    IS_ONE,
    NOT_KEPT,
    Entry,
    labelled,
    plain,
    plain_maps,
    stacked,
)
from chemoscape.app.answers.map_routes import route_maps
from chemoscape.app.session import Session
from chemoscape.chemistry.phases import Phases, phases_of
from chemoscape.errors import ResultsError

ROUTES = {"/direct": "direct route", "/clustered": "clustered route"}
CHOICE = "no uncertainty: a label is a choice; the weights beside it have one"


def entries(session: Session) -> dict[str, Entry]:
    """All maps of the results by id, in the order in which they are listed."""
    made: dict[str, Entry] = session.remembered(
        ("maps",), lambda: {one.id: one for one in _entries(session)}
    )
    return made


def entry(session: Session, name: str) -> Entry:
    """One map; `ResultsError` where the results do not hold it."""
    if session.tree is None:
        raise ResultsError("nothing was run yet", remedy="press Run")
    known = entries(session)
    if name not in known:
        raise ResultsError(f"the results hold no map {name[:80]!r}", remedy="reload the page")
    return known[name]


def values_of(session: Session, one: Entry) -> xr.DataArray:
    """The map (y, x) as shown: in its unit, NaN where there is none."""
    made: xr.DataArray = session.remembered(("map", one.id), one.make)
    return made


def phases(session: Session) -> Phases:
    """The standards in the sample, as the summary counts them."""

    def make() -> Phases:
        recipe, comp = session.run_recipe(), session.node("/composition")
        if session.has("/few_energies"):
            return phases_of(comp, session.node("/few_energies"))
        maps = session.node(f"/{recipe.composition.source}")
        by_clusters = recipe.composition.source == "clustered" and session.has("/clustered/match")
        matched = session.node("/clustered/match")["weight"] if by_clusters else None
        return phases_of(comp, maps, matched)

    found: Phases = session.remembered(("phases",), make)
    return found


def _entries(session: Session) -> Iterator[Entry]:
    if session.has("/composition"):
        yield from _composition(session)
        yield from _phase(session)
    for node, route in ROUTES.items():
        if session.has(node) and "weight" in session.node(node):
            yield from route_maps(session, node, route)
    if session.has("/clustered/clusters"):
        yield labelled(session, "/clustered/clusters", "label", "Clusters", "cluster")
    if session.has("/factorisation"):
        yield from stacked(session, "/factorisation", "weight", "Parts without standards", "part")
        yield from plain_maps(session, "/factorisation", "Parts without standards")
    if session.has("/few_energies"):
        yield from stacked(session, "/few_energies", "error", "Errors by source", "")
        yield from plain_maps(session, "/few_energies", "Few energies")
    if session.has("/few_energies/phase"):
        yield from plain_maps(session, "/few_energies/phase", "Few energies")
    if session.has("/absorbance"):
        yield from plain_maps(session, "/absorbance", "Sample and beam")


def _composition(session: Session) -> Iterator[Entry]:
    node, group = "/composition", "Composition"
    comp = session.node(node)
    refine, facts = int(comp.attrs["refine"]), comp.attrs
    blur = float(np.hypot(facts.get("noise_length_px", 0.0), ALONE * refine))
    name = str(facts["variable"])
    parts = [f"composition_sd_{kind}" for kind in ("total", "counting", "systematic")]
    words = ("counting and systematic", "counting alone", "systematic alone")
    common = {"node": node, "group": group, "blur_px": blur, "kind": "sequential"}

    def stored(variable: str, title: str, unit: str, **more: Any) -> Entry:
        return Entry(
            f"{node}/{variable}",
            title=title,
            unit=unit,
            make=lambda: comp[variable].where(comp["mask"]),
            **{**common, **more},
        )

    sds = [(f"{node}/{one}", f"sd, {how}") for one, how in zip(parts, words, strict=True)]
    known = [one for one in sds if one[0].rpartition("/")[2] in comp]
    yield stored(
        "composition",
        plain(name),
        "1",
        sds=tuple(known),
        counting=sds[1][0] if sds[1] in known else "",
        systematic=sds[2][0] if sds[2] in known else "",
    )
    for part, how in zip(parts, words, strict=True):
        if part in comp:
            yield stored(part, f"{plain(name)}: sd, {how}", "1", no_sd=IS_ONE)
    if "thickness" in comp:
        unit, title = comp["thickness"].attrs["units"], comp["thickness"].attrs["long_name"]
        sd = f"{node}/thickness_sd"
        has = "thickness_sd" in comp
        yield stored(
            "thickness",
            title,
            unit,
            sds=((sd, "sd, counting; the mass scale of the standards is common to all"),) * has,
            no_sd="" if has else NOT_KEPT,
            counting=sd if has else "",
            common=float(np.nan_to_num(facts.get("thickness_scale_sd", 0.0))),
        )
        if has:
            yield stored("thickness_sd", f"{title}: sd, counting", unit, no_sd=IS_ONE)


def _phase(session: Session) -> Iterator[Entry]:
    def make() -> xr.DataArray:
        found = phases(session)
        values = np.full(found.inside.shape, np.nan)
        values[found.inside] = found.weights.argmax(axis=0)
        step = int(comp.attrs["refine"])
        grid = {"y": comp["y"].values[::step], "x": comp["x"].values[::step]}
        return xr.DataArray(values, dims=("y", "x"), coords=grid)

    comp = session.node("/composition")
    yield Entry(
        "/phase",
        "Phases",
        "prevailing standard",
        "",
        "labels",
        make,
        no_sd=CHOICE,
        labels=tuple(plain(str(name)) for name in phases(session).names),
    )
