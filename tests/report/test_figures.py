"""Figures: right data in the right place, readable at column width, honest about what they show."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from chemoscape.report import figures, panels, words

LABELS = ("α-Li0.1V2O5 (synthetic)", "ε-Li0.45V2O5 (synthetic)", "δ-Li0.9V2O5 (synthetic)")
DRAW: dict[str, Callable[[SimpleNamespace], Figure]] = {
    "absorbance": lambda r: figures.transmission_and_optical_density(r.od, mask=r.sample),
    "background": lambda r: figures.background_figure(r.od),
    "drift": lambda r: figures.drift_figure(r.drift),
    "weights": lambda r: figures.weight_maps(r.maps, LABELS),
    "composition": lambda r: figures.composition_figure(r.comp),
    "fit": lambda r: figures.fit_figure(r.spectra),
    "components": lambda r: figures.components_figure(r.pcs),
    "clusters": lambda r: figures.clusters_figure(r.groups, r.table),
    "stress": lambda r: figures.stress_figure(r.fields),
    "truth": lambda r: figures.truth_figure(r.truth, r.comp),
}


def all_text(figure: Figure) -> str:
    """Everything written in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


@pytest.fixture(scope="module")
def drawn(run: SimpleNamespace) -> dict[str, Figure]:
    return {name: draw(run) for name, draw in DRAW.items()}


@pytest.mark.parametrize("name", DRAW)
def test_figure_is_a_png_of_column_width(name: str, drawn: dict[str, Figure]) -> None:
    before = dict(mpl.rcParams)
    png = figures.figure_png(drawn[name], dpi=100)
    assert dict(mpl.rcParams) == before
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert 300 <= image.width <= 720
        assert image.height <= 900  # fits a journal page of 9 inches
        assert np.asarray(image.convert("L")).std() > 5  # not blank


@pytest.mark.parametrize("shape", [(14, 60), (60, 14)], ids=["lying", "standing"])
def test_long_wires_fit_the_page_too(shape: tuple[int, int], make: Callable) -> None:
    run = make(shape)
    for name in ("absorbance", "background", "weights", "composition", "stress"):
        figure = DRAW[name](run)
        figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        assert width <= panels.DOUBLE + 1e-9, name
        assert height <= 9.5, name
        box = figure.get_tightbbox()
        assert box.x0 > -0.1, name  # nothing sticks out of the page
        assert box.x1 < width + 0.1, name


def test_nothing_global_is_touched() -> None:
    code = "import sys, chemoscape.report.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- one map


def test_a_map_lies_where_its_coordinates_say() -> None:
    image = xr.DataArray(
        np.arange(6.0).reshape(2, 3),
        dims=("y", "x"),
        coords={"y": [1.0, 1.5], "x": [4.0, 4.5, 5.0]},
    )
    figure = Figure()
    ax = figure.subplots()
    shown = panels.draw_map(ax, image)
    assert shown.origin == "lower"
    assert shown.get_extent() == pytest.approx((3.75, 5.25, 0.75, 1.75))
    assert shown.get_array()[0, 0] == 0.0
    figure.canvas.draw()
    column, row = ax.transData.transform((5.0, 1.5))
    assert row > ax.transData.transform((4.0, 1.0))[1]
    inverse = shown.get_transform().inverted().transform((column, row))
    assert image.sel(y=1.5, x=5.0) == shown.get_array()[-1, -1]
    assert np.all(np.isfinite(inverse))


@pytest.mark.parametrize("pixel", [0.004, 0.08, 3.0])
def test_the_scale_bar_has_the_length_it_names(pixel: float) -> None:
    axis = np.arange(50) * pixel
    image = xr.DataArray(np.zeros((50, 50)), dims=("y", "x"), coords={"y": axis, "x": axis})
    ax = Figure().subplots()
    panels.draw_map(ax, image)
    (bar,) = ax.lines
    length = np.ptp(bar.get_xdata())
    number, unit = ax.texts[0].get_text().split()
    assert float(number) * {"µm": 1.0, "nm": 1e-3}[unit] == pytest.approx(length)
    assert number.lstrip("0.").rstrip("0") in ("1", "2", "5")
    assert 0.1 < length / (50 * pixel) < 0.36


