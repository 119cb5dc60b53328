"""Errors of the composition as errors of the stress: closed form, full solves, and the draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import RecipeError, StackError
from chemoscape.mechanics.boundaries import Springs
from chemoscape.mechanics.fields import stress, von_mises_sd
from chemoscape.mechanics.lattice import Lattice
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.uncertainty import draw_errors, errors_of, has_errors

PITCH = 0.1
COUNTING, SYSTEMATIC = "composition_sd_counting", "composition_sd_systematic"
E, NU, RATE = 43.0, 0.3, 0.02
MATERIAL = Material(E, NU, RATE)


def disk(size=24, core=True, **sd):
    y, x = np.mgrid[:size, :size]
    rho = np.hypot(x - (size - 1) / 2, y - (size - 1) / 2) / (0.45 * size)
    values = np.where(rho < 0.5, 0.5, 0.2) if core else np.full(rho.shape, 0.4)
    maps = {"composition": values} | {name: np.full(rho.shape, one) for name, one in sd.items()}
    return xr.Dataset(
        {name: (("y", "x"), np.where(rho < 1, one, np.nan)) for name, one in maps.items()}
        | {"mask": (("y", "x"), rho < 1)},
        coords={name: PITCH * np.arange(size) for name in ("y", "x")},
    )


def test_an_error_common_to_all_pixels_of_a_clamped_disk():
    """Every draw is uniform: stress -E e x/(1-nu), so its sd is E e/(1-nu) times that of x."""
    field = von_mises_sd(
        disk(core=False, **{SYSTEMATIC: 0.01}), MATERIAL, boundary="fixed", n_draws=200
    )
    closed = 1e3 * E * RATE / (1 - NU) * 0.01
    data = field.dataset
    assert data.von_mises_sd.values == pytest.approx(closed, rel=3 / np.sqrt(2 * 199))
    assert float(np.ptp(data.von_mises_sd.values)) < 1e-8 * closed
    for found in (data.element_von_mises_sd.mean(), data.attrs["von_mises_mean_sd_MPa"]):
        assert float(found) == pytest.approx(float(data.von_mises_sd[0]), rel=1e-8)
    # nothing of it is left where the particle is free
    free = von_mises_sd(disk(core=False, **{SYSTEMATIC: 0.01}), MATERIAL, n_draws=8)
    assert float(free.dataset.von_mises_sd.max()) < 1e-8 * closed


@pytest.mark.parametrize(
    ("boundary", "plane", "eigenstrain"),
    [
        ("free", "stress", RATE),
        ("fixed", "strain", (-0.02, 0.04, 0.01)),
        ("fixed", "generalised", RATE),
        (Springs(10.0), "stress", (-0.02, 0.04)),
    ],
)
def test_as_full_solves_of_the_same_draws(boundary, plane, eigenstrain):
    comp = disk(**{COUNTING: 0.02, SYSTEMATIC: 0.01})
    material = Material(E, NU, eigenstrain, angle_deg=20.0)
    how = {"boundary": boundary, "plane": plane}
    data = von_mises_sd(comp, material, n_draws=3, noise_length_px=1.0, seed=5, **how).dataset
    full = [
        stress(comp.assign(composition=comp["composition"] + error), material, **how)
        for error in draw_errors(errors_of(comp, 3, 1.0), seed=5)
    ]
    for name in ("von_mises", "element_von_mises"):
        spread = np.std([one.dataset[name].values for one in full], axis=0, ddof=1)
        np.testing.assert_allclose(data[f"{name}_sd"], spread, rtol=1e-6, atol=1e-9)
    for name in ("p99", "mean"):
        spread = np.std([one.von_mises_summary()[f"von_mises_{name}_MPa"] for one in full], ddof=1)
        assert data.attrs[f"von_mises_{name}_sd_MPa"] == pytest.approx(spread, rel=1e-6)


def test_a_refined_map_errs_by_the_pixels_of_its_stack():
    comp = disk(core=False, **{COUNTING: 0.02})
    axis = PITCH * np.arange(47) / 2
    mask = comp["mask"].astype(float).interp(y=axis, x=axis) > 0.5
    fine = disk(47, core=False, **{COUNTING: 0.02}).assign_coords(y=axis, x=axis)
    fine = fine.assign(mask=mask, composition=mask * 0.4, **{COUNTING: mask * 0.02})
    own, refined = (
        von_mises_sd(one, MATERIAL, boundary="fixed", n_draws=16).dataset.von_mises_sd
        for one in (comp, fine.assign_attrs(refine=2))
    )
    assert float(refined.mean()) == pytest.approx(float(own.mean()), rel=0.05)


def test_draws_have_the_asked_variance_and_correlation():
    comp = disk(60, core=False, **{COUNTING: 0.02}).assign_attrs(noise_length_px=1.5)
    comp = comp.fillna(0.02).assign(mask=comp["mask"] | True)  # the whole square
    errors = errors_of(comp, 60)
    maps = np.array(list(draw_errors(errors, seed=1)))
    assert maps.std() == pytest.approx(0.02, rel=0.02)
    assert maps[:, 0].std() == pytest.approx(0.02, rel=0.05)  # the rim as the rest
    for lag in (1, 2, 4):
        found = (maps[:, :, lag:] * maps[:, :, :-lag]).mean() / maps.var()
        assert found == pytest.approx(np.exp(-(lag**2) / (4 * 1.5**2)), abs=0.03)
    white = np.array(list(draw_errors(errors_of(comp, 60, 0.0), seed=1)))
    assert abs((white[:, :, 1:] * white[:, :, :-1]).mean() / white.var()) < 0.02


def test_draws_follow_the_seed():
    comp = disk(**{COUNTING: 0.02})
    first, second, other = (
        von_mises_sd(comp, MATERIAL, n_draws=4, seed=seed).dataset["von_mises_sd"]
        for seed in (1, 1, 2)
    )
    xr.testing.assert_identical(first, second)
    assert float(np.abs(first - other).max()) > 0
    # the stress itself is the same
    xr.testing.assert_identical(
        von_mises_sd(comp, MATERIAL, n_draws=4).dataset["von_mises"],
        stress(comp, MATERIAL).dataset["von_mises"],
    )


def test_longer_correlation_makes_the_mean_less_certain():
    comp = disk(core=False, **{COUNTING: 0.02})
    found = [
        von_mises_sd(comp, MATERIAL, boundary="fixed", noise_length_px=one).dataset.attrs[
            "von_mises_mean_sd_MPa"
        ]
        for one in (0.0, 1.0, 3.0)
    ]
    assert all(low < high for low, high in itertools.pairwise(found))


def test_draws_beyond_a_lattice_table_are_cut_to_it():
    table = Lattice((0.0, 0.5), (10.0, 10.1), (4.0, 4.05), (5.0, 5.0))
    field = von_mises_sd(
        disk(**{COUNTING: 0.05}), Material(E, NU, table), boundary="fixed", n_draws=4
    )
    assert np.isfinite(field.dataset.von_mises_sd).all()


def test_maps_without_errors():
    assert not has_errors(disk())
    assert not has_errors(disk(**{COUNTING: np.nan}))
    assert has_errors(disk(**{COUNTING: 0.0, SYSTEMATIC: np.nan}))
    with pytest.raises(StackError, match="no standard deviations"):
        von_mises_sd(disk(), MATERIAL)
    with pytest.raises(RecipeError, match="1 draws"):
        von_mises_sd(disk(**{COUNTING: 0.1}), MATERIAL, n_draws=1)
    with pytest.raises(RecipeError, match="noise length of -1 pixels"):
        von_mises_sd(disk(**{COUNTING: 0.1}), MATERIAL, noise_length_px=-1.0)
