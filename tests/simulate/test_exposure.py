"""Beam and detector: each term alone, against what it is meant to be."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import chemoscape as cs
from chemoscape.errors import StackError
from chemoscape.simulate import expose

ENERGY = np.linspace(510.0, 550.0, 50)
PIXEL_UM = 0.05


def density(values: np.ndarray) -> xr.DataArray:
    """The same image of optical densities at every energy."""
    y, x = ((np.arange(n) + 0.5) * PIXEL_UM for n in values.shape)
    cube = np.broadcast_to(values, (ENERGY.size, *values.shape)).copy()
    return xr.DataArray(cube, dims=("energy", "y", "x"), coords={"energy": ENERGY, "y": y, "x": x})


def wedge(shape: tuple[int, int] = (12, 20)) -> xr.DataArray:
    """No sample in the left half, up to an optical density of 1.4 in the right."""
    return density(np.tile(np.clip(np.linspace(-1.4, 1.4, shape[1]), 0, None), (shape[0], 1)))


def test_without_any_term_it_is_lamberts_law() -> None:
    od = wedge()
    before = od.copy(deep=True)
    seen = expose(od, photons=1e4)
    light = seen.stack / seen.i0
    np.testing.assert_allclose(light.transpose(*od.dims), np.exp(-od), rtol=1e-6)
    np.testing.assert_array_equal(seen.i0, seen.i0_true)
    assert float(seen.i0.max()) == pytest.approx(1e4, rel=0.02)
    assert od.identical(before)


def test_gaussian_noise() -> None:
    od = wedge((40, 60))
    seen = expose(od, optical_density_sd=0.02, seed=3)
    noise = np.log(seen.i0 / seen.stack).transpose(*od.dims) - od
    assert float(noise.std()) == pytest.approx(0.02, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=4 * 0.02 / np.sqrt(od.size))


def test_poisson_noise() -> None:
    seen = expose(density(np.full((40, 60), 1.0)), photons=400.0, poisson=True, seed=1)
    counts = seen.stack.values
    np.testing.assert_array_equal(counts, np.round(counts))
    expected = seen.i0.values * np.exp(-1)
    np.testing.assert_allclose(counts.mean(axis=(1, 2)), expected, rtol=0.01)
    assert (counts.var(axis=(1, 2)) / expected).mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("stray", [0.01, 0.2])
def test_optical_density_undoes_stray_light_of_the_same_fraction(stray: float) -> None:
    od = wedge((40, 60))
    seen = expose(od, photons=1e5, stray_light=stray)
    back = cs.optical_density(seen.stack, i0=seen.i0, stray_light=stray, noise=1.0)
    np.testing.assert_allclose(back["optical_density"], od, atol=2e-5)
    flat = cs.optical_density(seen.stack, i0=seen.i0, noise=1.0)["optical_density"]
    assert float(flat.max()) == pytest.approx(
        -np.log((np.exp(-1.4) + stray) / (1 + stray)), abs=1e-5
    )


@given(
    stray=st.floats(0, 0.5), share=st.floats(0, 1), od=st.floats(0.0, 3.0), halo=st.floats(0.01, 1)
)
def test_light_astray_only_ever_hides_sample(
    stray: float, share: float, od: float, halo: float
) -> None:
    seen = expose(
        density(np.pad(np.full((3, 3), od), 3)), stray_light=stray, halo_share=share, halo_um=halo
    )
    apparent = np.log(seen.i0 / seen.stack).values
    assert apparent.min() >= -1e-5
    assert apparent.max() <= od + 1e-5


def test_halo_blurs_intensity() -> None:
    """A Gaussian hole in the transmission, blurred by a Gaussian: known in closed form."""
    n, own, halo, share = 121, 0.5, 0.4, 0.3
    along = (np.arange(n) - n // 2) * PIXEL_UM
    squared = along[:, None] ** 2 + along**2
    hole = 0.8 * np.exp(-squared / (2 * own**2))
    seen = expose(density(-np.log(1 - hole)), halo_share=share, halo_um=halo)
    wide = own**2 + halo**2
    blurred = 0.8 * own**2 / wide * np.exp(-squared / (2 * wide))
    light = (seen.stack / seen.i0).transpose("energy", "y", "x").values
    np.testing.assert_allclose(light[7], 1 - (1 - share) * hole - share * blurred, atol=5e-4)
    # what is missing from the beam is spread, not lost
    assert (1 - light[7]).sum() == pytest.approx(hole.sum(), rel=1e-3)


def test_a_halo_of_all_the_beam_over_an_even_image_changes_nothing_inside() -> None:
    seen = expose(density(np.full((41, 41), 1.0)), halo_share=1.0, halo_um=0.1)
    light = (seen.stack / seen.i0).transpose("energy", "y", "x")
    assert float(light[0, 20, 20]) == pytest.approx(np.exp(-1), rel=1e-5)
    assert float(light[0, 0, 20]) > 1.5 * np.exp(-1)  # there is none beyond the image


def test_a_halo_works_on_one_row() -> None:
    od = wedge((1, 20))
    seen = expose(od, halo_share=0.5, halo_um=0.2)
    assert seen.stack.shape == od.shape
    assert float((seen.stack / seen.i0).sel(x=od.x[9]).max()) < 1


def test_i0_error_is_in_the_report_only() -> None:
    od = wedge()
    right, wrong = expose(od, poisson=True, seed=5), expose(od, poisson=True, seed=5, i0_error=0.01)
    np.testing.assert_array_equal(right.stack, wrong.stack)
    np.testing.assert_array_equal(right.i0, wrong.i0_true)
    errors = np.concatenate(
        [
            (seen.i0 / seen.i0_true - 1).values
            for seen in (expose(od, i0_error=0.01, seed=k) for k in range(20))
        ]
    )
    assert errors.std() == pytest.approx(0.01, rel=0.1)
    assert abs(errors.mean()) < 4 * 0.01 / np.sqrt(errors.size)
    assert abs(np.corrcoef(errors[:-1], errors[1:])[0, 1]) < 0.15


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"photons": 0.0}, "photons must be positive"),
        ({"photons": np.inf}, "photons must be positive"),
        ({"optical_density_sd": -0.1}, "the noise must be 0 or more"),
        ({"stray_light": 1.0}, "stray_light must be in"),
        ({"halo_share": 1.5}, "halo_share must be in"),
        ({"halo_um": 0.0}, "halo_um must be positive"),
        ({"i0_error": np.nan}, "i0_error must be in"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_impossible_beams(options: dict[str, float], words: str) -> None:
    with pytest.raises(StackError, match=words):
        expose(wedge(), **options)


def test_what_is_no_optical_density() -> None:
    with pytest.raises(StackError, match="has the dims"):
        expose(wedge().values)
    with pytest.raises(StackError, match="has the dims"):
        expose(wedge().isel(energy=0))
