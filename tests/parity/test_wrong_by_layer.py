"""Slopes and errors that are lost or taken elsewhere, and scales of dropout layer by layer."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from numpy_impl.types import Array
from parity import Candidate, Outcome
from tests.parity.test_wrong_sums import checked, codes

SLOPES: dict[str, Callable[[Array, Array], Array]] = {
    "tanh": lambda z, a: 1 - a * a,
    "sigmoid": lambda z, a: a * (1 - a),
    "leaky": lambda z, a: np.where(z > 0, 1, 0.2),
    "elu": lambda z, a: np.where(z > 0, 1, np.exp(z)),
    "linear": lambda z, a: np.ones_like(z),
}
VALUES: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "leaky": lambda z: np.where(z > 0, z, 0.2 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "linear": lambda z: z,
}
# (e, number of the layer, its name, all z, all a) to the layer's delta.
Through = Callable[[Array, int, str, list[Array], list[Array]], Array]


def layered(
    sizes: Sequence[int],
    functions: Sequence[str],
    through: Through,
    average: bool = True,
    error: Callable[[Array, Array], Array] | None = None,
    labels: str | None = None,
) -> Candidate:
    """A network whose hidden deltas ``through`` computes, and the output's ``error``."""
    rng = np.random.default_rng(7)
    kernels = [rng.normal(size=pair) / np.sqrt(pair[0]) for pair in pairwise(sizes)]
    biases = [0.1 * rng.normal(size=n) for n in sizes[1:]]

    def run(x: Array) -> tuple[list[Array], list[Array]]:
        zs, activations = [], [x]
        for kernel, bias, name in zip(kernels, biases, functions, strict=True):
            zs.append(activations[-1] @ kernel + bias)
            activations.append(VALUES[name](zs[-1]))
        return zs, activations

    def gradients(x: Array, y: Array) -> list[Array]:
        zs, activations = run(x)
        last, scale = len(kernels) - 1, 1 / len(x) if average else 1.0
        if error is None:
            delta = (activations[-1] - y) * SLOPES[functions[-1]](zs[-1], activations[-1]) * scale
        else:
            delta = error(activations[-1], y) * scale
        found: list[Array] = []
        for n in reversed(range(last + 1)):
            found = [activations[n].T @ delta, delta.sum(axis=0), *found]
            if n:
                e = delta @ kernels[n].T
                delta = through(e, n - 1, functions[n - 1], zs, activations[1:])
        return found

    return Candidate(
        get_weights=lambda: [w for pair in zip(kernels, biases, strict=True) for w in pair],
        forward=lambda x: run(x)[1][-1],
        gradients=gradients,
        labels=labels,  # type: ignore[arg-type]
    )


def of_output(e: Array, n: int, name: str, zs: list[Array], activations: list[Array]) -> Array:
    """As where a loop's variable is bound late: every layer takes the output's activation."""
    return e * SLOPES[name](zs[-1], activations[-1])


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid"])
@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_the_slope_at_the_output_is_named_in_every_layer(hidden: str, output: str) -> None:
    sizes, functions = (4, 5, 5, 5, 5), (hidden, hidden, hidden, output)
    report = checked(layered(sizes, functions, of_output))
    assert codes(report) == [
        ("derivative-of-other-layer", f"layer {n}'s delta") for n in (3, 2, 1)
    ], str(report)
    assert ["output" in f.title for f in report.findings] == [False, True, True]
    assert "next" in report.findings[0].title


def below_alone(e: Array, n: int, name: str, zs: list[Array], activations: list[Array]) -> Array:
    """``delta[z < 0] = slope``, where ``*=`` is meant."""
    return np.where(zs[n] < 0, SLOPES[name](zs[n], activations[n]), e)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("hidden", ["leaky", "elu"])
@pytest.mark.parametrize("average", [True, False])
def test_a_delta_that_is_lost_where_z_is_negative_is_named(hidden: str, average: bool) -> None:
    report = checked(layered((4, 6, 5, 3), (hidden, hidden, "linear"), below_alone, average))
    assert codes(report) == [
        ("delta-left-out", "layer 2's delta"), ("delta-left-out", "layer 1's delta"),
    ], str(report)  # fmt: skip
    assert all("where z < 0" in finding.title for finding in report.findings)


def right(e: Array, n: int, name: str, zs: list[Array], activations: list[Array]) -> Array:
    return e * SLOPES[name](zs[n], activations[n])


