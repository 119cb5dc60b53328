"""The plan for a beamtime in words: what each image is for, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemoscape.few_energies.alternatives import UNSATURATED
from chemoscape.few_energies.budget import THICK_OD, TOO_THICK_OD, best_thickness
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.plan import Plan
from chemoscape.few_energies.requirements import fewest_energies
from chemoscape.few_energies.strangers import Stranger

#: An image before the edge has less than this share of the highest optical density.
BEFORE_EDGE = 0.1
#: An image whose optical density follows composition by less than this share of the best tells of
#: the amount of sample.
FLAT = 0.3
#: No calibration is asked for that is looser than this, eV: spectra are straight no further.
LOOSEST_EV = 0.1


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


def saturation(plan: Plan) -> str:
    """At which energies a sample lets too little light through, and what avoiding them costs."""
    thick = plan.highest_od > THICK_OD
    black = plan.highest_od > TOO_THICK_OD
    places = []
    for words, some in (("next to no light", black), ("little light", thick & ~black)):
        found = zip(plan.energies[some], plan.highest_od[some], strict=True)
        where = ", ".join(f"{energy:.1f} eV (OD {od:.1f})" for energy, od in found)
        places += [f"{words} comes through at {where}"] if where else []
    if not places:
        return ""
    cost = ", or plan for a thinner sample"
    thin = plan.compared.get(UNSATURATED)
    if thin is not None:
        energies = ", ".join(f"{one:.1f}" for one in thin.energies)
        cost = f" ({energies} eV instead): sd {thin.rms:.4f} at the same dose, not {plan.rms:.4f}"
    return (
        f"{' and '.join(places)}, so that stray light and higher orders make the optical density "
        f"too small; --highest-od {THICK_OD:g} leaves such energies out{cost}"
    )


def unnoticed(others: Sequence[Stranger], guard_eV: float | None = None) -> str:
    """Which substances would pass for a mixture of the standards, where the images can tell at
    all, and the image that would show them.
    """
    silent = [one for one in others if not one.noticed and np.isfinite(one.chance)]
    if not silent:
        return ""
    seen = ", ".join(
        f"{one.label.removesuffix(' (synthetic)')} (seen as {one.composition:.2f})"
        for one in silent
    )
    advice = "be sure by a full spectrum"
    if guard_eV is not None:
        advice += f", or add an image at {guard_eV:.1f} eV (--always), which would show it"
    return f"these images would not show that the sample is something else: {seen}; {advice}"


def shifted(energy_shift_eV: float, file: str) -> str:
    """Where the plan's energies lie on the axis of an overview."""
    return (
        f"the energies are those of the library; on the axis of {file} add {energy_shift_eV:+.3f} "
        "eV to each"
    ).replace("-", "−")


def no_check(plan: Plan) -> str:
    """Whether there are so few images that they fit any mixture."""
    if plan.energies.size > fewest_energies(plan.expected, plan.nuisance):
        return ""
    free = " and a free constant" if np.isinf(plan.nuisance.offset_sd) else ""
    return (
        f"{plan.energies.size} images fit any mixture of {len(plan.expected.library.names)} "
        f"standards{free} perfectly: a third substance, damage or drift goes unnoticed; one image "
        "more costs little and shows them"
    )


def cautions(
    plan: Plan, others: Sequence[Stranger] = (), guard_eV: float | None = None
) -> list[str]:
    """What the person at the beamline should know, in plain words.

    `others` are the library's other standards, as the images would show them, `guard_eV` an image
    that would tell them.
    """
    share = plan.expected.share
    per_eV = float(
        np.sqrt(share @ (plan.sensitivity * plan.expected.slope(plan.energies)).sum(axis=1) ** 2)
    )
    per_od = float(np.sqrt(share @ plan.sensitivity.sum(axis=1) ** 2))
    said = [one for one in (saturation(plan), unnoticed(others, guard_eV)) if one]
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
    if no_check(plan):
        said.append(no_check(plan))
    said.append(
        "energies that lie close together count as independent settings of the monochromator; if "
        "yours repeats its errors, they count as one"
    )
    if np.isfinite(plan.skin_MGy) and plan.skin_MGy > 1.5 * plan.dose_MGy:
        said.append(
            f"where the beam enters, the dose is {plan.skin_MGy:.0f} MGy: the sample shades itself"
        )
    return said


def amount_of(expected: Expected) -> tuple[float, str, str]:
    """How much sample there is: number, what it is, unit."""
    if expected.peak_od is not None:
        return expected.peak_od, "highest optical density", ""
    if expected.areal_mass is not None:
        return expected.areal_mass, "areal mass", "µg/cm²"
    return expected.thickness_nm or np.nan, "thickness", "nm"


def assumed(plan: Plan, flux: float) -> list[tuple[str, str]]:
    """What the plan rests on."""
    amount, what, unit = amount_of(plan.expected)
    nuisance = plan.nuisance
    offset = "unknown" if np.isinf(nuisance.offset_sd) else f"± {nuisance.offset_sd:g}"
    x = plan.expected.composition
    return [
        ("Sample", f"{len(x)} mixtures from {x.min():g} to {x.max():g}, {what} {amount:g} {unit}"),
        (
            "Beam",
            f"{power(flux)} photons/s on a pixel of {1e3 * plan.pixel_um:g} nm, "
            f"{plan.efficiency:.0%} of them counted",
        ),
        (
            "Errors (1 sd)",
            f"energy of an image {1e3 * nuisance.energy_sd_eV:g} meV, calibration "
            f"{1e3 * nuisance.calibration_sd_eV:g} meV, optical density {offset}, incident beam "
            f"{nuisance.i0_sd:.1%}",
        ),
    ]


def thickness_advice(plan: Plan) -> str:
    """The thickness at which the same dose tells most."""
    best = best_thickness(plan)
    amount, what, unit = amount_of(best.expected)
    text = f"At this dose the error is least ({best.rms:.4f}) at a {what} of {amount:.3g} {unit}"
    high = float(best.highest_od.max())
    if high > THICK_OD:
        within = f"{THICK_OD / high * amount:.3g} {unit}".strip()
        text += f", but the optical density exceeds {THICK_OD:g} beyond {within}"
    return text.replace(" ,", ",").strip()


def percent(share: float) -> str:
    """A share in whole per cent; little is not nothing.

    Examples
    --------
    >>> percent(0.256), percent(0.002)
    ('26%', '<1%')
    """
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def power(value: float) -> str:
    """A large number for readers.

    Examples
    --------
    >>> power(2.5e8), power(900.0)
    ('2.5·10⁸', '900')
    """
    mantissa, exponent = f"{value:.2e}".split("e")
    if abs(int(exponent)) < 4:
        return f"{value:.3g}"
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(mantissa):g}·10{raised}"
