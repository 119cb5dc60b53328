"""Answers of the Particles view, on bars of known size and composition."""

from __future__ import annotations

import json
from itertools import chain

import numpy as np
import pytest
import shapely
import xarray as xr

import chemoscape as cs
from chemoscape.app.answers import particle_table, particles
from chemoscape.app.answers.particle_words import contacts_in_words, statistics_in_words
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.particles import shapes
from chemoscape.particles.contacts import contacts, neighbours_alike
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.results import none_if_not_finite

PIXEL_UM, SIZE = 0.06, 200
NAMES = ["epsilon-Li0.3V2O5", "delta-Li0.9V2O5"]


class Shown(Session):
    """A session that shows a tree and has nothing else."""

    def __init__(self, tree: xr.DataTree) -> None:
        self.tree, self._memory, self.stamp = tree, {}, 1


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Shown:
    """Ten wires of two phases: the wider ones hold less lithium."""
    rng = np.random.default_rng(3)
    wires = [
        shapes.Wire(1.2 + 2.4 * (k // 2), 3.0 + 6.0 * (k % 2), 3.0, 0.6 if k % 2 else 0.3, 0.1)
        for k in range(10)
    ]
    energy = np.linspace(512, 530, 12)
    spectra = cs.open_library("lixv2o5-model").select(*NAMES).spectra(energy).values
    shares = np.array([[k % 2, 1 - k % 2] for k in range(10)])
    made = measured_ensemble(
        rng, wires, shares, spectra / spectra.max(), energy, (SIZE, SIZE), PIXEL_UM, counts=3000.0
    )
    path = tmp_path_factory.mktemp("ensemble") / "wires.h5"
    cs.save_stack(made.stack, path)
    recipe = {
        "input": {"path": str(path)},
        "drift": {"enabled": False},
        "damage": {"enabled": False},
        "clusters": {"enabled": False},
        "calibration": {"energy_shift": 0.0},
        "standards": {"library": "lixv2o5-model", "select": NAMES},
        "particles": {"enabled": True, "method": "classical", "n_clusters": 2},
    }
    return Shown(cs.run(recipe))


def answered(session: Shown, name: str, **asked: object) -> dict:
    """As the server sends it."""
    answer = particles.ANSWERS[name](session, Asked(asked))
    return json.loads(json.dumps(none_if_not_finite(answer)))


def test_the_table_has_every_column_with_unit_and_error(session):
    told = answered(session, "particles/table")
    columns = told["columns"]
    measured = session.node("/particles")
    along = {name for name, one in measured.data_vars.items() if one.dims == ("particle",)}
    assert set(columns) == along | {"diameter"}
    assert columns["area_raw"]["unit"] == "µm²"
    assert columns["composition_mean"]["sd"] == "composition_se"
    assert columns["area_psf"]["sd"] == "area_psf_sd"
    np.testing.assert_allclose(
        np.square(columns["diameter"]["values"]) * np.pi / 4, columns["area_raw"]["values"]
    )
    assert told["phases"]["names"] == NAMES
    assert told["n"] == 10


def test_every_particle_is_in_one_bin_of_each_histogram(session):
    told = answered(session, "particles/table")
    assert set(told["histograms"]) == set(particle_table.BINNED)
    for name, found in told["histograms"].items():
        values = np.array(told["columns"][name]["values"], dtype=float)
        members = sorted(chain.from_iterable(found["members"]))
        assert members == np.flatnonzero(np.isfinite(values)).tolist()
        for low, high, own in zip(
            found["edges"], found["edges"][1:], found["members"], strict=False
        ):
            assert all(low - 1e-9 <= values[one] <= high + 1e-9 for one in own)


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, -1.0]])
def test_no_histogram_without_a_value(values):
    assert particle_table.histogram(np.array(values, dtype=float), logarithmic=True) is None


def test_a_histogram_of_equal_values_has_them_all_in_one_bin():
    found = particle_table.histogram(np.full(7, 0.3))
    assert sorted(len(one) for one in found["members"])[-1] == 7


