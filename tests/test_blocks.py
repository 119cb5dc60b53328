"""Bands of pixels: arrays in memory and lazy ones give the same answer."""

from __future__ import annotations

import time

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape import blocks


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 23, 5)).astype(np.float32)


def lazy(cube: np.ndarray, rows: int = 6) -> da.Array:
    return da.from_array(cube, chunks=(cube.shape[0], rows, cube.shape[2]))


def spectrum_and_peak(counts: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Two leading planes from two arrays of different rank."""
    return np.stack([counts.sum(axis=0) * factor, counts.max(axis=0)])


def test_map_blocks_alike(cube: np.ndarray) -> None:
    factor = np.arange(23 * 5, dtype=np.float32).reshape(23, 5)
    here = blocks.map_blocks(spectrum_and_peak, cube, factor, leading=(2,))
    assert isinstance(here, np.ndarray)
    np.testing.assert_array_equal(here, spectrum_and_peak(cube, factor))
    there = blocks.map_blocks(spectrum_and_peak, lazy(cube), factor, leading=(2,))
    assert blocks.is_lazy(there)
    assert (there.shape, there.dtype, there.chunks[1]) == ((2, 23, 5), np.float32, (6, 6, 6, 5))
    np.testing.assert_array_equal(there.compute(), here)


def test_map_blocks_to_a_map(cube: np.ndarray) -> None:
    def work(band: np.ndarray) -> np.ndarray:
        return band.argmax(axis=0)

    for one in (cube, lazy(cube)):
        result = blocks.map_blocks(work, one, leading=(), dtype=np.int64)
        np.testing.assert_array_equal(np.asarray(result), cube.argmax(axis=0))


def test_map_blocks_of_several_lazy_arrays(cube: np.ndarray) -> None:
    result = blocks.map_blocks(np.add, lazy(cube, 6), lazy(2 * cube, 4), leading=(4,))
    np.testing.assert_array_equal(result.compute(), 3 * cube)


@pytest.mark.parametrize("kind", ["array", "lazy"])
def test_reduce_blocks(cube: np.ndarray, kind: str) -> None:
    given_ = cube if kind == "array" else lazy(cube)

    def gram(band: np.ndarray) -> np.ndarray:
        pixels = band.reshape(len(band), -1).astype(np.float64)
        return pixels @ pixels.T

    pixels = cube.reshape(4, -1).astype(np.float64)
    found = blocks.reduce_blocks(gram, np.add, given_)
    np.testing.assert_allclose(found, pixels @ pixels.T, rtol=1e-12)
    rows = blocks.reduce_blocks(lambda band: [band.shape[1]], list.__add__, given_)
    assert sum(rows) == 23
    first = blocks.reduce_blocks(lambda band: band[0, 0, 0], lambda a, b: a, given_)
    assert first == cube[0, 0, 0]  # joined in the order of the rows


def test_a_band_that_draws_on_its_neighbours_is_read_once() -> None:
    read: list[int] = []

    def chunk(block_info=None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"][1])
        return np.ones((3, 4, 5))

    source = da.map_blocks(chunk, chunks=((3,), (4,) * 6, (5,)), dtype=float)
    spread = source.map_overlap(lambda band: band + 1, depth={1: 1}, boundary="nearest")
    total = blocks.reduce_blocks(np.sum, lambda a, b: a + b, spread)
    assert total == 2 * 3 * 24 * 5
    assert sorted(read) == list(range(6))


def test_an_error_in_a_block_is_raised(cube: np.ndarray) -> None:
    def fail(band: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("in a block")

    for one in (cube, lazy(cube)):
        with pytest.raises(ZeroDivisionError, match="in a block"):
            np.asarray(blocks.map_blocks(fail, one, leading=()))
        with pytest.raises(ZeroDivisionError, match="in a block"):
            blocks.reduce_blocks(fail, np.add, one)


def test_a_listener_ends_the_work() -> None:
    done: list[slice] = []

    def slow(band: slice) -> None:
        time.sleep(0.001)
        done.append(band)

    def impatient(finished: int, of: int) -> None:
        if finished == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), blocks.workers(1), blocks.reporting(impatient):
        blocks.for_each_band(slow, 1000, rows_per_band=1)
    assert len(done) < 1000


def test_iterate(cube: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BAND_BYTES", 4 * 4 * 5 * 7)
    for one in (cube, lazy(cube)):
        stack = xr.DataArray(one, dims=("energy", "y", "x"))
        parts = list(blocks.iterate(stack))
        assert [rows.start for rows, _ in parts] == (
            [0, 7, 14, 21] if one is cube else [0, 6, 12, 18]
        )
        np.testing.assert_array_equal(np.concatenate([part for _, part in parts], axis=1), cube)


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2000), st.integers(1, 5000), st.integers(1, 5000)),
    together=st.integers(1, 64),
)
def test_rows_per_band(shape: tuple[int, int, int], together: int) -> None:
    rows = blocks.rows_per_band(shape, together)
    row_bytes = 4 * shape[0] * shape[2]
    assert 1 <= rows <= shape[1]
    assert rows * row_bytes <= max(blocks.BAND_BYTES, blocks.memory_limit() // 8, row_bytes)
    if together * row_bytes <= blocks.BAND_BYTES:
        assert rows * row_bytes <= blocks.BAND_BYTES
        assert rows == shape[1] or rows % together == 0


def test_memory_limit_is_a_share() -> None:
    assert 10_000_000 < blocks.memory_limit() < 100_000_000_000_000
