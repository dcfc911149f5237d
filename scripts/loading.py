"""What has to happen before a command's imports, which take a third of a second or more."""

import signal
import sys


def end_on_interrupt() -> None:
    """Let Ctrl-C end a command of ``scripts`` silently while it loads, without a traceback.

    ``parity.terminal.run`` takes over afterwards. Does nothing where another program imports
    ``scripts``, or where SIGINT is ignored, as in background jobs.
    """
    arguments = sys.orig_argv
    started = arguments[arguments.index("-m") + 1] if "-m" in arguments[:-1] else ""
    handler = signal.getsignal(signal.SIGINT)
    if started.startswith("scripts.") and handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
