"""How the command line speaks: answers on stdout, progress and warnings on stderr, defects logged.

Imports of substance happen inside the functions, so that asking for help costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning


def run_in_lines(summary: Any, per_eV: float | None) -> str:
    """The run in a few lines."""

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = []
    if summary.energy_shift_eV is not None:
        shift = summary.energy_shift_eV
        effect = "" if per_eV is None else f"; 0.1 eV more moves the mean by {per_eV / 10:+.3f}"
        taken = "" if summary.few_energies is None else " as given, not measured"
        lines.append(
            f"energy shift   {number(shift.value, '+.3f')} ± {number(shift.sd, '.3f')} "
            f"eV{taken}{effect}"
        )
    known = summary.calibration
    if known is not None and known.stretch_per_eV:
        places = ", ".join(f"{e.shift_eV:+.3f} eV at {e.energy_eV:.0f} eV" for e in known.edges)
        lines.append(f"stretch        {1e3 * known.stretch_per_eV:+.2f} meV/eV: {places}")
    for name, region in summary.regions.items():
        lines.append(
            f"region         {name}: {number(region.composition, '.4f')} ± "
            f"{number(region.sd, '.4f')}  {region.standards}"
        )
    pixels = summary.pixels
    if pixels is not None and (pixels.despiked_values or pixels.levelled_values):
        lines.append(
            f"repaired       {pixels.despiked_values or 0} spikes, "
            f"{pixels.levelled_values or 0} values of lines that jumped"
        )
    for name, route in summary.routes.items():
        lines.append(
            f"{name:<10}route  mean composition {number(route.composition, '.4f')}, residual "
            f"{number(route.residual_rms, '.4f')}, reduced chi2 {number(route.reduced_chi2, '.2f')}"
        )
    few = summary.few_energies
    if few is not None and few.clipped_low is not None and few.clipped_high is not None:
        fits = "cannot be tested" if few.misfit_p is None else f"p = {few.misfit_p:.2g}"
        lines.append(
            f"few images     {', '.join(f'{one:g}' for one in few.energies_eV)} eV; cut off "
            f"{100 * few.clipped_low:.1f} % low, {100 * few.clipped_high:.1f} % high; fit {fits}"
        )
    comp = summary.composition
    if comp is not None:
        lines.append(
            f"composition    {comp.variable}: mean of the pixels {number(comp.mean_pixel, '.4f')}, "
            f"by mass {number(comp.mean_mass_weighted, '.4f')}, either ± {number(comp.sd, '.4f')}; "
            "5 to 95 % of the pixels: "
            f"{number(comp.p05, '.3f')} to {number(comp.p95, '.3f')}"
        )
    if summary.electrochemistry is not None and summary.electrochemistry.in_words:
        lines.append(f"charge         {summary.electrochemistry.in_words}")
    if summary.series is not None:
        lines += _series_in_lines(summary.series)
    for name, one in summary.stress.items():
        lines.append(
            f"stress {name:<8}von Mises {number(one.von_mises_p99_MPa, '.1f')} MPa (99th "
            f"percentile), mean {number(one.von_mises_mean_MPa, '.1f')} MPa, "
            f"reference {one.reference:g}"
        )
    lines.append(f"time           {sum(summary.seconds.values()):.1f} s")
    return "\n".join(lines)


def _series_in_lines(series: Any) -> list[str]:
    """A line for each stack of a series: time, composition with both errors, stress."""
    unit = "" if series.time_unit == "1" else f" {series.time_unit}"
    lines = []
    rows = zip(
        series.times,
        series.composition,
        series.composition_sd,
        series.composition_sd_own,
        series.moments,
        strict=True,
    )
    for time, x, sd, own, one in rows:
        told = "" if x is None else f"mean by mass {x:.4f} ± {sd or 0:.4f} (own ± {own or 0:.4f})"
        shift = one.energy_shift_eV
        if shift is not None and shift.value is not None:
            told += f", energy shift {shift.value:+.3f} eV"
        for boundary, stress in one.stress.items():
            if stress.von_mises_p99_MPa is not None:
                told += f", {boundary} {stress.von_mises_p99_MPa:.0f} MPa"
        lines.append(f"{f'{time:g}{unit}':<15}{told}  {Path(one.input.path).name}")
    return lines


def answer(data: Any, text: str, as_json: bool) -> None:
    """Print the answer for a person or for a machine."""
    if as_json:
        from json import dumps

        from chemoscape.results import none_if_not_finite

        text = dumps(
            none_if_not_finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=str
        )
    print(text)


def require_figure(path: Path | None) -> None:
    """Refuse, before any work, the name of a figure that could not be written.

    Raises
    ------
    ChemoscapeError
        It ends neither in .png nor in .pdf, or its folder does not exist.
    """
    if path is None:
        return
    if path.suffix.lower() not in (".png", ".pdf"):
        raise ChemoscapeError(
            "a figure is a PNG or a PDF", str(path), "end its name in .png or .pdf"
        )
    if not path.absolute().parent.is_dir():
        raise ChemoscapeError("there is no such folder", str(path.parent), "make it first")


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[str], None]]:
    """A line on stderr that says which step is at work, how far it is, and for how long."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from chemoscape import blocks

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None)
        with blocks.reporting(lambda done, of: bar.update(task, completed=done, total=of)):
            yield lambda step: bar.update(
                task, description=f"{title}: {step}", total=None, completed=0
            )


class Terminated(KeyboardInterrupt):
    """Another program has asked this one to end (SIGTERM): what Ctrl-C cleans up, this does too."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Raise `Terminated` inside the block at the first SIGTERM; it alone would leave temporary
    files behind. Outside the main thread, where no signal arrives, it changes nothing.
    """
    import signal
    import threading

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not disturb the cleaning
        raise Terminated

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def interruption(stop: KeyboardInterrupt) -> tuple[int, list[str]]:
    """Exit status of an interrupted command, and what to say of it."""
    notes = getattr(stop, "__notes__", ())  # of a large stack, what is kept
    status = 143 if isinstance(stop, Terminated) else 130
    return status, ["interrupted; nothing was written.", *notes]


def complaint(error: Exception) -> tuple[int, list[str], str]:
    """Exit status of a command that failed, warnings that may say why, and what went wrong in one
    sentence. The traceback of a defect goes into a log.
    """
    from cyclopts import CycloptsError

    if isinstance(error, CycloptsError):
        return 2, [], f"{_one_line(error)} Try: chemoscape --help"
    if isinstance(error, ChemoscapeError):
        return 2, list(getattr(error, "__notes__", ())), _one_line(error)
    return 1, [], f"a defect of the program ({error!r}); {log_defect(error)}"


def _one_line(error: Exception) -> str:
    """Its sentence; names of files may hold line ends."""
    return " ".join(str(error).split())


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """Show our warnings as messages, not as lines of source code."""
    import warnings

    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, ChemoscapeWarning):
            print(f"warning: {message}", file=sys.stderr)
        else:
            shown(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", ChemoscapeWarning)
        warnings.showwarning = show
        yield


def log_defect(error: Exception) -> str:
    """Write the traceback of a defect to a file and say where."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="chemoscape-", suffix=".log", delete=False, encoding="utf-8"
        ) as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        return "".join(traceback.format_exception(error))
    return f"please report it with the file {file.name}."
