"""Which samples a gradient counts: one alone, or those that the loss leaves alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome


class Loop:
    """A network of tanh that goes through the samples one by one; squared error, its mean.

    Attributes:
        assigned: Tensors whose gradient is assigned where it has to be added.
    """

    def __init__(self) -> None:
        r = np.random.default_rng(5)
        self.w = [r.normal(size=(3, 4)), r.normal(size=4), r.normal(size=(4, 2))]
        self.assigned: set[int] = set()
        self.stops = False

    def loss(self, x: Array, y: Array) -> float:
        w, b, v = self.w
        return float(((np.tanh(x @ w + b) @ v - y) ** 2).sum() / len(x))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        w, b, v = self.w
        g = [np.zeros_like(a) for a in self.w]
        for one, target in zip(x, y, strict=True):
            h = np.tanh(one @ w + b)
            d = 2 * (h @ v - target) / len(x)
            dz = v @ d * (1 - h * h)
            for k, share in enumerate((np.outer(one, dz), dz, np.outer(h, d))):
                g[k] = share if k in self.assigned else g[k] + share
            if self.stops:
                break
        return g


def of_loop(columns: bool = False, **changes: Any) -> CheckReport:
    net = Loop()
    for name, value in changes.items():
        setattr(net, name, value)

    def data(rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        return (x.T, y.T) if columns else (x, y)

    def turned(f: Callable[[Array, Array], Any]) -> Callable[[Array, Array], Any]:
        return lambda x, y: f(x.T, y.T) if columns else f(x, y)

    return parity.check_gradients(turned(net.loss), net.w, turned(net.gradients), data)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("assigned", [{0}, {2}, {0, 1}, {0, 1, 2}])
def test_an_assignment_in_the_loop_is_told_as_the_likely_cause(
    assigned: set[int], columns: bool
) -> None:
    report = of_loop(columns, assigned=assigned)
    (finding,) = report.findings
    assert finding.code == "samples-left-out", str(report)
    assert "last sample alone" in finding.title
    assert "add them up" in finding.fix
    assert finding.where == ", ".join(f"weights[{k}]" for k in sorted(assigned))


def test_a_loop_that_ends_with_the_first_sample_is_told_so() -> None:
    (finding,) = of_loop(stops=True).findings
    assert (finding.code, "first sample alone" in finding.title) == ("samples-left-out", True)
    assert "return or break" in finding.fix


def test_a_loop_that_adds_up_is_right() -> None:
    assert of_loop().outcome is Outcome.RIGHT


class Margin:
    """``max(0, c - y f)`` with ``f = w x + b``, or of a hidden layer; labels of -1 and 1.

    Args:
        c: 0 for the perceptron's loss, 1 for the hinge.
        penalty: Of the weights; 0 for none.
        turned: Whether the condition is turned round.
        mean: Whether the loss is a mean.
        hidden: Whether the features are those of a layer of tanh, which is fixed.
    """

    def __init__(
        self, c: float = 0.0, penalty: float = 0.0, turned: bool = False, mean: bool = True,
        hidden: bool = False, zero_one: bool = False,
    ) -> None:  # fmt: skip
        r = np.random.default_rng(6)
        self.fixed = r.normal(size=(3, 3))
        self.w = {"w": r.normal(size=3), "b": r.normal(size=1)}
        self.c, self.penalty, self.turned, self.mean = c, penalty, turned, mean
        self.hidden, self.zero_one = hidden, zero_one

    def parts(self, x: Array, y: Array) -> tuple[Array, Array, Array, float]:
        sign = 2 * y - 1 if self.zero_one else y
        features = np.tanh(x @ self.fixed) if self.hidden else x
        margin = self.c - sign * (features @ self.w["w"] + self.w["b"][0])
        return features, sign, margin, float(len(x) if self.mean else 1)

    def loss(self, x: Array, y: Array) -> float:
        *_, margin, n = self.parts(x, y)
        penalty = self.penalty / 2 * float((self.w["w"] ** 2).sum())
        return float(np.maximum(margin, 0).sum() / n) + penalty

    def gradients(self, x: Array, y: Array) -> dict[str, Array]:
        features, sign, margin, n = self.parts(x, y)
        counts = margin < 0 if self.turned else margin > 0
        share = -(sign * counts)[:, None] * features / n
        db = -(sign * counts).sum() / n
        return {"w": share.sum(axis=0) + self.penalty * self.w["w"], "b": np.array([db])}


STYLES: list[dict[str, Any]] = [
    {}, {"c": 1.0}, {"mean": False}, {"c": 1.0, "penalty": 0.3},
    {"c": 1.0, "penalty": 0.3, "mean": False}, {"hidden": True}, {"zero_one": True},
    {"zero_one": True, "c": 1.0, "mean": False},
]  # fmt: skip


def of_margin(net: Margin, gradients: Any = None) -> CheckReport:
    def data(rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.normal(size=(12, 3))
        return x, rng.integers(0, 2, 12) if net.zero_one else rng.choice([-1.0, 1.0], 12)

    return parity.check_gradients(net.loss, lambda: net.w, gradients or net.gradients, data)


@pytest.mark.parametrize("style", STYLES)
def test_a_condition_that_is_turned_round_is_named(style: dict[str, Any]) -> None:
    report = of_margin(Margin(**style, turned=True))
    assert [f.code for f in report.findings] == ["condition-turned"], str(report)
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].where == "weights['w'], weights['b']"
    assert "above 0" in report.findings[0].fix


@pytest.mark.parametrize("style", STYLES)
def test_a_right_condition_is_right(style: dict[str, Any]) -> None:
    report = of_margin(Margin(**style))
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.parametrize("style", STYLES)
def test_all_points_or_another_sign_are_no_turned_condition(style: dict[str, Any]) -> None:
    net = Margin(**style)

    def every(x: Array, y: Array) -> dict[str, Array]:
        features, sign, _, n = net.parts(x, y)
        w = -(sign[:, None] * features).sum(axis=0) / n + net.penalty * net.w["w"]
        return {"w": w, "b": np.array([-sign.sum() / n])}

    def reversed_(x: Array, y: Array) -> dict[str, Array]:
        return {k: -g for k, g in Margin.gradients(other, x, y).items()}

    other = Margin(**style, turned=True)
    other.w = net.w
    for wrong in (every, reversed_):
        report = of_margin(net, wrong)
        assert report.outcome is Outcome.WRONG, str(report)
        assert "condition-turned" not in [f.code for f in report.findings], str(report)


def test_a_step_that_learns_from_right_points_is_named() -> None:
    net = Margin(turned=True)

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for name, g in net.gradients(x, y).items():
            net.w[name] -= learning_rate * g

    rng = np.random.default_rng(1)
    data = rng.normal(size=(12, 3)), rng.choice([-1.0, 1.0], 12)
    report = parity.check(
        parity.Candidate(get_weights=lambda: net.w, step=step, loss=net.loss, data=data)
    )
    assert [f.code for f in report.findings] == ["condition-turned"], str(report)
