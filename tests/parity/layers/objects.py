"""Layers as objects: weights and gradients as attributes, or in dicts."""

from typing import Any

import numpy as np

from tests.parity.layers.functions import Pair, norm
from tests.parity.layers.recurrent import rnn


class Attributes:
    """Weights in self.W1, self.W2, ..., gradients in self.dW1, ...; two functions do the work."""

    def __init__(self, pair: Pair, *weights: Any, adds: bool = False) -> None:
        self.pair, self.adds, self.names = pair, adds, []
        for k, weight in enumerate(weights):
            self.names.append(f"W{k}")
            setattr(self, f"W{k}", np.array(weight))
            setattr(self, f"dW{k}", np.zeros_like(weight))

    def weights(self):
        return [getattr(self, name) for name in self.names]

    def call(self, *inputs, **named):
        out, self.cache = self.pair[0](*inputs, *self.weights(), **named)
        return out

    def forward(self, x):
        return self.call(x)

    def gradients(self, dout):
        """Return those of the inputs and of each weight; None is that of an embedding's numbers."""
        found = self.pair[1](dout, self.cache)
        found = found if isinstance(found, tuple) else (found,)
        inputs = found[: len(found) - len(self.names)]
        dx = inputs[0] if len(inputs) == 1 else inputs or None
        return dx, *found[len(inputs) :]

    def backward(self, dout):
        dx, *rest = self.gradients(dout)
        for name, gradient in zip(self.names, rest, strict=True):
            before = getattr(self, f"d{name}") if self.adds else 0
            setattr(self, f"d{name}", before + gradient)
        return dx


class Lists(Attributes):
    """What backward needs in a list that is emptied nowhere, of which it takes the first."""

    def __init__(self, pair: Pair, *weights: Any) -> None:
        super().__init__(pair, *weights)
        self.caches: list[Any] = []

    def call(self, *inputs, **named):
        out, cache = self.pair[0](*inputs, *self.weights(), **named)
        self.caches.append(cache)
        self.cache = self.caches[0]
        return out


class Dicts(Attributes):
    """The same in self.params and self.grads."""

    def __init__(self, pair: Pair, *weights: Any) -> None:
        super().__init__(pair)
        self.names = [f"W{k}" for k in range(len(weights))]
        self.params = dict(zip(self.names, map(np.array, weights), strict=True))
        self.grads: dict[str, Any] = {}

    def weights(self):
        return list(self.params.values())

    def backward(self, dout):
        dx, *rest = self.gradients(dout)
        self.grads = dict(zip(self.names, rest, strict=True))
        return dx


def several(style: type[Attributes], inputs: int) -> type[Attributes]:
    """Return a style of object whose forward takes several inputs, and a mask that may be None."""

    def call(layer, *given, mask):
        return Attributes.call(layer, *given, **({} if mask is None else {"mask": mask}))

    def of_two(self, x, h0, mask=None):
        return call(self, x, h0, mask=mask)

    def of_three(self, q, k, v, mask=None):
        return call(self, q, k, v, mask=mask)

    forward = {1: style.forward, 2: of_two, 3: of_three}[inputs]
    return type(style.__name__, (style,), {"forward": forward})


class Recurrent:
    """A recurrent layer that begins each call in zeros, or by mistake where the last one ended."""

    def __init__(self, bug: str = "", units: int = 5, inputs: int = 2) -> None:
        rng = np.random.default_rng(0)
        self.Wx, self.Wh = rng.normal(size=(inputs, units)), rng.normal(size=(units, units))
        self.b, self.bug, self.h, self.pair = np.zeros(units), bug, None, rnn()

    def forward(self, x):
        h0 = np.zeros((len(x), len(self.b)))
        if self.bug == "kept" and self.h is not None:
            h0 = self.h
        out, self.cache = self.pair[0](x, h0, self.Wx, self.Wh, self.b)
        self.h = out[:, -1]
        return out

    def backward(self, dout):
        dx, _, self.dWx, self.dWh, self.db = self.pair[1](dout, self.cache)
        return dx


class BatchNorm:
    """Batch normalization with moving averages, and a flag for training."""

    def __init__(self, bug: str = "", features: int = 5, momentum: float = 0.9) -> None:
        self.gamma, self.beta = np.ones(features), np.zeros(features)
        self.running_mean, self.running_var = np.zeros(features), np.ones(features)
        self.bug, self.momentum, self.pair = bug, momentum, norm()

    def forward(self, x, training=True):
        if not training and self.bug != "inference":
            hat = (x - self.running_mean) / np.sqrt(self.running_var + 1e-3)
            return hat * self.gamma + self.beta
        out, self.cache = self.pair[0](x, self.gamma, self.beta)
        if training:
            m = 1 - self.momentum if self.bug == "momentum" else self.momentum
            var = x.var(axis=0, ddof=int(self.bug == "unbiased"))
            self.running_mean = m * self.running_mean + (1 - m) * x.mean(axis=0)
            self.running_var = m * self.running_var + (1 - m) * var
        return out

    def backward(self, dout):
        dx, self.dgamma, self.dbeta = self.pair[1](dout, self.cache)
        return dx
