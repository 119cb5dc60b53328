"""Sums of weights: neighbouring standards, alike as they are, taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from chemoscape.decompose.direct import weight_covariance
from chemoscape.errors import LibraryError


def require_groups(groups: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Refuse groups that are empty, overlap, or name standards that are not there."""
    seen: set[str] = set()
    for group, members in groups.items():
        if not group.strip() or group in names:
            raise LibraryError(
                f"a group is called {group!r}" + (", as a standard is" if group.strip() else ""),
                remedy="give it a name of its own",
            )
        if not members:
            raise LibraryError(f"the group {group!r} is empty", remedy="name its standards")
        for name in members:
            if name not in names:
                raise LibraryError(
                    f"the group {group!r} names {name!r}; the standards in use are "
                    f"{', '.join(names)}",
                    remedy="correct [standards] groups",
                )
            if name in seen:
                raise LibraryError(
                    f"{name!r} is named twice in the groups", remedy="leave it in one of them"
                )
            seen.add(name)


def group_weights(maps: xr.Dataset, groups: Mapping[str, Sequence[str]]) -> xr.Dataset:
    """Weights of groups of standards, with their errors.

    Standards that are alike trade weight with each other, so that single weights are uncertain
    where their sum is known well: ``g = Σ t_k``, ``var(g) = Σ_k Σ_l cov(t_k, t_l)``.

    Parameters
    ----------
    maps : Dataset of `deconvolve`
    groups : mapping of str to sequence of str
        Ids of the standards in each group; a standard belongs to one group at most, and those that
        are in none are left out.

    Returns
    -------
    Dataset
        ``group_weight`` and ``group_weight_sd`` (group, y, x), in the unit of the weights.

    Raises
    ------
    LibraryError
        A standard is unknown, or in two groups; or a group is empty.

    Examples
    --------
    >>> from chemoscape import deconvolve, open_library, optical_density, simulate
    >>> library = open_library("lixv2o5-model")
    >>> od = optical_density(simulate.core_shell(shape=(20, 30), poisson=True).stack)
    >>> maps = deconvolve(od, library, energy_shift=0.0)
    >>> group_weights(maps, {"alpha": library.names[:2], "epsilon": library.names[2:5]}).sizes
    Frozen({'group': 2, 'y': 20, 'x': 30})
    """
    names = [str(name) for name in maps["standard"].values]
    require_groups(groups, names)
    chosen = np.array([[name in members for name in names] for members in groups.values()], float)
    covariance = np.einsum("gk,kl...,gl->g...", chosen, weight_covariance(maps), chosen)
    units = maps["weight"].attrs.get("units", "1")
    return xr.Dataset(
        {
            "group_weight": (
                ("group", "y", "x"),
                np.tensordot(chosen, maps["weight"].values, axes=1),
                {"units": units},
            ),
            "group_weight_sd": (
                ("group", "y", "x"),
                np.sqrt(np.maximum(covariance, 0)),
                {"units": units},
            ),
        },
        coords={"group": list(groups), "y": maps.y, "x": maps.x},
    )
