"""Reflections: angles by hand, absences everybody knows, strengths of gemmi and of powder cards."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from chemoscape.crystals.crystal import read_crystal
from chemoscape.crystals.metric import cell_of, components_of, free_components, reciprocal_metric
from chemoscape.crystals.radiation import radiation
from chemoscape.crystals.reflections import (
    DEFAULT_U,
    reflections,
    relative_intensities,
    squared_factors,
)
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FitError, LibraryError

CU = radiation("Cu")


def by_index(found, values) -> dict[tuple[int, ...], float]:
    """Values by indices, signs left out."""
    return {tuple(abs(n) for n in h): float(v) for h, v in zip(found.hkl, values, strict=True)}


def test_silicon_lies_where_the_standard_says(crystal_of):
    """Angles of a = 5.4310 Å at 1.5406 Å as certificates of silicon list them."""
    found = reflections(crystal_of("Si"), 1.0)
    angle = by_index(found, radiation("Cu Ka1").two_theta(found.d))
    times = by_index(found, found.multiplicity)
    for hkl, two_theta, n in (
        ((1, 1, 1), 28.443, 8),
        ((2, 2, 0), 47.303, 12),
        ((3, 1, 1), 56.122, 24),
        ((4, 0, 0), 69.130, 6),
    ):
        key = tuple(sorted(hkl, reverse=True))
        assert angle[key] == pytest.approx(two_theta, abs=0.002)
        assert times[key] == n
    strength = by_index(found, squared_factors(crystal_of("Si"), found, CU))
    assert strength[(2, 2, 2)] < 1e-3 * strength[(1, 1, 1)]  # the glide of diamond: absent
    assert not [h for h in strength if len({n % 2 for n in h}) > 1]  # F: all even or all odd


def test_systematic_absences_and_strengths_of_simple_structures(crystal_of):
    """NaCl: sums and differences of the two ions; rutile: h00 and 00l with odd indices absent."""
    salt = crystal_of("NaCl")
    found = reflections(salt, 1.2)
    strength = by_index(found, squared_factors(salt, found, CU, anomalous=False))
    assert set(strength) >= {(1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1), (2, 2, 2)}
    for hkl, sign in (((2, 0, 0), 1), ((1, 1, 1), -1)):
        s2 = sum(n * n for n in hkl) / (4 * 5.6402**2)
        ions = [gemmi.Element(e).it92.calculate_sf(s2) for e in ("Na", "Cl")]
        wave = np.exp(-8 * np.pi**2 * DEFAULT_U * s2)
        expected = (4 * wave * (ions[0] + sign * ions[1])) ** 2
        assert strength[hkl] == pytest.approx(expected, rel=1e-6)
    found = reflections(crystal_of("rutile"), 0.9)
    present = {tuple(abs(n) for n in h) for h in found.hkl}
    assert (1, 1, 0) in present
    assert (2, 0, 0) in present
    for absent in ((1, 0, 0), (3, 0, 0), (0, 0, 1), (0, 0, 3), (2, 1, 0)[::-1]):
        assert absent not in present
        assert tuple(sorted(absent, reverse=True)) not in present or absent == (0, 1, 2)


@pytest.mark.parametrize("name", ["Si", "NaCl", "rutile", "quartz", "VO2", "triclinic"])
def test_sets_and_multiplicities_are_gemmis(crystal_of, name):
    """The same number of sets, and in each as many planes as the whole sphere holds of them."""
    crystal = crystal_of(name)
    found = reflections(crystal, 1.1)
    group = gemmi.find_spacegroup_by_name(crystal.space_group)
    cell = gemmi.UnitCell(*crystal.cell)
    friedel = gemmi.make_miller_array(cell, group, 1.1, unique=True)
    np.testing.assert_allclose(np.sort(found.d), np.sort(cell.calculate_d_array(friedel)))
    whole = gemmi.make_miller_array(cell, group, 1.1, unique=False)
    assert found.multiplicity.sum() == len(whole)
    np.testing.assert_allclose(found.d, cell.calculate_d_array(found.hkl.astype(np.int32)))


def test_structure_factors_are_gemmis(v2o5, tmp_path):
    structure = gemmi.read_small_structure(str(tmp_path / "v2o5.cif"))
    structure.change_occupancies_to_crystallographic()
    structure.setup_cell_images()
    for site in structure.sites:
        site.u_iso = DEFAULT_U
    peer = gemmi.StructureFactorCalculatorX(structure.cell)
    found = reflections(v2o5, 1.2)
    expected = [
        abs(peer.calculate_sf_from_small_structure(structure, h)) ** 2 for h in found.hkl.tolist()
    ]
    ours = squared_factors(v2o5, found, CU, anomalous=False)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_friedel_mates_are_averaged(crystal_of):
    """Without a centre F(h) and F(-h) differ by f''; the mean of their squares does not."""
    crystal = crystal_of("quartz")
    found = reflections(crystal, 1.5)
    turned = type(found)(-found.hkl, found.multiplicity, found.d)
    cr = radiation("Cr")
    np.testing.assert_allclose(
        squared_factors(crystal, found, cr), squared_factors(crystal, turned, cr), rtol=1e-10
    )


def test_pattern_of_v2o5_is_that_of_its_powder_card(v2o5):
    """Strong lines of shcherbinaite: (001) first, (110) next; angles by hand from the cell."""
    found = reflections(v2o5, 1.9)
    strength = by_index(found, relative_intensities(v2o5, found, CU))
    angle = by_index(found, CU.two_theta(found.d))
    a, b, c = v2o5.cell[:3]
    for h, k, m in ((2, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 0), (4, 0, 0), (3, 1, 0)):
        d = 1 / np.sqrt((h / a) ** 2 + (k / b) ** 2 + (m / c) ** 2)
        by_hand = 2 * np.degrees(np.arcsin(1.540593 / 2 / d))
        assert angle[(h, k, m)] == pytest.approx(by_hand, abs=1e-9)
    for hkl, card in (((0, 0, 1), 20.26), ((1, 0, 1), 21.71), ((1, 1, 0), 26.13)):
        assert angle[hkl] == pytest.approx(card, abs=0.1)  # of a cell 0.1 % larger
    order = sorted(strength, key=strength.get, reverse=True)
    assert order[:2] == [(0, 0, 1), (1, 1, 0)]
    assert set(order[2:8]) == {(2, 0, 0), (4, 0, 0), (1, 0, 1), (3, 0, 1), (3, 1, 0), (0, 1, 1)}
    relative = 100 * strength[(1, 1, 0)] / strength[(0, 0, 1)]
    assert 70 < relative < 100  # 90 on the card, whose flakes lie flat


@pytest.mark.parametrize(
    ("name", "n"),
    [("Si", 1), ("rutile", 2), ("quartz", 2), ("VO2", 4), ("triclinic", 6)],
)
def test_symmetry_leaves_as_many_components_as_its_system(crystal_of, name, n):
    crystal = crystal_of(name)
    basis = free_components(crystal.rotations)
    assert len(basis) == n
    values = components_of(crystal, basis)
    np.testing.assert_allclose(
        np.tensordot(values, basis, axes=1), reciprocal_metric(crystal.cell), atol=1e-12
    )
    np.testing.assert_allclose(cell_of(np.tensordot(values, basis, axes=1)), crystal.cell)


def test_a_cell_without_its_symmetry_is_refused(crystal_of):
    bad = crystal_of("Si").with_cell((5.431, 5.5, 5.431, 90, 90, 90))
    with pytest.raises(FitError, match="does not have the symmetry"):
        components_of(bad, free_components(bad.rotations))


def test_what_cannot_be_had(crystal_of, tmp_path):
    with pytest.raises(FitError, match="reflections down to"):
        reflections(crystal_of("triclinic"), 0.01)
    bare = tmp_path / "bare.cif"
    bare.write_text("data_a\n_cell_length_a 5\n_cell_length_b 5\n_cell_length_c 5\n")
    crystal = read_crystal(bare)
    with pytest.raises(LibraryError, match="lists no atoms"):
        squared_factors(crystal, reflections(crystal, 2.0), CU)
    for name in ("Xx", "3000", "-1"):
        with pytest.raises(ChemoscapeError, match=r"unknown|wavelengths"):
            radiation(name)


def test_radiation_by_name_and_wavelength():
    assert radiation("cu k-alpha").is_doublet
    assert not radiation("Cu Kα1").is_doublet
    assert radiation(1.54187).wavelengths == CU.wavelengths  # the mean names the doublet
    assert radiation(1.5406).name == "Cu Kα1"
    assert radiation("0.4137").polarised
    with pytest.warns(ChemoscapeWarning, match="write Cu if the tube is meant"):
        assert radiation(1.54).polarised
    assert np.isnan(radiation("Mo").two_theta(np.array([0.1]))).all()


def test_a_crystal_written_as_cif_is_read_as_it_was(v2o5, tmp_path):
    path = tmp_path / "again.cif"
    path.write_text(v2o5.cif("a comment"), encoding="utf-8")
    again = read_crystal(path)
    np.testing.assert_allclose(again.cell, v2o5.cell)
    np.testing.assert_allclose(again.cell_sd, v2o5.cell_sd)
    assert again.structure.problems == ()
    assert again.structure.formula_from_sites == "V2O5" or again.structure.z == 2
    for one, other in zip(again.sites, v2o5.sites, strict=True):
        assert (one.label, one.element) == (other.label, other.element)
        np.testing.assert_allclose(one.place, other.place, atol=1e-9)
        np.testing.assert_allclose(one.place_sd, other.place_sd)
