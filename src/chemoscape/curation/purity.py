"""Is the sample of a standard one substance? Evidence from the pixels it is averaged from.

Two questions with two blind spots. Do all pixels have one spectrum? Rank and clusters answer, and
cannot see what is mixed alike into every pixel. What is that spectrum made of? A fit by other
standards answers, and cannot see what is not among them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.curation.foreign import (
    MOST_BY_ENERGY,
    MOST_BY_LINE,
    MOST_CORRELATION,
    Deviations,
    deviations,
)
from chemoscape.curation.ingredients import Explanation, explain
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.decompose.factors.clusters import cluster
from chemoscape.decompose.factors.components import principal_components
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.preprocess.density.logarithm import MILD
from chemoscape.standards.library import Library

#: Clusters with a poorer silhouette may be cut out of a continuum, which gives 0.5 to 0.6 (Kaufman
#: and Rousseeuw 1990 call a structure above 0.7 strong).
SEPARABLE = 0.7
#: Components of this share of the first are counted for people: saturation and drift make smaller.
NOTABLE = 0.01
#: A component as large as this beside the first is none of shared noise: lines whose incident flux
#: is off by 1 % make one of 3 %.
LARGE = 0.05
#: Share of a component's signal that thickness, or its slopes, must explain to be named.
MOSTLY = 0.7


@dataclass(frozen=True, eq=False)
class Purity:
    """Evidence that pixels hold one substance; prints itself in sentences.

    Parameters
    ----------
    n_pixels : int
        Asked: finite at every energy.
    rank : float
        Components above noise; 1 for one substance of any thickness. A background that is a
        straight line over the energies, and an error of I0 that the empty background shows too, do
        not count. NaN where noise that pixels, energies or lines share makes more than one, so that
        it cannot be told.
    eigenvalue_ratio : float
        Second eigenvalue over the largest that noise alone would give: above 1 it is a component.
    sizes : tuple of float
        Components beyond the first over the first (rms, in units of noise), falling: a stack of
        high counts shows small ones of drift and of saturation too.
    foreign_share : float
        Share of the pixels that differ from the majority beyond noise; NaN with too few energies.
    clusters : int
        Spectra that k-means separates (mean silhouette of 0.7 or more).
    largest_cluster : float
        Share of the clustered pixels that are in the largest.
    explanation : Explanation or None
        By the library's other standards; None without a library, or where none fits.
    doubts : tuple of str
        Sentences on what else these numbers may mean.
    """

    n_pixels: int
    rank: float
    eigenvalue_ratio: float
    sizes: tuple[float, ...]
    foreign_share: float
    clusters: int
    largest_cluster: float
    explanation: Explanation | None = None
    doubts: tuple[str, ...] = ()

    @property
    def lcf(self) -> str:
        """The best fit by other standards in a line; "" where there is none."""
        return "" if self.explanation is None else str(self.explanation)

    @property
    def one_spectrum(self) -> bool:
        """Whether nothing but thickness varies from pixel to pixel beyond noise."""
        return self.rank <= 1

    @property
    def _second_component(self) -> float:
        if np.isnan(self.rank):
            return float("nan")
        return float(self.sizes[0]) if self.sizes else 0.0

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings, what they cannot see, and their doubts, for people."""
        if np.isnan(self.rank):
            found = (
                f"whether {self.n_pixels} pixels have one spectrum cannot be told: they share noise"
            )
        elif self.one_spectrum:
            found = (
                f"nothing but thickness varies above noise in {self.n_pixels} pixels (the second "
                f"eigenvalue is {self.eigenvalue_ratio:.2f} of noise's largest)"
            )
        else:
            notable = sum(size >= NOTABLE for size in self.sizes)
            found = (
                f"{self.rank:.0f} components stand above noise in {self.n_pixels} pixels, the "
                f"second {self.eigenvalue_ratio:.1f} times noise's largest; beside the first there "
                f"{'is' if notable == 1 else 'are'} {notable} of {100 * NOTABLE:.0f} % of its size "
                f"or more, the largest of {100 * self.sizes[0]:.1f} %"
            )
        apart = ""
        if np.isfinite(self.foreign_share):
            apart = f"{100 * self.foreign_share:.1f} % of the pixels differ from the majority"
        if self.clusters > 1:
            apart += f"; k-means separates {self.clusters} spectra, the most frequent in "
            apart += f"{100 * self.largest_cluster:.1f} % of the pixels"
        if self.explanation is not None:
            seen = f"best fit by other standards: {self.explanation}"
        else:
            seen = "not compared with other standards"
        blind = "a phase mixed alike into every pixel shows in no rank"
        blind += (
            ": only the fit by other standards sees it, if that phase is among them"
            if self.explanation is not None
            else ": compare with a library that holds the phases to be feared"
        )
        return tuple(text for text in (found, apart, seen, blind, *self.doubts) if text)

    def as_evidence(self) -> dict[str, Any]:
        """Fields of a standard's record: ``record.with_(**purity.as_evidence())``."""
        return {
            "rank": float(self.rank),
            "second_component": self._second_component,
            "clusters": float("nan") if np.isnan(self.rank) else float(self.clusters),
            "lcf": self.lcf,
        }

    def __str__(self) -> str:
        return "\n".join(f"{text[0].upper()}{text[1:]}." for text in self.sentences)


