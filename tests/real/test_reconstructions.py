"""Ptychography of others: COSMIC at one energy, ALS 5.3.2.1 at two."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.errors import ChemoscapeWarning
from chemoscape.few_energies.phase import phase_maps
from chemoscape.formats.cxi._writing import write_cxi
from chemoscape.preprocess.joining import join_energies

COSMIC = "ptycho-data-cosmic__ptycho-scan-856eV.cxi"
ALS = "ptycho-data-als__NS_160406074-low-energy__testdata.h5"
SSRF = "SF20230115235307_1318-1327eV.hdf5"

pytestmark = pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> Path:
    return data_folder / "readers"


def density(stack: xr.DataArray, empty: np.ndarray) -> xr.DataArray:
    """Optical density with I0 from a region that was looked at."""
    i0 = stack.where(xr.DataArray(empty, dims=("y", "x"))).median(("y", "x"))
    return np.log(i0 / stack)


def test_cosmic(folder: Path) -> None:
    """Nickel oxide particles at 855.9 eV: an empty surrounding that is flat, and a thick sample."""
    found = cs.optical_density(cs.open_stack(folder / COSMIC))
    od, empty = found["optical_density"][0], found["background"].values
    assert 0.3 < empty.mean() < 0.6
    assert abs(float(od.values[empty].mean())) < 0.005
    assert float(od.values[empty].std()) < 0.01
    assert float(od.max()) > 4  # beyond what is to be believed
    phases = cs.open_stack(folder / COSMIC, channel="phase")
    maps = phase_maps(phases, empty)
    # reconstructed without a steep ramp; what is left is the curvature of the illumination
    assert np.hypot(maps.ramp_y, maps.ramp_x).item() < 0.5
    assert maps.background_sd.item() < 0.1
    thick = od.values > 0.5
    assert np.median(maps[0].values[thick]) < -0.2  # the sample delays: one sign


def test_a_steep_ramp_is_taken_off_again(folder: Path, tmp_path: Path) -> None:
    """The real image with 3 turns in the field more, written, read and flattened."""
    empty = cs.optical_density(cs.open_stack(folder / COSMIC))["background"].values
    phases = cs.open_stack(folder / COSMIC, channel="phase")
    before = phase_maps(phases, empty)
    with h5py.File(folder / COSMIC) as file:
        wave = np.asarray(file["entry_1/image_1/data"])[::-1]
    y, x = phases.y.values[:, None], phases.x.values
    steep = wave * np.exp(1j * (90 * x - 60 * y))
    path = write_cxi(tmp_path / "a.cxi", steep, phases.energy.item(), x[1] - x[0])
    after = phase_maps(cs.open_stack(path, channel="phase"), empty)
    assert (after.ramp_x - before.ramp_x).item() == pytest.approx(90, abs=1e-3)
    apart = np.angle(np.exp(1j * (after.values - before.values)))
    assert np.abs(apart).max() < 1e-3


def test_als_is_complex_and_shows_two_platelets(folder: Path) -> None:
    with h5py.File(folder / ALS) as file:
        assert np.iscomplexobj(file["NS_160406074/imported/intensities"][0, 0])
        stored = np.abs(file["NS_160406074/imported/intensities"][0]) ** 2
    stack = cs.open_stack(folder / ALS)
    np.testing.assert_allclose(stack, stored[:, ::-1], rtol=1e-5)
    y, x = stack.y.values[:, None], stack.x.values
    empty = (x < 0.3) & (y > 0.6)
    platelet = (np.abs(x - 0.55) < 0.08) & (np.abs(y - 0.5) < 0.08)
    od = density(stack, empty)
    levels = od.where(xr.DataArray(platelet, dims=("y", "x"))).median(("y", "x"))
    assert ((levels > 0.1) & (levels < 0.4)).all()  # below the Ni L3 edge at both energies
    phases = phase_maps(cs.open_stack(folder / ALS, channel="phase"), empty)
    assert (phases.where(xr.DataArray(platelet, dims=("y", "x"))).median(("y", "x")) > 0.1).all()
    # the same particle at both energies
    assert np.corrcoef(od.values[0].ravel(), od.values[1].ravel())[0, 1] > 0.7


def test_images_of_two_microscopes_are_joined_by_their_centres(folder: Path) -> None:
    """Nothing but the mechanics: pixels of 6 and 4.2 nm, fields of 1.7 and 0.95 µm."""
    one, two = cs.open_stack(folder / COSMIC), cs.open_stack(folder / ALS)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        joined = join_energies([one, two])
    assert "by their centres" in str(said[-1].message)
    assert joined.sizes["energy"] == 3
    assert np.isfinite(joined).all()
    assert float(joined.x[1] - joined.x[0]) == pytest.approx(0.006, rel=1e-3)
    assert set(np.unique(joined[2])) <= set(np.unique(one))  # the coarsest is cropped


def test_ssrf_stack_is_no_reconstruction(folder: Path) -> None:
    """Two images of counts on one grid: cut apart and joined it is what it was."""
    stack = cs.open_stack(folder / SSRF)
    joined = join_energies([stack.isel(energy=[1]), stack.isel(energy=[0])])
    np.testing.assert_array_equal(joined, stack)
    np.testing.assert_array_equal(joined.energy, stack.energy)
