"""Names for how outlines may be held: free, fixed, on springs, cut by the image, part by part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from chemoscape.errors import MaterialError, RecipeError
from chemoscape.mechanics.cuts import EDGES, Box, Part

#: Names of parts and boundaries name nodes of results and files.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Springs:
    """Elastic surroundings: a pull on the outline of `GPa_per_um` times its displacement (Winkler).

    From 0.1 to 1e6 GPa/µm the answer runs smoothly from that of a free to that of a fixed particle.

    Examples
    --------
    >>> str(Springs(10.0))
    'springs-10-GPa-per-um'
    """

    GPa_per_um: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.GPa_per_um) and self.GPa_per_um > 0):
            raise MaterialError(
                f"springs of {self.GPa_per_um} GPa/µm hold nothing",
                remedy='give a positive, finite stiffness, or boundary "free" or "fixed"',
            )

    def __str__(self) -> str:
        # names a node of the results and a file: no slash, no blank
        return f"springs-{self.GPa_per_um:g}-GPa-per-um"


#: What a part of an outline may be: "cut" stays straight, but moves, turns and slides freely;
#: "roller" does not move across itself.
Condition = Literal["free", "fixed", "roller", "cut"] | Springs


@dataclass(frozen=True, eq=False)
class Supports:
    """Parts of the outlines held each in its own way; later parts win where two overlap.

    Parameters
    ----------
    conditions : mapping of str to condition
        "free", "fixed", "roller", "cut" or Springs for every part, by name: "left", "right",
        "bottom" (smallest y) and "top" are the edges of the image, others are in `parts`.
    parts : mapping of str to rule, box or polyline, optional
        Where the named parts are, in µm: ``rule(x, y)`` gives True or False for arrays of places; a
        box is x_min, y_min, x_max, y_max; a polyline is a sequence of (x, y).
    rest : condition
        How all other outlines and holes are held; not "cut".
    frame : tuple of four floats, optional
        Border of the image, x_min, y_min, x_max, y_max in µm; see `with_frame`.
    tolerance : float, optional
        How far from that border an outline counts as cut, in µm; by default a millionth of it.

    Examples
    --------
    >>> str(Supports({"left": "fixed", "tip": Springs(2.0)}, {"tip": (4.0, 0.0, 5.0, 1.0)}))
    'left-fixed-tip-springs-2-GPa-per-um-rest-free'
    """

    conditions: Mapping[str, Condition]
    parts: Mapping[str, Part] = field(default_factory=dict)
    rest: Condition = "free"
    frame: Box | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for name, condition in {**self.conditions, "rest": self.rest}.items():
            _check_condition(name, condition)
            if not PLAIN_NAME.fullmatch(name):
                raise RecipeError(f"a part of the outline is named {name!r}", remedy="use letters")
            if name != "rest" and name not in self.parts and name not in EDGES:
                raise RecipeError(
                    f"part {name!r} of the outline is nowhere described",
                    remedy=f"describe it in parts, or use {', '.join(EDGES)}",
                )
        if self.rest == "cut":
            raise RecipeError(
                'the rest of an outline cannot be "cut"', remedy="name the parts that are"
            )
        _check_frame(self.frame)

    def __str__(self) -> str:
        named = [f"{name}-{condition}" for name, condition in self.conditions.items()]
        return "-".join([*named, f"rest-{self.rest}"])


@dataclass(frozen=True)
class Cut:
    """Particles cut by the edges of the image, straight but free there; the rest held as `rest`.

    The cut edge of every particle stays straight and is free to translate and rotate: no net force
    and no moment acts on it, and nothing slides against friction. It stands for the part of a long
    particle outside the image.

    Parameters
    ----------
    edges : sequence of "left", "right", "bottom", "top"
        Edges of the image that cut; "bottom" is that of the smallest y.
    ends : "cut" or "roller"
        Straight and free, or without displacement across the edge of the image: that of a particle
        which is symmetric about it. Rollers at two ends clamp a wire along its length.
    rest : "free", "fixed" or Springs
        How all other outlines and holes are held.
    frame : tuple of four floats, optional
        Border of the image, x_min, y_min, x_max, y_max in µm; see `with_frame`.
    tolerance : float, optional
        How far from that border an outline counts as cut, in µm; by default a millionth of it.

    Examples
    --------
    >>> str(Cut()), str(Cut(("left",), ends="roller", rest="fixed"))
    ('cut', 'roller-left-rest-fixed')
    """

    edges: Sequence[str] = tuple(EDGES)
    ends: Literal["cut", "roller"] = "cut"
    rest: Literal["free", "fixed"] | Springs = "free"
    frame: Box | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.edges, str) or not set(self.edges) <= set(EDGES) or not self.edges:
            raise RecipeError(
                f"the edges {self.edges!r} of the image are unknown",
                remedy=f"give some of {', '.join(map(repr, EDGES))}",
            )
        if self.ends not in ("cut", "roller"):
            raise RecipeError(f"ends are {self.ends!r}", remedy='use "cut" or "roller"')
        check_boundary(self.rest)
        if isinstance(self.rest, Cut | Supports):
            raise RecipeError(f"the rest is {self.rest}", remedy='use "free", "fixed" or Springs')
        _check_frame(self.frame)

    @property
    def supports(self) -> Supports:
        """The same, part by part."""
        conditions = dict.fromkeys(self.edges, self.ends)
        return Supports(conditions, {}, self.rest, self.frame, self.tolerance)

    def __str__(self) -> str:
        edges = () if set(self.edges) == set(EDGES) else tuple(self.edges)
        rest = () if self.rest == "free" else ("rest", str(self.rest))
        return "-".join([self.ends, *edges, *rest])


Boundary = Literal["free", "fixed"] | Springs | Cut | Supports


def check_boundary(boundary: object) -> None:
    """Refuse what is not a boundary.

    Raises
    ------
    RecipeError
        Neither "free" nor "fixed" nor `Springs`, `Cut` or `Supports`.
    """
    known = isinstance(boundary, Springs | Cut | Supports)
    if not known and not (isinstance(boundary, str) and boundary in ("free", "fixed")):
        raise RecipeError(
            f"the boundary {boundary!r} is unknown",
            remedy='use "free", "fixed", Springs(GPa_per_um), Cut() or Supports(…)',
        )


def _check_condition(name: str, condition: object) -> None:
    """Refuse what a part of an outline cannot be."""
    if not isinstance(condition, Springs) and condition not in ("free", "fixed", "roller", "cut"):
        raise RecipeError(
            f"part {name!r} of the outline is held by {condition!r}",
            remedy='use "free", "fixed", "roller", "cut" or Springs(GPa_per_um)',
        )


def _check_frame(frame: Box | None) -> None:
    """Refuse a border without an inside."""
    if frame is None:
        return
    box = np.asarray(frame, dtype=float)
    if box.shape != (4,) or not (box[2] > box[0] and box[3] > box[1]):
        raise RecipeError(
            f"the frame {frame!r} is no box", remedy="give x_min, y_min, x_max, y_max in µm"
        )


def with_frame(boundary: Boundary, frame: Box) -> Boundary:
    """The boundary with the border of the image, from `image_frame`, where it has none yet."""
    if isinstance(boundary, Cut | Supports) and boundary.frame is None:
        return replace(boundary, frame=frame)
    return boundary
