"""Grids of pixels, and those that several images have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemoscape.errors import StackError

#: Share of a pixel by which a new pixel may be off an old one and still be that pixel, or stick out
#: of the field.
ON_IT = 0.01

#: Pixel sizes that differ by less than this part are one.
SAME_PIXEL = 1e-3

#: Pixel centres (y, x) of an image in µm, ascending.
Grid = tuple[np.ndarray, np.ndarray]


def common_grid(fields: Sequence[Grid]) -> Grid:
    """Pixels onto which all images can be brought: the coarsest, in the field that all share.

    Parameters
    ----------
    fields : sequence of (y, x)
        Pixel centres of every image in µm, ascending.

    Returns
    -------
    y, x : ndarray
        Along each axis those pixels of the image with the largest pixel (the first of several)
        that lie in all fields as a whole, so that this image is cropped and not interpolated.

    Raises
    ------
    StackError
        The images have no pixel in common.

    Examples
    --------
    >>> common_grid([(np.arange(3.0), np.arange(8.0)), (np.arange(3.0), 1.5 + 2 * np.arange(5.0))])
    (array([0., 1., 2.]), array([1.5, 3.5, 5.5]))
    """
    y, x = (_shared_axis([field[axis] for field in fields]) for axis in (0, 1))
    if not (y.size and x.size):
        raise StackError(
            f"the {len(fields)} images share no pixel",
            remedy="give images of the same part of the sample",
        )
    return y, x


def centred(fields: Sequence[Grid]) -> list[Grid]:
    """Fields with their centres put on each other, for images without absolute positions.

    Parameters
    ----------
    fields : sequence of (y, x)
        Pixel centres of every image in µm, ascending.

    Returns
    -------
    list of (y, x)
        About 0. The images with the largest pixel come to lie on one grid, their centres on each
        other to half a pixel, so that they are cropped and not interpolated.

    Examples
    --------
    >>> three, four, fine = np.arange(3.0), np.arange(4.0), 0.5 * np.arange(6.0)
    >>> fields = centred([(three, three), (three, four), (three, fine)])
    >>> [x.tolist() for _, x in fields]
    [[-1.0, 0.0, 1.0], [-2.0, -1.0, 0.0, 1.0], [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25]]
    """
    along_y, along_x = (_centred_axes([field[axis] for field in fields]) for axis in (0, 1))
    return list(zip(along_y, along_x, strict=True))


def pitch(axis: np.ndarray) -> float:
    """Mean distance of pixel centres in µm; 1 of a single pixel.

    Examples
    --------
    >>> pitch(np.array([0.0, 0.5, 1.0])), pitch(np.array([3.0]))
    (0.5, 1.0)
    """
    return float((axis[-1] - axis[0]) / (len(axis) - 1)) if len(axis) > 1 else 1.0


def edges_of(axis: np.ndarray) -> np.ndarray:
    """Borders of pixels: midway between centres, half a pixel outside the first and the last."""
    if len(axis) == 1:
        return np.array([axis[0] - 0.5, axis[0] + 0.5])
    middle = (axis[1:] + axis[:-1]) / 2
    return np.concatenate(
        [[axis[0] - (middle[0] - axis[0])], middle, [axis[-1] + (axis[-1] - middle[-1])]]
    )


def _shared_axis(axes: Sequence[np.ndarray]) -> np.ndarray:
    """Pixels of the coarsest axis that lie within all."""
    sizes = np.array([pitch(axis) for axis in axes])
    coarsest = axes[int(np.flatnonzero(sizes >= (1 - 1e-9) * sizes.max())[0])]
    edges = [edges_of(np.asarray(axis, dtype=np.float64)) for axis in axes]
    low, high = max(one[0] for one in edges), min(one[-1] for one in edges)
    own = edges_of(np.asarray(coarsest, dtype=np.float64))
    slack = ON_IT * sizes.min()
    return np.asarray(coarsest)[(own[:-1] >= low - slack) & (own[1:] <= high + slack)]


def _centred_axes(axes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One axis of every field about its centre."""
    sizes = np.array([pitch(axis) for axis in axes])
    as_large = np.abs(sizes - sizes.max()) <= SAME_PIXEL * sizes.max()
    middle = (len(axes[int(as_large.argmax())]) - 1) / 2
    found = []
    for axis, is_large in zip(axes, as_large, strict=True):
        own = (len(axis) - 1) / 2
        if is_large:  # whole pixels from the first of these
            at = np.arange(len(axis)) - middle - np.ceil(own - middle)
            found.append(sizes.max() * at)
        else:
            found.append(np.asarray(axis - (axis[0] + axis[-1]) / 2))
    return found
