"""What a plan says of other substances is what a map of them then warns of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from chemoscape import open_library, optical_density, simulate
from chemoscape.few_energies.doubts import warn_of_misfit
from chemoscape.few_energies.maps import fit_maps
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.problem import Problem
from chemoscape.few_energies.strangers import strangers


@pytest.mark.parametrize("energies", [[508, 515.9, 517.2, 555], [508, 518.5, 532.7, 539.2]])
def test_strangers_are_seen_in_a_map_as_they_were_foretold(energies):
    library = open_library("lixv2o5-model")
    pair = library.select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    axis = np.array(energies, dtype=float)
    thickness = np.pad(np.ones((20, 20)), 12)
    for name in ("delta-Li0.9V2O5", "epsilon-Li0.7V2O5"):
        other = library.select(name)
        truth = simulate.from_image(
            thickness, other, energy=axis, photons=200_000, poisson=True, seed=2
        )
        mass = float(truth.weights.max())
        (told,) = strangers(pair, other, axis, mass)
        od = optical_density(truth.stack)
        maps = fit_maps(od, pair)
        problem = Problem.of(axis, pair, Nuisance(), 0.0, 1.0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            chance = warn_of_misfit(od, maps["sample"], problem)
        assert bool(said) == told.noticed
        assert chance == pytest.approx(told.chance, rel=0.3, abs=1e-4)
        inside = thickness > 0
        assert np.median(maps["unclipped"].values[inside]) == pytest.approx(
            told.composition, abs=0.03
        )


def test_the_pair_itself_is_no_stranger():
    library = open_library("lixv2o5-model")
    pair = library.select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    found = strangers(pair, library, [508.0, 515.9, 517.2, 555.0], 1e-5)
    assert [one.name for one in found] == [one for one in library.names if one not in pair.names]
    two = strangers(pair, library, [515.9, 517.2], 1e-5)
    assert all(np.isnan(one.chance) for one in two)
