"""Optical density and registration by other programs."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from peer_stacks import Result, mantis_stack, timed

#: Subpixels per pixel where a program leaves the choice to its user; MANTiS calls it high accuracy.
UPSAMPLING = 20


def mantis_optical_density(folder: Path, like: str) -> Result:
    """`calculate_optical_density` with I0 known: no search for I0, no variance."""
    stack = mantis_stack(folder, like=like)
    stack.evi0, stack.i0data = stack.ev.copy(), np.load(folder / "i0.npy").astype(np.float64)
    return timed(stack.calculate_optical_density)


def mantis_manual(folder: Path, facts: Result) -> Result:
    """Stack Alignment: `register_images` of every frame against the reference, no edge
    enhancement, neither plots nor resampling.
    """
    stack = mantis_stack(folder)
    reference = stack.absdata[:, :, facts["reference"]].copy()
    found = np.zeros((stack.n_ev, 2))

    def work() -> None:
        for i in range(stack.n_ev):
            frame = stack.absdata[:, :, i]
            x, y, _ = stack.register_images(reference, frame, have_ref_img_fft=i > 0)
            found[i] = y, x

    return timed(work, lambda: found)


def mantis_fft(folder: Path, facts: Result) -> Result:
    """FFT Stack Alignment: the dialog itself, its Align button pressed with everything as it comes
    (reference image, high accuracy, edge detection, Gauss 1), until the shifts are known.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from mantis_xray.gui.dialogs.alignment import ImageRegistrationFFT
    from PyQt5.QtWidgets import QApplication

    application = QApplication([])
    stack = mantis_stack(folder)
    common = SimpleNamespace(stack_loaded=1, stack_4d=0)
    dialog = ImageRegistrationFFT(None, common, stack)
    dialog.OnAligned = application.quit  # resampling would follow
    dialog.OnScrollEng(facts["reference"])

    def work() -> None:
        dialog.ComposeAlignQueue()
        application.exec_()

    def shifts() -> np.ndarray:
        dialog.poolthread.quit()
        dialog.poolthread.wait()
        found = stack.shiftsdict[0]
        return -np.column_stack([found["ydots"], found["xdots"]]).astype(float)

    return timed(work, shifts)


def hyperspy(folder: Path, facts: Result) -> Result:
    """`Signal2D.estimate_shift2D` against the reference, its Sobel, median and Hann filters on."""
    from hyperspy.signals import Signal2D

    signal = Signal2D(np.load(folder / "counts.npy"))
    signal.axes_manager.indices = (facts["reference"],)
    found: list[np.ndarray] = []

    def work() -> None:
        found.append(
            signal.estimate_shift2D(
                reference="current", sub_pixel_factor=UPSAMPLING, show_progressbar=False
            )
        )

    return timed(work, lambda: -found[-1])


def pystackreg(folder: Path, facts: Result) -> Result:
    """StackReg: translations, each frame against the one before it."""
    from pystackreg import StackReg

    frames = np.load(folder / "counts.npy")
    register = StackReg(StackReg.TRANSLATION)
    found: list[np.ndarray] = []

    def work() -> None:
        found.append(register.register_stack(frames, reference="previous"))

    return timed(work, lambda: -found[-1][:, [1, 0], 2])


def skimage(folder: Path, facts: Result) -> Result:
    """`phase_cross_correlation` of each frame with the one before it, summed up."""
    from skimage.registration import phase_cross_correlation

    frames = np.load(folder / "counts.npy")
    steps = np.zeros((len(frames), 2))

    def work() -> None:
        for i in range(1, len(frames)):
            steps[i] = phase_cross_correlation(
                frames[i - 1], frames[i], upsample_factor=UPSAMPLING
            )[0]

    return timed(work, lambda: steps.cumsum(axis=0))
