"""From the file to the optical density: [input], [artefacts], [drift], [absorbance], [damage]."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chemoscape.recipe.sections.common import Pair, Positive, RegionTable, Section


class OpenBeam(RegionTable):
    """Where the beam is open: a region in µm, or levels of the mean image."""

    levels: Pair | None = None

    def _checked(self) -> None:
        if self.levels is None:
            super()._checked()
        elif not 0 < self.levels[0] < self.levels[1]:
            raise ValueError("levels are the lowest and the highest, as parts of the open beam")
        elif self.model_dump(exclude={"levels"}, exclude_none=True):
            raise ValueError("give a region or levels, not both")


class Input(Section):
    """[input]: the stack."""

    path: str = Field("", description="the stack's file, relative to the recipe")
    further: list[str] = Field(
        [],
        description="files with other energies of the same field, brought to common pixels; they "
        "say their energies and pixels themselves",
    )
    channel: str | int = Field(
        "", description="detector channel by name or number; empty: the first"
    )
    region: str | int = Field("", description="scan region by name or number; empty: the first")
    angle: str | int = Field("", description="sample angle by name or number; empty: the first")
    axes: str = Field(
        "", description='order of the dimensions, such as "yxe", where the file does not say'
    )
    energies: str = Field(
        "", description="text file with one photon energy (eV) per image; empty: as the file says"
    )
    pixel_um: Positive | None = Field(
        None, description="pixel size, µm; left out: as the file says"
    )
    quantity: Literal["", "counts", "transmission", "optical_density"] = Field(
        "", description="what the file holds; empty: as the file says"
    )
    visit: Literal["first", "last"] = Field(
        "first", description="which image of an energy that was measured more than once"
    )
    drop_energies: list[float] = Field(
        [], description="frames to leave out, eV (nearest within 0.01 eV)"
    )
    exclude: list[RegionTable] = Field([], description="regions to leave out of everything, µm")

    def options(self) -> dict[str, Any]:
        """Keywords of `chemoscape.formats.open_stack`: what is said of how to read the file."""
        keys = ("channel", "region", "angle", "axes", "pixel_um", "quantity")
        said = {"energy": self.energies, **{key: getattr(self, key) for key in keys}}
        if self.visit != "first":
            said["visit"] = self.visit
        return {key: value for key, value in said.items() if value not in ("", None)}


class Artefacts(Section):
    """[artefacts]: explicit repairs; each says how many values it touched."""

    enabled: bool = Field(True, description="false leaves every value as it was recorded")
    despike: float = Field(
        0.0,
        ge=0,
        description="replace single values that stand out by so many standard deviations; 0: none",
    )
    level_lines: float = Field(
        0.0,
        ge=0,
        description="level lines that stand out by so many standard deviations; 0: none",
    )


class ShiftTable(Section):
    """A shift set by hand."""

    energy: float = Field(description="energy of the frame, eV")
    shift_px: Pair = Field(description="(y, x) to apply, pixels")


class Drift(Section):
    """[drift]: registration of the frames."""

    enabled: bool = Field(True, description="measure the drift and align the frames")
    threshold_px: float = Field(
        0.1,
        ge=0,
        description="frames are left as they are when the rms drift is below this, pixels",
    )
    reference: int | None = Field(
        None, description="index of the reference frame; default: the best contrast"
    )
    region: RegionTable | None = Field(None, description="part of the image to register on")
    channel: str | int = Field(
        "", description="another detector channel to register on, by name or number"
    )
    motion: Literal["translation", "rigid", "similarity", "affine"] = Field(
        "translation",
        description="more than a translation: each frame against its neighbour, as StackReg does",
    )
    method: Literal["fixed", "recursive"] | None = Field(
        None,
        description="of translations: each frame against one fixed frame (the default), or against "
        "its neighbour, as StackReg does",
    )
    shifts: str = Field(
        "", description="an .aln or .sl file whose shifts are applied instead of measured ones"
    )
    edits: list[ShiftTable] = Field(
        [], description="shifts set by hand, such as [{energy = 518.2, shift_px = [0.5, -1.0]}]"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Drift:
        if self.method == "fixed" and self.motion != "translation":
            raise ValueError(
                f'method = "fixed" measures translations, and motion is "{self.motion}": '
                "leave out one of them"
            )
        return self


class Absorbance(Section):
    """[absorbance]: optical density."""

    enabled: bool = Field(True, description="false when the input already is an optical density")
    i0: Annotated[str, Field(min_length=1)] | OpenBeam = Field(
        "auto",
        description='"auto", a region, {levels = [0.95, 1.05]} of the open beam, or a file with '
        "the incident spectrum or flat images",
    )
    i0_unit: Literal["auto", "image", "per_ms"] = Field(
        "auto",
        description="unit of a spectrum from a file: as the images, per millisecond, or found out",
    )
    dark: Annotated[float, Field(ge=0)] | Annotated[str, Field(min_length=1)] = Field(
        0.0, description="what is recorded without beam, per pixel, or a file with dark images"
    )
    dark_sd: float = Field(0.0, ge=0, description="its standard deviation from pixel to pixel")
    dead_time_us: float = Field(
        0.0, ge=0, description="dead time of the detector after each count, µs"
    )
    stray_light: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="light that the sample does not absorb (stray, higher orders), part of I0",
    )
    noise: Literal["auto"] | Positive = Field(
        "auto", description="counts per recorded unit, or measured"
    )


class Damage(Section):
    """[damage]: did the beam change the sample?"""

    enabled: bool = Field(
        True, description="compare repeated energies, or the halves of the scan; map the dose"
    )
    efficiency: float = Field(
        1.0, gt=0, le=1, description="counts per photon that passed the sample, for the dose"
    )
