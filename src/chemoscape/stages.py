"""One function for each stage of the paper's Figure 2: from the products before it to its own.

`workflow` puts them in order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import __version__
from chemoscape import stack as stacks
from chemoscape.blocks import (
    checkpoint,
    computed,
    is_lazy,
    memory_limit,
    on_cluster,
    reduce_blocks,
)
from chemoscape.electrochemistry.beside import beside_the_map
from chemoscape.errors import (
    ChemoscapeError,
    ChemoscapeWarning,
    RecipeError,
    StackError,
)
from chemoscape.formats import fingerprint, open_stack
from chemoscape.mechanics.fields import StressField, stress
from chemoscape.mechanics.uncertainty import has_errors
from chemoscape.preprocess.absorbance import optical_density
from chemoscape.preprocess.alignment import align, align_density, crop_common
from chemoscape.preprocess.artefacts import Touched, despike, level_lines
from chemoscape.preprocess.beam.given import holds_images
from chemoscape.preprocess.beam.incident import Levels
from chemoscape.preprocess.damage import Damage, dose_map, radiation_damage
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.joining import join_energies
from chemoscape.preprocess.shifts import Drift
from chemoscape.preprocess.visits import on_one_grid
from chemoscape.products import Products
from chemoscape.recipe import OpenBeam, Recipe, named_files, states_of, to_toml
from chemoscape.recipe.sections.outcomes import Compute
from chemoscape.region import Region
from chemoscape.results.lock import lock_of_run, only_one
from chemoscape.series.sharing import on_pixels_of
from chemoscape.standards.library import Library

#: Options of opening that hold for further files too.
SHARED_OPTIONS = ("channel", "quantity", "visit")
#: Rows of a lazy stack that tell, as a rule, that every frame was measured.
MEASURED_ROWS = 8


def read(recipe: Recipe, *, like: xr.DataArray | None = None, **otherwise: Any) -> xr.DataArray:
    """Open the stack, leave out frames and blank regions as the recipe says.

    `like` is the first stack of a series, whose pixels it takes over; `otherwise` are options of
    opening that replace the recipe's.
    """
    lazy = {"lazy": True} if on_cluster() else {}  # the workers read the file themselves
    options = {**recipe.input.options(), **lazy, **otherwise}
    stack = open_stack(recipe.input.path, **options)
    if recipe.input.further:
        # what else was said is of the first file: its region, its pixel, its energies
        same = {key: options[key] for key in SHARED_OPTIONS if key in options}
        others = [open_stack(path, **same) for path in recipe.input.further]
        stack = join_energies([stack, *others])
    if like is not None:
        stack = on_pixels_of(like, stack)
    keep = measured(stack)
    for unwanted in recipe.input.drop_energies:
        apart = np.abs(stack.energy.values - unwanted)
        if apart.min() > 0.01:
            raise RecipeError(
                f"[input] drop_energies names {unwanted:g} eV, the nearest frame is at "
                f"{stack.energy.values[apart.argmin()]:.3f} eV",
                remedy="give the frame's own energy",
            )
        keep[apart.argmin()] = False
    if not keep.any():
        raise RecipeError("[input] drop_energies leaves no frame", remedy="drop fewer")
    stack = stack.isel(energy=keep)
    for table in recipe.input.exclude:
        stack = stack.where(~table.region().mask(stack)).assign_attrs(stack.attrs)
    if recipe.input.exclude and not stack.notnull().any():
        raise RecipeError("[input] exclude leaves no pixel", remedy="exclude smaller regions")
    return stacks.check(stack, lazy=True)


def refuse_too_large(stack: xr.DataArray, recipe: Recipe) -> None:
    """Refuse, before any work, what cannot be had of a stack that is not in memory."""
    if is_lazy(stack) and recipe.report.keep_optical_density:
        raise RecipeError(
            "[report] keep_optical_density is for stacks that fit into memory, this one has "
            f"{stack.nbytes / 1e9:.0f} GB",
            remedy="set it to false, and take that of a part with cs.optical_density",
        )


@contextmanager
def kept_passes(recipe: Recipe, output: Path) -> Iterator[None]:
    """Keep what passes over a lazy stack find beside the results, for the same recipe, files and
    version; one run at a time.
    """
    parent = output.absolute().parent
    folder = parent / f".{output.name}.passes"
    settled = recipe.model_copy(update={"compute": Compute()})
    work = [
        __version__,
        *fingerprint(recipe.input.path, **recipe.input.options()),
        *(one for path in recipe.input.further for one in fingerprint(path)),
        *states_of(named_files(recipe)),
        f"memory {memory_limit()}",  # the heights of bands depend on it
        to_toml(settled),
    ]
    with only_one(parent, lock_of_run(output), "another run"):
        try:
            with checkpoint(folder, "\n".join(work)):
                yield
        except (ChemoscapeError, KeyboardInterrupt) as error:
            if folder.exists():
                error.add_note(
                    f"what passes over the stack have found is kept in {folder}, for the same run "
                    "to go on; delete it if there will be none"
                )
            raise


def measured(stack: xr.DataArray) -> np.ndarray:
    """Which frames hold any value; those of a scan in progress that do not are left out, and the
    user was told when the stack was opened.
    """
    some = computed(stack.data[:, :MEASURED_ROWS])[0] if is_lazy(stack) else stack.values
    seen = np.array([bool(np.isfinite(frame).any()) for frame in some])
    if is_lazy(stack) and not seen.all():  # a scan in progress; or these rows are blank
        seen = reduce_blocks(_frames_seen, np.logical_or, stack.data)
    if not seen.any():
        raise StackError(
            "the stack holds no value at all",
            where=str(stack.attrs.get("source", "")),
            remedy="look at the file with chemoscape inspect",
        )
    return seen


def _frames_seen(band: np.ndarray) -> np.ndarray:
    """Which frames (n_energy,) of a band hold any value."""
    return np.asarray(np.isfinite(band).any(axis=(1, 2)))


def asked_to_mend(recipe: Recipe) -> bool:
    """Whether the recipe asks for any repair."""
    section = recipe.artefacts
    return section.enabled and (section.despike > 0 or section.level_lines > 0)


def mend(stack: xr.DataArray, recipe: Recipe) -> tuple[xr.DataArray, tuple[Touched, ...]]:
    """Repair what the recipe asks for, and say what was touched."""
    steps = (
        (level_lines, recipe.artefacts.level_lines),
        (despike, recipe.artefacts.despike),
    )
    touched = []
    for step, threshold in steps:
        if threshold > 0:
            stack, one = step(stack, threshold=threshold)
            touched.append(one)
    return stack, tuple(touched)


def find_drift(stack: xr.DataArray, recipe: Recipe, **otherwise: Any) -> tuple[Drift, bool]:
    """Measure the drift, or read it, and whether it matters."""
    section = recipe.drift
    if section.shifts:
        drift = Drift.load(section.shifts)
    else:
        shown = stack
        if section.channel != "":
            shown = read(recipe, channel=section.channel, **otherwise)
        drift = measure_drift(
            shown,
            reference=section.reference,
            region=section.region.region() if section.region is not None else None,
            motion=section.motion,
            method=section.method,
        )
    if section.edits:
        named = [edit.energy for edit in section.edits]
        if len(set(named)) < len(named):
            twice = next(energy for energy in named if named.count(energy) > 1)
            raise RecipeError(
                f"[drift] edits names {twice:g} eV twice", remedy="keep one shift for each energy"
            )
        drift = drift.edited({edit.energy: edit.shift_px for edit in section.edits})
    by_hand = bool(section.shifts or section.edits)
    gone = (np.abs(drift.shifts) >= stack.shape[1:]).any(axis=1)
    if by_hand and gone.any():
        raise RecipeError(
            f"[drift] moves the frame at {stack.energy.values[gone][0]:.2f} eV out of the field of "
            f"{stack.shape[1]} × {stack.shape[2]} pixels",
            remedy="correct the shifts or edits",
        )
    return drift, by_hand or drift.rms_px >= section.threshold_px


def uses_detector_images(recipe: Recipe) -> bool:
    """Whether dark or flat images are applied: they belong to the pixels of the detector, so that
    the optical density comes before the drift is measured and taken out.
    """
    i0, dark = recipe.absorbance.i0, recipe.absorbance.dark
    return isinstance(dark, str) or (isinstance(i0, str) and i0 != "auto" and holds_images(i0))


def take_out(
    stack: xr.DataArray, od: xr.Dataset | None, drift: Drift
) -> tuple[xr.DataArray, xr.Dataset | None]:
    """Align the counts, or the optical density where there is one already, and crop."""
    if od is not None:
        return stack, align_density(od, drift)
    return crop_common(align(stack, drift), drift), None


#: What `optical_density` says of the detector's noise.
NOISE = ("noise_counts_per_unit", "noise_source", "noise_correlation")


def absorb(stack: xr.DataArray, recipe: Recipe, known: xr.Dataset | None = None) -> xr.Dataset:
    """Counts to optical density with its variance.

    `known` is that of the same stack before it was moved by the same fraction of a pixel in all
    frames: then none is left as recorded whose noise would tell the counts per unit.
    """
    if known is not None and np.isfinite(known.attrs.get(NOISE[0]) or np.nan):
        noise = {name: known.attrs[name] for name in NOISE}
        section = recipe.absorbance.model_copy(update={"noise": noise[NOISE[0]]})
        moved = recipe.model_copy(update={"absorbance": section})
        return absorb(stack, moved).assign_attrs(noise)
    section = recipe.absorbance
    if not section.enabled and stack.attrs["quantity"] != "optical_density":
        raise RecipeError(
            f"[absorbance] is off but the stack holds {stack.attrs['quantity']}",
            remedy='turn it on, or set [input] quantity = "optical_density"',
        )
    return optical_density(
        stack,
        i0=_open_beam(section.i0),
        i0_unit=section.i0_unit,
        dark=section.dark,
        dark_sd=section.dark_sd,
        dead_time_us=section.dead_time_us,
        stray_light=section.stray_light,
        noise=section.noise,
    )


def _open_beam(i0: str | OpenBeam) -> str | Region | Levels:
    """The recipe's I0 as `optical_density` takes it."""
    if isinstance(i0, str):
        return i0
    return i0.region() if i0.levels is None else Levels(*i0.levels)


