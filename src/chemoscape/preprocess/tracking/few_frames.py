"""Two to five images: what a long stack knows by its number of frames has to come from elsewhere.

No run of the drift and no model of several spectra can be learnt from so few. A frame before the
edge, whose outlines drown in noise, is matched with the reference by its optical density instead of
its edges; and where a border of the field that stands still, as a reconstruction has, outweighs a
sample that moves, only the middle of the field is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chemoscape.preprocess.tracking import registration
from chemoscape.preprocess.tracking.motion import register_recursively

#: Stacks of no more frames than this are few images.
MOST = 5
#: A frame whose edges leave its shift this uncertain (pixels) is looked for by its optical density.
#: Edges are better where they show: backgrounds of a reconstruction are as dark as a faint sample.
FAINT_PX = 0.4
#: Half axes of the ellipse in the middle, as shares of those of the field.
MIDDLE = 0.75
#: The middle moves further than the whole field by more than this (pixels) where the border holds
#: it back, and any other place must match clearly less well there.
HELD_BACK_PX, CLEARLY = 2.0, 0.8


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
