"""Drift with rotation and scaling: each frame against its already registered neighbour.

Recursively outwards from the reference, as StackReg does (Thévenaz, Ruttimann and Unser, IEEE
Trans. Image Process. 7, 27, 1998): a pyramid from coarse to fine, on each level the least-squares
match by Gauss-Newton steps with Marquardt's damping. Neighbours look most alike, and error adds up
along the chain: for shifts alone one fixed reference is better (`chemoscape.preprocess.drift`).

A frame M is taken at q(p) = c + A (p - c) + b for each pixel p of the registered neighbour F, c the
centre of the image; both are optical densities but for a factor and a constant. Contrast may change
between energies, in sign too, so that the largest correlation coefficient r is looked for: one step
solves, by linear least squares over the pixels that count,

    F - s M(q) = sum_k g_k u_k · ∇m + ε m + β,    s = ± |F - mean F| / |M - mean M|,

for how far to go, g_k, along the displacement u_k. The slopes are those of the mean m of F and s M:
the noise of a slope is correlated with that of its own image, and with those of M alone every step
outwards would scale a frame up (by 0.4 % at 30 counts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import ndimage
from scipy.linalg import expm
from skimage.registration import phase_cross_correlation

from chemoscape.blocks import for_each_band
from chemoscape.errors import require_choice

Motion = Literal["translation", "rigid", "similarity", "affine"]

_TURN, _SCALE = np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2)
#: What the matrix of each motion is made of: A = exp(sum_k g_k G_k).
GENERATORS: dict[str, np.ndarray] = {
    "translation": np.empty((0, 2, 2)),
    "rigid": np.array([_TURN]),
    "similarity": np.array([_TURN, _SCALE]),
    "affine": np.eye(4).reshape(4, 2, 2),
}
#: Gaussians (pixels) that frames are smoothed with, before the logarithm for its noise and after it
#: for the slopes; interpolation then changes their noise no more.
SMOOTHING, SMOOTHING_AFTER = 0.7, 1.2
#: Darkest intensity, relative to the median, of which a logarithm is taken.
DARKEST = 0.02
#: Pixels around missing ones that smoothing has spoilt.
_SPOILT = 3
#: Smallest side (pixels) of the coarsest image of a pyramid.
_COARSEST = 16
#: Below this correlation coefficient of optical densities the edge maps are tried too.
ALIKE = 0.9
#: Standard deviation of an optical density that float32 makes of a constant.
_ROUNDING = 1e-6
#: A step that moves no pixel by more than this (pixels) is the last; one that moves none by more
#: than the other needs no proof that it leads upwards.
_STILL, _SMALL = 0.002, 0.25
_MOST_STEPS = 30


@dataclass(frozen=True)
class _Image:
    """An image (ny, nx), its cubic spline's coefficients, and where it counts (0 or 1)."""

    values: np.ndarray
    spline: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Pose:
    """Where a frame is taken from, c + matrix (p - c) + offset, and how well it fits there."""

    matrix: np.ndarray
    offset: np.ndarray
    correlation: float = 0.0


