"""An offset of optical density makes a core and a shell where there are none, unless an image taken
before the edge takes it off.
"""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape import open_library, optical_density, simulate
from chemoscape.errors import ChemoscapeWarning
from chemoscape.few_energies.doubts import warn_without_pre_edge
from chemoscape.few_energies.maps import fit_maps
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.ratios import ratio_maps
from chemoscape.few_energies.roles import roles_of

#: Before the edge, both features of the shipped library, after the edge.
ENERGIES = np.array([508.0, 515.9, 517.2, 555.0])
OFFSET = 0.01


@pytest.fixture(scope="module")
def pair():
    return open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")


@pytest.fixture(scope="module")
def uniform(pair):
    """Optical density of a dome of x = 0.2 everywhere, without noise and 0.01 too high; thickness.

    On the parts compared it is 90 to 100 % and 20 to 30 % as thick as in its middle.
    """
    y, x = np.mgrid[-1:1:61j, -1:1:81j]
    dome = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    truth = simulate.from_image(
        dome, pair, composition=0.2, energy=ENERGIES, peak_optical_density=1.0, photons=1e6
    )
    od = optical_density(truth.stack, noise=1.0)
    return od.assign(optical_density=od["optical_density"] + np.float32(OFFSET)), dome


def middle_and_rim(x: np.ndarray, dome: np.ndarray) -> tuple[float, float]:
    thin = (dome > 0.2) & (dome < 0.3)
    return float(np.median(x[dome > 0.9])), float(np.median(x[thin]))


@pytest.mark.parametrize("feature", [0, 1])
def test_ratios_without_an_image_before_the_edge_show_a_shell_that_is_not_there(
    uniform, pair, feature
):
    od, dome = uniform
    without = od.isel(energy=[1, 2, 3])
    maps = ratio_maps(without, pair, roles_of(ENERGIES[1:], pair))
    middle, rim = middle_and_rim(maps["ratio_composition"].values[feature], dome)
    assert middle - 0.2 > 0.02
    assert rim - middle > 0.05  # richer towards the rim, by optics alone
    whole = ratio_maps(od, pair, roles_of(ENERGIES, pair))
    middle, rim = middle_and_rim(whole["ratio_composition"].values[feature], dome)
    assert [middle, rim] == pytest.approx([0.2, 0.2], abs=1e-3)


def test_the_fit_of_all_images_says_it_and_its_error_covers_it(uniform, pair):
    od, dome = uniform
    nuisance = Nuisance(0.05, 0.0, OFFSET, 0.0)
    without = fit_maps(od.isel(energy=[1, 2, 3]), pair, nuisance=nuisance)
    middle, rim = middle_and_rim(without["unclipped"].values, dome)
    assert rim - middle > 0.03
    stated = without["error"].sel(source="offset").values
    assert (
        abs(rim - 0.2) < 1.5 * middle_and_rim(stated, dome)[1]
    )  # one standard deviation was put in
    with pytest.warns(ChemoscapeWarning, match="measure one image before the edge"):
        said = warn_without_pre_edge(without, pair.variable)
    assert said == pytest.approx(rim - middle, rel=0.5)
    whole = fit_maps(od, pair, nuisance=Nuisance(0.05, 0.0, np.inf, 0.0))
    assert middle_and_rim(whole["unclipped"].values, dome) == pytest.approx((0.2, 0.2), abs=1e-3)
