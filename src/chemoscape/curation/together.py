"""Checks of a set of standards: duplicates, mixtures, saturated ones, axes, condition number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.curation.axes import check_axes
from chemoscape.curation.comparing import condition_of
from chemoscape.curation.explained import own_energies, unexplained
from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import noise_sd, parts_of
from chemoscape.curation.separability import separability
from chemoscape.curation.shape import TOO_THICK
from chemoscape.errors import ChemoscapeError, LibraryError
from chemoscape.standards.library import Library

#: What may be left of a standard, by the norm: below it another is the same, or others make it up.
DUPLICATE, MIXTURE, MIXTURE_WARNING = 0.02, 0.02, 0.05
CONDITION_WARNING, CONDITION_ERROR = 300.0, 3000.0
#: Compression of the highest peak by which others fit so much better that it is told.
COMPRESSION, COMPRESSION_RATIO = 0.25, 1.4
#: Share of a spectrum's norm that is noise beyond which it cannot be told from a mixture for sure.
NOISY = 0.05
_PURE = (
    'show by a diffraction pattern that it is one phase, call it kind = "mixture", or leave it out'
)


def check_together(library: Library, *, noise: float = 0.01) -> tuple[Finding, ...]:
    """All checks that compare standards with each other.

    Parameters
    ----------
    library : Library
    noise : float
        Standard deviation per energy, relative to the peak optical density, at which standards
        should be told apart.

    Returns
    -------
    tuple of Finding
    """
    if len(library.names) < 2:
        return (Finding("", "condition number", "not known", detail="one standard only"),)
    try:
        energy = own_energies(library)
    except LibraryError as error:
        return (
            Finding("", "condition number", "not known", remedy=error.remedy, detail=error.what),
        )
    spectra = library.spectra(energy).values
    own_noise = relative_noise(library, spectra)
    return (
        *check_duplicates(library, spectra, own_noise),
        *check_mixtures(library, spectra, own_noise),
        *check_compression(library, spectra),
        *check_axes(library),
        check_condition(spectra),
        check_separability(library, energy, noise),
    )


def relative_noise(library: Library, spectra: np.ndarray) -> np.ndarray:
    """Share of each spectrum's norm (less its mean) that is its own noise; 0 where unknown."""
    norms = np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1)
    sds = np.array([noise_sd(s, parts_of(s)) for s in library.standards])
    return np.nan_to_num(sds) * np.sqrt(spectra.shape[1]) / np.where(norms > 0, norms, np.inf)


def left_alone(spectra: np.ndarray) -> np.ndarray:
    """What each other spectrum by itself, scaled and with a constant, leaves of each: (K, K)."""
    return np.array([[unexplained(one, other[None])[0] for other in spectra] for one in spectra])


