"""The honest twin: each of its departures from the library alone does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import voigt_profile

import chemoscape as cs
from chemoscape.errors import LibraryError, StackError
from chemoscape.simulate import CORE, MIXTURE, altered_library, core_shell, honest_twin
from chemoscape.standards import model
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mass_fractions

SD_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
SMALL = (24, 32)
PAIR = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
NAMES = [peak.name for peak in model.peaks(0.0)]


@pytest.fixture(scope="module")
def library() -> Library:
    return cs.open_library("lixv2o5-model")


def peaks_in(altered: Library, phase: int) -> tuple[np.ndarray, np.ndarray]:
    """Areas (relative) and positions (eV) of the peaks of one phase, as against the model's.

    By least squares of the spectrum on background, profiles and their slopes: no code in common
    with what altered them. First order in the shifts.
    """
    energy, x = model.energies(), model.PHASES[phase][2]
    share = mass_fractions(model.PHASES[phase][3])["V"] / mass_fractions("V2O5")["V"]
    step, known = 1e-3, model.jittered_peaks(phase)

    def profile(peak: model.Peak, at: float) -> np.ndarray:
        width = peak.gauss * SD_PER_FWHM
        return share * peak.area * voigt_profile(energy - at, width, peak.lorentz / 2)

    rows = [profile(peak, peak.centre) for peak in known]
    rows += [
        (profile(peak, peak.centre + step) - profile(peak, peak.centre - step)) / (2 * step)
        for peak in known
    ]
    rows += [model.background(x, energy), np.ones_like(energy)]
    design = np.stack(rows, axis=1)
    lengths = np.linalg.norm(design, axis=0)
    found = np.linalg.lstsq(design / lengths, altered.standards[phase].spectrum, rcond=None)[0]
    found /= lengths
    areas, shifts, scale = found[:13], found[13:26], found[26]
    return areas / scale - 1, shifts / areas


def test_unaltered_it_is_the_library(library: Library) -> None:
    same = altered_library(library)
    assert same.names == library.names
    assert same.id != library.id
    for one, other in zip(same.standards, library.standards, strict=True):
        np.testing.assert_allclose(one.spectrum, other.spectrum, rtol=1e-5)
        assert (one.value, one.molar_mass, one.density) == (
            other.value,
            other.molar_mass,
            other.density,
        )


def test_areas_jitter_alone(library: Library) -> None:
    found = [
        peaks_in(altered_library(library, jitter_share=0.02, seed=seed), k)
        for seed in range(5)
        for k in range(6)
    ]
    areas, shifts = (np.array(part) for part in zip(*found, strict=True))
    assert areas.std() == pytest.approx(0.02, rel=0.1)
    assert abs(areas.mean()) < 4 * 0.02 / np.sqrt(areas.size)
    assert np.abs(shifts).max() < 2e-5
    # independent between phases, peaks and seeds
    correlation = np.corrcoef(areas)
    assert np.abs(correlation[~np.eye(len(areas), dtype=bool)]).mean() < 0.3


def test_positions_jitter_alone(library: Library) -> None:
    found = [
        peaks_in(altered_library(library, jitter_eV=0.02, seed=seed), k)
        for seed in range(5)
        for k in range(6)
    ]
    areas, shifts = (np.array(part) for part in zip(*found, strict=True))
    assert shifts.std() == pytest.approx(0.02, rel=0.1)
    assert abs(shifts.mean()) < 4 * 0.02 / np.sqrt(shifts.size)
    assert np.abs(areas).max() < 0.02  # second order in the shift: (0.06 eV / width)² at most
    assert np.sqrt((areas**2).mean()) < 0.002


def test_a_phase_has_its_own_jitter_whichever_are_selected(library: Library) -> None:
    options = {"jitter_eV": 0.02, "jitter_share": 0.02, "seed": 8}
    all_six = altered_library(library, **options)
    pair = altered_library(library.select(*PAIR[::-1]), **options)
    for name in PAIR:
        one, other = (lib.select(name).standards[0].spectrum for lib in (all_six, pair))
        np.testing.assert_array_equal(one, other)


def test_broadening_alone(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Gaussian on a Voigt profile or on a step is the same with the widths in quadrature."""
    altered = altered_library(library, broadening_eV=0.2)
    monkeypatch.setattr(model, "STEP_SD", np.hypot(model.STEP_SD, 0.2 * SD_PER_FWHM))
    for k, standard in enumerate(altered.standards):
        wider = tuple(
            replace(peak, gauss=np.hypot(peak.gauss, 0.2)) for peak in model.jittered_peaks(k)
        )
        expected = model.spectrum(standard.value, wider, standard.energy)
        # near 546 eV the tables have an edge of their own
        np.testing.assert_allclose(standard.spectrum, expected, rtol=3e-4)
    assert np.abs(altered.standards[0].spectrum / library.standards[0].spectrum - 1).max() > 0.01


