"""Try the tests with other versions of what this stands on: ``python -m tools.compatibility``.

Each environment is made anew by uv (``make lint`` installs it) under runs/compatibility, from the
ranges of pyproject.toml and a few pins, and runs the tests that touch Keras. ``--out`` keeps what
came of it for docs/compatibility.md, beside the environments there that were not tried this time;
without it the table is printed. Python is fetched by uv where the machine does not have it.
"""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from terminal_io import FAILURE, CliError, Parser, run, write_text

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "compatibility" / "measured.json"

# What is run: both engines and all that compares them. The rest does not change with Keras.
SUITE = (
    *("tests/numpy_impl", "tests/layers", "tests/keras_impl"),
    *("tests/parity/test_compare.py", "tests/parity/test_trajectory.py"),
    *("tests/parity/test_weights_and_twins.py", "tests/parity/test_check_layer.py"),
    *("tests/parity/test_derivative.py", "tests/parity/test_one_change.py"),
    *("tests/parity/test_parity_command.py", "tests/scripts/test_scripts_train.py"),
)
SHOWN = ("keras", "tensorflow", "numpy")


@dataclass(frozen=True)
class Environment:
    """Versions to try.

    Attributes:
        python: Of which version Python is.
        pins: Requirements beside those of pyproject.toml.
        resolution: Of what the requirements leave open the newest, or the oldest of all that
            pyproject.toml names.
    """

    python: str
    pins: tuple[str, ...] = ()
    resolution: Literal["highest", "lowest-direct"] = "highest"


# Of each Keras the last release.
ENVIRONMENTS = {
    "oldest": Environment("3.11", (), "lowest-direct"),
    "keras-3.14": Environment("3.11", ("keras==3.14.*",)),
    "newest": Environment("3.11"),
    "newest-python-3.12": Environment("3.12"),
    "newest-python-3.13": Environment("3.13"),
}


def tried(name: str, threads: int) -> dict[str, Any]:
    """Make an environment, run the tests in it, and say what came of them.

    Args:
        name: Of ``ENVIRONMENTS``.
        threads: How many tests run at a time.

    Returns:
        By key: ``name``, ``versions``, ``passed``, ``skipped``, and ``failed``, a list of tests.

    Raises:
        CliError: The environment cannot be made, or no test ran.
    """
    wanted = ENVIRONMENTS[name]
    folder = ROOT / "runs" / "compatibility" / name
    shutil.rmtree(folder, ignore_errors=True)
    python, results = folder / "bin" / "python", folder / "results.xml"
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise CliError("expected uv beside Python: make lint installs it. Received: none")
    _do(name, [uv, "venv", "--quiet", "--python", wanted.python, folder])
    chosen = ["--resolution", wanted.resolution, "--editable", f"{ROOT}[test]", *wanted.pins]
    _do(name, [uv, "pip", "install", "--quiet", "--python", python, *chosen])
    # What other projects warn about one another in old releases says nothing about this one.
    options = [
        "-q",
        "-n",
        str(threads),
        "-p",
        "no:cacheprovider",
        "-W",
        "default",
    ]
    subprocess.run(
        [python, "-m", "pytest", *options, f"--junitxml={results}", *SUITE],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    if not results.exists():
        raise CliError(f"{name}: no test ran", FAILURE)
    code = "import json, platform, sys; from importlib.metadata import version; print(json.dumps("
    code += "{'python': platform.python_version(), **{n: version(n) for n in sys.argv[1:]}}))"
    versions = subprocess.check_output([python, "-c", code, *SHOWN], text=True)
    return {"name": name, "versions": json.loads(versions), **counted(results)}


def _do(name: str, command: Sequence[Any]) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise CliError(f"{name}: the environment cannot be made: {said}", FAILURE)


def counted(results: Path) -> dict[str, Any]:
    """Return how many tests of a report of pytest's passed and were skipped, and which failed."""
    passed, skipped, failed = 0, 0, list[str]()
    for case in ElementTree.parse(results).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return {"passed": passed, "skipped": skipped, "failed": failed}


def kept(path: Path = MEASURED) -> list[dict[str, Any]]:
    """Return what was measured before, in the order of ``ENVIRONMENTS``."""
    found = json.loads(path.read_text("utf-8")) if path.exists() else []
    return [one for name in ENVIRONMENTS for one in found if one["name"] == name]


def table(found: Sequence[dict[str, Any]] | None = None) -> None:
    """Print a row for each environment, and below them what failed."""
    found = kept() if found is None else found
    print("\n| environment | Python | Keras | TensorFlow | NumPy | passed | skipped | failed |")
    print("| --- |" + " --- |" * 4 + " ---: |" * 3)
    for one in found:
        versions = " | ".join(one["versions"][name] for name in ("python", *SHOWN))
        counts = f"{one['passed']:,} | {one['skipped']} | {len(one['failed'])}"
        print(f"| {one['name']} | {versions} | {counts} |")
    for one in found:
        for test in one["failed"]:
            print(f"\n{one['name']} fails `{test}`.")
    print()


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.compatibility", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", default=",".join(ENVIRONMENTS), help="(all)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the measurements, as JSON")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="tests at a time (2)")
    options = parser.parse_args(argv)
    options.only = options.only.split(",")
    unknown = [name for name in options.only if name not in ENVIRONMENTS]
    if unknown:
        expected = ", ".join(ENVIRONMENTS)
        raise CliError(f"--only: expected some of {expected}. Received: {', '.join(unknown)}")
    return options


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    found = [tried(name, options.threads) for name in options.only]
    if options.out is None:
        table(found)
    else:
        others = [one for one in kept(options.out) if one["name"] not in options.only]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(others + found, ensure_ascii=False, indent=1)
        write_text(options.out, text + "\n")
    return FAILURE if any(one["failed"] for one in found) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if every test passed in every environment."""
    return run("compatibility", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
