"""Centrelines of wires from a foreground: a skeleton cut at junctions and joined through crossings.

Coordinates are rows and columns of pixel centres, so the first pixel lies at (0, 0); lengths are in
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse, spatial
from skimage.morphology import skeletonize

AROUND = np.ones((3, 3), bool)
#: Cosine of the turn (50°) at which a chain is two wires that meet end to end.
CORNER = float(np.cos(np.deg2rad(50)))
#: Tolerances of a join: turn (radians), sideways offset (share of the radius), log ratios of radius
#: and brightness, gap (share of the longest that is allowed). Their squares add up to a cost.
TURN, ASIDE, RADII, BRIGHTNESS, GAP = 0.28, 1.0, 0.6, 0.8, 1.2
DEAREST = 3.0


@dataclass(frozen=True)
class Centreline:
    """The middle of a wire.

    Attributes
    ----------
    points : ndarray, shape (n, 2)
        Rows and columns, in order from one end to the other, with a gap at each crossing.
    radius : float
        Median distance from the middle to the edge of the foreground.
    joins : int
        How many gaps were bridged.
    """

    points: np.ndarray
    radius: float
    joins: int = 0


def centrelines(
    foreground: np.ndarray, density: np.ndarray, longest_gap: float
) -> list[Centreline]:
    """Centrelines of the wires in a foreground, continued through crossings.

    Parameters
    ----------
    foreground : ndarray of bool, shape (y, x)
        Where there is material.
    density : ndarray, shape (y, x)
        Optical density above the background.
    longest_gap : float
        Most pixels between two pieces of one wire.
    """
    padded = np.pad(foreground, 1)
    inside = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    skeleton = skeletonize(foreground)
    for _ in range(2):
        skeleton = _without_spurs(skeleton, inside)
    pieces = [part for piece in _pieces(skeleton) for part in _split_at_corners(piece, inside)]
    pieces = [piece for piece in pieces if len(piece) >= 3]
    if not pieces:
        return []
    radii = np.array([np.median(inside[_at(piece)]) for piece in pieces])
    levels = np.array([np.median(density[_at(piece)]) for piece in pieces])
    partner = _partners(pieces, radii, levels, foreground, longest_gap)
    return _chains(pieces, radii, partner)


def _at(piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the pixels of a chain."""
    rows, columns = piece.astype(int).T
    return rows, columns


def _junctions(skeleton: np.ndarray) -> np.ndarray:
    """Skeleton pixels with more than two neighbours, and the pixels around them."""
    count = ndimage.convolve(skeleton.astype(np.uint8), AROUND.astype(np.uint8), mode="constant")
    return ndimage.binary_dilation(skeleton & (count > 3), AROUND)


