"""Shapes of particles and the optical density that they lay on a grid of pixels.

Lengths are in µm, angles in radians from x towards y, images have rows along y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import integrate


@dataclass(frozen=True)
class Wire:
    """One particle: where it lies, its shape, and how strongly it absorbs.

    Attributes
    ----------
    y, x : float
        Centre, µm.
    length, width : float
        Along and across, µm; the width is that of the middle.
    angle : float
        From x towards y, radians in [0, pi).
    profile : {"flat", "round"}
        Thickness across the wire: constant, or the chord of an ellipse.
    optical_density : float
        At the middle of the axis.
    bend : float
        Sagitta of the parabola that the axis follows, as a share of the length.
    taper : float
        By how much of itself the half-width grows towards one end and falls towards the other.
    bluntness : float
        Exponent of the superellipse that closes the ends: 2 a spindle, 30 a bar.
    roughness : tuple of float
        Amplitudes (shares of the half-width) of cosine waves along the edges, longest first.
    """

    y: float
    x: float
    length: float
    width: float
    angle: float
    profile: Literal["flat", "round"] = "flat"
    optical_density: float = 0.5
    bend: float = 0.0
    taper: float = 0.0
    bluntness: float = 30.0
    roughness: tuple[float, ...] = ()

    @property
    def area(self) -> float:
        """Projected area, µm²: the integral of the width along the axis."""
        t = np.linspace(-1, 1, 2001)
        return float(integrate.trapezoid(2 * _half_width(self, t), t) * self.length / 2)


@dataclass(frozen=True)
class Sheet:
    """A nanosheet: an irregular flake, no particle in the sense of a label."""

    y: float
    x: float
    radius: float
    aspect: float
    waves: tuple[float, ...]
    phases: tuple[float, ...]
    optical_density: float


def _half_width(wire: Wire, t: np.ndarray) -> np.ndarray:
    """Half-width at t = -1 (one end) to 1 (the other), µm."""
    inside = np.clip(1 - np.abs(t) ** wire.bluntness, 0, 1) ** (1 / wire.bluntness)
    half = wire.width / 2 * (1 - wire.taper * np.clip(t, -1, 1)) * inside
    for order, amplitude in enumerate(wire.roughness, start=2):
        half = half * (1 + amplitude * np.cos(order * np.pi * t + order**2 * wire.angle))
    return half


def _window(
    centre: tuple[float, float], reach: tuple[float, float], shape: tuple[int, int], pixel_um: float
) -> tuple[slice, slice] | None:
    """Rows and columns of the image within reach of a point, or None outside the image."""
    parts = []
    for middle, far, size in zip(centre, reach, shape, strict=True):
        start = max(0, int(np.floor((middle - far) / pixel_um)))
        stop = min(size, int(np.ceil((middle + far) / pixel_um)) + 1)
        if stop <= start:
            return None
        parts.append(slice(start, stop))
    return parts[0], parts[1]


def _own_axes(
    wire: Wire, window: tuple[slice, slice], pixel_um: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions along (-1 to 1 over the length) and across (µm) the axis, of pixels near the wire.

    The third array says which pixels of the window those are: along a diagonal wire they are few.
    """
    rows = ((np.arange(window[0].start, window[0].stop) + 0.5) * pixel_um - wire.y)[:, None]
    columns = ((np.arange(window[1].start, window[1].stop) + 0.5) * pixel_um - wire.x)[None, :]
    cosine, sine = np.float32(np.cos(wire.angle)), np.float32(np.sin(wire.angle))
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    across = rows * cosine - columns * sine
    near = np.abs(across) <= _girth(wire) + pixel_um
    row, column = np.nonzero(near)
    t = (columns[0, column] * cosine + rows[row, 0] * sine) / np.float32(wire.length / 2)
    axis = np.float32(wire.bend * wire.length) * (t**2 - np.float32(1 / 3))
    return t, across[near] - axis, near


def _girth(wire: Wire) -> float:
    """How far a point of the wire may lie from the straight line through its centre, µm."""
    rough = 1 + sum(abs(amplitude) for amplitude in wire.roughness)
    return wire.width / 2 * (1 + wire.taper) * rough + abs(wire.bend) * wire.length


