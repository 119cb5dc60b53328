"""Peaks of the model library against the parameters it was made from, and a free fit against ours.

The SYNTHETIC library `lixv2o5-model` has Voigt peaks whose centres, areas and widths are known
(`chemoscape.standards.model`). The fit is told none of them.
"""

from __future__ import annotations

from dataclasses import replace

import lmfit
import numpy as np
import pytest
from scipy.special import ndtr

from chemoscape.standards import model
from chemoscape.standards.folder import open_library
from chemoscape.standards.peaks import fit_peaks, peak_model

#: Names in the fit and in the model of the library.
NAMES = {
    "V L3": {
        **{"pre": "L3_a", "d_xy": "L3_dxy", "d_xz/yz": "L3_dxz", "main": "L3_main"},
        "high": "L3_hi",
    },
    "O K": {"t2g": "OK_t2g", "eg*": "OK_eg", "dz2": "OK_dz2"},
}
#: The phases of the trend; delta is not of it.
TREND = (0.0, 0.7)
DELTA = "delta-Li0.9V2O5"
NOISE = 0.003  # of the highest value; 1 % of the edge steps
SEEDS = 10
LIBRARY = open_library("lixv2o5-model")


def truth(edge, quantity):
    """Of the library's own peaks, (6, n_peaks)."""
    phases = [{p.name: p for p in model.jittered_peaks(k)} for k in range(6)]
    return np.array([[getattr(one[p], quantity) for p in NAMES[edge].values()] for one in phases])


def noisy(seed, noise=NOISE):
    """The library at steps of 0.1 eV with white noise of known standard deviation."""
    rng = np.random.default_rng(seed)
    energy = np.arange(508.0, 560.0, 0.1)
    out = []
    for one in LIBRARY.standards:
        values = np.interp(energy, one.energy, one.spectrum)
        sd = noise * values.max()
        out.append(
            replace(
                one,
                energy=energy,
                spectrum=values + rng.normal(0, sd, energy.size),
                spectrum_sd=np.full(energy.size, sd),
            )
        )
    return out


def swapped(edge, centres):
    """How many centres (..., 6, n_peaks) are nearer to the truth of another peak."""
    known = truth(edge, "centre")
    nearest = np.abs(centres[..., :, None] - known[:, None, :]).argmin(axis=-1)
    return int((nearest != np.arange(known.shape[1])).sum())


@pytest.fixture(scope="module")
def fits():
    """Fits of the library as it is."""
    return {edge: fit_peaks(LIBRARY, edge) for edge in NAMES}


@pytest.fixture(scope="module")
def trials():
    """Fits of noisy libraries, with the Lorentzian width that the library was made with."""
    own = {edge: replace(peak_model(edge), lorentz_fwhm=0.15) for edge in NAMES}
    n = {"V L3": SEEDS, "O K": 2}  # O K, where nothing can swap, is slower
    return {
        edge: [fit_peaks(noisy(seed), own[edge]).table for seed in range(n[edge])] for edge in NAMES
    }


@pytest.mark.parametrize(
    ("edge", "worst"),
    [
        ("V L3", {"pre": 3e-3, "d_xy": 3e-3, "d_xz/yz": 3e-3, "main": 0.03, "high": 0.1}),
        ("O K", {"t2g": 3e-3, "eg*": 0.01, "dz2": 0.03}),
    ],
)
def test_centres_are_those_of_the_library(edge, worst):
    """With the library's own Lorentzian width, and nothing else of it."""
    own = replace(peak_model(edge), lorentz_fwhm=0.15)
    found = fit_peaks(LIBRARY, own).table.centre
    away = np.abs(found.sel(peak=list(NAMES[edge])).values - truth(edge, "centre")).max(axis=0)
    assert (away < [worst[name] for name in NAMES[edge]]).all(), away


