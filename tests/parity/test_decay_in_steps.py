"""Weight decay inside of the steps of networks of any layers, whose gradients do not have it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_rates_that_change import Skip, data

State = dict[str, Any]
# From the state, the gradient and the learning rate to what is taken off.
Rule = Callable[[State, Array, float], Array]
# From the rule, the state, the gradient, the weights and the rate to what is taken off.
Decay = Callable[[Rule, State, Array, Array, float], Array]
SHARE = 0.01


def sgd(s: State, g: Array, rate: float) -> Array:
    return rate * g


def momentum(s: State, g: Array, rate: float) -> Array:
    s["v"] = 0.9 * s.get("v", 0) + rate * g
    return s["v"]


def torch_momentum(s: State, g: Array, rate: float) -> Array:
    s["v"] = 0.8 * s.get("v", 0) + g
    return rate * s["v"]


def adam(s: State, g: Array, rate: float) -> Array:
    s["t"] = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["n"] = 0.999 * s.get("n", 0) + 0.001 * g * g
    root = np.sqrt(s["n"] / (1 - 0.999 ** s["t"]))
    return rate * s["m"] / (1 - 0.9 ** s["t"]) / (root + 1e-8)


def rmsprop(s: State, g: Array, rate: float) -> Array:
    s["n"] = 0.9 * s.get("n", 0) + 0.1 * g * g
    return rate * g / (np.sqrt(s["n"]) + 1e-7)


def coupled(rule: Rule, s: State, g: Array, w: Array, rate: float) -> Array:
    return rule(s, g + SHARE * w, rate)


def decoupled(rule: Rule, s: State, g: Array, w: Array, rate: float) -> Array:
    return rule(s, g, rate) + rate * SHARE * w


RULES: dict[str, Rule] = {
    "SGD": sgd, "SGD with momentum 0.9": momentum, "SGD with momentum 0.8": torch_momentum,
    "Adam": adam, "RMSprop": rmsprop,
}  # fmt: skip


def checked(
    rule: Rule, decay: Decay | None, arrays: tuple[int, ...] = (0, 1), optimizer: Any = None
) -> CheckReport:
    def make() -> parity.Candidate:
        net = Skip()
        held, states = [net.w, net.v], [State(), State()]

        def step(x: Array, y: Array, learning_rate: float) -> None:
            for k, g in enumerate(net.gradients(x, y)):
                if decay is not None and k in arrays:
                    held[k] -= decay(rule, states[k], g, held[k].copy(), learning_rate)
                else:
                    held[k] -= rule(states[k], g, learning_rate)

        return parity.Candidate(
            get_weights=lambda: held, loss=net.loss, gradients=net.gradients, step=step,
            data=data, optimizer=optimizer,
        )  # fmt: skip

    return parity.check(make, keras=False)


@pytest.mark.parametrize("arrays", [(0, 1), (0,)])
@pytest.mark.parametrize("decay", [coupled, decoupled])
@pytest.mark.parametrize("name", RULES)
def test_a_decay_is_told_with_how_it_enters(
    name: str, decay: Decay, arrays: tuple[int, ...]
) -> None:
    report = checked(RULES[name], decay, arrays)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert f"steps ({name}" in report.summary
    (remark,) = [r for r in report.remarks if r.startswith("Weight decay: ")]
    # Of plain descent it is one whether the gradient has it or not.
    if decay is coupled or name == "SGD":
        assert f"adds {SHARE:g} times the weights to the gradients" in remark
    else:
        assert f"takes learning rate times {SHARE:g} times the weights off" in remark
    plain = [r for r in report.remarks if "unlike the rest" in r]
    assert len(plain) == 2 - len(arrays)
    assert all("weights[1]" in r for r in plain)


@pytest.mark.parametrize("name", RULES)
def test_no_decay_is_told_where_there_is_none(name: str) -> None:
    report = checked(RULES[name], None)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert not any(r.startswith("Weight decay: ") for r in report.remarks)


@pytest.mark.parametrize("decay", [coupled, decoupled])
@pytest.mark.parametrize(
    ("rule", "declared"), [(momentum, optimizers.SGD(0.1, momentum=0.9)), (sgd, "adam")]
)
def test_a_decay_that_is_not_declared_is_said_in_what_is_found(
    rule: Rule, declared: Any, decay: Decay
) -> None:
    report = checked(rule, decay, optimizer=declared)
    assert [f.code for f in report.findings] == ["other-optimizer"], str(report)
    assert f"weight decay {SHARE:g}" in report.findings[0].title


STRANGE: dict[str, Decay] = {
    "the cube": lambda rule, s, g, w, rate: rule(s, g**3, rate),
    "the sign of the weights": lambda rule, s, g, w, rate: rule(s, g + SHARE * np.sign(w), rate),
    "the square": lambda rule, s, g, w, rate: rule(s, g, rate) + rate * SHARE * w**2,
}


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("rule", [sgd, momentum, adam])
def test_what_is_no_share_of_the_weights_is_not_told_as_one(rule: Rule, name: str) -> None:
    report = checked(rule, STRANGE[name])
    assert not any(r.startswith("Weight decay: ") for r in report.remarks), str(report)
    assert "weight decay" not in report.summary
