"""Bands of pixels: arrays in memory and lazy ones give the same answer."""

from __future__ import annotations

import time
from dataclasses import dataclass

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape import blocks
from chemoscape.preprocess.counting import Sums


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
    monkeypatch.setattr(blocks._sizes, "BAND_BYTES", 4 * 4 * 5 * 7)
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


# ------------------------------------------------------------- passes that are kept and taken up


class Source:
    """A lazy stack that counts how often its bands are read, and may fail."""

    def __init__(self, cube: np.ndarray, rows: int = 6) -> None:
        self.cube, self.rows = cube, rows
        self.read: list[int] = []
        self.fails_at: int | None = None

    def _band(self, band: np.ndarray, block_info: dict) -> np.ndarray:
        number = block_info[0]["chunk-location"][1]
        if number == self.fails_at:
            raise OSError("the disk is gone")
        self.read.append(number)
        return band

    @property
    def lazy(self) -> da.Array:
        return lazy(self.cube, self.rows).map_blocks(self._band, meta=self.cube[:0, :0, :0])


def doubled(band: np.ndarray) -> np.ndarray:
    return 2 * band


def test_several_maps_are_computed_in_one_pass(cube: np.ndarray) -> None:
    source = Source(cube)
    stack = source.lazy
    twice = blocks.map_blocks(doubled, stack, leading=(4,))
    total = blocks.map_blocks(lambda band: band.sum(axis=0), stack, leading=())
    few = blocks.thinned(stack, 9)
    here = np.arange(3)
    told: list[tuple[int, int]] = []
    with blocks.reporting(lambda *far: told.append(far)):
        found = blocks.computed(twice, here, total, few)
    assert sorted(source.read) == [0, 1, 2, 3]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(found[0], 2 * cube)
    assert found[1] is here
    np.testing.assert_array_equal(found[2], cube.sum(axis=0))
    np.testing.assert_array_equal(found[3], blocks.thinned(cube, 9))
    assert found[3].shape == (4, 3, 1)


@given(rows=st.integers(1, 23), step=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_thinned_bands_are_the_thinned_image(rows: int, step: int) -> None:
    image = np.arange(23 * 5, dtype=float).reshape(1, 23, 5)
    np.testing.assert_array_equal(
        blocks.thinned(lazy(image, rows), step).compute(), blocks.thinned(image, step)
    )


def test_a_thinned_stack_goes_with_maps_in_lower_bands(cube, monkeypatch) -> None:
    monkeypatch.setattr("chemoscape.blocks._passes.PART_BYTES", 4 * 4 * 5 * 2)
    stack = lazy(cube)
    twice = blocks.map_blocks(doubled, stack, leading=(4,))
    few, maps = blocks.computed(blocks.thinned(stack, 4), twice)
    np.testing.assert_array_equal(few, blocks.thinned(cube, 4))
    np.testing.assert_array_equal(maps, 2 * cube)
    assert blocks.thinned(cube[:, :1], 40).shape == (4, 1, 1)


def test_a_dataset_is_loaded_in_one_pass(cube: np.ndarray) -> None:
    source = Source(cube)
    stack = source.lazy
    maps = xr.Dataset(
        {
            "twice": (("energy", "y", "x"), 2 * stack, {"units": "1"}),
            "first": (("y", "x"), stack[0]),
            "there": ("energy", np.arange(4)),
        }
    )
    found = blocks.loaded(maps)
    assert sorted(source.read) == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.twice, 2 * cube)
    assert found.twice.attrs == {"units": "1"}
    assert isinstance(found["first"].variable._data, np.ndarray)


def test_reductions_fold_in_order_whatever_comes_first(cube: np.ndarray) -> None:
    def slow_at_first(band: np.ndarray) -> list[float]:
        time.sleep(0.05 * (band[0, 0, 0] == cube[0, 0, 0]))
        return [float(band[0, 0, 0])]

    found = blocks.reduce_blocks(slow_at_first, list.__add__, lazy(cube, 3))
    assert found == cube[0, ::3, 0].tolist()


@dataclass
class Unknown:
    """Not ours: it is not kept."""

    value: float


def test_an_ended_work_goes_on_where_it_was(cube, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("chemoscape.blocks._passes.SMALL_BYTES", 0)
    folder, source = tmp_path / "passes", Source(cube)

    def work() -> tuple:
        total = blocks.reduce_blocks(
            lambda band: (Sums(band.sum(axis=(1, 2)), np.float64(band.size)), None, "rows"),
            lambda a, b: (a[0] + b[0], None, "rows"),
            source.lazy,
        )
        maps = blocks.computed(blocks.map_blocks(doubled, source.lazy, leading=(4,)))
        return total, maps[0]

    source.fails_at = None
    with blocks.workers(1):
        source.fails_at = 2
        with pytest.raises(OSError, match="gone"), blocks.checkpoint(folder, "a recipe"):
            work()
        assert 2 not in source.read  # nothing is kept of a sum that was not finished
        source.fails_at, source.read = None, []

        def second(done: int, of: int) -> None:
            source.fails_at = 2 if len(source.read) > 4 else None

        interrupted = pytest.raises(OSError, match="gone")
        with interrupted, blocks.checkpoint(folder, "a recipe"), blocks.reporting(second):
            work()
        begun = len(source.read) - 4
        assert 0 < begun < 4
        source.fails_at, source.read = None, []
        with blocks.checkpoint(folder, "a recipe"):
            total, maps = work()
            assert len(source.read) == 4 - begun  # and no sum anew
        np.testing.assert_array_equal(maps, 2 * cube)
        assert isinstance(total[0], Sums)
        assert total[1:] == (None, "rows")
        np.testing.assert_allclose(total[0].total, cube.sum(axis=(1, 2)), rtol=1e-6)
    assert not folder.exists()


def test_what_another_work_left_is_not_used(cube, tmp_path) -> None:
    folder, source = tmp_path / "passes", Source(cube)

    def work(name: str, fail: bool) -> None:
        with blocks.checkpoint(folder, name):
            blocks.reduce_blocks(np.sum, np.add, source.lazy)
            blocks.reduce_blocks(lambda band: Unknown(0.0), lambda a, b: a, source.lazy)
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work("one", True)
    assert [path.name for path in sorted(folder.iterdir())] == ["001-sum.npz", "work.txt"]
    with pytest.raises(KeyboardInterrupt):
        work("one", True)
    assert len(source.read) == 8 + 4
    (folder / "001-sum.npz").write_bytes(b"PK cut off")
    with pytest.raises(KeyboardInterrupt):
        work("one", True)
    assert len(source.read) == 8 + 4 + 8
    work("another", False)
    assert len(source.read) == 8 + 4 + 8 + 8
    assert not folder.exists()
