"""Target tests: is a standard among what the principal components are made of?"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from scipy import stats

from chemoscape.decompose.design import slopes_of
from chemoscape.errors import FitError, require_choice
from chemoscape.standards.library import Library, require_library

#: Malinowski's limits of SPOIL (Anal. Chim. Acta 103, 339, 1978).
PRESENT, ABSENT = 3.0, 6.0


def target_tests(
    pcs: xr.Dataset,
    library: Library,
    *,
    rank: int | None = None,
    energy_shift: float = 0.0,
    energy_shift_sd: float = 0.0,
    baseline: Literal["constant"] | None = None,
) -> xr.Dataset:
    """Test every standard, one at a time, against the space of the leading components.

    With ``R`` (energy × k) the eigenspectra times the root of their eigenvalues, a standard ``s``
    is transformed to ``t = R⁺ s`` and predicted as ``s' = R t`` (Malinowski, Anal. Chim. Acta 103,
    339, 1978). What remains,

    - ``AET = |s' - s| / sqrt(n - k)``, the apparent error in the target, is made of
    - ``REP = sqrt((RE |t|)² + mean sd²)``, the real error in the prediction, with the real error of
      the data ``RE = sqrt(Σ_{j>k} λ_j / (p (n - k)))`` (p pixels, n energies), and of
    - ``RET = sqrt(AET² - REP²)``, the real error in the target: what speaks against it;
      ``SPOIL = RET / REP`` is below 3 for a standard that is there and above 6 for one that is not.

    The standard itself is taken to have no noise but what is known of it: its own ``spectrum_sd``
    and its slope times `energy_shift_sd` are the ``sd`` above. Thousands of pixels make ``RE |t|``
    very small, so that 1 meV or a broader line can be told from noise: AET over the standard's rms
    (``mismatch``) says whether a difference is worth anything.

    Parameters
    ----------
    pcs : Dataset of `principal_components`
        Centred ones are tested with their mean spectrum.
    library : Library
    rank : int, optional
        Components used; default the Marchenko-Pastur rank, or, where that is refused, the least of
        the other criteria.
    energy_shift, energy_shift_sd : float
        E(file axis) - E(library) in eV, and its standard deviation.
    baseline : "constant" or None
        Whether a standard may differ from its prediction by a constant.

    Returns
    -------
    Dataset
        Per standard: ``aet``, ``ret``, ``rep`` (in the standard's unit), ``spoil``, ``f`` =
        (AET/REP)², ``p`` (of so large an F by chance, with n - k and (n - k)(p - k) degrees of
        freedom; after Malinowski, J. Chemometrics 3, 49, 1988), ``mismatch``, ``verdict``
        ("present", "possible" from 3 to 6, "absent"); ``target`` and ``fitted(standard, energy)``,
        NaN where a standard has no value. F and p take noise to be alike in all pixels: with counts
        F is 1.1 to 1.4 for a standard that is there.
        Attributes ``rank``, ``energy_shift_eV``, ``real_error``.

    Raises
    ------
    FitError
        Too few energies for the rank, more components than there are, or no noise to compare with.
    LibraryError
        A standard does not cover enough of the energies.

    Examples
    --------
    >>> import chemoscape as cs
    >>> truth = cs.simulate.core_shell(shape=(30, 40), od_noise=0.01)
    >>> od = -np.log(truth.stack / truth.i0).astype("f4").transpose("energy", "y", "x")
    >>> od.attrs["quantity"] = "optical_density"
    >>> tests = target_tests(cs.principal_components(od), truth.library)
    >>> [str(name) for name in tests.standard.values[tests.verdict == "present"]]
    ['alpha-Li0.1V2O5', 'epsilon-Li0.45V2O5']
    """
    require_library(library)
    require_choice("baseline", baseline, "constant", None)
    if rank is None:
        known = pcs.attrs["rank_mp"]
        if known < 0:  # correlated noise passes for components: be strict
            known = min(pcs.attrs[f"rank_{name}"] for name in ("ind", "f", "cv"))
        rank = min(max(int(known), 1), pcs.sizes["pc"])
    if not 1 <= rank <= pcs.sizes["pc"]:
        raise FitError(
            f"a target test on {rank} components, where {pcs.sizes['pc']} are kept",
            remedy=f"give a rank from 1 to {pcs.sizes['pc']}",
        )
    axis = pcs["energy"].values
    covered = library.covers(axis, energy_shift)
    energy = axis[covered]
    n_pixels = int(pcs["sample"].sum())
    real_error = _real_error(pcs, rank, n_pixels)
    factors = _factors(pcs, rank, n_pixels, real_error)[covered]
    k = factors.shape[1]
    freedom = energy.size - k - (baseline is not None)
    if freedom < 1:
        raise FitError(
            f"{energy.size} energies that the library covers, for {k} components",
            remedy="use standards over a wider range, or a lower rank",
        )

    target = library.spectra(energy, shift=energy_shift).values
    free = factors
    if baseline is not None:
        free = np.column_stack([factors, np.full(energy.size, np.linalg.norm(factors[:, 0]))])
    weights = np.linalg.lstsq(free, target.T, rcond=None)[0]
    fitted = (free @ weights).T
    sd2 = _known_variance(library, energy, energy_shift, energy_shift_sd)
    aet = np.sqrt(((fitted - target) ** 2).sum(axis=1) / freedom)
    rep = np.sqrt((real_error * np.linalg.norm(weights[:k], axis=0)) ** 2 + sd2.mean(axis=1))
    ret = np.sqrt(np.maximum(aet**2 - rep**2, 0))
    spoil, ratio = ret / rep, (aet / rep) ** 2
    verdict = np.where(spoil < PRESENT, "present", np.where(spoil <= ABSENT, "possible", "absent"))

    def everywhere(values: np.ndarray) -> np.ndarray:
        """On the stack's axis, NaN where the library has no value."""
        whole = np.full((len(values), axis.size), np.nan)
        whole[:, covered] = values
        return whole

    return xr.Dataset(
        {
            "aet": ("standard", aet, {"long_name": "apparent error in the target"}),
            "ret": ("standard", ret, {"long_name": "real error in the target"}),
            "rep": ("standard", rep, {"long_name": "real error in the prediction"}),
            "spoil": ("standard", spoil),
            "f": ("standard", ratio),
            "p": ("standard", stats.f.sf(ratio, freedom, freedom * max(n_pixels - k, 1))),
            "mismatch": ("standard", aet / np.sqrt((target**2).mean(axis=1))),
            "verdict": ("standard", verdict),
            "target": (("standard", "energy"), everywhere(target)),
            "fitted": (("standard", "energy"), everywhere(fitted)),
        },
        coords={
            "standard": library.names,
            "label": ("standard", library.labels),
            "energy": pcs["energy"],
        },
        attrs={
            "rank": rank,
            "energy_shift_eV": float(energy_shift),
            "real_error": real_error,
            "library": library.id,
        },
    )


def _real_error(pcs: xr.Dataset, rank: int, n_pixels: int) -> float:
    """``RE``: what a single density has beyond the leading components, rms.

    The sum of all eigenvalues is that of the first over its share.
    """
    value, share = pcs["eigenvalue"].values, pcs["share"].values
    freedom = n_pixels * (pcs.sizes["energy"] - rank)
    tail = value[0] / share[0] - value[:rank].sum() if share[0] > 0 else 0.0
    # float32 data have rounding of this size, whatever else
    if freedom <= 0 or tail <= 1e-13 * value[0] / max(share[0], 1e-300):
        raise FitError(
            f"nothing is left beyond {rank} components, so there is no noise to compare with",
            remedy="test with a lower rank",
        )
    return float(np.sqrt(tail / freedom))


def _factors(pcs: xr.Dataset, rank: int, n_pixels: int, real_error: float) -> np.ndarray:
    """``R`` (energy, k): its columns are known with an error of `RE` at each energy.

    Noise adds ``c = RE² (p + n)`` to an eigenvalue and turns its eigenspectrum by more than the sum
    tells: the factor that is known so well has the length ``(λ - c) / √λ`` (spiked covariance,
    Johnstone and Lu 2009), no less than what can be told from noise at all.
    """
    spectra, value = pcs["eigenspectrum"].values[:rank], pcs["eigenvalue"].values[:rank]
    n_energy = pcs.sizes["energy"]
    noise = real_error**2 * (n_pixels + n_energy)
    least = real_error**2 * np.sqrt(n_pixels * n_energy)
    factors = spectra.T * (np.maximum(value - noise, least) / np.sqrt(value))
    if not pcs.attrs["centred"]:
        return factors
    # a constant is orthogonal to all centred scores: the mean is one more factor, unless what it
    # has beyond the others is no more than its noise
    mean = pcs["mean"].values
    beyond = np.linalg.norm(mean - spectra.T @ (spectra @ mean)) * np.sqrt(n_pixels)
    if beyond < 1.5 * real_error * np.sqrt(mean.size):
        return factors
    return np.column_stack([mean * np.sqrt(n_pixels), factors])


def _known_variance(library: Library, energy: np.ndarray, shift: float, sd: float) -> np.ndarray:
    """Variance (standard, energy) of the standards themselves, as far as it is known."""
    variance = (slopes_of(library, energy, shift).T * sd) ** 2
    for row, standard in enumerate(library.standards):
        if standard.spectrum_sd is not None:
            variance[row] += np.interp(energy - shift, standard.energy, standard.spectrum_sd) ** 2
    return variance
