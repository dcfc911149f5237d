"""The page with clients that are slow, many or large: the others are answered."""

import gc
import http.client
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from digit_data.pictures.examine import ImageError, examine
from digit_data.pictures.files import pixels
from scripts.draw import __main__ as draw
from scripts.draw import engines as draw_engines
from scripts.draw import limits
from tests import census
from tests.scripts.serving import Client, png, serving, seven

POST = b"POST /scores HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "


@contextmanager
def page(model: Path) -> Iterator[Client]:
    """Serve the page."""
    with serving(model) as (client, _):
        yield client


def connected(client: Client, start: bytes = b"") -> socket.socket:
    """Return a connection on which something has been sent."""
    connection = socket.create_connection((draw.ADDRESS, client.port), timeout=30)
    connection.sendall(start)
    return connection


def closed(connection: socket.socket) -> bool:
    """Wait until the server has closed a connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


# ---- Heads ----


def test_half_a_head_is_not_waited_for(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.3)
    with page(model_784) as client, ExitStack() as stack:
        started = time.monotonic()
        for start in (b"", b"G", HALF):
            assert closed(stack.enter_context(connected(client, start)))
        # After a first request, too.
        again = stack.enter_context(connected(client, HALF + b"1\r\n\r\n"))
        while b"</html>" not in again.recv(100_000):
            pass
        again.sendall(HALF)
        assert closed(again)
        assert time.monotonic() - started < 20


def test_a_connection_that_asks_stays_open(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.3)
    with page(model_784) as client:
        connection = http.client.HTTPConnection(draw.ADDRESS, client.port, timeout=30)
        connection.connect()
        first = connection.sock
        for _ in range(8):
            connection.request("GET", "/status")
            assert connection.getresponse().read()
            time.sleep(0.1)
        assert connection.sock is first
        connection.close()


def test_a_connection_stays_open_after_an_answer_that_took_long(
    model_784: Path, monkeypatch: pytest.MonkeyPatch
):
    def slow(image: Image.Image, side: Any) -> Any:
        time.sleep(1.5)
        return examine(image, side)

    monkeypatch.setattr(limits, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(draw_engines, "examine", slow)
    with page(model_784) as client:
        connection = http.client.HTTPConnection(draw.ADDRESS, client.port, timeout=30)
        connection.request("POST", "/scores", png(seven()))
        first = connection.sock
        assert connection.getresponse().read()
        # Looked at after one second, while it was answered; after two, when all was done; and not
        # after three yet.
        time.sleep(0.7)
        connection.request("GET", "/status")
        assert connection.getresponse().read()
        assert connection.sock is first
        connection.close()


def test_of_too_many_connections_the_oldest_that_waits_goes(
    model_784: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MOST_CONNECTIONS", 5)
    with page(model_784) as client, ExitStack() as stack:
        asking = stack.enter_context(connected(client, POST % 100))  # in progress, and the oldest
        time.sleep(0.2)
        waiting = [stack.enter_context(connected(client, HALF)) for _ in range(20)]
        assert client.scores(png(seven())).status == 200
        assert all(closed(connection) for connection in waiting[:16])
        asking.sendall(bytes(100))
        assert asking.recv(100).startswith(b"HTTP/1.1 422 ")


# ---- Bodies ----


def test_a_body_that_comes_slowly_is_refused(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.5)
    with page(model_784) as client, connected(client, POST % 1000) as slow:
        for _ in range(3):
            slow.sendall(b"x")
            assert client.scores(png(seven())).status == 200
            time.sleep(0.1)
        answer = b"".join(iter(lambda: slow.recv(10_000), b""))  # the body may come by itself
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"within 0.5 seconds" in answer


def test_large_files_that_stop_midway_lose_their_turn(
    model_784: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "LARGE_AT_A_TIME", 1)
    monkeypatch.setattr(limits, "PAUSE_SECONDS", 0.3)
    part = bytes(limits.SMALL_FILE + 100_000)
    with page(model_784) as client, connected(client, POST % 10_000_000 + part) as stopped:
        time.sleep(0.1)
        assert client.scores(png(seven())).status == 200
        assert client.scores(png(seven()).ljust(5_000_000, b"\0")).status == 200
        assert stopped.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_large_file_does_not_wait_for_ever(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "LARGE_AT_A_TIME", 1)
    monkeypatch.setattr(limits, "TURN_SECONDS", 0.2)
    part = bytes(limits.SMALL_FILE + 100_000)
    with page(model_784) as client, connected(client, POST % 10_000_000 + part):
        time.sleep(0.1)
        reply = client.scores(bytes(5_000_000))
        assert (reply.status, reply.json()["error"][:4]) == (503, "busy")
        assert client.scores(png(seven())).status == 200


# ---- Pictures ----


def test_a_slow_picture_holds_up_no_drawing(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    go_on, names = threading.Event(), []

    def slow(image: Image.Image, side: Any) -> Any:
        if max(image.size) > 1000:
            names.append(threading.current_thread().name)
            assert go_on.wait(60)
        return examine(image, side)

    monkeypatch.setattr(draw_engines, "examine", slow)
    large = png(seven(2000))
    assert len(large) < limits.SMALL_FILE  # small as a file
    with page(model_784) as client, ThreadPoolExecutor(9) as pool:
        slow_ones = [pool.submit(client.scores, large) for _ in range(8)]
        while not names:
            time.sleep(0.01)
        for _ in range(5):
            assert client.scores(png(seven())).status == 200
        # One at a time, for their memory, in a thread that does not hold up the end.
        assert names == ["draw-picture"]
        assert names[0] in draw.OWN_THREADS
        go_on.set()
        assert [one.result().status for one in slow_ones] == [200] * 8


def test_pixels_are_counted_without_decoding():
    assert pixels(BytesIO(png(seven(90)))) == 8100
    head = png(seven(90))[:60]
    assert pixels(BytesIO(head)) == 8100
    assert pixels(BytesIO(b"no picture")) == 0
    assert pixels(BytesIO(head[:16] + struct.pack(">II", 2**31, 2**31) + head[24:])) == 0


@pytest.mark.parametrize("error", [ImageError, MemoryError])
def test_what_is_refused_is_not_held(
    error: type[Exception], model_784: Path, monkeypatch: pytest.MonkeyPatch
):
    class Picture:
        """Stands for half a gigabyte."""

    held: list[weakref.ref[Picture]] = []

    def fail(image: Image.Image, side: Any) -> Any:
        picture = Picture()
        held.append(weakref.ref(picture))
        raise error("no digit")

    monkeypatch.setattr(draw_engines, "examine", fail)
    with page(model_784) as client:
        gc.collect()
        gc.disable()  # what is in a circle would stay until Python happens to look for such
        try:
            for _ in range(5):
                assert client.scores(png(seven())).status == 422
            time.sleep(0.2)
            assert [picture() for picture in held] == [None] * 5
        finally:
            gc.enable()


def test_two_hundred_clients(model_784: Path):
    picture = png(seven())
    with page(model_784) as client, ThreadPoolExecutor(200) as pool:
        asked = range(census.count(400, 200))
        replies = list(pool.map(lambda _: client.scores(picture).json(), asked))
    assert all(reply == replies[0] for reply in replies)
