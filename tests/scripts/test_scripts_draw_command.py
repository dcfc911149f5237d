"""``python -m scripts.draw``: options, port, signals, and what it loads."""

import io
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fastapi import FastAPI

import terminal_io
from scripts.draw import __main__ as draw
from scripts.draw import server as draw_server
from tests.scripts.serving import ROOT, Client, command, png, seven


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of a command that is used wrongly."""
    assert draw.main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("draw: ")
    assert error.count("\n") == 1
    return error


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]):
    with draw.listen(0) as taken:
        port = str(taken.getsockname()[1])
        assert f"Received: {port}, which another program uses" in fails(capsys, "--port", port)


def test_wrong_options(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for port in ("-1", "65536", "x"):
        fails(capsys, "--port", port)
    assert "missing.npz" in fails(capsys, "--port", "0", "--model", str(tmp_path / "missing.npz"))
    fails(capsys, "--port", "0", "--model", str(ROOT / "README.md"))


def test_help(capsys: pytest.CaptureFixture[str]):
    assert draw.main(["--help"]) == 0
    assert "--no-browser" in capsys.readouterr().out


def test_the_start_loads_no_heavy_library(model_784: Path):
    program = f"""
import sys
from scripts.draw import __main__ as draw, engines as draw_engines, server as draw_server
from scripts import model_files
draw_server.create(draw_engines.Engines(model_files.load(draw.Path({str(model_784)!r})), None))
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"keras", "tensorflow", "matplotlib", "sklearn", "scipy"} & {*done.stdout.split()}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0, 1.5])
def test_a_signal_ends_it_at_once_even_while_keras_loads(
    signum: signal.Signals, delay: float, model_784: Path
):
    with command("--model", str(model_784)) as (process, _):
        time.sleep(delay)
        process.send_signal(signum)
        out, error = process.communicate(timeout=60)
        assert (process.returncode, out) == (128 + signum, "")
        assert error == f"draw: stopped by {signum.name}\n"


def test_keras_loads_silently_and_a_signal_ends_it_afterwards(model_784: Path):
    with command("--model", str(model_784)) as (process, url):
        client = Client(int(url.rstrip("/").rsplit(":", 1)[1]))
        end = time.monotonic() + 120
        while client.ask("GET", "/status").json()["keras"]["state"] == "loading":
            assert time.monotonic() < end
            time.sleep(0.3)
        answer = client.scores(png(seven())).json()
        assert answer["keras"]["scores"] == answer["numpy"]["scores"]
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (130, "draw: stopped by SIGINT\n")


def test_a_browser_opens_only_where_someone_sits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("SSH_CONNECTION", "WAYLAND_DISPLAY", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("DISPLAY", ":0")
    assert not draw.has_desktop()  # output that is read by a program
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert draw.has_desktop()
    monkeypatch.setenv("SSH_CONNECTION", "elsewhere")
    assert not draw.has_desktop()
    monkeypatch.delenv("SSH_CONNECTION")
    monkeypatch.delenv("DISPLAY")
    assert not draw.has_desktop()


def test_the_browser_is_told_the_address(model_784: Path, monkeypatch: pytest.MonkeyPatch):
    def opened(url: str) -> None:
        raise terminal_io.CliError(url, 1)

    monkeypatch.setattr(draw.webbrowser, "open", opened)
    with pytest.raises(terminal_io.CliError, match=r"^http://127\.0\.0\.1:\d+/$"):
        draw.serve(model_784, 0, browser=True)


def test_a_server_that_is_held_up_keeps_its_socket(monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()
    monkeypatch.setattr(draw_server, "GRACE", -0.9)
    monkeypatch.setattr(draw_server.uvicorn.Server, "run", lambda self, sockets: go_on.wait())
    with draw.listen(0) as listener:
        with draw_server.running(FastAPI(), listener) as thread:
            pass
        assert thread.is_alive()
        assert thread.name in draw.OWN_THREADS
        assert listener.fileno() >= 0
        go_on.set()
        thread.join(60)
