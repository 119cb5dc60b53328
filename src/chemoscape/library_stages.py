"""Stages of `chemoscape standards add`: from a stack to a standard with evidence of its purity."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from chemoscape import fitting_stages, stages
from chemoscape.curation.averaging import averaged, measurement_of
from chemoscape.curation.calibrating import anchor_text
from chemoscape.curation.purity import Purity, purity
from chemoscape.decompose.calibration import Anchor
from chemoscape.decompose.combinations.regions import mask_of_region
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import LibraryError, RegionError
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.products import Products
from chemoscape.recipe import Recipe, RegionTable, make_recipe, read_recipe
from chemoscape.region import Region
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import PARTS, Record
from chemoscape.standards.standard import Kind

#: A part of the sample.
Part = str | int | Region | xr.DataArray | None


class Chosen(NamedTuple):
    """Pixels (y, x) that a standard is averaged over, and what they are called."""

    mask: np.ndarray
    words: str


def standards_from_stack(
    source: str | Path | Recipe,
    *,
    id: str,
    label: str = "",
    value: float = np.nan,
    region: Part = None,
    cluster: int | None = None,
    n_clusters: int | None = None,
    library: Library | None = None,
    value_sd: float = 0.0,
    formula: str = "",
    density: float = np.nan,
    kind: Kind = "measured",
    resolution_eV: float = np.nan,
    record: Record | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Standard, Purity]:
    """Average a stack of a pure substance to a standard, and say how pure its pixels are.

    The stack goes through the stages of `run` up to the optical density: reading, repairs, drift.
    Its spectrum is the mean optical density of the whole sample, a region, or one cluster. The
    energy axis is the file's, moved as the recipe's [calibration] says (anchors, or a number); a
    shift is not fitted, which would make the new standard agree with a library.

    Parameters
    ----------
    source : path or Recipe
        A stack in any format known (the optical density that a run kept too), or a recipe (.toml),
        which says how to make the optical density of it.
    id, label, value, value_sd, formula, density, kind
        See `Standard`; the molar mass follows from the formula.
    region : str, int, Region or (y, x) of bool, optional
        A region of the recipe by name or by number from 0, or one as a recipe writes it,
        ``"{x = [1.0, 2.0], y = [0.5, 1.5]}"`` (µm).
    cluster : int, optional
        Number of a k-means cluster, 0 the largest, of the recipe's [clusters].
    n_clusters : int, optional
        How many clusters to make; default: as the recipe says.
    library : Library, optional
        The other standards, which the spectrum is compared with; one with this id is left out.
    resolution_eV : float
        Energy resolution of the measurement, where it is known.
    record : Record, optional
        What else is known of the sample; what the stack says fills in the rest.
    progress : callable, optional
        Called with each step's name as it begins.

    Returns
    -------
    Standard
        On the scale of optical density, with the ``spectrum_sd`` of `averaged` and the ``max_od``
        of `measurement_of`; the findings on its purity are in the record's remarks.
    Purity
        Evidence of the same pixels, which the standard's record holds too.

    Raises
    ------
    ChemoscapeError
        Anything about stack, recipe, region or cluster that the user can mend.
    """
    if region is not None and cluster is not None:
        raise LibraryError(
            "a standard is averaged over a region or over a cluster", f"standard {id!r}", "name one"
        )
    if cluster is None and n_clusters is not None:
        raise LibraryError(
            f"{n_clusters} clusters were asked for, and none was chosen",
            f"standard {id!r}",
            "say which: cluster = 0 is the largest",
        )
    recipe, say = _as_recipe(source), progress or (lambda _: None)
    say("read")
    done = Products(stages.read(recipe))
    wanted = _region(region, recipe, done.stack) if region is not None else None
    od = _density(done, recipe, say)
    if cluster is not None:
        say("components and clusters")
        chosen = _cluster(od, recipe, cluster, n_clusters)
    elif wanted is not None:
        name, words, shape = wanted
        chosen = Chosen(mask_of_region(name, shape, od["optical_density"]), words)
    else:
        chosen = Chosen(sample_mask(od).values.astype(bool), "all of the sample")
        if not chosen.mask.any():
            raise RegionError(
                "there is no sample in the image", recipe.input.path, "check I0, or name a region"
            )
    say("purity")
    names = [name for name in library.names if name != id] if library is not None else []
    others = library.select(*names) if library is not None and names else None
    evidence = purity(od, chosen.mask, library=others, seed=recipe.seed)
    if cluster is not None:
        alike = "k-means chose these pixels for being alike: that they are does not make them pure"
        evidence = replace(evidence, doubts=(*evidence.doubts, alike))
    axis = _axis(od, recipe)
    energy, spectrum, sd = averaged(od, chosen.mask)
    moved = np.round(energy - (axis.at(energy) if axis is not None else 0.0), 6)
    said = {
        **measurement_of(done.stack, od, chosen.mask, formula),
        "corrections": _corrections(done, od, recipe),
        **_calibration(axis, recipe),
        "resolution_eV": resolution_eV,
        **evidence.as_evidence(),
    }
    known = record or Record()
    remarks = "\n".join(text for text in (known.remarks, str(evidence)) if text)
    return (
        Standard(
            id=id,
            label=label or id,
            value=value,
            value_sd=value_sd,
            energy=moved,
            spectrum=spectrum,
            spectrum_sd=sd,
            formula=formula,
            molar_mass=molar_mass(formula),
            density=density,
            kind=kind,
            source=f"{Path(recipe.input.path).name}, {chosen.words} ({evidence.n_pixels} pixels)",
            record=_filled(known, said).with_(remarks=remarks),
        ),
        evidence,
    )


def _as_recipe(source: str | Path | Recipe) -> Recipe:
    """The recipe of a source."""
    if isinstance(source, Recipe):
        return source
    path = Path(source).expanduser()
    if path.suffix.lower() == ".toml":
        return read_recipe(path)
    return make_recipe({"input": {"path": str(path.absolute())}})


def _density(done: Products, recipe: Recipe, say: Callable[[str], None]) -> xr.Dataset:
    """Optical density as `run` makes it."""
    if stages.asked_to_mend(recipe):
        say("artefacts")
        done.stack, done.touched = stages.mend(done.stack, recipe)
    if stages.uses_detector_images(recipe):
        say("optical density")
        done.od = stages.absorb(done.stack, recipe)
    if recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        say("drift")
        seen = done.stack if done.od is None else done.od["optical_density"]
        done.drift, done.drift_applied = stages.find_drift(seen, recipe)
        if done.drift_applied:
            done.stack, done.od = stages.take_out(done.stack, done.od, done.drift)
    if done.od is None:
        say("optical density")
        done.od = stages.absorb(done.stack, recipe)
    return done.od


def _region(
    region: Part, recipe: Recipe, stack: xr.DataArray
) -> tuple[str, str, Region | xr.DataArray]:
    """Name of a region, how it is written, and the region; refused before any work if empty."""
    known = {name: one.region() for name, one in recipe.deconvolution.regions.items()}
    if isinstance(region, xr.DataArray):
        return "given", "a mask", region
    name = str(region)
    if isinstance(region, Region):
        name, shape = "given", region
    elif isinstance(region, str) and region.lstrip().startswith("{"):
        name, shape = "given", _written_region(region)
    elif name in known:
        shape = known[name]
    elif name.isdigit() and int(name) < len(known):
        name = list(known)[int(name)]
        shape = known[name]
    else:
        raise RegionError(
            f"the recipe has no region {name!r} (it has {', '.join(known) or 'none'})",
            remedy="name one of [deconvolution] regions, or write {x = [a, b], y = [a, b]} in µm",
        )
    mask_of_region(name, shape, stack)
    title = shape.describe() if name == "given" else f"{name!r}, {shape.describe()}"
    return name, f"region {title}", shape


def _written_region(text: str) -> Region:
    """A region as a recipe writes it."""
    try:
        table = tomllib.loads(f"region = {text}")["region"]
        return RegionTable.model_validate(table).region()
    except (tomllib.TOMLDecodeError, ValueError):
        raise RegionError(
            f"{text!r} is no region",
            remedy="write {x = [a, b], y = [a, b]} or {polygon = [[x, y], …]}, in µm",
        ) from None


def _cluster(od: xr.Dataset, recipe: Recipe, number: int, n_clusters: int | None) -> Chosen:
    """Pixels of one cluster."""
    if n_clusters is not None:
        section = recipe.clusters.model_copy(update={"n_clusters": n_clusters})
        recipe = recipe.model_copy(update={"clusters": section})
    _, groups, _ = fitting_stages.group(od, recipe)
    n = groups.sizes["cluster"]
    if not 0 <= number < n:
        raise RegionError(
            f"there is no cluster {number}: there {'is' if n == 1 else 'are'} {n}, numbered from 0",
            str(recipe.input.path),
            "choose another, or ask for more with n_clusters",
        )
    return Chosen(groups["label"].values == number, f"cluster {number} of {n}")


def _axis(od: xr.Dataset, recipe: Recipe) -> EnergyShift | None:
    """The energy axis that the recipe sets; None where it would be fitted, or is the file's."""
    section = recipe.calibration
    if section.enabled and section.energy_shift not in ("fit", 0.0):
        return EnergyShift(float(section.energy_shift), float("nan"), source="held")
    return fitting_stages.anchored(od, recipe)


