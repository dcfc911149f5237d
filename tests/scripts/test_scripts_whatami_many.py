"""Many pictures: in order, in several processes, with progress, and interrupted."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import terminal_io
from scripts.whatami import __main__ as whatami
from scripts.whatami import counting, looking
from scripts.whatami.looking import View
from scripts.whatami.pictures import Source
from tests.scripts.whatami_pictures import ROOT, ask_json, draw

COUNT = 150
# The command, with processes for even a little work.
PROGRAM = """
import sys
from scripts.whatami import __main__ as whatami, looking

if __name__ == "__main__":
    looking.WORTH_PROCESSES = float(sys.argv[1])
    sys.exit(whatami.main(sys.argv[2:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with many pictures, one of them damaged."""
    path = tmp_path / "many"
    path.mkdir()
    for place in range(COUNT):
        draw(strokes=(0.3 + 0.4 * place / COUNT,)).save(path / f"{place:03}.png")
    (path / "100.png").write_text("no picture")
    return path


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """A function that starts the command; its first argument is ``WORTH_PROCESSES``."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def started(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(program), *map(str, arguments)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    return started


def test_several_processes_give_the_same_in_the_same_order(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(looking, "_processors", lambda: 1)
    alone = ask_json(capsys, folder)
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", 0)
    together = ask_json(capsys, folder)
    assert together == alone
    assert [Path(record["file"]).stem for record in alone] == [f"{i:03}" for i in range(COUNT)]
    assert [record["file"] for record in alone if record["error"]] == [str(folder / "100.png")]
    assert not multiprocessing.active_children()


def _name_of_process(sources: list[Source], view: View) -> list[looking.SeenPicture]:
    time.sleep(0.02)
    return [looking.SeenPicture(f"{source.name} {os.getpid()}") for source in sources]


def test_every_process_takes_part_and_the_order_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "look_at_lot", _name_of_process)
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", 0)
    sources = [Source(str(place), error="none") for place in range(looking.TRIAL + 400)]
    names = [seen.name.split() for seen in looking.look_at_all(sources, View(28))]
    assert [int(name[0]) for name in names] == list(range(len(sources)))
    by_process = [name[1] for name in names[looking.TRIAL :]]
    shares = [by_process.count(process) / 400 for process in set(by_process)]
    assert str(os.getpid()) not in by_process
    assert len(shares) == 2
    assert min(shares) > 0.2


class _Inline:
    """A pool that does its work when the result is asked for, and counts what nobody has asked."""

    def __init__(self) -> None:
        self.waiting = self.most = 0

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "_Inline":
        one = _Inline()
        one.result = lambda timeout: self._done(work, arguments)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        return one

    def _done(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        self.waiting -= 1
        return work(*arguments)

    result: Callable[[float], Any]


def test_what_is_held_at_a_time_does_not_grow_with_the_folder(monkeypatch: pytest.MonkeyPatch):
    pool = _Inline()
    monkeypatch.setattr(looking, "_pool", lambda processes: contextlib.nullcontext(pool))
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", -1)
    sources = [Source(str(place), error="none") for place in range(10_000)]
    most = 0
    for place, seen in enumerate(looking.look_at_all(sources, View(28))):
        assert seen.name == str(place)
        most = max(most, pool.waiting)
    assert pool.waiting == 0
    assert 2 <= pool.most <= 2 * looking.LOTS_AHEAD
    assert most <= 2 * looking.LOTS_AHEAD


def test_processes_are_started_as_soon_as_they_are_worth_it(monkeypatch: pytest.MonkeyPatch):
    """A folder may begin with what is soon done, such as pictures that cannot be read."""
    lots: list[int] = []

    def in_processes(sources: list[Source], *arguments: object) -> list[looking.SeenPicture]:
        lots.append(len(sources))
        return [looking.SeenPicture(source.name) for source in sources]

    def look(source: Source, view: View) -> looking.SeenPicture:
        time.sleep(0.001 if int(source.name) >= 40 else 0)
        return looking.SeenPicture(source.name)

    monkeypatch.setattr(looking, "_in_processes", in_processes)
    monkeypatch.setattr(looking, "look", look)
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", 0.5)
    sources = [Source(str(place)) for place in range(1000)]
    assert [int(seen.name) for seen in looking.look_at_all(sources, View(28))] == [*range(1000)]
    assert lots == [1000 - 2 * looking.TRIAL]


def test_batches_end_when_they_are_full_or_late(monkeypatch: pytest.MonkeyPatch):
    seen = [looking.SeenPicture(str(place)) for place in range(whatami.BATCH + 1)]
    sizes = [len(batch) for batch in whatami.batches(iter(seen))]
    assert sum(sizes) == whatami.BATCH + 1
    assert max(sizes) <= whatami.BATCH
    monkeypatch.setattr(whatami, "SECONDS_A_BATCH", 0)
    assert {len(batch) for batch in whatami.batches(iter(seen))} == {1}


@pytest.mark.parametrize("form", ["--json", "--csv"])
@pytest.mark.parametrize("worth", [0, 1e9])
def test_an_interrupt_leaves_what_was_answered(
    worth: float, form: str, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
):
    large = tmp_path / "large"
    large.mkdir()
    draw(size=(900, 900)).save(large / "0.png")
    for place in range(1, 2000):
        os.link(large / "0.png", large / f"{place}.png")
    process = start(worth, large, form)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.read(200)
    if worth == 0:
        time.sleep(1.5)  # the processes are there, or being started
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    asked = time.monotonic()
    out, error = first + process.stdout.read(), process.stderr.read()
    assert process.wait(30) == 130
    assert time.monotonic() - asked < 10
    assert error.splitlines()[-1] == "whatami: stopped by SIGINT"
    assert "Traceback" not in error
    records = json.loads(out) if form == "--json" else out.splitlines()
    assert 0 < len(records) < 2000
    process.stdout.close()
    process.stderr.close()


def test_a_reader_that_stops(folder: Path, start: Callable[..., subprocess.Popen[str]]):
    process = start(0, folder, "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) in (0, 2, 141)  # 141 unless all had been written


def _answer_at_length(sources: list[Source], view: View) -> list[Any]:
    return [bytes(30_000_000)]


def test_who_stops_while_an_answer_is_being_sent_does_not_wait_forever(
    monkeypatch: pytest.MonkeyPatch, folder: Path
):
    monkeypatch.setattr(looking, "look_at_lot", _answer_at_length)
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", 0)
    sources = [Source(str(folder / "000.png"))] * 1000

    def stop_early() -> None:
        seen = looking.look_at_all(sources, View(28))
        for _ in range(looking.TRIAL + 1):
            next(seen)
        seen.close()

    stopping = threading.Thread(target=stop_early, daemon=True)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    assert not multiprocessing.active_children()


def _die(sources: list[Source], view: View) -> list[looking.SeenPicture]:
    os._exit(1)


def test_a_process_that_dies_is_said(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setattr(looking, "look_at_lot", _die)
    monkeypatch.setattr(looking, "_processors", lambda: 2)
    monkeypatch.setattr(looking, "WORTH_PROCESSES", 0)
    sources = [Source(str(folder / "000.png"))] * 100
    found = []
    with pytest.raises(terminal_io.CliError, match="ended by the system"):
        found.extend(looking.look_at_all(sources, View(28)))
    assert not multiprocessing.active_children()


# ---- Progress ----


def test_lines_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(counting, "SECONDS_BETWEEN_LINES", 0)
    with counting.counting(2000, "pictures") as count:
        count(1000)
        count(500)
    shown = "1,000 of 2,000 pictures\n1,500 of 2,000 pictures\n"
    assert capsys.readouterr() == ("", shown)
    with counting.counting(counting.MANY - 1, "pictures") as count:
        count(50)
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_a_bar_on_a_terminal(folder: Path, tmp_path: Path):
    import pty

    ours, theirs = pty.openpty()
    with open(tmp_path / "out.csv", "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.whatami", str(folder), "--csv"],
            cwd=ROOT, stdout=out, stderr=theirs, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # how Linux says that the terminal was closed
        pass
    os.close(ours)
    assert process.wait(60) == 2
    assert f"{COUNT}/{COUNT}".encode() in shown
    assert len((tmp_path / "out.csv").read_bytes().splitlines()) == COUNT + 1
