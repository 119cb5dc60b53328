"""Non-negative parts: against the two phases they were made of, scipy's NNLS, and the law that the
objective falls.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from chemoscape import simulate
from chemoscape.decompose.factors import weights_of_parts
from chemoscape.decompose.factors.clusters import cluster
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.nnma import factorise
from chemoscape.decompose.factors.pure_pixels import purest, unit
from chemoscape.errors import ChemoscapeWarning, FitError, StackError

PHASES = ("epsilon-Li0.45V2O5", "alpha-Li0.1V2O5")
LAMBDAS = (0.0, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
#: float32 data leave the objective this uncertain, as a share of it.
ROUNDING = 1e-6


@pytest.fixture(scope="module")
def truth():
    return simulate.core_shell(shape=(60, 80), poisson=True, photons=20_000)


@pytest.fixture(scope="module")
def density(truth, density_of):
    return density_of(truth)


@pytest.fixture(scope="module")
def clusters(density):
    return cluster(density, principal_components(density), n_clusters=2)


@pytest.fixture(scope="module")
def phases(truth, density):
    """Spectra of core and shell (2, energy) with a mean of 1."""
    spectra = truth.library.select(*PHASES).spectra(density.energy.values).values
    return spectra / spectra.mean(axis=1, keepdims=True)


@pytest.fixture
def small():
    """Stack of 3 × 4 pixels and 20 energies, noise and all."""

    def make(values=None, *, n_energy=20, shape=(3, 4), seed=0):
        if values is None:
            random = np.random.default_rng(seed)
            spectra, weights = random.random((n_energy, 2)), random.random((2, *shape))
            values = np.tensordot(spectra, weights, 1) + random.normal(0, 0.01, (n_energy, *shape))
        axes = {
            "energy": 500.0 + np.arange(len(values)),
            "y": 0.1 * np.arange(values.shape[1]),
            "x": 0.1 * np.arange(values.shape[2]),
        }
        return xr.DataArray(
            np.asarray(values, np.float32),
            dims=tuple(axes),
            coords=axes,
            attrs={"quantity": "optical_density"},
        )

    return make


def everywhere(stack):
    return np.ones(stack.shape[1:], bool)


def furthest(spectra, phases):
    """Largest distance of a phase from the nearest of the spectra, as directions."""
    spectra, phases = unit(np.asarray(spectra).T), unit(phases.T)
    return max(np.linalg.norm(spectra - phase[:, None], axis=0).min() for phase in phases.T)


# --- what it finds


def test_parts_are_the_two_phases(density, phases, truth):
    """Without clusters: the particle has pixels of either phase alone."""
    parts = factorise(density, 2)
    assert parts.attrs["converged"]
    assert furthest(parts.spectrum, phases) < 0.015
    # the two phases are 0.098 apart
    assert furthest(phases[:1], phases) > 0.09
    noise = np.sqrt(density.variance.where(parts.sample).mean("energy"))
    assert float((parts.residual / noise).mean()) == pytest.approx(1, abs=0.03)
    assert parts.attrs["explained_share"] > 0.999


def test_weights_are_the_part_of_the_mean_optical_density(density, truth):
    parts = factorise(density, 2)
    np.testing.assert_allclose(parts.spectrum.mean("energy"), 1)
    mean = truth.optical_density.mean("energy").where(parts.sample)
    assert abs(float((parts.weight.sum("part") - mean).mean())) < 1e-3
    assert parts.weight.dims == ("part", "y", "x")
    assert parts.spectrum.dims == ("part", "energy")


def test_similarity_picks_the_clusters_of_all_equally_good_answers(density, clusters, phases):
    """Free parts lie outside the data's cone; a light pull brings them onto the phases."""
    free = factorise(density, 2, similar_to=clusters)
    near = factorise(density, 2, similar_to=clusters, similarity=0.1)
    assert furthest(near.spectrum, phases) < 0.5 * furthest(free.spectrum, phases)
    assert furthest(near.spectrum, phases) < 0.005
    assert furthest(near.spectrum, phases) < 0.3 * furthest(clusters.spectrum, phases)
    assert near.attrs["explained_share"] == pytest.approx(free.attrs["explained_share"], abs=1e-5)


