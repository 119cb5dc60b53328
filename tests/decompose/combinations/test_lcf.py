"""Linear combination fits: constraints, uncertainties, how they print."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, lsq_linear, minimize

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import FitError
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard

AXIS = np.arange(510.0, 530.0, 0.25)
FINE = np.arange(505.0, 535.0, 0.05)


def peaks(*centres: float, mass: float = np.nan) -> Library:
    return Library(
        "peaks",
        "peaks",
        "x",
        tuple(
            Standard(
                f"p{k}", f"p{k}", float(k), FINE, np.exp(-(((FINE - c) / 2) ** 2)), molar_mass=mass
            )
            for k, c in enumerate(centres)
        ),
    )


@pytest.mark.parametrize("baseline", ["constant", "linear", None])
def test_sum_to_one_with_bounds_is_the_constrained_minimum(baseline):
    """Against SciPy's general constrained minimiser, with errors that differ between energies."""
    library = peaks(514.0, 518.0, 522.0, 526.0)
    model = library.spectra(AXIS).values.T
    data = model @ [0.7, 0.5, -0.2, 0.1] + 0.03 + 0.004 * (AXIS - 515.0)
    sd = 0.02 * (1 + 0.9 * np.sin(AXIS))
    fit = linear_combination_fit(
        (AXIS, data), library, sd=sd, sum_to_one=True, energy_shift=0.0, baseline=baseline
    )
    under = np.column_stack([np.ones_like(AXIS), AXIS - (AXIS[0] + AXIS[-1]) / 2])
    under = under[:, : {"constant": 1, "linear": 2, None: 0}[baseline]]
    columns = np.column_stack([model, under])
    scale = float(((data / sd) ** 2).sum())  # a search does better on numbers of about one

    def squares(p):
        return float((((columns @ p - data) / sd) ** 2).sum() / scale)

    best = minimize(
        squares,
        np.r_[np.full(4, 0.25), np.zeros(under.shape[1])],
        jac=lambda p: 2 * columns.T @ ((columns @ p - data) / sd**2) / scale,
        method="SLSQP",
        bounds=[(0, None)] * 4 + [(None, None)] * under.shape[1],
        constraints={"type": "eq", "fun": lambda p: p[:4].sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    found = np.r_[fit.weights, fit.baseline, fit.slope][: 4 + under.shape[1]]
    np.testing.assert_allclose(found, best.x, atol=2e-5)
    assert fit.chi2 <= scale * best.fun * (1 + 1e-7)
    assert fit.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(fit.parts.sum(axis=0) + fit.background, fit.model)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_weighted_fit_is_that_of_a_bounded_solver(nonnegative):
    library = peaks(514.0, 515.0, 522.0, 526.0)
    model = library.spectra(AXIS).values.T
    sd = np.linspace(0.01, 0.05, AXIS.size)
    data = model @ [0.7, 0.5, -0.2, 0.1] + 0.03 * np.cos(3 * AXIS)
    fit = linear_combination_fit(
        (AXIS, data), library, sd=sd, nonnegative=nonnegative, energy_shift=0.0, baseline="linear"
    )
    columns = np.column_stack([model, np.ones_like(AXIS), AXIS - AXIS.mean()])
    low = np.r_[np.full(4, 0.0 if nonnegative else -np.inf), -np.inf, -np.inf]
    best = lsq_linear(columns / sd[:, None], data / sd, (low, np.inf), tol=1e-14)
    np.testing.assert_allclose([*fit.weights, fit.baseline, fit.slope], best.x, atol=1e-6)
    assert fit.chi2 == pytest.approx(2 * best.cost)
    assert (fit.weights < 0).any() != nonnegative


def test_statistics_by_hand():
    library = peaks(514.0, 522.0)
    data = library.spectra(AXIS).values.T @ [0.4, 0.6] + 0.02 * np.cos(5 * AXIS)
    fit = linear_combination_fit(
        (AXIS, data), library, sd=0.02, energy_shift=0.0, resolution_eV=1.0
    )
    residual = data - fit.model
    assert (fit.n_points, fit.n_varied) == (80, 3)
    assert fit.n_effective == pytest.approx(19.75)
    assert fit.chi2 == pytest.approx((residual**2).sum() / 4e-4)
    assert fit.reduced_chi2 == pytest.approx(fit.chi2 / 77)
    assert fit.r_factor == pytest.approx((residual**2).sum() / (data**2).sum())
    assert fit.aic == pytest.approx(19.75 * np.log(fit.chi2 / 80) + 6)
    assert fit.bic == pytest.approx(19.75 * np.log(fit.chi2 / 80) + 3 * np.log(19.75))
    every = linear_combination_fit((AXIS, data), library, sd=0.02, energy_shift=0.0)
    assert every.bic == pytest.approx(80 * np.log(fit.chi2 / 80) + 3 * np.log(80))
    columns = np.column_stack([library.spectra(AXIS).values.T, np.ones_like(AXIS)])
    inverse = np.linalg.inv(columns.T @ columns)
    np.testing.assert_allclose(
        fit.covariance, inverse[:2, :2] * (residual**2).sum() / 77, rtol=1e-9
    )
    assert fit.baseline_sd == pytest.approx(np.sqrt(inverse[2, 2] * (residual**2).sum() / 77))


def _pulls(draws, shift_sd=0.0, **options):
    """Errors of a weight and of the composition over what is stated, of spectra with noise and with
    their axis off by an unknown amount.
    """
    rng = np.random.default_rng(1)
    library = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    energy = np.arange(510.0, 550.0, 0.4)
    truth = np.array([0.6, 0.4]) * (1.0 if options.get("sum_to_one") else 2e-5)
    amount = truth / library.molar_mass
    x = float(amount @ library.values / amount.sum())
    pulls = []
    for _ in range(draws):
        at = -0.2 + shift_sd * rng.normal()
        clean = library.spectra(energy, shift=at).values.T @ truth
        data = clean + 0.01 * clean.max() * rng.normal(size=energy.size)
        fit = linear_combination_fit(
            (energy, data), library, energy_shift=EnergyShift(-0.2, shift_sd), **options
        )
        pulls.append(
            [
                (fit.weights[0] - truth[0]) / fit.weight_sd[0],
                (fit.composition - x) / fit.composition_sd,
            ]
        )
    return np.array(pulls)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"baseline": "linear"},
        {"sum_to_one": True, "baseline": None},
        {"shift_sd": 0.01},
        {"shift_sd": 0.01, "sum_to_one": True},
    ],
    ids=["constant", "linear", "sum to one", "shift", "shift, sum to one"],
)
def test_stated_sd_is_the_observed_one(options):
    """68 % intervals of weights and composition, off the bounds."""
    pull = _pulls(600, **options)
    np.testing.assert_allclose(pull.std(axis=0), 1.0, atol=0.08)
    np.testing.assert_allclose(pull.mean(axis=0), 0.0, atol=0.12)
    share = (np.abs(pull) < 1).mean(axis=0)
    assert ((share > 0.64) & (share < 0.72)).all(), share


