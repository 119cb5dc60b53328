"""Edge maps: what of a frame is alike across an absorption edge."""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel

EDGE_SIGMA = 1.0
#: Pixels along the border of an edge map that are left out.
BORDER = 3

#: Farid and Simoncelli's smoothing and slope, 5 taps (IEEE Trans. Image Process. 13, 496, 2004).
_FARID_SMOOTH = (
    0.0376593171958126,
    0.249153396177344,
    0.426374573253687,
    0.249153396177344,
    0.0376593171958126,
)
_FARID_SLOPE = (0.109603762960254, 0.276690988455557, 0.0, -0.276690988455557, -0.109603762960254)


def _edge_taps() -> tuple[np.ndarray, np.ndarray]:
    """Halves, the middle first, of smoothing (even) and slope (odd): Gaussian and Farid in one."""
    reach = np.arange(-4, 5)
    gaussian = np.exp(-0.5 * (reach / EDGE_SIGMA) ** 2)
    gaussian /= gaussian.sum()
    smooth, slope = np.convolve(gaussian, _FARID_SMOOTH), np.convolve(gaussian, _FARID_SLOPE)
    # taps beyond the fourth hold less than 1 % together
    middle, end = smooth.size // 2, smooth.size // 2 + 5
    return smooth[middle:end].astype(np.float32), slope[middle:end].astype(np.float32)


_SMOOTH, _SLOPE = _edge_taps()


@kernel
def _gradient(frame, smooth, slope, magnitude):  # type: ignore[no-untyped-def]
    """Magnitude of the gradient (ny, nx), borders mirrored; taps are halves, the middle first."""
    ny, nx = frame.shape
    reach = smooth.size - 1
    even, odd = np.empty(nx + 2 * reach, np.float32), np.empty(nx + 2 * reach, np.float32)
    across, along = np.empty(nx, np.float32), np.empty(nx, np.float32)
    for y in range(ny):
        for x in range(nx):
            even[reach + x] = smooth[0] * frame[y, x]
            odd[reach + x] = 0.0
        for t in range(1, reach + 1):
            up, down = y - t, y + t
            if up < 0:
                up = min(-1 - up, ny - 1)
            if down >= ny:
                down = max(2 * ny - 1 - down, 0)
            for x in range(nx):
                even[reach + x] += smooth[t] * (frame[up, x] + frame[down, x])
                odd[reach + x] += slope[t] * (frame[up, x] - frame[down, x])
        for t in range(reach):
            left, right = min(reach + t, reach + nx - 1), max(reach + nx - 1 - t, reach)
            even[reach - 1 - t], even[reach + nx + t] = even[left], even[right]
            odd[reach - 1 - t], odd[reach + nx + t] = odd[left], odd[right]
        for x in range(nx):
            across[x] = smooth[0] * odd[reach + x]
            along[x] = 0.0
        for t in range(1, reach + 1):
            for x in range(nx):
                across[x] += smooth[t] * (odd[reach + x - t] + odd[reach + x + t])
                along[x] += slope[t] * (even[reach + x - t] - even[reach + x + t])
        for x in range(nx):
            magnitude[y, x] = np.sqrt(across[x] * across[x] + along[x] * along[x])


def edge_map(frame: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Magnitude of the gradient (Gaussian, then Farid's filter), its mean removed; float32, shape
    (ny, nx).

    Zero where `weight` is zero, and along the border: nothing is known of the gradient there, and
    what stays at the border would pin every shift to zero.
    """
    edges = np.empty(frame.shape, dtype=np.float32)
    _gradient(np.require(frame, np.float32, ["C", "W"]), _SMOOTH, _SLOPE, edges)
    my, mx = (min(BORDER, n // 8) for n in frame.shape)
    inner = (slice(my, frame.shape[0] - my), slice(mx, frame.shape[1] - mx))
    counted, told = edges[inner], weight[inner]
    total = int(np.count_nonzero(told))
    centred = np.zeros_like(edges)
    if total == 0 or counted.max() <= 1e-6 * float(np.abs(frame).mean()):  # rounding is no contrast
        return centred
    if total < told.size:
        counted = counted * told
        mean = counted.sum(dtype=np.float64) / total
        np.multiply(counted - np.float32(mean), told, out=centred[inner])
    else:
        np.subtract(
            counted, counted.mean(dtype=np.float64), out=centred[inner], casting="same_kind"
        )
    return centred
