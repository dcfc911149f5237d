"""The common mistakes of backpropagation, each as a change of one piece of a hand-written network.

A network is computed by four pieces, which a mistake replaces: the output's error, the slope of an
activation, the gradients of a layer, and what is propagated to the layer below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity import Candidate

Piece = Callable[..., Any]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


VALUES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: 1.0 * z,
    "softmax": softmax,
}
SLOPES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(float),
    "linear": np.ones_like,
}


@dataclass
class Net:
    """A network whose pieces can be replaced.

    The pieces: ``error(net, a, y)`` is dC/da at the output, or dC/dz where it is fused;
    ``slope(net, layer, e)`` the delta from the gradient at a layer's activation;
    ``kernel(net, layer, delta)`` and ``bias(net, layer, delta)`` its gradients;
    ``down(net, layer, delta, e)`` the gradient at the activation below it.
    """

    sizes: tuple[int, ...] = (6, 5, 4, 3)
    hidden: str = "sigmoid"
    output: str = "sigmoid"
    fused: bool = False
    bias: bool = True
    columns: bool = False
    pieces: dict[str, Piece] = field(default_factory=dict[str, Piece])
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.depth = len(self.sizes) - 1
        self.names = [self.hidden] * (self.depth - 1) + [self.output]
        shapes = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        self.kernels = [rng.normal(size=s[::-1] if self.columns else s) for s in shapes]
        self.biases = [
            rng.normal(size=(n, 1) if self.columns else n) for n in self.sizes[1:] if self.bias
        ]

    def weights(self) -> list[Array]:
        if not self.bias:
            return self.kernels
        return [w for pair in zip(self.kernels, self.biases, strict=True) for w in pair]

    def upright(self) -> None:
        self.w = [k.T if self.columns else k for k in self.kernels]
        self.b = [b.reshape(-1) for b in self.biases]

    def run(self, x: Array) -> Array:
        self.upright()
        self.z: list[Array] = []
        self.a = [x]
        for layer in range(self.depth):
            z = self.a[-1] @ self.w[layer]
            self.z.append(z + self.b[layer] if self.bias else z)
            self.a.append(VALUES[self.names[layer]](self.z[-1]))
        return self.a[-1]

    def forward(self, x: Array) -> Array:
        return self.run(x.T).T if self.columns else self.run(x)

    def prime(self, layer: int) -> Array:
        return SLOPES[self.names[layer]](self.z[layer])

    def piece(self, name: str, usual: Piece) -> Piece:
        return self.pieces.get(name, usual)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        if self.columns:
            x, y = x.T, y.T
        a = self.run(x)
        self.m, self.y = len(x), y
        e = self.piece("error", lambda net, a, y: (a - y) / net.m)(self, a, y)
        found: list[Array] = []
        for layer in reversed(range(self.depth)):
            delta = self.piece("slope", right_slope)(self, layer, e)
            kernel = self.piece("kernel", right_kernel)(self, layer, delta)
            if self.bias:
                bias = self.piece("bias", right_bias)(self, layer, delta)
                found.insert(0, bias.reshape(-1, 1) if self.columns and np.ndim(bias) else bias)
            found.insert(0, kernel.T if self.columns else kernel)
            if layer:
                e = self.piece("down", right_down)(self, layer, delta, e)
        return found

    def candidate(self, **more: Any) -> Candidate:
        samples: Any = "columns" if self.columns else "rows"
        return Candidate(
            get_weights=self.weights, forward=self.forward, gradients=self.gradients,
            **{"samples": samples, **more},
        )  # fmt: skip


def right_slope(net: Net, layer: int, e: Array) -> Array:
    if layer == net.depth - 1 and net.fused:
        return e
    if net.names[layer] == "softmax":
        a = net.a[-1]
        return a * (e - (e * a).sum(axis=1, keepdims=True))
    return e * net.prime(layer)


def right_kernel(net: Net, layer: int, delta: Array) -> Array:
    return net.a[layer].T @ delta


def right_bias(net: Net, layer: int, delta: Array) -> Array:
    return delta.sum(axis=0)


def right_down(net: Net, layer: int, delta: Array, e: Array) -> Array:
    return delta @ net.w[layer].T


def at(where: int, wrong: Piece, usual: Piece) -> Piece:
    """Return a piece that is wrong in one layer; -1 is the output."""

    def piece(net: Net, layer: int, *more: Any) -> Any:
        here = layer == where % net.depth
        return (wrong if here else usual)(net, layer, *more)

    return piece


def hidden(wrong: Piece) -> Piece:
    """Return a slope that is wrong in the hidden layers."""

    def piece(net: Net, layer: int, e: Array) -> Any:
        return (right_slope if layer == net.depth - 1 else wrong)(net, layer, e)

    return piece


def errors_down(net: Net, layer: int, delta: Array, e: Array) -> Array:
    """Propagate the error without the layer's slope."""
    return e @ net.w[layer].T


