"""Options of every command that opens a stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter


@dataclass(frozen=True)
class Reading:
    """How to read a stack, where its file leaves it open."""

    channel: str | None = None
    "Detector channel, by name or number (inspect lists them)."
    region: str | None = None
    "Scan region, by name or number."
    angle: str | None = None
    "Sample angle, by name or number."
    axes: str | None = None
    "Order of the array's dimensions, such as yxe, where the file does not say."
    energy: Path | None = None
    "Text file with one photon energy (eV) per image, for files without."
    pixel_um: float | None = None
    "Pixel size in µm, for files without."
    quantity: Literal["counts", "transmission", "optical_density"] | None = None
    "What the numbers are, instead of what the file says."

    visit: Literal["first", "last"] | None = None
    "Which image of an energy that was measured more than once."

    def options(self) -> dict[str, Any]:
        """Keywords of `chemoscape.formats.open_stack`."""
        return {key: value for key, value in vars(self).items() if value is not None}


How = Annotated[Reading, Parameter(name="*")]
AS_FILE_SAYS = Reading()
