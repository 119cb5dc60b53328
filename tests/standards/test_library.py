"""Libraries: from arrays, from folders, and what is refused in which words."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError, LibraryError
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import Record


def line(name: str, slope: float, low: float = 500, high: float = 520, **more: object) -> Standard:
    energy = np.linspace(low, high, 41)
    return Standard(name, name.upper(), slope, energy, slope * (energy - 500), **more)  # type: ignore[arg-type]


def two(**more: object) -> Library:
    return Library("two", "Two lines", "slope", (line("a", 1.0), line("b", 2.0)), **more)  # type: ignore[arg-type]


def folder(tmp_path: Path, toml: str | None = None) -> Path:
    (tmp_path / "spectra").mkdir()
    (tmp_path / "spectra" / "red (1).txt").write_text("% energy od\n700; 0.1\n710; 1.2\n720; 0.8\n")
    (tmp_path / "oxi.xdi").write_text(
        "# XDI/1.0 other/1\n# Column.1: energy eV\n# Column.2: mu_mass cm2/g\n"
        "# Sample.density: 5.2 g/cm3\n"
        "# Sample.stoichiometry: Fe2 O3\n# Standard.label: rust\n# Standard.value: 0\n#---\n"
        "702 10\n712 90\n722 50\n"
    )
    text = """
