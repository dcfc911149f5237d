"""Steps whose arrays go with the learning rate in different ways, and biases inside of a loop."""

from collections.abc import Callable
from typing import Any

import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_optimizer_census import Net

# From the place of an array, its gradient, itself and the learning rate to what is taken off.
Change = Callable[[int, Array, Array, float], Array]
_INPUTS = (6, 4, 4)


def checked(change: Change, gives: bool = False, **declared: Any) -> CheckReport:
    """Check a plain step of a network of three layers, kernels and biases in turn."""

    def make() -> parity.Candidate:
        net = Net()

        def step(x: Array, y: Array, learning_rate: float) -> None:
            for k, g in enumerate(net.gradients(x, y)):
                net.arrays[k] -= change(k, g, net.arrays[k], learning_rate)

        return parity.Candidate(
            get_weights=lambda: net.arrays, forward=net.forward, step=step,
            gradients=net.gradients if gives else None, **declared,
        )  # fmt: skip

    return parity.check(make, keras=False)


def of_kernels(k: int, w: Array, share: float = 0.01) -> Array:
    return share * w if k % 2 == 0 else 0 * w


WRONG: dict[str, tuple[Change, str, str]] = {
    "twice in one layer": (
        lambda k, g, w, lr: g * lr ** (2 if k < 2 else 1),
        "learning-rate-twice", "step, weights[0] and weights[1]",
    ),
    "once more in each layer": (
        lambda k, g, w, lr: g * lr ** (3 - k // 2),
        "learning-rate-twice", "step, weights[0], weights[1], weights[2] and weights[3]",
    ),
    "missing in a bias": (
        lambda k, g, w, lr: g * (lr if k != 3 else 1), "learning-rate-missing", "step, weights[3]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("gives", [False, True])
@pytest.mark.parametrize("name", WRONG)
def test_the_arrays_that_go_otherwise_with_the_rate_are_named(name: str, gives: bool) -> None:
    change, code, where = WRONG[name]
    found = checked(change, gives)
    assert found.outcome is Outcome.WRONG, str(found)
    assert [(f.code, f.where) for f in found.findings] == [(code, where)], str(found)


@pytest.mark.parametrize("gives", [False, True])
def test_a_decay_without_the_rate_is_wrong_where_a_decay_is_declared(gives: bool) -> None:
    declared = {} if gives else {"weight_decay": 0.01}
    found = checked(lambda k, g, w, lr: lr * g + of_kernels(k, w), gives, **declared)
    if gives:  # the gradients have none, and so it is a decay beside them
        assert found.outcome is Outcome.RIGHT, str(found)
        assert any("it is not known whether that is meant" in r for r in found.remarks)
        return
    assert [f.code for f in found.findings] == ["weight-decay-without-rate"], str(found)


def test_a_decay_with_the_rate_is_right() -> None:
    found = checked(lambda k, g, w, lr: lr * (g + of_kernels(k, w)), weight_decay=0.01)
    assert found.outcome is Outcome.RIGHT, str(found)


def test_another_decay_than_declared_is_seen_without_the_rate_too() -> None:
    found = checked(lambda k, g, w, lr: lr * g + of_kernels(k, w, 0.02), weight_decay=0.01)
    codes = {f.code for f in found.findings}
    assert codes == {"weight-decay-without-rate", "weight-decay-factor"}, str(found)


def test_a_bias_inside_of_the_loop_over_the_inputs_is_named() -> None:
    found = checked(lambda k, g, w, lr: lr * g * (_INPUTS[k // 2] if k % 2 else 1))
    assert [f.code for f in found.findings] == ["counted-in-loop"], str(found)
    assert "×6 (layer 1), 4 (layer 2), 4 (layer 3)" in found.summary


def test_a_factor_of_one_bias_is_a_factor() -> None:
    found = checked(lambda k, g, w, lr: lr * g * (6 if k == 1 else 1))
    assert [f.code for f in found.findings] == ["factor"], str(found)
