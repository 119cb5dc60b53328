"""Find the particles of a map and measure them: `segment`.

Two ways: the trained network (``maskrcnn``), which needs onnxruntime and the model's files, and the
classical one, which needs neither. Both see the map in tiles that overlap; masks come back in the
map's own pixels and are never held as whole images.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape import blocks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, StackError, require_choice
from chemoscape.particles.maps import Map, checked
from chemoscape.particles.masks import Instances, from_crops
from chemoscape.particles.scaling import normalised, rescaled
from chemoscape.particles.table import particle_table, take
from chemoscape.particles.tiles import stitch, tiles
from chemoscape.region import Region

if TYPE_CHECKING:
    from chemoscape.particles.maskrcnn.inference import Detector

Method = Literal["auto", "maskrcnn", "classical"]

#: Pixels of the map per pixel of the network, along a side, between which it is used, and above
#: which thin wires are missed.
RATIOS, COARSE = (0.25, 4.0), 2.05
#: Tiles of the classical way: side, and how much of a long wire they share (µm, most pixels).
CLASSICAL_TILE, LONG_WIRE_UM, MOST_OVERLAP = 2048, 9.0, 1024
#: Score from which on a particle of the classical way is trusted: precision and recall are about
#: equal there on synthetic ensembles.
CLASSICAL_THRESHOLD = 0.3
#: Share of pixels without a value above which a warning is given.
MUCH_MISSING = 0.01
#: Shift, in pixels of the map, at which coverage is read: pixels twice as large are often half
#: covered, and counting these on both sides of a wire, or on none, would bias its area.
TIE = 1e-3
#: Bytes that a pixel of the network takes while the map is brought to its scale.
BYTES_PER_PIXEL = 40


def segment(
    image: xr.DataArray | np.ndarray,
    method: Method = "auto",
    *,
    pixel_um: float | None = None,
    fwhm_um: float = 0.08,
    threshold: float | None = None,
    exclude: Sequence[Region] = (),
    model: str | Path | None = None,
    progress: Callable[[float], object] | None = None,
) -> xr.Dataset:
    """Find the particles of a map and measure them.

    Parameters
    ----------
    image : DataArray (y, x) in µm, or ndarray, shape (y, x)
        Larger where there is more material, such as an optical density or the thickness of a
        phase; NaN where nothing was measured.
    method : {"auto", "maskrcnn", "classical"}
        "auto" takes the network where it can be used, else the classical way, and says so.
    pixel_um : float, optional
        Side of a pixel, µm: needed where the image has no coordinates.
    fwhm_um : float
        Resolution, µm; the classical way smooths and measures with it.
    threshold : float, optional
        Least score to keep; when None the network's own, or `CLASSICAL_THRESHOLD`.
    exclude : sequence of Region
        Particles whose centroid lies in one of these are left out.
    model : path, optional
        Folder of a network of one's own, as training exports it; the one that comes with the
        program when None.
    progress : callable, optional
        Called with the share of tiles done, 0 to 1; what it raises ends the search. Without it, a
        listener of `blocks.reporting` hears the same.

    Returns
    -------
    Dataset
        As `table.particle_table` gives it; attributes also method, method_reason, model (its
        version), threshold, fwhm_um, missing_share (of pixels without a value), n_excluded, and
        n_vanished: particles of which no pixel was left in the map's own pixels.

    Raises
    ------
    StackError
        The image is no map, too small, without values or pixel size, or inverted.
    RegionError
        A region to leave out holds no pixel of the map.
    ChemoscapeError
        The network was asked for and cannot be used.
    """
    require_choice("method", method, "auto", "maskrcnn", "classical")
    if not (np.isfinite(fwhm_um) and fwhm_um > 0):
        raise StackError(f"fwhm_um is {fwhm_um}", remedy="give the resolution in µm, above 0")
    if threshold is not None:
        require_score(threshold)
    if model is not None and method == "classical":
        raise StackError("the classical method has no network", remedy="leave the model out")
    seen = checked(image, pixel_um)
    if fwhm_um > min(seen.values.shape) * seen.pixel_um / 4:
        raise StackError(
            f"a resolution of {fwhm_um:g} µm is too coarse for a map of "
            f"{min(seen.values.shape) * seen.pixel_um:g} µm",
            remedy="give fwhm_um and the size of a pixel in µm",
        )
    if np.ptp(seen.values) == 0:
        _warn("the map has the same value everywhere: there is nothing to find", below=2)
    left_out = np.zeros(seen.values.shape, bool)
    for region in exclude:
        left_out |= region.mask(seen.plane).values
    missing_share = float(seen.missing.mean())
    detector, chosen, reason = _choose(method, seen, model)
    if detector is None:
        found = _classical(seen, fwhm_um, progress)
        least = CLASSICAL_THRESHOLD if threshold is None else threshold
    else:
        found = _network(seen, detector, progress)
        least = detector.threshold if threshold is None else threshold
    found = found.take(found.scores >= least)
    kept = _brought_back(found, seen.values.shape, seen.gap)
    measured = np.where(seen.missing, np.nan, seen.values)
    origin = (float(seen.plane["y"][0]), float(seen.plane["x"][0]))
    table = particle_table(kept, measured, seen.pixel_um, origin)
    rows, columns = (
        np.rint((table[f"centroid_{axis}"].values - start) / seen.pixel_um).astype(int)
        for axis, start in zip("yx", origin, strict=True)
    )
    unwanted = left_out[rows, columns]
    cut = _at_gaps(table, seen.gap)
    if missing_share > MUCH_MISSING or cut.any():
        _warn(
            f"{missing_share:.1%} of the map has no value: particles there may be missed, and "
            f"{int(cut.sum())} of those found are cut by it",
            below=2,
        )
    table["border"] |= cut  # as by the edge of the map
    table = take(table, ~unwanted)
    table.attrs |= {
        "method": chosen,
        "method_reason": reason,
        "model": "" if detector is None else detector.version,
        "threshold": float(least),
        "fwhm_um": float(fwhm_um),
        "missing_share": missing_share,
        "n_excluded": int(unwanted.sum()),
        "n_vanished": len(found) - len(kept),
    }
    return table


def require_score(threshold: float) -> None:
    """Raise unless it can be a least score."""
    if not 0 <= threshold <= 1:
        raise StackError(f"the threshold is {threshold:g}", remedy="give a score, 0 to 1")


def _at_gaps(table: xr.Dataset, gap: np.ndarray) -> np.ndarray:
    """Which particles touch a gap in the map."""
    near = ndimage.binary_dilation(gap, np.ones((3, 3)))
    touching = near[table["pixel_y"].values, table["pixel_x"].values]
    owner = np.repeat(np.arange(table.sizes["particle"]), table["pixel_count"].values)
    return np.bincount(owner, touching, minlength=table.sizes["particle"]) > 0


def finder(
    method: Literal["maskrcnn", "classical"], model: str | Path | None = None, fwhm_um: float = 0.08
) -> tuple[Callable[[np.ndarray, float], Instances], float]:
    """A method as a function of an image and its pixel size, and the score that it trusts.

    The function gives particles of all scores, as is needed to weigh precision against recall.

    Raises
    ------
    ChemoscapeError
        The network was asked for and cannot be used.
    """
    if method == "classical":
        return (
            lambda image, pixel_um: _classical(checked(image, pixel_um), fwhm_um, None),
            CLASSICAL_THRESHOLD,
        )
    from chemoscape.particles.maskrcnn.inference import Detector

    detector = Detector.open(model)

    def find(image: np.ndarray, pixel_um: float) -> Instances:
        seen = checked(image, pixel_um)
        found = _network(seen, detector, None)
        return _brought_back(found, seen.values.shape, seen.gap)

    return find, detector.threshold


def _warn(text: str, below: int = 3) -> None:
    """Warn in the name of who called `segment`, from so many functions below that call."""
    warnings.warn(text, ChemoscapeWarning, stacklevel=below + 1)


def _choose(
    method: Method, seen: Map, model: str | Path | None
) -> tuple[Detector | None, Method, str]:
    """The network or None, the way that is gone, and why."""
    if method == "classical":
        return None, "classical", "asked for"
    try:
        from chemoscape.particles.maskrcnn.inference import Detector

        detector = Detector.open(model)
        _refuse_scale(seen, detector.pixel_um)
    except ChemoscapeError as error:
        if method == "maskrcnn" or model is not None:
            raise
        _warn(f"particles are found by the classical method: {error}")
        return None, "classical", f"the network cannot be used: {error}"
    if seen.pixel_um / detector.pixel_um > COARSE:
        _warn(
            f"pixels of {seen.pixel_um:g} µm are coarse for the network, trained at "
            f"{detector.pixel_um:g} µm: thin wires are missed"
        )
    return detector, "maskrcnn", "asked for" if method == "maskrcnn" else "the network is installed"


def _refuse_scale(seen: Map, trained_um: float) -> None:
    """Raise unless the map can be brought to the pixels of the network."""
    ratio = seen.pixel_um / trained_um
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        raise StackError(
            f"pixels of {seen.pixel_um:g} µm are too far from the {trained_um:g} µm for which the "
            "network is trained",
            remedy=f"give a map of {RATIOS[0] * trained_um:g} to {RATIOS[1] * trained_um:g} µm, "
            "or choose the classical method",
        )
    needed, there = BYTES_PER_PIXEL * seen.values.size * ratio**2, 4 * blocks.memory_limit()
    if needed > there:
        raise StackError(
            f"at the scale of the network the map needs {needed / 1e9:.1f} GB of memory, and "
            f"there are {there / 1e9:.1f} GB",
            remedy="take a part of it, or choose the classical method",
        )


def _network(
    seen: Map, detector: Detector, progress: Callable[[float], object] | None
) -> Instances:
    """Particles in the network's pixels, of all scores."""
    ratio = seen.pixel_um / detector.pixel_um
    high, wide = (max(1, round(size * ratio)) for size in seen.values.shape)
    channels = normalised(rescaled(seen.values, (high, wide)))
    return _in_tiles(
        lambda rows, columns: detector(channels[:, rows, columns]),
        (high, wide),
        tiles((high, wide)),
        progress,
    )


