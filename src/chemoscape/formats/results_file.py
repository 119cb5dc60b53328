"""Our own results as a stack: the optical density that a run kept in its ``results.h5``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _hdf5, netcdf
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted
from chemoscape.results.tree import LAYOUT, RESULTS_FILE

_STACK = "optical_density/optical_density"


def sniff(path: Path) -> bool:
    """Whether a path is a results file of ours, or the folder of one."""
    return _hdf5.holds(
        path / RESULTS_FILE if path.is_dir() else path,
        lambda root: (
            _hdf5.attribute_text(root, "program") == "chemoscape" and "summary" in root.attrs
        ),
    )


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe the optical density in a results file.

    Raises
    ------
    FileFormatError
        The run kept none, or the file is damaged or of a later version.
    """
    file = _guard.regular_file(path / RESULTS_FILE, inside=path) if path.is_dir() else path
    with _hdf5.opened(file) as root:
        layout = _hdf5.attribute(root, "layout")
        if layout is not None and np.ravel(layout)[0] > LAYOUT:
            raise FileFormatError(
                "was written by a newer chemoscape", str(file), "update chemoscape"
            )
        cube = _hdf5.array(root, _STACK)
        if cube is None:
            raise FileFormatError(
                "is a results file without a stack",
                str(file),
                "open it with cs.open_results, or run with [report] keep_optical_density = true",
            )
        if "/series" in root:
            raise FileFormatError(
                "holds the stacks of a series, at several times",
                str(file),
                "open the stack itself; cs.open_results gives all times",
            )
        if not netcdf.is_cube(cube):
            raise FileFormatError(
                "its optical density has no axes energy, y and x", str(file), "copy it again"
            )
        source = netcdf.source_of(root, _STACK, file)
        group = cube.parent
        facts = {
            name: _hdf5.attribute_text(group, name)
            for name in ("i0_source", "units_correction", "noise_source")
        }
    return replace(
        source,
        quantity="optical_density",
        attrs={**source.attrs, **{name: value for name, value in facts.items() if value != ""}},
    )


FORMAT = Format(
    name="results",
    title="chemoscape results",
    extensions=(RESULTS_FILE,),
    sniff=sniff,
    open=open_,
    tried="its own files",
    about="the optical density of a run with [report] keep_optical_density = true",
)
