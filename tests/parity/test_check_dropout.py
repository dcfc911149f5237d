"""Dropout that is active in the gradients: its masks, rate and scale are read off them."""

from dataclasses import dataclass

import numpy as np
import pytest

import parity
from numpy_impl.layers import Dense, Dropout

RATES = (0.1, 0.2, 1 / 3, 0.5, 0.8)


@dataclass
class Net:
    """ReLU or tanh, dropout behind each hidden layer, softmax; written as a beginner would.

    Attributes:
        sizes: Inputs, then the units of each layer.
        rate: Of dropout.
        bug: What is wrong: "" for nothing.
        hidden: "relu" or "tanh".
        rows: Whether the samples of a batch share one mask.
        reseeded: Whether each call draws the same masks.
        bias: Whether the layers have biases.
    """

    sizes: tuple[int, ...] = (7, 15, 4)
    rate: float = 0.2
    bug: str = ""
    hidden: str = "relu"
    rows: bool = False
    reseeded: bool = False
    bias: bool = True

    def __post_init__(self):
        self.rng = np.random.default_rng(3)
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        self.kernels = [self.rng.standard_normal(pair) for pair in pairs]
        self.biases = [np.zeros(n * self.bias) for n in self.sizes[1:]]

    def mask(self, shape):
        kept = self.rng.random((1, shape[1]) if self.rows else shape) < 1 - self.rate
        if self.bug == "unscaled":
            return kept
        return kept * (1 - self.rate) if self.bug == "multiplied" else kept / (1 - self.rate)

    def forward(self, x, training=False):
        self.inputs, self.z, self.masks = [x], [], []
        for layer, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            z = self.inputs[-1] @ kernel + (bias if self.bias else 0)
            if layer == len(self.kernels) - 1:
                if len(kernel.T) == 1:
                    return 1 / (1 + np.exp(-z))
                e = np.exp(z - z.max(axis=1, keepdims=True))
                return e / e.sum(axis=1, keepdims=True)
            a = np.maximum(z, 0) if self.hidden == "relu" else np.tanh(z)
            self.z.append(z)
            self.masks.append(self.mask(a.shape) if training else np.ones(a.shape))
            self.inputs.append(a * self.masks[-1])
        raise AssertionError

    def gradients(self, x, y):
        if self.reseeded:
            self.rng = np.random.default_rng(5)
        delta = (self.forward(x, training=True) - y) / len(x)
        gradients = []
        for layer in reversed(range(len(self.kernels))):
            gradients.insert(0, delta.sum(axis=0))
            gradients.insert(0, self.inputs[layer].T @ delta)
            if layer:
                delta = delta @ self.kernels[layer].T * self.backward_mask(layer - 1)
                z = self.z[layer - 1]
                delta = delta * ((z > 0) if self.hidden == "relu" else 1 - np.tanh(z) ** 2)
        return gradients if self.bias else gradients[::2]

    def backward_mask(self, layer):
        if self.bug == "forgotten":
            return 1
        if self.bug == "redrawn":
            return self.mask(self.z[layer].shape)
        return self.masks[layer] > 0 if self.bug == "scale forgotten" else self.masks[layer]

    def connect(self):
        pairs = zip(self.kernels, self.biases, strict=True)
        arrays = [a for pair in pairs for a in pair] if self.bias else self.kernels
        return parity.Candidate(
            get_weights=lambda: arrays,
            forward=self.forward,
            gradients=self.gradients,
            labels="one-hot",
        )


def codes(net: Net, reference=None) -> list[str]:
    report = parity.check(net.connect, reference, keras=False)
    assert report.outcome is not parity.Outcome.UNKNOWN, str(report)
    assert report.passed == (not report.findings), str(report)
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("width", [10, 40, 500])
def test_right_dropout_passes_at_any_rate_and_width(rate: float, width: int):
    assert codes(Net((7, width, 4), rate)) == []


@pytest.mark.parametrize(
    "net",
    [
        Net(rows=True),
        Net(hidden="tanh", rate=0.3),
        Net((6, 20, 12, 3), 0.25),
        Net((6, 12, 12, 3), 0.5, hidden="tanh"),
        Net((6, 10, 1), 0.1),
        Net(rate=0.3721),
        Net(rate=0.95, sizes=(5, 40, 3)),
        Net(bias=False, rate=0.4),
        Net((6, 40, 3), bias=False, rate=0.2, hidden="tanh"),
        Net(reseeded=True),
        Net((6, 20, 12, 3), 0.5, reseeded=True),
    ],
    ids=str,
)
def test_right_dropout_of_another_kind_passes(net: Net):
    assert codes(net) == []


