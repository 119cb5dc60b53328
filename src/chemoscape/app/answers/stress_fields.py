"""What was solved of the stress: boundaries, their numbers, fields and their colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers.stress_words import doubts, supports_in_words
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.errors import ResultsError
from chemoscape.mechanics.grids import StressField
from chemoscape.report.outcomes import conditions
from chemoscape.report.panels import robust_limits

#: Units that are easier to read: variable's unit -> (shown unit, factor).
SHOWN = {"µm": ("nm", 1e3), "1": ("%", 100.0), "": ("1", 1.0)}
#: What is looked at first; the others follow in the order of the results.
FIRST = (
    *("von_mises", "hydrostatic", "principal_1", "principal_2"),
    *("stress_xx", "stress_yy", "stress_xy", "displacement", "elastic_energy"),
)
#: Fields whose zero is no middle.
ONE_SIDED = ("von_mises", "von_mises_sd", "elastic_energy", "displacement", "composition")


def boundaries_of(session: Session) -> dict[str, xr.Dataset]:
    """Solutions by boundary, in the order of the run.

    Raises
    ------
    ResultsError
        The last run has computed no stress.
    """
    if session.tree is None or not session.has("/stress"):
        session.node("/stress/free")  # says what to do
    assert session.tree is not None  # noqa: S101 - asked before
    node = session.tree["/stress"]
    return {name: session.node(f"/stress/{name}") for name in node.children}


def listed(session: Session, asked: Asked) -> dict[str, Any]:
    """What was solved: boundaries, their numbers, fields with common limits, doubts."""
    solved = boundaries_of(session)
    return {"stamp": session.stamp, **session.remembered(("stress",), lambda: _listed(solved))}


def _listed(solved: dict[str, xr.Dataset]) -> dict[str, Any]:
    first = next(iter(solved.values()))
    x, y = first["node_x"].values, first["node_y"].values
    facts = first.attrs
    names = ("young_GPa", "poisson", "eigenstrain", "angle_deg", "reference")
    return {
        "variable": facts.get("variable", "composition"),
        "boundaries": [_boundary(name, one) for name, one in solved.items()],
        "fields": _fields(solved),
        "material": {
            **{name: facts[name] for name in names if name in facts},
            "status": facts.get("material_status", ""),
            "source": facts.get("material_source", ""),
        },
        "mesh": {
            name: facts.get(name)
            for name in ("n_nodes", "n_elements", "n_particles", "mesh_size_um", "mesher")
        }
        | {name: facts.get(name) for name in ("order", "plane", "graded", "holes_filled")},
        "conditions": conditions(first, str),
        "extent": [x.min(), x.max(), y.min(), y.max()],
        "doubts": doubts(solved),
    }


def _boundary(name: str, solved: xr.Dataset) -> dict[str, Any]:
    facts = solved.attrs
    numbers = {
        key.removeprefix("von_mises_").removesuffix("_MPa"): value
        for key, value in StressField(solved, np.zeros(0), np.zeros(0)).von_mises_summary().items()
    }
    moved = np.hypot(solved["displacement_x"].values, solved["displacement_y"].values)
    return {
        "name": name,
        "words": supports_in_words(name),
        "numbers": {
            "max": {"value": numbers["max"], "sd": None},
            **{
                key: {"value": numbers[key], "sd": facts.get(f"von_mises_{key}_sd_MPa")}
                for key in ("p99", "mean")
            },
        },
        "largest_displacement_nm": 1e3 * float(moved.max()),
        "n_draws": facts.get("n_draws", 0),
    }


def _fields(solved: dict[str, xr.Dataset]) -> list[dict[str, Any]]:
    first = next(iter(solved.values()))
    at_nodes = [str(name) for name, one in first.data_vars.items() if one.dims == ("node",)]
    names = [*FIRST, *(name for name in at_nodes if name not in FIRST)]
    if not np.any(first.attrs.get("angle_deg", 0.0)):  # then they are those of the image
        names = [one for one in names if not one.endswith(("_xi", "_eta"))]
    told = []
    for name in names:
        values = [field_of(one, name) for one in solved.values()]
        if not any(np.any(one[0]) for one in values):
            continue  # such as the stress across a thin particle
        of = f"{name}_sd" if f"{name}_sd" in first else None
        kind = "sequential" if name in ONE_SIDED else "diverging"
        told.append(
            {
                "name": name,
                "long_name": values[0][2],
                "unit": values[0][1],
                "sd": of,
                "kind": kind,
                "limits": _limits(name, *(one[0] for one in values)),
                "limits_of": {
                    boundary: _limits(name, one[0])
                    for boundary, one in zip(solved, values, strict=True)
                },
            }
        )
    return told


def _limits(name: str, *values: np.ndarray) -> list[float]:
    """Ends of the colours."""
    low, high = robust_limits(*values, symmetric=name not in ONE_SIDED)
    return [0.0 if name in ONE_SIDED and name != "composition" else low, high]


def field_of(solved: xr.Dataset, name: str) -> tuple[np.ndarray, str, str]:
    """A field in the unit that is shown, the unit, and its long name.

    Raises
    ------
    ResultsError
        There is no such field.
    """
    if name == "displacement" and "displacement_x" in solved:
        moved = np.hypot(solved["displacement_x"].values, solved["displacement_y"].values)
        return 1e3 * moved, "nm", "displacement, its amount"
    if name not in solved or solved[name].dims not in (("node",), ("y", "x")):
        raise ResultsError(f"there is no field {name!r} of the stress", remedy="choose another")
    variable = solved[name]
    own = str(variable.attrs.get("units", ""))
    unit, factor = SHOWN.get(own, (own, 1.0))
    return factor * variable.values, unit, str(variable.attrs.get("long_name", name))
