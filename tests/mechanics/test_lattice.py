"""Lattice tables: strain along each axis, steps, ends, files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemoscape.errors import FileFormatError, MaterialError
from chemoscape.mechanics.lattice import Lattice, read_lattice
from chemoscape.mechanics.material import Material, largest_strain

#: Made up, with a step at x = 0.2: the first row there is the one below it.
TABLE = Lattice(
    (0.0, 0.2, 0.2, 0.6),
    (11.5, 11.4, 11.0, 10.8),
    (3.5, 3.6, 3.7, 3.7),
    (4.0, 4.1, 4.5, 4.6),
    phase=("alpha", "alpha", "epsilon", "epsilon"),
)
CSV = """# made up
x, a, b, c, phase
0.0, 11.5, 3.5, 4.0, alpha
0.2, 11.4, 3.6, 4.1, alpha
0.2, 11.0, 3.7, 4.5, epsilon

0.6, 10.8, 3.7, 4.6, epsilon
"""
TOML = """axes = ["b", "a", "c"]
source = "a notebook"
status = "measured"
row = [
  {x = 0, a = 11.5, b = 3.5, c = 4.0, phase = "alpha"},
  {x = 0.2, a = 11.4, b = 3.6, c = 4.1, phase = "alpha"},
  {x = 0.2, a = 11.0, b = 3.7, c = 4.5, phase = "epsilon"},
  {x = 0.6, a = 10.8, b = 3.7, c = 4.6, phase = "epsilon"},
]
"""


def test_rows_are_met_and_lines_join_them():
    for row in (0, 1, 3):  # the third row holds only above its x
        wanted = [TABLE.a[row], TABLE.b[row], TABLE.c[row]]
        assert TABLE.cell(TABLE.x[row]).tolist() == wanted
    np.testing.assert_allclose(TABLE.cell(0.05), [11.475, 3.525, 4.025], rtol=1e-14)
    np.testing.assert_allclose(TABLE.cell([[0.3], [0.5]])[0], [[10.95], [10.85]], rtol=1e-14)


def test_the_step_is_kept_and_belongs_to_the_side_below():
    below, above = TABLE.cell([0.2, np.nextafter(0.2, 1)]).T
    np.testing.assert_allclose(below, [11.4, 3.6, 4.1], rtol=1e-14)
    np.testing.assert_allclose(above, [11.0, 3.7, 4.5], rtol=1e-12)
    assert TABLE.strain(0.2, reference=0.2).tolist() == [0.0, 0.0, 0.0]


def test_strain_counts_from_the_cell_at_the_reference():
    """a contracts, b expands; from another reference all lengths divide by another cell."""
    from_empty, from_full = TABLE.strain(0.6, 0.0), TABLE.strain(0.0, 0.6)
    np.testing.assert_allclose(from_empty, [10.8 / 11.5 - 1, 3.7 / 3.5 - 1, 4.6 / 4 - 1])
    np.testing.assert_allclose((1 + from_empty) * (1 + from_full), 1.0)
    turned = dataclasses.replace(TABLE, axes=("c", "a", "b"))
    np.testing.assert_array_equal(turned.strain(0.6, 0.0), from_empty[[2, 0, 1]])


@given(st.floats(0.0, 0.6), st.floats(0.0, 0.6))
def test_every_cell_lies_between_those_of_the_table(x, reference):
    for length, column in zip(TABLE.cell(x), (TABLE.a, TABLE.b, TABLE.c), strict=True):
        assert min(column) - 1e-12 <= length <= max(column) + 1e-12
    assert np.abs(TABLE.strain(reference, reference)).max() == 0.0


def test_beyond_the_table_nothing_is_guessed():
    material = Material(43.0, 0.3, TABLE, reference=0.1)
    for x in (-0.01, 0.61, np.inf):
        with pytest.raises(MaterialError, match=r"outside its range 0 to 0\.6"):
            material.axis_strain([0.1, x, 0.3])
    # rounding is no reason to stop
    np.testing.assert_array_equal(TABLE.cell([-1e-9, 0.6 + 1e-9]), TABLE.cell([0.0, 0.6]))
    assert np.isnan(TABLE.cell([np.nan, 0.1])).tolist() == [[True, False]] * 3
    with pytest.raises(MaterialError, match=r"composition 0\.7 lies outside"):
        Material(43.0, 0.3, TABLE, reference=0.7)


def test_a_material_of_a_table():
    material = Material(43.0, 0.3, TABLE, reference=0.0, angle_deg=90.0)
    xi, eta, across = material.axis_strain(0.6)
    np.testing.assert_allclose(material.image_strain(0.6), [eta, xi, 0.0, across], atol=1e-15)
    assert largest_strain(material, [0.0, 0.6, np.nan]) == pytest.approx(0.15)
    with pytest.raises(MaterialError, match="differs between the axes"):
        material.strain(0.3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": (0.0, 0.3, 0.2, 0.6)}, "x falls from 0.3 to 0.2 in row 3"),
        ({"x": (0.0, 0.2, 0.2, 0.2)}, "three rows have x = 0.2"),
        ({"x": (0.0, 0.0, 0.2, 0.6)}, "other side"),
        ({"x": (0.0, 0.2, 0.6, 0.6)}, "other side"),
        ({"b": (3.5, 3.6, 3.7)}, r"columns have \[3, 4\] values"),
        ({"a": (11.5, 11.4, -11.0, 10.8)}, "a has a value that is not positive"),
        ({"c": (4.0, 4.1, float("nan"), 4.6)}, "column c"),
        ({"c": (4.0, 4.1, "4,5", 4.6)}, "column c"),
        ({"phase": ("alpha",)}, "1 phases for 4 rows"),
        ({"axes": ("a", "a", "c")}, "axes are"),
        ({"status": "literature"}, "need their source"),
        ({"status": "guess"}, "guess"),
    ],
)
def test_impossible_tables(change, match):
    with pytest.raises(MaterialError, match=match):
        dataclasses.replace(TABLE, **change)


def test_one_row_is_no_table():
    with pytest.raises(MaterialError, match="two or more rows"):
        Lattice((0.1,), (11.5,), (3.5,), (4.0,))


def test_tables_in_files(tmp_path):
    csv, toml = tmp_path / "cells.csv", tmp_path / "cells.TOML"
    csv.write_text(CSV, encoding="utf-8-sig")
    toml.write_text(TOML, encoding="utf-8")
    assert read_lattice(csv) == TABLE
    evidence = {"axes": ("b", "a", "c"), "source": "a notebook", "status": "measured"}
    assert read_lattice(csv, **evidence) == dataclasses.replace(TABLE, **evidence)
    assert read_lattice(toml) == dataclasses.replace(TABLE, **evidence)
    assert read_lattice(toml, status="illustrative").status == "illustrative"


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("t.csv", "x,a,b\n0,1,1\n1,1,1\n", "columns x, a, b, which differ in c"),
        ("t.csv", "x,a,b,c\n0,1,1,1\n1,1,1\n", "column c"),
        ("t.csv", "x,a,b,c\n0,1,1,1\n1,1,1,1,1\n", "row 2 has the columns"),
        ("t.csv", "x;a;b;c\n0;1;1;1\n", "row 1 has the columns"),
        ("t.csv", "", "two or more rows"),
        ("t.toml", "row = 3", "holds no rows"),
        ("t.toml", "rows = []", "unknown keys rows"),
        ("t.toml", "row = [", "no TOML"),
        ("t.toml", 'status = "measured"\nrow = [{x=0,a=1,b=1,c=1}]', "need their source"),
        ("t.txt", "x a b c", "end in .csv or .toml"),
    ],
)
def test_files_that_hold_no_table(tmp_path, name, content, match):
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    with pytest.raises(MaterialError, match=match) as caught:
        read_lattice(file)
    assert caught.value.where == str(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileFormatError):
        read_lattice(tmp_path / "none.csv")
