"""Lengths in files: units of any spelling to µm, pixel sizes to axes."""

from __future__ import annotations

import numpy as np

#: A soft or hard X-ray image has pixels between these bounds, µm.
_SMALLEST, _LARGEST = 1e-5, 1e4

_MICROMETRES = {
    **dict.fromkeys(["m", "metre", "meter", "metres", "meters"], 1e6),
    **dict.fromkeys(["mm", "millimetre", "millimeter"], 1e3),
    # U+FFFD: what is left of a Latin-1 µ in text that was read as UTF-8
    **dict.fromkeys(["um", "µm", "μm", "\ufffdm", "micron", "microns", "mu", "µ"], 1.0),
    **dict.fromkeys(["micrometre", "micrometer", "micrometres", "micrometers"], 1.0),
    **dict.fromkeys(["nm", "nanometre", "nanometer", "nanometres", "nanometers"], 1e-3),
    **dict.fromkeys(["å", "a", "angstrom", "angstroms"], 1e-4),
    "pm": 1e-6,
}


def micrometres(unit: str, default: str = "um") -> float:
    """How many µm a unit is; that of `default` when the text is empty or unknown.

    Examples
    --------
    >>> micrometres("nm"), micrometres("Microns"), micrometres("")
    (0.001, 1.0, 1.0)
    """
    return _MICROMETRES.get(unit.strip().lower(), _MICROMETRES[default])


def is_length(unit: str) -> bool:
    """Whether a text is a unit of length known here.

    Examples
    --------
    >>> is_length("nm"), is_length("pixel")
    (True, False)
    """
    return unit.strip().lower() in _MICROMETRES


def believable(pixel_um: float) -> bool:
    """Whether a pixel size can be that of an X-ray image."""
    return bool(np.isfinite(pixel_um) and _SMALLEST <= pixel_um <= _LARGEST)


def centres(n: int, pixel_um: float, *, top_down: bool = False) -> np.ndarray | None:
    """Pixel centres in µm from 0 on, falling when row 0 is the top; None without a pixel size.

    Examples
    --------
    >>> centres(3, 0.5, top_down=True).tolist()
    [1.0, 0.5, 0.0]
    """
    if not believable(pixel_um):
        return None
    axis = pixel_um * np.arange(n, dtype=np.float64)
    return axis[::-1].copy() if top_down else axis
