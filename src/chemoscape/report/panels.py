"""What every figure shares: the style, the colours, labels, and one map with its scale bar.

Figures are `matplotlib.figure.Figure` objects made without pyplot, so that nothing global changes
and any thread may draw. Sizes are those of a journal's columns.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import ScaledTranslation

from chemoscape.report.words import wrapped
from chemoscape.stack import pixel_size

#: Column widths in inches.
SINGLE, DOUBLE = 3.5, 7.2
#: Okabe and Ito's colours, told apart by all common kinds of colour vision.
CATEGORIES = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7"),
    *("#56B4E9", "#D55E00", "#F0E442", "#000000"),
)
OUTSIDE = "0.88"  # grey of pixels without a value
INK = "0.15"
SEQUENTIAL, ERROR, DIVERGING = "viridis", "cividis", "RdBu_r"
PHOTON_ENERGY = "photon energy (eV)"


STYLE: Any = {  # matplotlib's type names every one of its settings
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "font.size": 7.0,
    "axes.titlesize": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "mathtext.default": "regular",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.05,
    "figure.constrained_layout.h_pad": 0.05,
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the house style and leave matplotlib's settings as they were."""

    @wraps(draw)
    def inside_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside_style


def figure_png(figure: Figure, *, dpi: int = 220) -> bytes:
    """The figure as PNG, drawn by Agg."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):  # ticks are made while drawing
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 300) -> None:
    """Save a figure as PNG, or as PDF where the name ends so.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure of this room.
    path : path
        The file to write.
    dpi : int
        Dots per inch; of the rasterised parts in a PDF.
    """
    file = Path(path)
    if file.suffix.lower() == ".pdf":
        with mpl.rc_context({**STYLE, "pdf.fonttype": 42}):
            figure.savefig(file, format="pdf", dpi=dpi)
    else:
        file.write_bytes(figure_png(figure, dpi=dpi))


def round_length(longest: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above `longest`.

    Examples
    --------
    >>> round_length(0.9), round_length(1.0), round_length(34.0)
    (0.5, 1.0, 20.0)
    """
    power = 10.0 ** np.floor(np.log10(longest) + 1e-9)
    return float(power * max(step for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9)))


def robust_limits(*images: Any, share: float = 0.5, symmetric: bool = False) -> tuple[float, float]:
    """Colour limits that leave out `share` per cent at either end; about zero when `symmetric`.

    Examples
    --------
    >>> robust_limits(np.array([np.nan, -1.0, 2.0]), share=0, symmetric=True)
    (-2.0, 2.0)
    """
    values = np.concatenate([np.asarray(image, float).ravel() for image in images])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, [share, 100 - share]))
    if symmetric:
        high = max(abs(low), abs(high))
        low = -high
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return low, high


# --- one map ------------------------------------------------------------------------------------


def aspect_of(image: xr.DataArray | xr.Dataset) -> float:
    """Height of the image over its width."""
    dy, dx = pixel_size(image)
    return float(image.sizes["y"] * dy / (image.sizes["x"] * dx))


def extent_of(image: xr.DataArray | xr.Dataset) -> tuple[float, float, float, float]:
    """Outer edges of the pixels, µm: left, right, bottom, top."""
    dy, dx = pixel_size(image)
    x, y = image["x"].values, image["y"].values
    return x[0] - dx / 2, x[-1] + dx / 2, y[0] - dy / 2, y[-1] + dy / 2


