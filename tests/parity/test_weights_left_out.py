"""Sample weights that stand in the loss and not in the gradients, in several styles of code."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import CheckReport, Outcome
from tests.parity.tagger import Tagger

Array = Any
BY_CLASS = np.array([1.0, 4.0, 0.5])


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Classifier:
    """5-6-3 in rows, cross-entropy by class weights; what the weights divide is to be chosen."""

    def __init__(self, left_out: bool, divided: bool) -> None:
        rng = np.random.default_rng(0)
        self.left_out, self.divided = left_out, divided
        self.w1, self.b1 = rng.normal(size=(5, 6)), rng.normal(size=6)
        self.w2, self.b2 = rng.normal(size=(6, 3)), rng.normal(size=3)

    def forward(self, x: Array) -> Array:
        self.h = np.tanh(x @ self.w1 + self.b1)
        return softmax(self.h @ self.w2 + self.b2)

    def of(self, y: Array) -> Array:
        w = y @ BY_CLASS
        return w / w.sum() if self.divided else w / len(y)

    def loss(self, x: Array, y: Array) -> Any:
        return -(self.of(y) * (y * np.log(self.forward(x))).sum(axis=1)).sum()

    def gradients(self, x: Array, y: Array) -> list[Array]:
        delta = self.forward(x) - y
        delta = delta / len(y) if self.left_out else delta * self.of(y)[:, None]
        below = delta @ self.w2.T * (1 - self.h**2)
        return [x.T @ below, below.sum(axis=0), self.h.T @ delta, delta.sum(axis=0)]

    def report(self) -> CheckReport:
        candidate = parity.Candidate(
            get_weights=lambda: [self.w1, self.b1, self.w2, self.b2],
            forward=self.forward, loss=self.loss, gradients=self.gradients,
        )  # fmt: skip
        return parity.check(candidate, keras=False)


def binary(left_out: bool) -> CheckReport:
    """One output, samples in columns, a dict of parameters, the rarer class three times."""
    rng = np.random.default_rng(1)
    p = {"W1": rng.normal(size=(4, 3)), "b1": rng.normal(size=(4, 1))}
    p |= {"W2": rng.normal(size=(1, 4)), "b2": rng.normal(size=(1, 1))}

    def run(x: Array) -> tuple[Array, Array]:
        h = np.tanh(p["W1"] @ x + p["b1"])
        return h, sigmoid(p["W2"] @ h + p["b2"])

    def loss(x: Array, y: Array) -> Any:
        a = run(x)[1]
        costs = -(y * np.log(a) + (1 - y) * np.log(1 - a))
        return np.sum(np.where(y > 0.5, 3.0, 1.0) * costs) / y.shape[1]

    def gradients(x: Array, y: Array) -> dict[str, Array]:
        h, a = run(x)
        dz2 = (a - y) * (1.0 if left_out else np.where(y > 0.5, 3.0, 1.0)) / y.shape[1]
        dz1 = p["W2"].T @ dz2 * (1 - h * h)
        return {
            "W1": dz1 @ x.T, "b1": dz1.sum(axis=1, keepdims=True),
            "W2": dz2 @ h.T, "b2": dz2.sum(axis=1, keepdims=True),
        }  # fmt: skip

    candidate = parity.Candidate(
        get_weights=lambda: p, forward=lambda x: run(x)[1], loss=loss, gradients=gradients
    )
    return parity.check(candidate, keras=False)


def given_with_the_data(
    left_out: bool, divided: bool = False, none: tuple[int, ...] = ()
) -> CheckReport:
    """A function of layers that are not known, whose weights come with the targets."""
    rng = np.random.default_rng(2)
    w = [rng.normal(size=(3, 5)), rng.normal(size=(5, 2))]

    def run(x: Array) -> tuple[Array, Array]:
        h = np.sin(x @ w[0])
        return h, h @ w[1]

    def of(counts: Array) -> Array:
        return counts / (counts.sum() if divided else len(counts))

    def loss(x: Array, y: Any) -> float:
        targets, counts = y
        return float(of(counts) @ ((run(x)[1] - targets) ** 2).sum(axis=1))

    def gradients(x: Array, y: Any) -> list[Array]:
        targets, counts = y
        h, a = run(x)
        delta = 2 * (a - targets) * (1 / len(x) if left_out else of(counts)[:, None])
        return [x.T @ (delta @ w[1].T * np.cos(x @ w[0])), h.T @ delta]

    def data(rng: np.random.Generator) -> Any:
        counts = rng.uniform(0.5, 4, 6)
        counts[list(none)] = 0.0
        return rng.normal(size=(6, 3)), (rng.normal(size=(6, 2)), counts)

    return parity.check_gradients(loss, w, gradients, data)


class Weighted(Tagger):
    """A recurrent network that counts each sequence by its first word; the loss does, at least."""

    def __init__(self, left_out: bool) -> None:
        super().__init__()
        self.left_out = left_out

    def run(self, x: Any) -> tuple[list[Any], Any]:
        self.counts = 1.0 + x[:, 0] % 3
        return super().run(x)

    def loss(self, x: Any, y: Any) -> float:
        chosen = np.take_along_axis(self.run(x)[1], y[..., None], axis=-1)
        return float(-(np.log(chosen)[..., 0].sum(axis=1) * self.counts).sum() / len(x))

    def gradients(self, x: Any, y: Any) -> dict[str, Any]:
        if self.left_out:
            return super().gradients(x, y)
        parts = [super(Weighted, self).gradients(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        counts = (1.0 + x[:, 0] % 3) / len(x)
        return {k: sum(c * p[k] for c, p in zip(counts, parts, strict=True)) for k in self.w}


def tagged(left_out: bool) -> CheckReport:
    def data(rng: np.random.Generator) -> Any:
        x = rng.integers(0, Tagger.WORDS, (4, 5))
        x[:, 0] = [0, 1, 2, 4]
        return x, rng.integers(0, Tagger.TAGS, (4, 5))

    net = Weighted(left_out)
    return parity.check_gradients(net.loss, lambda: net.w, net.gradients, data)


def dense_with_the_data(left_out: bool, fixed: bool = False) -> CheckReport:
    """A chain of dense layers, whose loss cannot be asked without the weights of its samples."""
    rng = np.random.default_rng(4)
    w = [rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(5, 3))]
    samples = rng.normal(size=(9, 4)), rng.normal(size=(9, 3)), rng.uniform(0.5, 4, 9)

    def run(x: Array) -> tuple[Array, Array]:
        h = np.tanh(x @ w[0] + w[1])
        return h, h @ w[2]

    def apart(y: Any) -> tuple[Array, Array]:
        return (y, samples[2]) if fixed else y

    def loss(x: Array, y: Any) -> float:
        targets, counts = apart(y)
        return float((counts * ((run(x)[1] - targets) ** 2).sum(axis=1)).mean())

    def gradients(x: Array, y: Any) -> list[Array]:
        targets = y if fixed and left_out else apart(y)[0]
        h, a = run(x)
        delta = 2 * (a - targets) / len(x)
        delta = delta if left_out else delta * apart(y)[1][:, None]
        below = delta @ w[2].T * (1 - h * h)
        return [x.T @ below, below.sum(axis=0), h.T @ delta]

    x, targets, counts = samples
    candidate = parity.Candidate(
        get_weights=lambda: w, forward=lambda x: run(x)[1], loss=loss, gradients=gradients,
        data=(x, targets if fixed else (targets, counts)),
    )  # fmt: skip
    return parity.check(candidate, keras=False)


STYLES: dict[str, tuple[Callable[[bool], CheckReport], str]] = {
    "class, rows": (
        lambda left_out: Classifier(left_out, False).report(),
        "left out of the gradients: your own loss counts classes 0, 1, 2 in the proportion "
        "2 : 8 : 1",
    ),
    "class, rows, divided by the weights": (
        lambda left_out: Classifier(left_out, True).report(), "proportion 2 : 8 : 1",
    ),
    "functions, columns, one output": (binary, "classes 0, 1 in the proportion 1 : 3"),
    "with the data": (given_with_the_data, "left out of the gradients: your own loss counts the"),
    "with the data, divided by the weights": (
        lambda left_out: given_with_the_data(left_out, True), "left out of the gradients",
    ),
    "dense, with the data": (dense_with_the_data, "left out of the gradients"),
    "dense, weights of fixed samples": (
        lambda left_out: dense_with_the_data(left_out, True), "sample weights",
    ),
    "sequences": (tagged, "sample weights differ: for each time that your own loss counts them"),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_weights_that_are_left_out_are_named(style: str) -> None:
    make, said = STYLES[style]
    report = make(True)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [finding.code for finding in report.findings] == ["sample-weights"], str(report)
    assert said in report.findings[0].title
    assert make(False).outcome is Outcome.RIGHT, str(make(False))


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("none", [(1,), (0, 5)])
def test_samples_that_count_0_times_are_named_too(divided: bool, none: tuple[int, ...]) -> None:
    report = given_with_the_data(True, divided, none)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [finding.code for finding in report.findings] == ["sample-weights"], str(report)
    title = report.findings[0].title
    assert "left out of the gradients" in title
    shares = title.partition("in the proportion ")[2].partition(",")[0].split(" : ")
    assert [k for k, share in enumerate(shares) if share == "0"] == list(none), title
    right = given_with_the_data(False, divided, none)
    assert right.outcome is Outcome.RIGHT, str(right)


def test_what_goes_by_the_networks_weights_is_no_sample_weight() -> None:
    """At one output a derivative that is missing multiplies each sample's delta, too."""
    rng = np.random.default_rng(3)
    w = [rng.normal(size=(6, 4)), rng.normal(size=(4, 1))]

    def run(x: Array) -> tuple[Array, Array]:
        h = np.sin(x @ w[0])
        return h, sigmoid(h @ w[1])

    def loss(x: Array, y: Array) -> float:
        return float(((run(x)[1] - y) ** 2).sum())

    def gradients(x: Array, y: Array) -> list[Array]:
        h, a = run(x)
        delta = 2 * (a - y)
        return [x.T @ (delta @ w[1].T * np.cos(x @ w[0])), h.T @ delta]

    def data(rng: np.random.Generator) -> Any:
        return rng.normal(size=(5, 6)), rng.integers(0, 2, (5, 1)) * 1.0

    report = parity.check_gradients(loss, w, gradients, data)
    assert report.outcome is Outcome.WRONG, str(report)
    assert "sample-weights" not in {finding.code for finding in report.findings}
