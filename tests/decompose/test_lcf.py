"""Linear combination fits: constraints, uncertainties, how they print."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from chemoscape.decompose.lcf import linear_combination_fit
from chemoscape.errors import FitError
from chemoscape.standards.library import Library, Standard

AXIS = np.arange(510.0, 530.0, 0.25)


def peaks(*centres: float) -> Library:
    return Library(
        "peaks",
        "peaks",
        "x",
        tuple(
            Standard(f"p{k}", f"p{k}", float(k), AXIS, np.exp(-(((AXIS - c) / 2) ** 2)))
            for k, c in enumerate(centres)
        ),
    )


def test_sum_to_one_with_bounds_is_the_constrained_minimum():
    """Against SciPy's general constrained minimiser, a free constant included."""
    library = peaks(514.0, 518.0, 522.0, 526.0)
    model = library.spectra(AXIS).values.T
    data = model @ [0.7, 0.5, -0.2, 0.1] + 0.03
    fit = linear_combination_fit((AXIS, data), library, sum_to_one=True, energy_shift=0.0)

    def squares(p):
        return float(((model @ p[:4] + p[4] - data) ** 2).sum())

    best = minimize(
        squares,
        np.full(5, 0.25),
        method="SLSQP",
        bounds=[(0, None)] * 4 + [(None, None)],
        constraints={"type": "eq", "fun": lambda p: p[:4].sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose([*fit.weights, fit.baseline], best.x, atol=1e-5)
    assert fit.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("sum_to_one", [False, True])
def test_stated_sd_of_the_weights_is_the_observed_one(sum_to_one):
    rng = np.random.default_rng(0)
    library = peaks(516.0, 518.0)
    clean = library.spectra(AXIS).values.T @ [0.4, 0.6]
    fits = [
        linear_combination_fit(
            (AXIS, clean + 0.02 * rng.normal(size=AXIS.size)),
            library,
            sum_to_one=sum_to_one,
            energy_shift=0.0,
        )
        for _ in range(300)
    ]
    observed = np.std([fit.weights[0] for fit in fits])
    stated = np.mean([fit.weight_sd[0] for fit in fits])
    assert stated == pytest.approx(observed, rel=0.12)
    assert np.mean([fit.composition_sd for fit in fits]) == pytest.approx(
        np.std([fit.composition for fit in fits]), rel=0.12
    )


def test_prints_what_a_spectroscopist_asks_for():
    library = peaks(516.0, 518.0)
    fit = linear_combination_fit(
        (AXIS, library.spectra(AXIS).values[0] + 0.1), library, energy_shift=0.0
    )
    text = str(fit)
    for word in (
        "80 points",
        "R =",
        "chi2",
        "BIC",
        "p0  1.00000",
        "constant",
        "energy shift +0.000",
    ):
        assert word in text


def test_too_few_points():
    with pytest.raises(FitError, match="too few"):
        linear_combination_fit((AXIS[:3], AXIS[:3]), peaks(516.0, 518.0), energy_shift=0.0)
