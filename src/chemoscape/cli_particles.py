"""The command line's `particles`: find and measure them, train the network, compare methods."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from chemoscape.console import answer, progress_bar, warnings_in_a_line
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning

if TYPE_CHECKING:
    import xarray as xr

particles_app = App(name="particles", help="Find particles in a map and measure them.")


@particles_app.command(name="segment")
def segment_map(
    source: Path,
    /,
    *,
    map: str | None = None,
    pixel_um: float | None = None,
    fwhm_um: float = 0.08,
    method: Literal["auto", "maskrcnn", "classical"] = "auto",
    model: Path | None = None,
    threshold: float | None = None,
    optical_density: bool = False,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Find the particles of a map: particles.csv, their masks, and outlines over the map.

    Examples:
    chemoscape particles segment wire-results
    chemoscape particles segment wire-results --map alpha-V2O5 --method classical
    chemoscape particles segment stxm.png --pixel-um 0.04

    Parameters
    ----------
    source
        Results of a run (the folder, or its results.h5), or a picture (PNG, TIFF, JPEG).
    map
        Of results: the standard whose weight is the map; default: the sum of all.
    pixel_um
        Side of a picture's pixel, µm.
    fwhm_um
        Resolution of the microscope, µm; the classical method uses it.
    method
        The trained network (maskrcnn), or skeletons and watersheds (classical); auto takes the
        network where onnxruntime is installed.
    model
        Folder of a network of your own, exported by chemoscape particles train.
    threshold
        Least score to keep, 0 to 1; default: the method's own.
    optical_density
        The picture is brighter where there is more material, though most of it is covered.
    output
        Folder for the answer; default: the source's name with -particles.
    overwrite
        Replace an earlier answer.
    json
        Print the numbers as JSON.
    """
    import warnings
    from json import dumps

    from chemoscape.particles.segmentation import segment
    from chemoscape.particles.sources import open_map
    from chemoscape.particles.table import write_csv
    from chemoscape.report.panels import save_figure
    from chemoscape.report.particles import overlay_figure
    from chemoscape.results import none_if_not_finite, results_folder

    folder = output or Path(f"{source.resolve().stem}-particles")
    image = open_map(source, map, pixel_um)
    if optical_density:
        image = image.assign_attrs(quantity="optical_density")
    with (
        warnings_in_a_line(),
        progress_bar(source.name) as progress,
        results_folder(folder, overwrite=overwrite) as staging,
    ):
        progress("finding particles")
        table = segment(image, method, fwhm_um=fwhm_um, threshold=threshold, model=model)
        facts = _facts(table)
        if not facts["n_particles"]:
            warnings.warn(
                f"no particle reaches a score of {facts['threshold']:g}: the methods look for "
                "wires; try the other --method or a lower --threshold, and check the pixel size",
                ChemoscapeWarning,
                stacklevel=1,
            )
        write_csv(table, staging / "particles.csv")
        table.to_netcdf(staging / "particles.h5", engine="h5netcdf")
        save_figure(overlay_figure(image, {table.attrs["method"]: table}), staging / "overlay.png")
        text = dumps(none_if_not_finite(facts), indent=2, ensure_ascii=False, allow_nan=False)
        (staging / "summary.json").write_text(text + "\n", encoding="utf-8")
    answer(facts, _in_lines(facts), json)
    print(f"written to {folder}: look at {folder / 'overlay.png'}", file=sys.stderr)
    return 0


def _facts(table: xr.Dataset) -> dict[str, Any]:
    """The numbers that are said first."""
    medians = {
        name: float(table[name].median()) if table.sizes["particle"] else float("nan")
        for name in ("area_raw", "length", "width")
    }
    return {
        "n_particles": table.sizes["particle"],
        "n_at_the_border": int(table["border"].sum()),
        "median_area_um2": medians["area_raw"],
        "median_length_um": medians["length"],
        "median_width_um": medians["width"],
        **{
            name: table.attrs[name]
            for name in ("method", "method_reason", "model", "threshold", "missing_share")
        },
    }


def _in_lines(facts: dict[str, Any]) -> str:
    """The same for a person."""
    version = f" ({facts['model']})" if facts["model"] else ""
    lines = [
        f"particles   {facts['n_particles']}, {facts['n_at_the_border']} of them cut by the border",
        f"method      {facts['method']}{version}, score {facts['threshold']:g} and more: "
        f"{facts['method_reason']}",
    ]
    if facts["n_particles"]:
        lines.append(
            f"median      area {facts['median_area_um2']:.3g} µm² (of the masks: blur makes thin "
            f"wires wider), length {facts['median_length_um']:.3g} µm, width "
            f"{facts['median_width_um']:.3g} µm"
        )
    return "\n".join(lines)


