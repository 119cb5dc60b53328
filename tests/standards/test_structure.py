"""Structures: published cells against their published densities, wrong origins, damaged files."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import N_A

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError, LibraryError
from chemoscape.standards.standard import Standard
from chemoscape.standards.structure import (
    attach_structure,
    differ,
    formula_difference,
    read_structure,
)

#: V2O5 with the cell of J. Solid State Chem. 123, 317 (1996) and the coordinates of Acta Cryst.
#: C42, 1467 (1986), on the second origin of Pmmn.
V2O5 = """\
data_V2O5
_publ_author_name 'A. Author'
_journal_year 1996
_chemical_formula_sum 'V2 O5'
_cell_formula_units_Z 2
_exptl_crystal_density_diffrn 3.343
_symmetry_space_group_name_H-M 'P m m n :2'
_cell_length_a 11.544(6)
_cell_length_b 3.571(1)
_cell_length_c 4.383(3)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_cell_volume 180.68
loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'-x+1/2,-y+1/2,z'
'-x,y+1/2,-z'
'x+1/2,-y,-z'
'-x,-y,-z'
'x+1/2,y+1/2,-z'
'x,-y+1/2,z'
'-x+1/2,y,z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
V1 V5+ 0.10118(8) 0.25 -0.1083(2)
O1 O2- 0.1043(4) 0.25 -0.469(1)
O2 O2- -0.0689(3) 0.25 0.003(1)
O3 O2- 0.25 0.25 0.001(1)
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "a.cif"
    path.write_text(text, encoding="utf-8")
    return path