def _classical(seen: Map, fwhm_um: float, progress: Callable[[float], object] | None) -> Instances:
    """Particles in the map's pixels, in one piece unless the map is very large."""
    from chemoscape.particles.classical import find_wires

    shape = (seen.values.shape[0], seen.values.shape[1])
    overlap = min(MOST_OVERLAP, int(np.ceil(LONG_WIRE_UM / seen.pixel_um)))
    return _in_tiles(
        lambda rows, columns: find_wires(seen.values[rows, columns], seen.pixel_um, fwhm_um),
        shape,
        tiles(shape, CLASSICAL_TILE, overlap),
        progress,
    )


def _in_tiles(
    find: Callable[[slice, slice], Instances],
    shape: tuple[int, int],
    windows: Sequence[tuple[slice, slice]],
    progress: Callable[[float], object] | None,
) -> Instances:
    """What is found in each window, stitched; one after the other, as each may need much memory."""
    found: list[Instances] = [Instances(shape)] * len(windows)

    def work(part: slice) -> None:
        for k in range(part.start, part.stop):
            found[k] = find(*windows[k])

    def tell(done: int, of: int) -> None:
        if progress is not None:
            progress(done / of)

    told = nullcontext() if progress is None else blocks.reporting(tell)
    with blocks.workers(1), told:
        blocks.for_each_band(work, len(windows), rows_per_band=1)
    corners = [(rows.start, columns.start) for rows, columns in windows]
    return stitch(list(zip(corners, found, strict=True)), shape)


