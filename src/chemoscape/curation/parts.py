"""Parts of a spectrum: its edges, what lies before the lowest and after the highest, its noise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chemoscape.curation.explained import thinned
from chemoscape.errors import LibraryError
from chemoscape.standards.atomic import Edge, edges_of
from chemoscape.standards.standard import Standard

#: The pre-edge ends this far (eV) below the lowest tabulated edge, the post-edge begins this far
#: above the highest.
BELOW_EV, ABOVE_EV = 2.0, 5.0
#: Edges further apart than this (eV) have a post-edge between them.
ROOM_EV = 25.0
#: Oxides, nitrides and fluorides absorb so far (eV) below these tabulated edges, of molecules.
_LATE_TABLE, _EARLY_K = ("N K", "O K", "F K"), 17.0
#: Edges that are looked for when a standard does not say which it was measured at: the others are
#: too weak to matter.
_STRONG = ("K", "L2", "L3", "M4", "M5")
#: Share of the rise to the highest peak that marks the onset.
_ONSET = 0.1
#: Standard deviation of a normal distribution by its median absolute deviation.
_SD_PER_MAD = 1.4826
_EDGE = re.compile(r"\b([A-Z][a-z]?)[\s-]*([KLMN])([1-5]?)\b")


@dataclass(frozen=True, eq=False)
class Parts:
    """Where a spectrum has what.

    Parameters
    ----------
    edges : tuple of Edge
        Tabulated; empty when neither edges nor formula are known.
    pre, post : ndarray of bool, shape (n_energy,)
        Energies below the lowest edge, and above the highest.
    onset : float
        eV: where the spectrum rises.
    """

    edges: tuple[Edge, ...]
    pre: np.ndarray
    post: np.ndarray
    onset: float


def parts_of(standard: Standard) -> Parts:
    """Edges, pre-edge and post-edge of a standard.

    The edges are those it says it was measured at, else the strong ones of its formula in its
    range. The table is of atoms: a compound's edge may lie 3 eV off, O K in oxides 15 eV below.
    So the pre-edge ends 2 eV below the lowest edge or where the spectrum itself rises, whichever
    comes first, and the post-edge begins 5 eV above the highest edge and ends before any edge of
    the formula that was not asked for. Without any known edge it is
    the onset that counts, and the highest peak.
    """
    energy, spectrum = standard.energy, standard.spectrum
    edges = known_edges(standard)
    onset = onset_of(energy, spectrum)
    first = min(edges[0].energy - BELOW_EV, onset) if edges else onset
    last = edges[-1].energy if edges else float(energy[spectrum.argmax()])
    # Edges that were not asked for, as L2 where L3 was, rise behind those that were: the post-edge
    # ends before the first that leaves it room, and begins behind those that leave none.
    ends = np.inf
    for edge in edges_in_range(standard) if edges else ():
        begins = edge.energy - (_EARLY_K if edge.name in _LATE_TABLE else BELOW_EV)
        if begins > last + ROOM_EV:
            ends = begins
            break
        last = max(last, edge.energy)
    return Parts(edges, energy < first, (energy > last + ABOVE_EV) & (energy < ends), onset)


def known_edges(standard: Standard) -> tuple[Edge, ...]:
    """Edges a standard was measured at, ascending: stated ones, or by its formula and range."""
    low, high = standard.energy[0] - ABOVE_EV, standard.energy[-1] + ABOVE_EV
    found: dict[str, Edge] = {}
    for symbol, shell, number in _EDGE.findall(standard.record.measurement.edges):
        try:
            of_symbol = edges_of(symbol, 0.0, np.inf)
        except LibraryError:
            continue
        name = f"{symbol} {shell}{number}"
        for edge in of_symbol:
            in_range = low <= edge.energy <= high and edge.name.split()[1] in _STRONG
            if edge.name == name or (edge.name.startswith(name) and in_range):
                found[edge.name] = edge
    if not found:
        return edges_in_range(standard)
    return tuple(sorted(found.values(), key=lambda edge: edge.energy))


def edges_in_range(standard: Standard) -> tuple[Edge, ...]:
    """Strong edges of its formula in its range, ascending; empty without a formula."""
    if not standard.formula:
        return ()
    low, high = standard.energy[0] - ABOVE_EV, standard.energy[-1] + ABOVE_EV
    try:
        found = edges_of(standard.formula, low, high)
    except LibraryError:
        return ()
    strong = {edge.name: edge for edge in found if edge.name.split()[1] in _STRONG}
    return tuple(sorted(strong.values(), key=lambda edge: edge.energy))


def onset_of(energy: np.ndarray, spectrum: np.ndarray) -> float:
    """Energy (eV) where a spectrum has risen by a tenth from its lowest point before its highest
    peak; what falls before that point, as an absorption of other elements does, is no rise.
    """
    peak = int(spectrum.argmax())
    lowest = int(spectrum[: peak + 1].argmin())
    level = spectrum[lowest] + _ONSET * (spectrum[peak] - spectrum[lowest])
    rising = np.flatnonzero(spectrum[lowest : peak + 1] >= level)
    return float(energy[lowest + rising[0]])


def spaced(energy: np.ndarray) -> int:
    """How many energies there are, those closer together than 0.2 eV not counted twice."""
    return int(thinned(energy).size) if energy.size else 0


def noise_sd(standard: Standard, parts: Parts) -> float:
    """Standard deviation of the noise of a spectrum, NaN when it is not known.

    The one its file gives (median over pre-edge and post-edge, or all energies), else from the
    scatter of each value about the cubic through its four neighbours there.
    """
    smooth = parts.pre | parts.post
    if standard.spectrum_sd is not None:
        sd = standard.spectrum_sd[smooth] if smooth.any() else standard.spectrum_sd
        sd = sd[np.isfinite(sd)]
        return float(np.median(sd)) if sd.size else float("nan")
    scatter = np.concatenate(
        [
            _scatter(standard.energy[part], standard.spectrum[part])
            for part in (parts.pre, parts.post)
        ]
    )
    return float(_SD_PER_MAD * np.median(np.abs(scatter))) if scatter.size else float("nan")


def _scatter(energy: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Deviations from the cubic through the neighbours, over what noise of unit sd would give."""
    return np.fromiter(_deviations(energy, spectrum), dtype=np.float64)


def _deviations(energy: np.ndarray, spectrum: np.ndarray) -> Iterator[float]:
    for k in range(2, energy.size - 2):
        around = np.array([k - 2, k - 1, k + 1, k + 2])
        at = energy[around]
        apart = at[:, None] - at
        np.fill_diagonal(apart, 1.0)
        to = np.where(np.eye(4, dtype=bool), 1.0, energy[k] - at)
        weights = np.prod(to / apart, axis=1)  # Lagrange's
        yield float((spectrum[k] - weights @ spectrum[around]) / np.sqrt(1 + (weights**2).sum()))
