"""Every figure that a tree of results can give."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from chemoscape.electrochemistry.beside import diagram_of
from chemoscape.errors import FitError
from chemoscape.particles.contacts import neighbours_alike
from chemoscape.particles.findings import EnsembleStatistics
from chemoscape.particles.recall import recall_of
from chemoscape.report import figures
from chemoscape.report.composites import composite_figure, picture_beside_map_figure
from chemoscape.report.cycling import beside_figure
from chemoscape.report.ensembles import composition_figure, sizes_figure
from chemoscape.report.few import bounds_figure, images_figure, ratios_figure
from chemoscape.report.matches import regions_figure
from chemoscape.report.particles import overlay_figure
from chemoscape.report.parts import parts_figure
from chemoscape.report.scores import dendrogram_figure, scores_figure, target_tests_figure
from chemoscape.report.touching import contacts_figure
from chemoscape.report.two_resolutions import two_resolutions_figure
from chemoscape.report.words import synthetic_note


def run_figures(
    tree: xr.DataTree,
    *,
    od: xr.Dataset | None = None,
    truth: Any = None,
    ensemble: EnsembleStatistics | None = None,
) -> dict[str, Figure]:
    """Draw all figures of a run under the names of `captions.CAPTIONS`.

    Parameters
    ----------
    tree : xarray.DataTree
        Results, fresh or opened; a figure is left out where its node is missing.
    od : Dataset of `optical_density`, optional
        Needed for the figures "absorbance" and "background", since results keep no optical density
        unless asked to.
    truth : Truth or DataArray (y, x), optional
        What a simulated stack was made from, for the figure "truth".
    ensemble : EnsembleStatistics, optional
        Of the particles, for the figures "sizes" and "size-and-composition".

    Returns
    -------
    dict of name to matplotlib.figure.Figure
    """
    node = {one.path: one.to_dataset() for one in tree.subtree if one.data_vars}
    spectra = node.get("/spectra", xr.Dataset())
    labels = _labels(spectra)
    note = synthetic_note(labels.values())
    od = node.get("/optical_density") if od is None else od
    routes = {name: node[f"/{name}"] for name in ("direct", "clustered") if f"/{name}" in node}
    few = node.get("/few_energies", xr.Dataset())
    weighed = [*routes.values(), *([few] if "weight" in few else [])]
    sample = next((maps["sample"] for maps in (*weighed, few) if "sample" in maps), None)

    drawn: dict[str, Figure] = {}
    if od is not None:
        where = od.get("sample", sample)
        drawn["absorbance"] = figures.transmission_and_optical_density(od, mask=where)
        drawn["background"] = figures.background_figure(od)
    if "/drift" in node:
        drawn["drift"] = figures.drift_figure(node["/drift"])
    if "weight" in spectra:
        drawn["fit"] = figures.fit_figure(spectra)
    for name, maps in routes.items():
        named = [labels.get(one, one) for one in maps["standard"].values.tolist()]
        drawn[f"weights-{name}"] = figures.weight_maps(maps, named, note=note)
        if "group_weight" in maps:
            drawn["groups"] = _groups(maps, note)
        if len(named) in (2, 3) and "composite" not in drawn:
            drawn["composite"] = composite_figure(maps, named, note=note)
    if "/clustered/components" in node:
        drawn["components"] = figures.components_figure(node["/clustered/components"])
    if "/clustered/clusters" in node:
        groups, table = node["/clustered/clusters"], node.get("/clustered/match")
        drawn["clusters"] = figures.clusters_figure(groups, table, note=note if table else "")
        drawn["scores"] = scores_figure(node["/clustered/components"], groups)
        if "/clustered/tree" in node:
            drawn["dendrogram"] = _tree_as_found(node["/clustered/tree"])
        elif groups.sizes["cluster"] > 2:
            drawn["dendrogram"] = dendrogram_figure(groups, table, note=note if table else "")
    if "/clustered/targets" in node:
        drawn["targets"] = target_tests_figure(node["/clustered/targets"], note=note)
    if "/regions" in node:
        drawn["regions"] = regions_figure(node["/regions"], note=note)
    if "/factorisation" in node:
        drawn["factorisation"] = _parts(node)
    if "/few_energies" in node:
        drawn |= _of_few_images(node, labels, note)
    if "/composition" in node:
        drawn["composition"] = figures.composition_figure(node["/composition"], note=note)
    fields = [one for path, one in node.items() if path in ("/stress/free", "/stress/fixed")]
    if fields:
        drawn["stress"] = figures.stress_figure(fields, note=note)
    if "/electrochemistry" in node:
        curve = node["/electrochemistry"]
        drawn["electrochemistry"] = beside_figure(curve, phases=diagram_of(curve))
    if "/particles" in node and "/composition" in node:
        drawn["particles"] = _outlined(node["/particles"], weighed[0])
    if "/particles/picture" in node:
        image = weighed[0]["weight"].sum("standard")
        drawn["picture"] = picture_beside_map_figure(
            node["/particles/picture"]["picture"], image, node["/particles"]
        )
    if "/particles/contacts" in node and node["/particles/contacts"].sizes["contact"]:
        drawn["contacts"] = _in_contact(node, weighed[0], note)
    if ensemble is not None:
        recall = recall_of(node["/particles"].attrs)
        drawn["sizes"] = sizes_figure(ensemble, recall=recall, note=note)
        drawn["size-and-composition"] = composition_figure(ensemble, note=note)
    if truth is not None and "/composition" in node:
        drawn["truth"] = figures.truth_figure(truth, node["/composition"], note=note)
    return drawn


def _of_few_images(
    node: dict[str, xr.Dataset], labels: dict[str, str], note: str
) -> dict[str, Figure]:
    """Images, ratios, and what was cut off at the bounding standards."""
    maps = node["/few_energies"]
    phase = node.get("/few_energies/phase")
    drawn = {"images": images_figure(maps, None if phase is None else phase["phase"])}
    if "/stxm" in node:
        drawn["resolutions"] = two_resolutions_figure(node["/stxm"])
    comp = node.get("/composition")
    if "ratio" in maps:
        variable = "" if comp is None else str(comp.attrs["variable"])
        drawn["ratios"] = ratios_figure(maps, variable, note=note)
    if comp is not None:
        drawn["bounds"] = bounds_figure(maps, comp, labels, note=note)
    return drawn


def _tree_as_found(tree: xr.Dataset) -> Figure:
    """The tree that the recipe cuts, with its line."""
    found = tree.rename(found_cluster="cluster", found_merge="merge")
    into, distance = tree.attrs.get("cut"), tree.attrs.get("cut_distance")
    return dendrogram_figure(
        found,
        into=None if into is None else int(into),
        distance=None if distance is None else float(distance),
    )


def _groups(maps: xr.Dataset, note: str) -> Figure:
    """Weights of groups of standards."""
    sums = xr.Dataset({"weight": maps["group_weight"].rename(group="standard")})
    return figures.weight_maps(sums, maps["group"].values.tolist(), note=note)


def _parts(node: dict[str, xr.Dataset]) -> Figure:
    """Parts of the factorisation, beside the clusters they were held to."""
    parts, groups = node["/factorisation"], node["/clustered/clusters"]
    return parts_figure(parts, groups if "distance" in parts else None)


def _outlined(table: xr.Dataset, maps: xr.Dataset) -> Figure:
    """Particles over the thickness, whichever map they were found in."""
    return overlay_figure(maps["weight"].sum("standard"), {str(table.attrs["method"]): table})


def _in_contact(node: dict[str, xr.Dataset], maps: xr.Dataset, note: str) -> Figure:
    """Particles that touch, and whether neighbours are more alike than chance has it."""
    table, touching = node["/particles"], node["/particles/contacts"]
    image = maps["weight"].sum("standard")
    try:
        test = neighbours_alike(table, touching)
    except FitError:  # too few contacts
        test = None
    return contacts_figure(table, touching, image, test=test, note=note)


def _labels(spectra: xr.Dataset) -> dict[str, str]:
    """Label of every standard by its id."""
    if "standard" not in spectra.coords:
        return {}
    names = spectra["standard"].values.tolist()
    shown = spectra["label"].values.tolist() if "label" in spectra.coords else names
    return dict(zip(names, shown, strict=True))