def moved(text: str, by: tuple[float, float, float]) -> str:
    """The same with its sites moved, as when they belong to another origin."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 5 and words[0][0] in "VO":
            places = [float(w.split("(")[0]) + d for w, d in zip(words[2:], by, strict=True)]
            line = " ".join([*words[:2], *(f"{place:.5f}" for place in places)])
        lines.append(line)
    return "\n".join(lines) + "\n"


def test_everything_of_a_structure(tmp_path: Path) -> None:
    one = read_structure(written(tmp_path, V2O5))
    assert (one.formula, one.formula_from_sites, one.z) == ("V2 O5", "V2O5", 2)
    assert one.cell == (11.544, 3.571, 4.383, 90, 90, 90)
    np.testing.assert_allclose(one.cell_sd, (0.006, 0.001, 0.003, *[np.nan] * 3))
    assert one.lattice.startswith("a = 11.544(6), b = 3.571(1), c = 4.383(3) Å, alpha = 90")
    volume = 11.544 * 3.571 * 4.383
    assert one.volume == pytest.approx(volume, rel=1e-12)
    expected = 2 * (2 * 50.9415 + 5 * 15.999) / (N_A * volume * 1e-24)
    assert one.density == pytest.approx(expected, rel=1e-4)
    assert one.density_from_sites == pytest.approx(expected, rel=1e-4)
    assert one.density_stated == 3.343
    assert one.closest == pytest.approx(1.58, abs=0.02)  # the vanadyl bond
    assert one.space_group == "P m m n :2"
    assert one.source == "A. Author, 1996"
    assert one.problems == ()


@pytest.mark.parametrize(
    ("by", "density", "content"),
    [
        ((0.1, 0.1, 0), 7.334, "V4O12"),  # off both mirrors: every site doubled, O3 fourfold
        ((0.25, 0.25, 0), 6.741, "V4O10"),  # the other origin of Pmmn
        ((0, 0.25, 0), 6.741, "V4O10"),
    ],
)
def test_wrong_origin_shows(tmp_path: Path, by, density, content) -> None:
    """Formula, Z and cell stay silent; the sites do not."""
    text = V2O5.replace("11.544(6)", "11.512").replace("3.571(1)", "3.564").replace("3(3)", "0")
    text = text.replace("4.380", "4.368").replace("180.68", "179.21").replace("3.343", "3.37")
    one = read_structure(written(tmp_path, moved(text, by)))
    assert one.density == pytest.approx(3.370, abs=0.001)
    assert one.density_from_sites == pytest.approx(density, abs=0.002)
    assert one.formula_from_sites == content
    text = " ".join(one.problems)
    assert f"its sites give {one.density_from_sites:.2f} g/cm3" in text
    assert "another origin" in text
    assert one.closest < 1
    assert "Å apart" in text


def test_along_the_polar_axis_nothing_can_show(tmp_path: Path) -> None:
    """Special positions of Pmmn are special in x and y alone: the content does not change."""
    one = read_structure(written(tmp_path, moved(V2O5, (0, 0, 0.2))))
    assert one.formula_from_sites == "V2O5"
    assert one.density_from_sites == pytest.approx(one.density, rel=1e-6)


def test_names_without_operations(tmp_path: Path) -> None:
    bare = re.sub(r"loop_\n_symmetry_equiv.*?loop_", "loop_", V2O5, flags=re.DOTALL)
    named = read_structure(written(tmp_path, bare))
    assert named.problems == ()
    assert named.density_from_sites == pytest.approx(named.density, rel=1e-6)
    vague = read_structure(written(tmp_path, bare.replace(" :2", "")))
    assert any("2 choices of origin" in problem for problem in vague.problems)
    assert vague.density_from_sites == pytest.approx(2 * vague.density, rel=1e-6)
    none = read_structure(written(tmp_path, bare.replace("P m m n :2", "?")))
    assert any("symmetry is not given" in problem for problem in none.problems)


def test_dotted_names_and_several_blocks(tmp_path: Path) -> None:
    dotted = re.sub(r"_(cell|atom_site|space_group_symop)_", r"_\1.", V2O5)
    assert "_cell.length_a" in dotted
    assert read_structure(written(tmp_path, dotted)).formula_from_sites == "V2O5"
    other = V2O5.replace("data_V2O5", "data_other").replace("11.544(6)", "12.0")
    both = written(tmp_path, "data_global\n_journal_year 2020\n" + V2O5 + other)
    with pytest.warns(ChemoscapeWarning, match=r"2 structures \(V2O5, other\)"):
        assert read_structure(both).cell[0] == 11.544
    assert read_structure(both, "other").cell[0] == 12
    with pytest.raises(LibraryError, match="choose one of V2O5, other"):
        read_structure(both, "VO2")


def test_missing_items_are_unknown(tmp_path: Path) -> None:
    wanted = ("data", "_cell_len", "_cell_ang")
    bare = "\n".join(line for line in V2O5.splitlines() if line.startswith(wanted))
    one = read_structure(written(tmp_path, bare + "\n"))
    assert (one.formula, one.formula_from_sites, one.space_group, one.source) == ("",) * 4
    assert np.isnan([one.z, one.density, one.density_from_sites, one.density_stated]).all()
    assert one.problems == ()
    assert np.isnan(one.best_density[0])


def test_shared_sites(tmp_path: Path) -> None:
    """Two elements in turns on one place are no atoms inside each other."""
    text = V2O5.replace("'V2 O5'", "'V1.8 Ti0.2 O5'").replace(
        "_atom_site_fract_z\n", "_atom_site_fract_z\n_atom_site_occupancy\n"
    )
    text = re.sub(r"^(O\d .*)$", r"\1 1", text, flags=re.MULTILINE)
    vanadium = next(line for line in text.splitlines() if line.startswith("V1 "))
    titanium = vanadium.replace("V1 V5+", "Ti1 Ti4+")
    text = text.replace(vanadium, f"{vanadium} 0.9\n{titanium} 0.1")
    one = read_structure(written(tmp_path, text.replace("3.343", "3.331")))
    assert one.formula_from_sites == "V1.8Ti0.2O5"
    assert one.problems == ()
    assert one.closest > 1.5


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "holds no unit cell"),
        ("data_a\n_chemical_formula_sum 'V2 O5'\n", "holds no unit cell"),
        ("no cif at all", "is no CIF that can be read"),
        (V2O5[: V2O5.index("O3 O2-") + 12], "is no CIF that can be read"),
        (V2O5.replace("11.544(6)", "-11.5"), "its cell is impossible"),
        (V2O5.replace("gamma 90", "gamma 180"), "its cell is impossible"),
        (V2O5.replace("beta 90", "beta 20").replace("alpha 90", "alpha 160"), "impossible"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(FileFormatError, match=match) as caught:
        read_structure(written(tmp_path, text))
    assert str(caught.value).count("\n") == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, len(V2O5)), st.integers(0, 40), st.text("x?()'_. \n0-", max_size=4))
def test_any_damage_ends_in_a_sentence(tmp_path_factory, start: int, n: int, new: str) -> None:
    path = written(tmp_path_factory.mktemp("cif"), V2O5[:start] + new + V2O5[start + n :])
    with contextlib.suppress(ChemoscapeError):
        read_structure(path)


def published(row: dict) -> tuple[list[tuple[str, np.ndarray, float]], str]:
    """Atoms of a row of the American Mineralogist database (32-bit integers, in 1/4,000,000)."""

    def numbers(name: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(row[name]), "<i4") / 4e6

    places = np.stack([numbers(f"atoms_{axis}") for axis in "xyz"], axis=1)
    shares = numbers("atoms_occupancy") if len(row["atoms_occupancy"]) > 1 else None
    atoms = []
    for k, label in enumerate(json.loads(row["atoms_sites"])):
        element = re.match("[A-Z][a-z]?", label)
        share = 1.0 if shares is None else float(shares[k])
        atoms.append((element[0] if element else label, places[k], share))
    return atoms, row["sg"]


def as_cif(row: dict, group: str) -> str:
    cell = "".join(
        f"_cell_{what} {row[name]}\n"
        for what, name in [
            *((f"length_{axis}", axis) for axis in "abc"),
            *((f"angle_{angle}", angle) for angle in ("alpha", "beta", "gamma")),
        ]
    )
    sites = "".join(
        f"{element}{k} {element} {x:.6f} {y:.6f} {z:.6f} {share:.4f}\n"
        for k, (element, (x, y, z), share) in enumerate(published(row)[0])
    )
    loop = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
    loop += "_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n"
    head = f"data_a\n_space_group_name_H-M_alt '{group}'\n"
    head += f"_exptl_crystal_density_diffrn {row['crystal_density']}\n"
    return head + cell + loop + sites


def test_published_cells(tmp_path: Path, data_folder: Path) -> None:
    """Densities that the database prints, from the sites and nothing else."""
    rows = json.loads((data_folder / "crystal" / "amcsd_rows.json").read_text(encoding="utf-8"))
    checked = 0
    for row in rows:
        group = "P m m n :2" if row["sg"] == "P m m n" else row["sg"]
        one = read_structure(written(tmp_path, as_cif(row, group)))
        assert one.volume == pytest.approx(float(row["cell_volume"]), rel=1e-4), row["mineral"]
        tolerance = 0.015 if "H" in row["formula"] else 2e-3  # its hydrogen was not located
        stated = float(row["crystal_density"])
        assert one.density_from_sites == pytest.approx(stated, rel=tolerance), row["mineral"]
        assert not [p for p in one.problems if "choices" not in p], row["mineral"]
        checked += 1
    assert checked >= 9


def test_the_name_alone_leads_astray(tmp_path: Path, data_folder: Path) -> None:
    """The published V2O5 lies on the second origin; its name alone stands for the first."""
    rows = json.loads((data_folder / "crystal" / "amcsd_rows.json").read_text(encoding="utf-8"))
    row = next(row for row in rows if row["sg"] == "P m m n")
    one = read_structure(written(tmp_path, as_cif(row, "P m m n")))
    assert one.density_from_sites == pytest.approx(2 * one.density_stated, rel=2e-3)
    assert any("another origin" in problem for problem in one.problems)


def test_cells_agree_with_gemmi(tmp_path: Path) -> None:
    """Multiplicities against gemmi's own expansion."""
    path = written(tmp_path, V2O5)
    sites = gemmi.read_small_structure(str(path)).get_all_unit_cell_sites()
    mass = sum(site.element.weight for site in sites)
    one = read_structure(path)
    assert one.density_from_sites * N_A * one.volume * 1e-24 == pytest.approx(mass, rel=1e-4)


