"""Clusters before a run: their tree, what hand work makes of them, and gestures as recipe edits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import leaves_list

from chemoscape.app.answers import hand_work
from chemoscape.app.answers.hand_work import Found, HandWork, Steps, found_clusters, steps_of
from chemoscape.app.pictures import Picture
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.errors import ResultsError

if TYPE_CHECKING:
    from chemoscape.app.asking import Asked
    from chemoscape.app.session import Session

#: Keys of ``[clusters]`` whose effect is not known before a run.
NEED_A_RUN = ("enabled", "n_clusters", "n_components", "centred")


def tree(session: Session, asked: Asked) -> dict[str, Any]:
    """The dendrogram of the clusters as they were found, and how the hand work divides it.

    ``left``, ``right``, ``height``, ``size`` of each join, in scipy's numbering: 0 to n - 1 are the
    leaves, n the first join. Heights are Ward's distances between the mean spectral shapes of
    clusters, each of unit length: no unit.
    """
    found = found_clusters(session)
    joins = found.linkage
    n = found.number
    members: list[list[int]] = [[leaf] for leaf in range(n)]
    for left, right in joins[:, :2].astype(int):
        members.append(members[left] + members[right])
    pixels = np.bincount(found.label[found.label >= 0], minlength=n)
    work = HandWork.of(session, asked)
    return {
        "n": n,
        "order": leaves_list(joins) if n > 1 else [0],
        "left": joins[:, 0].astype(int),
        "right": joins[:, 1].astype(int),
        "height": joins[:, 2],
        "size": [int(pixels[one].sum()) for one in members],
        "members": members,
        "top": found.top,
        "unit": "1",
        "distance": "Ward distance between spectral shapes of unit length",
        "cuts": [{"into": into, "height": found.height_of(into)} for into in range(1, n + 1)],
        **_cut(found, work),
    }


def _cut(found: Found, work: HandWork) -> dict[str, Any]:
    """Where the tree is cut."""
    if work.cut_distance is not None:
        into = found.number - int((found.linkage[:, 2] <= work.cut_distance).sum())
        return {"cut": into, "cut_height": work.cut_distance}
    into = found.number if work.cut is None else min(work.cut, found.number)
    return {"cut": into, "cut_height": found.height_of(into)}


def preview(session: Session, asked: Asked) -> Picture:
    """Clusters (y, x) that a run would make of the hand work asked for, or that of the recipe.

    The header has their ``sizes``, the ``parts`` they are made of (with leaves of the tree and the
    cluster after the cut), whether the last run has made the same, and in ``waiting`` the changed
    keys of ``[clusters]`` whose effect only a run can show.
    """
    found, work = found_clusters(session), HandWork.of(session, asked)
    steps = steps_of(session, work)
    now = session.node("/clustered/clusters")
    sizes = np.bincount(steps.merged[steps.merged >= 0])
    return Picture(
        np.where(steps.merged < 0, np.nan, steps.merged).astype(np.float32).reshape(found.shape),
        now["x"].values,
        now["y"].values,
        name="cluster",
        unit="1",
        kind="labels",
        extra={
            "n": len(sizes),
            "sizes": sizes,
            "parts": _parts(steps),
            "as_run": bool((steps.merged == now["label"].values.ravel()).all()),
            "waiting": _waiting(session),
            "work": work.as_recipe(),
            **_cut(found, work),
        },
    )


def _parts(steps: Steps) -> list[dict[str, Any]]:
    """The clusters after the splits: of which leaves each is, its cluster after the cut, and its
    cluster after the merges.
    """
    leaves = hand_work.origins(steps.found, steps.cut) > 0
    parents = hand_work.origins(steps.cut, steps.split) > 0
    finals = hand_work.origins(steps.split, steps.merged)
    return [
        {
            "part": part,
            "of": int(parent),
            "leaves": np.flatnonzero(leaves[:, parent]),
            "cluster": int(finals[part].argmax()),
            "n": int(finals[part].sum()),
        }
        for part, parent in enumerate(parents.argmax(axis=0))
    ]


def _waiting(session: Session) -> list[str]:
    """Keys of the recipe that say other than when the results were made."""
    now, then = session.recipe, session.run_recipe()
    keys = [key for key in NEED_A_RUN if getattr(now.clusters, key) != getattr(then.clusters, key)]
    return keys + (["seed"] if now.seed != then.seed else [])


def spectra(session: Session, asked: Asked) -> dict[str, Any]:
    """Mean spectra ± standard error of the clusters that a run would make of the hand work.

    Those of the last run where their pixels are the same; others are averaged anew.
    """
    work = HandWork.of(session, asked)
    answer: dict[str, Any] = session.remembered(
        ("explore/spectra", work), lambda: _spectra(session, steps_of(session, work).merged)
    )
    return answer


def _spectra(session: Session, labels: np.ndarray) -> dict[str, Any]:
    now = session.node("/clustered/clusters")
    before = now["label"].values.ravel().astype(int)
    moved = hand_work.origins(before, labels)
    sizes = moved.sum(axis=0)
    known = np.nan_to_num(now["spectrum"].values)
    spectrum = moved.T @ known / sizes[:, None]  # exact where whole clusters were joined
    error = np.full(spectrum.shape, np.nan)
    same = (moved == sizes) & (moved.sum(axis=1)[:, None] == sizes)
    for old, new in np.argwhere(same):
        spectrum[new], error[new] = now["spectrum"].values[old], now["spectrum_se"].values[old]
    new = np.flatnonzero(~same.any(axis=0))
    note = ""
    if new.size:
        try:
            spectrum[new], error[new] = _averaged(session, now, labels, new, spectrum[new])
        except ResultsError as problem:  # the stack is not there: what is known is shown
            note = f"without standard errors: {problem}"
            whole = ((moved > 0).sum(axis=1) == 1) | ~(moved[:, new] > 0).any(axis=1)
            if not whole.all():
                raise
    return {
        "energy": now["energy"].values,
        "spectrum": spectrum,
        "spectrum_se": error,
        "n": sizes,
        "note": note,
    }


def _averaged(
    session: Session, now: xr.Dataset, labels: np.ndarray, wanted: np.ndarray, like: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean spectra and errors of some of the clusters, from the optical density."""
    density = session.density()["optical_density"]
    number = np.full(labels.max() + 2, -1)  # the last: not clustered
    number[wanted] = np.arange(wanted.size)
    image = xr.DataArray(
        number[labels].reshape(now["label"].shape), {"y": now["y"], "x": now["x"]}, ("y", "x")
    )
    own = on_grid_of(density, image)
    flat = density.values.reshape(density.sizes["energy"], -1)
    return mean_spectra(flat, own.ravel(), wanted.size, like=like)


