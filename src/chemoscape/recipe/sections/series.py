"""Several stacks of one sample, one after the other in time: [series]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from chemoscape.recipe.sections.common import Section


class Series(Section):
    """[series]: several stacks of one sample as one run, each at its time."""

    enabled: bool = Field(False, description="several stacks are one sample at several times")
    stacks: list[str] = Field(
        [],
        description='files, or patterns such as "scan_*.hdr", in the order of time; or name them '
        "with --input",
    )
    times: list[float] = Field(
        [], description="time of each stack, rising; empty: when the files say that they began"
    )
    time_unit: Literal["s", "min", "h", "d"] = Field("min", description="unit of all times")
    align: bool = Field(True, description="bring every stack to the place of the first")

    @model_validator(mode="after")
    def _times_rise(self) -> Series:
        if any(later <= sooner for sooner, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("times must rise from stack to stack")
        if self.times and self.stacks and len(self.times) < len(self.stacks):
            raise ValueError(f"{len(self.stacks)} stacks have {len(self.times)} times")
        return self
