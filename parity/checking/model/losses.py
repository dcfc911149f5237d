"""The losses that a gradient may be of, and the reductions that explain a constant factor.

Each is taken in its plainest form, summed over batch and outputs; averages are factors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from numpy_impl import losses as numpy_losses
from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import softmax, through
from parity.bounds.layers import weight_gradients
from parity.bounds.rounding import Approx
from parity.checking.model.layout import Key
from parity.checking.model.network import Pass

LossSlope = Callable[[Approx, Array], Approx]
# (operations, outputs, targets) -> a number; the operations are NumPy's or Keras's.
Cost = Callable[[Any, Any, Any], Any]
# (batch, outputs) -> the factor of a reduction on the summed form.
Factor = Callable[[int, int], float]


@dataclass(frozen=True, eq=False)
class LossKind:
    """A loss up to its reduction; it is equal to itself alone, whatever it is called.

    Attributes:
        name: In words, with its formula.
        family: Losses of one family differ by a factor, or by what cancels in their gradient.
        slope: ``dC/da`` from the outputs and the targets.
        usual: Output activations with which it is commonly used, tried first there.
        formula: The slope in words.
        cost: The loss itself; None where it is known by its values alone.
    """

    name: str
    family: Literal["squared", "cross-entropy", "absolute", "huber", "own"]
    slope: LossSlope
    usual: tuple[str, ...]
    formula: str
    cost: Cost | None = None

    def cancels(self, function: ActivationFunction) -> bool:
        """Return whether the output activation's derivative cancels: ``dC/dz`` is ``a - y``."""
        return (self.name, function.name) in _CANCEL

    def incoming(self, fwd: Pass, y: Array) -> Approx | None:
        """Return the right ``dC/da`` at the output; None where it is not known by itself."""
        return self.slope(fwd.output, y)

    def delta(self, fwd: Pass, y: Array) -> Approx:
        """Return the right ``dC/dz`` at the output.

        Its bound covers the algebraically equal ways to compute it: through the derivative of the
        activation, or in closed form where the two cancel.
        """
        z, a = fwd.z[-1], fwd.a[-1]
        function = fwd.plan.activations[-1]
        unfused = through(function, z, a, self.slope(a, y))
        if not self.cancels(function):
            return unfused
        fused = a - y
        return Approx(fused.value, np.maximum(fused.bound, unfused.bound), fused.rounding)


def _signed(a: Approx, y: Array) -> Approx:
    return a.rounding.exact(np.sign(a.value - y))


def _cut_off(a: Approx, y: Array) -> Approx:
    e = a - y
    return Approx(np.clip(e.value, -1.0, 1.0), e.bound, e.rounding)


def _cost_of_huber(ops: Any, a: Any, y: Any) -> Any:
    error = ops.abs(a - y)
    near = ops.minimum(error, 1.0)
    return ops.sum(0.5 * near**2 + (error - near))


def _cost_of_logits(ops: Any, a: Any, y: Any) -> Any:
    shifted = a - ops.max(a, axis=-1, keepdims=True)
    total = ops.log(ops.sum(ops.exp(shifted), axis=-1, keepdims=True))
    return -ops.sum(y * (shifted - total))


SQUARED = LossKind(
    "squared error", "squared", lambda a, y: a - y, ("linear", "sigmoid", "tanh", "relu"), "a - y",
    lambda ops, a, y: 0.5 * ops.sum((a - y) ** 2),
)  # fmt: skip
CATEGORICAL = LossKind(
    "categorical cross-entropy -sum y ln a", "cross-entropy",
    lambda a, y: a.rounding.exact(-y) / a, ("softmax",), "-y / a",
    lambda ops, a, y: -ops.sum(y * ops.log(a)),
)  # fmt: skip
BINARY = LossKind(
    "binary cross-entropy", "cross-entropy",
    lambda a, y: (a - y) / (a * (1.0 - a)), ("sigmoid",), "(a - y) / (a (1 - a))",
    lambda ops, a, y: -ops.sum(y * ops.log(a) + (1 - y) * ops.log(1 - a)),
)  # fmt: skip
ABSOLUTE = LossKind(
    "absolute error", "absolute", _signed, (), "sign(a - y)",
    lambda ops, a, y: ops.sum(ops.abs(a - y)),
)  # fmt: skip
HUBER = LossKind(
    "Huber's loss (delta 1)", "huber", _cut_off, (), "a - y, cut off at -1 and 1", _cost_of_huber
)
LOGITS = LossKind(
    "categorical cross-entropy of the softmax of your outputs", "cross-entropy",
    lambda a, y: softmax(a) - y, (), "softmax(a) - y", _cost_of_logits,
)  # fmt: skip
BINARY_LOGITS = LossKind(
    "binary cross-entropy of the sigmoid of your outputs", "cross-entropy",
    lambda a, y: a.monotone(lambda v: 1 / (1 + np.exp(-v)), 8.0) - y, (), "sigmoid(a) - y",
    lambda ops, a, y: ops.sum(ops.log(1 + ops.exp(a)) - y * a),
)  # fmt: skip
LOG_LIKELIHOOD = LossKind(
    "negative log-likelihood -sum y a of log-probabilities", "cross-entropy",
    lambda a, y: a.rounding.exact(-y), ("log_softmax",), "-y", lambda ops, a, y: -ops.sum(y * a),
)  # fmt: skip

