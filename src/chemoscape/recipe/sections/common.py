"""What all sections of a recipe share."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from chemoscape.errors import RegionError
from chemoscape.region import Region

Pair = Annotated[tuple[float, float], Field(strict=False)]  # TOML has lists only
Positive = Annotated[float, Field(gt=0)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval written the wrong way round."""
    if not bounds[0] < bounds[1]:
        raise ValueError("the lowest energy comes first, then the highest")
    return bounds


#: Lowest and highest energy, eV.
EnergyRange = Annotated[Pair, AfterValidator(_ascending)]


class Section(BaseModel):
    """Common to all sections: no unknown keys, no change after reading; true is not the number 1,
    and no number is infinite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RegionTable(Section):
    """A region in µm: x and y bounds, or a polygon."""

    x: Pair | None = None
    y: Pair | None = None
    polygon: list[Pair] | None = None

    @model_validator(mode="after")
    def _is_a_region(self) -> Self:
        self._checked()
        return self

    def _checked(self) -> None:
        try:
            self.region()
        except RegionError as error:
            raise ValueError(str(error)) from error

    def region(self) -> Region:
        """The same as a Region."""
        return Region.from_mapping(self.model_dump(exclude_none=True))
