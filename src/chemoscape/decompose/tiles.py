"""Sums over the energies of a piece of pixels, compiled: all that a fit has to read of a stack.

A piece of a band is read in the stack's own order, energy by energy, `TILE` neighbouring pixels at
a time. Every loop over pixels does the same to each of them, so that the compiler works on a vector
of pixels, with `STEP` energies and two columns per pass over it. (BLAS, made for larger matrices,
takes two to four times as long.) Kernels do not call each other's callers: the compiler would
optimise them over again in each.

What decides on the weights is summed in float64. The residual is that from an orthonormal basis of
the columns, in float32: its rounding is that of the optical density, however alike the standards.

The arguments are those of all functions here: `flat`, what lies in memory from the first value of a
band on, and `rows`, where in it each energy of the piece begins, whole steps of them: the last one
repeated, where columns are zero. A variance that is not known is empty.
"""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.decompose.kernels import copy, scratch

#: Energies worked on at a time; columns in a sum, and taken away, at a time.
STEP, PAIR, GROUP = 8, 2, 4
#: Pixels of a tile, and of one whose energies have weights: few enough for the first cache.
TILE, WEIGHTED_TILE = 512, 256


@kernel
def sum_moments(flat, rows, columns, sums):  # type: ignore[no-untyped-def]
    """``Σ_n columns_nk d_n`` of every pixel into `sums` (K, pixels), in pairs of columns; not
    finite where a density is not.
    """
    for start in range(0, sums.shape[1], TILE):
        size = min(TILE, sums.shape[1] - start)
        sums[:, start : start + size] = 0.0
        for n in range(0, rows.size, STEP):
            at = rows[n : n + STEP] + start
            d0, d1 = flat[at[0] : at[0] + size], flat[at[1] : at[1] + size]
            d2, d3 = flat[at[2] : at[2] + size], flat[at[3] : at[3] + size]
            d4, d5 = flat[at[4] : at[4] + size], flat[at[5] : at[5] + size]
            d6, d7 = flat[at[6] : at[6] + size], flat[at[7] : at[7] + size]
            for k in range(0, len(sums), PAIR):
                a0, b0 = columns[n, k], columns[n, k + 1]
                a1, b1 = columns[n + 1, k], columns[n + 1, k + 1]
                a2, b2 = columns[n + 2, k], columns[n + 2, k + 1]
                a3, b3 = columns[n + 3, k], columns[n + 3, k + 1]
                a4, b4 = columns[n + 4, k], columns[n + 4, k + 1]
                a5, b5 = columns[n + 5, k], columns[n + 5, k + 1]
                a6, b6 = columns[n + 6, k], columns[n + 6, k + 1]
                a7, b7 = columns[n + 7, k], columns[n + 7, k + 1]
                one, two = sums[k][start : start + size], sums[k + 1][start : start + size]
                for p in range(size):
                    v0, v1 = np.float64(d0[p]), np.float64(d1[p])
                    v2, v3 = np.float64(d2[p]), np.float64(d3[p])
                    v4, v5 = np.float64(d4[p]), np.float64(d5[p])
                    v6, v7 = np.float64(d6[p]), np.float64(d7[p])
                    one[p] += ((a0 * v0 + a1 * v1) + (a2 * v2 + a3 * v3)) + (
                        (a4 * v4 + a5 * v5) + (a6 * v6 + a7 * v7)
                    )
                    two[p] += ((b0 * v0 + b1 * v1) + (b2 * v2 + b3 * v3)) + (
                        (b4 * v4 + b5 * v5) + (b6 * v6 + b7 * v7)
                    )


@kernel
def add_products(columns, n, block, sums):  # type: ignore[no-untyped-def]
    """``sums_k += Σ_i columns_ik block_i`` over one step of energies from the row `n`."""
    b0, b1, b2, b3 = block[0], block[1], block[2], block[3]
    b4, b5, b6, b7 = block[4], block[5], block[6], block[7]
    for k in range(0, len(sums), PAIR):
        c0, d0 = columns[n, k], columns[n, k + 1]
        c1, d1 = columns[n + 1, k], columns[n + 1, k + 1]
        c2, d2 = columns[n + 2, k], columns[n + 2, k + 1]
        c3, d3 = columns[n + 3, k], columns[n + 3, k + 1]
        c4, d4 = columns[n + 4, k], columns[n + 4, k + 1]
        c5, d5 = columns[n + 5, k], columns[n + 5, k + 1]
        c6, d6 = columns[n + 6, k], columns[n + 6, k + 1]
        c7, d7 = columns[n + 7, k], columns[n + 7, k + 1]
        one, two = sums[k], sums[k + 1]
        for p in range(one.size):
            one[p] += ((c0 * b0[p] + c1 * b1[p]) + (c2 * b2[p] + c3 * b3[p])) + (
                (c4 * b4[p] + c5 * b5[p]) + (c6 * b6[p] + c7 * b7[p])
            )
            two[p] += ((d0 * b0[p] + d1 * b1[p]) + (d2 * b2[p] + d3 * b3[p])) + (
                (d4 * b4[p] + d5 * b5[p]) + (d6 * b6[p] + d7 * b7[p])
            )


