"""The search for the best energies, by exchange (Fedorov, Theory of Optimal Experiments, 1972).

Each energy in turn is replaced by the best of all others until none improves, from several starts:
those that lower the variance most one after the other, those that get most of the dose in the best
design of all candidates, and random ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.errors import FitError
from chemoscape.few_energies.candidates import MOST_ROUNDS, Candidates

#: Candidates of the first search lie so many times further apart.
COARSE = 4
#: Starts drawn at random.
RANDOM_STARTS = 6
#: Ends of the first search that are refined among all candidates.
REFINED = 2
#: Rounds of sharing out the dose while sets are compared.
FEW_ROUNDS = 6

#: Least variance beside some energies, and at which place: searches that meet go on alike.
Known = dict[tuple[int, ...], tuple[float, int]]


@dataclass(frozen=True, eq=False)
class Exchange:
    """A search for n of the candidates; sets are places in the grid.

    Parameters
    ----------
    at : Candidates
        Of the grid.
    grid : ndarray, shape (m,)
        Energies, eV, ascending.
    n : int
        Energies wanted.
    fixed : list of int
        Places that are taken in any case.
    budget : float
        Of absorbed eV or photons, as that of `at`.
    alike : bool
        All images get the same photons, rather than those that give the least error.
    spacing : float
        Least distance of two energies, eV.
    """

    at: Candidates
    grid: np.ndarray
    n: int
    fixed: list[int]
    budget: float
    alike: bool
    spacing: float

    def photons(self, sets: np.ndarray, rounds: int = MOST_ROUNDS) -> np.ndarray:
        """Photons of the images of each set, (B, n)."""
        if self.alike:
            return self.at.even(sets, self.budget)
        return self.at.share_out(sets, self.budget, rounds=rounds)

    def variances(self, sets: np.ndarray) -> np.ndarray:
        """Mean variance of each set, (B,)."""
        return self.at.evaluate(sets, self.photons(sets, FEW_ROUNDS))[0]

    def run(self, design: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The best set, ascending, (n,): searched among every fourth candidate, then among all.

        Parameters
        ----------
        design : ndarray, shape (m,)
            Photons of the best design of all candidates.
        rng : Generator
            For the random starts.

        Raises
        ------
        FitError
            The energies do not fit beside each other.
        """
        coarse = np.union1d(np.arange(0, self.grid.size, COARSE), self.fixed).astype(int)
        if coarse.size < 4 * self.n:
            coarse = np.arange(self.grid.size)
        starts = [
            self._filled(coarse, greedy=True),
            self._filled(np.argsort(-design * self.at.cost)),
            *(self._filled(rng.permutation(coarse)) for _ in range(RANDOM_STARTS)),
        ]
        known: Known = {}
        ends = {tuple(sorted(self._exchanged(start, coarse, known))) for start in starts}
        best = sorted(ends, key=lambda one: float(self.variances(np.array([one]))[0]))[:REFINED]
        everything = np.arange(self.grid.size)
        known = {}
        found = np.array([sorted(self._exchanged(list(one), everything, known)) for one in best])
        return np.asarray(found[np.argmin(self.variances(found))])

    def _allowed(self, others: list[int], candidates: np.ndarray) -> np.ndarray:
        """Candidates that keep their distance from the others."""
        apart = np.abs(self.grid[candidates, None] - self.grid[others]).min(axis=1, initial=np.inf)
        return candidates[apart >= max(self.spacing, 1e-9)]

    def _filled(self, order: np.ndarray, *, greedy: bool = False) -> list[int]:
        """A set that holds the fixed ones: filled by the first that keep their distance, or each
        time by the one that lowers the variance most.
        """
        chosen = list(self.fixed)
        while len(chosen) < self.n:
            left = self._allowed(chosen, order)
            if not left.size:  # the places left over are too narrow
                left = self._allowed(chosen, np.arange(self.grid.size))
            if not left.size:
                raise FitError(
                    f"{self.n} energies do not fit between {self.grid[0]:.1f} and "
                    f"{self.grid[-1]:.1f} eV at {self.spacing:.2g} eV from each other",
                    remedy="widen the range, or ask for fewer",
                )
            place = 0
            if greedy:
                place = int(np.argmin(self.variances(_with_each(chosen, left))))
            chosen.append(int(left[place]))
        return chosen

    def _exchanged(self, start: list[int], among: np.ndarray, known: Known) -> list[int]:
        """Replace one energy after the other by the best of its alternatives until none is."""
        chosen = list(start)
        now = float(self.variances(np.array([chosen]))[0])
        changed = True
        while changed:
            changed = False
            for place in range(self.n):
                if chosen[place] in self.fixed:
                    continue
                others = tuple(sorted(chosen[:place] + chosen[place + 1 :]))
                if others not in known:
                    known[others] = self._best_beside(others, among)
                least, best = known[others]
                if least < now * (1 - 1e-9):
                    now, chosen[place] = least, best
                    changed = True
        return chosen

    def _best_beside(self, others: tuple[int, ...], among: np.ndarray) -> tuple[float, int]:
        """Least variance of the others and one more, and which that is."""
        left = self._allowed(list(others), among)
        if not left.size:
            return np.inf, -1
        tried = self.variances(_with_each(list(others), left))
        best = int(np.argmin(tried))
        return float(tried[best]), int(left[best])


def _with_each(some: list[int], others: np.ndarray) -> np.ndarray:
    """Sets of `some` and each of the others, (n_others, len(some) + 1)."""
    held = np.broadcast_to(np.array(some, dtype=int), (others.size, len(some)))
    return np.column_stack([held, others])
