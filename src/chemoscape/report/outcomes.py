"""Figures of the outcomes: stress on the mesh (Figure S13), and a result beside its known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from chemoscape.report.panels import (
    CATEGORIES,
    DIVERGING,
    DOUBLE,
    INK,
    aspect_of,
    colour_bar,
    draw_map,
    dress_map,
    footnote,
    grid_for,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import pretty

STRESS = "inferno"
MISES = {"von_mises": "von Mises stress"}
WITH_SD = {"von_mises_sd": "its sd", "elastic_energy": "elastic energy"}
IN_IMAGE = {
    "stress_xx": "normal σ$_{xx}$",
    "stress_yy": "normal σ$_{yy}$",
    "stress_xy": "shear τ$_{xy}$",
}
IN_PARTICLE = {
    "stress_xi": "normal σ$_{ξ}$",
    "stress_eta": "normal σ$_{η}$",
    "shear_xi_eta": "shear τ$_{ξη}$",
}


@styled
def stress_figure(fields: Any, *, note: str = "") -> Figure:
    """Von Mises stress and the stress components on the mesh, every boundary on one scale.

    Parameters
    ----------
    fields : StressField, its Dataset, or a sequence of either
        One row each (two where the standard deviation is known); the reference composition and the
        material's status are printed beneath.
    note : str
        Added to the line at the foot.
    """
    rows = [_dataset_of(field) for field in _as_list(fields)]
    panels = _panels(rows)
    extent = _mesh_extent(rows)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    with_sd = len(panels) > 4  # then every boundary has two lines of panels
    lying = aspect < 0.5 and not with_sd  # the boundaries side by side, each panel in its own row
    shape = (4, max(len(rows), 2)) if lying else (2 * len(rows), 3) if with_sd else (len(rows), 4)
    width = DOUBLE / shape[1] - 0.62
    height = shape[0] * (min(width * aspect, 3.2) + 0.5) + 0.3
    figure = Figure(figsize=(DOUBLE, height), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False)
    axes = grid[:, : len(rows)].T if lying else grid.reshape(len(rows), -1)
    for ax in {*grid.ravel()} - {*axes.ravel()}:
        ax.remove()
    for column, (name, title) in enumerate(panels.items()):
        values = [row[name].values for row in rows]
        if name in MISES | WITH_SD:
            cmap, limits = STRESS, (0.0, robust_limits(*values)[1])
        else:
            cmap, limits = DIVERGING, robust_limits(*values, symmetric=True)
        for ax, row, value in zip(axes[:, column], rows, values, strict=True):
            mesh = Triangulation(row["node_x"].values, row["node_y"].values, row["triangle"].values)
            shown = ax.tripcolor(
                mesh, value, shading="gouraud", cmap=cmap, clim=limits, rasterized=True
            )
            ax.add_collection(_outline(row))
            dress_map(ax, extent, f"{title}, {row.attrs['boundary']}")
            colour_bar(ax, shown, str(row[name].attrs.get("units", "MPa")), value, aspect)
    letters(axes.T.ravel() if lying else axes.ravel())
    footnote(figure, " ".join(words for words in (conditions(rows[0]), note) if words))
    return figure


def _panels(rows: Sequence[xr.Dataset]) -> dict[str, str]:
    """Variables to draw with their titles: along the particles' axes where these are turned."""
    turned = any(np.any(row.attrs.get("angle_deg", 0.0)) for row in rows)
    known = all("von_mises_sd" in row for row in rows)
    return MISES | (WITH_SD if known else {}) | (IN_PARTICLE if turned else IN_IMAGE)


def _as_list(fields: Any) -> Sequence[Any]:
    if isinstance(fields, Mapping) and not isinstance(fields, xr.Dataset):
        return list(fields.values())
    return fields if isinstance(fields, list | tuple) else [fields]


def _dataset_of(field: Any) -> xr.Dataset:
    """The Dataset of a StressField, or the Dataset itself (as it is in the results)."""
    return field if isinstance(field, xr.Dataset) else field.dataset


