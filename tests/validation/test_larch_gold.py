"""Linear combination fits of gold: the answers printed in Larch's documentation."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.combinations.ranking import rank_combinations
from chemoscape.standards.library import Library, Standard

PRINTED = {
    ("s1", "s2"): ([0.47066003, 0.52933996], 9339.1),
    ("s1", "s2", "s5"): ([0.27866516, 0.53207041, 0.18926442], 5078.3),
    ("s1", "s2", "s3", "s6"): ([0.32788267, 0.46501286, 0.06384062, 0.14326383], 2095.2),
    ("s1", "s2", "s3", "s5"): ([0.30304286, 0.45835749, 0.05429199, 0.18430763], 2312.1),
}


@pytest.fixture(scope="module")
def gold(data_folder):
    """The unknown on its 160 points, and the standards."""
    folder = data_folder / "lcf_gold"
    energy, mu = np.loadtxt(folder / "unknown.dat", unpack=True)
    first, last = (np.flatnonzero(energy <= edge)[-1] for edge in (11870, 12030))
    spectra = {
        name: np.loadtxt(folder / f"{name}.dat", unpack=True)
        for name in ("s1", "s2", "s3", "s4", "s5", "s6")
    }
    return (energy[first : last + 1], mu[first : last + 1]), spectra


@pytest.mark.parametrize("names", PRINTED, ids="+".join)
def test_printed_weights_and_chi2(gold, names, reach):
    unknown, spectra = gold
    assert unknown[0].size == 160
    library = Library(
        "gold",
        "gold",
        "Au(III)",
        tuple(Standard(name, name, 0.0, *spectra[name]) for name in names),
    )
    fit = linear_combination_fit(
        unknown, library, sd=0.001, sum_to_one=True, baseline=None, energy_shift=0.0
    )
    weights, chi2 = PRINTED[names]
    case = "linear combination fits of gold"
    off = np.abs(np.subtract(fit.weights, weights)).max()
    reach(case, "largest difference to Larch's printed weights", off, most=1e-5)
    reach(case, "difference to its printed χ², rounded alike", round(fit.chi2, 1) - chi2, most=0)
    assert round(fit.chi2, 1) == chi2


@pytest.fixture(scope="module")
def ranked(gold):
    """All combinations of all standards, as many points as count."""
    unknown, spectra = gold
    library = Library(
        "gold", "gold", "Au", tuple(Standard(name, name, 0.0, *spectra[name]) for name in spectra)
    )
    return rank_combinations(
        unknown,
        library,
        sd=0.001,
        sum_to_one=True,
        baseline=None,
        energy_shift=0.0,
        resolution_eV=5.3,
    )


def test_all_printed_combinations_are_in_one_ranking(ranked):
    found = {fit.standards: fit for fit in ranked.fits}
    assert ranked.n_combinations == 6 + 15 + 20 + 15
    for names, (weights, chi2) in PRINTED.items():
        np.testing.assert_allclose(found[names].weights, weights, atol=1e-5)
        assert round(found[names].chi2, 1) == chi2


def test_the_near_tie_is_three_in_bic_with_effective_points(ranked, gold):
    """With every point counted it would be taken for settled."""
    first, second = ranked.fits[:2]
    assert first.standards == ("s1", "s2", "s3", "s6")
    assert second.standards == ("s1", "s2", "s3", "s5")
    assert ranked.runners_up == (second,)
    assert ranked.delta_bic[1] == pytest.approx(3.0, abs=0.1)
    assert ranked.delta_bic[2] > 20
    assert first.n_effective == pytest.approx(30.2, abs=0.1)
    text = str(ranked)
    assert "160 points, of which n_eff = 30.2 count in BIC" in text
    assert "1 runner-up within 6 in BIC" in text
    every = 160 * np.log(second.chi2 / first.chi2)
    assert every == pytest.approx(15.8, abs=0.1)
