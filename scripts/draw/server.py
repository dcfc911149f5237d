"""The page of ``scripts.draw`` over HTTP: its files, and the scores for a picture.

==================  ==============================================================================
``GET /`` and       the files of ``page``; nothing in them points to another server
``GET /<file>``
``GET /status``     ``{"model": name, "keras": {"state": ..., "error": ...}, "save": folder}``;
                    the folder is None if the command was not told to save
``POST /scores``    a picture file as the body; the answer is that of ``Engines.look``
``POST /save?...``  ``label=7``, and a picture file as the body: it is kept in the folder; the
                    answer is ``{"name": ..., "saved": how many in this run}``
==================  ==============================================================================

Every error is ``{"error": "one line"}``: 403 another site asks, 404 and 405 no such address, 408
too slow, 413 too large, 422 not a picture of a digit, 503 busy, 507 it cannot be written; 500 is a
bug, with its traceback on the terminal. ``limits`` keeps one client from blocking the others.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from socket import socket
from threading import Thread

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digit_data.pictures.examine import ImageError, NothingWrittenError
from digit_data.pictures.files import pixels
from terminal_io import one_line, os_reason, printable

from . import limits
from .engines import Engines
from .saving import LabelledFolder

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

# Pixels of a picture that is looked at in a tenth of a second.
SMALL_PICTURE = 1_000_000

# Seconds for answers on their way when the server is stopped.
GRACE = 2

NAMES = ("localhost", "127.0.0.1")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The camera is for this page itself, and not for what another site would show it in.
    "Permissions-Policy": "camera=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses what other web sites ask, and adds the headers that keep the page to itself.

    A site may give its name this computer's address (DNS rebinding), so the name is checked; and
    may post to the address itself, so the origin is checked too.

    Args:
        app: What answers the rest.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(Headers(scope=scope))
        app = self._app if refusal is None else _error(403, refusal)
        await app(scope, receive, send_with_headers)


def _refusal(headers: Headers) -> str | None:
    """Return why a request is not the page's own, or None if it is."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or hosts[0].lower().rsplit(":", 1)[0] not in NAMES:
        shown = ", ".join(hosts) or "none"
        return one_line(f"expected the host {' or '.join(NAMES)}. Received: {shown}")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        return one_line(f"expected a request of this page. Received: one of {origin}")
    return None


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


def create(engines: Engines, folder: LabelledFolder | None = None) -> ASGIApp:
    """Return the application.

    Args:
        engines: They give the scores.
        folder: Where pictures are kept with their labels; None keeps none.
    """
    # FastAPI's own pages about the interface load their scripts from another server.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    _add_errors(app)
    _add_page(app)
    turns = limits.Turns()

    @app.get("/status")
    async def status() -> Response:
        keras = engines.keras
        state = {"state": keras.state, "error": keras.error}
        save = None if folder is None else printable(folder.path)
        return JSONResponse({"model": printable(keras.path.name), "keras": state, "save": save})

    @app.post("/scores")
    async def scores(request: Request) -> Response:
        async with turns.body(request) as body:
            if not body:
                return _error(422, "expected a picture, received an empty file")
            large = len(body) > limits.SMALL_FILE or await turns.run(
                lambda: pixels(BytesIO(body)) > SMALL_PICTURE, large=False
            )
            found = await turns.run(lambda: _seen(engines, body), large)
            return _error(422, found) if isinstance(found, str) else JSONResponse(found)

    if folder is not None:
        _add_saving(app, folder, turns)
    return Guard(app)


def _add_saving(app: FastAPI, folder: LabelledFolder, turns: limits.Turns) -> None:
    @app.post("/save")
    async def save(request: Request) -> Response:
        # What changes something has to come from the page: browsers name the origin of each POST.
        if "origin" not in request.headers:
            return _error(403, "expected a request of this page. Received: one without origin")
        label = request.query_params.get("label", "")
        async with turns.body(request) as body:
            large = len(body) > limits.SMALL_FILE or await turns.run(
                lambda: pixels(BytesIO(body)) > SMALL_PICTURE, large=False
            )
            return await turns.run(lambda: _saved(folder, label, body), large)


def _saved(folder: LabelledFolder, label: str, body: bytes) -> Response:
    try:
        name = folder.save(label, body)
    except MemoryError:
        return _error(422, "expected a smaller picture: not enough memory for this one")
    except ValueError as error:  # ImageError too
        return _error(422, one_line(str(error).removeprefix("the picture: ")))
    except OSError as error:  # a full disk, say
        return _error(507, one_line(os_reason(error)))
    return JSONResponse({"name": name, "saved": folder.saved})


def _seen(engines: Engines, body: bytes) -> dict[str, object] | str:
    """Return what there is to say about a picture, or why there is nothing.

    Not raised: as long as an exception waits to be collected, it holds the picture that it is of.
    """
    try:
        return engines.look(body)
    except MemoryError:
        return "expected a smaller picture: not enough memory for this one"
    except NothingWrittenError:
        return "nothing is written there: draw stronger strokes, or let the paper fill the picture"
    except ImageError as error:
        return one_line(str(error).removeprefix("the picture: "))


def _add_errors(app: FastAPI) -> None:
    """Say every error in the same form."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _error(error.status_code, one_line(error.detail), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return _error(400, "expected the whole file. Received: a part")  # nobody is there to read

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return _error(500, "the server failed; its terminal says how")


def _add_page(app: FastAPI) -> None:
    """Serve the page's files, and no others, from memory."""
    for path in sorted(PAGE.iterdir()):
        if path.suffix in TYPES:
            address = "/" if path.name == "index.html" else f"/{path.name}"
            app.add_route(address, _file(path.read_bytes(), TYPES[path.suffix]), ["GET"])


def _file(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


@contextmanager
def running(app: ASGIApp, listener: socket) -> Iterator[Thread]:
    """Serve an application in a thread of its own.

    Not in this one, so that signals come to the caller and end it as they end every command.

    Args:
        app: The application.
        listener: Where to listen; it is closed at the end.

    Yields:
        The thread; the server ends with the block, or is left if it does not within the grace.
    """
    # No configuration of logging: to set up its own, Python closes the handlers of everybody else.
    config = uvicorn.Config(
        app, log_config=None, log_level="error", access_log=False, lifespan="off", ws="none",
        http=limits.Impatient, backlog=limits.BACKLOG, server_header=False,
        timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
    config.load()  # here, since the thread's imports would wait for those of Keras
    server = uvicorn.Server(config)

    def run() -> None:
        try:
            server.run([listener])
        except Exception:
            # What fails because the end has come, as modules that Keras holds up, says nothing.
            if not server.should_exit:
                raise

    thread = Thread(target=run, name="draw-server", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(GRACE + 1)
        if not thread.is_alive():  # else it would fail over the closed socket, with a traceback
            listener.close()
