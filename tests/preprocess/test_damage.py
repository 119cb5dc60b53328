"""Radiation damage is found where it is, with an error that holds; dose in gray."""

from __future__ import annotations

import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy.constants import e as JOULE_PER_EV

from chemoscape import simulate
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError, StackError
from chemoscape.preprocess.damage import Damage, dose_map, radiation_damage
from chemoscape.standards import model
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard

LIBRARY = open_library("lixv2o5-model")
PHASES = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
SHAPE = (40, 50)


def jittered(library: Library, random: np.random.Generator, by: float) -> Library:
    """Standards whose peaks are off by so many eV, and by this share in height, each on its own."""
    if not by:
        return library
    standards = []
    for phase, (name, _, x, _) in enumerate(model.PHASES):
        if name in library.names:
            peaks = tuple(
                replace(
                    peak,
                    centre=peak.centre + random.normal(0, by),
                    area=peak.area * (1 + random.normal(0, by)),
                )
                for peak in model.jittered_peaks(phase)
            )
            known = library.standards[library.names.index(name)]
            other = model.spectrum(x, peaks, known.energy)
            standards.append(replace(known, spectrum=other))
    return replace(library, standards=tuple(standards))


def scan(
    seed: int, dx: float = 0.0, way: str = "repeats", *, jitter: float = 0.0, steady: bool = False
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Optical densities of the first and last visits of a particle whose x changes by `dx`: at once
    after the first pass, or half of the scan; or steadily.
    """
    random = np.random.default_rng(seed)
    library = jittered(LIBRARY.select(*PHASES), random, jitter)
    truth = simulate.core_shell(shape=SHAPE, library=library)
    energy = truth.stack.energy.values
    upwards = np.arange(energy.size)
    sequence = {
        "repeats": np.concatenate([upwards, np.linspace(4, energy.size - 8, 12).astype(int)]),
        "one way": upwards,
        "two passes": np.concatenate([upwards[::2], upwards[1::2]]),
    }[way]
    n_first = energy.size if way == "repeats" else (energy.size + 1) // 2
    changed = np.linspace(0, 1, sequence.size) if steady else np.arange(sequence.size) >= n_first

    mass = library.molar_mass[:, None]
    units = truth.weights.values.reshape(2, -1) / mass
    moved = dx * units.sum(axis=0) / np.diff(library.values)[0]
    spectra = library.spectra(energy).values
    frames = []
    for number, share in zip(sequence, changed, strict=True):
        now = np.stack([units[0] - share * moved, units[1] + share * moved])
        density = (now * mass * spectra[:, [number]]).sum(axis=0).reshape(SHAPE)
        frames.append(random.poisson(truth.i0.values[number] * np.exp(-density)))
    counts = np.array(frames, dtype=np.float64)

    empty = truth.labels.values < 0
    first = np.array([np.flatnonzero(sequence == k)[0] for k in upwards])
    last = np.array([np.flatnonzero(sequence == k)[-1] for k in upwards])
    early, late = (density_of(counts[k], energy, truth.stack, empty, k) for k in (first, last))
    return early, late if way == "repeats" else None


def density_of(
    counts: np.ndarray, energy: np.ndarray, image: xr.DataArray, empty: np.ndarray, place
) -> xr.Dataset:
    """As `optical_density` makes it, with the mean of the empty pixels for I0."""
    i0 = counts[:, empty].mean(axis=1)
    relative = 1 / (i0 * empty.sum())
    density = stacks.build(
        np.log(i0[:, None, None] / counts),
        energy,
        image.y,
        image.x,
        quantity="optical_density",
        per_energy={"acquired": place},
    )
    od = density.to_dataset(name="optical_density")
    od["variance"] = (stacks.DIMS, 1 / counts + relative[:, None, None])
    od["i0"] = ("energy", i0)
    od["i0_variance"] = ("energy", relative * i0**2)
    od.attrs = {"noise_counts_per_unit": 1.0}
    return od


def judged(*args, **options) -> Damage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        early, late = scan(*args, **options)
        return radiation_damage(early, LIBRARY, later=late)


@pytest.mark.parametrize("jitter", [0.0, 0.02])
@pytest.mark.parametrize("way", ["repeats", "one way", "two passes"])
def test_what_is_not_damaged_is_not_called_so(way, jitter):
    """Also where the standards do not quite fit; errors of repeated energies are those of counting,
    those of halves allow for standards that do not fit.
    """
    n = 16 if way == "repeats" else 6
    found = [judged(seed, way=way, jitter=jitter) for seed in range(n)]
    ratios = np.array([one.dx / one.sd for one in found])
    assert (np.abs(ratios) < 2).sum() >= 0.85 * n  # 95 % of many
    assert not any(one.significant for one in found)
    if way == "repeats":
        assert 0.6 < ratios.std() < 1.5


@pytest.mark.parametrize("jitter", [0.0, 0.02])
@pytest.mark.parametrize("way", ["repeats", "two passes"])
def test_damage_is_found(way, jitter):
    for seed in range(4):
        early, late = scan(seed, -0.05, way, jitter=jitter)
        with pytest.warns(ChemoscapeWarning, match=r"radiation damage: x in LixV2O5 changed by -0"):
            found = radiation_damage(early, LIBRARY, later=late)
        assert found.significant
        assert found.how == ("repeated energies" if late is not None else "halves of the scan")
        assert found.n_pairs == (12 if late is not None else 0)
        assert abs(found.dx + 0.05) < max(3 * found.sd, 0.004)
        assert found.sd < 0.012


def test_a_scan_in_one_way_says_how_little_it_knows():
    """V edges in the first half, O edge in the second: a small change stays below the error that
    standards alone may cause; a large one is found, and too small rather than too large.
    """
    small, large = judged(0, -0.05, "one way"), judged(0, -0.12, "one way")
    assert small.sd > 0.015
    assert not small.significant
    assert small.dx < 0
    assert "would not show" in str(small)
    assert large.significant
    assert -0.13 < large.dx < -0.05


def test_a_steady_change_shows_what_lies_between_the_visits():
    found = [judged(seed, -0.05, steady=True) for seed in range(3)]
    assert all(one.significant for one in found)
    assert -0.045 < np.mean([one.dx for one in found]) < -0.025
    halves = judged(0, -0.1, "two passes", steady=True)
    assert halves.significant
    assert abs(halves.dx + 0.05) < 0.01


def test_maps_of_the_change():
    early, late = scan(1, -0.1)
    with pytest.warns(ChemoscapeWarning, match="radiation damage"):
        found = radiation_damage(early, LIBRARY, later=late)
    inside = found.change.dx.notnull()
    assert 0.3 < float(inside.mean()) < 0.6
    assert abs(float(found.change.dx.median()) + 0.1) < 0.015
    change = (late - early)["optical_density"].sel(energy=found.change.attrs["energies_eV"])
    np.testing.assert_allclose(found.change.od_change, change.mean("energy"), atol=1e-6)
    assert abs(found.amount_change) < 4 * found.amount_sd < 0.02


def test_loss_of_sample_is_not_a_change_of_composition():
    early, late = scan(2)
    where = early.acquired.values != late.acquired.values
    late["optical_density"][where] *= 0.95
    found = radiation_damage(early, LIBRARY, later=late)
    assert not found.significant
    assert abs(found.amount_change + 0.05) < 0.01
    assert "the amount of sample changed by -5" in found.sentence


def test_a_calibration_error_is_found_on_the_way():
    early, late = scan(3, -0.08)
    moved = [one.assign_coords(energy=one.energy - 0.4) for one in (early, late)]
    with pytest.warns(ChemoscapeWarning, match="radiation damage"):
        found = radiation_damage(moved[0], LIBRARY, later=moved[1])
    assert abs(found.energy_shift_eV + 0.4) < 0.02
    assert abs(found.dx + 0.08) < 3 * found.sd


def test_few_pairs_and_no_places_in_the_file():
    """Without `acquired`, images that differ are the repeated ones."""
    early, late = scan(4, -0.1)
    frames = np.flatnonzero(early.acquired.values != late.acquired.values)
    kept = early["optical_density"].copy(deep=True)
    kept.values[frames[6]] = late["optical_density"].values[frames[6]]
    one = late.assign(optical_density=kept).drop_vars("acquired")
    found = radiation_damage(early.drop_vars("acquired"), LIBRARY, later=one)
    assert found.n_pairs == 1
    assert np.isnan(found.reduced_chi2)
    assert np.isnan(found.amount_change)
    assert np.isfinite(found.sd)
    same = radiation_damage(early.drop_vars("acquired"), LIBRARY, later=early.drop_vars("acquired"))
    assert same.how == "halves of the scan"


def test_without_variances_the_scatter_decides():
    early, late = (one[["optical_density"]] for one in scan(5, -0.05))
    with pytest.warns(ChemoscapeWarning, match="radiation damage"):
        found = radiation_damage(early, LIBRARY, later=late)
    assert abs(found.dx + 0.05) < 3 * found.sd


def test_lazy_stacks(monkeypatch):
    early, late = scan(6, -0.05)
    lazy = [one.chunk({"energy": -1, "y": 12, "x": -1}) for one in (early, late)]
    with pytest.warns(ChemoscapeWarning, match="radiation damage"):
        here = radiation_damage(early, LIBRARY, later=late)
    with pytest.warns(ChemoscapeWarning, match="radiation damage"):
        there = radiation_damage(lazy[0], LIBRARY, later=lazy[1])
    assert isinstance(lazy[0]["optical_density"].data, da.Array)
    assert here.dx == pytest.approx(there.dx, rel=1e-6)
    xr.testing.assert_allclose(dose_map(lazy[0], LIBRARY), dose_map(early, LIBRARY))


def test_what_cannot_be_told():
    early, late = scan(7)
    with pytest.raises(FitError, match="the same x in LixV2O5"):
        radiation_damage(early, LIBRARY.select(PHASES[0]))
    with pytest.raises(StackError, match="another x axis"):
        radiation_damage(early, LIBRARY, later=late.isel(x=slice(1, None)))
    with pytest.raises(FitError, match="no pixel has sample"):
        radiation_damage(early * np.nan, LIBRARY)
    with pytest.raises(FitError, match="too few to compare halves"):
        radiation_damage(early.isel(energy=slice(0, 5)), LIBRARY)
    with pytest.raises(LibraryError, match="a library of standards is needed"):
        radiation_damage(early, "lixv2o5-model")  # type: ignore[arg-type]


FILM = Standard(
    "film",
    "Film",
    0.0,
    energy=[500.0, 600.0],
    spectrum=[2e4, 1e4],
    scale="mass_absorption",
    formula="V2O5",
)


def film(grams_per_cm2: float) -> xr.Dataset:
    """A film on half of the image, in pixels of 0.1 × 0.2 µm, at two energies, 1e4 photons each."""
    return half_covered(np.array([500.0, 520.0]), grams_per_cm2 * np.array([2e4, 1.8e4]))


def half_covered(energy: np.ndarray, spectrum: np.ndarray) -> xr.Dataset:
    y, x = 0.2 * np.arange(6), 0.1 * np.arange(8)
    density = np.zeros((energy.size, 6, 8))
    density[:, :, 4:] = spectrum[:, None, None]
    od = stacks.build(density, energy, y, x, quantity="optical_density").to_dataset(
        name="optical_density"
    )
    od["i0"] = ("energy", np.full(energy.size, 1e3))
    od.attrs["noise_counts_per_unit"] = 10.0
    return od


def library_of(*standards: Standard) -> Library:
    return Library("films", "Films", "x", standards)


def test_dose_of_a_thin_film_is_fluence_times_energy_times_absorption():
    """Gy = photons/area · E · mu: 1e4 photons in 0.02 µm² = 5e13 /cm², at 500 and at 520 eV."""
    dose = dose_map(film(1e-8), library_of(FILM))
    gray = 5e13 * (500 * 2e4 + 520 * 1.8e4) * JOULE_PER_EV * 1e3
    np.testing.assert_allclose(dose.values[:, 4:], gray / 1e6, rtol=1e-3)
    assert np.isnan(dose.values[:, :4]).all()
    assert dose.attrs["skin_MGy"] == pytest.approx(gray / 1e6, rel=1e-6)
    assert dose.attrs["photons_per_um2"] == pytest.approx(1e6)
    assert dose.attrs["units"] == "MGy"
    assert "not count" in dose.attrs["left_out"]


def test_dose_of_a_thick_film_is_absorbed_energy_over_mass():
    """1 Gy = 1 J/kg."""
    grams = 5e-5  # optical densities 1 and 0.9
    dose = dose_map(film(grams), library_of(FILM), efficiency=0.25)
    joules = 4e4 * JOULE_PER_EV * (500 * (1 - np.exp(-1)) + 520 * (1 - np.exp(-0.9)))
    kilograms = grams * 1e-3 * 0.02e-8
    np.testing.assert_allclose(dose.values[:, 4:], joules / kilograms / 1e6, rtol=1e-6)


def test_dose_from_a_formula():
    """Tabulated absorption of V2O5 below the V edge: 2206 cm2/g at 508 eV (Henke)."""
    energy = np.linspace(505, 511, 7)
    density = 1e-5 * 2206 * (1 - 0.001 * (energy - 508))
    wide = half_covered(energy, density)
    bare = replace(FILM, scale="optical_density", spectrum=np.array([1.008, 0.908]))
    dose = dose_map(wide, library_of(bare))
    gray = 5e13 * (energy * -np.expm1(-density)).sum() * JOULE_PER_EV / 1e-5 * 1e3
    np.testing.assert_allclose(dose.values[:, 4:], gray / 1e6, rtol=0.02)
    with pytest.raises(LibraryError, match="neither in cm2/g nor has it a formula"):
        dose_map(wide, library_of(replace(bare, formula="")))


def test_a_dose_without_photons_or_absorption_is_refused():
    od = film(1e-6)
    with pytest.raises(LibraryError, match="absorption per mass"):
        dose_map(od)
    with pytest.raises(StackError, match="photons of the incident beam"):
        dose_map(od.drop_vars("i0"), library_of(FILM))
    for efficiency in (0.0, 1.5, np.nan):
        with pytest.raises(StackError, match="efficiency of"):
            dose_map(od, library_of(FILM), efficiency=efficiency)
    with pytest.raises(StackError, match="no pixel has sample"):
        dose_map(film(0.0), library_of(FILM))
