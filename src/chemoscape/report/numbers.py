"""The key numbers of a run, for its report."""

from __future__ import annotations

from chemoscape.report.words import measured, number
from chemoscape.results import CalibrationSummary, DamageSummary, PixelsSummary, RunSummary

Row = tuple[str, str, str]  # quantity, value, remark


def _by_source(errors: dict[str, float | None]) -> str:
    """Standard deviations, the largest first."""
    known = [(name, sd) for name, sd in errors.items() if sd]
    known.sort(key=lambda one: -one[1])
    return ", ".join(f"{name} {number(sd, '.3f')}" for name, sd in known)


def key_numbers(summary: RunSummary) -> list[Row]:
    """Rows of the table of key numbers: quantity, value, remark."""
    rows: list[Row] = []
    comp = summary.composition
    if comp is not None:
        value = measured(comp.mean_pixel, comp.sd)
        rows.append((f"{comp.variable}, mean of the pixels", value, "± total standard deviation"))
        value = measured(comp.mean_mass_weighted, comp.sd)
        rows.append((f"{comp.variable}, mean by mass", value, "each pixel by its thickness"))
        span = f"{number(comp.p05, '.3f')} to {number(comp.p95, '.3f')}"
        rows.append((f"{comp.variable}, 5th to 95th percentile", span, "of the pixels"))
    shift = summary.energy_shift_eV
    if shift is not None:
        value = f"{measured(shift.value, shift.sd)} eV"
        remark = "E(file) − E(library), corrected for"
        if summary.few_energies is not None:
            remark = "E(file) − E(library), as given: a few images cannot tell it"
        found = summary.calibration
        if found is not None and found.stretch_per_eV:
            places = (f"{e.shift_eV:+.3f} eV at {e.energy_eV:.0f} eV" for e in found.edges)
            remark += "; the axis is stretched: " + ", ".join(places).replace("-", "−")
        rows.append(("Energy shift", value, remark))
    if summary.calibration is not None:
        rows += _calibration_rows(summary.calibration)
    for name, share in summary.groups.items():
        rows.append((f"Group {name}", f"{100 * share:.1f} %", "of the mass, direct route"))
    few = summary.few_energies
    if few is not None:
        images = ", ".join(f"{one:.2f}" for one in few.energies_eV)
        rows.append(("Images", f"{images} eV", f"noise by {few.noise}"))
        for end, cut, beyond in (
            ("below", few.clipped_low, few.beyond_low),
            ("above", few.clipped_high, few.beyond_high),
        ):
            if cut is not None and beyond is not None:
                remark = f"of the sample; {100 * beyond:.1f} % by more than two sd"
                rows.append((f"Cut off {end} the bounds", f"{100 * cut:.1f} %", remark))
        if few.mean_clipped is not None:
            remark = "of the map as shown; the means above are those before it was cut off"
            rows.append(("Mean after cutting off", number(few.mean_clipped, ".3f"), remark))
        if few.sd:
            rows.append(("Error by source", _by_source(few.sd), "rms over the sample"))
        if few.misfit_p is not None:
            remark = "that images of a mixture of these standards depart as much"
            rows.append(("Fit, probability", number(few.misfit_p, ".2g"), remark))
        elif few.sd:
            remark = "as many images as unknowns: any phases would fit"
            rows.append(("Fit", "cannot be tested", remark))
        if few.stxm is not None:
            value = f"{measured(few.stxm.slope, few.stxm.slope_sd)}"
            remark = f"at {few.stxm.energy_eV:.2f} eV; blur {number(few.stxm.blur_fwhm_nm, '.0f')} "
            remark += f"nm, correlation {number(few.stxm.correlation, '.3f')}"
            rows.append(("OD of STXM over that of the image", value, remark))
    for name, region in summary.regions.items():
        remark = f"{region.standards}{', ambiguous' if region.ambiguous else ''}"
        rows.append((f"Region {name}", measured(region.composition, region.sd), remark))
    for name, route in summary.routes.items():
        value = number(route.composition, ".3f")
        remark = f"rms residual {number(route.residual_rms, '.3g')} OD, "
        remark += f"reduced χ² {number(route.reduced_chi2, '.3g')} (medians)"
        rows.append((f"Mean composition, {name} route", value, remark))
    if summary.condition_number is not None:
        remark = "of the standards; above 300 single weights mean little"
        rows.append(("Condition number", number(summary.condition_number, ".3g"), remark))
    if summary.rank is not None:
        counts = summary.rank
        words = (
            ("IND", counts.ind),
            ("Marchenko–Pastur", counts.mp),
            ("F-test", counts.f),
            ("cross-validation", counts.cv),
        )
        known = " · ".join(f"{name} {'–' if count is None else count}" for name, count in words)
        remark = f"99.9 % of the variance would take {counts.cumulative}; shown, not used"
        rows.append(("Independent components", known, remark))
    if summary.drift is not None:
        value = f"{number(summary.drift.rms_px, '.2f')} pixels rms"
        remark = f"largest {number(summary.drift.max_px, '.2f')} pixels"
        if not summary.drift.applied:
            remark += "; too little to matter, nothing was moved"
        if summary.drift.n_replaced:
            remark += f"; {summary.drift.n_replaced} frames not found, interpolated"
        rows.append(("Drift", value, remark))
    by_counts = summary.few_energies is None or summary.few_energies.noise == "counts"
    if by_counts and summary.noise is not None and summary.noise.g is not None:
        remark = f"from: {summary.noise.source}"
        rows.append(("Counts per recorded unit", number(summary.noise.g, ".3g"), remark))
    if summary.units is not None:
        where, _, remark = summary.units.i0_source.partition(", ")
        rows.append(("Incident beam I0", where, remark))
        if summary.units.correction:
            rows.append(("Units of I0 and images", "corrected", summary.units.correction))
    if summary.pixels is not None:
        rows += _pixel_rows(summary.pixels)
    if summary.damage is not None:
        rows += _damage_rows(summary.damage)
    return rows


