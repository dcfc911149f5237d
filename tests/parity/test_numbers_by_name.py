"""A factor that a change puts in: the number itself, a name that is it by chance, or both."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import parity
from parity import CheckReport
from parity.checking.repairing import search

pytestmark = pytest.mark.search

# Pairs of hidden units are averaged, and the hidden units' squares cost something besides.
PROGRAM = """
import numpy as np
import parity

class Net:
    def __init__(self, k=2):
        r = np.random.default_rng(0)
        self.k = k
        self.W1, self.b1 = r.normal(size=(5, 30)), r.normal(size=30)
        self.W2, self.b2 = r.normal(size=(30 // k, 4)), r.normal(size=4)

    def weights(self):
        return [self.W1, self.b1, self.W2, self.b2]

    def forward(self, x):
        self.h = np.tanh(x @ self.W1 + self.b1)
        self.p = self.h.reshape(len(x), -1, self.k).mean(axis=2)
        return self.p @ self.W2 + self.b2

    def loss(self, x, y):
        out = self.forward(x)
        return ((out - y) ** 2).sum() / 2 / len(x) + (self.h ** 2).sum() / len(x)

    def gradients(self, x, y):
        n = len(x)
        d = (self.forward(x) - y) / n
        dh = np.repeat(d @ self.W2.T, self.k, axis=1) / self.k
        dh = dh + 2 * self.h / n
        dz = dh * (1 - self.h ** 2)
        return [x.T @ dz, dz.sum(axis=0), self.p.T @ d, d.sum(axis=0)]
"""


def checked(folder: Path, old: str, new: str, k: int, batch: int) -> CheckReport:
    assert PROGRAM.count(old) == 1
    net = loaded(folder, PROGRAM.replace(old, new)).Net(k)

    def data(rng: Any) -> Any:
        return rng.normal(size=(batch, 5)), rng.normal(size=(batch, 4))

    return parity.check_gradients(net.loss, net.weights(), net.gradients, data)


def loaded(folder: Path, text: str) -> ModuleType:
    path = folder / "pooled.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("pooled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The line, what is wrong in it, the size of a pool and of a batch, what is told, and what is not.
SQUARE, POOL = "dh = dh + 2 * self.h / n", "axis=1) / self.k"
NUMBERS = {
    "2 of a square, which k is by chance": (
        SQUARE, "dh = dh + self.h / n", 2, 7, ["2", "(or with self.k, which is 2 here"], [],
    ),
    "k of a pool, which is 2 by chance": (
        POOL, "axis=1)", 2, 7, ["2", "(or with self.k, which is 2 here"], [],
    ),
    "2 of a square, and no name is": (SQUARE, "dh = dh + self.h / n", 5, 7, ["2"], ["or with"]),
    "2 of a square, which the batch is by chance": (
        SQUARE, "dh = dh + self.h / len(x)", 5, 2, ["2"], ["or with", "* n", "* len(x)"],
    ),
    "k of a pool, which is no usual number": (POOL, "axis=1)", 5, 7, ["/ self.k"], ["or with"]),
    "the size of the batch, which is 3": (
        SQUARE, "dh = dh + 2 * self.h", 5, 3, ["/ n"], ["or with", "/ 3"],
    ),
    "the size of the batch, which k is by chance": (
        SQUARE, "dh = dh + 2 * self.h", 3, 3, ["/ n"], ["or with", "/ 3", "self.k"],
    ),
    "k, which the batch is by chance": (POOL, "axis=1)", 5, 5, ["self.k"], ["or with", "/ n"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_what_a_factor_is_called(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "SECONDS", 60.0)
    old, wrong, k, batch, told, not_told = NUMBERS[name]
    [finding] = checked(tmp_path, old, wrong, k, batch).findings
    assert finding.code == "one-change", finding
    assert "all gradients agree" in finding.evidence
    new = str(finding.values["new"])
    assert all(words in new for words in told), new
    assert not any(words in new for words in not_told), new


def test_what_is_right_for_one_size_of_a_batch_alone_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """len(x) - 1 is 1 for two samples; here nothing that gives the same there is tried after it."""
    monkeypatch.setattr(search, "SECONDS", 60.0)
    monkeypatch.setattr(search.Glance, "forget", lambda *_: None)
    [finding] = checked(tmp_path, SQUARE, "dh = dh + self.h / len(x)", 5, 2).findings
    assert finding.values["new"] == '"dh = dh + self.h / (len(x) - 1)"'
    assert "all gradients agree, on batches of this size alone" in finding.evidence


@pytest.mark.parametrize(("k", "batch"), [(2, 7), (5, 2), (3, 3)])
def test_the_right_program_is_right(k: int, batch: int, tmp_path: Path):
    assert checked(tmp_path, SQUARE, SQUARE, k, batch).passed
