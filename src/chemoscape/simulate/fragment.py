"""The kind of particle that the paper maps by ptychography."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chemoscape.errors import StackError
from chemoscape.simulate.pictures import from_image
from chemoscape.simulate.truth import Truth
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library

#: The paper's energies (Figure 4): d_xy, d_xz/yz and behind the edges, eV.
PAPER_ENERGIES = (518.2, 519.4, 555.0)

#: Where the shell ends, in half widths from the wire's axis, and how soft its border is.
_SHELL_FROM, _SOFTNESS = 0.55, 0.06

#: Channels: place at the edge (share of the length), side, direction (µm along per µm inwards),
#: width along the wire (sd, µm).
_CHANNELS = ((-0.25, 1.0, 2.5, 0.04), (0.1, -1.0, 2.0, 0.05), (0.22, 1.0, 3.0, 0.035))


def nanowire(
    *,
    length_um: float = 1.5,
    width_um: float = 0.25,
    pixel_um: float = 0.010,
    margin_um: float = 0.2,
    angle_deg: float = 12.0,
    x: tuple[float, float] = (0.1, 0.3),
    library: Library | None = None,
    standards: tuple[str, str] = ("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"),
    energy: Sequence[float] | np.ndarray | None = None,
    **exposure: Any,
) -> Truth:
    """Simulate a fragment of a nanowire with a lithium-rich core, as in Figures 4C-F of the paper.

    Its core is lithium-rich, its shell sparsely lithiated; lithium-rich channels run from the edge
    to the core, and both tips are lithium-rich. The cross-section is a rounded ribbon. The empty
    margin is wide enough for the incident beam.

    Parameters
    ----------
    length_um, width_um : float
        Of the wire.
    pixel_um : float
        Pixel size in µm. Reconstructions are made from a truth with smaller pixels than theirs.
    margin_um : float
        Empty border around the wire.
    angle_deg : float
        Of the wire to the rows, counter-clockwise.
    x : (float, float)
        Composition of the shell and of the core.
    library : Library, optional
        The shipped synthetic one when left out.
    standards : (str, str)
        Ids of the two that the wire is mixed of.
    energy : array_like, optional
        Energies in eV; `measurement_energies` when left out. `PAPER_ENERGIES` are the paper's.
    **exposure
        Passed to `from_image`: ``peak_optical_density``, ``photons``, ``poisson``, ``seed``, …

    Returns
    -------
    Truth

    Raises
    ------
    StackError
        The wire is smaller than a few pixels, or the compositions lie outside the standards'.

    Examples
    --------
    >>> truth = nanowire(pixel_um=0.05, energy=PAPER_ENERGIES)
    >>> truth.stack.shape, [round(float(f(truth.composition)), 2) for f in (np.nanmin, np.nanmax)]
    ((3, 20, 39), [0.1, 0.3])
    """
    if not (0 < pixel_um < width_um / 4 <= length_um / 4 and margin_um >= 0):
        raise StackError(
            f"a wire of {length_um:g} × {width_um:g} µm cannot be shown in pixels of "
            f"{pixel_um:g} µm",
            remedy="give a wire longer than it is wide, and pixels below a quarter of its width",
        )
    turned = np.radians(angle_deg)
    across, along = abs(np.sin(turned)), abs(np.cos(turned))
    height = length_um * across + width_um * along + 2 * margin_um
    width = length_um * along + width_um * across + 2 * margin_um
    rows, columns = (max(int(np.ceil(size / pixel_um - 1e-9)), 1) for size in (height, width))
    y = (np.arange(rows) - (rows - 1) / 2)[:, None] * pixel_um
    at = (np.arange(columns) - (columns - 1) / 2) * pixel_um
    u = at * np.cos(turned) + y * np.sin(turned)
    v = -at * np.sin(turned) + y * np.cos(turned)
    thickness = _ribbon(u, v, length_um, width_um)
    low, high = x
    rich = _lithiated(u, v, length_um, width_um)
    pair = (open_library("lixv2o5-model") if library is None else library).select(*standards)
    return from_image(
        thickness,
        pair,
        composition=np.where(thickness > 0, low + (high - low) * rich, np.nan),
        pixel_um=pixel_um,
        energy=energy,
        **exposure,
    )


def _ribbon(u: np.ndarray, v: np.ndarray, length: float, width: float) -> np.ndarray:
    """Thickness: a superellipse across, rounded ends, zero outside."""
    ends = np.clip((np.abs(u) - (length - width) / 2) / (width / 2), 0.0, None)
    radius = np.hypot(2 * v / width, ends)
    return np.asarray(np.clip(1 - radius**4, 0.0, None) ** 0.5)


def _lithiated(u: np.ndarray, v: np.ndarray, length: float, width: float) -> np.ndarray:
    """Share of the lithium-rich phase, 0 in the shell to 1 in the core."""
    depth = np.abs(2 * v / width)
    core = _step(_SHELL_FROM - depth, _SOFTNESS)
    tips = _step(np.abs(u) - 0.42 * length, 0.02)
    channels = [
        np.exp(-0.5 * ((u - place * length - slope * (side * width / 2 - v)) / size) ** 2)
        * (side * v > 0)
        for place, side, slope, size in _CHANNELS
    ]
    return np.asarray(np.maximum.reduce([core, tips, *channels]))


def _step(distance: np.ndarray, softness: float) -> np.ndarray:
    """0 below, 1 above, over about `softness`."""
    return np.asarray(0.5 * (1 + np.tanh(distance / softness)))
