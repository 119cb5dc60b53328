"""Figures of the decomposition: fit, principal components, clusters (Figures S11 and S12)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chemoscape.report.panels import (
    CATEGORIES,
    DIVERGING,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    aspect_of,
    draw_map,
    footnote,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import pretty, synthetic_note


@styled
def fit_figure(spectra: xr.Dataset, *, note: str | None = None) -> Figure:
    """Mean spectrum of the sample, the fit by standards, each standard's part, and the residual.

    Parameters
    ----------
    spectra : Dataset, the node ``/spectra`` of the results
        ``mean(energy)``, ``standards(standard, energy)``, ``weight(standard)``; optionally
        ``baseline``, ``mean_se(energy)`` and the coordinate ``label(standard)``.
    note : str, optional
        Line at the foot; default: whether the standards are synthetic.
    """
    energy, mean = spectra["energy"].values, spectra["mean"].values
    names = spectra["label" if "label" in spectra else "standard"].values.tolist()
    weight = spectra["weight"].values
    parts = weight[:, None] * spectra["standards"].transpose("standard", "energy").values
    constant = float(spectra["baseline"]) if "baseline" in spectra else 0.0
    if "fitted" in spectra:  # NaN at energies that were not used
        fit, under = spectra["fitted"].values, spectra["fitted_baseline"].values
    else:
        fit = np.nansum(parts, axis=0) + constant
        fit[~np.isfinite(parts).all(axis=0)] = np.nan
        under = np.full(energy.size, constant)

    figure = Figure(figsize=(DOUBLE, 3.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot(energy, mean, "o", color="0.55", markersize=2.2, mew=0, label="sample, mean")
    above.plot(energy, fit, color=INK, label="fit")
    total = weight.sum()
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        share = f", {100 * weight[number] / total:.1f} %" if total > 0 else ""
        colour = CATEGORIES[number % 7]
        above.plot(energy, part, color=colour, linewidth=0.9, label=pretty(name) + share)
    if constant:
        kind = "constant" if np.nanmax(under) == np.nanmin(under) else "baseline, mean"
        above.plot(
            energy,
            under,
            color="0.6",
            linestyle="dotted",
            label=f"{kind}, {np.nanmean(under):.4f}".replace("-", "−"),
        )
    above.set(ylabel="optical density", title="Mean spectrum and fit")
    above.set_xlim(energy[0], energy[-1])
    figure.legend(*above.get_legend_handles_labels(), loc="outside right upper")

    residual = mean - fit
    below.axhline(0, color="0.75", linewidth=0.6)
    if "mean_se" in spectra:
        se = spectra["mean_se"].values
        below.fill_between(energy, -se, se, color="0.88", linewidth=0)
    below.plot(energy, residual, color=CATEGORIES[5], linewidth=0.8)
    band = " (band: ± 1 standard error)" if "mean_se" in spectra else ""
    rms = np.sqrt(np.nanmean(residual**2))
    below.set(
        xlabel=PHOTON_ENERGY,
        ylabel="OD",
        title=f"Sample less fit, rms {rms:.2g}{band}",
    )
    letters((above, below))
    footnote(figure, synthetic_note(names) if note is None else note)
    return figure


RANKS = (
    ("rank_ind", "indicator (IND)"),
    ("rank_mp", "Marchenko–Pastur"),
    ("rank_cv", "cross-validation"),
    ("rank_f", "F-test (1 %)"),
    ("rank_cumulative", "99.9 % of variance"),
)


@styled
def components_figure(pcs: xr.Dataset, *, n_shown: int | None = None) -> Figure:
    """Scree plot with the number of components by five criteria, eigenspectra and eigenimages.

    Parameters
    ----------
    pcs : Dataset of `principal_components`
        Ranks that are missing, negative or NaN are shown as not used. A component that is the same
        in all pixels says so.
    n_shown : int, optional
        How many eigenspectra and eigenimages; default: one more than the criteria ask for, 2 to 4.
    """
    ranks = {label: pcs.attrs.get(name) for name, label in RANKS}
    deciding = [  # the paper's share of the variance is shown, but does not decide
        int(rank)
        for rank in (pcs.attrs.get(name) for name, _ in RANKS[:-1])
        if rank is not None and rank == rank and rank >= 0
    ]
    if n_shown is None:
        n_shown = int(np.clip(max(deciding, default=1) + 1, 2, 4))
    n_shown = min(n_shown, pcs.sizes["pc"])
    aspect = aspect_of(pcs)
    map_height = min(1.15 * aspect, 2.6) + 0.45
    figure = Figure(figsize=(DOUBLE, 2.7 + map_height), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(2.7, map_height))).tolist()
    grid = upper.add_gridspec(2, 2, height_ratios=(1.2, 1.8), width_ratios=(1, 1.5))
    strip, scree = upper.add_subplot(grid[0, 0]), upper.add_subplot(grid[1, 0])
    curves = upper.add_subplot(grid[:, 1])

    value = pcs["eigenvalue"].values
    number = np.arange(1, value.size + 1)
    scree.semilogy(number, np.where(value > 0, value, np.nan), "o-", color=INK, linewidth=0.7)
    scree.set(xlabel="component", ylabel="eigenvalue", xlim=(0.5, value.size + 0.5))
    scree.xaxis.set_major_locator(MaxNLocator(integer=True))
    for row, (label, rank) in enumerate(ranks.items()):
        strip.axhline(row, color="0.9", linewidth=0.6, zorder=0)
        if rank is None or rank != rank or rank < 0:
            words, at = f"{label}: not used", 1.0
        else:
            words, at = f"{label}: {int(rank)}", min(float(rank), value.size)
            strip.plot(at, row, "o", color=CATEGORIES[0])
        right = at < 0.5 * value.size
        strip.annotate(
            words,
            (at, row),
            xytext=(5 if right else -5, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=6.5,
            bbox={"color": "white", "pad": 0.8},
        )
    strip.set(xlim=scree.get_xlim(), ylim=(len(RANKS) - 0.4, -0.6), yticks=[], xticks=[])
    strip.spines[:].set_visible(False)
    strip.set_title("Number of components")

    energy = pcs["energy"].values
    spectra = pcs["eigenspectrum"].values[:n_shown]
    sign = np.where(spectra.sum(axis=1) < 0, -1.0, 1.0)  # arbitrary: drawn as absorption
    spectra = sign[:, None] * spectra
    step = 1.15 * float(np.nanmax(np.ptp(spectra, axis=1)))
    for k, spectrum in enumerate(spectra):
        curves.axhline(-k * step, color="0.85", linewidth=0.5, zorder=0)
        curves.plot(energy, spectrum - k * step, color=CATEGORIES[k % len(CATEGORIES)])
        curves.annotate(
            f"{k + 1}",
            (1, -k * step),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=CATEGORIES[k % len(CATEGORIES)],
        )
    curves.set(title="Eigenspectra (offset)", xlabel=PHOTON_ENERGY, yticks=[])
    curves.set_xlim(energy[0], energy[-1])

    images = list(lower.subplots(1, max(n_shown, 3), squeeze=False).ravel())
    for ax in images[n_shown:]:
        ax.remove()
    for k, ax in enumerate(images[:n_shown]):
        score = pcs["score"].isel(pc=k) * sign[k]
        limits = robust_limits(score.values, symmetric=True)
        common = ", an I0 error?" if pcs.attrs.get("common_component", 0) == k + 1 else ""
        title = f"Eigenimage {k + 1}{common}"
        draw_map(ax, score, title=title, cmap=DIVERGING, limits=limits)
    letters((strip, curves, *images[:n_shown]))
    return figure
