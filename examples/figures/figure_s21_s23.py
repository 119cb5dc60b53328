"""Figures S21 to S23: what von Mises stress is made of
====================================================

The paper shows
---------------
The text that we have names these figures once, beside Equation 11: von Mises stress and the normal
and shear components in Cartesian coordinates that it is computed from. What exactly they draw is
not said.

Ours shows
----------
The components of one stress field in two systems of axes, those of the image (x, y) and those of
the wire (ξ, η), which lies at 30° to the first. Components change with the axes, shear most of all;
von Mises stress does not. It is computed from either set by Equation 11 and by its form in
principal stresses, and the three agree to rounding. The strain is illustrative.
"""

from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

import chemoscape as cs
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.report.panels import (
    DIVERGING,
    DOUBLE,
    colour_bar,
    dress_map,
    footnote,
    letters,
    styled,
)

# %%
# A wire at 30° to the rows of the image, lithium-rich in its core.

angle = 30.0
y, x = np.mgrid[-0.70:0.701:0.02, -0.92:0.921:0.02]
turn = np.radians(angle)
along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
inside = (np.abs(along) < 0.85) & (np.abs(across) < 0.25)
core = 0.1 + 0.35 / (1 + np.exp((np.abs(across) - 0.12) / 0.02)) * (np.abs(along) < 0.6)
comp = xr.Dataset(
    {"composition": (("y", "x"), core), "mask": (("y", "x"), inside)},
    coords={"y": y[:, 0], "x": x[0]},
    attrs={"variable": "x in LixV2O5"},
)
field = cs.stress(
    comp, replace(LIXV2O5_ILLUSTRATIVE, angle_deg=angle), boundary="free", mesh_size=0.05
)
found = field.dataset


def mises(first, second, shear):
    """Equation 11, MPa."""
    return np.sqrt(first**2 + second**2 - first * second + 3 * shear**2)


image = mises(found.stress_xx, found.stress_yy, found.stress_xy)
wire = mises(found.stress_xi, found.stress_eta, found.shear_xi_eta)
principal = mises(found.principal_1, found.principal_2, 0.0)
apart = max(
    float(np.abs(one - found.von_mises).max() / found.von_mises.max())
    for one in (image, wire, principal)
)
for name, shear in (("image", found.stress_xy), ("wire", found.shear_xi_eta)):
    print(f"largest shear in the axes of the {name:<6}{float(np.abs(shear).max()):.0f} MPa")
print(f"von Mises by three sets of components: apart by {apart:.0e} of its largest value")


@styled
def components_figure():
    names = {
        "stress_xx": "normal σ$_{xx}$",
        "stress_yy": "normal σ$_{yy}$",
        "stress_xy": "shear τ$_{xy}$",
        "stress_xi": "normal σ$_{ξ}$",
        "stress_eta": "normal σ$_{η}$",
        "shear_xi_eta": "shear τ$_{ξη}$",
    }
    figure = Figure(figsize=(DOUBLE, 3.9), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    mesh = Triangulation(found.node_x.values, found.node_y.values, found.triangle.values)
    top = max(float(np.percentile(np.abs(found[name]), 99)) for name in names)
    for ax, (name, title) in zip(axes, names.items(), strict=True):
        shown = ax.tripcolor(
            mesh, found[name].values, shading="gouraud", cmap=DIVERGING, clim=(-top, top)
        )
        dress_map(ax, (-0.95, 0.95, -0.7, 0.7), title)
        ends = ((0.45, 0.0), (0.0, 0.45))
        axis = [
            (u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn))
            if name in ("stress_xi", "stress_eta", "shear_xi_eta")
            else (u, v)
            for u, v in ends
        ]
        for (u, v), word in zip(axis, "ξη" if "xi" in name or "eta" in name else "xy", strict=True):
            corner = (-0.8, 0.25)
            ax.annotate(
                word,
                corner,
                xytext=(corner[0] + 0.75 * u, corner[1] + 0.75 * v),
                arrowprops={"arrowstyle": "<-", "color": "0.3", "linewidth": 0.7},
                ha="center",
                va="center",
                fontsize=6.5,
            )
    colour_bar(axes[2], shown, "MPa", found["stress_xx"].values, 0.74)
    colour_bar(axes[5], shown, "MPa", found["stress_xx"].values, 0.74)
    letters(axes)
    footnote(figure, "Free outline; E = 43 GPa, ν = 0.3; strain of ILLUSTRATIVE size; computed.")
    return figure


figure = components_figure()

assert apart < 1e-6