def test_composition_sd_holds_that_of_the_shift():
    library = peaks(516.0, 519.0)
    data = library.spectra(AXIS, shift=-0.3).values.T @ [0.4, 0.6] + 0.01 * np.cos(7 * AXIS)

    def fit(shift, sd=0.0):
        return linear_combination_fit((AXIS, data), library, energy_shift=EnergyShift(shift, sd))

    held, known = fit(-0.3), fit(-0.3, 0.05)
    later, earlier = fit(-0.25), fit(-0.35)
    per_eV = (later.composition - earlier.composition) / 0.1
    assert held.composition_per_eV == pytest.approx(per_eV, rel=0.03)
    np.testing.assert_allclose(
        held.weight_per_eV, (later.weights - earlier.weights) / 0.1, rtol=0.03
    )
    assert known.composition_sd == pytest.approx(
        np.hypot(held.composition_sd, 0.05 * abs(held.composition_per_eV))
    )
    np.testing.assert_allclose(
        known.covariance - held.covariance,
        0.05**2 * np.outer(held.weight_per_eV, held.weight_per_eV),
        atol=1e-12,
    )
    assert np.isinf(fit(-0.3, np.inf).composition_sd)


def test_shift_and_sum_to_one_are_fitted_jointly():
    """Against SciPy's nonlinear least squares over shift and weights."""
    library = peaks(515.0, 518.0, 524.0)
    data = 1.1 * library.spectra(AXIS, shift=0.37).values.T @ [0.2, 0.5, 0.3]
    fit = linear_combination_fit((AXIS, data), library, sum_to_one=True, baseline=None)

    def residual(p):
        weights = np.array([p[1], p[2], 1 - p[1] - p[2]])
        return library.spectra(AXIS, shift=p[0]).values.T @ weights - data

    best = least_squares(residual, [0.3, 0.2, 0.5], diff_step=1e-4)
    assert fit.energy_shift_eV == pytest.approx(best.x[0], abs=2e-3)
    np.testing.assert_allclose(fit.weights[:2], best.x[1:], atol=2e-3)
    assert fit.n_varied == 3


