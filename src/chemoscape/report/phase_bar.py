"""A bar of phases by composition, as it lies below a curve or a map."""

from __future__ import annotations

import itertools
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from chemoscape.electrochemistry.phases import PhaseDiagram

#: Of phases, light enough to write on; two at once are drawn in stripes of both.
TINTS = ("#CFE3F1", "#FCE3B4", "#C5E8DC", "#F0D6E4", "#DDDDDD")


def draw_phases(ax: Axes, phases: PhaseDiagram, limits: tuple[float, float]) -> None:
    """A bar of the phases by composition; between two of them both are there.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    phases : PhaseDiagram
        What to draw.
    limits : pair of float
        Lowest and highest composition.
    """
    colour = {one.name: TINTS[k % len(TINTS)] for k, one in enumerate(phases.phases)}
    for one in phases.phases:
        _bar(ax, one.low, one.high, colour[one.name], one.name, limits)
    for one, other in zip(phases.phases, phases.phases[1:], strict=False):
        steps = np.linspace(one.high, other.low, 25)
        low, high = (np.array(_rgb(colour[phase.name])) for phase in (one, other))
        for k, (start, end) in enumerate(itertools.pairwise(steps)):
            mixed = low + (high - low) * (k + 0.5) / (steps.size - 1)
            ax.add_patch(Rectangle((start, 0), end - start, 1, facecolor=tuple(mixed), linewidth=0))
        _word(ax, one.high, other.low, f"{one.name} + {other.name}", limits)
    if math.isfinite(phases.irreversible_above) and limits[1] > phases.irreversible_above:
        at = phases.irreversible_above
        ax.add_patch(
            Rectangle(
                (at, 0),
                limits[1] - at,
                1,
                facecolor="white",
                edgecolor="0.75",
                hatch="////",
                linewidth=0,
            )
        )
        _word(ax, at, limits[1], phases.beyond, limits)
    ax.set(ylim=(0, 1), yticks=[])
    ax.spines[:].set_visible(False)


def _bar(
    ax: Axes, low: float, high: float, colour: str, text: str, limits: tuple[float, float]
) -> None:
    """One phase alone."""
    ax.add_patch(Rectangle((low, 0), high - low, 1, facecolor=colour, linewidth=0))
    for edge in (low, high):
        ax.plot([edge, edge], [0, 1], color="0.45", linewidth=0.5)
    _word(ax, low, high, text, limits)


def _word(ax: Axes, low: float, high: float, text: str, limits: tuple[float, float]) -> None:
    """A name in the middle of what is seen, if it fits."""
    low, high = max(low, limits[0]), min(high, limits[1])
    if high - low > 0.016 * len(text) * (limits[1] - limits[0]):
        ax.text((low + high) / 2, 0.46, text, ha="center", va="center", fontsize=6.5)


def _rgb(colour: str) -> tuple[float, ...]:
    """#RRGGBB as numbers."""
    return tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
