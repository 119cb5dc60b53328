"""Composition from two to five energies, and which energies those should be.

The paper's Figure 4 made quantitative: STXM finds the phases, ptychography at a few energies maps
them at ten nanometres. Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Expected": "expected",
    "Nuisance": "model",
    "Roles": "roles",
    "best_thickness": "budget",
    "bounded_composition": "bounded",
    "choose_energies": "selection",
    "choose_for": "budget",
    "compare_compositions": "resolution.compositions",
    "compare_resolutions": "resolution.densities",
    "fit_maps": "maps",
    "least_sd": "budget",
    "named_roles": "roles",
    "phase_maps": "phase",
    "predict": "selection",
    "ratio_maps": "ratios",
    "image_ratios": "ratios",
    "roles_of": "roles",
    "sd_against_thickness": "budget",
    "subsample": "subsampling",
    "with_background_variance": "noise",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
