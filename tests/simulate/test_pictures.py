"""Stacks of pictures: thickness from grey values, composition from a number, two, or a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from skimage.io import imsave

import chemoscape as cs
from chemoscape.errors import FileFormatError, LibraryError, StackError
from chemoscape.simulate import from_image
from chemoscape.standards.library import Library

PAIR = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
GREY = np.array([[0.0, 1.0, 2.0, 4.0], [0.0, 2.0, 2.0, 2.0], [0.0, 0.0, 3.0, 1.0]])


@pytest.fixture(scope="module")
def pair() -> Library:
    return cs.open_library("lixv2o5-model").select(*PAIR)


def apparent(truth: cs.simulate.Truth) -> np.ndarray:
    return np.log(truth.i0 / truth.stack).transpose("energy", "y", "x").values


def test_thickness_is_the_picture(pair: Library) -> None:
    truth = from_image(GREY, pair, composition=0.275, pixel_um=0.1)
    np.testing.assert_allclose(truth.thickness, GREY / 4)
    np.testing.assert_array_equal(truth.labels, np.where(GREY > 0, 0, -1))
    np.testing.assert_allclose(truth.composition.values[GREY > 0], 0.275)
    assert np.isnan(truth.composition.values[GREY == 0]).all()
    np.testing.assert_allclose(truth.stack.x, [0.05, 0.15, 0.25, 0.35])
    od = apparent(truth)
    assert od.max() == pytest.approx(1.4, abs=1e-5)
    np.testing.assert_allclose(od, truth.optical_density, atol=1e-5)
    # one composition everywhere: optical density in proportion to grey value
    np.testing.assert_allclose(od, od[:, :1, 3:] * GREY / 4, atol=1e-5)


def test_composition_by_equation_6(pair: Library) -> None:
    wanted = np.linspace(0.1, 0.45, GREY.size).reshape(GREY.shape)
    truth = from_image(GREY, pair, composition=wanted)
    units = truth.weights.values / pair.molar_mass[:, None, None]
    inside = GREY > 0
    x = np.einsum("k,kp->p", pair.values, units[:, inside]) / units[:, inside].sum(axis=0)
    np.testing.assert_allclose(x, wanted[inside])
    np.testing.assert_allclose(truth.composition.values[inside], wanted[inside])
    again = from_image(GREY, pair, composition=truth.composition.values)  # NaN where it is empty
    np.testing.assert_allclose(again.weights, truth.weights)
    # nm: the volume of both phases together
    nm = (truth.weights.values / pair.density[:, None, None]).sum(axis=0) * 1e7
    np.testing.assert_allclose(nm, truth.thickness * truth.thickness_nm, rtol=1e-9)


def test_linear_along_x_over_the_sample(pair: Library) -> None:
    truth = from_image(GREY, pair, composition=(0.4, 0.2))
    np.testing.assert_allclose(truth.composition.values[0], [np.nan, 0.4, 0.3, 0.2])


def test_the_order_of_the_pair_does_not_matter(pair: Library) -> None:
    one = from_image(GREY, pair, composition=0.2)
    other = from_image(GREY, pair.select(*PAIR[::-1]), composition=0.2)
    np.testing.assert_allclose(one.stack, other.stack, rtol=1e-6)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_pictures_from_files(tmp_path: Path, pair: Library, ending: str) -> None:
    """A file's last row lies at the lowest y."""
    grey = np.kron(GREY, np.ones((4, 4)))
    lithium = np.roll(grey, 3, axis=1)
    for name, picture in (("thickness", grey), ("lithium", lithium)):
        picture = (60 * picture).astype(np.uint8)
        imsave(tmp_path / f"{name}.{ending}", picture, check_contrast=False)
    truth = from_image(
        tmp_path / f"thickness.{ending}",
        pair,
        composition=str(tmp_path / f"lithium.{ending}"),
        pixel_um=0.1,
    )
    np.testing.assert_allclose(truth.thickness, grey[::-1] / 4, atol=1e-6)
    inside = grey[::-1] > 0
    expected = 0.1 + 0.35 * lithium[::-1] / 4
    np.testing.assert_allclose(truth.composition.values[inside], expected[inside], atol=1e-6)


