"""What every command line here shares: one-line errors, exit codes, files, consoles.

``parity``, ``scripts`` and ``tools`` use it. Importing it loads the standard library only.
"""

from terminal_io.command import FAILURE, USAGE_ERROR, CliError, Interrupted, Parser, Signals, run
from terminal_io.files import atomic, sync_folder, writable_directory, write_text
from terminal_io.text import console, one_line, os_reason, printable, rendered

__all__ = [
    "FAILURE",
    "USAGE_ERROR",
    "CliError",
    "Interrupted",
    "Parser",
    "Signals",
    "atomic",
    "console",
    "one_line",
    "os_reason",
    "printable",
    "rendered",
    "run",
    "sync_folder",
    "writable_directory",
    "write_text",
]
