"""The Maps view: which maps there are, phases, profiles along lines, statistics of regions."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from chemoscape.app.answers.map_catalogue import entries, entry, phases, values_of
from chemoscape.app.answers.map_entries import Entry, plain
from chemoscape.app.answers.map_statistics import COMPOSITION, statistics
from chemoscape.app.answers.profiles import Track, track
from chemoscape.app.asking import Asked
from chemoscape.app.pictures import Picture
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError, FitError
from chemoscape.report.composites import BRIGHTEST, PAPER, SAFE
from chemoscape.report.words import SYNTHETIC_NOTE, measured, number
from chemoscape.results import summary_of
from chemoscape.standards.folder import open_library

#: Maps of one profile.
MOST_PROFILES = 6
#: A standard below this share of all weights is left out of the composite at first.
TRACE = 0.03


def listed(session: Session, asked: Asked) -> dict[str, Any]:
    """All maps, grouped in the order of the work, and which to show first."""
    if session.tree is None:
        session.node("/composition")  # says what to do
    known = list(entries(session).values())
    groups = [
        {"title": title, "maps": [one.told() for one in members]}
        for title, members in groupby(known, key=lambda one: one.group)
    ]
    weights = [one for one in known if "/weight/" in one.id]
    first = COMPOSITION if COMPOSITION in entries(session) else next((o.id for o in known), None)
    return {
        "stamp": session.stamp,
        "groups": groups,
        "first": first,
        "rgb": _composite(session, weights),
        "words": _in_words(session),
        "note": _note(session),
    }


def _composite(session: Session, weights: list[Entry]) -> dict[str, Any] | None:
    """Weights of one route that make a composite, with the value that has the full colour."""
    node = next((one.node for one in weights), None)
    of_route = [one for one in weights if one.node == node]
    if not of_route:
        return None
    tops, sums = {}, {}
    for one in weights:
        values = values_of(session, one).values
        known = values[np.isfinite(values)]
        tops[one.id] = float(np.percentile(known, BRIGHTEST)) if known.size else 0.0
        sums[one.id] = float(known.sum())
    total = sum(sums[one.id] for one in of_route)
    ranked = sorted(of_route, key=lambda one: -sums[one.id])[:3]
    first = [one.id for one in of_route if one in ranked and sums[one.id] >= TRACE * total]
    return {
        "ids": first,
        "tops": {name: top if top > 0 else 1.0 for name, top in tops.items()},
        "percentile": BRIGHTEST,
        "safe": {n: list(colours) for n, colours in SAFE.items()},
        "paper": list(PAPER),
    }


def _note(session: Session) -> str:
    """That the standards are synthetic, where they are."""
    kinds = [
        session.node(node).attrs.get("kind", "")
        for node in ("/direct", "/clustered/match")
        if session.has(node)
    ]
    return SYNTHETIC_NOTE if "synthetic" in kinds else ""


def _in_words(session: Session) -> str:
    """The composition's mean in one sentence, as the summary has it."""
    assert session.tree is not None  # noqa: S101 - asked before
    found = summary_of(session.tree).composition
    if found is None:
        return ""
    return (
        f"{plain(found.variable)} = {measured(found.mean_pixel, found.sd)}, mean of the pixels; "
        f"{number(found.mean_mass_weighted, '.4g')} by mass; 5 to 95 % of the pixels: "
        f"{number(found.p05, '.3f')} to {number(found.p95, '.3f')}"
    )


def picture(session: Session, asked: Asked) -> Picture:
    """One map of the list: {id, reduce}."""
    one = entry(session, asked.text("id"))
    image = values_of(session, one).transpose("y", "x")
    shown = Picture(
        image.values,
        image["x"].values,
        image["y"].values,
        one.title,
        one.unit,
        one.kind,
        {"id": one.id, "labels": list(one.labels)},
    )
    return shown.thinned(asked.whole("reduce", 1, 64, default=1))


def phase(session: Session, asked: Asked) -> dict[str, Any]:
    """How much of the sample each standard makes up: by mass and area as in the summary, and by
    formula units where molar masses are known.
    """
    found = phases(session)
    recipe = session.run_recipe()
    names = [str(name) for name in found.names]
    molar, why = None, ""
    try:
        library = open_library(recipe.standards.library).select(*names)
        if np.isfinite(library.molar_mass).all():
            molar = found.molar_fractions(library.molar_mass)
        else:
            why = "a molar mass is not known"
    except ChemoscapeError as error:
        why = str(error)
    return {
        "map": "/phase",
        "route": "few energies" if session.has("/few_energies") else recipe.composition.source,
        "phases": [
            {
                "name": name,
                "label": plain(name),
                "mass_fraction": found.mass_fractions[k],
                "area_fraction": found.area_fractions[k],
                "molar_fraction": None if molar is None else molar[k],
            }
            for k, name in enumerate(names)
        ],
        "why_no_molar": why,
        "words": "mass: share of the weights; area: share of the pixels in which it prevails",
        "note": _note(session),
    }


def profile(session: Session, asked: Asked) -> dict[str, Any]:
    """Maps along a line: {line: [[x, y], [x, y]], width_um, maps: [ids]}.

    Errors by counting average out over the width, as far as pixels are independent; systematic
    ones do not.
    """
    line = asked.pairs("line", at_least=2, at_most=2)
    width = asked.number("width_um", 0, 1e6, default=0.0)
    names = asked.items("maps", at_most=MOST_PROFILES)
    profiles = [_profile(session, entry(session, str(name)), line, width) for name in names]
    if not profiles:
        raise FitError("no map is chosen", remedy="choose one from the list")
    return {
        "length_um": float(np.hypot(*(line[1] - line[0]))),
        "width_um": width,
        "profiles": profiles,
        "words": "band: sd of the average over the width; counting errors average out, systematic "
        "ones do not",
    }


def _profile(session: Session, one: Entry, line: np.ndarray, width: float) -> dict[str, Any]:
    if one.kind in ("labels", "mask"):
        raise FitError(f"labels ({one.title}) have no mean", remedy="choose a map of numbers")
    image = values_of(session, one)
    places = track(image, line, width)
    values = places.sampled(image)
    mean = places.mean(values)
    counting, systematic = _errors(session, one, places, values)
    known = [sd for sd in (counting, systematic) if sd is not None]
    total = None
    if known:
        total = np.sqrt(sum(np.nan_to_num(sd) ** 2 for sd in known))
        total[np.isnan(known).all(axis=0)] = np.nan
    return {
        "id": one.id,
        "title": one.title,
        "unit": one.unit,
        "distance": places.distance,
        "values": mean,
        "sd_counting": counting,
        "sd_systematic": systematic,
        "sd": total,
        "no_uncertainty": one.no_sd,
        "n_across": values.shape[1],
        "n_known": np.isfinite(values).sum(axis=1),
    }


def _errors(
    session: Session, one: Entry, places: Track, values: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Sd of the average over the width, by counting and systematic; None where not known."""
    inside = np.isfinite(values)
    counting = systematic = None
    if one.counting:
        sds = places.sampled(values_of(session, entry(session, one.counting)))
        counting = places.counting_sd(np.where(inside, sds, np.nan), one.blur_px)
    if one.systematic:
        sds = places.sampled(values_of(session, entry(session, one.systematic)))
        systematic = places.mean(np.where(inside, sds, np.nan))
    elif one.common > 0:
        systematic = one.common * np.abs(places.mean(values))
    return counting, systematic


ANSWERS = {
    "maps/list": listed,
    "maps/picture": picture,
    "maps/phase": phase,
    "maps/profile": profile,
    "maps/statistics": statistics,
}