def test_a_map_brings_its_axes(pair: Library) -> None:
    grey = xr.DataArray(
        GREY, dims=("y", "x"), coords={"y": [3.0, 2.0, 1.0], "x": [0.0, 0.2, 0.4, 0.6]}
    )
    truth = from_image(grey, pair, composition=0.1 + 0.02 * grey)
    np.testing.assert_array_equal(truth.stack.y, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(truth.thickness.values, GREY[::-1] / 4)
    inside = truth.labels.values == 0
    np.testing.assert_allclose(truth.composition.values[inside], (0.1 + 0.02 * GREY[::-1])[inside])


def test_one_spectrum() -> None:
    energy = np.linspace(280.0, 300.0, 30)
    spectrum = xr.DataArray(
        0.2 + np.exp(-((energy - 288) ** 2)),
        dims="energy",
        coords={"energy": energy},
        name="polymer",
    )
    truth = from_image(GREY, spectrum, peak_optical_density=0.8)
    assert truth.library.names == ["polymer"]
    np.testing.assert_allclose(truth.stack.energy, energy)
    expected = 0.8 * spectrum.values / spectrum.values.max()
    np.testing.assert_allclose(apparent(truth)[:, 0, 3], expected, atol=1e-5)
    assert np.isnan(truth.thickness_nm)
    two = xr.concat([spectrum, 2 - spectrum], xr.Variable("standard", ["a", "b"]))
    mixed = from_image(GREY, two.transpose("standard", "energy"), composition=0.25)
    share = mixed.weights.sel(standard="b") / mixed.weights.sum("standard")
    np.testing.assert_allclose(share.values[GREY > 0], 0.25)


def test_noise_and_beam_reach_the_stack(pair: Library) -> None:
    options = {"poisson": True, "stray_light": 0.02, "halo_share": 0.1, "i0_error": 0.01}
    truth = from_image(GREY, pair, composition=0.3, seed=3, energy_shift_eV=-0.4, **options)
    again = from_image(GREY, pair, composition=0.3, seed=3, energy_shift_eV=-0.4, **options)
    np.testing.assert_array_equal(truth.stack, again.stack)
    np.testing.assert_array_equal(truth.stack, np.round(truth.stack))
    assert (truth.stray_light, truth.halo_share, truth.energy_shift_eV) == (0.02, 0.1, -0.4)
    assert truth.i0_true is not None


def test_one_pixel_and_one_energy(pair: Library) -> None:
    truth = from_image(np.ones((1, 1)), pair, composition=0.3, energy=[518.0])
    assert truth.stack.shape == (1, 1, 1)
    assert apparent(truth).item() == pytest.approx(1.4, abs=1e-5)


@pytest.mark.parametrize(
    ("grey", "words"),
    [
        (np.zeros((3, 4)), "values run from 0 to 0"),
        (-GREY, "values run from -4 to"),
        (np.where(GREY == 4, np.nan, GREY), "no finite number"),
        (np.ones(5), "not that of one picture"),
        (np.ones((2, 3, 3)), "not that of one picture"),
        (np.ones((0, 3)), "not that of one picture"),
        (np.array([["a", "b"]]), "not of numbers"),
    ],
)
def test_what_is_no_thickness(pair: Library, grey: np.ndarray, words: str) -> None:
    with pytest.raises(StackError, match=words):
        from_image(grey, pair, composition=0.3)


@pytest.mark.parametrize(
    ("composition", "words"),
    [
        (None, "can mix in any proportion"),
        (0.5, "mix to 0.1 to 0.45 only"),
        (np.nan, "mix to 0.1 to 0.45 only"),
        ((0.05, 0.2), "mix to 0.1 to 0.45 only"),
        ((0.1, 0.2, 0.3), "one number, two or a picture"),
        (np.full((2, 2), 0.3), r"shape \(2, 2\), the picture \(3, 4\)"),
    ],
)
def test_what_is_no_composition(pair: Library, composition: object, words: str) -> None:
    with pytest.raises(StackError, match=words):
        from_image(GREY, pair, composition=composition)


def test_other_refusals(tmp_path: Path, pair: Library) -> None:
    library = cs.open_library("lixv2o5-model")
    with pytest.raises(LibraryError, match="one standard or with two, not 6"):
        from_image(GREY, library, composition=0.3)
    with pytest.raises(LibraryError, match="got list"):
        from_image(GREY, [1.0, 2.0])
    with pytest.raises(StackError, match="one spectrum has one composition"):
        from_image(GREY, pair.select(PAIR[0]), composition=0.1)
    with pytest.raises(StackError, match="pixel_um must be positive"):
        from_image(GREY, pair, composition=0.3, pixel_um=0)
    with pytest.raises(LibraryError, match=r"covers 500\.00 to 570\.00 eV"):
        from_image(GREY, pair, composition=0.3, energy=[280.0, 290.0])
    with pytest.raises(FileFormatError, match="no such file"):
        from_image(tmp_path / "missing.png", pair, composition=0.3)
    imsave(tmp_path / "even.png", np.full((3, 4), 9, np.uint8), check_contrast=False)
    with pytest.raises(StackError, match="one grey value only"):
        from_image(GREY, pair, composition=tmp_path / "even.png")
