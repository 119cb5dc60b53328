"""Distances against published ones and gemmi's, errors against drawn ones; shape of layers."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from chemoscape.crystals.bonds import bonds, centre_of
from chemoscape.crystals.crystal import Crystal, read_crystal
from chemoscape.crystals.layers import describe_layers
from chemoscape.crystals.model import COMMENTS, PHASES, model_structure, write_models
from chemoscape.errors import LibraryError
from chemoscape.standards._cif import Site


def simple(group: str, cell: str, *atoms: str) -> str:
    """A CIF by the name of the group alone."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    sizes = "".join(f"_cell_{n} {v}\n" for n, v in zip(names, cell.split(), strict=True))
    loop = "".join(f"_atom_site_{n}\n" for n in ("label", "fract_x", "fract_y", "fract_z"))
    return f"data_a\n_space_group_name_H-M_alt '{group}'\n{sizes}loop_\n{loop}" + "\n".join(
        [*atoms, ""]
    )


def lengths(crystal: Crystal, n: int = 6) -> list[float]:
    found = [b.length for b in bonds(crystal) for _ in range(b.multiplicity)]
    return sorted(found)[:n]


def test_distances_of_v2o5_are_the_published_ones(v2o5):
    """As Enjalbert and Galy print them (Acta Cryst. C42, 1467, 1986)."""
    published = [1.577, 1.779, 1.878, 1.878, 2.017, 2.791]
    # coordinates are printed to 0.001 along c, which is 0.002 Å on either side
    np.testing.assert_allclose(lengths(v2o5), published, atol=2e-3)
    found = bonds(v2o5)
    assert [b.multiplicity for b in found] == [1, 1, 2, 1, 1]
    assert [b.neighbour for b in found] == ["O1", "O3", "O2", "O2", "O1"]
    assert str(found[0]) == "V1-O1 1.576(4)"


def test_the_model_begins_with_the_structure_of_the_database(data_folder, tmp_path):
    """Another origin, the same distances, canting and height as the row of the database."""
    rows = json.loads((data_folder / "crystal" / "amcsd_rows.json").read_text(encoding="utf-8"))
    row = next(one for one in rows if one["id"] == 13891)
    places = [np.frombuffer(base64.b64decode(row[f"atoms_{x}"]), "<i4") / 4e6 for x in "xyz"]
    atoms = [f"{n} {x} {y} {z}" for n, x, y, z in zip("VOOO", *places, strict=True)]
    path = tmp_path / "row.cif"
    sizes = f"{row['a']} {row['b']} {row['c']} 90 90 90"
    path.write_text(simple("P m m n :2", sizes, *atoms), encoding="utf-8")
    published, ours = read_crystal(path), model_structure(0)
    np.testing.assert_allclose(lengths(ours), lengths(published), atol=2e-4)
    one, other = describe_layers(ours), describe_layers(published)
    for name in ("canting", "tilt", "puckering", "rms_height"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=2e-3), name


@pytest.mark.parametrize("name", ["rutile", "quartz", "VO2", "triclinic"])
def test_distances_are_gemmis(crystal_of, tmp_path, name):
    crystal = crystal_of(name)
    structure = gemmi.read_small_structure(str(tmp_path / f"{name}.cif"))
    search = gemmi.NeighborSearch(structure, 3.0).populate()
    centre = next(site for site in structure.sites if site.element.name == centre_of(crystal))
    expected = [
        search.dist(structure.cell.orthogonalize(centre.fract), mark.pos)
        for mark in search.find_site_neighbors(centre, min_dist=0.1, max_dist=3.0)
        if structure.sites[mark.atom_idx].element.name == "O"
    ]
    found = [b.length for b in bonds(crystal, longest=3.0) for _ in range(b.multiplicity)]
    np.testing.assert_allclose(sorted(found), sorted(expected), atol=1e-5)


def test_errors_are_those_of_drawn_structures(v2o5):
    """Coordinates and cell drawn with their standard deviations scatter distances as is said."""
    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(300):
        sites = []
        for site in v2o5.sites:
            sd = np.nan_to_num(np.array(site.place_sd))
            x, y, z = np.array(site.place) + sd * rng.normal(size=3)
            sites.append(replace(site, place=(x, y, z)))
        cell = np.array(v2o5.cell)
        cell[:3] += np.array(v2o5.cell_sd[:3]) * rng.normal(size=3)
        drawn.append(lengths(replace(v2o5, sites=tuple(sites), cell=tuple(cell))))
    said = sorted((b.length, b.sd) for b in bonds(v2o5) for _ in range(b.multiplicity))
    np.testing.assert_allclose([sd for _, sd in said], np.std(drawn, axis=0), rtol=0.12)


def test_errors_where_the_file_gives_none(crystal_of):
    assert all(np.isnan(b.sd) for b in bonds(crystal_of("VO2")))


