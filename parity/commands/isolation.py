"""The user's code in a process of its own, whose end, however it comes, cannot pass for an answer.

:func:`asked` starts a Python that runs one function of a command, and waits. That process hands
over what the function returns in a file of its own, whole or not at all, and only such an answer
counts: an exit code does not, nor does anything that is printed. A time and a memory limit end it
from outside, with all that it has started.
"""

import contextlib
import ctypes
import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

from parity.checking.asking import current
from parity.checking.asking.own_code import foreign
from parity.commands import processes, theirs
from terminal_io import USAGE_ERROR, CliError, Signals, one_line, os_reason

_SECONDS = 600.0
_GIGABYTES = 8.0
_POLL = 0.05
# At most a tenth of one processor looks at the processes, of which a machine may have thousands.
_SHARE = 10
# So long Python and what we import may take to start, on however busy a machine.
_START = 60.0
# So long the process may take to say where it is, before it is ended.
_PATIENCE = 3.0
_DIE_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG
# Files in the folder that both processes know.
_QUESTION, _CURRENT, _TRACE = "question", "current", "trace"
_PARTIAL, _ANSWER = "answer.partial", "answer"
# In the environment of the process, and of all that it starts: the folder.
_MARK = "PARITY_ASKED_IN"
# So often it is looked for what it has started, as that may be starting more.
_ROUNDS = 20
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in ', re.MULTILINE)
_LOST = {
    "message": "cannot tell: expected a module that leaves alone what Python itself needs. "
    "Received: one after which its functions fail",
    "code": USAGE_ERROR, "detail": "", "mistake": "",
}  # fmt: skip
MISTAKE = "the traceback above is a mistake in parity and says nothing about your network"


def add_limits(p: ArgumentParser) -> None:
    """Add the options that :func:`asked` takes."""
    p.add_argument(
        "--timeout",
        type=float,
        default=_SECONDS,
        metavar="SECONDS",
        help=f"end what takes longer, from where your code begins; default: {_SECONDS:g}",
    )
    p.add_argument(
        "--memory",
        type=float,
        default=_GIGABYTES,
        metavar="GB",
        help="end what takes more memory, with all that it has started, where the system tells "
        f"(Linux); default: {_GIGABYTES:g}",
    )


def asked(function: str, args: Namespace, **arguments: Any) -> dict[str, Any]:
    """Return what a function returns in a process of its own.

    Args:
        function: "module:name" of a function that returns a dictionary.
        args: The command's options, with those of :func:`add_limits`.
        arguments: Of the function; like what it returns, JSON can say it.

    Raises:
        CliError: The function raised it, or no answer came: the reason in a line.
        Interrupted: SIGINT, SIGTERM or SIGHUP arrived.
    """
    for option, value in (("--timeout", args.timeout), ("--memory", args.memory)):
        if not value > 0:
            raise CliError(f"{option}: expected a number above 0. Received: {value:g}")
    with tempfile.TemporaryDirectory(prefix="parity-") as name, Signals():
        folder = Path(name)
        (folder / _QUESTION).write_text(json.dumps([function, arguments]))
        current.prepare(folder / _CURRENT)
        (folder / _PARTIAL).touch()  # by us, since the user's code may set another umask
        environment = os.environ | {_MARK: name}
        mark = os.fsencode(f"{_MARK}={name}")
        process = subprocess.Popen(_command(folder), start_new_session=True, env=environment)
        try:
            reason, hint = _ended(process, args, folder, mark)
        finally:
            _kill(process, mark)
        return _answer(folder, reason, hint)


def _command(folder: Path) -> list[str]:
    """Return a Python with the same modules to import."""
    code = (
        f"import sys; sys.path[:] = {sys.path!a}; "
        f"sys.dont_write_bytecode = {sys.dont_write_bytecode}; "
        f"from {__name__} import answer; answer({str(folder)!a})"
    )
    return [sys.executable, "-c", code]


def _ended(
    process: "subprocess.Popen[bytes]", args: Namespace, folder: Path, mark: bytes
) -> tuple[str, str]:
    """Wait, and say how the process ended, or what it is to be ended for and what helps."""
    started = time.monotonic()
    began: float | None = None
    while process.poll() is None:
        now = time.monotonic()
        # The limit is the user's code's own: a busy machine takes seconds to start Python.
        if began is None and (current.begun(folder / _CURRENT) or now - started > _START):
            began = now
        if began is not None and now - began > args.timeout:
            _ask_where(process, folder)
            return f"no end within {args.timeout:g} s", "; --timeout sets another limit"
        looked = time.thread_time()
        taken = processes.taken(process.pid, mark, args.memory * 1e9)
        if taken.size > args.memory * 1e9:
            _ask_where(process, folder)
            by = f" by {taken.processes} processes" if taken.processes > 1 else ""
            return f"over {args.memory:g} GB of memory taken{by}", "; --memory sets another limit"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(_POLL, _SHARE * (time.thread_time() - looked)))
    code: int = process.returncode
    if code >= 0:
        return f"the end of Python, with exit code {code}", ""
    with contextlib.suppress(ValueError):
        return f"the end of Python by {signal.Signals(-code).name}", ""
    return f"the end of Python by signal {-code}", ""


