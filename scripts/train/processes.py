"""Several processes that train one network together, each on its part of every batch.

``python -m scripts.train NAME --processes N`` starts N of them here (:func:`supervise`), each by
the same command with ``--coordinator`` and ``--process-id``; on several machines one types these.
All have the network and take the same steps. Process 0 shows the training and saves it.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from terminal_io import FAILURE, CliError, one_line

from ..starting import PACKAGE
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from keras_impl.data_parallel import Group

LOST = "another process of the training has gone"
# Seconds that a process gets to say why it ends, once another one is gone.
GRACE = 10.0
# Not asked whether all have the same: where the data lie, and what process 0 alone looks at.
OWN = ("data", "checkpoint_every")


@dataclass(frozen=True)
class Member:
    """One of the processes.

    Attributes:
        processes: How many there are.
        process: Which this is, from 0.
        coordinator: HOST:PORT, where process 0 listens.
        is_supervised: Whether it ends when its standard input does.
    """

    processes: int
    process: int
    coordinator: str
    is_supervised: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this module to the command's."""
    add = parser.add_argument_group("several processes, with Keras on JAX").add_argument
    add("--processes", type=int, metavar="N", help="how many divide every batch among them")
    add("--coordinator", metavar="HOST:PORT", help="where process 0 listens; on several machines")
    add("--process-id", type=int, metavar="I", help="which this is, 0 to N - 1; likewise")
    add("--supervised", action="store_true", help=argparse.SUPPRESS)


def member(args: argparse.Namespace) -> Member | None:
    """Return which process the options make of this one; None if they ask for one alone.

    A process that shall start the others is number -1.

    Raises:
        CliError: Options that do not go together, or no JAX.
    """
    if args.processes is None:
        for name in ("coordinator", "process_id"):
            if getattr(args, name) is not None:
                raise CliError(f"--{name.replace('_', '-')}: expected --processes with it")
        return None
    if args.processes < 2:
        raise CliError(f"--processes: expected 2 or more. Received: {args.processes}")
    if args.engine != "keras":
        raise CliError(f"--processes: expected --engine keras. Received: {args.engine}")
    backend = os.environ.get("KERAS_BACKEND") or "jax"
    if backend != "jax":
        raise CliError(f"--processes: expected KERAS_BACKEND=jax. Received: {backend}")
    if find_spec("jax") is None:
        raise CliError('--processes: expected JAX, which pip install "digits-parity[jax]" brings')
    if (args.coordinator is None) != (args.process_id is None):
        raise CliError("--coordinator: expected it and --process-id, or neither")
    if args.coordinator is None:
        return Member(args.processes, -1, "")
    if not re.fullmatch(r".+:\d{1,5}", args.coordinator):
        raise CliError(f"--coordinator: expected HOST:PORT. Received: {args.coordinator}")
    if not 0 <= args.process_id < args.processes:
        raise CliError(
            f"--process-id: expected 0 to {args.processes - 1}. Received: {args.process_id}"
        )
    return Member(args.processes, args.process_id, args.coordinator, args.supervised)


def fingerprint(options: Mapping[str, Any], data: int, checkpoint: Checkpoint | None) -> int:
    """Return a number of what has to be the same in all processes."""
    shared = {name: value for name, value in options.items() if name not in OWN}
    position = checkpoint.position if checkpoint is not None else None
    value = zlib.crc32(json.dumps([shared, data, position], sort_keys=True).encode())
    for weights in checkpoint.now.weights if checkpoint is not None else ():
        value = zlib.crc32(np.ascontiguousarray(weights).data.cast("B"), value)
    return value


@contextmanager
def joined(one: Member, fingerprint: int) -> Generator["Group", None, None]:
    """Join the other processes, and go on only if all have the same ``fingerprint``.

    Raises:
        CliError: They do not come, have another, or one of them goes.
    """
    if one.is_supervised:
        threading.Thread(target=_end_with_input, daemon=True).start()
    from keras_impl import data_parallel  # late: it is loaded for this engine alone

    with ExitStack() as stack:
        try:
            group = stack.enter_context(
                data_parallel.joined(one.coordinator, one.processes, one.process)
            )
            is_same = group.is_same(fingerprint)
        except Exception as error:  # JAX has a class of its own, which is a RuntimeError
            raise CliError(
                f"--coordinator: expected process 0 at {one.coordinator}, and {one.processes} "
                f"in all. Received: {one_line(str(error))}",
                FAILURE,
            ) from error
        if not is_same:
            raise CliError(
                "expected the same options, samples and checkpoint in every process. "
                f"Received: others in another than process {one.process}"
            )
        yield group


