"""The stack: what it holds, and spectra of pixels and regions of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers.results import picture
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.preprocess.counting import sums_over, values_of
from chemoscape.region import Region

#: Pixels that tell the spread over a region.
SPREAD_OVER = 4000
#: Facts of the measurement that are shown, with their unit.
FACTS = {
    "facility": "",
    "beamline": "",
    "instrument": "",
    "sample": "",
    "start": "",
    "dwell_ms": "ms",
    "counter_divider": "",
    "format": "",
}


def stack(session: Session, asked: Asked) -> dict[str, Any]:
    """Energies, axes, unit and facts of the stack, and what was said when it was opened."""
    opened = session.opened
    out: dict[str, Any] = {
        "path": opened.path.name,
        "kind": opened.kind,
        "notes": opened.notes,
        "there": opened.stack is not None,
    }
    if opened.stack is None:
        return out
    seen = opened.stack
    quantity = str(seen.attrs["quantity"])
    return out | {
        "energy": seen["energy"].values,
        "shape": list(seen.shape),
        "step": opened.step,
        "x": seen["x"].values[[0, -1]],
        "y": seen["y"].values[[0, -1]],
        "quantity": quantity,
        "unit": "counts" if quantity == "counts" else "1",
        "megabytes": seen.nbytes / 1e6,
        "facts": [
            {
                "name": name.replace("_ms", "").replace("_", " "),
                "value": seen.attrs[name],
                "unit": u,
            }
            for name, u in FACTS.items()
            if seen.attrs.get(name) not in (None, "")
        ],
    }


def spectrum(session: Session, asked: Asked) -> dict[str, Any]:
    """Mean spectra: {of: "stack" | "optical_density", regions: [{pixel: [x, y]} | region, …]}.

    Each has the standard error of its mean, from the spread of its pixels; a single pixel of an
    optical density that of its counts, of a recorded stack none.
    """
    of = asked.text("of", "stack", "optical_density", default="stack")
    od = session.density() if of == "optical_density" else None
    seen = session.recorded() if od is None else od["optical_density"]
    rows = [_spectrum(seen, od, Asked({"region": one})) for one in asked.items("regions", 40)]
    unit = "counts" if seen.attrs.get("quantity") == "counts" else "1"
    return {"energy": seen["energy"].values, "spectra": rows, "unit": unit}


def _spectrum(seen: xr.DataArray, od: xr.Dataset | None, asked: Asked) -> dict[str, Any]:
    pixel = asked.table("region").get("pixel")
    if pixel is not None:
        ix, iy = _nearest(seen, pixel)
        se = None if od is None or "variance" not in od else od["variance"].values[:, iy, ix] ** 0.5
        return {
            "mean": seen.values[:, iy, ix],
            "se": se,
            "n": 1,
            "x": seen["x"].values[ix],
            "y": seen["y"].values[iy],
        }
    region = asked.region()
    inside = region.mask(seen).values
    mean = sums_over(seen, inside).mean
    return {
        "mean": mean,
        "se": standard_error(seen, inside),
        "n": int(inside.sum()),
        "words": region.describe(),
    }


def standard_error(seen: xr.DataArray, inside: np.ndarray) -> np.ndarray | None:
    """Standard error (n_energy,) of the mean over the pixels of a mask (y, x), their noise taken as
    independent; None for one pixel. The spread is that of at most `SPREAD_OVER` of them.
    """
    where = np.flatnonzero(inside)
    if where.size < 2:
        return None
    some = np.zeros(inside.size, dtype=bool)
    some[where[:: max(where.size // SPREAD_OVER, 1)]] = True
    values = values_of(seen, some.reshape(inside.shape)).astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, values, 0).sum(axis=1) / count
    squares = np.where(known, (values - mean[:, None]) ** 2, 0).sum(axis=1)
    in_mean = np.maximum(where.size * known.mean(axis=1), 1)
    return np.asarray(np.sqrt(squares / np.maximum(count - 1, 1) / in_mean))


def _nearest(seen: xr.DataArray, pixel: Any) -> tuple[int, int]:
    (x, y) = Asked({"pixel": [pixel]}).pairs("pixel")[0]
    found = []
    for name, value in (("x", x), ("y", y)):
        axis = seen[name].values
        index = int(np.abs(axis - value).argmin())
        if abs(axis[index] - value) > abs(axis[-1] - axis[0]) / max(axis.size - 1, 1):
            raise ChemoscapeError("is outside the image", "pixel", "point into the image")
        found.append(index)
    return found[0], found[1]


def drift(session: Session, asked: Asked) -> dict[str, Any]:
    """The drift that the last run found: shifts in pixels, and which were not believed."""
    node = session.node("/drift")
    return {
        "energy": node["energy"].values,
        "shift_y": node["shift_y"].values,
        "shift_x": node["shift_x"].values,
        "quality": node["quality"].values,
        "replaced": node["replaced"].values,
        "reference": node.attrs["reference"],
        "applied": bool(node.attrs["applied"]),
        "unit": "px",
    }


def region_of(asked: Asked) -> Region | None:
    """The region of a question, where it has one."""
    return asked.region() if asked.has("region") else None


ANSWERS = {
    "stack": stack,
    "stack/spectrum": spectrum,
    "stack/drift": drift,
    "stack/frame": picture,
}
