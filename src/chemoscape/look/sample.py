"""What the beam met: how thick, how dark, how changed, and of what."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import xarray as xr

from chemoscape.decompose.combinations.matching import match
from chemoscape.errors import ChemoscapeError
from chemoscape.look.instrument import Edge, means
from chemoscape.look.notes import Notes, percent
from chemoscape.preprocess.density.logarithm import MILD, STRONG
from chemoscape.standards.library import Library

#: Shares of the sample that may be too thick to measure, with care, and thick.
MOST_TOO_THICK, SOME_TOO_THICK, MOST_THICK = 0.20, 0.02, 0.20
#: An edge that stands out by less (optical density) hardly shows.
FAINT_OD = 0.05
#: Standards in one combination for the mean spectrum.
MOST_STANDARDS = 3
#: A fit that leaves more is none; an energy axis that is off by more asks for care.
LARGEST_R, SHIFT_EV = 0.01, 0.1
#: No energy shift is known better, whatever its counting error (eV).
FINEST_EV = 0.01
#: Bits of a pixel's flag.
THICK, TOO_THICK, NO_LIGHT = 1, 2, 4


def mean_spectrum(od: xr.Dataset, where: xr.DataArray, flag: np.ndarray) -> np.ndarray:
    """Mean optical density (n_energy,) of the sample, without pixels that are too thick as long as
    a tenth of it remains.
    """
    fine = where.values & (flag & (TOO_THICK | NO_LIGHT) == 0)
    enough = fine.sum() > 0.1 * where.values.sum()
    return means(od["optical_density"].values, fine if enough else where.values)


def saturation(notes: Notes, where: xr.DataArray, flag: np.ndarray) -> None:
    """Shares of the sample whose optical density no detector can be trusted with."""
    if not where.values.any():
        notes.tell("saturation", "no sample to judge")
        return
    inside = flag[where.values]
    mild, strong, dark, lost = (
        float((inside & bits != 0).mean())
        for bits in (THICK | TOO_THICK, TOO_THICK, NO_LIGHT, TOO_THICK | NO_LIGHT)
    )
    text = f"OD > {MILD} in {percent(mild)} of the sample's pixels, > {STRONG} in {percent(strong)}"
    if dark:
        text += f"; no light left in {percent(dark)}"
    notes.tell("saturation", text, share_above_1_5=mild, share_above_2_2=strong)
    notes.facts["share_without_light"] = dark
    if lost > MOST_TOO_THICK:
        why = f"{percent(lost)} of the sample is too thick"
        notes.stop(why, "take a part half as thick or less")
    elif lost > SOME_TOO_THICK:
        notes.care(f"{percent(lost)} of the sample is too thick to be believed at its peaks")
    elif mild > MOST_THICK:
        notes.care(f"{percent(mild)} of the sample is thick: stray light lowers its peaks")


def spectrum(
    notes: Notes, energy: np.ndarray, mean: np.ndarray, library: Library | None
) -> float | None:
    """The mean spectrum as a sum of standards with one energy shift; its thickness in nm, where the
    library knows densities.
    """
    if library is None:
        notes.tell("spectrum", f"no library covers {energy[0]:.0f} to {energy[-1]:.0f} eV")
        return None
    notes.facts.update(library=library.id, synthetic_standards=library.synthetic)
    covered = library.covers(energy)
    if not covered.any():
        low, high = library.energy_range
        notes.tell("spectrum", f"not compared: {library.id} covers {low:.0f} to {high:.0f} eV")
        notes.care(f"{library.id} is a library of another edge")
        return None
    covered &= np.isfinite(mean)
    if not covered.any():
        notes.tell("spectrum", "no sample to compare with the library")
        return None
    groups = xr.Dataset(
        {"spectrum": (("cluster", "energy"), mean[None, covered])},
        coords={"cluster": [0], "energy": energy[covered]},
    )
    found = match(groups, library, max_standards=MOST_STANDARDS).isel(cluster=0)
    shift, sd = float(found.attrs["energy_shift_eV"]), float(found.attrs["energy_shift_sd_eV"])
    names, r = str(found["candidate"].values[0]), float(found["r_factor"])
    composition = float(found["composition"])
    notes.tell(
        "spectrum",
        f"best: {names}{' (synthetic)' if library.synthetic else ''}, {library.variable} "
        f"{composition:.2f}, shift {shift:+.2f} ± {max(sd, FINEST_EV):.2f} eV, R {r:.2g}",
    )
    notes.facts.update(best_standards=names, r_factor=r)
    notes.facts.update(composition=composition, composition_variable=library.variable)
    notes.facts.update(energy_shift_eV=shift, energy_shift_sd_eV=sd)
    if r > LARGEST_R:
        notes.care(f"the library does not describe the mean spectrum (R {r:.2g})")
    elif abs(shift) > max(SHIFT_EV, 3 * sd):
        notes.care(f"the energy axis is {shift:+.2f} eV off the library's: calibrate it")
    weights = found["weight"].values
    if not library.mass_scale:
        return None
    # areal mass (g/cm2) over density (g/cm3), in nm; standards that take no part need no density
    return float(sum(1e7 * t / rho for t, rho in zip(weights, library.density, strict=True) if t))


def thickness(
    notes: Notes,
    energy: np.ndarray,
    mean: np.ndarray,
    where: xr.DataArray,
    edge: Edge | None,
    nm: float | None,
) -> None:
    """How much sample there is: its share of the field, the jump over the edge, nm.

    Without a library's edge the first and the last tenth of the energies count as before and
    behind.
    """
    share = float(where.values.mean())
    notes.facts["sample_share"] = share
    if not np.isfinite(mean).any():
        notes.tell("thickness", "no sample stands out of the background")
        notes.stop("there is no sample in the field", "move to one")
        return
    average = float(np.nanmean(mean))
    text = f"sample in {percent(share)} of the field, mean OD {average:.2f}"
    notes.facts["mean_od"] = average
    if energy.size > 1:
        if edge is None or not (edge.before.any() and edge.behind.any()):
            few, number = max(energy.size // 10, 1), np.arange(energy.size)
            edge = Edge(number < few, number >= energy.size - few)
        before = float(np.nanmean(mean[edge.before]))
        jump, peak = float(np.nanmean(mean[edge.behind])) - before, float(np.nanmax(mean)) - before
        text += f", edge jump {jump:.3g}, peak {peak:.3g}"
        notes.facts.update(edge_jump_od=jump, peak_od=peak)
        if jump <= 0:
            notes.care("the absorption does not rise across the edge: look at I0 and the energies")
        if peak < FAINT_OD:
            notes.care("the edge hardly shows: is this the right element, and enough of it?")
    if nm is not None and np.isfinite(nm):
        text += f", about {nm:.2g} nm on average"
        notes.facts["mean_thickness_nm"] = nm
    notes.tell("thickness", text)


def damage(
    notes: Notes,
    od: xr.Dataset,
    later: xr.Dataset | None,
    where: xr.DataArray,
    library: Library | None,
) -> None:
    """Whether the spectrum changed during the scan, or until `later`, and the dose."""
    if library is None:
        notes.tell("damage", "not judged: it takes a library to see the spectrum change")
        return
    from chemoscape.preprocess.damage import dose_map, radiation_damage

    found = radiation_damage(od, library, later=later)
    notes.tell("damage", found.sentence.rstrip("."), damage_dx=found.dx, damage_sd=found.sd)
    if found.significant:
        notes.stop("the beam changes the sample", "lower the dose: defocus, or dwell less")
    with suppress(ChemoscapeError):  # its dwell or flux is not known: the sentence stands alone
        dose = float(dose_map(od, library).where(where).median())
        if np.isfinite(dose):
            told = notes.lines["damage"]
            notes.tell("damage", f"{told}; dose about {dose:.3g} MGy", dose_MGy=dose)
