"""Code that loops, crashes, ends Python or spoils it cannot make the check say something false."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import parity
from parity.commands import processes
from parity.commands.check import _exit_code, checked
from terminal_io import CliError

ROOT = Path(__file__).parents[2]
NETWORK = """exec({before!r})
import os, sys
import numpy as np, parity
r = np.random.default_rng(0)
W, b = r.normal(size=(5, 3)), r.normal(size=3)
def attack():
    {attack}
def forward(x):
    attack()
    return 1 / (1 + np.exp(-(x @ W + b)))
def gradients(x, y):
    a = forward(x)
    delta = (a - y) * a * (1 - a)
    return [x.T @ delta, delta.sum(axis=0)]
def weights():
    return [W, b]
{behind}
def make():
    return parity.Candidate(get_weights=weights, forward=forward, gradients=gradients)
"""


# Processes, each with memory of its own, that are forked once; "leave" is what a daemon does.
HOG = """import os, time
import numpy as np
forked = []
def hog(count, size=1, leave=lambda: None):
    while len(forked) < count:
        forked.append(os.fork())
        if not forked[-1]:
            leave()
            kept = np.ones(size * 2 * 10**7)
            time.sleep(99)
def leave():
    os.setsid()
    if os.fork():
        os._exit(0)
"""


class Attack(NamedTuple):
    """A right network with one thing in it that it should not do.

    Attributes:
        said: What the command says; the right network's report where nothing hinders it.
        attack: A statement in the forward pass.
        before: At the head of the module.
        behind: Behind its functions.
        options: Of the command.
    """

    said: str
    attack: str = "pass"
    before: str = ""
    behind: str = ""
    options: str = ""

    @property
    def code(self) -> int:
        return 0 if self.said == RIGHT else 2


class Done(NamedTuple):
    code: int
    out: str
    err: str


RIGHT = "RIGHT. Equal to the one layer 5-3"
FORWARD = "cannot tell: expected forward to return. Received: "
ENDLESS = FORWARD + "no end within 2 s, it.py line 7; --timeout sets another limit\n"
RAISES = "CANNOT TELL. It cannot be checked: forward raises an exception"
REPLACED = (
    "cannot tell: expected a module that leaves alone what the check computes with. Received: your "
    "code replaces "
)
ATTACKS = {
    # It ends Python.
    "exit 0": Attack(FORWARD + "the end of Python, with exit code 0\n", "os._exit(0)"),
    "exit 0 on import": Attack(
        "cannot tell: expected it.py to run when it is imported. Received: the end of Python, with "
        "exit code 0\n", behind="os._exit(0)",
    ),
    "exec": Attack(FORWARD + "the end of Python, with", "os.execv('/bin/true', ['true'])"),
    "segmentation fault": Attack(
        FORWARD + "the end of Python by SIGSEGV, it.py line 7\n",
        "import ctypes; ctypes.string_at(0)",
    ),
    "abort": Attack(FORWARD + "the end of Python by SIGABRT, it.py line 7\n", "os.abort()"),
    "killed": Attack(FORWARD + "the end of Python by SIGKILL\n", "os.kill(os.getpid(), 9)"),
    "group killed": Attack(FORWARD + "the end of Python by SIGTERM\n", "os.kill(0, 15)"),
    "alarm": Attack(
        "the end of Python by SIGALRM", before="import signal; signal.setitimer(0, 0.01)",
        attack="import time; time.sleep(1)",
    ),
    "exit in a thread": Attack(
        "the end of Python, with exit code 0", attack="import time; time.sleep(1)",
        before="import os, threading; threading.Timer(0.01, os._exit, [0]).start()",
    ),
    # It does not end.
    "loop": Attack(ENDLESS, "while True: pass", options="--timeout 2"),
    "loop in C": Attack(ENDLESS, "sum(range(10**14))", options="--timeout 2"),
    "stopped": Attack(
        FORWARD + "no end within 2 s", "os.kill(os.getpid(), 19)", options="--timeout 2"
    ),
    "a second a call": Attack(ENDLESS, "import time; time.sleep(1)", options="--timeout 2"),
    "loop in an attribute": Attack(
        "no end within 2 s, it.py line 20", options="--timeout 2",
        behind="import time\nclass Odd:\n def __getattr__(self, name):\n"
        "  while True: time.sleep(1)\nb = Odd()",
    ),
    "memory": Attack(
        FORWARD + "over 0.5 GB of memory taken, it.py line 7; --memory sets another limit\n",
        "kept.append(np.ones(4 * 10**6))", before="kept = []", options="--memory 0.5",
    ),
    "memory of forks": Attack(
        FORWARD + "over 0.7 GB of memory taken by 6 processes, it.py line 7; --memory sets",
        "hog(5); time.sleep(99)", before=HOG, options="--memory 0.7",
    ),
    "memory of one that has left": Attack(
        FORWARD + "over 0.7 GB of memory taken by 2 processes, it.py line 7; --memory sets",
        "hog(1, 5, leave); time.sleep(99)", before=HOG, options="--memory 0.7",
    ),
    "memory of one without its environment": Attack(
        FORWARD + "over 0.7 GB of memory taken by 2 processes, it.py line 7; --memory sets",
        "subprocess.run([sys.executable, '-c', code], env={}, start_new_session=True)",
        before="import subprocess\n"
        "code = 'import time; b = bytes([1]) * (8 * 10**8); time.sleep(99)'",
        options="--memory 0.7",
    ),
    "memory that forks share": Attack(
        RIGHT, "hog(4, 0)", before=HOG + "kept = np.ones(5 * 10**7)", options="--memory 0.9"
    ),
    "thread": Attack(
        RIGHT, before="import threading, time; threading.Thread(target=time.sleep, "
        "args=[99]).start()",
    ),
    "atexit": Attack(RIGHT, before="import atexit, time; atexit.register(time.sleep, 99)"),
    "fork": Attack(RIGHT, "os.fork()"),
    "fork on import": Attack(RIGHT, before="import os; os.fork()"),
    "fork that stays": Attack(RIGHT, "if os.fork() == 0: import time; time.sleep(99)"),
    # It raises what is no Exception.
    "GeneratorExit": Attack(RAISES, "raise GeneratorExit"),
    "own exception": Attack(RAISES, "raise Own", before="class Own(BaseException): pass"),
    "CancelledError": Attack(RAISES, "import asyncio; raise asyncio.CancelledError"),
    "skip": Attack(RAISES, "import pytest; pytest.skip('not today')"),
    "exit on import": Attack("sys.exit(0) in it.py line", behind="sys.exit(0)"),
    "BaseException on import": Attack(
        "Received: an error in your own code, it.py line 17: GeneratorExit",
        behind="raise GeneratorExit",
    ),
    "KeyboardInterrupt": Attack("it.py line 7: KeyboardInterrupt", "raise KeyboardInterrupt"),
    "alarm that raises": Attack(
        "TimeoutError", before="import signal, time\ndef late(*_): raise TimeoutError\n"
        "signal.signal(signal.SIGALRM, late)", attack="signal.setitimer(0, 0.001); time.sleep(1)",
    ),
    # It spoils what the check needs.
    "stdout closed": Attack(RIGHT, behind="os.close(1)"),
    "stderr closed": Attack(RIGHT, behind="os.close(2)"),
    "all closed": Attack(RIGHT, "os.closerange(3, 99)"),
    "stdout taken": Attack(RIGHT, behind="sys.stdout = sys.stderr = None"),
    "umask": Attack(RIGHT, behind="os.umask(0o777)"),
    "folder": Attack(RIGHT, "os.chdir('/')"),
    "recursion": Attack(RIGHT, "sys.setrecursionlimit(70)", behind="sys.setrecursionlimit(60)"),
    "error state": Attack(RIGHT, "np.seterr(all='raise')", behind="np.seterr(all='raise')"),
    "in itself": Attack(
        "get_weights returns no usable answer", behind="def weights():\n w = [W]; w.append(w)\n"
        " return w",
    ),
    "numpy's functions": Attack(
        REPLACED + "numpy.abs, numpy.allclose, numpy.isfinite, numpy.subtract and 1 more\n",
        behind="np.allclose = np.isfinite = max; np.abs = lambda x: 0 * x\n"
        "np.subtract = lambda a, b: 0.0; np.random.default_rng = lambda *a: r",
    ),
    "numpy.pi": Attack(REPLACED + "numpy.pi\n", "np.pi = 3"),
    "default_rng": Attack(
        REPLACED + "numpy.random.default_rng\n", behind="np.random.default_rng = lambda *a: r"
    ),
    "numpy itself": Attack(REPLACED + "numpy\n", behind="sys.modules['numpy'] = sys"),
    "builtins": Attack(REPLACED + "builtins.sum\n", behind="import builtins; builtins.sum = max"),
    "outcome": Attack(
        REPLACED + "parity.reports.report.CheckReport.outcome", attack="return 1 / 0",
        behind="parity.CheckReport.outcome = parity.Outcome.RIGHT",
    ),
    "check": Attack(
        REPLACED + "parity.checking.checker.check\n",
        behind="from parity.checking import checker; checker.check = lambda *a, **k: 0",
    ),
    "print": Attack(RIGHT, behind="import builtins; builtins.print = lambda *a, **k: None"),
    # Its siblings: what else may lie about, go wrong or stay.
    "two exits": Attack(FORWARD + "the end of Python, with exit code 1\n", "os._exit(1)"),
    "exit in an attribute": Attack(
        "it.py line 18: SystemExit: 0",
        behind="class Odd:\n def __getattr__(self, name): sys.exit(0)\nb = Odd()",
    ),
    "exit in a thread's end": Attack(
        RIGHT, before="import threading, sys; threading.Thread(target=sys.exit).start()"
    ),
    "many forks": Attack(RIGHT, "[os.fork() for _ in range(3)]"),
    "fork in a session": Attack(
        RIGHT, "if os.fork() == 0: os.setsid(); import time; time.sleep(99)"
    ),
    "fork that raises": Attack(RIGHT, "if os.fork() == 0: raise SystemExit(3)"),
    "processes": Attack(
        RIGHT, before="import multiprocessing as m",
        behind="pool = m.get_context('fork').Pool(2); pool.map(abs, [-1, 2])",
    ),
    "a program": Attack(RIGHT, before="import subprocess; subprocess.Popen(['sleep', '99'])"),
    "endless recursion": Attack("forward raises an exception", "attack()"),
    "deep recursion": Attack(
        FORWARD + "the end of Python by SIGSEGV", "sys.setrecursionlimit(10**9)\n"
        "    class A:\n     def __repr__(self): return repr(self)\n    repr(A())",
    ),
    "all signals ignored": Attack(
        FORWARD + "no end within 6 s; ", "while True: pass", options="--timeout 6",
        before="import signal\nfor s in (1, 2, 3, 12, 15, 17): signal.signal(s, signal.SIG_IGN)",
    ),
    "handler that raises": Attack(
        "KeyError", before="import signal\ndef late(*_): raise KeyError\nsignal.signal(14, late)",
        attack="signal.setitimer(0, 0.001)\n    for _ in range(10**7): pass",
    ),
    "folder deleted": Attack(
        RIGHT, before="import os, tempfile\nd = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)"
    ),
    "folder deleted, then an error": Attack(
        RAISES, "1 / 0",
        before="import os, tempfile\nd = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    ),
    "warnings are errors": Attack(
        RIGHT, before="import warnings; warnings.simplefilter('error')"
    ),
    "error state calls": Attack(RIGHT, behind="np.seterrcall(sys.exit); np.seterr(all='call')"),
    "how numbers are shown": Attack(
        RIGHT, behind="np.set_printoptions(threshold=0, formatter={'all': lambda x: 1 / 0})"
    ),
    "much output": Attack(RIGHT, "print('x' * 10**6)"),
    "output that is no text": Attack(RIGHT, "sys.stdout.buffer.write(bytes(range(256)))"),
    "escapes": Attack(RIGHT, "print('\\x1b[2J\\x1b]0;gone\\x07')"),
    "input": Attack("forward raises an exception", "input('weights? ')"),
    "trace": Attack(
        "it.py line 17: KeyError", behind="def late(*_): raise KeyError\nsys.settrace(late)"
    ),
    "modules gone": Attack("cannot tell: ", behind="sys.modules.clear()"),
    "no finders": Attack("cannot tell: ", behind="sys.meta_path.clear(); sys.path_hooks.clear()"),
    "no import": Attack(
        "Received: ", behind="import builtins\nbuiltins.__import__ = lambda *a, **k: 1 / 0"
    ),
    "isinstance": Attack(
        REPLACED + "builtins.isinstance", behind="import builtins; builtins.isinstance = max"
    ),
    "no len": Attack(REPLACED + "builtins.len", behind="import builtins; del builtins.len"),
    "matmul": Attack(REPLACED + "numpy.dot, numpy.matmul\n", "np.matmul = np.dot = np.multiply"),
    "Approx": Attack(
        REPLACED + "parity.bounds.rounding.Approx.__", behind="from parity.bounds import rounding\n"
        "rounding.Approx.__sub__ = lambda a, b: 0",
    ),
    "json": Attack("Received: ", behind="import json; json.dumps = lambda *a, **k: '{}'"),
    "a __del__ that raises": Attack(
        RIGHT, before="class Odd:\n def __del__(self): raise ValueError", attack="Odd()"
    ),
    "a __del__ that exits": Attack(
        FORWARD + "the end of Python", "Odd()",
        before="import os\nclass Odd:\n def __del__(self): os._exit(0)",
    ),
    "an exception without words": Attack(
        RAISES, "raise Odd", before="class Odd(Exception):\n def __str__(self): raise ValueError\n"
        " __repr__ = __str__",
    ),
    "an exception that exits": Attack(
        RAISES, "raise Odd", before="import sys\nclass Odd(Exception):\n"
        " def __str__(self): sys.exit(0)\n __repr__ = __str__",
    ),
    "no files": Attack(
        "Received: ", behind="import resource; resource.setrlimit(7, (3, 3))"
    ),
    "no file may grow": Attack(
        "cannot tell: ", behind="import resource; resource.setrlimit(1, (0, 0))"
    ),
    "little memory": Attack(
        "parity: ", behind="import resource; resource.setrlimit(9, (10**8, 10**8))"
    ),
    "little time": Attack(
        "cannot tell: expected ", "while True: pass",
        behind="import resource; resource.setrlimit(0, (1, 1))",
    ),
    "an array of its own kind": Attack(
        RAISES, behind="class Odd(np.ndarray):\n"
        " def __array_ufunc__(self, *a, **k): raise KeyError\nW = W.view(Odd)",
    ),
    "equality that raises": Attack(
        RIGHT, behind="class Odd(np.ndarray):\n def __eq__(self, other): raise KeyError\n"
        "W = W.view(Odd)",
    ),
    "no collector": Attack(RIGHT, behind="import gc; gc.disable(); gc.callbacks.append(print)"),
}  # fmt: skip


def _started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "parity", *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # As from a terminal; a shell starts what is in the background with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def _done(folder: Path, *arguments: str) -> Done:
    with _started(folder, *arguments) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return Done(process.returncode, out, err)


@pytest.fixture(scope="module")
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Done]:
    """Run the attacks that are asked about, four at a time, since some of them only wait."""

    def run(name: str, folder: Path) -> Done:
        attack = ATTACKS[name]
        parts = {"before": attack.before, "attack": attack.attack, "behind": attack.behind}
        (folder / "it.py").write_text(NETWORK.format_map(parts))
        return _done(folder, "check", "it.py", *attack.options.split())

    cases = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {case.params.get("attacked") for case in cases if case is not None}
    names = [name for name in ATTACKS if name in asked]
    folders = [tmp_path_factory.mktemp("attack") for _ in names]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(run, names, folders), strict=True))


@pytest.mark.census(keep=5)
@pytest.mark.parametrize("attacked", ATTACKS)
def test_nothing_false_is_said(attacked: str, done: dict[str, Done]):
    attack, (code, out, err) = ATTACKS[attacked], done[attacked]
    assert attack.said in out + err
    assert code == attack.code
    assert "mistake in parity" not in err
    assert out.count("Compared with") == (attack.said == RIGHT)
    if "Received: " in attack.said:
        assert err.startswith("parity: ")
        assert out == ""


def _with(attack: str) -> str:
    return NETWORK.format(before="", attack=attack, behind="")


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    """Whether it runs; what nobody has waited for yet is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_of_several_processes_counts_once():
    code = """import os, sys, time
kept = bytearray(300_000_000)
kept[::4096] = b"x" * len(kept[::4096])
forked = [0]
while all(forked[1:]) and len(forked) < 4:
    forked.append(os.fork())
if all(forked[1:]):
    print("ready", flush=True)
time.sleep(99)
"""
    command = [sys.executable, "-S", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            resident = processes.taken(process.pid, b"NO=mark", 1e12)
            shared = processes.taken(process.pid, b"NO=mark", 0)
            none = processes.taken(2**22 + 1, b"NO=mark", 0)  # Linux has no process of that number
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert (resident.processes, shared.processes) == (4, 4)
    # Four times the bytes, and once: an interpreter of its own takes less than 20 MB.
    assert 1.2e9 < resident.size < 1.28e9
    assert 3e8 < shared.size < 3.8e8
    assert none == processes.Usage(0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both_processes(signum: signal.Signals, tmp_path: Path):
    (tmp_path / "it.py").write_text(_with("print('x', file=sys.stderr); sum(range(10**14))"))
    with _started(tmp_path, "check", "it.py") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "x\n"
        (child,) = _children(process.pid)
        process.send_signal(signum)
        said = process.stderr.read()
        code = process.wait()
    killed = signum == signal.SIGKILL
    assert code == (-signum if killed else 128 + signum)
    assert said == ("" if killed else f"parity: stopped by {signum.name}\n")
    until = time.monotonic() + 5
    while _is_alive(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _is_alive(child)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    (tmp_path / "it.py").write_text(_with("os._exit(0)"))
    assert _done(tmp_path, "check", "it.py", "--json", "r.json", "--html", "r.html").code == 2
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"it.py", "temporary"}


@pytest.mark.parametrize(
    ("statement", "options", "said"),
    [
        ("os._exit(0)", [], "Received: the end of Python, with exit code 0\n"),
        (
            "while True: import time; time.sleep(1)",
            ["--timeout", "2"],
            "Received: no end within 2 s, net.py line ",
        ),
    ],
)
def test_init_writes_no_file_without_an_answer(
    statement: str, options: list[str], said: str, tmp_path: Path
):
    (tmp_path / "net.py").write_text(_with(statement).partition("def make")[0])
    code, out, err = _done(tmp_path, "init", "net.py", *options)
    assert (code, out) == (2, "")
    assert err.startswith("parity: cannot tell: expected what net.py defines to be tried. ")
    assert said in err
    assert not (tmp_path / "check_net.py").exists()


@pytest.mark.parametrize("option", ["--timeout", "--memory"])
@pytest.mark.parametrize("value", ["0", "-1", "nan"])
def test_a_limit_is_above_0(option: str, value: str, capsys: pytest.CaptureFixture[str]):
    from parity.__main__ import main

    assert main(["check", "it.py", option, value]) == 2
    line = f"parity: {option}: expected a number above 0. Received: {float(value):g}\n"
    assert capsys.readouterr().err == line


def _report(outcome: str, findings: int = 0, tested: int = 1, right: bool = True) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "findings": [{}] * findings,
        "tested": ["x"] * tested,
        "tensors": [{"right": right}],
    }


@pytest.mark.parametrize(
    "report",
    [
        _report("right", findings=1),
        _report("right", tested=0),
        _report("right", right=False),
        _report("wrong"),
        _report("cannot tell"),
        _report("fine"),
    ],
)
def test_a_report_that_contradicts_itself_is_no_answer(report: dict[str, Any]):
    with pytest.raises(CliError, match="cannot tell: expected a report that agrees with itself"):
        _exit_code(report)


@pytest.mark.parametrize(
    "told",
    [
        None, [], {}, "json", {"json": json.dumps(_report("right"))}, {"json": 1, "text": "RIGHT"},
        {"json": "[" * 10**5, "text": "RIGHT"}, {"json": "[]", "text": "RIGHT"},
        {"json": json.dumps(_report("right")), "text": None},
    ],
)  # fmt: skip
def test_what_is_no_report_is_no_answer(told: Any):
    with pytest.raises(CliError, match="cannot tell: expected an answer of the check"):
        checked(told, ("json", "text"))


class Odd(BaseException):
    def __str__(self) -> str:
        raise ValueError("no words")


def _network(attack: Callable[[], object], **changes: Any) -> parity.Candidate:
    W, b = np.random.default_rng(0).normal(size=(5, 3)), np.zeros(3)

    def forward(x: np.ndarray) -> np.ndarray:
        attack()
        return x @ W + b

    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        delta = forward(x) - y
        return [x.T @ delta, delta.sum(axis=0)]

    given = {"get_weights": lambda: [W, b], "forward": forward, "gradients": gradients}
    return parity.Candidate(**(given | changes))


def _raises(error: BaseException) -> Callable[[], object]:
    def attack() -> None:
        raise error

    return attack


@pytest.mark.parametrize(
    "error",
    [GeneratorExit(), SystemExit(0), asyncio.CancelledError(), pytest.skip.Exception(), Odd()],
    ids=lambda error: type(error).__name__,
)
def test_what_the_users_code_raises_is_its_own(error: BaseException):
    report = parity.check(_network(_raises(error)))
    assert report.outcome is parity.Outcome.UNKNOWN
    assert [finding.title for finding in report.findings] == ["forward raises an exception"]
    assert type(error).__name__ in report.findings[0].evidence


def test_ctrl_c_is_not():
    with pytest.raises(KeyboardInterrupt):
        parity.check(_network(_raises(KeyboardInterrupt())))


@pytest.mark.parametrize("where", ["get_weights", "gradients", "forward"])
@pytest.mark.parametrize("kind", [list, dict])
def test_a_container_that_contains_itself_is_refused_in_one_line(where: str, kind: type):
    endless: Any = kind()
    if isinstance(endless, dict):
        endless["W"] = endless
    else:
        endless += [endless, endless]
    report = parity.check(_network(int, **{where: lambda *_: endless}))
    assert report.outcome is not parity.Outcome.RIGHT
    (finding,) = report.findings
    assert finding.title == f"{where} returns no usable answer"
    assert "\n" not in finding.evidence


def test_what_all_of_python_shares_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path.cwd())
    limit = sys.getrecursionlimit()

    def attack() -> None:
        os.chdir(tmp_path)
        sys.path.insert(0, "odd")
        np.seterr(all="raise")
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        sys.setrecursionlimit(limit - 50)

    def state() -> list[Any]:
        drawn: Any = np.random.get_state()  # noqa: NPY002
        return [
            os.getcwd(), list(sys.path), np.geterr(), drawn[1].tolist(), random.getstate(),
            sys.getrecursionlimit(),
        ]  # fmt: skip

    before = state()
    assert parity.check(_network(attack)).passed
    assert state() == before


def test_a_low_recursion_limit_of_the_callers_is_raised_for_the_check():
    limit = sys.getrecursionlimit()
    depth = len(__import__("inspect").stack())
    sys.setrecursionlimit(depth + 40)
    try:
        assert parity.check(_network(int)).passed
        assert sys.getrecursionlimit() == depth + 40
    finally:
        sys.setrecursionlimit(limit)