def damaged(done: Products, recipe: Recipe) -> tuple[Damage | None, xr.DataArray | None]:
    """What the beam did to the sample, and the dose (MGy); None where either cannot be told."""
    assert done.od is not None and done.library is not None  # noqa: S101, PT018 - fitted before
    if is_lazy(done.od["optical_density"]):
        return _damage_and_dose(done.seen, None, done.library, recipe)
    od, later = done.od, None
    if done.stack.attrs.get("n_repeated"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChemoscapeWarning)  # said of these visits already
                other = _other_visits(done, recipe)
        except ChemoscapeError as error:
            text = f"repeated energies were not compared: {error}"
            warnings.warn(text, ChemoscapeWarning, stacklevel=2)
        else:  # an aborted second pass holds fewer energies
            visits = (od, other) if recipe.input.visit == "first" else (other, od)
            od, later = xr.align(*visits, join="inner")
    return _damage_and_dose(od, later, done.library, recipe)


def _damage_and_dose(
    od: xr.Dataset | None, later: xr.Dataset | None, library: Library, recipe: Recipe
) -> tuple[Damage | None, xr.DataArray | None]:
    assert od is not None  # noqa: S101 - the fit came before
    try:
        damage = radiation_damage(od, library, later=later)
    except ChemoscapeError as error:
        warnings.warn(f"radiation damage was not looked for: {error}", ChemoscapeWarning, 3)
        damage = None
    return damage, dose_of(od, library, recipe)


