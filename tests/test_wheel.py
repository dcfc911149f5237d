"""The project as others get it: built, installed into an empty environment, beside clashing names.

The wheel is built from a copy, since a build folder that is there already would be packed too, and
installed without its dependencies: those are the ones that these tests run with.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "docs" / "images" / "photo.jpg"
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "docs", "runs", "shared"
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process here")

INSTALLED = {"digit_data", "digits_parity", "keras_impl", "numpy_impl", "parity", "terminal_io"}

# A project whose names are those of the folders here, and of the packages that it does not know.
CLASHING = {
    "parity.py": "OWN = True\n\n\ndef is_even(n):\n    return n % 2 == 0\n",
    "digits.py": "OWN = True\n",
    "scripts/__init__.py": "OWN = True\n",
    "scripts/whatami.py": "print('their own')\n",
    "tools/__init__.py": "OWN = True\n",
    "tests/test_own.py": (
        "import digits, parity, scripts, tools\n\n\n"
        "def test_these_are_the_project_s_own():\n"
        "    assert parity.OWN and digits.OWN and scripts.OWN and tools.OWN\n"
        "    assert parity.is_even(2)\n"
    ),
    "tests/test_with_the_fixture.py": (
        "def test_a_network(parity_check):\n    parity_check(None)\n"
    ),
}
NETWORK = """\
import numpy as np
import parity

W, b = np.random.default_rng(0).normal(size=(5, 3)), np.zeros(3)
factor = 1.0


def forward(x):
    return np.tanh(x @ W + b)


def gradients(x, y):
    delta = (forward(x) - y) * (1 - forward(x) ** 2)
    return [x.T @ delta, factor * delta.sum(axis=0)]


right = parity.Candidate(get_weights=lambda: [W, b], forward=forward, gradients=gradients)


def wrong():
    global factor
    factor = 1.001
    return right
"""
WITH_THE_FIXTURE = """\
import check_net


def test_right(parity_check):
    assert parity_check(check_net.right, keras=False).passed


def test_wrong(parity_check):
    parity_check(check_net.wrong(), keras=False)
