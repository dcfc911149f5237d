"""Strangers' programs, and what the process in which they run hands over."""

import contextlib
import io
import json
import os
from collections.abc import Sequence
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
    """Do all that ``parity init`` does in the process that runs the user's program."""
    os.chdir(path.parent)
    arguments = {"module": str(path), "out": str(path.with_name("check_net.py")), "force": False}
    with contextlib.redirect_stdout(io.StringIO()):
        told = isolation._told("parity.commands.init:answer", arguments)
    if told.get("mistake"):
        raise RuntimeError(told["mistake"])
    if "returned" not in told:
        raise CliError(told["message"])
    # What is written is a program, whatever was found.
    compile(told["returned"]["page"], "check_net.py", "exec")


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