def tilted(angle: float, lean: float) -> Crystal:
    """Square pyramids that share corners along a, leaning against each other, by construction."""
    a, b, c, edge = 7.6 * np.cos(angle), 3.8, 9.0, 1.9
    cos, sin = np.cos(angle), np.sin(angle)
    sites = []
    for start, sign in ((0.25, 1), (0.75, -1)):
        at = start * a

        def place(across, along, up, sign=sign, at=at):
            x = at + cos * across - sign * sin * up
            return x / a, (along + b / 2) / b, (sign * sin * across + cos * up) / c

        tip = (sign * lean) if lean else 0.0
        sites += [
            Site("V", place(0, 0, 0.4), 1.0, f"V{start}"),
            Site("O", place(np.sin(tip) * 1.6, 0, 0.4 + np.cos(tip) * 1.6), 1.0, f"A{start}"),
            Site("O", place(0, edge, 0), 1.0, f"B{start}"),
        ]
        sites += [Site("O", place(edge, 0, 0), 1.0, f"C{start}")]
    one = np.eye(3)[None]
    unknown = (np.nan,) * 6
    return Crystal(
        "made", (a, b, c, 90.0, 90.0, 90.0), unknown, tuple(sites), one, np.zeros((1, 3))
    )


@pytest.mark.parametrize("degrees", [0.0, 4.0, 11.0])
def test_tilt_puckering_and_canting_by_construction(degrees):
    """Pyramids turned by ±t about b: planes t off the layer, 2t between neighbours, tips t."""
    found = describe_layers(tilted(np.radians(degrees), 0.0))
    assert found.axis == "c"
    assert found.layers_in_cell == 1
    assert found.tilt == pytest.approx(degrees, abs=1e-6)
    assert found.puckering == pytest.approx(2 * degrees, abs=1e-6)
    assert found.canting == pytest.approx(degrees, abs=1e-6)
    assert found.rms_height == pytest.approx(0.0, abs=1e-9)
    assert found.apical == pytest.approx(1.6)
    assert np.isnan(found.sixth) == (degrees == 0)  # further than 4 Å


def test_lean_of_the_tips_is_apart_from_the_tilt():
    found = describe_layers(tilted(0.0, np.radians(7.0)))
    assert found.canting == pytest.approx(7.0, abs=1e-6)
    assert found.tilt == pytest.approx(0.0, abs=1e-6)


def test_layers_of_v2o5(v2o5):
    """The vanadyl bond leans by atan(Δx a / Δz c), the vanadium stands off by |z| c, the basal
    oxygens are nearly flat.
    """
    found = describe_layers(v2o5)
    by_hand = np.degrees(np.arctan((0.1043 - 0.10118) * 11.512 / ((0.469 - 0.1083) * 4.368)))
    assert found.canting == pytest.approx(by_hand, abs=1e-6)
    assert found.rms_height == pytest.approx(0.1083 * 4.368, abs=1e-9)
    assert found.tilt < 0.2
    assert found.puckering == pytest.approx(2 * found.tilt, abs=1e-6)
    assert found.spacing == pytest.approx(4.368)
    assert found.sixth == pytest.approx(2.791, abs=2e-3)


def test_what_has_no_pyramids_is_refused(crystal_of):
    with pytest.raises(LibraryError, match="has no Si with N"):
        bonds(crystal_of("quartz"), centre="Si", neighbours=("N",))
    with pytest.raises(LibraryError, match="not five"):
        describe_layers(replace(crystal_of("triclinic"), cell=(9.0, 9.0, 9.0, 90.0, 90.0, 90.0)))


def test_models_are_sound_synthetic_and_follow_the_trends(tmp_path):
    """a falls; b, c, canting, puckering, the sixth distance rise; δ shifts every second layer."""
    seen = []
    for name, path in write_models(tmp_path / "models").items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {COMMENTS[0]}")
        assert "synthetic" in path.name
        crystal = read_crystal(path)
        assert crystal.structure.problems == ()
        assert crystal.structure.closest > 1.5
        layers = describe_layers(crystal)
        seen.append(
            (
                *(crystal.cell[0], crystal.cell[1], layers.spacing, layers.canting),
                *(layers.puckering, layers.sixth),
            )
        )
        x, phase = PHASES[name]
        assert ("SYNTHETIC" in model_structure(x, phase).name) == (x > 0)
        assert layers.layers_in_cell == (2 if phase == "delta" else 1)
        assert 1.55 < layers.apical < 1.61
        lithium = bonds(crystal, centre="Li", longest=2.6) if x else ()
        assert all(b.length > 1.9 for b in lithium)
    steps = np.diff(np.array(seen), axis=0)
    assert (steps[:, 0] < 0).all()
    assert (steps[:, 1:] > 0).all()
    with pytest.raises(ValueError, match="no model for"):
        model_structure(1.4)