"""


class Environment:
    """An environment with the wheel and, from another folder, what it depends on.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.binaries = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.python = self.binaries / "python"

    def run(
        self, *command: str | Path, cwd: Path, content: bytes | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run one of its programs, without what this process has set for its own imports."""
        program, *arguments = map(str, command)
        done = subprocess.run(
            [str(self.binaries / program), *arguments], cwd=cwd, input=content,
            capture_output=True, timeout=120, env=self.variables(),
        )  # fmt: skip
        out, error = (io.TextIOWrapper(io.BytesIO(s)).read() for s in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, error)

    @staticmethod
    def variables() -> dict[str, str]:
        """Return the variables for its processes."""
        ours = ("PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "COLUMNS")
        return {name: v for name, v in os.environ.items() if name not in ours} | {"COLUMNS": "100"}


def _python(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "project", ignore=LEFT_OUT)
    _python(
        "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", folder, folder / "project",
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    _python("-m", "venv", "--without-pip", folder)
    installed = Environment(folder)
    _python(
        "-m", "pip", "--python", installed.python, "install", "--quiet", "--no-deps", "--no-index",
        "--disable-pip-version-check", wheel,
    )  # fmt: skip
    # Afterwards, as pip would take the project for installed. The .pth files of a folder that is
    # named in one have no effect, so that nothing comes from where this project is edited.
    found = subprocess.run(
        [installed.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(found) / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    return installed


@pytest.fixture
def clashing(tmp_path: Path) -> Path:
    folder = tmp_path / "clashing"
    for name, text in CLASHING.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "check_net.py").write_text(NETWORK)
    return folder


# ---- What is in it ----


def test_the_wheel_holds_our_packages_and_their_data_under_names_that_nobody_else_has(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == INSTALLED
    for file in (
        "digits_parity/weights/mnist-robust.npz", "digits_parity/draw/page/index.html",
        "digits_parity/draw/page/page.js", "digits_parity/whatami/__main__.py",
    ):  # fmt: skip
        assert file in names


def test_every_module_of_the_repository_is_in_it(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    folders = {name: "scripts" if name == "digits_parity" else name for name in INSTALLED}
    expected = {
        (Path(name) / path.relative_to(ROOT / folder)).as_posix()
        for name, folder in folders.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert names == expected


def test_the_commands_import_each_other_relatively():
    """Installed, nothing of the names ``scripts`` and ``tools`` is ours."""
    absolute = re.compile(r"^\s*(?:from|import) (?:scripts|tools)\b.*", re.MULTILINE)
    for path in (ROOT / "scripts").rglob("*.py"):
        assert absolute.findall(path.read_text(encoding="utf-8")) == [], path


# ---- The commands, in a folder whose names are those of ours ----


@pytest.mark.parametrize(
    ("command", "called"),
    [
        (["whatami"], "whatami"),
        (["digits-train"], "digits-train"),
        (["digits-draw"], "digits-draw"),
        (["digits-export"], "digits-export"),
        (["parity"], "python -m parity"),
        (["python", "-m", "digits_parity.train"], "digits-train"),
        (["python", "-m", "digits_parity.browse"], "python -m digits_parity.browse"),
        (["python", "-m", "digits_parity.demo"], "python -m digits_parity.demo"),
        (["python", "-m", "digits_parity.reproduce"], "python -m digits_parity.reproduce"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_command_starts_and_says_how_it_is_called(
    environment: Environment, clashing: Path, command: list[str], called: str
):
    done = environment.run(*command, "--help", cwd=clashing)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith(f"usage: {called} ")
    assert "scripts." not in done.stdout


def test_the_shipped_weights_read_a_picture(environment: Environment, clashing: Path):
    done = environment.run("whatami", PHOTO, cwd=clashing)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines()[-1] == "I am a 7."


def test_a_program_reads_a_picture_beside_a_digits_of_its_own(
    environment: Environment, clashing: Path
):
    program = (
        "import sys, digits, digits_parity; assert digits.OWN; "
        f"print(digits_parity.read({str(PHOTO)!r}), 'keras' in sys.modules)"
    )
    done = environment.run("python", "-c", program, cwd=clashing)
    assert (done.stdout, done.stderr) == ("I am a 7. False\n", "")


def test_many_pictures_are_read_in_processes_of_their_own(
    environment: Environment, clashing: Path, tmp_path: Path
):
    """Those are started by the module's name, which is another one here."""
    program = (
        "import sys\nfrom digits_parity.whatami import __main__, looking\n\n"
        "if __name__ == '__main__':\n    looking.WORTH_PROCESSES = 0\n"
        "    looking._processors = lambda: 2\n    looking.TRIAL = 1\n"
        "    sys.exit(__main__.main(sys.argv[1:]))\n"
    )
    (tmp_path / "ask.py").write_text(program)
    pictures = [shutil.copy(PHOTO, tmp_path / f"{n}.jpg") for n in range(3)]
    done = environment.run("python", tmp_path / "ask.py", *pictures, "--csv", cwd=clashing)
    assert (done.stderr, done.returncode) == ("", 0)
    assert [row.split(",")[1] for row in done.stdout.splitlines()[1:]] == ["7", "7", "7"]


def test_wrong_options_give_one_line(environment: Environment, clashing: Path):
    done = environment.run("digits-train", "64-40-10", "--epochs", "-1", cwd=clashing)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == "train: --epochs: expected 0 or more. Received: -1\n"


@contextmanager
def started(
    environment: Environment, *command: str, cwd: Path, **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start one of the environment's programs, which a SIGINT can end."""
    # A child inherits an ignored SIGINT from a shell that runs the tests in the background.
    start = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    program, *arguments = command
    process = subprocess.Popen(
        [sys.executable, "-c", start, environment.binaries / program, *arguments], cwd=cwd,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment.variables() | variables,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@posix
def test_the_page_is_served(environment: Environment, clashing: Path):
    with started(environment, "digits-draw", "--port=0", "--no-browser", cwd=clashing) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        assert b"<title>" in urlopen(address[0], timeout=30).read()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert (error, process.returncode) == ("draw: stopped by SIGINT\n", 130)


@posix
@pytest.mark.parametrize(
    "command",
    [["whatami"], ["digits-train"], ["digits-draw"], ["python", "-m", "digits_parity.whatami"]],
    ids=" ".join,
)
def test_a_command_that_is_interrupted_while_it_loads_shows_no_traceback(
    environment: Environment, clashing: Path, tmp_path: Path, command: list[str]
):
    # In place of NumPy, which every command imports: it says so, and takes long.
    slow = 'import time\nprint("loading", flush=True)\ntime.sleep(60)\n'
    (tmp_path / "numpy.py").write_text(slow)
    path = str(tmp_path)
    with started(environment, *command, cwd=clashing, PYTHONPATH=path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
        assert (error, process.returncode) == ("", -signal.SIGINT)


@pytest.mark.parametrize(
    ("target", "outcome", "code"), [("right", "RIGHT", 0), ("wrong", "WRONG", 1), ("no", "", 2)]
)
def test_parity_check_and_its_exit_codes(
    environment: Environment, clashing: Path, target: str, outcome: str, code: int
):
    """``import parity`` in the file means ours: the command has imported it already."""
    (clashing / "check_net.py").write_text(NETWORK)
    done = environment.run("parity", "check", f"check_net.py:{target}", cwd=clashing)
    assert done.returncode == code, done.stderr
    assert outcome in done.stdout
    assert done.stderr.count("\n") == (code == 2)


# ---- pytest, and what a project that has a parity.py of its own cannot do ----


def test_a_project_with_a_parity_of_its_own_runs_its_tests(
    environment: Environment, clashing: Path
):
    done = environment.run("python", "-m", "pytest", "-q", "tests/test_own.py", cwd=clashing)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_with_a_parity_of_its_own_it_is_told_why_the_fixture_fails(
    environment: Environment, clashing: Path
):
    test = "tests/test_with_the_fixture.py"
    done = environment.run("python", "-m", "pytest", "-q", test, cwd=clashing)
    assert done.returncode == 1
    assert "expected the package parity of digits-parity" in done.stdout
    assert str(clashing / "parity.py") in done.stdout


def test_in_the_folder_of_another_parity_python_finds_that_one(
    environment: Environment, clashing: Path
):
    """Nothing can be done about it but to say so: use the command ``parity``, or another folder."""
    done = environment.run("python", "-c", "import parity; print(parity.OWN)", cwd=clashing)
    assert done.stdout == "True\n"
    done = environment.run("python", "-m", "parity", "--help", cwd=clashing)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_project_has_the_fixture_without_asking_for_it(environment: Environment, project: Path):
    (project / "test_net.py").write_text(WITH_THE_FIXTURE)
    done = environment.run("python", "-m", "pytest", "-q", cwd=project)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "your network: WRONG." in done.stdout
