"""Checks of a set of standards: duplicates, mixtures, saturated ones, axes, condition number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chemoscape.curation.axes import check_axes
from chemoscape.curation.explained import own_energies, unexplained
from chemoscape.curation.findings import Finding, Verdict
from chemoscape.curation.parts import noise_sd, parts_of
from chemoscape.curation.separability import separability
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
    own_noise = relative_noise(library, energy)
    return (
        *check_duplicates(library, spectra, own_noise),
        *check_mixtures(library, spectra, own_noise),
        *check_compression(library, spectra),
        *check_axes(library),
        check_condition(library, energy),
        check_separability(library, energy, noise),
    )


def relative_noise(library: Library, energy: np.ndarray) -> np.ndarray:
    """Share of each spectrum's norm (less its mean) that is its own noise; 0 where unknown."""
    spectra = library.spectra(energy).values
    norms = np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1)
    sds = np.array([noise_sd(s, parts_of(s)) for s in library.standards])
    return np.nan_to_num(sds) * np.sqrt(energy.size) / np.where(norms > 0, norms, np.inf)


def _beyond(left: float, noise: float) -> float:
    """What is left, less what noise leaves (they add in squares)."""
    return float(np.sqrt(max(left**2 - noise**2, 0.0)))


def check_duplicates(library: Library, spectra: np.ndarray, noise: np.ndarray) -> list[Finding]:
    """Whether another standard, scaled and with a constant, is the same but for noise."""
    samples = [standard.record.sample for standard in library.standards]
    lie = [(sample.orientation, sample.polarisation) for sample in samples]
    findings = []
    for i, name in enumerate(library.names):
        alone = np.array([unexplained(spectra[i], other[None])[0] for other in spectra])
        alone[i] = np.inf
        nearest = int(alone.argmin())
        left = _beyond(float(alone[nearest]), noise[i])
        bad = left < DUPLICATE
        said: Verdict = "pass" if not bad else "warn" if noise[i] > NOISY else "fail"
        remedy = "remove one of them"
        if lie[i] != lie[nearest]:
            remedy = "two orientations without dichroism are one standard: remove one of them"
        other = library.names[nearest]
        findings.append(
            Finding(
                name,
                "duplicate",
                said,
                left,
                "left",
                f">= {DUPLICATE}",
                remedy if bad else "",
                f"of it by {other}, scaled"
                + (": these two are the same" if bad else "")
                + _beside(noise[i]),
            )
        )
    return findings


def _beside(noise: float) -> str:
    """How much of a spectrum is noise, where that counts."""
    return f", beside noise of {noise:.2g}" if noise > DUPLICATE else ""


def check_mixtures(
    library: Library,
    spectra: np.ndarray,
    noise: np.ndarray,
) -> list[Finding]:
    """What the others leave of each standard, and whether it is a mixture of them.

    Duplicates of it are left out. A standard whose purity a diffraction pattern shows, or that is
    too noisy to say, is only warned about.
    """
    findings = []
    for i, standard in enumerate(library.standards):
        alone = [unexplained(spectra[i], other[None])[0] for other in spectra]
        same = [j for j in range(len(spectra)) if _beyond(alone[j], noise[i]) < DUPLICATE]
        rest = [j for j in range(len(spectra)) if j != i and j not in same]
        if not rest:
            continue
        left, weights = unexplained(spectra[i], spectra[rest])
        left = _beyond(left, noise[i])
        shares = weights / (weights.sum() or 1.0)
        told = " + ".join(
            f"{100 * shares[k]:.0f} % {library.names[rest[k]]}"
            for k in np.argsort(-shares)
            if shares[k] >= 0.005
        )
        declared = standard.kind == "mixture"
        verdict: Verdict = "pass" if declared or left >= MIXTURE_WARNING else "warn"
        shown = bool(standard.record.evidence.pxrd) or noise[i] > NOISY
        if not declared and left < MIXTURE and not shown:
            verdict = "fail"
        findings.append(
            Finding(
                standard.id,
                "mixture",
                verdict,
                left,
                "left",
                f">= {MIXTURE_WARNING}, never < {MIXTURE}",
                "" if verdict == "pass" else _PURE,
                f"of it by {told or 'the others'}"
                + (" (a known mixture)" if declared else "")
                + _beside(noise[i]),
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
            100 * c,
            "%",
            f"< {100 * COMPRESSION:g} %",
            "look up the highest optical density of the measurement, and measure a thinner sample",
            f"with its highest peak so much taller the others explain it {gain:.1f} times better: "
            "a film too thick is flattened like this",
        )
    ]


def check_condition(library: Library, energy: np.ndarray) -> Finding:
    """Condition number of the spectra, each divided by its length."""
    from chemoscape.decompose.direct import condition_number

    lengths = np.linalg.norm(library.spectra(energy).values, axis=1)
    lengths[lengths == 0] = 1.0
    unit = replace(
        library,
        standards=tuple(
            replace(s, spectrum=s.spectrum / length, scale="optical_density")
            for s, length in zip(library.standards, lengths, strict=True)
        ),
    )
    number = condition_number(unit, energy)
    verdict: Verdict = "fail" if number > CONDITION_ERROR else "pass"
    if CONDITION_WARNING < number <= CONDITION_ERROR:
        verdict = "warn"
    return Finding(
        "",
        "condition number",
        verdict,
        number,
        "",
        f"<= {CONDITION_WARNING:g}, never > {CONDITION_ERROR:g}",
        "" if verdict == "pass" else "fit with fewer standards: drop those with the least left",
        f"of all {len(lengths)} standards",
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
        told.worst_pair_sd,
        "sd of a fraction",
        "<= 1/3",
        "average more pixels, or keep one of each pair" if pairs else "",
        "; ".join(told.sentence(*pair) for pair in pairs),
    )
