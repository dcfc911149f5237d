"""Execute the notebooks and save them with their outputs: ``python -m tools.notebooks``."""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from terminal_io import FAILURE, CliError, Parser, one_line, os_reason, printable, run, write_text

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
SECONDS_A_CELL = 120
# An absolute path of Linux, macOS or Windows, at the beginning of a word or after a quote.
PATH = re.compile(r"""(?:^|(?<=[\s'"(=<]))(?:/[\w.-]+/|[A-Za-z]:\\)[^\s'")>]*""", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

EPILOG = """\
Each runs from top to bottom in an empty folder, and replaces its file if nothing went wrong. The
cells that need MNIST (MNIST_PATH) say without it that they were skipped.
Exit codes: 0 all saved, 1 a cell failed, wrote to standard error or printed an absolute path,
2 wrong options.
"""


class CellError(Exception):
    """A cell raised, took too long, or printed what should not be saved."""


def read(path: Path) -> "NotebookNode":
    """Read a notebook.

    Raises:
        CliError: No notebook there.
    """
    import nbformat  # late, here and below: needed for development only

    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise CliError(f"expected a notebook. Received: {os_reason(error)}") from error
    except ValueError as error:
        raise CliError(f"{path}: expected a notebook. Received: {error}") from error


def execute(notebook: "NotebookNode", folder: Path) -> None:
    """Run every cell in a new kernel of this Python; the notebook gets the outputs.

    Args:
        notebook: What to run.
        folder: Where the kernel works.

    Raises:
        CellError: A cell raised or took too long; the message shows which, and how.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from traitlets.config import Config

    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        # Else the kernel complains.
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    try:
        client.execute()
    except (CellControlSignal, DeadKernelError) as error:
        raise CellError(COLOUR.sub("", str(error)).strip()) from error


def printed(cell: "NotebookNode") -> Iterator[str]:
    """Yield each text that a cell printed or returned."""
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            yield output.text
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield content


def complaints(notebook: "NotebookNode") -> list[str]:
    """Return what must not be in a notebook's outputs: standard error, paths of this machine."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        errors = [o.text for o in cell.get("outputs", ()) if o.get("name") == "stderr"]
        found += [f"cell {number} wrote to standard error: {one_line(e)}" for e in errors]
        paths = [path for text in printed(cell) for path in PATH.findall(text)]
        found += [f"cell {number} printed an absolute path: {path}" for path in paths]
    return found


def clean(notebook: "NotebookNode") -> None:
    """Remove what differs from run to run and from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)


def _joined(outputs: "list[NotebookNode]") -> "list[NotebookNode]":
    """Put together what one stream wrote in pieces, whose lengths are chance."""
    result: list[NotebookNode] = []
    for output in outputs:
        name = output.get("name")
        if name is not None and result and result[-1].get("name") == name:
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def renew(path: Path) -> None:
    """Execute a notebook and save it with its outputs.

    Raises:
        CellError: Something went wrong in a cell; the file is as before.
    """
    import nbformat

    notebook = read(path)
    with TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    clean(notebook)
    wrong = complaints(notebook)
    if wrong:
        raise CellError("; ".join(wrong))
    write_text(path, nbformat.writes(notebook) + "\n")


def _run(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m tools.notebooks", description=__doc__, epilog=EPILOG)
    default = sorted(NOTEBOOKS.glob("*.ipynb"))
    what = "a notebook; default: all in docs/notebooks"
    parser.add_argument("paths", nargs="*", type=Path, default=default, metavar="FILE", help=what)
    for path in parser.parse_args(argv).paths:
        started = time.monotonic()
        try:
            renew(path)
        except CellError as error:
            raise CliError(
                f"{path}: expected every cell to run. Received:", FAILURE, str(error)
            ) from error
        print(f"{printable(path.name)}: {time.monotonic() - started:.1f} s", flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("notebooks", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