@pytest.mark.parametrize("hidden", ["leaky", "elu", "tanh", "sigmoid"])
def test_the_right_slopes_are_right(hidden: str) -> None:
    report = checked(layered((4, 5, 5, 5), (hidden, hidden, "linear"), right))
    assert report.outcome is Outcome.RIGHT, str(report)


def softmax(z: Array) -> Array:
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def of_columns(a: Array, y: Array) -> Array:
    """The index picks columns: ``scores[:, y] -= 1``."""
    scores = softmax(a)
    scores[:, y] -= 1
    return scores


def of_elements(a: Array, y: Array) -> Array:
    scores = softmax(a)
    scores[np.arange(len(y)), y] -= 1
    return scores


@pytest.mark.parametrize("hidden", ["tanh", "leaky"])
@pytest.mark.parametrize("outputs", [5, 23])
def test_targets_taken_off_whole_columns_are_named(hidden: str, outputs: int) -> None:
    given = {"error": of_columns, "labels": "integer"}
    report = checked(layered((4, 6, outputs), (hidden, "linear"), right, **given))
    (finding,) = report.findings
    assert finding.code == "targets-of-every-sample", str(report)
    assert finding.where == "layer 2's delta, at the output"


def test_targets_taken_off_single_elements_are_right() -> None:
    given = {"error": of_elements, "labels": "integer"}
    report = checked(layered((4, 6, 5), ("tanh", "linear"), right, **given))
    assert report.outcome is Outcome.RIGHT, str(report)


class Dropping:
    """Dropout at ``rate`` behind each hidden layer; the backward pass lacks ``missing`` scales.

    Args:
        missing: By what each layer's gradient is off.
    """

    def __init__(self, missing: Sequence[float], rate: float, function: str = "tanh") -> None:
        self.rng = np.random.default_rng(3)
        self.missing, self.rate, self.function = missing, rate, function
        sizes = (*(5, 9, 8, 7)[: len(missing) + 1], 3)
        self.kernels = [self.rng.normal(size=p) / np.sqrt(p[0]) for p in pairwise(sizes)]
        self.biases = [0.1 * self.rng.normal(size=n) for n in sizes[1:]]

    def weights(self) -> list[Array]:
        return [w for pair in zip(self.kernels, self.biases, strict=True) for w in pair]

    def run(self, x: Array, masks: list[Array]) -> tuple[list[Array], list[Array], list[Array]]:
        zs, activations, signals = [], [], [x]
        for n, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            zs.append(signals[-1] @ kernel + bias)
            hidden = n < len(self.missing)
            activations.append(VALUES[self.function if hidden else "linear"](zs[-1]))
            signals.append(activations[-1] * masks[n] if hidden and masks else activations[-1])
        return zs, activations, signals

    def gradients(self, x: Array, y: Array) -> list[Array]:
        keep = 1 - self.rate
        shapes = [(len(x), kernel.shape[1]) for kernel in self.kernels[:-1]]
        masks = [(self.rng.random(shape) < keep) / keep for shape in shapes]
        zs, activations, signals = self.run(x, masks)
        delta, found = (signals[-1] - y) / len(x), []
        for n in reversed(range(len(self.kernels))):
            found = [signals[n].T @ delta, delta.sum(axis=0), *found]
            if n:
                e = delta @ self.kernels[n].T * masks[n - 1] * self.missing[n - 1]
                delta = e * SLOPES[self.function](zs[n - 1], activations[n - 1])
        return found

    def candidate(self) -> Candidate:
        return Candidate(
            get_weights=self.weights,
            forward=lambda x: self.run(x, [])[2][-1],
            gradients=self.gradients,
        )


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("rate", [0.2, 0.5])
@pytest.mark.parametrize(
    ("scaled", "named"),
    [
        ((True, True), [2, 1]),
        ((True, False), [1]),
        ((False, True), [2]),
        ((True, True, True), [3, 2, 1]),
        ((True, False, True), [3, 1]),
        ((False, False), []),
    ],
)
def test_each_layers_scale_of_dropout_is_named_by_itself(rate: float, scaled, named) -> None:
    missing = [1 - rate if lacks else 1.0 for lacks in scaled]
    report = checked(lambda: Dropping(missing, rate).candidate())
    assert [f.code for f in report.findings] == ["dropout-scale-missing"] * len(named), str(report)
    assert [f.where[:7] for f in report.findings] == [f"layer {n}" for n in named]
