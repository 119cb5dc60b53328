"""The incident beam: what a choice of I0 would give, before any run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.asking import Asked
from chemoscape.app.pictures import Picture
from chemoscape.app.session import Session
from chemoscape.errors import StackError
from chemoscape.preprocess.beam.background import mean_image
from chemoscape.preprocess.beam.incident import I0, Levels, find_incident
from chemoscape.preprocess.counting import sums_over
from chemoscape.region import Region
from chemoscape.stages import measured

#: Bins of the histogram of the mean image.
BINS = 200


def pick(session: Session, asked: Asked) -> dict[str, Any]:
    """I0 of a choice: {i0: "auto" | {x, y} | {polygon} | {levels}}, its spectrum, where it comes
    from, and the optical density of the rest of the image with it.
    """
    stack = _counts(session)
    beam, empty = _incident(session, asked)
    inside = empty.values if empty is not None else np.zeros(stack.shape[1:], dtype=bool)
    rest = session.remembered(
        ("rest", *_key(session, asked)), lambda: sums_over(stack, ~inside).mean
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        density = np.log(beam.values / (rest - _dark(session)))
    return {
        "energy": stack["energy"].values,
        "i0": beam.values,
        "rest": rest,
        "density_of_rest": density,
        "source": beam.source,
        "n": beam.n_pixels,
        "share": float(inside.mean()),
        "spread": _spread(stack, inside),
        "units_correction": beam.units_correction,
        "unit": "counts",
    }


def open_beam(session: Session, asked: Asked) -> Picture:
    """The pixels that a choice of I0 takes for empty."""
    stack = _counts(session)
    _, empty = _incident(session, asked)
    mask = empty.values if empty is not None else np.zeros(stack.shape[1:], dtype=bool)
    return Picture(mask, stack["x"].values, stack["y"].values, "open beam", "", "mask")


def density(session: Session, asked: Asked) -> Picture:
    """Optical density -ln(I/I0) of one recorded frame with a choice of I0: {i0, energy}.

    Of the detector, only a dark that is one number is in this quick look; a run has all of it. A
    frame that the recipe drops has none.
    """
    stack = _counts(session)
    index = asked.whole("energy", 0, session.recorded().sizes["energy"] - 1)
    beam, _ = _incident(session, asked)
    values = np.full(stack.shape[1:], np.nan, dtype=np.float32)
    for own in np.flatnonzero(_frames(session) == index):
        frame = stack.values[own] - np.float32(_dark(session))
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(frame > 0, np.log(np.float32(beam.values[own]) / frame), np.nan)
    picture = Picture(values, stack["x"].values, stack["y"].values, "optical density", "1")
    return picture.thinned(asked.whole("reduce", 1, 64, default=1))


def brightness(session: Session, asked: Asked) -> Picture:
    """The mean image as a share of its brightest plateau, and its histogram (for levels)."""
    stack = _counts(session)
    key = ("brightness", *_left_out(session))
    share = session.remembered(key, lambda: _brightness(stack))
    known = share[np.isfinite(share)]
    count, edges = np.histogram(known, bins=BINS, range=(0, min(float(known.max()), 1.5)))
    extra = {"counts": count, "edges": edges}
    axes = stack["x"].values, stack["y"].values
    return Picture(share, *axes, "brightness", "1", extra=extra)


def _brightness(stack: xr.DataArray) -> np.ndarray:
    """Mean image over the median of its brightest hundredth, as `Levels` counts."""
    image = mean_image(stack)
    known = image[np.isfinite(image)]
    least = known.size - max(known.size // 100, 1)
    return np.asarray(image / np.median(np.partition(known, least)[least:]))


def _counts(session: Session) -> xr.DataArray:
    """The frames that the recipe does not drop, NaN in the regions that it excludes."""
    stack = session.recorded()
    if stack.attrs["quantity"] != "counts":
        raise StackError(
            f"the stack holds {stack.attrs['quantity'].replace('_', ' ')}: I0 was applied before",
            remedy="go on to Explore",
        )
    frames, tables = _frames(session), session.recipe.input.exclude
    if frames.size == stack.sizes["energy"] and not tables:
        return stack

    def make() -> xr.DataArray:
        left = stack.isel(energy=frames)
        for table in tables:
            left = left.where(~table.region().mask(left))
        return left.assign_attrs(stack.attrs)

    left: xr.DataArray = session.remembered(("beam", *_left_out(session)), make)
    return left


def _frames(session: Session) -> np.ndarray:
    """Numbers of the frames that were measured and that the recipe does not drop."""
    stack = session.recorded()
    seen = session.remembered(("measured", session.opened_stamp), lambda: measured(stack))
    energy = stack["energy"].values
    dropped = [np.abs(energy - one).argmin() for one in session.recipe.input.drop_energies]
    return np.setdiff1d(np.flatnonzero(seen), dropped)


def _left_out(session: Session) -> tuple[Any, ...]:
    """What is open, and the regions and frames of it that the recipe leaves out."""
    section = session.recipe.input
    return session.opened_stamp, repr(section.exclude), repr(section.drop_energies)


def _incident(session: Session, asked: Asked) -> tuple[I0, xr.DataArray | None]:
    def find() -> tuple[I0, xr.DataArray | None]:
        return find_incident(
            _counts(session),
            _choice(asked),
            unit=session.recipe.absorbance.i0_unit,
            dark=_dark(session),
        )

    found: tuple[I0, xr.DataArray | None] = session.remembered(("i0", *_key(session, asked)), find)
    return found


def _dark(session: Session) -> float:
    """The recipe's dark where it is one number: images of it are not read for a quick look."""
    dark = session.recipe.absorbance.dark
    return dark if isinstance(dark, float) else 0.0


def _choice(asked: Asked) -> str | Region | Levels:
    if isinstance(asked.value("i0"), str):
        return asked.text("i0", "auto")
    said = asked.table("i0")
    if said.get("levels") is not None:
        low, high = Asked({"levels": [said["levels"]]}).pairs("levels")[0]
        return Levels(low, high)
    return Region.from_mapping({key: value for key, value in said.items() if value is not None})


def _key(session: Session, asked: Asked) -> tuple[Any, ...]:
    """What I0 depends on."""
    choice = json.dumps(asked.value("i0"), sort_keys=True)
    unit = session.recipe.absorbance.i0_unit
    return choice, unit, _dark(session), *_left_out(session)


def _spread(stack: xr.DataArray, inside: np.ndarray) -> float | None:
    """Relative spread of the beam over the empty pixels, in the mean of a few frames."""
    if not inside.any():
        return None
    some = stack.values[:: max(stack.sizes["energy"] // 16, 1)]
    image = some.mean(axis=0)[inside]
    return float(np.nanstd(image) / np.nanmean(image))


ANSWERS = {
    "beam/pick": pick,
    "beam/mask": open_beam,
    "beam/density": density,
    "beam/brightness": brightness,
}
