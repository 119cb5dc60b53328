"""Checks of one spectrum by itself: range, step, optical density, flat top, noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import ABOVE_EV, Parts, noise_sd, spaced
from chemoscape.standards.atomic import Edge
from chemoscape.standards.standard import Standard

LEAST_PRE, LEAST_POST = 3, 4
#: Largest step (eV) in an edge, unless half the natural width of its core level is more.
STEP_EV = 0.3
OD_WARNING, OD_ERROR = 1.5, 2.2
#: Width of the highest peak 5 % below its top over that 30 % below: 0.35 to 0.41 for a Lorentzian,
#: a Gaussian, a parabola; 0.44 at most in measured white lines at 1 % noise; 1 for a box.
FLAT_TOP = 0.5
#: A peak this much higher than the post-edge is a white line.
_WHITE_LINE = 1.5
#: Noise over the edge step, and over the highest peak.
NOISE_WARNING, NOISE_ERROR = 0.01, 0.05
#: A spectrum whose edge step is one within this was normalised: its values are no optical density,
#: nor are any as large as the other.
_NORMALISED, _NO_DENSITY = 0.05, 10.0
#: What to do where only the shape of a spectrum says that its film was too thick.
TOO_THICK = "look up the highest optical density of the measurement, and measure a thinner sample"
_REDO = "measure it again over the whole edge, with a flat pre-edge and post-edge"


def check_range(standard: Standard, parts: Parts) -> Finding:
    """At least 3 energies before the edges and 4 behind them, 0.2 eV apart or more."""
    n_pre = spaced(standard.energy[parts.pre])
    n_post = spaced(standard.energy[parts.post])
    short = [
        f"{n} energies {side} the {edge} edge, {least} are needed"
        for n, least, side, edge in (
            (n_pre, LEAST_PRE, "before", "first"),
            (n_post, LEAST_POST, "after", "last"),
        )
        if n < least
    ]
    names = ", ".join(f"{edge.name} {edge.energy:.1f}" for edge in parts.edges)
    where = f"{standard.energy[0]:.1f} to {standard.energy[-1]:.1f} eV"
    seen = f"{where}, edges {names} eV" if names else f"{where}, no edge known: judged by its rise"
    return Finding(
        standard.id,
        "energy range",
        "pass" if not short else "fail" if parts.edges else "warn",
        number=float(min(n_pre - LEAST_PRE, n_post - LEAST_POST)),
        unit="energies to spare",
        threshold=f">= 0 ({LEAST_PRE} before, {LEAST_POST} after)",
        remedy=_REDO if short else "",
        detail="; ".join([*short, seen]),
    )


def check_step(standard: Standard, parts: Parts) -> Finding:
    """Steps no wider than 0.3 eV, or half the natural width, where an edge has its structure."""
    energy = standard.energy
    worst, limit, where = 0.0, STEP_EV, ""
    for low, high, allowed, name in _structures(standard, parts):
        touched = (energy[1:] > low) & (energy[:-1] < high)
        steps = np.diff(energy)[touched]
        if steps.size and steps.max() / allowed > worst / limit:
            worst, limit, where = float(steps.max()), allowed, name
    if not where:
        return Finding(
            standard.id, "energy step", "not known", remedy=_REDO, detail="covers no edge"
        )
    ratio = worst / limit - 1e-6
    return Finding(
        standard.id,
        "energy step",
        "pass" if ratio <= 1 else "warn" if ratio <= 2 else "fail",
        number=worst,
        unit="eV",
        threshold=f"<= {limit:.2g} eV",
        remedy="" if ratio <= 1 else "measure it again with finer steps in the edge",
        detail=f"widest step at {where}",
    )


def _structures(standard: Standard, parts: Parts) -> Iterator[tuple[float, float, float, str]]:
    """Range of each edge's structure, the step allowed there, and a name."""
    if not parts.edges:
        peak = float(standard.energy[standard.spectrum.argmax()])
        yield parts.onset - 2, peak + ABOVE_EV, STEP_EV, "the onset"
    for edge in parts.edges:
        yield edge.energy - _reach_below(edge), edge.energy + 8, allowed_step(edge), edge.name


def _reach_below(edge: Edge) -> float:
    """How far below its tabulated energy an edge's structure begins, eV."""
    return 15.0 if edge.name.endswith(" K") and edge.energy < 1000 else 3.0


def allowed_step(edge: Edge) -> float:
    """Widest step (eV) that does an edge justice."""
    return max(STEP_EV, edge.width / 2) if np.isfinite(edge.width) else STEP_EV


