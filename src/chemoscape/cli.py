"""The command line: parses, calls, prints. Imports of substance happen inside the commands.

Answers go to stdout, messages and progress to stderr. Exit status: 0 done (warnings included), 2
wrong input (one sentence), 1 a defect of the program (its traceback goes into a log), 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from chemoscape import __version__
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, RecipeError

app = App(
    name="chemoscape",
    version=__version__,
    version_flags=["--version"],
    help="From an X-ray spectromicroscopy stack to composition, phase and stress maps.",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,  # main says that nothing was written
)
standards_app = App(name="standards", help="Look at libraries of standard spectra.")
app.command(standards_app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(
            list(sys.argv[1:] if arguments is None else arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()  # here, where a reader that has gone is noticed
    except KeyboardInterrupt:
        print("chemoscape: interrupted; nothing was written.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # the reader of our answer has seen enough
    except Exception as error:  # noqa: BLE001 - the one place where a defect becomes a message
        return _complain(error)
    return status if isinstance(status, int) else 0


def _complain(error: Exception) -> int:
    """Say what went wrong in one sentence, and return the exit status."""
    if isinstance(error, CycloptsError):
        print(f"chemoscape: {_one_line(error)} Try: chemoscape --help", file=sys.stderr)
        return 2
    if isinstance(error, ChemoscapeError):
        for note in getattr(error, "__notes__", ()):
            print(f"warning: {note}", file=sys.stderr)
        print(f"chemoscape: {_one_line(error)}", file=sys.stderr)
        return 2
    print(f"chemoscape: a defect of the program ({error!r}); {_log(error)}", file=sys.stderr)
    return 1


def _one_line(error: Exception) -> str:
    """Its sentence; names of files may hold line ends."""
    return " ".join(str(error).split())


@app.command
def demo(
    *,
    output: Path = Path("chemoscape-demo"),
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Validate on simulated stacks with known truth: the paper's test particle and its twin.

    Runs both routes on a core-shell particle and on a copy with a calibration error of -0.4 eV and
    noise, and prints truth beside result. The standards are synthetic.

    Example: chemoscape demo --output my-demo

    Parameters
    ----------
    output
        Folder for results, figures and reports.
    overwrite
        Replace an earlier demo there.
    json
        Print the summary as JSON instead of a table.
    """
    from chemoscape.demo import run_demo, table

    with _progress("demo") as progress:
        summary = run_demo(output, overwrite=overwrite, progress=progress)
    _answer(summary, table(summary), json)
    print(f"written to {output}: open {output / 'miscalibrated' / 'report.html'}", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class Reading:
    """How to read a stack, where its file leaves it open."""

    channel: str | None = None
    "Detector channel, by name or number (inspect lists them)."
    region: str | None = None
    "Scan region, by name or number."
    angle: str | None = None
    "Sample angle, by name or number."
    axes: str | None = None
    "Order of the array's dimensions, such as yxe, where the file does not say."
    energy: Path | None = None
    "Text file with one photon energy (eV) per image, for files without."
    pixel_um: float | None = None
    "Pixel size in µm, for files without."
    quantity: Literal["counts", "transmission", "optical_density"] | None = None
    "What the numbers are, instead of what the file says."

    visit: Literal["first", "last"] | None = None
    "Which image of an energy that was measured more than once."

    def options(self) -> dict[str, Any]:
        """Keywords of `chemoscape.formats.open_stack`."""
        return {key: value for key, value in vars(self).items() if value is not None}


How = Annotated[Reading, Parameter(name="*")]
_AS_FILE_SAYS = Reading()


@app.command
def inspect(
    path: Path, /, *, how: How = _AS_FILE_SAYS, watch: bool = False, json: bool = False
) -> int:
    """Say what a file is, what was understood of it, and what looks wrong.

    Examples:
    chemoscape inspect 71214078.hdr
    chemoscape inspect wire.nxs --channel counter1 --json

    Parameters
    ----------
    path
        Any file of a stack or of spectra, or the folder that holds it.
    watch
        Of a scan in progress: wait until it is complete, and count its images meanwhile.
    json
        Print as JSON.
    """
    from chemoscape import formats

    with _warnings_in_a_line():
        if watch:
            for stack in formats.watch(path, **how.options()):
                seen = int(stack.notnull().any(("y", "x")).sum())
                print(f"{seen} of {stack.sizes['energy']} images", file=sys.stderr, flush=True)
        facts = formats.describe(path, **how.options())
        _answer(facts, formats.described(facts), json)
    return 0


@app.command
def look(
    stack: Path, /, *, how: How = _AS_FILE_SAYS, library: str | None = None, json: bool = False
) -> int:
    """Say in ten lines, within ten seconds, whether a stack is worth a night of more like it.

    Exit status 0 for go (with care or without), 2 for no-go: a failed check.

    Examples:
    chemoscape look wire.hdr
    chemoscape look wire.nxs --channel counter1 --library my-iron --json

    Parameters
    ----------
    stack
        The stack's file, or the folder that holds it.
    library
        Standards to compare with: a shipped library's name, or a folder with library.toml;
        default: the shipped one that covers these energies, if any.
    json
        Print the numbers as JSON.
    """
    from chemoscape.look import look as look_at

    with _progress(stack.name) as progress:
        progress("looking")
        seen = look_at(stack, library=library, **how.options())
    _answer(seen.facts, str(seen), json)
    return 0 if seen.go else 2


@app.command
def convert(
    source: Path, target: Path, /, *, how: How = _AS_FILE_SAYS, overwrite: bool = False
) -> int:
    """Write a stack or spectra in another format, chosen by the ending of the new file's name.

    Stacks: .ncb (aXis2000, MANTiS), .nxs (NXstxm), .tif (with energies beside it), .zarr, .h5 (our
    own). Spectra: .txt (aXis2000), .csv. Stacks larger than memory are copied band by band.

    Examples:
    chemoscape convert 71214078.hdr 71214078.ncb
    chemoscape convert wires.tif wires.nxs --energy energies.txt --pixel-um 0.04

    Parameters
    ----------
    source
        The file to read.
    target
        The file to write.
    overwrite
        Replace an earlier file of that name.
    """
    from chemoscape.formats.conversion import convert as convert_file

    with _warnings_in_a_line(), _progress(source.name) as progress:
        said = convert_file(source, target, overwrite=overwrite, progress=progress, **how.options())
    print(said, file=sys.stderr)
    return 0


@app.command
def init(
    stack: Path,
    /,
    *,
    how: How = _AS_FILE_SAYS,
    output: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Write a commented recipe for a stack.

    Example: chemoscape init 71214078.hdr

    Parameters
    ----------
    stack
        The stack's file.
    output
        The recipe to write; default: the stack's name with .toml, in the current folder.
    overwrite
        Replace an earlier recipe.
    """
    from chemoscape.formats import open_stack
    from chemoscape.recipe import starting_recipe
    from chemoscape.results import write_text

    target = output or Path(f"{stack.resolve().stem}.toml")
    if target.suffix.lower() != ".toml":  # a slip must not replace a measurement
        raise RecipeError("a recipe's name ends in .toml", str(target), "give --output such a name")
    with _warnings_in_a_line():
        options = how.options()
        text = starting_recipe(open_stack(stack, **options), stack, target, options)
    write_text(target, text, overwrite=overwrite)
    print(f"wrote {target}; run it with: chemoscape run {target}", file=sys.stderr)
    return 0


@app.command
def run(
    recipe: Path,
    /,
    *,
    input: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    output: Path | None = None,
    set: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Carry out a recipe: stack in, maps, stress, figures and report out.

    Examples:
    chemoscape run wire.toml
    chemoscape run wire.toml --input monday/*.hdr --output monday --set clusters.n_clusters=3

    Parameters
    ----------
    recipe
        The recipe (TOML); chemoscape init STACK writes one.
    input
        Stacks to use instead of the recipe's; with several, each gets its own folder in --output.
    output
        Folder for the results; default: the recipe's name with -results.
    set
        Changes to the recipe, section.key=value.
    overwrite
        Replace earlier results.
    json
        Print the summary as JSON; of several stacks, a list.
    """
    from chemoscape.recipe import parse_change

    changes = dict(parse_change(text) for text in set or [])
    folder = output or Path(f"{recipe.stem}-results")
    if input is None or len(input) == 1:
        if input:
            changes["input.path"] = str(input[0].absolute())
        summary, text = _run_one(recipe, changes, folder, overwrite)
        _answer(summary, text, json)
        return 0
    folders = _folder_of_each(input, folder)
    failures = []
    summaries = []
    for path, its_folder in folders.items():
        try:
            one = {**changes, "input.path": str(path.absolute())}
            summary, text = _run_one(recipe, one, its_folder, overwrite)
        except Exception as error:  # noqa: BLE001 - one bad stack must not stop the night's batch
            failures.append(_complain(error))
            continue
        summaries.append(summary)
        if not json:
            print(text)
    if json:
        _answer(summaries, "", json)
    if failures:
        print(f"chemoscape: {len(failures)} of {len(input)} stacks failed.", file=sys.stderr)
    return min(failures, default=0)


def _folder_of_each(stacks: list[Path], folder: Path) -> dict[Path, Path]:
    """The results folder of every stack; no two may share one."""
    if not stacks:
        raise RecipeError("--input names no file", remedy="name one or more stacks after it")
    taken: dict[Path, Path] = {}
    for path in stacks:
        its_folder = folder / path.stem
        if its_folder in taken:
            raise RecipeError(
                f"{taken[its_folder]} and {path} would both be written there",
                str(its_folder),
                "run them one by one, each with its own --output",
            )
        taken[its_folder] = path
    return {path: its_folder for its_folder, path in taken.items()}


@standards_app.command(name="list")
def list_standards() -> int:
    """List the shipped libraries."""
    from chemoscape.standards.folder import open_library, shipped_libraries

    for name in shipped_libraries():
        library = open_library(name)
        low, high = library.energy_range
        print(
            f"{name:<24} {len(library.names)} standards, {low:g} to {high:g} eV, {library.variable}"
        )
    return 0


@standards_app.command(name="show")
def show_standards(library: str, /) -> int:
    """Show the standards of a library.

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    """
    from chemoscape.standards.folder import open_library

    print(open_library(library))
    return 0


def _run_one(
    recipe: Path, changes: dict[str, Any], folder: Path, overwrite: bool
) -> tuple[dict[str, Any], str]:
    """Run one recipe on one stack; its summary for a machine and for a person."""
    from chemoscape import workflow
    from chemoscape.recipe import read_recipe
    from chemoscape.results import summary_of

    read = read_recipe(recipe, changes)
    with _progress(Path(read.input.path).name or recipe.name) as progress:
        tree = workflow.run(read, output=folder, overwrite=overwrite, progress=progress)
    summary = summary_of(tree)
    per_eV = tree["composition"].attrs["mean_per_eV"] if "composition" in tree.children else None
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    page = f": open {folder / 'report.html'}" if read.report.enabled else ""
    print(f"written to {folder}{page}", file=sys.stderr)
    return summary.model_dump(mode="json"), _lines(summary, per_eV)


def _lines(summary: Any, per_eV: float | None) -> str:
    """The run in a few lines."""

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = []
    if summary.energy_shift_eV is not None:
        shift = summary.energy_shift_eV
        effect = "" if per_eV is None else f"; 0.1 eV more moves the mean by {per_eV / 10:+.3f}"
        lines.append(
            f"energy shift   {number(shift.value, '+.3f')} ± {number(shift.sd, '.3f')} eV{effect}"
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
    comp = summary.composition
    if comp is not None:
        lines.append(
            f"composition    {comp.variable}: {number(comp.mean_pixel, '.4f')} ± "
            f"{number(comp.sd, '.4f')} per pixel, {number(comp.mean_mass_weighted, '.4f')} "
            "per mass, 5 to 95 %: "
            f"{number(comp.p05, '.3f')} to {number(comp.p95, '.3f')}"
        )
    for name, one in summary.stress.items():
        lines.append(
            f"stress {name:<8}von Mises {number(one.von_mises_p99_MPa, '.1f')} MPa (99th "
            f"percentile), mean {number(one.von_mises_mean_MPa, '.1f')} MPa, "
            f"reference {one.reference:g}"
        )
    lines.append(f"time           {sum(summary.seconds.values()):.1f} s")
    return "\n".join(lines)


def _answer(data: Any, text: str, as_json: bool) -> None:
    """Print the answer for a person or for a machine."""
    if as_json:
        from json import dumps

        from chemoscape.results import none_if_not_finite

        text = dumps(
            none_if_not_finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=str
        )
    print(text)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
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


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
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


def _log(error: Exception) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
