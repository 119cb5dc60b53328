"""Answers of the Stress view, on a disk whose stress is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.app import meshes
from chemoscape.app.answers import stresses
from chemoscape.app.answers.stress_words import doubts
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.recipe import make_recipe
from chemoscape.results import none_if_not_finite

RADIUS, PIXEL = 1.0, 0.05


class Shown(Session):
    """A session that shows a tree and has nothing else."""

    def __init__(self, tree: xr.DataTree) -> None:
        self.tree, self._memory, self.stamp = tree, {}, 1


def disk(centre: float = 1.25, size: int = 50) -> xr.Dataset:
    """Composition that grows with the square of the distance from the centre of a disk."""
    at = (np.arange(size) + 0.5) * PIXEL
    distance = np.hypot(at[:, None] - 1.25, at[None, :] - centre)
    coords = {"y": at, "x": at}
    maps = {
        "composition": 0.4 - 0.3 * (distance / RADIUS) ** 2,
        "composition_sd_counting": np.full_like(distance, 0.01),
        "composition_sd_systematic": np.full_like(distance, 0.005),
        "composition_sd_total": np.full_like(distance, 0.0112),
        "mask": distance < RADIUS,
    }
    variables = {name: (("y", "x"), one) for name, one in maps.items()}
    return xr.Dataset(variables, coords=coords, attrs={"variable": "x in LixV2O5"})


def tree_of(comp: xr.Dataset, *boundaries: object, **how: object) -> xr.DataTree:
    nodes = {"/composition": comp}
    for one in cs.stress(comp, LIXV2O5_ILLUSTRATIVE, boundary=list(boundaries), **how):
        nodes[f"/stress/{one.boundary}"] = one.dataset
        nodes[f"/stress/{one.boundary}/grid"] = one.to_grid(like=comp)
    return xr.DataTree.from_dict(nodes)


@pytest.fixture(scope="module")
def session() -> Shown:
    return Shown(tree_of(disk(), "free", "fixed", cs.Springs(100.0), n_draws=4))


def answered(session: Shown, name: str, **asked: object) -> dict:
    """As the server sends it."""
    answer = stresses.ANSWERS[name](session, Asked(asked))
    return json.loads(json.dumps(none_if_not_finite(answer)))


def decoded(answer: bytes) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    length = int(np.frombuffer(answer, "<u4", 1)[0])
    header = json.loads(answer[4 : 4 + length])
    at = 4 + length
    assert at % 4 == 0
    numbers = np.frombuffer(answer, "<f4", 5 * header["nodes"], at).reshape(5, -1).astype(float)
    at += numbers.nbytes // 2
    numbers[:2] += np.reshape(header["origin"], (2, 1))
    corners = np.frombuffer(answer, "<u4", 3 * header["triangles"], at).reshape(-1, 3)
    sides = np.frombuffer(answer, "<u4", 2 * header["sides"], at + corners.nbytes).reshape(-1, 2)
    assert at + corners.nbytes + sides.nbytes == len(answer)
    return header, numbers, corners, sides


def test_the_list_has_every_boundary_with_its_numbers_and_one_scale(session):
    told = answered(session, "stress/list")
    assert [one["name"] for one in told["boundaries"]] == [
        "free",
        "fixed",
        "springs-100-GPa-per-um",
    ]
    free, fixed, springs = told["boundaries"]
    mean = [one["numbers"]["mean"]["value"] for one in (free, springs, fixed)]
    assert mean == sorted(mean)
    assert free["numbers"]["p99"]["sd"] > 0
    fields = {one["name"]: one for one in told["fields"]}
    von_mises = fields["von_mises"]
    assert von_mises["limits_of"]["free"][1] < von_mises["limits"][1]
    assert {key: von_mises[key] for key in ("name", "long_name", "unit", "sd", "kind")} == {
        "name": "von_mises",
        "long_name": "von Mises stress",
        "unit": "MPa",
        "sd": "von_mises_sd",
        "kind": "sequential",
    }
    low, high = fields["hydrostatic"]["limits"]
    assert low == -high
    assert high > 0.9 * max(one["numbers"]["max"]["value"] for one in (fixed,)) / 2
    assert "stress_zz" not in fields  # plane stress: zero everywhere
    assert told["material"]["status"] == "illustrative"
    assert "illustrative" in told["doubts"][0]["words"]
    assert told["conditions"].startswith("Strain-free reference: x in LixV2O5 = 0.")


def test_a_mesh_arrives_whole_with_its_outline(session):
    header, (x, y, ux, uy, value), corners, sides = decoded(
        stresses.mesh(session, Asked({"boundary": "free", "field": "von_mises"}))
    )
    own = session.node("/stress/free")
    assert header["nodes"] == own.sizes["node"]
    assert header["unit"] == "MPa"
    np.testing.assert_allclose(value, own["von_mises"].values, rtol=1e-6)
    np.testing.assert_allclose(ux, own["displacement_x"].values, rtol=1e-5, atol=1e-9)
    assert np.array_equal(corners, own["triangle"].values)
    around = np.hypot(np.diff(x[sides]), np.diff(y[sides])).sum()
    assert around == pytest.approx(2 * np.pi * RADIUS, rel=0.06)
    moved = decoded(stresses.mesh(session, Asked({"boundary": "free", "field": "displacement"})))
    np.testing.assert_allclose(moved[1][4], 1e3 * np.hypot(ux, uy), rtol=1e-4, atol=1e-6)


def test_too_many_triangles_are_shown_on_thinned_pixels(session, monkeypatch):
    monkeypatch.setattr(stresses, "MOST_TRIANGLES", 500)
    monkeypatch.setattr(meshes.mesh_of_pixels, "__defaults__", (500,))
    header, (x, y, _, _, value), corners, _ = decoded(
        stresses.mesh(session, Asked({"boundary": "fixed", "field": "hydrostatic"}))
    )
    assert "too many to draw" in header["note"]
    assert 100 < len(corners) <= 500
    assert np.isfinite(value).all()
    assert np.hypot(x - 1.25, y - 1.25).max() <= RADIUS
    assert value.mean() == pytest.approx(
        float(session.node("/stress/fixed/grid")["hydrostatic"].mean()), rel=0.05
    )


def test_a_probe_gives_every_field_linear_in_the_triangle(session):
    own = session.node("/stress/fixed")
    corners = own["triangle"].values[100]
    x, y = (float(own[f"node_{axis}"].values[corners].mean()) for axis in "xy")
    inside, outside = answered(session, "stress/probe", points=[[x, y], [0.1, 0.1]])["points"]
    assert inside["inside"]
    assert inside["particle"] == 1
    found = inside["values"]["fixed"]
    assert found["von_mises"] == pytest.approx(own["von_mises"].values[corners].mean())
    assert found["von_mises_sd"] == pytest.approx(own["von_mises_sd"].values[corners].mean())
    assert inside["composition_sd"] == pytest.approx(0.0112)
    assert outside == {
        "x": 0.1,
        "y": 0.1,
        "inside": False,
        "sentence": "outside the particles: nothing is strained here",
    }


def test_principal_directions_are_radial_or_around_in_a_disk(session):
    places = [[1.25 + 0.7 * np.cos(a), 1.25 + 0.7 * np.sin(a)] for a in (0.3, 1.2, 2.5)]
    told = answered(session, "stress/probe", points=places)["points"]
    for angle, one in zip((0.3, 1.2, 2.5), told, strict=True):
        turned = (one["principal_deg"]["free"] - np.degrees(angle)) % 90
        assert min(turned, 90 - turned) < 8


def test_a_line_runs_through_the_disk_with_the_errors(session):
    told = answered(session, "stress/line", line=[[0.0, 1.25], [2.5, 1.25]], field="von_mises")
    distance, free = np.array(told["distance_um"]), told["curves"]["free"]
    assert distance[-1] == pytest.approx(2.5)
    inside = np.array([one is not None for one in free["values"]])
    assert inside.mean() == pytest.approx(2 * RADIUS / 2.5, abs=0.04)
    assert all(one > 0 for one, known in zip(free["sd"], inside, strict=True) if known)
    middle = told["composition"][150]
    assert middle == pytest.approx(0.4, abs=0.01)
    with pytest.raises(ChemoscapeError, match="no length"):
        answered(session, "stress/line", line=[[1, 1], [1, 1]], field="von_mises")
    with pytest.raises(ChemoscapeError, match="no field 'triangle'"):
        answered(session, "stress/line", line=[[1, 1], [2, 1]], field="triangle")


def test_springs_half_way_between_free_and_fixed(session):
    """With an even strain, a disk on the springs that are named has half the stress."""
    told = answered(session, "stress/springs")
    half = told["half_way_GPa_per_um"]
    assert half == pytest.approx(43.0 / (0.7 * RADIUS), rel=0.02)
    even = disk().assign(composition=lambda maps: 0 * maps.composition + 0.4)
    fixed, held = cs.stress(even, LIXV2O5_ILLUSTRATIVE, boundary=["fixed", cs.Springs(half)])
    ratio = (
        held.von_mises_summary()["von_mises_mean_MPa"]
        / fixed.von_mises_summary()["von_mises_mean_MPa"]
    )
    assert ratio == pytest.approx(0.5, abs=0.03)


def test_what_a_recipe_can_say_of_boundaries(session):
    forms = answered(session, "stress/springs")["forms"]
    preset = answered(session, "stress/springs")["presets"][0]
    material = {key: value for key, value in preset.items() if key != "name"}
    made = make_recipe(
        {"stress": {"enabled": True, "boundary": [*forms, "free"], "material": material}},
        where="a test",
    )
    assert made.stress.boundaries() == ["free", "fixed", cs.Springs(10.0)]
    assert made.stress.material.material() == LIXV2O5_ILLUSTRATIVE


def test_doubts_name_cut_edges_coarse_meshes_and_steep_compositions():
    comp = disk(centre=0.6)  # a third of the disk lies outside the image
    comp["composition"] = xr.where(comp.composition > 0.3, 0.4, 0.1)
    cut = Shown(tree_of(comp, "fixed", cut_edges=True, mesh_size=0.3))
    said = " ".join(one["words"] for one in answered(cut, "stress/list")["doubts"])
    assert "within one width of a cut edge" in said
    assert "The mesh is coarse" in said
    assert "within one triangle" in said
    assert "No errors were drawn" in said
    fine = Shown(tree_of(disk(), "fixed"))
    levels = [one["level"] for one in answered(fine, "stress/list")["doubts"]]
    assert levels.count("caution") == 1  # the material's values alone


def test_strains_beyond_the_theory_are_said(session):
    large = session.node("/stress/free").copy()
    large["strain_xx"] = large["strain_xx"] + 0.05
    assert any("beyond the 3%" in one["words"] for one in doubts({"free": large}))


def test_without_stress_it_says_what_to_do():
    session = Shown(xr.DataTree.from_dict({"/composition": disk()}))
    with pytest.raises(ChemoscapeError, match="press Run here"):
        stresses.listed(session, Asked({}))
    assert answered(session, "stress/springs")["half_way_GPa_per_um"] is None