@kernel
def add_expansion(columns, n, coefficients, start, block):  # type: ignore[no-untyped-def]
    """``block_i += Σ_k columns_ik coefficients_k`` for one step of energies of a tile."""
    size = min(block.shape[1], coefficients.shape[1] - start)
    for i in range(0, STEP, 2):
        one, two = block[i], block[i + 1]
        for k in range(0, len(coefficients), GROUP):
            a0, a1 = (
                coefficients[k][start : start + size],
                coefficients[k + 1][start : start + size],
            )
            a2, a3 = (
                coefficients[k + 2][start : start + size],
                coefficients[k + 3][start : start + size],
            )
            c0, c1 = columns[n + i, k], columns[n + i, k + 1]
            c2, c3 = columns[n + i, k + 2], columns[n + i, k + 3]
            d0, d1 = columns[n + i + 1, k], columns[n + i + 1, k + 1]
            d2, d3 = columns[n + i + 1, k + 2], columns[n + i + 1, k + 3]
            for p in range(size):
                one[p] += (c0 * a0[p] + c1 * a1[p]) + (c2 * a2[p] + c3 * a3[p])
                two[p] += (d0 * a0[p] + d1 * a1[p]) + (d2 * a2[p] + d3 * a3[p])


@kernel
def add_rows(block, sums):  # type: ignore[no-untyped-def]
    """``sums += Σ_i block_i`` over one step of energies."""
    b0, b1, b2, b3 = block[0], block[1], block[2], block[3]
    b4, b5, b6, b7 = block[4], block[5], block[6], block[7]
    for p in range(sums.size):
        sums[p] += ((b0[p] + b1[p]) + (b2[p] + b3[p])) + ((b4[p] + b5[p]) + (b6[p] + b7[p]))


@kernel
def sum_residual(  # type: ignore[no-untyped-def]
    flat, rows, spread, spread_rows, n_energy, basis, mixed, slopes, squares, chi, pull
):
    """Residual ``r = d - Q y`` of every pixel: Σ r², Σ r²/v and ``Σ slopes_nk r_n``.

    Parameters
    ----------
    mixed : ndarray of float32, shape (as the basis, pixels)
        What to multiply the basis with, ``-y``.
    squares, chi : ndarray, shape (pixels,)
        Results; `chi` is NaN where a variance is not a positive number.
    pull : ndarray of float32, shape (whole pairs, pixels)
        Result.
    """
    for start in range(0, squares.size, TILE):
        size = min(TILE, squares.size - start)
        block, tile_pull = scratch(STEP, size, np.float32), scratch(len(pull), size, np.float32)
        sums, least = scratch(2, size, np.float64), scratch(1, size, np.float32)[0]
        tile_squares, tile_chi = sums[0], sums[1]
        least[:] = np.inf
        rest = block.reshape(-1)
        for n in range(0, rows.size, STEP):
            for i in range(STEP):
                into, at = block[i], rows[n + i] + start
                values = flat[at : at + size]
                for p in range(size):
                    into[p] = values[p]
            add_expansion(basis, n, mixed, start, block)
            block[n_energy - n :] = 0.0
            add_products(slopes, n, block, tile_pull)
            for p in range(rest.size):
                rest[p] *= rest[p]
            add_rows(block, tile_squares)
            if spread.size == 0:
                continue
            for i in range(STEP):
                row, at = block[i], spread_rows[n + i] + start
                noise = spread[at : at + size]
                for p in range(size):
                    weight = np.float32(np.reciprocal(noise[p]))
                    row[p] *= weight
                    least[p] = weight if weight < least[p] else least[p]
            add_rows(block, tile_chi)
        copy(tile_pull, 0, pull, start, size)
        for p in range(size):
            squares[start + p] = tile_squares[p]
            chi[start + p] = tile_chi[p] if least[p] > 0.0 else np.nan


