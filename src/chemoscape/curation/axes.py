"""Whether one standard's energy axis is off, by what the others say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chemoscape.curation.explained import own_energies, unexplained
from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import known_edges
from chemoscape.decompose.energy import SEARCH_EV, fit_energy_shift
from chemoscape.errors import ChemoscapeError
from chemoscape.standards.library import Library

SHIFT_WARNING_EV, SHIFT_ERROR_EV = 0.15, 0.2
#: A shift must be this many of its standard deviations, make the others explain the standard so
#: much better, and leave no more than this. Chemistry moves and widens edges too: measured K edges
#: of iron reach 4.5 standard deviations of which none is an axis, while the six synthetic standards
#: moved by 0.3 eV reach 7.3 to 170.
SDS_WARNING, SDS_ERROR = 4.0, 7.0
RATIO, MOST_LEFT = 1.2, 0.25
#: Oxidation moves a K edge by more than the usual search reaches, with up to 14 standard
#: deviations; an axis off by as much shows with 160.
SDS_FAR = 20.0
#: Half width (eV) of the search where the usual one ends in a shift at its limit.
WIDE_SEARCH_EV = 4.0
#: Share of the core level's natural width below which a shift passes for chemistry.
OF_WIDTH = 0.25
LEAST_STANDARDS = 3
#: Those are asked for whom a shift explains this part of the largest gain (of its logarithm).
OF_GAIN = 0.5
#: Two are rivals when the rest, without either, disagree (sum of the logarithms of what shifts
#: explain) alike to this.
ALIKE = 0.1
_AGAIN = "calibrate it again against a feature of known energy"


@dataclass(frozen=True)
class AxisShift:
    """Shift of a standard's energy axis against others, eV, and what these leave of it.

    ``shift = E(standard's axis) - E(others' axis)``: +0.4 when a feature at 517.0 eV in the others
    stands at 517.4 eV in this one.
    """

    shift: float
    sd: float
    left: float
    left_without: float
    at_limit: bool = False

    @property
    def ratio(self) -> float:
        """How much better the others explain it once it is shifted."""
        return self.left_without / self.left if self.left > 0 else np.inf

    @property
    def significance(self) -> float:
        """The shift over its standard deviation."""
        return abs(self.shift) / self.sd if self.sd > 0 else np.inf

    def verdict(self, tolerance: float = SHIFT_ERROR_EV) -> Verdict:
        """Whether the axis is to blame; `tolerance` in eV."""
        if self.left > MOST_LEFT:
            return "not known"
        if self.ratio < RATIO:
            return "pass"
        sure = SDS_ERROR if abs(self.shift) <= SEARCH_EV else SDS_FAR
        if abs(self.shift) > tolerance and self.significance >= sure and not self.at_limit:
            return "fail"
        near = tolerance * SHIFT_WARNING_EV / SHIFT_ERROR_EV
        return "warn" if abs(self.shift) > near and self.significance >= SDS_WARNING else "pass"


def axis_shift(library: Library, name: str, others: Sequence[str]) -> AxisShift:
    """Shift of a standard's axis against others that are fitted to it, non-negative.

    Raises
    ------
    FitError
        Too few energies for so many standards and a shift.
    LibraryError
        They share no energies.
    """
    together = library.select(name, *others)
    found = _fitted(together, SEARCH_EV)
    if found.at_limit:
        with contextlib.suppress(ChemoscapeError):  # the range may be too short for that
            found = _fitted(together, WIDE_SEARCH_EV)
    return found


def _fitted(library: Library, search: float) -> AxisShift:
    """Shift of the first standard against the others, by a search of that half width (eV)."""
    energy = own_energies(library)
    first, rest = library.select(library.names[0]), library.select(*library.names[1:])
    fitted = fit_energy_shift(
        first.spectra(energy).values, None, energy, rest, search=search, look_for_stretch=False
    )
    inside = own_energies(library, margin=search)
    y = first.spectra(inside).values[0]
    left, without = (
        unexplained(y, rest.spectra(inside, shift=shift).values)[0] for shift in (fitted.value, 0.0)
    )
    return AxisShift(fitted.value, fitted.sd, left, without, fitted.at_limit)


@dataclass(frozen=True)
class Blame:
    """Whose axes are off.

    Parameters
    ----------
    shifts : dict of str to AxisShift
        Of each standard against those whose axes are not off.
    off : tuple of str
    rivals : tuple of tuple of str
        Groups of standards of which one is off, and no telling which.
    """

    shifts: dict[str, AxisShift]
    off: tuple[str, ...]
    rivals: tuple[tuple[str, ...], ...] = ()


def axis_shifts(library: Library, tolerances: Mapping[str, float]) -> Blame:
    """Each standard's shift against those whose axes are not off, and whose are.

    One shifted standard spoils the sums that explain the others, so that these seem to be shifted
    too. The one is blamed without which the rest agree best: it is left out and the others are
    looked at again, until none is left that would fail, or fewer than three remain. Where two agree
    as well with all the rest once the other is left out, either may be off, and both are left out.

    Parameters
    ----------
    library : Library
    tolerances : mapping of str to float
        Shift (eV) that fails, of each standard.

    Raises
    ------
    FitError, LibraryError
        As `axis_shift`.
    """
    off: list[str] = []
    rivals: list[tuple[str, ...]] = []

    def among(sound: Sequence[str]) -> dict[str, AxisShift]:
        return {one: axis_shift(library, one, [o for o in sound if o != one]) for one in sound}

    def verdict(found: Mapping[str, AxisShift], name: str) -> Verdict:
        return found[name].verdict(tolerances[name])

    found = among(library.names)
    while len(found) >= LEAST_STANDARDS:
        bad = [name for name in found if verdict(found, name) == "fail"]
        if not bad:
            break
        doubted = [name for name in found if verdict(found, name) in ("fail", "warn")]
        gain = {name: np.log(found[name].ratio) for name in doubted}
        least = OF_GAIN * max(gain[name] for name in bad)
        likely = [name for name in doubted if gain[name] >= least]
        without = {name: among([o for o in found if o != name]) for name in likely}
        left = {
            name: sum(
                np.log(one.ratio) for o, one in rest.items() if verdict(rest, o) in ("warn", "fail")
            )
            for name, rest in without.items()
        }
        worst = min(likely, key=lambda name: (left[name], -gain[name]))
        alike = [
            name
            for name in likely
            if name != worst
            and verdict(without[worst], name) != "fail"
            # One that would only be warned about does not acquit those that would fail.
            and (left[name] <= left[worst] + ALIKE or worst not in bad)
        ]
        if alike:
            rivals.append(tuple(one for one in library.names if one in (worst, *alike)))
            if len(found) - len(rivals[-1]) < LEAST_STANDARDS - 1:
                break
            found = among([one for one in found if one not in rivals[-1]])
        else:
            worst = worst if worst in bad else max(bad, key=lambda name: gain[name])
            off.append(worst)
            found = without[worst]
    sound = tuple(found)
    for name in library.names:
        if name not in found:
            found[name] = axis_shift(library, name, sound)
    return Blame({name: found[name] for name in library.names}, tuple(off), tuple(rivals))


def tolerance_of(library: Library, name: str) -> float:
    """Shift (eV) that fails: 0.2, or a quarter of the narrowest edge's natural width."""
    widths = [edge.width for edge in known_edges(library.select(name).standards[0])]
    known = [width for width in widths if np.isfinite(width)]
    return max(SHIFT_ERROR_EV, OF_WIDTH * min(known)) if known else SHIFT_ERROR_EV


