"""``python -m tools.benchmark``: the NumPy engine beside what people would use instead."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import terminal_io
from digit_data.datasets import DatasetError
from terminal_io import FAILURE, USAGE_ERROR, CliError, Parser, run, writable_directory, write_text
from tools.benchmark import report
from tools.benchmark.contenders import CONTENDERS, Contender
from tools.benchmark.growth import Curve, curves
from tools.benchmark.rounds import Result, measure
from tools.benchmark.targets import TARGETS
from tools.benchmark.works import WORKS, Work, quick

PICTURES = ("benchmark.png", "growth.png")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples, 3 rounds")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default: 9)")
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--plot", type=Path, metavar="DIR", help=f"write {', '.join(PICTURES)}")
    parser.add_argument("--work", metavar="TEXT", help="only works whose name has this in it")
    parser.add_argument("--no-growth", action="store_true", help="leave out how the cost grows")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args(argv)
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more. Received: {options.rounds}")
    if options.rounds is None:
        options.rounds = 3 if options.quick else 9
    return options


def _works(options: argparse.Namespace) -> list[Work]:
    wanted = [work for work in WORKS if (options.work or "") in work.name]
    if not wanted:
        names = "; ".join(work.name for work in WORKS)
        raise CliError(
            f"--work: expected a part of one of: {names}. Received: {options.work!r}",
            USAGE_ERROR,
        )
    return [quick(work) for work in wanted] if options.quick else wanted


def _measure(
    options: argparse.Namespace, works: list[Work], contenders: list[Contender]
) -> tuple[list[Result], list[Curve]]:
    console = terminal_io.console()
    results = []
    with console.status("") as status:
        for work in works:

            def on_step(what: str, name: str = work.name) -> None:
                status.update(f"{name}: {what}")

            results.append(measure(work, contenders, options.rounds, on_step))
        growing = [] if options.no_growth else curves(3, status.update)
    return results, growing


def _run(argv: Sequence[str] | None) -> int:
    options = _arguments(argv)
    works = _works(options)
    if options.data is not None:
        os.environ["MNIST_PATH"] = str(options.data)
    # Before minutes are spent on measuring what could not be written.
    if options.plot is not None:
        writable_directory(options.plot, PICTURES, "--plot")
    if options.json is not None:
        writable_directory(options.json.parent, (options.json.name,), "--json")
    console = terminal_io.console()
    there = [contender for contender in CONTENDERS if contender.is_there]
    for absent in (contender for contender in CONTENDERS if not contender.is_there):
        console.print(f"not measured: {absent.name} ({absent.needs} is not installed)")
    try:
        results, growing = _measure(options, works, there)
    except DatasetError as error:
        raise CliError(str(error)) from error
    about = report.machine()
    console.print(
        f"{about['processor']}, {about['cores']} cores; NumPy {about['numpy']}, {about['blas']}; "
        f"{options.rounds} rounds"
    )
    for result in results:
        console.print(f"\n{result.work.name}", report.times(result))
    if growing:
        console.print(report.growth(growing))
    table, reached = report.reached(TARGETS, results)
    console.print(table)
    _write(options, results, growing)
    return FAILURE if options.check and not reached else 0


def _write(options: argparse.Namespace, results: list[Result], growing: list[Curve]) -> None:
    if options.json is not None:
        text = json.dumps(report.as_json(results, growing, TARGETS), indent=1)
        write_text(options.json, text + "\n")
    if options.plot is not None:
        report.plot_times(results, options.plot / PICTURES[0])
        if growing:
            report.plot_growth(growing, options.plot / PICTURES[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 if ``--check`` was asked for and a target is missed."""
    return run("benchmark", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
