"""Ensembles of nanowires with known truth, as a microscope would see them.

Wires are bent, tapered, blunt or pointed, flat or round; they touch, cross and gather in bundles.
Their optical densities add along the beam; the spot blurs the intensity, not the density; counts
are Poisson. Nanosheets lie among them as distractors that carry no label. Sizes follow the paper's
ensembles: widths log-normal around 220 nm, lengths around 3 µm (Santos et al. 2022, Figure 6).

Lengths are in µm, angles in radians from x towards y, images have rows along y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from chemoscape.particles.masks import Instances, from_crops
from chemoscape.particles.shapes import (
    Sheet,
    Wire,
    density_of,
    outline,
    sheets_density,
    thickness,
)

#: Fewest pixels of a mask, and least matched-filter signal to noise, that make a label: what no
#: observer could see is not counted as missed.
SMALLEST_MASK = 12
FAINTEST = 8.0
FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


@dataclass(frozen=True)
class Ensemble:
    """An image and the truth it was made from.

    Attributes
    ----------
    image : ndarray of float32, shape (y, x)
        Optical density as measured.
    pixel_um, fwhm_um : float
        Pixel size and resolution.
    instances : Instances
        Whole (amodal) masks of the wires that can be seen.
    wires : tuple of Wire
        Those wires, in the same order.
    """

    image: np.ndarray
    pixel_um: float
    fwhm_um: float
    instances: Instances
    wires: tuple[Wire, ...]


def sample_wires(
    rng: np.random.Generator,
    field_um: tuple[float, float],
    n_wires: int,
    gathered: float = 0.5,
    width_um: float = 0.22,
    length_um: float = 3.0,
    limits_um: tuple[tuple[float, float], tuple[float, float]] = ((0.06, 0.9), (0.5, 9.0)),
) -> list[Wire]:
    """Wires over a field: some alone, some crossing or touching others, some in bundles.

    Parameters
    ----------
    rng : Generator
    field_um : tuple of float
        Height and width of the field.
    n_wires : int
        How many.
    gathered : float
        Share of wires that are placed on or beside an earlier one.
    width_um, length_um : float
        Medians of the log-normal distributions.
    limits_um : pair of pairs
        Narrowest and widest, shortest and longest.
    """
    wires: list[Wire] = []
    while len(wires) < n_wires:
        wire = _shape(rng, width_um, length_um, limits_um)
        if wires and rng.random() < gathered:
            wire = _beside(rng, wire, wires[rng.integers(len(wires))])
        else:
            y, x = rng.uniform(0, 1, 2) * field_um
            wire = replace(wire, y=y, x=x)
        wires.append(wire)
    return wires


def _shape(
    rng: np.random.Generator,
    width_um: float,
    length_um: float,
    limits_um: tuple[tuple[float, float], tuple[float, float]],
) -> Wire:
    """A wire of random shape at the origin; one in six is a short stub."""
    (narrow, wide), (short, long) = limits_um
    width = float(np.clip(width_um * np.exp(rng.normal(0, 0.55)), narrow, wide))
    length = float(np.clip(length_um * np.exp(rng.normal(0, 0.5)), short, long))
    if rng.random() < 1 / 6:
        length = width * rng.uniform(2.0, 4.0)
    length = max(length, 2 * width, short)
    rough = rng.random() < 0.4
    blunt = 30.0 if rng.random() < 0.7 else rng.uniform(2, 8)
    return Wire(
        0.0,
        0.0,
        length,
        width,
        rng.uniform(0, np.pi),
        "round" if rng.random() < 0.5 else "flat",
        float(np.clip(0.5 * np.exp(rng.normal(0, 0.45)), 0.12, 1.6)),
        rng.normal(0, 0.02),
        rng.uniform(0, 0.15),
        blunt,
        tuple(rng.normal(0, 0.05, 6)) if rough else (),
    )


def _beside(rng: np.random.Generator, wire: Wire, other: Wire) -> Wire:
    """The wire laid across another, against its end, or along it as in a bundle."""
    along = np.array([np.sin(other.angle), np.cos(other.angle)])
    across = np.array([np.cos(other.angle), -np.sin(other.angle)])
    centre = np.array([other.y, other.x])
    how = rng.random()
    if how < 0.25:  # a bundle: nearly parallel, edge to edge or half over
        apart = rng.uniform(0.5, 1.2) * (wire.width + other.width) / 2 * rng.choice([-1, 1])
        centre = centre + apart * across + rng.normal(0, 0.2) * other.length * along
        angle = other.angle + rng.normal(0, 0.05)
    elif how < 0.7:  # a crossing somewhere along both
        centre = centre + rng.uniform(-0.5, 0.5) * other.length * along
        angle = rng.uniform(0, np.pi)
        turned = np.array([np.sin(angle), np.cos(angle)])
        centre = centre + rng.uniform(-0.5, 0.5) * wire.length * turned
    else:  # an agglomerate
        centre = centre + rng.normal(0, 0.35 * min(wire.length, other.length), 2)
        angle = rng.uniform(0, np.pi)
    return replace(wire, y=float(centre[0]), x=float(centre[1]), angle=float(angle % np.pi))


def sample_sheets(
    rng: np.random.Generator, field_um: tuple[float, float], n_sheets: int
) -> list[Sheet]:
    """Flakes over a field, thin to wire-like in optical density."""
    return [
        Sheet(
            y=rng.uniform(0, field_um[0]),
            x=rng.uniform(0, field_um[1]),
            radius=rng.uniform(0.3, 1.6),
            aspect=rng.uniform(0.6, 1.6),
            waves=tuple(rng.normal(0, 0.12, 5)),
            phases=tuple(rng.uniform(0, 2 * np.pi, 5)),
            optical_density=float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))),
        )
        for _ in range(n_sheets)
    ]


def blurred_transmission(density: np.ndarray, fwhm_um: float, pixel_um: float) -> np.ndarray:
    """exp(-density) as a Gaussian spot of that width sees it: the blur acts on the intensity."""
    sigma = fwhm_um / FWHM_PER_SIGMA / pixel_um
    return ndimage.gaussian_filter(np.exp(-density), sigma, mode="nearest", truncate=3.5)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], knots: int, sd: float
) -> np.ndarray:
    """A field that changes slowly, from random values on a coarse grid."""
    coarse = rng.normal(0, sd, (knots, knots)).astype(np.float32)
    rows, columns = (_tents(size, knots) for size in shape)
    return rows @ coarse @ columns.T


def _tents(size: int, knots: int) -> np.ndarray:
    """Weights of linear interpolation from knots to pixels, shape (size, knots)."""
    at = np.linspace(0, knots - 1, size, dtype=np.float32)[:, None]
    return np.clip(1 - np.abs(at - np.arange(knots, dtype=np.float32)), 0, 1)


def measured_density(
    rng: np.random.Generator,
    density: np.ndarray,
    pixel_um: float,
    fwhm_um: float = 0.08,
    counts: float = 1000.0,
    bins: int = 1,
    background: float = 0.02,
    line_noise: float = 0.0,
) -> np.ndarray:
    """Optical density as measured: blurred, binned, on an uneven background, with Poisson counts.

    Parameters
    ----------
    density : ndarray, shape (y, x)
        True optical density on a fine grid.
    pixel_um : float
        Pixel of that grid.
    fwhm_um : float
        Resolution.
    counts : float
        Photons per pixel where nothing absorbs.
    bins : int
        Fine pixels along a side of a measured one.
    background : float
        Spread of the slow background, in optical density.
    line_noise : float
        Spread of the incident intensity from one line to the next, relative.
    """
    light = blurred_transmission(density, fwhm_um, pixel_um)
    rows, columns = (size // bins for size in light.shape)
    light = light[: rows * bins, : columns * bins].reshape(rows, bins, columns, bins).mean((1, 3))
    if background:
        light = light * np.exp(-smooth_noise(rng, light.shape, 4, background))
    if line_noise:
        light = light * (1 + rng.normal(0, line_noise, (rows, 1)))
    counted = rng.poisson(np.clip(light, 1e-4, None) * counts)
    return -np.log(np.maximum(counted, 0.5) / counts).astype(np.float32)


def visible(
    wires: Sequence[Wire],
    shape: tuple[int, int],
    pixel_um: float,
    counts: float,
    weights: Sequence[float] | np.ndarray | None = None,
) -> tuple[Instances, tuple[Wire, ...]]:
    """Masks of the wires that an ideal observer could find, and those wires.

    A wire counts when its mask has `SMALLEST_MASK` pixels in the image, and when its matched-filter
    signal to noise among the others, sqrt(sum t² N exp(-D)) with its own density t, N counts and
    the density D of all wires, reaches `FAINTEST`.
    """
    shares = np.ones(len(wires)) if weights is None else np.asarray(weights, float)
    total = density_of(wires, shape, pixel_um)
    placed, kept = [], []
    for wire, share in zip(wires, shares, strict=True):
        mask = outline(wire, shape, pixel_um)
        own = thickness(wire, shape, pixel_um)
        if mask is None or own is None or mask[0].sum() < SMALLEST_MASK:
            continue
        signal = float((((share * own[1]) ** 2) * np.exp(-total[own[0]])).sum())
        if np.sqrt(signal * counts) < FAINTEST:
            continue
        placed.append(mask)
        kept.append(wire)
    return from_crops(shape, placed, np.ones(len(placed))), tuple(kept)


def make_ensemble(
    rng: np.random.Generator,
    shape: tuple[int, int] = (256, 256),
    pixel_um: float = 0.04,
    n_wires: int | None = None,
    gathered: float = 0.5,
    fwhm_um: float = 0.08,
    counts: float | None = None,
    sheets: bool = True,
    fine: int = 2,
) -> Ensemble:
    """An image of an ensemble and its truth.

    Parameters
    ----------
    rng : Generator
    shape : tuple of int
        Rows and columns.
    pixel_um, fwhm_um : float
        Pixel size and resolution.
    n_wires : int, optional
        How many; drawn between 4 and 22 per 105 µm² when None.
    gathered : float
        Share of wires that touch or cross others.
    counts : float, optional
        Photons per empty pixel; drawn log-uniformly from 150 to 5000 when None.
    sheets : bool
        Whether nanosheets lie among the wires.
    fine : int
        Sub-pixels along a side on which the densities are laid down and blurred.
    """
    field_um = (shape[0] * pixel_um, shape[1] * pixel_um)
    if n_wires is None:
        per_field = field_um[0] * field_um[1] / 105
        n_wires = max(1, round(rng.integers(4, 23) * per_field))
    if counts is None:
        counts = float(np.exp(rng.uniform(np.log(150), np.log(5000))))
    wires = sample_wires(rng, field_um, n_wires, gathered)
    grid = (shape[0] * fine, shape[1] * fine)
    density = density_of(wires, grid, pixel_um / fine, texture=smooth_noise(rng, grid, 9, 0.15))
    if sheets:
        n_sheets = rng.poisson(0.4 * field_um[0] * field_um[1] / 105)
        flakes = sample_sheets(rng, field_um, n_sheets)
        density += sheets_density(flakes, grid, pixel_um / fine)
    image = measured_density(rng, density, pixel_um / fine, fwhm_um, counts, fine)
    instances, seen = visible(wires, shape, pixel_um, counts)
    return Ensemble(image, pixel_um, fwhm_um, instances, seen)
