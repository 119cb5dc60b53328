"""Checks of one standard: what is known of it, who answers for it, its spectrum, its substance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chemoscape.curation.calibrating import anchor_residual
from chemoscape.curation.diffraction import check_pattern
from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import parts_of
from chemoscape.curation.purity import NOTABLE
from chemoscape.curation.shape import (
    check_flat_top,
    check_noise,
    check_optical_density,
    check_range,
    check_step,
)
from chemoscape.curation.substance import (
    check_molar_mass,
    check_structure,
    check_table,
    check_value,
)
from chemoscape.errors import ChemoscapeError
from chemoscape.standards.standard import Standard

#: The energy axis should be known to this, eV.
CALIBRATION_EV = 0.05
#: An anchor found again may be off by this much: noise, and the steps of the axis, eV.
ANCHOR_EV = 0.1


def check_standard(
    standard: Standard, variable: str = "", licence: str = "", folder: Path | None = None
) -> tuple[Finding, ...]:
    """All checks of a standard that need no other.

    Parameters
    ----------
    standard : Standard
    variable : str
        What its value means, as in ``"x in LixV2O5"``.
    licence : str
        Of its library, where it has none of its own.
    folder : Path, optional
        Where its evidence lies.

    Returns
    -------
    tuple of Finding
        A field that is missing fails a standard that was reviewed, and is a warning in a draft. Of
        a synthetic or calculated spectrum nothing is asked that only a measurement can have.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> one = open_library("lixv2o5-model").standards[1]
    >>> [found.check for found in check_standard(one, "x in LixV2O5") if found.verdict != "pass"]
    []
    """
    parts = parts_of(standard)
    findings = [
        check_kind(standard),
        check_status(standard),
        check_fields(standard, licence),
        check_range(standard, parts),
        check_step(standard, parts),
        check_flat_top(standard),
        check_noise(standard, parts),
        check_value(standard, variable),
        check_molar_mass(standard),
        check_table(standard, parts),
        check_scale_error(standard),
        check_structure(standard, folder),
        check_pattern(standard, folder),
        check_anchor(standard),
    ]
    of_measurement = [
        check_optical_density(standard, parts),
        check_calibration(standard),
        check_orientation(standard),
        check_rank(standard),
    ]
    if not measured(standard):
        of_measurement = [one for one in of_measurement if one.number is not None]
    return tuple(one for one in (*findings, *of_measurement) if one is not None)


def measured(standard: Standard) -> bool:
    """Whether a spectrum claims to come from a measurement."""
    return standard.kind in ("measured", "mixture")


def lacking(standard: Standard) -> Verdict:
    """Verdict on something that is missing: a draft may still get it."""
    return "fail" if standard.record.identity.status == "reviewed" else "warn"


def check_kind(standard: Standard) -> Finding:
    """Says so when a spectrum was not measured."""
    told = {
        "synthetic": "SYNTHETIC: a model, to learn, test and demonstrate, never as evidence",
        "calculated": "CALCULATED: by theory, not measured",
    }
    return Finding(
        standard.id, "kind", "pass", detail=told.get(standard.kind, f"a {standard.kind} spectrum")
    )


def check_status(standard: Standard) -> Finding:
    """Whether somebody answers for it: rejected standards fail, as do reviews without a name."""
    identity = standard.record.identity
    if identity.status == "rejected":
        return Finding(
            standard.id,
            "status",
            "fail",
            remedy="leave it out of the library",
            detail="it was rejected" + (f" by {identity.reviewer}" if identity.reviewer else ""),
        )
    if identity.status == "reviewed" and not identity.reviewer:
        return Finding(
            standard.id,
            "status",
            "fail",
            remedy="set its reviewer, or call it a draft",
            detail="reviewed, it is not said by whom",
        )
    if identity.status == "draft" and measured(standard):
        return Finding(
            standard.id,
            "status",
            "warn",
            remedy="let a second person look at it, and set its status and reviewer",
            detail="a draft",
        )
    by = f" by {identity.reviewer}" if identity.reviewer else ""
    return Finding(standard.id, "status", "pass", detail=identity.status + by)


def check_fields(standard: Standard, licence: str = "") -> Finding:
    """What must be known of a standard for others to use it."""
    record = standard.record
    known = {
        "formula": bool(standard.formula),
        "value": bool(np.isfinite(standard.value)),
        "licence": bool(record.identity.licence or licence),
        "source": bool(standard.source),
        "edges": bool(record.measurement.edges),
    }
    if standard.scale == "mass_absorption":
        known["density"] = bool(np.isfinite(standard.density))
    if measured(standard):
        known["facility"] = bool(record.measurement.facility)
        known["beamline"] = bool(record.measurement.beamline)
    missing = [name for name, there in known.items() if not there]
    return Finding(
        standard.id,
        "required fields",
        lacking(standard) if missing else "pass",
        number=float(len(missing)),
        unit="missing",
        threshold="0 missing",
        remedy="write them: chemoscape standards set" if missing else "",
        detail=f"without {', '.join(missing)}" if missing else "",
    )


def check_calibration(standard: Standard) -> Finding:
    """The energy axis known to 0.05 eV, and what it rests on told."""
    calibration = standard.record.calibration
    sd, anchor = calibration.uncertainty_eV, calibration.anchor or calibration.reference
    problems = []
    if not np.isfinite(sd):
        problems.append("its uncertainty is not known")
    elif sd > CALIBRATION_EV:
        problems.append("0.1 eV is worth 0.05 in x")
    if not anchor:
        problems.append("no anchor is stated")
    return Finding(
        standard.id,
        "calibration",
        lacking(standard) if problems else "pass",
        number=float(sd) if np.isfinite(sd) else None,
        unit="eV",
        threshold=f"<= {CALIBRATION_EV} eV",
        remedy="put it onto a feature of known energy: chemoscape standards calibrate"
        if problems
        else "",
        detail="; ".join([*problems, f"by {anchor}" if anchor else ""]).strip("; "),
    )


def check_anchor(standard: Standard) -> Finding | None:
    """The anchor still where the record says, None where it names no feature of the spectrum."""
    allowed = max(ANCHOR_EV, 3 * float(np.nan_to_num(standard.record.calibration.uncertainty_eV)))
    remedy = "calibrate it again: chemoscape standards calibrate"
    wanted = f"<= {allowed:.2g} eV"
    try:
        off = anchor_residual(standard)
    except ChemoscapeError as error:
        return Finding(
            standard.id, "anchor", "fail", threshold=wanted, remedy=remedy, detail=error.what
        )
    if off is None:
        return None
    away = abs(off) > allowed
    return Finding(
        standard.id,
        "anchor",
        "fail" if away else "pass",
        number=off,
        unit="eV",
        threshold=wanted,
        remedy=remedy if away else "",
        detail=f"{standard.record.calibration.anchor}, which is to be at "
        f"{standard.record.calibration.anchor_eV:g} eV",
    )


def check_scale_error(standard: Standard) -> Finding | None:
    """How well the mass scale is known, without which composition's error lacks a part."""
    if standard.scale != "mass_absorption":
        return None
    sd = standard.record.scaling.uncertainty
    known = bool(np.isfinite(sd))
    return Finding(
        standard.id,
        "scale error",
        "pass" if known else "not known",
        number=100 * float(sd) if known else None,
        unit="%",
        remedy="" if known else "make it by chemoscape standards scale, or set its uncertainty",
        detail="" if known else "errors of composition take it as exact",
    )


