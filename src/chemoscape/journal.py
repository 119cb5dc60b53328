"""What happened during a run: the step it is at, the time of each, the warnings raised."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chemoscape.errors import ChemoscapeWarning

#: Called with a step's name when it begins.
Progress = Callable[[str], None]


class Journal:
    """Times of the steps and the warnings raised in them."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.n_images = 0  # of a stack of a few images

    def say(self, name: str) -> None:
        """Tell whoever watches which step begins."""
        if self.progress is not None:
            self.progress(name)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce and time one step."""
        self.say(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep our warnings for the summary; pass all others on."""
        shown = warnings.showwarning

        def keep(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, ChemoscapeWarning):
                shown(message, category, *where, **more)
            elif str(message) not in self.warnings:
                self.warnings.append(str(message))

        with warnings.catch_warnings():
            warnings.simplefilter("always", ChemoscapeWarning)
            warnings.showwarning = keep
            yield
