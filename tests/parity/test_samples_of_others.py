"""The caller's samples where the layers are not known: none is changed, and fewer are as right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import Outcome

BATCH = 12


class Net:
    """Softmax regression on the sines of its inputs.

    Args:
        gradient: By what the gradients are divided, of the number of samples.
        loss: By what the loss is.
    """

    def __init__(
        self, gradient: Callable[[int], float] = float, loss: Callable[[int], float] = float
    ) -> None:
        r = np.random.default_rng(2)
        self.weights = [r.normal(size=(4, 3)), r.normal(size=3)]
        self.gradient_by, self.loss_by = gradient, loss

    def forward(self, x: Array) -> Array:
        e = np.exp(np.sin(x) @ self.weights[0] + self.weights[1])
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x: Array, y: Array) -> Any:
        return -np.sum(y * np.log(self.forward(x))) / self.loss_by(len(x))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        d = (self.forward(x) - y) / self.gradient_by(len(x))
        return [np.sin(x).T @ d, d.sum(axis=0)]


def samples(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(BATCH, 4)), np.eye(3)[rng.integers(0, 3, BATCH)]


def checked(net: Any, data: Any = samples, **more: Any) -> parity.CheckReport:
    given = {"gradients": net.gradients, "loss": net.loss, **more}
    return parity.check(parity.Candidate(get_weights=lambda: net.weights, data=data, **given))


def constant(_: int) -> float:
    return float(BATCH)


def one(_: int) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("gradient", "loss"),
    [(float, float), (constant, constant), (one, one), (one, float), (float, one), (one, constant)],
)
def test_another_reduction_is_not_accused(
    gradient: Callable[[int], float], loss: Callable[[int], float]
):
    report = checked(Net(gradient, loss))
    assert report.outcome is Outcome.RIGHT, report


@pytest.mark.parametrize(
    ("gradient", "loss", "times"), [(constant, float, "0.9166667"), (float, constant, "1.090909")]
)
def test_a_constant_batch_size_is_seen(
    gradient: Callable[[int], float], loss: Callable[[int], float], times: str
):
    report = checked(Net(gradient, loss))
    assert report.outcome is Outcome.WRONG
    assert [finding.code for finding in report.findings] == ["batch-size"], report
    assert "right for a batch of 12, wrong for one of 11" in report.findings[0].title
    assert f"of 11 samples it is {times} times the derivative" in report.findings[0].evidence


def test_it_is_seen_where_the_samples_are_several_arrays():
    net = Net(constant)
    report = checked(
        net, lambda rng: ((samples(rng)[0],), (samples(rng)[1], None)),
        gradients=lambda x, y: net.gradients(x[0], y[0]), loss=lambda x, y: net.loss(x[0], y[0]),
    )  # fmt: skip
    assert [finding.code for finding in report.findings] == ["batch-size"], report


def test_code_that_takes_no_fewer_samples_is_not_accused():
    net = Net(constant, constant)

    def exactly(x: Array, y: Array) -> list[Array]:
        return net.gradients(x, y + np.zeros((BATCH, 3)))

    assert checked(net, gradients=exactly).outcome is Outcome.RIGHT


@pytest.mark.search
def test_the_line_of_a_constant_batch_size_is_found():
    net = Net()

    def gradients(x: Array, y: Array) -> list[Array]:
        d = (net.forward(x) - y) / BATCH
        return [np.sin(x).T @ d, d.sum(axis=0)]

    finding = checked(net, gradients=gradients).findings[0]
    assert finding.code == "one-change"
    assert finding.values["new"] == '"d = (net.forward(x) - y) / len(x)"'


def test_samples_that_are_changed_in_place_are_seen():
    net = Net()

    def gradients(x: Array, y: Array) -> list[Array]:
        y *= 0.9
        return net.gradients(x, y / 0.9)

    report = checked(net, gradients=gradients)
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].code == "aliasing"
    assert "gradients changes y in place" in report.findings[0].title


def test_so_are_those_of_a_tuple_and_those_that_a_loss_changes():
    net = Net()

    def loss(x: tuple[Array, ...], y: Array) -> Any:
        own = net.loss(x[0], y)
        x[0][...] = np.sin(x[0])
        return own

    report = checked(
        net, lambda rng: ((samples(rng)[0],), np.eye(3)[rng.integers(0, 3, BATCH)]),
        gradients=lambda x, y: net.gradients(x[0], y), loss=loss,
    )  # fmt: skip
    assert report.findings[0].code == "aliasing", report
    assert "loss changes x in place" in report.findings[0].title


def test_what_is_the_callers_own_copy_may_be_changed():
    net = Net()

    def gradients(x: Array, y: Array) -> list[Array]:
        x, y = x.copy(), y.copy()
        found = net.gradients(x, y)
        x *= 0
        y -= 1
        return found

    assert checked(net, gradients=gradients).outcome is Outcome.RIGHT


def test_missing_numbers_in_samples_are_no_change():
    net = Net()

    def data(rng: np.random.Generator) -> Any:
        x, y = samples(rng)
        return x, np.c_[y, np.full(len(y), np.nan)]

    report = checked(
        net, data, gradients=lambda x, y: net.gradients(x, y[:, :3]),
        loss=lambda x, y: net.loss(x, y[:, :3]),
    )  # fmt: skip
    assert report.outcome is Outcome.RIGHT, report
