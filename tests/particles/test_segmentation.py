"""Segmentation: what surrounds the two ways of finding particles, with both of them pretended."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import linear_sum_assignment

from chemoscape import blocks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.particles import generator, segmentation, shapes
from chemoscape.particles.maskrcnn.architecture import PIXEL_UM
from chemoscape.particles.masks import Instances, from_crops, intersection_over_union
from chemoscape.particles.scaling import normalised, rescaled
from chemoscape.particles.table import instances_of
from chemoscape.particles.tiles import cut, tiles
from chemoscape.region import Region

FIELD = (28.8, 24.0)  # µm: two tiles by two at the network's pixels


def outlined(wires, pixel_um, scores=None) -> Instances:
    shape = tuple(round(side / pixel_um) for side in FIELD)
    placed = [shapes.outline(wire, shape, pixel_um) for wire in wires]
    assert None not in placed
    return from_crops(shape, placed, np.ones(len(wires)) if scores is None else scores)


@pytest.fixture(scope="module")
def wires():
    rng = np.random.default_rng(4)
    inside = [
        wire
        for wire in generator.sample_wires(rng, FIELD, 70, gathered=0.6)
        if min(wire.y, FIELD[0] - wire.y, wire.x, FIELD[1] - wire.x) > 0.2 and wire.width > 0.12
    ]
    return [*inside, shapes.Wire(14.0, 12.0, 16.0, 0.3, 0.4, bend=0.02)]


def image_of(wires, pixel_um) -> np.ndarray:
    fine = pixel_um / 2
    shape = tuple(2 * round(side / pixel_um) for side in FIELD)
    density = shapes.density_of(wires, shape, fine)
    rng = np.random.default_rng(0)
    return generator.measured_density(rng, density, fine, counts=1000.0, bins=2)


def as_map(values, pixel_um, start=(0.0, 0.0), **attrs) -> xr.DataArray:
    y, x = (
        one + (np.arange(size) + 0.5) * pixel_um
        for one, size in zip(start, values.shape, strict=True)
    )
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}, attrs=attrs)


class PretendedDetector:
    """Knows a tile by its values, and what lies there."""

    threshold = 0.5
    pixel_um = PIXEL_UM
    version = "pretended"

    def __init__(self, image, truth):
        self.truth = truth
        whole = normalised(rescaled(np.asarray(image, np.float32), truth.shape))
        self.windows = {hash(whole[:, r, c].tobytes()): (r, c) for r, c in tiles(truth.shape)}
        self.calls = 0

    def __call__(self, channels):
        assert channels.dtype == np.float32
        self.calls += 1
        key = channels.tobytes()
        assert hash(key) in self.windows, "a tile that is not of this map"
        return cut(self.truth, *self.windows[hash(key)])


def pretend(monkeypatch, *, detector=None, error=None, find_wires=None):
    """Put stand-ins in the place of the two ways."""

    class Opener:
        @staticmethod
        def open(folder=None, threads=None):
            if error is not None:
                raise error
            return detector

    network = types.ModuleType("chemoscape.particles.maskrcnn.inference")
    network.Detector = Opener
    monkeypatch.setitem(sys.modules, network.__name__, network)
    classical = types.ModuleType("chemoscape.particles.classical")
    classical.find_wires = find_wires
    monkeypatch.setitem(sys.modules, classical.__name__, classical)


@pytest.mark.parametrize("pixel_um", [0.04, 0.08])
def test_the_network_s_truth_comes_out(monkeypatch, wires, pixel_um):
    image = image_of(wires, pixel_um)
    detector = PretendedDetector(image, outlined(wires, PIXEL_UM))
    pretend(monkeypatch, detector=detector)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = segmentation.segment(as_map(image, pixel_um, (3.0, -7.0)))
    assert detector.calls == 4
    assert table.attrs["method"] == "maskrcnn"
    assert table.attrs["threshold"] == 0.5
    assert table.attrs["n_vanished"] == table.attrs["n_excluded"] == 0
    wanted, found = outlined(wires, pixel_um), instances_of(table)
    assert len(found) == len(wanted)
    alike = intersection_over_union(wanted, found)
    mine, theirs = linear_sum_assignment(-alike)
    if pixel_um == PIXEL_UM:
        np.testing.assert_array_equal(alike[mine, theirs], 1)
    for one, other in zip(mine, theirs, strict=True):
        around = 2 * (wires[one].length + wires[one].width) / pixel_um
        assert abs(wanted.areas[one] - found.areas[other]) < 0.25 * around + 2
    np.testing.assert_allclose(wanted.areas.sum(), found.areas.sum(), rtol=0.02)
    # both truths are in µm from the edge of the field; the map begins elsewhere
    y = np.array([wires[one].y for one in mine])
    alone = ~table["border"].values[theirs]
    np.testing.assert_allclose(
        table["centroid_y"].values[theirs][alone] - 3.0, y[alone], atol=1.5 * 0.08
    )


def test_finer_maps_than_the_network_s(monkeypatch):
    wires = [shapes.Wire(5.0, 6.0, 4.0, 0.4, 0.3), shapes.Wire(9.0, 6.0, 3.0, 0.3, 1.9)]
    monkeypatch.setattr(sys.modules[__name__], "FIELD", (12.0, 12.0))
    image = image_of(wires, 0.02)
    pretend(monkeypatch, detector=PretendedDetector(image, outlined(wires, PIXEL_UM)))
    table = segmentation.segment(image, "maskrcnn", pixel_um=0.02)
    areas = sorted(wire.area for wire in wires)
    np.testing.assert_allclose(sorted(table["area_raw"].values), areas, rtol=0.02)
    np.testing.assert_allclose(sorted(table["centroid_y"].values), [5.0, 9.0], atol=0.03)


@pytest.mark.parametrize("pixel_um", [0.04, 0.08])
def test_the_classical_way_s_truth_comes_out(monkeypatch, wires, pixel_um):
    truth = outlined(wires, pixel_um)
    seen = []

    def find_wires(image, side, fwhm_um):
        seen.append((image.shape, side, fwhm_um))
        return truth

    pretend(monkeypatch, find_wires=find_wires)
    image = image_of(wires, pixel_um)
    table = segmentation.segment(image, "classical", pixel_um=pixel_um, fwhm_um=0.1)
    assert seen == [(image.shape, pixel_um, 0.1)]
    assert (table.attrs["method"], table.attrs["method_reason"]) == ("classical", "asked for")
    assert sorted(table["pixel_count"].values) == sorted(truth.areas)
    np.testing.assert_allclose(table["area_raw"], table["pixel_count"] * pixel_um**2)


def test_a_very_large_map_is_cut_for_the_classical_way_too(monkeypatch):
    shape = (40, 4200)
    truth = from_crops(
        shape, [(np.ones((5, 300), bool), (10, at)) for at in (900, 1900, 3800)], [1] * 3
    )
    image = np.zeros(shape)
    for window in map(truth.window, range(3)):
        image[window] = 1
    columns = np.arange(4200.0)
    image[0] = columns / 4200  # by which a tile is known

    def find_wires(values, side, fwhm_um):
        first = round(values[0, 0] * 4200)
        assert values.shape[1] <= 2048
        return cut(truth, slice(0, 40), slice(first, first + values.shape[1]))

    pretend(monkeypatch, find_wires=find_wires)
    told = []
    table = segmentation.segment(image, "classical", pixel_um=0.04, progress=told.append)
    assert table["pixel_count"].values.tolist() == [1500] * 3
    np.testing.assert_allclose(told, [1 / 3, 2 / 3, 1])


def test_auto_falls_back_and_says_so_once(monkeypatch, wires):
    truth = outlined(wires, 0.04)
    pretend(
        monkeypatch,
        error=ChemoscapeError("the network needs onnxruntime", remedy="install it"),
        find_wires=lambda *_: truth,
    )
    image = image_of(wires, 0.04)
    with pytest.warns(ChemoscapeWarning) as told:
        table = segmentation.segment(image, pixel_um=0.04)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert "needs onnxruntime" in str(told[0].message)
    assert table.attrs["method"] == "classical"
    assert "needs onnxruntime" in table.attrs["method_reason"]
    with pytest.raises(ChemoscapeError, match="needs onnxruntime; install it"):
        segmentation.segment(image, "maskrcnn", pixel_um=0.04)


def test_a_scale_far_from_the_network_s(monkeypatch):
    image = image_of([], 0.04)[:64, :64]
    detector = PretendedDetector(image, Instances((64, 64)))
    pretend(monkeypatch, detector=detector, find_wires=lambda values, *_: Instances(values.shape))
    with pytest.raises(
        ChemoscapeError, match=r"too far from the 0.04 µm .*; give a map of 0.01 to"
    ):
        segmentation.segment(image, "maskrcnn", pixel_um=0.2)
    with pytest.warns(ChemoscapeWarning, match="by the classical method: pixels of 0.2 µm"):
        table = segmentation.segment(image, pixel_um=0.2)
    assert table.attrs["method"] == "classical"
    detector.windows = {
        hash(normalised(rescaled(image, (192, 192))).tobytes()): (slice(0, 64), slice(0, 64))
    }
    with pytest.warns(ChemoscapeWarning, match="thin wires are missed"):
        assert segmentation.segment(image, pixel_um=0.12).attrs["method"] == "maskrcnn"


def test_scores_below_the_threshold_go(monkeypatch, wires):
    scores = np.linspace(0.05, 1, len(wires))
    truth = outlined(wires, 0.04, scores)
    image = image_of(wires, 0.04)
    detector = PretendedDetector(image, truth)
    pretend(monkeypatch, detector=detector, find_wires=lambda *_: truth)
    by_network = segmentation.segment(image, pixel_um=0.04)
    assert by_network.sizes["particle"] == (scores >= 0.5).sum()
    strict = segmentation.segment(image, pixel_um=0.04, threshold=0.9)
    assert sorted(strict["score"].values) == pytest.approx(list(scores[scores >= 0.9]))
    by_shape = segmentation.segment(image, "classical", pixel_um=0.04)
    assert by_shape.sizes["particle"] == (scores >= segmentation.CLASSICAL_THRESHOLD).sum()
    everything = segmentation.segment(image, "classical", pixel_um=0.04, threshold=0.0)
    assert everything.sizes["particle"] == len(wires)
    np.testing.assert_allclose(everything["value_mean"].max(), image.max(), rtol=1)


def bars():
    """Two bars of 4 × 20 pixels of 0.1 µm, on a map that begins at (10, 20) µm."""
    shape = (40, 60)
    truth = from_crops(shape, [(np.ones((4, 20), bool), at) for at in ((5, 5), (25, 30))], [1, 1])
    image = np.random.default_rng(0).normal(0, 0.02, shape) + truth.layers()
    return truth, as_map(image, 0.1, (10.0, 20.0))


def test_pixels_without_a_value_belong_to_no_particle(monkeypatch):
    truth, image = bars()
    image[:, 10:14] = np.nan
    image[20:30] = np.nan

    def find_wires(values, *_):
        assert np.isfinite(values).all()
        assert abs(values[22].mean()) < 0.05  # the background
        return truth

    pretend(monkeypatch, find_wires=find_wires)
    with pytest.warns(ChemoscapeWarning, match=r"30.0% of the map has no value") as told:
        table = segmentation.segment(image, "classical")
    assert told[0].filename == __file__
    assert table["pixel_count"].values.tolist() == [4 * 16]
    assert table.attrs["missing_share"] == pytest.approx(0.3)
    assert table.attrs["n_vanished"] == 1
    assert table["value_mean"].item() == pytest.approx(1, abs=0.02)


def test_few_missing_pixels_are_no_reason_to_warn(monkeypatch):
    truth, image = bars()
    image[0, 0] = np.nan
    pretend(monkeypatch, find_wires=lambda *_: truth)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = segmentation.segment(image, "classical")
    assert table.sizes["particle"] == 2
    assert table.attrs["missing_share"] == pytest.approx(1 / 2400)


def test_a_particle_that_keeps_no_pixel_is_counted(monkeypatch):
    shape = (64, 64)
    image = np.random.default_rng(0).normal(0, 0.02, shape)
    fine = np.zeros((256, 256), bool)
    fine[40:41, 10:60] = True  # a quarter of a pixel of the map
    thin = from_crops((256, 256), [(fine, (0, 0)), (np.ones((20, 80), bool), (100, 100))], [1, 1])
    detector = PretendedDetector(image, thin)
    pretend(monkeypatch, detector=detector)
    with pytest.warns(ChemoscapeWarning, match="coarse"):
        table = segmentation.segment(image, "maskrcnn", pixel_um=0.16)
    assert table["pixel_count"].values.tolist() == [5 * 20]
    assert table.attrs["n_vanished"] == 1


def test_regions_to_leave_out(monkeypatch):
    truth, image = bars()
    pretend(monkeypatch, find_wires=lambda *_: truth)
    near = Region(x=(20.5, 22.5), y=(10.0, 11.0))
    table = segmentation.segment(image, "classical", exclude=[near])
    assert table.attrs["n_excluded"] == 1
    assert table["centroid_y"].values.tolist() == pytest.approx([12.7])
    np.testing.assert_array_equal(instances_of(table).corners, [[25, 30]])
    around = Region(polygon=((20, 10), (26, 10), (26, 14), (20, 14)))
    none = segmentation.segment(image, "classical", exclude=[near, around])
    assert none.sizes["particle"] == 0
    assert none.attrs["n_excluded"] == 2
    with pytest.raises(ChemoscapeError, match="holds no pixel of the image"):
        segmentation.segment(image, "classical", exclude=[Region(x=(0, 1), y=(0, 1))])


def test_what_a_listener_raises_ends_the_search(monkeypatch, wires):
    image = image_of(wires, 0.04)
    detector = PretendedDetector(image, outlined(wires, 0.04))
    pretend(monkeypatch, detector=detector)
    heard = []
    with blocks.reporting(lambda done, of: heard.append((done, of))):
        segmentation.segment(image, pixel_um=0.04)
    assert heard == [(k, 4) for k in (1, 2, 3, 4)]

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmentation.segment(image, pixel_um=0.04, progress=stop)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float64, bool])
def test_numbers_of_any_kind(monkeypatch, dtype):
    truth, image = bars()
    pretend(monkeypatch, find_wires=lambda *_: truth)
    table = segmentation.segment((image.values > 0.5).astype(dtype), "classical", pixel_um=0.1)
    assert table["value_mean"].values.tolist() == [1, 1]
    np.testing.assert_allclose(table["centroid_x"], [1.5, 4.0])


def test_axes_in_any_order_masked_and_lazy(monkeypatch):
    truth, image = bars()
    pretend(monkeypatch, find_wires=lambda *_: truth)
    wanted = segmentation.segment(image, "classical")
    xr.testing.assert_identical(segmentation.segment(image.T, "classical"), wanted)
    xr.testing.assert_identical(segmentation.segment(image.chunk(20), "classical"), wanted)
    masked = np.ma.masked_less(image.values, -10)
    masked[5, 5] = np.ma.masked
    table = segmentation.segment(masked, "classical", pixel_um=0.1)
    assert table["pixel_count"].values.tolist() == [80, 80]  # one pixel without a value


@pytest.mark.parametrize(("seed", "n_wires"), [(0, 3), (1, 12), (2, 40), (3, 100), (4, 150)])
def test_transmission_is_refused_and_optical_density_is_not(monkeypatch, seed, n_wires):
    one = generator.make_ensemble(np.random.default_rng(seed), (256, 256), n_wires=n_wires)
    pretend(monkeypatch, find_wires=lambda *_: one.instances)
    assert segmentation.segment(one.image, "classical", pixel_um=0.04).sizes["particle"]
    for inverted in (np.exp(-one.image), 900 * np.exp(-one.image), -one.image):
        with pytest.raises(ChemoscapeError, match=r"darker than its background; give its optical"):
            segmentation.segment(inverted, "classical", pixel_um=0.04)


def test_the_quantity_of_a_map_is_believed(monkeypatch):
    truth, image = bars()
    pretend(monkeypatch, find_wires=lambda *_: truth)
    full = image.copy(data=1 - 0.9 * truth.layers() + 0.01 * image)  # a plate with two holes
    with pytest.raises(ChemoscapeError, match="darker"):
        segmentation.segment(full, "classical")
    full.attrs["quantity"] = "optical_density"
    assert segmentation.segment(full, "classical").sizes["particle"] == 2
    image.attrs["quantity"] = "transmission"
    with pytest.raises(ChemoscapeError, match="darker"):
        segmentation.segment(image, "classical")


def test_empty_and_constant_maps_hold_nothing(monkeypatch):
    pretend(monkeypatch, find_wires=lambda values, *_: Instances(values.shape))
    noise = np.random.default_rng(0).normal(size=(20, 20))
    assert segmentation.segment(noise, "classical", pixel_um=0.1).sizes["particle"] == 0
    with pytest.warns(ChemoscapeWarning, match="the same value everywhere"):
        empty = segmentation.segment(np.zeros((20, 20)), "classical", pixel_um=0.1)
    assert empty.sizes["particle"] == 0


def test_particles_cut_by_a_gap_are_marked(monkeypatch):
    truth, image = bars()
    pretend(monkeypatch, find_wires=lambda *_: truth)
    values = image.copy()
    values[31, 35] = np.nan  # a dead pixel cuts nothing
    values[:, :7] = np.nan
    with pytest.warns(ChemoscapeWarning, match="has no value"):
        table = segmentation.segment(values, "classical")
    left = table["centroid_x"].values.argmin()
    assert table["border"].values[left]
    assert table["border"].sum() == 1


def oblong():
    image = bars()[1]
    return image.assign_coords(x=20 + 0.12 * np.arange(60))


SQUARE = np.eye(32)


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((3, 32, 32)), {"pixel_um": 0.1}, "expected a map (y, x), got 3 dims"),
        (bars()[1].expand_dims("energy"), {}, "expected a map (y, x), got ('energy', 'y', 'x')"),
        (np.zeros((15, 40)), {"pixel_um": 0.1}, "the map has 15 × 40 pixels"),
        (np.full((20, 20), np.nan), {"pixel_um": 0.1}, "every pixel of the map is NaN"),
        (np.where(SQUARE, np.inf, 0), {"pixel_um": 0.1}, "32 values of the map are infinite"),
        (SQUARE, {}, "the map has no coordinates that say how large"),
        (xr.DataArray(SQUARE, dims=("y", "x")), {}, "the map has no coordinates that say how"),
        (SQUARE, {"pixel_um": -1}, "the side of a pixel is -1 µm"),
        (SQUARE, {"pixel_um": np.nan}, "the side of a pixel is nan µm"),
        (SQUARE, {"pixel_um": 1e-9}, "the side of a pixel is 1e-09 µm"),
        (SQUARE, {"pixel_um": 0.1, "fwhm_um": 0}, "fwhm_um is 0"),
        (SQUARE, {"pixel_um": 0.1, "fwhm_um": 2.0}, "2 µm is too coarse for a map of 3.2 µm"),
        (SQUARE, {"pixel_um": 0.1, "threshold": np.nan}, "the threshold is nan"),
        (SQUARE, {"pixel_um": 0.1, "threshold": 2}, "the threshold is 2"),
        (SQUARE * 1e300, {"pixel_um": 0.1}, "values of the map reach 1e+300"),
        (
            SQUARE,
            {"pixel_um": 0.1, "method": "classical", "model": "net"},
            "the classical method has no network",
        ),
        (SQUARE, {"pixel_um": 0.1, "method": "best"}, "method is 'best'"),
        (SQUARE * 1j, {"pixel_um": 0.1}, "a map of complex128 cannot be ordered"),
        (SQUARE.astype(str), {"pixel_um": 0.1}, "cannot be ordered by size"),
        (oblong(), {}, "the pixels of the map are not square: 0.1 µm along y, 0.12 µm along x"),
        (bars()[1][::-1], {}, "the y axis of the map is not ascending"),
        (bars()[1], {"pixel_um": 0.2}, "pixel_um is 0.2, the map's own coordinates say 0.1"),
    ],
)
def test_bad_input_gives_one_sentence(image, options, words):
    with pytest.raises(ChemoscapeError) as error:
        segmentation.segment(image, **{"method": "classical", **options})
    text = str(error.value)
    assert words in text
    assert text.endswith(".")
    assert ". " not in text
    assert "; " in text  # what to do about it
