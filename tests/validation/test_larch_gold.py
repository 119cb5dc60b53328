"""Linear combination fits of gold: the answers printed in Larch's documentation."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.decompose.lcf import linear_combination_fit
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
        for name in ("s1", "s2", "s3", "s5", "s6")
    }
    return (energy[first : last + 1], mu[first : last + 1]), spectra


@pytest.mark.parametrize("names", PRINTED, ids="+".join)
def test_printed_weights_and_chi2(gold, names):
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
    np.testing.assert_allclose(fit.weights, weights, atol=1e-5)
    assert round(fit.chi2, 1) == chi2


def test_the_near_tie_is_three_in_bic_with_effective_points(gold):
    unknown, spectra = gold
    bic = {}
    for names in (("s1", "s2", "s3", "s6"), ("s1", "s2", "s3", "s5")):
        library = Library(
            "gold", "gold", "Au", tuple(Standard(name, name, 0.0, *spectra[name]) for name in names)
        )
        fit = linear_combination_fit(
            unknown,
            library,
            sum_to_one=True,
            baseline=None,
            energy_shift=0.0,
            resolution_eV=5.3,
        )
        bic[names[-1]] = fit.bic
    assert bic["s5"] - bic["s6"] == pytest.approx(3.0, abs=0.1)
