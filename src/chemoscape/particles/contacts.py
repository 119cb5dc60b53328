"""Which particles touch, along what length, and how their compositions differ (Figure 5).

Where lithium passes from particle to particle more easily than a new phase forms, neighbours differ
more than chance has it; where it spreads evenly through an agglomerate, less.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import ndimage
from skimage.measure import find_contours

from chemoscape.errors import FitError, StackError
from chemoscape.particles.masks import Instances
from chemoscape.particles.resampling import TAILS, permuted
from chemoscape.particles.table import instances_of

#: Fewer contacts have no test.
LEAST = 8
#: Pixels beyond the reach that are looked at, so that the midline is smooth to its end.
MARGIN = 4
#: Smoothing of the midline, pixels: it takes the stairs out, which lengthen it by up to 8 %.
SMOOTH = 1.0

#: name -> units, long name, of every variable along ``contact``.
VARIABLES = {
    "first": ("1", "index of one particle"),
    "second": ("1", "index of the other particle"),
    "gap": ("µm", "least distance between the masks, 0 where they touch"),
    "length": ("µm", "length of the shared boundary"),
    "overlap_area": ("µm²", "area that both masks cover"),
    "y": ("µm", "middle of the contact along y"),
    "x": ("µm", "middle of the contact along x"),
    "difference": ("1", "composition of the second particle less that of the first"),
    "difference_sd": ("1", "error of the difference"),
}


def contacts(table: xr.Dataset, reach_um: float | None = None) -> xr.Dataset:
    """Pairs of particles that touch, or come closer than a reach.

    The shared boundary is the midline between two masks, where it is as far to one as to the
    other, as far as both lie within the reach. In an overlap it runs where both reach equally
    deep: between wires that cross, along the diagonals.

    Parameters
    ----------
    table : Dataset
        As `particle_table` returns it; with compositions, as `phases.with_composition` does, the
        differences are given, else NaN.
    reach_um : float, optional
        Largest gap, µm; default: the resolution that the table names, else one pixel. What is
        closer than the resolution cannot be told from what touches.

    Returns
    -------
    Dataset
        `VARIABLES` along ``contact``. The error of a difference takes the particles' errors as
        independent: what is systematic and alike in both cancels in truth. Attribute reach_um.

    Raises
    ------
    StackError
        The reach is negative, or the table has no masks.
    """
    pixel = float(table.attrs["pixel_um"])
    reach = float(table.attrs.get("fwhm_um", pixel)) if reach_um is None else float(reach_um)
    if not (np.isfinite(reach) and reach >= 0):
        raise StackError(f"reach_um is {reach}", remedy="give a distance in µm, 0 or more")
    masks = instances_of(table)
    start = np.asarray(table.attrs["origin_um"], float)
    rows = []
    for first, second in _candidates(masks, reach / pixel):
        met = _meeting(masks, first, second, reach / pixel)
        if met is not None:
            gap, length, overlap, where = met
            at = start + pixel * where
            rows.append((first, second, gap * pixel, length * pixel, overlap * pixel**2, *at))
    columns = np.array(rows, float).reshape(-1, 7).T
    pairs = columns[:2].astype(np.int32)
    values = dict(zip(VARIABLES, [*pairs, *columns[2:], *_differences(table, pairs)], strict=True))
    return xr.Dataset(
        {
            name: ("contact", values[name], {"units": units, "long_name": words})
            for name, (units, words) in VARIABLES.items()
        },
        attrs={"reach_um": reach, "n_particles": table.sizes["particle"]},
    )


def _differences(table: xr.Dataset, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Composition of the second less the first, and its error."""
    if "composition_mean" not in table:
        return np.full(pairs.shape[1], np.nan), np.full(pairs.shape[1], np.nan)
    first, second = pairs
    x, error = table["composition_mean"].values, table["composition_se"].values
    return x[second] - x[first], np.hypot(error[first], error[second])


def _candidates(masks: Instances, reach: float) -> np.ndarray:
    """Pairs whose boxes come within the reach (pixels), shape (pairs, 2)."""
    x0, y0, x1, y1 = masks.boxes.T
    near = np.triu(np.ones((len(masks), len(masks)), bool), 1)
    for low, high in ((x0, x1), (y0, y1)):
        near &= low[:, None] - reach <= high[None, :]
        near &= low[None, :] - reach <= high[:, None]
    return np.argwhere(near)


def _meeting(
    masks: Instances, first: int, second: int, reach: float
) -> tuple[float, float, int, np.ndarray] | None:
    """Gap, length of the midline, overlap and middle of a contact in pixels; None where none is."""
    grown = int(np.ceil(reach)) + MARGIN
    window = []
    for axis in (0, 1):
        spans = [masks.window(one)[axis] for one in (first, second)]
        low = max(0, max(span.start for span in spans) - grown)
        high = min(masks.shape[axis], min(span.stop for span in spans) + grown)
        window.append((low, high))
    a, b = (_in_window(masks, one, window) for one in (first, second))
    if not (a.any() and b.any()):
        return None
    outside_a = ndimage.distance_transform_edt(~a)
    gap = max(0.0, float(outside_a[b].min()) - 1)
    if gap > reach + 1e-9:
        return None
    outside_b = ndimage.distance_transform_edt(~b)
    between = outside_a + outside_b - 1
    inside_a, inside_b = (ndimage.distance_transform_edt(np.pad(m, 1, "edge")) for m in (a, b))
    middle = (outside_a - outside_b) - (inside_a - inside_b)[1:-1, 1:-1]
    length, where = _midline(ndimage.gaussian_filter(middle, SMOOTH), between, reach)
    if where is None:
        where = np.argwhere(between <= between.min()).mean(axis=0)
    corner = np.array([low for low, _ in window])
    return gap, length, int((a & b).sum()), where + corner


