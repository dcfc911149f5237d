"""A factor of what comes of the data, beside a weight penalty that is right: it alone is told."""

from typing import Any

import numpy as np
import pytest

import parity
from parity import Candidate, CheckReport, Outcome
from parity.checking.bugs.derivative import DATA_FACTOR, TWO_SCALES

# The factor on what comes of the data, for m samples and n outputs, and what the report calls it.
FACTORS = {
    "times-2": lambda m, n: 2.0,
    "times-half": lambda m, n: 0.5,
    "times-m": lambda m, n: m,
    "over-m": lambda m, n: 1 / m,
    "over-m-minus-1": lambda m, n: m / (m - 1),
    "times-outputs": lambda m, n: n,
    "over-outputs": lambda m, n: 1 / n,
    "factor": lambda m, n: m / 6,  # x.shape[1] for len(x)
    "sign": lambda m, n: -1.0,
}


def one(m: int, n: int) -> float:
    return 1.0


class Net:
    """One hidden layer; loss = data / m + 0.05 * sum(W^2) / m, and the gradients beside it."""

    def __init__(self, output="sigmoid", factor=one, share=lambda m: 0.1 / m, penalty=(0.05, 0.05)):
        rng = np.random.default_rng(1)
        self.W1, self.b1 = rng.normal(size=(6, 5)), rng.normal(size=5)
        self.W2, self.b2 = rng.normal(size=(5, 3)), rng.normal(size=3)
        self.output, self.factor, self.share, self.penalty = output, factor, share, penalty

    def weights(self):
        return [self.W1, self.b1, self.W2, self.b2]

    def forward(self, x):
        self.h = np.tanh(x @ self.W1 + self.b1)
        z = self.h @ self.W2 + self.b2
        if self.output == "sigmoid":
            return 1 / (1 + np.exp(-z))
        if self.output == "softmax":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)
        return z

    def data(self, a, y):
        if self.output == "sigmoid":
            return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
        if self.output == "softmax":
            return -np.sum(y * np.log(a))
        return np.sum((a - y) ** 2) / 2 if self.output == "linear" else np.sum((a - y) ** 4) / 4

    def loss(self, x, y):
        of_weights = sum(
            p * np.sum(w**2) for p, w in zip(self.penalty, (self.W1, self.W2), strict=True)
        )
        return (self.data(self.forward(x), y) + of_weights) / len(x)

    def gradients(self, x, y):
        m, a = len(x), self.forward(x)
        d = (a - y) ** (3 if self.output == "quartic" else 1)
        d = d / m * self.factor(m, y.shape[1])
        d1 = d @ self.W2.T * (1 - self.h**2)
        first, second = (self.share(m) * bool(p) for p in self.penalty)
        return [
            x.T @ d1 + first * self.W1, d1.sum(axis=0),
            self.h.T @ d + second * self.W2, d.sum(axis=0),
        ]  # fmt: skip

    def step(self, x, y, rate):
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= rate * g

    def check(self, **given: Any) -> CheckReport:
        given = {"gradients": self.gradients, "loss": self.loss} | given
        return parity.check(Candidate(get_weights=self.weights, forward=self.forward, **given))


def decays(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings if "decay" in finding.code]


@pytest.mark.census(keep=6)
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear", "quartic"])
@pytest.mark.parametrize("code", FACTORS)
def test_the_factor_alone_is_told(code: str, output: str):
    report = Net(output, FACTORS[code]).check()
    assert report.outcome is Outcome.WRONG
    [finding] = report.findings
    assert finding.code == code, str(report)
    assert finding.title.startswith("what comes of the data in all gradients off by a factor")
    assert "the penalty, is that of your loss" in finding.evidence


