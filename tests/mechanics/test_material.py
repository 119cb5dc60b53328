"""Material records, Equation 7, and the strain between two concentrations."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import MaterialError
from chemoscape.mechanics.material import (
    LIXV2O5_ILLUSTRATIVE,
    Material,
    PhaseModulus,
    concentration,
    eigenstrain_from_concentrations,
    largest_strain,
    volume_per_cell,
)

X, C = (0.1, 0.4), (1.85e3, 7.26e3)


@pytest.mark.parametrize("bounds", [C, (0.3, 1 / 3), (1e-300, 1e300)])
def test_equation_7_gives_its_end_points_exactly(bounds):
    assert concentration(X[0], X, bounds) == bounds[0]
    assert concentration(X[1], X, bounds) == bounds[1]


def test_equation_7_between_and_beyond():
    slope = (C[1] - C[0]) / (X[1] - X[0])
    x = np.array([0.0, 0.2, 0.9])
    np.testing.assert_allclose(concentration(x, X, C), C[0] + (x - X[0]) * slope)
    with pytest.raises(MaterialError, match="do not rise"):
        concentration(0.2, (0.4, 0.1), C)


def test_concentration_of_the_alpha_cell():
    """c = x Z / (N_A V): the measured cell of alpha-Li0.1V2O5 holds 1853 mol/m³."""
    cell = 11.512 * 3.564 * 4.368
    assert volume_per_cell(0.1, 1853.0) == pytest.approx(cell, rel=3e-4)
    assert volume_per_cell(0.4, C[1]) == pytest.approx(182.98, abs=0.01)


def test_strain_between_the_two_concentration_bounds():
    strain = 0.3 * eigenstrain_from_concentrations(X, C)
    from_cell = 0.3 * eigenstrain_from_concentrations(X, (1853.0, C[1]))
    assert 100 * strain == pytest.approx(0.64, abs=0.01)
    assert 100 * from_cell == pytest.approx(0.70, abs=0.01)
    # e = Ω/3 Δc, with Ω the relative volume change per mole
    omega = (182.98 / 179.52 - 1) / (C[1] - C[0])
    assert strain == pytest.approx(omega / 3 * (C[1] - C[0]), rel=0.01)
    with pytest.raises(MaterialError, match="positive and rising"):
        eigenstrain_from_concentrations((0.0, 0.4), C)


def test_illustrative_material():
    material = LIXV2O5_ILLUSTRATIVE
    assert (material.young_GPa, material.poisson, material.reference) == (43.0, 0.3, 0.0)
    assert material.status == "illustrative"
    assert "Santos" in material.source
    assert material.strain(0.4) - material.strain(0.1) == pytest.approx(0.0064, abs=5e-5)


@pytest.mark.parametrize("plane", ["stress", "strain"])
def test_stiffness_is_the_inverse_of_hookes_law(plane):
    e, nu = 43.0, 0.3
    compliance = np.array([[1, -nu, 0], [-nu, 1, 0], [0, 0, 2 * (1 + nu)]]) / e
    if plane == "strain":  # s_zz = nu (s_xx + s_yy) pushes back
        compliance[:2, :2] -= nu**2 / e
    stiffness = Material(e, nu, 0.02).stiffness(plane)
    np.testing.assert_allclose(stiffness @ compliance, np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"young_GPa": 0.0}, "Young's modulus"),
        ({"young_GPa": float("nan")}, "young_GPa is nan"),
        ({"poisson": 0.5}, "Poisson's ratio"),
        ({"poisson": -1.0}, "Poisson's ratio"),
        ({"eigenstrain": 2.1}, "210% per unit"),
        ({"reference": float("inf")}, "reference is inf"),
        ({"reference": "none"}, "reference is 'none'"),
        ({"angle_deg": float("nan")}, "angle_deg is nan"),
        ({"eigenstrain": (0.01, 2.1)}, "210% per unit"),
        ({"eigenstrain": (0.01,)}, "eigenstrain has 1 values"),
        ({"eigenstrain": (0.01, 0.01, 0.01, 0.01)}, "eigenstrain has 4 values"),
        ({"shear_GPa": 16.0}, "no shear modulus"),
        ({"young_GPa": (43.0, 43.0)}, "shear modulus"),
        ({"status": "guess"}, "guess"),
        ({"status": "literature"}, "need their source"),
    ],
)
def test_impossible_records(change, match):
    values = {"young_GPa": 43.0, "poisson": 0.3, "eigenstrain": 0.02} | change
    with pytest.raises(MaterialError, match=match):
        Material(**values)


def test_unknown_plane():
    with pytest.raises(MaterialError, match="plane"):
        LIXV2O5_ILLUSTRATIVE.stiffness("bend")  # type: ignore[arg-type]


def test_strain_along_the_axes_and_in_the_image():
    """Rotation of the tensor diag(xi, eta) by hand; xi along y swaps them."""
    material = Material(43.0, 0.3, [-0.02, 0.04, 0.01], reference=0.1)
    np.testing.assert_allclose(material.axis_strain([0.1, 0.6]).T, [[0] * 3, [-0.01, 0.02, 0.005]])
    angle = np.deg2rad(37.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tensor = turn @ np.diag([-0.01, 0.02]) @ turn.T
    wanted = [tensor[0, 0], tensor[1, 1], 2 * tensor[0, 1], 0.005]
    np.testing.assert_allclose(material.image_strain(0.6, 37.0), wanted, rtol=1e-13)
    many = material.image_strain([0.6, 0.6], [37.0, 90.0])
    np.testing.assert_allclose(many[:, 0], wanted, rtol=1e-13)
    np.testing.assert_allclose(many[:, 1], [0.02, -0.01, 0.0, 0.005], atol=1e-15)
    assert np.isnan(Material(43.0, 0.3, (0.01, 0.02)).image_strain(0.5)[3])


def test_one_angle_for_each_particle():
    material = Material(43.0, 0.3, (-0.02, 0.04), angle_deg=[0.0, 90.0])
    particle = np.array([1, 0, 1])
    assert np.asarray(material.angle_of(particle)).tolist() == [90.0, 0.0, 90.0]
    with pytest.raises(MaterialError, match="2 angles for 3 particles"):
        material.angle_of(np.array([0, 1, 2]))
    with pytest.raises(MaterialError, match="its own angle"):
        material.image_strain(0.5)
    assert hash(material) == hash(Material(43.0, 0.3, (-0.02, 0.04), angle_deg=(0.0, 90.0)))


def test_every_composition_has_the_modulus_of_its_phase():
    """Lower ends belong to a phase, upper ones do not; between phases the material's own holds."""
    material = Material(
        43.0,
        0.3,
        0.02,
        phases=[PhaseModulus(0.3, 0.7, 30.0, 0.2), PhaseModulus(0.7, 1.1, (50.0, 20.0), 0.1, 9.0)],
    )
    x = np.array([0.29, 0.3, 0.69, 0.7, 1.1])
    found = material.law("stress", x, 30.0).stiffness
    own = [material.elastic, *(phase.elastic for phase in material.phases)]
    for k, which in enumerate([0, 1, 1, 2, 0]):
        wanted = own[which].law("stress", 30.0).stiffness
        np.testing.assert_allclose(found[..., k], wanted, atol=1e-12)
    with pytest.raises(MaterialError, match="composition of every triangle"):
        material.stiffness()
    with pytest.raises(MaterialError, match="across the image"):
        material.law("strain", x, 30.0)
    with pytest.raises(MaterialError, match=r"both hold the compositions 0\.6 to 0\.7"):
        Material(
            43.0,
            0.3,
            0.02,
            phases=[PhaseModulus(0.6, 1.0, 30.0, 0.2), PhaseModulus(0.3, 0.7, 30.0, 0.2)],
        )


def test_largest_strain():
    material = Material(43.0, 0.3, (-0.06, 0.04), reference=0.5)
    assert largest_strain(material, [0.0, 0.6, np.nan]) == pytest.approx(0.03)
    assert largest_strain(material, [0.5]) == 0.0
    assert largest_strain(material, [np.nan]) == 0.0
