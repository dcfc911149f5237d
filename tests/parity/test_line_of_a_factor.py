"""Where some gradients have a factor too much, the line is told in which it belongs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import Outcome
from tests.imported import imported

pytestmark = pytest.mark.search
SCORES = """
import numpy as np

class Attention:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.q, self.k, self.v = (rng.normal(size=(4, 3)) for _ in range(3))

    def forward(self, x):
        self.x, self.Q, self.K, self.V = x, x @ self.q, x @ self.k, x @ self.v
        s = self.Q @ self.K.T / np.sqrt(3)
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.A = e / e.sum(axis=1, keepdims=True)
        return self.A @ self.V

    def loss(self, x, y):
        return 0.5 * np.sum((self.forward(x) - y) ** 2)

    def gradients(self, x, y):
        d = self.forward(x) - y
        dV = self.A.T @ d
        dA = d @ self.V.T
        dS = self.A * (dA - np.sum(dA * self.A, axis=1, keepdims=True))
        dQ, dK = dS @ self.K, dS.T @ self.Q
        return [x.T @ dQ, x.T @ dK, x.T @ dV]
"""
DROPOUT = """
import numpy as np

class Net:
    def __init__(self):
        self.rng = np.random.default_rng(1)
        self.w, self.v = self.rng.normal(size=(4, 6)), self.rng.normal(size=(6, 2))
        self.keep, self.mask = 0.7, None

    def forward(self, x):
        self.z = x @ self.w
        if self.mask is None or self.mask.shape != self.z.shape:
            self.mask = self.rng.random(self.z.shape) < self.keep
        self.h = np.tanh(self.z) * self.mask / self.keep
        return self.h @ self.v

    def loss(self, x, y):
        return np.mean((self.forward(x) - y) ** 2)

    def gradients(self, x, y):
        d = 2 * (self.forward(x) - y) / y.size
        dh = d @ self.v.T
        dz = dh * self.mask
        return [x.T @ (dz * (1 - np.tanh(self.z) ** 2)), self.h.T @ d]
"""


def reported(text: str, name: str, made: str, folder: Path) -> parity.CheckReport:
    (folder / f"{name}.py").write_text(text)
    net = vars(imported(folder / f"{name}.py"))[made]()
    held = [value for value in vars(net).values() if isinstance(value, np.ndarray)]
    outputs = held[-1].shape[1]

    def data(rng: np.random.Generator) -> tuple[Any, Any]:
        return rng.normal(size=(7, 4)), rng.normal(size=(7, outputs))

    return parity.check(
        parity.Candidate(
            get_weights=lambda: held, gradients=net.gradients, loss=net.loss, data=data
        )
    )


def test_a_factor_that_is_no_name_is_told_with_its_lines(tmp_path: Path):
    report = reported(SCORES, "scores", "Attention", tmp_path)
    assert report.outcome is Outcome.WRONG
    first = report.findings[0]
    assert (first.code, first.values["factor"]) == ("factor", "1.732051"), str(report)
    line = 1 + SCORES.splitlines().index(
        "        dS = self.A * (dA - np.sum(dA * self.A, axis=1, keepdims=True))"
    )
    assert f"times 0.5773503 in line {line - 1} or {line}" in first.evidence, str(report)
    right = SCORES.replace(
        "dQ, dK = dS @ self.K, dS.T", "dS = dS / 3**0.5; dQ, dK = dS @ self.K, dS.T"
    )
    assert reported(right, "right_scores", "Attention", tmp_path).outcome is Outcome.RIGHT


def test_a_mask_that_is_kept_for_a_shape_of_batch_hides_no_line(tmp_path: Path):
    """Batches of another size are asked for in between, and with them the mask is drawn anew."""
    report = reported(DROPOUT, "dropout", "Net", tmp_path)
    assert report.outcome is Outcome.WRONG
    assert "/ self.keep" in report.findings[0].evidence, str(report)
    right = DROPOUT.replace("dz = dh * self.mask", "dz = dh * self.mask / self.keep")
    assert reported(right, "right_dropout", "Net", tmp_path).outcome is Outcome.RIGHT