def test_a_long_gradient_with_a_factor_below_1_is_not_called_clipped():
    """Its norm, 18.6102, is near a number of three digits behind the point, as every third is."""
    report = Net("quartic", FACTORS["over-outputs"]).check()
    assert not any("Clipping" in remark for remark in report.remarks), str(report)
    assert [finding.code for finding in report.findings] == ["over-outputs"], str(report)


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear", "quartic"])
@pytest.mark.parametrize("penalty", [(0.05, 0.05), (0.05, 0.0)])
def test_right_penalties_are_right(output: str, penalty: tuple[float, float]):
    report = Net(output, penalty=penalty).check()
    assert report.passed, str(report)


@pytest.mark.parametrize("code", ["times-2", "times-m", "over-outputs"])
def test_a_penalty_on_one_layer(code: str):
    report = Net(factor=FACTORS[code], penalty=(0.05, 0.0)).check()
    assert [finding.code for finding in report.findings] == [code], str(report)


def test_a_step():
    net = Net(factor=FACTORS["times-2"])
    report = net.check(gradients=None, step=net.step)
    assert [finding.code for finding in report.findings] == ["times-2"], str(report)


def test_a_penalty_without_the_learning_rate_that_a_step_has_inside_is_told():
    """Of that the factor is no mistake, and the penalty lacks it."""
    net = Net(factor=lambda m, n: 0.3)
    report = net.check(gradients=None, step=lambda x, y, rate: net.step(x, y, 1.0))
    assert decays(report) == ["weight-decay-factor"], str(report)


def test_a_penalty_that_has_the_factor_too_is_one_finding():
    report = Net(factor=FACTORS["times-2"], share=lambda m: 0.2 / m).check()
    [finding] = report.findings
    assert finding.title.startswith("all gradients off by a factor"), str(report)


@pytest.mark.parametrize("share", [lambda m: 0.03 / m, lambda m: 0.0])
@pytest.mark.parametrize("code", ["times-2", "times-m"])
def test_a_penalty_that_is_wrong_is_told_besides(code: str, share: Any):
    assert decays(Net(factor=FACTORS[code], share=share).check())


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_a_loss_by_name_with_the_penalty_declared(output: str):
    """Of a named loss another reduction is no bug, and neither is what is declared."""
    loss = {"sigmoid": "binary_crossentropy", "linear": "mean_squared_error"}[output]
    given = {"loss": loss, "weight_decay": 0.1}
    assert Net(output).check(**given).passed
    for code, factor in FACTORS.items():
        report = Net(output, factor).check(**given)
        assert not decays(report), (code, str(report))
    report = Net(output, FACTORS["sign"]).check(**given)
    assert [finding.code for finding in report.findings] == ["sign"], str(report)
    # A sign that is turned in the penalty alone stays told.
    report = Net(output, share=lambda m: -0.1 / m).check(**given)
    assert decays(report) == ["weight-decay-factor"], str(report)


# Other layers, by their own loss.


class Elman:
    """A recurrent net that answers at the end, with half the squared error and a penalty."""

    def __init__(self, factor=1.0, share=0.2, of_loss=0.2, biases=True):
        rng = np.random.default_rng(1)
        self.Wx, self.Wh, self.b = (
            rng.normal(size=(3, 5)), 0.4 * rng.normal(size=(5, 5)), rng.normal(size=5),
        )  # fmt: skip
        self.V, self.c = rng.normal(size=(5, 2)), rng.normal(size=2)
        self.factor, self.share, self.of_loss, self.biases = factor, share, of_loss, biases

    def weights(self):
        kernels = [self.Wx, self.Wh, self.V]
        return [*kernels, self.b, self.c] if self.biases else kernels

    def run(self, x):
        states = [np.zeros((len(x), 5))]
        for t in range(x.shape[1]):
            states.append(np.tanh(x[:, t] @ self.Wx + states[-1] @ self.Wh + self.b))
        return states, states[-1] @ self.V + self.c

    def forward(self, x):
        return self.run(x)[1]

    def loss(self, x, y):
        squares = sum(np.sum(w**2) for w in (self.Wx, self.Wh, self.V))
        return (np.sum((self.forward(x) - y) ** 2) + self.of_loss * squares) / 2 / len(x)

    def gradients(self, x, y):
        states, a = self.run(x)
        d, share = self.factor * (a - y) / len(x), self.share / len(x)
        dV, dc, dh = states[-1].T @ d + share * self.V, d.sum(axis=0), d @ self.V.T
        dWx, dWh, db = share * self.Wx, share * self.Wh, 0 * self.b
        for t in reversed(range(x.shape[1])):
            dz = dh * (1 - states[t + 1] ** 2)
            dWx, dWh, db = dWx + x[:, t].T @ dz, dWh + states[t].T @ dz, db + dz.sum(axis=0)
            dh = dz @ self.Wh.T
        return [dWx, dWh, dV, db, dc] if self.biases else [dWx, dWh, dV]

    def step(self, x, y, rate):
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= rate * g

    def check(self, forward=True, **given: Any) -> CheckReport:
        given = {"gradients": self.gradients, "forward": self.forward if forward else None} | given
        return parity.check(
            Candidate(get_weights=self.weights, loss=self.loss, data=samples, **given)
        )