def test_pixels_without_a_value_are_grey(run: SimpleNamespace) -> None:
    figure = figures.composition_figure(run.comp)
    shown = figure.axes[0].images[0]
    colours = shown.to_rgba(shown.get_array())
    outside = ~run.comp["mask"].values
    np.testing.assert_allclose(colours[outside][:, :3], 0.88, atol=0.01)
    assert not np.allclose(colours[~outside][:, :3], 0.88, atol=0.05)


def test_a_colour_bar_is_pointed_where_values_lie_beyond() -> None:
    axis = np.arange(10.0)
    values = np.zeros((10, 10))
    values[0, 0] = 5.0
    image = xr.DataArray(values, dims=("y", "x"), coords={"y": axis, "x": axis})
    for limits, extend in (((0, 5), "neither"), ((0, 1), "max"), ((1, 5), "min")):
        figure = Figure()
        shown = panels.draw_map(figure.subplots(), image, limits=limits)
        assert shown.colorbar.extend == extend


def test_colours_are_safe() -> None:
    """Sequential maps rise evenly in lightness; categories are Okabe and Ito's own."""
    for name in ("viridis", "cividis", "inferno"):
        rgb = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
        luminance = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
            *(0.2126, 0.7152, 0.0722),
        ]
        assert (np.diff(np.cbrt(luminance)) > 0).all(), name
    okabe_ito = {(0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233)}
    ours = {tuple(round(255 * part) for part in to_rgb(colour)) for colour in panels.CATEGORIES}
    assert okabe_ito <= ours


# --- what each figure says


def test_means_leave_out_what_was_not_seen(run: SimpleNamespace) -> None:
    od = run.od.copy(deep=True)
    od["optical_density"][5, :, :10] = np.nan
    od["optical_density"][:, 0, 0] = np.nan
    od["optical_density"][7] = np.nan
    figure = figures.transmission_and_optical_density(od, mask=run.sample)
    shown = figure.axes[1].images[0].get_array()
    expected = od["optical_density"].mean("energy", skipna=True)
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), expected, rtol=1e-5, atol=1e-6)
    spectrum = figure.axes[3].lines[0].get_ydata()
    inside = od["optical_density"].where(run.sample).mean(("y", "x"), skipna=True)
    np.testing.assert_allclose(spectrum, inside, rtol=1e-4)


def test_weights_share_one_scale_in_micrograms(drawn: dict[str, Figure]) -> None:
    images = [ax.images[0] for ax in drawn["weights"].axes if ax.images][:3]
    assert len({image.get_clim() for image in images}) == 1
    assert 20 < images[0].get_clim()[1] < 40  # 3e-5 g/cm2
    assert "µg" in all_text(drawn["weights"])


@pytest.mark.parametrize("name", ["weights", "fit"])
def test_synthetic_standards_are_said(name: str, drawn: dict[str, Figure]) -> None:
    text = all_text(drawn[name])
    assert text.count("(synthetic)") >= 3
    assert "Synthetic standards" in text


def test_measured_standards_are_not_called_synthetic(run: SimpleNamespace) -> None:
    figure = figures.weight_maps(run.maps, ["reduced", "oxidised", "mixed"])
    assert "ynthetic" not in all_text(figure)


def test_stress_says_reference_and_status_on_one_scale(drawn: dict[str, Figure]) -> None:
    text = all_text(drawn["stress"]).replace("\n", " ")
    assert "Strain-free reference" in text
    assert "ILLUSTRATIVE" in text
    assert "43 GPa" in text
    assert "MPa" in text
    meshes = [ax.collections[0] for ax in drawn["stress"].axes if len(ax.collections) > 1]
    assert len(meshes) == 8
    for column in range(4):
        assert meshes[column].get_clim() == meshes[4 + column].get_clim()
    low, high = meshes[1].get_clim()
    assert low == -high


def test_a_single_stress_field_can_be_drawn(run: SimpleNamespace) -> None:
    figure = figures.stress_figure(SimpleNamespace(dataset=run.fields[0]))
    assert sum(len(ax.collections) > 1 for ax in figure.axes) == 4


