"""From the optical density to the composition: [calibration] to [composition]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from chemoscape.recipe.sections.common import EnergyRange, Positive, RegionTable, Section


class AnchorTable(Section):
    """A feature of the spectrum whose energy is known."""

    energy: float = Field(description="its true energy, eV")
    found: float | None = Field(
        None, description="where the file's axis has it, eV; default: looked for"
    )
    within: EnergyRange | None = Field(
        None, description="where to look for it, eV of the file; default: within 1 eV"
    )
    feature: Literal["peak", "edge"] = Field("peak", description="a maximum, or a steepest rise")
    sd: Positive = Field(0.05, description="standard deviation of its energy, eV")


class Calibration(Section):
    """[calibration]: the energy axis."""

    enabled: bool = Field(True, description="false holds the shift at zero")
    energy_shift: Literal["fit"] | float = Field(
        "fit", description="E(file) - E(library) in eV, or fitted for the stack"
    )
    stretch: bool = Field(
        False, description="fit a stretch of the axis too, for standards with two edges"
    )
    anchors: list[AnchorTable] = Field(
        [],
        description="features of known energy that set the axis instead, such as "
        "[{energy = 708.5, within = [707.5, 709.5]}]",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Calibration:
        if self.anchors and (self.energy_shift != "fit" or self.stretch):
            raise ValueError(
                "anchors set the energy axis: leave out energy_shift and stretch, or the anchors"
            )
        if self.stretch and self.energy_shift != "fit":
            raise ValueError("a stretch is fitted together with the shift: leave out one of them")
        if not self.enabled and (self.anchors or self.stretch):
            raise ValueError("it is off, but has anchors or a stretch: turn it on")
        return self


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
    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        {},
        description="standards whose weights are mapped as one, such as "
        '{alpha = ["alpha-V2O5", "alpha-Li0.1V2O5"]}',
    )


class Deconvolution(Section):
    """[deconvolution]: weights of the standards."""

    enabled: bool = Field(True, description="fit the standards")
    route: Literal["direct", "clustered", "both"] = Field(
        "direct", description="which of the paper's routes"
    )
    nonnegative: bool = Field(True, description="weights >= 0")
    baseline: Literal["constant", "linear", "none"] = Field(
        "constant", description="what every pixel has under its standards, free"
    )
    weights: Literal["variance", "uniform"] = Field(
        "variance", description="weigh energies by 1/variance, or all alike"
    )
    sum_to_one: bool = Field(
        False, description="weights of a pixel sum to one, for spectra normalised to one edge step"
    )
    singular_values: int | None = Field(
        None,
        ge=1,
        description="use only so many singular values of the standards (needs nonnegative = false "
        'and weights = "uniform")',
    )
    range: EnergyRange | None = Field(None, description="lowest and highest energy used, eV")
    exclude: list[EnergyRange] = Field(
        [], description="ranges of energy that are not used, such as [[529.0, 530.2]], eV"
    )
    regions: dict[str, RegionTable] = Field(
        {},
        description="regions whose mean spectra are fitted with all combinations of standards, "
        "such as {core = {x = [1.0, 2.0], y = [1.0, 2.0]}}, µm",
    )

    @model_validator(mode="after")
    def _agrees(self) -> Deconvolution:
        if self.singular_values is not None and (self.nonnegative or self.weights != "uniform"):
            raise ValueError('singular_values needs nonnegative = false and weights = "uniform"')
        if self.singular_values is not None and self.sum_to_one:
            raise ValueError("give singular_values or sum_to_one, not both")
        return self


class SplitTable(Section):
    """A cluster to split."""

    cluster: int = Field(ge=0, description="its number")
    into: int = Field(2, ge=2, le=20, description="how many clusters to make of it")


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
    centred: bool = Field(
        False, description="subtract the mean spectrum before the principal components"
    )
    cut: int | None = Field(
        None, ge=1, description="join the clusters along their tree until so many are left"
    )
    cut_distance: Positive | None = Field(
        None, description="or join those nearer than this along the tree"
    )
    split: list[SplitTable] = Field(
        [], description="then split some, such as [{cluster = 1, into = 2}]"
    )
    merge: list[Annotated[list[int], Field(min_length=2)]] = Field(
        [], description="then join some by hand, such as [[0, 3]]"
    )

    @model_validator(mode="after")
    def _one_cut(self) -> Clusters:
        by_hand = self.cut is not None or self.cut_distance is not None or self.split or self.merge
        if not self.enabled and by_hand:
            raise ValueError("it is off, but asks for cut, split or merge: turn it on")
        if self.cut is not None and self.cut_distance is not None:
            raise ValueError("give cut or cut_distance, not both")
        return self


class Factorisation(Section):
    """[factorisation]: non-negative spectra and maps without standards (NNMA)."""

    enabled: bool = Field(False, description="factorise the optical density (needs clusters)")
    n_parts: int | None = Field(
        None, ge=1, le=50, description="number of spectra; default: as many as clusters"
    )
    similarity: float = Field(
        0.0, ge=0, description="how strongly spectra are held to the clusters'; 1: as by the data"
    )
    sparsity: float = Field(0.0, ge=0, description="how strongly small weights are pushed to zero")


class FewEnergies(Section):
    """[few_energies]: two to twelve images between two bounding standards."""

    enabled: bool = Field(
        False,
        description="map composition from a few images, instead of [clusters] and [deconvolution]",
    )
    energies: list[float] = Field(
        [], description="images to use, eV (nearest within 0.5 eV); empty: all"
    )
    pre: Literal["auto", "none"] | float = Field(
        "auto", description="energy of the image before the edge, eV"
    )
    post: Literal["auto", "none"] | float = Field(
        "auto", description="energy of the image after the edge, which shows thickness alone, eV"
    )
    mapping: Literal["exact", "linear"] = Field(
        "exact", description='from the ratio of one feature to composition; "linear": as the paper'
    )
    noise: Literal["auto", "counts", "background"] = Field(
        "auto",
        description="variance by counts, or by the empty part of each image; auto: the latter for "
        "reconstructions",
    )
    energy_sd_eV: float = Field(
        0.05, ge=0, le=5, description="how far the energy of each image may be off, eV"
    )
    calibration_sd_eV: float = Field(
        0.05, ge=0, le=5, description="how far the energies of all together may be off, eV"
    )
    offset_sd: Literal["free"] | Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="optical density that all images may have too much; free: fitted"
    )
    i0_sd: float = Field(
        0.003, ge=0, le=1, description="relative error of the incident beam of each image"
    )
    registration_px: float = Field(
        0.1, ge=0, le=10, description="how far each image may lie beside its place, pixels"
    )
    misfit: float = Field(
        1.0,
        ge=0,
        description="how far the sample's spectra may depart from the standards: 1 for peaks off "
        "by 0.02 eV and heights by 2 %",
    )
    phase: bool = Field(True, description="keep the phases of complex reconstructions too")
    stxm: str = Field(
        "", description="an STXM file of the same particle, to be registered and compared"
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
