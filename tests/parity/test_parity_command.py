"""``python -m parity check``: targets, references, files, exit codes, and faults in one line."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import parity
from parity import Candidate
from parity.__main__ import main
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import EXCEPTION, UNKNOWN, VACUOUS, Bug
from parity.commands import isolation, targets
from parity.reports.report import CheckReport
from tests.parity import in_process

ROOT = Path(__file__).parents[2]
SUMMARY = "Equal to a reference up to rounding: forward pass. Not tested: a loss."
MODULE = """
import parity

def candidate(name):
    return parity.Candidate(
        get_weights=list, forward=lambda x: x, gradients=lambda x, y: [], name=name
    )

def make():
    print("printed by make")
    return candidate("made")

other = candidate("other")
"""
NETWORK = """
import numpy as np
import parity

class Net:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.W, self.b = rng.normal(size=(5, 3)), rng.normal(size=3)

    def forward(self, x):
        return 1 / (1 + np.exp(-(x @ self.W + self.b)))

    def gradients(self, x, y):
        a = self.forward(x)
        delta = (a - y) * a * (1 - a)
        return [x.T @ delta, WRONG * delta.sum(axis=0)]

def make():
    net = Net()
    return parity.Candidate(
        get_weights=lambda: [net.W, net.b], forward=net.forward, gradients=net.gradients
    )
"""


Given = Candidate | Callable[[], Candidate]


class Checked:
    """Stands for ``parity.check``: notes what it was asked, and answers what it is told to."""

    def __init__(self) -> None:
        self.bug: Bug | None = None
        self.raises: BaseException | None = None
        self.asked: list[tuple[str, Any, dict[str, Any]]] = []

    def check(self, given: Given, reference: Any = None, **options: Any) -> CheckReport:
        candidate = given if isinstance(given, Candidate) else given()
        self.asked.append((candidate.name, reference, options))
        if self.raises is not None:
            raise self.raises
        findings = [] if self.bug is None else [Finding(self.bug, "x", {"callable": "f"})]
        return CheckReport(
            candidate.name,
            "a reference",
            findings=findings,
            tested=["forward pass"],
            untested=["a loss"],
        )


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    """Work in a folder with mynet.py, with a check that takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("mynet.py").write_text(MODULE)
    fake, module = Checked(), ModuleType("parity.checking.checker")
    vars(module)["check"] = fake.check
    monkeypatch.setitem(sys.modules, "parity.checking.checker", module)
    monkeypatch.setattr(isolation, "asked", in_process.asked)
    before = set(sys.modules)
    yield fake
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def _started(*arguments: str, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def _run(code: str, cwd: Path) -> tuple[str, str, int]:
    """Run Python in a fresh interpreter; return its output, errors and exit code."""
    with _started("-c", code, cwd=cwd) as process:
        out, err = process.communicate()
    return out, err, process.returncode


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mynet.py", "made"),
        ("mynet.py:make", "made"),
        ("mynet.py:other", "other"),
        ("mynet", "made"),
        ("mynet:other", "other"),
        ("{}/mynet.py:other", "other"),
    ],
)
def test_what_a_target_names_is_checked(target: str, name: str, checked: Checked, tmp_path: Path):
    assert main(["check", target.format(tmp_path)]) == 0
    assert checked.asked == [(name, None, {})]


@pytest.mark.parametrize(("bug", "code"), [(None, 0), (UNKNOWN, 1), (VACUOUS, 2), (EXCEPTION, 2)])
def test_the_exit_code_is_the_outcome(bug: Bug | None, code: int, checked: Checked):
    checked.bug = bug
    assert main(["check", "mynet.py"]) == code


