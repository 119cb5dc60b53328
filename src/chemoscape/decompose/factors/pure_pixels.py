"""Where a factorisation starts: the spectra of the pixels that are most unlike each other."""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import bands

#: Pixels this much thinner than the thickest have too noisy a shape.
LEAST_STRENGTH = 0.2
#: One pixel in so many is averaged for a spectrum: a single one may be an outlier.
PIXELS_PER_SPECTRUM = 200


def unit(columns: np.ndarray) -> np.ndarray:
    """Columns at unit length; flat ones in place of those that are zero.

    Examples
    --------
    >>> unit(np.array([[3.0, 0.0], [4.0, 0.0]])).round(3).tolist()
    [[0.6, 0.707], [0.8, 0.707]]
    """
    length = np.linalg.norm(columns, axis=0)
    return np.where(length > 0, columns, 1.0) / np.where(length > 0, length, np.sqrt(len(columns)))


def purest(data: np.ndarray, n_parts: int) -> np.ndarray:
    """Spectra of extreme pixels by successive projection (Araújo et al., Chemom. Intell. Lab. Syst.
    57, 65, 2001; Gillis and Vavasis, IEEE Trans. Pattern Anal. Mach. Intell. 36, 698, 2014).

    On shapes in the space of the first K principal components, which hold little of the noise; the
    first is the one most unlike the mean, each next the one furthest from the span of those before.

    Parts that start among the data grow until they enclose them. Those that start outside, from
    the halves of eigenspectra (NNDSVD), stay outside: on the core-shell particle they end ten times
    further from the true spectra.

    Parameters
    ----------
    data : ndarray (P, N)
        A pixel's energies side by side; finite.
    n_parts : int
        Number of spectra, K.

    Returns
    -------
    ndarray (N, K)
        Non-negative, of unit length.
    """
    gram = np.zeros((data.shape[1],) * 2)
    for band in bands(len(data), 16384):
        block = data[band].astype(np.float64)
        gram += block.T @ block
    vectors = np.linalg.eigh(gram)[1][:, : -n_parts - 1 : -1]
    scores = (data @ vectors.astype(np.float32)).astype(np.float64)
    length = np.linalg.norm(scores, axis=1)
    strong = length > LEAST_STRENGTH * np.percentile(length, 95)
    shapes = scores[strong] / length[strong, None]
    averaged = max(len(shapes) // PIXELS_PER_SPECTRUM, 1)
    rest = shapes - shapes.mean(axis=0)
    vertices = np.empty((n_parts, n_parts))
    for k in range(n_parts):
        extreme = shapes[np.argmax((rest**2).sum(axis=1))]
        alike = np.argsort(-(shapes @ extreme), kind="stable")[:averaged]
        vertices[:, k] = shapes[alike].mean(axis=0)
        basis = np.linalg.qr(vertices[:, : k + 1])[0]
        rest = shapes - (shapes @ basis) @ basis.T
    return unit(np.maximum(vectors @ vertices, 0))