def test_significance_of_the_shift():
    library = peaks(515.0, 522.0)
    rng = np.random.default_rng(3)
    noise = 0.02 * rng.normal(size=AXIS.size)

    def fit(shift):
        data = library.spectra(AXIS, shift=shift).values.T @ [0.5, 0.5] + noise
        return linear_combination_fit((AXIS, data), library)

    assert abs(fit(0.0).energy_shift_z) < 3
    assert fit(-0.5).energy_shift_z < -20
    assert np.isnan(linear_combination_fit((AXIS, AXIS * 0.1), library, energy_shift=0.0)
                    .energy_shift_z)  # fmt: skip


def test_excluded_energies_do_not_matter():
    library = peaks(514.0, 522.0)
    clean = library.spectra(AXIS).values.T @ [0.4, 0.6]
    spoilt = clean + 5.0 * ((AXIS >= 519.0) & (AXIS <= 520.0))
    fit = linear_combination_fit(
        (AXIS, spoilt), library, exclude=[(519.0, 520.0)], energy_shift=0.0, resolution_eV=0.5
    )
    np.testing.assert_allclose(fit.weights, [0.4, 0.6], atol=1e-9)
    assert fit.n_points == 75
    assert not ((fit.energy >= 519.0) & (fit.energy <= 520.0)).any()
    assert fit.n_effective == pytest.approx((19.75 - 1.5) / 0.5)
    fitted = linear_combination_fit((AXIS, spoilt), library, exclude=[(519.0, 520.0)])
    assert abs(fitted.energy_shift_eV) < 1e-3


def test_a_slope_is_found_and_is_zero_at_the_middle():
    library = peaks(514.0, 522.0)
    line = 0.3 + 0.02 * (AXIS - 515.0)
    data = library.spectra(AXIS, shift=0.2).values.T @ [0.4, 0.6] + line
    fit = linear_combination_fit((AXIS, data), library, baseline="linear")
    np.testing.assert_allclose(fit.weights, [0.4, 0.6], atol=1e-3)
    assert fit.energy_shift_eV == pytest.approx(0.2, abs=1e-3)
    assert fit.slope == pytest.approx(0.02, abs=1e-4)
    assert fit.baseline == pytest.approx(0.3 + 0.02 * (fit.mid_eV - 515.0), abs=1e-3)
    np.testing.assert_allclose(fit.background, line, atol=2e-3)
    assert "slope per eV" in str(fit)


def test_points_without_a_value_are_left_out():
    library = peaks(514.0, 522.0)
    data = library.spectra(AXIS).values.T @ [0.4, 0.6] + 0.01 * np.cos(5 * AXIS)
    sd = np.full(AXIS.size, 0.01)
    holed, unsure = data.copy(), sd.copy()
    holed[10], unsure[20] = np.nan, np.inf
    keep = ~np.isin(np.arange(AXIS.size), [10, 20])
    fit = linear_combination_fit((AXIS, holed), library, sd=unsure)
    same = linear_combination_fit((AXIS[keep], data[keep]), library, sd=sd[keep])
    np.testing.assert_allclose(fit.weights, same.weights)
    assert fit.chi2 == pytest.approx(same.chi2)
    assert fit.n_points == 78
    assert np.isnan(holed[10])


def test_energies_in_any_order_and_data_arrays():
    library = peaks(514.0, 522.0)
    data = library.spectra(AXIS).values.T @ [0.4, 0.6]
    backwards = linear_combination_fit((AXIS[::-1], data[::-1]), library)
    array = linear_combination_fit(
        xr.DataArray(data, dims="energy", coords={"energy": AXIS}), library
    )
    np.testing.assert_array_equal(backwards.weights, array.weights)


def test_correlation_and_bounds():
    library = peaks(518.0, 518.3, 524.0)
    data = library.spectra(AXIS).values.T @ [0.4, 0.6, -0.2] + 0.01 * np.cos(5 * AXIS)
    fit = linear_combination_fit((AXIS, data), library, energy_shift=0.0)
    assert fit.at_bound.tolist() == [False, False, True]
    assert np.isnan(fit.correlation[2]).all()
    assert np.isnan(fit.correlation[:, 2]).all()
    np.testing.assert_allclose(np.diag(fit.correlation)[:2], 1.0)
    assert fit.correlation[0, 1] < -0.9
    assert fit.correlated == [("p0", "p1", pytest.approx(fit.correlation[0, 1]))]
    text = str(fit)
    assert "correlated weights" in text
    assert "p2            0.00000   at its bound" in text


def test_prints_what_a_spectroscopist_asks_for():
    library = peaks(516.0, 518.0)
    fit = linear_combination_fit(
        (AXIS, library.spectra(AXIS).values[0] + 0.1), library, energy_shift=0.0
    )
    text = str(fit)
    for words in (
        "80 points (80 effective), 3 varied",
        "R =",
        "reduced chi2",
        "BIC",
        "p0            1.00000",
        "constant      0.10000",
        "energy shift  +0.000 eV, held",
        "x = ",
    ):
        assert words in text