def test_only_the_report_is_on_stdout(checked: Checked, capsys: pytest.CaptureFixture[str]):
    assert main(["check", "mynet.py", "--json", "-", "--seed", "7"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["summary"] == SUMMARY
    assert said.err == "printed by make\n"
    assert checked.asked[0][2] == {"seed": 7}


def test_reports_are_written_whole_and_nothing_else(
    checked: Checked, capsys: pytest.CaptureFixture[str]
):
    Path("old.json").write_text("old")
    os.symlink("old.json", "link.json")
    assert main(["check", "mynet.py", "--json", "link.json", "--html", "r.html"]) == 0
    assert SUMMARY in capsys.readouterr().out
    assert json.loads(Path("old.json").read_text())["outcome"] == "right"
    assert Path("r.html").read_text().lower().startswith("<!doctype html")
    there = {"mynet.py", "old.json", "link.json", "r.html"}
    assert set(os.listdir()) - {"__pycache__"} == there


def test_a_module_that_turns_everything_round(checked: Checked, capsys: pytest.CaptureFixture[str]):
    text = (
        "import io, os, sys\nassert sys.argv == ['odd.py']\nos.mkdir('new')\nos.chdir('new')\n"
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\n"
    )
    Path("odd.py").write_text(text + MODULE)
    here = Path.cwd()
    assert main(["check", "odd.py", "--json", "r.json"]) == 0
    assert (here / "r.json").exists()
    assert SUMMARY in capsys.readouterr().out
    print("still open", file=sys.stderr)


def test_a_device_is_written_to_and_not_replaced(checked: Checked):
    assert main(["check", "mynet.py", "--json", os.devnull]) == 0
    assert not Path(os.devnull).is_file()


def test_the_only_candidate_is_taken(checked: Checked):
    Path("one.py").write_text("from mynet import other as it\nfrom mynet import candidate\n")
    assert main(["check", "one.py"]) == 0
    Path("two.py").write_text(
        "import mynet\nfrom mynet import make as make_theirs\n"
        "def make_mine(): return mynet.other\ndef make_sized(n): return mynet.other\n"
    )
    assert main(["check", "two.py"]) == 0
    assert [name for name, *_ in checked.asked] == ["other", "other"]


def test_functions_called_as_the_fields_are_a_candidate(checked: Checked):
    Path("plain.py").write_text(
        "name = 'not ours'\nweights = [1.0]\noptimizer = 'SGD(momentum=0.9)'\n"
        "def get_weights(): return weights\ndef forward(x): return x\n"
        "def gradients(x, y): return weights\n"
    )
    given = targets.candidate("plain.py")
    assert isinstance(given, Candidate)
    assert given.get_weights is not None
    assert given.get_weights() == [1.0]
    assert (given.optimizer, given.name) == ("SGD(momentum=0.9)", "your network")
    assert main(["check", "plain.py"]) == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("64-40-10", "64-40-10"),
        ("sigmoid:4-3-2", "sigmoid:4-3-2"),
        ("refs.py:layers", ["a layer"]),
        ("refs.py:build", ["a layer"]),
        ("refs:layers", ["a layer"]),
    ],
)
def test_references(text: str, line: Any, checked: Checked):
    Path("refs.py").write_text("layers = ['a layer']\ndef build(): return layers\n")
    assert main(["check", "mynet.py", "--reference", text]) == 0
    assert checked.asked == [("made", line, {})]


# Everything that a user can get wrong: the file, the options, and the line that is expected.
FAULTS = [
    ("", "nothing.py", "expected a Python file. Received: No such file or directory: nothing.py"),
    ("", "nothing", "expected a file.py, or a module on Python's path. Received: 'nothing'"),
    ("", "my-net", "a module on Python's path. Received: 'my-net'; did you mean my-net.py?"),
    ("", "notes.ipynb", "notes.ipynb, a notebook; this writes it as Python: jupyter nbconvert"),
    ("", "it.txt:make", "a Python file, whose name ends in .py. Received: it.txt"),
    ("", "it.py:", "expected an attribute after the colon. Received: 'it.py:'"),
    ("", "..", "expected a file.py, or a module on Python's path. Received: '..'"),
    ("x = (\n", "it.py", "expected valid Python. Received: it.py line 1: '(' was never closed"),
    ("\0", "it.py", "expected valid Python. Received: it.py: source code string cannot contain"),
    ("import os\n", "it.py", "in it.py, or a function make() that returns one. Received: a module "
     "with nothing in it; \"python -m parity init it.py\" writes a first one"),
    ("from mynet import other as a, candidate\nb = candidate('b')\n", "it.py",
     "expected one Candidate in it.py. Received: 2; say it.py:a, it.py:b"),
    ("from mynet import other\nclass Net: pass\n", "it.py:Nat",
     "expected Nat in it.py. Received: a module with other, Net"),
    ("W = 3\n", "it.py:W", "expected W in it.py to be a Candidate, or a function that returns one. "
     "Received: an int"),
    ("class Net: pass\n", "it.py:Net", "Received: Net() returned a Net"),
    ("def make(): pass\n", "it.py", "Received: make() returned NoneType"),
    ("def make(n, k=1): pass\n", "it.py", "to need no arguments. Received: make(n)"),
    ("x = 1\nx / 0\n", "it.py", "expected it.py to run when it is imported. Received: an error in "
     "your own code, it.py line 2: ZeroDivisionError: division by zero"),
    ("import broken\n", "it.py", "in your own code, broken.py line 2: SyntaxError: "),
    ("import no_such_module\n", "it.py", "No module named 'no_such_module'"),
    ("import sys\nsys.exit(3)\n", "it.py", "sys.exit(3) in it.py line 2, in your own code; what"),
    ("def make():\n    return [][1]\n", "it.py", "expected make() in it.py to return. Received: an "
     "error in your own code, it.py line 2: IndexError: list index out of range"),
    ("import parity\ndef make():\n    return parity.Candidate(get_weights=list)\n",
     "it.py", "it.py line 3: Candidate: expected a callable forward."),
    ("def get_weights(): pass\ndef gradients(x, y): pass\n", "it.py",
     "parity: Candidate: expected a callable forward. Received: None"),
    ("def get_weights(): pass\n", "it.py", "expected a Candidate in it.py, or a function make()"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "target", "line"), FAULTS)
