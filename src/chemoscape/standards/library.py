"""Libraries of standards: the spectra that a stack is decomposed into.

A `Library` is made from arrays, or opened with `open_library`: a shipped one by name, your own as a
folder. `chemoscape.standards.folder` says what a folder holds.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import LibraryError
from chemoscape.standards.standard import Standard

__all__ = ["Library", "Standard", "require_library"]

#: Energies may leave the tabulated range by this much (eV): rounding, not extrapolation.
RANGE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Library:
    """Standards that belong together: one composition variable, one scale.

    Parameters
    ----------
    id, name : str
        Short name, and name for titles.
    variable : str
        What the values of the standards mean, for example ``"x in LixV2O5"``.
    standards : sequence of Standard
        At least one; ids differ.
    energy_window : pair of float, optional
        Range (eV) meant for fits; all that the spectra share when left out, None where they share
        none.
    licence : str
        Licence of the spectra.
    version, doi : str
        Of the library as a whole.
    folder : Path, optional
        Where it was read from; the files that its standards name as evidence lie there.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> library = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    >>> library.values.tolist(), library.mass_scale, library.synthetic
    ([0.1, 0.45], True, True)
    >>> library.spectra([518.0, 518.2]).sizes
    Frozen({'standard': 2, 'energy': 2})
    """

    id: str
    name: str
    variable: str
    standards: tuple[Standard, ...]
    energy_window: tuple[float, float] | None = None
    licence: str = ""
    version: str = ""
    doi: str = ""
    folder: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "standards", tuple(self.standards))
        where = f"library {self.id!r}"
        if any(not isinstance(standard, Standard) for standard in self.standards):
            raise LibraryError(
                "holds something that is not a Standard", where, "make them with Standard(…)"
            )
        if not self.standards:
            raise LibraryError("holds no standard", where, "add one to it")
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise LibraryError(
                f"two standards have the id {sorted(repeated)[0]!r}", where, "rename one of them"
            )
        scales = {standard.scale for standard in self.standards}
        if len(scales) > 1:
            odd = next(s.id for s in self.standards if s.scale != self.standards[0].scale)
            raise LibraryError(
                f"mixes spectra in cm2/g and spectra in optical density ({odd!r} differs from "
                f"{self.names[0]!r})",
                where,
                "give all of them the same scale",
            )
        if self.energy_window is None and not self.overlapping:
            return
        window = self.energy_range if self.energy_window is None else self.energy_window
        if not window[0] < window[1]:
            raise LibraryError(
                f"its energy window runs from {window[0]:g} to {window[1]:g} eV",
                where,
                "write energy_window = [lowest, highest]",
            )
        object.__setattr__(self, "energy_window", (float(window[0]), float(window[1])))

    @property
    def names(self) -> list[str]:
        """Ids of the standards."""
        return [standard.id for standard in self.standards]

    @property
    def labels(self) -> list[str]:
        """Names of the standards for legends."""
        return [standard.label for standard in self.standards]

    @property
    def values(self) -> np.ndarray:
        """Composition variable of each standard."""
        return np.array([standard.value for standard in self.standards])

    @property
    def molar_mass(self) -> np.ndarray:
        """Molar masses in g/mol, NaN where unknown."""
        return np.array([standard.molar_mass for standard in self.standards])

    @property
    def density(self) -> np.ndarray:
        """Densities in g/cm3, NaN where unknown."""
        return np.array([standard.density for standard in self.standards])

    @property
    def mass_scale(self) -> bool:
        """Whether the spectra are mass absorption in cm2/g."""
        return self.standards[0].scale == "mass_absorption"

    @property
    def synthetic(self) -> bool:
        """Whether any of the spectra was not measured but made up."""
        return any(standard.kind == "synthetic" for standard in self.standards)

    @property
    def kind(self) -> str:
        """What all standards are (``"measured"``, …), or ``"mixed"``."""
        kinds = {standard.kind for standard in self.standards}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    @property
    def overlapping(self) -> bool:
        """Whether its standards have energies in common; those of different edges have none, and
        cannot be fitted together.
        """
        low, high = self._common_range()
        return low < high

    @property
    def energy_range(self) -> tuple[float, float]:
        """Lowest and highest energy (eV) that all standards cover.

        Raises
        ------
        LibraryError
            They have none in common.
        """
        if not self.overlapping:
            raise LibraryError(
                "its spectra have no energy range in common",
                f"library {self.id!r}",
                "select standards measured over the same edge",
            )
        return self._common_range()

    def _common_range(self) -> tuple[float, float]:
        """Highest of the lowest and lowest of the highest energies."""
        return (
            max(float(standard.energy[0]) for standard in self.standards),
            min(float(standard.energy[-1]) for standard in self.standards),
        )

    def select(self, *names: str) -> Library:
        """The library with the named standards only, in the order given.

        Raises
        ------
        LibraryError
            A name is unknown, given twice, or there is none.
        """
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise LibraryError(
                f"{repeated!r} is selected twice", f"library {self.id!r}", "name it once"
            )
        if not names:
            raise LibraryError(
                "no standard is selected", f"library {self.id!r}", "name one or more of them"
            )
        if any(not isinstance(name, str) for name in names):
            raise LibraryError(
                f"standards are selected by their ids, got {names!r}",
                f"library {self.id!r}",
                'write library.select("id", "another")',
            )
        known = dict(zip(self.names, self.standards, strict=True))
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, self.names, n=1)
                hint = f"did you mean {near[0]!r}" if near else "choose among its standards"
                raise LibraryError(
                    f"has no standard {name!r}; it holds {', '.join(self.names)}",
                    f"library {self.id!r}",
                    hint,
                )
        return replace(self, standards=tuple(known[name] for name in names))

    def covers(self, energy: ArrayLike, shift: ArrayLike = 0.0) -> np.ndarray:
        """Whether all standards are tabulated at ``energy - shift``, as a bool array.

        Parameters
        ----------
        energy : array_like, shape (n,)
            Energies (eV) of the stack's axis.
        shift : float or array_like, shape (n,)
            E(stack axis) - E(library) in eV.
        """
        at = np.asarray(energy, dtype=np.float64) - np.asarray(shift)
        low, high = self.energy_range
        return (at >= low - RANGE_TOLERANCE) & (at <= high + RANGE_TOLERANCE)

    def spectra(self, energy: ArrayLike, *, shift: ArrayLike = 0.0) -> xr.DataArray:
        """Standards on the energies of a stack, ``S_k(E) = s_k(E - shift)``, interpolated linearly.

        Parameters
        ----------
        energy : array_like, shape (n_energy,)
            Energies (eV) of the stack's axis.
        shift : float or array_like, shape (n_energy,)
            E(stack axis) - E(library) in eV: -0.4 when a feature of the library at 517.0 is found
            at 516.6. One for each energy where the axis is stretched.

        Returns
        -------
        DataArray (standard, energy)
            In cm2/g or optical density, with the ids as coordinate ``standard``.

        Raises
        ------
        LibraryError
            The library does not cover these energies.
        """
        axis = np.atleast_1d(np.asarray(energy, dtype=np.float64))
        at = axis - np.asarray(shift)
        covered = self.covers(axis, shift)
        if not covered.all():
            raise LibraryError(
                self._uncovered(axis, covered, float(np.asarray(shift).mean())),
                f"library {self.id!r}",
                "drop the energies outside with [input] drop_energies, or use a library measured "
                "over the whole range",
            )
        return xr.DataArray(
            np.stack([np.interp(at, s.energy, s.spectrum) for s in self.standards]),
            dims=("standard", "energy"),
            coords={
                "standard": ("standard", self.names),
                "energy": ("energy", axis, {"units": "eV", "long_name": "photon energy"}),
            },
            name="standards",
            attrs={
                "units": "cm2/g" if self.mass_scale else "1",
                "long_name": "mass absorption" if self.mass_scale else "optical density",
                "library": self.id,
                "energy_shift_eV": float(np.asarray(shift).mean()),
            },
        )

    def _uncovered(self, axis: np.ndarray, covered: np.ndarray, shift: float) -> str:
        """Sentence about the energies that the library lacks."""
        low, high = self.energy_range
        shifted = f" (shifted by {shift:+.3f} eV)" if shift else ""
        return (
            f"covers {low:.2f} to {high:.2f} eV{shifted}, the stack runs from {axis.min():.2f} to "
            f"{axis.max():.2f} eV: "
            f"{int((~covered).sum())} of {axis.size} energies lie outside"
        )

    def __str__(self) -> str:
        if self.overlapping:
            span = "{:g} to {:g} eV".format(*self.energy_range)
        else:
            span = "of different edges"
        rows = [f"{self.name}: {len(self.standards)} standards, {span}, {self.variable}"]
        for one in self.standards:
            value = "unknown" if np.isnan(one.value) else f"{one.value:g}"
            own = "" if self.overlapping else f"  {one.energy[0]:g} to {one.energy[-1]:g} eV"
            rows.append(f"  {one.id:<24} {value:<8} {one.label}  [{one.kind}]{own}")
        return "\n".join(rows)


def require_library(library: object) -> Library:
    """Return `library` if it is one.

    Raises
    ------
    LibraryError
        It is the name of one, or something else.
    """
    if not isinstance(library, Library):
        raise LibraryError(
            f"a library of standards is needed, not {type(library).__name__}",
            remedy="open it with cs.open_library",
        )
    return library


def require_values(library: Library) -> Library:
    """Return `library` if the composition of each of its standards is known.

    Raises
    ------
    LibraryError
        One has no value.
    """
    unknown = [standard.id for standard in library.standards if np.isnan(standard.value)]
    if unknown:
        raise LibraryError(
            f"{', '.join(unknown)} {'has' if len(unknown) == 1 else 'have'} no value of "
            f"{library.variable}, so that no composition can be told",
            f"library {library.id!r}",
            "write 'value = …' into its library.toml, or select standards that have one",
        )
    return library
