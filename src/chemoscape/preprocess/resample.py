"""Moving an image by a fraction of a pixel, or turning and scaling it: cubic splines, NaN where
nothing was measured, and what it does to noise.

The spline is the natural one: beyond its border an image is continued antisymmetrically, 2 f(0) -
f(k) at -k, so that a ramp stays a ramp. Its B-spline coefficients c solve, along each axis,
(c[i-1] + 4 c[i] + c[i+1]) / 6 = f[i] with c = f at both ends (Unser, IEEE Signal Process. Mag. 16,
22, 1999).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from chemoscape.blocks import kernel

#: Shifts this close (pixels) to whole ones are taken as whole: the frame is moved without
#: interpolation.
NEGLIGIBLE_PX = 0.02
#: Pole of the cubic spline: a pixel n pixels away counts with this to the power n.
_POLE = np.sqrt(3.0) - 2.0
#: Pixels after which that is below the rounding of float32: cutting an image there changes nothing.
REACH = 14
#: The cubic B-splines at -1, 0, 1 and 2, as polynomials of how far (0 to 1) a point lies from 0.
_SPLINES = np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6


def _gain_polynomial() -> np.ndarray:
    """Sum of squared weights of the interpolating spline at a fraction t of a pixel, a polynomial
    of t (7 coefficients, the constant first).

    Coefficients are the pixels filtered with √3 z^|k|, z = √3 - 2, whose autocorrelation at lag m
    is r(m) = 3 z^|m| ((1 + z²) / (1 - z²) + |m|); a point is the sum of four of them with weights
    b(t), so that the sum of squares is sum_jk b_j b_k r(j - k).
    """
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    correlation = 3 * _POLE**lag * ((1 + _POLE**2) / (1 - _POLE**2) + lag)
    products = [[np.convolve(one, other) for other in _SPLINES] for one in _SPLINES]
    polynomial = np.asarray(np.einsum("jk,jkp->p", correlation, np.array(products)))
    polynomial[0] = 1.0  # whole pixels, without rounding
    return polynomial


_GAIN = _gain_polynomial()

#: Share of a pixel that is rounding: less of a missing one makes no point missing.
_TOUCHED = 1e-6
#: Lines that the kernels work on side by side: columns as they lie, rows turned round first.
_COLUMNS, _ROWS = 64, 16


def settle(shift: np.ndarray) -> np.ndarray:
    """Shift in pixels, components within `NEGLIGIBLE_PX` of a whole number made whole."""
    whole = np.rint(shift)
    return np.where(np.abs(shift - whole) <= NEGLIGIBLE_PX, whole, shift)


def _taps(fraction: float) -> np.ndarray:
    """Weights (4,) of the coefficients at -1, 0, 1 and 2 for a point at `fraction` between 0 and
    1.
    """
    return np.asarray(_SPLINES @ fraction ** np.arange(4.0))


def noise_gain(shifts: np.ndarray) -> np.ndarray:
    """Factor (n,) by which moving a frame by each of `shifts` (n, 2) multiplies the variance of
    white noise.

    1 for whole pixels, 0.756 for half a pixel on one axis, 0.572 on both.

    Examples
    --------
    >>> noise_gain(np.array([[0.0, 3.0], [0.5, 0.0], [0.5, -1.5]])).round(3)
    array([1.   , 0.756, 0.572])
    """
    fractions = settle(np.asarray(shifts, dtype=np.float64)) % 1.0
    return np.asarray(np.polynomial.polynomial.polyval(fractions, _GAIN).prod(axis=-1))


#: The same for a turned or scaled image, whose pixels lie at all fractions of a pixel alike.
EVERY_FRACTION_GAIN = float((_GAIN / np.arange(1, len(_GAIN) + 1)).sum() ** 2)


def motion_gain(shift: np.ndarray, linear: np.ndarray, shape: tuple[int, int]) -> float:
    """Factor by which moving an image (ny, nx) by `shift` and `linear` multiplies the variance of
    white noise, in the mean over the pixels that it fills.

    Each pixel is taken from fractions (f_y, f_x) of a pixel of its own, where the squared weights
    of the spline add up to g(f_y) g(f_x), g being the factor of a shift by as much on one axis.

    Examples
    --------
    >>> motion_gain(np.array([0.5, 0.0]), np.eye(2), (9, 9)).__round__(3)
    0.756
    """
    matrix, offset = source_map(shift, linear, shape)
    return float(_mean_gain(matrix, offset, *shape, _GAIN))


def source_map(
    shift: np.ndarray, linear: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (2, 2) and offset (2,): pixel p = (y, x) of the moved image is taken from
    ``matrix @ p + offset`` = c + linear⁻¹ (p - c - shift), c the centre of the image (ny, nx).
    """
    centre = (np.array(shape) - 1) / 2
    matrix = np.linalg.inv(linear)
    return matrix, centre - matrix @ (centre + shift)


