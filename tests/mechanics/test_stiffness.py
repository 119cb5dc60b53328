"""Hooke's law in the plane against the solid's, turned and inverted index by index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfem import MeshTri

from chemoscape.errors import MaterialError
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.stiffness import Elastic, PhaseModulus

MODULI = st.tuples(*[st.floats(1.0, 300.0)] * 3)
#: -S_ij sqrt(E_i E_j): with these the solid is stable, if its matrix says so.
COUPLINGS = st.tuples(*[st.floats(-0.99, 0.99)] * 3)
ANGLES = st.floats(-360.0, 360.0)


def constants(moduli, couplings):
    """nu_ij = r_ij sqrt(E_i / E_j)."""
    e1, e2, e3 = moduli
    r12, r13, r23 = couplings
    return r12 * np.sqrt(e1 / e2), r13 * np.sqrt(e1 / e3), r23 * np.sqrt(e2 / e3)


def is_stable(couplings):
    r12, r13, r23 = couplings
    return np.linalg.eigvalsh([[1, -r12, -r13], [-r12, 1, -r23], [-r13, -r23, 1]]).min()


def tensor_of(moduli, poisson, shear, angle):
    """C_ijkl in the image's axes from the 6 × 6 compliance; shear across does not matter here."""
    e1, e2, e3 = moduli
    nu12, nu13, nu23 = poisson
    compliance = np.diag([1 / e1, 1 / e2, 1 / e3, 1 / 7.0, 1 / 9.0, 1 / shear])
    for (i, j), value in {(0, 1): nu12 / e1, (0, 2): nu13 / e1, (1, 2): nu23 / e2}.items():
        compliance[i, j] = compliance[j, i] = -value
    voigt = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    own = np.linalg.inv(compliance)[voigt][..., voigt]
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return np.einsum("ia,jb,kc,ld,abcd->ijkl", turn, turn, turn, turn, own), turn


@settings(max_examples=60)
@given(MODULI, COUPLINGS, st.floats(1.0, 100.0), ANGLES, st.integers(0, 1000))
def test_every_plane_is_the_solid_under_its_constraint(moduli, couplings, shear, angle, seed):
    """stress = C : (strain - eigenstrain) in three dimensions, strain_zz as the plane has it."""
    if is_stable(couplings) < 0.02:
        return
    poisson = constants(moduli, couplings)
    rates = np.random.default_rng(seed).uniform(-0.05, 0.05, 7)
    tensor, turn = tensor_of(moduli, poisson, shear, angle)
    eigen = turn @ np.diag(rates[:3]) @ turn.T
    strain = np.zeros((3, 3))
    strain[:2, :2] = [[rates[3], rates[4]], [rates[4], rates[5]]]

    material = Material(moduli, poisson, tuple(rates[:3]), shear_GPa=shear, angle_deg=angle)
    found_eigen = material.image_strain(np.ones((1, 1)))
    flat = np.array([rates[3], rates[5], 2 * rates[4]])[:, None, None]
    for plane, across in (("stress", None), ("strain", 0.0), ("generalised", rates[6])):
        law = material.law(plane)
        full = strain.copy()
        if across is None:  # no stress across
            rest = np.einsum("kl,kl->", tensor[2, 2], strain - eigen)
            full[2, 2] = -rest / tensor[2, 2, 2, 2]
        else:
            full[2, 2] = across
        wanted = np.einsum("ijkl,kl->ij", tensor, full - eigen)
        shift = across or 0.0
        stress = np.einsum("ij,jeq->ieq", law.stiffness, flat - law.effective(found_eigen, shift))
        size = np.abs(tensor).max() * 0.1
        np.testing.assert_allclose(
            stress[:, 0, 0], [wanted[0, 0], wanted[1, 1], wanted[0, 1]], atol=1e-11 * size
        )
        zz = law.stress_across(stress, found_eigen[3], shift)
        np.testing.assert_allclose(zz[0, 0], wanted[2, 2], atol=1e-11 * size)