def twice_down(net: Net, layer: int, delta: Array, e: Array) -> Array:
    """Propagate the delta with the layer's slope once more."""
    return (delta * net.prime(layer)) @ net.w[layer].T


def averaged_down(net: Net, layer: int, delta: Array, e: Array) -> Array:
    """Propagate the batch's mean delta."""
    return np.broadcast_to(delta.mean(axis=0), delta.shape) @ net.w[layer].T


def slope_of_delta(net: Net, layer: int, e: Array) -> Array:
    return SLOPES[net.names[layer]](e) * e


def slope_alone(net: Net, layer: int, e: Array) -> Array:
    return net.prime(layer)


def activation_for_slope(net: Net, layer: int, e: Array) -> Array:
    return e * net.a[layer + 1]


def one_minus_a(net: Net, layer: int, e: Array) -> Array:
    return e * (1 - net.a[layer + 1])


def kernel_of_means(net: Net, layer: int, delta: Array) -> Array:
    return np.outer(net.a[layer].mean(axis=0), delta.sum(axis=0))


def kernel_of_last(net: Net, layer: int, delta: Array) -> Array:
    return np.outer(net.a[layer][-1], delta[-1])


def one_number(net: Net, layer: int, delta: Array) -> Array:
    return np.full((net.sizes[layer], net.sizes[layer + 1]), np.sum(net.a[layer + 1] * delta))


def kernel_sums(net: Net, layer: int, delta: Array) -> Array:
    return (net.a[layer].T @ delta).sum(axis=0)


def averaged_jacobian(net: Net, layer: int, e: Array) -> Array:
    """Sum softmax's Jacobian where it is to be multiplied by the gradient."""
    if layer < net.depth - 1:
        return right_slope(net, layer, e)
    a = net.a[-1]
    jacobian = np.einsum("nj,jk->njk", a, np.eye(a.shape[1])) - a[:, :, None] * a[:, None, :]
    return jacobian.sum(axis=1) * e


def error(of: Callable[[Array, Array], Array]) -> Piece:
    """Return the piece that has this error, averaged over the batch."""
    return lambda net, a, y: of(a, y) / net.m


ERRORS: dict[str, Callable[[Array, Array], Array]] = {
    "targets-ignored": lambda a, y: a,
    "outputs-ignored": lambda a, y: -y,
    "targets-added": lambda a, y: a + y,
    "targets-turned": lambda a, y: a - (1 - y),
    "targets-shifted": lambda a, y: a - np.roll(y, 1, axis=1),
    "targets-of-one-sample": lambda a, y: a - y[:1],
    "loss-value": lambda a, y: (a - y) ** 2,
    "error-of-outputs": lambda a, y: (a - y).mean(axis=1, keepdims=True) * np.ones(y.shape),
    "error-one-number": lambda a, y: np.full(y.shape, (a - y).mean()),
    "one-sample": lambda a, y: (a - y) * (np.arange(len(y)) == len(y) - 1)[:, None],
}
# Code of each mistake, and the pieces that make it.
MISTAKES: dict[str, dict[str, Piece]] = {
    "slope-not-propagated": {"down": at(-1, errors_down, right_down)},
    "slope-propagated-twice": {"down": at(1, twice_down, right_down)},
    "delta-averaged": {"down": at(1, averaged_down, right_down)},
    "derivative-of-delta": {"slope": hidden(slope_of_delta)},
    "delta-left-out": {"slope": at(1, slope_alone, right_slope)},
    "activation-for-derivative": {"slope": hidden(activation_for_slope)},
    "derivative-slip": {"slope": hidden(one_minus_a)},
    "kernel-averaged": {"kernel": at(1, kernel_of_means, right_kernel)},
    "kernel-not-summed": {"kernel": at(0, kernel_of_last, right_kernel)},
    "kernel-one-number": {"kernel": at(1, one_number, right_kernel)},
    "bias-of-kernel": {"bias": kernel_sums},
    "vanishing": {"slope": averaged_jacobian},
    **{code: {"error": error(of)} for code, of in ERRORS.items()},
}


def mistaken(code: str) -> Net:
    """Return a network with one mistake in it."""
    output = "softmax" if code == "vanishing" else "sigmoid"
    return Net(output=output, fused=code == "outputs-ignored", pieces=MISTAKES[code])