def blank(**said) -> Standard:
    return Standard("a", "A", 0.0, energy=[510.0, 520.0], spectrum=[0.0, 1.0], **said)


def test_attaching(tmp_path: Path) -> None:
    structure = read_structure(written(tmp_path, V2O5))
    standard = blank()
    one = attach_structure(standard, "cif/a.cif", structure)
    assert one.formula == "V2O5"
    assert one.molar_mass == pytest.approx(181.88, abs=0.01)
    stated = attach_structure(blank(molar_mass=363.76), "cif/a.cif", structure)
    assert (stated.formula, stated.molar_mass) == ("V2O5", 363.76)
    assert one.density == structure.density
    assert one.record.sample.density_source == "cif/a.cif, from formula, Z and cell"
    assert one.record.evidence.cif == "cif/a.cif"
    assert one.record.evidence.space_group == "P m m n :2"
    assert one.record.evidence.lattice == structure.lattice
    assert standard.formula == ""
    assert attach_structure(one, "cif/a.cif", structure).record == one.record
    with pytest.raises(LibraryError, match=r"names the structure 'cif/a\.cif' already"):
        attach_structure(one, "cif/b.cif", structure)


def test_attaching_overwrites_nothing_and_says_what_differs(tmp_path: Path) -> None:
    structure = read_structure(written(tmp_path, V2O5))
    near = blank(formula="V2O5", density=3.4)
    kept = attach_structure(near, "a.cif", structure)  # within 5 %: silent
    assert (kept.density, kept.record.sample.density_source) == (3.4, "")
    with pytest.warns(ChemoscapeWarning) as caught:
        kept = attach_structure(blank(formula="VO2", density=4.3), "a.cif", structure)
    assert (kept.formula, kept.density) == ("VO2", 4.3)
    said = [str(one.message) for one in caught]
    assert len(said) == 2
    assert "its formula is VO2, that of the CIF V2 O5" in said[0]
    assert "its density is 4.300 g/cm3, that of the CIF 3.343 g/cm3" in said[1]
    wrong = read_structure(written(tmp_path, moved(V2O5, (0.1, 0.1, 0))))
    with pytest.warns(ChemoscapeWarning) as caught:
        assert attach_structure(blank(), "a.cif", wrong).density == structure.density
    assert any("another origin" in str(one.message) for one in caught)


