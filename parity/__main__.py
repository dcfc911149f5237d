"""The command line: ``python -m parity check``, ``init`` and ``explain``."""

import io
import sys
import traceback
from collections.abc import Sequence

import terminal_io as terminal
from parity.commands import check, explain, init, isolation

EPILOG = """\
examples:
  python -m parity init mynet.py               write check_mynet.py, a first connection to mynet.py
  python -m parity check check_mynet.py        is that network right?
  python -m parity explain softmax-diagonal    what is this bug, and what mends it?
  python -m parity check --help                more about one of them
"""


def parser() -> terminal.Parser:
    """Return the options of all commands."""
    p = terminal.Parser(
        prog="python -m parity", description="Is your own network right?", epilog=EPILOG
    )
    commands = p.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (check, init, explain):
        command.add_options(commands)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        argv: The arguments; None takes the process's own.
    """

    def body() -> int:
        args = parser().parse_args(argv)
        try:
            return args.run(args)
        except (terminal.CliError, OSError, MemoryError, ModuleNotFoundError):
            raise
        except Exception:
            # Python's own exit code for this is 1, which would say that the network is wrong.
            traceback.print_exc()
            raise terminal.CliError(isolation.MISTAKE) from None

    if sys.stdout is None:  # started with stdout closed
        sys.stdout = io.StringIO()
    elif isinstance(sys.stdout, io.TextIOWrapper):
        # Where the encoding has no "≤" its escape is shown. isinstance leaves its buffer untyped.
        sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportUnknownMemberType]
    # 1 is "wrong"; whatever keeps the check from an answer is 2.
    return terminal.run("parity", body, failure=terminal.USAGE_ERROR)


if __name__ == "__main__":
    sys.exit(main())
