"""Cut a large map into tiles that overlap, and make one set of particles of what each tile holds.

A particle that a tile cuts is seen whole by the next one when it is shorter than the overlap; a
longer one is cut in both, and its pieces agree where the tiles overlap. Only crops of masks are
held, so that memory grows with the pixels of the particles and not with those of the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chemoscape.errors import StackError
from chemoscape.particles.masks import Instances, from_crops, intersections

#: A mask that ends within so many pixels of a tile's inner edge is taken to be cut by it: networks
#: and filters leave the last pixels undecided.
MARGIN = 12
#: Least intersection over union, in the area that two tiles share, of one particle seen twice.
#: Views of a wire 4 pixels wide, one a pixel narrower and one a pixel wider all round, agree to
#: 1/3. As the best pairs come first and a tile sees a particle once, neighbours are kept apart.
AGREEMENT = 0.3
#: Least share of a cut piece, in the shared area, that lies in what the other tile sees there.
CONTAINMENT = 0.8
#: Pixels in the shared area from which on two masks can be told to agree.
EVIDENCE = 12

Corner = tuple[int, int]


@dataclass(frozen=True)
class _Piece:
    """A mask as one tile sees it: tile, mask with its corner in the map, score, whether cut."""

    tile: int
    corner: Corner
    crop: np.ndarray
    score: float
    cut: bool


def tiles(shape: tuple[int, int], size: int = 512, overlap: int = 192) -> list[tuple[slice, slice]]:
    """Windows of equal size that cover a map, evenly spread, in reading order.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the map.
    size : int
        Side of a tile, pixels; a map that is smaller along an axis is not cut along it.
    overlap : int
        Fewest pixels that neighbouring tiles share.

    Raises
    ------
    StackError
        The overlap is not below the size, or not positive.

    Examples
    --------
    >>> tiles((8, 20), size=10, overlap=4)
    [(slice(0, 8, None), slice(0, 10, None)), (slice(0, 8, None), slice(5, 15, None)),
     (slice(0, 8, None), slice(10, 20, None))]
    """
    if not 0 < overlap < size:
        raise StackError(
            f"tiles of {size} pixels cannot overlap by {overlap}",
            remedy="give an overlap of at least 1 pixel, smaller than the tiles",
        )
    rows, columns = (
        [slice(start, start + min(size, length)) for start in _starts(length, size, overlap)]
        for length in shape
    )
    return [(one, other) for one in rows for other in columns]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    """First pixels of the fewest tiles that cover an axis with at least that overlap."""
    if length <= size:
        return [0]
    count = -(-(length - overlap) // (size - overlap))
    # rounding down keeps the largest step within size - overlap
    return [k * (length - size) // (count - 1) for k in range(count)]


def cut(instances: Instances, rows: slice, columns: slice) -> Instances:
    """Masks as a window of the image shows them; those without a pixel in it are left out.

    Parameters
    ----------
    instances : Instances
        Of the whole image.
    rows, columns : slice
        The window, with start and stop.

    Returns
    -------
    Instances
        Of an image of the window's shape, in the same order.
    """
    return _cut(instances, rows, columns)[0]


def _cut(instances: Instances, rows: slice, columns: slice) -> tuple[Instances, np.ndarray]:
    """Masks inside a window, and the index of each."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    x0, y0, x1, y1 = instances.boxes.T
    meets = (x1 > columns.start) & (x0 < columns.stop) & (y1 > rows.start) & (y0 < rows.stop)
    placed, kept = [], []
    for one in np.flatnonzero(meets):
        top, left = instances.corners[one] - (rows.start, columns.start)
        crop = instances.crops[one][max(0, -top) :, max(0, -left) :]
        corner = (max(0, int(top)), max(0, int(left)))
        crop = crop[
            : rows.stop - rows.start - corner[0], : columns.stop - columns.start - corner[1]
        ]
        if crop.any():
            placed.append((crop, corner))
            kept.append(one)
    index = np.array(kept, int)
    return from_crops(shape, placed, instances.scores[index]), index


def stitch(
    found: Sequence[tuple[Corner, Instances]],
    shape: tuple[int, int],
    *,
    agreement: float = AGREEMENT,
    containment: float = CONTAINMENT,
    margin: int = MARGIN,
) -> Instances:
    """One set of particles from those of tiles that overlap.

    Pieces in two tiles are one particle when their masks agree in the area that both tiles see
    (best agreement first, each particle at most once per tile); after that, when a piece that a
    tile's edge cuts and that agrees with none lies in a mask of the other tile. Of a particle seen
    whole by some tile the best-scored whole mask is taken; of one cut in every tile, the union of
    its pieces, with their mean score weighted by area.

    Parameters
    ----------
    found : sequence of (corner, Instances)
        First row and column of each tile, and its particles in the tile's own pixels.
    shape : tuple of int
        Rows and columns of the whole map.
    agreement, containment : float
        Least intersection over union, least share of a cut piece, in the shared area.
    margin : int
        Pixels from an inner edge within which a mask counts as cut.

    Returns
    -------
    Instances
        By falling score; whatever the order of the tiles.

    Raises
    ------
    StackError
        A tile reaches outside the map.
    """
    for (row, column), instances in found:
        high, wide = instances.shape
        if row < 0 or column < 0 or row + high > shape[0] or column + wide > shape[1]:
            raise StackError(
                f"a tile of {high} × {wide} pixels at ({row}, {column}) does not lie in a map of "
                f"{shape[0]} × {shape[1]}",
                remedy="cut the map with chemoscape.particles.tiles.tiles",
            )
    ordered = sorted(found, key=lambda one: (*map(int, one[0]), *one[1].shape))
    pieces = [
        piece
        for tile, (corner, instances) in enumerate(ordered)
        for piece in _pieces(tile, corner, instances, shape, margin)
    ]
    groups = _groups(pieces, _links(ordered), agreement, containment)
    placed, scores = [], []
    for members in groups:
        mask, corner, score = _joined([pieces[one] for one in members])
        placed.append((mask, corner))
        scores.append(score)
    stitched = from_crops(shape, placed, scores)
    order = np.lexsort((*stitched.corners.T[::-1], -stitched.areas, -stitched.scores))
    return stitched.take(order)


