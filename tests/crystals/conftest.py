"""Structures of these tests: published V2O5, and simple ones whose reflections anyone knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from chemoscape.crystals.crystal import Crystal, read_crystal

#: Enjalbert and Galy, Acta Cryst. C42, 1467 (1986), on the second origin of Pmmn.
V2O5 = """\
data_V2O5
_chemical_formula_sum 'V2 O5'
_cell_formula_units_Z 2
_symmetry_space_group_name_H-M 'P m m n :2'
_cell_length_a 11.512(3)
_cell_length_b 3.564(1)
_cell_length_c 4.368(1)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
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


def simple(group: str, cell: str, *atoms: str) -> str:
    """A CIF by the name of the group alone."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    sizes = "".join(f"_cell_{n} {v}\n" for n, v in zip(names, cell.split(), strict=True))
    loop = "".join(f"_atom_site_{n}\n" for n in ("label", "fract_x", "fract_y", "fract_z"))
    rows = "\n".join(atoms)
    return f"data_a\n_space_group_name_H-M_alt '{group}'\n{sizes}loop_\n{loop}{rows}\n"


SIMPLE = {
    "Si": simple("F d -3 m :2", "5.4310 5.4310 5.4310 90 90 90", "Si 0.125 0.125 0.125"),
    "NaCl": simple("F m -3 m", "5.6402 5.6402 5.6402 90 90 90", "Na 0 0 0", "Cl 0.5 0.5 0.5"),
    "rutile": simple(
        "P 42/m n m", "4.5937 4.5937 2.9587 90 90 90", "Ti 0 0 0", "O 0.3053 0.3053 0"
    ),
    "quartz": simple(
        "P 32 2 1", "4.9134 4.9134 5.4052 90 90 120", "Si 0.4699 0 0.6667", "O 0.4141 0.2681 0.7854"
    ),
    "VO2": simple(
        "P 1 21/c 1",
        "5.7517 4.5378 5.3825 90 122.646 90",
        "V 0.23947 0.97894 0.02646",
        "O1 0.10616 0.21185 0.20859",
        "O2 0.40051 0.70258 0.29884",
    ),
    "triclinic": simple("P -1", "5.0 6.0 7.0 80 95 105", "V 0.1 0.2 0.3", "O 0.4 0.3 0.2"),
}


@pytest.fixture
def v2o5(tmp_path: Path) -> Crystal:
    """Published V2O5."""
    path = tmp_path / "v2o5.cif"
    path.write_text(V2O5, encoding="utf-8")
    return read_crystal(path)


@pytest.fixture
def crystal_of(tmp_path: Path):
    """Crystals of the simple structures, by name."""

    def made(name: str) -> Crystal:
        path = tmp_path / f"{name}.cif"
        path.write_text(SIMPLE[name], encoding="utf-8")
        return read_crystal(path)

    return made
