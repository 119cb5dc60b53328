"""Shift, blur and regression that make a fine image a coarse one, by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from scipy.linalg import expm
from scipy.optimize import least_squares

from chemoscape.errors import ChemoscapeWarning, FitError, require_choice
from chemoscape.few_energies.resolution.blur import NARROWEST, Fine, Placement
from chemoscape.few_energies.resolution.images import Image
from chemoscape.preprocess.tracking.motion import GENERATORS, Motion

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM = float(2 * np.sqrt(2 * np.log(2)))
#: The beam that the fit starts from, and the widest, standard deviations in coarse pixels.
START, WIDEST = 0.7, 6.0
#: A pixel counts where so much of its beam falls on the fine image.
WHOLE = 0.98
#: Fewest pixels that a fit is worth, and side of the tiles whose pixels may err together: at least
#: so many pixels and beams.
FEWEST, TILE_PIXELS, TILE_BEAMS = 30, 4, 2.0


@dataclass(frozen=True)
class Fit:
    """Where the fine image lies, the beam (µm) and the regression, with standard deviations; `seen`
    (ny, nx) is the fine optical density on the coarse grid, NaN where the fine image is not.
    """

    placement: Placement
    sigma: float
    slope: float
    offset: float
    sd: dict[str, float]
    seen: np.ndarray
    energy: float

    def facts(self) -> dict[str, Any]:
        """As attributes."""
        matrix, shift = self.placement.matrix, self.placement.shift
        return {
            "shift_y_um": float(shift[0]),
            "shift_x_um": float(shift[1]),
            "shift_y_sd_um": self.sd["shift_y"],
            "shift_x_sd_um": self.sd["shift_x"],
            "centre_um": [float(at) for at in self.placement.centre],
            "matrix": matrix.ravel().tolist(),
            "turn_degree": float(
                np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], np.trace(matrix)))
            ),
            "scale": float(np.sqrt(np.linalg.det(matrix))),
            "blur_sigma_nm": 1e3 * self.sigma,
            "blur_sigma_sd_nm": 1e3 * self.sd["sigma"],
            "blur_fwhm_nm": 1e3 * FWHM * self.sigma,
            "slope": self.slope,
            "slope_sd": self.sd["slope"],
            "offset": self.offset,
            "offset_sd": self.sd["offset"],
        }


def placement_of(facts: Mapping[str, Any]) -> Placement:
    """The placement out of its attributes."""
    shift = np.array([facts["shift_y_um"], facts["shift_x_um"]])
    return Placement(np.array(facts["centre_um"]), shift, np.array(facts["matrix"]).reshape(2, 2))


class _Model:
    """Optical densities of the fine image on the coarse grid as a function of the parameters: shift
    (y, x) and logarithm of the beam, both in coarse pixels, and the motion's generators.
    """

    def __init__(self, coarse: Image, fine: Fine, start: np.ndarray, motion: Motion) -> None:
        self.coarse, self.fine, self.start = coarse, fine, start
        self.generators = GENERATORS[motion]
        # turning and scaling in pixels at the edge of the fine image, as the shifts are
        half = np.array(fine.values.shape) * fine.pixel / 2
        self.reach = float(np.linalg.norm(half) / coarse.pixel.mean())
        self.unit = float(coarse.pixel.mean())

    def placement(self, p: np.ndarray) -> Placement:
        matrix = np.eye(2)
        if len(self.generators):
            matrix = expm(np.tensordot(p[3:] / self.reach, self.generators, axes=1))
        return Placement(self.fine.centre, self.start + p[:2] * self.coarse.pixel, matrix)

    def sigma(self, p: np.ndarray) -> float:
        return float(np.exp(p[2])) * self.unit

    def density(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Optical density (ny, nx), and the share of the beam on known pixels."""
        placement, pixel = self.placement(p), self.coarse.pixel
        if len(self.generators):
            at = placement.back(self.coarse.points)
            seen, share = self.fine.through(at, placement.seen(pixel), self.sigma(p))
        else:
            axes = self.coarse.y - placement.shift[0], self.coarse.x - placement.shift[1]
            seen, share = self.fine.on_grid(*axes, pixel, self.sigma(p))
        return -np.log(np.maximum(seen, np.finfo(np.float32).tiny)), share