@pytest.mark.parametrize("n_parts", [2, 3])
def test_distance_falls_with_similarity_to_the_very_end(density, n_parts):
    groups = cluster(density, principal_components(density), n_clusters=n_parts)
    found = [
        factorise(density, n_parts, similar_to=groups, similarity=similarity, max_sweeps=2000)
        for similarity in LAMBDAS
    ]
    distance = [one.attrs["similarity_distance"] for one in found]
    assert all(np.diff(distance) < 0), distance
    assert distance[-1] < 1e-12
    misfit = [1 - one.attrs["explained_share"] for one in found]
    assert all(np.diff(misfit) > -ROUNDING * misfit[0]), misfit
    assert all(one.attrs["converged"] for one in found)
    want = groups.spectrum / groups.spectrum.mean("energy")
    np.testing.assert_allclose(found[-1].spectrum, want, rtol=1e-5, atol=1e-6)
    assert (found[-1].weight.max(("y", "x")) > 0.1).all()


def test_scale_and_name_of_the_clusters_do_not_matter(density, clusters, phases):
    parts = factorise(density, 2, similar_to=clusters, similarity=1.0)
    scale = xr.DataArray([7.0, 0.01], dims="cluster")
    other = (clusters["spectrum"] * scale).rename(cluster="standard").transpose("energy", ...)
    again = factorise(density, 2, similar_to=other, similarity=1.0)
    xr.testing.assert_allclose(again.weight, parts.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("similarity", [0.0, 0.3, 1e5])
@pytest.mark.parametrize("sparsity", [0.0, 0.2])
def test_objective_never_rises(density, clusters, similarity, sparsity):
    parts = factorise(
        density, 2, similar_to=clusters, similarity=similarity, sparsity=sparsity, tolerance=1e-7
    )
    objective = parts.objective.values
    assert (np.diff(objective) <= ROUNDING * objective[:-1]).all()
    assert objective[-1] < objective[0]
    assert parts.attrs["n_sweeps"] == len(objective) - 1
    assert parts.attrs["objective"] == objective[-1]


def test_objective_is_what_it_says(density, clusters):
    """Formed again from the results, in float64."""
    parts = factorise(density, 2, similar_to=clusters, similarity=0.3, sparsity=0.2)
    inside = parts.sample.values
    data = density["optical_density"].values[:, inside].astype(float)
    length = np.linalg.norm(parts.spectrum, axis=1)
    mu = parts.spectrum.values.T / length
    t = parts.weight.values[:, inside] * length[:, None]
    total = (data**2).sum()
    near = unit(np.maximum(clusters.spectrum.values.T, 0))
    apart = ((mu - near) ** 2).sum(axis=0)
    np.testing.assert_allclose(parts.distance, apart, rtol=1e-5)
    rms = np.sqrt(total / t.size)
    want = ((data - mu @ t) ** 2).sum() + 0.3 * total / 2 * apart.sum() + 2 * 0.2 * rms * t.sum()
    assert parts.attrs["objective"] == pytest.approx(want / total, rel=1e-5)
    residual = np.sqrt(((data - mu @ t) ** 2).mean(axis=0))
    np.testing.assert_allclose(parts.residual.values[inside], residual, rtol=1e-3)


def test_weights_are_scipys(density, clusters):
    parts = factorise(density, 2, similar_to=clusters, similarity=1e6)
    inside = np.argwhere(parts.sample.values)[::97]
    for y, x in inside:
        want, _ = nnls(parts.spectrum.values.T, density["optical_density"].values[:, y, x])
        np.testing.assert_allclose(parts.weight.values[:, y, x], want, rtol=1e-4, atol=1e-6)


def test_sparsity_takes_small_weights_to_zero(density, clusters):
    zero = []
    for sparsity in (0.0, 0.1, 0.5):
        parts = factorise(density, 2, similar_to=clusters, similarity=1e6, sparsity=sparsity)
        zero.append(float((parts.weight.values == 0).mean()))
    assert zero[0] < zero[1] < zero[2]


def test_sparsity_takes_off_its_share_of_the_rms_weight(small):
    """One part: ``t = [μ·d - s ‖D‖ / √P]₊``."""
    stack = small()
    parts = factorise(stack, 1, mask=everywhere(stack), sparsity=0.7)
    spectrum = parts.spectrum.values[0]
    data = stack.values.reshape(20, -1).astype(float)
    off = 0.7 * np.linalg.norm(data) / np.sqrt(12)
    length = np.linalg.norm(spectrum)
    want = np.maximum(spectrum @ data / length - off, 0) / length
    assert 0 < (want == 0).sum() < 12
    np.testing.assert_allclose(parts.weight.values.ravel(), want, rtol=1e-4, atol=1e-6)


def test_without_noise_nothing_is_left(density, truth, phases):
    clean = truth.optical_density.astype(np.float32).assign_attrs(quantity="optical_density")
    parts = factorise(clean, 2, mask=truth.thickness > 0)
    assert float(parts.residual.max()) < 1e-5
    assert furthest(parts.spectrum, phases) < 1e-4


def test_one_part_is_the_first_singular_vector(density):
    parts = factorise(density, 1)
    data = density["optical_density"].values[:, parts.sample.values].astype(float)
    first = np.linalg.svd(data, full_matrices=False)[0][:, 0]
    assert (first.min() > 0) or (first.max() < 0)
    np.testing.assert_allclose(parts.spectrum[0], first / first.mean(), rtol=1e-4)


def test_more_parts_explain_more(density):
    shares = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # the fifth needs not converge
        for n_parts in (1, 2, 3, 5):
            shares.append(factorise(density, n_parts, max_sweeps=100).attrs["explained_share"])
    assert all(np.diff(shares) > 0)


def test_parts_fall_in_weight(density):
    total = factorise(density, 3).weight.sum(("y", "x")).values
    assert (np.diff(total) <= 0).all()


def test_same_seed_same_parts_and_input_is_left_alone(density):
    before = density.copy(deep=True)
    first, again = (factorise(density, 2, starts=2, seed=5) for _ in range(2))
    xr.testing.assert_identical(first, again)
    xr.testing.assert_identical(density, before)


def test_the_best_start_is_kept(density):
    one, several = (factorise(density, 2, starts=starts) for starts in (1, 3))
    assert several.attrs["objective"] <= one.attrs["objective"]
    assert several.attrs["start"] == 0 or several.attrs["objective"] < one.attrs["objective"]


# --- what may come


def test_missing_values_are_filled_in_from_the_rest(density, clusters):
    holed = density["optical_density"].copy(deep=True)
    complete = factorise(holed, 2, similar_to=clusters, similarity=1.0, mask=everywhere(holed))
    holed[10:40, 30, 40] = np.nan  # half of the white lines
    holed[1:, 31, 40] = np.nan  # a single energy left
    holed[:, 32, 40] = np.nan
    parts = factorise(holed, 2, similar_to=clusters, similarity=1.0, mask=everywhere(holed))
    assert parts.attrs["n_gapped"] == 3
    assert not parts.sample.values[30:33, 40].any()
    near, far = parts.weight[:, 30, 40], complete.weight[:, 30, 40]
    np.testing.assert_allclose(near, far, atol=0.02)
    assert np.isfinite(parts.residual[30, 40])
    assert np.isnan(parts.weight[:, 31:33, 40]).all()
    assert np.isnan(parts.residual[31:33, 40]).all()


def test_gapped_pixels_obey_the_same_law(small):
    """Where nothing is missing, the fit for gapped pixels and the other one agree."""
    data = small().values.reshape(20, -1).T.copy()
    spectra = purest(data, 3)
    one, other = np.zeros((len(data), 3)), np.zeros((len(data), 3))
    square = np.empty(len(data))
    for threshold in (0.0, 0.3):
        moment = data.astype(float) @ spectra - threshold
        gram = spectra.T @ spectra
        weights_of_parts.solve_weights(gram, weights_of_parts._inverses(gram), moment, one)
        weights_of_parts.solve_gapped(spectra, data, threshold, other, square)
        np.testing.assert_allclose(one, other, atol=1e-9)
        misfit = ((data - other @ spectra.T) ** 2).mean(axis=1)
        np.testing.assert_allclose(square, misfit, rtol=1e-6)


def test_outside_the_mask_is_nothing(density):
    mask = np.zeros(density["optical_density"].shape[1:], bool)
    mask[25:35, 30:50] = True
    parts = factorise(density, 2, mask=mask)
    np.testing.assert_array_equal(np.isfinite(parts.weight).all("part"), mask)
    np.testing.assert_array_equal(np.isfinite(parts.residual), mask)


def test_negative_values_stay_and_are_counted(small):
    """Nothing that is not negative describes a level of -0.1: it stays as residual."""
    values = np.zeros((10, 4, 5))
    values[5:] = 1.0 + np.arange(5) / 5
    values[:5] = -0.1
    parts = factorise(small(values), 1, mask=np.ones((4, 5), bool))
    assert parts.attrs["negative_share"] == 0.5
    np.testing.assert_allclose(parts.spectrum[0], np.repeat([0.0, 2.0], 5), atol=1e-6)
    np.testing.assert_allclose(parts.residual, 0.1 * np.sqrt(0.5), rtol=1e-4)


def test_one_pixel_and_one_energy(small):
    for stack in (small(shape=(1, 1)), small(np.random.default_rng(1).random((1, 3, 4)) + 1)):
        parts = factorise(stack, 1, mask=everywhere(stack))
        np.testing.assert_allclose(parts.weight[0], np.maximum(stack, 0).mean("energy"), rtol=1e-5)


def test_as_many_parts_as_energies(small):
    stack = small(n_energy=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        parts = factorise(stack, 3, mask=everywhere(stack), max_sweeps=2000)
    assert parts.attrs["explained_share"] > 0.9999


def test_a_constant_image_has_one_part(small):
    stack = small(np.tile(np.linspace(0.1, 1, 20)[:, None, None], (1, 3, 4)))
    parts = factorise(stack, 1, mask=everywhere(stack))
    np.testing.assert_allclose(parts.weight, parts.weight.mean(), rtol=1e-5)
    assert parts.attrs["explained_share"] == pytest.approx(1, abs=1e-9)
    again = factorise(stack, 2, mask=everywhere(stack))  # equal parts are no accident here
    assert again.attrs["explained_share"] == pytest.approx(1, abs=1e-8)
    assert np.isfinite(again.weight).all()


def test_more_than_the_table_holds(small):
    """Ten parts are solved for by the active-set method; eight by the table."""
    stack = small(np.random.default_rng(3).random((16, 12, 12)))
    for n_parts in (8, 10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            parts = factorise(stack, n_parts, mask=everywhere(stack), max_sweeps=30)
        objective = parts.objective.values
        assert (np.diff(objective) <= ROUNDING * objective[:-1]).all()
        for y, x in [(0, 0), (5, 7)]:
            want, _ = nnls(parts.spectrum.values.T, stack.values[:, y, x].astype(float))
            np.testing.assert_allclose(parts.weight.values[:, y, x], want, atol=1e-4)


@settings(derandomize=True, max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    factor=st.floats(0.01, 4),
    similarity=st.sampled_from([0.0, 1.0]),
    sparsity=st.sampled_from([0.0, 0.3]),
)
def test_units_do_not_matter(seed, factor, similarity, sparsity):
    """Densities in other units: the same spectra, weights in these units (λ and s have none)."""
    random = np.random.default_rng(seed)
    data = random.random((30, 2)) @ random.random((2, 12)) + random.normal(0, 0.01, (30, 12))
    axes = {"energy": 500.0 + np.arange(12), "y": np.arange(5.0), "x": np.arange(6.0)}
    stack = xr.DataArray(
        data.T.reshape(12, 5, 6), dims=tuple(axes), coords=axes, attrs={"quantity": ""}
    ).astype(np.float32)
    stack.attrs["quantity"] = "optical_density"
    near = xr.DataArray(
        random.random((2, 12)), dims=("part", "energy"), coords={"energy": stack.energy}
    )
    options = {"similar_to": near, "similarity": similarity, "sparsity": sparsity}
    options |= {"mask": np.ones((5, 6), bool), "tolerance": 1e-9, "max_sweeps": 30}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        one = factorise(stack, 2, **options)
        other = factorise((stack * factor).assign_attrs(stack.attrs), 2, **options)
    assert (one.spectrum >= 0).all()
    assert (one.weight >= 0).all()
    np.testing.assert_allclose(other.spectrum, one.spectrum, atol=1e-3)
    np.testing.assert_allclose(other.weight, factor * one.weight, atol=1e-3 * factor)


# --- what is refused


@pytest.mark.parametrize(
    ("n_parts", "options", "says"),
    [
        (0, {}, "0 parts"),
        (21, {}, "21 parts cannot be told apart with 20 energies"),
        (13, {}, "12 pixels"),
        (2, {"similarity": 1.0}, "no spectra to be similar to"),
        (2, {"similarity": -1.0}, "similarity is -1"),
        (2, {"sparsity": np.inf}, "sparsity is inf"),
        (2, {"similarity": np.nan}, "similarity is nan"),
        (2, {"starts": 0}, "starts is 0"),
        (2, {"max_sweeps": 0}, "max_sweeps is 0"),
    ],
)
def test_what_cannot_be_asked_for(small, n_parts, options, says):
    stack = small()
    with pytest.raises(FitError, match=says):
        factorise(stack, n_parts, mask=everywhere(stack), **options)


def test_spectra_that_do_not_fit_are_refused(density, clusters):
    spectra = clusters["spectrum"]
    for wrong, says in [
        (spectra.isel(cluster=[0]), "holds 1 spectra for 2 parts"),
        (spectra.isel(energy=slice(1, None)), "other energies"),
        (spectra.assign_coords(energy=spectra.energy + 0.4), "other energies"),
        (spectra * np.nan, "missing values"),
        (-abs(spectra), "none above zero"),
        (spectra.isel(cluster=0), "dims"),
    ]:
        with pytest.raises(FitError, match=says):
            factorise(density, 2, similar_to=wrong)


def test_no_sample_is_refused(small):
    with pytest.raises(FitError, match="0 pixels"):
        factorise(small(np.zeros((20, 3, 4))), 2)
    with pytest.raises(FitError, match="zero in every pixel"):
        factorise(small(np.zeros((20, 3, 4))), 2, mask=np.ones((3, 4), bool))
    with pytest.raises(StackError, match="counts"):
        factorise(small().assign_attrs(quantity="counts"), 2)


def test_doubts_are_warned_of(small, density):
    with pytest.warns(ChemoscapeWarning, match="still changed after 2 sweeps"):
        parts = factorise(density, 2, max_sweeps=2)
    assert not parts.attrs["converged"]
    stack = small()
    with pytest.warns(ChemoscapeWarning, match="found in no pixel"):
        factorise(stack, 2, mask=everywhere(stack), sparsity=50.0)


# --- where it starts


def test_purest_pixels_are_found_among_mixtures():
    random = np.random.default_rng(2)
    spectra = unit(random.random((30, 3)))
    weights = random.dirichlet(np.ones(3), 1000)
    weights[[7, 100, 555]] = np.eye(3)
    data = (weights @ spectra.T).astype(np.float32)
    found = purest(data[np.r_[7, 100, 555, 0:90]], 3)  # so few that none are averaged
    assert max(np.linalg.norm(found - s[:, None], axis=0).min() for s in spectra.T) < 1e-5
    assert furthest(purest(data, 3).T, spectra.T) < 0.25


def test_unit_columns():
    columns = unit(np.array([[3.0, 0.0], [4.0, 0.0]]))
    np.testing.assert_allclose(np.linalg.norm(columns, axis=0), 1)


def test_a_lazy_stack_gives_the_same(density):
    lazy = density["optical_density"].chunk({"y": 16})
    whole = factorise(density["optical_density"], 2)
    xr.testing.assert_allclose(factorise(lazy, 2).weight, whole.weight)
