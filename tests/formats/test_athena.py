"""Athena projects: a real one against its own text, both flavours, shifts, and every damage."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import open_spectra
from chemoscape.formats.spectra import read_spectrum

GRID = [5465.0, 5465.5, 5466.0]


def record(key: str, label: str, x: list[float], y: list[float], **args: object) -> dict:
    return {"key": key, "args": {"label": label, "titles": ["a", "b)"], **args}, "x": x, "y": y}


RECORDS = [
    record("aa", "V2O5; 'rim'", GRID, [0.1, 0.2, 0.3], bkg_eshift=0, bkg_z="V", fft_edge="k"),
    record("bb", "VO2", [5465.0, 5466.0], [1.0, 2.0], bkg_eshift="0.35", bkg_z="V", fft_edge="k"),
    record("cc", "chi of it", [0.0, 0.05, 0.1], [9.0, 9.0, 9.0], is_chi=1),
    record("dd", "V2O3", GRID, [0.4, 0.5, 0.6], is_chi="", bkg_z="V", fft_edge="k"),
    record("ee", "VO2", [*GRID[::-1], 5465.0], [3.0, 2.0, 1.0, 8.0], bkg_z="V", fft_edge="k"),
]


def quoted(value: object) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(quoted, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def perl(records: list[dict]) -> str:
    """A project as Athena writes it, built from the published layout."""
    lines = ["# Athena project file -- Demeter version 0.9.24", "# This file created at …", ""]
    for one in records:
        pairs = [f"'{key}',{quoted(value)}" for key, value in one["args"].items()]
        lines += [
            f"$old_group = '{one['key']}';",
            f"@args = ({','.join(pairs)},'is_fit',undef);",
            *(
                f"@{name} = ({','.join(quoted(str(v)) for v in one[name])});"
                for name in "xy"
                if name in one
            ),
            "@i0 = ('1','2','3');",
            "@signal = ();",
            "[record]   # create object and set arrays in ifeffit",
            "",
        ]
    return "\n".join([*lines, "@journal = ('@x = (1);');", "", "1;", "", "# End:", ""])


def as_json(records: list[dict]) -> str:
    content: dict = {
        "_____emacs_mode": "-*- mode: json -*-",
        "_____header1": "# Athena project file -- Demeter version 0.9.26",
        "_____journal": ["text"],
    }
    for one in reversed(records):
        content[one["key"]] = {name: one[name] for name in ("args", "x", "y") if name in one}
    content["_____order"] = [one["key"] for one in records] + ["gone"]
    return json.dumps(content)


def saved(folder: Path, text: str, packed: bool = False) -> Path:
    content = text.encode()
    (folder / "a b.prj").write_bytes(gzip.compress(content) if packed else content)
    return folder / "a b.prj"


def test_real_project(data_folder: Path) -> None:
    path = data_folder / "spectra_vk" / "Vglasses.prj"
    text = gzip.decompress(path.read_bytes()).decode()
    labels = re.findall(r"'label','([^']*)'", text)
    x, y = (
        [
            np.array(re.findall(r"[-\d.e]+", row), float)
            for row in re.findall(rf"@{k} = (.*);", text)
        ]
        for k in "xy"
    )
    assert len(labels) == len(x) == len(y) == 28
    with pytest.warns(ChemoscapeWarning, match="28 spectra lie on 14 different energy axes; 10"):
        spectra = open_spectra(path)
    first = [k for k in range(28) if x[k].shape == x[0].shape and np.array_equal(x[k], x[0])]
    assert spectra["spectrum"].values.tolist() == [labels[k] for k in first]
    np.testing.assert_array_equal(spectra["energy"], x[0])
    np.testing.assert_array_equal(spectra, [y[k] for k in first])
    assert spectra.attrs["element"] == "V"
    assert spectra.attrs["edge"] == "K"
    for k in range(28):
        one = open_spectra(path, region=k)
        order = np.argsort(x[k], kind="stable")
        np.testing.assert_array_equal(one["energy"], x[k][order])
        np.testing.assert_array_equal(one[0], y[k][order])
        assert one["spectrum"].item() == labels[k]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("flavour", [perl, as_json])
def test_flavours(tmp_path: Path, flavour, packed: bool) -> None:
    path = saved(tmp_path, flavour(RECORDS), packed)
    with pytest.warns(ChemoscapeWarning) as said:
        spectra = open_spectra(path)
    assert [str(one.message).split("prj: ")[1] for one in said] == [
        "1 records not over energy are left out: chi of it",
        "its 4 spectra lie on 2 different energy axes; 3 that share one were opened, without VO2; "
        "region = … opens one of them",
    ]
    assert spectra["spectrum"].values.tolist() == ["V2O5; 'rim'", "V2O3", "VO2 (2)"]
    np.testing.assert_array_equal(spectra["energy"], GRID)
    np.testing.assert_array_equal(spectra, [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [1, 2, 3]])
    assert spectra.attrs["layout"] == "Athena project"
    assert spectra.attrs["edge"] == "K"


@pytest.mark.parametrize("flavour", [perl, as_json])
@pytest.mark.parametrize("wish", [{"region": "VO2"}, {"region": 1}, {"channel": "vo2"}])
def test_one_record_and_its_shift(tmp_path: Path, flavour, wish: dict) -> None:
    path = saved(tmp_path, flavour(RECORDS))
    with pytest.warns(ChemoscapeWarning, match=r"energy shifts are added: VO2 \+0\.350 eV"):
        spectra = open_spectra(path, **wish)
    np.testing.assert_allclose(spectra["energy"], [5465.35, 5466.35], rtol=1e-12)
    np.testing.assert_array_equal(spectra, [[1, 2]])
    assert spectra.attrs[next(iter(wish))] == "VO2"


def test_no_record_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(
        FileFormatError, match="no region 'V'; choose one of V2O5; 'rim', VO2, V2O3"
    ):
        open_spectra(saved(tmp_path, perl(RECORDS)), region="V")


def test_first_record_as_one_spectrum(tmp_path: Path) -> None:
    energy, values = read_spectrum(saved(tmp_path, perl(RECORDS[:1])))
    np.testing.assert_array_equal(energy, GRID)
    np.testing.assert_array_equal(values, [0.1, 0.2, 0.3])


def test_shifts_decide_about_common_energies(tmp_path: Path) -> None:
    pair = [record("a", "A", GRID, [1, 2, 3]), record("b", "B", GRID, [4, 5, 6], bkg_eshift=-1)]
    with pytest.warns(ChemoscapeWarning, match="2 different energy axes; 1 that share one"):
        assert open_spectra(saved(tmp_path, perl(pair))).shape == (1, 3)
    pair[0]["args"]["bkg_eshift"] = -1
    with pytest.warns(ChemoscapeWarning, match=r"A -1\.000 eV, B -1\.000 eV"):
        spectra = open_spectra(saved(tmp_path, perl(pair)))
    np.testing.assert_array_equal(spectra["energy"], np.array(GRID) - 1)


def test_records_in_keV(tmp_path: Path) -> None:
    one = record("a", "A", [5.465, 5.466], [1, 2], is_kev=1)
    np.testing.assert_allclose(open_spectra(saved(tmp_path, perl([one])))["energy"], [5465, 5466])
    one = record("a", "A", GRID, [1, 2, 3], is_kev=1)  # stored in eV all the same
    np.testing.assert_array_equal(open_spectra(saved(tmp_path, perl([one])))["energy"], GRID)


def test_texts_of_perl(tmp_path: Path) -> None:
    text = perl([record("a", "A", GRID, [1, 2, 3])]).replace(
        "'label','A'", r"""'label',"\x{e9}t\"e",'h',{'x' => ['),',1]},'bkg_eshift',0"""
    )
    assert open_spectra(saved(tmp_path, text))["spectrum"].item() == 'ét"e'


def test_nothing_is_run(tmp_path: Path) -> None:
    """Perl and shell in any place stay text."""
    canary = tmp_path / "canary"
    for code in (
        f"system('touch {canary}');",
        f"`touch {canary}`;",
        f"__import__('os').mkdir('{canary}')",
    ):
        text = (
            perl(RECORDS[:1])
            .replace("'label',", f"'label',{code!r}.")
            .replace("@i0", code + "\n@i0")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            with contextlib.suppress(FileFormatError):
                open_spectra(saved(tmp_path, text))
        assert not canary.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("@y", "@z"), "record \"V2O5; 'rim'\" has 3 energies and 0 values"),
        (lambda t: t.replace("'0.2',", ""), "has 3 energies and 2 values; the file is truncated"),
        (
            lambda t: t.replace("'0.2'", "'a'"),
            "@y of a record holds something that is not a number",
        ),
        (lambda t: t.replace("@x = (", "@x = "), "line 6: @x is no list of numbers"),
        (lambda t: t.replace("[],", "").split("[record]")[0], "ends inside record"),
        (lambda t: t.replace("'label'", "'label"), "is never closed|no records|ends before it"),
        (lambda t: t.replace("'bkg_eshift',0", "'bkg_eshift','x'"), "a shift that is no number"),
        (lambda t: t.split("$old")[0], "holds no records"),
        (lambda t: t.replace("'bkg_eshift',0", "'is_chi',1"), "only records over k, R or pixels"),
    ],
)
def test_damage_is_named(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_spectra(saved(tmp_path, change(perl(RECORDS[:1]))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"_____header1": "# Athena project file -- x", "a": ' + "[" * 5000,
            "not readable as JSON",
        ),
        ('{"_____header1": "# Athena project file -- x", "a": 1}', "holds no records"),
        (as_json(RECORDS[:1]).replace("0.2", "true"), "has 3 energies and 2 values"),
        (as_json(RECORDS[:1]).replace("0.2", "[]"), "something that is not a number"),
        (as_json(RECORDS[:1]).replace("0.2", "1" * 400), "something that is not a number"),
        (as_json([record(str(k), "a", [float(k)], [1.0]) for k in range(2001)]), "2001 spectra"),
    ],
)
def test_damage_of_json(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_spectra(saved(tmp_path, text))


PIECES = [
    *("'", '"', "\\", "(", ")", "[", "]", ",", ";", "{", "=>", "undef", "\\x{110000}"),
    *("\n@x = ", "\n@y = ", "\n@args = ", "\n[record]", "\n$old_group = "),
    *("'1'", "'2'", "'label'", "'bkg_eshift'", "1e999", "nan"),
]
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def opens_or_refuses(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            spectra = open_spectra(path)
        except ChemoscapeError:
            return
    assert np.isfinite(spectra["energy"]).all()
    assert (np.diff(spectra["energy"]) > 0).all()


@FUZZ
@given(
    st.sampled_from([perl(RECORDS), as_json(RECORDS)]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(32, 127)), max_size=4),
    st.integers(0, 10_000),
)
def test_fuzz_damage(tmp_path: Path, text: str, changes: list, length: int) -> None:
    content = bytearray(text.encode())
    for place, value in changes:
        content[60 + place % (len(content) - 60)] = value
    opens_or_refuses(saved(tmp_path, content[: 60 + length % len(content)].decode("latin-1")))


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_fuzz_grammar(tmp_path: Path, pieces: list[str]) -> None:
    opens_or_refuses(saved(tmp_path, "# Athena project file -- x\n" + "".join(pieces)))


@settings(FUZZ, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000))
def test_fuzz_gzip(tmp_path: Path, place: int, value: int, length: int) -> None:
    content = bytearray(gzip.compress(perl(RECORDS).encode()))
    content[place % len(content)] = value
    path = tmp_path / "a.prj"
    path.write_bytes(content[: length % (len(content) + 1)])
    opens_or_refuses(path)
