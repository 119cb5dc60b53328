"""Figures to judge clusters by: coloured scores (Figure S12A), the tree, target tests."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.cluster.hierarchy import dendrogram, fcluster

from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import elided, measured, pretty, synthetic_note

#: More pixels than this are drawn as a density: dots would cover each other.
MOST_DOTS = 4000
#: Cells of a density across a panel.
CELLS = 110
#: Scores shown against each other.
MOST_AXES = 3
#: Colours of what a target test says.
VERDICTS = {"present": CATEGORIES[2], "possible": CATEGORIES[1], "absent": "0.72"}
#: SPOIL up to which its axis is linear.
LINEAR_SPOIL = 6.0
#: SPOIL below which a bar is too short to be seen, and has a marker.
LEAST_BAR = 0.15
#: Widest name of a standard, inches.
MOST_NAME = 1.2


@styled
def scores_figure(pcs: xr.Dataset, groups: xr.Dataset, *, note: str = "") -> Figure:
    """Scores against each other, coloured by cluster: raw above, as k-means saw them below.

    Raw scores fan out from the origin with thickness; divided by their length they form as many
    heaps as there are spectra. Crosses are the clusters' means.

    Parameters
    ----------
    pcs : Dataset of `principal_components`
    groups : Dataset of `cluster`, of the same pixels
        Without ``feature`` the lower row is left out.
    note : str
        Line at the foot.
    """
    label = groups["label"].values.ravel()
    sample = pcs["sample"].values.ravel() if "sample" in pcs else np.ones(label.size, dtype=bool)
    raw = pcs["score"].values[:MOST_AXES].reshape(min(MOST_AXES, pcs.sizes["pc"]), -1)
    sign = np.where(np.nansum(raw[:, label >= 0], axis=1) < 0, -1.0, 1.0)
    rows = [("Scores", "score", sign[:, None] * raw)]
    if "feature" in groups:
        feature = groups["feature"].values.reshape(groups.sizes["feature_axis"], -1)
        spread = np.nanvar(feature, axis=1) if (label >= 0).any() else np.zeros(len(feature))
        kept = np.argsort(-spread, kind="stable")[:MOST_AXES]
        rows.append(("Normalised, as clustered", "normalised score, axis", feature[kept]))

    columns = max(len(list(combinations(range(len(values)), 2))) or 1 for *_, values in rows)
    width = min(DOUBLE, 2.4 * columns)
    figure = Figure(figsize=(max(width, 3.5), 2.25 * len(rows) + 0.15), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    drawn = []
    for row, (axes, (title, name, values)) in enumerate(zip(grid, rows, strict=True)):
        pairs = list(combinations(range(len(values)), 2)) or [(0, 0)]
        for ax in axes[len(pairs) :]:
            ax.remove()
        for ax, (one, other) in zip(axes, pairs, strict=False):
            _cloud(ax, values[one], values[other], label, sample)
            ax.set(xlabel=f"{name} {one + 1}", ylabel=f"{name} {other + 1}")
            drawn.append(ax)
        if len(pairs) == 1 and columns > 1:  # on a circle, where density says more than place
            beside = figure.add_subplot(axes[1].get_gridspec()[row, 1:])
            _counts(beside, values[0], label, f"{name} 1")
            drawn.append(beside)
        seen = np.isfinite(values).all(axis=0) & sample & (label < 0)
        axes[0].set_title(f"{title} (grey: in no cluster)" if seen.any() else title)
    letters(drawn)
    footnote(figure, note)
    return figure


def _cloud(ax: Axes, x: np.ndarray, y: np.ndarray, label: np.ndarray, sample: np.ndarray) -> None:
    """Dots, or their density where there are many, in the colours of the cluster map."""
    seen = np.isfinite(x) & np.isfinite(y) & (sample | (label >= 0))
    x, y, label = x[seen], y[seen], label[seen]
    (left, right), (low, high) = (robust_limits(values, share=0.05) for values in (x, y))
    pad_x, pad_y = 0.06 * (right - left), 0.06 * (high - low)
    box = (left - pad_x, right + pad_x, low - pad_y, high + pad_y)
    numbers = np.unique(label)
    colours = [CATEGORIES[k % len(CATEGORIES)] if k >= 0 else "0.8" for k in numbers]
    if x.size > MOST_DOTS:
        edges = (np.linspace(*box[:2], CELLS + 1), np.linspace(*box[2:], CELLS + 1))
        counts = np.array(
            [np.histogram2d(x[label == k], y[label == k], bins=edges)[0].T for k in numbers]
        )
        total = counts.sum(axis=0)
        image = np.zeros((*total.shape, 4))
        mixed = np.einsum("kyx,kc->yxc", counts, np.array([to_rgb(c) for c in colours]))
        image[..., :3] = mixed / np.maximum(total, 1)[..., None]
        # logarithmic, so that a lone pixel is seen beside the heaps
        image[..., 3] = np.where(
            total > 0, 0.35 + 0.65 * np.log1p(total) / np.log1p(total.max()), 0
        )
        ax.imshow(image, origin="lower", extent=box, aspect="auto", interpolation="nearest")
    else:
        for k, colour in zip(numbers, colours, strict=True):
            own = label == k
            ax.scatter(x[own], y[own], s=2.0, color=colour, linewidth=0, alpha=0.5, rasterized=True)
    for k, colour in zip(numbers, colours, strict=True):
        if k < 0:
            continue
        at = float(x[label == k].mean()), float(y[label == k].mean())
        ax.plot(*at, "X", color=colour, markeredgecolor="black", markeredgewidth=0.6, markersize=6)
        ax.annotate(
            f"{k}",
            at,
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=6.5,
            fontweight="bold",
            bbox={"color": "white", "pad": 0.5, "alpha": 0.75},
        )
    ax.set(xlim=box[:2], ylim=box[2:])


def _counts(ax: Axes, values: np.ndarray, label: np.ndarray, name: str) -> None:
    """Histogram of one coordinate, the clusters on top of each other."""
    numbers = [int(k) for k in np.unique(label[label >= 0])]
    parts = [values[(label == k) & np.isfinite(values)] for k in numbers]
    limits = robust_limits(*parts, share=0.05) if parts else (0.0, 1.0)
    colours = [CATEGORIES[k % len(CATEGORIES)] for k in numbers]
    ax.hist(parts, bins=CELLS, range=limits, stacked=True, color=colours, linewidth=0)
    ax.set(xlabel=name, ylabel="pixels", title="How far the clusters are apart")


@styled
def dendrogram_figure(
    groups: xr.Dataset,
    table: xr.Dataset | None = None,
    *,
    into: int | None = None,
    distance: float | None = None,
    note: str = "",
) -> Figure:
    """Tree of the clusters with leaves in their colours, and where it is cut.

    Parameters
    ----------
    groups : Dataset of `cluster`
        Before the cut.
    table : Dataset of `match`, optional
        Adds each cluster's composition.
    into, distance : int, float, optional
        The cut, as in `cut_clusters`; without either none is drawn.
    note : str
        Line at the foot.
    """
    n, tree = groups.sizes["cluster"], groups["linkage"].values
    figure = Figure(figsize=(DOUBLE if n > 5 else 4.6, 2.6), layout="constrained")
    ax = figure.subplots()
    leaves = [0]
    heights = tree[:, 2] if n > 1 else np.zeros(1)
    if n > 1:
        drawn = dendrogram(tree, no_plot=True)
        leaves = drawn["leaves"]
        for x, y in zip(drawn["icoord"], drawn["dcoord"], strict=True):
            ax.plot(x, y, color=INK, linewidth=0.9, solid_joinstyle="miter")
    top = float(heights.max()) or 1.0
    if into is not None and n > 1:
        sorted_heights = np.concatenate([[0.0], np.sort(heights), [1.1 * top]])
        distance = float(sorted_heights[n - into : n - into + 2].mean())
    parts = n
    if distance is not None:
        if n > 1:
            parts = int(fcluster(tree, distance, criterion="distance").max())
        ax.axhline(distance, color=CATEGORIES[5], linewidth=0.9, linestyle=(0, (4, 2)))
        ax.annotate(
            f"cut: {parts} cluster{'s' * (parts != 1)}",
            (1, distance),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=CATEGORIES[5],
            fontsize=6.5,
            bbox={"color": "white", "pad": 0.6},
        )
    place = 5.0 + 10.0 * np.arange(n)
    words = []
    for x, k in zip(place, leaves, strict=True):
        ax.plot(x, 0, "o", color=CATEGORIES[k % len(CATEGORIES)], markersize=6, clip_on=False)
        text = f"{k}"
        if "size" in groups:
            text += f"\n{int(groups['size'].values[k]):,} px".replace(",", "\u2009")
        if table is not None:
            value, sd = (float(table[name].values[k]) for name in ("composition", "composition_sd"))
            text += "\n" + (measured(value, sd) if n <= 8 else f"{value:.3f}".replace("-", "−"))
        words.append(text)
    ax.set_xticks(place, words)
    ax.tick_params(axis="x", length=0, pad=5)
    ax.spines["bottom"].set_visible(False)
    ax.set(xlim=(0, 10.0 * n), ylim=(-0.02 * top, 1.12 * top))
    ax.set(title="Clusters joined by likeness", ylabel="distance (Ward)")
    if table is not None:
        ax.set_xlabel(pretty(str(table.attrs.get("variable", "composition"))))
    footnote(figure, note)
    return figure


@styled
def target_tests_figure(tests: xr.Dataset, *, note: str | None = None) -> Figure:
    """SPOIL of every standard with its verdict, and each standard beside its prediction.

    Parameters
    ----------
    tests : Dataset of `target_tests`
    note : str, optional
        Line at the foot; default: whether the standards are synthetic.
    """
    names = [str(name) for name in tests["label" if "label" in tests else "standard"].values]
    n, spoil = len(names), tests["spoil"].values
    verdict = [str(word) for word in tests["verdict"].values]
    figure = Figure(figsize=(DOUBLE, max(2.2, 0.38 * n + 0.9)), layout="constrained")
    bars, curves = figure.subplots(1, 2, width_ratios=(1.15, 1))
    place = np.arange(n)
    bars.barh(place, spoil, color=[VERDICTS[word] for word in verdict], height=0.62)
    bars.set_xscale("symlog", linthresh=LINEAR_SPOIL, linscale=1.6)
    largest = float(np.max(spoil, initial=10.0, where=np.isfinite(spoil)))
    furthest = 10 ** np.ceil(np.log10(largest))
    bars.set_xlim(0, 1.3 * furthest)
    bars.set_xticks([0, 3, 6, *10.0 ** np.arange(1, np.log10(furthest) + 0.5)])
    bars.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    decades = 10.0 ** np.arange(0, np.log10(furthest))
    steps = np.outer(decades, np.arange(2, 10)).ravel()
    bars.set_xticks(steps[steps > LINEAR_SPOIL], minor=True)
    bars.xaxis.set_minor_formatter(NullFormatter())
    for limit in (3.0, 6.0):
        bars.axvline(limit, color=INK, linewidth=0.6, linestyle="dotted")
    for row, value in enumerate(spoil):
        share = 100 * float(tests["mismatch"].values[row])
        words = f"{verdict[row]}, differs by {share:.2g} %"
        if value < LEAST_BAR:
            bars.plot(value, row, "D", color=VERDICTS[verdict[row]], markersize=4, clip_on=False)
        bars.annotate(  # in a column beside the bars, where no line crosses it
            words,
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
        )
    shown = [elided(name.replace(" (synthetic)", ""), MOST_NAME) for name in names]
    bars.set_yticks(place, shown)
    bars.tick_params(axis="y", length=0)
    bars.set(ylim=(n - 0.4, -0.85), xlabel="SPOIL (// logarithmic from here)")
    n_used = int(tests.attrs["rank"])
    bars.set_title(f"Target tests on {n_used} component{'s' * (n_used != 1)}")
    across, small = bars.get_xaxis_transform(), {"fontsize": 5.5, "color": "0.45", "va": "top"}
    for at, words in ((0.2, "present"), (3.2, "possible"), (6.3, "absent")):
        bars.text(at, 1, words, transform=across, **small)
    paper = {"color": "white", "pad": 0.2}  # strokes where the axis turns logarithmic
    bars.text(LINEAR_SPOIL, 0, "//", transform=across, ha="center", va="center", bbox=paper)

    energy = tests["energy"].values
    target, fitted = tests["target"].values, tests["fitted"].values
    step = 0.55 * float(np.nanmax(np.ptp(np.nan_to_num(target), axis=1))) or 1.0
    for row in range(n):
        raised = (n - 1 - row) * step
        colour = VERDICTS[verdict[row]] if verdict[row] != "absent" else "0.45"
        curves.plot(energy, target[row] + raised, color=colour, linewidth=0.9)
        curves.plot(energy, fitted[row] + raised, color=INK, linewidth=0.6, linestyle=(0, (3, 1.5)))
    curves.set(title="Standards; dashed: from the components", xlabel=PHOTON_ENERGY)
    curves.set(xlim=(energy[0], energy[-1]), yticks=[], ylabel="absorption (offset)")
    letters((bars, curves))
    footnote(figure, synthetic_note(names) if note is None else note)
    return figure
