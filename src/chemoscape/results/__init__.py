"""The results of a run: one tree of Datasets, one summary of numbers, one folder, whole or absent.

This room is the only place that opens files for writing results. Nodes of the tree, saved as
``results.h5`` (every map with its own y and x, in µm):

=========================  ====================================================================
``/drift``                 shift_y, shift_x (energy) in pixels to apply, quality, noise_gain;
                           attribute reference
``/spectra``               i0, mean, mean_se (energy; standard error of the mean), standards
                           (standard, energy) as used, label (standard); of the fit to the mean:
                           weight (standard), baseline
``/direct, /clustered``    as `deconvolve` returns them
``/clustered/components``  as `principal_components` returns them
``/clustered/clusters``    as `cluster` returns them
``/clustered/match``       as `match` returns them
``/composition``           as `composition` returns it (its own, finer y and x)
``/stress/free``           the mesh and the fields on it; ``/grid`` beneath: the fields as maps
``/stress/fixed``          the same for the other boundary
=========================  ====================================================================

The root has attributes only. HDF5 attributes are str, int, float or flat lists; anything else is
JSON text.
"""

from __future__ import annotations

from chemoscape.results.folder import (
    emptied_folder,
    refuse_existing,
    results_folder,
    write_results,
    write_spectra_csv,
    write_text,
)
from chemoscape.results.summary import (
    CalibrationSummary,
    CompositionSummary,
    DamageSummary,
    DriftSummary,
    EdgeSummary,
    ElectrochemistrySummary,
    FewEnergiesSummary,
    InputSummary,
    Measured,
    NoiseSummary,
    ParticlesSummary,
    PhaseSummary,
    PixelsSummary,
    RankSummary,
    RegionSummary,
    RouteSummary,
    RunSummary,
    SeriesSummary,
    StressSummary,
    StxmSummary,
    UnitsSummary,
    none_if_not_finite,
    summary_schema,
)
from chemoscape.results.tree import (
    RESULTS_FILE,
    open_results,
    results_tree,
    save_tree,
    summary_of,
)

__all__ = [
    "RESULTS_FILE",
    "CalibrationSummary",
    "CompositionSummary",
    "DamageSummary",
    "DriftSummary",
    "EdgeSummary",
    "ElectrochemistrySummary",
    "FewEnergiesSummary",
    "InputSummary",
    "Measured",
    "NoiseSummary",
    "ParticlesSummary",
    "PhaseSummary",
    "PixelsSummary",
    "RankSummary",
    "RegionSummary",
    "RouteSummary",
    "RunSummary",
    "SeriesSummary",
    "StressSummary",
    "StxmSummary",
    "UnitsSummary",
    "emptied_folder",
    "none_if_not_finite",
    "open_results",
    "refuse_existing",
    "results_folder",
    "results_tree",
    "save_tree",
    "summary_of",
    "summary_schema",
    "write_results",
    "write_spectra_csv",
    "write_text",
]