def test_the_trends_of_the_paper(fits):
    """d_xy and d_xz/yz move up and weaken; eg* moves up; t2g weakens against it; delta leaves."""
    found = {
        (edge, one.peak, one.quantity): one
        for edge, fit in fits.items()
        for one in fit.trends(TREND)
    }
    for edge, peak, quantity, direction, slope in (
        ("V L3", "d_xy", "centre", "rises", 0.45),
        ("V L3", "d_xz/yz", "centre", "rises", 0.55),
        ("V L3", "d_xy", "relative_intensity", "falls", None),
        ("V L3", "d_xz/yz", "relative_intensity", "falls", None),
        ("O K", "eg*", "centre", "rises", 0.50),
        ("O K", "t2g", "relative_intensity", "falls", None),
    ):
        trend = found[edge, peak, quantity]
        assert trend.direction == direction, trend
        if slope is not None:
            assert trend.slope == pytest.approx(slope, abs=0.01)
    for edge, peak in (("V L3", "d_xy"), ("V L3", "d_xz/yz"), ("O K", "eg*")):
        assert found[edge, peak, "centre"].departures[DELTA][1] < -10
    away, sds = found["O K", "t2g", "relative_intensity"].departures[DELTA]
    area = truth("O K", "area")
    line = np.polyfit(model_values()[:5], area[:5, 0] / area[:5, 1], 1)
    assert away == pytest.approx(area[5, 0] / area[5, 1] - np.polyval(line, 0.9), abs=0.03)
    assert sds > 10


def model_values():
    return np.array([x for _, _, x, _ in model.PHASES])


def test_relative_intensities_are_those_of_the_library(fits):
    for edge, peak, worst in (("O K", "t2g", 0.03), ("V L3", "d_xy", 0.03)):
        area = truth(edge, "area")
        names = list(NAMES[edge])
        reference = names.index(fits[edge].model.reference)
        wanted = area[:, names.index(peak)] / area[:, reference]
        found = fits[edge].table.relative_intensity.sel(peak=peak).values
        np.testing.assert_allclose(found, wanted, atol=worst)


def test_no_label_swaps_over_series_and_seeds(trials):
    for edge, tables in trials.items():
        centres = np.array([one.centre.sel(peak=list(NAMES[edge])).values for one in tables])
        assert swapped(edge, centres) == 0
        assert (np.diff(centres, axis=-1) > 0).all()


@pytest.mark.parametrize("edge", NAMES)
def test_stated_errors_cover_the_truth(trials, edge):
    names = list(NAMES[edge])
    away = np.array([one.centre.sel(peak=names).values for one in trials[edge]])
    away -= truth(edge, "centre")
    pulls = away / [one.centre_sd.sel(peak=names).values for one in trials[edge]]
    sharp = [k for k, name in enumerate(names) if name not in ("main", "high")]
    # 180 and 36 pulls, which are correlated within a spectrum
    assert 0.55 < (np.abs(pulls[..., sharp]) < 1).mean() < 0.82
    assert (np.abs(pulls[..., sharp]) < 2).mean() > 0.88
    chi2 = np.mean([one.reduced_chi2 for one in trials[edge]])
    assert chi2 == pytest.approx(1, abs=0.05)


def free_fit(energy, values, start):
    """Five free Gaussians on a fixed step and a constant: what lmfit does when left alone."""

    def parts(p):
        gauss = [
            p[f"a{k}"] * np.exp(-0.5 * ((energy - p[f"c{k}"]) / p[f"s{k}"]) ** 2) for k in range(5)
        ]
        return p["constant"] + 7.0 * ndtr((energy - 517.4) / 0.6) + sum(gauss)

    params = lmfit.Parameters()
    params.add("constant", float(values[0]))
    for k, centre in enumerate(start):
        params.add(f"c{k}", centre)
        params.add(f"a{k}", 20.0, min=0)
        params.add(f"s{k}", 0.5, min=0.2, max=1.6)
    done = lmfit.minimize(
        lambda p: parts(p.valuesdict()) - values, params, max_nfev=3000, ftol=1e-9, xtol=1e-9
    )
    r2 = 1 - done.residual @ done.residual / np.sum((values - values.mean()) ** 2)
    return np.array([done.params[f"c{k}"].value for k in range(5)]), r2


def test_a_free_fit_swaps_labels_although_it_fits_well():
    """The case against: the same spectra, five free Gaussians begun at one list of energies."""
    start = (515.2, 516.0, 517.1, 518.6, 520.1)
    well, wrong, out_of_order = 0, 0, 0
    for seed in range(3):
        for k, one in enumerate(noisy(seed)):
            inside = (one.energy >= 511) & (one.energy <= 521.5)
            found, r2 = free_fit(one.energy[inside], one.spectrum[inside] / 1e3, start)
            nearest = np.abs(found[:, None] - truth("V L3", "centre")[k]).argmin(axis=1)
            if r2 > 0.9996:
                well += 1
                wrong += (nearest != np.arange(5)).any()
                out_of_order += (np.diff(found) < 0).any()
    assert well > 11  # of 18
    assert wrong > 0.3 * well
    assert out_of_order >= 2
