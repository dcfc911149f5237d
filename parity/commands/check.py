"""``python -m parity check``: load the user's Candidate, check it, show and write the report."""

import io
import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.commands import Commands, isolation, targets, theirs
from parity.commands.files import check_writable
from terminal_io import CliError, console, write_text

STDOUT = "-"

EPILOG = """\
examples:
  python -m parity check mynet.py
  python -m parity check mynet.py:make_small --reference 64-40-10 --html report.html
  python -m parity check myforward.py --reference model.keras
  python -m parity check mypackage.mynet:candidate --json - > report.json

TARGET names a parity.Candidate, or a function without arguments that returns one, in mynet.py:

  import parity
  def make():
      net = Network()
      return parity.Candidate(
          get_weights=lambda: [net.W1, net.b1, net.W2, net.b2],  # the arrays themselves
          forward=net.forward,                                    # forward(x) -> outputs
          gradients=net.backprop,              # gradients(x, y) -> arrays, as the weights lie
      )

"python -m parity init mynet.py" writes a first version of such a function. How x, y and the arrays
lie is found out; nothing has to be transposed. Importing TARGET runs it, and what it prints goes to
stderr, so that stdout has the report only. It runs in a process of its own: if that ends, or has to
be ended, before the report is whole, nothing can be told.

Exit codes: 0 right; 1 wrong; 2 cannot tell, or cannot run, with one line on stderr that says why;
130 Ctrl-C.
"""


def add_options(commands: Commands) -> None:
    """Add this command and its options."""
    p = commands.add_parser(
        "check",
        help="check a network: its forward pass, gradients and steps",
        description="Is your own network right? Every tensor of it, against Keras and calculus.",
        epilog=EPILOG,
    )
    add = p.add_argument
    add("target", metavar="TARGET", help="file.py[:attribute] or package.module[:attribute]")
    add(
        "--reference",
        metavar="NAME",
        help="what to compare with: 64-40-10, sigmoid:8-5-3, model.keras, or file.py:attribute, a "
        "Keras model or list of layers; default: found out",
    )
    add("--keras", action="store_true", help="ask Keras also where no reference is given (seconds)")
    add("--json", metavar="FILE", help="write the report as JSON; - prints it instead of the text")
    add("--html", metavar="FILE", help="write the report as one HTML page")
    add("--seed", type=int, metavar="N", help="draws the samples and weights it is tried with")
    isolation.add_limits(p)
    p.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Run the command; return its exit code."""
    if args.seed is not None and args.seed < 0:
        raise CliError(f"--seed: expected a number that is not negative. Received: {args.seed}")
    _check_files(args)
    told = isolation.asked(
        "parity.commands.check:answer",
        args,
        target=args.target,
        reference=args.reference,
        seed=args.seed,
        keras=args.keras,
        html=args.html is not None,
        terminal=sys.stdout.isatty(),
    )
    code = checked(told, ("json", "text") if args.html is None else ("json", "text", "html"))
    try:
        # Files first, since a reader of the output may close it early.
        if args.html is not None:
            write_text(Path(args.html), told["html"])
        if args.json is not None and args.json != STDOUT:
            write_text(Path(args.json), told["json"])
    finally:  # a full disk must not take the answer with it
        print(told["json" if args.json == STDOUT else "text"].rstrip("\n"))
    return code


def checked(told: dict[str, Any], forms: Sequence[str]) -> int:
    """Return the exit code of what the process handed over, once all that is needed is there.

    Raises:
        CliError: It is no report, or one that contradicts itself.
    """
    try:
        if not all(isinstance(told[form], str) for form in forms):
            raise TypeError("no text")
        return _exit_code(json.loads(told["json"]))
    # The user's code has replaced what writes it.
    except CliError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise isolation.no_answer(told) from error


def _exit_code(report: dict[str, Any]) -> int:
    """Return the exit code that the parts of a report lead to.

    Raises:
        CliError: Its outcome is another.
    """
    findings, tested = report["findings"], report["tested"]
    right = not findings and tested and all(tensor["right"] for tensor in report["tensors"])
    possible = {"right": right, "wrong": findings, "cannot tell": not right}
    outcome = report["outcome"]
    if not possible.get(outcome):
        raise CliError(
            f"cannot tell: expected a report that agrees with itself. Received: {outcome!r} with "
            f"{len(findings)} findings and {len(tested)} things tested"
        )
    return list(possible).index(outcome)


def _check_files(args: Namespace) -> None:
    """Show, before anything takes time, that the reports can be written where they shall be."""
    if args.html == STDOUT:
        raise CliError("--html: expected a file. Received: -, which only --json understands")
    files = {
        f"--{name}": value
        for name in ("json", "html")
        if (value := getattr(args, name)) is not None
    }
    files = {option: value for option, value in files.items() if value != STDOUT}
    sources = {targets.split(text)[0] for text in (args.target, args.reference or "")}
    for option, value in files.items():
        check_writable(option, Path(value))
        if any(_same(value, source) for source in sources):
            raise CliError(f"{option}: expected a file for the report. Received: {value}, read too")
        # The user's code may change the folder on the way.
        setattr(args, option.removeprefix("--"), os.path.abspath(value))
    if len(files) == 2 and _same(*files.values()):
        raise CliError(f"--json and --html: expected two files. Received: {args.html} for both")


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def answer(
    target: str, reference: str | None, seed: int | None, keras: bool, html: bool, terminal: bool
) -> dict[str, str]:
    """Check a target, in a process that it may spoil, and return the report in each form."""
    # What is computed and shown with is loaded before the user's code, which might replace it.
    from parity import reports
    from parity.checking.asking.kept import global_state
    from parity.checking.checker import check
    from parity.commands.originals import Originals

    shown = io.StringIO()
    screen = console(shown, terminal)
    options: dict[str, Any] = {} if seed is None else {"seed": seed}
    options |= {"keras": True} if keras else {}
    originals = Originals()
    try:
        known = None if reference is None else targets.reference(reference)
        candidate = targets.candidate(target)
        originals.hold()
        with global_state():
            with theirs.output_to_stderr():
                report = check(candidate, known, **options)
            reports.render(report, screen)
            told = {"json": reports.to_json(report), "text": shown.getvalue()}
            return told | ({"html": reports.to_html(report)} if html else {})
    except ValueError as error:  # what the check refuses
        raise CliError(str(error)) from error
    finally:  # an error, too, may be due to what was replaced
        originals.hold()
