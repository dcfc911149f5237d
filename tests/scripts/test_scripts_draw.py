"""The server of ``scripts.draw``: scores, bad input, and who may ask."""

import json
import logging
import logging.handlers
import queue
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures.examine import prepare
from numpy_impl import Sequential, models, serialization
from numpy_impl.layers import Dense
from scripts import model_files
from scripts.draw import __main__ as draw
from scripts.draw import engines as draw_engines
from scripts.draw import limits
from scripts.draw import server as draw_server
from scripts.whatami import __main__ as whatami
from tests.scripts.serving import Client, png, serving, seven


def bomb() -> bytes:
    """The head of a PNG of 100,000 x 100,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + head + struct.pack(">I", zlib.crc32(head))


@pytest.fixture
def served(
    model_784: Path, capfd: pytest.CaptureFixture[str]
) -> Iterator[tuple[Client, draw_engines.LateKeras]]:
    # After capfd, which else would not see the server's log.
    with serving(model_784) as both:
        yield both


@pytest.fixture
def client(served: tuple[Client, draw_engines.LateKeras]) -> Client:
    return served[0]


@pytest.fixture
def keras(served: tuple[Client, draw_engines.LateKeras]) -> draw_engines.LateKeras:
    return served[1]


def error_of(answer: dict[str, Any]) -> str:
    """Return the one line that an error consists of."""
    assert list(answer) == ["error"]
    assert answer["error"].isprintable()
    assert "Traceback" not in answer["error"]
    return answer["error"]


def by_command(
    capfd: pytest.CaptureFixture[str], picture: Path, model: Path, engine: str
) -> dict[str, Any]:
    """Return what ``whatami`` says about a picture."""
    whatami.main([str(picture), "--model", str(model), "--engine", engine, "--json"])
    (record,) = json.loads(capfd.readouterr().out)
    return record


# ---- Scores ----


def test_scores_are_those_of_the_command(
    client: Client, keras: draw_engines.LateKeras, model_784: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    picture = tmp_path / "seven.png"
    seven().save(picture)
    keras.load()
    answer = client.scores(picture.read_bytes()).json()
    for engine in ("numpy", "keras"):
        record = by_command(capfd, picture, model_784, engine)
        assert answer[engine]["state"] == "ready"
        assert {key: answer[engine][key] for key in ("scores", "digit", "error")} == {
            key: record[key] for key in ("scores", "digit", "error")
        }
    whatami.main([str(picture), "--model", str(model_784)])
    assert answer["numpy"]["verdict"] == capfd.readouterr().out.splitlines()[-1]
    assert 0 <= answer["difference"] < 1e-10
    assert answer["side"] == 28
    seen = np.reshape(answer["pixels"], (28, 28))
    np.testing.assert_allclose(seen / 255, prepare(seven()), atol=0.5 / 255 + 1e-6)


def test_before_keras_has_loaded_numpy_answers_alone(client: Client):
    answer = client.scores(png(seven())).json()
    assert answer["numpy"]["state"] == "ready"
    assert answer["keras"] == {"state": "loading", "error": None}
    assert answer["difference"] is None
    status = client.ask("GET", "/status").json()
    keras = {"state": "loading", "error": None}
    assert status == {"model": "model784.npz", "keras": keras, "save": None}


def test_without_keras_the_page_says_why(
    client: Client, keras: draw_engines.LateKeras, monkeypatch: pytest.MonkeyPatch
):
    def fail(path: Path, engine: str) -> None:
        raise ImportError("No module named\n'tensorflow'")

    monkeypatch.setattr(model_files, "load", fail)
    keras.load()
    for state in (
        client.ask("GET", "/status").json()["keras"], client.scores(png(seven())).json()["keras"]
    ):  # fmt: skip
        assert state == {"state": "failed", "error": "No module named 'tensorflow'"}


def test_a_network_of_64_inputs(tmp_path: Path):
    path = tmp_path / "small.npz"
    serialization.save(models.build("64-200-10", np.random.default_rng(1)), path)
    with serving(path) as (client, _):
        answer = client.scores(png(seven())).json()
    assert answer["side"] == 8
    assert len(answer["pixels"]) == 64
    assert max(answer["pixels"]) == 255


def test_outputs_that_are_no_scores(tmp_path: Path):
    path = tmp_path / "linear.npz"
    network = Sequential([Dense(10)], 784, np.random.default_rng(1))
    serialization.save(network, path)
    with serving(path) as (client, _):
        answer = client.scores(png(seven())).json()
    assert answer["numpy"]["state"] == "failed"
    assert answer["numpy"]["error"].startswith("expected scores in 0..1 from the model.")
    assert answer["numpy"]["scores"] is None


def test_several_digits_are_noted_and_get_no_verdict(client: Client):
    two = Image.new("L", (180, 90), "white")
    for left in (0, 90):
        two.paste(seven(), (left, 0))
    reply = client.scores(png(two)).json()
    assert reply["notes"] == ["there seem to be 2 separate digits"]
    assert reply["numpy"]["digit"] is None
    said = "I see 2 separate signs, and am not sure that all are digits."
    assert reply["numpy"]["verdict"] == said
    lefts = [one["box"][0] for one in reply["found"]]
    np.testing.assert_allclose(lefts, [0.15, 0.65], atol=0.03)
    assert [one["digit"] for one in reply["found"]] == [None, None]  # no network is that random


# ---- Bad input ----


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no picture", id="text"),
        pytest.param(bytes(range(256)) * 40, id="bytes"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(png(seven())[:200], id="truncated"),
        pytest.param(png(seven())[:20], id="only a head"),
        pytest.param(png(Image.new("L", (300, 300), "white")), id="blank"),
        pytest.param(bomb(), id="bomb"),
    ],
)
def test_bad_pictures_are_refused_in_one_line(
    client: Client, body: bytes, capfd: pytest.CaptureFixture[str]
):
    reply = client.scores(body)
    assert reply.status == 422
    assert error_of(reply.json())
    assert client.scores(png(seven())).status == 200
    assert capfd.readouterr() == ("", "")


def test_too_large_a_file(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "LARGEST_FILE", 50_000)
    monkeypatch.setattr(limits, "LARGEST_READ", 500_000)
    padded = png(seven()).ljust(50_000, b"\0")
    assert client.scores(padded).status == 200
    bodies = [bytes(50_001), (bytes(10_000) for _ in range(6)), (bytes(10_000) for _ in range(51))]
    for body in bodies:
        reply = client.ask("POST", "/scores", body)
        assert reply.status == 413
        assert error_of(reply.json()).startswith("expected a file of at most 50,000 bytes.")
    # One that says how large it is need not even begin to send.
    reply = client.ask("POST", "/scores", b"", **{"Content-Length": "500001"})
    assert reply.status == 413


def test_the_limit_is_twenty_megabytes(client: Client):
    assert client.scores(png(seven()).ljust(20_000_000, b"\0")).status == 200
    assert client.scores(bytes(20_000_001)).status == 413


def test_a_client_that_leaves_midway(client: Client, capfd: pytest.CaptureFixture[str]):
    with socket.create_connection((draw.ADDRESS, client.port)) as connection:
        connection.sendall(
            b"POST /scores HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"
        )
        connection.sendall(b"part of it")
        time.sleep(0.2)
    time.sleep(0.2)
    with socket.create_connection((draw.ADDRESS, client.port)) as connection:
        connection.sendall(b"no HTTP at all\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert client.scores(png(seven())).status == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/scores", 405), ("PUT", "/scores", 405), ("POST", "/", 405),
        ("DELETE", "/status", 405), ("GET", "/missing", 404), ("GET", "/index.html", 404),
        ("GET", "/../draw.py", 404), ("GET", "/..%2fdraw.py", 404), ("GET", "/page.css/", 404),
        ("GET", "/docs", 404), ("GET", "/redoc", 404), ("GET", "/openapi.json", 404),
    ],
)  # fmt: skip
def test_other_methods_and_addresses(client: Client, method: str, path: str, status: int):
    reply = client.ask(method, path)
    assert reply.status == status
    assert error_of(reply.json())


def test_a_bug_is_no_traceback_in_the_page(client: Client, monkeypatch: pytest.MonkeyPatch):
    log: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handlers = [logging.handlers.QueueHandler(log)]
    monkeypatch.setattr(logging.getLogger("uvicorn"), "handlers", handlers)
    monkeypatch.setattr(draw_engines, "examine", lambda image, side: 1 / 0)
    reply = client.scores(png(seven()))
    assert reply.status == 500
    assert error_of(reply.json()) == "the server failed; its terminal says how"
    assert "ZeroDivisionError" in log.get(timeout=60).getMessage()


# ---- Who may ask ----


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil", "", "["]
)
def test_another_host_is_refused(client: Client, host: str):
    for method, path in (("GET", "/"), ("GET", "/status"), ("POST", "/scores")):
        reply = client.ask(method, path, b"", Host=host)
        assert reply.status == 403
        assert error_of(reply.json()).startswith("expected the host localhost or 127.0.0.1.")


def test_no_host_is_refused(client: Client):
    with socket.create_connection((draw.ADDRESS, client.port)) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


def test_names_of_this_computer(client: Client):
    for host in ("localhost", "LocalHost:80", "127.0.0.1", f"127.0.0.1:{client.port}"):
        assert client.ask("GET", "/", Host=host).status == 200


def test_another_site_cannot_post(client: Client):
    picture, own = png(seven()), f"127.0.0.1:{client.port}"
    for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1"):
        assert client.ask("POST", "/scores", picture, Origin=origin).status == 403
    assert client.ask("POST", "/scores", picture, Origin=f"http://{own}").status == 200


def test_every_answer_has_the_headers(client: Client, monkeypatch: pytest.MonkeyPatch):
    replies = [
        client.ask("GET", "/"), client.ask("GET", "/missing"), client.scores(b"x"),
        client.ask("GET", "/", Host="evil.example"),
    ]  # fmt: skip
    monkeypatch.setattr(draw_engines, "examine", lambda image, side: 1 / 0)
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
    for reply in [*replies, client.scores(b"x")]:
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_names_no_other_server(client: Client):
    types = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}
    for path in [*types, *(f"/{file.name}" for file in draw_server.PAGE.glob("*.js"))]:
        reply = client.ask("GET", path)
        assert reply.status == 200
        kind = types.get(path, "text/javascript")
        assert reply.headers["Content-Type"] == f"{kind}; charset=utf-8"
        addresses = re.findall(r"\w+://[^\s'\"]*", reply.body.decode())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # a name, not a place
        assert client.ask("HEAD", path).body == b""
