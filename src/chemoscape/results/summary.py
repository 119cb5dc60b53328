"""What a run says in numbers: the model of ``summary.json`` and its published schema.

Null means "not done" or "not known"; NaN and infinity never occur.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator


def none_if_not_finite(value: Any) -> Any:
    """Replace every NaN and infinity by None, and NumPy scalars and arrays by numbers and lists.

    Examples
    --------
    >>> none_if_not_finite({"value": np.float32("nan"), "seen": [1.0, np.inf]})
    {'value': None, 'seen': [1.0, None]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: none_if_not_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [none_if_not_finite(item) for item in value]
    return value


class _Part(BaseModel):
    """A part of the summary: unknown keys are refused, numbers that are not finite become null."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_nan(cls, data: Any) -> Any:
        return none_if_not_finite(data) if isinstance(data, Mapping) else data


class InputSummary(_Part):
    """What was read."""

    path: str
    sha256: str | None = Field(
        description="of the file; of several files, of the lines `sha256sum` prints for them"
    )
    format: str
    shape: tuple[int, int, int] = Field(description="energies, rows, columns")
    energy_range_eV: tuple[float, float]


class UnitsSummary(_Part):
    """What was done to bring I0 and the images to the same unit."""

    correction: str | None = Field(description="in words; null when none was needed")
    i0_source: str = Field(description="where the incident beam comes from")


class NoiseSummary(_Part):
    """Detector counts per recorded unit, and how they are known."""

    g: float | None
    source: str
    correlation: float | None = Field(
        description="of neighbouring pixels; above 0.1 the stack was interpolated before"
    )


class PixelsSummary(_Part):
    """Pixels and values out of the ordinary; null where not counted or not asked for."""

    total: int
    thick: int | None = Field(description="pixels with an optical density above 1.5")
    too_thick: int | None = Field(description="pixels above 2.2")
    not_positive_values: int | None = Field(description="values without a count, left out")
    despiked_values: int | None = Field(description="values replaced as spikes")
    levelled_values: int | None = Field(description="values of levelled lines")


class DriftSummary(_Part):
    """Drift that was measured, in pixels."""

    max_px: float | None
    rms_px: float | None
    applied: bool = Field(description="false when it was too small to matter")
    n_replaced: int = Field(description="frames whose shift was not believed, but interpolated")


class Measured(_Part):
    """A value and its standard deviation; the deviation is null when the value was given."""

    value: float | None
    sd: float | None


class EdgeSummary(_Part):
    """The energy shift at the structure of one edge."""

    energy_eV: float
    shift_eV: float


class CalibrationSummary(_Part):
    """The energy axis against the library's, and how well the library's spectra fit the sample."""

    source: str = Field(description="fit, held or anchors")
    significance: float | None = Field(
        description="standard deviations of the residual by which a shift improves the fit"
    )
    composition_per_eV: float | None = Field(
        description="change of the mean composition with the energy shift"
    )
    stretch_per_eV: float | None = Field(description="of the axis used; 0 for none")
    stretch_seen_per_eV: float | None = Field(
        description="what a fit with a stretch finds; null for standards with one edge"
    )
    stretch_seen_sd: float | None
    edges: tuple[EdgeSummary, ...] = Field(description="shift used at each of two edges")
    misfit_scale: float | None = Field(
        description="how far the sample's spectrum departs from the standards: 1 for peaks off by "
        "0.02 eV and heights by 2 %"
    )
    misfit_level: float | None = Field(
        description="what is left that is unrelated from energy to energy, optical density"
    )


class RankSummary(_Part):
    """Components by IND, Marchenko-Pastur, F-test, cross-validation and 99.9 % of the variance."""

    ind: int | None
    mp: int | None
    f: int | None = None
    cv: int | None
    cumulative: int | None


class RouteSummary(_Part):
    """One deconvolution: mean composition per pixel, median rms residual (OD) and chi-square."""

    composition: float | None
    residual_rms: float | None
    reduced_chi2: float | None


class StxmSummary(_Part):
    """STXM of the same particle beside one of the images."""

    energy_eV: float = Field(description="of the image that was compared")
    slope: float | None = Field(description="optical density of STXM over that of the image")
    slope_sd: float | None
    offset: float | None
    blur_fwhm_nm: float | None = Field(description="Gaussian between the two, in transmission")
    correlation: float | None


class FewEnergiesSummary(_Part):
    """A map from a few images: what they are, what was cut off, errors by source."""

    energies_eV: tuple[float, ...]
    features_eV: tuple[float, ...]
    pre_eV: float | None = Field(description="image before the edge; null without")
    post_eV: float | None = Field(description="image after the edge; null without")
    noise: str = Field(description="counts, or background: the empty part of each image")
    clipped_low: float | None = Field(description="share of the sample below the lowest standard")
    clipped_high: float | None = Field(description="share above the highest")
    beyond_low: float | None = Field(description="share below by two standard deviations")
    beyond_high: float | None
    mean_clipped: float | None = Field(
        description="mean of the map as shown, cut off; the means in `composition` are those before"
    )
    misfit_p: float | None = Field(
        description="probability that images of a mixture depart as much; null where as many "
        "images as standards cannot tell"
    )
    sd: dict[str, float | None] = Field(
        description="rms standard deviation of composition over the sample, by source"
    )
    stxm: StxmSummary | None = None
    fabricated_by_offset: float | None = Field(
        description="what an optical density of 0.01 too much changes more in thin than in thick "
        "parts, where there is no image before the edge; null with one"
    )


class CompositionSummary(_Part):
    """The composition map inside its mask; `sd` is the total uncertainty of either mean."""

    variable: str
    mean_pixel: float | None
    mean_mass_weighted: float | None
    sd: float | None
    p05: float | None
    p95: float | None


class PhaseSummary(_Part):
    """Share of one phase, 0 to 1."""

    mass_fraction: float | None
    area_fraction: float | None


class RegionSummary(_Part):
    """The match of a region's mean spectrum; null where no standard stands out in it."""

    composition: float | None
    sd: float | None
    standards: str
    ambiguous: bool


class DamageSummary(_Part):
    """Change of the mean composition during the scan, and the dose (median over the sample)."""

    dx: float | None
    sd: float | None
    how: str | None
    significant: bool | None = Field(description="beyond two standard deviations and 0.02")
    dose_MGy: float | None


class StressSummary(_Part):
    """Von Mises stress (p99 and mean weighted by area); `reference`: strain-free composition."""

    von_mises_max_MPa: float | None
    von_mises_p99_MPa: float | None
    von_mises_mean_MPa: float | None
    reference: float


class ParticlesSummary(_Part):
    """Particles of the map, and what their sizes say (`ensemble_statistics`)."""

    n: int
    n_border: int = Field(description="cut by the edge of the map")
    method: str
    median_area_um2: float | None = Field(description="of the masks not cut by the edge")
    statistics: dict[str, JsonValue] | None = Field(
        description="sizes of the phases, area against composition; null below eight particles"
    )


class ElectrochemistrySummary(_Part):
    """The composition of the map beside that of the charge."""

    x_charge: float | None = Field(description="after the half cycle at which the map was taken")
    x_charge_sd: float | None
    z: float | None = Field(
        description="the map's mean by mass less that, in standard deviations of the difference"
    )
    in_words: str


class SeriesSummary(_Part):
    """Several stacks of one sample at several times; numbers that differ between them are in
    `moments`, and null in the summary around it.
    """

    times: tuple[float, ...]
    time_unit: str = Field(description='"1" where stacks are only numbered')
    time_source: Literal["recipe", "files", "numbers"]
    files: tuple[str, ...]
    shift_px: tuple[tuple[float, float], ...] = Field(
        description="(y, x) applied to lie on the first"
    )
    composition: tuple[float | None, ...] = Field(description="mean by mass of each stack")
    composition_sd: tuple[float | None, ...] = Field(description="total")
    composition_sd_own: tuple[float | None, ...] = Field(
        description="what the stacks do not have in common"
    )
    moments: tuple[RunSummary, ...] = Field(description="of each stack")


class RunSummary(_Part):
    """The numbers of one run, as in ``summary.json``; every key is there, null when not done."""

    schema_version: Literal[1] = 1
    input: InputSummary
    units: UnitsSummary | None
    noise: NoiseSummary | None
    pixels: PixelsSummary | None
    drift: DriftSummary | None
    energy_shift_eV: Measured | None = Field(description="E(file axis) - E(library)")
    calibration: CalibrationSummary | None = None
    standards: tuple[str, ...]
    condition_number: float | None
    rank: RankSummary | None
    routes: dict[Literal["direct", "clustered"], RouteSummary]
    composition: CompositionSummary | None
    phases: dict[str, PhaseSummary]
    groups: dict[str, float] = Field(
        default={}, description="mass fraction of each group of standards, direct route"
    )
    regions: dict[str, RegionSummary] = {}
    few_energies: FewEnergiesSummary | None = None
    damage: DamageSummary | None
    stress: dict[str, StressSummary] = Field(description="by boundary: free, fixed, springs-…")
    particles: ParticlesSummary | None = None
    electrochemistry: ElectrochemistrySummary | None = None
    series: SeriesSummary | None = None
    warnings: tuple[str, ...]
    seconds: dict[str, float] = Field(description="wall time of each step")
    truth: dict[str, JsonValue] | None = Field(
        default=None, description="what a simulated stack was made from; absent otherwise"
    )

    def to_json(self) -> str:
        """JSON text, indented, without the key ``truth`` where there is none."""
        data = none_if_not_finite(self.model_dump())  # a copy with updates was not validated
        if self.truth is None:
            del data["truth"]
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


SeriesSummary.model_rebuild()
RunSummary.model_rebuild()


def summary_schema() -> dict[str, Any]:
    """JSON schema of ``summary.json``, published as ``docs/summary.schema.json``."""
    schema = RunSummary.model_json_schema()
    own = schema["$defs"]["RunSummary"]  # a series holds summaries itself: all is in definitions
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **own,
        "$defs": schema["$defs"],
    }