def _pieces(
    tile: int, corner: Corner, instances: Instances, shape: tuple[int, int], margin: int
) -> Iterator[_Piece]:
    """Masks of a tile, placed in the map."""
    low = np.array(corner)
    high = low + instances.shape
    inner_low = np.where(low > 0, low + margin, 0)
    inner_high = np.where(high < shape, high - margin, high)
    for (row, column), crop, score in zip(
        instances.corners, instances.crops, instances.scores, strict=True
    ):
        start = np.add(low, (row, column))
        stop = start + crop.shape
        cuts = bool((start < inner_low).any() or (stop > inner_high).any())
        yield _Piece(tile, (int(start[0]), int(start[1])), crop, float(score), cuts)


def _links(ordered: Sequence[tuple[Corner, Instances]]) -> np.ndarray:
    """Pairs of pieces of different tiles that share pixels.

    Returns
    -------
    links : ndarray of int, shape (n, 5)
        Numbers of both pieces, pixels that they share, pixels of each in the area that both tiles
        see.
    """
    low = np.array([corner for corner, _ in ordered], int).reshape(-1, 2)
    high = low + np.array([instances.shape for _, instances in ordered], int).reshape(-1, 2)
    first = np.cumsum([0, *(len(instances) for _, instances in ordered)])
    links = [np.zeros((0, 5), int)]
    for a in range(len(ordered)):
        start, stop = np.maximum(low[a], low[a + 1 :]), np.minimum(high[a], high[a + 1 :])
        for k in np.flatnonzero((stop > start).all(1)):
            b = a + 1 + int(k)
            one, in_a = _cut(ordered[a][1], *_window(start[k] - low[a], stop[k] - low[a]))
            other, in_b = _cut(ordered[b][1], *_window(start[k] - low[b], stop[k] - low[b]))
            pixels = intersections(one, other).astype(int)
            i, j = np.nonzero(pixels)
            numbers = first[a] + in_a[i], first[b] + in_b[j]
            seen = one.areas[i], other.areas[j]
            links.append(np.column_stack([*numbers, pixels[i, j], *seen]))
    return np.vstack(links)


def _window(start: np.ndarray, stop: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns between two corners."""
    return slice(int(start[0]), int(stop[0])), slice(int(start[1]), int(stop[1]))


def _groups(
    pieces: Sequence[_Piece], links: np.ndarray, agreement: float, containment: float
) -> list[list[int]]:
    """Numbers of the pieces that make up each particle."""
    group = list(range(len(pieces)))  # of each piece
    members = [[one] for one in group]
    first, second, shared, in_first, in_second = links.T
    overlap = shared / np.maximum(in_first + in_second - shared, 1)
    areas = np.array([piece.crop.sum() for piece in pieces], int)
    # a few pixels at a corner say nothing of two long wires, but all of a small piece
    told = (shared >= EVIDENCE) | (2 * shared >= np.minimum(areas[first], areas[second]))
    best_first = np.argsort(-shared * overlap, kind="stable")
    agreed = np.zeros(len(pieces), bool)

    def join(one: int, other: int) -> None:
        kept, gone = sorted((group[one], group[other]))
        for piece in members[gone]:
            group[piece] = kept
        members[kept] += members[gone]
        members[gone] = []

    for k in best_first[(overlap >= agreement)[best_first] & told[best_first]]:
        a, b = int(first[k]), int(second[k])
        if group[a] == group[b]:
            continue
        tiles_a, tiles_b = ({pieces[m].tile for m in members[group[one]]} for one in (a, b))
        if not tiles_a & tiles_b:
            join(a, b)
            agreed[[a, b]] = True
    for k in best_first:
        for one, host, seen in ((first, second, in_first), (second, first, in_second)):
            a, b = int(one[k]), int(host[k])
            alone = pieces[a].cut and not agreed[a] and len(members[group[a]]) == 1
            # most of it must lie where the other tile would have seen it
            if alone and shared[k] >= containment * seen[k] and 2 * seen[k] >= areas[a]:
                join(a, b)
    return [sorted(one) for one in members if one]


def _joined(members: Sequence[_Piece]) -> tuple[np.ndarray, Corner, float]:
    """Mask, corner and score of the particle that several tiles see pieces of."""
    whole = [piece for piece in members if not piece.cut]
    if whole:
        best = max(whole, key=lambda piece: (piece.score, piece.crop.sum()))
        return best.crop, best.corner, best.score
    if len(members) == 1:
        return members[0].crop, members[0].corner, members[0].score
    start = np.min([piece.corner for piece in members], axis=0)
    stop = np.max([np.add(piece.corner, piece.crop.shape) for piece in members], axis=0)
    union = np.zeros(stop - start, bool)
    for piece in members:
        row, column = piece.corner - start
        union[row : row + piece.crop.shape[0], column : column + piece.crop.shape[1]] |= piece.crop
    weights = [float(piece.crop.sum()) for piece in members]
    score = float(np.average([piece.score for piece in members], weights=weights))
    return union, (int(start[0]), int(start[1])), score