def test_the_truth_figure_counts_what_lies_within_one_sd(run: SimpleNamespace) -> None:
    error = run.comp["composition"] - run.truth
    within = np.abs(error / run.comp["composition_sd_total"]).values
    share = 100 * np.mean(within[np.isfinite(within)] <= 1)
    text = all_text(figures.truth_figure(run.truth, run.comp))
    assert f"{share:.0f} % within 1 sd" in text
    assert f"rms {np.sqrt(np.nanmean(error**2)):.3f}" in text


def test_truth_is_taken_onto_the_finer_grid(run: SimpleNamespace) -> None:
    fine = run.comp.interp(y=np.linspace(0.1, 2.2, 90), x=np.linspace(0.1, 2.8, 115))
    fine.attrs = run.comp.attrs
    figure = figures.truth_figure(SimpleNamespace(composition=run.truth), fine)
    assert figure.axes[0].images[0].get_array().shape == (90, 115)


def test_the_fit_is_the_sum_of_its_parts(run: SimpleNamespace) -> None:
    figure = figures.fit_figure(run.spectra)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in figure.axes[0].lines}
    parts = [values for label, values in lines.items() if "synthetic" in label]
    np.testing.assert_allclose(sum(parts) + float(run.spectra.baseline), lines["fit"])
    residual = figure.axes[1].lines[-1].get_ydata()
    np.testing.assert_allclose(residual, run.spectra["mean"] - lines["fit"], atol=1e-12)


def test_ranks_are_named_and_missing_ones_too(run: SimpleNamespace) -> None:
    pcs = run.pcs.assign_attrs(rank_mp=-1, rank_cv=float("nan"))
    text = all_text(figures.components_figure(pcs))
    assert "indicator (IND): 2" in text
    assert "Marchenko–Pastur: not used" in text
    assert "cross-validation: not used" in text
    assert "99.9 % of variance: 1" in text


def test_ambiguous_clusters_are_hollow(run: SimpleNamespace, drawn: dict[str, Figure]) -> None:
    assert "hollow" in all_text(drawn["clusters"])
    clear = run.table.assign(ambiguous=("cluster", [False] * 3))
    assert "hollow" not in all_text(figures.clusters_figure(run.groups, clear))
    assert "0.3520 ± 0.0040" in all_text(drawn["clusters"])


def drift_node(drift: SimpleNamespace, **attrs: object) -> xr.Dataset:
    """A drift in the layout of the results."""
    return xr.Dataset(
        {
            "shift_y": ("energy", drift.shifts[:, 0]),
            "shift_x": ("energy", drift.shifts[:, 1]),
            "quality": ("energy", drift.quality),
            "replaced": ("energy", drift.replaced.astype("i1")),
        },
        coords={"energy": drift.energy},
        attrs={"reference": drift.reference, "applied": 1, **attrs},
    )


def test_drift_is_drawn_from_the_results_too(run: SimpleNamespace) -> None:
    def curves(drift: object) -> list[np.ndarray]:
        return [line.get_ydata() for line in figures.drift_figure(drift).axes[0].lines]

    for one, other in zip(curves(run.drift), curves(drift_node(run.drift)), strict=True):
        np.testing.assert_array_equal(one, other)
    older = drift_node(run.drift).drop_vars("replaced")
    assert "hollow" not in all_text(figures.drift_figure(older))


def test_frames_that_were_not_found_are_hollow(run: SimpleNamespace) -> None:
    figure = figures.drift_figure(run.drift)
    lost = run.drift.energy[run.drift.replaced]
    for ax in (figure.axes[0], figure.axes[-1]):
        hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
        assert hollow
        for line in hollow:
            np.testing.assert_array_equal(line.get_xdata(), lost)
    text = all_text(figure)
    assert f"hollow: {lost.size} of {run.drift.energy.size} frames" in text
    assert f"reference: {run.drift.energy[40]:.1f} eV" in text


def test_drift_says_whether_it_was_applied(run: SimpleNamespace) -> None:
    assert "Shifts applied" in all_text(figures.drift_figure(drift_node(run.drift)))
    assert "not applied" in all_text(figures.drift_figure(drift_node(run.drift, applied=0)))


