"""Draw a digit in the browser and see what both engines make of it: ``python -m scripts.draw``."""

import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from terminal_io import FAILURE, CliError, Parser, Signals, os_reason, run

from .. import model_files, starting

ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8000
HIGHEST_PORT = 65535
OWN_THREADS = ("draw-keras", "draw-server", "draw-picture")  # of the modules beside this one

PORT_HELP = f"where on {ADDRESS} the page is; 0: any free port; default: {DEFAULT_PORT}"
MODEL_HELP = ".npz or .keras; default: the model that comes with the project"
SAVE_HELP = (
    "lets the page save what is drawn, with its label, in this folder; else it saves nothing"
)
NO_BROWSER_HELP = "print the address only, as is done where there is no desktop or no terminal"

EPILOG = """\
examples:
  python -m scripts.draw
  python -m scripts.draw --port 0 --no-browser
  python -m scripts.draw --model runs/784-500-300-10/model.npz
  python -m scripts.draw --save my-digits     # for python -m scripts.train mnist-robust --add

One page, for this computer only: draw with mouse, finger or pen, drop, paste or choose a picture
file, or take one with the camera. It shows what the network sees, where each digit was found, and
the scores of the NumPy and the Keras engine side by side, the same that "python -m scripts.whatami"
gives for the same picture. The page answers with NumPy from the start and with Keras some seconds
later, when it has loaded. Nothing is sent anywhere else, and nothing is stored but what you save in
the folder of --save. The page opens in the browser unless --no-browser is given.
Exit codes: 1 failed on the way, 2 wrong options or model, or a port in use, 130 Ctrl-C.
"""


def parser() -> Parser:
    """Return the command's options."""
    p = starting.parser("draw", __doc__, EPILOG)
    add = p.add_argument
    add("--port", type=int, default=DEFAULT_PORT, metavar="N", help=PORT_HELP)
    add("--model", type=Path, default=model_files.SHIPPED_MODEL, metavar="FILE", help=MODEL_HELP)
    add("--save", type=Path, metavar="FOLDER", help=SAVE_HELP)
    add("--no-browser", action="store_true", help=NO_BROWSER_HELP)
    return p


def listen(port: int) -> socket.socket:
    """Return a socket that takes connections from this computer.

    Raises:
        CliError: The port is none, is taken, or not allowed.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise CliError(f"--port: expected a port in 0..{HIGHEST_PORT}. Received: {port}")
    listener = socket.socket()
    try:
        if os.name == "posix":  # a port that a stopped server has just left; elsewhere: to steal
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CliError(
                f"--port: expected a free port, such as --port 0 finds. Received: {port}, which "
                f"another program uses"
            ) from error
        reason = os_reason(error)
        raise CliError(f"--port: expected a port to use. Received: {port}, {reason}") from error
    return listener


def has_desktop() -> bool:
    """Tell whether a user sits at this computer's screen, where a browser could open."""
    if sys.stdout is None or not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    # Elsewhere Python would start a browser that runs in the terminal.
    x11 = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return x11 or sys.platform in ("win32", "darwin")


def serve(model: Path, port: int, browser: bool, save: Path | None = None) -> None:
    """Serve the page until a signal comes.

    Args:
        model: The model file.
        port: 0 for any that is free.
        browser: Whether to open the page.
        save: Where what is drawn may be saved.

    Raises:
        CliError: The model, the port or the folder cannot be used.
        Interrupted: How it ends.
    """
    from . import engines, saving, server

    folder = None if save is None else saving.LabelledFolder(save)
    keras = engines.LateKeras(model)
    app = server.create(engines.Engines(model_files.load(model), keras), folder)
    listener = listen(port)
    url = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
    with server.running(app, listener) as thread:
        print(f"Draw a digit at {url} (Ctrl-C ends)", flush=True)
        if browser:
            webbrowser.open(url)
        keras.start()
        while thread.is_alive():
            thread.join(1)
        raise CliError("the server ended by itself", FAILURE)


@contextmanager
def kept_stderr() -> Iterator[None]:
    """Give file descriptor 2 back at the end, which the import of Keras holds for some seconds."""
    try:
        kept = os.dup(2)
    except OSError:  # closed: nobody reads it
        yield
        return
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        argv: The arguments; None takes the process's own.
    """

    def body() -> int:
        args = parser().parse_args(argv)
        with Signals(), kept_stderr():
            browser = not args.no_browser and has_desktop()
            serve(args.model, args.port, browser, args.save)
        return 0

    code = run("draw", body)
    _leave_threads(code)
    return code


def _leave_threads(code: int) -> None:
    """End the process if Keras is being imported, or a large picture looked at.

    Neither can be stopped, nor outlive Python, which would wait for a picture to its end.
    """
    if any(thread.name in OWN_THREADS for thread in threading.enumerate()):
        print(end="", flush=True)
        print(end="", flush=True, file=sys.stderr)
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
