"""The electrochemistry beside the map: [electrochemistry]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from chemoscape.recipe.sections.common import Positive, Section


class PhaseRange(Section):
    """A phase and the compositions at which it is there alone."""

    name: str = Field(description="of the phase")
    low: float = Field(description="lowest composition")
    high: float = Field(description="highest composition")


class Electrochemistry(Section):
    """[electrochemistry]: the galvanostatic curve of the electrode, and the map's place on it."""

    enabled: bool = Field(False, description="read the curve and place the map's composition on it")
    curve: str = Field(
        "", description="the cycler's file: CSV, TXT, MPT, XLSX; NDA and NDAX with the extra cycler"
    )
    mass_mg: Positive | None = Field(
        None, description="mass of the electrode's coating without its foil, mg"
    )
    mass_sd_mg: float | None = Field(None, ge=0, description="its standard deviation, mg")
    active_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="mass share of active material: 0.7 for 70:20:10, 1 where it alone was weighed",
    )
    active_fraction_sd: float | None = Field(None, ge=0, description="its standard deviation")
    current_sd_relative: float | None = Field(
        None, ge=0, description="relative standard deviation of the cycler's current"
    )
    current_offset_sd_mA: float | None = Field(
        None, ge=0, description="standard deviation of a current that flows unseen, mA"
    )
    formula: str = Field("V2O5", description="of the host without ions")
    ion: str = Field("Li", description="that goes in")
    electrons: int = Field(1, ge=1, description="that come with each ion")
    start_x: float = Field(0.0, ge=0, description="composition at the first record")
    start_x_sd: float | None = Field(None, ge=0, description="its standard deviation")
    weighed_x: float = Field(
        0.0, ge=0, description="composition of the active material when it was weighed"
    )
    after_half_cycle: int | None = Field(
        None, ge=1, description="half cycle after which the sample was taken; default: the last"
    )
    series_begins: float = Field(
        0.0,
        description="time of a series' zero on the cycler's clock, in [series] time_unit: what "
        "had been charged when each stack was measured",
    )
    phases: list[PhaseRange] = Field(
        [], description="phases by rising composition; default: those of LixV2O5 for V2O5"
    )
    x_step: Positive = Field(0.005, description="step of composition at which the curve is kept")
    columns: dict[str, str | int] = Field(
        {}, description="columns that cannot be told, as in {voltage = 3, capacity = 'Q (mAh)'}"
    )
    units: dict[str, str] = Field(
        {}, description="units that the headings do not give, as in {current = 'mA'}"
    )
    decimal: Literal["", ".", ","] = Field(
        "", description="mark before decimals, where it cannot be told"
    )
    positive_current: Literal["charge", "discharge"] | None = Field(
        None, description="what a positive current does; default: what raises the voltage is charge"
    )

    @model_validator(mode="after")
    def _has_a_curve(self) -> Electrochemistry:
        if self.enabled and not self.curve:
            raise ValueError("electrochemistry needs a curve: give the path of the cycler's file")
        if self.mass_mg is not None and self.active_fraction is None:
            raise ValueError(
                "mass_mg needs active_fraction: 0.7 for 70:20:10, 1 where active material was "
                "weighed"
            )
        return self