def fit(
    coarse: Image, fine: Fine, start: np.ndarray, motion: Motion, energy: float = np.nan
) -> Fit:
    """Fit from a shift (y, x) in µm that is known to a coarse pixel.

    Raises
    ------
    FitError
        There is no such motion, or the images share too few pixels.
    """
    require_choice("motion", motion, *get_args(Motion))
    model = _Model(coarse, fine, start, motion)
    p = np.concatenate([np.zeros(2), [np.log(START)], np.zeros(len(model.generators))])
    low = np.log(NARROWEST * float(fine.pixel.max()) / model.unit)
    bounds = np.full((2, p.size), [[-np.inf], [np.inf]])
    bounds[:, 2] = low, np.log(WIDEST)
    p[2] = np.clip(p[2], low + 1e-3, np.log(WIDEST) - 1e-3)
    for _ in range(2):  # once more on the pixels that the found beam sees as a whole
        both, values, root = _looked_at(model, p)

        def residual(q: np.ndarray) -> np.ndarray:
            seen, _ = model.density(q)
            return _left(seen[both], values, root)[0]  # noqa: B023 - used within this round

        p = np.asarray(least_squares(residual, p, bounds=bounds, diff_step=1e-4, xtol=1e-6).x)
    if p[2] < low + 0.02:
        warnings.warn(
            "the fine image is no sharper than the coarse one: no blur between them is seen",
            ChemoscapeWarning,
            stacklevel=3,
        )
    elif p[2] > np.log(WIDEST) - 0.02:
        warnings.warn(
            f"the blur between the images is wider than {WIDEST:g} coarse pixels: look at whether "
            "they show the same particle",
            ChemoscapeWarning,
            stacklevel=3,
        )
    whole, share = model.density(p)
    _, slope, offset = _left(whole[both], values, root)
    return Fit(
        model.placement(p),
        model.sigma(p),
        slope,
        offset,
        _errors(model, p, both, values, root),
        np.where(share >= WHOLE, whole, np.nan),
        energy,
    )


def _looked_at(model: _Model, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coarse pixels that take part (ny, nx), their optical densities, and the roots of their
    weights: of the fine image's transmission, so that noise does not choose.
    """
    density, share = model.density(p)
    both = (share >= WHOLE) & np.isfinite(model.coarse.values)
    if both.sum() < FEWEST:
        raise FitError(
            f"the images share {int(both.sum())} whole coarse pixels, and {FEWEST} are needed",
            remedy="give images that overlap more",
        )
    return both, model.coarse.values[both], np.exp(-density[both] / 2)


def _left(
    seen: np.ndarray, values: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Weighted residuals of the regression of `values` on `seen`, its slope and its offset."""
    weight = root**2 / (root**2).sum()
    mean, level = float(weight @ seen), float(weight @ values)
    spread = float(weight @ (seen - mean) ** 2)
    slope = float(weight @ ((seen - mean) * (values - level))) / max(spread, 1e-30)
    return root * (values - level - slope * (seen - mean)), slope, level - slope * mean


def _errors(
    model: _Model, p: np.ndarray, both: np.ndarray, values: np.ndarray, root: np.ndarray
) -> dict[str, float]:
    """Standard deviations that let all pixels of a tile err together (Liang and Zeger's sandwich,
    Biometrika 73, 13, 1986, with tiles as clusters).
    """
    points, seen = model.coarse.points[both], model.density(p)[0][both]
    left, slope, _ = _left(seen, values, root)
    columns = []
    for k in range(p.size):
        step = np.zeros(p.size)
        step[k] = 0.02
        ahead, behind = (model.density(p + by)[0][both] for by in (step, -step))
        columns.append(slope * (ahead - behind) / 0.04)
    jacobian = root[:, None] * np.column_stack([*columns, seen, np.ones_like(seen)])
    side = np.maximum(TILE_PIXELS * model.unit, TILE_BEAMS * FWHM * model.sigma(p))
    tile = np.floor((points - points.min(axis=0)) / side).astype(int)
    _, member = np.unique(tile, axis=0, return_inverse=True)
    number = int(member.max()) + 1
    scores = np.zeros((number, jacobian.shape[1]))
    np.add.at(scores, member.ravel(), jacobian * left[:, None])
    bread = np.linalg.pinv(jacobian.T @ jacobian)
    covariance = bread @ (scores.T @ scores) @ bread * number / max(number - 1, 1)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    pixel = model.coarse.pixel
    return {
        "shift_y": float(sd[0] * pixel[0]),
        "shift_x": float(sd[1] * pixel[1]),
        "sigma": float(sd[2] * model.sigma(p)),
        "slope": float(sd[-2]),
        "offset": float(sd[-1]),
    }
