"""The authors' end members of the ALS stack as a library folder."""

from __future__ import annotations

import pytest

from chemoscape.cli import main


@pytest.fixture(scope="session")
def als(data_folder):
    """Folder of the ALS Fe 2p stack."""
    return data_folder / "als_fe2p" / "71214078"


@pytest.fixture(scope="session")
def als_library(als, tmp_path_factory):
    """Two standards whose variable is the Fe(II) fraction, made as a user would make them."""
    folder = tmp_path_factory.mktemp("als") / "als-fe2p"
    for name, file, value in (("reduced", "reduced.t", 1), ("oxidised", "oxidized.t", 0)):
        add = ["standards", "add", folder, als / file, "--id", name, "--label", f"{name} Fe"]
        add += ["--value", value, "--variable", "Fe(II) fraction", "--licence", "MIT"]
        add += ["--field", "facility=ALS", "beamline=11.0.2.2", "edges=Fe L3, Fe L2"]
        assert main([str(word) for word in add]) == 0
    calibrate = ["standards", "calibrate", str(folder), "--shift", "0", "--uncertainty", "0.05"]
    assert main([*calibrate, "--source", "measured with the stack, on its own axis"]) == 0
    return folder
