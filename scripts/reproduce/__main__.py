"""``python -m scripts.reproduce``: the five documents, run again, with their authors' numbers."""

import textwrap
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import rich.table
from rich import box

import terminal_io as cli
from digit_data.datasets import DatasetError

from .. import starting
from . import first_steps
from .documents import DOCUMENTS, reproduction
from .results import RESULTS_JSON, Context, Results, Table, save, targets_table

EPILOG = """\
documents:
{documents}

examples:
  python -m scripts.reproduce d0
  python -m scripts.reproduce all --seeds 3 --out runs/reproduce
"""


def _options(argv: Sequence[str] | None) -> Namespace:
    described = "\n".join(map(_described, DOCUMENTS))
    parser = starting.parser("reproduce", __doc__, EPILOG.format(documents=described))
    names = [*DOCUMENTS, "all"]
    parser.add_argument("documents", nargs="+", choices=names, metavar="DOCUMENT", help="or all")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0..N-1 (3)")
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="show that all runs; no real numbers")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        raise cli.CliError(f"expected --seeds of at least 1. Received: {options.seeds}")
    if "all" in options.documents:
        options.documents = list(DOCUMENTS)
    return options


def _described(name: str) -> str:
    """Return what the help says of a document, in lines of at most 80 letters."""
    document = DOCUMENTS[name]
    lines = textwrap.wrap(
        f"{name}  {document}", 78, subsequent_indent="    ", break_on_hyphens=False
    )
    return textwrap.indent("\n".join(lines), "  ")


def _shown(table: Table) -> rich.table.Table:
    shown = rich.table.Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for i, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if i else "left")
    for row in table.rows:
        shown.add_row(*map(cli.printable, row))
    return shown


def _reproduce(name: str, options: Namespace) -> Results:
    """Run one document, save what it measured, and show it."""
    console = cli.console()
    out = cli.writable_directory(options.out / name, (RESULTS_JSON, first_steps.FILE))
    console.print(f"{name.upper()}: {DOCUMENTS[name].what}")
    started = time.monotonic()
    with console.status("") as status:
        context = Context(
            options.seeds, out, options.data, options.quick, status.update, console.print
        )
        results: Results = reproduction(name).reproduce(context)
        if not options.quick:
            status.update("first steps")
            first_steps.write(name, out)
    save(results, context, time.monotonic() - started)
    for table in results.tables.values():
        console.print(_shown(table))
    if results.targets and not options.quick:
        console.print(_shown(targets_table(results.targets)))
    console.print(f"{time.monotonic() - started:.0f} s; saved in {cli.printable(out)}\n")
    return results


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    try:
        done = [_reproduce(name, options) for name in dict.fromkeys(options.documents)]
    except DatasetError as error:
        raise cli.CliError(str(error)) from error
    reached = all(target.reached for results in done for target in results.targets)
    return cli.FAILURE if options.check and not reached else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 if ``--check`` was asked for and a target is missed."""
    return cli.run("reproduce", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
