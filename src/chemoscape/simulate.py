"""Stacks with known truth.

`core_shell` is the paper's test data set (Construction of a test STXM dataset, Figure S8) made
quantitative: a particle with a lithium-rich core, a mixed ring and a lithium-poor shell, in counts,
with a thickness that falls towards the rim. Shifting its energy axis gives the miscalibrated twin
(Figure S10). `cramer_rao_composition_sd` says how well the composition of each of its pixels can be
known at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import FitError, StackError
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mean_composition

#: Regions of the particle, by reduced radius r (1 at the rim): core inside the first, mixture
#: inside the second.
CORE_RADIUS, MIXTURE_RADIUS = 0.45, 0.70

CORE, MIXTURE, SHELL = 0, 1, 2

_NM = 1e-7  # in cm


@dataclass(frozen=True, eq=False)
class Truth:
    """A simulated stack and what it was made from.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, as a beamline would record them.
    composition : DataArray (y, x)
        Library's variable by formula units (Equation 6), NaN outside the particle.
    thickness : DataArray (y, x)
        Thickness relative to the thickest pixel, 0 outside.
    thickness_nm : float
        Thickness of the thickest pixel in nm; NaN when the library gives no densities.
    weights : DataArray (standard, y, x)
        Areal mass of every standard of the library in g/cm2 (relative amounts when the library has
        no mass scale).
    labels : DataArray (y, x)
        0 core, 1 mixture, 2 shell, -1 outside.
    i0 : DataArray (energy,)
        Incident counts.
    energy_shift_eV : float
        E(stack axis) - E(library).
    optical_density_sd : float
        Standard deviation of the Gaussian noise added in optical density; 0 without.
    poisson : bool
        Whether the counts are Poisson distributed.
    library : Library
        Standards that the particle is made of, and the others of their library.
    """

    stack: xr.DataArray
    composition: xr.DataArray
    thickness: xr.DataArray
    thickness_nm: float
    weights: xr.DataArray
    labels: xr.DataArray
    i0: xr.DataArray
    energy_shift_eV: float
    optical_density_sd: float
    poisson: bool
    library: Library

    @property
    def optical_density(self) -> xr.DataArray:
        """Optical density without noise, ``D = mu t`` (Equation 1), on the stack's axis."""
        spectra = self.library.spectra(self.stack.energy.values, shift=self.energy_shift_eV)
        return xr.dot(spectra, self.weights, dim="standard").transpose("energy", "y", "x")


def measurement_energies() -> np.ndarray:
    """The paper's range, 508 to 560 eV: 0.2 eV steps from 512 to 536, 1 eV outside."""
    return np.round(
        np.concatenate([np.arange(508, 512), np.arange(512, 536, 0.2), np.arange(536, 561)]), 3
    )


