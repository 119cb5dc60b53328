"""Simulated reconstructions: noise, pixels, drift and ramps, and the way back through files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

import chemoscape as cs
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.few_energies.phase import phase_maps
from chemoscape.simulate import PAPER_ENERGIES, Truth, nanowire, reconstructions


@pytest.fixture(scope="module")
def wire() -> Truth:
    return nanowire(energy=PAPER_ENERGIES)


def flat(density: float, n: int = 200, energies: int = 1) -> xr.DataArray:
    axis = 0.01 * np.arange(n)
    return xr.DataArray(
        np.full((energies, n, n), density),
        dims=("energy", "y", "x"),
        coords={"energy": 518.2 + np.arange(energies), "y": axis, "x": axis},
    )


def measured(image: xr.DataArray, amplitude: float) -> np.ndarray:
    return -2 * np.log(np.abs(image.values) / amplitude)


@pytest.mark.parametrize("density", [0.0, 1.2])
def test_noise_is_that_of_counted_photons(density: float) -> None:
    photons = 2000.0
    seen = reconstructions(flat(density), photons=photons, phase_per_density=0.0)
    found = measured(seen.images[0], seen.amplitude[0])
    n = found.size
    assert found.var() == pytest.approx(np.exp(density) / photons, rel=4 * np.sqrt(2 / n) + 2e-3)
    turned = np.angle(seen.images[0].values)
    turned = np.angle(np.exp(1j * turned) / np.exp(1j * turned).mean())
    assert turned.var() == pytest.approx(np.exp(density) / (4 * photons), rel=0.04)
    first, second = found[:, :-1] - found.mean(), found[:, 1:] - found.mean()
    assert abs((first * second).mean() / found.var()) < 4 / np.sqrt(n)  # white
    np.testing.assert_allclose(
        found.mean(), density, atol=5 * np.sqrt(found.var() / n) + 1 / photons
    )


def test_nanowire_is_the_papers(wire: Truth) -> None:
    x = wire.composition.values
    inside = np.isfinite(x)
    assert np.nanmin(x) == pytest.approx(0.1, abs=1e-6)
    assert np.nanmax(x) == pytest.approx(0.3, abs=1e-6)
    assert not inside[:15].any()
    assert not inside[:, :15].any()
    assert inside.sum() * 0.01**2 == pytest.approx(1.5 * 0.25, rel=0.06)  # rounded ends
    depth = wire.thickness.values
    assert np.nanmean(x[depth > 0.97]) > np.nanmean(x[(depth > 0) & (depth < 0.6)]) + 0.08
    assert float(wire.optical_density.max()) == pytest.approx(1.4)
    # x from formula units, as every route has it
    library = wire.library
    units = wire.weights.values / library.molar_mass[:, None, None]
    mixed = np.einsum("k,kyx->yx", library.values, units)[inside] / units.sum(axis=0)[inside]
    np.testing.assert_allclose(mixed, x[inside])
    with pytest.raises(StackError, match="cannot be shown in pixels"):
        nanowire(pixel_um=0.2)


def test_images_without_error_are_the_wave(wire: Truth) -> None:
    seen = reconstructions(
        wire, photons=np.inf, pixel_follows_energy=False, phase_per_density=(-0.5, 0.2, 0.0)
    )
    for k, image in enumerate(seen.images):
        np.testing.assert_allclose(
            measured(image, seen.amplitude[k]), wire.optical_density[k], atol=2e-6
        )
        phase = np.angle(image.values / image.values[0, 0])
        np.testing.assert_allclose(phase, seen.phase[k], atol=2e-6)
    np.testing.assert_allclose(seen.phase[1], 0.2 * wire.optical_density[1])
    blurred = reconstructions(
        wire, photons=np.inf, pixel_follows_energy=False, resolution_um=0.03, phase_per_density=0
    )
    sharp = np.exp(-0.5 * wire.optical_density[0].values)
    expected = gaussian_filter(sharp, 3 / 2.35482, mode="nearest")
    np.testing.assert_allclose(
        np.abs(blurred.images[0].values) / blurred.amplitude[0], expected, atol=1e-5
    )


def test_pixels_drift_and_errors_are_those_told(wire: Truth) -> None:
    seen = reconstructions(wire, photons=np.inf, drift_px=3.0, energy_sd_eV=0.1, seed=4)
    at = np.array(PAPER_ENERGIES)
    pixels = [stacks.pixel_size(image)[1] for image in seen.images]
    np.testing.assert_allclose(pixels, 0.010 * at[0] / at)
    library = wire.library.spectra(at + seen.energy_error_eV)
    expected = np.einsum("ke,kyx->eyx", library.values, wire.weights.values)
    np.testing.assert_allclose(seen.optical_density, expected)
    assert np.abs(seen.shifts).max() > 1
    for k, image in enumerate(seen.images):  # centre of mass: from the field's centre, in µm
        there = []
        for density, pixel in (
            (measured(image, seen.amplitude[k]), pixels[k]),
            (seen.optical_density[k].values, 0.010),
        ):
            rows, columns = np.indices(density.shape)
            middle = [(n - 1) / 2 for n in density.shape]
            mass = density.sum()
            there.append(
                pixel * np.array([(density * rows).sum(), (density * columns).sum()]) / mass
                - pixel * np.array(middle)
            )
        np.testing.assert_allclose((there[0] - there[1]) / pixels[k], seen.shifts[k], atol=0.02)


def test_through_files_and_back(wire: Truth, tmp_path: Path) -> None:
    seen = reconstructions(wire, photons=5e4, ramp_rad_per_um=30.0, seed=1)
    files = seen.write(tmp_path / "scan")
    assert [path.name for path in files] == [
        "00_518.20eV.cxi",
        "01_519.40eV.cxi",
        "02_555.00eV.cxi",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        stack = cs.open_stack(tmp_path / "scan")
        phases = cs.open_stack(tmp_path / "scan", channel="phase")
        joined = seen.intensities()
    np.testing.assert_allclose(stack.energy, PAPER_ENERGIES)
    assert stacks.pixel_size(stack)[0] == pytest.approx(0.010, rel=1e-3)
    # the wire lies in the middle of the common field, so that truth is cropped about its centre
    rows, columns = (
        slice((big - small) // 2, (big - small) // 2 + small)
        for big, small in zip(wire.labels.shape, stack.shape[1:], strict=True)
    )
    truth = wire.optical_density.values[:, rows, columns]
    od = -np.log(stack.values / seen.amplitude[:, None, None] ** 2)
    empty = truth.max(axis=0) == 0
    for found, expected in zip(od, truth, strict=True):
        error = found - expected
        assert error[empty].std() < 1.05 / np.sqrt(5e4)
        assert np.median(np.abs(error[~empty])) < 3 * np.exp(0.7) / np.sqrt(5e4)
    flat_phases = phase_maps(phases, empty)
    np.testing.assert_allclose(flat_phases.ramp_x, seen.ramps[:, 1], atol=0.01)
    np.testing.assert_allclose(flat_phases.ramp_y, seen.ramps[:, 0], atol=0.01)
    own = seen.phase.values[:, rows, columns]
    assert np.median(np.abs(flat_phases.values - own)[:, ~empty]) < 0.01
    assert joined.shape == stack.shape  # as the reader makes it, but for what is interpolated
    np.testing.assert_allclose(joined[0], stack[0], rtol=1e-5)
    assert np.median(np.abs(np.log(joined.values / stack.values))) < 2e-3


def test_raster_artefacts_and_seeds() -> None:
    seen = reconstructions(flat(0.0, 120, 2), photons=np.inf, artefacts=0.02, seed=3)
    ripple = np.abs(seen.images[0].values) / seen.amplitude[0]
    assert ripple.std() == pytest.approx(0.02, rel=0.02)
    spectrum = np.abs(np.fft.rfft(ripple.mean(axis=0) - ripple.mean()))
    assert spectrum.argmax() == 120 * 0.010 / 0.06
    again = reconstructions(flat(0.0, 120, 2), photons=np.inf, artefacts=0.02, seed=3)
    np.testing.assert_array_equal(again.images[1], seen.images[1])
    noisy = reconstructions(flat(0.0, 120, 2), artefacts=0.02, seed=3)
    np.testing.assert_array_equal(noisy.amplitude, seen.amplitude)


def test_what_is_impossible(wire: Truth) -> None:
    with pytest.raises(StackError, match="photons is 0"):
        reconstructions(wire, photons=0)
    with pytest.raises(StackError, match="a standard deviation is -1"):
        reconstructions(wire, drift_px=-1)
    with pytest.raises(StackError, match="does not say how it changes with energy"):
        reconstructions(flat(0.5), energy_sd_eV=0.1)
    with pytest.raises(StackError, match="has the dims"):
        reconstructions(flat(0.5)[0])
