"""What the pixels of a map, or of a region of it, have: histogram, means, percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from chemoscape.app.answers.map_catalogue import entry, values_of
from chemoscape.app.answers.map_entries import plain
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.chemistry.means import means
from chemoscape.errors import FitError
from chemoscape.report.words import measured, number
from chemoscape.stack import pixel_size

#: Bars of a histogram, and percentiles that are told.
BARS, PERCENTILES = 60, (5, 25, 50, 75, 95)
COMPOSITION = "/composition/composition"


def statistics(session: Session, asked: Asked) -> dict[str, Any]:
    """Histogram, means and percentiles of a map, of a region or the whole: {id?, region?}."""
    one = entry(session, asked.text("id", default=COMPOSITION))
    if one.kind in ("labels", "mask"):
        raise FitError(f"labels ({one.title}) have no mean", remedy="choose a map of numbers")
    image = values_of(session, one)
    values = image.values
    inside = np.isfinite(values)
    if asked.has("region"):
        inside &= asked.region().mask(image).values
    chosen = values[inside].astype(float)
    if not chosen.size:
        raise FitError("no pixel there has a value", remedy="choose a region of the sample")
    dy, dx = pixel_size(image)
    counts, edges = np.histogram(chosen, bins=BARS)
    told = {
        "id": one.id,
        "title": one.title,
        "unit": one.unit,
        "region": asked.table("region") if asked.has("region") else None,
        "n_pixels": int(chosen.size),
        "area_um2": chosen.size * dx * dy,
        "mean": float(chosen.mean()),
        "spread": float(chosen.std()),
        "percentiles": dict(
            zip((f"p{p:02d}" for p in PERCENTILES), np.percentile(chosen, PERCENTILES), strict=True)
        ),
        "histogram": {"counts": counts, "edges": edges},
        "mean_mass_weighted": None,
        "mean_sd": None,
    }
    if one.id == COMPOSITION:
        told |= _of_composition(session, inside, edges)
    return told


def _of_composition(session: Session, inside: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
    """Means by pixel and by mass with the sd of the mean, as `composition` has them."""
    comp = session.node("/composition")
    known = dict(comp.attrs)
    names = ("mean_pixel", "mean_mass_weighted", "mean_sd")
    if not np.array_equal(inside, comp["mask"].values):
        part = comp.assign(mask=(("y", "x"), inside))
        one_sided = session.run_recipe().deconvolution.nonnegative
        known = means(part, one_sided=one_sided)
    pixel, mass, sd = (float(known[name]) for name in names)
    thick = np.nan_to_num(comp["thickness"].values[inside])
    by_mass = np.histogram(comp["composition"].values[inside], bins=edges, weights=thick)[0]
    return {
        "mean": pixel,
        "mean_mass_weighted": mass,
        "mean_sd": sd,
        "mass_histogram": by_mass / (by_mass.sum() or 1.0),
        "words": f"{plain(str(comp.attrs['variable']))} = {measured(pixel, sd)}, mean of "
        f"{int(inside.sum()):,} pixels; {number(mass, '.4g')} by mass",
    }
