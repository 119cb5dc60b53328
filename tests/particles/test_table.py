"""The particle table: lengths, widths and masks against shapes whose values are known."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import xarray as xr
from skimage.measure import label, regionprops

from chemoscape.errors import ChemoscapeError, StackError
from chemoscape.particles import generator, table
from chemoscape.particles.masks import Instances, from_crops, from_dense


def bar(length, width, angle, centre, shape):
    """Pixels whose centres lie in a bar (pixels, degrees, y and x of the centre)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    dy, dx = y - centre[0], x - centre[1]
    return (abs(dx * cosine + dy * sine) <= length / 2) & (
        abs(dy * cosine - dx * sine) <= width / 2
    )


def measured(mask, pixel_um=1.0, **options):
    return table.particle_table(from_dense(mask[None]), np.ones(mask.shape), pixel_um, **options)


@pytest.mark.parametrize(("high", "wide"), [(3, 20), (5, 5), (1, 30), (40, 7)])
def test_rectangles_along_the_axes_are_exact(high, wide):
    mask = np.zeros((60, 60), bool)
    mask[4 : 4 + high, 10 : 10 + wide] = True
    one = measured(mask, 0.04, origin=(1.0, 2.0)).isel(particle=0)
    assert one["length"].item() == pytest.approx(0.04 * max(high, wide))
    assert one["width"].item() == pytest.approx(0.04 * min(high, wide))
    assert one["aspect"].item() == pytest.approx(max(high, wide) / min(high, wide))
    assert one["area_raw"].item() == pytest.approx(0.04**2 * high * wide)
    assert one["centroid_y"].item() == pytest.approx(1.0 + 0.04 * (4 + (high - 1) / 2))
    assert one["centroid_x"].item() == pytest.approx(2.0 + 0.04 * (10 + (wide - 1) / 2))
    if high != wide:
        assert one["orientation"].item() == pytest.approx(90.0 if high > wide else 0.0)


@pytest.mark.parametrize("angle", [0, 7, 22.5, 45, 60, 89, 90, 113, 135, 170, 179])
@pytest.mark.parametrize(("length", "width"), [(60, 5), (60, 10), (120, 8)])
def test_bars_of_any_angle(angle, length, width):
    rng = np.random.default_rng(int(100 * angle) + length)
    seen = []
    for _ in range(20):  # wherever the bar lies on the grid
        centre = 75 + rng.uniform(-0.5, 0.5, 2)
        one = measured(bar(length, width, angle, centre, (150, 150))).isel(particle=0)
        seen.append([one[name].item() for name in ("length", "width", "orientation", "solidity")])
    seen = np.array(seen)
    assert abs(seen[:, 0] / length - 1).max() < 0.02
    assert abs(seen[:, 1].mean() / width - 1) < 0.02
    turned = (seen[:, 2] - angle + 90) % 180 - 90
    assert abs(turned).max() < 1.0
    assert (seen[:, 2] >= 0).all()
    assert (seen[:, 2] < 180).all()
    np.testing.assert_allclose(seen[:, 3], 1)  # stairs are no hollows


def test_a_disc_is_as_long_as_wide():
    y, x = np.mgrid[:81, :81] - 40.0
    one = measured(np.hypot(y, x) <= 30.2).isel(particle=0)
    assert one["aspect"].item() == pytest.approx(1.0)
    assert one["solidity"].item() > 0.97
    assert one["length"].item() == pytest.approx(np.sqrt(np.pi) * 30.2, rel=0.01)


def test_orientation_runs_from_x_towards_y():
    rising = bar(40, 5, 30, (50, 50), (100, 100))  # larger x with larger y
    assert rising[58, 64]
    assert measured(rising)["orientation"].item() == pytest.approx(30, abs=0.5)


def test_solidity_of_a_cross_and_of_lines():
    cross = np.zeros((40, 40), bool)
    cross[18:21, 2:37] = cross[2:37, 18:21] = True
    # |x|, |y| <= 17 and |x| + |y| <= 18: a square less four triangles of 1 + … + 16 pixels
    assert measured(cross)["solidity"].item() == pytest.approx(201 / (35**2 - 4 * 136))
    for line in (np.eye(30, dtype=bool), np.ones((1, 30), bool), np.ones((1, 1), bool)):
        assert measured(line)["solidity"].item() == pytest.approx(1)


def test_moments_agree_with_regionprops():
    rng = np.random.default_rng(5)
    found = generator.make_ensemble(rng, (200, 200), n_wires=25).instances
    measured_all = table.particle_table(found, np.zeros(found.shape), 1.0, origin=(0.0, 0.0))
    for k, mask in enumerate(table.instances_of(measured_all).dense()):
        props = regionprops(mask.astype(int))[0]
        one = measured_all.isel(particle=k)
        assert one["centroid_y"].item() == pytest.approx(props.centroid[0])
        assert one["centroid_x"].item() == pytest.approx(props.centroid[1])
        spread, axes = np.linalg.eigh(np.cov(np.nonzero(mask), bias=True) + np.eye(2) / 12)
        longest = max(np.sqrt(12 * spread[1]), np.sqrt(props.area))
        assert one["length"].item() == pytest.approx(longest)
        turned = one["orientation"].item() - np.degrees(np.arctan2(*axes[:, 1]))
        if one["aspect"] > 1.2:
            assert (turned + 90) % 180 - 90 == pytest.approx(0, abs=1e-6)
        if label(mask).max() == 1:
            # regionprops takes the hull of the pixels' sides, which is wider than thin wires
            assert props.solidity - 0.01 <= one["solidity"].item() <= props.solidity + 0.2


