"""The synthetic library: its trends, its conditioning, its mass scale, and the shipped files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from chemoscape.simulate import measurement_energies
from chemoscape.standards import model
from chemoscape.standards.atomic import mass_absorption
from chemoscape.standards.folder import open_library, shipped_libraries
from chemoscape.standards.library import Library

TREND = slice(0, 5)  # x = 0 to 0.7; the delta phase leaves the trend
FINE = np.round(np.arange(512, 536, 0.005), 3)


@pytest.fixture(scope="module")
def shipped() -> Library:
    return open_library("lixv2o5-model")


def highest(spectra: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and height of the largest value of each spectrum between two energies."""
    inside = (low < FINE) & (high > FINE)
    at = spectra[:, inside].argmax(axis=1)
    return FINE[inside][at], spectra[:, inside].max(axis=1)


def test_shipped_files_are_those_of_the_model(shipped: Library) -> None:
    afresh = model.model_library()
    assert shipped.names == afresh.names
    np.testing.assert_array_equal(shipped.values, [0, 0.1, 0.3, 0.45, 0.7, 0.9])
    for there, made in zip(shipped.standards, afresh.standards, strict=True):
        np.testing.assert_allclose(there.energy, made.energy, atol=5e-4)
        np.testing.assert_allclose(there.spectrum, made.spectrum, rtol=1e-5)
        assert (there.label, there.kind, there.scale) == (made.label, made.kind, made.scale)
        assert there.molar_mass == pytest.approx(made.molar_mass, rel=1e-5)
        assert there.density == pytest.approx(made.density, rel=1e-3)


def test_every_place_says_synthetic(shipped: Library) -> None:
    assert shipped.synthetic
    assert "synthetic" in shipped.name
    folder = shipped_libraries()["lixv2o5-model"]
    for standard in shipped.standards:
        assert standard.label.endswith("(synthetic)")
        head = (folder / f"{standard.id}.xdi").read_text(encoding="utf-8")[:1500]
        assert "Facility.name: SYNTHETIC" in head
        assert "SYNTHETIC model spectrum, not measured" in head


def test_checksums_are_those_of_the_files() -> None:
    folder = shipped_libraries()["lixv2o5-model"]
    toml = (folder / "library.toml").read_text(encoding="utf-8")
    for file in folder.glob("*.xdi"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in toml


def test_condition_number(shipped: Library) -> None:
    grid = measurement_energies()
    assert grid.size == 149
    assert 50 <= np.linalg.cond(shipped.spectra(grid).values) <= 300
    smooth = open_library("lixv2o5-model-smooth")
    assert np.linalg.cond(smooth.spectra(grid).values) > 10_000


@pytest.mark.parametrize("name", ["lixv2o5-model", "lixv2o5-model-smooth"])
def test_the_five_trends_of_the_paper(name: str) -> None:
    """Read off the spectra themselves, as a spectroscopist would."""
    splines = [CubicSpline(s.energy, s.spectrum) for s in open_library(name).standards]
    spectra = np.stack([spline(FINE) for spline in splines])
    sharpness = np.stack([-spline(FINE, 2) for spline in splines])  # peaks where shoulders are
    d_xy, _ = highest(sharpness, 515.2, 516.6)
    d_xz_yz, _ = highest(sharpness, 516.6, 518.0)
    at = {energy: spectra[:, np.abs(FINE - energy).argmin()] for energy in (515.9, 517.2)}
    _, t2g = highest(spectra, 528.9, 530.4)
    eg, eg_height = highest(spectra, 530.9, 533.0)
    assert (np.diff(d_xy[TREND]) > 0).all()
    assert (np.diff(d_xz_yz[TREND]) > 0).all()
    assert (np.diff(at[515.9][TREND]) < 0).all()
    assert (np.diff(at[517.2][TREND]) < 0).all()
    assert (np.diff((t2g / eg_height)[TREND]) < 0).all()
    assert (np.diff(eg[TREND]) > 0).all()
    # delta: a sharp d_xz/yz near 517 comes back, t2g against eg* too
    assert d_xz_yz[5] == pytest.approx(517.1, abs=0.1)
    assert at[517.2][5] > at[517.2][4]
    assert (t2g / eg_height)[5] > (t2g / eg_height)[4]


def test_weight_of_the_sp_band_moves_up() -> None:
    centroids = []
    for phase in range(5):
        band = [peak for peak in model.jittered_peaks(phase) if "_sp" in peak.name]
        centroids.append(np.average([p.centre for p in band], weights=[p.area for p in band]))
    assert (np.diff(centroids) > 0).all()


def test_features_lie_where_they_belong(shipped: Library) -> None:
    wide = np.round(np.arange(512, 550, 0.02), 3)
    spectra = shipped.spectra(wide).values
    for low, high, where in ((514, 521, 518.5), (523, 527.5, 525), (528, 530.8, 529.7)):
        inside = (low < wide) & (high > wide)
        peaks = wide[inside][spectra[:5, inside].argmax(axis=1)]
        np.testing.assert_allclose(peaks, where, atol=0.4)


def test_mass_scale() -> None:
    """Henke's V2O5 as tabulated: 2206, 20906 and 20468 cm2/g at 508, 555 and 560 eV."""
    at = np.array([508.0, 555.0, 560.0])
    np.testing.assert_allclose(mass_absorption("V2O5", at), [2206, 20906, 20468], rtol=1e-3)
    for name in ("lixv2o5-model", "lixv2o5-model-smooth"):
        library = open_library(name)
        for standard in library.standards:
            for low, high in model.SCALE_WINDOWS:
                window = np.linspace(low, high, 25)
                ratio = np.interp(window, standard.energy, standard.spectrum) / mass_absorption(
                    standard.formula, window
                )
                np.testing.assert_allclose(ratio, 1, atol=0.05)
                assert ratio.mean() == pytest.approx(1, abs=0.005)


def test_density_of_v2o5(shipped: Library) -> None:
    assert shipped.density[0] == pytest.approx(3.343, abs=2e-3)  # AMCSD, from the measured cell


def test_written_library_opens(tmp_path: Path, shipped: Library) -> None:
    model.write_library(tmp_path / "copy")
    again = open_library(tmp_path / "copy")
    pair = again.standards[3].spectrum, shipped.standards[3].spectrum
    np.testing.assert_allclose(*pair, rtol=1e-6)  # the last written digit may differ by a library
