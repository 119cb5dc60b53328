"""The model behind the shipped library `lixv2o5-model`: six SYNTHETIC spectra of LixV2O5.

Nothing here was measured. A smooth atomic background (tabulated scattering factors, with the V L3,
V L2 and O K steps moved to their chemical thresholds) carries Voigt resonances whose positions,
areas and widths follow, with lithium content, the trends that Santos et al. (Patterns 2022) report
from x = 0 to 0.7: the V 3d_xy and 3d_xz/yz features move up and weaken, O K eg* moves up, t2g
weakens against eg*. The delta phase leaves the trend, as theirs does.

Trends alone make six spectra that are almost linear combinations of two (condition number above
10,000). Real phases differ in more than that, so every phase carries a fixed jitter on all widths,
and on centre and area of the peaks without a trend. The set without it is kept as the hard case,
`smooth_library`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.constants import N_A
from scipy.special import ndtr, voigt_profile

from chemoscape.standards.atomic import element_absorption, mass_absorption
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import mass_fractions, molar_mass
from chemoscape.standards.record import Record
from chemoscape.standards.writing import save_library

#: (id, label, lithium content x, formula) of the six phases.
PHASES = (
    ("alpha-V2O5", "α-V2O5 (synthetic)", 0.0, "V2O5"),
    ("alpha-Li0.1V2O5", "α-Li0.1V2O5 (synthetic)", 0.1, "Li0.1V2O5"),
    ("epsilon-Li0.3V2O5", "ε-Li0.3V2O5 (synthetic)", 0.3, "Li0.3V2O5"),
    ("epsilon-Li0.45V2O5", "ε-Li0.45V2O5 (synthetic)", 0.45, "Li0.45V2O5"),
    ("epsilon-Li0.7V2O5", "ε-Li0.7V2O5 (synthetic)", 0.7, "Li0.7V2O5"),
    ("delta-Li0.9V2O5", "δ-Li0.9V2O5 (synthetic)", 0.9, "Li0.9V2O5"),
)

#: Chemical thresholds (eV) of the three steps, and the standard deviation (eV) of each step.
THRESHOLDS = {"V L3": 517.4, "V L2": 524.4, "O K": 532.5}
STEP_SD = 0.6

#: The two windows (eV) without resonances in which each spectrum is put on the tabulated scale.
SCALE_WINDOWS = ((508.0, 511.0), (555.0, 560.0))

#: Unit cell of alpha-V2O5 in cubic ångström (11.544 × 3.571 × 4.383, J. Solid State Chem. 123, 317,
#: 1996).
CELL_VOLUME = 180.683

DENSITY_NOTE = f"illustrative density: alpha-V2O5 cell volume {CELL_VOLUME} A3, Z = 2, all phases"

_SD_PER_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))


#: What is known of all six, which is that nothing was measured.
_RECORD = Record(remarks=DENSITY_NOTE).with_(
    licence="BSD-3-Clause",
    facility="SYNTHETIC",
    beamline="none (SYNTHETIC)",
    edges="V L3, V L2, O K",
    value_known_by="given (synthetic)",
    density_source=DENSITY_NOTE,
    anchor="none (synthetic)",
    reference="the model's own energies (synthetic)",
    shift_eV=0.0,
    uncertainty_eV=0.0,
    table="Henke",
    windows="508-511, 555-560 eV",
    uncertainty=0.0,
)


@dataclass(frozen=True)
class Peak:
    """One resonance: centre (eV), area (eV cm2/g of V2O5), Gaussian and Lorentzian width (eV)."""

    name: str
    centre: float
    area: float
    gauss: float
    lorentz: float


# Fixed jitter of each peak in the six phases: centres in eV, areas and widths relative. Drawn once
# (normal, 0.05 eV, 5 % and 4 %), rounded, and chosen among draws because the trends stay monotone.
# Peaks that carry a trend keep centre and area.
CENTRE_JITTER = {
    "L3_main": (-0.134, -0.076, -0.048, 0.001, 0.019, -0.039),
    "L3_hi": (0.027, -0.064, -0.006, -0.089, 0.072, -0.012),
    "L2_a": (-0.008, 0.022, -0.015, 0.028, -0.053, 0.14),
    "L2_main": (0.039, 0.019, 0.006, 0.086, -0.119, 0.061),
    "OK_sp1": (-0.134, -0.043, -0.048, -0.016, 0.073, -0.005),
    "OK_sp2": (-0.046, -0.019, -0.02, -0.049, -0.014, -0.001),
    "OK_sp3": (0.045, -0.043, -0.067, -0.064, -0.003, -0.01),
}
AREA_JITTER = {
    "L3_main": (-0.003, -0.016, -0.065, -0.012, -0.026, 0.017),
    "L3_hi": (-0.08, 0.076, -0.089, -0.01, -0.049, 0.021),
    "L2_a": (-0.013, -0.08, -0.001, -0.05, -0.025, -0.137),
    "L2_main": (0.069, 0.086, -0.003, -0.047, 0.021, 0.038),
    "OK_sp1": (0.031, -0.037, 0.005, 0.016, 0.017, 0.079),
    "OK_sp2": (0.028, -0.082, 0.007, -0.018, -0.145, 0.023),
    "OK_sp3": (-0.155, -0.007, -0.023, 0.032, -0.044, -0.077),
}
WIDTH_JITTER = {
    "L3_a": (-0.047, -0.009, 0.039, 0.035, 0.071, 0.002),
    "L3_dxy": (-0.054, 0.044, -0.028, -0.01, 0.052, -0.013),
    "L3_dxz": (-0.012, -0.001, 0.033, -0.101, -0.028, -0.086),
    "L3_main": (0.019, -0.032, 0.047, -0.02, 0.006, -0.013),
    "L3_hi": (-0.033, -0.027, -0.041, -0.042, 0.036, -0.041),
    "L2_a": (-0.036, -0.011, -0.05, -0.028, 0.011, 0.033),
    "L2_main": (0.007, 0.001, 0.015, 0.045, -0.019, 0.029),
    "OK_t2g": (-0.084, 0.04, -0.023, 0.017, -0.047, 0.007),
    "OK_eg": (0.016, -0.021, -0.048, 0.002, 0.007, -0.004),
    "OK_dz2": (0.067, -0.02, -0.028, 0.039, 0.013, 0.016),
    "OK_sp1": (-0.011, -0.003, -0.012, 0.008, -0.043, 0.064),
    "OK_sp2": (-0.023, -0.07, 0.015, 0.0, -0.047, -0.042),
    "OK_sp3": (0.045, -0.043, -0.004, -0.023, -0.033, 0.021),
}


def peaks(x: float) -> tuple[Peak, ...]:
    """Resonances of LixV2O5 without jitter."""
    delta = x >= 0.8
    r = 0.55 if delta else x  # how far along the alpha-epsilon trend
    return tuple(
        Peak(name, centre, 1e3 * area, gauss, lorentz)
        for name, centre, area, gauss, lorentz in (
            ("L3_a", 514.6 + 0.10 * r, 28 + 12 * r, 1.3, 0.15),
            ("L3_dxy", 515.9 + 0.45 * r, 52 - 30 * r, 1.0, 0.15),
            ("L3_dxz", 517.1, 50.0, 0.9, 0.15)
            if delta
            else ("L3_dxz", 517.0 + 0.55 * r, 56 - 36 * r, 1.0 + 0.4 * r, 0.15),
            ("L3_main", 518.5 + 0.15 * r, 150 - 18 * r, 1.8 + 0.5 * r, 0.15),
            ("L3_hi", 520.1 + 0.10 * r, 36 + 6 * r, 2.0, 0.15),
            ("L2_a", 523.6 + 0.10 * r, 40.0, 2.0, 0.30),
            ("L2_main", 525.2 + 0.10 * r, 128 - 6 * r, 2.4, 0.30),
            ("OK_t2g", 529.6 + 0.10 * r, 80.0 if delta else 95 - 50 * r, 1.4 + 0.3 * r, 0.15),
            ("OK_eg", 531.85 if delta else 531.7 + 0.50 * r, 72 + 6 * r, 1.7 + 0.3 * r, 0.15),
            ("OK_dz2", 533.2 + 0.40 * r, 22 + 4 * r, 2.0, 0.15),
            ("OK_sp1", 538.2 + 0.45 * r, 95.0, 4.6, 0.15),
            ("OK_sp2", 543.2 + 0.60 * r, 110.0, 5.5, 0.15),
            ("OK_sp3", 549.0 + 0.50 * r, 40.0, 6.0, 0.15),
        )
    )


def jittered_peaks(phase: int) -> tuple[Peak, ...]:
    """Resonances of one phase (its place in `PHASES`) as the shipped library has them."""
    still = (0.0,) * len(PHASES)
    return tuple(
        Peak(
            peak.name,
            peak.centre + CENTRE_JITTER.get(peak.name, still)[phase],
            peak.area * (1 + AREA_JITTER.get(peak.name, still)[phase]),
            peak.gauss * (1 + WIDTH_JITTER[peak.name][phase]),
            peak.lorentz * (1 + WIDTH_JITTER[peak.name][phase]),
        )
        for peak in peaks(PHASES[phase][2])
    )


def background(x: float, energy: np.ndarray) -> np.ndarray:
    """Atomic mass absorption (cm2/g) of LixV2O5 with its steps at `THRESHOLDS`, V L3:L2 as 2:1."""

    def step(edge: str) -> np.ndarray:
        return ndtr((energy - THRESHOLDS[edge]) / STEP_SD)

    below_v, above_v = _power_law("V", energy, 480, 509), _power_law("V", energy, 540, 620)
    below_o, above_o = _power_law("O", energy, 500, 540), _power_law("O", energy, 546, 620)
    share = mass_fractions(_formula(x))
    return (
        share.get("Li", 0.0) * element_absorption("Li", energy)
        + share["V"]
        * (below_v + (above_v - below_v) * (2 / 3 * step("V L3") + 1 / 3 * step("V L2")))
        + share["O"] * (below_o + (above_o - below_o) * step("O K"))
    )


def _formula(x: float) -> str:
    """Formula of LixV2O5."""
    return f"Li{x:g}V2O5" if x else "V2O5"


def _power_law(symbol: str, energy: np.ndarray, low: float, high: float) -> np.ndarray:
    """Tabulated curve between `low` and `high` eV, continued as a power law."""
    inside = np.linspace(low, high, 40)
    line = np.polyfit(np.log(inside), np.log(element_absorption(symbol, inside)), 1)
    return np.exp(np.polyval(line, np.log(energy)))


def spectrum(x: float, resonances: tuple[Peak, ...], energy: np.ndarray) -> np.ndarray:
    """Mass absorption (cm2/g) of LixV2O5 with the given resonances.

    The wings of the resonances reach into the windows where only atoms should absorb. As for a
    measured standard, the spectrum is therefore put on the tabulated scale there: ``spectrum =
    scale * mu + constant`` in least squares with both windows weighted alike.
    """

    def raw(at: np.ndarray) -> np.ndarray:
        # Areas are per vanadium atom.
        share = mass_fractions(_formula(x))["V"] / mass_fractions("V2O5")["V"]
        total = background(x, at)
        for peak in resonances:
            total = total + share * peak.area * voigt_profile(
                at - peak.centre, peak.gauss * _SD_PER_FWHM, peak.lorentz / 2
            )
        return total

    windows = np.stack([np.linspace(low, high, 31) for low, high in SCALE_WINDOWS]).ravel()
    design = np.stack([raw(windows), np.ones_like(windows)], axis=1)
    scale, constant = np.linalg.lstsq(design, mass_absorption(_formula(x), windows), rcond=None)[0]
    return scale * raw(energy) + constant


def energies() -> np.ndarray:
    """Energies (eV) of the shipped files: wider than any fit, so that shifted fits stay covered."""
    pieces = (np.arange(500, 511, 0.25), np.arange(511, 535, 0.05), np.arange(535, 555, 0.1))
    return np.round(np.concatenate([*pieces, np.arange(555, 570.1, 0.25)]), 3)


def model_library() -> Library:
    """The library `lixv2o5-model` computed afresh; the shipped files hold it to seven digits."""
    return _library("lixv2o5-model", "LixV2O5 model", jitter=True)


def smooth_library() -> Library:
    """The same six phases without jitter: nearly collinear, the hard case for every fit."""
    return _library("lixv2o5-model-smooth", "LixV2O5 smooth model", jitter=False)


def _library(identity: str, name: str, *, jitter: bool) -> Library:
    """Six standards from the model."""
    return Library(
        id=identity,
        name=f"{name} (synthetic)",
        variable="x in LixV2O5",
        energy_window=(508.0, 560.0),
        licence="BSD-3-Clause",
        standards=tuple(
            Standard(
                id=phase,
                label=label,
                value=x,
                energy=energies(),
                spectrum=spectrum(x, jittered_peaks(k) if jitter else peaks(x), energies()),
                formula=formula,
                molar_mass=molar_mass(formula),
                density=density(formula),
                scale="mass_absorption",
                kind="synthetic",
                source="chemoscape.standards.model (synthetic)",
                record=_RECORD.with_(name=f"{phase} (synthetic)", phase=phase.split("-")[0]),
            )
            for k, (phase, label, x, formula) in enumerate(PHASES)
        ),
    )


def density(formula: str) -> float:
    """Illustrative density (g/cm3) in the cell of alpha-V2O5, ``Z M / (N_A V)`` with Z = 2."""
    return round(2 * molar_mass(formula) / (N_A * CELL_VOLUME * 1e-24), 3)


def write_library(folder: Path) -> None:
    """Write the shipped folder: ``library.toml`` and one XDI file per phase."""
    save_library(model_library(), folder)
