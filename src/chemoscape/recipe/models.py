"""The sections of a recipe, each key with its default and what it means.

This is the reference: the documentation, the comments that `init` writes and the complaints about
unknown keys are made from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

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
    shifts: str = Field(
        "", description="an .aln or .sl file whose shifts are applied instead of measured ones"
    )
    edits: list[ShiftTable] = Field(
        [], description="shifts set by hand, such as [{energy = 518.2, shift_px = [0.5, -1.0]}]"
    )


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


class Damage(Section):
    """[damage]: did the beam change the sample?"""

    enabled: bool = Field(
        True, description="compare repeated energies, or the halves of the scan; map the dose"
    )
    efficiency: float = Field(
        1.0, gt=0, le=1, description="counts per photon that passed the sample, for the dose"
    )


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


class Recipe(Section):
    """A whole recipe: `version` and `seed`, then the sections in the order of the work."""

    version: Literal[1] = 1
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="for everything drawn at random")
    input: Input = Input()
    artefacts: Artefacts = Artefacts()
    drift: Drift = Drift()
    absorbance: Absorbance = Absorbance()
    calibration: Calibration = Calibration()
    standards: Standards = Standards()
    deconvolution: Deconvolution = Deconvolution()
    clusters: Clusters = Clusters()
    composition: Composition = Composition()
    damage: Damage = Damage()
    stress: Stress = Stress()
    particles: Particles = Particles()
    report: Report = Report()
    compute: Compute = Compute()