# Where the derivative of the activation cancels against the loss's: dC/dz is a - y.
_CANCEL = {(CATEGORICAL.name, "softmax"), (BINARY.name, "sigmoid"), (SQUARED.name, "linear")}
_BY_NAME: dict[str, tuple[LossKind, Factor]] = {
    "quadratic": (SQUARED, lambda n, c: 1 / n),
    "mean_squared_error": (SQUARED, lambda n, c: 2 / (n * c)),
    "mse": (SQUARED, lambda n, c: 2 / (n * c)),
    "mean_absolute_error": (ABSOLUTE, lambda n, c: 1 / (n * c)),
    "mae": (ABSOLUTE, lambda n, c: 1 / (n * c)),
    "huber": (HUBER, lambda n, c: 1 / (n * c)),
    "categorical_crossentropy": (CATEGORICAL, lambda n, c: 1 / n),
    "sparse_categorical_crossentropy": (CATEGORICAL, lambda n, c: 1 / n),
    "binary_crossentropy": (BINARY, lambda n, c: 1 / (n * c)),
    "categorical_crossentropy/logits": (LOGITS, lambda n, c: 1 / n),
    "sparse_categorical_crossentropy/logits": (LOGITS, lambda n, c: 1 / n),
    "binary_crossentropy/logits": (BINARY_LOGITS, lambda n, c: 1 / (n * c)),
}  # fmt: skip


def correct_gradients(
    kind: LossKind, fwd: Pass, y: Array, through_kernels: Mapping[Key, Array] | None = None
) -> dict[Key, Approx]:
    """Return the right gradients of a loss, summed over batch and outputs.

    Args:
        kind: The loss.
        fwd: The forward pass.
        y: Targets, (N, outputs).
        through_kernels: What the deltas are propagated through, where that is not the kernels.
    """
    plan, delta = fwd.plan, kind.delta(fwd, y)
    found: dict[Key, Approx] = {}
    for layer in reversed(range(plan.depth)):
        kernel, bias = weight_gradients(fwd.inputs[layer], delta)
        if fwd.biases[layer] is not None:
            found[Key(layer, "bias")] = bias
        found[Key(layer, "kernel")] = kernel
        if layer:
            w = fwd.kernels[layer]
            if through_kernels is not None:
                w = fwd.rounding.exact(through_kernels[Key(layer, "kernel")])
            e = fwd.dropped(layer - 1, delta @ w.T)
            delta = through(plan.activations[layer - 1], fwd.z[layer - 1], fwd.a[layer - 1], e)
    return dict(reversed(found.items()))


@dataclass(frozen=True)
class Declared:
    """A loss that was named, with its reduction.

    Attributes:
        name: As it was given.
        kind: Which loss.
        factor: Its factor on the summed form.
    """

    name: str
    kind: LossKind
    factor: Factor


def declared(name: str) -> Declared:
    """Return the loss with one of Keras's names; "/sum" behind it sums over the batch.

    Raises:
        ValueError: The name is not known.
    """
    plain = name.removesuffix("/sum")
    if plain not in _BY_NAME:
        raise ValueError(
            f"loss: expected one of {', '.join([*numpy_losses.LOSSES, 'huber'])}, or with /sum "
            "behind it. "
            f"Received: {name!r}"
        )
    kind, factor = _BY_NAME[plain]
    if plain == name:
        return Declared(name, kind, factor)
    return Declared(name, kind, lambda n, c: n * factor(n, c))


def meant(stated: Declared, activation: str) -> Declared:
    """Return the loss that a name means of outputs with this activation.

    Cross-entropy takes logarithms of probabilities. Where the outputs are logits, or logarithms
    already, it is that of the probabilities behind them (Keras's ``from_logits=True``).
    """
    behind = {
        ("linear", CATEGORICAL.name): LOGITS,
        ("linear", BINARY.name): BINARY_LOGITS,
        ("log_softmax", CATEGORICAL.name): LOG_LIKELIHOOD,
    }.get((activation, stated.kind.name))
    return stated if behind is None else replace(stated, kind=behind)


def kinds(activation: str) -> list[LossKind]:
    """Return the losses that may stand behind an output activation, the usual ones first."""
    # A stretched function such as softmax(-z) goes with the losses of the function itself.
    activation = activation.removesuffix(")").partition("(")[0]
    every = [SQUARED, CATEGORICAL, BINARY, ABSOLUTE]
    if activation == "linear":
        every += [LOGITS, BINARY_LOGITS]
    if activation == "log_softmax":
        every = [LOG_LIKELIHOOD, SQUARED, ABSOLUTE]
    if activation not in ("softmax", "sigmoid"):  # logarithms need outputs in 0..1
        every = [kind for kind in every if kind not in (CATEGORICAL, BINARY)]
    return sorted(every, key=lambda kind: activation not in kind.usual)


def reductions(kind: LossKind, batch: int, outputs: int) -> list[tuple[float, str]]:
    """Return the factors on the summed form that some usual reduction has, with its words.

    Always as many, in the same order, whatever the batch.
    """
    heads = [(1.0, "1/2 sum (a-y)^2"), (2.0, "sum (a-y)^2")] if kind is SQUARED else [(1.0, "")]
    found: list[tuple[float, str]] = []
    for k, head in heads:
        for n, over_batch in ((batch, "averaged over the batch"), (1, "summed over the batch")):
            for c, over_outputs in ((1, ""), (outputs, ", averaged over the outputs")):
                words = f"{head or kind.name}, {over_batch}{over_outputs}"
                found.append((k / (n * c), words))
    return found
