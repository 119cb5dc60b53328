"""Stacks and regions: one layout, whatever the file had; refusals that say what to do."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from chemoscape import blocks, errors
from chemoscape import stack as stacks
from chemoscape.errors import RegionError, StackError
from chemoscape.region import Region
from chemoscape.stack import build, check


def small(quantity="counts", scale=1000.0):
    return stacks.build(
        scale * np.arange(1, 25).reshape(2, 3, 4),
        [511.0, 510.0],
        [0.2, 0.1, 0.0],
        [0.0, 0.1, 0.2, 0.3],
        quantity=quantity,
        per_energy={"ring_current": [300.0, 301.0]},
        attrs={"source": "made here"},
    )


def test_axes_ascend_and_data_follow():
    stack = small()
    assert stack.dims == ("energy", "y", "x")
    assert stack.dtype == np.float32
    assert (np.diff(stack.energy) > 0).all()
    assert (np.diff(stack.y) > 0).all()
    # Frame 0 was at 511 eV, its first row at y = 0.2.
    assert float(stack.sel(energy=511.0, y=0.2, x=0.3)) == 4000.0
    assert stack.ring_current.values.tolist() == [301.0, 300.0]


@pytest.mark.parametrize(
    ("energy", "y", "message"),
    [
        ([510.0, 510.0], [0.0, 0.1, 0.2], "same energy, 510.000 eV"),
        ([510.0, np.nan], [0.0, 0.1, 0.2], "energy axis holds a value that is not finite"),
        ([510.0, 511.0], [0.0, 0.2, 0.1], "y axis neither rises nor falls"),
        ([510.0, 511.0, 512.0], [0.0, 0.1, 0.2], "the data have shape"),
    ],
)
def test_impossible_axes_are_refused(energy, y, message):
    with pytest.raises(StackError, match=message):
        stacks.build(np.ones((2, 3, 4)), energy, y, np.arange(4.0), quantity="counts")


def test_an_optical_density_called_counts_is_refused():
    with pytest.raises(StackError, match=r"largest value is 0\.024, as in an optical density"):
        stacks.check(small(scale=0.001))
    stacks.check(small("optical_density", scale=0.001))


def test_the_door_names_what_it_needs():
    with pytest.raises(StackError, match="needs optical_density, the stack holds counts"):
        stacks.check(small(), "optical_density")
    with pytest.raises(StackError, match="expected a stack with dims"):
        stacks.check(np.ones(3))


def test_rectangles_include_their_bounds():
    mask = Region(x=(0.1, 0.2), y=(0.0, 0.1)).mask(small())
    assert mask.values.tolist() == [
        [False, True, True, False],
        [False, True, True, False],
        [False, False, False, False],
    ]


def test_polygon():
    mask = Region(polygon=((-1, -1), (0.15, -1), (0.15, 1), (-1, 1))).mask(small())
    assert mask.values[:, :2].all()
    assert not mask.values[:, 2:].any()


def test_a_region_outside_the_image_says_where_the_image_is():
    with pytest.raises(RegionError, match=r"holds no pixel of the image, which spans x 0 to 0\.3"):
        Region(x=(5, 6), y=(5, 6)).mask(small())


@pytest.mark.parametrize(
    "table",
    [{"x": [0, 1]}, {"x": [0, 1, 2], "y": [0, 1]}, {"polygon": [[0, 0], [1, 1]]}, {"z": [0, 1]}],
)
def test_half_a_region_is_refused(table):
    with pytest.raises(RegionError):
        Region.from_mapping(table)


def test_pixel_size():
    assert stacks.pixel_size(small()) == pytest.approx((0.1, 0.1))
    assert stacks.pixel_size(small().isel(y=[0])) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    "kind",
    [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ChemoscapeError)
    ],
)
def test_errors_survive_pickling(kind):
    error = kind("what", "where", "do this")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "where: what; do this."


@pytest.mark.parametrize("quantity", ["optical_density", "transmission"])
def test_counts_passed_as_something_else_are_refused(quantity):
    with pytest.raises(StackError, match=r'as in counts; .*quantity = "counts"'):
        stacks.check(small(quantity))
    dead = small(quantity, scale=0.01)
    dead[0] = np.nan
    dead[1, 0, 0] = 1000.0
    assert stacks.check(dead) is dead


def test_a_stack_without_any_value():
    with pytest.raises(StackError, match="no value at all"):
        stacks.check(small(scale=np.nan))
    with pytest.raises(StackError, match=r"largest value is 0; .* counted anything"):
        stacks.check(small(scale=0.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": "od"}, "no quantity 'od'"),
        ({"data": "abc"}, "not arrays of numbers"),
        ({"data": np.ones((0, 1, 2)), "energy": []}, r"shape \(0, 1, 2\)"),
        ({"energy": [0.0, 511.0]}, "energy of 0 eV"),
        ({"per_energy": {"dwell": [1.0]}}, r"dwell has shape \(1,\)"),
    ],
)
def test_mistakes_in_building(changes, message):
    given = {
        "data": np.ones((2, 1, 2)),
        "energy": [510.0, 511.0],
        "y": [0.0],
        "x": [0.0, 1.0],
        "quantity": "counts",
    }
    with pytest.raises(StackError, match=message):
        stacks.build(**given | changes)


@pytest.mark.parametrize(
    "bounds",
    [
        {"x": 3, "y": 4},
        {"x": (np.nan, 1), "y": (0, 1)},
        {"x": ("a", 1), "y": (0, 1)},
        {"polygon": [1, 2, 3]},
        {"polygon": [[0, 0], [1, 1], [np.inf, 0]]},
        {"polygon": [[0, 0], [1, 1], [2, 2]]},
        {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]},
    ],
)
def test_impossible_regions(bounds):
    with pytest.raises(RegionError):
        Region(**bounds)


def test_bounds_may_come_in_any_order():
    assert Region(x=(2, 1), y=(0, 1)) == Region(x=(1, 2), y=(0, 1))


def test_a_region_of_something_else():
    with pytest.raises(RegionError, match="coordinates x and y"):
        Region(x=(0, 1), y=(0, 1)).mask(np.ones((2, 2)))


# --- lazy stacks ---


def lazy_stack(values: np.ndarray) -> xr.DataArray:
    n_energy, n_y, n_x = values.shape
    data = da.from_array(values, chunks=(1, 2, n_x))  # frame by frame, as files are
    return build(
        data, 520.0 - np.arange(n_energy), np.arange(n_y)[::-1], range(n_x), quantity="counts"
    )


def test_a_lazy_stack_is_built_like_another():
    values = np.random.default_rng(0).poisson(300, (4, 7, 3)).astype(np.float32)
    stack = lazy_stack(values)
    assert blocks.is_lazy(stack)
    assert stack.data.chunks[0] == (4,)  # all energies × bands of rows
    np.testing.assert_array_equal(stack, values[::-1, ::-1])
    here = build(values, 520.0 - np.arange(4), np.arange(7)[::-1], range(3), quantity="counts")
    xr.testing.assert_identical(stack.compute(), here)


def test_the_door_loads_what_fits(monkeypatch):
    stack = lazy_stack(np.full((2, 3, 4), 500.0, dtype=np.float32))
    assert blocks.is_lazy(check(stack, lazy=True))
    assert not blocks.is_lazy(check(stack))
    monkeypatch.setattr(blocks, "memory_limit", lambda: 50)
    with pytest.raises(StackError, match=r"needs the whole stack in memory, 0\.0 GB.*stack\.isel"):
        check(stack)


def test_a_region_of_a_lazy_stack():
    stack = lazy_stack(np.full((2, 3, 4), 500.0, dtype=np.float32))
    assert int(Region(x=(0, 1), y=(0, 1)).mask(stack).sum()) == 4