@pytest.mark.parametrize(("angle", "factor"), [(0, 1.1), (30, 1.05), (45, 1.0), (90, 0.9)])
def test_dichroism_scales_two_peaks(library: Library, angle: float, factor: float) -> None:
    altered = altered_library(library, dichroism=0.1, angle_deg=angle)
    for k in range(6):
        areas, shifts = peaks_in(altered, k)
        expected = [factor if name in ("L3_dxy", "OK_t2g") else 1.0 for name in NAMES]
        np.testing.assert_allclose(1 + areas, expected, atol=2e-4)
        assert np.abs(shifts).max() < 1e-4


def test_ten_per_cent_of_dichroism_move_the_composition_by_six_hundredths() -> None:
    """Both peaks weaken as lithium enters: more of them looks like less lithium."""
    moved = {}
    for angle in (0, 90):
        truth = core_shell(shape=SMALL, dichroism=0.1, angle_deg=angle)
        od = cs.optical_density(truth.stack, i0=truth.i0, noise=1.0)
        library = truth.library.select(*PAIR)
        maps = cs.deconvolve(od["optical_density"], library, energy_shift="fit", weights="uniform")
        comp = cs.composition(maps, library)
        error = (comp["composition"] - truth.composition).values
        moved[angle] = float(error[truth.labels.values == MIXTURE].mean())
        if angle == 0:
            assert -0.08 < float(error[truth.labels.values == CORE].mean()) < -0.04
    assert -0.08 < moved[0] < -0.04
    assert 0.04 < moved[90] < 0.08


def bare(**options: object) -> cs.simulate.Truth:
    """The twin with one of its departures only."""
    none = {
        "jitter_eV": 0.0,
        "jitter_share": 0.0,
        "broadening_eV": 0.0,
        "stray_light": 0.0,
        "i0_error": 0.0,
        "energy_shift_eV": 0.0,
        "od_noise": 0.0,
    }
    return honest_twin(2, shape=SMALL, **{**none, **options})


def apparent(truth: cs.simulate.Truth) -> np.ndarray:
    """Optical density as a user sees it."""
    return np.log(truth.i0 / truth.stack).transpose("energy", "y", "x").values


def test_without_departures_it_is_the_particle() -> None:
    twin, plain = bare(), core_shell(shape=SMALL)
    np.testing.assert_allclose(apparent(twin), apparent(plain), atol=2e-5)
    assert twin.thickness_nm == pytest.approx(plain.thickness_nm, rel=1e-5)
    assert twin.i0_true is None
    assert twin.library.names == plain.library.names


