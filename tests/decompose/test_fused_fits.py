"""Fits of whole bands against one small solver per pixel, on stacks with holes, and lazily."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy.optimize import nnls

from chemoscape.decompose import band_fits, pixelwise, solvers
from chemoscape.decompose.design import Design
from chemoscape.decompose.pixelwise import fit_pixels, project_or_fit

N_ENERGY, SHAPE = 61, (7, 45)  # neither whole steps of energies nor whole tiles of pixels


def design(n_standards, shift=0.0):
    """Peaks side by side on a constant, with the derivative of the peaks."""
    axis = np.linspace(0, 1, N_ENERGY)[:, None]
    centres, width = (np.arange(n_standards) + 0.5) / n_standards, 0.8 / n_standards
    peaks = np.exp(-(((axis - shift - centres) / width) ** 2))
    rise = 2 * (axis - shift - centres) / width**2 * peaks
    columns = np.column_stack([peaks, np.ones(N_ENERGY)])
    lengths = np.linalg.norm(columns, axis=0)
    slopes = np.column_stack([rise, np.zeros(N_ENERGY)])
    return Design(columns / lengths, slopes / lengths, lengths, n_standards)


def stack(parts, seed=0):
    """Sparse weights under noise: half of the standards are absent or nearly so."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(size=(parts.lengths.size, *SHAPE))
    weights *= rng.uniform(size=weights.shape) < 0.5
    clean = np.einsum("ek,kyx->eyx", parts.columns * parts.lengths, weights)
    variance = (1e-3 * rng.uniform(0.2, 2.0, clean.shape)).astype(np.float32)
    noise = np.sqrt(variance) * rng.normal(size=clean.shape)
    return (clean + noise).astype(np.float32), variance


def with_holes(density, variance):
    """Missing densities and variances: in single pixels, in a whole row, and nearly everywhere."""
    density, variance = density.copy(), variance.copy()
    density[5:9, 1, 3] = np.nan
    density[:, 2] = np.nan
    density[1:, 3, 4] = np.nan
    density[7, 3, 7] = np.inf
    variance[[3, 10], 4, 5] = 0.0, -1.0
    variance[[4, 11], 5, 6] = np.nan, np.inf
    return density, variance


def one_by_one(parts, density, variance, *, nonnegative, weighted):
    """Planes as `PixelFits` has them, each pixel with SciPy's solver on its finite energies."""
    columns, n_standards = parts.columns * parts.lengths, parts.n_standards
    slopes = parts.slopes * parts.lengths
    n, pairs = columns.shape[1], np.triu_indices(n_standards)
    planes = np.full((n + n_standards + len(pairs[0]) + 2, density[0].size), np.nan)
    both = density.reshape(N_ENERGY, -1).T, variance.reshape(N_ENERGY, -1).T
    for p, (values, spread) in enumerate(zip(*(one.astype(float) for one in both), strict=True)):
        known = np.isfinite(values) & np.isfinite(spread) & (spread > 0)
        if known.sum() < n:
            continue
        a, d, v = columns[known], values[known], spread[known]
        w = 1 / v if weighted else np.ones_like(v)
        root = np.sqrt(w)[:, None]
        doubled = np.hstack([root * a, -root * a[:, n_standards:]])  # the constant has any sign
        if nonnegative:
            t = nnls(doubled, root[:, 0] * d, maxiter=300)[0]
            active = np.append(t[:n_standards] > 0, True)
        else:
            active = np.ones(n, dtype=bool)
        solution = np.zeros(n)
        solution[active] = np.linalg.lstsq(root * a[:, active], root[:, 0] * d, rcond=None)[0]
        inverse = np.zeros((n, n))
        inverse[np.ix_(active, active)] = np.linalg.inv(
            a[:, active].T @ (w[:, None] * a[:, active])
        )
        rest, s = d - a @ solution, slopes[known]
        freedom = float(known.sum() - active.sum()) or np.nan
        scale = 1.0 if weighted else (rest**2).sum() / freedom
        drive = s.T @ (w * rest) - a.T @ (w * (s @ solution))
        planes[:, p] = np.concatenate(
            [
                solution,
                (inverse @ drive)[:n_standards],
                scale * inverse[pairs],
                [np.sqrt((rest**2).mean()), (rest**2 / v).sum() / freedom],
            ]
        )
    return planes.reshape(-1, *density.shape[1:])


