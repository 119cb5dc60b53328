"""A particle whose spectra are not those of the library that it is fitted with."""

from __future__ import annotations

from typing import Any

from chemoscape.errors import StackError
from chemoscape.simulate.alterations import altered_library
from chemoscape.simulate.particle import core_shell
from chemoscape.simulate.truth import Truth
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library


def honest_twin(
    seed: int = 0,
    *,
    jitter_eV: float = 0.02,
    jitter_share: float = 0.02,
    broadening_eV: float = 0.2,
    stray_light: float = 0.01,
    i0_error: float = 0.003,
    energy_shift_eV: float = -0.4,
    od_noise: float = 0.01,
    dichroism: float = 0.0,
    angle_deg: float = 0.0,
    library: Library | None = None,
    **particle: Any,
) -> Truth:
    """The core-shell particle as a sample would have it: no spectrum is quite the library's.

    Fitting a particle with the very spectra that it is made of says how a method deals with noise,
    and nothing of the errors that no noise explains. Here every peak of each phase has its own
    small error of position and area, all spectra are broader than the library's, some light passes
    beside the sample, and the reported I0 is off at every energy.

    Parameters
    ----------
    seed : int
        Of the peaks, of the I0 error and of the noise, each from a stream of its own.
    jitter_eV, jitter_share : float
        Standard deviations of the peaks' positions (eV) and relative areas.
    broadening_eV : float
        Additional width (eV, FWHM) of the sample's spectra.
    stray_light : float
        Light that no sample absorbs, as a share of the true beam.
    i0_error : float
        Relative error of the reported I0 per energy, common to all pixels.
    energy_shift_eV : float
        E(stack axis) - E(library).
    od_noise : float
        Standard deviation of Gaussian noise in optical density as a fraction of the peak.
    dichroism, angle_deg : float
        Linear dichroism of the sample (`altered_library`).
    library : Library, optional
        The shipped synthetic one, or some of its standards.
    **particle
        Other options of `core_shell`: ``shape``, ``core``, ``shell``, ``poisson``, ``halo_share``…

    Returns
    -------
    Truth
        ``library`` is what a user fits with, ``sample_library`` what the sample is made of; ``i0``
        is what is reported, ``i0_true`` what was.

    Raises
    ------
    LibraryError
        The peaks of the library's standards are not known.
    StackError
        A parameter is impossible.

    Examples
    --------
    >>> twin = honest_twin(3, shape=(30, 40))
    >>> energy = twin.stack.energy.values
    >>> real, known = (lib.spectra(energy) for lib in (twin.sample_library, twin.library))
    >>> 0.02 < float(abs(real / known - 1).max()) < 0.3
    True
    """
    if "sample_library" in particle:
        raise StackError(
            "honest_twin makes the sample's spectra itself",
            remedy="give sample_library to core_shell",
        )
    lib = open_library("lixv2o5-model") if library is None else library
    real = altered_library(
        lib,
        seed=seed,
        jitter_eV=jitter_eV,
        jitter_share=jitter_share,
        broadening_eV=broadening_eV,
        dichroism=dichroism,
        angle_deg=angle_deg,
    )
    return core_shell(
        library=lib,
        sample_library=real,
        stray_light=stray_light,
        i0_error=i0_error,
        energy_shift_eV=energy_shift_eV,
        od_noise=od_noise,
        seed=seed,
        **particle,
    )
