"""Two to five images: what a long stack knows by its number of frames has to come from elsewhere.

No run of the drift and no model of several spectra can be learnt from so few. A frame before the
edge, whose outlines drown in noise, is matched with the reference by its optical density instead of
its edges; and where a border of the field that stands still, as a reconstruction has, outweighs a
sample that moves, only the middle of the field is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from chemoscape.preprocess.tracking import registration
from chemoscape.preprocess.tracking.motion import register_recursively

#: Stacks of no more frames than this are few images.
MOST = 5
#: A frame whose edges leave its shift this uncertain (pixels) is looked for by its optical density.
#: Edges are better where they show: backgrounds of a reconstruction are as dark as a faint sample.
FAINT_PX = 0.4
#: Half axes of the ellipse in the middle, as shares of those of the field.
MIDDLE = 0.75
#: Stacks of no more frames may have no model of a few spectra that would refine their shifts.
UNMODELLED = 12
#: Rounds of looking again, the largest part of a shift that may be left, and the smallest rest
#: (pixels) that is looked for again.
ROUNDS, LARGEST_REST, SMALL_REST = 4, 0.25, 0.01
#: The middle moves further than the whole field by more than this (pixels) where the border holds
#: it back, and any other place must match clearly less well there.
HELD_BACK_PX, CLEARLY = 2.0, 0.8


def closer(
    frames: np.ndarray,
    weights: np.ndarray,
    shifts: np.ndarray,
    whole: np.ndarray,
    reference: int,
) -> np.ndarray:
    """Shifts (n, 2) measured once more on frames that lie on each other already, until nothing is
    left.

    Near the border of the field edges count less, the more the nearer. A sample that fills the
    field so seems to move by up to a tenth less than it does, and less of what is left.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    weights : ndarray of bool, shape (n, ny, nx)
        Pixels that count.
    shifts : ndarray, shape (n, 2)
        To apply.
    whole : ndarray of bool, shape (n,)
        Frames that take part.
    reference : int
        Index of the fixed frame.
    """
    out = shifts.copy()
    others = [i for i in np.flatnonzero(whole) if i != reference]
    for i in others:
        for _ in range(ROUNDS):
            moved = ndimage.shift(frames[i], out[i], order=3, mode="nearest")
            lost = ndimage.shift((~weights[i]).astype(np.float32), out[i], order=1, cval=1.0)
            inside = weights[reference] & (lost < 1e-3)
            if not inside.any():
                break
            fixed, moving = (
                registration.transform(one, inside) for one in (frames[reference], moved)
            )
            left = registration.correlate(fixed, moving, np.zeros(2)).shift
            if not np.hypot(*left) < LARGEST_REST * max(np.hypot(*out[i]), 1.0):
                break  # another place altogether: what was found first is kept
            out[i] = out[i] + left
            if np.hypot(*left) < SMALL_REST:
                break
    return out


def by_density(
    frames: np.ndarray, weights: np.ndarray, match: registration.Match, bad: np.ndarray
) -> tuple[registration.Match, np.ndarray]:
    """The match with faint frames found by their optical densities, and which are still lost.

    Each is registered with the reference itself, by least squares from a coarse image to a fine one
    (`motion.register_recursively`).

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities, finite.
    weights : ndarray of bool, shape (n, ny, nx)
        Pixels that count.
    match : Match
        From `registration.match_frames`.
    bad : ndarray of bool, shape (n,)
        Frames not to be believed.
    """
    shifts, quality, lost = match.shifts.copy(), match.quality.copy(), bad.copy()
    sd, reference = match.sd.copy(), match.reference
    faint = bad | (sd.max(axis=1) > FAINT_PX)
    faint[reference] = False
    for i in np.flatnonzero(faint):
        pair = np.array([reference, i])
        found, _, alike = register_recursively(frames[pair], weights[pair], 0, "translation")
        if alike[1] > registration.chance_correlation(float(np.count_nonzero(weights[i]))):
            shifts[i], quality[i], lost[i] = found[1], alike[1], False
            sd[i] = np.minimum(sd[i], FAINT_PX)
    return replace(match, shifts=shifts, quality=quality, sd=sd), lost


def middle_alone(
    frames: np.ndarray, weights: np.ndarray, match: registration.Match
) -> np.ndarray | None:
    """Weights of the middle of the field, where a frame moves clearly further than the whole field
    does, which its border holds back; None where the whole may be looked at.
    """
    ny, nx = frames.shape[1:]
    y, x = (np.linspace(-1, 1, n) for n in (ny, nx))
    inner = weights & (np.hypot(y[:, None], x) < MIDDLE)
    if not inner.any(axis=(1, 2)).all():
        return None
    fixed = registration.transform(frames[match.reference], inner[match.reference])
    least = registration.chance_correlation(float(np.count_nonzero(inner[match.reference])))
    for i, whole in enumerate(match.shifts):
        peak = registration.correlate(fixed, registration.transform(frames[i], inner[i]))
        further = np.hypot(*peak.shift) - np.hypot(*whole)
        if further > HELD_BACK_PX and peak.quality > 2 * least and peak.rival < CLEARLY:
            return inner
    return None
