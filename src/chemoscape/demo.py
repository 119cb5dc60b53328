"""The paper's validation on simulated stacks with known truth (Figures 3 and S8 to S12).

Two data sets: the core-shell particle with counting noise, and its twin with an energy axis off by
-0.4 eV and Gaussian noise of 1 % of the peak optical density. Both are written as files and
analysed by an ordinary run of both routes; then every result is put beside the truth.
"""

from __future__ import annotations

import json
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from chemoscape import results, simulate
from chemoscape.chemistry import composition
from chemoscape.decompose.direct import deconvolve
from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats import save_stack
from chemoscape.mechanics.boundaries import Boundary
from chemoscape.mechanics.fields import stress
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.products import Products
from chemoscape.recipe import Recipe, make_recipe
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library
from chemoscape.workflow import Progress, analyse, write

LIBRARY = "lixv2o5-model"
NOTICE = "The standards and the stacks are synthetic: a model of LixV2O5, not measured spectra."
#: The share of the thickest pixel above which a pixel's composition is compared with the truth.
COMPARED_THICKNESS = 0.25
#: Fine enough that the Gaussian filter of the composition map blurs few pixels across a boundary.
PARTICLE: dict[str, Any] = {"shape": (150, 200), "pixel_um": 0.024}
DATA_SETS: dict[str, dict[str, Any]] = {
    "clean": {"poisson": True, "photons": 20_000.0},
    "miscalibrated": {"od_noise": 0.01, "energy_shift_eV": -0.4},
}


