"""Spectra of a sample that are not quite those of the library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chemoscape.errors import LibraryError, StackError
from chemoscape.standards import model
from chemoscape.standards.library import Library, Standard

#: Resonances with transitions into V 3d orbitals of one symmetry in the layers' plane.
DICHROIC_PEAKS = ("L3_dxy", "OK_t2g")
#: Nodes of the Gauss-Hermite rule that broadens; exact to 1e-9 at a tenth of the peaks' widths.
_NODES = 24
#: The shipped files hold the model's spectra to seven digits.
_SAME = 1e-4


def altered_library(
    library: Library,
    *,
    seed: int = 0,
    jitter_eV: float = 0.0,
    jitter_share: float = 0.0,
    broadening_eV: float = 0.0,
    dichroism: float = 0.0,
    angle_deg: float = 0.0,
) -> Library:
    r"""The phases of the model library as another sample and another beamline would show them.

    Every peak of every phase moves by its own normal deviate of `jitter_eV`, and its area changes
    by the share of another, on top of what the model gives each phase. The peaks that linear
    dichroism acts on, V L3 d_xy and O K t2g, are scaled by

    .. math:: 1 + a \cos 2θ

    with θ the angle between the particle and the polarisation. The spectra are put on the tabulated
    scale again, as those of the library are, and broadened by a Gaussian.

    Parameters
    ----------
    library : Library
        The shipped ``lixv2o5-model``, or some of its standards.
    seed : int
        Of the jitter. A phase has the same jitter whichever others are selected.
    jitter_eV, jitter_share : float
        Standard deviations of the peaks' positions (eV) and relative areas.
    broadening_eV : float
        Full width at half maximum (eV) of the Gaussian.
    dichroism, angle_deg : float
        a and θ.

    Returns
    -------
    Library
        Same ids, values and masses.

    Raises
    ------
    LibraryError
        The peaks of a standard are not known: it is none of the model's.
    StackError
        A parameter is impossible.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> library = open_library("lixv2o5-model").select("alpha-V2O5")
    >>> across = altered_library(library, dichroism=0.1, angle_deg=90.0)
    >>> peak = [529.6]
    >>> round(float(across.spectra(peak)[0, 0] / library.spectra(peak)[0, 0]), 2)
    0.92
    """
    if not (0 <= jitter_eV < np.inf and 0 <= jitter_share < np.inf and 0 <= broadening_eV < np.inf):
        raise StackError(
            "jitter_eV, jitter_share and broadening_eV must be 0 or more, not "
            f"{jitter_eV:g}, {jitter_share:g} and {broadening_eV:g}",
            remedy="correct the sample's spectra",
        )
    if not (-1 < dichroism < 1 and np.isfinite(angle_deg)):
        raise StackError(
            f"a dichroism of {dichroism:g} at {angle_deg:g} degrees would empty or reverse a peak",
            remedy="give the share by which the peaks change, such as 0.1",
        )
    factor = 1 + dichroism * np.cos(2 * np.radians(angle_deg))

    def altered(standard: Standard) -> Standard:
        resonances = _peaks_of(standard)
        moved, scaled = _deviates(standard.id, seed, len(resonances))
        real = tuple(
            replace(
                peak,
                centre=peak.centre + jitter_eV * step,
                area=peak.area
                * (1 + jitter_share * share)
                * (factor if peak.name in DICHROIC_PEAKS else 1.0),
            )
            for peak, step, share in zip(resonances, moved, scaled, strict=True)
        )
        return replace(
            standard,
            spectrum=_broadened(standard, real, broadening_eV),
            source=f"{standard.source}, altered",
        )

    return replace(
        library,
        id=f"{library.id}-altered",
        name=f"{library.name}, altered",
        standards=tuple(altered(standard) for standard in library.standards),
    )


def _phase(identity: str) -> int | None:
    """Place of a standard among the model's phases."""
    return next((k for k, phase in enumerate(model.PHASES) if phase[0] == identity), None)


def _peaks_of(standard: Standard) -> tuple[model.Peak, ...]:
    """Resonances that the spectrum of a standard was computed from."""
    phase = _phase(standard.id)
    if phase is not None:
        for resonances in (model.jittered_peaks(phase), model.peaks(standard.value)):
            made = model.spectrum(standard.value, resonances, standard.energy)
            if np.allclose(made, standard.spectrum, rtol=_SAME):
                return resonances
    raise LibraryError(
        "cannot be altered peak by peak: its peaks are not known",
        f"standard {standard.id!r} ({standard.source or standard.label})",
        'use standards of cs.open_library("lixv2o5-model"), or give the sample\'s spectra as '
        "sample_library",
    )


def _deviates(identity: str, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal deviates of positions and areas: each phase has its own stream."""
    phase = _phase(identity)
    moved, scaled = np.random.default_rng((seed, 1 + (phase or 0))).normal(size=(2, n))
    return moved, scaled


def _broadened(
    standard: Standard, resonances: tuple[model.Peak, ...], fwhm_eV: float
) -> np.ndarray:
    """Model spectrum convolved with a Gaussian, by Gauss-Hermite quadrature."""
    if not fwhm_eV:
        return model.spectrum(standard.value, resonances, standard.energy)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    sd = fwhm_eV / np.sqrt(8 * np.log(2))
    at = standard.energy[:, None] + sd * nodes
    values = model.spectrum(standard.value, resonances, at.ravel()).reshape(at.shape)
    return values @ weights / weights.sum()
