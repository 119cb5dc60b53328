"""What is known of a standard beside its spectrum: who answers for it, the sample, the measurement.

Everything here is optional: a text that is not known is ``""``, a number that is not known NaN.
Each field names the line of an XDI header that holds it (its *tag*), and its unit; XDI's own tags
are used where it has one.
"""
# ruff: noqa: RUF009  (what is called in the classes are makers of dataclass fields)

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np

Status = Literal["draft", "reviewed", "rejected"]
STATUSES = get_args(Status)


def _text(tag: str, default: str = "") -> Any:
    return field(default=default, metadata={"tag": tag})


def _number(tag: str, unit: str = "") -> Any:
    return field(default=np.nan, metadata={"tag": tag, "unit": unit})


@dataclass(frozen=True)
class Identity:
    """Which version this is, how far it was reviewed and by whom, and how it may be used."""

    version: str = _text("Standard.version", "1")
    status: Status = _text("Standard.status", "draft")
    reviewer: str = _text("Standard.reviewer")
    licence: str = _text("Standard.licence")
    doi: str = _text("Standard.doi")


@dataclass(frozen=True)
class Sample:
    """The substance: phase, how its composition is known, how it was made, and how it lay.

    ``polarisation`` is the beam's electric field (``"linear, 90 deg from the image's x"``),
    ``particle_axis`` the crystal axis or long side of the particle in the image: linear dichroism
    makes two orientations of a phase two standards, which differ in nothing but these.
    """

    name: str = _text("Sample.name")
    phase: str = _text("Standard.phase")
    value_known_by: str = _text("Standard.value_known_by")
    density_source: str = _text("Sample.density_source")
    preparation: str = _text("Sample.prep")
    handling: str = _text("Sample.handling")
    orientation: str = _text("Sample.orientation")
    particle_axis: str = _text("Sample.particle_axis")
    polarisation: str = _text("Beamline.polarisation")


@dataclass(frozen=True)
class Measurement:
    """Where and how the spectrum was measured. ``max_od`` is the highest optical density met."""

    edges: str = _text("Standard.edges")
    facility: str = _text("Facility.name")
    beamline: str = _text("Beamline.name")
    date: str = _text("Scan.start_time")
    mode: str = _text("Measurement.mode")
    detector: str = _text("Measurement.detector")
    dwell_ms: float = _number("Measurement.dwell", "ms")
    n_pixels: float = _number("Measurement.pixels")
    resolution_eV: float = _number("Measurement.resolution", "eV")
    i0: str = _text("Measurement.i0")
    corrections: str = _text("Measurement.corrections")
    max_od: float = _number("Measurement.max_od")


@dataclass(frozen=True)
class Calibration:
    """What the energy axis rests on: the anchor feature, where a source puts it, and the shift.

    ``reference`` is who says so; ``shift_eV`` was added to the energies of the measurement, in all
    calibrations together.
    """

    anchor: str = _text("Calibration.anchor")
    anchor_eV: float = _number("Calibration.anchor_energy", "eV")
    reference: str = _text("Calibration.reference")
    shift_eV: float = _number("Calibration.shift", "eV")
    uncertainty_eV: float = _number("Calibration.uncertainty", "eV")


@dataclass(frozen=True)
class Scaling:
    """How an optical density became a mass absorption: ``od = areal_mass * mu_mass + constant``.

    ``uncertainty`` is the relative standard deviation of `areal_mass` by noise, background and fine
    structure together. ``background_od`` is the slope that may have lain unseen under the spectrum
    (standard deviation, optical density at the ends of its range), ``background`` what it does to
    `areal_mass`. ``table_difference`` is what another table would give, with its sign, relative.
    """

    table: str = _text("Scale.table")
    windows: str = _text("Scale.windows")
    areal_mass: float = _number("Scale.areal_mass", "g/cm2")
    constant: float = _number("Scale.constant")
    uncertainty: float = _number("Scale.uncertainty")
    background: float = _number("Scale.background")
    background_od: float = _number("Scale.background_od")
    table_difference: float = _number("Scale.table_difference")


@dataclass(frozen=True)
class Evidence:
    """Why it is believed to be this phase, and nothing else.

    ``cif`` and ``pxrd`` are files of the library's folder. The stack it was taken from: ``rank``
    components above noise (1 for one substance; empty pixels not counted), ``second_component``
    the size of the second relative to the first (rms), ``clusters`` the spectra that k-means
    separates, ``lcf`` the best fit by the library's other standards.
    """

    cif: str = _text("Evidence.cif")
    pxrd: str = _text("Evidence.pxrd")
    lattice: str = _text("Evidence.lattice")
    space_group: str = _text("Evidence.space_group")
    r_wp: float = _number("Evidence.r_wp")
    rank: float = _number("Evidence.rank")
    second_component: float = _number("Evidence.second_component")
    clusters: float = _number("Evidence.clusters")
    lcf: str = _text("Evidence.lcf")
    peaks: str = _text("Evidence.peaks")


@dataclass(frozen=True)
class Record:
    """All that is known of a standard beside its spectrum.

    ``remarks`` is free text of any number of lines.

    Examples
    --------
    >>> record = Record(Identity(status="reviewed", reviewer="A. Reader"))
    >>> record.with_(anchor="O2 pi*", anchor_eV=530.9).calibration.anchor
    'O2 pi*'
    """

    identity: Identity = Identity()
    sample: Sample = Sample()
    measurement: Measurement = Measurement()
    calibration: Calibration = Calibration()
    scaling: Scaling = Scaling()
    evidence: Evidence = Evidence()
    remarks: str = ""

    def with_(self, **changes: Any) -> Record:
        """The record with some fields changed, whichever part they belong to.

        Raises
        ------
        TypeError
            No part has a field of that name.
        """
        parts: dict[str, Any] = {}
        left = dict(changes)
        if "remarks" in left:
            parts["remarks"] = left.pop("remarks")
        for part in PARTS:
            mine = {f.name for f in fields(getattr(self, part))}
            inside = {name: left.pop(name) for name in list(left) if name in mine}
            if inside:
                parts[part] = replace(getattr(self, part), **inside)
        if left:
            raise TypeError(f"a record has no field {sorted(left)[0]!r}")
        return replace(self, **parts)


#: Names of the parts of a record.
PARTS = tuple(f.name for f in fields(Record) if f.name != "remarks")