def check_orientation(standard: Standard) -> Finding:
    """Linear dichroism is taken for chemistry where nobody wrote down how the crystal lay."""
    sample = standard.record.sample
    fields = {
        "orientation": sample.orientation,
        "polarisation": sample.polarisation,
    }
    missing = [name for name, text in fields.items() if not text]
    return Finding(
        standard.id,
        "orientation",
        "not known" if missing else "pass",
        remedy=f"set its {' and '.join(missing)}" if missing else "",
        detail="" if missing else "; ".join(fields.values()),
    )


def check_rank(standard: Standard) -> Finding:
    """One component above noise in the stack it was taken from.

    Finds 1 % of foreign pixels; of a uniform mixture it sees nothing. Stacks of high counts show
    what is left of drift and of saturation, too: further components below 1 % of the first only
    warn.
    """
    rank = standard.record.evidence.rank
    second = standard.record.evidence.second_component
    wanted = "1 component"
    if not np.isfinite(rank):
        return Finding(
            standard.id,
            "rank",
            "not known",
            unit="components",
            threshold=wanted,
            remedy="take it from a stack (of pixels that do not share noise)",
        )
    verdict: Verdict = "pass" if rank == 1 else "warn" if second < NOTABLE else "fail"
    size = f", the second {100 * second:.2g} % of the first" if rank > 1 and second > 0 else ""
    return Finding(
        standard.id,
        "rank",
        verdict,
        number=float(rank),
        unit="components",
        threshold=wanted,
        remedy="" if rank == 1 else "take it from a smaller region, of one substance",
        detail=f"in the stack it was taken from{size}",
    )