def on_grid_of(density: xr.DataArray, image: xr.DataArray) -> np.ndarray:
    """A map (y, x) on the pixels of a density that may have every n-th only."""
    if image.shape == density.shape[1:]:
        return image.values
    return image.sel(y=density["y"], x=density["x"], method="nearest").values


def sample_mean(session: Session) -> np.ndarray:
    """Mean spectrum of the sample: it tells how thick a pixel is."""
    return np.nan_to_num(session.node("/clustered/components")["sample_mean"].values)


def gesture(session: Session, asked: Asked) -> dict[str, Any]:
    """What a gesture on the clusters shown changes in the recipe, and a line that says so.

    ``do`` is "cut" (``into`` or ``distance``), "merge" (``clusters``, as numbered after all hand
    work), "split" (``cluster``, ``into``) or "undo all".
    """
    before = HandWork.of(session, asked)
    do = asked.text("do", "cut", "merge", "split", "undo all")
    if do == "undo all":
        after, said = HandWork(), "Clusters as they were found."
    elif do == "cut":
        after, said = _new_cut(session, before, asked)
    elif do == "merge":
        clusters = asked.items("clusters", at_most=50)
        after = hand_work.merge(session, before, clusters)
        said = f"Clusters {' and '.join(map(str, sorted(clusters)))} are one."
    else:
        cluster, into = asked.whole("cluster", 0, 1000), asked.whole("into", 2, 20, default=2)
        after = hand_work.split(session, before, cluster, into)
        said = f"Cluster {cluster} is split into {into}."
        if len(after.split) == len(before.split) and after.split == before.split:
            said = f"Cluster {cluster} is taken apart again."
        elif {c for c, _ in after.split} == {c for c, _ in before.split}:
            said = f"The split that made cluster {cluster} is finer by {into - 1}, all of it anew."
    return {"changes": before.changes_to(after), "said": said}


def _new_cut(session: Session, before: HandWork, asked: Asked) -> tuple[HandWork, str]:
    """Another cut; splits and merges name clusters of the old one and go."""
    found = found_clusters(session)
    if asked.has("distance"):
        after = HandWork(cut_distance=asked.number("distance", 1e-9, 1e9))
        said = f"Clusters nearer than {after.cut_distance:.3g} are joined."
    else:
        into = asked.whole("into", 1, found.number)
        after = HandWork(cut=None if into == found.number else into)
        said = f"The tree is cut into {into}." if after.cut else "The tree is not cut."
    same = replace(before, split=(), merge=()) == after
    if before == after or same:
        return before, ""
    gone = bool(before.split or before.merge)
    return after, said + (" Splits and merges of the cut before are gone." if gone else "")


ANSWERS = {
    "explore/tree": tree,
    "explore/preview": preview,
    "explore/spectra": spectra,
    "explore/gesture": gesture,
}
