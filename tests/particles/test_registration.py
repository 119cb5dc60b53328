"""Pictures brought onto a map: known transforms, there and back, nonsense refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.particles.registration import register

CORNERS = np.array([[2.0, 1.5], [9.5, 2.0], [3.0, 8.0], [8.0, 7.0]])


def image(values, pixel_um, origin=(0.0, 0.0)):
    y, x = (
        start + (np.arange(n) + 0.5) * pixel_um
        for start, n in zip(origin, values.shape, strict=True)
    )
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x})


def field(y, x):
    """Smooth over 0 to 12 µm, without symmetry."""
    return np.sin(0.9 * x + 0.4) * np.cos(0.7 * y) + 0.05 * x * y


def smooth(shape, pixel_um, origin=(0.0, 0.0)):
    grid = image(np.zeros(shape), pixel_um, origin)
    return grid.copy(data=field(grid["y"].values[:, None], grid["x"].values[None, :]))


def turned(degrees, scale=1.0, mirror=False):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * rotation @ np.diag([-1.0 if mirror else 1.0, 1.0])


def pairs_of(matrix, centre=(6.0, 6.0), points=CORNERS, aside=0.0):
    """Points and where the matrix brings them, turning about a centre."""
    moved = (points - centre) @ matrix.T + centre
    return list(zip(points.tolist(), (moved + aside).tolist(), strict=True))


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_known_transform_is_recovered(n, mirror):
    matrix = turned(31.0, 0.8, mirror) @ np.array([[1.0, 0.2], [0.0, 0.9]])
    blank = image(np.zeros((120, 120)), 0.1)
    found = register(blank, blank, pairs_of(matrix)[:n])
    expected = np.column_stack([matrix, (6.0, 6.0) - matrix @ (6.0, 6.0)])
    np.testing.assert_allclose(np.reshape(found.attrs["matrix"], (2, 3)), expected, atol=1e-9)
    assert found.attrs["mirrored"] == mirror
    assert max(found.attrs["residual_um"]) < 1e-9
    assert ("point_sd_um" in found.attrs) == (n > 3)


def test_turn_and_scale_are_said():
    blank = image(np.zeros((120, 120)), 0.1)
    for mirror in (False, True):
        facts = register(blank, blank, pairs_of(turned(25.0, 0.7, mirror))).attrs
        assert facts["turn_degree"] == pytest.approx(25.0)
        assert facts["scale"] == pytest.approx([0.7, 0.7])


def test_values_come_from_where_the_points_say():
    matrix = turned(40.0, 0.9)
    picture, grid = smooth((240, 240), 0.05), image(np.zeros((100, 100)), 0.12)
    found = register(picture, grid, pairs_of(matrix))
    x, y = np.meshgrid(grid["x"], grid["y"])
    back = (np.stack([x, y], -1) - 6.0) @ np.linalg.inv(matrix).T + 6.0
    inside = ((back > 0) & (back < 12)).all(-1)
    np.testing.assert_array_equal(np.isfinite(found.values), inside)
    assert 0.05 < 1 - inside.mean() < 0.5
    core = ((back > 0.5) & (back < 11.5)).all(-1)
    np.testing.assert_allclose(
        found.values[core], field(back[..., 1], back[..., 0])[core], atol=0.02
    )


@pytest.mark.parametrize("mirror", [False, True])
def test_there_and_back(mirror):
    picture = smooth((200, 200), 0.06)
    matrix = turned(17.0, 1.0, mirror)
    there = register(picture, picture, pairs_of(matrix))
    again = register(there, picture, [(b, a) for a, b in pairs_of(matrix)])
    core = (slice(60, 140), slice(60, 140))
    np.testing.assert_allclose(again.values[core], picture.values[core], atol=0.005)


def test_grids_may_lie_anywhere():
    picture = smooth((100, 140), 0.1)
    grid = image(np.zeros((40, 30)), 0.1, (103.0, 52.0))
    pairs = [((x, y), (x + 50, y + 100)) for x, y in [(3.0, 4.0), (4.5, 4.0), (3.0, 6.0)]]
    found = register(picture.T, grid, pairs)
    assert found.dims == ("y", "x")
    np.testing.assert_allclose(found, picture.values[30:70, 20:50], atol=1e-9)


def test_shrinking_averages():
    """Noise falls as the pixels that one pixel takes in; stripes vanish and do not beat."""
    rng = np.random.default_rng(0)
    pairs = pairs_of(np.eye(2))
    grid = image(np.zeros((40, 40)), 0.3)
    noise = register(image(rng.normal(size=(600, 600)), 0.02), grid, pairs)
    assert float(noise[3:-3, 3:-3].std()) < 0.1
    stripes = np.where(np.arange(600) % 14 < 7, 1.0, 0.0) * np.ones((600, 1))
    plain = register(image(stripes, 0.02), grid, pairs)
    np.testing.assert_allclose(plain[3:-3, 3:-3], 0.5, atol=0.02)
    mean = register(smooth((600, 600), 0.02), grid, pairs)
    np.testing.assert_allclose(mean[3:-3, 3:-3], smooth((40, 40), 0.3)[3:-3, 3:-3], atol=0.03)


def test_gaps_stay_gaps_and_do_not_spread():
    picture = smooth((240, 240), 0.05)
    picture[100:140, 100:140] = np.nan
    found = register(picture, image(np.zeros((60, 60)), 0.2), pairs_of(np.eye(2)))
    gap = np.zeros((60, 60), bool)
    gap[25:35, 25:35] = True
    np.testing.assert_array_equal(np.isnan(found.values), gap)
    expected = smooth((60, 60), 0.2).values
    np.testing.assert_allclose(
        found.values[2:-2, 2:-2][~gap[2:-2, 2:-2]],
        expected[2:-2, 2:-2][~gap[2:-2, 2:-2]],
        atol=0.06,
    )


def test_the_error_of_pointing_is_estimated():
    rng = np.random.default_rng(1)
    blank = image(np.zeros((120, 120)), 0.1)
    points = rng.uniform(2, 10, (40, 2))
    pairs = pairs_of(np.eye(2), points=points, aside=rng.normal(0, 0.1, points.shape))
    found = register(blank, blank, pairs)
    assert found.attrs["point_sd_um"] == pytest.approx(0.1, rel=0.2)
    assert len(found.attrs["residual_um"]) == 40


def test_attributes_can_be_saved(tmp_path):
    found = register(smooth((50, 50), 0.24), smooth((50, 50), 0.24), pairs_of(np.eye(2)))
    found.to_netcdf(tmp_path / "picture.nc", engine="h5netcdf")


def test_nonsense_is_refused():
    blank = image(np.zeros((120, 120)), 0.1)
    good = pairs_of(np.eye(2))
    with pytest.raises(StackError, match=r"^2 pairs of points do not fix an affine"):
        register(blank, blank, good[:2])
    line = [((t, 2 * t), (t, 2 * t)) for t in (1.0, 2.0, 5.0)]
    with pytest.raises(StackError, match="points in the picture lie on one line"):
        register(blank, blank, line)
    with pytest.raises(StackError, match="points in the map lie on one line"):
        register(blank, blank, [(a[0], b[1]) for a, b in zip(good, line, strict=False)])
    with pytest.raises(StackError, match="points in the picture lie on one line"):
        register(blank, blank, good[:1] * 4)
    with pytest.raises(StackError, match=r"by 1 along one direction and by 0\.2 across"):
        register(blank, blank, pairs_of(np.diag([-1.0, 0.2])))
    with pytest.raises(StackError, match=r"pair 1: \(20, 15\) µm lies outside the picture"):
        register(blank, blank, [((10 * a[0], 10 * a[1]), b) for a, b in good])
    with pytest.raises(StackError, match=r"pair 4: .* outside the map"):
        register(blank, blank, [*good[:3], (good[3][0], (np.nan, 1.0))])
    with pytest.raises(StackError, match="are not numbers"):
        register(blank, blank, [("here", "there")] * 3)
    with pytest.raises(StackError, match="the picture is no DataArray with the dimensions"):
        register(blank.values, blank, good)
    with pytest.raises(StackError, match="x axis of the map is not ascending"):
        register(blank, blank[:, ::-1], good)
    with pytest.raises(StackError, match="the picture has no x axis"):
        register(blank.drop_vars("x"), blank, good)