def purity(
    od: xr.Dataset | xr.DataArray,
    mask: xr.DataArray | np.ndarray | None = None,
    *,
    library: Library | None = None,
    seed: int = 0,
) -> Purity:
    """Ask pixels whether they are one substance.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        Aligned. Without a variance, noise is taken to grow with the density as counting noise does
        if it does so in the data.
    mask : (y, x) of bool, optional
        Pixels that the standard is averaged from; default `sample_mask`. Empty ones among them do
        no harm.
    library : Library, optional
        Other standards that the mean spectrum is compared with.
    seed : int

    Returns
    -------
    Purity

    Raises
    ------
    FitError
        Fewer than two pixels with data at every energy, fewer than three energies, no signal.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    density = stacks.check(density, "optical_density")
    chosen = sample_mask(od) if mask is None else stacks.as_mask(mask, density)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # common components: said below
        pcs = principal_components(od, mask=chosen, seed=seed)
    flat = density.values.reshape(density.sizes["energy"], -1)
    inside = pcs["sample"].values.astype(bool)
    energy = density["energy"].values
    allowed, doubts = [np.ones(energy.size), energy - energy.mean()], []
    if pcs.attrs["common_in_background"] == 1 and isinstance(od, xr.Dataset) and "background" in od:
        empty = od["background"].values.ravel() & np.isfinite(flat).all(axis=0)
        if empty.any():
            allowed.append(flat[:, empty].mean(axis=1, dtype=np.float64))
            doubts.append("the empty background absorbs too: an error of I0, which is not counted")
    found = deviations(
        flat, inside, _stated(od, flat, inside.ravel()), np.array(allowed), seed=seed
    )
    rank = _rank(found)
    groups = None
    if rank > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)  # small clusters are the question
            groups = cluster(od, pcs, n_components=min(int(rank), pcs.sizes["pc"]), seed=seed)
    separable = groups is not None and groups.attrs["silhouette"] >= SEPARABLE
    doubts += _doubts(found, rank, flat, inside.ravel(), separable=separable)
    explanation = None
    if library is not None:
        spectrum, _ = mean_spectra(flat, np.where(inside.ravel(), 0, -1), 1)
        try:
            explanation = explain(energy, spectrum[0], library)
            doubts += explanation.remarks
        except ChemoscapeError as error:
            doubts.append(f"no combination of other standards was fitted ({error.what})")
    return Purity(
        n_pixels=int(inside.sum()),
        rank=rank,
        eigenvalue_ratio=float(found.excess[1]),
        sizes=tuple(found.sizes.tolist()),
        foreign_share=found.share,
        clusters=groups.sizes["cluster"] if separable and groups is not None else 1,
        largest_cluster=float(groups["size"][0] / groups["size"].sum())
        if separable and groups is not None
        else 1.0,
        explanation=explanation,
        doubts=tuple(doubts),
    )


def _rank(found: Deviations) -> float:
    """Components above noise, at least 1. Where pixels share noise, those too large to be any: NaN
    if there are none.
    """
    if np.isfinite(found.rank):
        return float(max(found.rank, 1.0))
    large = int((found.sizes >= LARGE).sum())
    return float(1 + large) if large else float("nan")


def _stated(
    od: xr.Dataset | xr.DataArray, flat: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance by pixel and by energy: as stated, else as counting has it, ``var(OD) ~ exp(OD)``.

    Only the shape of the latter counts, and only as far as the data follow it.
    """
    known = isinstance(od, xr.Dataset) and "variance" in od
    source = od["variance"].values.reshape(flat.shape) if known else flat
    by_pixel, by_energy = np.zeros(int(inside.sum())), np.zeros(len(flat))
    for number, frame in enumerate(source):
        values = frame[inside].astype(np.float64)
        values = values if known else np.exp(np.clip(values, -1, 5))
        values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        values = np.where(np.isnan(values), np.nanmedian(values) if known else 1.0, values)
        by_pixel += values / len(flat)
        by_energy[number] = values.mean()
    if not (np.isfinite(by_pixel).all() and np.isfinite(by_energy).all()):
        return np.ones(by_pixel.size), np.ones(len(flat))
    return by_pixel, by_energy


