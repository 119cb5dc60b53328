"""Figures of ensembles: the right numbers in them, also where there are few particles."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from chemoscape.particles.contacts import contacts, neighbours_alike
from chemoscape.particles.masks import from_dense
from chemoscape.particles.phases import with_composition
from chemoscape.particles.statistics import ensemble_statistics
from chemoscape.particles.table import particle_table, take
from chemoscape.report import ensembles, panels
from chemoscape.report.touching import contacts_figure

NAMES = ("epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5", "delta-Li0.9V2O5")
SHAPE, PIXEL = (200, 260), 0.05


@pytest.fixture(scope="module")
def sample():
    """Rods of three compositions in rows, the first two of each row in contact."""
    rng = np.random.default_rng(0)
    masks, phase = [], []
    for row in range(6):
        for column in range(8):
            mask = np.zeros(SHAPE, bool)
            kind = (row + column) % 3
            high = int((24, 20, 9)[kind] + rng.integers(-3, 4))
            left = 10 + 30 * column - (25 if column == 1 else 0)
            wide = 4 + column % 2
            if column in (4, 6):  # lying
                high, wide = wide, high
            mask[5 + 32 * row : 5 + 32 * row + high, left : left + wide] = True
            masks.append(mask)
            phase.append(kind)
    axes = {name: PIXEL * (np.arange(n) + 0.5) for name, n in zip("yx", SHAPE, strict=True)}
    weight = np.zeros((3, *SHAPE))
    for mask, kind in zip(masks, phase, strict=True):
        weight[kind][mask] = 1.0
    x = np.tensordot([0.3, 0.45, 0.9], weight, axes=1) + 0.03 * rng.normal(size=SHAPE)
    layers = {
        "composition": x,
        "composition_sd_counting": np.full(SHAPE, 0.03),
        "composition_sd_systematic": np.full(SHAPE, 0.01),
        "thickness": 100 * weight.sum(axis=0) + 1,
    }
    comp = xr.Dataset(
        {name: (("y", "x"), one) for name, one in layers.items()},
        axes,
        {"variable": "x in LixV2O5", "refine": 1},
    )
    maps = xr.DataArray(
        weight, dims=("standard", "y", "x"), coords={"standard": list(NAMES), **axes}
    )
    image = xr.DataArray(weight.sum(axis=0), dims=("y", "x"), coords=axes)
    table = particle_table(from_dense(np.stack(masks)), image, PIXEL)
    return with_composition(table, comp, maps), image


@pytest.fixture(scope="module")
def drawn(sample):
    table, image = sample
    found = ensemble_statistics(table, n_boot=300)
    few = ensemble_statistics(take(table, np.arange(5)), n_boot=300)
    none = ensemble_statistics(take(table, []), n_boot=300)
    touching = contacts(table)
    test = neighbours_alike(table, touching)
    lone = contacts(take(table, [0]))
    return {
        "sizes": ensembles.sizes_figure(found, note="Made up."),
        "composition": ensembles.composition_figure(found, note="Made up."),
        "direction": ensembles.direction_figure(found, note="Made up."),
        "contacts": contacts_figure(table, touching, image, test=test, note="Made up."),
        "sizes of few": ensembles.sizes_figure(few),
        "composition of few": ensembles.composition_figure(few),
        "direction of few": ensembles.direction_figure(few),
        "no contacts": contacts_figure(take(table, [0]), lone, image),
        "sizes of none": ensembles.sizes_figure(none),
        "composition of none": ensembles.composition_figure(none),
        "direction of none": ensembles.direction_figure(none),
    }


def words_in(figure):
    texts = "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))
    return texts.replace("\n", " ")


CASES = [
    *(
        f"{kind}{of}"
        for kind in ("sizes", "composition", "direction")
        for of in ("", " of few", " of none")
    ),
    "contacts",
    "no contacts",
]


@pytest.mark.parametrize("name", CASES)
def test_figures_are_drawn_at_column_width(name, drawn):
    before = dict(mpl.rcParams)
    png = panels.figure_png(drawn[name], dpi=100)
    assert dict(mpl.rcParams) == before
    width, height = Image.open(io.BytesIO(png)).size
    assert width in (int(100 * panels.SINGLE), int(100 * panels.DOUBLE))
    assert 100 < height < 800


@pytest.mark.parametrize("name", CASES)
def test_nothing_written_is_cut_off(name, drawn):
    figure = drawn[name]
    panels.figure_png(figure, dpi=100)
    frame = figure.bbox
    shown = [t for t in figure.findobj(mpl.text.Text) if t.get_text() and t.get_visible()]
    for ax in figure.axes:
        for text in (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label):
            if text.get_text():
                assert text in shown
                box = text.get_window_extent()
                assert box.x0 >= frame.x0 - 1
                assert box.x1 <= frame.x1 + 1


def test_what_the_figures_say(drawn):
    for name in ("sizes", "composition", "direction", "contacts"):
        assert "Made up." in words_in(drawn[name])
    assert "mode" in words_in(drawn["sizes"])
    assert "told apart" in words_in(drawn["sizes"])
    assert "µm²" in words_in(drawn["composition"])
    assert "Spearman" in words_in(drawn["composition"])
    assert "(°)" in words_in(drawn["direction"])
    assert "6 contacts within 50 nm" in words_in(drawn["contacts"])
    assert "no test" in words_in(drawn["contacts"])
    assert "too few for a mode" in words_in(drawn["sizes of few"])
    assert "Too few particles" in words_in(drawn["composition of few"])
    assert "not compared" in words_in(drawn["direction of few"])


def test_every_particle_is_a_point(drawn, sample):
    table, _ = sample
    (ax,) = drawn["composition"].axes
    points = np.concatenate([bars[0].get_xydata() for bars in ax.containers])
    kept = ~table["border"].values & (table["aspect"].values >= 2)
    expected = np.c_[table["composition_mean"], table["area_raw"]][kept]
    np.testing.assert_allclose(points[np.lexsort(points.T)], expected[np.lexsort(expected.T)])
