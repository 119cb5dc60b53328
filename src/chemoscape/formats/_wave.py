"""Complex images of ptychography: which real images become a stack, and what those are."""

from __future__ import annotations

import numpy as np

from chemoscape.stack import LOWEST_CREDIBLE_COUNT

#: Real images of a complex one; the first is the default.
CHANNELS = ("intensity", "amplitude", "phase")


def is_complex(dtype: np.dtype) -> bool:
    """Whether numbers of this type are complex, also as pairs of two fields."""
    return dtype.kind == "c" or (dtype.names is not None and len(dtype.names) == 2)


def as_complex(values: np.ndarray) -> np.ndarray:
    """ψ as complex numbers, from pairs of two fields (real, imaginary) too."""
    if values.dtype.names is None:
        return values
    real, imaginary = (values[name] for name in values.dtype.names)
    return np.asarray(real + 1j * imaginary)


def real_image(values: np.ndarray, channel: str) -> np.ndarray:
    """A channel of complex numbers as float32; real numbers are returned as they are.

    Parameters
    ----------
    values : ndarray
        ψ, complex or as pairs of two fields (real, imaginary); or real numbers.
    channel : {"intensity", "amplitude", "phase"}
        |ψ|², |ψ|, or the argument of ψ in rad, between -π and π.
    """
    with np.errstate(all="ignore"):  # a damaged value may be anything
        if not is_complex(values.dtype):
            return values if values.dtype.kind in "iub" else values.astype(np.float32, copy=False)
        if values.dtype.names is not None:
            real, imaginary = (values[name] for name in values.dtype.names)
        else:
            real, imaginary = values.real, values.imag
        if channel == "phase":
            return np.arctan2(imaginary, real).astype(np.float32, copy=False)
        if channel == "amplitude":
            return np.hypot(real, imaginary).astype(np.float32, copy=False)
        return (real * real + imaginary * imaginary).astype(np.float32, copy=False)


def sorted_looks(looks: list[str], channel: str, quantity: str) -> tuple[list[str], list[str]]:
    """What `nature` says, as notes (which warn) and remarks (which do not).

    Intensities in arbitrary units are what a reconstruction holds as a rule, phases what was asked
    for; of an amplitude, and of what may or may not be normalised, the user must know.
    """
    usual = channel == "phase" or (channel == "intensity" and quantity == "counts")
    return ([], looks) if usual else (looks, [])


def nature(row: np.ndarray, channel: str) -> tuple[str, dict[str, str], list[str]]:
    """Quantity, attributes and notes of a channel of ψ, judged by a row of it.

    A reconstruction is known up to a factor. Where it was not scaled, |ψ|² is proportional to
    counts: I0 comes from an empty region, so it is opened as counts, in arbitrary units. Where an
    empty pixel is about 1, it is a transmission.
    """
    if channel == "phase":
        return (
            "optical_density",
            {"unit": "rad"},
            ["phases are in rad, and kept without a logarithm, as optical densities are"],
        )
    known = row[np.isfinite(row)]
    middle = float(np.median(known)) if known.size else 0.0
    half = (
        "; optical densities of an amplitude are half of those of the intensity"
        if channel == "amplitude"
        else ""
    )
    if middle > LOWEST_CREDIBLE_COUNT:
        return (
            "counts",
            {"unit": "arbitrary"},
            [
                f"the reconstruction is not normalised ({channel} {middle:.3g} in the middle row), "
                "so it is opened as counts in arbitrary units: take I0 from an empty region, and "
                f"its noise is not that of counted photons{half}"
            ],
        )
    return (
        "transmission",
        {"unit": "1"},
        [
            f"the reconstruction is taken as normalised ({channel} {middle:.3g} in the middle row; "
            f"1 where nothing absorbs), which the file does not say: look at an empty region{half}"
        ],
    )
