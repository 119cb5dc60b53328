"""Checks of one standard: what is known of it, who answers for it, its spectrum, its substance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import parts_of
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
from chemoscape.standards.standard import Standard

#: The energy axis should be known to this, eV.
CALIBRATION_EV = 0.05


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
        check_structure(standard, folder),
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
            remedy="write Standard.reviewer, or call it a draft",
            detail="reviewed, it is not said by whom",
        )
    if identity.status == "draft" and measured(standard):
        return Finding(
            standard.id,
            "status",
            "warn",
            remedy="let a second person look at it, and write Standard.status and .reviewer",
            detail="a draft",
        )
    by = f" by {identity.reviewer}" if identity.reviewer else ""
    return Finding(standard.id, "status", "pass", detail=identity.status + by)


def check_fields(standard: Standard, licence: str = "") -> Finding:
    """What must be known of a standard for others to use it."""
    record = standard.record
    known = {
        "formula (Sample.stoichiometry)": bool(standard.formula),
        "value (Standard.value)": bool(np.isfinite(standard.value)),
        "licence (Standard.licence)": bool(record.identity.licence or licence),
        "source (Standard.source)": bool(standard.source),
        "edges (Standard.edges)": bool(record.measurement.edges),
    }
    if standard.scale == "mass_absorption":
        known["density (Sample.density)"] = bool(np.isfinite(standard.density))
    if measured(standard):
        known |= {
            "facility (Facility.name)": bool(record.measurement.facility),
            "beamline (Beamline.name)": bool(record.measurement.beamline),
            "calibration (Calibration.source)": bool(record.calibration.source),
            "its uncertainty (Calibration.uncertainty)": bool(
                np.isfinite(record.calibration.uncertainty_eV)
            ),
        }
    missing = [name for name, there in known.items() if not there]
    return Finding(
        standard.id,
        "required fields",
        lacking(standard) if missing else "pass",
        float(len(missing)),
        "missing",
        "0 missing",
        "write them into the header of its file" if missing else "",
        f"without {', '.join(missing)}" if missing else "",
    )


def check_calibration(standard: Standard) -> Finding:
    """The energy axis known to 0.05 eV, and what it rests on told."""
    calibration = standard.record.calibration
    sd, anchor = calibration.uncertainty_eV, calibration.anchor or calibration.source
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
        float(sd) if np.isfinite(sd) else None,
        "eV",
        f"<= {CALIBRATION_EV} eV",
        "calibrate it against a feature of known energy, and write Calibration.anchor, .source "
        "and .uncertainty"
        if problems
        else "",
        "; ".join([*problems, f"by {anchor}" if anchor else ""]).strip("; "),
    )


def check_orientation(standard: Standard) -> Finding:
    """Linear dichroism is taken for chemistry where nobody wrote down how the crystal lay."""
    sample = standard.record.sample
    fields = {
        "Sample.orientation": sample.orientation,
        "Beamline.polarisation": sample.polarisation,
    }
    missing = [tag for tag, text in fields.items() if not text]
    return Finding(
        standard.id,
        "orientation",
        "not known" if missing else "pass",
        remedy=f"write {' and '.join(missing)}" if missing else "",
        detail="" if missing else "; ".join(fields.values()),
    )


def check_rank(standard: Standard) -> Finding:
    """One component above noise in the stack it was taken from.

    Finds 1 % of foreign pixels; of a uniform mixture it sees nothing.
    """
    rank = standard.record.evidence.rank
    wanted = "1 component"
    if not np.isfinite(rank):
        return Finding(
            standard.id,
            "rank",
            "not known",
            None,
            "components",
            wanted,
            "take it from a stack, with the components counted",
        )
    return Finding(
        standard.id,
        "rank",
        "pass" if rank == 1 else "fail",
        float(rank),
        "components",
        wanted,
        "" if rank == 1 else "take it from a smaller region, of one substance",
        "in the stack it was taken from",
    )
