"""How a blurred wire darkens the light across its width.

A flat wire (``box``) has one optical density D across its width; a round one (``elliptic``) has
D sqrt(1 - (v/h)²) at v from its axis, with h half of its width. The blur acts on the light that is
taken away. A flat wire takes away 1 - exp(-D) of it, and its blurred edges are error functions. A
round one is a pile of flat ones: with v = h sin(a), what it takes away is the integral over a, from
0 to a right angle, of boxes of half-width h sin(a) that weigh D sin(a) exp(-D cos(a)). A
Gauss-Legendre rule makes it a sum, and so both profiles are computed alike.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

Profile = Literal["box", "elliptic"]


def rule(profile: Profile, widest: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles and weights of the boxes that make up a profile.

    Parameters
    ----------
    profile : {"box", "elliptic"}
        A box is a single one at a right angle, with nothing to integrate.
    widest : float
        Half-width over sigma: the boxes must follow each other more closely than the blur.

    Returns
    -------
    angles, weights : ndarray, shape (k,)
    """
    if profile == "box":
        return np.array([np.pi / 2]), np.array([1.0])
    nodes, weights = np.polynomial.legendre.leggauss(int(np.clip(5 + 0.8 * widest, 6, 40)))
    return (nodes + 1) * np.pi / 4, weights * np.pi / 4


def absorbed(
    v: np.ndarray,
    half: np.ndarray,
    density: float,
    sigma: np.ndarray | float,
    profile: Profile,
    nodes: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Share of the light that a blurred profile takes away, and its derivatives.

    Parameters
    ----------
    v, half : ndarray, shape (n,)
        Distance from the axis, and half-width of the wire there, µm. Of a negative half-width the
        share is negative: a fit can step there and back.
    density : float
        Optical density, that of the axis.
    sigma : ndarray, shape (n,), or float
        Blur, µm.
    profile : {"box", "elliptic"}
    nodes : tuple of ndarray
        As `rule` gives them.

    Returns
    -------
    share, by_v, by_half, by_density : ndarray, shape (n,)
    """
    angles, weights = nodes
    strength, by_density = _strengths(profile, angles, weights, density)
    sines = np.sin(angles)
    scaled = v / sigma
    edge = sines[:, None] * (half / sigma)
    left, right = scaled + edge, scaled - edge
    boxes = special.ndtr(left) - special.ndtr(right)
    left, right = (np.exp(-0.5 * one * one) / np.sqrt(2 * np.pi) for one in (left, right))
    return (
        strength @ boxes,
        strength @ (left - right) / sigma,
        (strength * sines) @ (left + right) / sigma,
        by_density @ boxes,
    )


def _strengths(
    profile: Profile, angles: np.ndarray, weights: np.ndarray, density: float
) -> tuple[np.ndarray, np.ndarray]:
    """What each box takes away, and the derivative with respect to the density."""
    if profile == "box":
        return np.array([-np.expm1(-density)]), np.array([np.exp(-density)])
    deep = np.cos(angles) * density
    each = weights * np.sin(angles) * np.exp(-deep)
    return density * each, (1 - deep) * each