def test_formulas_that_differ() -> None:
    assert not differ("Li0.45V2O5", "Li0.45 V2 O5")
    assert differ("LiFePO4", "FePO4")
    assert not differ("V2O5", "Li0.1V2O5")  # 0.4 % of the mass: composition is for the value
    assert not differ("Li0.9V2O5", "V2O5")  # 3.3 %, which diffraction hardly sees
    assert differ("Fe2O3", "Fe3O4")
    assert not differ("Al0.2Fe0.8O1.5", "Al0.23Fe0.77O1.5")
    assert not differ("V2O5", "")


def test_difference_of_formulas_is_one_of_masses() -> None:
    oxygen, vanadium = 15.999, 50.9415
    shares = [2 * vanadium / (2 * vanadium + n * oxygen) for n in (5, 4)]
    found = formula_difference("V2O5", "V2O4")
    assert found == pytest.approx(shares[1] - shares[0], rel=1e-5)
    assert formula_difference("V2O4", "V2O5") == found
    assert formula_difference("V2O5", "Fe") == pytest.approx(1.0)
    assert np.isnan(formula_difference("", "Fe"))


@pytest.mark.parametrize("stated", ["?", "3.343", "1.67"])
def test_formula_and_sites_that_disagree_give_no_density(tmp_path: Path, stated: str) -> None:
    """Z = 1 instead of 2; trusted only where the file states the density that it gives."""
    text = re.sub(r"_exptl_crystal_density\w*.*\n", "", V2O5)
    wrong = re.sub(r"(_cell_formula_units_Z\s+)2", r"\g<1>1", text)
    assert wrong != text
    said = f"_exptl_crystal_density_diffrn {stated}\n_cell_formula_units_Z"
    wrong = wrong.replace("_cell_formula_units_Z", said)
    one = read_structure(written(tmp_path, wrong))
    assert one.density == pytest.approx(3.343 / 2, rel=1e-3)
    assert any("Z may be wrong" in problem for problem in one.problems)
    best = one.best_density[0]
    with pytest.warns(ChemoscapeWarning):
        assert np.isnan(attach_structure(blank(), "a.cif", one).density) == np.isnan(best)
    assert np.isnan(best) == (stated != "1.67")


GSAS = Path(__file__).parents[1] / "crystals" / "gsas2-export.cif"


