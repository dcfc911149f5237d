"""Keeping a program's run from leaving a trace: no file, no network, no process, no picture."""

import contextlib
import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

# Audit events of what is refused, by how their names begin.
_REFUSED = (
    "os.", "shutil.", "socket.", "subprocess.", "urllib.", "http.", "ftplib.", "smtplib.",
    "webbrowser.", "sqlite3.", "pty.", "fcntl.", "syslog.", "winreg.", "_winapi.",
)  # fmt: skip
_ALLOWED = ("os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv",
            "os.chdir", "os.add_dll_directory")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PICTURES = ("matplotlib", "matplotlib.pyplot", "seaborn")
# Hooks cannot be taken off again, so that one stays, and refuses while this is not empty.
_active: list[bool] = []
_installed: list[bool] = []


@contextlib.contextmanager
def held_back(folder: Path) -> Generator[None]:
    """Refuse what would outlast the run, by PermissionError, and put the process back afterwards.

    Args:
        folder: The user's; modules that are imported from it are forgotten.
    """
    if not _installed:
        sys.addaudithook(_refuse)
        _installed.append(True)
    pictures = {name: mock.MagicMock() for name in PICTURES}
    pictures["matplotlib"].pyplot = pictures["matplotlib.pyplot"]
    modules, path = dict(sys.modules), list(sys.path)
    here, environment = os.getcwd(), dict(os.environ)
    sys.modules.update(pictures)
    sys.path.insert(0, str(folder))
    try:
        with (
            mock.patch.object(os, "_exit", _ended),
            mock.patch.object(os, "abort", _ended),
            mock.patch.object(threading.Thread, "start", _no_thread),
        ):
            _active.append(True)
            try:
                yield
            finally:
                _active.clear()
    finally:
        sys.path[:] = path
        _forget(modules, folder)
        os.chdir(here)
        os.environ.clear()
        os.environ.update(environment)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        name, _, flags = args
        refused = isinstance(flags, int) and bool(flags & _WRITING) and name != os.devnull
    else:
        refused = event.startswith(_REFUSED) and event not in _ALLOWED
    if refused:
        raise PermissionError(f"{event}: not while it is rehearsed")


def _ended(*_: Any) -> NoReturn:
    raise SystemExit


def _no_thread(*_: Any) -> NoReturn:
    raise PermissionError("a thread: not while it is rehearsed")


def _forget(before: dict[str, Any], folder: Path) -> None:
    """Put back what stood in the table of modules, and drop the user's own.

    Libraries stay, since many of them cannot be imported twice.
    """
    for name, module in list(sys.modules.items()):
        if module is before.get(name):
            continue
        file = getattr(module, "__file__", None)
        own = isinstance(file, str) and folder in Path(file).resolve().parents
        if name in before:
            sys.modules[name] = before[name]
        elif own or name in PICTURES:
            del sys.modules[name]
