"""The results of all stacks along one dimension."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.series.evolution import own_sd, table_csv
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


def test_an_attribute_that_is_no_number_at_one_time_is_a_list():
    nodes = [{"/a": moment(k, g=g)} for k, g in enumerate((10.0, "unknown"))]
    assert joined(nodes, TIME)["/a"].attrs["g"] == ["10.0", "unknown"]


def comp(sd, *, refine=1, smooth=0.0, per_eV=0.0):
    n = 40
    field = {"composition_sd_counting": sd, "thickness": 1.0, "mask": True}
    maps = {name: (("y", "x"), np.full((n, n), value)) for name, value in field.items()}
    attrs = {"refine": refine, "noise_length_px": smooth, "mean_per_eV": per_eV}
    return xr.Dataset(maps, attrs=attrs)


def test_own_error_of_a_mean():
    """1600 pixels of 0.04 average to 0.001; smoothing does not make them more, as a filter of white
    noise shows.
    """
    np.testing.assert_allclose(own_sd(comp(0.04), np.nan, one_sided=False), 0.001)
    np.testing.assert_allclose(own_sd(comp(0.04), np.nan, one_sided=True), 0.04)
    shifted = own_sd(comp(0.0, per_eV=0.5), 0.02, one_sided=False)
    np.testing.assert_allclose(shifted, 0.01)
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(1).normal(0, 0.04, (400, 40, 40))
    smooth = np.array([gaussian_filter(one, 1.5, mode="wrap") for one in noise])
    stated = own_sd(comp(smooth.std(), smooth=1.5), np.nan, one_sided=False)
    np.testing.assert_allclose(stated, smooth.mean(axis=(1, 2)).std(), rtol=0.12)


def test_the_table_has_a_row_for_each_stack():
    node = xr.Dataset(
        {"composition": ("time", [0.1, np.nan]), "share": (("phase", "time"), [[1.0, 2.0]])},
        coords={"time": TIME, "phase": ["alpha"]},
    )
    assert table_csv(node).splitlines() == ["time,composition,share alpha", "0,0.1,1", "30,,2"]
