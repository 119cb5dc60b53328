"""Whether a component is the same in all pixels: an error of I0, and not of the sample."""

from __future__ import annotations

import warnings

import numpy as np

from chemoscape.decompose.factors import unit_noise
from chemoscape.errors import ChemoscapeWarning

#: What the background does not have must stand out of noise by this factor to be called common.
CLEAR = 2.0
#: Standard errors by which the background's mean must differ from nothing.
SIGNIFICANT = 4.0
#: What all pixels share is an error of I0 while it is less than this share of their mean spectrum:
#: in a film of even thickness it is nearly all of it.
MOST_COMMON = 0.25
#: Pixels outside the sample that can tell whether they have it too.
LEAST_OUTSIDE = 10


def common_direction(
    scaled: unit_noise.Scaled, leading: np.ndarray, value: np.ndarray, edge: float
) -> np.ndarray | None:
    """Direction in which all pixels are alike though it is above noise, or None.

    If ``D = T·μ + 1·δ``, the vector of ones lies in the space of the scores, and taking the mean
    spectrum away, ``Z - h hᵀ`` with ``h = D·w / |w|``, takes a whole component with it: its
    smallest eigenvalue within the leading space falls into the noise. Its eigenvector is normal to
    all that varies from pixel to pixel.

    Returns
    -------
    ndarray, shape (n_energy,), or None
        Of unit length, on the scaled densities.
    """
    mean = scaled.constant
    within = leading.T @ (scaled.gram - np.outer(mean, mean)) @ leading
    left, vector = np.linalg.eigh(within)
    noise = max(edge, 1e-6 * float(value[leading.shape[1] - 1]))  # some stacks have none
    return leading @ vector[:, 0] if left[0] <= noise else None


def name(
    direction: np.ndarray,
    scaled: unit_noise.Scaled,
    spectra: np.ndarray,
    mean: np.ndarray,
    outside: unit_noise.Pixels,
    *,
    clear: bool,
    certain: bool,
) -> tuple[int, int]:
    """Number of the common component (0: none after all), and whether the outside has it too, as
    `common_component` and `common_in_background`; `mean` is the sample's mean spectrum.

    The direction is normal to what varies, thickness included, so a thin rim outside the mask does
    not disturb. In a film of even thickness all pixels are alike as well, in nearly all of their
    spectrum: this is told by its size, and by a `certain` background that lacks it.
    """
    measure = direction / scaled.by_energy  # a functional of the unscaled densities
    here = float(measure @ mean)
    there = -1
    if outside.shape[1] >= LEAST_OUTSIDE:
        level, error = _level(measure, outside)
        there = int(0.5 < level / here < 1.5 and abs(level) > SIGNIFICANT * error)
    small = abs(direction @ scaled.constant) < MOST_COMMON * np.linalg.norm(scaled.constant)
    if not ((there == 1 and (small or certain)) or (small and clear)):
        return 0, -1
    common = int(np.argmax(np.abs(spectra @ (direction * scaled.by_energy)))) + 1
    said = {
        1: "in all pixels, background included: an error of I0, not chemistry",
        0: "in all pixels of the sample but not around it: an error of I0 if that was measured "
        "there, or a film of even thickness",
        -1: "in all pixels of the sample: an error of I0, or a film of even thickness",
    }[there]
    warnings.warn(f"component {common} is the same {said}", ChemoscapeWarning, stacklevel=3)
    return common, there


def _level(measure: np.ndarray, pixels: unit_noise.Pixels) -> tuple[float, float]:
    """Mean over pixels of a functional of their spectra, and its standard error."""
    values = np.concatenate([measure @ pixels.read(one) for one, _ in pixels.blocks()])
    return float(values.mean()), float(values.std() / np.sqrt(values.size))
