"""How well the composition of a simulated stack can be known at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape.errors import FitError
from chemoscape.simulate.truth import Truth, image
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mean_composition


def cramer_rao_composition_sd(
    truth: Truth, standards: Library | Sequence[str] | None = None, *, baseline: bool = True
) -> xr.DataArray:
    """Smallest standard deviation of any unbiased estimate of a pixel's composition.

    With ``B = [mu_1 … mu_K, 1]`` the standards and a free constant, and ``V`` the diagonal of the
    variances of the optical density, the Fisher information of the weights is ``F = B^T V^-1 B``.
    Composition ``x = sum n_k x_k / sum n_k`` with ``n_k = t_k / M_k`` (Equation 6) has the gradient
    ``g_k = (x_k - x) / (M_k sum n)``, so that ``sd(x) >= sqrt(g^T F^-1 g)``. Weights may be
    negative here; I0, energy shift and noise level are known. Variances are ``s^2`` for Gaussian
    noise and ``(1 + h) / (I0 (exp(-D) + h))`` for counting noise with stray light h, and add; what
    is measured changes with D by the share ``exp(-D) / (exp(-D) + h)``. Stray light is known, and
    so are the spectra fitted; the beam's halo is left out.

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
    >>> from chemoscape.simulate import core_shell
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
    stray = truth.stray_light
    light = np.exp(-od) + stray
    if truth.poisson:
        variance += (1 + stray) / (light * truth.i0.values[:, None])
    variance *= (light / (light - stray)) ** 2
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
    return image(bound, plane, "composition_sd", f"Cramér–Rao bound of {lib.variable}")