def test_border_overlap_and_mean():
    masks = np.zeros((4, 20, 30), bool)
    masks[0, 0:4, 5:15] = True
    masks[1, 5:10, 5:15] = True
    masks[2, 8:12, 5:10] = True
    masks[3, 15:17, 28:30] = True
    image = np.arange(600.0).reshape(20, 30)
    image[5, 5:15] = np.nan
    image[15:17, 28:30] = np.nan
    found = table.particle_table(from_dense(masks, [0.4, 0.5, 0.6, 0.7]), image, 0.1)
    assert found["pixel_count"].values.tolist() == [50, 40, 20, 4]
    assert found["border"].values.tolist() == [False, True, False, True]
    np.testing.assert_allclose(found["overlap"], [0.2, 0, 0.5, 0])
    np.testing.assert_allclose(found["score"], [0.5, 0.4, 0.6, 0.7])
    np.testing.assert_allclose(found["value_mean"][0], image[6:10, 5:15].mean())
    assert np.isnan(found["value_mean"][3])
    np.testing.assert_allclose(found["centroid_x"][0], 1.0)  # from the edge of the first pixel


@pytest.fixture(scope="module")
def ensemble():
    return generator.make_ensemble(np.random.default_rng(1), (256, 256))


def test_masks_come_back(ensemble):
    made = table.particle_table(ensemble.instances, ensemble.image, ensemble.pixel_um)
    back = table.instances_of(made)
    order = np.argsort(-ensemble.instances.areas, kind="stable")
    assert back.shape == ensemble.instances.shape
    np.testing.assert_array_equal(back.areas, ensemble.instances.areas[order])
    np.testing.assert_array_equal(back.layers(), ensemble.instances.layers())
    again = table.particle_table(back, ensemble.image, ensemble.pixel_um)
    xr.testing.assert_identical(made, again)
    assert made["pixel_y"].dtype == made["pixel_x"].dtype == np.int32
    assert made["pixel_count"].attrs["sample_dimension"] == "pixel"


def test_every_variable_has_units_and_a_name(ensemble):
    made = table.particle_table(ensemble.instances, ensemble.image, ensemble.pixel_um)
    for one in made.data_vars.values():
        assert one.attrs["units"]
        assert one.attrs["long_name"]
    for value in made.attrs.values():
        assert isinstance(value, str | int | float | list)


def test_take_keeps_the_pixels_of_those_it_keeps(ensemble):
    made = table.particle_table(ensemble.instances, ensemble.image, ensemble.pixel_um)
    inside = table.take(made, ~made["border"].values)
    assert not inside["border"].any()
    wanted = table.instances_of(made).take(~made["border"].values)
    np.testing.assert_array_equal(table.instances_of(inside).dense(), wanted.dense())
    assert len(table.instances_of(table.take(made, []))) == 0
    with pytest.raises(StackError, match=r"keep some particles with .*take"):
        table.instances_of(made.isel(particle=[0]))


def test_no_particle_gives_an_empty_table(tmp_path):
    for nothing in (Instances((20, 20)), from_dense(np.zeros((2, 20, 20), bool))):
        made = table.particle_table(nothing, np.zeros((20, 20)), 0.1)
        assert made.sizes == {"particle": 0, "pixel": 0}
        assert set(table.VARIABLES) < set(made.data_vars)
        assert len(table.instances_of(made)) == 0
    table.write_csv(made, tmp_path / "none.csv")
    assert len((tmp_path / "none.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_a_map_of_another_shape_is_refused():
    with pytest.raises(StackError, match=r"\(20, 20\), the map has \(20, 21\); give the map"):
        table.particle_table(Instances((20, 20)), np.zeros((20, 21)), 0.1)


def test_the_table_can_be_saved_and_read(ensemble, tmp_path):
    made = table.particle_table(ensemble.instances, ensemble.image, ensemble.pixel_um)
    made.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "table.nc", engine="h5netcdf") as read:
        np.testing.assert_array_equal(
            table.instances_of(read).layers(), ensemble.instances.layers()
        )


def test_csv_has_one_row_per_particle_and_units(ensemble, tmp_path):
    made = table.particle_table(ensemble.instances, ensemble.image, ensemble.pixel_um)
    made["value_mean"][1] = np.nan
    path = tmp_path / "particles.csv"
    table.write_csv(made, path)
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == made.sizes["particle"]
    assert {"area_raw (µm²)", "orientation (degree)", "aspect", "score"} < set(header)
    areas = [float(row[header.index("area_raw (µm²)")]) for row in rows]
    np.testing.assert_allclose(areas, made["area_raw"], rtol=1e-5)
    assert rows[1][header.index("value_mean")] == ""
    assert [path] == list(tmp_path.iterdir())
    with pytest.raises(ChemoscapeError, match="exists already"):
        table.write_csv(made, path)
    table.write_csv(made, path, overwrite=True)


def test_two_thousand_particles_at_once():
    rng = np.random.default_rng(2)
    crops = [bar(60, 6, angle, (35, 35), (70, 70)) for angle in rng.uniform(0, 180, 2000)]
    corners = rng.integers(0, 1930, (2000, 2))
    found = from_crops(
        (2000, 2000), zip(crops, map(tuple, corners), strict=True), rng.uniform(0, 1, 2000)
    )
    made = table.particle_table(found, np.ones((2000, 2000)), 0.04)
    assert made.sizes["particle"] == 2000
    np.testing.assert_allclose(made["length"], 60 * 0.04, rtol=0.03)
