"""Targets that are compared with the outputs of all samples, and readings of many like arrays."""

from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport
from parity.checking.model.layout import readings
from parity.reports.report import Outcome


def pinball(e: Any) -> Any:
    return np.maximum(0.9 * e, -0.1 * e)


LOSSES = {"square": np.square, "pinball": pinball, "log-cosh": lambda e: np.log(np.cosh(e))}
SLOPES = {
    "square": lambda e: 2 * e,
    "pinball": lambda e: np.where(e > 0, 0.9, -0.1),
    "log-cosh": np.tanh,
}  # fmt: skip


def checked(
    name: str, y: Any, mended: bool, meant: bool = False, dtype: Any = np.float64
) -> CheckReport:
    """Check a network whose loss takes the difference of targets and outputs (n, 1) as they are.

    Outputs and differences are rounded to ``dtype``. Where it is meant its gradients are those of
    each sample's own difference all the same.
    """
    r = np.random.default_rng(3)
    w = [0.8 * r.normal(size=(2, 4)), 0.1 * r.normal(size=4), r.normal(size=(4, 1)), np.zeros(1)]

    def run(x: Any) -> Any:
        h = np.tanh(x @ w[0] + w[1])
        return h, (h @ w[2] + w[3]).astype(dtype)

    def difference(x: Any, y: Any, own: bool = mended) -> Any:
        out = run(x)[1]
        return ((y.reshape(out.shape) if own else y) - out).astype(dtype)

    def gradients(x: Any, y: Any) -> Any:
        h, e = run(x)[0], difference(x, y, mended or meant)
        d = -(SLOPES[name](e) / e.size).sum(axis=1, keepdims=True)
        dz = d @ w[2].T * (1 - h**2)
        return [x.T @ dz, dz.sum(axis=0), h.T @ d, d.sum(axis=0)]

    return parity.check(
        lambda: parity.Candidate(
            get_weights=lambda: w,
            forward=lambda x: run(x)[1],
            gradients=gradients,
            loss=lambda x, y: float(np.mean(LOSSES[name](difference(x, y)))),
            data=(r.normal(size=(len(y), 2)), y),
        )
    )


def test_a_loss_in_float32_is_the_same_to_its_digits() -> None:
    y = np.random.default_rng(5).normal(size=60).astype(np.float32)
    report = checked("square", y, mended=False, dtype=np.float32)
    assert [finding.code for finding in report.findings] == ["targets-broadcast"], str(report)
    assert checked("square", y, mended=True, dtype=np.float32).outcome is Outcome.RIGHT


def test_two_classes_are_enough() -> None:
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    report = checked("log-cosh", y, mended=False)
    assert [finding.code for finding in report.findings] == ["targets-broadcast"]
    assert checked("log-cosh", y, mended=True).outcome is Outcome.RIGHT


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_each_output_with_every_target_is_wrong(name: str) -> None:
    y = np.random.default_rng(5).normal(size=7)
    report = checked(name, y, mended=False)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [finding.code for finding in report.findings] == ["targets-broadcast"]
    assert checked(name, y, mended=True).outcome is Outcome.RIGHT
    assert checked(name, y[:, None], mended=False).outcome is Outcome.RIGHT


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_the_loss_that_is_wrong_where_gradients_are_those_of_the_one_that_is_meant(name: str):
    y = np.random.default_rng(5).normal(size=7)
    report = checked(name, y, mended=False, meant=True)
    assert report.outcome is Outcome.WRONG, str(report)
    assert report.findings[0].code == "targets-broadcast", str(report)
    assert "other-loss" not in [finding.code for finding in report.findings]


def test_targets_that_are_all_alike_tell_nothing() -> None:
    """Whose target is whose shows in different ones only; a wrong loss of one value is the same."""
    assert checked("square", np.ones(7), mended=True).outcome is Outcome.RIGHT


def test_a_loss_of_two_sets_of_numbers_may_ask_for_no_order() -> None:
    """The distance of two samples' means and squares is the same in any order, and no mistake."""
    w = [np.array([[0.5]]), np.array([0.1])]

    def forward(x: Any) -> Any:
        return x @ w[0] + w[1]

    def loss(x: Any, y: Any) -> float:
        out = forward(x)
        return float((out.mean() - np.mean(y)) ** 2 + ((out**2).mean() - np.mean(y**2)) ** 2)

    def gradients(x: Any, y: Any) -> Any:
        out = forward(x)
        first, second = out.mean() - np.mean(y), (out**2).mean() - np.mean(y**2)
        d = (2 * first + 4 * second * out) / len(x)
        return [x.T @ d, d.sum(axis=0)]

    r = np.random.default_rng(1)
    report = parity.check(
        lambda: parity.Candidate(
            get_weights=lambda: w, forward=forward, gradients=gradients, loss=loss,
            data=(r.normal(size=(9, 1)), r.normal(size=9)),
        )
    )  # fmt: skip
    assert report.outcome is Outcome.RIGHT, str(report)


def test_arrays_that_could_be_a_chain_in_very_many_ways_are_none() -> None:
    shapes = [(1, 4), *[(4, 4), (4, 4), (4, 4), (4, 4), (4,), (4,)] * 3, (4, 1), (1,)]
    assert readings(shapes) == []
    deep = [shape for _ in range(24) for shape in ((8, 8), (8,))]
    [layout] = [one for one in readings(deep) if one.orientation == "in-out" and one.plausible][:1]
    assert layout.biases == tuple(range(1, 48, 2))


def test_a_forward_of_one_number_for_the_batch_is_taken() -> None:
    w = [np.array([0.3, -0.2, 0.5])]
    report = parity.check(
        lambda: parity.Candidate(
            get_weights=lambda: w,
            forward=lambda x: float(np.tanh(x @ w[0]).sum()),
            gradients=lambda x, y: [x.T @ (1 - np.tanh(x @ w[0]) ** 2) * y],
            loss=lambda x, y: float(np.tanh(x @ w[0]).sum() * y),
            data=(np.random.default_rng(0).normal(size=(5, 3)), 1.5),
        )
    )
    assert report.outcome is Outcome.RIGHT, str(report)