def require_equal(got, want, rtol):
    """Equal to a share of each plane's largest value, NaN in the same pixels."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * np.nanmax(np.abs(other)))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n_standards", "nonnegative"), [(1, True), (6, True), (13, True), (4, False)]
)
def test_bands_agree_with_a_solver_per_pixel(n_standards, nonnegative, weighted, holes):
    parts = design(n_standards)
    density, variance = stack(parts)
    if holes:
        density, variance = with_holes(density, variance)
    options = {"nonnegative": nonnegative, "weighted": weighted}
    got = fit_pixels(parts, density, variance, **options)
    want = one_by_one(parts, density, variance, **options)
    require_equal(got.planes, want, 2e-6)
    require_equal(got.solution, want[: n_standards + 1], 1e-10)
    if not (weighted or nonnegative or holes):
        projected = project_or_fit(parts, density, variance, None)
        require_equal(projected.planes, want, 2e-6)
        require_equal(projected.solution, want[: n_standards + 1], 1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_energies_are_chosen_without_copies_and_lazily(weighted):
    parts = design(3)
    density, variance = with_holes(*stack(parts))
    spare = np.full((2, *SHAPE), np.nan, dtype=np.float32)
    energies = np.arange(1, N_ENERGY + 1)
    more, spread = (np.concatenate([spare[:1], one, spare[:1]]) for one in (density, variance))
    options = {"nonnegative": True, "weighted": weighted}
    want = fit_pixels(parts, density, variance, **options)
    held = fit_pixels(parts, more, spread, energies=energies, **options)
    np.testing.assert_array_equal(held.planes, want.planes)
    turned = np.ascontiguousarray(more.T).T, np.ascontiguousarray(spread.T).T
    np.testing.assert_array_equal(
        fit_pixels(parts, *turned, energies=energies, **options).planes, want.planes
    )
    lazy = fit_pixels(
        parts,
        da.from_array(more, chunks=(-1, 2, -1)),
        da.from_array(spread, chunks=(-1, 3, -1)),
        energies=energies,
        **options,
    )
    assert lazy.solution.dtype == np.float32
    require_equal(lazy.planes.compute(), want.planes, 1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_standards", "nonnegative"), [(3, True), (4, False)])
def test_pixels_with_barely_enough_nearly_dependent_energies(n_standards, nonnegative, weighted):
    parts = design(n_standards)
    density, variance = stack(parts)
    few = slice(5, 20)
    assert np.linalg.cond(parts.columns[few]) > 1e3
    missing = np.delete(np.arange(N_ENERGY), few)
    density[missing, 3, :20] = np.nan
    density[missing[:-1], 3, 20:] = np.nan  # these have one more, the last
    options = {"nonnegative": nonnegative, "weighted": weighted}
    got = fit_pixels(parts, density, variance, **options).planes[:, 3]
    want = one_by_one(parts, density[:, 3:4], variance[:, 3:4], **options)[:, 0]
    assert np.isfinite(want).all()
    for pixels in (slice(20), slice(20, None)):  # of alike size among themselves
        require_equal(got[:, pixels], want[:, pixels], 1e-6)
        require_equal(got[: n_standards + 1, pixels], want[: n_standards + 1, pixels], 1e-8)


@pytest.mark.parametrize("n_standards", [6, 13])
@pytest.mark.parametrize("weighted", [False, True])
def test_neighbours_and_the_cuts_between_them_change_nothing(monkeypatch, n_standards, weighted):
    parts = design(n_standards)
    density, variance = with_holes(*stack(parts))
    options = {"nonnegative": True, "weighted": weighted}
    want = fit_pixels(parts, density, variance, **options)
    whole = pixelwise.for_each_band
    for rows, piece in ((7, 1984), (2, 50), (1, 1)):
        monkeypatch.setattr(band_fits, "PIECE", piece)
        monkeypatch.setattr(
            pixelwise,
            "for_each_band",
            lambda work, n, rows_per_band, rows=rows: whole(work, n, rows_per_band=rows),
        )
        got = fit_pixels(parts, density, variance, **options)
        np.testing.assert_array_equal(got.solution, want.solution)
        require_equal(got.planes, want.planes, 1e-6)


def test_a_table_of_sets_and_block_pivoting_find_the_same(monkeypatch):
    parts = design(7)
    density, _ = stack(parts)
    want = fit_pixels(parts, density, None, nonnegative=True, weighted=False)
    monkeypatch.setattr(solvers, "MOST_TABULATED", 6)
    got = fit_pixels(parts, density, None, nonnegative=True, weighted=False)
    require_equal(got.planes[:-1], want.planes[:-1], 1e-9)


def test_without_a_variance_only_reduced_chi_squared_is_unknown():
    parts = design(2)
    density, variance = stack(parts)
    for fit in (
        lambda spread: fit_pixels(parts, density, spread, nonnegative=True, weighted=False),
        lambda spread: project_or_fit(parts, density, spread, None),
    ):
        known, unknown = fit(variance), fit(None)
        np.testing.assert_array_equal(unknown.planes[:-1], known.planes[:-1])
        assert np.isnan(unknown.chi2).all()
        assert np.isfinite(known.chi2).all()
