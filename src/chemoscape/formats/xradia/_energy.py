"""Photon energies of Xradia images: noted in the file, in its name, or given by the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Wanted
from chemoscape.formats.xradia._info import Info

#: ``scan_0250.52eV_1.xrm`` or ``scan_0250.52_eV_1.xrm``.
_IN_NAME = re.compile(r"(?<![\d.])(\d{2,5}(?:\.\d+)?)_?eV(?![a-z])", re.IGNORECASE)

#: Noted energies are taken for rounded ones when fewer than this share of them are different.
#: Some repeat where two energy ranges of a scan meet.
_DIFFERENT_SHARE = 0.8

#: A name says the same energy as the file, with more digits, within this (eV).
_ROUNDED_BY = 1.0

#: Noted and named energies are the same within the digits of 32 bits (eV).
_SAME = 0.005

_GIVE = "give them: energy = a list in eV, or a text file with one per line"


def energies(
    infos: Sequence[Info], wanted: Wanted, where: Path
) -> tuple[np.ndarray | None, int, tuple[str, ...]]:
    """Energies of the images of one file, or of several files with one image each.

    Returns
    -------
    energy : ndarray, shape (n,), or None
        eV, in the order of the files; None when the user gave them.
    n : int
        Number of images that the stack has; planned ones without an energy are left out.
    notes : tuple of str
        What to say of them.

    Raises
    ------
    FileFormatError
        There are none and the user gave none, or the images are a tomography.
    """
    n = sum(len(info.pictures) for info in infos)
    n_taken = n if len(infos) > 1 else infos[0].n_taken
    if wanted.energy is not None:
        return None, n_taken if len(wanted.energy) == n_taken else n, ()
    if n == 1 or len(infos) > 1:
        energy, trouble, notes = _of_singles(infos)
    else:
        energy, trouble, notes = infos[0].energy, infos[0].trouble, ()
    angle = np.concatenate([info.angle for info in infos])[:n_taken]
    _refuse_tomography(energy, angle, n_taken, where)
    if energy is None:
        raise FileFormatError(trouble, str(where), _GIVE)
    if _are_rounded(energy[:n_taken]):
        raise FileFormatError(
            f"notes only {np.unique(energy[:n_taken]).size} different photon energies for "
            f"{n_taken} images, as when they are rounded",
            str(where),
            _GIVE,
        )
    planned = np.isfinite(energy).all() and np.unique(energy[n_taken:]).size == n - n_taken
    if planned and not np.isin(energy[n_taken:], energy[:n_taken]).any():
        return energy, n, notes
    return energy[:n_taken], n_taken, notes


def _are_rounded(energy: np.ndarray) -> bool:
    """Whether so many energies (eV) repeat, or are unknown, that they tell no images apart."""
    different = np.unique(energy[np.isfinite(energy)]).size
    return energy.size > 1 and different < _DIFFERENT_SHARE * energy.size


def _of_singles(infos: Sequence[Info]) -> tuple[np.ndarray | None, str, tuple[str, ...]]:
    """Energies of files with one image: a name has more digits than some files have."""
    noted = np.array([np.nan if info.energy is None else info.energy[0] for info in infos])
    found = [_IN_NAME.search(info.path.name) for info in infos]
    named = np.array([float(match[1]) if match else np.nan for match in found])
    precise = np.array([match is not None and "." in match[1] for match in found])
    off = np.abs(named - noted)
    rounded = np.isfinite(off) & precise & (off > _SAME) & (off <= _ROUNDED_BY)
    if _are_rounded(noted) and not _are_rounded(named):
        rounded = np.isfinite(named)
    taken = np.isnan(noted) | rounded
    energy = np.where(taken, named, noted)
    unknown = np.isnan(energy)
    if unknown.any():
        if len(infos) == 1:
            return None, f"{infos[0].trouble}, nor does its name (…_0250.52eV.xrm)", ()
        first = infos[int(np.flatnonzero(unknown)[0])].path.name
        return None, f"{unknown.sum()} of {len(infos)} files note no energy, as {first}", ()
    notes = []
    if np.isfinite(noted[taken]).any():
        notes.append("energies are those in the file names; the files note rounded ones")
    elif taken.any():
        notes.append("energies are those in the file names; the files note none")
    contradicted = np.flatnonzero((off > _ROUNDED_BY) & ~taken)
    if contradicted.size:
        k = int(contradicted[0])
        notes.append(
            f"{infos[k].path.name} is named {named[k]:g} eV and notes {noted[k]:.2f} eV, which is "
            "used"
        )
    return energy, "", tuple(notes)


def _refuse_tomography(
    energy: np.ndarray | None, angle: np.ndarray, n_taken: int, where: Path
) -> None:
    """Refuse images at many angles, unless each has its own energy."""
    angles = np.unique(np.round(angle[np.isfinite(angle)], 2)).size
    different = 1 if energy is None else np.unique(energy[:n_taken]).size
    if angles > 1 and different < n_taken:
        raise FileFormatError(
            f"holds {n_taken} images at {angles} angles and {different} photon energies: a "
            "tomography, not a stack over energy",
            str(where),
            "give a scan over energy at one angle",
        )
