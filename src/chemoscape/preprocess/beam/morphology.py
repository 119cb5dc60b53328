"""Erosion and dilation of maps by shifted slices: on 1M pixels tens of times faster than
scipy.ndimage's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]


def eroded(mask: np.ndarray) -> np.ndarray:
    """Erosion by 3 × 3; the outside of the image counts as inside."""
    return ~dilated(~mask)


def eroded_inside(mask: np.ndarray) -> np.ndarray:
    """Erosion by 3 × 3; the outside of the image counts as outside."""
    inner = eroded(mask)
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    return inner


def dilated(mask: np.ndarray) -> np.ndarray:
    """Dilation by 3 × 3."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def dilated_cross(mask: np.ndarray) -> np.ndarray:
    """Dilation by a pixel's four neighbours."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    return wide


def eroded_cross(mask: np.ndarray) -> np.ndarray:
    """Erosion by a pixel's four neighbours; the outside of the image counts as outside."""
    inner = ~dilated_cross(~mask)
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    return inner


def opened(mask: np.ndarray, erode: Change, dilate: Change) -> np.ndarray:
    """What is left of a mask after an erosion and a dilation."""
    return dilate(erode(mask))
