"""The drift of a stack as numbers: shifts per frame, and their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError, StackError
from chemoscape.preprocess import resample

#: Energies of a drift and a stack that differ by less (eV) are the same: files round to 0.01 eV.
SAME_ENERGY_EV = 0.02
_REMEDY = "give an alignment file (.aln or .sl) as aXis2000 writes it"


@dataclass(frozen=True)
class Drift:
    """How far each frame has to be moved, and turned.

    Pixel p = (y, x) of the moved frame is taken from c + linear⁻¹ (p - c - shift) of the recorded
    one, with c = ((n_y - 1)/2, (n_x - 1)/2) the centre of the image.

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
    linear : ndarray, shape (n_energy, 2, 2), optional
        Rotation, scaling and shear to APPLY about the centre of the image, in the order (y, x);
        None when the frames only shift.
    shape : tuple (n_y, n_x), optional
        Of the frames that were measured. It says where the centre is, which `linear` needs: `align`
        refuses another shape, and `max_px` and `rms_px` count the turning.
    """

    shifts: np.ndarray
    energy: np.ndarray
    reference: int
    quality: np.ndarray
    replaced: np.ndarray
    linear: np.ndarray | None = None
    shape: tuple[int, int] | None = None

    @property
    def noise_gain(self) -> np.ndarray:
        """Factor (n_energy,) that interpolating at these shifts puts on the variance of a pixel's
        noise.

        For a frame that is turned or scaled, its mean over the image; 0.764, that of all fractions
        of a pixel alike, where `shape` is not known.
        """
        gain = resample.noise_gain(self.shifts)
        if self.linear is None:
            return gain
        for i, (shift, linear) in enumerate(zip(self.shifts, self.linear, strict=True)):
            if self.shape is None and not np.array_equal(linear, np.eye(2)):
                gain[i] = resample.EVERY_FRACTION_GAIN
            elif self.shape is not None and resample.turns(linear, self.shape):
                gain[i] = resample.motion_gain(shift, linear, self.shape)
        return gain

    @property
    def max_px(self) -> float:
        """Largest distance by which any frame is moved, in pixels; with `linear` and `shape`, that
        of the corner of the image that moves most.
        """
        moved = self.shifts[:, :, None]
        if self.linear is not None and self.shape is not None:
            half_y, half_x = (np.array(self.shape) - 1) / 2
            corners = np.array(
                [[half_y, half_y, -half_y, -half_y], [half_x, -half_x, half_x, -half_x]]
            )
            moved = moved + (self.linear - np.eye(2)) @ corners
        return float(np.hypot(moved[:, 0], moved[:, 1]).max())

    @property
    def rms_px(self) -> float:
        """Root mean square of the shifts about their mean, in pixels, over both axes together; with
        `linear` and `shape`, of the motion of all pixels about what it is in the mean frame.
        """
        squares = ((self.shifts - self.shifts.mean(axis=0)) ** 2).sum(axis=1)
        if self.linear is not None and self.shape is not None:
            mean_square = (np.array(self.shape) ** 2 - 1) / 12  # of y and of x about the centre
            turn = self.linear - self.linear.mean(axis=0)
            squares = squares + (turn**2 @ mean_square).sum(axis=1)
        return float(np.sqrt(squares.mean()))

    def edited(self, shifts: Mapping[float, tuple[float, float]]) -> Drift:
        """The same with the shifts of some frames set by hand; their `quality` is then NaN.

        Parameters
        ----------
        shifts : mapping of float to (dy, dx)
            Pixels to APPLY to the frame at each energy (eV), found to 0.02 eV. How a frame is
            turned stays as it is.

        Raises
        ------
        StackError
            No frame has that energy, one is named twice, or a shift is not a pair of numbers.

        Examples
        --------
        >>> still = Drift(np.zeros((2, 2)), np.array([510.0, 511.0]), 0, np.ones(2), np.zeros(2))
        >>> still.edited({511.0: (0.5, -2.0)}).shifts.tolist()
        [[0.0, 0.0], [0.5, -2.0]]
        """
        moved, quality = self.shifts.astype(np.float64), self.quality.astype(np.float64)
        replaced, done = self.replaced.copy(), set()
        for energy, shift in shifts.items():
            i = self._frame_at(energy)
            pair = np.asarray(shift, dtype=np.float64)
            if pair.shape != (2,) or not np.isfinite(pair).all():
                raise StackError(
                    f"the shift of the frame at {energy:.2f} eV is {shift!r}",
                    remedy="give two numbers (dy, dx), the pixels to move it by",
                )
            if i in done:
                raise StackError(
                    f"two shifts are given for the frame at {self.energy[i]:.2f} eV",
                    remedy="leave out one of them",
                )
            done.add(i)
            moved[i], quality[i], replaced[i] = pair, np.nan, False
        return replace(self, shifts=moved, quality=quality, replaced=replaced)

    def _frame_at(self, energy: float) -> int:
        """Index of the frame at an energy (eV)."""
        away = np.abs(self.energy - energy)
        if not np.isfinite(away).any():
            raise StackError(
                f"no frame can be found at {energy:.2f} eV: the drift was read from a file "
                "without energies",
                remedy="give it the stack's first: dataclasses.replace(drift, energy=…)",
            )
        i = int(np.nanargmin(away))
        if not away[i] <= SAME_ENERGY_EV:
            raise StackError(
                f"the drift has no frame at {energy:.2f} eV",
                remedy=f"the nearest is at {self.energy[i]:.2f} eV",
            )
        return i

    def save(self, path: str | Path) -> None:
        """Write an aXis2000 alignment file: ``.aln``, or the older ``.sl``.

        Both hold minus the shift to apply, x before y, to 0.0001 pixel. ``.sl`` has a name per
        frame and no reference; neither holds `quality` or `replaced`. An old file is replaced only
        by a complete new one.

        Raises
        ------
        FileFormatError
            Another suffix, frames that are turned or scaled, or the file cannot be written.
        """
        from chemoscape.formats import _saving

        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in (".aln", ".sl"):
            raise FileFormatError(
                f"shifts are not written as {suffix or 'a file without a suffix'}",
                where=str(path),
                remedy="give a name that ends in .aln or .sl",
            )
        turned = 0 if self.linear is None else int((self.linear != np.eye(2)).any((1, 2)).sum())
        if turned:
            raise FileFormatError(
                f"{turned} of {len(self.shifts)} frames are turned or scaled, and an alignment "
                "file holds shifts only",
                where=str(path),
                remedy='save the aligned stack instead, or measure with motion="translation"',
            )
        if not np.isfinite(self.shifts).all():
            raise FileFormatError(
                "a shift is not finite, and an alignment file holds numbers only",
                where=str(path),
                remedy="set it with drift.edited({energy: (dy, dx)})",
            )
        text = self._aln() if suffix == ".aln" else self._sl()

        def write(text: str, part: Path, _: Path) -> str:
            part.write_text(text, encoding="utf-8", newline="\n")
            return ""

        _saving.save(write, text, target)

    def _aln(self) -> str:
        """Text of an ``.aln`` file."""
        lines = [
            "! X-Y pixel shifts of an image sequence",
            "! name, x shift, y shift (measured displacement: apply with opposite sign)",
            f"ALIGN({self.reference}",
            f"PLOTIT({len(self.energy)}",
        ]
        for i, (energy, entry) in enumerate(zip(self.energy, self._entries(), strict=True)):
            label = f" {energy:.3f} eV 0.00 ms" if np.isfinite(energy) else ""
            lines.append(f"frame{i:03d}{label},{entry}")
        return "\n".join(lines) + "\n"

    def _sl(self) -> str:
        """Text of an ``.sl`` file."""
        lines = []
        for i, (energy, entry) in enumerate(zip(self.energy, self._entries(), strict=True)):
            label = f"_{energy:.3f}eV" if np.isfinite(energy) else ""
            lines.append(f"frame{i:03d}{label},{entry}")
        return "\n".join(lines) + "\n"

    def _entries(self) -> list[str]:
        """Minus the shifts as ``dx,dy``, without a minus before zero."""
        return [f"{dx:.4f},{dy:.4f}" for dy, dx in 0.0 - self.shifts.round(4)]

    @classmethod
    def load(cls, path: str | Path) -> Drift:
        """Read an aXis2000 ``.aln`` (or older ``.sl``) file.

        Energies are NaN where its names give none. Where it names no reference, that is the first
        frame with a shift of zero.

        Raises
        ------
        FileFormatError
            The file is missing or a line is not ``name,x shift,y shift``.
        """
        from chemoscape.formats import _guard

        text = _guard.read_text(_guard.regular_file(path))
        shifts: list[tuple[float, float]] = []
        energy: list[float] = []
        reference: int | None = None
        for number, line in enumerate(text.splitlines(), start=1):
            entry = line.strip()
            head = re.match(r"ALIGN\(\s*(\d+)\s*\)?$", entry)
            if head:
                reference = int(head.group(1))
            if not entry or entry.startswith(("!", "ALIGN(", "PLOTIT(")):
                continue
            try:
                name, dx, dy = entry.rsplit(",", 2)
                shifts.append((0.0 - float(dy), 0.0 - float(dx)))
            except ValueError:
                raise FileFormatError(
                    f"line {number} is not 'name, x shift, y shift'",
                    where=str(path),
                    remedy=_REMEDY,
                ) from None
            found = re.search(r"([0-9]+(?:\.[0-9]*)?)\s*eV", name)
            energy.append(float(found.group(1)) if found else np.nan)
        values = np.array(shifts, dtype=np.float64).reshape(-1, 2)
        if not len(values) or not np.isfinite(values).all():
            raise FileFormatError(
                "holds no shifts" if not len(values) else "holds a shift that is not finite",
                where=str(path),
                remedy=_REMEDY,
            )
        n = len(values)
        if reference is None:  # the first that stays where it is
            reference = int(np.argmin(values.any(axis=1)))
        return cls(
            values,
            np.array(energy),
            min(reference, n - 1),
            np.full(n, np.nan),
            np.zeros(n, dtype=bool),
        )