def draw_map(
    ax: Axes,
    image: xr.DataArray,
    *,
    title: str = "",
    label: str = "",
    cmap: str | Colormap = "viridis",
    limits: tuple[float, float] | None = None,
    colourbar: bool = True,
) -> AxesImage:
    """Draw a map (y, x) with the origin below, a scale bar beneath and, if wanted, a colour bar.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    image : DataArray (y, x)
        Coordinates in µm; NaN is drawn light grey.
    title, label : str
        Above the map; beside the colour bar.
    cmap : str or Colormap
        One that is even in lightness and safe for colour-blind readers.
    limits : pair of float, optional
        Ends of the colour scale; default `robust_limits`. A bar whose ends leave values out is
        pointed.
    colourbar : bool
        False where several maps share one.
    """
    values = image.transpose("y", "x").values.astype(float)
    low, high = robust_limits(values) if limits is None else limits
    shown = ax.imshow(
        values,
        origin="lower",
        extent=extent_of(image),
        cmap=mpl.colormaps[cmap].with_extremes(bad=OUTSIDE) if isinstance(cmap, str) else cmap,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    dress_map(ax, extent_of(image), title)
    ax.spines[:].set(visible=True, linewidth=0.4, color="0.6")  # a white map has an edge too
    if colourbar:
        colour_bar(ax, shown, label, values, aspect_of(image))
    return shown


def dress_map(ax: Axes, extent: tuple[float, float, float, float], title: str = "") -> None:
    """No ticks, no frame, true proportions, a scale bar, a title."""
    ax.set(xticks=[], yticks=[], title=title, aspect="equal", anchor="NW")
    ax.spines[:].set_visible(False)
    ax.set(xlim=extent[:2], ylim=extent[2:])
    scale_bar(ax, extent)


def scale_bar(ax: Axes, extent: tuple[float, float, float, float]) -> None:
    """A bar of round length beneath the map, at its left end, where it hides nothing."""
    left, right = extent[:2]
    length = round_length(0.34 * (right - left))
    below = ax.get_xaxis_transform() + ScaledTranslation(0, -4.5 / 72, ax.figure.dpi_scale_trans)
    ax.plot(
        *([left, left + length], [0, 0]),
        transform=below,
        color=INK,
        linewidth=1.8,
        solid_capstyle="butt",
        clip_on=False,
    )
    words = f"{length:g} µm" if length >= 1 else f"{1000 * length:g} nm"
    ax.annotate(
        words,
        (left + length, 0),
        xycoords=below,
        xytext=(3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=6.5,
        annotation_clip=False,
    )


def outline(ax: Axes, region: xr.DataArray, colour: str, style: str = "solid") -> None:
    """Draw the outline of a boolean map (y, x), closed where it meets the edge of the image."""
    padded = np.pad(region.transpose("y", "x").values.astype(float), 1)
    dy, dx = pixel_size(region)
    x = np.r_[region.x[0] - dx, region.x, region.x[-1] + dx]
    y = np.r_[region.y[0] - dy, region.y, region.y[-1] + dy]
    limits = ax.get_xlim(), ax.get_ylim()
    if region.values.any():
        drawn = ax.contour(x, y, padded, levels=[0.5], colors=[colour])
        drawn.set(linewidth=0.9, linestyle=style, clip_on=False)
    ax.set(xlim=limits[0], ylim=limits[1])


def colour_bar(
    ax: Axes, shown: Any, label: str, values: np.ndarray | None = None, aspect: float = 1.0
) -> None:
    """A colour bar as high as the map, to its right, its ends pointed where values lie beyond."""
    low, high = shown.get_clim()
    finite = np.asarray([] if values is None else values, float)
    finite = finite[np.isfinite(finite)]
    slack = 1e-9 * (high - low)
    beyond = (bool((finite < low - slack).any()), bool((finite > high + slack).any()))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        beyond, "neither"
    )
    cax = ax.inset_axes((1.03, 0.0, 0.045 * max(aspect, np.sqrt(aspect)), 1.0))
    bar = ax.figure.colorbar(shown, cax=cax, extend=extend, extendfrac=0.04)
    bar.outline.set_visible(False)
    bar.set_label(label)
    bar.ax.tick_params(size=2, width=0.5)
    bar.locator = mpl.ticker.MaxNLocator(nbins=5 if aspect > 0.5 else 3)
    bar.formatter = mpl.ticker.ScalarFormatter(useMathText=True)
    bar.formatter.set_powerlimits((-3, 4))
    bar.update_ticks()


def grid_for(n: int, aspect: float, *, width: float = DOUBLE) -> tuple[int, int, float, float]:
    """Columns, rows and size (inches) of a grid of `n` maps, none smaller than can be read.

    Examples
    --------
    >>> columns, rows, width, height = grid_for(6, 1.0)
    >>> columns, rows
    (3, 2)
    """
    margin_x, margin_y = 0.66, 0.48  # colour bar; title and scale bar
    smallest = 0.9 / np.sqrt(aspect)
    columns = int(np.clip(width // (smallest + margin_x), 1, n))
    rows = -(-n // columns)
    columns = -(-n // rows)  # no lonely last panel where the rows can be even
    image = min(width / columns - margin_x, 2.9, 2.9 / aspect)
    return columns, rows, columns * (image + margin_x), rows * (image * aspect + margin_y)


def letters(axes: Iterable[Axes]) -> None:
    """Put a bold a, b, c … before the titles."""
    for letter, ax in zip("abcdefghijklmnopqrstuvwxyz", axes, strict=False):
        ax.set_title(rf"$\mathbf{{{letter}}}$  {ax.get_title(loc='left')}", loc="left")


def footnote(figure: Figure, text: str) -> None:
    """A line in small type at the foot of the figure; nothing where `text` is empty."""
    if text:
        lines = wrapped(text, int(figure.get_figwidth() / 0.048))  # characters at this size
        figure.supxlabel(lines, fontsize=6, x=0.005, ha="left", color="0.35", style="italic")


def category_map(n: int) -> Colormap:
    """Colours of `n` categories; NaN is drawn as outside."""
    return ListedColormap([CATEGORIES[k % len(CATEGORIES)] for k in range(n)]).with_extremes(
        bad=OUTSIDE
    )