@particles_app.command
def train(
    folder: Path,
    /,
    *,
    images: int = 400_000,
    seed: int = 0,
    batch: int = 32,
    minutes: float | None = None,
    workers: int = 2,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Train the network on synthetic ensembles, or go on with a run that was stopped.

    Needs the extra: pip install 'chemoscape[train]'. A data-centre GPU fed by 14 processes learns
    from 470 images a second, two processor cores from 1.6. The state is saved every ten minutes;
    each validation adds a line to FOLDER/curves.csv; at the end the network is in FOLDER/model, for
    chemoscape particles segment --model FOLDER/model.

    Example: chemoscape particles train my-network --images 600000 --workers 14 --batch 48

    Parameters
    ----------
    folder
        Where the run is kept, and resumed from.
    images
        Synthetic images to learn from, none seen twice.
    seed
        Of the images and of the network's first state.
    batch
        Images of one step.
    minutes
        Stop after that long; the same command goes on later.
    workers
        Processes that make images.
    device
        Where to compute; auto takes a GPU if there is one.
    """
    from chemoscape.particles.maskrcnn import require_torch

    require_torch()
    from chemoscape.particles.maskrcnn.export import export
    from chemoscape.particles.maskrcnn.training import Plan
    from chemoscape.particles.maskrcnn.training import train as learn

    plan = Plan(
        images=images,
        batch=batch,
        seed=seed,
        validate_every=max(batch, images // 20),
        n_validation=max(batch, min(512, images // 40)),
    )

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        network = learn(folder, plan, minutes=minutes, workers=workers, device=device, progress=say)
    except KeyboardInterrupt:
        say("chemoscape: interrupted; the same command goes on from what was saved last.")
        return 130
    if network is None:
        say(f"stopped after {minutes:g} minutes; the same command goes on")
        return 0
    export(network, folder / "model", {"version": f"{folder.name}-{seed}", "threshold": 0.6})
    print(f"network written to {folder / 'model'}")
    return 0


@particles_app.command
def evaluate(
    *,
    method: Annotated[
        list[Literal["maskrcnn", "classical"]] | None, Parameter(consume_multiple=True)
    ] = None,
    model: Path | None = None,
    images: int = 20,
    threshold: float | None = None,
    csv: Path | None = None,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Compare methods on synthetic images that no network was trained on.

    Average precision (AP, at an overlap of half AP50), panoptic quality (PQ), errors of area, and
    recall, at 40 and 80 nm pixels, at low counts, and in crowds.

    Example: chemoscape particles evaluate --images 100 --figure recall.png

    Parameters
    ----------
    method
        Which to compare; default: both.
    model
        Folder of a network of your own; default: the one that comes with the program.
    images
        Images of each condition.
    threshold
        Least score that counts as found, for PQ, precision and recall; default: each method's own.
    csv
        File for the table.
    figure
        File for recall against size (PNG or PDF).
    json
        Print as JSON.
    """
    from chemoscape.particles import evaluation
    from chemoscape.particles.segmentation import finder, require_score

    if images < 1:
        raise ChemoscapeError(f"--images {images} leaves nothing to evaluate", "", "give 1 or more")
    if threshold is not None:
        require_score(threshold)
    if model is not None and method is not None and "maskrcnn" not in method:
        raise ChemoscapeError("the classical method has no network", "", "leave --model out")
    for file in (csv, figure):
        if file is not None and not file.absolute().parent.is_dir():
            raise ChemoscapeError("there is no such folder", str(file), "make it first")
    if figure is not None and figure.suffix.lower() not in (".png", ".pdf"):
        raise ChemoscapeError("a figure is a PNG or a PDF", str(figure), "name it so")
    results: dict[str, evaluation.Evaluation] = {}
    with warnings_in_a_line(), progress_bar("evaluate") as progress:
        for name in method or ("maskrcnn", "classical"):
            find, own = finder(name, model if name == "maskrcnn" else None)
            least = own if threshold is None else threshold
            results[name] = evaluation.evaluate(
                find, n_images=images, threshold=least, progress=progress
            )
    if csv is not None:
        evaluation.to_csv(results, csv)
    if figure is not None:
        from chemoscape.report.panels import save_figure
        from chemoscape.report.particles import recall_figure

        save_figure(recall_figure(results), figure)
    answer(evaluation.to_dict(results), evaluation.table(results), json)
    return 0
