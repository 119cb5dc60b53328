"""The shape of layers of pyramids: how far their tips lean, and how the layers pucker.

Made for V2O5 and what lithium makes of it, where each vanadium has a near oxygen (the vanadyl
bond), four in a basal plane, and a sixth far away in the next layer; for other compounds of that
kind as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.crystals.bonds import Bond, bonds, centre_of
from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.pyramids import FARTHEST, Pyramids, acute_angle


@dataclass(frozen=True)
class Layers:
    """Descriptors of a structure of layers; means over its sites, each image counted.

    Parameters
    ----------
    centre : str
        The element in the pyramids.
    bonds : tuple of Bond
        To the six nearest neighbours of each site.
    apical, apical_sd : float
        The shortest bond, Å.
    sixth, sixth_sd : float
        The sixth distance, Å; the long one that closes an octahedron. NaN beyond 4 Å.
    canting : float
        Angle (degrees) of the shortest bond to the normal of the layers, ``acos |u · n|``.
    canting_max : float
        The largest of any site.
    tilt : float
        Angle (degrees) of the plane of the four basal neighbours to the plane of the layers,
        ``acos |m · n|``, with m the normal of the plane of least squares through the four.
    puckering : float
        Angle (degrees) of the basal planes of two pyramids that share one basal neighbour, a
        corner, ``acos |m · m'|``, without those that a lattice translation makes parallel: 0 where
        a layer is flat, twice the tilt where neighbours lean against each other.
    rms_height : float
        Root mean square distance (Å) of the centres from the mean plane of their layer,
        ``sqrt(<(h - <h>)²>)`` along n.
    normal : tuple of 3 float
        n, Cartesian, and its ``axis``: the reciprocal axis it lies along.
    spacing : float
        Å from layer to layer.
    layers_in_cell : int
    """

    centre: str
    bonds: tuple[Bond, ...]
    apical: float
    apical_sd: float
    sixth: float
    sixth_sd: float
    canting: float
    canting_max: float
    tilt: float
    puckering: float
    rms_height: float
    normal: tuple[float, float, float]
    axis: str
    spacing: float
    layers_in_cell: int

    def lines(self) -> list[str]:
        """The descriptors in words."""
        said = [f"  {one}" for one in self.bonds]
        return [
            *said,
            f"  layers along {self.axis}, {self.spacing:.3f} Å apart",
            f"  shortest bond {self.apical:.3f} Å, {self.canting:.2f} deg off their normal",
            f"  sixth distance {self.sixth:.3f} Å"
            if np.isfinite(self.sixth)
            else "  no sixth neighbour within 4 Å",
            f"  basal planes {self.tilt:.2f} deg off the layer, {self.puckering:.2f} deg between "
            f"pyramids that share a corner",
            f"  {self.centre} {self.rms_height:.3f} Å (rms) off the mean plane of its layer",
        ]


def describe_layers(
    crystal: Crystal,
    *,
    centre: str | None = None,
    neighbour: str = "O",
    axis: str | None = None,
) -> Layers:
    """Distances, canting and puckering of a structure of layers.

    Parameters
    ----------
    crystal : Crystal
    centre, neighbour : str
        Elements; the centre as for `bonds`.
    axis : {"a", "b", "c"}, optional
        Layers are stacked along the reciprocal axis of this name; default: the one that the
        shortest bonds lie along best.

    Returns
    -------
    Layers

    Raises
    ------
    LibraryError
        A site has fewer than five neighbours within 4 Å, or there are no atoms.
    """
    centre = centre or centre_of(crystal)
    chosen = bonds(crystal, centre=centre, neighbours=(neighbour,), longest=FARTHEST)
    atoms = Pyramids(crystal, centre, neighbour)
    spans = [atoms.nearest(k) for k in range(len(atoms.places))]
    tips = np.array([one[0] / np.linalg.norm(one[0]) for one in spans])
    axes = np.linalg.inv(crystal.matrix)  # rows are the reciprocal axes
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    k = "abc".index(axis) if axis else int(np.abs(tips @ axes.T).mean(axis=0).argmax())
    normal = axes[k]
    cant = acute_angle(tips @ normal)
    planes = np.array([_plane_normal(one[1:5]) for one in spans])
    layer, height = atoms.layers(normal)
    heights = np.concatenate([height[layer == n] - height[layer == n].mean() for n in set(layer)])
    apical = min(chosen, key=lambda bond: bond.length)
    far = float(np.mean([np.linalg.norm(one[5]) for one in spans]))
    depth = 1 / float(np.linalg.norm(np.linalg.inv(crystal.matrix)[k]))
    n_layers = len(set(layer.tolist()))
    return Layers(
        centre=centre,
        bonds=_six(chosen),
        apical=float(np.mean([np.linalg.norm(one[0]) for one in spans])),
        apical_sd=apical.sd,
        sixth=far,
        sixth_sd=_sixth_sd(chosen) if np.isfinite(far) else np.nan,
        canting=float(cant.mean()),
        canting_max=float(cant.max()),
        tilt=float(acute_angle(planes @ normal).mean()),
        puckering=atoms.puckering(planes),
        rms_height=float(np.sqrt(np.mean(heights**2))),
        normal=(float(normal[0]), float(normal[1]), float(normal[2])),
        axis="abc"[k],
        spacing=depth / n_layers,
        layers_in_cell=n_layers,
    )


def _plane_normal(points: np.ndarray) -> np.ndarray:
    """Normal of the plane of least squares through points (n, 3)."""
    return np.asarray(np.linalg.svd(points - points.mean(axis=0))[2][2])


def _six(chosen: tuple[Bond, ...]) -> tuple[Bond, ...]:
    """The bonds to the six nearest neighbours of each site."""
    kept: list[Bond] = []
    count: dict[str, int] = {}
    for bond in chosen:
        if count.get(bond.centre, 0) < 6:
            kept.append(bond)
            count[bond.centre] = count.get(bond.centre, 0) + bond.multiplicity
    return tuple(kept)


def _sixth_sd(chosen: tuple[Bond, ...]) -> float:
    """Standard deviation of the distance to the sixth neighbour of the first site."""
    return next(b for b in reversed(_six(chosen)) if b.centre == chosen[0].centre).sd
