"""Clusters as the recipe's hand work (cut, then split, then merge) makes them of those found.

What a run would make of these values is known without one: the clusters as they were found, their
tree and what k-means saw are in the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chemoscape.decompose.factors.relabel import (
    by_falling_size,
    cut_labels,
    merged_labels,
    split_labels,
)
from chemoscape.errors import ChemoscapeError

if TYPE_CHECKING:
    from chemoscape.app.asking import Asked
    from chemoscape.app.session import Session

#: The recipe splits a cluster into no more parts.
MOST_PARTS = 20


@dataclass(frozen=True)
class HandWork:
    """The recipe's ``[clusters] cut, cut_distance, split, merge``; a split is (cluster, into)."""

    cut: int | None = None
    cut_distance: float | None = None
    split: tuple[tuple[int, int], ...] = ()
    merge: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, session: Session, asked: Asked) -> HandWork:
        """What the question says, or the recipe where it says nothing of hand work."""
        if not any(asked.has(name) for name in ("cut", "cut_distance", "split", "merge")):
            section = session.recipe.clusters
            return cls(
                section.cut,
                section.cut_distance,
                tuple((one.cluster, one.into) for one in section.split),
                tuple(map(tuple, section.merge)),
            )
        try:
            split = tuple(
                (_number(one["cluster"]), _number(one.get("into", 2)))
                for one in asked.items("split", default=[])
            )
            merge = tuple(tuple(map(_number, one)) for one in asked.items("merge", default=[]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ChemoscapeError(
                "split or merge is not as a recipe has it",
                remedy="give [{cluster = 1, into = 2}], [[0, 3]]",
            ) from None
        return cls(
            asked.whole("cut", 1, 50, default=None),
            asked.number("cut_distance", 0, default=None),
            split,
            merge,
        )

    def changes_to(self, after: HandWork) -> dict[str, Any]:
        """The edits of the recipe that make `after` of it; None takes a key away."""
        one, other = self.as_recipe(), after.as_recipe()
        return {f"clusters.{key}": other[key] for key in one if one[key] != other[key]}

    def as_recipe(self) -> dict[str, Any]:
        """Its keys of ``[clusters]``; None where there is nothing to say."""
        return {
            "cut": self.cut,
            "cut_distance": self.cut_distance,
            "split": [{"cluster": c, "into": n} for c, n in self.split] or None,
            "merge": [list(group) for group in self.merge] or None,
        }


@dataclass(frozen=True)
class Found:
    """Clusters as found: ``label`` (n_pixels,), ``linkage``, ``feature`` (axis, n_pixels)."""

    label: np.ndarray
    linkage: np.ndarray
    feature: np.ndarray
    seed: int
    shape: tuple[int, int]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.linkage) + 1

    def height_of(self, into: int) -> float:
        """A height of the tree, halfway between two joins, that leaves `into` clusters."""
        joins = np.concatenate([[0.0], self.linkage[:, 2], [1.1 * self.top]])
        return float(joins[self.number - into] + joins[self.number - into + 1]) / 2

    @property
    def top(self) -> float:
        """The highest join; 1 for a single cluster."""
        return float(self.linkage[:, 2].max()) if len(self.linkage) else 1.0


@dataclass(frozen=True)
class Steps:
    """Labels (n_pixels,) of the clusters after each step, -1 where not clustered."""

    found: np.ndarray
    cut: np.ndarray
    split: np.ndarray
    merged: np.ndarray


def found_clusters(session: Session) -> Found:
    """Clusters before hand work, as the last run found them."""

    def make() -> Found:
        now = session.node("/clustered/clusters")
        changed = session.has("/clustered/tree")
        first = session.node("/clustered/tree") if changed else now
        shape = first["label"].shape
        feature = now["feature"].values  # hand work leaves what k-means saw as it is
        return Found(
            first["label"].values.ravel(),
            first["linkage"].values.reshape(-1, 4),
            feature.reshape(len(feature), -1),
            int(now.attrs["seed"]),
            (int(shape[0]), int(shape[1])),
        )

    return session.remembered(("explore/found",), make)


def steps_of(session: Session, work: HandWork) -> Steps:
    """Labels after every step of the hand work, as `chemoscape run` numbers them.

    Raises
    ------
    FitError
        It names clusters that are not there.
    """
    found = found_clusters(session)

    def cut() -> np.ndarray:
        if work.cut is None and work.cut_distance is None:
            return found.label
        into, distance = work.cut, work.cut_distance
        return _numbered(cut_labels(found.label, found.linkage, into=into, distance=distance))

    def split() -> np.ndarray:
        if not work.split:
            return first
        parts = [{"cluster": cluster, "into": into} for cluster, into in work.split]
        return _numbered(split_labels(first, found.feature, parts, found.seed))

    first = cut()
    key = ("explore/split", work.cut, work.cut_distance, work.split)
    second = session.remembered(key, split) if work.split else first
    last = _numbered(merged_labels(second, work.merge)) if work.merge else second
    return Steps(found.label, first, second, last)


def origins(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How many pixels of each cluster `before` are in each `after` (before, after)."""
    inside = after >= 0
    n = int(after.max(initial=-1)) + 1
    both = before[inside].astype(np.int64) * n + after[inside]
    rows = int(before.max(initial=-1)) + 1
    return np.bincount(both, minlength=rows * n).reshape(rows, n)


def merge(session: Session, work: HandWork, clusters: Sequence[int]) -> HandWork:
    """Join clusters, of those after all hand work. Parts of one split that come together again
    take the split away.
    """
    steps = steps_of(session, work)
    _require(clusters, steps, at_least=2)
    members = _members(steps)
    groups = [set(members[n]) for n in range(len(members)) if n not in clusters]
    groups.append({part for n in clusters for part in members[n]})
    parents = origins(steps.cut, steps.split) > 0
    kept = tuple(
        (cluster, into)
        for cluster, into in work.split
        if not any(set(np.flatnonzero(parents[cluster]).tolist()) <= group for group in groups)
    )
    return _regrouped(session, replace(work, split=kept, merge=()), steps.split, groups)


def split(session: Session, work: HandWork, cluster: int, into: int) -> HandWork:
    """Split a cluster, of those after all hand work: one that was merged comes apart, a part of an
    earlier split makes that split finer.
    """
    steps = steps_of(session, work)
    _require([cluster], steps, at_least=1)
    members = _members(steps)
    groups = [set(one) for n, one in enumerate(members) if n != cluster]
    if len(members[cluster]) > 1:
        groups += [{part} for part in members[cluster]]
        return _regrouped(session, replace(work, merge=()), steps.split, groups)
    parents = origins(steps.cut, steps.split) > 0
    parent = int(np.flatnonzero(parents[:, members[cluster][0]])[0])
    parts = dict(work.split)
    finer = min(parts.get(parent, 1) + into - 1, MOST_PARTS)
    known = {*np.flatnonzero(parents[parent]).tolist()}
    groups = [group - known for group in groups]  # the parts of a finer split are others
    wanted = tuple(sorted({**parts, parent: finer}.items()))
    return _regrouped(session, replace(work, split=wanted, merge=()), steps.split, groups)


def _regrouped(
    session: Session, work: HandWork, before: np.ndarray, groups: list[set[int]]
) -> HandWork:
    """The merges that bring groups of clusters `before` together among those of `work`."""
    moved = origins(before, steps_of(session, work).split) > 0
    now = [np.flatnonzero(moved[sorted(group)].any(axis=0)) for group in groups if group]
    return replace(work, merge=tuple(sorted(tuple(one.tolist()) for one in now if one.size > 1)))


def _members(steps: Steps) -> list[list[int]]:
    """Which clusters after the splits each one after the merges is made of."""
    return [
        np.flatnonzero(column).tolist() for column in (origins(steps.split, steps.merged) > 0).T
    ]


def _require(clusters: Sequence[int], steps: Steps, *, at_least: int) -> None:
    n = int(steps.merged.max(initial=-1)) + 1
    known = [k for k in clusters if isinstance(k, int) and 0 <= k < n]
    if len(known) < len(clusters) or len(set(known)) < at_least:
        raise ChemoscapeError(
            f"there are clusters 0 to {n - 1}, asked for were {list(clusters)}",
            remedy="select others",
        )


def _numbered(labels: np.ndarray) -> np.ndarray:
    return by_falling_size(labels)[0].astype(np.int16)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a whole number")
    return value
