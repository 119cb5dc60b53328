"""XDI: what we write is XDI 1.0, what others write opens."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import FileFormatError
from chemoscape.standards.files import read_xdi, replace_files, xdi_text
from chemoscape.standards.folder import shipped_libraries


@pytest.mark.parametrize("name", ["alpha-V2O5", "delta-Li0.9V2O5"])
def test_shipped_files_follow_the_grammar(name: str) -> None:
    """The grammar of the XDI 1.0 specification, line by line."""
    text = (shipped_libraries()["lixv2o5-model"] / f"{name}.xdi").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert re.fullmatch(r"# XDI/1\.0( \S+/\S+)*", lines[0])
    end_of_fields = lines.index("# ///")
    for line in lines[1:end_of_fields]:
        assert re.fullmatch(r"# [A-Za-z][\w-]*\.[A-Za-z0-9][\w-]*: \S.*", line)
    assert "# Column.1: energy eV" in lines
    assert "# Element.symbol: V" in lines
    assert "# Element.edge: L3" in lines
    end_of_header = next(k for k, line in enumerate(lines) if re.fullmatch(r"#-{3,}", line))
    assert all(line.startswith("#") for line in lines[: end_of_header + 2])
    for line in lines[end_of_header + 2 :]:
        assert re.fullmatch(r"\s*\d+\.\d{3}\s+-?\d\.\d{6}e[+-]\d{2}", line)


def test_round_trip(tmp_path: Path) -> None:
    energy = np.array([510.0, 510.25, 511.0])
    text = xdi_text(
        {"energy": energy, "od": energy / 7, "od_sd": energy * 1e-6},
        {"energy": "eV"},
        {"Element.symbol": "V", "Standard.label": "a: b"},
        "first\nsecond",
    )
    replace_files({tmp_path / "a.xdi": text.encode()})
    again = read_xdi(tmp_path / "a.xdi")
    np.testing.assert_array_equal(again.columns["energy"], energy)
    np.testing.assert_allclose(again.columns["od"], energy / 7, rtol=1e-6)
    assert list(again.columns) == ["energy", "od", "od_sd"]
    assert again.units == {"energy": "eV", "od": "", "od_sd": ""}
    assert again.fields["standard.label"] == "a: b"
    assert again.comments == "first\nsecond"


def test_file_of_others(data_folder: Path) -> None:
    path = data_folder / "spectra_vk" / "v_foil.xdi"
    xdi = read_xdi(path)
    there = np.loadtxt(path)
    for k, name in enumerate(xdi.columns):
        np.testing.assert_array_equal(xdi.columns[name], there[:, k])
    assert xdi.fields["element.symbol"] == "V"
    assert next(iter(xdi.columns)) == "energy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("510 1\n", "does not start with '# XDI/'"),
        ("# XDI/1.0\n#---\n510 1\n511\n", "line 4 has 1 columns"),
        ("# XDI/1.0\n# Column.1: energy\n# Column.2: energy\n#---\n510 1\n", "the same name"),
        ("# XDI/1.0\n#---\n", "no two columns"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.xdi").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_xdi(tmp_path / "a.xdi")