def test_rotation_and_scaling_are_drawn_with_their_sign(run: SimpleNamespace) -> None:
    """A point to the right of the centre goes up when the turn is counter-clockwise."""
    turn, stretch = np.radians(2.0), 1.01
    matrix = stretch * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved = matrix @ [0.0, 1.0]  # (y, x)
    assert moved[0] > 0
    linear = np.tile(matrix, (run.drift.energy.size, 1, 1))
    node = drift_node(run.drift).assign(linear=(("energy", "row", "column"), linear))
    for drift in (node, SimpleNamespace(**{**vars(run.drift), "linear": linear})):
        figure = figures.drift_figure(drift)
        assert len(figure.axes) == 3
        lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
        np.testing.assert_allclose(lines["rotation (°)"], 2.0)
        np.testing.assert_allclose(lines["scaling (%)"], 1.0)
    assert len(figures.drift_figure(run.drift).axes) == 2


# --- is the normalisation right?


def curve(figure: Figure, label: str) -> np.ndarray:
    """Values of the named line of the background's optical density."""
    named = {line.get_label(): line for ax in figure.axes for line in ax.lines}
    return np.asarray(named[label].get_ydata())


def from_elsewhere(od: xr.Dataset) -> xr.Dataset:
    """The same with an I0 whose error is not known."""
    return od.assign(i0_variance=0 * od["i0_variance"]).assign_attrs(od.attrs, i0_pixels=0)


def test_a_stale_i0_is_seen_at_a_glance(run: SimpleNamespace) -> None:
    od = from_elsewhere(run.od)
    wave = 0.08 + 0.01 * np.sin(od.energy / 5)
    od["optical_density"] = od["optical_density"] + wave
    figure = figures.background_figure(od)
    np.testing.assert_allclose(curve(figure, "mean"), wave, atol=0.004)
    zero = next(ax for ax in figure.axes if "Background" in ax.get_title(loc="left"))
    assert zero.get_ylim()[1] > 0.09
    assert "error not known" in all_text(figure)


def test_a_thousandth_does_not_look_like_an_error(run: SimpleNamespace) -> None:
    od = from_elsewhere(run.od)
    od["optical_density"] = 0 * od["optical_density"] + 0.001
    figure = figures.background_figure(od)
    zero = next(ax for ax in figure.axes if "Background" in ax.get_title(loc="left"))
    assert zero.get_ylim()[1] >= 0.01


def test_an_i0_of_the_background_is_judged_by_its_halves(run: SimpleNamespace) -> None:
    od = run.od.copy()
    tilt = 0.03 * (od.y - float(od.y.mean())) / float(np.ptp(od.y.values))
    od["optical_density"] = (od["optical_density"] + tilt).transpose("energy", "y", "x")
    figure = figures.background_figure(od)
    y = np.broadcast_to(tilt.values[:, None], od["background"].shape)[od["background"].values]
    rows = np.nonzero(od["background"].values)[0]
    expected = y[rows >= np.median(rows)].mean() - y[rows < np.median(rows)].mean()
    assert expected > 0.01
    np.testing.assert_allclose(curve(figure, "upper − lower").mean(), expected, atol=5e-4)
    assert abs(curve(figure, "right − left").mean()) < 1e-3
    assert "halves" in all_text(figure)


@pytest.mark.parametrize("halves", [True, False])
def test_the_band_holds_what_noise_leaves(run: SimpleNamespace, halves: bool) -> None:
    """Of averages of independent pixels, 95 % lie within two standard deviations."""
    from chemoscape.report.normalisation import background_curves

    od = run.od.copy()
    random = np.random.default_rng(4)
    shape = od["optical_density"].shape
    common = float(od.i0_variance[0] / od.i0[0] ** 2)
    od["optical_density"] = (od["optical_density"].dims, random.normal(0, 0.02, shape))
    od["variance"] = (od["variance"].dims, np.full(shape, 4e-4 + common))
    for _, level, sd in background_curves(od, od["background"].values, halves=halves):
        assert 0.88 <= np.mean(np.abs(level) < 2 * sd) <= 1.0
        assert 0.75 < np.std(level) / sd.mean() < 1.25