def noise_alone(left: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Noise of what `left_alone` says, (K, K): that of both spectra, the other's scaled as it is.

    Of spectra divided by their norms the other one's best weight is ``sqrt(1 - left**2)``.
    """
    return np.sqrt(noise[:, None] ** 2 + (1 - np.minimum(left, 1.0) ** 2) * noise**2)


def _beyond(left: ArrayLike, noise: ArrayLike, n_energy: int, *, sds: float = 2.0) -> np.ndarray:
    """What is left less what noise leaves, ``sqrt(left**2 - noise**2 (1 + sds sqrt(2 / n)))``.

    Squares of noise add, and those of n energies scatter by ``sqrt(2 / n)`` of themselves: with 2
    standard deviations it is the least that is left, with -2 the most.
    """
    squares = np.square(noise) * max(1 + sds * np.sqrt(2 / n_energy), 0.0)
    return np.sqrt(np.maximum(np.square(left) - squares, 0.0))


def check_duplicates(library: Library, spectra: np.ndarray, noise: np.ndarray) -> list[Finding]:
    """Whether another standard, scaled and with a constant, is the same but for noise.

    Parameters
    ----------
    library : Library
    spectra : ndarray, shape (K, n_energy)
    noise : ndarray, shape (K,)
        By `relative_noise`.
    """
    alone = left_alone(spectra)
    noises = noise_alone(alone, noise)
    apart = _beyond(alone, noises, spectra.shape[1])
    samples = [standard.record.sample for standard in library.standards]
    lie = [(sample.orientation, sample.polarisation) for sample in samples]
    findings = []
    for i, name in enumerate(library.names):
        others = np.arange(len(apart)) != i
        # Where noise is all that is left of several, the one that leaves least.
        nearest = min(np.flatnonzero(others), key=lambda j: (apart[i, j], alone[i, j]))
        left, beside = float(apart[i, nearest]), float(noises[i, nearest])
        bad = left < DUPLICATE
        said: Verdict = "pass" if not bad else "warn" if beside > NOISY else "fail"
        remedy = "remove one of them"
        if lie[i] != lie[nearest]:
            remedy = "two orientations without dichroism are one standard: remove one of them"
        other = library.names[nearest]
        findings.append(
            Finding(
                name,
                "duplicate",
                said,
                number=left,
                unit="left",
                threshold=f">= {DUPLICATE}",
                remedy=remedy if bad else "",
                detail=f"of it by {other}, scaled"
                + (": these two are the same" if bad else "")
                + _beside(beside),
            )
        )
    return findings


def _beside(noise: float) -> str:
    """How much noise there is in what is left, where that counts."""
    return f", beside noise of {noise:.2g}" if noise > DUPLICATE else ""


def check_mixtures(library: Library, spectra: np.ndarray, noise: np.ndarray) -> list[Finding]:
    """What the others leave of each standard, and whether it is a mixture of them.

    Duplicates of it are left out. A standard whose purity a diffraction pattern shows, or that is
    too noisy to say, is only warned about.

    Parameters
    ----------
    library : Library
    spectra : ndarray, shape (K, n_energy)
    noise : ndarray, shape (K,)
        By `relative_noise`.
    """
    alone = left_alone(spectra)
    apart = _beyond(alone, noise_alone(alone, noise), spectra.shape[1])
    norms = np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1)
    findings = []
    for i, standard in enumerate(library.standards):
        same = np.flatnonzero(apart[i] < DUPLICATE)
        rest = [j for j in range(len(spectra)) if j != i and j not in same]
        if not rest:
            continue
        left, weights = unexplained(spectra[i], spectra[rest])
        others = weights * norms[rest] * noise[rest] / (norms[i] or 1.0)
        beside = float(np.hypot(noise[i], np.linalg.norm(others)))
        least, most = (
            float(_beyond(left, beside, spectra.shape[1], sds=sds)) for sds in (2.0, -2.0)
        )
        # As a mixture if noise may be all that is left, as near to one if it is for sure.
        left = least if least < MIXTURE else most
        shares = weights / (weights.sum() or 1.0)
        told = " + ".join(
            f"{100 * shares[k]:.0f} % {library.names[rest[k]]}"
            for k in np.argsort(-shares)
            if shares[k] >= 0.005
        )
        declared = standard.kind == "mixture"
        verdict: Verdict = "pass" if declared or left >= MIXTURE_WARNING else "warn"
        shown = bool(standard.record.evidence.pxrd) or beside > NOISY
        if not declared and left < MIXTURE and not shown:
            verdict = "fail"
        findings.append(
            Finding(
                standard.id,
                "mixture",
                verdict,
                number=left,
                unit="left",
                threshold=f">= {MIXTURE_WARNING}, never < {MIXTURE}",
                remedy="" if verdict == "pass" else _PURE,
                detail=f"of it by {told or 'the others'}"
                + (" (a known mixture)" if declared else "")
                + _beside(beside),
            )
        )
    return findings


def check_compression(library: Library, spectra: np.ndarray) -> list[Finding]:
    """Whether one standard's peaks are flattened against what the others would make of it.

    A film too thick measures ``y = m (1 - c m / m_max)`` to first order of the stray light; the
    compression c is searched with which the others explain it best. Told only of the standard
    where it explains most: the others are fitted with that one.
    """
    if len(spectra) < 3:
        return []
    trials = np.linspace(0.0, 0.4, 21)
    found = []
    for i, name in enumerate(library.names):
        y = spectra[i] - spectra[i].min()
        y = y / (y.max() or 1.0)
        rest = np.delete(spectra, i, axis=0)
        left = np.array([unexplained(y * (1 + c * y), rest)[0] for c in trials])
        best = int(left.argmin())
        gain = float(left[0] / left[best]) if left[best] > 0 else np.inf
        found.append((gain if left[0] > MIXTURE_WARNING else 1.0, float(trials[best]), name))
    gain, c, name = max(found)
    if gain < COMPRESSION_RATIO or c < COMPRESSION:
        return []
    return [
        Finding(
            name,
            "compression",
            "warn",
            number=100 * c,
            unit="%",
            threshold=f"< {100 * COMPRESSION:g} %",
            remedy=TOO_THICK,
            detail=f"with its highest peak so much taller the others explain it {gain:.1f} times "
            "better: a film too thick is flattened like this",
        )
    ]


def check_condition(spectra: np.ndarray) -> Finding:
    """Condition number of the spectra, each divided by its length."""
    number = condition_of(spectra)
    verdict: Verdict = "fail" if number > CONDITION_ERROR else "pass"
    if CONDITION_WARNING < number <= CONDITION_ERROR:
        verdict = "warn"
    return Finding(
        "",
        "condition number",
        verdict,
        number=number,
        threshold=f"<= {CONDITION_WARNING:g}, never > {CONDITION_ERROR:g}",
        remedy=""
        if verdict == "pass"
        else "fit with fewer standards: drop those with the least left",
        detail=f"of all {len(spectra)} standards",
    )


def check_separability(library: Library, energy: np.ndarray, noise: float) -> Finding:
    """Whether each pair can be told apart at the noise."""
    try:
        told = separability(library, noise=noise, energy=energy)
    except ChemoscapeError as error:
        return Finding("", "separability", "not known", remedy=error.remedy, detail=error.what)
    pairs = told.inseparable
    return Finding(
        "",
        "separability",
        "warn" if pairs else "pass",
        number=told.worst_pair_sd,
        unit="sd of a fraction",
        threshold="<= 1/3",
        remedy="average more pixels, or keep one of each pair" if pairs else "",
        detail="; ".join(told.sentence(*pair) for pair in pairs),
    )