def test_words_say_what_the_statistics_found(session):
    words = answered(session, "particles/table")["statistics_words"]
    assert words[0].endswith("of 10 particles count in the statistics.")
    assert any("Particles of higher composition are smaller" in one for one in words)
    assert statistics_in_words(None, 40)[0].startswith("No statistics")


def test_words_of_contacts(session):
    table = session.node("/particles")
    touching = contacts(table, reach_um=2.5)
    said = " ".join(contacts_in_words(touching, neighbours_alike(table, touching, n_perm=199)))
    assert f"{touching.sizes['contact']} pairs" in said
    assert "by chance" in said
    assert answered(session, "particles/table")["contacts"]["words"][0].startswith("0 pairs")


def test_outlines_enclose_the_area_and_the_place_names_the_particle(session):
    drawn = answered(session, "particles/outlines")["outlines"]
    table = session.node("/particles")
    for number, around in enumerate(drawn):
        area = sum(shapely.Polygon(one).area for one in around)
        assert area == pytest.approx(float(table["area_raw"][number]), rel=0.05)
        x, y = (float(table[f"centroid_{axis}"][number]) for axis in "xy")
        assert answered(session, "particles/at", x=x, y=y)["particle"] == number
    assert answered(session, "particles/at", x=-5.0, y=0.0)["particle"] is None
    assert answered(session, "particles/at", x=0.1, y=0.1)["particle"] is None


def test_the_region_of_a_particle_holds_its_centre_and_no_other(session):
    table = session.node("/particles")
    centres = np.column_stack([table["centroid_x"].values, table["centroid_y"].values])
    for number in range(10):
        polygon = answered(session, "particles/region", particle=number)["polygon"]
        assert len(polygon) <= 12
        inside = shapely.contains_xy(shapely.Polygon(polygon), *centres.T)
        assert np.flatnonzero(inside).tolist() == [number]
    with pytest.raises(ChemoscapeError, match="whole number from 0 to 9"):
        answered(session, "particles/region", particle=10)


def test_the_region_of_a_bent_particle_holds_its_centre_too(session):
    """The centre of a ring lies outside of it."""
    y, x = np.mgrid[:60, :60]
    ring = abs(np.hypot(y - 30, x - 30) - 20) < 3
    ring &= ~((x > 30) & (abs(y - 30) < 6))  # a gap, so that the outline goes around the middle
    table = cs.segment(
        xr.DataArray(ring * 1.0, dims=("y", "x"), coords={"y": y[:, 0] * 0.1, "x": x[0] * 0.1}),
        method="classical",
        fwhm_um=0.2,
    )
    assert table.sizes["particle"] == 1
    tree = xr.DataTree.from_dict({"/particles": table})
    polygon = answered(Shown(tree), "particles/region", particle=0)["polygon"]
    at = [float(table[f"centroid_{axis}"][0]) for axis in "xy"]
    assert shapely.contains_xy(shapely.Polygon(polygon), *at)


def test_a_spectrum_has_its_error_and_the_mean_beside_it(session):
    told = answered(session, "particles/spectrum", particle=2)
    node = session.node("/particles/spectra").isel(particle=2)
    np.testing.assert_allclose(told["spectrum"], node["spectrum"].values)
    assert len(told["mean"]) == len(told["energy"]) == 12
    assert told["group"] in (0, 1)
    assert told["pixels"] > 0


def test_the_map_is_the_one_that_was_searched(session):
    shown = particles.searched(session, Asked({}))
    weight = session.node("/direct")["weight"]
    np.testing.assert_allclose(shown.values, weight.sum("standard").values)
    assert shown.name.startswith("thickness")


def test_without_particles_it_says_what_to_do():
    session = Shown(xr.DataTree.from_dict({"/composition": xr.Dataset()}))
    with pytest.raises(ChemoscapeError, match="press Run here"):
        particles.table(session, Asked({}))