def test_small_weights_are_printed_with_their_power():
    library = open_library("lixv2o5-model").select("alpha-V2O5", "delta-Li0.9V2O5")
    data = (library.spectra(np.arange(510.0, 550.0, 0.2)) * 2e-5).sum("standard")
    text = str(linear_combination_fit(data, library))
    assert "weight (2e-05" not in text
    assert "weight (1e-05 g/cm2)" in text
    assert "2.00000" in text


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    factor=st.floats(0.01, 100.0),
    offset=st.floats(-1.0, 1.0),
    weights=st.tuples(st.floats(0.05, 1.0), st.floats(0.05, 1.0)),
)
def test_scale_and_offset_change_neither_shares_nor_composition(factor, offset, weights):
    library = peaks(514.0, 520.0, mass=100.0)
    data = library.spectra(AXIS).values.T @ weights + 0.003 * np.cos(5 * AXIS)
    one = linear_combination_fit((AXIS, data), library, energy_shift=0.0)
    other = linear_combination_fit((AXIS, factor * data + offset), library, energy_shift=0.0)
    np.testing.assert_allclose(other.weights, factor * one.weights, rtol=1e-6)
    np.testing.assert_allclose(other.weight_sd, factor * one.weight_sd, rtol=1e-6)
    assert other.composition == pytest.approx(one.composition, rel=1e-6)
    assert other.composition_sd == pytest.approx(one.composition_sd, rel=1e-6)
    assert other.baseline == pytest.approx(factor * one.baseline + offset, abs=1e-7)


def test_a_constant_spectrum_is_all_baseline():
    fit = linear_combination_fit(
        (AXIS, np.full(AXIS.size, 0.3)), peaks(514.0, 522.0), energy_shift=0.0
    )
    assert fit.baseline == pytest.approx(0.3)
    np.testing.assert_allclose(fit.weights, 0.0, atol=1e-12)


GOOD = peaks(516.0, 518.0)
DATA = GOOD.spectra(AXIS).values.sum(axis=0)


@pytest.mark.parametrize(
    ("spectrum", "options", "words"),
    [
        ((AXIS[:3], AXIS[:3]), {"energy_shift": 0.0}, "too few"),
        ((AXIS[:1], AXIS[:1]), {"energy_shift": 0.0}, "too few"),
        ((AXIS[:3], AXIS[:3]), {}, "3 energies cannot determine"),
        ((AXIS[:0], AXIS[:0]), {}, "one value for each energy"),
        ((AXIS, AXIS[:3]), {}, "one value for each energy"),
        ((AXIS, np.full(80, np.nan)), {"energy_shift": 0.0}, "too few"),
        ((AXIS, DATA), {"sd": 0.0}, "sd is 0 at 510.00 eV"),
        ((AXIS, DATA), {"sd": np.r_[np.ones(79), -1.0]}, "sd is -1 at 529.75 eV"),
        ((AXIS, DATA), {"sd": np.ones(3)}, "sd has"),
        ((AXIS, DATA), {"baseline": "quadratic"}, "baseline is 'quadratic'"),
        ((AXIS, DATA), {"energy_shift": "auto"}, "energy_shift is 'auto'"),
        ((AXIS, DATA), {"exclude": [(520.0, 510.0)]}, "520"),
        ((AXIS, DATA), {"exclude": [(500.0, 540.0)]}, "excluded"),
        ((AXIS, DATA), {"fit_range": (600.0, 700.0)}, "fit range"),
        ((AXIS, DATA), {"resolution_eV": -1.0}, "resolution_eV"),
    ],
)
def test_what_cannot_be_fitted_is_said(spectrum, options, words):
    with pytest.raises(FitError, match=words):
        linear_combination_fit(spectrum, GOOD, **options)


def test_standards_that_are_alike_are_refused_where_both_take_part():
    twin = Library(
        "twin",
        "twin",
        "x",
        tuple(
            Standard(name, name, 0.0, FINE, np.exp(-(((FINE - 516) / 2) ** 2)))
            for name in ("one", "two")
        ),
    )
    data = twin.spectra(AXIS).values.sum(axis=0)
    with pytest.raises(FitError, match="told apart"):
        linear_combination_fit((AXIS, data), twin, nonnegative=False, energy_shift=0.0)
    fit = linear_combination_fit((AXIS, data), twin, energy_shift=0.0)
    assert sorted(fit.weights) == pytest.approx([0.0, 2.0])
