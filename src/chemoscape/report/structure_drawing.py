"""Structures as they look along an axis: pyramids, oxygens, lithium, the cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from scipy.spatial import ConvexHull, QhullError

from chemoscape.crystals.bonds import GUESTS
from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.pyramids import BOND
from chemoscape.report.crystal_structures import NOT_MEASURED
from chemoscape.report.panels import CATEGORIES, DOUBLE, INK, footnote, letters, styled
from chemoscape.report.words import pretty

_CENTRE, _ANION, _GUEST = CATEGORIES[0], CATEGORIES[5], CATEGORIES[2]


@styled
def structures_figure(
    crystals: Sequence[Crystal],
    labels: Sequence[str] | None = None,
    *,
    along: str = "b",
    repeats: tuple[int, int] = (1, 2),
    captions: Sequence[str] | None = None,
    columns: int = 3,
    note: str = "",
) -> Figure:
    """Structures seen along an axis: pyramids, oxygens, lithium (paler where less), the cell.

    Parameters
    ----------
    crystals : sequence of Crystal
    labels, captions : sequence of str, optional
        Above and beneath each.
    along : {"a", "b", "c"}
        Axis that points at the reader.
    repeats : pair of int
        Cells across and up; a cell of two layers is drawn half as often upwards.
    columns : int
    note : str
        At the foot, after what is said of synthetic structures.
    """
    rows = -(-len(crystals) // columns)
    figure = Figure(figsize=(DOUBLE, 0.25 + rows * 2.15), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(crystals) :]:
        ax.axis("off")
    least = min(one.cell[2] for one in crystals)
    for k, crystal in enumerate(crystals):
        up = max(1, round(repeats[1] * least / crystal.cell[2]))
        draw_structure(axes[k], crystal, along=along, repeats=(repeats[0], up))
        axes[k].set_title(pretty(labels[k] if labels else crystal.name), pad=2)
        if captions:
            axes[k].text(
                *(1.0, -0.01, captions[k]),
                transform=axes[k].transAxes,
                ha="right",
                va="top",
                fontsize=6.5,
            )
    letters(axes[: len(crystals)])
    if any("synthetic" in one.name.lower() for one in crystals):
        note = f"{NOT_MEASURED}. {note}".rstrip(". ")
    footnote(figure, note)
    return figure


def draw_structure(
    ax: Axes, crystal: Crystal, *, along: str = "b", repeats: tuple[int, int] = (1, 2)
) -> None:
    """Draw a structure projected along an axis, everything within the cells that are shown."""
    depth = "abc".index(along)
    across, up = (k for k in (0, 1, 2) if k != depth)
    reach = np.ones(3)
    reach[across], reach[up] = repeats
    margin = np.full(3, 1e-3)
    margin[up] = 0.25 * min(crystal.cell[up], 5.0) / crystal.cell[up]  # whole layers at the ends
    centres, _, guests = _atoms_shown(crystal, reach, margin)
    matrix = crystal.matrix
    axis = matrix[:, across] / np.linalg.norm(matrix[:, across])
    view = matrix[:, depth] / np.linalg.norm(matrix[:, depth])
    frame = np.array([axis, _upright(matrix[:, up], axis, view)])

    def flat(places: np.ndarray) -> np.ndarray:
        return np.asarray(places @ matrix.T @ frame.T)

    near = _atoms_shown(crystal, reach, margin + 0.6)[1]
    reached: list[np.ndarray] = []
    for place in centres:
        spans = np.linalg.norm((near - place) @ matrix.T, axis=1)
        corners = near[spans < BOND]
        reached.append(corners)
        _polygon(ax, flat(corners))
    anions = np.unique(np.round(np.concatenate([*reached, near[:0]]), 4), axis=0)
    for places, colour, size, order in ((anions, _ANION, 9, 3), (centres, _CENTRE, 7, 4)):
        x, y = flat(places).T
        ax.scatter(x, y, s=size, color=colour, linewidths=0.3, edgecolors="white", zorder=order)
    for place, share in guests:
        x, y = flat(place[None])[0]
        ax.scatter(
            x,
            y,
            s=26,
            facecolor=_GUEST,
            alpha=max(0.15, share),
            zorder=5,
            edgecolors=_GUEST,
            lw=0.6,
        )
    corner = np.zeros(3)
    outline = []
    for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)):
        corner[across], corner[up] = i, j
        outline.append(flat(corner[None])[0])
    ax.add_patch(Polygon(outline, closed=True, fill=False, ec="0.3", lw=0.6, ls=(0, (3, 2))))
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    _axes_mark(ax, "abc"[across], "abc"[up])


def _upright(vector: np.ndarray, axis: np.ndarray, view: np.ndarray) -> np.ndarray:
    """What of a vector is across both the first axis of the drawing and the line of sight."""
    rest = np.cross(view, axis)
    rest = rest * np.sign(rest @ vector)
    return np.asarray(rest / np.linalg.norm(rest))


def _atoms_shown(
    crystal: Crystal, reach: np.ndarray, margin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, float]]]:
    """Centres, anions and guests (with their occupancy) within so many cells, fractional."""
    cells = [np.arange(-2, n + 2) for n in np.ceil(reach).astype(int)]
    moves = np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1).reshape(-1, 3)
    centres, anions = [np.empty((0, 3))], [np.empty((0, 3))]
    guests: list[tuple[np.ndarray, float]] = []
    for site, places in crystal.atoms():
        all_places = (places[:, None] + moves).reshape(-1, 3)
        inside = ((all_places > -margin) & (all_places < reach + margin)).all(axis=1)
        kept = all_places[inside]
        if site.element in GUESTS:
            guests += [(place, site.occupancy) for place in kept]
        elif site.element == "O":
            anions.append(kept)
        else:
            centres.append(kept)
    return np.concatenate(centres), np.concatenate(anions), guests


def _polygon(ax: Axes, points: np.ndarray) -> None:
    """The outline of a coordination polyhedron in projection."""
    if len(points) < 3:
        return
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # all in a line
        return
    ax.add_patch(Polygon(hull, closed=True, fc=_CENTRE, alpha=0.16, ec="none", zorder=1))
    ax.add_patch(Polygon(hull, closed=True, fill=False, ec=_CENTRE, lw=0.4, alpha=0.7, zorder=2))


def _axes_mark(ax: Axes, across: str, up: str) -> None:
    """Two small arrows that name the axes, at the lower left."""
    start = (-0.03, -0.03)
    for (dx, dy), name in (((0.13, 0), across), ((0, 0.17), up)):
        ax.annotate(
            "",
            (start[0] + dx, start[1] + dy),
            start,
            xycoords="axes fraction",
            arrowprops={"arrowstyle": "-|>", "lw": 0.6, "color": INK, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )
        ax.annotate(
            f"$\\mathit{{{name}}}$",
            (start[0] + 1.15 * dx, start[1] + 1.1 * dy),
            xycoords="axes fraction",
            ha="left" if dx else "center",
            va="center" if dx else "bottom",
            fontsize=6.5,
            annotation_clip=False,
        )