def _calibration(axis: EnergyShift | None, recipe: Recipe) -> dict[str, Any]:
    """What the record says of the energy axis."""
    if axis is None:
        return {}
    anchors = recipe.calibration.anchors
    named = "; ".join(anchor_text(Anchor(**one.model_dump()), -axis.value) for one in anchors)
    stretched = f", stretched by {axis.stretch:+.2e}" if axis.stretch else ""
    return {
        "anchor": named,
        "anchor_eV": anchors[0].energy if len(anchors) == 1 else np.nan,
        "source": ("anchors of the recipe" if anchors else "energy_shift of the recipe")
        + stretched,
        "shift_eV": round(-axis.value, 6),
        "uncertainty_eV": axis.sd,
    }


def _corrections(done: Products, od: xr.Dataset, recipe: Recipe) -> str:
    """What was done to the stack."""
    steps = [str(one) for one in done.touched]
    if od.attrs.get("units_correction"):
        steps.append(str(od.attrs["units_correction"]))
    if od.attrs.get("dead_time_us"):
        steps.append(f"dead time {od.attrs['dead_time_us']:g} µs")
    if od.attrs.get("stray_light"):
        steps.append(f"stray light {od.attrs['stray_light']:g} of the beam")
    if recipe.absorbance.dark:
        steps.append(f"dark {recipe.absorbance.dark}")
    if done.drift is not None:
        verb = "taken out" if done.drift_applied else "left, below the threshold"
        steps.append(f"drift of {done.drift.rms_px:.2f} pixels rms {verb}")
    return "; ".join(steps)


def _filled(record: Record, said: dict[str, Any]) -> Record:
    """A record with what else is known: what it says already stays."""
    own = [item for part in PARTS for item in vars(getattr(record, part)).items()]
    unknown = {key for key, value in own if value == "" or value != value}  # NaN
    return record.with_(**{key: value for key, value in said.items() if key in unknown})
