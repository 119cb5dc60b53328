"""The simulated particle: its truth is the paper's, its noise is what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chemoscape import stack as stacks
from chemoscape.errors import FitError, LibraryError, StackError
from chemoscape.simulate import (
    CORE,
    MIXTURE,
    SHELL,
    Truth,
    altered_library,
    core_shell,
    cramer_rao_composition_sd,
    measurement_energies,
)
from chemoscape.standards.library import Library, Standard

PAIR = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")


@pytest.fixture(scope="module")
def clean() -> Truth:
    return core_shell()


def optical_density(truth: Truth) -> np.ndarray:
    return np.log(truth.i0.values[:, None, None] / truth.stack.values.astype(np.float64))


def fitted_composition(truth: Truth, names: tuple[str, ...], shift: float) -> np.ndarray:
    """Plain least squares with a constant, in formula units, on the thick part of the particle."""
    library = truth.library.select(*names)
    design = library.spectra(truth.stack.energy.values, shift=shift).values.T
    design = np.column_stack([design, np.full(len(design), design.max())])
    thick = truth.thickness.values >= 0.25
    found = np.linalg.lstsq(design, optical_density(truth)[:, thick], rcond=None)[0]
    units = found[: len(names)] / library.molar_mass[:, None]
    return library.values @ units / units.sum(axis=0)


def test_energies() -> None:
    energy = measurement_energies()
    step = np.diff(energy)
    assert (energy[0], energy[-1]) == (508, 560)
    np.testing.assert_allclose(step[(energy[:-1] >= 512) & (energy[:-1] < 535.9)], 0.2)
    np.testing.assert_allclose(step[(energy[:-1] < 511) | (energy[:-1] >= 536)], 1.0)


def test_truth_is_the_papers(clean: Truth) -> None:
    stacks.check(clean.stack, "counts")
    assert clean.stack.shape == (149, 90, 120)
    for label, x in ((CORE, 0.45), (MIXTURE, 0.345), (SHELL, 0.1)):
        inside = clean.labels.values == label
        assert inside.sum() > 500
        np.testing.assert_allclose(clean.composition.values[inside], x, atol=1e-12)
    outside = clean.labels.values == -1
    assert np.isnan(clean.composition.values[outside]).all()
    assert (clean.thickness.values[outside] == 0).all()
    assert float(clean.thickness.max()) == 1
    assert clean.stack.attrs["source"] == "simulated core-shell particle (synthetic)"
    assert clean.stack.attrs["counter_divider"] == 1
    assert clean.stack.attrs["dwell_ms"] == 1


def test_composition_follows_from_the_weights_by_equation_6(clean: Truth) -> None:
    units = clean.weights.values / clean.library.molar_mass[:, None, None]
    inside = clean.labels.values >= 0
    x = np.einsum("k,kp->p", clean.library.values, units[:, inside]) / units[:, inside].sum(axis=0)
    np.testing.assert_allclose(x, clean.composition.values[inside], atol=1e-12)


def test_counts_follow_from_the_weights_by_equation_1(clean: Truth) -> None:
    spectra = clean.library.spectra(clean.stack.energy.values).values
    od = np.einsum("ke,kyx->eyx", spectra, clean.weights.values)
    np.testing.assert_allclose(optical_density(clean), od, atol=1e-6)
    assert od.max() == pytest.approx(1.4)
    background = clean.stack.values[:, clean.labels.values == -1]
    np.testing.assert_allclose(background, clean.i0.values[:, None] + 0 * background, rtol=1e-6)


def test_thickness_in_nm(clean: Truth) -> None:
    """Areal mass over density, at the thickest pixel, which is all core."""
    areal = float(clean.weights.sum("standard").max())
    density = clean.library.select("epsilon-Li0.45V2O5").density[0]
    thickest = clean.weights.sum("standard").values[clean.thickness.values == 1][0]
    assert clean.thickness_nm == pytest.approx(thickest / density * 1e7, rel=1e-9)
    assert areal == pytest.approx(thickest, rel=0.05)
    assert 40 < clean.thickness_nm < 70


def test_thickness_falls_towards_the_rim(clean: Truth) -> None:
    means = [float(clean.thickness.where(clean.labels == k).mean()) for k in (CORE, MIXTURE, SHELL)]
    assert means[0] > means[1] > means[2] > 0


def test_plain_least_squares_finds_the_truth(clean: Truth) -> None:
    thick = clean.thickness.values >= 0.25
    x = fitted_composition(clean, PAIR, 0.0)
    np.testing.assert_allclose(x, clean.composition.values[thick], atol=1e-4)


def test_miscalibrated_twin_misleads_until_it_is_shifted_back() -> None:
    twin = core_shell(shape=(45, 60), energy_shift_eV=-0.4)
    thick = twin.thickness.values >= 0.25
    truth = twin.composition.values[thick]
    assert np.abs(fitted_composition(twin, PAIR, -0.4) - truth).max() < 1e-4
    assert np.sqrt(np.mean((fitted_composition(twin, PAIR, 0.0) - truth) ** 2)) > 0.05
    # the pre-edge of O K falls earlier on a file axis that reads too low
    od = optical_density(twin)[:, twin.labels.values == CORE].mean(axis=1)
    good = core_shell(shape=(45, 60))
    reference = optical_density(good)[:, good.labels.values == CORE].mean(axis=1)
    energy = twin.stack.energy.values
    edge = (energy > 527) & (energy < 531)
    assert (
        np.interp(0.4, od[edge][:9], energy[edge][:9])
        < np.interp(0.4, reference[edge][:9], energy[edge][:9]) - 0.3
    )


def test_gaussian_noise_is_what_it_says() -> None:
    noisy, again = core_shell(od_noise=0.01, seed=3), core_shell(od_noise=0.01, seed=3)
    assert noisy.optical_density_sd == pytest.approx(0.014)
    noise = optical_density(noisy) - noisy.optical_density.values
    assert noise.std() == pytest.approx(0.014, rel=0.01)
    np.testing.assert_array_equal(noisy.stack, again.stack)
    assert not np.array_equal(noisy.stack, core_shell(od_noise=0.01, seed=4).stack)


def test_poisson_counts() -> None:
    truth = core_shell(photons=200, poisson=True)
    counts = truth.stack.values
    np.testing.assert_array_equal(counts, np.round(counts))
    background = counts[:, truth.labels.values == -1]
    np.testing.assert_allclose(background.mean(axis=1), truth.i0, rtol=0.01)
    assert (background.var(axis=1) / background.mean(axis=1)).mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("names", [PAIR, None], ids=["two", "six"])
def test_cramer_rao_bound_is_reached_by_least_squares(names: tuple[str, str] | None) -> None:
    """Unconstrained least squares is efficient for Gaussian noise: its scatter is the bound."""
    chosen = tuple(core_shell(shape=(10, 10)).library.names) if names is None else names
    errors, bounds = [], []
    for seed in range(4):
        truth = core_shell(od_noise=0.002, seed=seed)
        thick = truth.thickness.values >= 0.25
        errors.append(fitted_composition(truth, chosen, 0.0) - truth.composition.values[thick])
        bounds.append(cramer_rao_composition_sd(truth, chosen).values[thick])
    pull = np.array(errors) / np.array(bounds)
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert pull.mean() == pytest.approx(0, abs=0.03)


def test_cramer_rao_bound_under_poisson_noise() -> None:
    errors = []
    for seed in range(3):
        truth = core_shell(photons=1e6, poisson=True, seed=seed)
        thick = truth.thickness.values >= 0.5
        library = truth.library.select(*PAIR)
        design = library.spectra(truth.stack.energy.values).values.T
        design = np.column_stack([design, np.full(len(design), design.max())])
        od = optical_density(truth)[:, thick]
        root = np.sqrt(truth.i0.values[:, None] * np.exp(-truth.optical_density.values[:, thick]))
        x = np.empty(od.shape[1])
        for k in range(od.shape[1]):
            found = np.linalg.lstsq(design * root[:, [k]], od[:, k] * root[:, k], rcond=None)[0]
            units = found[:2] / library.molar_mass
            x[k] = library.values @ units / units.sum()
        bound = cramer_rao_composition_sd(truth).values[thick]
        errors.append((x - truth.composition.values[thick]) / bound)
    assert np.std(errors) == pytest.approx(1, abs=0.03)


def test_size_of_the_bound() -> None:
    truth = core_shell(od_noise=0.01)
    thick = truth.thickness.values >= 0.25
    two = cramer_rao_composition_sd(truth).values[thick]
    six = cramer_rao_composition_sd(truth, truth.library).values[thick]
    assert 0.008 < np.sqrt(np.mean(two**2)) < 0.018
    assert (six > two).all()
    assert (cramer_rao_composition_sd(truth, baseline=False).values[thick] < two).all()


def test_library_without_masses() -> None:
    energy = np.linspace(500, 570, 200)
    standards = tuple(
        Standard(name, name, x, energy, 1 + np.exp(-(((energy - centre) / 2) ** 2)))
        for name, x, centre in (("a", 0.0, 515.0), ("b", 1.0, 530.0))
    )
    truth = core_shell(library=Library("l", "l", "x", standards), core="b", shell="a")
    assert np.isnan(truth.thickness_nm)
    assert truth.weights.attrs["units"] == "1"
    inside = truth.labels.values == MIXTURE
    np.testing.assert_allclose(truth.composition.values[inside], 0.7)


def test_cramer_rao_bound_with_stray_light() -> None:
    """Counting noise seen through stray light, undone with the fraction known."""
    errors = []
    for seed in range(3):
        truth = core_shell(photons=1e6, poisson=True, seed=seed, stray_light=0.1)
        thick = truth.thickness.values >= 0.5
        light = truth.stack.values[:, thick] / truth.i0.values[:, None]
        od = -np.log(1.1 * light - 0.1)
        variance = (1.1 * light / (1.1 * light - 0.1)) ** 2 / truth.stack.values[:, thick]
        library = truth.library.select(*PAIR)
        design = library.spectra(truth.stack.energy.values).values.T
        design = np.column_stack([design, np.full(len(design), design.max())])
        x = np.empty(od.shape[1])
        for k in range(od.shape[1]):
            root = 1 / np.sqrt(variance[:, k])
            found = np.linalg.lstsq(design * root[:, None], od[:, k] * root, rcond=None)[0]
            units = found[:2] / library.molar_mass
            x[k] = library.values @ units / units.sum()
        bound = cramer_rao_composition_sd(truth).values[thick]
        errors.append((x - truth.composition.values[thick]) / bound)
    assert np.std(errors) == pytest.approx(1, abs=0.03)


def test_the_sample_s_own_spectra_make_the_stack() -> None:
    library = core_shell(shape=(12, 12)).library
    real = replace(
        library,
        standards=tuple(replace(s, spectrum=1.1 * s.spectrum + 500) for s in library.standards),
    )
    truth = core_shell(shape=(24, 32), sample_library=real)
    assert truth.sample_library is real
    assert truth.optical_density.max() == pytest.approx(1.4)
    np.testing.assert_allclose(optical_density(truth), truth.optical_density, atol=1e-6)
    spectra = real.spectra(truth.stack.energy.values).values
    expected = np.einsum("ke,kyx->eyx", spectra, truth.weights.values)
    np.testing.assert_allclose(truth.optical_density, expected, rtol=1e-9)


def test_dichroism_is_that_of_the_altered_library() -> None:
    truth = core_shell(shape=(24, 32), dichroism=0.1, angle_deg=30)
    by_hand = altered_library(truth.library, dichroism=0.1, angle_deg=30)
    again = core_shell(shape=(24, 32), sample_library=by_hand)
    np.testing.assert_allclose(truth.stack, again.stack, rtol=1e-6)
    np.testing.assert_array_equal(truth.composition, again.composition)


def test_refusals() -> None:
    library = core_shell(shape=(12, 12)).library
    with pytest.raises(StackError, match=r"core_share in 0\.\.1, not 0\.04 and 1\.5"):
        core_shell(core_share=1.5)
    with pytest.raises(StackError, match="must be positive and od_noise 0 or more"):
        core_shell(od_noise=-1)
    with pytest.raises(StackError, match="the sample's own are given"):
        core_shell(dichroism=0.1, sample_library=library)
    relative = tuple(replace(s, scale="optical_density") for s in library.standards)
    with pytest.raises(LibraryError, match="on different scales"):
        core_shell(sample_library=replace(library, standards=relative))
    with pytest.raises(StackError, match="cannot hold a core"):
        core_shell(shape=(5, 100))
    with pytest.raises(StackError, match="must be positive"):
        core_shell(photons=0)
    with pytest.raises(LibraryError, match="no standard 'beta'"):
        core_shell(core="beta")
    with pytest.raises(LibraryError, match=r"covers 500\.00 to 570\.00 eV"):
        core_shell(energy=[490.0, 510.0])
    with pytest.raises(FitError, match="has no noise"):
        cramer_rao_composition_sd(core_shell(shape=(12, 12)))
    with pytest.raises(FitError, match=r"'alpha-Li0\.1V2O5' is in the particle but not"):
        cramer_rao_composition_sd(core_shell(od_noise=0.1), ["epsilon-Li0.45V2O5"])