def _without_spurs(skeleton: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The skeleton without branches that only lead from a junction to a corner of the outline."""
    near = _junctions(skeleton)
    labels, count = ndimage.label(skeleton & ~near, AROUND)
    if not count:
        return skeleton
    index = np.arange(1, count + 1)
    length = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    # a corner lies sqrt(2) radii from the last point of the axis
    hubs, n_hubs = ndimage.label(near, AROUND)
    reach = np.zeros(n_hubs + 1)
    reach[1:] = ndimage.maximum(inside, hubs, np.arange(1, n_hubs + 1)) if n_hubs else []
    grown = ndimage.grey_dilation(hubs, footprint=AROUND)
    touched = np.where(skeleton & ~near, grown, 0)
    first = ndimage.maximum(touched, labels, index).astype(int)
    sides = _sides(touched, labels)
    short = (sides == 1) & (length + 1 < 1.5 * reach[first])
    return skeleton & ~np.concatenate([[False], short])[labels]


def _sides(touched: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many pixels of each piece lie against a junction (1: the other end is free)."""
    return np.bincount(labels[touched > 0], minlength=labels.max() + 1)[1:]


def _pieces(skeleton: np.ndarray) -> list[np.ndarray]:
    """Chains of skeleton pixels between junctions, each in order, shape (n, 2); no closed loops."""
    labels, _ = ndimage.label(skeleton & ~_junctions(skeleton), AROUND)
    at = np.argwhere(labels > 0)
    if not len(at):
        return []
    label = labels[tuple(at.T)]
    pairs = spatial.cKDTree(at).query_pairs(1.5, output_type="ndarray")
    one, two = pairs.T
    links = np.bincount(pairs.ravel(), minlength=len(at))
    ends = np.flatnonzero(links <= 1)
    _, first = np.unique(label[ends], return_index=True)
    graph = sparse.coo_array((np.hypot(*(at[one] - at[two]).T), (one, two)), (len(at), len(at)))
    along = sparse.csgraph.dijkstra(
        graph.tocsr(), directed=False, indices=ends[first], min_only=True
    )
    reached = np.flatnonzero(np.isfinite(along))
    order = reached[np.lexsort((along[reached], label[reached]))]
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return [at[part].astype(float) for part in np.split(order, cuts)]


def _split_at_corners(piece: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """A chain cut where it turns sharply: two wires that touch with their ends."""
    step = int(max(4, 1.5 * np.median(inside[_at(piece)])))
    if len(piece) < 3 * step:
        return [piece]
    back = piece[step:-step] - piece[: -2 * step]
    forth = piece[2 * step :] - piece[step:-step]
    norms = np.linalg.norm(back, axis=1) * np.linalg.norm(forth, axis=1)
    cosine = (back * forth).sum(1) / np.maximum(norms, 1e-9)
    sharpest = ndimage.minimum_filter1d(cosine, 2 * step + 1)
    corners = np.flatnonzero((cosine < CORNER) & (cosine == sharpest)) + step
    return [part for part in np.split(piece, corners) if len(part) >= 3]


def _ends(pieces: list[np.ndarray], radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of each piece and the directions out of them, shapes (2 n, 2).

    The skeleton bends towards a junction, so the last radius of it tells no direction.
    """
    where, out = [], []
    for piece, radius in zip(pieces, radii, strict=True):
        skip = int(min(radius, len(piece) // 3))
        use = max(4, int(max(8, 3 * radius)))
        for chain in (piece, piece[::-1]):
            part = chain[skip : skip + use]
            middle = part.mean(0)
            axis = np.linalg.svd(part - middle, full_matrices=False)[2][0]
            axis = axis if (part[0] - part[-1]) @ axis > 0 else -axis
            # the end on the fitted line, not on the bent skeleton
            where.append(middle + axis * ((chain[0] - middle) @ axis))
            out.append(axis)
    return np.array(where), np.array(out)


def _partners(
    pieces: list[np.ndarray],
    radii: np.ndarray,
    levels: np.ndarray,
    foreground: np.ndarray,
    longest_gap: float,
) -> np.ndarray:
    """End that each end (2 i and 2 i + 1 of piece i) continues in, -1 for none; best first."""
    where, out = _ends(pieces, radii)
    partner = np.full(len(where), -1)
    pairs = spatial.cKDTree(where).query_pairs(longest_gap, output_type="ndarray")
    pairs = pairs[pairs[:, 0] // 2 != pairs[:, 1] // 2]
    if not len(pairs):
        return partner
    cost = _costs(pairs, where, out, radii, levels, longest_gap)
    likely = np.flatnonzero(cost < DEAREST)
    likely = likely[_bridged(where[pairs[likely]], foreground)]
    root = np.arange(len(pieces))

    def leader(piece: int) -> int:
        while root[piece] != piece:
            piece = root[piece] = root[root[piece]]
        return piece

    for a, b in pairs[likely[np.argsort(cost[likely], kind="stable")]]:
        first, second = leader(a // 2), leader(b // 2)
        if partner[a] < 0 and partner[b] < 0 and first != second:
            partner[a], partner[b] = b, a
            root[first] = second
    return partner


def _costs(
    pairs: np.ndarray,
    where: np.ndarray,
    out: np.ndarray,
    radii: np.ndarray,
    levels: np.ndarray,
    longest_gap: float,
) -> np.ndarray:
    """How little two ends look like one wire: turn, offset, and change of width and brightness."""
    a, b = pairs.T
    gap = where[b] - where[a]
    distance = np.linalg.norm(gap, axis=1)
    turn = np.arccos(np.clip(-(out[a] * out[b]).sum(1), -1, 1))
    aside = np.maximum(
        abs(gap[:, 0] * out[a, 1] - gap[:, 1] * out[a, 0]),
        abs(gap[:, 0] * out[b, 1] - gap[:, 1] * out[b, 0]),
    )
    ahead = np.minimum((gap * out[a]).sum(1), -(gap * out[b]).sum(1))
    ra, rb = radii[a // 2], radii[b // 2]
    la, lb = (np.maximum(levels[one // 2], 1e-9) for one in (a, b))
    allowed = ASIDE * np.minimum(ra, rb) + 1 + 0.12 * distance
    cost = (
        (turn / TURN) ** 2
        + (aside / allowed) ** 2
        + (np.log(ra / rb) / RADII) ** 2
        + (np.log(la / lb) / BRIGHTNESS) ** 2
        + (distance / longest_gap / GAP) ** 2
    )
    # ends that lie past each other belong to wires side by side
    return np.where(ahead < -np.minimum(ra, rb) - 1, np.inf, cost)


def _bridged(gaps: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Whether the straight line over each gap, shape (n, 2, 2), runs through foreground."""
    share = np.linspace(0, 1, 16)[None, :, None]
    at = np.rint(gaps[:, :1] * (1 - share) + gaps[:, 1:] * share).astype(int)
    at = np.clip(at, 0, np.array(foreground.shape) - 1)
    return foreground[at[..., 0], at[..., 1]].mean(1) > 0.7


def _chains(pieces: list[np.ndarray], radii: np.ndarray, partner: np.ndarray) -> list[Centreline]:
    """Pieces strung together along their partners."""
    lines = []
    done = np.zeros(len(pieces), bool)
    for end in np.flatnonzero(partner < 0):
        if done[end // 2]:
            continue
        parts, used = [], []
        while end >= 0:  # enter a piece at this end, leave it at the other
            piece = end // 2
            done[piece] = True
            parts.append(pieces[piece] if end % 2 == 0 else pieces[piece][::-1])
            used.append(piece)
            end = partner[end ^ 1]
        lengths = [len(part) for part in parts]
        radius = float(np.average(radii[used], weights=lengths))
        lines.append(Centreline(np.concatenate(parts), radius, len(parts) - 1))
    return lines
