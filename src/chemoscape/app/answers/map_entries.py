"""One map of the results as the Maps view lists it, and those that need no computing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.pictures import Kind
from chemoscape.app.session import Session
from chemoscape.report.words import formulae

IS_ONE = "no uncertainty: it is one itself"
MEASURE = "no uncertainty: it measures how well the fit does"
NOT_KEPT = "no uncertainty: the run keeps none"
#: By the sum of 1, 2 and 4.
FLAGS = (
    *("none", "thick", "too thick", "thick, too thick", "no positive count at some energy"),
    *("thick, no positive count", "too thick, no positive count", "all three"),
)
#: Length (pixels) of the Gaussian whose noise is alike over one pixel: 1 / (2 √π).
ALONE = 0.5 / np.sqrt(np.pi)


@dataclass(frozen=True, eq=False)
class Entry:
    """One map: what it is called, how it is made, what belongs to it.

    `sds` are other entries and what they are in words; `no_sd` says why there is none. `counting`
    and `systematic` name the entries of the parts of the error; `common` is a relative error of the
    whole map. `blur_px` is the length over which counting noise is alike, pixels of the map.
    """

    id: str
    group: str
    title: str
    unit: str
    kind: Kind
    make: Callable[[], xr.DataArray]
    node: str = ""
    at: dict[str, int] = field(default_factory=dict)
    sds: tuple[tuple[str, str], ...] = ()
    no_sd: str = ""
    counting: str = ""
    systematic: str = ""
    common: float = 0.0
    blur_px: float = 0.0
    labels: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """The entry of the list."""
        return {
            "id": self.id,
            "title": self.title,
            "unit": self.unit,
            "kind": self.kind,
            "node": self.node,
            "at": self.at,
            "uncertainties": [{"id": one, "words": words} for one, words in self.sds],
            "no_uncertainty": self.no_sd,
            "labels": list(self.labels),
            "is_error": self.no_sd == IS_ONE,
        }


def plain(name: str) -> str:
    """A name with its phase in Greek; formulae stay on the line."""
    return formulae(name, "", "", "x")


def labelled(session: Session, node: str, name: str, group: str, each: str) -> Entry:
    """A map of labels, -1 for none; each is called by `each` and its number."""
    image = session.node(node)[name]
    counted = tuple(f"{each} {k}" for k in range(int(image.max()) + 1))
    return Entry(
        f"{node}/{name}",
        group,
        f"{each}s",
        "",
        "labels",
        lambda: image.where(image >= 0).astype(float),
        node=f"{node}/{name}",
        no_sd="no uncertainty: a label is a choice; the Match view says how sure each cluster is",
        labels=counted,
    )


def stacked(
    session: Session,
    node: str,
    name: str,
    group: str,
    each: str,
    scale: float = 1.0,
    unit: str = "1",
) -> Iterator[Entry]:
    """The layers of a variable (layer, y, x)."""
    data = session.node(node)
    if name not in data:
        return
    layers = data[name]
    dim = str(layers.dims[0])
    titles = [str(one) for one in layers[dim].values] if dim in layers.coords else []
    for k in range(layers.sizes[dim]):
        title = f"{each} {k}" if each or not titles else plain(titles[k])
        yield Entry(
            f"{node}/{name}/{k}",
            group,
            title,
            unit,
            "sequential",
            lambda k=k: layers[k] * scale,  # type: ignore[misc]
            node=f"{node}/{name}",
            at={dim: k},
            no_sd=IS_ONE if name == "error" else NOT_KEPT,
        )


def plain_maps(session: Session, node: str, group: str) -> Iterator[Entry]:
    """Every variable (y, x) of a node."""
    for name, image in session.node(node).data_vars.items():
        if image.dims == ("y", "x") and name not in ("asked",):
            yield variable(session, node, str(name), group)


def variable(session: Session, node: str, name: str, group: str) -> Entry:
    """One variable (y, x) of a node as it is."""
    image = session.node(node)[name]
    kind: Kind = "mask" if image.dtype == bool else "sequential"
    if name == "flag":
        kind = "labels"
    if name.startswith("baseline") or name in ("phase", "per_eV", "per_offset"):
        kind = "diverging"
    measure = name in ("residual", "reduced_chi2")
    return Entry(
        f"{node}/{name}",
        group,
        "flags" if name == "flag" else str(image.attrs.get("long_name", name)).replace("_", " "),
        str(image.attrs.get("units", "")),
        kind,
        lambda: image,
        node=f"{node}/{name}",
        no_sd=MEASURE if measure else NOT_KEPT,
        labels=FLAGS if name == "flag" else (),
    )
