"""One session: what is open, its recipe, its run, and what the last run has made."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape import blocks
from chemoscape.app.as_run import density_as_run, recipe_of
from chemoscape.app.behind import Behind
from chemoscape.app.draft import Draft, named_by, within
from chemoscape.app.jobs import Jobs
from chemoscape.app.opening import Opened, is_results, make_demo, open_path
from chemoscape.app.workspace import Workspace
from chemoscape.console import log_defect
from chemoscape.errors import ChemoscapeError, ResultsError, StackError
from chemoscape.recipe import Recipe, make_recipe
from chemoscape.results import open_results

#: How long an answer waits for the optical density that is made behind it, s.
WAIT_S = 0.5


class NotYet(ResultsError):
    """What was asked for is still being made; whoever asks again will get it."""


class Session:
    """What one server shows.

    `state` is "empty" (a folder to choose from), "opening", "ready" or "failed", with `error`.
    `stamp` changes whenever other results are shown, and `opened_stamp` whenever another file is.
    """

    def __init__(self, path: Path | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.lock = threading.RLock()
        self._closed = False
        self._workspace = Workspace()
        self.workspace = self._workspace.path
        self.jobs = Jobs(self.workspace)
        self.state, self.error, self.stamp, self.opened_stamp = "empty", "", 0, 0
        self.tree: xr.DataTree | None = None
        self.results_revision: int | None = None
        self._opened: Opened | None = None
        self._draft: Draft | None = None
        self._memory: dict[Any, Any] = {}
        self._behind = Behind("chemoscape-behind")
        self._density: Future[xr.Dataset] | None = None
        start = (path or Path.cwd()).expanduser().absolute()
        browse = start.is_dir() and not is_results(start) and not _is_stack(start)
        self.folder = (start if browse else start.parent).resolve()
        if not browse:
            self.open(start, options)

    # --- opening -------------------------------------------------------------------------------

    def open(self, path: Path, options: Mapping[str, Any] | None = None) -> None:
        """Begin to open another stack, recipe or results."""
        self._begin(lambda: open_path(path, options))

    def open_demo(self) -> None:
        """Begin to simulate and open the demo's stack."""
        self._begin(lambda: open_path(make_demo(self.folder)))

    def refuse_if_opening(self) -> None:
        """Raise `StackError` while another file is being opened."""
        if self.state == "opening":
            raise StackError("another file is still being opened", remedy="wait for it")

    def _begin(self, make: Callable[[], Opened]) -> None:
        with self.lock:
            self.refuse_if_opening()
            self.jobs.refuse_if_running()
            self.state, self.error = "opening", ""
        self._behind.submit(self._take_up, make)

    def _take_up(self, make: Callable[[], Opened]) -> None:
        try:
            with blocks.reporting(self._go_on):
                opened = make()
            named = make_recipe(
                tomllib.loads(opened.recipe), folder=opened.recipe_path.parent.resolve()
            )
            allowed = {*named_by(named), opened.path.resolve()}
            draft = Draft(
                opened.recipe,
                opened.recipe_path,
                within(self.folder, allowed, named.compute.scheduler),
                on_disk=opened.on_disk,
            )
        except ChemoscapeError as error:
            self.state, self.error = ("ready" if self._opened else "failed"), str(error)
            return
        except Exception as error:  # noqa: BLE001 - told, its traceback logged
            told = f"a defect of the program ({error!r}); {log_defect(error)}"
            self.state, self.error = ("ready" if self._opened else "failed"), told
            return
        with self.lock:
            self._opened, self._draft = opened, draft
            self.opened_stamp += 1
            self._show(opened.tree, draft.revision)
            self.state, self.error = "ready", ""

    def _make_density(self, opened: Opened, tree: xr.DataTree) -> xr.Dataset:
        def go_on(done: int, of: int) -> None:
            if self.tree is not tree:  # what is shown now waits for its own
                raise ResultsError("other results are shown by now", remedy="ask again")
            self._go_on(done, of)

        with blocks.reporting(go_on):
            return density_as_run(opened, tree)

    def _go_on(self, done: int, of: int) -> None:
        """End what is being read or made as soon as the session is closed."""
        if self._closed:
            raise StackError("the app is being closed", remedy="start it again")

    # --- what is there -------------------------------------------------------------------------

    @property
    def opened(self) -> Opened:
        """What was opened; `StackError` while there is nothing yet."""
        if self._opened is None:
            raise StackError(
                "nothing is open yet" + (f": {self.error}" if self.error else ""),
                remedy="wait, or open a stack",
            )
        return self._opened

    @property
    def stack(self) -> xr.DataArray | None:
        """The stack as recorded (energy, y, x), every `opened.step`-th pixel of it."""
        return self.opened.stack

    def recorded(self) -> xr.DataArray:
        """The stack; `StackError` where results were opened without it."""
        if self.opened.stack is None:
            raise StackError(
                "the stack is not there, only its results are",
                remedy="put it back where the recipe's [input] path says, and open them again",
            )
        return self.opened.stack

    @property
    def draft(self) -> Draft:
        """The session's recipe."""
        if self._draft is None:
            raise StackError("nothing is open yet", remedy="open a stack, a recipe or results")
        return self._draft

    @property
    def recipe(self) -> Recipe:
        """The session's recipe as it is now, its paths absolute."""
        return self.draft.recipe

    # --- results -------------------------------------------------------------------------------

    def take_results(self, folder: Path, revision: int) -> None:
        """Show the results that a run of this revision of the recipe has written."""
        tree = open_results(folder)
        with self.lock:
            self._show(tree, revision)

    def _show(self, tree: xr.DataTree | None, revision: int) -> None:
        self.tree, self._memory, self._density = tree, {}, None
        self.results_revision = revision if tree is not None else None
        self.stamp += 1
        if tree is not None and self._opened is not None and self._opened.stack is not None:
            self._density = self._behind.submit(self._make_density, self._opened, tree)

    def has(self, path: str) -> bool:
        """Whether the results hold a node."""
        return self.tree is not None and path.strip("/") in _paths(self.tree)

    def node(self, path: str) -> xr.Dataset:
        """One node of the results.

        Raises
        ------
        ResultsError
            The last run has not made it.
        """
        if self.tree is None:
            raise ResultsError("nothing was run yet", remedy="press Run")
        if not self.has(path):
            raise ResultsError(
                f"the last run has made no {path}", remedy="press Run here, or turn its stage on"
            )
        node: xr.Dataset = self.tree[path].to_dataset()
        return node

    def run_recipe(self) -> Recipe:
        """The recipe that made the results, its paths absolute."""
        if self.tree is None:
            raise ResultsError("nothing was run yet", remedy="press Run")
        tree = self.tree
        recipe: Recipe = self.remembered(("recipe",), lambda: recipe_of(tree))
        return recipe

    def density(self) -> xr.Dataset:
        """Optical density (energy, y, x) and its variance on the pixels of the results, aligned and
        cropped as the run has done it; `NotYet` while it is being made.
        """
        if self.has("/optical_density"):
            return self.node("/optical_density")
        if self._density is None:
            self.recorded()
            raise ResultsError("nothing was run yet", remedy="press Run")
        try:
            return self._density.result(WAIT_S)
        except TimeoutError:
            raise NotYet(
                "the optical density is still being made", remedy="ask again in a while"
            ) from None

    def remembered(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What was made for this key since the results changed, or made now."""
        memory = self._memory
        if key not in memory:
            memory[key] = make()
        return memory[key]

    def close(self) -> None:
        """End the run, and remove what was kept."""
        self._closed = True
        self.jobs.close()
        self._behind.close()
        self._workspace.close()


def _paths(tree: xr.DataTree) -> set[str]:
    return {node.path.strip("/") for node in tree.subtree}


def _is_stack(folder: Path) -> bool:
    """Whether a folder is one stack."""
    from chemoscape.formats import find_format

    try:
        find_format(folder)
    except ChemoscapeError:
        return False
    return True