def _mesh_extent(rows: Sequence[xr.Dataset]) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of all meshes, with a little room."""
    x = np.concatenate([row["node_x"].values for row in rows])
    y = np.concatenate([row["node_y"].values for row in rows])
    pad = 0.02 * max(np.ptp(x), np.ptp(y))
    return float(x.min() - pad), float(x.max() + pad), float(y.min() - pad), float(y.max() + pad)


def _outline(row: xr.Dataset) -> LineCollection:
    """The edges that belong to one triangle only."""
    corners = row["triangle"].values[:, :3]
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), 1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    points = np.c_[row["node_x"].values, row["node_y"].values]
    return LineCollection(points[unique[count == 1]].tolist(), colors="0.4", linewidths=0.4)


def conditions(row: xr.Dataset, worded: Callable[[str], str] = pretty) -> str:
    """What the stress depends on, in one line: reference, material and its status, assumptions.

    `worded` sets formulae.
    """
    facts = row.attrs
    variable = worded(str(facts.get("variable") or "composition"))
    words = f"Strain-free reference: {variable} = {float(facts['reference']):g}."
    if "young_GPa" in facts:
        status = str(facts.get("material_status", "")).upper()
        strain = facts["eigenstrain"]
        words += f" Material ({status} values): E = {_listed(facts['young_GPa'])} GPa"
        words += f", ν = {_listed(facts['poisson'])}, strain from a lattice table."
        if not isinstance(strain, str):
            rate = _listed(100 * np.asarray(strain), ".3g")
            words = words.replace("strain from a lattice table", f"{rate} % strain per unit")
        if "phases" in facts:
            words += " Other constants within phases."
    plane = facts.get("plane", "stress")
    plane = "generalised plane strain" if plane == "generalised" else f"plane {plane}"
    return words + f" Linear elasticity, {plane}; computed from composition, not measured."


def _listed(value: Any, form: str = "g") -> str:
    """One number, or several."""
    return ", ".join(format(float(one), form) for one in np.atleast_1d(value))


@styled
def truth_figure(truth: Any, comp: xr.Dataset, *, note: str = "") -> Figure:
    """The composition a stack was made from, the result, their difference, and its pull.

    Parameters
    ----------
    truth : Truth, or DataArray (y, x)
        Known composition; taken at the nearest pixel where `comp` has a finer grid.
    comp : Dataset of `composition`
        The result; the pull is (result - truth) / composition_sd_total.
    note : str
        Line at the foot.
    """
    known = truth if isinstance(truth, xr.DataArray) else truth.composition
    variable = pretty(str(comp.attrs.get("variable", "composition")))
    result = comp["composition"]
    known = known.sel(y=result["y"], x=result["x"], method="nearest").assign_coords(
        y=result["y"], x=result["x"]
    )
    difference = result - known
    columns, rows, width, height = grid_for(4, aspect_of(result))
    figure = Figure(figsize=(width, height + 0.35), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    limits = robust_limits(known.values, result.values)
    draw_map(axes[0], known, title="Truth", limits=limits, colourbar=False)
    draw_map(axes[1], result, title="Result", label=variable, limits=limits)
    error = difference.values[np.isfinite(difference.values)]
    rms = float(np.sqrt(np.mean(error**2))) if error.size else np.nan
    draw_map(
        axes[2],
        difference,
        title=f"Result − truth, rms {rms:.3f}",
        cmap=DIVERGING,
        limits=robust_limits(difference.values, symmetric=True),
    )
    pull = (difference / comp["composition_sd_total"]).values
    pull = pull[np.isfinite(pull)]
    bins = np.linspace(-4, 4, 41)
    if pull.size:
        axes[3].hist(np.clip(pull, -4, 4), bins.tolist(), density=True, color="0.8")
    normal = np.exp(-(bins**2) / 2) / np.sqrt(2 * np.pi)
    axes[3].plot(bins, normal, color=CATEGORIES[0], label="expected")
    share = f"{100 * np.mean(np.abs(pull) <= 1):.0f} % within 1 sd" if pull.size else "No overlap"
    axes[3].set(title=share, xlabel="(result − truth) / sd", yticks=[], xlim=(-4.1, 4.1))
    axes[3].set_xticks([-4, -2, 0, 2, 4], ["≤ −4", "−2", "0", "2", "≥ 4"])
    axes[3].margins(y=0.25)
    axes[3].spines["left"].set_visible(False)
    axes[3].axvline(0, color=INK, linewidth=0.5, linestyle="dotted")
    axes[3].legend(loc="upper left", borderaxespad=0.0)
    letters(axes)
    footnote(figure, note)
    return figure