def check(processes: int, batches: Sequence[np.ndarray]) -> None:
    """Check that the processes divide every batch of an epoch evenly.

    Raises:
        CliError: One they do not.
    """
    for number, batch in enumerate(batches, 1):
        if len(batch) % processes:
            raise CliError(
                f"--processes: expected one that divides every batch. Received: {processes}, and "
                f"batch {number} of {len(batches)} has {len(batch)} samples; see --batch-size"
            )


@contextmanager
def others_watched(kept: Any) -> Generator[None, None, None]:
    """Turn what the loss of another process raises into one line.

    Args:
        kept: Called to say what is saved.
    """
    try:
        yield
    except Exception as error:
        from keras_impl import data_parallel

        if isinstance(error, CliError) or not data_parallel.is_lost(error):
            raise
        reason = one_line(str(error))[:200]
        raise CliError(f"{LOST}; {kept()}. Received: {reason}", FAILURE) from error


def end(code: int) -> int:
    """End this process if it has joined others and failed; else return its code.

    JAX would wait at the end for processes that no longer come, and abort.
    """
    jax = sys.modules.get("jax")
    if code and jax is not None and jax.distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    return code


def supervise(argv: Sequence[str], processes: int) -> int:
    """Run the command in several processes on this machine, and end all when one fails.

    Signals go to process 0, which saves and ends; the others end with it.

    Args:
        argv: The command's arguments.
        processes: How many.

    Returns:
        The exit code of process 0, or 1 if one died.
    """
    place = f"127.0.0.1:{_free_port()}"
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
    with ExitStack() as stack:
        said: list[IO[str]] = []
        children: list[subprocess.Popen[Any]] = []
        stack.callback(_end, children)
        stack.enter_context(_signals_to(children))
        for number in range(processes):
            said.append(stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")))
            quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": said[-1]}
            options = ["--coordinator", place, "--process-id", str(number), "--supervised"]
            command = [sys.executable, "-m", f"{PACKAGE}.train", *argv, *options]
            children.append(
                # In a session of its own, so that Ctrl-C reaches it by the handler here alone.
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, env={**os.environ, **own},
                    start_new_session=True, **(quiet if number else {}),
                )
            )  # fmt: skip
        _wait(children)
        code = children[0].poll()
        for number, (child, text) in enumerate(zip(children, said, strict=True)):
            reason = _died(child, text) if number or code is None or code < 0 else None
            if reason is not None:
                print(
                    f"train: process {number} of {processes} {reason}", file=sys.stderr, flush=True
                )
                break
        if code == 0:
            for child in children[1:]:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(GRACE)
    return FAILURE if code is None or code < 0 else code


def _wait(children: Sequence["subprocess.Popen[Any]"]) -> None:
    """Wait for process 0, or for the others to have been gone for a while."""
    since: float | None = None
    while children[0].poll() is None:
        if since is None and any(child.poll() for child in children):
            since = time.monotonic()
        if since is not None and time.monotonic() - since > GRACE:
            return
        time.sleep(0.05)


def _died(child: "subprocess.Popen[Any]", said: IO[str]) -> str | None:
    """Return how a process ended by itself, or None if it has not, or because of another one."""
    code = child.poll()
    if not code:
        return None
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    said.seek(0)
    lines = said.read().strip().splitlines()
    if any(LOST in line for line in lines):
        return None
    return f"ended with {code}" + (f": {lines[-1]}" if lines else "")


def _end(children: Sequence["subprocess.Popen[Any]"]) -> None:
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait()


@contextmanager
def _signals_to(children: Sequence["subprocess.Popen[Any]"]) -> Generator[None, None, None]:
    """Within the block, hand SIGINT, SIGTERM and SIGHUP on to process 0."""

    def hand_on(signum: int, frame: FrameType | None) -> None:
        if children:
            children[0].send_signal(signum)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        hung_up = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
        for signum in (signal.SIGINT, signal.SIGTERM, *hung_up):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                before[signum] = signal.signal(signum, hand_on)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _end_with_input() -> None:
    """End with the process that started this one: then its end of the pipe is closed."""
    with suppress(OSError):
        while os.read(0, 1):  # not through sys.stdin, which Python could not close at its end
            pass
    os._exit(FAILURE)