def register_recursively(
    frames: np.ndarray, weights: np.ndarray, reference: int, motion: Motion
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion of every frame against frame `reference`, handed on from neighbour to neighbour.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx)
        Intensities (counts or transmission), finite.
    weights : ndarray, shape (n, ny, nx)
        1 where a pixel counts, 0 where it does not.
    reference : int
        Index of the frame that stays.
    motion : {"translation", "rigid", "similarity", "affine"}
        Shift; and rotation; and one scale for both axes; and shear and a scale for each axis.

    Returns
    -------
    shifts : ndarray, shape (n, 2)
        Pixels (dy, dx) to apply.
    linear : ndarray, shape (n, 2, 2)
        Matrices to apply about the centre c: pixel p of the registered frame is taken from
        c + linear⁻¹ (p - c - shift).
    quality : ndarray, shape (n,)
        Absolute correlation coefficient with the registered neighbour, of smoothed optical
        densities, or of their edge maps where these are more alike; 1 for the reference. A frame in
        which nothing is found (no more than noise would give) keeps its neighbour's motion, and the
        next one is matched past it.

    Raises
    ------
    FitError
        There is no such motion.
    """
    require_choice("motion", motion, *get_args(Motion))
    n = len(frames)
    shifts, quality = np.zeros((n, 2)), np.ones(n)
    linear = np.tile(np.eye(2), (n, 1, 1))
    outwards = [range(reference + 1, n), range(reference - 1, -1, -1)]

    def work(band: slice) -> None:
        for direction in outwards[band]:
            anchor, seen = frames[reference].astype(np.float64), weights[reference] > 0
            pose = _Pose(np.eye(2), np.zeros(2))
            for i in direction:
                frame, counts = frames[i].astype(np.float64), weights[i] > 0
                found = _match(anchor, seen, frame, counts, pose, GENERATORS[motion])
                quality[i] = found.correlation
                if found.correlation > _by_chance(seen & counts):
                    pose = found
                    anchor, seen = _taken(frame, counts, pose)
                linear[i] = np.linalg.inv(pose.matrix)
                shifts[i] = -linear[i] @ pose.offset

    for_each_band(work, len(outwards), rows_per_band=1)
    return shifts, linear, quality


def _by_chance(counts: np.ndarray) -> float:
    """Three standard deviations of the correlation coefficient of two images of smoothed noise."""
    independent = counts.sum() / (4 * np.pi * (SMOOTHING**2 + SMOOTHING_AFTER**2))
    return min(3 / float(np.sqrt(max(independent, 1.0))), 0.9)


def _match(
    fixed: np.ndarray,
    seen: np.ndarray,
    moving: np.ndarray,
    counts: np.ndarray,
    start: _Pose,
    generators: np.ndarray,
) -> _Pose:
    """Pose in which `moving` looks most like `fixed`; both with the pixels that count."""
    best = _Pose(start.matrix, start.offset)
    for look in (_density, _edges):
        anchors = list(_pyramid(look(fixed), seen))
        levels = list(_pyramid(look(moving), counts))
        found = _descend(anchors, levels, start, generators)
        if found.correlation > best.correlation:
            best = found
        if best.correlation >= ALIKE:
            break
    return best


def _density(frame: np.ndarray) -> np.ndarray:
    """Optical density, smoothed: the contrast of a particle changes with energy, its outline does
    not, while in transmission a thicker rim turns dark and the particle seems to grow.
    """
    return np.asarray(ndimage.gaussian_filter(_logarithm(frame), SMOOTHING_AFTER, mode="nearest"))


def _edges(frame: np.ndarray) -> np.ndarray:
    """Magnitude of its gradient: what turns from bright to dark keeps its edges."""
    return np.asarray(
        ndimage.gaussian_gradient_magnitude(_logarithm(frame), SMOOTHING_AFTER, mode="nearest")
    )


def _logarithm(frame: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(frame, SMOOTHING, mode="nearest")
    floor = max(DARKEST * float(np.median(smooth)), float(np.finfo(np.float32).tiny))
    return np.asarray(-np.log(np.maximum(smooth, floor)))


def _pyramid(image: np.ndarray, counts: np.ndarray) -> Iterator[_Image]:
    """The image, and means of 2 × 2 pixels of it again and again."""
    weight = np.asarray(ndimage.minimum_filter(counts, 2 * _SPOILT + 1, mode="nearest"))
    while True:
        spline = ndimage.spline_filter(image, order=3, mode="nearest")
        yield _Image(image, spline, weight.astype(np.float64))
        half_y, half_x = image.shape[0] // 2, image.shape[1] // 2
        if min(half_y, half_x) < _COARSEST:
            return
        blocks = image[: 2 * half_y, : 2 * half_x].reshape(half_y, 2, half_x, 2)
        image = blocks.mean(axis=(1, 3))
        quarters = weight[: 2 * half_y, : 2 * half_x].reshape(half_y, 2, half_x, 2)
        weight = np.asarray(quarters.all(axis=(1, 3)))


def _descend(
    anchors: list[_Image], levels: list[_Image], start: _Pose, generators: np.ndarray
) -> _Pose:
    """From the coarsest level to the finest; it starts where the neighbour lies, or a jump away
    from there when that fits better.
    """
    coarse = 2.0 ** (len(levels) - 1)
    jump = start.matrix @ _jump(anchors[0], levels[0], start)
    starts = [
        _refined(anchors[-1], levels[-1], _Pose(start.matrix, offset / coarse), generators)
        for offset in (start.offset, start.offset + jump)
    ]
    pose = max(starts, key=lambda one: one.correlation)
    for anchor, level in zip(anchors[-2::-1], levels[-2::-1], strict=True):
        pose = _refined(anchor, level, _Pose(pose.matrix, 2 * pose.offset), generators)
    return pose


def _jump(fixed: _Image, moving: _Image, pose: _Pose) -> np.ndarray:
    """Whole pixels (dy, dx) of `fixed` by which `moving`, taken at `pose`, lies ahead of it."""
    taken, weight = _at(moving, pose)
    fields = []
    for values, counts in ((fixed.values, fixed.weight), (taken, weight)):
        mean = float((values * counts).sum() / max(counts.sum(), 1.0))
        fields.append((values - mean) * counts)
    if not (fields[0].any() and fields[1].any()):
        return np.zeros(2)
    shift, *_ = phase_cross_correlation(*fields, normalization=None)
    return -np.asarray(shift, dtype=np.float64)


def _taken(frame: np.ndarray, counts: np.ndarray, pose: _Pose) -> tuple[np.ndarray, np.ndarray]:
    """A frame at its pose, and where it was seen."""
    spline = ndimage.spline_filter(frame, order=3, mode="nearest")
    values, weight = _at(_Image(frame, spline, counts.astype(np.float64)), pose)
    return values, weight > 0


def _at(image: _Image, pose: _Pose) -> tuple[np.ndarray, np.ndarray]:
    """Values and weight (0 or 1) of an image at q(p) for all its pixels p."""
    shape = image.values.shape
    centre = (np.array(shape) - 1) / 2
    offset = centre + pose.offset - pose.matrix @ centre
    values = ndimage.affine_transform(
        image.spline, pose.matrix, offset, order=3, mode="nearest", prefilter=False
    )
    weight = ndimage.affine_transform(
        image.weight, pose.matrix, offset, order=1, mode="constant", cval=0.0
    )
    return values, (weight > 0.999).astype(np.float64)


def _refined(fixed: _Image, moving: _Image, pose: _Pose, generators: np.ndarray) -> _Pose:
    """Gauss-Newton steps from `pose`, damped when one leads away from the largest correlation."""
    now = _State.at(fixed, moving, pose)
    damping = 0.0
    for _ in range(_MOST_STEPS):
        step = now.step(fixed, generators, damping)
        if step is None:
            break
        length = step.largest_px(generators, fixed.values.shape)
        ahead = _State.at(fixed, moving, step.taken_from(now.pose, generators))
        if length < _SMALL or ahead.pose.correlation > now.pose.correlation:
            now, damping = ahead, damping / 10
            if length < _STILL:
                break
        elif damping > 10:
            break
        else:
            damping = max(10 * damping, 1e-3)
    return now.pose


@dataclass(frozen=True)
class _Step:
    """How far to go: along each generator, and by how many pixels (y, x)."""

    linear: np.ndarray
    shift: np.ndarray

    def taken_from(self, pose: _Pose, generators: np.ndarray) -> _Pose:
        """Where the step leads: A becomes exp(sum_k g_k G_k) A."""
        turn = expm(np.tensordot(self.linear, generators, axes=1)) if len(generators) else _SCALE
        return _Pose(turn @ pose.matrix, pose.offset + self.shift)

    def largest_px(self, generators: np.ndarray, shape: tuple[int, ...]) -> float:
        """Pixels that it moves the corners by, at most."""
        half = np.linalg.norm(shape) / 2
        turn = np.tensordot(self.linear, generators, axes=1) if len(generators) else np.zeros(1)
        return float(np.hypot(*self.shift) + np.abs(turn).max() * half)


@dataclass(frozen=True)
class _State:
    """A pose with the image and weight there, and the correlation coefficient."""

    pose: _Pose
    taken: np.ndarray
    weight: np.ndarray

    @classmethod
    def at(cls, fixed: _Image, moving: _Image, pose: _Pose) -> _State:
        taken, weight = _at(moving, pose)
        weight = weight * fixed.weight
        correlation = 0.0
        if weight.sum() > 0.1 * weight.size:  # a match on a sliver of the image is none
            one = _centred(fixed.values, weight)
            other = _centred(taken, weight)
            norms = float(np.linalg.norm(one)), float(np.linalg.norm(other))
            if min(norms) > _ROUNDING * np.sqrt(weight.sum()):
                correlation = abs(float((one * other).sum())) / (norms[0] * norms[1])
        return cls(_Pose(pose.matrix, pose.offset, correlation), taken, weight)

    def step(self, fixed: _Image, generators: np.ndarray, damping: float) -> _Step | None:
        """Solution of the linear problem; None where it has none."""
        counts = self.weight > 0
        if self.pose.correlation == 0:
            return None
        one, other = _centred(fixed.values, self.weight), _centred(self.taken, self.weight)
        scale = np.sqrt((one**2).sum() / (other**2).sum()) * np.sign((one * other).sum())
        slopes = np.stack(np.gradient((fixed.values + scale * self.taken) / 2))[:, counts]
        slopes = np.linalg.inv(self.pose.matrix).T @ slopes  # by q, not by p
        place = np.stack(np.nonzero(counts)) - (np.array(counts.shape)[:, None] - 1) / 2
        place = self.pose.matrix @ place
        half = (
            np.linalg.norm(counts.shape) / 2
        )  # generators in pixels at the corners, as the shifts are
        columns = [(slopes * (generator @ place)).sum(axis=0) / half for generator in generators]
        design = np.stack([*columns, slopes[0], slopes[1]])
        design -= design.mean(axis=1, keepdims=True)
        mean = (one + scale * other)[counts] / 2
        design -= np.outer(design @ mean, mean) / (mean @ mean)
        residual = (one - scale * other)[counts]
        normal = design @ design.T
        if not (np.diag(normal) > 1e-9 * np.trace(normal)).all():
            return None
        normal += damping * np.diag(np.diag(normal))
        gone = np.linalg.lstsq(normal, design @ residual, rcond=None)[0]
        return _Step(gone[:-2] / half, gone[-2:])


def _centred(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Values about their mean where they count, zero elsewhere."""
    return np.asarray((values - float((values * weight).sum()) / float(weight.sum())) * weight)