def _brought_back(found: Instances, shape: tuple[int, int], gap: np.ndarray) -> Instances:
    """Masks in the pixels of a map over the same field, without those that have no value.

    A pixel of the map belongs to a mask that covers half of it, or, where its pixels are the finer
    ones, that reaches one half between the pixels around its centre. Halves count on one side of a
    wire and not on the other. What keeps no pixel is left out.
    """
    ratio = [new / own for new, own in zip(found.shape, shape, strict=True)]
    placed = []
    for corner, crop in zip(found.corners, found.crops, strict=True):
        (top, across_rows), (left, across_columns) = (
            _weights(int(corner[axis]), crop.shape[axis], ratio[axis], shape[axis])
            for axis in (0, 1)
        )
        mask = across_rows @ crop @ across_columns.T >= 0.5
        high, wide = mask.shape
        mask &= ~gap[top : top + high, left : left + wide]
        placed.append((mask, (top, left)))
    return from_crops(shape, placed, found.scores)


def _weights(start: int, size: int, ratio: float, own: int) -> tuple[int, np.ndarray]:
    """First pixel of the map that a crop reaches along an axis, and shares of the crop's pixels.

    Parameters
    ----------
    start, size : int
        First pixel and number of pixels of the crop.
    ratio : float
        Pixels of the crop per pixel of the map.
    own : int
        Pixels of the map along the axis.

    Returns
    -------
    first : int
    weights : ndarray, shape (pixels of the map, size)
    """
    first = max(0, int(start / ratio) - 1)
    last = min(own, int(np.ceil((start + size) / ratio)))
    pixels = np.arange(first, last)[:, None] + TIE
    cells = start + np.arange(size)[None, :]
    if ratio >= 1:
        shared = np.minimum((pixels + 1) * ratio, cells + 1) - np.maximum(pixels * ratio, cells)
        return first, np.clip(shared, 0, None) / ratio
    return first, np.clip(1 - abs((pixels + 0.5) * ratio - 0.5 - cells), 0, None)
