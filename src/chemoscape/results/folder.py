"""The folder of results: everything of one run is written, or nothing is."""

from __future__ import annotations

import csv
import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from chemoscape.errors import ResultsError
from chemoscape.results.lock import staging_of_run
from chemoscape.results.summary import RunSummary
from chemoscape.results.tree import RESULTS_FILE, save_tree

#: All that a run writes, and what a demo writes beside; a folder that holds anything else is not
#: replaced.
WRITTEN = (
    *(RESULTS_FILE, "summary.json", "recipe.toml", "report.html", "figures", "spectra.csv"),
    *(
        "stress-*.vtu",
        "stress.csv",
        "series.csv",
        "particles.csv",
        "contacts.csv",
        "particles.h5",
        "overlay.png",
        "plan.html",
        "plan.json",
        ".DS_Store",
        "Thumbs.db",
    ),
)
WRITTEN_BY_DEMO = ("summary.json", "clean", "miscalibrated", "*-stack.h5", ".DS_Store", "Thumbs.db")


class Savable(Protocol):
    """Anything that writes itself into a file, such as a `StressField`."""

    def save(self, path: Any, /) -> Any:
        """Write to `path`."""


@contextmanager
def results_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden folder to write into, which becomes `path` when the block ends well.

    On any failure, Ctrl-C included, the hidden folder is removed and whatever was at `path` is as
    it was. With `overwrite` the old results are renamed aside first and deleted last.

    Parameters
    ----------
    path : path
        The folder that is to hold the results.
    overwrite : bool
        Replace results that are there already.

    Yields
    ------
    pathlib.Path
        The hidden sibling to write into.

    Raises
    ------
    ResultsError
        `path` exists, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as somewhere:
    ...     with results_folder(Path(somewhere) / "wire-results") as staging:
    ...         _ = (staging / "summary.json").write_text("{}")
    ...     [file.name for file in Path(somewhere).rglob("*")]
    ['wire-results', 'summary.json']
    """
    target = Path(path).absolute()
    refuse_existing(target, overwrite=overwrite)
    staging = staging_of_run(target)
    with _undone(target):
        try:
            _make(staging)  # not mkdtemp: colleagues in the group shall read it
            yield staging
            aside = staging.with_suffix(".old")
            _put_in_place(staging, target, aside, overwrite)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


@contextmanager
def emptied_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder at `path` itself, for work that needs its final place from the start.

    It is seen while it fills, unlike that of `results_folder`. On any failure it is removed and
    what was there before comes back.

    Parameters
    ----------
    path : path
        The folder to make.
    overwrite : bool
        Replace results that are there already.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    ResultsError
        `path` exists, or cannot be written.
    """
    target = Path(path).absolute()
    refuse_existing(target, overwrite=overwrite, written=WRITTEN_BY_DEMO)
    aside = target.with_name(f".{secrets.token_hex(4)}.old")
    with _undone(target):
        if target.exists():
            target.rename(aside)
        try:
            _make(target)
            yield target
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            if aside.exists():
                aside.rename(target)
            raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _undone(target: Path) -> Iterator[None]:
    """On failure, remove the parents that `target` needed, and say when the disk is at fault."""
    missing = [folder for folder in target.parents if not folder.exists()]  # nearest first
    try:
        yield
    except BaseException as error:
        for folder in missing:
            try:
                folder.rmdir()
            except OSError:  # never made, or somebody else uses it by now
                break
        if isinstance(error, OSError) and (reason := _why_not_written(error)):
            raise ResultsError(
                f"the results cannot be written ({reason})",
                where=str(target),
                remedy="free some space or choose another folder with --output (nothing was left)",
            ) from error
        raise


def refuse_existing(
    path: str | os.PathLike[str], *, overwrite: bool = False, written: Sequence[str] = WRITTEN
) -> None:
    """Raise unless the folder `path` may be made, or replaced; asked before long work begins.

    Parameters
    ----------
    path : path
        The folder that is to hold the results.
    overwrite : bool
        Whether results that are there already may be replaced.
    written : sequence of str
        Patterns of the names that results may hold: a measurement or a note that somebody put
        beside them is never deleted.

    Raises
    ------
    ResultsError
        It exists and is not to be overwritten, is no folder of results, or cannot be made.
    """
    target = Path(path).absolute()
    if not target.name:
        raise ResultsError(
            "this is the root of the file system", where=str(target), remedy="name a folder in it"
        )
    try:
        target.lstat()
    except FileNotFoundError:
        _refuse_unwritable(target)
        return
    except (OSError, ValueError) as error:  # below a file, name too long, NUL in it
        raise ResultsError(
            f"no folder can be made here ({getattr(error, 'strerror', None) or error})",
            where=str(target),
            remedy="choose another with --output",
        ) from error
    if not overwrite:
        raise ResultsError(
            "this folder exists already",
            where=str(target),
            remedy="choose another with --output, or replace it with --overwrite",
        )
    held = [] if target.is_symlink() or not target.is_dir() else list(target.iterdir())
    marks = ("summary.json", RESULTS_FILE, "plan.json")
    ours = any((target / name).is_file() for name in marks)
    if target.is_symlink() or not target.is_dir() or (held and not ours):
        raise ResultsError(
            "this is not a folder of results, so it is not overwritten",
            where=str(target),
            remedy="choose another folder with --output, or delete this one yourself",
        )
    foreign = sorted(file.name for file in held if not any(map(file.match, written)))
    if foreign:
        raise ResultsError(
            f"this folder holds {foreign[0]!r}, which this command did not write, so it is not "
            "overwritten",
            where=str(target),
            remedy="move that away, or choose another folder with --output",
        )
    _refuse_unwritable(target)