def _reach(wire: Wire) -> tuple[float, float]:
    """Half height and half width of a box around the wire, µm."""
    sine, cosine = abs(np.sin(wire.angle)), abs(np.cos(wire.angle))
    across, along = _girth(wire), wire.length / 2
    return along * sine + across * cosine, along * cosine + across * sine


def thickness(
    wire: Wire, shape: tuple[int, int], pixel_um: float
) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Optical density of one wire on the pixels that it may touch, each the mean over its width.

    Returns
    -------
    (window, density) : tuple, or None when the wire lies outside the image
    """
    window = _window((wire.y, wire.x), _reach(wire), shape, pixel_um)
    if window is None:
        return None
    t, across, near = _own_axes(wire, window, pixel_um)
    half, step = _half_width(wire, t), pixel_um / 2
    across_pixel = _crossed(across + step, half, wire) - _crossed(across - step, half, wire)
    values = wire.optical_density * across_pixel / pixel_um
    density = np.zeros(near.shape, np.float32)
    density[near] = values
    return window, density


def _crossed(across: np.ndarray, half: np.ndarray, wire: Wire) -> np.ndarray:
    """Integral of the profile (1 on the axis) from the axis to a point across it, µm."""
    at = np.clip(across, -half, half)
    if wire.profile == "flat":
        return at
    share = at / np.maximum(half, 1e-9)
    return (at * np.sqrt(np.clip(1 - share**2, 0, 1)) + half * np.arcsin(share)) / 2


def outline(
    wire: Wire, shape: tuple[int, int], pixel_um: float
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Mask of one wire, whole even under others, and its corner; never thinner than a pixel.

    Returns None when no pixel of the image lies on the wire.
    """
    window = _window((wire.y, wire.x), _reach(wire), shape, pixel_um)
    if window is None:
        return None
    t, across, near = _own_axes(wire, window, pixel_um)
    inside = np.abs(t) <= 1
    inside &= np.abs(across) <= np.maximum(_half_width(wire, t), pixel_um / 2)
    if not inside.any():
        return None
    mask = np.zeros(near.shape, bool)
    mask[near] = inside
    return mask, (window[0].start, window[1].start)


def density_of(
    wires: Sequence[Wire],
    shape: tuple[int, int],
    pixel_um: float,
    weights: Sequence[float] | np.ndarray | None = None,
    texture: np.ndarray | None = None,
) -> np.ndarray:
    """Optical density of wires laid over each other (densities add along the beam).

    Parameters
    ----------
    weights : sequence of float, optional
        Share of each wire that counts: its fraction of a phase gives that phase's map.
    texture : ndarray, optional
        Relative change of thickness over the image.
    """
    density = np.zeros(shape, np.float32)
    shares = np.ones(len(wires)) if weights is None else weights
    for wire, weight in zip(wires, shares, strict=True):
        placed = thickness(wire, shape, pixel_um) if weight else None
        if placed is not None:
            density[placed[0]] += np.float32(weight) * placed[1]
    return density if texture is None else density * (1 + texture)


def sheets_density(sheets: Sequence[Sheet], shape: tuple[int, int], pixel_um: float) -> np.ndarray:
    """Optical density of nanosheets."""
    density = np.zeros(shape, np.float32)
    for sheet in sheets:
        far = 1.8 * sheet.radius * max(1, sheet.aspect)
        window = _window((sheet.y, sheet.x), (far, far), shape, pixel_um)
        if window is None:
            continue
        dy = (np.arange(window[0].start, window[0].stop) + 0.5)[:, None] * pixel_um - sheet.y
        dx = (np.arange(window[1].start, window[1].stop) + 0.5)[None, :] * pixel_um - sheet.x
        around = np.arctan2(dy, dx)
        edge = np.full_like(around, sheet.radius)
        for order, (wave, phase) in enumerate(zip(sheet.waves, sheet.phases, strict=True), 2):
            edge += sheet.radius * wave * np.cos(order * around + phase)
        away = np.hypot(dy / sheet.aspect, dx)
        soft = np.clip((edge - away) / pixel_um + 0.5, 0, 1)
        density[window] += (sheet.optical_density * soft).astype(np.float32)
    return density
