"""The results of all stacks along one dimension."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from chemoscape.decompose.sample import STATISTICS
from chemoscape.series.errors import counting_sd, shared_of
from chemoscape.series.table import table_csv
from chemoscape.series.together import ENERGY_READ, joined

TIME = xr.Variable("time", [0.0, 30.0], {"units": "min"})


def moment(k, **attrs):
    field = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
    return xr.Dataset(
        {
            "composition": (("y", "x"), np.full((2, 3), 0.1 * k)),
            "mask": (("y", "x"), np.ones((2, 3), bool)),
            "standards": ("energy", [1.0, 2.0]),
            "mean": ("energy", [1.0, 2.0 + k]),
            "few": (f"n{k}", [1.0]),
            "grows": ("n", np.ones(k + 1)),
        },
        coords={**field, "energy": [500.0, 501.0 + 0.01 * k]},
        attrs={"variable": "x", "shift": 0.1 * k, "why": f"because {k}", "n": 3, **attrs},
    )


def test_what_differs_is_joined_and_what_is_the_same_is_kept_once():
    nodes = [{"/a": moment(k), "/only": moment(k)} if k else {"/a": moment(k)} for k in range(2)]
    ((path, node),) = joined(nodes, TIME).items()
    assert path == "/a"
    assert node["composition"].dims == ("time", "y", "x")
    assert node["mask"].dims == ("time", "y", "x")  # maps always have a time
    assert node["standards"].dims == ("energy",)
    assert node["mean"].dims == ("time", "energy")
    assert "few" not in node
    assert "grows" not in node  # of different numbers of things
    np.testing.assert_allclose(node[ENERGY_READ], [[500, 501], [500, 501.01]])
    assert node["shift"].values.tolist() == [0.0, 0.1]
    assert node.attrs == {"variable": "x", "why": ["because 0", "because 1"], "n": 3}
    assert node["time"].attrs["units"] == "min"


def test_what_images_were_recorded_with_is_joined_and_their_time_is_not_that_of_the_stacks():
    """As of real stacks, whose images have a time and a ring current each."""
    nodes = [
        {"/a": moment(k).assign_coords(time=("energy", [0.0, 9.0 + k]), ring=("energy", [1.0, k]))}
        for k in range(2)
    ]
    node = joined(nodes, TIME)["/a"]
    assert node["time"].dims == ("time",)
    assert node["time"].attrs["units"] == "min"
    np.testing.assert_array_equal(node["frame_time"], [[0, 9], [0, 10]])
    np.testing.assert_array_equal(node["ring"], [[1, 0], [1, 1]])


def test_an_attribute_that_is_no_number_at_one_time_is_a_list():
    nodes = [{"/a": moment(k, g=g)} for k, g in enumerate((10.0, "unknown"))]
    assert joined(nodes, TIME)["/a"].attrs["g"] == ["10.0", "unknown"]


def comp(sd, *, refine=1, smooth=0.0):
    n = 40
    field = {"composition_sd_counting": sd, "thickness": 1.0, "mask": True}
    maps = {name: (("y", "x"), np.full((n, n), value)) for name, value in field.items()}
    return xr.Dataset(maps, attrs={"refine": refine, "noise_length_px": smooth})


def test_counting_error_of_a_mean():
    """1600 pixels of 0.04 average to 0.001; smoothing does not make them more, as a filter of white
    noise shows.
    """
    np.testing.assert_allclose(counting_sd(comp(0.04), 0.0, one_sided=False), 0.001)
    np.testing.assert_allclose(counting_sd(comp(0.04), 0.0, one_sided=True), 0.04)
    noise = np.random.default_rng(1).normal(0, 0.04, (400, 40, 40))
    smooth = np.array([gaussian_filter(one, 1.5, mode="wrap") for one in noise])
    stated = counting_sd(comp(smooth.std(), smooth=1.5), 0.0, one_sided=False)
    np.testing.assert_allclose(stated, smooth.mean(axis=(1, 2)).std(), rtol=0.12)


def test_the_noise_of_the_beam_does_not_average_out():
    """400 pixels of sample and 100 of background, of 300 counts each: the mean of ln(I0/I)."""
    rng = np.random.default_rng(2)
    open_beam = rng.poisson(300, (500, 100)).mean(axis=1)
    means = np.log(open_beam) - np.log(rng.poisson(300, (500, 400))).mean(axis=1)
    od = xr.Dataset(
        {
            "optical_density": (("energy", "y", "x"), np.ones((2, 20, 20))),
            "variance": (("energy", "y", "x"), np.full((2, 20, 20), 1 / 300)),
            "i0": ("energy", [300.0, 300.0]),
            "i0_variance": ("energy", [3.0, 3.0]),
            "sample": (("y", "x"), np.ones((20, 20), bool)),
            **{name: ("energy", np.ones(2)) for name in STATISTICS if name != "sample"},
        },
        coords={"energy": [1.0, 2.0], "y": np.arange(20.0), "x": np.arange(20.0)},
        attrs={"i0_pixels": 100},
    )
    np.testing.assert_allclose(shared_of(od), 0.01)
    maps = comp(300**-0.5).isel(y=slice(20), x=slice(20))
    stated = counting_sd(maps, shared_of(od), one_sided=False)
    np.testing.assert_allclose(stated, means.std(), rtol=0.1)


def test_the_table_has_a_row_for_each_stack():
    node = xr.Dataset(
        {"composition": ("time", [0.1, np.nan]), "share": (("phase", "time"), [[1.0, 2.0]])},
        coords={"time": TIME, "phase": ["alpha"]},
    )
    assert table_csv(node).splitlines() == ["time,composition,share alpha", "0,0.1,1", "30,,2"]
