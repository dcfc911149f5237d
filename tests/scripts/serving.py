"""What the tests of ``scripts.draw`` share: pictures, servers and requests."""

import http.client
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from scripts import model_files
from scripts.draw import __main__ as draw
from scripts.draw import engines as draw_engines
from scripts.draw import saving as draw_saving
from scripts.draw import server as draw_server

ROOT = Path(__file__).parents[2]
START = re.compile(r"Draw a digit at (http://127\.0\.0\.1:(\d+)/) \(Ctrl-C ends\)\n")


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def seven(size: int = 90) -> Image.Image:
    """A seven in ink on paper."""
    image = Image.new("L", (size, size), "white")
    points = [(0.3 * size, 0.2 * size), (0.7 * size, 0.2 * size), (0.45 * size, 0.8 * size)]
    ImageDraw.Draw(image).line(points, "black", size // 10, "curve")
    return image


@dataclass
class Reply:
    """What a server answers."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """Return the body as the JSON that it is."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


@dataclass
class Client:
    """Asks the server at a port."""

    port: int

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request and return the answer; ``body`` may be an iterable, sent in chunks."""
        connection = http.client.HTTPConnection(draw.ADDRESS, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def scores(self, picture: bytes) -> Reply:
        """Ask about a picture file."""
        return self.ask("POST", "/scores", picture)


@contextmanager
def serving(
    model: Path, save: Path | None = None
) -> Iterator[tuple[Client, draw_engines.LateKeras]]:
    """Serve the page in this process; Keras is there after the ``load()`` of what is yielded."""
    keras = draw_engines.LateKeras(model)
    engines = draw_engines.Engines(model_files.load(model), keras)
    folder = None if save is None else draw_saving.LabelledFolder(save)
    listener = draw.listen(0)
    port = listener.getsockname()[1]
    with draw_server.running(draw_server.create(engines, folder), listener):
        yield Client(port), keras


@contextmanager
def command(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command itself on a free port; yield the process and its address."""
    # An interpreter that was started with SIGINT ignored, as background jobs are, keeps it so.
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from scripts.draw import __main__ as draw; sys.exit(draw.main())"
    # JAX, where another test imported it, sets this, and TensorFlow then prints its warnings.
    clean = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", "--no-browser", *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        match = START.fullmatch(process.stdout.readline())
        assert match, process.communicate(timeout=30)[1]
        yield process, match[1]
    finally:
        process.kill()
        process.communicate()
