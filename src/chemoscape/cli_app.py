"""The command that opens the app in the browser."""

from __future__ import annotations

import sys
from pathlib import Path

from chemoscape.cli_reading import AS_FILE_SAYS, How
from chemoscape.console import warnings_in_a_line


def serve_app(
    path: Path | None = None,
    /,
    *,
    how: How = AS_FILE_SAYS,
    port: int = 0,
    no_browser: bool = False,
) -> int:
    """See, choose and understand in the browser; what is chosen becomes a recipe.

    Listens on this machine only, for whoever has the address that it prints, until Ctrl-C. From
    another computer, such as from home to the beamline, use the SSH tunnel that it prints too.

    Examples:
    chemoscape app wire.hdr
    chemoscape app wire-results
    chemoscape app wire.toml --port 8765 --no-browser

    Parameters
    ----------
    path
        A stack, a recipe, or a folder of results; default: choose in the browser, from the current
        folder on.
    port
        Port to listen on; default: a free one.
    no_browser
        Print the address without opening it.
    """
    from chemoscape.app import serve

    with warnings_in_a_line():
        serve(path, port=port, browser=not no_browser, options=how.options())
    print("chemoscape: the app has ended.", file=sys.stderr)
    return 0