def _in_window(masks: Instances, one: int, window: list[tuple[int, int]]) -> np.ndarray:
    """A mask in a part of the image."""
    (top, bottom), (left, right) = window
    part = np.zeros((bottom - top, right - left), bool)
    rows, columns = np.nonzero(masks.crops[one])
    rows, columns = rows + masks.corners[one][0] - top, columns + masks.corners[one][1] - left
    within = (rows >= 0) & (rows < part.shape[0]) & (columns >= 0) & (columns < part.shape[1])
    part[rows[within], columns[within]] = True
    return part


def _midline(
    middle: np.ndarray, between: np.ndarray, reach: float
) -> tuple[float, np.ndarray | None]:
    """Length and centre of the zero line of `middle` where `between` is within the reach."""
    if min(middle.shape) < 2:
        return 0.0, None
    lines = find_contours(middle, 0.0)
    starts = np.concatenate([line[:-1] for line in lines] or [np.zeros((0, 2))])
    ends = np.concatenate([line[1:] for line in lines] or [np.zeros((0, 2))])
    centres = (starts + ends) / 2
    wide = ndimage.map_coordinates(between, centres.T, order=1, mode="nearest")
    # half a pixel: the line runs between the pixels that the distances are to
    steps = np.linalg.norm(ends - starts, axis=1) * (wide <= reach + 0.5)
    if not steps.sum() > 0:
        return 0.0, None
    return float(steps.sum()), np.average(centres, axis=0, weights=steps)


@dataclass(frozen=True)
class NeighbourTest:
    """Mean difference of composition between particles in contact, beside that of random labels.

    Attributes
    ----------
    n_contacts, n_particles : int
        With known compositions.
    seen, expected, low, high : float
        Mean absolute difference; its mean and central 95 % under random labels. NaN when refused.
    p : float
        Two-sided.
    """

    n_contacts: int
    n_particles: int
    seen: float
    expected: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """In words."""
        if not np.isfinite(self.p):
            return f"fewer than {LEAST} contacts between particles of known composition: no test"
        if self.p >= 0.05:
            return "no sign that neighbours differ from chance"
        how = "more alike" if self.seen < self.expected else "less alike"
        return f"neighbours are {how} than chance has it"

    def to_dict(self) -> dict[str, Any]:
        """Numbers and text, None where there is none."""
        told = {
            name: None if isinstance(one, float) and not np.isfinite(one) else one
            for name, one in asdict(self).items()
        }
        return {**told, "verdict": self.verdict}

    def __str__(self) -> str:
        head = f"{self.n_contacts} contacts of {self.n_particles} particles: {self.verdict}"
        if not np.isfinite(self.p):
            return head
        return (
            f"{head}\n  mean difference {self.seen:.3f}, by chance {self.expected:.3f} "
            f"(95 %: {self.low:.3f} to {self.high:.3f}), p = {self.p:.2g}"
        )


def neighbours_alike(
    table: xr.Dataset, touching: xr.Dataset, *, n_perm: int = 4999, seed: int = 0
) -> NeighbourTest:
    """Are particles in contact more alike, or less, than particles at random?

    Compositions are dealt at random among the particles that touch another, so that lone particles,
    which may differ for other reasons, say nothing. A wire that was found in two pieces, or light
    that the optics spread from one particle onto the next, makes neighbours alike too.

    Parameters
    ----------
    table : Dataset of `phases.with_composition`
    touching : Dataset of `contacts`
        Of the same table.
    n_perm : int
        Random orders.
    seed : int

    Raises
    ------
    StackError
        The table has no composition, or other particles.
    FitError
        Too few orders.
    """
    if "composition_mean" not in table or table.sizes["particle"] != touching.attrs["n_particles"]:
        raise StackError(
            "the particles have no composition, or are not those of the contacts",
            remedy="give the table that chemoscape.particles.contacts.contacts was given",
        )
    if n_perm < 100:
        raise FitError(f"n_perm is {n_perm}", remedy="give 100 or more")
    x = table["composition_mean"].values
    pairs = np.stack([touching["first"].values, touching["second"].values], axis=1)
    pairs = pairs[np.isfinite(x[pairs]).all(axis=1)]
    members, own = np.unique(pairs, return_inverse=True)
    own = own.reshape(-1, 2)
    if len(pairs) < LEAST:
        return NeighbourTest(len(pairs), len(members), *[float("nan")] * 5)
    seen = float(abs(x[pairs[:, 0]] - x[pairs[:, 1]]).mean())
    dealt = permuted(np.random.default_rng(seed), x[members], n_perm)
    chance = abs(dealt[:, own[:, 0]] - dealt[:, own[:, 1]]).mean(axis=1)
    slack = 1e-12 * (1 + abs(seen))
    below, above = (chance <= seen + slack).sum(), (chance >= seen - slack).sum()
    low, high = np.quantile(chance, TAILS)
    return NeighbourTest(
        len(pairs),
        len(members),
        seen,
        float(chance.mean()),
        float(low),
        float(high),
        float(min(1.0, 2 * (1 + min(below, above)) / (1 + n_perm))),
    )
