"""The paper's core-shell particle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemoscape.errors import StackError
from chemoscape.simulate.alterations import altered_library
from chemoscape.simulate.exposure import measurement_energies
from chemoscape.simulate.truth import Sample, Truth, record
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library

#: Regions of the particle, by reduced radius r (1 at the rim): core inside the first, mixture
#: inside the second.
CORE_RADIUS, MIXTURE_RADIUS = 0.45, 0.70

CORE, MIXTURE, SHELL = 0, 1, 2


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
    sample_library: Library | None = None,
    dichroism: float = 0.0,
    angle_deg: float = 0.0,
    stray_light: float = 0.0,
    i0_error: float = 0.0,
    halo_share: float = 0.0,
    halo_um: float = 1.0,
    radii: tuple[float, float] = (CORE_RADIUS, MIXTURE_RADIUS),
    offset_px: tuple[float, float] = (0.0, 0.0),
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
    sample_library : Library, optional
        Spectra that the sample is really made of, under the ids of `library`.
    dichroism, angle_deg : float
        Linear dichroism of the particle and its angle to the polarisation: `altered_library`. Needs
        the shipped library, whose peaks are known.
    stray_light, i0_error, halo_share, halo_um : float
        Light astray, an error of the reported I0, the beam's halo: `expose`.
    radii : (float, float)
        Reduced radii that bound core and mixture; of a phase that grows, those at one time.
    offset_px : (float, float)
        How far (y, x) the particle lies from the middle of the image, in pixels.

    Returns
    -------
    Truth

    Raises
    ------
    LibraryError
        A standard is unknown, the library does not cover the energies, or it has no known peaks
        where dichroism is wanted.
    StackError
        The image is too small to hold the particle, or a parameter is impossible.

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
    if not (pixel_um > 0 and 0 <= core_share <= 1):
        raise StackError(
            f"pixel_um must be positive and core_share in 0..1, not {pixel_um:g} and "
            f"{core_share:g}",
            remedy="correct the arguments of core_shell",
        )
    if dichroism and sample_library is not None:
        raise StackError(
            "dichroism alters the library's spectra, and the sample's own are given",
            remedy="give the dichroism to altered_library when you make them",
        )
    if not 0 <= radii[0] <= radii[1] <= 1:
        raise StackError(
            f"the radii {radii[0]:g} and {radii[1]:g} of core and mixture do not rise within 0..1",
            remedy="correct the arguments of core_shell",
        )
    lib = open_library("lixv2o5-model") if library is None else library
    real = sample_library
    if dichroism:
        real = altered_library(
            lib.select(core, shell), dichroism=dichroism, angle_deg=angle_deg, seed=seed
        )
    labels, thickness = _particle(shape, radii, offset_px)
    if not (labels >= 0).any():
        raise StackError(
            f"the particle lies {offset_px[0]:g} and {offset_px[1]:g} pixels from the middle, "
            "outside the image",
            remedy="give a smaller offset_px",
        )
    # formula units of core and shell in one formula unit of the sample
    shares = np.select([labels == CORE, labels == MIXTURE], [1.0, core_share], 0.0)
    y, x = ((np.arange(n) + 0.5) * pixel_um for n in shape)
    sample = Sample(
        library=lib,
        names=[core, shell],
        units=np.stack([shares, 1 - shares]),
        thickness=thickness,
        labels=labels,
        meaning="0 core, 1 mixture, 2 shell, -1 outside",
        y=y,
        x=x,
        source="simulated core-shell particle (synthetic)",
        sample_library=real,
    )
    axis = measurement_energies() if energy is None else np.asarray(energy, dtype=np.float64)
    return record(
        sample,
        axis,
        peak_optical_density=peak_optical_density,
        od_noise=od_noise,
        energy_shift_eV=energy_shift_eV,
        poisson=poisson,
        photons=photons,
        seed=seed,
        stray_light=stray_light,
        i0_error=i0_error,
        halo_share=halo_share,
        halo_um=halo_um,
    )


def _particle(
    shape: tuple[int, int], radii: tuple[float, float], offset: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the pixels of an ellipse, and its thickness (maximum 1), tilted along x."""
    rows, columns = np.indices(shape, dtype=np.float64)
    v = (rows - (shape[0] - 1) / 2 - offset[0]) / (0.40 * shape[0])
    u = (columns - (shape[1] - 1) / 2 - offset[1]) / (0.42 * shape[1])
    radius = np.hypot(u, v)
    labels = np.select(
        [radius < radii[0], radius < radii[1], radius < 1], [CORE, MIXTURE, SHELL], -1
    )
    thickness = np.sqrt(np.clip(1 - radius, 0, None)) * (1 + 0.1 * u)
    return labels, thickness / (thickness.max() or 1.0)