def test_a_fault_in_the_target_is_one_line(
    text: str, target: str, line: str, checked: Checked, capsys: pytest.CaptureFixture[str]
):
    Path("it.txt").touch()
    Path("my-net.py").touch()
    Path("broken.py").write_text("\nx = = 1\n")
    Path("it.py").write_text(text)
    assert main(["check", target]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    first, *rest = said.err.splitlines()
    assert first.startswith(
        ("parity: expected ", "parity: it.py line 3: Candidate: expected ", "parity: Candidate: ")
    )
    assert line in first
    # Below the line stands nothing but the user's own traceback.
    assert ("in your own code" in first and "sys.exit" not in first) == bool(rest)
    if rest:
        assert rest[0] == "your code, most recent call last:"
        assert not any(str(ROOT) in shown or "importlib" in shown for shown in rest)
    assert checked.asked == []


OPTIONS = [
    (["--reference", "64-40"], "--reference: expected one of 64-40-10, 784-30-10"),
    (["--reference", "mynet.py"], "--reference: expected file.py:attribute. Received: mynet.py"),
    (["--reference", "mynet.py:candidate"], "expected candidate in mynet.py to need no arguments"),
    (["--reference", "mynet.py:MODULE"], "expected MODULE in mynet.py. Received: a module with "),
    (["--reference", "mynet.py:other"], "mynet.py:other to be a Keras model, a list of layers, or"),
    (["--json", "no/such/file"], "--json: expected a file to write. Received: no/such/file: No"),
    (["--html", "."], "--html: expected a file to write. Received: .: a folder"),
    (["--html", "-"], "--html: expected a file. Received: -, which only --json understands"),
    (["--json", "a\0b"], "--json: expected a file to write. Received: a\\x00b: embedded null"),
    (["--json", ""], "--json: expected a file to write."),
    (["--json", "mynet.py"], "--json: expected a file for the report. Received: mynet.py, read"),
    (["--json", "r", "--html", "./r"], "--json and --html: expected two files. Received: /"),
    (["--seed", "-1"], "--seed: expected a number that is not negative. Received: -1"),
    (["--seed", "x"], "argument --seed: invalid int value: 'x' (see --help)"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "line"), OPTIONS)
def test_a_wrong_option_is_one_line_before_anything_is_checked(
    options: list[str], line: str, checked: Checked, capsys: pytest.CaptureFixture[str]
):
    assert main(["check", "mynet.py", *options]) == 2
    err = capsys.readouterr().err.removeprefix("printed by make\n")
    assert err.startswith(f"parity: {line}" if line.startswith("-") else "parity: ")
    assert line in err
    assert err.count("\n") == 1
    assert checked.asked == []
    assert set(os.listdir()) - {"__pycache__"} == {"mynet.py"}
    assert Path("mynet.py").read_text() == MODULE


def test_no_command_is_one_line(capsys: pytest.CaptureFixture[str]):
    for arguments in ([], ["frobnicate"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_what_the_check_refuses_is_one_line(checked: Checked, capsys: pytest.CaptureFixture[str]):
    checked.raises = ValueError("expected this. Received: that")
    assert main(["check", "mynet.py"]) == 2
    assert capsys.readouterr().err.endswith("\nparity: expected this. Received: that\n")


def test_a_mistake_of_ours_is_not_called_wrong(
    checked: Checked, capsys: pytest.CaptureFixture[str]
):
    checked.raises = KeyError("ours")
    assert main(["check", "mynet.py"]) == 2
    err = capsys.readouterr().err
    assert "KeyError: 'ours'\nparity: the traceback above is a mistake in parity" in err


def test_a_full_disk_does_not_take_the_answer_with_it(
    checked: Checked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("parity.commands.check.write_text", full)
    assert main(["check", "mynet.py", "--json", "r.json"]) == 2
    said = capsys.readouterr()
    assert SUMMARY in said.out
    assert said.err.endswith(f"parity: No space left on device: {Path('r.json').resolve()}\n")


def test_ctrl_c_while_the_users_module_runs(tmp_path: Path):
    (tmp_path / "slow.py").write_text("print('here', flush=True)\nimport time\ntime.sleep(60)\n")
    # As from a terminal; a shell starts what is in the background with SIGINT ignored.
    with _started(
        "-m", "parity", "check", "slow.py", "--json", "r.json", cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == "here\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "parity: stopped by SIGINT\n"
        assert process.wait() == 130
    assert set(os.listdir(tmp_path)) == {"slow.py"}


def test_a_reader_that_closes_the_pipe_is_no_wrong_network(tmp_path: Path):
    (tmp_path / "mynet.py").write_text(MODULE)
    with _started("-m", "parity", "check", "mynet.py", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "printed by make\n"
        assert process.wait() == 141


def test_help_is_quick_and_has_an_example(tmp_path: Path):
    code = (
        "import sys\nfrom parity.__main__ import main\n"
        "assert main(['check', '--help']) == main(['--help']) == main(['init', '--help']) == 0\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'rich', 'numpy_impl', 'keras_impl'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    out, err, status = _run(code, tmp_path)
    assert (err, status) == ("", 0)
    assert "python -m parity check mynet.py:make_small --reference 64-40-10" in out


def test_a_right_network(tmp_path: Path):
    """The only test here that runs the real check in processes of its own."""
    (tmp_path / "right.py").write_text(NETWORK.replace("WRONG", "1"))
    code = (
        "from parity.__main__ import main\n"
        "assert main(['check', 'right.py', '--seed', '3', '--html', 'r.html']) == 0\n"
    )
    out, err, status = _run(code, tmp_path)
    assert (err, status) == ("", 0)
    assert "RIGHT" in out
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_a_wrong_network_beside_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """In this process, which has Keras already: to load it takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(isolation, "asked", in_process.asked)
    Path("its_bias_is_wrong.py").write_text(NETWORK.replace("WRONG", "1.001"))
    assert main(["check", "its_bias_is_wrong.py", "--reference", "sigmoid:5-3", "--json", "-"]) == 1
    said = capfd.readouterr()
    assert json.loads(said.out)["outcome"] == "wrong"
    assert said.err == ""


STATEFUL = """
import numpy as np, parity
def make():
    r = np.random.RandomState(0)
    W = [r.randn(6, 5) * 0.4, np.full(5, 0.1), r.randn(5, 3) * 0.4, np.zeros(3)]
    m, v, t = [0 * w for w in W], [0 * w for w in W], [0]
    def forward(x):
        forward.h = np.tanh(x @ W[0] + W[1])
        return forward.h @ W[2] + W[3]
    def step(x, y, rate):
        d = 2 * (forward(x) - y) / y.size
        dh = d @ W[2].T * (1 - forward.h**2)
        t[0] += 1
        gradients = [x.T @ dh, dh.sum(0), forward.h.T @ d, d.sum(0)]
        for k, (w, g) in enumerate(zip(W, gradients)):
            m[k] = 0.9 * m[k] + 0.1 * g  # corrected in place: the next step corrects it again
            v[k] = 0.999 * v[k] + 0.001 * g * g
            m[k] /= 1 - 0.9 ** t[0]
            v[k] /= 1 - 0.999 ** t[0]
            w -= rate * m[k] / (np.sqrt(v[k]) + 1e-7)
    return parity.Candidate(get_weights=lambda: W, forward=forward, step=step)
"""


def test_the_command_and_the_function_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    Path("stateful_net.py").write_text(STATEFUL)
    code = main(["check", "stateful_net.py", "--json", "-"])
    said = json.loads(capsys.readouterr().out)
    report = parity.check(importlib.import_module("stateful_net").make)
    sys.modules.pop("stateful_net")
    assert code == report.outcome.exit_code
    assert said["summary"] == report.summary