def _doubts(
    found: Deviations, rank: float, flat: np.ndarray, inside: np.ndarray, *, separable: bool
) -> list[str]:
    """What else the rank may mean."""
    said = []
    if not found.measured:
        said.append(
            "there are fewer than three pixels per energy, so that the noise could not be measured "
            "and the rank leans on the stated one: average a larger area"
        )
    elif found.step > 1:
        said.append(
            f"neighbouring pixels share noise (interpolated data): the rank is that of every "
            f"{found.step}. pixel along x and y"
        )
    if found.correlation > MOST_CORRELATION:
        said.append(
            f"pixels {found.step} apart still share noise (correlation {found.correlation:.2f}): "
            "take more pixels, or ones that were not interpolated or smoothed"
        )
    if found.energy_step > 1:
        said.append(
            f"neighbouring energies share noise (interpolated data): the rank is that of every "
            f"{found.energy_step}. energy"
        )
    if found.energy_correlation > MOST_BY_ENERGY:
        said.append(
            f"energies {found.energy_step} apart still share noise (correlation "
            f"{found.energy_correlation:.2f}): take the stack before its energies were interpolated"
        )
    if found.by_line > MOST_BY_LINE:
        said.append(
            f"whole lines share noise ({found.by_line:.1f} times what single pixels would give), "
            "as of an incident flux that changes from line to line: divide each line by its own I0"
        )
    if not rank > 1:
        return said
    smooth = found.follows_thickness > MOSTLY and not separable  # phases apart are no function
    highest = max(float(np.quantile(frame[inside], 0.99)) for frame in flat)
    if found.follows_edges > MOSTLY and not smooth:
        said.append(
            "the second component follows the slopes of the thickness: drift that is left, not a "
            "phase; align the stack first"
        )
    elif smooth:
        said.append(
            f"the second component is a function of thickness, up to an optical density of "
            f"{highest:.2f}: "
            + (
                "saturation of the thick pixels (stray light, other orders)"
                if highest > MILD
                else "light that the sample does not absorb, an error of I0, a layer on all of it"
            )
            + ", or a phase that comes with thickness; see whether it stays in thinner pixels alone"
        )
    elif highest > MILD:
        said.append(
            f"optical densities reach {highest:.2f}: saturation of thick pixels raises the rank too"
        )
    return said
