"""Shifts of all frames together, from what aligned optical densities have in common.

After alignment the optical densities of a stack are a sum of a few images, each with its own
spectrum. Shifts that minimise the part which no such sum explains are found by variable projection.
They average the noise of all frames, and are free of the bias that an edge map has when one
material fades and another appears.

Only the few thousand pixels that tell most about position take part: small tiles around them are
cut from each frame where the correlation says that they lie, so that no full frame is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from chemoscape import blocks
from chemoscape.blocks import for_each_band, kernel

FIT_SIGMA = 0.7
#: How far (standard deviation, pixels) the joint fit may move a frame from its correlation: more
#: than the latter's usual bias, which follows the spectra and would else be kept.
PRIOR_PX = 1.0
MAX_RANK = 6
#: Pixels that tell most about position: more of them slow the fit without sharpening it.
MAX_FIT_PIXELS = 4096
#: Side of the tiles that the pixels are taken from, and how many times their number is cut.
TILE = 16
TILES_PER_PIXELS = 2
#: A fit that moves a frame by more (pixels) has lost its way.
LARGEST_STEP = 2.0
#: Side of the smallest field, and number of pixels in it, that are worth a fit.
SMALLEST, FEWEST_PIXELS = 8, 400
#: Pixels around a tile: the largest step, the smoothing and the reach of a cubic spline.
MARGIN = 8
#: A component this much above the noise of the others is not noise; misaligned frames leave one,
#: too.
SIGNIFICANT = 2.0
#: Thinnest transmission, relative to the open beam, whose logarithm is taken.
DARKEST = 0.02


@dataclass(frozen=True)
class Refined:
    """Shifts (n, 2) in pixels, and the standard deviation (n, 2) that counting noise gives them."""

    shifts: np.ndarray
    sd: np.ndarray


def refine(
    frames: np.ndarray,
    numbers: np.ndarray,
    start: np.ndarray,
    weight: np.ndarray,
    bright: np.ndarray,
) -> Refined | None:
    r"""Shifts that leave least behind a sum of a few images with a spectrum each.

    Minimises :math:`\lVert D(s) - \sum_{k \le r} c_k t_k^T - b\,1^T \rVert^2 / \sigma^2 + \lVert s
    - s_0 \rVert^2 / \sigma_0^2` over the shifts s, the images t, their spectra c and an offset b of
    each frame, by Gauss-Newton steps on s alone with the rest projected out (variable projection;
    Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). D are optical densities weighted by
    counts. The number of images r is the lowest that leaves nothing above the noise.

    Parameters
    ----------
    frames : ndarray, shape (m, ny, nx)
        Intensities, finite.
    numbers : ndarray of int, shape (n,)
        Those of the frames that take part.
    start : ndarray, shape (n, 2)
        Shifts to apply, from `match_frames`; also the centre of the prior.
    weight : ndarray of bool, shape (ny, nx)
        Pixels that count.
    bright : ndarray, shape (m,)
        Intensity of the open beam in each frame.

    Returns
    -------
    Refined or None
        None when no r up to `MAX_RANK` leaves only noise, or too little of the field is common.
    """
    if numbers.size < 4:
        return None
    tiles = _choose_tiles(frames, numbers, bright, start, weight)
    if tiles is None:
        return None
    aligned = _Aligned(frames, numbers, bright, start, tiles)
    at_start = aligned.components(start)
    for rank in range(1, min(MAX_RANK, numbers.size // 3) + 1):
        shifts, found, moved = start, at_start, np.inf
        for round_ in range(8):
            step = aligned.step(found, rank, shifts - start)
            shifts, moved = shifts - step, float(np.sqrt((step**2).mean()))
            if not np.abs(shifts - start).max() < LARGEST_STEP:  # also when NaN
                break
            found = aligned.components(shifts)
            if moved < 0.005 or (round_ > 0 and found.excess(rank) > 3 * SIGNIFICANT):
                break
        settled = moved < 0.02 and np.abs(shifts - start).max() < LARGEST_STEP
        if settled and found.excess(rank) < SIGNIFICANT:
            # once more with the slopes and weights of the aligned frames
            aligned.weigh(shifts)
            for _ in range(3):
                found = aligned.components(shifts)
                shifts = shifts - aligned.step(found, rank, shifts - start)
            return Refined(shifts, aligned.sd(found, rank))
    return None


@dataclass(frozen=True)
class _Tiles:
    """Upper left corners (k, 2) of tiles, and of each fit pixel its tile, row and column in it."""

    corners: np.ndarray
    tile: np.ndarray
    row: np.ndarray
    column: np.ndarray


def _choose_tiles(
    frames: np.ndarray,
    numbers: np.ndarray,
    bright: np.ndarray,
    shifts: np.ndarray,
    weight: np.ndarray,
) -> _Tiles | None:
    """Pixels that every frame sees, at most `MAX_FIT_PIXELS`, those that tell most about position
    first.
    """
    size, margin = np.array(weight.shape), 3
    low = np.ceil(np.maximum(shifts.max(axis=0), 0)).astype(int) + margin
    high = size + np.floor(np.minimum(shifts.min(axis=0), 0)).astype(int) - margin
    if (high < low + SMALLEST).any():
        return None
    number = -(-(high - low) // TILE)
    side = (high - low) // number
    tells = np.zeros((high - low).tolist(), dtype=np.float32)
    for k in np.linspace(0, numbers.size - 1, 8).astype(int):
        whole = np.rint(shifts[k]).astype(int)
        (top, left), (bottom, right) = low - whole, high - whole
        smooth = ndimage.gaussian_filter(frames[numbers[k], top:bottom, left:right], 1.0)
        floor = DARKEST * bright[numbers[k]]
        tells += _squared_slope(smooth) / np.maximum(smooth, floor)
    tells[~weight[low[0] : high[0], low[1] : high[1]]] = -1.0
    (ky, kx), (ty, tx) = number, side
    grid = tells[: ky * ty, : kx * tx].reshape(ky, ty, kx, tx).swapaxes(1, 2)
    cells = grid.reshape(ky * kx, ty * tx)
    most = min(-(-TILES_PER_PIXELS * MAX_FIT_PIXELS // (ty * tx)), len(cells))
    best = np.sort(np.argsort(cells.sum(axis=1))[::-1][:most])
    values = cells[best].ravel()
    order = np.argsort(values)[::-1][:MAX_FIT_PIXELS]
    order = np.sort(order[values[order] >= 0])
    if order.size < FEWEST_PIXELS:
        return None
    tile, row, column = np.unravel_index(order, (most, ty, tx))
    corners = np.stack([low[0] + best // kx * ty, low[1] + best % kx * tx], axis=1)
    return _Tiles(corners, tile, row, column)


def _squared_slope(image: np.ndarray) -> np.ndarray:
    gy, gx = np.gradient(image)
    return np.asarray(gy**2 + gx**2)


@kernel
def _cut(frame, corners, smoothing, scale, darkest, tiles):  # type: ignore[no-untyped-def]
    """-ln of the smoothed intensity times `scale` in windows at `corners`, clamped to the frame."""
    ny, nx = frame.shape
    n_tiles, size, _ = tiles.shape
    reach = smoothing.size - 1
    across = np.empty((size + 2 * reach, size), dtype=np.float32)
    line = np.empty(size + 2 * reach, dtype=np.float32)
    for k in range(n_tiles):
        for r in range(size + 2 * reach):
            y = min(max(corners[k, 0] + r - reach, 0), ny - 1)
            for c in range(size + 2 * reach):
                line[c] = frame[y, min(max(corners[k, 1] + c - reach, 0), nx - 1)]
            for c in range(size):
                across[r, c] = smoothing[0] * line[c + reach]
            for t in range(1, reach + 1):
                for c in range(size):
                    across[r, c] += smoothing[t] * (line[c + reach - t] + line[c + reach + t])
        for r in range(size):
            for c in range(size):
                tiles[k, r, c] = smoothing[0] * across[r + reach, c]
            for t in range(1, reach + 1):
                for c in range(size):
                    tiles[k, r, c] += smoothing[t] * (
                        across[r + reach - t, c] + across[r + reach + t, c]
                    )
            for c in range(size):
                tiles[k, r, c] = -np.log(max(tiles[k, r, c] * scale, darkest))


@kernel
def _sample(coefficients, tile, row, column, y, x, values):  # type: ignore[no-untyped-def]
    """Cubic spline in tiles (k, size, size) at (row + y, column + x), the same y and x for all."""
    whole_y, whole_x = int(np.floor(y)), int(np.floor(x))
    wy, wx = np.empty(4, dtype=np.float32), np.empty(4, dtype=np.float32)
    for w, f in ((wy, y - whole_y), (wx, x - whole_x)):
        w[0] = (1 - f) ** 3 / 6
        w[1] = 2 / 3 - f * f * (1 - f / 2)
        w[2] = 2 / 3 - (1 - f) ** 2 * (1 + f) / 2
        w[3] = f**3 / 6
    for p in range(tile.size):
        r, c = row[p] + whole_y - 1, column[p] + whole_x - 1
        total = np.float32(0.0)
        for a in range(4):
            line = coefficients[tile[p], r + a]
            total += wy[a] * (
                wx[0] * line[c] + wx[1] * line[c + 1] + wx[2] * line[c + 2] + wx[3] * line[c + 3]
            )
        values[p] = total


def gram(data: np.ndarray) -> np.ndarray:
    """Products (n, n) of the rows of `data` (n, pixel), summed in float64 by bands of pixels in
    threads.
    """
    n, n_pixels = data.shape
    per_band = -(-n_pixels // (2 * blocks.n_workers()))
    parts = np.zeros((-(-n_pixels // per_band), n, n))

    def work(band: slice) -> None:
        part = np.ascontiguousarray(data[:, band], dtype=np.float64)
        parts[band.start // per_band] = part @ part.T

    for_each_band(work, n_pixels, rows_per_band=per_band)
    return np.asarray(parts.sum(axis=0))


@dataclass(frozen=True)
class _Components:
    """Aligned data (n, pixel), its left singular vectors as columns, and its singular values."""

    data: np.ndarray
    left: np.ndarray
    singular: np.ndarray

    def excess(self, rank: int) -> float:
        """The largest component beyond the first `rank`, relative to the noise in the others."""
        noise = float(np.median(self.singular[rank:]))
        return float(self.singular[rank]) / max(noise, np.finfo(float).tiny)

    def noise(self, rank: int) -> float:
        """Variance per independent pixel that the first `rank` components leave."""
        correlated = max(1.0, 4 * np.pi * FIT_SIGMA**2)
        left_over = float(np.median(self.singular[rank:] ** 2)) / self.data.shape[1]
        return max(left_over * correlated, 1e-12)


class _Aligned:
    """Optical densities at the pixels of `tiles` as a function of the shifts, weighted by counts.

    Slopes and weights are those at `start`: the fit moves frames by a fraction of a pixel.
    """

    def __init__(
        self,
        frames: np.ndarray,
        numbers: np.ndarray,
        bright: np.ndarray,
        start: np.ndarray,
        tiles: _Tiles,
    ) -> None:
        self._pixels = (tiles.tile, tiles.row, tiles.column)
        self._whole = np.rint(start).astype(np.int64)
        bright = bright[numbers]
        self._relative = bright / bright.mean()
        width = int(max(tiles.row.max(), tiles.column.max())) + 1 + 2 * MARGIN
        self._spline = np.empty((numbers.size, len(tiles.corners), width, width), dtype=np.float32)
        reach = np.arange(int(4 * FIT_SIGMA + 0.5) + 1)
        smoothing = np.exp(-0.5 * (reach / FIT_SIGMA) ** 2)
        smoothing = (smoothing / (2 * smoothing.sum() - 1)).astype(np.float32)

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                corners = tiles.corners - self._whole[i] - MARGIN
                scale, cut = np.float32(1 / bright[i]), self._spline[i]
                frame = np.require(frames[numbers[i]], np.float32, ["C", "W"])
                _cut(frame, corners, smoothing, scale, np.float32(DARKEST), cut)
                for axis in (1, 2):
                    ndimage.spline_filter1d(cut, order=3, axis=axis, output=cut, mode="mirror")

        for_each_band(work, numbers.size, rows_per_band=2)
        self.weigh(start)

    def weigh(self, shifts: np.ndarray) -> None:
        """Take slopes and weights from the frames moved by `shifts`."""
        transmitted = self._relative[:, None] * np.exp(-self._sampled(shifts))
        self._per_pixel = np.sqrt(transmitted.mean(axis=0))
        self._per_frame = np.sqrt(self._relative)[:, None]
        self._constant = self._per_pixel / np.linalg.norm(self._per_pixel)
        half = np.array([[0.5, 0.0], [0.0, 0.5]])
        self._slopes = [
            (self._sampled(shifts - along) - self._sampled(shifts + along))
            * self._per_pixel
            * self._per_frame
            for along in half
        ]

    def _sampled(self, shifts: np.ndarray) -> np.ndarray:
        """Values (n, pixel) of the frames moved by `shifts`."""
        values = np.empty((len(self._spline), self._pixels[0].size))
        at = MARGIN - (shifts - self._whole)

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                _sample(self._spline[i], *self._pixels, at[i, 0], at[i, 1], values[i])

        for_each_band(work, len(values), rows_per_band=16)
        return values

    def components(self, shifts: np.ndarray) -> _Components:
        """Singular value decomposition of the aligned data, each frame's offset taken out."""
        data = self._sampled(shifts)
        data *= self._per_pixel
        data *= self._per_frame
        data -= np.outer(data @ self._constant, self._constant)
        squares, left = np.linalg.eigh(gram(data))
        return _Components(data, left[:, ::-1], np.sqrt(np.maximum(squares[::-1], 0.0)))

    def _equations(self, found: _Components, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton matrix (2n, 2n) and gradient (2n,), both over the noise."""
        left = found.left[:, :rank]
        spectra = left * found.singular[:rank]
        scale = np.maximum(found.singular[:rank], np.finfo(float).tiny)[:, None]
        known = np.vstack([(left.T @ found.data) / scale, self._constant])
        slopes = [(left.T @ along) / scale for along in self._slopes]
        slopes = [slope - (slope @ known.T) @ known for slope in slopes]
        outside = np.eye(len(left)) - left @ left.T
        hessian = np.block(
            [[outside * (spectra @ (a @ b.T) @ spectra.T) for b in slopes] for a in slopes]
        )
        downhill = np.concatenate(
            [((outside @ (found.data @ slope.T)) * spectra).sum(axis=1) for slope in slopes]
        )
        noise = found.noise(rank)
        return hessian / noise, downhill / noise

    def step(self, found: _Components, rank: int, departure: np.ndarray) -> np.ndarray:
        """Gauss-Newton step (n, 2) to subtract from shifts `departure` away from the start."""
        hessian, downhill = self._equations(found, rank)
        prior = np.eye(len(hessian)) / PRIOR_PX**2
        pull = departure.T.ravel() / PRIOR_PX**2
        step = np.linalg.solve(hessian + prior, pull - downhill)
        step = step.reshape(2, -1).T
        return np.asarray(step - step.mean(axis=0))

    def sd(self, found: _Components, rank: int) -> np.ndarray:
        """Standard deviation (n, 2) of each frame's shift, the other frames' held."""
        hessian, _ = self._equations(found, rank)
        n = len(hessian) // 2
        yy, xx = np.diag(hessian)[:n], np.diag(hessian)[n:]
        yx = np.diag(hessian[:n, n:])
        determinant = np.maximum(yy * xx - yx**2, np.finfo(float).tiny)
        return np.sqrt(np.stack([xx / determinant, yy / determinant], axis=1))
