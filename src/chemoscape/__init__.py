"""chemoscape: from an X-ray spectromicroscopy stack to composition, phase and stress maps.

    import chemoscape as cs

Every name below is imported when first used, so that importing the package, or asking the command
line for help, costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "open_stack": "chemoscape.formats",
    "save_stack": "chemoscape.formats",
    "open_spectra": "chemoscape.formats",
    "save_spectra": "chemoscape.formats",
    "Region": "chemoscape.region",
    "measure_drift": "chemoscape.preprocess.drift",
    "align": "chemoscape.preprocess.alignment",
    "crop_common": "chemoscape.preprocess.alignment",
    "optical_density": "chemoscape.preprocess.absorbance",
    "Library": "chemoscape.standards.library",
    "open_library": "chemoscape.standards.folder",
    "fit_peaks": "chemoscape.standards.peaks",
    "peak_model": "chemoscape.standards.peaks",
    "PeakModel": "chemoscape.standards.peaks",
    "deconvolve": "chemoscape.decompose.direct",
    "linear_combination_fit": "chemoscape.decompose.combinations.lcf",
    "rank_combinations": "chemoscape.decompose.combinations.ranking",
    "region_spectra": "chemoscape.decompose.combinations.regions",
    "group_weights": "chemoscape.decompose.grouping",
    "Anchor": "chemoscape.decompose.calibration",
    "shift_from_anchors": "chemoscape.decompose.calibration",
    "factorise": "chemoscape.decompose.factors.nnma",
    "match": "chemoscape.decompose.combinations.matching",
    "library_from_clusters": "chemoscape.decompose.combinations.matching",
    "principal_components": "chemoscape.decompose.factors.components",
    "cluster": "chemoscape.decompose.factors.clusters",
    "merge_clusters": "chemoscape.decompose.factors.clusters",
    "cut_clusters": "chemoscape.decompose.factors.tree",
    "split_clusters": "chemoscape.decompose.factors.tree",
    "target_tests": "chemoscape.decompose.factors.targets",
    "composition": "chemoscape.chemistry",
    "open_cycling": "chemoscape.electrochemistry.reading",
    "few_energies": "chemoscape.few_energies",
    "Material": "chemoscape.mechanics.material",
    "Springs": "chemoscape.mechanics.supports",
    "Cut": "chemoscape.mechanics.supports",
    "Supports": "chemoscape.mechanics.supports",
    "stress": "chemoscape.mechanics.fields",
    "von_mises_sd": "chemoscape.mechanics.fields",
    "segment": "chemoscape.particles.segmentation",
    "ensemble_statistics": "chemoscape.particles.statistics",
    "simulate": "chemoscape.simulate",
    "run": "chemoscape.workflow",
    "run_batch": "chemoscape.batch",
    "open_results": "chemoscape.results",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    value = module if _PUBLIC[name] == f"chemoscape.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
