"""Streams of a compound file as runs of bytes: chains of sectors, and reading parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from chemoscape.formats import _guard

#: Runs with no more than this between them (bytes), as where sectors of the table itself stand in
#: between, are read in one go.
_SMALL_GAP = 8_192


@dataclass(frozen=True, eq=False)
class Stream:
    """Bytes of a stream, as runs in the file.

    Parameters
    ----------
    size : int
        Bytes of the stream.
    offsets : ndarray of int, shape (n_runs,)
        Where the runs begin in the file.
    starts : ndarray of int, shape (n_runs + 1,)
        Where they begin in the stream; the last is where the stream ends.
    """

    size: int
    offsets: np.ndarray
    starts: np.ndarray

    @property
    def compact(self) -> bool:
        """Whether the runs follow each other with little between them, as freshly written."""
        gaps = self.offsets[1:] - (self.offsets + np.diff(self.starts))[:-1]
        return bool((gaps >= 0).all() and gaps.sum() <= max(self.size // 4, _SMALL_GAP))

    def read(self, path: Path, start: int, stop: int) -> bytes:
        """Bytes from `start` up to `stop` of the stream.

        Raises
        ------
        FileFormatError
            The file became shorter, or cannot be read.
        """
        if start >= stop:
            return b""
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        last = int(np.searchsorted(self.starts, stop, side="left"))
        begins = np.maximum(self.starts[first:last], start)
        lengths = np.minimum(self.starts[first + 1 : last + 1], stop) - begins
        offsets = self.offsets[first:last] + begins - self.starts[first:last]
        gaps = offsets[1:] - (offsets + lengths)[:-1]
        far = np.flatnonzero((gaps < 0) | (gaps > _SMALL_GAP)) + 1
        pieces = []
        for near in np.split(np.arange(offsets.size), far):
            low, high = int(offsets[near[0]]), int(offsets[near[-1]] + lengths[near[-1]])
            block = _guard.read_at(path, low, high - low)
            pieces += [block[offsets[k] - low : offsets[k] - low + lengths[k]] for k in near]
        return b"".join(pieces)


@dataclass(frozen=True, eq=False)
class Chains:
    """An allocation table: which sector follows which.

    Parameters
    ----------
    following : ndarray of int, shape (n_sectors,)
        Number of the next sector, or a mark above all sectors.
    sector : int
        Bytes of a sector.
    """

    following: np.ndarray
    sector: int

    @cached_property
    def breaks(self) -> np.ndarray:
        """Sectors that are not followed by their neighbour, ascending; the last is one of them."""
        at_end = self.following != np.arange(1, self.following.size + 1)
        at_end[-1:] = True
        return np.flatnonzero(at_end)

    def runs(self, first: int, size: int) -> list[tuple[int, int]]:
        """First sector and number of sectors of the runs that hold `size` bytes.

        Raises
        ------
        ValueError
            The chain leaves the table or ends too early.
        """
        runs, needed = [], -(-size // self.sector)
        if needed > self.following.size:  # also ends the walk along a chain that is a ring
            raise ValueError("it is longer than the file")
        while needed > 0:
            if not 0 <= first < self.following.size:
                raise ValueError("its chain of sectors ends too early")
            last = int(self.breaks[np.searchsorted(self.breaks, first)])
            n = min(last - first + 1, needed)
            runs.append((first, n))
            needed -= n
            first = int(self.following[last])
        return runs


def sectors_of(chains: Chains, first: int, size: int, file_size: int) -> Stream:
    """A stream of whole sectors; the first sector of the file is its header."""
    runs = np.array(chains.runs(first, size), np.int64).reshape(-1, 2)
    lengths = runs[:, 1] * chains.sector
    if size:
        lengths[-1] -= lengths.sum() - size
    return joined((runs[:, 0] + 1) * chains.sector, lengths, size, file_size)


def joined(offsets: np.ndarray, lengths: np.ndarray, size: int, file_size: int) -> Stream:
    """A stream of runs, neighbours joined, all of which must lie in the file."""
    if offsets.size and (offsets + lengths).max() > file_size:
        raise ValueError("a part lies behind the end of the file")
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    new = np.ones(offsets.size, dtype=bool)
    new[1:] = offsets[1:] != (offsets + lengths)[:-1]
    return Stream(size, offsets[new], np.append(starts[:-1][new], size))
