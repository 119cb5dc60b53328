"""Neware's binary files, by NewareNDA: the extra ``cycler``.

The formats are not published and change between firmwares; NewareNDA (BSD-3-Clause) follows them
and needs little beyond pandas, which comes with xarray. galvani, for BioLogic's and Arbin's, is
under the GPL, and cellpy brings some seventy packages: neither is taken. Those cyclers' programs
export texts, which need no library.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from chemoscape.errors import FileFormatError
from chemoscape.formats._guard import LIBRARY_ERRORS

ENDINGS = (".nda", ".ndax")


def read_neware(path: Path) -> dict[str, list[Any]]:
    """Columns of a ``.nda`` or ``.ndax`` file.

    Raises
    ------
    FileFormatError
        NewareNDA is not installed, or cannot read the file.
    """
    try:
        import NewareNDA
    except ImportError:
        raise FileFormatError(
            "is a binary file of Neware's, and NewareNDA is not installed",
            str(path),
            'run: pip install "chemoscape[cycler]", or export the records as CSV or XLSX',
        ) from None
    logger = logging.getLogger("newarenda")
    disabled, logger.disabled = logger.disabled, True  # its complaints become our sentence
    try:
        with warnings.catch_warnings():  # of pandas, about how the library uses it
            warnings.simplefilter("ignore")
            frame = NewareNDA.read(str(path), software_cycle_number=False, log_level="CRITICAL")
        columns = {str(name): frame[name].tolist() for name in frame.columns}
    except (*LIBRARY_ERRORS, NotImplementedError) as error:
        raise FileFormatError(
            f"NewareNDA cannot read it ({str(error)[:80] or type(error).__name__})",
            str(path),
            "export the records as CSV or XLSX with Neware's program",
        ) from error
    finally:
        logger.disabled = disabled
    if columns and "Voltage" in columns:
        columns["Voltage(V)"] = columns.pop("Voltage")  # NewareNDA gives V and s, and does not say
    if columns and "Time" in columns:
        columns["Step Time(s)"] = columns.pop("Time")
    return columns