def run_demo(
    output: str | Path, *, overwrite: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate, analyse and compare; write everything below `output`.

    Returns
    -------
    dict
        What ``summary.json`` holds: ``notice``, ``truth`` and ``runs`` per data set, ``seconds``.
    """
    start = time.perf_counter()
    output = Path(output)
    with results.emptied_folder(output, overwrite=overwrite):
        truths, runs = {}, {}
        for name, options in DATA_SETS.items():
            say = _prefixed(progress, name)
            truth = simulate.core_shell(**PARTICLE, **options)
            stack = output / f"{name}-stack.h5"
            save_stack(truth.stack, stack)
            outcome = analyse(
                demo_recipe(stack, name), truth=partial(compare, truth, name), progress=say
            )
            write(outcome, output / name, truth=truth, progress=say)
            runs[name] = outcome.summary.model_dump(mode="json")
            truths[name] = runs[name].pop("truth")
        summary = {
            "schema_version": 1,
            "notice": NOTICE,
            "truth": truths,
            "runs": runs,
            "seconds": round(time.perf_counter() - start, 1),
        }
        (output / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    return summary


def demo_recipe(stack: Path, name: str) -> Recipe:
    """Both routes, the standards that the clusters are made of, stress with illustrative values."""
    return make_recipe(
        {
            "input": {"path": str(stack.resolve())},
            "standards": {"library": LIBRARY, "select": "matched"},
            "deconvolution": {"route": "both", "weights": NOISE_WEIGHTS[name]},
            "stress": {
                "enabled": True,
                "material": {
                    key: getattr(LIXV2O5_ILLUSTRATIVE, key)
                    for key in (
                        "young_GPa",
                        "poisson",
                        "eigenstrain",
                        "reference",
                        "source",
                        "status",
                    )
                },
            },
            "report": {"title": f"Core-shell particle, {name} (simulated)"},
        }
    )


#: The twin's noise is the same at every optical density, which no counting detector does.
NOISE_WEIGHTS: dict[str, Literal["variance", "uniform"]] = {
    "clean": "variance",
    "miscalibrated": "uniform",
}


def compare(
    truth: simulate.Truth, name: str, done: Products, summary: results.RunSummary
) -> dict[str, Any]:
    """Truth beside result: composition, energy shift, rank, clusters, stress."""
    od, matched, groups, table = done.od, done.library, done.clusters, done.match
    assert od is not None and matched is not None  # noqa: S101, PT018 - the demo's own recipe
    assert groups is not None and table is not None  # noqa: S101, PT018
    assert done.direct is not None and done.clustered is not None  # noqa: S101, PT018
    assert done.cluster_library is not None  # noqa: S101
    library = open_library(LIBRARY)
    weights = NOISE_WEIGHTS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChemoscapeWarning)
        fixed = deconvolve(od, library, energy_shift=0.0, weights=weights)
        six = deconvolve(od, library, weights=weights)
    routes = {
        "direct, all six standards": (six, library),
        "direct, matched standards": (done.direct, matched),
        "clustered": (done.clustered, done.cluster_library),
        "direct, calibration held at zero": (fixed, library),
    }
    true_shift = truth.energy_shift_eV
    rows = {route: _row(truth, maps, standards) for route, (maps, standards) in routes.items()}
    for route in ("direct, all six standards", "direct, calibration held at zero"):
        rows[route]["cramer_rao"] = _rms(_bound(truth, library), truth)
    rows["direct, matched standards"]["cramer_rao"] = _rms(_bound(truth, matched), truth)
    smooth = done.compositions["direct"]
    step = int(smooth.attrs["refine"])
    rows["composition map as delivered (smoothed)"] = {
        "rms": _rms(
            smooth["composition"].isel(y=slice(None, None, step), x=slice(None, None, step)).values
            - truth.composition.values,
            truth,
        )
    }
    calibration = [str(one.message) for one in caught if "energy calibration" in str(one.message)]
    return {
        "composition": rows,
        "energy_shift_eV": {
            "truth": true_shift,
            "direct": six.attrs["energy_shift_eV"],
            "sd": six.attrs["energy_shift_sd_eV"],
            "clustered": float(table.attrs["energy_shift_eV"]),
        },
        "rank": {"truth": 2, **(summary.rank.model_dump() if summary.rank else {})},
        "clusters": {
            "truth": 3,
            "found": int(groups.sizes["cluster"]),
            "rightly_assigned": _rightly_assigned(truth, groups["label"].values),
        },
        "stress": _compare_stress(truth, summary),
        "fixed_calibration": {
            "valid": not calibration,
            "says": calibration[0] if calibration else "",
        },
    }


def table(summary: dict[str, Any]) -> str:
    """Truth beside result, for a person."""
    lines = [summary["notice"], ""]
    for name, found in summary["truth"].items():
        shift = found["energy_shift_eV"]
        rank, groups = found["rank"], found["clusters"]
        lines += [
            f"{name}",
            f"  {'composition x, error over t >= t_max/4':<44}{'rms':>8}{'bound':>9}",
        ]
        for route, row in found["composition"].items():
            bound = f"{row['cramer_rao']:9.4f}" if "cramer_rao" in row else ""
            lines.append(f"    {route:<42}{row['rms']:8.4f}{bound}")
        lines += [
            f"  energy shift (eV): truth {shift['truth']:+.3f}, direct {shift['direct']:+.4f} ± "
            f"{shift['sd']:.4f}, clustered {shift['clustered']:+.4f}",
            f"  rank: truth {rank['truth']}, Marchenko-Pastur {rank['mp']}, IND {rank['ind']}, "
            f"split halves {rank['cv']}, 99.9 % of variance {rank['cumulative']}",
            f"  clusters: truth {groups['truth']}, found {groups['found']}, "
            f"{100 * groups['rightly_assigned']:.1f} % of pixels rightly assigned",
        ]
        lines.append(
            f"  {'von Mises stress (MPa), illustrative material':<44}{'truth':>8}{'result':>9}"
        )
        for boundary, row in found["stress"].items():
            lines.append(
                f"    {boundary + ', mean':<42}{row['truth_mean_MPa']:8.1f}{row['mean_MPa']:9.1f}"
            )
            lines.append(
                f"    {boundary + ', 99th percentile':<42}{row['truth_p99_MPa']:8.1f}"
                f"{row['p99_MPa']:9.1f}"
            )
        fixed = found["fixed_calibration"]
        held = found["composition"]["direct, calibration held at zero"]["rms"]
        fitted = found["composition"]["direct, all six standards"]["rms"]
        if not fixed["valid"]:
            lines.append(
                "  NOT VALID: the direct route with the calibration held at zero (rms error "
                f"{held:.3f}).\n  Fitting the shift repairs it (rms error {fitted:.3f}). "
                "The program says:"
            )
            lines.append(f"    {fixed['says']}")
        lines.append("")
    lines.append(f"bound: Cramér-Rao, per pixel, shift known. {summary['seconds']:.0f} s in all.")
    return "\n".join(lines)


def _row(truth: simulate.Truth, maps: xr.Dataset, library: Library) -> dict[str, float]:
    """Error of the composition per pixel, nothing smoothed."""
    comp = composition(maps, library)
    error = comp["composition"].values - truth.composition.values
    return {"rms": _rms(error, truth), "bias": float(np.nanmean(error[_compared(truth)]))}


def _compared(truth: simulate.Truth) -> np.ndarray:
    return (truth.thickness >= COMPARED_THICKNESS).values


def _rms(error: np.ndarray, truth: simulate.Truth) -> float:
    """Root mean square over the pixels compared; a pixel without a value counts as infinite."""
    inside = np.where(np.isfinite(error), error, np.inf)[_compared(truth)]
    return float(np.sqrt((inside**2).mean()))


def _bound(truth: simulate.Truth, library: Library) -> np.ndarray:
    return simulate.cramer_rao_composition_sd(truth, library).values


def _rightly_assigned(truth: simulate.Truth, label: np.ndarray) -> float:
    """Share of clustered pixels whose cluster is mostly of their own kind."""
    both = (label >= 0) & (truth.labels.values >= 0)
    found, real = label[both], truth.labels.values[both]
    return float(sum(np.bincount(real[found == k]).max() for k in np.unique(found)) / both.sum())


def _compare_stress(truth: simulate.Truth, summary: results.RunSummary) -> dict[str, Any]:
    """Stress of the true composition map, sharp as it is, beside that of the result."""
    mask = truth.thickness >= 0.1
    sharp = xr.Dataset(
        {
            "composition": truth.composition.where(mask),
            "thickness": truth.thickness,
            "mask": mask,
        },
        attrs={"variable": truth.library.variable},
    )
    both: tuple[Boundary, ...] = ("free", "fixed")
    boundaries: list[Boundary] = [one for one in both if one in summary.stress]
    fields = stress(sharp, LIXV2O5_ILLUSTRATIVE, boundary=boundaries)
    rows: dict[str, Any] = {}
    for one in fields:
        name = one.boundary
        true, found = one.von_mises_summary(), summary.stress[name]
        rows[name] = {
            "truth_mean_MPa": true["von_mises_mean_MPa"],
            "mean_MPa": found.von_mises_mean_MPa,
            "truth_p99_MPa": true["von_mises_p99_MPa"],
            "p99_MPa": found.von_mises_p99_MPa,
        }
    return rows


def _prefixed(progress: Progress | None, name: str) -> Progress:
    """Say which data set a step belongs to."""
    return lambda step: progress(f"{name}: {step}") if progress is not None else None