def dose_of(od: xr.Dataset, library: Library, recipe: Recipe) -> xr.DataArray | None:
    """Dose (MGy); None where it cannot be told."""
    try:
        return dose_map(od, library, efficiency=recipe.damage.efficiency)
    except ChemoscapeError:
        return None


def _other_visits(done: Products, recipe: Recipe) -> xr.Dataset:
    """Optical density with the last instead of the first image of repeated energies, or the first
    where the recipe takes the last.
    """
    visit = "last" if recipe.input.visit == "first" else "first"
    recorded = stack = read(recipe, like=done.like, visit=visit)
    if asked_to_mend(recipe):
        stack, _ = mend(stack, recipe)
    od = absorb(stack, recipe) if uses_detector_images(recipe) else None
    if done.drift_applied:
        assert done.drift is not None  # noqa: S101 - it was applied
        measured_anew = recipe.drift.model_copy(update={"shifts": "", "edits": []})
        seen = stack if od is None else od["optical_density"]
        drift, _ = find_drift(seen, recipe.model_copy(update={"drift": measured_anew}), visit=visit)
        drift = on_one_grid(done.drift, drift, read(recipe, like=done.like), recorded)
        stack, od = take_out(stack, od, drift)
    return absorb(stack, recipe) if od is None else od


def cycled(comp: xr.Dataset | None, recipe: Recipe) -> xr.Dataset:
    """The electrode's curve, with the map's mean composition on it."""
    return beside_the_map(recipe.electrochemistry, comp)


def stresses(comp: xr.Dataset, recipe: Recipe) -> list[StressField]:
    """Stress for every boundary asked for, on one mesh, with its error where that of the
    composition is known.
    """
    section = recipe.stress
    assert section.material is not None  # noqa: S101 - the recipe has checked it
    return stress(
        comp,
        section.material.material(),
        boundary=section.boundaries(),
        mesh_size=section.mesh_size_um,
        order=section.order,
        plane=section.plane,
        graded=section.graded,
        follow_phase=section.follow_phase,
        cut_edges=section.cut_edges,
        n_draws=section.uncertainty_draws if has_errors(comp) else 0,
        seed=recipe.seed,
    )