def core_shell(
    *,
    shape: tuple[int, int] = (90, 120),
    pixel_um: float = 0.04,
    library: Library | None = None,
    core: str = "epsilon-Li0.45V2O5",
    shell: str = "alpha-Li0.1V2O5",
    core_share: float = 0.7,
    peak_optical_density: float = 1.4,
    photons: float = 5_000.0,
    poisson: bool = False,
    od_noise: float = 0.0,
    energy_shift_eV: float = 0.0,
    energy: Sequence[float] | np.ndarray | None = None,
    seed: int = 0,
) -> Truth:
    """Simulate the paper's core-shell particle as a stack of counts, ``I = I0(E) exp(-D)``.

    An ellipse fills four fifths of the image. Inside 0.45 of its radius it is `core`, out to 0.70 a
    mixture of both, then `shell`; around it the image is empty. Thickness falls as ``sqrt(1 - r)``,
    with a mild tilt along x.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    pixel_um : float
        Pixel size in µm.
    library : Library, optional
        Standards; the shipped synthetic ones when left out.
    core, shell : str
        Ids of the two standards.
    core_share : float
        Share of the core's formula units in the mixture: 0.7 gives x = 0.345 with the paper's
        phases.
    peak_optical_density : float
        Largest optical density of the stack (without an energy shift).
    photons : float
        Incident counts per pixel at 508 eV, where the beamline gives most. The default has the
        counting noise of ``od_noise = 0.01`` where there is no sample.
    poisson : bool
        Draw the counts from Poisson distributions.
    od_noise : float
        Standard deviation of Gaussian noise in optical density as a fraction of the peak (0.01 for
        the paper's noise).
    energy_shift_eV : float
        E(stack axis) - E(library); -0.4 for the miscalibrated twin.
    energy : array_like, optional
        Energies (eV) of the stack's axis; `measurement_energies` when left out.
    seed : int
        Seed of the noise.

    Returns
    -------
    Truth

    Raises
    ------
    LibraryError
        A standard is unknown, or the library does not cover the energies.
    StackError
        The image is too small to hold the particle.

    Examples
    --------
    >>> truth = core_shell(shape=(30, 40), od_noise=0.01)
    >>> truth.stack.shape, round(float(truth.optical_density.max()), 3)
    ((149, 30, 40), 1.4)
    >>> sorted({round(float(x), 3) for x in truth.composition.values.ravel() if x == x})
    [0.1, 0.345, 0.45]
    """
    if min(shape) < 10:
        raise StackError(
            f"an image of {shape[0]} × {shape[1]} pixels cannot hold a core and a shell",
            remedy="give a shape of 10 × 10 or more",
        )
    if not (photons > 0 and peak_optical_density > 0 and od_noise >= 0 and 0 <= core_share <= 1):
        raise StackError(
            "photons and peak_optical_density must be positive, od_noise >= 0, core_share in 0..1",
            remedy="correct the arguments of core_shell",
        )
    lib = open_library("lixv2o5-model") if library is None else library
    parts = lib.select(core, shell)
    axis = measurement_energies() if energy is None else np.asarray(energy, dtype=np.float64)
    y, x = ((np.arange(n) + 0.5) * pixel_um for n in shape)

    labels, thickness = _particle(shape)
    # formula units of core and shell in one formula unit of the sample
    shares = np.select([labels == CORE, labels == MIXTURE], [1.0, core_share], 0.0)
    units = np.stack([shares, 1 - shares])
    weights, per_thickness = _areal_masses(parts, units, thickness)
    scale = peak_optical_density / _absorb(parts.spectra(axis), weights).max()
    weights *= scale

    rng = np.random.default_rng(seed)
    od = _absorb(parts.spectra(axis, shift=energy_shift_eV), weights)
    od_sd = od_noise * peak_optical_density
    if od_sd:
        od += rng.normal(0.0, od_sd, od.shape)
    i0 = photons * _incident(axis - energy_shift_eV)
    counts = i0[:, None, None] * np.exp(-od)
    if poisson:
        counts = rng.poisson(counts).astype(np.float64)

    stack = stacks.build(
        counts,
        axis,
        y,
        x,
        quantity="counts",
        attrs={
            "source": "simulated core-shell particle (synthetic)",
            "format": "simulated",
            "counter_divider": 1,
            "dwell_ms": 1.0,
        },
    )
    plane = {"y": stack.y, "x": stack.x}
    composition = np.where(labels >= 0, np.einsum("k,kyx->yx", parts.values, units), np.nan)
    of_library = xr.DataArray(
        np.zeros((len(lib.names), *shape)),
        dims=("standard", "y", "x"),
        coords={"standard": lib.names, **plane},
        name="weight",
        attrs={"units": "g/cm2" if lib.mass_scale else "1", "long_name": "amount of each standard"},
    )
    of_library.loc[{"standard": parts.names}] = weights
    return Truth(
        stack=stack,
        composition=_image(composition, plane, "composition", "1", lib.variable),
        thickness=_image(
            thickness, plane, "thickness", "1", "thickness relative to the thickest pixel"
        ),
        thickness_nm=float(scale * per_thickness),
        weights=of_library,
        labels=_image(labels, plane, "labels", "1", "0 core, 1 mixture, 2 shell, -1 outside"),
        i0=xr.DataArray(
            i0, dims="energy", coords={"energy": axis}, name="i0", attrs={"units": "counts"}
        ).sortby("energy"),
        energy_shift_eV=float(energy_shift_eV),
        optical_density_sd=float(od_sd),
        poisson=poisson,
        library=lib,
    )