def _ask_where(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Have the process write down where it is, which it does in the midst of any loop."""
    if hasattr(faulthandler, "register"):
        process.send_signal(signal.SIGUSR2)
        until = time.monotonic() + _PATIENCE
        while not _place(folder) and process.poll() is None and time.monotonic() < until:
            time.sleep(_POLL / 5)


def _kill(process: "subprocess.Popen[bytes]", mark: bytes) -> None:
    """End the process and all that it has started, also what has left its group (os.setsid)."""
    # What it has started is known by it as long as it is there.
    started = list(processes.family(process.pid, mark))
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()
    for _ in range(_ROUNDS):
        for pid in started:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        started = list(processes.family(process.pid, mark))
        if not started:
            break


def _answer(folder: Path, reason: str, hint: str) -> dict[str, Any]:
    """Return the answer if there is one, else raise the reason."""
    try:
        told: Any = json.loads((folder / _ANSWER).read_bytes())
    except ValueError as error:
        raise no_answer("no JSON") from error
    except FileNotFoundError:
        expected = current.read(folder / _CURRENT) or "the check to end"
        raise CliError(
            f"cannot tell: expected {expected}. Received: {reason}{_place(folder)}{hint}"
        ) from None
    try:
        if "returned" in told:
            return told["returned"]
        mistake, said = told["mistake"], CliError(told["message"], told["code"], told["detail"])
    except (TypeError, KeyError) as error:  # the user's code has replaced what writes it
        raise no_answer(told) from error
    print(mistake, end="", file=sys.stderr)
    raise said


def no_answer(told: object) -> CliError:
    """Return what to say of an answer that is none."""
    received = one_line(told)[:60]
    return CliError(f"cannot tell: expected an answer of the check. Received: {received}")


def _place(folder: Path) -> str:
    """Return where in the user's code the process was, if it could say so."""
    trace = folder / _TRACE
    text = trace.read_text(errors="replace") if trace.exists() else ""
    frames = [frame for frame in _FRAME.findall(text) if not foreign(frame[0])]
    return f", {theirs.place(*frames[0])}" if frames else ""


def answer(name: str) -> None:
    """In the process that :func:`asked` has started: run the function, hand over, and end."""
    # The user's code may replace, close or lower any of what is needed in the end.
    leave, whose, pid, streams = os._exit, os.getpid, os.getpid(), (sys.stdout, sys.stderr)
    opened, write, replace, dumps = os.open, os.write, os.replace, json.dumps
    folder = Path(name)
    partial, whole = str(folder / _PARTIAL), str(folder / _ANSWER)
    lost, how = json.dumps(_LOST).encode(), os.O_WRONLY
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    current.share(folder / _CURRENT)
    trace = (folder / _TRACE).open("w")
    faulthandler.enable(trace, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR2, trace, all_threads=False)
    sys.argv = ["parity"]
    try:
        try:
            told = _told(*json.loads((folder / _QUESTION).read_text()))
            text = dumps(told, allow_nan=False).encode()
        except BaseException:  # not even that an error is one of theirs could be found out
            text = lost
        if whose() == pid:  # else it was forked by the user's code, and is no answer
            write(opened(partial, how), text)
            replace(partial, whole)
        for stream in streams:
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        # Neither threads nor what is registered with atexit can keep it.
        leave(0)


def _told(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what a function returned, or what is to be said of what it raised."""
    mistake = ""
    try:
        module, _, name = function.partition(":")
        return {"returned": getattr(import_module(module), name)(**arguments)}
    except CliError as error:
        said = error
    except BaseException as error:
        if theirs.is_theirs(error):  # a handler of a signal, or a method of an array of theirs
            said = theirs.told("the check to end", error)
        elif isinstance(error, MemoryError):
            said = CliError(f"not enough memory: {error}")
        elif isinstance(error, OSError):
            said = CliError(os_reason(error))
        else:
            mistake, said = traceback.format_exc(), CliError(MISTAKE)
    return {"message": str(said), "code": said.code, "detail": said.detail, "mistake": mistake}
