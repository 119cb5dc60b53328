"""STXM and ptychography of one particle: registered, brought to one resolution, compared."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FitError, require_choice
from chemoscape.few_energies.resolution import search
from chemoscape.few_energies.resolution.blur import Fine
from chemoscape.few_energies.resolution.fitting import FWHM, Fit, fit
from chemoscape.few_energies.resolution.images import Image, pair_of
from chemoscape.preprocess.tracking.motion import Motion
from chemoscape.stack import pixel_size

Orientation = Literal["as opened", "rows reversed", "columns reversed", "both reversed"]
#: Another orientation fits clearly better when it leaves less than this share of what the image's
#: own leaves unexplained, and by so many standard deviations.
LESS_LEFT, CLEARLY_SD = 0.6, 3.0
#: Energies further apart (eV) show different optical densities.
SAME_ENERGY_EV = 0.25
#: A larger share of the coarse contrast that the fine image does not explain is warned of.
UNLIKE = 0.1
#: The beam that the search starts with: its standard deviation in coarse pixels.
_START = 0.7


def compare_resolutions(
    coarse: xr.DataArray | xr.Dataset,
    fine: xr.DataArray | xr.Dataset,
    *,
    energy: float | None = None,
    motion: Motion = "translation",
    orientation: Orientation = "as opened",
) -> xr.Dataset:
    r"""Find where a fine image lies in a coarse one, the blur between them, and how they agree.

    Reconstructions have no absolute position, so that every shift that lays a third of the smaller
    image on the other is looked at. The fine image's transmission is blurred with a Gaussian of σ,
    averaged over the coarse pixels and turned into an optical density f again; shift, σ and what
    `motion` allows are those that leave least of ``c - (a f + b)``, weighted by transmission as
    counting noise has it, with c the coarse optical density. σ is the blur between the two images:
    that of a perfect fine image would be the coarse beam's own. At different energies the ratio of
    absorption acts before the blur and not after it: scale the fine optical density first where it
    is known (at 853 and 856 eV, a ratio of 0.6, this changed σ by 3 % and the slope by 5 %).

    Parameters
    ----------
    coarse, fine : DataArray or Dataset
        Optical densities (y, x), or with energies, or Datasets with `optical_density`; axes in µm,
        at nearly the same energy. NaN where there is nothing.
    energy : float, optional
        Which of several energies to compare, eV; default: those nearest to each other.
    motion : {"translation", "rigid", "similarity", "affine"}
        What the fine image may do besides being shifted, by a few degrees or per cent.
    orientation : {"as opened", "rows reversed", "columns reversed", "both reversed"}
        How to turn the fine image first.

    Returns
    -------
    Dataset
        ``coarse``, ``fine_on_coarse`` and their ``difference`` (fine less coarse), on the coarse
        grid (y, x), the latter two NaN outside the overlap; ``fine`` (fine_y, fine_x), as sharp as
        it is, in the coarse image's coordinates. Attributes, with standard deviations ``…_sd`` that
        allow for differences which neighbours share: ``shift_y_um`` and ``shift_x_um`` (to apply to
        the fine image about its middle), ``turn_degree``, ``scale``, ``blur_sigma_nm``,
        ``blur_fwhm_nm``, ``resolution_fwhm_nm`` (with the coarse pixel's width, 12 σ² = pixel²),
        ``slope`` a, ``offset`` b, and ``correlation``, ``rms_difference``, ``rms_residual`` (left
        by the regression), ``unlike`` (share of the coarse variance that is left and is no noise),
        ``overlap_um2``, ``n_pixels``, ``independent_pixels``,
        ``coarse_energy_eV``, ``fine_energy_eV``, ``coarse_pixel_nm``, ``fine_pixel_nm``,
        ``motion``, ``orientation``, ``best_orientation`` and ``orientation_correlation`` (of the
        four, before the fit).

    Raises
    ------
    FitError
        There is no such motion or orientation, the energy is not clear, the overlap is too small,
        or the images match no better than by chance.

    Warns
    -----
    ChemoscapeWarning
        Another orientation fits clearly better, energies differ by more than 0.25 eV, the fine
        image is no sharper than the coarse one or very much so, or the two differ by more than
        noise: by a tenth of the coarse image's variance.
    """
    require_choice("orientation", orientation, *get_args(Orientation))
    one, other = pair_of(coarse, fine, energy)
    apart = abs(one.energy - other.energy)
    if apart > SAME_ENERGY_EV:
        warnings.warn(
            f"the images are of {one.energy:.2f} and {other.energy:.2f} eV: what the sample "
            "absorbs differently there is in their difference and in the slope",
            ChemoscapeWarning,
            stacklevel=2,
        )
    light = Fine(np.exp(-other.values), other.y, other.x)
    places = {name: _place(one, light.turned(name)) for name in get_args(Orientation)}
    best = _checked(places, orientation)
    place = places[orientation]
    assert place is not None  # noqa: S101 - checked
    light = light.turned(orientation)
    start = one.corner + place.shift * one.pixel - _corner(light, one.pixel)
    found = fit(one, light, start, motion, other.energy)
    return _dataset(one, light, found, motion, orientation, best, places)


def _corner(fine: Fine, pixel: np.ndarray) -> np.ndarray:
    """Centre of the first coarse pixel within a fine image, µm."""
    return np.array([fine.y[0], fine.x[0]]) - fine.pixel / 2 + pixel / 2


def _place(coarse: Image, fine: Fine) -> search.Place | None:
    """Where a fine image lies, in whole coarse pixels."""
    extent = np.array(fine.values.shape) * fine.pixel
    number = np.floor(extent / coarse.pixel + 1e-6).astype(int)
    if (number < 4).any():
        return None
    axes = [
        first + np.arange(n) * size
        for first, n, size in zip(_corner(fine, coarse.pixel), number, coarse.pixel, strict=True)
    ]
    seen, share = fine.on_grid(axes[0], axes[1], coarse.pixel, _START * float(coarse.pixel.mean()))
    density = -np.log(np.where((share > 0.8) & (seen > 0), seen, np.nan))
    return search.find(coarse.values, density)


def _checked(places: dict[str, search.Place | None], orientation: str) -> str:
    """The orientation that fits best, after a look at whether the one asked for fits at all."""
    known = {name: place for name, place in places.items() if place is not None}
    own = known.get(orientation)
    if own is None:
        raise FitError(
            "the images do not overlap: the fine one is narrower than four coarse pixels, or no "
            "shift lays a third of it on the other",
            remedy="give two images of the same particle",
        )
    best = max(known, key=lambda name: known[name].correlation)
    top = known[best]
    hint = (
        f'try orientation = "{best}", with a correlation of {top.correlation:.3f}'
        if top.correlation > top.chance and best != orientation
        else "give two images of the same particle, at nearly the same energy"
    )
    if not own.correlation > own.chance:
        raise FitError(
            f"nothing matches: the correlation is {own.correlation:.3f}, and chance alone reaches "
            f"{own.chance:.3f} in images so smooth",
            remedy=hint,
        )
    gain = np.arctanh(min(top.correlation, 0.9999)) - np.arctanh(min(own.correlation, 0.9999))
    spread = np.sqrt(2 / max(min(own.independent, top.independent) - 3, 1.0))
    left = (1 - top.correlation**2) / (1 - own.correlation**2)
    if left < LESS_LEFT and gain > CLEARLY_SD * spread:
        warnings.warn(
            f'the fine image fits better with orientation = "{best}" (correlation '
            f"{top.correlation:.3f}) than {_words(orientation)} ({own.correlation:.3f}): one of "
            "the two programs stores its rows or columns the other way round",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return best


def _words(orientation: str) -> str:
    return orientation if orientation == "as opened" else f"with {orientation}"


def _dataset(
    coarse: Image,
    light: Fine,
    found: Fit,
    motion: Motion,
    orientation: str,
    best: str,
    places: dict[str, search.Place | None],
) -> xr.Dataset:
    """What is returned."""
    axes = {
        name: (name, axis, {"units": "µm"})
        for name, axis in zip("yx", (coarse.y, coarse.x), strict=True)
    }
    place = places[orientation]
    seen = np.where(np.isfinite(coarse.values), found.seen, np.nan)
    both = np.isfinite(seen)
    difference = seen - coarse.values
    left = coarse.values - found.slope * seen - found.offset
    sharp, fine_axes = _upright(light, found)
    out = xr.Dataset(
        {
            "coarse": (("y", "x"), coarse.values),
            "fine_on_coarse": (("y", "x"), seen),
            "difference": (("y", "x"), difference),
            "fine": (("fine_y", "fine_x"), -np.log(np.where(sharp > 0, sharp, np.nan))),
        },
        coords={**axes, **fine_axes},
    )
    names = {
        "coarse": "optical density, coarse",
        "fine_on_coarse": "optical density, fine, blurred",
        "difference": "difference of optical density",
        "fine": "optical density, fine",
    }
    for name, long_name in names.items():
        out[name].attrs.update(long_name=long_name, units="1")
    dy, dx = pixel_size(out)
    out.attrs = {
        **found.facts(),
        "correlation": float(np.corrcoef(coarse.values[both], seen[both])[0, 1]),
        "rms_difference": float(np.sqrt(np.mean(difference[both] ** 2))),
        "rms_residual": float(np.sqrt(np.mean(left[both] ** 2))),
        "resolution_fwhm_nm": float(FWHM * 1e3 * np.sqrt(found.sigma**2 + dy * dx / 12)),
        "unlike": _unlike(left, coarse.values),
        "overlap_um2": float(both.sum() * dy * dx),
        "n_pixels": int(both.sum()),
        "independent_pixels": float(place.independent) if place is not None else np.nan,
        "coarse_energy_eV": coarse.energy,
        "fine_energy_eV": found.energy,
        "coarse_pixel_nm": 1e3 * float(np.sqrt(dy * dx)),
        "fine_pixel_nm": 1e3 * float(np.sqrt(light.pixel.prod())),
        "motion": motion,
        "orientation": orientation,
        "best_orientation": best,
        "orientation_correlation": [
            float(one.correlation) if one is not None else np.nan for one in places.values()
        ],
    }
    if out.attrs["unlike"] > UNLIKE:
        warnings.warn(
            f"{out.attrs['unlike']:.0%} of the coarse image's contrast is no noise and not in "
            "the fine one: look at whether they show the same particle, unturned",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return out


def _unlike(left: np.ndarray, coarse: np.ndarray) -> float:
    """Share of the coarse image's variance that is left and that neighbours share."""
    pairs = [(left[1:], left[:-1]), (left[:, 1:], left[:, :-1])]
    shared = np.mean([np.nanmean(one * other) for one, other in pairs])
    return float(max(shared, 0.0) / np.var(coarse[np.isfinite(left)]))


def _upright(light: Fine, found: Fit) -> tuple[np.ndarray, dict[str, tuple[str, np.ndarray]]]:
    """The sharp transmission in the coarse image's coordinates, and its axes: moved as it is where
    it is only shifted, else interpolated.
    """
    moved = [axis + by for axis, by in zip((light.y, light.x), found.placement.shift, strict=True)]
    axes = {f"fine_{name}": (f"fine_{name}", axis) for name, axis in zip("yx", moved, strict=True)}
    if np.array_equal(found.placement.matrix, np.eye(2)):
        return light.values, axes
    points = np.stack(np.meshgrid(*moved, indexing="ij"), axis=-1)
    return light.sharp(found.placement.back(points)), axes