def test_flags_are_counted_in_the_legend(run: SimpleNamespace) -> None:
    od, flag = run.od.copy(), run.od["flag"].values.copy()
    flag[0, :3] += 4
    od["flag"] = (("y", "x"), flag)
    text = all_text(figures.background_figure(od))
    assert f"OD > 2.2: {100 * np.mean(flag & 2 != 0):.2g} %" in text
    assert f"OD 1.5 to 2.2: {100 * np.mean(flag & 1 != 0):.2g} %" in text
    assert f"energy: {100 * 3 / flag.size:.2g} %" in text
    assert f"fine: {100 * np.mean(flag == 0):.3g} %" in text


def test_what_is_not_known_is_not_drawn(run: SimpleNamespace) -> None:
    """Optical densities from elsewhere: no I0, no variance, no background."""
    bare = run.od[["optical_density"]]
    text = all_text(figures.background_figure(bare))
    assert "no background" in text
    assert "applied before" in text
    assert "OD > 2.2" not in text
    one = run.od.isel(energy=[20])
    empty = run.od.assign(background=xr.zeros_like(run.od["background"]))
    lost = run.od.assign(optical_density=run.od["optical_density"] * np.nan)
    for od in (bare, one, empty, lost, run.od.drop_vars("variance")):
        figures.figure_png(figures.background_figure(od), dpi=50)


# --- what may come


def test_empty_and_constant_maps_are_drawn(run: SimpleNamespace) -> None:
    empty = run.comp.copy()
    for name in ("composition", "composition_sd_total"):
        empty[name] = xr.full_like(run.comp[name], np.nan)
    figures.figure_png(figures.composition_figure(empty), dpi=50)
    figures.figure_png(figures.truth_figure(run.truth, empty), dpi=50)
    flat = run.maps.map(xr.zeros_like, keep_attrs=True)
    figures.figure_png(figures.weight_maps(flat, LABELS), dpi=50)


def test_one_of_everything_is_drawn(run: SimpleNamespace) -> None:
    one = run.maps.isel(standard=[0]).drop_vars("baseline")
    figures.figure_png(figures.weight_maps(one, LABELS[:1]), dpi=50)
    groups, table = run.groups.isel(cluster=[0]), run.table.isel(cluster=[0])
    figures.figure_png(figures.clusters_figure(groups, table), dpi=50)
    figures.figure_png(figures.components_figure(run.pcs.isel(pc=[0])), dpi=50)
    row = run.comp.isel(y=[24])
    figures.figure_png(figures.composition_figure(row), dpi=50)


def test_many_clusters_and_no_match(run: SimpleNamespace) -> None:
    label = run.groups["label"].copy(data=np.arange(48 * 60).reshape(48, 60) % 12)
    many = xr.Dataset(
        {
            "label": label,
            "spectrum": (("cluster", "energy"), np.tile(run.spectra["mean"], (12, 1))),
        },
        coords={"energy": run.spectra["energy"]},
    )
    figures.figure_png(figures.clusters_figure(many), dpi=50)


def test_dollars_in_names_are_not_mathematics() -> None:
    figure = Figure()
    figure.subplots().set_title(words.pretty("standard $5_^ {x}$"))
    figures.figure_png(figure, dpi=30)


def test_saving(run: SimpleNamespace, tmp_path, drawn: dict[str, Figure]) -> None:
    figures.save_figure(drawn["drift"], tmp_path / "drift.png", dpi=60)
    figures.save_figure(drawn["drift"], tmp_path / "drift.pdf")
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "drift.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("plain", "drawn_as"),
    [
        ("V2O5", "V$_{2}$O$_{5}$"),
        ("delta-Li0.9V2O5", "δ-Li$_{0.9}$V$_{2}$O$_{5}$"),
        ("cluster 0", "cluster 0"),
        ("sample3 at 517 eV", "sample3 at 517 eV"),
        ("L3_main", "L3_main"),
        ("LiFe(II)PO4", "LiFe(II)PO$_{4}$"),
        ("NaCl", "NaCl"),
        ("reduced.t", "reduced.t"),
    ],
)
def test_only_formulae_get_subscripts(plain: str, drawn_as: str) -> None:
    assert words.pretty(plain) == drawn_as
