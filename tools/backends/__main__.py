"""Compare both engines on each of Keras's backends, and measure how these differ.

Every backend that is installed has a process of its own. ``--out`` keeps the measurements for
docs/backends.md, whose tables cog prints; without it they are printed here. For the 300 training
steps MNIST is needed (MNIST_PATH).
"""

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scripts.engines import BACKENDS
from terminal_io import FAILURE, CliError, Parser, run, write_text
from tools.backends import page


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.backends", description=__doc__)
    parser.add_argument(
        "--backends", default=",".join(BACKENDS), metavar="NAMES", help="(all that are installed)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the measurements, as JSON")
    options = parser.parse_args(argv)
    options.backends = options.backends.split(",")
    unknown = [name for name in options.backends if name not in BACKENDS]
    if unknown:
        raise CliError(
            f"--backends: expected some of {','.join(BACKENDS)}. Received: {', '.join(unknown)}"
        )
    return options


def _measured(backend: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        # Threads that wait for one another take longer than these small products.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = os.environ | threads | {"KERAS_BACKEND": backend}
        command = [sys.executable, "-m", "tools.backends.measuring", str(file)]
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode:
            raise CliError(f"{backend}: the measurements ended with {done.returncode}", FAILURE)
        return json.loads(file.read_text("utf-8"))


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    installed = [name for name in options.backends if find_spec(name) is not None]
    for name in options.backends:
        if name not in installed:
            print(f"{name} is not installed, and is left out", file=sys.stderr)
    if not installed:
        raise CliError("expected a backend that is installed. Received: none")
    found = [_measured(name) for name in installed]
    if options.out is not None:
        write_text(options.out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    else:
        page.everything(found)
    return 0 if not page.failures(found) else FAILURE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if all is the same up to rounding on every backend."""
    return run("backends", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
