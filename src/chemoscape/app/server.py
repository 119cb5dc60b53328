"""The server: which name is answered by what, and how answers travel.

Everything is asked by ``POST /api/NAME`` with a JSON object, and answered by a JSON object or a
binary picture within a second; what takes longer is a run in a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import mimetypes
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from chemoscape.app.answers import (
    beam,
    explore,
    files,
    maps,
    matches,
    particles,
    recipe,
    results,
    stresses,
)
from chemoscape.app.answers import stack as stack_answers
from chemoscape.app.asking import Asked, finite, whole
from chemoscape.app.draft import StaleRevision
from chemoscape.app.pictures import Picture
from chemoscape.app.session import NotYet, Session
from chemoscape.console import log_defect
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.results import none_if_not_finite

Handler = Callable[[Session, Asked], Any]

VIEWS = (files, recipe, results, stack_answers, beam, explore, matches, maps, stresses, particles)
#: Every name, and what answers it.
ANSWERS: dict[str, Handler] = {name: one for view in VIEWS for name, one in view.ANSWERS.items()}
ACTIONS: dict[str, Handler] = {**files.ACTIONS, **recipe.ACTIONS}
#: Answered beside whatever is being computed: they compute nothing that warns.
AT_ONCE = {"facts", "files", "palettes", "picture", "values", "results", "recipe", "run", "stack"}
STATIC = Path(__file__).parent / "static"

mimetypes.add_type("text/javascript", ".js")  # some systems call it plain text


def make_app(session: Session) -> Starlette:
    """The application for one session; `security.Gate` goes around it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        session.close()

    app = Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/api/{name:path}", api, methods=["POST"]),
            Route("/download/{name:path}", download, methods=["GET"]),
            Route("/static/plotly.min.js", plotly, methods=["GET"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: refused},
    )
    app.state.session = session
    app.state.computing = threading.Lock()
    return app


async def page(request: Request) -> Response:
    """The one page."""
    return FileResponse(STATIC / "index.html", media_type="text/html")


async def plotly(request: Request) -> Response:
    """plotly.js from the installed package; a browser that has it already is told so."""
    path = plotly_js()
    whole_folder = StaticFiles(directory=path.parent)
    return whole_folder.file_response(path, path.stat(), request.scope)


def plotly_js() -> Path:
    """Where the installed plotly keeps its script; plotly itself is not imported."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ChemoscapeError("plotly is not installed", remedy="pip install 'chemoscape[app]'")
    return Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"


async def download(request: Request) -> Response:
    """A file of the session: what an export has written."""
    session: Session = request.app.state.session
    try:
        path = recipe.downloadable(session, request.path_params["name"])
    except ChemoscapeError as error:
        return _complaint(str(error), 404)
    return FileResponse(path, filename=path.name, content_disposition_type="attachment")


async def api(request: Request) -> Response:
    """Answer one question, or do one action."""
    name = request.path_params["name"]
    handler = ANSWERS.get(name) or ACTIONS.get(name)
    if handler is None:
        return _complaint(f"there is no {name[:80]!r} to ask", 404)
    try:
        table = json.loads(
            await request.body() or b"{}",
            parse_int=whole,
            parse_float=finite,
            parse_constant=finite,
        )
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        return _complaint("a question is a JSON object, its numbers finite", 400)
    return await run_in_threadpool(_answer, request.app.state, name, handler, Asked(table))


def _answer(state: Any, name: str, handler: Handler, asked: Asked) -> Response:
    heard: list[str] = []
    try:
        if name in AT_ONCE or name in ACTIONS:
            answer = handler(state.session, asked)
        else:
            with state.computing, warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", ChemoscapeWarning)
                answer = handler(state.session, asked)
            heard = [str(one.message) for one in said if issubclass(one.category, Warning)]
    except StaleRevision as error:
        return _complaint(str(error), 409)
    except NotYet as error:
        return _complaint(str(error), 202)  # no error: the page asks again
    except ChemoscapeError as error:
        return _complaint(str(error), 400)
    except Exception as error:  # noqa: BLE001 - a defect is told to the page, its traceback logged
        told = f"a defect of the program ({error!r}); {log_defect(error)}"
        sys.stderr.write(f"chemoscape: {told}\n")
        return _complaint(told, 500)
    if isinstance(answer, Picture):
        answer = answer.encoded()
    if isinstance(answer, bytes):
        return Response(answer, media_type="application/octet-stream")
    if heard:
        answer = {**answer, "warnings": list(dict.fromkeys(heard))}
    return _as_json(none_if_not_finite(answer), 200)


async def refused(request: Request, error: Exception) -> Response:
    """What the router refuses, as a sentence."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    words = {404: "there is no such page", 405: "this cannot be asked in this way"}
    text = words.get(error.status_code, error.detail)
    return _complaint(text, error.status_code, error.headers)


def _complaint(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _as_json({"error": sentence}, status, headers)


def _as_json(answer: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in ASCII: names of files may hold bytes that are no UTF-8."""
    text = json.dumps(answer, allow_nan=False)
    return Response(text, status, headers, media_type="application/json")
