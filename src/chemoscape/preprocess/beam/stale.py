"""Does an I0 belong to these images? The empty background and the sample's own spectrum tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar

from chemoscape.preprocess.beam.units import NEGLIGIBLE_OD, SAME_OD, scatter, warn

#: Structure of the background below this optical density is not worth a warning, whatever its
#: significance, and neither is any below so many standard deviations.
STRUCTURE_OD = 0.01
SIGNIFICANT = 5.0
#: Shifts (eV) that are tried on I0, and the share of the structure that one must explain.
LARGEST_SHIFT_EV = 2.0
EXPLAINED = 0.7
#: Edges of what grows on mirrors and gratings, where the beam itself has structure (eV).
CONTAMINATED = ((275.0, 330.0), (395.0, 420.0), (525.0, 565.0))
#: A film in the background with less than this share of the sample's absorption is not said: the
#: tails of a zone plate's focus bring as much.
FILM_SHARE = 0.03


def check_shape(
    energy: np.ndarray,
    offset: np.ndarray,
    variance: np.ndarray,
    shifted: Callable[[float], np.ndarray] | None,
) -> None:
    """Warn, once, unless the background's optical density is zero at every energy.

    Parameters
    ----------
    energy : ndarray, shape (n_energy,)
        eV.
    offset : ndarray, shape (n_energy,)
        Optical density of the empty background with this I0, after its unit was corrected.
    variance : ndarray, shape (n_energy,)
        What counting gives it.
    shifted : callable, optional
        The same with I0 moved by so many eV to higher energies; NaN beyond its ends.

    Warns
    -----
    ChemoscapeWarning
        The level is not zero, or the shape differs from it by more than five standard deviations
        and an optical density of 0.01. The sentence tells a slow trend from sharp structure, and
        from one that goes when I0 is moved in energy.
    """
    level, spread = float(np.nanmedian(offset)), scatter(offset)
    shape = _structure(energy, offset - level, variance, shifted)
    if abs(level) > NEGLIGIBLE_OD:
        form = "at every energy" if spread < SAME_OD else f"on average, and varies by {spread:.3f}"
        warn(
            f"the empty background has an optical density of {level:.3f} {form}, which no dwell, "
            "divider or ring current of the header explains; it was not corrected: look whether I0 "
            f"belongs to this stack{'; ' + shape if shape else ''}"
        )
    elif spread > NEGLIGIBLE_OD or shape:
        amount = f"by {spread:.3f}" if spread > NEGLIGIBLE_OD else "more than counting explains"
        warn(
            f"the optical density of the empty background varies over energy {amount}: I0 does not "
            "have the shape of the beam in this stack; it was not corrected"
            f"{'; ' + shape if shape else ''}"
        )


def _structure(
    energy: np.ndarray,
    rest: np.ndarray,
    variance: np.ndarray,
    shifted: Callable[[float], np.ndarray] | None,
) -> str:
    """A clause on the structure of `rest` (n_energy,), empty when it is noise."""
    seen = np.isfinite(rest)
    if seen.sum() < 4:
        return ""
    energy, rest, variance = energy[seen], rest[seen], variance[seen]
    noise = np.sqrt(np.maximum(variance, _noise(rest) ** 2) + 1e-12)
    average = _running(rest)
    sd = noise * (np.sqrt(1 / 3) if rest.size >= 9 else 1.0)
    far = np.abs(average) / sd
    if far.max() < SIGNIFICANT or np.abs(average[far > SIGNIFICANT]).max() < STRUCTURE_OD:
        return ""
    worst = int(np.argmax(np.where(far > SIGNIFICANT, np.abs(average), 0)))
    clause = (
        f"it is largest at {energy[worst]:.2f} eV, {average[worst]:+.3f} ± {sd[worst]:.1g} from "
        "its level"
    )
    trend = np.polyval(np.polyfit(energy - energy.mean(), rest, 2), energy - energy.mean())
    left = float(((rest - trend) ** 2).sum() / (rest**2).sum())
    if shifted is not None:
        move, explained = _best_shift(shifted, seen, float((rest**2).sum()))
        if explained > max(EXPLAINED, 1 - left):
            return f"{clause}; I0 fits after a shift of {move:+.2f} eV: look at its energy axis"
    if left < 1 - EXPLAINED:
        return f"{clause}; a slow trend, as of a beam that moved or decayed between I0 and stack"
    return (
        f"{clause}; sharp structure, as of carbon or oxygen grown on the optics since, or of "
        "sample in one of the two"
    )


def _noise(rest: np.ndarray) -> float:
    """Scatter of single values, from second differences, which are blind to slow changes."""
    return scatter(np.diff(rest, 2)) / np.sqrt(6) if rest.size >= 9 else 0.0


def _running(rest: np.ndarray) -> np.ndarray:
    """Mean over three energies, when there are enough of them."""
    if rest.size < 9:
        return rest
    return np.convolve(np.r_[rest[0], rest, rest[-1]], np.ones(3) / 3, mode="valid")


def _best_shift(
    shifted: Callable[[float], np.ndarray], seen: np.ndarray, before: float
) -> tuple[float, float]:
    """Shift (eV) of I0 that leaves least structure, and the share of it that goes."""
    n = int(seen.sum())

    def left(move: float) -> float:
        rest = shifted(move)[seen]
        known = np.isfinite(rest)
        if known.sum() < max(0.6 * n, 4):
            return float("inf")
        rest = rest[known] - np.median(rest[known])
        return float((rest**2).sum()) * n / int(known.sum())

    grid = np.linspace(-LARGEST_SHIFT_EV, LARGEST_SHIFT_EV, 81)
    tried = np.array([left(move) for move in grid])
    start = float(grid[int(np.argmin(tried))])
    step = float(grid[1] - grid[0])
    fine = minimize_scalar(left, bounds=(start - step, start + step), method="bounded")
    return float(fine.x), 1 - float(fine.fun) / before


def warn_of_film(energy: np.ndarray, beam: np.ndarray, sample: np.ndarray) -> None:
    """Warn where the beam found in the image dips as the sample absorbs: a film of sample is in it.

    With ``D = ln(beam/sample)`` the sample's spectrum, ``ln beam = cubic(E) - f D`` is fitted; f is
    the film's thickness over what the sample has more of. Around the carbon, nitrogen and oxygen
    edges the beam has dips of its own, and nothing can be said.

    Parameters
    ----------
    energy, beam, sample : ndarray, shape (n_energy,)
        eV, and means over the background and over what is darker.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        log_beam, density = np.log(beam), np.log(beam / sample)
    seen = np.isfinite(log_beam) & np.isfinite(density)
    for low, high in CONTAMINATED:
        seen &= (energy < low) | (energy > high)
    if seen.sum() < 12:
        return
    e = energy[seen] - energy[seen].mean()
    smooth = np.vander(e / max(np.abs(e).max(), 1e-9), 4)
    beam_rest, sample_rest = (
        values - smooth @ np.linalg.lstsq(smooth, values, rcond=None)[0]
        for values in (log_beam[seen], density[seen])
    )
    power = float(sample_rest @ sample_rest)
    if not power > 0:
        return
    share = -float(beam_rest @ sample_rest) / power
    rest = beam_rest + share * sample_rest
    sd = np.sqrt(float(rest @ rest) / (seen.sum() - 5) / power)
    follows = 1 - float(rest @ rest) / max(float(beam_rest @ beam_rest), 1e-30)
    size = share * float(np.ptp(sample_rest))
    if share > max(FILM_SHARE, 8 * sd) and follows > 0.8 and size > STRUCTURE_OD:
        warn(
            f"the beam found in the background dips where the sample absorbs, by {share:.0%} of "
            f"its spectrum (optical density {size:.2f}): the background seems to be a film of "
            "sample; give the region without sample, or an I0 spectrum"
        )
