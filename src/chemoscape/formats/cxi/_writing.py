"""Writing a reconstruction as COSMIC does."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from chemoscape.errors import FileFormatError
from chemoscape.formats import _saving
from chemoscape.formats._lengths import believable
from chemoscape.formats.cxi._file import EV_UM, JOULE_PER_EV

#: Distance of the detector (m) that the corner is written for.
_DISTANCE = 0.121


def write_cxi(
    path: str | Path, image: np.ndarray | xr.DataArray, energy_eV: float, pixel_um: float
) -> Path:
    """Write a complex image as a CXI file of one energy, as COSMIC lays it out.

    Parameters
    ----------
    path : str or Path
        A new file, that ends in ``.cxi``.
    image : array (y, x), complex
        ψ; rows in the order of ascending y. The file has them from the top down.
    energy_eV : float
        Photon energy; the file has it in joule.
    pixel_um : float
        Pixel size in µm; the file has the corner of the detector that gives it at this energy.

    Returns
    -------
    Path
        The file. It appears under its name when it is complete.

    Raises
    ------
    FileFormatError
        There is such a file already, the image is not one of complex numbers, or energy or pixel
        are impossible.
    """
    target = Path(path)
    values = np.asarray(image)
    if values.ndim != 2 or values.dtype.kind != "c" or not values.size:
        raise FileFormatError(
            f"an image of shape {values.shape} and type {values.dtype} is no reconstruction",
            str(target),
            "give complex numbers (y, x)",
        )
    if not (believable(pixel_um) and np.isfinite(energy_eV) and energy_eV > 0):
        raise FileFormatError(
            f"a pixel of {pixel_um} µm at {energy_eV} eV is impossible",
            str(target),
            "give the pixel in µm and the energy in eV",
        )
    if target.exists():
        raise FileFormatError("is there already", str(target), "give another name, or delete it")
    half_width = EV_UM / energy_eV * _DISTANCE / (2 * pixel_um)  # of a pixel of λz/(N·dx)

    def write(content: np.ndarray, part: Path, final: Path) -> str:
        with h5py.File(part, "w") as file:
            file["cxi_version"] = 140
            entry = file.create_group("entry_1")
            entry["image_1/data"] = content[::-1].astype(np.complex64)
            entry["instrument_1/source_1/energy"] = energy_eV * JOULE_PER_EV
            entry["instrument_1/detector_1/corner_position"] = np.array(
                [half_width, half_width, _DISTANCE]
            )
        return ""

    _saving.save(write, values, target)
    return target
