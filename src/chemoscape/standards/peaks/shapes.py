"""Line shapes: the Voigt profile with its derivatives, and steps."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, wofz

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM_PER_SD = float(np.sqrt(8 * np.log(2)))


def voigt(
    offset: np.ndarray, sd: np.ndarray, gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voigt profile of unit area, and its derivatives by the offset and by the Gaussian's sd.

    With ``z = (u + i gamma) / (sd sqrt(2))`` and Faddeeva's w, ``V = Re w(z) / (sd sqrt(2 pi))``.
    A Voigt profile solves the heat equation, ``dV/d(sd) = sd d2V/du2``, so that w and its two
    derivatives (``w' = 2i / sqrt(pi) - 2 z w``) give all.

    Parameters
    ----------
    offset : ndarray
        Energy minus centre u, eV.
    sd, gamma : ndarray
        Of the Gaussian, and half width at half maximum of the Lorentzian, eV; broadcast.
    """
    root = sd * np.sqrt(2)
    z = (offset + 1j * gamma) / root
    w = wofz(z)
    first = 2j / np.sqrt(np.pi) - 2 * z * w
    second = -2 * w - 2 * z * first
    norm = 1 / (sd * np.sqrt(2 * np.pi))
    return (
        w.real * norm,
        first.real * norm / root,
        sd * second.real * norm / root**2,
    )


def voigt_fwhm(sd: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Full width at half maximum, eV, to 0.02 % (Olivero and Longbothum, JQSRT 17, 233, 1977).

    Examples
    --------
    >>> round(float(voigt_fwhm(np.array(0.5), np.array(0.0))), 4)
    1.1774
    """
    lorentz, gauss = 2 * gamma, FWHM_PER_SD * sd
    return np.asarray(0.5346 * lorentz + np.sqrt(0.2166 * lorentz**2 + gauss**2))


def step(offset: np.ndarray, fwhm: float, shape: str) -> np.ndarray:
    """A step from 0 to 1; `fwhm` (eV) is that of its derivative, Gaussian or Lorentzian."""
    if shape == "erf":
        return np.asarray(ndtr(offset * FWHM_PER_SD / fwhm))
    return 0.5 + np.arctan(2 * offset / fwhm) / np.pi
