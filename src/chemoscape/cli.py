"""The command line: parses, calls, prints. Imports of substance happen inside the commands.

Answers go to stdout, messages and progress to stderr. Exit status: 0 done (warnings included), 2
wrong input (one sentence), 1 a defect of the program (its traceback goes into a log), 130
interrupted by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, Parameter

from chemoscape import __version__
from chemoscape.cli_app import serve_app
from chemoscape.cli_cycling import cycling
from chemoscape.cli_particles import particles_app
from chemoscape.cli_plan import plan_energies
from chemoscape.cli_reading import AS_FILE_SAYS, How
from chemoscape.cli_run import run_recipe
from chemoscape.cli_standards import standards_app
from chemoscape.cli_stress import stress_of_a_map
from chemoscape.console import (
    answer,
    complaint,
    ended_by_sigterm,
    interruption,
    progress_bar,
    warnings_in_a_line,
)
from chemoscape.errors import RecipeError

app = App(
    name="chemoscape",
    version=__version__,
    version_flags=["--version"],
    help="From an X-ray spectromicroscopy stack to composition, phase and stress maps.",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,  # main says that nothing was written
)
app.command(standards_app)
app.command(particles_app)
app.command(run_recipe, name="run")
app.command(stress_of_a_map, name="stress")
app.command(plan_energies, name="plan")
app.command(cycling)
app.command(serve_app, name="app")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        with ended_by_sigterm():
            status = app(
                list(sys.argv[1:] if arguments is None else arguments),
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
        sys.stdout.flush()  # here, where a reader that has gone is noticed
    except KeyboardInterrupt as stop:
        status, lines = interruption(stop)
        for line in lines:
            print(f"chemoscape: {line}", file=sys.stderr)
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # the reader of our answer has seen enough
    except Exception as error:  # noqa: BLE001 - the one place where a defect becomes a message
        status, warned, text = complaint(error)
        for warning in warned:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"chemoscape: {text}", file=sys.stderr)
        return status
    return status if isinstance(status, int) else 0


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

    with progress_bar("demo") as progress:
        summary = run_demo(output, overwrite=overwrite, progress=progress)
    answer(summary, table(summary), json)
    print(f"written to {output}: open {output / 'miscalibrated' / 'report.html'}", file=sys.stderr)
    return 0


@app.command
def inspect(
    path: Path, /, *, how: How = AS_FILE_SAYS, watch: bool = False, json: bool = False
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

    with warnings_in_a_line():
        if watch:
            for stack in formats.watch(path, **how.options()):
                seen = int(stack.notnull().any(("y", "x")).sum())
                print(f"{seen} of {stack.sizes['energy']} images", file=sys.stderr, flush=True)
        facts = formats.describe(path, **how.options())
        answer(facts, formats.described(facts), json)
    return 0


@app.command
def look(
    stack: Path, /, *, how: How = AS_FILE_SAYS, library: str | None = None, json: bool = False
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

    with progress_bar(stack.name) as progress:
        progress("looking")
        seen = look_at(stack, library=library, **how.options())
    answer(seen.facts, str(seen), json)
    return 0 if seen.go else 2


@app.command
def convert(
    source: Path, target: Path, /, *, how: How = AS_FILE_SAYS, overwrite: bool = False
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

    with warnings_in_a_line(), progress_bar(source.name) as progress:
        said = convert_file(source, target, overwrite=overwrite, progress=progress, **how.options())
    print(said, file=sys.stderr)
    return 0


@app.command
def init(
    stack: Path,
    /,
    *,
    how: How = AS_FILE_SAYS,
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
    with warnings_in_a_line():
        options = how.options()
        text = starting_recipe(open_stack(stack, **options), stack, target, options)
    write_text(target, text, overwrite=overwrite)
    print(f"wrote {target}; run it with: chemoscape run {target}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
