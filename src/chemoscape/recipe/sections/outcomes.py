"""What is made of the composition: [stress], [particles], [report]; and [compute]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from chemoscape.errors import MaterialError
from chemoscape.mechanics.lattice import Lattice, read_lattice
from chemoscape.mechanics.material import Material, PhaseModulus
from chemoscape.mechanics.supports import Boundary, Springs
from chemoscape.recipe.sections.common import Pair, Positive, RegionTable, Section

Axis = Literal["a", "b", "c"]


class PhaseTable(Section):
    """Elastic constants of an interval of composition."""

    x_min: float = Field(description="composition from which they hold")
    x_max: float = Field(description="composition below which they hold")
    young_GPa: Positive | list[Positive] = Field(description="as for the material")
    poisson: float | list[float] = Field(description="as for the material")
    shear_GPa: Positive | None = Field(None, description="as for the material")
    name: str = Field("", description="of the phase")


class MaterialTable(Section):
    """The material: values, where they come from, and how far they can be trusted."""

    young_GPa: Positive | list[Positive] = Field(
        description="Young's modulus, GPa; or those along the particle's axes: [E1, E2] in the "
        "image, [E1, E2, E3] with the one across it"
    )
    poisson: float | list[float] = Field(
        description="Poisson's ratio; orthotropic: nu12, or [nu12, nu13, nu23]"
    )
    shear_GPa: Positive | None = Field(None, description="shear modulus G12, GPa, if orthotropic")
    eigenstrain: float | list[float] | None = Field(
        None,
        description="linear strain per unit of the composition variable: one number for all axes, "
        "or those along the particle's two axes in the image (and across it)",
    )
    lattice: str = Field(
        "", description="instead of eigenstrain: table of x, a, b, c (.csv or .toml)"
    )
    lattice_axes: Annotated[list[Axis], Field(min_length=3, max_length=3)] | None = Field(
        None,
        description="cell axes along the particle's two axes and across the image; default: the "
        "table's own, else a, b, c",
    )
    angle_deg: float | list[float] = Field(
        0.0,
        description="from the image's x to the particle's first axis, towards y; a list: one for "
        "each particle",
    )
    reference: float = Field(0.0, description="composition without strain")
    phases: list[PhaseTable] = Field(
        [], description="elastic constants of intervals of composition, where they differ"
    )
    source: str = Field(description="where the values come from")
    status: Literal["measured", "literature", "illustrative"] = Field(
        description="how far to trust them"
    )

    @model_validator(mode="after")
    def _is_a_material(self) -> MaterialTable:
        if (self.eigenstrain is None) == (not self.lattice):
            raise ValueError("the material needs eigenstrain or lattice, one of the two")
        try:
            self._made(0.0 if self.eigenstrain is None else self.eigenstrain)
        except MaterialError as error:
            raise ValueError(str(error)) from error
        return self

    def material(self) -> Material:
        """The same as a Material, its lattice table read.

        Raises
        ------
        MaterialError
            The table does not serve.
        FileFormatError
            It cannot be read.
        """
        if self.eigenstrain is not None:
            return self._made(self.eigenstrain)
        if self.lattice_axes is None:
            return self._made(read_lattice(self.lattice))
        one, two, three = self.lattice_axes
        return self._made(read_lattice(self.lattice, axes=(one, two, three)))

    def _made(self, eigenstrain: float | list[float] | Lattice) -> Material:
        def plain(value: float | list[float]) -> float | tuple[float, ...]:
            return tuple(value) if isinstance(value, list) else value

        return Material(
            plain(self.young_GPa),
            plain(self.poisson),
            eigenstrain if isinstance(eigenstrain, Lattice) else plain(eigenstrain),
            reference=self.reference,
            source=self.source,
            status=self.status,
            shear_GPa=self.shear_GPa,
            angle_deg=plain(self.angle_deg),
            phases=tuple(
                PhaseModulus(
                    phase.x_min,
                    phase.x_max,
                    plain(phase.young_GPa),
                    plain(phase.poisson),
                    phase.shear_GPa,
                    phase.name,
                )
                for phase in self.phases
            ),
        )


class SpringsTable(Section):
    """Elastic surroundings: a boundary between free and fixed."""

    springs_GPa_per_um: Positive = Field(
        description="pull on the outline, GPa, for each µm of its displacement: 0.1 is nearly "
        "free, 1e6 nearly fixed"
    )

    def springs(self) -> Springs:
        """The same as Springs."""
        return Springs(self.springs_GPa_per_um)


class Stress(Section):
    """[stress]: linear elasticity with the composition's eigenstrain."""

    enabled: bool = Field(False, description="compute stress maps (needs a material)")
    boundary: list[Literal["free", "fixed"] | SpringsTable] = Field(
        ["free", "fixed"],
        description="boundaries to solve for; springs as `{springs_GPa_per_um = 10.0}`",
    )
    material: MaterialTable | None = Field(None, description="the material, see [stress.material]")
    mesh_size_um: Positive | None = Field(
        None, description="edge length of the elements; default: two pixels"
    )
    graded: bool = Field(
        False, description="elements up to four times finer where composition changes"
    )
    follow_phase: float | None = Field(
        None, description="composition of a phase boundary that the elements follow; default: none"
    )
    cut_edges: bool = Field(
        True,
        description="particles that leave the image: that edge stays straight but free, and stress "
        "within one width of it is left out of the numbers",
    )
    order: Literal[1, 2] = Field(2, description="order of the elements; 1 is the paper's")
    plane: Literal["stress", "strain", "generalised"] = Field(
        "stress",
        description="plane stress, plane strain, or a strain across that is uniform in a particle",
    )
    uncertainty_draws: int = Field(
        16,
        ge=0,
        description="draws of the composition's errors for the error of the stress; 0: none",
    )

    def boundaries(self) -> list[Boundary]:
        """The boundaries to solve for, each once."""
        made = [one if isinstance(one, str) else one.springs() for one in self.boundary]
        return list(dict.fromkeys(made))

    @model_validator(mode="after")
    def _draws_enough(self) -> Stress:
        if self.uncertainty_draws == 1:
            raise ValueError("uncertainty_draws: one draw has no spread; give 0, or 2 or more")
        return self

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
    scheduler: str = Field(
        "",
        description="address of a dask.distributed scheduler, such as tcp://head:8786, whose "
        "workers compute (needs chemoscape[cluster]); empty: threads of this machine",
    )