def check_optical_density(standard: Standard, parts: Parts) -> Finding:
    """Highest optical density met: beyond 1.5 stray light counts, beyond 2.2 it rules."""
    scaling, known = standard.record.scaling, {}
    if np.isfinite(standard.record.measurement.max_od):
        known["the record"] = standard.record.measurement.max_od
    if standard.optical_density is not None:
        known["its optical densities"] = float(np.nanmax(standard.optical_density))
    if standard.scale == "optical_density":
        highest = float(standard.spectrum.max())
        normalised = abs(edge_step(standard, parts) - 1) <= _NORMALISED
        if not normalised and highest < _NO_DENSITY:
            known["the spectrum, if that was not normalised"] = highest
    elif np.isfinite(scaling.areal_mass):
        constant = scaling.constant if np.isfinite(scaling.constant) else 0.0
        mass = scaling.areal_mass
        known["its areal mass"] = float(mass * standard.spectrum.max() + constant)
    if not known:
        return Finding(
            standard.id,
            "optical density",
            "not known",
            threshold=f"<= {OD_WARNING}",
            remedy="write Measurement.max_od",
            detail="neither recorded nor to be had from its columns",
        )
    source = max(known, key=lambda key: known[key])
    highest = known[source]
    verdict: Verdict = "fail" if highest > OD_ERROR else "warn" if highest > OD_WARNING else "pass"
    return Finding(
        standard.id,
        "optical density",
        verdict,
        number=highest,
        threshold=f"<= {OD_WARNING}, never > {OD_ERROR}",
        remedy=""
        if verdict == "pass"
        else "measure a thinner sample: stray light flattens this one",
        detail=f"by {source}",
    )


def check_flat_top(standard: Standard) -> Finding | None:
    """Whether the white line is flattened, as in a film too thick; None without a white line.

    Only gross saturation shows in the shape: a film of optical density 8 with 2 % stray light,
    where 3.5 looks like any other peak.
    """
    energy, spectrum = standard.energy, standard.spectrum
    peak = int(spectrum.argmax())
    base = float(spectrum[: peak + 1].min())
    height = float(spectrum[peak]) - base
    behind = float(np.median(spectrum[-max(4, spectrum.size // 10) :])) - base
    if height <= 0 or height < _WHITE_LINE * behind:
        return None
    top, shoulder = (
        width_at(energy, spectrum, peak, spectrum[peak] - share * height) for share in (0.05, 0.3)
    )
    if not np.isfinite(top) or not np.isfinite(shoulder):
        return None
    flatness = top / shoulder
    flat = flatness > FLAT_TOP
    return Finding(
        standard.id,
        "flat top",
        "warn" if flat else "pass",
        number=flatness,
        threshold=f"<= {FLAT_TOP}",
        remedy=TOO_THICK if flat else "",
        detail=f"white line at {energy[peak]:.2f} eV: width 5 % over width 30 % below its top",
    )


def width_at(energy: np.ndarray, spectrum: np.ndarray, peak: int, level: float) -> float:
    """Width (eV) of a peak at a level, between the crossings next to it; NaN without both."""
    below = np.flatnonzero(spectrum <= level)
    left, right = below[below < peak], below[below > peak]
    if not left.size or not right.size:
        return float("nan")

    def crossing(low: int, high: int) -> float:
        share = (level - spectrum[low]) / (spectrum[high] - spectrum[low])
        return float(energy[low] + share * (energy[high] - energy[low]))

    return crossing(right[0], right[0] - 1) - crossing(left[-1], left[-1] + 1)


def check_noise(standard: Standard, parts: Parts) -> Finding:
    """Noise below 1 % of the step from the pre-edge to the post-edge; 5 % of the peak fails."""
    sd = noise_sd(standard, parts)
    step = edge_step(standard, parts)
    if not np.isfinite(sd) or not step > 0:
        what = "its noise cannot be seen" if step > 0 else "has no edge step"
        return Finding(
            standard.id,
            "noise",
            "not known",
            unit="%",
            threshold=f"< {100 * NOISE_WARNING:g} %",
            remedy="give a column of standard deviations, or more energies outside the edges",
            detail=what,
        )
    share = sd / step
    peak = float(standard.spectrum.max() - np.median(standard.spectrum[parts.pre]))
    verdict: Verdict = "warn" if share >= NOISE_WARNING else "pass"
    if sd >= NOISE_ERROR * peak:
        verdict = "fail"
    return Finding(
        standard.id,
        "noise",
        verdict,
        number=100 * share,
        unit="%",
        threshold=f"< {100 * NOISE_WARNING:g} %",
        remedy="" if verdict == "pass" else "average more pixels or measure longer",
        detail=f"of the edge step, {100 * sd / peak:.2g} % of the highest peak",
    )


def edge_step(standard: Standard, parts: Parts) -> float:
    """Rise from the pre-edge to the post-edge (medians), NaN where either is missing."""
    if not parts.pre.any() or not parts.post.any():
        return float("nan")
    after, before = (np.median(standard.spectrum[part]) for part in (parts.post, parts.pre))
    return float(after - before)