@pytest.mark.parametrize("name", ["jitter_eV", "jitter_share", "broadening_eV"])
def test_spectra_alone(name: str) -> None:
    value = 0.2 if name == "broadening_eV" else 0.02
    twin = bare(**{name: value})
    real = altered_library(twin.library, seed=2, **{name: value})
    for one, other in zip(twin.sample_library.standards, real.standards, strict=True):
        np.testing.assert_array_equal(one.spectrum, other.spectrum)
    np.testing.assert_allclose(apparent(twin), twin.optical_density, atol=1e-5)
    spectra = twin.library.spectra(twin.stack.energy.values).values
    fitted_with = np.einsum("ke,kyx->eyx", spectra, twin.weights.values)
    assert 0.005 < np.abs(apparent(twin) - fitted_with).max() < 0.2


def test_stray_light_alone() -> None:
    twin = bare(stray_light=0.01)
    expected = -np.log((np.exp(-twin.optical_density) + 0.01) / 1.01)
    np.testing.assert_allclose(apparent(twin), expected, atol=1e-5)
    assert twin.stray_light == 0.01


def test_i0_error_alone() -> None:
    twin = bare(i0_error=0.003)
    error = apparent(twin) - twin.optical_density.values
    assert np.ptp(error, axis=(1, 2)).max() < 1e-5  # common to all pixels
    assert error[:, 0, 0].std() == pytest.approx(0.003, rel=0.2)
    empty = twin.stack.values[:, 0, 0]
    np.testing.assert_allclose(empty, twin.i0_true, rtol=1e-6)
    np.testing.assert_allclose(np.log(twin.i0 / twin.i0_true), error[:, 0, 0], atol=1e-5)


def test_energy_shift_and_noise_alone() -> None:
    twin, plain = bare(energy_shift_eV=-0.4), core_shell(shape=SMALL, energy_shift_eV=-0.4)
    np.testing.assert_allclose(apparent(twin), apparent(plain), atol=2e-5)
    noisy = bare(od_noise=0.01)
    noise = apparent(noisy) - noisy.optical_density.values
    assert noise.std() == pytest.approx(0.014, rel=0.02)


def test_a_seed_is_one_twin() -> None:
    one, again, other = (honest_twin(seed, shape=SMALL) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.stack, again.stack)
    np.testing.assert_array_equal(one.i0, again.i0)
    assert not np.array_equal(one.i0 / one.i0_true, other.i0 / other.i0_true)
    first, second = (t.sample_library.standards[1].spectrum for t in (one, other))
    assert 0.01 < np.abs(first / second - 1).max() < 0.3
    assert one.energy_shift_eV == -0.4
    assert one.optical_density_sd == pytest.approx(0.014)


def test_options_of_the_particle() -> None:
    twin = honest_twin(
        1, shape=SMALL, core="delta-Li0.9V2O5", poisson=True, halo_share=0.2, halo_um=0.3
    )
    assert float(twin.composition.max()) == pytest.approx(0.9)
    assert (twin.poisson, twin.halo_share, twin.halo_um) == (True, 0.2, 0.3)


def test_the_library_without_jitter_can_be_altered() -> None:
    smooth = model.smooth_library()
    same = altered_library(smooth)
    for one, other in zip(same.standards, smooth.standards, strict=True):
        np.testing.assert_allclose(one.spectrum, other.spectrum, rtol=1e-5)


def test_refusals(library: Library) -> None:
    measured = replace(
        library,
        standards=tuple(
            replace(s, spectrum=s.spectrum * 1.01, source="beamline") for s in library.standards
        ),
    )
    with pytest.raises(LibraryError, match=r"'alpha-V2O5' \(beamline\): cannot be altered"):
        altered_library(measured)
    first, second = library.standards[:2]
    renamed = replace(library, standards=(replace(first, id="mine"), second))
    with pytest.raises(LibraryError, match="its peaks are not known"):
        core_shell(library=renamed, core="mine", shell=second.id, dichroism=0.1)
    with pytest.raises(StackError, match="must be 0 or more, not -1"):
        honest_twin(jitter_eV=-1)
    with pytest.raises(StackError, match="would empty or reverse a peak"):
        altered_library(library, dichroism=1.5)
    with pytest.raises(StackError, match="makes the sample's spectra itself"):
        honest_twin(sample_library=library)
