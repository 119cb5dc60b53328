"""A standard's spectrum and the facts of its measurement from the pixels of a stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.errors import RegionError
from chemoscape.preprocess.density.shared import shared_variance
from chemoscape.standards.naming import edge_names

#: The highest optical density is this quantile over pixels: it is not the noise of one of them.
HIGHEST = 0.999

#: What a detector's name says of how absorption was measured; ``counter0`` and others say nothing.
_MODES = {
    "electron yield": re.compile(
        r"tey|pey|electron|drain|sample[ _]?current|channeltron|\bcem\b", re.IGNORECASE
    ),
    "fluorescence": re.compile(r"tfy|pfy|fluo|xrf|\bsdd|vortex|\bmca", re.IGNORECASE),
    "transmission": re.compile(r"trans|pmt|photomult|phosphor|\bapd", re.IGNORECASE),
}
#: Formats of full-field microscopes, which image what the sample transmits.
_FULL_FIELD = ("xradia", "mistral")


def averaged(od: xr.Dataset, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Mean optical density of pixels, and its standard error.

    The error is the scatter of the pixels about the mean spectrum, each scaled to its thickness,
    over their number: their counting noise is in it, and whatever else differs from pixel to pixel.
    Where neighbours share noise, they count as fewer: ``1/gain`` of an aligned frame, and
    ``(1 + 2 r)^2`` of frames whose neighbours correlate by r along y and x, as they came. In
    quadrature with it is the noise of I0, which all pixels share (`shared_variance`). What all
    have wrong alike beyond that (an I0 from elsewhere, saturation) is not in it.

    Parameters
    ----------
    od : Dataset of `optical_density`
    mask : ndarray of bool, shape (n_y, n_x)

    Returns
    -------
    energy, spectrum, spectrum_sd : ndarray, shape (n,)
        Of the energies that any of the pixels has; the last None where it is not known (one pixel
        without a variance).

    Raises
    ------
    RegionError
        No pixel has values at two energies.
    """
    cube = od["optical_density"].values
    flat, label = cube.reshape(len(cube), -1), np.where(mask.ravel(), 0, -1)
    if not mask.any() or np.isfinite(flat[:, label == 0]).any(axis=1).sum() < 2:
        raise RegionError(
            "no pixel has values at two energies", remedy="choose pixels with sample in them"
        )
    means, errors = mean_spectra(flat, label, 1)
    seen = np.isfinite(means[0])
    variance = errors[0] ** 2
    if not np.isfinite(variance[seen]).all() and "variance" in od:  # a single pixel has no scatter
        alone = od["variance"].values.reshape(flat.shape)[:, label == 0]
        variance = np.where(np.isfinite(variance), variance, alone.mean(axis=1, dtype=np.float64))
    if "noise_gain" in od.coords:
        variance = variance / od["noise_gain"].values
    else:
        shared = max(float(np.nan_to_num(od.attrs.get("noise_correlation", 0.0))), 0.0)
        variance = variance * (1 + 2 * shared) ** 2
    sd = np.sqrt(variance + shared_variance(od))[seen]
    energy = od["energy"].values[seen].astype(np.float64)
    return energy, means[0][seen], sd if np.isfinite(sd).all() else None


def measurement_of(
    stack: xr.DataArray, od: xr.Dataset, mask: np.ndarray, formula: str = ""
) -> dict[str, Any]:
    """Fields of a standard's record that a stack knows: ``record.with_(**…)``.

    ``max_od`` is the 99.9th percentile over the pixels at the energy where that is highest,
    ``n_pixels`` those with values at every energy. ``mode`` is ``""`` unless the file, or the name
    of its channel, tells.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        As it was read.
    od : Dataset of `optical_density`
    mask : ndarray of bool, shape (n_y, n_x)
        On the grid of `od`.
    formula : str
        Of the substance: its edges among the energies are named.
    """
    facts = stack.attrs
    pixels = od["optical_density"].values[:, mask]
    seen = pixels[np.isfinite(pixels).any(axis=1)]
    dwell = facts.get("dwell_ms", np.nan)
    if "dwell" in stack.coords and np.isfinite(stack["dwell"].values).any():
        dwell = np.nanmean(stack["dwell"].values)
    return {
        "edges": edge_names(formula, od["energy"].values),
        "facility": str(facts.get("facility", "")),
        "beamline": str(facts.get("beamline", "")),
        "date": str(facts.get("started", "")),
        "polarisation": str(facts.get("polarisation", "")),
        "detector": str(facts.get("channel", "")),
        "mode": _mode(facts),
        "dwell_ms": round(float(dwell), 6),
        "n_pixels": float(np.isfinite(pixels).all(axis=0).sum()),
        "max_od": float(np.nanquantile(seen, HIGHEST, axis=1).max()) if seen.size else np.nan,
        "i0": str(od.attrs.get("i0_source", "")),
    }


def _mode(facts: Mapping[Any, Any]) -> str:
    """How absorption was measured, as far as a stack's facts tell."""
    named = f"{facts.get('channel', '')} {facts.get('detector', '')}"
    for mode, pattern in _MODES.items():
        if pattern.search(named):
            return mode
    through = facts.get("quantity") == "transmission" or facts.get("format") in _FULL_FIELD
    return "transmission" if through else ""
