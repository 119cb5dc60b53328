"""What is made of the composition: [stress], [particles], [report]; and [compute]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from chemoscape.recipe.sections.common import Pair, Positive, RegionTable, Section


class MaterialTable(Section):
    """The material: values, where they come from, and how far they can be trusted."""

    young_GPa: Positive = Field(description="Young's modulus, GPa")
    poisson: float = Field(gt=-1, lt=0.5, description="Poisson's ratio")
    eigenstrain: float = Field(description="linear strain per unit of the composition variable")
    reference: float = Field(0.0, description="composition without strain")
    source: str = Field(description="where the values come from")
    status: Literal["measured", "literature", "illustrative"] = Field(
        description="how far to trust them"
    )


class Stress(Section):
    """[stress]: linear elasticity with the composition's eigenstrain."""

    enabled: bool = Field(False, description="compute stress maps (needs a material)")
    boundary: list[Literal["free", "fixed"]] = Field(
        ["free", "fixed"], description="boundaries to solve for"
    )
    material: MaterialTable | None = Field(None, description="the material, see [stress.material]")
    mesh_size_um: Positive | None = Field(
        None, description="edge length of the elements; default: two pixels"
    )
    order: Literal[1, 2] = Field(2, description="order of the elements; 1 is the paper's")
    plane: Literal["stress", "strain"] = Field("stress", description="plane stress or plane strain")

    @model_validator(mode="after")
    def _has_a_material(self) -> Stress:
        if self.enabled and self.material is None:
            raise ValueError(
                "stress needs a material: add [stress.material] with young_GPa and the others"
            )
        return self


class PictureTable(Section):
    """A picture of the same field by another microscope, such as a scanning electron microscope."""

    path: str = Field(description="the picture (PNG, TIFF, JPEG)")
    pixel_um: Positive = Field(description="side of its pixel, µm")
    pairs: list[Annotated[tuple[Pair, Pair], Field(strict=False)]] = Field(
        min_length=3,
        description="points seen in both: [[x, y] in the picture, [x, y] in the map], µm from the "
        "lower left",
    )


class Particles(Section):
    """[particles]: outline particles, measure them, compare their sizes with composition."""

    enabled: bool = Field(False, description="find particles (needs a composition)")
    map: str = Field(
        "thickness", description="where to look: the sum of all weights, or a standard's name"
    )
    method: Literal["auto", "maskrcnn", "classical"] = Field(
        "auto", description="the trained network (needs onnxruntime), or classical; auto: either"
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="least score to keep; the method's own when left out"
    )
    fwhm_um: Positive = Field(0.08, description="resolution of the microscope, µm")
    exclude: list[RegionTable] = Field(
        [], description="regions drawn by hand in which particles do not count, µm"
    )
    n_clusters: int = Field(
        0, ge=0, description="group the particles by their spectra into so many; 0: not"
    )
    picture: PictureTable | None = Field(
        None, description="another picture to lay under the outlines: path, pixel_um, pairs"
    )


class Report(Section):
    """[report]: what is written."""

    enabled: bool = Field(True, description="write figures and report.html")
    title: str = Field("", description="title of the report; default: the input's name")
    keep_optical_density: bool = Field(False, description="keep the optical density in results.h5")


class Compute(Section):
    """[compute]: how it is computed."""

    threads: int = Field(0, ge=0, description="threads; 0: as many as there are processors")
