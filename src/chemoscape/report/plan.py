"""The plan for a beamtime: one page to print, and its figure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from chemoscape import __version__
from chemoscape.few_energies.budget import (
    THICK_OD,
    THICKEST_OD,
    TOO_THICK_OD,
    best_thickness,
    saturated,
    sd_against_thickness,
)
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.selection import Plan
from chemoscape.few_energies.subsampling import Subsampling
from chemoscape.report.html import formula_html
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    figure_png,
    footnote,
    letters,
    styled,
)
from chemoscape.report.words import pretty, synthetic_note, with_units

#: An image before the edge has less than this share of the highest optical density.
BEFORE_EDGE = 0.1
#: An image whose optical density follows composition by less than this share of the best tells of
#: the amount of sample.
FLAT = 0.3
#: No calibration is asked for that is looser than this, eV: spectra are straight no further.
LOOSEST_EV = 0.1
#: Thicknesses drawn, over the one expected.
THINNEST, THICKEST = 0.1, 4.0
SOURCES = {
    "counting": "counting",
    "energy": "image energy",
    "calibration": "calibration",
    "offset": "OD offset",
    "i0": "I0",
}


def amount_of(expected: Expected) -> tuple[float, str, str]:
    """How much sample there is: number, what it is, unit."""
    if expected.peak_od is not None:
        return expected.peak_od, "highest optical density", ""
    if expected.areal_mass is not None:
        return expected.areal_mass, "areal mass", "µg/cm²"
    return expected.thickness_nm or np.nan, "thickness", "nm"


def contrast(plan: Plan) -> np.ndarray:
    """Relative change of the optical density from the lowest to the highest composition, (n,)."""
    density = plan.expected.optical_density(plan.energies)
    x = plan.expected.composition
    low, high = density[np.argmin(x)], density[np.argmax(x)]
    return np.asarray((high - low) / density.mean(axis=0))


def purposes(plan: Plan) -> list[str]:
    """What each image is for, in a few words."""
    change = contrast(plan)
    axis = np.linspace(*plan.expected.window, 400)
    peak = float(plan.expected.optical_density(axis).max())
    said = []
    for one, od in zip(change, plan.highest_od, strict=True):
        if od < BEFORE_EDGE * peak:
            said.append("before the edge: offset")
        elif abs(one) < FLAT * np.abs(change).max():
            said.append("amount of sample")
        else:
            said.append(
                f"{'rises' if one > 0 else 'falls'} with composition ({one:+.0%})".replace("-", "−")
            )
    return said


def cautions(plan: Plan) -> list[str]:
    """What the person at the beamline should know, in plain words."""
    share = plan.expected.share
    per_eV = float(
        np.sqrt(share @ (plan.sensitivity * plan.expected.slope(plan.energies)).sum(axis=1) ** 2)
    )
    per_od = float(np.sqrt(share @ plan.sensitivity.sum(axis=1) ** 2))
    said = saturated(plan)
    enough = min(0.5 * plan.rms / max(per_eV, 1e-9), LOOSEST_EV)
    goal = f"{1e3 * enough:.0f} meV"
    said.append(
        f"calibrate the energies to {goal} or better, against a feature that the standards "
        f"have too: an axis that is off by 0.1 eV moves the composition by {per_eV / 10:.3f}; go "
        "to all energies from the same side, since each image's own error of "
        f"{1e3 * plan.nuisance.energy_sd_eV:.0f} meV is in the plan and a larger one is not"
    )
    if "before the edge: offset" in purposes(plan):
        said.append(
            "the image before the edge takes out an offset of the optical density: keep it, cheap "
            "as it is"
        )
    else:
        said.append(
            f"an offset of 0.01 in optical density moves the composition by {per_od / 100:.3f}, "
            f"and by {per_od / 25:.3f} where the sample is a quarter as thick, which looks like a "
            "core and a shell: take an image before the edge too if the particles have thin rims"
        )
    dose, photons = plan.dose_shares, plan.photons / plan.photons.sum()
    worst = int(np.argmax(dose / photons))
    said.append(
        f"equal photons are not equal dose: the image at {plan.energies[worst]:.1f} eV takes "
        f"{percent(photons[worst])} of the photons and deposits {percent(dose[worst])} of the dose"
    )
    spare = plan.energies.size - len(plan.expected.library.names)
    if spare < 1:
        said.append(
            f"{plan.energies.size} images fit any mixture of {len(plan.expected.library.names)} "
            "standards perfectly: a third substance, damage or drift goes unnoticed; one image "
            "more costs little and shows them"
        )
    said.append(
        "energies that lie close together count as independent settings of the monochromator; if "
        "yours repeats its errors, they count as one"
    )
    if np.isfinite(plan.skin_MGy) and plan.skin_MGy > 1.5 * plan.dose_MGy:
        said.append(
            f"where the beam enters, the dose is {plan.skin_MGy:.0f} MGy: the sample shades itself"
        )
    return said


@styled
def plan_figure(plan: Plan, others: Sequence[Plan] = ()) -> Figure:
    """Where the energies lie, where the error comes from, and what would lower it.

    Parameters
    ----------
    plan : Plan
        The one that is to be measured.
    others : sequence of Plan
        Best plans with other numbers of energies.
    """
    figure = Figure(figsize=(DOUBLE, 4.0), layout="constrained")
    axes = figure.subplot_mosaic(
        [["spectra"] * 3, ["number", "sources", "thickness"]],
        height_ratios=(1.15, 1),
        width_ratios=(1.15, 0.9, 1),
    )
    _spectra(axes["spectra"], plan)
    _numbers(axes["number"], plan, others)
    _sources(axes["sources"], plan)
    _thicknesses(axes["thickness"], plan)
    letters(axes.values())
    footnote(figure, synthetic_note(plan.expected.library.labels))
    return figure


def _spectra(ax: Axes, plan: Plan) -> None:
    """The standards as thick as expected; each image, with its share of the dose."""
    expected = plan.expected
    low, high = expected.window
    axis = np.linspace(low, high, 1200)
    spectra = expected.library.spectra(axis).values
    total = float(expected.share @ expected.weights.sum(axis=1))
    top = float(spectra.max() * total)
    dose = plan.dose_shares
    for energy, one in zip(plan.energies, dose, strict=True):
        ax.bar(energy, one * top, width=0.012 * (high - low), color="0.82", zorder=0)
        ax.axvline(energy, color="0.45", linewidth=0.6, linestyle=(0, (3, 2)), zorder=1)
    for label, spectrum, colour in zip(expected.library.labels, spectra, CATEGORIES, strict=False):
        ax.plot(axis, spectrum * total, color=colour, label=pretty(label))
    for (left, right), text in _names(plan, dose, 0.055 * (high - low)):
        ax.annotate(
            text,
            ((left + right) / 2, 1.0),
            xycoords=ax.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=6.5,
            linespacing=1.15,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    margin = 0.025 * (high - low)
    ax.set(
        title="Energies to take, and their share of the dose (grey)",
        xlabel=PHOTON_ENERGY,
        ylabel="optical density",
        xlim=(low - margin, high + margin),
        ylim=(0, 1.35 * top),
    )
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0, borderaxespad=0.3)


def _names(plan: Plan, dose: np.ndarray, apart: float) -> list[tuple[tuple[float, float], str]]:
    """Labels of the energies, neighbours in one."""
    groups: list[list[int]] = []
    for k, energy in enumerate(plan.energies):
        if groups and energy - plan.energies[groups[-1][-1]] < apart:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [
        (
            (float(plan.energies[some[0]]), float(plan.energies[some[-1]])),
            ", ".join(f"{plan.energies[k]:.1f}" for k in some)
            + "\n"
            + ", ".join(percent(dose[k]) for k in some),
        )
        for some in groups
    ]


def _numbers(ax: Axes, plan: Plan, others: Sequence[Plan]) -> None:
    """Error against the number of energies, and what it is compared with."""
    every = {one.energies.size: one for one in [*others, plan]}
    numbers = sorted(every)
    lines = {
        "features" if name.startswith("features") else name.removeprefix("a "): one.rms
        for name, one in plan.compared.items()
    }
    left, right = min(numbers) - 0.5, max(numbers) + 0.5
    for k, (name, value) in enumerate(lines.items()):
        colour = CATEGORIES[(1, 2, 3, 5)[k % 4]]
        ax.axhline(value, color=colour, linestyle=("dashed", "dashdot", "dotted")[k % 3])
        _beside(ax, name, right, value, 2.5, colour)
    ax.plot(numbers, [every[n].rms for n in numbers], "o-", color=CATEGORIES[0])
    ax.plot(plan.energies.size, plan.rms, "o", color=INK, markersize=5)
    if np.isfinite(plan.bound):
        ax.axhline(plan.bound, color="0.6", linewidth=0.8, zorder=0)
        _beside(ax, "no set gives less", right, plan.bound, -8.5, "0.4")
    high = max([one.rms for one in every.values()] + list(lines.values()))
    ax.set(
        title="How many energies?",
        xlabel="number of energies",
        xticks=numbers,
        ylabel="sd of composition",
        ylim=(0, 1.2 * high),
        xlim=(left, right),
    )


def _beside(ax: Axes, text: str, x: float, y: float, up: float, colour: str) -> None:
    """A name at the right end of a line, above or below it."""
    ax.annotate(
        text,
        (x, y),
        xytext=(0, up),
        textcoords="offset points",
        ha="right",
        color=colour,
        fontsize=6.5,
    )


def _sources(ax: Axes, plan: Plan) -> None:
    """Where the error comes from."""
    parts = plan.by_source
    names = list(SOURCES)[::-1]
    ax.barh([SOURCES[n] for n in names], [parts[n] for n in names], color=CATEGORIES[0], height=0.6)
    for place, name in enumerate(names):
        ax.annotate(
            f"{parts[name]:.4f}",
            (parts[name], place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
        )
    ax.set(
        title="What makes the error?",
        xlabel="sd of composition",
        xlim=(0, 1.35 * max(parts.values())),
    )
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(axis="y", length=0)


def _thicknesses(ax: Axes, plan: Plan) -> None:
    """Error against thickness, at the same dose and with the same photons."""
    amount, what, unit = amount_of(plan.expected)
    peak = float(plan.highest_od.max())
    factors = np.geomspace(THINNEST, max(1.0, min(THICKEST, THICKEST_OD / peak)), 40)
    at_dose = sd_against_thickness(plan, factors)
    at_photons = sd_against_thickness(plan, factors, hold="photons")
    axis = factors * amount
    for limit, shade in ((THICK_OD, "0.93"), (TOO_THICK_OD, "0.85")):
        start = limit / peak * amount
        if start < axis[-1]:
            ax.axvspan(max(start, axis[0]), axis[-1], color=shade, zorder=0, linewidth=0)
    ax.loglog(axis, at_dose, color=CATEGORIES[0], label="same dose")
    ax.loglog(axis, at_photons, color=CATEGORIES[1], linestyle="dashed", label="same photons")
    ax.plot(amount, plan.rms, "o", color=INK, markersize=5, label="this plan")
    for side in (ax.xaxis, ax.yaxis):
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter("{x:g}")
        side.set_minor_locator(NullLocator())
    ax.set(
        title="How thick?",
        xlabel=f"{with_units(what, unit)}\ngrey: OD above {THICK_OD:g} and {TOO_THICK_OD:g}",
        ylabel="sd of composition",
        xlim=(axis[0], axis[-1]),
    )
    ax.legend(loc="upper right")


def percent(share: float) -> str:
    """A share in whole per cent; little is not nothing.

    Examples
    --------
    >>> percent(0.256), percent(0.002)
    ('26%', '<1%')
    """
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def plan_html(
    plan: Plan,
    figure: Figure,
    *,
    title: str,
    flux: float,
    others: Sequence[Plan] = (),
    validation: Subsampling | None = None,
) -> str:
    """The plan on one page of A4, without scripts and without requests.

    Parameters
    ----------
    plan : Plan
    figure : Figure
        Of `plan_figure`.
    title : str
    flux : float
        Photons per second on a pixel.
    others : sequence of Plan
        Best plans with other numbers of energies.
    validation : Subsampling, optional
        What the same energies of a stack gave.

    Returns
    -------
    str
        HTML.
    """
    room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    room.filters["formulae"] = formula_html
    template = files("chemoscape.report").joinpath("plan.html").read_text(encoding="utf-8")
    dwell = plan.dwell_ms(flux)
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
        assumed=_assumed(plan, flux),
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
            for name, one in [*_as_numbers(plan, others), *plan.compared.items()]
        ],
        cautions=[f"{one[0].upper()}{one[1:]}." for one in cautions(plan)],
        best=_best_thickness(plan),
        validation=None if validation is None else f"{validation}.",
        picture=base64.b64encode(figure_png(figure, dpi=200)).decode("ascii"),
        version=__version__,
    )


def _as_numbers(plan: Plan, others: Sequence[Plan]) -> list[tuple[str, Plan]]:
    """Other numbers of energies, by name."""
    return [
        (f"best {one.energies.size}: {', '.join(f'{e:.1f}' for e in one.energies)} eV", one)
        for one in others
        if one.energies.size != plan.energies.size
    ]


def _assumed(plan: Plan, flux: float) -> list[tuple[str, str]]:
    """What the plan rests on."""
    amount, what, unit = amount_of(plan.expected)
    nuisance = plan.nuisance
    offset = "unknown" if np.isinf(nuisance.offset_sd) else f"± {nuisance.offset_sd:g}"
    x = plan.expected.composition
    return [
        ("Sample", f"{len(x)} mixtures from {x.min():g} to {x.max():g}, {what} {amount:g} {unit}"),
        (
            "Beam",
            f"{_power(flux)} photons/s on a pixel of {1e3 * plan.pixel_um:g} nm, "
            f"{plan.efficiency:.0%} of them counted",
        ),
        (
            "Errors (1 sd)",
            f"energy of an image {1e3 * nuisance.energy_sd_eV:g} meV, calibration "
            f"{1e3 * nuisance.calibration_sd_eV:g} meV, optical density {offset}, incident beam "
            f"{nuisance.i0_sd:.1%}",
        ),
    ]


def _best_thickness(plan: Plan) -> str:
    """The thickness at which the same dose tells most."""
    best = best_thickness(plan)
    amount, what, unit = amount_of(best.expected)
    text = f"At this dose the error is least ({best.rms:.4f}) at a {what} of {amount:.3g} {unit}"
    high = float(best.highest_od.max())
    if high > THICK_OD:
        within = f"{THICK_OD / high * amount:.3g} {unit}".strip()
        text += f", but the optical density exceeds {THICK_OD:g} beyond {within}"
    return text.replace(" ,", ",").strip()


def _power(value: float) -> str:
    """A large number for readers.

    Examples
    --------
    >>> _power(2.5e8), _power(900.0)
    ('2.5·10⁸', '900')
    """
    mantissa, exponent = f"{value:.2e}".split("e")
    if abs(int(exponent)) < 4:
        return f"{value:.3g}"
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(mantissa):g}·10{raised}"


def _number(value: float, form: str = ".3g") -> str:
    return format(value, form) if np.isfinite(value) else "not known"


__all__ = ["cautions", "plan_figure", "plan_html", "purposes"]
