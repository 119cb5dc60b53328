"""Drift between the frames of a stack, measured."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, FitError, StackError, require_choice
from chemoscape.preprocess.shifts import Drift
from chemoscape.preprocess.tracking import few_frames, joint_fit, registration, weak_frames
from chemoscape.preprocess.tracking.motion import Motion, register_recursively
from chemoscape.preprocess.tracking.sound_frames import sound_frames
from chemoscape.region import Region

#: How frames that only shift are registered.
Method = Literal["fixed", "recursive"]

#: Edges need some pixels around them.
SMALLEST_IMAGE = 8
#: A frame whose edges leave its shift this uncertain (pixels) and correlate no better than this is
#: looked for with all others' help.
WEAK_PX, WEAK_QUALITY = 0.5, 0.5
#: Another shift that correlates this well, relative to the best, may be the right one.
AS_GOOD = 0.9
#: A frame more uncertain than this (pixels) that has less than this share in its own shift, the
#: rest being its neighbours', is said to be replaced.
UNCERTAIN_PX, LEAST_SHARE = 0.2, 0.2
#: Frames that a window of a large stack is chosen by, and the side of the cells it is made of.
FRAMES_LOOKED_AT = 5
CELL = 32
#: The window of a lazy stack has at most this share of the memory that a stack may have, and no
#: more bands than this are looked at to find it.
WINDOW_SHARE = 1 / 12
STRIPS_LOOKED_AT = 12
#: Rows of such a band at least: of a single one nobody sees edges.
LEAST_ROWS = 16
#: Scaling that moves the edge of the image by more (pixels) is warned of.
LARGEST_GROWTH_PX = 0.5


def measure_drift(
    stack: xr.DataArray,
    *,
    reference: int | None = None,
    region: Region | xr.DataArray | ArrayLike | None = None,
    motion: Motion = "translation",
    method: Method | None = None,
) -> Drift:
    """Measure the drift of every frame against one fixed, high-contrast frame.

    Edge maps (Gaussian of 1 pixel, Farid's filter) are cross-correlated to 0.01 pixel, so that
    contrast may reverse across an absorption edge; frames whose edges drown in noise are looked for
    with the images of the others (`tracking.weak_frames`); all shifts are then refined
    together under a model of a few images with a spectrum each
    (`tracking.joint_fit`). Frames that still tell less about their shift than their
    neighbours do follow these, and a warning names their energies. Rows, columns and pixels that
    stand out on the detector are left out.

    Of two to five images each is on its own: a faint one is matched by its optical density
    instead of its edges (`tracking.few_frames`), none is drawn towards its neighbours, and where
    the border of the field stands still while the sample moves, as in reconstructions, only the
    middle of the field is looked at, with a warning.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density. Of a lazy stack larger than a
        twelfth of `blocks.memory_limit()` the window with most contrast that fits into this is
        read, once, and a few bands of rows before that, to find it.
    reference : int, optional
        Index of the fixed frame; chosen by contrast when not given.
    region : Region or bool map (y, x), optional
        Part of the image to look at, when other parts move by themselves.
    motion : {"translation", "rigid", "similarity", "affine"}
        What a frame may do besides being shifted: turn; turn and grow; anything that keeps lines
        parallel (see `chemoscape.preprocess.tracking.motion`).
    method : {"fixed", "recursive"}, optional
        Each frame against one fixed frame, as above, the default for translations; or against its
        already registered neighbour, as StackReg does (`tracking.motion`), which is the only one
        for other motions. On simulated images of two to five energies, 100 to 2000 photons per
        pixel, the fixed frame errs by 0.02 to 0.09 pixels, the chain by 0.1 to 0.3.

    Returns
    -------
    Drift
        Shifts to apply, zero for the reference frame. `quality` is the correlation coefficient of a
        frame's edges with the reference's, or, of a frame found by the images of the others, that
        of its optical density with these.

    Raises
    ------
    StackError
        `reference` is no frame of the stack, or `region` holds no pixel.
    FitError
        There is no such motion or method, or `method` is "fixed" for another motion than
        translation.

    Warns
    -----
    ChemoscapeWarning
        No frame shows any contrast (the shifts are then zero), shifts were replaced, other shifts
        would match as well (gratings), the border of the field stands still while the sample moves,
        or frames seem to grow, as changing contrast does.
    """
    stacks.check(stack, lazy=True)
    energy = stack["energy"].values
    n = energy.size
    if reference is not None and not 0 <= reference < n:
        raise StackError(
            f"there is no frame {reference} to serve as the reference",
            remedy=f"give a frame number from 0 to {n - 1}",
        )
    recursive = _is_recursive(motion, method)
    window, inside = _looked_at(stack, region)
    if n == 1:
        return _no_drift(energy, 0, np.ones(1))
    if min(inside.shape) < SMALLEST_IMAGE:
        warnings.warn(
            f"no drift was measured: the image has {inside.shape[0]} × {inside.shape[1]} pixels, "
            f"and {SMALLEST_IMAGE} × {SMALLEST_IMAGE} are needed",
            ChemoscapeWarning,
            stacklevel=2,
        )
        return _no_drift(energy, reference or 0, np.zeros(n))
    density = stack.attrs["quantity"] == "optical_density"
    frames, weights = sound_frames(stacks.check(window).values, inside, density=density)
    contrast, bright = registration.survey(frames, weights)
    chosen = registration.choose_reference(contrast) if reference is None else reference
    match, weights, bad = _matched(frames, weights, chosen)
    if bad.sum() == n - 1:
        warnings.warn(
            "no contrast: no frame resembles another, so that no drift could be measured and none "
            "is corrected; give a region with structure in it, or the shifts of another program "
            "(.aln)",
            ChemoscapeWarning,
            stacklevel=2,
        )
        return _no_drift(energy, chosen, match.quality)
    ambiguous = (match.rival > AS_GOOD) & (match.quality >= WEAK_QUALITY)
    if ambiguous.sum() > 1:
        warnings.warn(
            f"{ambiguous.sum()} of {n} frames match the reference as well elsewhere (a grating, or "
            "lines across the field), and were put next to their neighbours; look at the shifts",
            ChemoscapeWarning,
            stacklevel=2,
        )
    if not recursive:
        with threadpool_limits(limits=1):  # small matrices: BLAS's own threads only wait
            drift = _translations(frames, weights, energy, bright, match, bad)
    else:
        drift = _by_neighbours(frames, weights, stack, window, chosen, motion)
    if drift.replaced.any():
        warnings.warn(
            f"the drift of {drift.replaced.sum()} of {n} frames could not be measured and was "
            f"interpolated from their neighbours ({_some_energies(energy[drift.replaced])}); look "
            "at these frames, and drop them if they are damaged",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return drift


def _is_recursive(motion: Motion, method: Method | None) -> bool:
    """Whether frames are registered with their neighbours."""
    require_choice("motion", motion, *get_args(Motion))
    if method is not None:
        require_choice("method", method, *get_args(Method))
    if method == "fixed" and motion != "translation":
        raise FitError(
            f'method = "fixed" measures translations, and motion is "{motion}"',
            remedy='leave the method out, or use motion = "translation"',
        )
    return method == "recursive" or motion != "translation"


def _matched(
    frames: np.ndarray, weights: np.ndarray, reference: int
) -> tuple[registration.Match, np.ndarray, np.ndarray]:
    """Shifts against the reference, the pixels that count, and the frames not to be believed."""
    few = len(frames) <= few_frames.MOST
    match = registration.match_frames(frames, weights, reference)
    inner = few_frames.middle_alone(frames, weights, match) if few else None
    if inner is not None:
        warnings.warn(
            "the border of the field stands still while the sample moves: the drift was measured "
            f"on the middle {few_frames.MIDDLE:.0%} of the field; give a region to choose where",
            ChemoscapeWarning,
            stacklevel=3,
        )
        weights, match = inner, registration.match_frames(frames, inner, reference)
    chance = registration.chance_correlation(float(np.count_nonzero(weights[reference])))
    bad = registration.untrusted(match, chance)
    bad[reference] = False
    if few:
        match, bad = few_frames.by_density(frames, weights, match, bad)
    return match, weights, bad


def _translations(
    frames: np.ndarray,
    weights: np.ndarray,
    energy: np.ndarray,
    bright: np.ndarray,
    match: registration.Match,
    bad: np.ndarray,
) -> Drift:
    """Weak frames found, all refined together, and what tells little put between its neighbours."""
    shifts, quality = match.shifts.copy(), match.quality.copy()
    sd, worse = match.sd.copy(), match.sd.max(axis=1)
    uncertain = worse > max(WEAK_PX, 2.0 * float(np.percentile(worse[~bad], 25)))
    weak = bad | (uncertain & (quality < WEAK_QUALITY))
    weak[match.reference] = False
    sd[bad] = np.inf
    # a half-lost frame may be found rightly, and yet must not tell the others where they are
    whole = ~weak & (quality >= 0.5 * registration.usual_quality(match))
    whole[match.reference] = True
    if weak.any():
        found = weak_frames.locate(frames, bright, shifts, weak)
        for i, one in zip(np.flatnonzero(weak), found, strict=True):
            if one.sound:
                shifts[i], sd[i], quality[i] = one.shift, one.sd, one.quality
                whole[i] = bool(np.isfinite(one.sd).all())
    common = weights[0] if weights.strides[0] == 0 else np.asarray(weights[whole].all(axis=0))
    refined = joint_fit.refine(frames, np.flatnonzero(whole), shifts[whole], common, bright)
    if refined is not None:
        shifts[whole], sd[whole] = refined.shifts, refined.sd
    elif len(frames) <= few_frames.UNMODELLED:
        shifts = few_frames.closer(frames, weights, shifts, whole, match.reference)
    smooth, own = weak_frames.most_probable(shifts, sd)
    replaced = (own < LEAST_SHARE) & (sd.max(axis=1) > UNCERTAIN_PX)
    smooth -= smooth[match.reference]
    return Drift(smooth, energy.copy(), match.reference, quality, replaced)


def _by_neighbours(
    frames: np.ndarray,
    weights: np.ndarray,
    stack: xr.DataArray,
    window: xr.DataArray,
    reference: int,
    motion: Motion,
) -> Drift:
    """Each frame against its neighbour: shifts, with rotation, scaling or shear where `motion` has
    them; those of frames not found are interpolated.

    Measured about the centre w of the window, they are given about that of the image, c: the shifts
    grow by (linear - 1)(c - w).
    """
    shifts, linear, quality = register_recursively(frames, weights, reference, motion)
    lost = quality <= registration.chance_correlation(float(np.count_nonzero(weights[reference])))
    energy = stack["energy"].values.copy()
    if motion == "translation":
        return Drift(registration.bridge_gaps(shifts, lost), energy, reference, quality, lost)
    flat = np.concatenate([shifts, linear.reshape(-1, 4)], axis=1)
    flat = registration.bridge_gaps(flat, lost)
    shifts, linear = flat[:, :2], flat[:, 2:].reshape(-1, 2, 2)
    shape = stack.shape[1], stack.shape[2]
    corner = [np.searchsorted(stack[name].values, window[name].values[0]) for name in ("y", "x")]
    apart = (np.array(shape) - 1) / 2 - (np.array(corner) + (np.array(window.shape[1:]) - 1) / 2)
    shifts = shifts + (linear - np.eye(2)) @ apart
    grown = np.sqrt(np.abs(np.linalg.det(linear)))
    if (np.abs(grown - 1) * min(shape) / 2 > LARGEST_GROWTH_PX).any():
        warnings.warn(
            f"the frames seem to shrink and grow, by {100 * (grown.min() - 1):+.1f} to "
            f"{100 * (grown.max() - 1):+.1f} %: contrast that changes with energy looks like that "
            'and spoils compositions; unless the optics do it, use motion = "translation" or '
            '"rigid"',
            ChemoscapeWarning,
            stacklevel=3,
        )
    return Drift(shifts, energy, reference, quality, lost, linear, shape)


def _no_drift(energy: np.ndarray, reference: int, quality: np.ndarray) -> Drift:
    """Zero shifts."""
    n = energy.size
    return Drift(np.zeros((n, 2)), energy.copy(), reference, quality, np.zeros(n, dtype=bool))


def _looked_at(
    stack: xr.DataArray, region: Region | xr.DataArray | ArrayLike | None
) -> tuple[xr.DataArray, np.ndarray]:
    """The part of a stack that the drift is measured on, and the pixels (y, x) in it that count."""
    if region is None:
        inside = np.ones(stack.shape[1:], dtype=bool)
    elif isinstance(region, Region):
        inside = region.mask(stack).values
    else:
        inside = stacks.as_mask(region, stack).values
    if not inside.any():
        raise StackError(
            "the region holds no pixel", remedy="give a map that is true where to look"
        )
    rows, columns = (_span(np.asarray(inside.any(axis=axis))) for axis in (1, 0))
    budget = int(WINDOW_SHARE * blocks.memory_limit())
    if blocks.is_lazy(stack) and stack[:, rows, columns].nbytes > budget:
        rows, columns = densest_window(stack, rows, columns, budget)
    return stack[:, rows, columns], inside[rows, columns]


def _span(where: np.ndarray) -> slice:
    """From the first to the last true value."""
    at = np.flatnonzero(where)
    return slice(int(at[0]), int(at[-1]) + 1)


def densest_window(
    stack: xr.DataArray, rows: slice, columns: slice, n_bytes: int
) -> tuple[slice, slice]:
    """The window of a lazy stack that tells most about position among those of so many bytes.

    As square as the image allows, it lies where the smaller one of the sums of (dI/dy)²/I and
    (dI/dx)²/I over a few frames is largest: both shifts are wanted. Of a tall image strips are
    looked at, each for the rows around it.
    """
    n, ny, nx = stack.sizes["energy"], rows.stop - rows.start, columns.stop - columns.start
    budget = n_bytes // (4 * n)
    height = min(ny, max(int(np.sqrt(budget)), budget // nx))
    width = min(nx, max(budget // max(height, 1), 1))
    few = np.unique(np.linspace(0, n - 1, FRAMES_LOOKED_AT).astype(int))
    density = stack.attrs["quantity"] == "optical_density"
    tells = np.zeros((2, -(-ny // CELL), -(-nx // CELL)))
    seen = np.zeros(tells.shape[1])
    part = stack[few, rows, columns].data
    edges = np.cumsum([0, *part.chunks[1]])
    n_strips = min(len(edges) - 1, STRIPS_LOOKED_AT)
    for k in ((np.arange(n_strips) + 0.5) / n_strips * (len(edges) - 1)).astype(int):
        stop = min(max(edges[k + 1], edges[k] + LEAST_ROWS), part.shape[1])
        (values,) = blocks.computed(part[:, edges[k] : stop])
        intensity = np.exp(-values) if density else values
        if min(intensity.shape[1:]) < 2:
            continue
        slopes = np.gradient(intensity, axis=(1, 2))
        floor = registration.DARKEST * max(float(np.nanmean(intensity)), 1e-30)
        y = np.arange(edges[k], stop) // CELL
        np.add.at(seen, y, 1)
        for told, slope in zip(tells, slopes, strict=True):
            squares = np.nan_to_num(slope**2 / np.maximum(intensity, floor)).sum(axis=0)
            np.add.at(told, (y[:, None], np.arange(nx)[None] // CELL), squares)
    looked_at = np.flatnonzero(seen)
    if looked_at.size:
        nearest = looked_at[np.abs(np.arange(seen.size)[:, None] - looked_at).argmin(axis=1)]
        tells = tells[:, nearest] / seen[nearest][:, None]
    sums = np.pad(tells, [(0, 0), (1, 0), (1, 0)]).cumsum(axis=1).cumsum(axis=2)
    ky, kx = max(height // CELL, 1), max(width // CELL, 1)
    within = sums[:, ky:, kx:] - sums[:, :-ky, kx:] - sums[:, ky:, :-kx] + sums[:, :-ky, :-kx]
    best = np.unravel_index(np.argmax(within.min(axis=0)), within.shape[1:])
    top = rows.start + min(int(best[0]) * CELL, ny - height)
    left = columns.start + min(int(best[1]) * CELL, nx - width)
    return slice(top, top + height), slice(left, left + width)


def _some_energies(energy: np.ndarray) -> str:
    """Up to six energies as text."""
    named = ", ".join(f"{value:.2f}" for value in energy[:6])
    return f"{named}{', …' if energy.size > 6 else ''} eV"
