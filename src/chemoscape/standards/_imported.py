"""What a file says of a spectrum, in the words of a standard's record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.formats.spectra import Spectra
from chemoscape.standards.headers import leading_number, record_from
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Scale

_INCIDENT = ("i0",)
_BEHIND = ("itrans", "i1", "it")
LOSS = "electron energy loss"

#: Columns that say what was measured, and not of what.
_QUANTITY = re.compile(
    r"(x?mu|chi|norm|flat|od|optical[ _]density|abs|absorption|absorbance|intensity|signal|y|"
    r"spectrum|values?|data|column \d+)(_?(mass|trans|fluor|norm|flat|\(e\)))*|norm(trans|fluor)",
    re.IGNORECASE,
)

_TAG = re.compile(r"[a-z][\w-]*\.[\w-]+")
_MASS_UNIT = re.compile(r"cm(\^|\*\*)?2/g", re.IGNORECASE)
_EDGE = re.compile(r"[KLMN][1-7]?(,[1-7])*")
_NORMALISED = re.compile(r"(mu)?_?norm(ali[sz]ed)?(trans|fluor)?|.*[ _]norm", re.IGNORECASE)
_FLAT = re.compile(r"(mu)?_?flat(tened)?|.*[ _]flat", re.IGNORECASE)
_ENDINGS = {".nor": "normalised", ".norm": "normalised", ".flat": "normalised and flattened"}
_MODES = {"trans": "transmission", "fluor": "fluorescence"}
_ELECTRONS = ("els", "eels")

_OF_ELECTRONS = "a spectrum of electron energy loss (intensity over loss), not of X-ray absorption"

#: Where a table's header, an HDF5 library or a project says what a field of the record holds.
_FIELDS = {
    "facility": ("facility",),
    "beamline": ("beamline",),
    "detector": ("detector", "det"),
    "preparation": ("sample prep", "sample preparation", "preparation"),
    "name": ("sample", "compound", "mineral", "name"),
    "mode": ("mode",),
    "corrections": ("corrections",),
}
_FORMULAE = ("sample.stoichiometry", "formula", "empirical formula", "compound")
_NUMBERS = ("sample.molar_mass", "sample.density")
_DATES = ("date", "start time", "started")
_REMARKS = ("comment", "annotation")
_FAMILIES = {"Athena project": "athena", "HDF5 library": "library", "EMSA/MAS": "emsa"}
_OURS = ("layout", "header", "unit", "energy_shift_eV")


@dataclass(frozen=True)
class Contents:
    """What a file says of a spectrum."""

    record: Record
    scale: Scale
    formula: str = ""
    molar_mass: float = np.nan
    density: float = np.nan
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def contents_of(one: Spectra) -> Contents:
    """What the file of a spectrum says of it.

    Parameters
    ----------
    one : Spectra
        As `formats.spectra.read_all_spectra` gives it.
    """
    facts = {key: " ".join(str(value).split()) for key, value in one.attrs.items()}
    header = str(one.attrs.get("header", "")).splitlines()
    is_xdi = facts.get("layout") == "XDI"
    tags = {key: text for key, text in facts.items() if _TAG.fullmatch(key)} if is_xdi else {}
    record, metadata = record_from({key: text for key, text in tags.items() if text})
    said = _said(facts, one)
    missing = {key: text for key, text in said.items() if not _holds(record, key)}
    record = record.with_(**missing, remarks=_remarks(facts, header, is_xdi))
    if family := _FAMILIES.get(facts.get("layout", "")):
        metadata |= {
            f"{family}.{re.sub(r'[^a-z0-9_-]', '_', key.lower())}": text
            for key, text in facts.items()
            if key not in _OURS and text
        }
    formula, notes = _formula(facts)
    if not formula and notes:
        metadata["import.formula"] = next(facts[key] for key in _FORMULAE if facts.get(key))
    if not record.measurement.edges and facts.get("edge"):
        metadata["import.edge"] = facts["edge"]
    mass, density = (leading_number(tags.get(tag, "")) for tag in _NUMBERS)
    for tag, number in zip(_NUMBERS, (mass, density), strict=True):
        if tags.get(tag) and np.isnan(number):  # "about 3"
            metadata[f"import.{tag.partition('.')[2]}"] = tags[tag]
    if record.measurement.mode == LOSS:
        notes += (f"it is {_OF_ELECTRONS}",)
        remarks = f"{record.remarks}\nIt is {_OF_ELECTRONS}.".strip()
        record = record.with_(remarks=remarks)
    if shift := facts.get("energy_shift_eV"):
        record = record.with_(shift_eV=float(shift))
        notes += (f"the project's energy shift of {float(shift):+.3f} eV is added",)
    by_mass = bool(_MASS_UNIT.fullmatch(facts.get("unit", ""))) or one.names[0] == "mu_mass"
    return Contents(
        record=record,
        scale="mass_absorption" if by_mass else "optical_density",
        formula=formula,
        molar_mass=mass,
        density=density,
        metadata=metadata,
        notes=notes,
    )


def _said(facts: Mapping[str, str], one: Spectra) -> dict[str, str | float]:
    """Fields of the record that something else than an XDI tag tells."""
    said: dict[str, str | float] = {
        name: text
        for name, keys in _FIELDS.items()
        if (text := next((facts[key] for key in keys if facts.get(key)), ""))
    }
    if edges := _edges(facts.get("element", ""), facts.get("edge", "")):
        said["edges"] = edges
    if date := next((day for key in _DATES if (day := _date(facts.get(key, "")))), ""):
        said["date"] = date
    if np.isfinite(resolution := leading_number(facts.get("resolution_mev", ""))):
        said["resolution_eV"] = resolution / 1000
    if corrections := _corrections(facts, one):
        said.setdefault("corrections", corrections)
    if facts.get("signal", "").lower() in _ELECTRONS:
        said["mode"] = LOSS
    for ending, mode in _MODES.items():
        if re.fullmatch(rf"(mu|norm)_?{ending}", one.names[0], re.IGNORECASE):
            said.setdefault("mode", mode)
    return said


def _holds(record: Record, name: str) -> bool:
    """Whether a field of the record is known already."""
    parts = (record.sample, record.measurement)
    value = next(getattr(part, name) for part in parts if hasattr(part, name))
    return bool(value) if isinstance(value, str) else bool(np.isfinite(value))


def _edges(element: str, edge: str) -> str:
    """``"Cu L3, Cu L2"`` of Cu and ``"L2,3 (2p)"``; "" unless both are known."""
    if not re.fullmatch("[A-Z][a-z]?", element) or not (match := _EDGE.match(edge.strip())):
        return ""
    shell, numbers = match[0][0], match[0][1:].split(",")
    return ", ".join(f"{element} {shell}{number}" for number in sorted(numbers, reverse=True))


def _corrections(facts: Mapping[str, str], one: Spectra) -> str:
    """What was done to the spectrum, as far as words of the file tell."""
    if text := facts.get("post_normalization"):
        return "" if text.lower() == "none" else f"normalised ({text})"
    written = facts.get("demeter.output_filetype", "")
    if "flat" in written.lower():
        return f"normalised and flattened ({written})"
    if "normali" in written.lower():
        return f"normalised ({written})"
    if _FLAT.fullmatch(one.names[0]):
        return f"normalised and flattened (column {one.names[0]})"
    if _NORMALISED.fullmatch(one.names[0]):
        return f"normalised (column {one.names[0]})"
    ending = one.where.suffix.lower()
    return f"{_ENDINGS[ending]} ({ending} file)" if ending in _ENDINGS else ""


def _date(text: str) -> str:
    """A date that is written so that it can be read one way only (ISO, ``14-MAR-2024``), or ""."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return text if re.fullmatch(r"\d{1,2}-[A-Za-z]{3}-\d{4}", text) else ""
    return text


