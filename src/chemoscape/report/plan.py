"""The plan for a beamtime: one page to print."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined

from chemoscape import __version__
from chemoscape.few_energies.plan import Plan
from chemoscape.few_energies.strangers import Stranger
from chemoscape.few_energies.subsampling import Subsampling
from chemoscape.report.html import formula_html
from chemoscape.report.plan_words import (
    assumed,
    cautions,
    percent,
    purposes,
    thickness_advice,
)


def plan_html(
    plan: Plan,
    picture: bytes,
    *,
    title: str,
    flux: float,
    others: Sequence[Plan] = (),
    validation: Subsampling | None = None,
    strangers: Sequence[Stranger] = (),
    guard_eV: float | None = None,
    first: Sequence[str] = (),
) -> str:
    """The plan on one page of A4, without scripts and without requests.

    Parameters
    ----------
    plan : Plan
    picture : bytes
        `plan_figure` as PNG.
    title : str
    flux : float
        Photons per second on a pixel.
    others : sequence of Plan
        Best plans with other numbers of energies.
    validation : Subsampling, optional
        What the same energies of a stack gave.
    strangers : sequence of Stranger
        Other substances as these images would show them.
    guard_eV : float, optional
        An image that would tell them, eV.
    first : sequence of str
        What to say before all other cautions.

    Returns
    -------
    str
        HTML.
    """
    room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    room.filters["formulae"] = formula_html
    template = files("chemoscape.report").joinpath("plan.html").read_text(encoding="utf-8")
    dwell = plan.dwell_ms(flux)
    said = [*first, *cautions(plan, strangers, guard_eV)]
    rows = [
        {
            "energy": f"{energy:.2f}",
            "purpose": purpose,
            "photons": f"{photons:,.0f}".replace(",", "\u202f"),
            "dwell": f"{ms:.3g}",
            "dose": f"{dose:.3g}" if np.isfinite(dose) else "–",
            "share": percent(part),
            "od": f"{od:.2f}",
        }
        for energy, purpose, photons, ms, dose, part, od in zip(
            plan.energies,
            purposes(plan),
            plan.photons,
            dwell,
            plan.dose_each,
            plan.dose_shares,
            plan.highest_od,
            strict=True,
        )
    ]
    return room.from_string(template).render(
        title=title,
        plan=plan,
        library=plan.expected.library,
        assumed=assumed(plan, flux),
        rows=rows,
        photons=f"{plan.photons.sum():,.0f}".replace(",", "\u202f"),
        dwell=f"{dwell.sum():.3g}",
        dose=_number(plan.dose_MGy),
        dose_known=bool(np.isfinite(plan.dose_MGy)),
        skin=_number(plan.skin_MGy),
        sd=f"{plan.rms:.4f}",
        bound=_number(plan.bound, ".4f"),
        compared=[
            (name, f"{one.rms:.4f}", f"{one.rms / plan.rms:.2f}")
            for name, one in [*_as_numbers(others), *plan.compared.items()]
        ],
        cautions=[f"{one[0].upper()}{one[1:]}." for one in said],
        best=thickness_advice(plan),
        validation=None if validation is None else f"{validation}.",
        picture=base64.b64encode(picture).decode("ascii"),
        version=__version__,
    )


def _as_numbers(others: Sequence[Plan]) -> list[tuple[str, Plan]]:
    """Other numbers of energies, by name."""
    return [
        (f"best {one.energies.size}: {', '.join(f'{e:.1f}' for e in one.energies)} eV", one)
        for one in others
    ]


def _number(value: float, form: str = ".3g") -> str:
    return format(value, form) if np.isfinite(value) else "not known"
