"""Every real file at hand opens, or is refused for the right reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats import describe, open_spectra, open_stack

pytestmark = pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")

#: File: format, shape, first energy (eV), pixel (µm).
STACKS = {
    "30529000.hdr": ("sdf", (1, 200, 200), 708.4, 0.25),
    "max_iv.hdr": ("sdf", (2, 10, 10), 698.0, 0.05),
    "ptycho-data-cosmic__stxm-scan.hdr": ("sdf", (16, 120, 120), 853.0, 0.02718),
    "Sample_Image_2017-10-15_100.hdf5": ("nxstxm", (1, 100, 100), 781.5, 0.015),
    "SF20230115235307_1318-1327eV.hdf5": ("exchange", (2, 200, 201), 1318.0, 0.2),
    "ptycho-data-cosmic__ptycho-scan-856eV.cxi": ("cxi", (1, 285, 285), 855.906, 0.005999),
    "ptycho-data-als__NS_160406074-low-energy__testdata.h5": (
        *("xanespy", (2, 228, 228), 843.907, 0.00416667),
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_stacks(data_folder: Path, name: str) -> None:
    known, shape, energy, pixel = STACKS[name]
    stack = stacks.check(open_stack(data_folder / "readers" / name))
    assert (stack.attrs["format"], stack.shape) == (known, shape)
    np.testing.assert_allclose(stack.energy[0], energy, atol=0.001)
    np.testing.assert_allclose(stacks.pixel_size(stack), pixel, rtol=1e-3)
    facts = describe(data_folder / "readers" / name)
    assert facts["shape"] == list(shape)
    np.testing.assert_array_equal(
        open_stack(data_folder / "readers" / name, lazy=True).compute(), stack
    )


def test_every_file_is_looked_at(data_folder: Path) -> None:
    there = {path.name for path in (data_folder / "readers").iterdir() if path.suffix != ".xim"}
    assert there == {*STACKS, "ptycho-data-cosmic__NS_181111148.hdr"}


def test_a_header_alone_is_refused(data_folder: Path) -> None:
    with pytest.raises(FileFormatError, match="none of its images"):
        open_stack(data_folder / "readers" / "ptycho-data-cosmic__NS_181111148.hdr")


@pytest.mark.parametrize(
    ("name", "n", "first"),
    [
        ("spectra_soft/eelsdb_3.msa", 1, 510.0),
        ("spectra_soft/reduced.t", 1, 700.0),
        ("spectra_vk/Vglasses.prj", 10, 5365.0),
        ("spectra_vk/v_foil.xdi", 3, 5385.0),
        ("spectra_fek/FeLibNov2021.nor", 11, 7090.0),
        ("lcf_gold/unknown.dat", 1, 11719.742),
        ("als_fe2p/71214078/i0.xsp", 1, 700.0),
    ],
)
def test_spectra(data_folder: Path, name: str, n: int, first: float) -> None:
    spectra = open_spectra(data_folder / name)
    assert spectra.dims == ("spectrum", "energy")
    assert spectra.sizes["spectrum"] == n
    np.testing.assert_allclose(spectra.energy[0], first, atol=0.001)
    assert spectra.notnull().all()
