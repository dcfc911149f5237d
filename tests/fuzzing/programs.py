"""Strangers' programs, and what the process in which they run hands over."""

import contextlib
import io
import json
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

import parity
from parity import drafting, reports
from parity.commands import check, isolation, sources
from terminal_io import CliError
from tests.fuzzing import mutations
from tests.fuzzing.reader import Reader

ROOT = Path(__file__).parents[2]


def _programs(folder: Path) -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "tests/cases/init").glob("*.py"))]


def _survey(path: Path) -> None:
    drafting.survey(sources.parsed(path))


def _drafted(path: Path) -> None:
    """Do all that ``parity init`` does but for writing the file."""
    limits = Namespace(timeout=60.0, memory=2.0)
    arguments = {"module": str(path), "out": str(path.with_name("check_net.py")), "force": False}
    with _silent():
        told = isolation.asked("parity.commands.init:answer", limits, **arguments)
    # What is written is a program, whatever was found.
    compile(told["page"], "check_net.py", "exec")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep from the screen what a program prints, and see that it ends in no mistake of ours."""
    kept, said = os.dup(1), io.StringIO()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        with contextlib.redirect_stderr(said):
            yield
    except CliError as error:
        if str(error) == isolation.MISTAKE:
            raise RuntimeError(said.getvalue()[-90:]) from error
        raise
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _answers(folder: Path) -> Sequence[bytes]:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 3)), rng.normal(size=3)]

    def forward(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(x @ weights[0] + weights[1])))

    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        a = forward(x)
        delta = (a - y) * a * (1 - a)
        return [x.T @ delta, delta.sum(axis=0)]

    told: list[bytes] = []
    for factor in (1, 3):  # a right network and a wrong one
        report = parity.check(
            parity.Candidate(
                get_weights=lambda: weights,
                forward=forward,
                gradients=lambda x, y, by=factor: [by * g for g in gradients(x, y)],
            )
        )
        told.append(
            json.dumps({"returned": {"json": reports.to_json(report), "text": "x"}}).encode()
        )
    return told


def _changed_answer(data: bytes, rng: Generator) -> bytes:
    """Change the answer, or the report that is text in it."""
    if rng.integers(4) == 0:
        return mutations.changed(data, rng)
    told = json.loads(data)
    if rng.integers(2):
        return mutations.in_json(data, rng)
    told["returned"]["json"] = mutations.in_json(told["returned"]["json"].encode(), rng).decode()
    return json.dumps(told).encode()


def _answered(path: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        told = isolation._answer(path.parent, "the end of Python", "")
    check.checked(told, ("json", "text"))


_PROGRAM = (mutations.in_words, mutations.in_the_syntax)

READERS = [
    Reader("program of init", _programs, _PROGRAM, _survey, CliError, "net.py"),
    Reader(
        "program of init, run", _programs, _PROGRAM, _drafted, CliError, "net.py",
        share=200, longest=60.0,
    ),
    Reader("answer of a check", _answers, (_changed_answer,), _answered, CliError, "answer"),
]  # fmt: skip