def _particle(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the pixels of an ellipse, and its thickness (maximum 1), tilted along x."""
    rows, columns = np.indices(shape, dtype=np.float64)
    v = (rows - (shape[0] - 1) / 2) / (0.40 * shape[0])
    u = (columns - (shape[1] - 1) / 2) / (0.42 * shape[1])
    radius = np.hypot(u, v)
    labels = np.select(
        [radius < CORE_RADIUS, radius < MIXTURE_RADIUS, radius < 1], [CORE, MIXTURE, SHELL], -1
    )
    thickness = np.sqrt(np.clip(1 - radius, 0, None)) * (1 + 0.1 * u)
    return labels, thickness / thickness.max()


def _absorb(spectra: xr.DataArray, weights: np.ndarray) -> np.ndarray:
    """Optical density (energy, y, x) of maps of weights, ``D = mu t`` (Equation 1)."""
    return np.einsum("ke,kyx->eyx", spectra.values, weights)


def _areal_masses(
    parts: Library, units: np.ndarray, thickness: np.ndarray
) -> tuple[np.ndarray, float]:
    """Areal masses (g/cm2) of two standards in 1 nm × `thickness`, and the nm that this means.

    One formula unit fills M/rho; so many lie along the beam as fill the thickness. Without a mass
    scale or densities the masses are relative and the thickness in nm is unknown; without molar
    masses a weight is a number of formula units.
    """
    known = np.isfinite(parts.molar_mass).all()
    mass = parts.molar_mass if known else np.ones(len(parts.standards))
    volume = parts.molar_mass / parts.density
    if not (parts.mass_scale and np.isfinite(volume).all()):
        return mass[:, None, None] * units * thickness, np.nan
    number = thickness * _NM / np.einsum("k,kyx->yx", volume, units)  # mol of formula units per cm2
    return mass[:, None, None] * units * number, 1.0


def _incident(energy: np.ndarray) -> np.ndarray:
    """Incident flux, 1 at 508 eV: a slope, and the dip of oxidised mirrors at the O K edge."""
    above = energy - 531.0
    dip = 0.15 / (1 + np.exp(-above / 0.8)) * np.exp(-np.clip(above, 0, None) / 12)
    return np.exp(-0.004 * (energy - 508.0)) * (1 - dip)


def _image(
    values: np.ndarray, plane: dict[str, xr.DataArray], name: str, units: str, long_name: str
) -> xr.DataArray:
    """Map with the axes of the stack."""
    return xr.DataArray(
        values,
        dims=("y", "x"),
        coords=plane,
        name=name,
        attrs={"units": units, "long_name": long_name},
    )


def cramer_rao_composition_sd(
    truth: Truth, standards: Library | Sequence[str] | None = None, *, baseline: bool = True
) -> xr.DataArray:
    """Smallest standard deviation of any unbiased estimate of a pixel's composition.

    With ``B = [mu_1 … mu_K, 1]`` the standards and a free constant, and ``V`` the diagonal of the
    variances of the optical density, the Fisher information of the weights is ``F = B^T V^-1 B``.
    Composition ``x = sum n_k x_k / sum n_k`` with ``n_k = t_k / M_k`` (Equation 6) has the gradient
    ``g_k = (x_k - x) / (M_k sum n)``, so that ``sd(x) >= sqrt(g^T F^-1 g)``. Weights may be
    negative here; I0, energy shift and noise level are known. Variances are ``s^2`` for Gaussian
    noise and ``exp(D) / I0`` for counting noise, and add.

    Parameters
    ----------
    truth : Truth
        A simulated stack with noise.
    standards : Library or sequence of str, optional
        Standards fitted; those that the particle is made of when left out.
    baseline : bool
        Fit a free constant too.

    Returns
    -------
    DataArray (y, x)
        In the library's variable; NaN outside the particle.

    Raises
    ------
    FitError
        The stack has no noise, or a standard of the particle is not among those fitted.

    Examples
    --------
    >>> sd = cramer_rao_composition_sd(core_shell(shape=(30, 40), od_noise=0.01))
    >>> bool(0.001 < float(sd.min()) < 0.02)
    True
    """
    if not (truth.poisson or truth.optical_density_sd > 0):
        raise FitError(
            "the simulated stack has no noise, so nothing limits the composition",
            remedy="simulate it with od_noise or poisson",
        )
    present = [
        str(name)
        for name in truth.weights.standard.values
        if truth.weights.sel(standard=name).any()
    ]
    if isinstance(standards, Library):
        lib = standards
    else:
        lib = truth.library.select(*(present if standards is None else standards))
    missing = set(present) - set(lib.names)
    if missing:
        raise FitError(
            f"{sorted(missing)[0]!r} is in the particle but not among the standards",
            remedy="add it to the standards",
        )

    inside = truth.labels.values >= 0
    design = lib.spectra(truth.stack.energy.values, shift=truth.energy_shift_eV).values.T
    if baseline:
        design = np.column_stack([design, np.ones(len(design))])
    lengths = np.linalg.norm(design, axis=0)
    design = design / lengths
    od = truth.optical_density.values[:, inside]
    variance = np.full(od.shape, truth.optical_density_sd**2)
    if truth.poisson:
        variance += np.exp(od) / truth.i0.values[:, None]
    n = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), n * n)
    information = ((1 / variance).T @ products).reshape(-1, n, n)

    absent = np.zeros(int(inside.sum()))
    weights = np.stack(
        [
            truth.weights.sel(standard=name).values[inside] if name in present else absent
            for name in lib.names
        ]
    )
    gradient = np.zeros((weights.shape[1], n))
    gradient[:, : len(weights)] = mean_composition(weights, lib.values, lib.molar_mass).gradient.T
    gradient /= lengths
    solved = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
    bound = np.full(inside.shape, np.nan)
    bound[inside] = np.sqrt((gradient * solved).sum(axis=1))
    plane = {"y": truth.stack.y, "x": truth.stack.x}
    return _image(bound, plane, "composition_sd", "1", f"Cramér–Rao bound of {lib.variable}")