def test_refinement_of_a_program_with_several_blocks(tmp_path: Path) -> None:
    """What belongs to the phase is found in the blocks that it names."""
    one = read_structure(GSAS)
    assert (one.r_wp, one.goodness_of_fit) == (0.10823, 1.53)
    np.testing.assert_allclose(one.cell_sd[:3], (4e-4, 1.2e-4, 1.5e-4))
    assert (one.formula_from_sites, one.problems) == ("O5V2", ())
    assert one.density == pytest.approx(one.density_stated, abs=1e-3)
    attached = attach_structure(blank(), "cif/a.cif", one).record.evidence
    assert attached.r_wp == 0.10823
    assert attached.lattice.startswith("a = 11.5123(4), b = 3.56480(12), c = 4.37120(15) Å")
    mine = Standard("a", "A", 0.0, energy=[510.0, 520.0], spectrum=[0.0, 1.0])
    mine = attach_structure(
        Standard(
            "a",
            "A",
            0.0,
            energy=[510.0, 520.0],
            spectrum=[0.0, 1.0],
            record=mine.record.with_(r_wp=0.05),
        ),
        "cif/a.cif",
        one,
    )
    assert mine.record.evidence.r_wp == 0.05  # what is known is kept


def test_of_two_patterns_the_phase_takes_its_own(tmp_path: Path) -> None:
    text = GSAS.read_text(encoding="utf-8")
    head, pattern = text.split("data_v2o5_pwd_0")
    other = (
        pattern.split("loop_\n   _pd_meas")[0]
        .replace("0.10823", "0.33")
        .replace("PWDR v2o5.xy", "PWDR other.xy")
    )
    both = written(tmp_path, f"{head}data_other_pwd_1{other}\ndata_v2o5_pwd_0{pattern}")
    assert read_structure(both).r_wp == 0.10823
    per_cent = text.replace("0.10823", "10.823")
    one = read_structure(written(tmp_path, per_cent))
    assert one.r_wp == pytest.approx(0.10823)
    assert any("read as per cent" in problem for problem in one.problems)
    none = read_structure(written(tmp_path, V2O5))
    assert np.isnan([none.r_wp, none.goodness_of_fit]).all()


DIALECTS = {
    # the Materials Project: content of the cell as the sum, Z of the structural formula
    "pymatgen": (("'V2 O5'\n_cell", "'V4 O10'\n_chemical_formula_structural V2O5\n_cell"),),
    "unknown symbols": (("V1 V5+", "V1 ?"), ("O1 O2-", "O1 .")),
    "labels that are other elements": (("O1 O2-", "O1 OS1"), ("V1 V5+", "V1 VAN")),
    "vacancy": (("V1 V5+", "X1 Vac 0.25 0.75 0.5\nV1 V5+"),),
    "operations missing": (("'-x,-y,-z'\n", ""), ("'x+1/2,-y,-z'\n", "")),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_of_other_programs(tmp_path: Path, name: str) -> None:
    """The same crystal, written otherwise: density, formula and distances are the same."""
    text = V2O5
    for old, new in DIALECTS[name]:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "a.cif"
    path.write_text(text, encoding="utf-8")
    found = read_structure(path)
    assert found.density_from_sites == pytest.approx(3.343, abs=2e-3)
    assert found.density == pytest.approx(3.343, abs=2e-3)
    assert found.formula_from_sites == "V2O5"
    said = {
        "vacancy": ("its atoms X1 have no place or no element",),
        "operations missing": ("2 of its symmetry operations are missing, and were added",),
    }
    assert found.problems == said.get(name, ())


@pytest.mark.parametrize("odd", ["x,x,x", "2*x,y,z", "x+y,y,z"])
def test_operations_that_are_none_are_said(tmp_path: Path, odd: str) -> None:
    """One stretches, one flattens, one has no end: none may hang what counts reflections."""
    path = tmp_path / "a.cif"
    path.write_text(V2O5.replace("'-x,-y,-z'", f"'{odd}'"), encoding="utf-8")
    assert "its symmetry operations cannot be read, or are none" in read_structure(path).problems


def test_axes_that_the_cell_tells_are_no_choice(tmp_path: Path) -> None:
    """R groups on hexagonal axes (karelianite) name no origin; deuterium weighs what it does."""
    text = (
        "data_a\n_chemical_formula_sum 'D2 O'\n_cell_formula_units_Z 1\n"
        "_symmetry_space_group_name_H-M 'R -3 c'\n_cell_length_a 4.952\n_cell_length_b 4.952\n"
        "_cell_length_c 14.003\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 120\n"
    )
    path = tmp_path / "a.cif"
    path.write_text(text, encoding="utf-8")
    found = read_structure(path)
    assert found.problems == ()
    volume = 4.952**2 * 14.003 * np.sqrt(0.75)
    assert found.density == pytest.approx(20.0276 / (N_A * volume * 1e-24), rel=1e-4)
