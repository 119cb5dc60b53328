"""The one pass over all values that makes optical density, its variance and the flags.

Every row of every frame goes once from memory through the processor's vector units: reading the
stack and writing two of its size takes nearly all of the time. What a pixel needs of all its
energies (its highest optical density, its mean) is collected on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chemoscape.blocks import for_each_band, kernel, map_blocks
from chemoscape.preprocess.density.detector import overload

#: Optical densities above these need care, or are beyond saving: stray light and higher orders fill
#: the dip.
MILD, STRONG = 1.5, 2.2
#: Bits of `flag`; a pixel is thick or too thick, and may have no positive count at some energy
#: besides.
THICK, TOO_THICK, NOT_POSITIVE = 1, 2, 4

#: Pixels of one frame that a thread works on at a time: their maps stay near it.
_STRIP = 131_072

_f4, _i4 = np.float32, np.int32
_ZERO, _ONE, _TWO, _NAN, _INF = _f4(0), _f4(1), _f4(2), _f4(np.nan), _f4(np.inf)
#: The bits of a positive float32, read as a whole number, rise with its value: extremes of bits
#: tell in one comparison of integers, which vectorises, whether any value is negative, infinite or
#: NaN.
_INF_BITS = _f4(np.inf).view(_i4)
_MILD_BITS = _f4(np.exp(MILD)).view(_i4)
_LEAST_BITS, _MOST_BITS = _i4(-(2**31)), _i4(2**31 - 1)


@dataclass(frozen=True, eq=False)
class Recording:
    """What turns recorded values into optical density; everything along energy has shape
    (n_energy,).

    Parameters
    ----------
    dark, flat : ndarray, shape (1 or n_energy, 1 or n_y, 1 or n_x)
        Value without beam, and relative brightness of the beam across the image.
    beam : ndarray
        I0 as recorded, less its dark.
    beam_relative_variance : ndarray
        var(I0)/I0².
    own : ndarray
        γ/g: noise gain over counts per recorded unit.
    dark_variance : ndarray
        γ s_d².
    busy_per_unit : ndarray
        g τ/T: busy share of the detector for one recorded unit.
    stray_light : float
        h.
    """

    dark: np.ndarray
    flat: np.ndarray
    beam: np.ndarray
    beam_relative_variance: np.ndarray
    own: np.ndarray
    dark_variance: np.ndarray
    busy_per_unit: np.ndarray
    stray_light: float

    def along_energy(self) -> np.ndarray:
        """What belongs to frames, as float32 (n_energy, 5) in the order of the kernel."""
        columns = (
            self.beam,
            self.beam_relative_variance,
            self.own,
            self.dark_variance,
            self.busy_per_unit,
        )
        return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32)

    def maps(self, n_x: int) -> tuple[np.ndarray, np.ndarray]:
        """Dark and flat as float32 (1 or n_energy, 1 or n_y, n_x); a flat without beam is NaN."""
        flat = np.where(self.flat > 0, self.flat, np.nan)
        return _as_rows(self.dark, n_x), _as_rows(flat, n_x)


@dataclass(frozen=True, eq=False)
class Densities:
    """Result of `take_logarithm` on an array in memory."""

    density: np.ndarray
    variance: np.ndarray
    flag: np.ndarray
    mean: np.ndarray
    n_not_positive: int


def take_logarithm(counts: np.ndarray, recording: Recording) -> Densities:
    """Optical density and its variance (n_energy, n_y, n_x) float32, `flag` (n_y, n_x) uint8 and
    the mean over energy (n_y, n_x), NaN where nothing is known.

    Raises
    ------
    StackError
        Some value is larger than the dead time allows.
    """
    _, n_y, n_x = counts.shape
    density, variance = np.empty_like(counts), np.empty_like(counts)
    flag, mean = np.empty((n_y, n_x), np.uint8), np.empty((n_y, n_x), np.float32)
    along, (dark, flat) = recording.along_energy(), recording.maps(n_x)
    n_lost = np.zeros(n_y, dtype=np.int64)
    contiguous = counts.flags.c_contiguous

    def work(rows: slice) -> None:
        part = counts if contiguous else np.ascontiguousarray(counts[:, rows])
        first = rows.start if contiguous else 0
        n_lost[rows.start] = _checked(
            _band(
                part,
                first,
                dark,
                flat,
                along,
                _f4(recording.stray_light),
                density,
                variance,
                rows.start,
                rows.stop,
                flag,
                mean,
            )
        )

    rows_per_band = max(min(_STRIP // n_x, -(-n_y // 8)), 1)
    for_each_band(work, n_y, rows_per_band=rows_per_band)
    return Densities(density, variance, flag, mean, int(n_lost.sum()))


def take_logarithm_lazily(counts: Any, recording: Recording) -> tuple[Any, Any, Any]:
    """Optical density, variance and flag as Dask arrays; see `take_logarithm`.

    They are planes of one array, so that whoever computes them together reads the stack once.
    """
    n_energy, _, n_x = counts.shape
    along, (dark, flat) = recording.along_energy(), recording.maps(n_x)
    stray = _f4(recording.stray_light)
    imaged = [values for values in (dark, flat) if values.shape[1] > 1]

    def work(band: np.ndarray, *cut: np.ndarray) -> np.ndarray:
        # maps of the whole image come cut to the same rows, those of one row are the same for all
        parts = iter(cut)
        d = np.ascontiguousarray(next(parts)) if dark.shape[1] > 1 else dark
        f = np.ascontiguousarray(next(parts)) if flat.shape[1] > 1 else flat
        rows = band.shape[1]
        planes = np.empty((2 * n_energy + 1, rows, n_x), dtype=np.float32)
        flag, mean = np.empty((rows, n_x), np.uint8), np.empty((rows, n_x), np.float32)
        density, variance = planes[:n_energy], planes[n_energy:-1]
        _checked(
            _band(
                np.ascontiguousarray(band),
                0,
                d,
                f,
                along,
                stray,
                density,
                variance,
                0,
                rows,
                flag,
                mean,
            )
        )
        planes[-1] = flag
        return planes

    planes = map_blocks(work, counts, *imaged, leading=(2 * n_energy + 1,))
    return planes[:n_energy], planes[n_energy:-1], planes[-1].astype(np.uint8)


def flag_densities(density: Any, values: Any) -> Any:
    """`flag` (n_y, n_x) uint8 of optical densities without variance, lazy when they are.

    `values` are what they were made of: known where an optical density was lost.
    """

    def work(band: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        highest = np.fmax.reduce(band, axis=0, initial=-np.inf)
        lost = (np.isnan(band) & ~np.isnan(recorded)).any(axis=0)
        thick = THICK * (highest > MILD) + (highest > STRONG)
        return np.asarray(thick + NOT_POSITIVE * lost, dtype=np.uint8)

    return map_blocks(work, density, values, leading=(), dtype=np.uint8)


def _as_rows(values: np.ndarray, n_x: int) -> np.ndarray:
    shape = (*values.shape[:2], n_x)
    return np.ascontiguousarray(np.broadcast_to(values, shape), dtype=np.float32)


def _checked(numbers: tuple[int, int]) -> int:
    """Values without a positive count; refuses those that the dead time does not allow."""
    n_lost, n_overloaded = numbers
    if n_overloaded:
        raise overload(f"in {n_overloaded} values ")
    return n_lost


@kernel
def _inverse(value: np.float32) -> np.float32:
    """1/value, infinite for zero."""
    return _ONE / value if value != _ZERO else _INF


@kernel
def _ln(value: np.float32) -> np.float32:
    """Natural logarithm of a positive, finite float32, to 3e-7 of its value and absolutely.

    With ``value = 2^k (1 + f)`` and ``s = f/(2 + f)`` it is ``k ln 2 + 2 artanh(s)``, the latter a
    minimax polynomial in s². numba's own logarithm is a call for each value; this one is vectorised
    and takes a tenth of the time.
    """
    bits = _f4(value).view(_i4)
    k = (bits - _i4(0x3F3504F3)) >> _i4(23)  # 1 + f lies between √½ and √2
    f = _i4(bits - (k << _i4(23))).view(_f4) - _ONE
    s = f * _inverse(_TWO + f)
    z = s * s
    rest = z * (_f4(0.66666777) + z * (_f4(0.39977541) + z * _f4(0.29871732)))
    return _f4(k) * _f4(0.69314718) + s * (_TWO + rest)


@kernel
def _beam_row(flat, beam, busy, row):  # type: ignore[no-untyped-def]
    """True I0 of one row, after dead time."""
    for p in range(flat.size):
        row[p] = beam * flat[p]
    if busy > _ZERO:
        for p in range(flat.size):
            row[p] = _inverse(_inverse(row[p]) - busy)


@kernel
def _beam_over_light(counts, dark, beam, along, stray, ratio, variance):  # type: ignore[no-untyped-def]
    """I0/I of one row of a frame and the variance of its logarithm; short loops, which all
    vectorise.

    With ``w = 1/(N - d)`` the true count is ``1/(w - gτ/T)``, and ``w - gτ/T`` over w is the share
    of the time that the detector was idle.
    """
    relative, own, read, busy = along[1], along[2], along[3], along[4]
    for p in range(counts.size):
        w = _inverse(counts[p] - dark[p])
        variance[p] = own * (w + dark[p] * w * w) + relative
        ratio[p] = w * beam[p]
    if busy > _ZERO or read > _ZERO:
        for p in range(counts.size):
            w = _inverse(counts[p] - dark[p])
            idle = w - busy
            read_out = w * w * _inverse(idle)
            variance[p] += read * read_out * read_out
            ratio[p] = idle * beam[p]
    if stray > _ZERO:
        full = _ONE + stray
        for p in range(counts.size):
            through = _inverse(full - stray * ratio[p])
            gain = full * through  # dOD/d(ln I0/I)
            ratio[p] *= through
            variance[p] *= gain * gain


@kernel
def _extremes(ratio):  # type: ignore[no-untyped-def]
    """Least and most of a row, as bits."""
    least, most = _MOST_BITS, _LEAST_BITS
    for p in range(ratio.size):
        bits = _f4(ratio[p]).view(_i4)
        least = bits if bits < least else least
        most = bits if bits > most else most
    return least, most


@kernel
def _logarithm(ratio, total):  # type: ignore[no-untyped-def]
    """Optical density of a row in place of I0/I, all positive; added to the sum over energy."""
    for p in range(ratio.size):
        value = _ln(ratio[p])
        ratio[p] = value
        total[p] += value


@kernel
def _logarithm_of_some(counts, dark, busy, ratio, variance, total, unseen, lost):  # type: ignore[no-untyped-def]
    """The same where some have no logarithm: NaN there.

    Returns how many of them had a count, and how many of these exceed what the dead time allows.
    """
    n_lost, n_overloaded = 0, 0
    for p in range(ratio.size):
        if ratio[p] > _ZERO and ratio[p] < _INF:
            ratio[p] = _ln(ratio[p])
            total[p] += ratio[p]
            continue
        ratio[p] = variance[p] = _NAN
        unseen[p] += 1
        if counts[p] == counts[p]:
            lost[p] = NOT_POSITIVE
            n_lost += 1
            net = counts[p] - dark[p]
            if busy > _ZERO and net > _ZERO and net < _INF and _inverse(net) <= busy:
                n_overloaded += 1
    return n_lost, n_overloaded


@kernel
def _raise_highest(density, variance, highest):  # type: ignore[no-untyped-def]
    """Highest optical density so far, less two standard deviations: a faint beam is no thick
    sample.
    """
    for p in range(density.size):
        sure = density[p] - _TWO * np.sqrt(variance[p])
        highest[p] = sure if sure > highest[p] else highest[p]


@kernel
def _band(  # type: ignore[no-untyped-def]
    counts, first, dark, flat, along, stray, density, variance, start, stop, flag, mean
):
    """Rows `start` to `stop` of all frames; those of `counts` begin at `first`.

    Returns the number of values without a positive count, and of those that overload the detector.
    """
    n_energy, n_x = counts.shape[0], counts.shape[2]
    beam = np.empty(n_x, np.float32)
    total = np.zeros((stop - start, n_x), np.float32)
    highest = np.full((stop - start, n_x), -_INF, np.float32)
    unseen = np.zeros((stop - start, n_x), np.int32)
    lost = np.zeros((stop - start, n_x), np.uint8)
    n_lost, n_overloaded = 0, 0
    for e in range(n_energy):
        for k in range(stop - start):
            y = start + k
            values, d = counts[e, first + k], dark[e % dark.shape[0], y % dark.shape[1]]
            f, facts = flat[e % flat.shape[0], y % flat.shape[1]], along[e]
            out, noise = density[e, y], variance[e, y]
            if k == 0 or flat.shape[1] > 1:
                _beam_row(f, facts[0], facts[4], beam)
            _beam_over_light(values, d, beam, facts, stray, out, noise)
            least, most = _extremes(out)
            if least > 0 and most < _INF_BITS:
                _logarithm(out, total[k])
            else:
                bad, worse = _logarithm_of_some(
                    values, d, facts[4], out, noise, total[k], unseen[k], lost[k]
                )
                n_lost += bad
                n_overloaded += worse
            if most > _MILD_BITS:
                _raise_highest(out, noise, highest[k])
    for k in range(stop - start):
        for p in range(n_x):
            seen = n_energy - unseen[k, p]
            mean[start + k, p] = total[k, p] / _f4(seen) if seen > 0 else _NAN
            thick = 0
            if highest[k, p] > MILD:
                thick = THICK
            if highest[k, p] > STRONG:
                thick = TOO_THICK
            flag[start + k, p] = lost[k, p] + thick
    return n_lost, n_overloaded
