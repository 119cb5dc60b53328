"""Components above noise in pixels, what any of them may have taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.decompose.factors import rank as ranks
from chemoscape.decompose.factors.unit_noise import Pixels, halves_of, scale_to_unit_noise

#: Of so many energies one component is taken off what is asked for shared noise, 2 at least: more
#: would be that noise itself.
_PER_SIGNAL, _LEAST_SIGNAL = 12, 2


@dataclass(frozen=True, eq=False)
class Space:
    """Components of scaled densities outside the allowed directions."""

    by_energy: np.ndarray
    projector: np.ndarray
    vectors: np.ndarray
    excess: np.ndarray
    sizes: np.ndarray
    n_allowed: int

    @property
    def rank(self) -> int:
        """Components above noise."""
        return int((self.excess > 1).sum())

    @property
    def leading(self) -> np.ndarray:
        """Those above noise in columns, one at least."""
        return self.vectors[:, : max(self.rank, 1)]

    @property
    def kept(self) -> np.ndarray:
        """Projector (energy, energy) onto what `noise_of` keeps."""
        return self.projector - self.signal @ self.signal.T

    @property
    def signal(self) -> np.ndarray:
        """Leading components that are few enough not to be made by shared noise."""
        most = max(len(self.by_energy) // _PER_SIGNAL, _LEAST_SIGNAL)
        return self.leading[:, :most]

    def noise_of(self, values: np.ndarray) -> np.ndarray:
        """What the leading components, few at most, leave of densities (energy, pixel)."""
        block = self.scaled(values.astype(np.float64))
        return block - self.signal @ (self.signal.T @ block)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Densities (energy, pixel) over the noise of the energy, less what is allowed."""
        return self.projector @ (values / self.by_energy[:, None])


def space_of(
    flat: np.ndarray,
    inside: np.ndarray,
    stated: tuple[np.ndarray, np.ndarray],
    allowed: np.ndarray,
    seed: int,
) -> Space:
    """Components above noise among some pixels, the allowed spectra taken out."""
    n_energy, n_pixels = len(flat), int(inside.sum())
    scaled = scale_to_unit_noise(
        Pixels(flat, inside, np.zeros(n_energy)), stated, halves_of(n_pixels, seed)
    )
    everything, _ = ranks.eigen(scaled.gram)
    everything[everything < ranks.ROUNDING * everything[0]] = 0.0
    _, edge = ranks.marchenko_pastur(everything, n_energy, n_pixels)
    basis, _ = np.linalg.qr((allowed / scaled.by_energy).T)
    projector = np.eye(n_energy) - basis @ basis.T
    value, vectors = ranks.eigen(projector @ scaled.gram @ projector)
    value[value < ranks.ROUNDING * everything[0]] = 0.0
    edge = max(edge, ranks.ROUNDING * float(everything[0]), np.finfo(float).tiny)
    above = value[1:][value[1:] > edge]
    sizes = np.sqrt((above - edge) / value[0])
    return Space(scaled.by_energy, projector, vectors, value / edge, sizes, basis.shape[1])
