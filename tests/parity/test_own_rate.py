"""Steps that take no learning rate, but have their own."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from parity.candidate import CandidateError
from parity.reports.report import Outcome

K = keras.optimizers


class Net:
    """Two layers by hand, tanh and linear, with an optimizer and its rate inside."""

    def __init__(self, update: str, rate: float, flaw: str = "") -> None:
        rng = np.random.default_rng(0)
        self.w = [rng.normal(size=s) for s in ((5, 6), (6,), (6, 3), (3,))]
        self.update, self.rate, self.flaw = update, rate, flaw
        self.m = [np.zeros_like(w) for w in self.w]
        self.v = [np.zeros_like(w) for w in self.w]
        self.t = 0

    def forward(self, x: Any) -> Any:
        self.h = np.tanh(x @ self.w[0] + self.w[1])
        return self.h @ self.w[2] + self.w[3]

    def gradients(self, x: Any, y: Any) -> list[Any]:
        d = (self.forward(x) - y) * 2 / y.size
        below = (d @ self.w[2].T) * (1 - self.h ** (1 if self.flaw == "slope" else 2))
        return [x.T @ below, below.sum(0), self.h.T @ d, d.sum(0)]

    def step(self, x: Any, y: Any) -> None:
        self.t += 1
        for k, g in enumerate(self.gradients(x, y)):
            if self.update == "sgd":
                self.w[k] = self.w[k] - self.rate * g
            elif self.update == "momentum":
                self.m[k] = 0.9 * self.m[k] - self.rate * g
                self.w[k] = self.w[k] + (-self.m[k] if self.flaw == "sign" else self.m[k])
            else:
                self.m[k] = 0.9 * self.m[k] + 0.1 * g
                self.v[k] = 0.999 * self.v[k] + 0.001 * g**2
                t = 1 if self.flaw == "t" else self.t
                one, two = 1 - 0.9**t, 1 - 0.999**t
                root = np.sqrt(self.v[k] / two) + 1e-8
                self.w[k] = self.w[k] - self.rate * (self.m[k] / one) / root

    def put(self, arrays: list[Any]) -> None:
        self.w = [a.copy() for a in arrays]

    def candidate(self, gradients: bool = True, **more: Any) -> parity.Candidate:
        return parity.Candidate(
            get_weights=lambda: self.w, set_weights=self.put, forward=self.forward,
            gradients=self.gradients if gradients else None, step=self.step,
            loss="mean_squared_error", **more,
        )  # fmt: skip


def checked(update: str, rate: float, flaw: str = "", **more: Any) -> parity.CheckReport:
    return parity.check(lambda: Net(update, rate, flaw).candidate(**more))


DECLARED = {
    "sgd": [{"learning_rate": 0.03}, {"optimizer": "SGD(learning_rate=0.03)"},
            {"optimizer": K.SGD(0.03)}, {"optimizer": "sgd", "learning_rate": 0.03}],
    "momentum": [{"learning_rate": 0.03}, {"optimizer": "SGD(learning_rate=0.03, momentum=0.9)"},
                 {"optimizer": K.SGD(0.03, momentum=0.9)},
                 {"optimizer": "torch.SGD(lr=0.03, momentum=0.9)"}],
    "adam": [{"learning_rate": 0.03}, {"optimizer": K.Adam(0.03, epsilon=1e-8)},
             {"optimizer": "torch.Adam(lr=0.03)"}, {"optimizer": "adam", "learning_rate": 0.03}],
}  # fmt: skip


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("update", "given"), [(u, g) for u, every in DECLARED.items() for g in every]
)
def test_a_right_step_at_its_own_rate_is_right(update, given, gradients):
    report = checked(update, 0.03, gradients=gradients, **given)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert "steps at other learning rates than their own, 0.03" in str(report).replace("\n", " ")


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("update", "flaw", "code"),
    [
        ("sgd", "slope", "derivative-slip"),
        ("momentum", "sign", "sign"),
        ("adam", "t", "adam-correction-without-power"),
    ],
)
def test_a_wrong_step_at_its_own_rate_is_wrong(update, flaw, code, gradients):
    report = checked(update, 0.03, flaw, gradients=gradients, learning_rate=0.03)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [f.code for f in report.findings] == [code], str(report)


@pytest.mark.parametrize("update", DECLARED)
def test_a_step_at_another_rate_than_said_is_wrong(update):
    optimizer = {"sgd": "SGD", "momentum": "SGD", "adam": "Adam"}[update]
    options = {"sgd": "", "momentum": ", momentum=0.9", "adam": ", epsilon=1e-8"}[update]
    report = checked(update, 0.1, optimizer=f"{optimizer}(learning_rate=0.03{options})")
    assert report.outcome is Outcome.WRONG
    assert [f.code for f in report.findings] == ["rate-other-than-declared"], str(report)
    assert "than is declared: 0.1 in place of 0.03, and parts at step 1" in report.summary


class Single(Net):
    """The same in float32, whatever it is given."""

    def put(self, arrays: list[Any]) -> None:
        self.w = [a.astype(np.float32) for a in arrays]

    def forward(self, x: Any) -> Any:
        return super().forward(x.astype(np.float32))

    def gradients(self, x: Any, y: Any) -> list[Any]:
        return super().gradients(x.astype(np.float32), y.astype(np.float32))


def single(update: str, rate: float, flaw: str = "") -> Single:
    net = Single(update, rate, flaw)
    net.put(net.w)
    net.m, net.v = ([np.zeros_like(w) for w in net.w] for _ in range(2))
    return net


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(("update", "rate"), [("sgd", 0.03), ("sgd", 1e-4), ("adam", 0.003)])
def test_in_float32_too(update, rate, gradients):
    net = single(update, rate)
    report = parity.check(net.candidate(gradients=gradients, learning_rate=rate))
    assert report.outcome is not Outcome.WRONG, str(report)
    wrong = single(update, rate, "slope")
    report = parity.check(wrong.candidate(gradients=gradients, learning_rate=rate))
    assert report.outcome is not Outcome.RIGHT, str(report)


def test_a_rate_that_nothing_says_is_asked_for():
    with pytest.raises(CandidateError, match=r"its own, what that is: learning_rate=0\.1, or"):
        checked("sgd", 0.03)
    with pytest.raises(CandidateError, match="its own, what that is"):
        checked("adam", 0.03, optimizer="Adam(beta_1=0.9)")  # a default is no statement


def test_a_rate_beside_a_step_that_takes_one_is_refused():
    said = r"which has it inside\. Received: a step that takes it"
    with pytest.raises(CandidateError, match=said):
        parity.Candidate(
            get_weights=list, forward=np.sin, step=lambda x, y, rate: None, learning_rate=0.1
        )
    with pytest.raises(CandidateError, match=r"a positive number\. Received: -1"):
        Net("sgd", 0.1).candidate(learning_rate=-1)


def test_of_unknown_layers_a_step_alone_at_one_rate_tells_no_gradients():
    """The change of weights that are updated one after the other is none, and may be meant."""
    net = Net("sgd", 0.03)
    rng = np.random.default_rng(1)
    data = rng.normal(size=(7, 5)), rng.normal(size=(7, 3))
    report = parity.check(
        parity.Candidate(
            get_weights=lambda: net.w, set_weights=net.put, step=net.step, learning_rate=0.03,
            loss=lambda x, y: np.mean((net.forward(x) - y) ** 2), data=data,
        )
    )  # fmt: skip
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert "its own learning rate" in str(report)