def turns(linear: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether `linear` (2, 2) moves some pixel of an image (ny, nx) by more than `NEGLIGIBLE_PX`
    against its centre.
    """
    return bool(corner_motion(linear, shape).max() > NEGLIGIBLE_PX)


def corner_motion(linear: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How far (pixels) `linear` moves the corners (4,) of an image (ny, nx) against its centre."""
    half_y, half_x = (np.array(shape) - 1) / 2
    corners = np.array([[half_y, half_x], [half_y, -half_x], [-half_y, half_x], [-half_y, -half_x]])
    return np.asarray(np.hypot(*((linear - np.eye(2)) @ corners.T)))


def shift_image(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move `image` (ny, nx) by `shift` = (dy, dx) pixels.

    Whole shifts copy pixels exactly; others interpolate with a cubic spline. Pixels that were
    outside the image, or between a missing pixel (NaN) and its neighbour, are NaN. The image is
    continued antisymmetrically beyond its border and into what is missing, so that a ramp stays a
    ramp.
    """
    moved = np.empty(image.shape, dtype=np.result_type(image.dtype, np.float32))
    shift_rows(image, shift, moved)
    return moved


def shift_rows(image: np.ndarray, shift: np.ndarray, out: np.ndarray, *, first: int = 0) -> None:
    """Move `image` (ny, nx) as `shift_image` does, and write rows `first` and on of the result to
    `out` (any number of rows, nx).

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        May be a band of a larger image: `first` then counts from its first row and may be
        negative. `REACH` rows more than are moved into `out` leave no trace of the cut.
    shift : array_like (dy, dx)
        Pixels.
    out : ndarray, shape (n_rows, nx)
        float32 or float64; every pixel of it is written.
    first : int
        Row of the moved image that is the first of `out`.
    """
    if not np.isfinite(shift).all():
        out[:] = np.nan
        return
    settled = settle(np.asarray(shift, dtype=np.float64))
    up, right = (int(whole) for whole in np.ceil(settled))
    fy, fx = np.ceil(settled) - settled  # the source of pixel p is p - ceil(shift) + fraction
    up -= first
    ny, nx = image.shape
    rows, columns = _seen(ny, len(out), up, fy > 0), _seen(nx, nx, right, fx > 0)
    out[: rows.start] = np.nan
    out[rows.stop :] = np.nan
    out[rows, : columns.start] = np.nan
    out[rows, columns.stop :] = np.nan
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return

    low, high = rows.start - up, rows.stop - up + (fy > 0)
    if fy > 0:
        low, high = max(low - REACH, 0), min(high + REACH, ny)
    source = np.ascontiguousarray(image[low:high], dtype=out.dtype)
    start, width = columns.start - right, columns.stop - columns.start
    if fx > 0:
        across = out[rows, columns] if fy == 0 else np.empty((len(source), width), out.dtype)
        _interpolate_rows(source, start, _taps(fx).astype(out.dtype), across)
    else:
        across = source[:, start : start + width]
    if fy > 0:
        taps = _taps(fy).astype(out.dtype)
        _interpolate_columns(across, rows.start - up - low, taps, out[rows, columns])
    elif fx == 0:
        out[rows, columns] = across


def seen_by_all(shifts: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of images (ny, nx) that all of them saw after `shifts` (n, 2), those that
    are finite; empty slices where there are none.

    Examples
    --------
    >>> seen_by_all(np.array([[0.0, 0.0], [2.0, -0.5]]), (10, 20))
    (slice(2, 10, None), slice(0, 19, None))
    """
    settled = settle(shifts[np.isfinite(shifts).all(axis=1)])
    ahead = np.ceil(settled)
    rows, columns = (
        [
            _seen(n, n, int(whole), bool(whole > exact))
            for whole, exact in zip(ahead[:, axis], settled[:, axis], strict=True)
        ]
        for axis, n in enumerate(shape)
    )
    return tuple(  # type: ignore[return-value]
        slice(max(one.start for one in each), min(one.stop for one in each))
        for each in (rows, columns)
    )


def _seen(n: int, n_out: int, ahead: int, between: bool) -> slice:
    """Indices i below `n_out` with i - ahead one of `n` pixels, and the one after it too when
    `between`.
    """
    start = min(max(0, ahead), n_out)
    return slice(start, max(start, min(n_out, n - int(between) + ahead)))


@kernel
def _interpolate_columns(f, first, taps, out):  # type: ignore[no-untyped-def]
    """Spline down the columns: out[i] lies between f[first + i] and f[first + i + 1]."""
    n, width = f.shape
    coefficient = np.empty((n + 2, _COLUMNS), dtype=f.dtype)
    for left in range(0, width, _COLUMNS):
        right = min(left + _COLUMNS, width)
        _spline(f[:, left:right], first, taps, coefficient[:, : right - left], out[:, left:right])
        for j in range(right - left):
            if not np.isfinite(coefficient[0, j]):  # NaN somewhere: it has come down to here
                _spline_between_gaps(f[:, left + j], first, taps, out[:, left + j])


@kernel
def _interpolate_rows(f, first, taps, out):  # type: ignore[no-untyped-def]
    """Spline along the rows: out[:, j] lies between f[:, first + j] and f[:, first + j + 1]."""
    n_rows, n = f.shape
    width = out.shape[1]
    turned = np.empty((n, _ROWS), dtype=f.dtype)
    moved = np.empty((width, _ROWS), dtype=f.dtype)
    coefficient = np.empty((n + 2, _ROWS), dtype=f.dtype)
    for top in range(0, n_rows, _ROWS):
        height = min(_ROWS, n_rows - top)
        for r in range(_ROWS):
            for j in range(n):
                turned[j, r] = f[min(top + r, n_rows - 1), j]
        _spline(turned, first, taps, coefficient, moved)
        for r in range(height):
            for j in range(width):
                out[top + r, j] = moved[j, r]
            if not np.isfinite(coefficient[0, r]):
                _spline_between_gaps(f[top + r], first, taps, out[top + r])


@kernel
def _spline(f, first, taps, coefficient, out):  # type: ignore[no-untyped-def]
    """Spline down columns (n, m) side by side; row i + 1 of `coefficient` (n + 2, m) holds that of
    row i.
    """
    n, m = f.shape
    ratio = np.zeros(n, dtype=f.dtype)  # of the elimination: 1/4, 4/15, … to -z = 2 - √3
    six = f.dtype.type(6)
    coefficient[1] = f[0]
    for i in range(1, n - 1):
        ratio[i] = 1 / (4 - ratio[i - 1])
        r = ratio[i]
        for j in range(m):
            coefficient[i + 1, j] = (six * f[i, j] - coefficient[i, j]) * r
    coefficient[n] = f[n - 1]
    for i in range(n - 2, 0, -1):
        r = ratio[i]
        for j in range(m):
            coefficient[i + 1, j] -= r * coefficient[i + 2, j]
    for j in range(m):
        coefficient[0, j] = 2 * coefficient[1, j] - coefficient[2, j]
        coefficient[n + 1, j] = 2 * coefficient[n, j] - coefficient[n - 1, j]
    t0, t1, t2, t3 = taps[0], taps[1], taps[2], taps[3]
    for i in range(out.shape[0]):
        b = first + i
        for j in range(m):
            out[i, j] = (
                t0 * coefficient[b, j]
                + t1 * coefficient[b + 1, j]
                + t2 * coefficient[b + 2, j]
                + t3 * coefficient[b + 3, j]
            )


@kernel
def _spline_between_gaps(f, first, taps, out):  # type: ignore[no-untyped-def]
    """The same for one line with missing pixels: each run of pixels is a line of its own, and the
    points beside a missing one are missing.
    """
    out[:] = np.nan
    n = f.size
    coefficient = np.empty((n + 2, 1), dtype=f.dtype)
    piece = np.empty((n, 1), dtype=f.dtype)
    moved = np.empty((n, 1), dtype=f.dtype)
    stop = 0
    while stop < n:
        start = stop
        while stop < n and np.isfinite(f[stop]):
            stop += 1
        low, high = max(start, first), min(stop - 1, first + out.size)
        if high > low:
            piece[: stop - start, 0] = f[start:stop]
            _spline(
                piece[: stop - start],
                low - start,
                taps,
                coefficient[: stop - start + 2],
                moved[: high - low],
            )
            out[low - first : high - first] = moved[: high - low, 0]
        stop += 1


@kernel
def _mean_gain(matrix, offset, ny, nx, gain):  # type: ignore[no-untyped-def]
    """Mean of g(y's fraction) g(x's fraction) over the pixels taken from inside the image."""
    total, n = 0.0, 0
    for i in range(ny):
        for j in range(nx):
            y = matrix[0, 0] * i + matrix[0, 1] * j + offset[0]
            x = matrix[1, 0] * i + matrix[1, 1] * j + offset[1]
            if y < 0 or y > ny - 1 or x < 0 or x > nx - 1:
                continue
            fy, fx = y - np.floor(y), x - np.floor(x)
            along_y, along_x = 0.0, 0.0
            for k in range(gain.size - 1, -1, -1):
                along_y = along_y * fy + gain[k]
                along_x = along_x * fx + gain[k]
            total += along_y * along_x
            n += 1
    return total / n if n else 1.0


def move_rows(image: np.ndarray, matrix: np.ndarray, offset: np.ndarray, out: np.ndarray) -> None:
    """Take every pixel p = (y, x) of `out` from ``matrix @ p + offset`` of `image`, with the same
    spline and the same rule for what is missing as `shift_rows`.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        May be a band of a larger image, with ``2 * REACH`` rows more than are looked at.
    matrix, offset : ndarray, shapes (2, 2) and (2,)
        In pixels of `image` and `out`, see `source_map`.
    out : ndarray, shape (n_rows, n_columns)
        float32 or float64; every pixel of it is written.
    """
    missing = ~np.isfinite(image)
    if missing.all() or not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
        out[:] = np.nan
        return
    filled = fill_nearest(image, missing) if missing.any() else image
    margins = [min(REACH, n - 1) for n in image.shape]
    padded = np.pad(
        filled.astype(np.float64),
        [(margin, margin) for margin in margins],
        mode="reflect",
        reflect_type="odd",
    )
    ndimage.affine_transform(
        padded, matrix, offset + margins, out.shape, output=out, order=3, mode="nearest"
    )
    unseen = ndimage.affine_transform(
        missing.astype(np.float64), matrix, offset, out.shape, order=1, mode="constant", cval=1.0
    )
    out[unseen > _TOUCHED] = np.nan


def fill_nearest(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Copy of `image` with `missing` pixels set to the nearest one that is not; zeros when all are
    missing.
    """
    if missing.all():
        return np.zeros_like(image)
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return image[tuple(nearest)]