id = "iron"
name = "Iron"
variable = "Fe(II) fraction"
scale = "mass_absorption"
[[standard]]
id = "reduced"
value = 1
value_sd = 0.02
file = "spectra/red (1).txt"
formula = "FeO"
[[standard]]
id = "oxidised"
file = "oxi.xdi"
"""
    (tmp_path / "library.toml").write_text(text if toml is None else toml)
    return tmp_path


# --- from arrays ---


def test_spectra_are_interpolated_where_the_library_has_them() -> None:
    spectra = two().spectra([505.0, 510.1], shift=-0.4)  # the file's 505.0 is the library's 505.4
    assert spectra.dims == ("standard", "energy")
    assert spectra.standard.values.tolist() == ["a", "b"]
    np.testing.assert_allclose(spectra, [[5.4, 10.5], [10.8, 21.0]])
    np.testing.assert_array_equal(spectra.energy, [505.0, 510.1])


def test_shift_has_the_sign_of_the_stack() -> None:
    """A feature of the library at 517.0, found at 516.6 in the stack, is a shift of -0.4."""
    energy = np.arange(500, 530, 0.05)
    feature = np.exp(-np.abs(energy - 517) / np.where(energy < 517, 0.5, 2.0))  # asymmetric
    library = Library("p", "p", "x", (Standard("p", "p", 0.0, energy, feature),))
    axis = np.arange(510, 525, 0.05)
    shifted = library.spectra(axis, shift=-0.4).values[0]
    assert axis[shifted.argmax()] == pytest.approx(516.6, abs=1e-6)


def test_energies_outside_are_refused() -> None:
    library = two()
    np.testing.assert_array_equal(
        library.covers([499.0, 500.0, 520.0009, 521.0]), [False, True, True, False]
    )
    library.spectra([500.0005 - 1e-3, 520.0])
    with pytest.raises(
        LibraryError,
        match=r"library 'two': covers 500.00 to 520.00 eV \(shifted by -0.400 eV\), the stack "
        r"runs from 505.00 to 520.00 eV: 1 of 2 energies lie outside; drop",
    ):
        library.spectra([505.0, 520.0], shift=-0.4)


def test_properties() -> None:
    library = two()
    assert library.names == ["a", "b"]
    assert library.labels == ["A", "B"]
    assert library.energy_range == library.energy_window == (500, 520)
    assert np.isnan(library.molar_mass).all()
    assert not library.mass_scale
    assert not library.synthetic
    assert library.kind == "measured"
    assert "2 standards" in str(library)
    assert library.select("b").values.tolist() == [2.0]
    assert library.select("b", "a").names == ["b", "a"]


def test_common_range_of_standards() -> None:
    library = Library("c", "c", "x", (line("a", 1, 500, 515), line("b", 2, 505, 520)))
    assert library.energy_range == (505, 515)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energy": [510.0, 509.0]}, r"has 509.000 eV after 510.000 eV; sort its rows"),
        ({"energy": [510.0, 510.0]}, "has 510.000 eV after 510.000"),
        ({"spectrum": [1.0, np.nan]}, "not finite"),
        ({"spectrum": [1.0]}, "2 energies and 1 values"),
        ({"value": np.inf}, "has a value of inf"),
        ({"optical_density": [1.0]}, "optical_density is of another length"),
        ({"record": Record().with_(status="fine")}, "status is 'fine'; use one of draft, reviewed"),
        ({"scale": "mass"}, "scale is 'mass'; use one of mass_absorption, optical_density"),
        ({"kind": "guess"}, "kind is 'guess'"),
        ({"density": -1.0}, "density of -1"),
        ({"spectrum_sd": [1.0]}, "of another length"),
        ({"id": ""}, "has no id"),
    ],
)
def test_impossible_standards(changes: dict[str, object], message: str) -> None:
    fields = {"id": "a", "label": "A", "value": 0.0, "energy": [510.0, 511.0], "spectrum": [0, 1.0]}
    with pytest.raises(LibraryError, match=message):
        Standard(**{**fields, **changes})  # type: ignore[arg-type]


def test_impossible_libraries() -> None:
    with pytest.raises(LibraryError, match="holds no standard"):
        Library("n", "n", "x", ())
    with pytest.raises(LibraryError, match="two standards have the id 'a'"):
        Library("n", "n", "x", (line("a", 1), line("a", 2)))
    with pytest.raises(LibraryError, match=r"mixes spectra in cm2/g .* \('b' differs from 'a'\)"):
        Library("n", "n", "x", (line("a", 1), line("b", 2, scale="mass_absorption")))
    with pytest.raises(LibraryError, match=r"no standard 'aa'; it holds a, b; did you mean 'a'"):
        two().select("aa")
    with pytest.raises(LibraryError, match="energy window runs from 510 to 505"):
        two(energy_window=(510, 505))


def test_standards_of_different_edges() -> None:
    """Kept in one library, and refused where they would be fitted together."""
    apart = Library("n", "n", "x", (line("a", 1, 500, 510), line("b", 2, 515, 520)))
    assert apart.energy_window is None
    assert "of different edges" in str(apart)
    assert apart.select("b").energy_window == (515, 520)
    for use in (lambda: apart.energy_range, lambda: apart.spectra([505.0])):
        with pytest.raises(LibraryError, match="no energy range in common; select standards"):
            use()


# --- from folders ---


@pytest.mark.parametrize("what", ["", "library.toml"])
def test_a_folder_of_ones_own(tmp_path: Path, what: str) -> None:
    library = open_library(folder(tmp_path) / what)
    assert library.names == ["reduced", "oxidised"]
    assert library.labels == ["reduced", "rust"]
    np.testing.assert_array_equal(library.values, [1, 0])
    assert library.standards[0].value_sd == 0.02
    assert library.mass_scale
    assert library.energy_range == (702, 720)
    np.testing.assert_allclose(library.molar_mass, [71.844, 159.688], atol=2e-3)
    assert np.isnan(library.density[0])
    assert library.density[1] == 5.2
    np.testing.assert_array_equal(library.standards[1].spectrum, [10, 90, 50])
    assert library.standards[1].metadata == {}  # all that its header says has a place
    assert library.folder == tmp_path.resolve()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('file = "oxi.xdi"', 'file = "../oxi.xdi"', "the file of standard 'oxidised'"),
        ('file = "oxi.xdi"', 'file = "no.xdi"', r"'no.xdi', there is no such file.*relative to"),
        ('file = "oxi.xdi"', 'fil = "oxi.xdi"', "unknown key 'fil'; did you mean 'file'"),
        ('file = "oxi.xdi"', 'file = "oxi.xdi"\nsha256 = "00"', "the file was changed"),
        ("value = 1", 'value = "one"', "'value' is 'one', not a number"),
        ('formula = "FeO"', 'formula = "Xy2"', "the formula 'Xy2' cannot be read"),
        ("[[standard]]", "[[standart]]", "unknown key 'standart'; did you mean 'standard'"),
        ('id = "oxidised"', 'id = "reduced"', "two standards have the id 'reduced'"),
        ('id = "iron"', "id = 3", "'id' is 3, not a text"),
        ('id = "iron"', 'id = "iron', "is not valid TOML"),
        ('id = "iron"', "energy_window = [700]", "'energy_window' is"),
        ('id = "reduced"', 'scale = "optical_density"', "mixes spectra in cm2/g"),
        ('id = "oxidised"', 'scale = "optical_density"', "its spectrum a column 'mu_mass'"),
    ],
)
def test_wrong_folders(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = folder(tmp_path) / "library.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(LibraryError, match=message):
        open_library(tmp_path)


def test_standard_that_leads_out_by_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "library"
    inside.mkdir()
    folder(inside)
    (inside / "oxi.xdi").rename(tmp_path / "elsewhere.xdi")
    (inside / "oxi.xdi").symlink_to(tmp_path / "elsewhere.xdi")
    with pytest.raises(LibraryError, match="leads out of the folder"):
        open_library(inside)


def test_no_library() -> None:
    with pytest.raises(LibraryError, match="no library 'lixv2o5'; use a shipped one"):
        open_library("lixv2o5")
    with pytest.raises(FileFormatError, match="there is no such file or folder"):
        open_library(Path("no/such/folder"))


def test_folder_without_toml(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"holds no library\.toml"):
        open_library(tmp_path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_a_library_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path if (tmp_path / "spectra").exists() else folder(tmp_path)
    victim = path / data.draw(st.sampled_from(["library.toml", "oxi.xdi", "spectra/red (1).txt"]))
    whole = victim.read_bytes()
    content = bytearray(whole)
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    victim.write_bytes(bytes(content))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)  # a doubt is an answer too
            open_library(path)
    except ChemoscapeError:
        pass
    finally:
        victim.write_bytes(whole)


# --- formulas ---


@pytest.mark.parametrize(
    ("formula", "mass"), [("V2O5", 181.879), ("Li0.45V2O5", 185.002), ("LiFePO4", 157.757)]
)
def test_molar_mass(formula: str, mass: float) -> None:
    assert molar_mass(formula) == pytest.approx(mass, abs=5e-3)


def test_molar_mass_of_nothing() -> None:
    assert np.isnan(molar_mass(""))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("alpha-V2O5", "alpha-V2O5"), "selected twice; name it once"),
        ((), "no standard is selected"),
        ((["alpha-V2O5"],), "selected by their ids"),
        ((0,), "selected by their ids"),
    ],
)
def test_wrong_selections(names: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LibraryError, match=message):
        open_library("lixv2o5-model").select(*names)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e200])
def test_a_spectrum_without_a_size(scale: float) -> None:
    with pytest.raises(LibraryError, match="zero, or absurdly"):
        Standard("a", "A", 0.0, energy=[1.0, 2.0], spectrum=np.full(2, scale))  # type: ignore[arg-type]


def test_negative_error_of_a_value() -> None:
    with pytest.raises(LibraryError, match="value_sd of -1"):
        Standard("a", "A", 0.0, energy=[1.0, 2.0], spectrum=[1.0, 2.0], value_sd=-1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("given_wrongly", [None, 3, ["a"]])
def test_what_is_no_library(given_wrongly: Any) -> None:
    with pytest.raises(ChemoscapeError, match="expected the path"):
        open_library(given_wrongly)
    with pytest.raises(LibraryError, match="not a Standard"):
        Library("a", "A", "x", (given_wrongly,))
