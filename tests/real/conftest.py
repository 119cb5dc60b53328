"""The authors' end members of the ALS stack as a library folder."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def als(data_folder):
    """Folder of the ALS Fe 2p stack."""
    return data_folder / "als_fe2p" / "71214078"


@pytest.fixture(scope="session")
def als_library(als, tmp_path_factory):
    """Two standards whose variable is the Fe(II) fraction."""
    folder = tmp_path_factory.mktemp("als") / "als-library"
    folder.mkdir()
    for name in ("reduced.t", "oxidized.t"):
        shutil.copy(als / name, folder / name)
    (folder / "library.toml").write_text(
        """
id = "als-fe2p"
name = "Fe 2p end members of stack 71214078"
variable = "Fe(II) fraction"
licence = "MIT"

[[standard]]
id = "reduced"
label = "reduced Fe"
value = 1.0
file = "reduced.t"
source = "Breier et al. 2012, courtesy of B. Toner and M. Marcus"

[[standard]]
id = "oxidised"
label = "oxidised Fe"
value = 0.0
file = "oxidized.t"
source = "Breier et al. 2012, courtesy of B. Toner and M. Marcus"
""",
        encoding="utf-8",
    )
    return folder
