"""The drift of a stack as numbers: shifts per frame, and their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.preprocess.resample import noise_gain


@dataclass(frozen=True)
class Drift:
    """How far each frame has to be moved.

    Parameters
    ----------
    shifts : ndarray, shape (n_energy, 2)
        Pixels (dy, dx) to APPLY to each frame.
    energy : ndarray, shape (n_energy,)
        Photon energies in eV.
    reference : int
        Index of the frame that the others were measured against.
    quality : ndarray, shape (n_energy,)
        Correlation coefficient of the edge maps at the shift, 1 for alike frames, NaN when not
        measured.
    replaced : ndarray of bool, shape (n_energy,)
        Frames whose own measurement was not believed; their shift is interpolated.
    """

    shifts: np.ndarray
    energy: np.ndarray
    reference: int
    quality: np.ndarray
    replaced: np.ndarray

    @property
    def noise_gain(self) -> np.ndarray:
        """Factor (n_energy,) that interpolating at these shifts puts on the variance of a pixel's
        noise.
        """
        return noise_gain(self.shifts)

    @property
    def max_px(self) -> float:
        """Largest distance of any frame from the reference, in pixels."""
        return float(np.hypot(*self.shifts.T).max())

    @property
    def rms_px(self) -> float:
        """Root mean square of the shifts about their mean, in pixels, over both axes together."""
        return float(np.sqrt(((self.shifts - self.shifts.mean(axis=0)) ** 2).sum(axis=1).mean()))

    def save(self, path: str | Path) -> None:
        """Write an aXis2000 ``.aln`` file (its sign: minus the shift to apply; x before y)."""
        lines = [
            "! X-Y pixel shifts of an image sequence",
            "! name, x shift, y shift (measured displacement: apply with opposite sign)",
            f"ALIGN({self.reference}",
            f"PLOTIT({len(self.energy)}",
        ]
        for i, (energy, (dy, dx)) in enumerate(zip(self.energy, self.shifts, strict=True)):
            lines.append(f"frame{i:03d} {energy:.3f} eV 0.00 ms,{-dx:.4f},{-dy:.4f}")
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Drift:
        """Read an aXis2000 ``.aln`` (or older ``.sl``) file; energies are NaN where its names give
        none.

        Raises
        ------
        FileFormatError
            The file is missing or a line is not ``name,x shift,y shift``.
        """
        from chemoscape.formats import _guard

        text = _guard.read_text(_guard.regular_file(path))
        shifts, energy, reference = [], [], 0
        for number, line in enumerate(text.splitlines(), start=1):
            entry = line.strip()
            head = re.match(r"ALIGN\(\s*(\d+)\s*\)?$", entry)
            if head:
                reference = int(head.group(1))
            if not entry or entry.startswith(("!", "ALIGN(", "PLOTIT(")):
                continue
            try:
                name, dx, dy = entry.rsplit(",", 2)
                shifts.append((-float(dy), -float(dx)))
            except ValueError:
                raise FileFormatError(
                    f"line {number} is not 'name, x shift, y shift'",
                    where=str(path),
                    remedy="give an alignment file (.aln) as aXis2000 writes it",
                ) from None
            found = re.search(r"([0-9]+(?:\.[0-9]*)?)\s*eV", name)
            energy.append(float(found.group(1)) if found else np.nan)
        values = np.array(shifts, dtype=np.float64).reshape(-1, 2)
        if not len(values) or not np.isfinite(values).all():
            raise FileFormatError(
                "holds no shifts" if not len(values) else "holds a shift that is not finite",
                where=str(path),
                remedy="give an alignment file (.aln) as aXis2000 writes it",
            )
        n = len(values)
        return cls(
            values,
            np.array(energy),
            min(reference, n - 1),
            np.full(n, np.nan),
            np.zeros(n, dtype=bool),
        )