def _make(folder: Path) -> None:
    """Make a folder and its parents; whatever is in the way is the user's to mend."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ResultsError(
            f"no folder can be made here ({error.strerror})",
            where=str(folder.parent),
            remedy="choose another with --output",
        ) from error


def _refuse_unwritable(target: Path) -> None:
    """Raise when nothing may be written where `target` is to lie."""
    nearest = next(folder for folder in target.parents if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ResultsError(
            f"the results cannot be written (no permission in {nearest})",
            where=str(target),
            remedy="choose another folder with --output",
        )


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write a text file whole or not at all.

    Raises
    ------
    ResultsError
        The file exists and is not to be overwritten, or cannot be written.
    """
    target = Path(path).absolute()
    if target.exists() and not overwrite:
        raise ResultsError(
            "this file exists already",
            where=str(target),
            remedy="choose another with --output, or replace it with --overwrite",
        )
    staging = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        staging.write_text(text, encoding="utf-8")
        staging.replace(target)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise ResultsError(
            f"the file cannot be written ({error.strerror})",
            where=str(target),
            remedy="choose another place with --output",
        ) from error


def _put_in_place(staging: Path, target: Path, aside: Path, overwrite: bool) -> None:
    """Rename `staging` to `target`; an old `target` is moved aside first and deleted last."""
    refuse_existing(target, overwrite=overwrite)  # another run may have finished meanwhile
    try:
        if target.exists():
            target.rename(aside)
        staging.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _why_not_written(error: OSError) -> str:
    """Reason in words when the disk, not the program, is at fault; HDF5 gives it as text only."""
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
        reason = os.strerror(code)
        if error.errno == code or reason.lower() in str(error).lower():
            return reason.lower()
    return ""


def write_results(
    folder: str | os.PathLike[str],
    tree: xr.DataTree,
    summary: RunSummary,
    recipe_toml: str,
    *,
    overwrite: bool = False,
    report_html: str = "",
    figures: Mapping[str, bytes] | None = None,
    meshes: Mapping[str, Savable] | None = None,
    tables: Mapping[str, str] | None = None,
) -> Path:
    """Write everything of one run into `folder`, all of it or nothing.

    Parameters
    ----------
    folder : path
        The folder to make.
    tree : xarray.DataTree
        As made by `results_tree`; saved as ``results.h5``, its spectra also as ``spectra.csv``.
    summary : RunSummary
        Saved as ``summary.json``.
    recipe_toml : str
        The resolved recipe; saved as ``recipe.toml``.
    overwrite : bool
        Replace the results that `folder` holds already.
    report_html : str
        Saved as ``report.html`` unless empty.
    figures : mapping of name to PNG bytes, optional
        Saved as ``figures/<name>.png``.
    meshes : mapping of name to an object with ``save(path)``, optional
        Stress fields, saved as ``<name>.vtu``.
    tables : mapping of name to CSV text, optional
        Saved as ``<name>.csv``.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    ResultsError
        `folder` exists already, or cannot be written.
    """
    with results_folder(folder, overwrite=overwrite) as staging:
        save_tree(tree, staging / RESULTS_FILE)
        (staging / "summary.json").write_text(summary.to_json() + "\n", encoding="utf-8")
        (staging / "recipe.toml").write_text(recipe_toml, encoding="utf-8")
        if "spectra" in tree.children:
            write_spectra_csv(tree, staging / "spectra.csv")
        if report_html:
            (staging / "report.html").write_text(report_html, encoding="utf-8")
        if figures:
            (staging / "figures").mkdir()
        for name, png in (figures or {}).items():
            (staging / "figures" / f"{name}.png").write_bytes(png)
        for name, text in (tables or {}).items():
            (staging / f"{name}.csv").write_text(text, encoding="utf-8")
        for name, mesh in (meshes or {}).items():
            mesh.save(staging / f"{name}.vtu")
    return Path(folder)


def _at_each_time(heading: str, spectrum: xr.DataArray) -> dict[str, np.ndarray]:
    """A spectrum as a column; one for each time where it has several."""
    if "time" not in spectrum.dims:
        return {heading: spectrum.values}
    unit = str(spectrum["time"].attrs.get("units", "1"))
    after = "" if unit == "1" else f" {unit}"
    times = spectrum["time"].values
    return {
        f"{heading} at {time:g}{after}": one
        for time, one in zip(times, spectrum.transpose("time", "energy").values, strict=True)
    }


def write_spectra_csv(tree: xr.DataTree, path: str | os.PathLike[str]) -> None:
    """Write the spectra as one table: energy, mean optical density, I0, standards, clusters.

    Standards are as used (shifted onto the file's energy axis). A cell is empty where a spectrum
    has no value. Of a series, headings end in the time.

    Parameters
    ----------
    tree : xarray.DataTree
        Results with a node ``/spectra``.
    path : path
        The file to write.
    """
    spectra = tree["spectra"].to_dataset()
    columns = {"energy_eV": spectra["energy"].values}
    for name, heading in (("mean", "mean_optical_density"), ("i0", "i0")):
        if name in spectra:
            columns |= _at_each_time(heading, spectra[name])
    if "standards" in spectra:
        for name in spectra["standard"].values.tolist():
            columns |= _at_each_time(f"standard {name}", spectra["standards"].sel(standard=name))
    clusters = tree["clustered"].children.get("clusters") if "clustered" in tree.children else None
    if clusters is not None and "spectrum" in clusters:
        onto = clusters["spectrum"].reindex(
            energy=spectra["energy"], method="nearest", tolerance=1e-6
        )
        for index, one in enumerate(onto.transpose("cluster", "energy").values):
            columns[f"cluster {index}"] = one
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            table.writerow([f"{value:.8g}" if np.isfinite(value) else "" for value in row])
