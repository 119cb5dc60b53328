"""Contacts of particles against shapes whose common boundaries are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import FitError, StackError
from chemoscape.particles.contacts import contacts, neighbours_alike
from chemoscape.particles.masks import Instances, from_dense
from chemoscape.particles.table import particle_table

SHAPE = (160, 160)


def bar(length, width, angle, centre):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    dy, dx = y - centre[0], x - centre[1]
    return (abs(dx * cosine + dy * sine) <= length / 2) & (
        abs(dy * cosine - dx * sine) <= width / 2
    )


def table_of(*masks, pixel_um=1.0):
    return particle_table(from_dense(np.stack(masks)), np.ones(SHAPE), pixel_um)


@pytest.mark.parametrize("angle", [0, 10, 22.5, 45, 67, 90, 135])
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_bars_side_by_side(angle, gap):
    normal = np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])
    aside = (8 + gap) / 2 * normal
    table = table_of(bar(80, 8, angle, 80.3 + aside), bar(80, 8, angle, 80.3 - aside))
    found = contacts(table, reach_um=2.0)
    assert found.sizes["contact"] == 1
    assert found["length"].item() == pytest.approx(80, abs=4.1)  # a reach at either end
    assert abs(found["gap"].item() - gap) < 0.8
    assert found["y"].item() == pytest.approx(80.3, abs=1.0)
    assert found["x"].item() == pytest.approx(80.3, abs=1.0)
    assert np.isnan(found["difference"].item())


def test_lengths_are_in_micrometres():
    masks = bar(80, 8, 0, (76, 80)), bar(80, 8, 0, (84, 80))
    one, other = (contacts(table_of(*masks, pixel_um=p), 1.0 * p) for p in (1.0, 0.04))
    for name in ("length", "gap", "y", "x"):
        assert other[name].item() == pytest.approx(0.04 * one[name].item())


def test_a_ring_around_a_disc():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(y - 80, x - 80)
    found = contacts(table_of(radius < 30, (radius >= 30) & (radius < 45)), reach_um=1.0)
    assert found["length"].item() == pytest.approx(2 * np.pi * 29.7, rel=0.02)


def test_wires_that_cross_overlap():
    found = contacts(table_of(bar(80, 10, 0, (80, 80)), bar(80, 10, 90, (80, 80))), reach_um=0.0)
    assert found["overlap_area"].item() == 100
    assert found["gap"].item() == 0
    assert found["length"].item() == pytest.approx(2 * np.sqrt(2) * 10, rel=0.2)


def test_reach_decides():
    table = table_of(bar(60, 6, 0, (50, 80)), bar(60, 6, 0, (60, 80)))  # 4 px between them
    assert contacts(table, reach_um=3.9).sizes["contact"] == 0
    assert contacts(table, reach_um=4.0).sizes["contact"] == 1
    assert contacts(table).attrs["reach_um"] == 1.0
    table.attrs["fwhm_um"] = 5.0
    assert contacts(table).sizes["contact"] == 1
    with pytest.raises(StackError, match="reach_um"):
        contacts(table, reach_um=-1.0)


def test_differences_and_their_errors():
    table = table_of(bar(80, 8, 0, (76, 80)), bar(80, 8, 0, (84, 80)), bar(20, 4, 0, (140, 80)))
    table["composition_mean"] = ("particle", np.array([0.3, 0.9, 0.5]))
    table["composition_se"] = ("particle", np.array([0.03, 0.04, 0.01]))
    found = contacts(table)
    pair = found["first"].item(), found["second"].item()
    assert pair == (0, 1)
    assert found["difference"].item() == pytest.approx(0.6)
    assert found["difference_sd"].item() == pytest.approx(0.05)


def test_none_at_all():
    nothing = particle_table(Instances(SHAPE), np.ones(SHAPE), 1.0)
    assert contacts(nothing).sizes["contact"] == 0
    alone = table_of(bar(80, 8, 0, (76, 80)))
    assert contacts(alone).sizes["contact"] == 0


def chain(x):
    """Squares in rows of ten, each in contact with those beside it."""
    x = np.asarray(x)
    masks = np.zeros((len(x), *SHAPE), bool)
    for number, mask in enumerate(masks):
        row, column = 14 * (number // 10) + 2, 12 * (number % 10) + 2
        mask[row : row + 10, column : column + 12] = True
    table = table_of(*masks)
    order = np.lexsort((table["centroid_x"].values, table["centroid_y"].values))
    values = np.empty(len(x))
    values[order] = x
    table["composition_mean"] = ("particle", values)
    table["composition_se"] = ("particle", np.full(len(x), 0.01))
    return table


@pytest.mark.parametrize(
    ("x", "verdict"),
    [
        (np.repeat([0.3, 0.9, 0.3, 0.9], 10), "more alike"),
        (np.tile([0.3, 0.9], 20), "less alike"),
        (np.random.default_rng(3).uniform(0.3, 0.9, 40), "no sign"),
    ],
)
def test_neighbours(x, verdict):
    table = chain(x)
    touching = contacts(table)
    assert touching.sizes["contact"] == 36
    test = neighbours_alike(table, touching, n_perm=999)
    assert verdict in str(test)
    assert test.n_particles == 40
    assert test.low < test.expected < test.high
    assert json.loads(json.dumps(test.to_dict(), allow_nan=False))["verdict"] == test.verdict


def test_false_alarms_are_as_often_as_promised():
    touching = contacts(chain(np.zeros(40)))
    rng = np.random.default_rng(0)
    table = chain(np.zeros(40))
    alarms = 0
    for seed in range(300):
        table["composition_mean"] = ("particle", rng.normal(0.5, 0.2, 40))
        alarms += neighbours_alike(table, touching, n_perm=399, seed=seed).p < 0.05
    assert 5 <= alarms <= 26


def test_too_few_contacts_are_refused():
    table = chain(np.linspace(0, 1, 8))
    test = neighbours_alike(table, contacts(table))
    assert np.isnan(test.p)
    assert "no test" in str(test)
    json.dumps(test.to_dict(), allow_nan=False)
    with pytest.raises(StackError):
        neighbours_alike(table.drop_vars("composition_mean"), contacts(table))
    with pytest.raises(FitError):
        neighbours_alike(table, contacts(table), n_perm=5)


def test_dims_and_units():
    found = contacts(chain(np.linspace(0, 1, 20)))
    assert isinstance(found, xr.Dataset)
    assert all(one.dims == ("contact",) and one.attrs["units"] for one in found.values())
    assert (found["first"] < found["second"]).all()
