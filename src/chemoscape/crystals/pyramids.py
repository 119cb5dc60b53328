"""Centres of a cell and their neighbours: what they share, and the layers that they make."""

from __future__ import annotations

from collections import deque

import numpy as np

from chemoscape.crystals.crystal import Crystal
from chemoscape.errors import LibraryError

#: A neighbour nearer than this (Å) is of the same layer.
BOND = 2.35
#: The sixth neighbour is looked for as far as this, Å.
FARTHEST = 4.0


def acute_angle(cosines: np.ndarray) -> np.ndarray:
    """Degrees of the acute angle."""
    return np.asarray(np.degrees(np.arccos(np.clip(np.abs(cosines), 0, 1))))


class Pyramids:
    """All centres of a cell, and the neighbours of each."""

    def __init__(self, crystal: Crystal, centre: str, neighbour: str) -> None:
        atoms = crystal.atoms()
        self.crystal, self.matrix = crystal, crystal.matrix
        self.places = np.concatenate([p for s, p in atoms if s.element == centre])
        self.others = np.concatenate([p for s, p in atoms if s.element == neighbour])
        self.cells = crystal.translations(FARTHEST)

    def _spans(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neighbours of a centre by distance: spans (Cartesian), which atom, which cell."""
        spans = (self.others[:, None] + self.cells - self.places[k]) @ self.matrix.T
        lengths = np.linalg.norm(spans, axis=2)
        order = np.argsort(lengths, axis=None, kind="stable")
        order = order[np.ravel(lengths)[order] <= FARTHEST]
        atom, cell = np.unravel_index(order, lengths.shape)
        return spans[atom, cell], atom, self.cells[cell]

    def nearest(self, k: int) -> np.ndarray:
        """Spans to the six nearest neighbours of a centre, shape (6, 3), NaN where the sixth is
        further than 4 Å.
        """
        spans = self._spans(k)[0]
        if len(spans) < 5:
            raise LibraryError(
                f"one of its centres has {len(spans)} neighbours within {FARTHEST:g} Å, not five",
                self.crystal.name,
                "this is no structure of layers of pyramids",
            )
        return np.vstack([spans[:6], np.full((max(0, 6 - len(spans)), 3), np.nan)])

    def shared(self, basal: bool) -> list[tuple[int, int, np.ndarray, int]]:
        """Pairs of centres that share neighbours: first, second, cell of the second, how many.

        Neighbours are those nearer than a bond; of them only the basal ones (second to fifth) when
        `basal`.
        """
        of_atom: dict[int, list[tuple[int, np.ndarray]]] = {}
        for k in range(len(self.places)):
            spans, atom, cell = self._spans(k)
            close = np.linalg.norm(spans, axis=1) < BOND
            chosen = np.flatnonzero(close)[1 if basal else 0 : 5]
            for one in chosen:
                of_atom.setdefault(int(atom[one]), []).append((k, cell[one]))
        count: dict[tuple[int, int, tuple[int, ...]], int] = {}
        for owners in of_atom.values():
            for k, at in owners:
                for other, there in owners:
                    # the same atom lies in cell `at` of k and in cell `there` of the other
                    key = (k, other, tuple((at - there).tolist()))
                    if key[:2] != (k, k) or any(key[2]):
                        count[key] = count.get(key, 0) + 1
        return [(k, other, np.array(cell), n) for (k, other, cell), n in count.items()]

    def puckering(self, planes: np.ndarray) -> float:
        """Mean angle (degrees) of the basal planes of pyramids that share one basal neighbour and
        are no lattice translations of each other.
        """
        pairs = ((k, j) for k, j, _, n in self.shared(True) if n == 1 and k != j)
        cosines = [planes[k] @ planes[j] for k, j in pairs]
        return float(acute_angle(np.array(cosines)).mean()) if cosines else np.nan

    def layers(self, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Layer of each centre, by the neighbours that they share, and its height along n (Å)."""
        links: dict[int, list[tuple[int, np.ndarray]]] = {}
        for k, other, cell, _ in self.shared(False):
            links.setdefault(k, []).append((other, cell))
        layer = np.full(len(self.places), -1)
        height = np.zeros(len(self.places))
        for seed in range(len(self.places)):
            if layer[seed] >= 0:
                continue
            layer[seed] = layer.max() + 1
            queue: deque[tuple[int, np.ndarray]] = deque([(seed, np.zeros(3))])
            height[seed] = normal @ self.matrix @ self.places[seed]
            while queue:
                k, cell = queue.popleft()
                for other, further in links.get(k, []):
                    if layer[other] < 0:
                        layer[other] = layer[seed]
                        there = cell + further
                        height[other] = normal @ self.matrix @ (self.places[other] + there)
                        queue.append((other, there))
        return layer, height