def _formula(facts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Formula that the file gives, if it can be read, and what to say otherwise."""
    given = next((facts[key] for key in _FORMULAE if facts.get(key)), "")
    try:
        molar_mass(given)
    except LibraryError:
        return "", (f"its formula {given!r} cannot be read, and is kept as metadata",)
    return given, ()


def _remarks(facts: Mapping[str, str], header: list[str], is_xdi: bool) -> str:
    """Free text: that of an XDI file, all that stands above another table, or a comment."""
    if is_xdi:
        start = next((k for k, line in enumerate(header) if re.match("[#;] *///", line)), None)
        header = [] if start is None else header[start + 1 :]
        end = next((k for k, line in enumerate(header) if re.match("[#;] *--", line)), len(header))
        header = header[:end]
    if facts.get("layout") == "aXis2000 text":  # name and number of points, which are known
        header = []
    lines = [line.strip('#%;!*" \t').strip() for line in header]
    lines += [facts[key] for key in _REMARKS if facts.get(key)]
    return "\n".join(
        " ".join(line.split()) for line in lines if line and not re.match("--|==", line)
    )


def divided(found: Sequence[Spectra]) -> list[Spectra]:
    """``ln(i0 / itrans)`` of a file that holds these two and nothing but raw signals."""
    by_name = {one.names[0].lower(): one for one in found}
    incident = next((by_name[name] for name in _INCIDENT if name in by_name), None)
    behind = next((by_name[name] for name in _BEHIND if name in by_name), None)
    if incident is None or behind is None or any(one.quantity != "counts" for one in found):
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.log(incident.values / behind.values)
    how = f"ln({incident.names[0]} / {behind.names[0]})"
    attrs = {**behind.attrs, "unit": "", "mode": "transmission", "computed": how}
    return [
        replace(
            behind,
            names=(behind.where.stem,),
            values=density,
            quantity="optical_density",
            attrs=attrs,
            notes=(*behind.notes, f"optical density is {how} of its columns"),
        )
    ]


def needs_i0(one: Spectra, name: str) -> LibraryError:
    """Refusal of a raw signal."""
    return LibraryError(
        f"{name!r} is a raw signal of a detector, or stands beside such, and not an absorption",
        str(one.where),
        "divide it by I0 first (or select it by name if it is one), or export mu(E) from the "
        "program of the beamline",
    )


def name_of(one: Spectra, n: int) -> str:
    """Name of a spectrum: what the file says, unless that is a quantity and no substance."""
    name = " ".join(one.names[0].split())
    if not _QUANTITY.fullmatch(name):
        return name
    said = next(
        (str(one.attrs[key]) for key in ("sample.name", "sample", "name") if one.attrs.get(key)),
        one.where.stem,
    )
    return said if n == 1 else f"{said} {name}"