@kernel
def weigh(  # type: ignore[no-untyped-def]
    flat, rows, spread, spread_rows, n_energy, n, start, size, values, weights
):
    """One step of densities and of one over their variances (ones where none are given) of a tile:
    both zero for missing values, those without a positive variance and those beyond the last
    energy.
    """
    for i in range(STEP):
        value, weight, at = values[i], weights[i], rows[n + i] + start
        density = flat[at : at + size]
        if n + i >= n_energy:
            value[:] = 0.0
            weight[:] = 0.0
        elif spread.size:
            at = spread_rows[n + i] + start
            noise = spread[at : at + size]
            for p in range(size):
                weight[p] = noise[p]  # in the precision of the weights from here
                known = (abs(density[p]) < np.inf) & (weight[p] > 0.0) & (weight[p] < np.inf)
                value[p] = density[p] if known else 0.0
                weight[p] = np.reciprocal(weight[p]) if known else 0.0
        else:
            for p in range(size):
                known = abs(density[p]) < np.inf
                value[p] = density[p] if known else 0.0
                weight[p] = 1.0 if known else 0.0


@kernel
def sum_weighted(  # type: ignore[no-untyped-def]
    flat, rows, spread, spread_rows, n_energy, weighted, columns, products, moments, gram, extra
):
    """As `sum_moments` with weights 1/v, or 1, and 0 for what is missing.

    Parameters
    ----------
    products : ndarray, shape (n, K(K+1)/2 filled up to pairs)
        Products of the columns in pairs (i, j <= i), row by row.
    moments, gram, extra : ndarray, shapes (…, pixels)
        Results: ``Σ w column_k d``, ``Σ w product_k``; Σ w d² and the number of energies used.
    """
    for start in range(0, extra.shape[1], WEIGHTED_TILE):
        size = min(WEIGHTED_TILE, extra.shape[1] - start)
        values, weights = scratch(STEP, size, np.float64), scratch(STEP, size, np.float64)
        known, power = scratch(STEP, size, np.float64), scratch(STEP, size, np.float64)
        tile_moments, tile_gram = (
            scratch(len(moments), size, np.float64),
            scratch(len(gram), size, np.float64),
        )
        tile_extra = scratch(2, size, np.float64)
        value, weight = values.reshape(-1), weights.reshape(-1)
        one, square = known.reshape(-1), power.reshape(-1)
        for n in range(0, rows.size, STEP):
            weigh(flat, rows, spread, spread_rows, n_energy, n, start, size, values, weights)
            for p in range(value.size):
                one[p] = 1.0 if weight[p] > 0.0 else 0.0
                weight[p] = weight[p] if weighted else one[p]
                square[p] = weight[p] * value[p] * value[p]
                value[p] *= weight[p]
            add_rows(power, tile_extra[0])
            add_rows(known, tile_extra[1])
            add_products(columns, n, values, tile_moments)
            add_products(products, n, weights, tile_gram)
        copy(tile_moments, 0, moments, start, size)
        copy(tile_gram, 0, gram, start, size)
        copy(tile_extra, 0, extra, start, size)


@kernel
def sum_weighted_residual(  # type: ignore[no-untyped-def]
    flat,
    rows,
    spread,
    spread_rows,
    n_energy,
    weighted,
    basis,
    mixed,
    slopes,
    moving,
    squares,
    chi,
    pull,
    drag,
):
    """As `sum_residual` with weights: ``Σ w slopes_nk r_n``, and ``Σ w q_nk m_n`` of what the fit
    moves by with the energy shift, ``m = slopes · moving``.
    """
    for start in range(0, squares.size, WEIGHTED_TILE):
        size = min(WEIGHTED_TILE, squares.size - start)
        block, weights = scratch(STEP, size, np.float32), scratch(STEP, size, np.float32)
        moved, known = scratch(STEP, size, np.float32), scratch(STEP, size, np.float32)
        tile_pull = scratch(len(pull), size, np.float32)
        tile_drag = scratch(len(drag), size, np.float32)
        sums = scratch(2, size, np.float64)
        tile_squares, tile_chi = sums[0], sums[1]
        rest, weight, move, square = (
            block.reshape(-1),
            weights.reshape(-1),
            moved.reshape(-1),
            known.reshape(-1),
        )
        for n in range(0, rows.size, STEP):
            weigh(flat, rows, spread, spread_rows, n_energy, n, start, size, block, weights)
            add_expansion(basis, n, mixed, start, block)
            moved[:] = 0.0
            add_expansion(slopes, n, moving, start, moved)
            for p in range(rest.size):
                one = np.float32(1.0) if weight[p] > 0.0 else np.float32(0.0)
                used = weight[p] if weighted else one
                square[p] = one * rest[p] * rest[p]
                weight[p] *= rest[p] * rest[p]
                rest[p] *= used
                move[p] *= used
            add_rows(known, tile_squares)
            add_rows(weights, tile_chi)
            add_products(slopes, n, block, tile_pull)
            add_products(basis, n, moved, tile_drag)
        for p in range(size):
            squares[start + p], chi[start + p] = tile_squares[p], tile_chi[p]
        copy(tile_pull, 0, pull, start, size)
        copy(tile_drag, 0, drag, start, size)
