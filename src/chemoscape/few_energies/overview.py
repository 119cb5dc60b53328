"""What an overview stack says of the sample that a plan is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape.decompose.direct import deconvolve
from chemoscape.few_energies.plan import Plan
from chemoscape.few_energies.subsampling import Subsampling, subsample
from chemoscape.formats import open_stack
from chemoscape.preprocess.absorbance import optical_density
from chemoscape.standards.library import Library

_NM_PER_CM = 1e7


@dataclass(frozen=True, eq=False)
class Overview:
    """A stack, and the standards fitted to it.

    Parameters
    ----------
    od : Dataset
        Of `optical_density`, at the energies that the standards cover.
    energy_shift_eV : float
        E(file axis) - E(library).
    thickness_nm : float or None
        Mean over the sample; None where the standards have no masses or densities.
    """

    od: xr.Dataset
    energy_shift_eV: float
    thickness_nm: float | None

    @classmethod
    def of(cls, path: Path, library: Library) -> Overview:
        """Read it, and fit the standards to it."""
        od = optical_density(open_stack(path))
        od = od.isel(energy=library.covers(od["energy"].values))
        maps = deconvolve(od, library)
        thickness = None
        if library.mass_scale and np.isfinite(library.density).all():
            inside = maps["sample"].values
            mass = maps["weight"].values[:, inside].mean(axis=1)  # g/cm2
            thickness = float((mass / library.density).sum() * _NM_PER_CM)
        return cls(od, float(maps.attrs["energy_shift_eV"]), thickness)

    def tried(self, plan: Plan) -> Subsampling:
        """The plan's energies, taken out of the stack."""
        return subsample(
            self.od,
            plan.expected.library,
            plan.energies + self.energy_shift_eV,  # on the axis of the file
            nuisance=plan.nuisance,
            energy_shift=self.energy_shift_eV,
        )