def _calibration_rows(found: CalibrationSummary) -> list[Row]:
    """What the energy shift is worth, its stretch, and how well the standards fit."""
    rows = []
    if found.composition_per_eV is not None:
        value = f"{found.composition_per_eV / 10:+.3f}".replace("-", "−")
        rows.append(("Composition per 0.1 eV of shift", value, "of the mean by mass"))
    if len(found.edges) == 2 and found.stretch_seen_per_eV is not None:
        (low, high), sd = found.edges, found.stretch_seen_sd
        apart = high.energy_eV - low.energy_eV
        value = f"{measured(found.stretch_seen_per_eV * apart, (sd or 0.0) * apart)} eV"
        used = "used" if found.stretch_per_eV else "not used"
        remark = f"from {low.energy_eV:.0f} to {high.energy_eV:.0f} eV; {used}"
        rows.append(("Stretch of the energy axis", value, remark))
    if found.misfit_scale is not None:
        value = f"{0.02 * found.misfit_scale:.2g} eV, {2 * found.misfit_scale:.2g} %"
        remark = "peaks and heights of the standards against the sample; in the systematic error"
        rows.append(("Misfit of the standards", value, remark))
    return rows


def _pixel_rows(pixels: PixelsSummary) -> list[Row]:
    """Pixels and values out of the ordinary, as far as there are any."""
    rows = []
    if pixels.thick:
        value = f"{100 * pixels.thick / pixels.total:.2g} % of the pixels"
        beyond = f"{100 * (pixels.too_thick or 0) / pixels.total:.2g} %"
        rows.append(("Optical density above 1.5", value, f"above 2.2: {beyond}"))
    for count, name, remark in (
        (pixels.not_positive_values, "Values without a count", "left out"),
        (pixels.despiked_values, "Spikes", "values replaced by their neighbours' median"),
        (pixels.levelled_values, "Lines that jumped", "values of lines that were levelled"),
    ):
        if count:
            rows.append((name, f"{count}", remark))
    return rows


def _damage_rows(damage: DamageSummary) -> list[Row]:
    """Change of the composition during the scan, and the dose."""
    rows = []
    if damage.dx is not None:
        found = "significant" if damage.significant else "no significant change"
        rows.append(
            ("Radiation damage", measured(damage.dx, damage.sd), f"{found}, by {damage.how}")
        )
    if damage.dose_MGy is not None:
        remark = "median over the sample, by the counted photons alone"
        rows.append(("Absorbed dose", f"{damage.dose_MGy:.3g} MGy", remark))
    return rows