def check_axes(library: Library) -> list[Finding]:
    """A finding for each standard on its energy axis against the others'."""
    name = "energy axis"
    wanted = f"|shift| <= {SHIFT_ERROR_EV} eV"
    if len(library.names) < LEAST_STANDARDS:
        why = f"{len(library.names)} standards, {LEAST_STANDARDS} are needed to tell whose is off"
        return [Finding("", name, "not known", unit="eV", threshold=wanted, detail=why)]
    try:
        tolerances = {one: tolerance_of(library, one) for one in library.names}
        blame = axis_shifts(library, tolerances)
    except ChemoscapeError as error:
        return [
            Finding(
                "",
                name,
                "not known",
                unit="eV",
                threshold=wanted,
                remedy=error.remedy,
                detail=error.what,
            )
        ]
    findings = []
    for one, found in blame.shifts.items():
        verdict = found.verdict(tolerances[one])
        group = next((names for names in blame.rivals if one in names), ())
        if group or (verdict == "fail" and one not in blame.off):
            verdict = "warn"  # no telling whose axis it is
        limit = " or more" if found.at_limit else ""
        findings.append(
            Finding(
                one,
                name,
                verdict,
                number=found.shift,
                unit="eV",
                threshold=f"|shift| <= {tolerances[one]:.2g} eV",
                remedy=_AGAIN if verdict in ("warn", "fail") else "",
                detail=f"{found.shift:+.3f} ± {found.sd:.2g} eV{limit} against the others, which "
                f"leave {found.left:.3f} of it, {found.left_without:.3f} without a shift"
                + (f"; one of {' and '.join(group)} is off by about so much" if group else ""),
            )
        )
    return findings
