"""Wavelengths of a diffractometer: the doublet of a tube, or the one line of a monochromator."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from chemoscape.errors import ChemoscapeWarning, FitError

#: K-alpha1 and K-alpha2 of tubes, Å: Hölzer et al., Phys. Rev. A 56, 4554 (1997); Mo and Ag of
#: Deslattes et al., Rev. Mod. Phys. 75, 35 (2003). K-alpha2 has half the intensity.
TUBES = {
    "Cu": (1.540593, 1.544427),
    "Co": (1.788996, 1.792835),
    "Fe": (1.936041, 1.939973),
    "Cr": (2.289726, 2.293651),
    "Mo": (0.709317, 0.713607),
    "Ag": (0.559422, 0.563813),
}


#: Other lines of tubes, Å: Kβ that a filter leaves (of the same two tables), and of tungsten from
#: the filament (Deslattes et al.), which old tubes have.
STRAY = {
    "Cu": {"Kβ": 1.392234, "W Lα": 1.476409},
    "Co": {"Kβ": 1.620826},
    "Fe": {"Kβ": 1.756604},
    "Cr": {"Kβ": 2.084881},
    "Mo": {"Kβ": 0.632303},
    "Ag": {"Kβ": 0.497082},
}
#: A wavelength this near (share) to that of a tube, but not it, is one rounded by hand, perhaps.
_NEARLY = 2e-3


@dataclass(frozen=True)
class Radiation:
    """Lines of the X-rays.

    Parameters
    ----------
    wavelengths : tuple of float
        Å, the strongest first: patterns name angles by it.
    shares : tuple of float
        Intensity of each line relative to the first.
    name : str
        For figures and reports.
    polarised : bool
        True at a synchrotron with the beam polarised across the plane of scattering: intensities
        then lack the factor (1 + cos² 2θ) / 2.

    Examples
    --------
    >>> radiation("Cu").wavelengths
    (1.540593, 1.544427)
    >>> radiation("Cu Ka1").name, radiation(0.4137).polarised
    ('Cu Kα1', True)
    """

    wavelengths: tuple[float, ...]
    shares: tuple[float, ...] = (1.0,)
    name: str = ""
    polarised: bool = False

    def __post_init__(self) -> None:
        one_each = len(self.wavelengths) == len(self.shares) > 0
        if not one_each or not all(0.05 < one < 5 for one in self.wavelengths):
            raise FitError(
                f"the wavelengths are {self.wavelengths} Å with the shares {self.shares}",
                remedy="give a share for each, and wavelengths between 0.05 and 5 Å",
            )
        if self.shares[0] != 1 or not all(0 < share <= 1 for share in self.shares):
            raise FitError(
                f"the shares of the wavelengths are {self.shares}",
                remedy="give the strongest line first, with the share 1",
            )

    @property
    def wavelength(self) -> float:
        """Of the strongest line, Å."""
        return self.wavelengths[0]

    @property
    def is_doublet(self) -> bool:
        """Whether there is more than one line, as of a tube."""
        return len(self.wavelengths) > 1

    def two_theta(self, d: np.ndarray, line: int = 0) -> np.ndarray:
        """Angles (degrees) of spacings (Å) for one of the lines; NaN where there is none.

        λ = 2 d sin θ
        """
        with np.errstate(invalid="ignore"):
            return 2 * np.degrees(np.arcsin(self.wavelengths[line] / (2 * np.asarray(d))))

    def spacing(self, two_theta: np.ndarray) -> np.ndarray:
        """Spacings (Å) of angles (degrees) for the strongest line."""
        return self.wavelength / (2 * np.sin(np.radians(np.asarray(two_theta) / 2)))


def radiation(given: str | float | Radiation) -> Radiation:
    """Radiation of a tube's name, or of a wavelength.

    Parameters
    ----------
    given : str, float or Radiation
        ``"Cu"`` (K-alpha1 and K-alpha2), ``"Cu Ka1"`` (behind a monochromator that keeps one),
        or a wavelength in Å, taken as a synchrotron's unless it is that of a tube.

    Raises
    ------
    FitError
        There is no such tube, or the wavelength is impossible.

    Warns
    -----
    ChemoscapeWarning
        A wavelength is nearly that of a tube, as 1.54 is.
    """
    if isinstance(given, Radiation):
        return given
    try:
        wavelength = float(given)
    except (TypeError, ValueError):
        return _tube(str(given))
    for element, (first, second) in TUBES.items():
        if abs(wavelength - first) < 2e-4:
            return Radiation((wavelength,), name=f"{element} Kα1")
        if abs(wavelength - (2 * first + second) / 3) < 2e-4:
            return radiation(element)  # the mean of the doublet, as files name it
    for element, lines in TUBES.items():
        if any(abs(wavelength / one - 1) < _NEARLY for one in lines):
            warnings.warn(
                f"{wavelength:g} Å is taken as the one line of a synchrotron; write {element} if "
                "the tube is meant",
                ChemoscapeWarning,
                stacklevel=2,
            )
    return Radiation((wavelength,), name=f"{wavelength:g} Å", polarised=True)


def _tube(name: str) -> Radiation:
    """Radiation of a tube by its name."""
    plain = name.replace(" ", "").replace("-", "").replace("α", "a").lower()
    plain = plain.replace("alpha", "a")
    for element, (first, second) in TUBES.items():
        if plain in (element.lower(), f"{element.lower()}ka"):
            return Radiation((first, second), (1.0, 0.5), f"{element} Kα")
        if plain in (f"{element.lower()}ka1", f"{element.lower()}1"):
            return Radiation((first,), name=f"{element} Kα1")
    raise FitError(
        f"the radiation {name!r} is unknown",
        remedy=f"give {', '.join(TUBES)}, one of them with Ka1, or a wavelength in Å",
    )