@settings(max_examples=60)
@given(MODULI, COUPLINGS)
def test_only_stable_solids_are_taken(moduli, couplings):
    """Positive definite is a statement on nu_ij / sqrt(E_i / E_j) alone."""
    poisson, margin = constants(moduli, couplings), is_stable(couplings)
    if margin > 1e-6:
        assert not Elastic(moduli, poisson, 10.0).isotropic
    elif margin < -1e-6:
        with pytest.raises(MaterialError, match="not stable"):
            Elastic(moduli, poisson, 10.0)


@pytest.mark.parametrize("plane", ["stress", "strain", "generalised"])
@pytest.mark.parametrize("nu", [-0.9, 0.0, 0.3, 0.49])
def test_an_orthotropic_solid_of_equal_constants_is_isotropic(plane, nu):
    e = 43.0
    one = Elastic(e, nu).law(plane, 12.0)
    three = Elastic((e, e, e), (nu, nu, nu), e / (2 * (1 + nu))).law(plane, 12.0)
    np.testing.assert_allclose(three.stiffness, one.stiffness, atol=1e-10 * one.stiffness.max())
    np.testing.assert_allclose(three.coupling, one.coupling, atol=1e-12)
    coupling = [0.0, 0.0, 0.0] if plane == "stress" else [nu, nu, 0.0]
    np.testing.assert_allclose(one.coupling, coupling, atol=1e-14)
    np.testing.assert_allclose(one.modulus, 0.0 if plane == "stress" else e)


def test_a_half_turn_changes_nothing_and_a_quarter_turn_swaps_the_axes():
    solid = Elastic((60.0, 35.0), 0.2, 12.0)
    straight, half, quarter = (solid.law("stress", a).stiffness for a in (0.0, 180.0, 90.0))
    np.testing.assert_allclose(half, straight, atol=1e-12)
    np.testing.assert_allclose(quarter, straight[[1, 0, 2]][:, [1, 0, 2]], atol=1e-12)
    many = solid.law("stress", np.array([0.0, 90.0])).stiffness
    np.testing.assert_allclose(many[..., 1], quarter, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (((60.0, 40.0), 0.3), "shear modulus"),
        (((60.0, 40.0), 0.3, -1.0), "shear modulus"),
        (((60.0, -40.0), 0.3, 10.0), "three positive moduli"),
        (((60.0, 40.0, 20.0, 10.0), 0.3, 10.0), "three positive moduli"),
        (((60.0, 40.0), (0.3, 0.2, 0.1), 10.0), "2 moduli go with 3"),
        (((60.0, 40.0, 30.0), (0.3, 0.2), 10.0), "3 moduli go with 2"),
        (((60.0, 40.0), 1.3, 10.0), "not stable"),
        ((43.0, 0.3, 10.0), "no shear modulus"),
        ((43.0, (0.3, 0.3, 0.3)), "one Poisson's ratio"),
        (("stiff", 0.3), "young_GPa is 'stiff'"),
        (((60.0, float("nan")), 0.3, 10.0), "young_GPa is"),
    ],
)
def test_impossible_solids(arguments, match):
    with pytest.raises(MaterialError, match=match):
        Elastic(*arguments)


@pytest.mark.parametrize("plane", ["strain", "generalised"])
def test_constants_across_are_asked_for(plane):
    for solid in (Elastic((60.0, 40.0), 0.3, 10.0), Elastic((60.0, 40.0, 30.0), 0.3, 10.0)):
        with pytest.raises(MaterialError, match="across the image"):
            solid.law(plane)


def test_an_empty_interval():
    with pytest.raises(MaterialError, match="empty"):
        PhaseModulus(0.4, 0.4, 43.0, 0.3, name="alpha")


@pytest.mark.parametrize("shape", [(3,), (6, 6), (3, 3, 7)])
def test_stiffness_that_does_not_fit_the_mesh(shape):
    square = MeshTri()
    with pytest.raises(MaterialError, match="does not fit 2 triangles"):
        assemble(Mesh(square.p.T, square.t.T), np.ones(shape))


def test_a_matrix_alone_knows_nothing_across():
    square = MeshTri()
    system = assemble(Mesh(square.p.T, square.t.T), Elastic(43.0, 0.3).law("strain").stiffness)
    with pytest.raises(MaterialError, match="stiffness matrix alone"):
        solve(system, np.zeros((4, *system.positions.shape[1:])))