@pytest.mark.parametrize(
    ("bug", "code"),
    [
        ("forgotten", "dropout-mask-missing"),
        ("redrawn", "dropout-mask-redrawn"),
        ("scale forgotten", "dropout-scale-missing"),
        ("unscaled", "dropout-scale-missing"),
        ("multiplied", "dropout-multiplied"),
    ],
)
def test_wrong_dropout_is_named(bug: str, code: str):
    assert codes(Net(bug=bug)) == [code]


def test_wrong_dropout_is_named_behind_each_of_two_layers():
    net = Net((6, 12, 10, 3), 0.5, "forgotten", hidden="tanh")
    assert codes(net) == ["dropout-mask-missing"] * 2


def test_wrong_dropout_with_equal_masks_is_named():
    assert codes(Net(bug="forgotten", reseeded=True)) == ["dropout-mask-missing"]
    assert codes(Net(bug="unscaled", reseeded=True)) == ["units-left-out"]


def test_the_report_says_what_one_sample_a_call_cannot_show():
    report = parity.check(Net().connect, keras=False)
    assert "in batches only" in str(report)
    assert "rate 0, or training=False" in str(report)


def test_a_rate_that_cannot_be_read_can_be_named():
    net = Net(rate=0.37, bias=False)
    report = parity.check(net.connect, keras=False)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert "dropout off" in report.findings[0].fix
    assert "dropout behind the hidden layers" in report.findings[0].evidence
    hidden, output = Dense(15, "relu", use_bias=False), Dense(4, "softmax", use_bias=False)
    assert codes(net, [hidden, Dropout(0.37), output]) == []


def test_a_factor_on_the_activations_alone_is_not_taken_for_dropout():
    class Louder(Net):
        def mask(self, shape):
            return np.full(shape, 1.25)

    assert not parity.check(Louder().connect, keras=False).passed


def test_a_probe_with_a_whole_layer_dropped_hides_nothing():
    assert codes(Net((6, 12, 3), 0.9)) == []
    assert codes(Net((6, 12, 3), 0.9, "redrawn")) == ["dropout-mask-redrawn"]


def test_noise_is_not_taken_for_dropout():
    class Noisy(Net):
        def mask(self, shape):
            return 1 + 0.1 * self.rng.standard_normal(shape)

    report = parity.check(Noisy().connect, keras=False)
    assert [finding.code for finding in report.findings] == ["nondeterministic"]


class Trained(Net):
    """The same with a step and a loss, which is that of ``forward``: no unit is dropped in it."""

    guard: float = 0.0
    half: bool = False

    def set_weights(self, arrays):
        self.kernels, self.biases = list(arrays[::2]), list(arrays[1::2])
        if self.reseeded:
            self.rng = np.random.default_rng(5)

    def weights(self):
        return [a for pair in zip(self.kernels, self.biases, strict=True) for a in pair]

    def step(self, x, y, learning_rate):
        for n, (w, g) in enumerate(zip(self.weights(), self.gradients(x, y), strict=True)):
            w -= learning_rate * (g / 2 if self.half and n == 2 else g)

    def loss(self, x, y):
        return -np.mean(np.sum(y * np.log(self.forward(x) + self.guard), axis=1))

    def connect(self):
        return parity.Candidate(
            get_weights=self.weights, set_weights=self.set_weights, forward=self.forward,
            gradients=self.gradients, step=self.step, loss=self.loss, labels="one-hot",
        )  # fmt: skip


def trained(reseeded: bool, guard: float, bug: str = "", half: bool = False) -> Trained:
    net = Trained(reseeded=reseeded, bug=bug)
    net.guard, net.half = guard, half
    return net


@pytest.mark.parametrize("guard", [0.0, 1e-12])
@pytest.mark.parametrize("reseeded", [False, True])
def test_a_loss_in_which_no_unit_is_dropped_accuses_nobody(reseeded: bool, guard: float):
    report = parity.check(trained(reseeded, guard).connect, keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert "your own loss" in report.summary.partition("Not tested")[2]
    witness = next(w for w in report.witnesses if "own loss" in w.name)
    assert witness.agrees is None
    assert "does not drop the same" in witness.comment


@pytest.mark.parametrize("guard", [0.0, 1e-12])
@pytest.mark.parametrize("reseeded", [False, True])
def test_beside_it_wrong_dropout_is_named(reseeded: bool, guard: float):
    assert codes(trained(reseeded, guard, "scale forgotten")) == ["dropout-scale-missing"]


@pytest.mark.parametrize("reseeded", [False, True])
def test_a_wrong_step_is_seen_beside_gradients_that_drop_the_same_units(reseeded: bool):
    assert codes(trained(reseeded, 1e-12, half=True)) == ["times-half"]
