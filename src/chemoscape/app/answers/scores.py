"""Scores against scores: where the pixels of the sample lie in the plane of two components."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chemoscape.app.answers.hand_work import HandWork, steps_of
from chemoscape.app.pictures import Picture

if TYPE_CHECKING:
    from chemoscape.app.asking import Asked
    from chemoscape.app.session import Session

#: Shares of the pixels, in per cent, between which the axes of a scatter lie.
CENTRAL = (0.1, 99.9)
#: Corners of the ellipse about a cluster, of two standard deviations.
CORNERS = 48


@dataclass(frozen=True)
class Plane:
    """Pixels of the sample in the plane of two scores."""

    inside: np.ndarray  # (y, x) bool
    across: np.ndarray  # (n_inside,)
    up: np.ndarray
    names: tuple[str, str]
    limits: tuple[tuple[float, float], tuple[float, float]]


def plane_of(session: Session, asked: Asked) -> Plane:
    """The plane that was asked for: `a` and `b`, components from 1, of raw scores ("score") or of
    what k-means saw ("shape": unit length, thickness divided out).
    """
    space = asked.text("space", "score", "shape", default="score")
    if space == "score":
        pcs = session.node("/clustered/components")
        values, name = pcs["score"].values, "score of component {}"
    else:
        values, name = session.node("/clustered/clusters")["feature"].values[::-1], "shape axis {}"
    numbers = [asked.whole(key, 1, len(values), default=n) for key, n in (("a", 1), ("b", 2))]

    def sample() -> np.ndarray:
        if space == "score":
            return pcs["sample"].values.astype(bool) & np.isfinite(values[0])
        return np.isfinite(values[0])

    inside = session.remembered(("explore/inside", space), sample)
    across, up = (values[n - 1][inside] for n in numbers)
    wide = asked.flag("outliers")
    limits = []
    for n, one in zip(numbers, (across, up), strict=True):
        key = ("explore/limits", space, n, wide)
        limits.append(session.remembered(key, partial(_limits, one, wide)))
    names = (name.format(numbers[0]), name.format(numbers[1]))
    return Plane(inside, across, up, names, (limits[0], limits[1]))


def _limits(values: np.ndarray, wide: bool) -> tuple[float, float]:
    """Ends of an axis: with room about the central pixels, or about all."""
    if not values.size:
        return -1.0, 1.0
    low, high = np.percentile(values, (0, 100) if wide else CENTRAL)
    room = 0.06 * float(high - low) or 0.5
    return float(low) - room, float(high) + room


def scatter(session: Session, asked: Asked) -> Picture:
    """Numbers of pixels in bins of two scores: of the sample, or of a `region` in µm (or the whole
    of a `cluster`) on the same axes; or which cluster most of them are in (`colour` "cluster").
    Its header has the mean and the 2-sd ellipse of each cluster.
    """
    plane = plane_of(session, asked)
    bins = asked.whole("bins", 16, 512, default=160)
    labels = labels_of(session, asked)
    chosen = None
    if asked.has("region"):
        chosen = asked.region().mask(session.node("/clustered/components")).values[plane.inside]
    elif asked.has("cluster") and labels is not None:
        chosen = labels[plane.inside] == asked.whole("cluster", 0, 1000)
    (left, right), (low, high) = plane.limits
    across, up = plane.across, plane.up
    if chosen is not None:
        across, up = across[chosen], up[chosen]
    column = ((across - left) * (bins / (right - left))).astype(np.int32)
    row = ((up - low) * (bins / (high - low))).astype(np.int32)
    seen = (column >= 0) & (column < bins) & (row >= 0) & (row < bins)
    seen &= (across >= left) & (up >= low)  # a fraction below 0 is rounded to 0
    place = row[seen] * bins + column[seen]
    middle = (np.arange(bins) + 0.5) / bins
    picture = _counted(place, bins, asked.flag("log"))
    if asked.text("colour", "density", "cluster", default="density") == "cluster":
        own = np.full(plane.inside.sum(), -1) if labels is None else labels[plane.inside]
        picture = _coloured(place, bins, (own if chosen is None else own[chosen])[seen])
    return replace(
        picture,
        x=left + middle * (right - left),
        y=low + middle * (high - low),
        extra={
            "axes": plane.names,
            "n": int(across.size),
            "beyond": int(across.size - seen.sum()),
            "clusters": [] if labels is None else _ellipses(plane, labels[plane.inside]),
        },
    )


def _counted(place: np.ndarray, bins: int, logarithm: bool) -> Picture:
    """How many pixels are in each bin."""
    counts = np.bincount(place, minlength=bins * bins)
    values = np.where(counts > 0, counts, np.nan).astype(np.float32).reshape(bins, bins)
    axis = np.arange(bins)
    if logarithm:
        return Picture(np.log10(values), axis, axis, "pixels", "log₁₀ pixels")
    return Picture(values, axis, axis, "pixels", "pixels")


def _coloured(place: np.ndarray, bins: int, labels: np.ndarray) -> Picture:
    """Which cluster most of a bin's pixels are in; -1 where in none."""
    n = int(labels.max(initial=-1)) + 2
    counts = np.bincount(place * n + labels + 1, minlength=bins * bins * n).reshape(-1, n)
    most = np.where(counts.any(axis=1), counts.argmax(axis=1) - 1, np.nan).astype(np.float32)
    axis = np.arange(bins)
    return Picture(most.reshape(bins, bins), axis, axis, "cluster of most", "1", "labels")


def labels_of(session: Session, asked: Asked) -> np.ndarray | None:
    """Clusters (y, x) after the hand work that was asked for, or that of the recipe; -1 outside."""
    if not session.has("/clustered/clusters"):
        return None
    work = HandWork.of(session, asked)
    shape = session.node("/clustered/clusters")["label"].shape
    return steps_of(session, work).merged.reshape(shape)


def _ellipses(plane: Plane, labels: np.ndarray) -> list[dict[str, Any]]:
    """Mean, covariance and 2-sd ellipse of every cluster in the plane."""
    inside = labels >= 0
    own, points = labels[inside], np.stack([plane.across[inside], plane.up[inside]])
    n = np.bincount(own)
    safe = np.maximum(n, 1)
    mean = np.stack([np.bincount(own, one) for one in points]) / safe
    off = points - mean[:, own]
    second = [np.bincount(own, off[i] * off[j]) / safe for i, j in ((0, 0), (0, 1), (1, 1))]
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    found = []
    for k in np.flatnonzero(n):
        covariance = np.array([[second[0][k], second[1][k]], [second[1][k], second[2][k]]])
        value, vector = np.linalg.eigh(covariance)
        axes = 2 * vector * np.sqrt(np.maximum(value, 0))
        outline = mean[:, k, None] + axes @ np.stack([np.cos(turn), np.sin(turn)])
        found.append(
            {
                "cluster": int(k),
                "n": int(n[k]),
                "mean": mean[:, k],
                "covariance": covariance,
                "outline": outline.T,
            }
        )
    return found
