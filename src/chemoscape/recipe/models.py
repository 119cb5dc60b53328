"""The sections of a recipe, each key with its default and what it means.

This is the reference: the documentation, the comments that `init` writes and the complaints about
unknown keys are made from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from chemoscape.errors import RegionError
from chemoscape.region import Region

Pair = Annotated[tuple[float, float], Field(strict=False)]  # TOML has lists only
Positive = Annotated[float, Field(gt=0)]
#: scikit-learn takes 32 bits.
LARGEST_SEED = 2**32 - 1


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval written the wrong way round."""
    if not bounds[0] < bounds[1]:
        raise ValueError("the lowest energy comes first, then the highest")
    return bounds


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
    def _is_a_region(self) -> RegionTable:
        try:
            self.region()
        except RegionError as error:
            raise ValueError(str(error)) from error
        return self

    def region(self) -> Region:
        """The same as a Region."""
        return Region.from_mapping(self.model_dump(exclude_none=True))


class Input(Section):
    """[input]: the stack."""

    path: str = Field("", description="the stack's file, relative to the recipe")
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
    drop_energies: list[float] = Field(
        [], description="frames to leave out, eV (nearest within 0.01 eV)"
    )
    exclude: list[RegionTable] = Field([], description="regions to leave out of everything, µm")

    def options(self) -> dict[str, Any]:
        """Keywords of `chemoscape.formats.open_stack`: what is said of how to read the file."""
        keys = ("channel", "region", "angle", "axes", "pixel_um", "quantity")
        said = {"energy": self.energies, **{key: getattr(self, key) for key in keys}}
        return {key: value for key, value in said.items() if value not in ("", None)}


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
    shifts: str = Field(
        "", description="an .aln file whose shifts are applied instead of measured ones"
    )


class Absorbance(Section):
    """[absorbance]: optical density."""

    enabled: bool = Field(True, description="false when the input already is an optical density")
    i0: Annotated[str, Field(min_length=1)] | RegionTable = Field(
        "auto", description='"auto", a region, or a file with the incident spectrum'
    )
    i0_unit: Literal["auto", "image", "per_ms"] = Field(
        "auto",
        description="unit of a spectrum from a file: as the images, per millisecond, or found out",
    )
    dark: float = Field(0.0, ge=0, description="dark counts per pixel")
    noise: Literal["auto"] | Positive = Field(
        "auto", description="counts per recorded unit, or measured"
    )


class Calibration(Section):
    """[calibration]: the energy axis."""

    enabled: bool = Field(True, description="false holds the shift at zero")
    energy_shift: Literal["fit"] | float = Field(
        "fit", description="E(file) - E(library) in eV, or fitted for the stack"
    )


class Standards(Section):
    """[standards]: the library."""

    enabled: bool = Field(
        True, description="false stops after the principal components and clusters"
    )
    library: str = Field(
        "lixv2o5-model", description="a shipped library's name, or a folder with library.toml"
    )
    select: list[str] | Literal["matched"] = Field(
        [], description='ids to use; empty: all; "matched": those that the clusters are made of'
    )


class Deconvolution(Section):
    """[deconvolution]: weights of the standards."""

    enabled: bool = Field(True, description="fit the standards")
    route: Literal["direct", "clustered", "both"] = Field(
        "direct", description="which of the paper's routes"
    )
    nonnegative: bool = Field(True, description="weights >= 0")
    baseline: Literal["constant", "none"] = Field(
        "constant", description="a free constant in every pixel"
    )
    weights: Literal["variance", "uniform"] = Field(
        "variance", description="weigh energies by 1/variance, or all alike"
    )
    range: Annotated[Pair, AfterValidator(_ascending)] | None = Field(
        None, description="lowest and highest energy used, eV"
    )


class Clusters(Section):
    """[clusters]: principal components and k-means."""

    enabled: bool = Field(True, description="compute components and clusters")
    n_clusters: Literal["auto"] | Annotated[int, Field(ge=1, le=50)] = Field(
        "auto", description="number of clusters; auto: 1 for one component, else the best of 2 to 8"
    )
    n_components: int | None = Field(None, ge=1, description="scores used; default: the rank found")
    resolution_eV: Positive | None = Field(
        None,
        description="energies closer than this (resolution, core-hole width) are not independent "
        "when matches are ranked; default: all are",
    )
    merge: list[Annotated[list[int], Field(min_length=2)]] = Field(
        [], description="clusters to join, such as [[0, 3]]"
    )


class Composition(Section):
    """[composition]: the map of the library's variable."""

    enabled: bool = Field(True, description="compute the composition")
    source: Literal["direct", "clustered"] = Field(
        "direct", alias="from", description="the route whose weights are used"
    )
    smooth_px: float = Field(1.0, ge=0, le=20, description="σ of the Gaussian filter, pixels")
    refine: int = Field(
        2, ge=1, le=8, description="bilinear interpolation onto a grid this many times finer"
    )
    min_thickness: float = Field(
        0.0, ge=0, description="pixels thinner than this are left out (nm, or relative weight)"
    )
    normalise: Literal["molar", "none"] = Field(
        "molar", description='"none": the paper\'s literal sum'
    )

    model_config = ConfigDict(populate_by_name=True)


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


class Report(Section):
    """[report]: what is written."""

    enabled: bool = Field(True, description="write figures and report.html")
    title: str = Field("", description="title of the report; default: the input's name")
    keep_optical_density: bool = Field(False, description="keep the optical density in results.h5")


class Compute(Section):
    """[compute]: how it is computed."""

    threads: int = Field(0, ge=0, description="threads; 0: as many as there are processors")


class Recipe(Section):
    """A whole recipe: `version` and `seed`, then the sections in the order of the work."""

    version: Literal[1] = 1
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="for everything drawn at random")
    input: Input = Input()
    drift: Drift = Drift()
    absorbance: Absorbance = Absorbance()
    calibration: Calibration = Calibration()
    standards: Standards = Standards()
    deconvolution: Deconvolution = Deconvolution()
    clusters: Clusters = Clusters()
    composition: Composition = Composition()
    stress: Stress = Stress()
    report: Report = Report()
    compute: Compute = Compute()
