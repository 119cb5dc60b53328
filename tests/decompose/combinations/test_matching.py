"""Matching spectra of clusters, regions and particles with standards."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.combinations.matching import library_from_clusters, match
from chemoscape.decompose.combinations.ranking import rank_combinations
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.standards.folder import open_library

ENERGY = np.arange(510.0, 550.0, 0.4)
LIBRARY = open_library("lixv2o5-model")


def spectra(*weights, dim="cluster", shift=-0.3, noise=0.005, names=None, slope=0.0):
    rng = np.random.default_rng(0)
    standards = LIBRARY.spectra(ENERGY, shift=shift).values * 2e-5
    clean = np.array(weights) @ standards + 0.02 + slope * (ENERGY - ENERGY.mean())
    return xr.Dataset(
        {
            "spectrum": ((dim, "energy"), clean + noise * rng.normal(size=clean.shape)),
            "spectrum_se": ((dim, "energy"), np.full(clean.shape, noise)),
        },
        coords={dim: list(names or range(len(weights))), "energy": ENERGY},
    )


ALPHA, EPSILON = [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]
MIXED = [0, 0.3, 0, 0.7, 0, 0]


@pytest.fixture(scope="module")
def groups():
    return spectra(ALPHA, MIXED, EPSILON)


@pytest.fixture(scope="module")
def table(groups):
    return match(groups, LIBRARY)


def test_each_row_is_the_ranking_of_its_spectrum(groups, table):
    """With the common shift, its error included."""
    held = table.attrs["energy_shift_eV"]
    for row in range(3):
        data = (ENERGY, groups.spectrum.values[row])
        ranked = rank_combinations(data, LIBRARY, energy_shift=held)
        n = len(ranked.fits)
        assert float(table.composition[row]) == pytest.approx(ranked.composition)
        np.testing.assert_allclose(table.delta_bic[row, :n], ranked.delta_bic, atol=1e-9)
        names = [" + ".join(fit.standards) for fit in ranked.fits]
        assert table.candidate.values[row, :n].tolist() == names
        np.testing.assert_allclose(table.fitted.values[row], ranked.best.model)
        assert float(table.r_factor[row]) == pytest.approx(ranked.best.r_factor)
        assert bool(table.ambiguous[row]) == ranked.ambiguous
    mixed = linear_combination_fit(
        (ENERGY, groups.spectrum.values[1]),
        LIBRARY.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"),
        energy_shift=held,
    )
    of_shift = abs(mixed.composition_per_eV) * table.attrs["energy_shift_sd_eV"]
    assert float(table.composition_sd[1]) >= np.hypot(mixed.composition_sd, of_shift) * 0.99


def test_each_spectrum_says_what_shift_it_would_ask_for(table):
    assert table.energy_shift_each.dims == ("cluster",)
    pull = (table.energy_shift_each + 0.3) / table.energy_shift_each_sd
    assert (np.abs(pull) < 4).all()
    assert (table.energy_shift_each_sd > 0).all()


def test_a_shift_of_one_spectrum_alone_shows(groups):
    """And changes nothing else, for it is never used."""
    other = spectra(EPSILON, shift=-0.1).spectrum.values[0]
    odd = groups.copy(deep=True)
    odd["spectrum"][2] = other
    with pytest.warns(ChemoscapeWarning, match="energy calibration"):
        table = match(odd, LIBRARY, energy_shift=-0.3)
    assert float(table.energy_shift_each[2]) == pytest.approx(-0.1, abs=0.05)
    same = match(groups, LIBRARY, energy_shift=-0.3)
    np.testing.assert_array_equal(table.composition[:2], same.composition[:2])
    assert table.attrs["energy_shift_eV"] == -0.3


@pytest.mark.parametrize("dim", ["region", "particle"])
def test_any_dimension_is_kept(dim):
    names = ["rim", "heart"] if dim == "region" else [4, 9]
    groups = spectra(ALPHA, EPSILON, dim=dim, names=names)
    table = match(groups.transpose(), LIBRARY, energy_shift=-0.3)
    assert table.composition.dims == (dim,)
    assert table.weight.dims == (dim, "standard")
    assert table.candidate.dims == (dim, "rank")
    assert table[dim].values.tolist() == names
    np.testing.assert_allclose(table.composition, [0.1, 0.45], atol=0.02)
    own = library_from_clusters(groups, table)
    assert own.names == [f"{dim}-{name}" for name in names]


def test_spectra_without_values_stay_empty(groups):
    holed = groups.copy(deep=True)
    holed["spectrum"][1] = np.nan
    holed["spectrum"][2, 5] = np.nan
    table = match(holed, LIBRARY, energy_shift=-0.3)
    full = match(groups, LIBRARY, energy_shift=-0.3)
    assert np.isnan(table["composition_sd"][1])  # of the others it knows of the misfit in common
    for name in ("composition", "thickness", "energy_shift_each"):
        assert np.isnan(table[name][1])
        assert float(table[name][0]) == float(full[name][0])
    assert table.weight[1].isnull().all()
    assert table.candidate.values[1, 0] == ""
    assert not table.ambiguous[1]
    assert float(table.composition[2]) == pytest.approx(float(full.composition[2]), abs=0.01)
    assert np.isnan(table.fitted[2, 5])
    with pytest.raises(FitError, match="cluster 1 has no match"):
        library_from_clusters(holed, table)


def test_what_nothing_fits_is_left_out_with_a_warning(groups):
    upside_down = groups.copy(deep=True)
    upside_down["spectrum"][0] *= -1
    with pytest.warns(ChemoscapeWarning, match="no combination of standards fits cluster 0"):
        table = match(upside_down, LIBRARY, energy_shift=-0.3)
    assert np.isnan(table.composition[0])
    assert np.isfinite(table.composition[1:]).all()


def test_excluded_energies_and_a_slope():
    groups = spectra(ALPHA, MIXED, slope=0.004, noise=1e-4)
    groups["spectrum"][:, 30:33] += 3.0
    spoilt = [(ENERGY[30], ENERGY[32])]
    table = match(groups, LIBRARY, baseline="linear", exclude=spoilt)
    np.testing.assert_allclose(table.composition, [0.1, 0.345], atol=0.003)
    np.testing.assert_allclose(table.slope, 0.004, rtol=0.05)
    assert np.isnan(table.fitted[:, 30:33]).all()
    assert table.attrs["energy_shift_eV"] == pytest.approx(-0.3, abs=0.003)
    own = library_from_clusters(groups, table)
    want = LIBRARY.select("alpha-Li0.1V2O5").spectra(ENERGY, shift=-0.3).values[0]
    kept = np.setdiff1d(np.arange(ENERGY.size), [30, 31, 32])
    np.testing.assert_allclose(own.standards[0].spectrum[kept], want[kept], atol=0.003 * want.max())


def test_what_cannot_be_matched_is_said(groups):
    with pytest.raises(FitError, match="one more dimension"):
        match(groups.isel(cluster=0), LIBRARY)
    with pytest.raises(FitError, match="one more dimension"):
        match(groups[["spectrum_se"]], LIBRARY)
    with pytest.raises(FitError, match="no cluster has a spectrum"):
        match(groups * np.nan, LIBRARY)
    with pytest.raises(FitError, match="positive weights"):
        match(-groups, LIBRARY, baseline=None, energy_shift=0.0)
    with pytest.raises(FitError, match="max_standards"):
        match(groups, LIBRARY, max_standards=0)
    with pytest.raises(FitError, match="energy_shift is 'auto'"):
        match(groups, LIBRARY, energy_shift="auto")


def test_nothing_is_changed(groups):
    before = groups.copy(deep=True)
    match(groups, LIBRARY, energy_shift=-0.3)
    xr.testing.assert_identical(groups, before)


def test_a_stretched_axis_is_found_and_can_be_handed_on():
    """Spectra of two edges, whose axis is 0.2 eV longer over 40 eV."""
    stretch = 0.005
    shifts = -0.3 + stretch * (ENERGY - ENERGY.mean())
    standards = LIBRARY.spectra(ENERGY, shift=shifts).values * 2e-5
    data = np.array([ALPHA, MIXED, EPSILON]) @ standards
    data += 0.003 * np.random.default_rng(0).normal(size=data.shape)
    groups = spectra(ALPHA, MIXED, EPSILON).assign(spectrum=(("cluster", "energy"), data))
    table = match(groups, LIBRARY, stretch=True)
    np.testing.assert_allclose(table.composition, [0.1, 0.345, 0.45], atol=0.006)
    axis = EnergyShift(-0.3, 0.01, stretch=stretch, centre=float(ENERGY.mean()))
    known = match(groups, LIBRARY, energy_shift=axis)
    np.testing.assert_allclose(known.composition, table.composition, atol=0.006)
    assert known.attrs["energy_shift_sd_eV"] == 0.01
    unknown = match(groups, LIBRARY, energy_shift=EnergyShift(-0.3, np.nan))
    assert np.isfinite(unknown.composition_sd).all()


def test_a_calibration_held_against_the_clusters_is_said():
    """The clustered route must not hide what the direct one says: the paper's Figure S10."""
    groups = spectra(ALPHA, EPSILON, shift=-0.4)
    with pytest.warns(ChemoscapeWarning, match=r"energy calibration.*say -0\.39"):
        table = match(groups, LIBRARY, energy_shift=0.0)
    assert table.attrs["energy_shift_sd_eV"] == pytest.approx(0.4, abs=0.05)
