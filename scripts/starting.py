"""How commands are started: ``python -m scripts.train`` here, ``digits-train`` where installed.

Installed, this folder is the package ``digits_parity``, as ``scripts`` is what others call theirs.
"""

import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terminal_io import Parser

PACKAGE = __name__.partition(".")[0]
REPOSITORY = "scripts"
# The commands that have a name of their own where the project is installed.
CONSOLE_SCRIPTS = {
    "train": "digits-train",
    "draw": "digits-draw",
    "export": "digits-export",
    "whatami": "whatami",
}
NAMED = re.compile(rf"python -m {REPOSITORY}\.(\w+)")


def end_on_interrupt() -> None:
    """Let Ctrl-C end a command silently while it loads, without a traceback.

    It is called before a command's imports, which take a third of a second or more;
    ``terminal_io.run`` takes over afterwards. Does nothing where another program imports this
    package, or where SIGINT is ignored, as in background jobs.
    """
    handler = signal.getsignal(signal.SIGINT)
    if _is_started(sys.orig_argv) and handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_started(arguments: list[str]) -> bool:
    """Tell whether a process was started as one of the commands, by its module or its name."""
    if "-m" in arguments[:-1]:
        return arguments[arguments.index("-m") + 1].startswith(f"{PACKAGE}.")
    file = next((a for a in arguments[1:] if not a.startswith("-")), "")
    name = os.path.basename(file).removesuffix(".exe")
    return PACKAGE != REPOSITORY and name in CONSOLE_SCRIPTS.values()


def as_started(text: str) -> str:
    """Return a text in which every ``python -m scripts.NAME`` is what its reader has to type."""
    if PACKAGE == REPOSITORY:
        return text
    return NAMED.sub(lambda m: CONSOLE_SCRIPTS.get(m[1], f"python -m {PACKAGE}.{m[1]}"), text)


def parser(command: str, description: str | None, epilog: str = "", **options: Any) -> "Parser":
    """Return the parser of a command, whose help names the commands as they are started here.

    Args:
        command: Its name in this package, such as "train".
        description: What it does.
        epilog: What stands below the options.
        options: As ``argparse.ArgumentParser`` takes them.
    """
    from terminal_io import Parser  # late: a command must be able to end while it is imported

    program = as_started(f"python -m {REPOSITORY}.{command}")
    texts = {"description": as_started(description or ""), "epilog": as_started(epilog)}
    return Parser(prog=program, **texts, **options)