def samples(rng):
    return rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 2))


@pytest.mark.census(keep=6)
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("factor", [2.0, 0.5, 6.0, 1 / 6, 3.3, -1.0])
def test_of_other_layers(factor: float, forward: bool, biases: bool):
    report = Elman(factor, biases=biases).check(forward)
    assert report.outcome is Outcome.WRONG
    [finding] = report.findings
    assert finding.bug is DATA_FACTOR, str(report)
    assert f"{factor:.7g} times what it should be" in finding.title
    assert "the weight penalty beside it is right" in finding.title
    assert "has 0.0333333 times the weight" in finding.evidence  # 0.2 / 6


@pytest.mark.parametrize("biases", [True, False])
def test_of_other_layers_the_right_is_right(biases: bool):
    assert Elman(biases=biases).check().passed
    assert Elman(2.0, 0.4, biases=biases).check().passed  # another reduction of all


@pytest.mark.parametrize(
    ("share", "of_loss", "code"),
    [(0.2, 0.0, "weight-decay-not-in-loss"), (0.3, 0.2, "weight-decay-missing")],
)
def test_of_other_layers_another_penalty_is_told(share: float, of_loss: float, code: str):
    report = Elman(2.0, share, of_loss).check()
    assert {finding.code for finding in report.findings} == {code}, str(report)


def test_where_the_penalty_of_the_loss_is_not_known_both_ways_are_told():
    """The embedding's rows are picked by numbers: no samples of zeros, and no forward."""
    rng = np.random.default_rng(3)
    E, V = rng.normal(size=(7, 4)), rng.normal(size=(4, 3))
    b = rng.normal(size=3)

    def loss(x, y):
        a = np.tanh(E[x]) @ V + b
        return (np.sum((a - y) ** 2) / 2 + 0.05 * (np.sum(E**2) + np.sum(V**2))) / len(x)

    def gradients(x, y, factor=2.0):
        h = np.tanh(E[x])
        d = factor * (h @ V + b - y) / len(x)
        dE = 0.1 * E / len(x)
        np.add.at(dE, x, d @ V.T * (1 - h**2))
        return [dE, h.T @ d + 0.1 * V / len(x), d.sum(axis=0)]

    def picked(rng):
        return rng.integers(0, 7, 9), rng.normal(size=(9, 3))

    report = parity.check_gradients(loss, [E, V, b], gradients, picked)
    [finding] = report.findings
    assert finding.bug is TWO_SCALES, str(report)
    assert "either divide by 2 what comes of the data, or multiply the penalty" in finding.fix
    right = parity.check_gradients(loss, [E, V, b], lambda x, y: gradients(x, y, 1.0), picked)
    assert right.passed, str(right)


def test_gradients_read_off_a_step_may_have_its_own_learning_rate():
    net = Elman(2.0)
    [finding] = net.check(gradients=None, step=net.step).findings
    assert finding.bug is TWO_SCALES
