"""Weights and answers that are arrays of another library, single numbers, or not there yet."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import CheckReport, Outcome

Arrays = list[Any]


def weights(*sizes: int) -> Arrays:
    rng = np.random.default_rng(0)
    made: Arrays = []
    for inputs, units in pairwise(sizes):
        made += [rng.normal(size=(inputs, units)), rng.normal(size=units)]
    return made


def checked(candidate: parity.Candidate) -> CheckReport:
    return parity.check(candidate, keras=False)


def codes(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings]


def tanh_net(w: Arrays, keep: int = 4, factor: float = 1.0) -> parity.Candidate:
    """A network of two layers that gives the first ``keep`` of its gradients."""

    def forward(x: Any) -> Any:
        return np.tanh(x @ w[0] + w[1]) @ w[2] + w[3]

    def gradients(x: Any, y: Any) -> Arrays:
        h = np.tanh(x @ w[0] + w[1])
        d = 2 * (h @ w[2] + w[3] - y) / y.size
        dh = d @ w[2].T * (1 - h**2)
        given = [factor * x.T @ dh, dh.sum(axis=0), h.T @ d, d.sum(axis=0)]
        return [*given[:keep], *[None] * (4 - keep)]

    return parity.Candidate(get_weights=lambda: w, forward=forward, gradients=gradients)


def test_gradients_that_are_not_written_yet_are_not_accused():
    report = checked(tanh_net(weights(4, 5, 3), keep=2))
    assert (report.outcome, codes(report)) == (Outcome.UNKNOWN, ["not-given"])
    assert report.findings[0].where == "gradients of weights[2], weights[3]"
    assert report.summary.startswith("What could be checked is right; ")
    assert [t.right for t in report.tensors if t.kind == "gradient"] == [True, True]


def test_what_is_given_is_checked_beside_what_is_not():
    report = checked(tanh_net(weights(4, 5, 3), keep=2, factor=-1.0))
    assert report.outcome is Outcome.WRONG
    assert codes(report)[-1] == "not-given"
    assert report.findings[0].where.startswith("layer 1")


def test_none_for_each_weight_is_no_answer():
    report = checked(tanh_net(weights(4, 5, 3), keep=0))
    assert (report.outcome, codes(report)) == (Outcome.UNKNOWN, ["unusable-answer"])
    assert report.findings[0].evidence == "expected arrays. Received: None for each weight"


def test_the_axis_of_the_batch_is_named_where_it_is_left_in_a_gradient():
    w = weights(4, 5)

    def gradients(x: Any, y: Any) -> Arrays:
        d = x @ w[0] + w[1] - y
        return [(x[:, :, None] * d[:, None, :]).sum(axis=1), d.sum(axis=0)]

    report = checked(
        parity.Candidate(
            get_weights=lambda: w, forward=lambda x: x @ w[0] + w[1], gradients=gradients
        )
    )
    assert codes(report) == ["wrong-shape"]
    assert report.findings[0].evidence.endswith("is the batch: it is not summed over the samples")


@pytest.mark.parametrize("slip", [1.0, 0.5])
def test_a_neuron_of_single_numbers(slip: float):
    w = [np.array(0.5), np.array(0.2)]

    def forward(x: Any) -> Any:
        return 1 / (1 + np.exp(-(w[0] * x + w[1])))

    def gradients(x: Any, y: Any) -> Arrays:
        a = forward(x)
        d = (a - y) * a * (1 - a)
        return [float((d * x).sum()), slip * float(d.sum())]

    report = checked(parity.Candidate(get_weights=lambda: w, forward=forward, gradients=gradients))
    assert report.passed == (slip == 1.0), str(report)
    assert "the one layer 1-1 (sigmoid)" in report.reference


@pytest.mark.parametrize("slip", [1.0, 0.5])
def test_variables_of_tensorflow(slip: float):
    tf: Any = pytest.importorskip("tensorflow")
    w = [tf.Variable(array) for array in weights(4, 5, 3)]

    def forward(x: Any) -> Any:
        return tf.nn.relu(tf.convert_to_tensor(x) @ w[0] + w[1]) @ w[2] + w[3]

    def gradients(x: Any, y: Any) -> Arrays:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((forward(x) - y) ** 2)
        found = tape.gradient(loss, w)
        return [*found[:3], slip * found[3]]

    before = [v.numpy() for v in w]
    report = checked(parity.Candidate(get_weights=lambda: w, forward=forward, gradients=gradients))
    assert report.passed == (slip == 1.0), str(report)
    assert all(np.array_equal(v.numpy(), b) for v, b in zip(w, before, strict=True))


class Tensor:
    """As much of PyTorch's tensors as the network below needs; like them it takes no ndarray."""

    def __init__(self, values: Any, leaf: bool = False) -> None:
        self.values = np.asarray(values, np.float32)
        self.leaf = leaf
        self.shape = self.values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.leaf:
            raise RuntimeError("call detach() first")
        return self.values.astype(dtype or self.values.dtype)

    def detach(self) -> "Tensor":
        shared = Tensor(self.values)
        shared.values = self.values
        return shared

    def cpu(self) -> "Tensor":
        return self

    def new_tensor(self, values: Any) -> "Tensor":
        return Tensor(values)

    def copy_(self, other: "Tensor") -> None:
        self.values[...] = other.values

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.values @ other.values)

    def __rmatmul__(self, other: Any) -> "Tensor":
        raise TypeError("expected Tensor as argument 0, but got numpy.ndarray")

    def __add__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.values + other.values)

    def __sub__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.values - other.values)

    # NumPy is to leave the operators to this class, as it does with PyTorch's.
    __array_ufunc__ = None

    def long(self) -> "Tensor":
        return self

    def t(self) -> "Tensor":
        return Tensor(self.values.T)

    def sum(self, axis: int) -> "Tensor":
        return Tensor(self.values.sum(axis))


@pytest.mark.parametrize("slip", [False, True])
def test_a_network_that_takes_its_own_tensors_only(slip: bool):
    w, b = (Tensor(array, leaf=True) for array in weights(4, 3))
    before = [w.values.copy(), b.values.copy()]

    def gradients(x: Any, y: Any) -> Arrays:
        d = x @ w + b - y
        return [x.t() @ d, (d + d if slip else d).sum(0)]

    candidate = parity.Candidate(
        get_weights=lambda: [w, b], forward=lambda x: x @ w + b, gradients=gradients
    )
    report = checked(candidate)
    assert report.passed != slip, str(report)
    assert report.conventions["dtype"] == "float32"
    assert np.array_equal(w.values, before[0])
    assert np.array_equal(b.values, before[1])


@pytest.mark.parametrize("slip", [1.0, 0.5])
def test_a_network_of_pytorch(slip: float):
    torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
    w = [torch.tensor(array, requires_grad=True) for array in weights(4, 5, 3)]

    def forward(x: Any) -> Any:
        return torch.tanh(x @ w[0] + w[1]) @ w[2] + w[3]

    def gradients(x: Any, y: Any) -> Arrays:
        loss = ((forward(x) - y) ** 2).mean()
        found = torch.autograd.grad(loss, w)
        return [slip * found[0], *found[1:]]

    report = checked(parity.Candidate(get_weights=lambda: w, forward=forward, gradients=gradients))
    assert report.passed == (slip == 1.0), str(report)
    assert report.conventions["dtype"] == "float64"
