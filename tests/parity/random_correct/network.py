"""A random network as somebody would write it: forward pass, loss, backpropagation."""

from itertools import pairwise
from typing import Any

import numpy as np

from tests.parity.random_correct.functions import (
    FUNCTIONS,
    log_softmax,
    softmax,
    softmax_back,
)
from tests.parity.random_correct.losses import LOSSES
from tests.parity.random_correct.spec import Spec
from tests.parity.random_correct.ways import WAYS


class Network:
    """Computes what a spec says, in its own conventions and precision.

    Attributes:
        kernels, biases: In the spec's shapes; no biases where they are folded or left out.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.way = WAYS[spec.samples](spec.kernel)
        self.loss_kind = LOSSES[spec.loss]
        self.dtype: Any = np.float64 if spec.dtype == "float64" else np.float32
        rng = np.random.default_rng([spec.seed, 1])
        self.kernels = [self._kernel(rng, *pair) for pair in pairwise(spec.sizes)]
        self.biases = []
        if spec.bias.startswith("("):
            self.biases = [self._bias(rng, n) for n in spec.sizes[1:]]

    def _kernel(self, rng: np.random.Generator, inputs: int, units: int):
        kernel = rng.standard_normal((inputs, units)) * 0.5 / np.sqrt(inputs)
        if self.spec.folded:
            row = self._first_biases(rng, units)[None]
            rows = [row, kernel] if self.spec.bias == "first" else [kernel, row]
            kernel = np.vstack(rows)
        kernel = kernel.T if self.spec.kernel == "out-in" else kernel
        return np.array(kernel, self.dtype, order="F" if self.spec.fortran else "C")

    def _bias(self, rng: np.random.Generator, units: int):
        shape = {"(n,)": (units,), "(1, n)": (1, units), "(n, 1)": (units, 1)}[self.spec.bias]
        return self._first_biases(rng, units).reshape(shape).astype(self.dtype)

    def _first_biases(self, rng: np.random.Generator, units: int):
        return np.zeros(units) if self.spec.zero_biases else rng.standard_normal(units) * 0.1

    # Forward.

    def run(self, x) -> tuple[list[Any], list[Any]]:
        """Return the inputs and every layer's activation, and every layer's pre-activation."""
        x = self._cast(x)
        activations, sums = [x], []
        for layer, w in enumerate(self.kernels):
            a = activations[-1]
            a = self.way.extended(a, self.spec.bias) if self.spec.folded else a
            z = self.way.weighted(a, w)
            z = self.way.plus(z, self.biases[layer]) if self.biases else z
            sums.append(z)
            activations.append(self._activation(layer, z))
        return activations, sums

    def forward(self, x) -> Any:
        """Return what the spec says that ``forward`` returns."""
        activations, _ = self.run(x)
        start = {"outputs": -1, "all": 1, "all with inputs": 0}[self.spec.answers]
        return activations[-1] if start == -1 else activations[start:]

    def _activation(self, layer: int, z):
        name = (*self.spec.hidden, self.spec.output)[layer]
        if name == "softmax":
            return softmax(z, self.way.axis, self.spec.shifted)
        if name == "log_softmax":
            return log_softmax(z, self.way.axis, self.spec.shifted)
        return FUNCTIONS[name][self.spec.written[layer]][0](z)

    # Loss.

    def loss(self, x, y) -> Any:
        """Return the cost."""
        activations, _ = self.run(x)
        a = activations[-1]
        cost = self.loss_kind.value(a, self._targets(y, a), self.way.axis)
        cost = cost * self._share(a)
        decay = self._decay(activations[0])
        if decay:
            cost = cost + decay / 2 * sum(np.sum(self._decayed(w) ** 2) for w in self.kernels)
        if decay and self.spec.decays_biases:
            cost = cost + decay / 2 * sum(np.sum(b**2) for b in self.biases)
        return cost

    def _share(self, a) -> float:
        """Return what the sum over batch and outputs is multiplied by."""
        share = 1 / self.way.count(a) if self.spec.over_batch else 1.0
        return share / self.spec.sizes[-1] if self.spec.over_outputs else share

    def _decay(self, x) -> float:
        return self.spec.decay / (self.way.count(x) if self.spec.decay_over_batch else 1)

    def _decayed(self, w):
        """Return the part of a kernel that decays: without folded biases, unless they do too."""
        if not self.spec.folded or self.spec.decays_biases:
            return w
        keep = slice(1, None) if self.spec.bias == "first" else slice(None, -1)
        return w[:, keep] if self.spec.kernel == "out-in" else w[keep]

    def _targets(self, y, a):
        if self.spec.labels == "one-hot":
            return self._cast(y)
        if self.spec.labels == "integer, 2-d":
            y = self.way.from_2d(y)
        if self.spec.sizes[-1] > 1:
            return self._cast(self.way.classes(y, self.spec.sizes[-1]))
        return self._cast(np.asarray(y, dtype=float).reshape(a.shape))

    def _cast(self, array):
        return array.astype(np.float32) if self.spec.dtype == "float32" else array

    # Backward.

    def gradients(self, x, y) -> tuple[list[Any], list[Any]]:
        """Return the gradients of kernels and of biases."""
        activations, sums = self.run(x)
        delta = self._output_delta(sums[-1], activations[-1], self._targets(y, activations[-1]))
        kernels: list[Any] = []
        biases: list[Any] = []
        for layer in reversed(range(len(self.kernels))):
            w, a = self.kernels[layer], activations[layer]
            into = self.way.extended(a, self.spec.bias) if self.spec.folded else a
            kernels.insert(0, self.way.kernel_gradient(into, delta))
            if self.biases:
                biases.insert(0, self.way.bias_gradient(delta, self.biases[layer].shape))
            if layer:
                down = self.way.back(delta, self._without_fold(w))
                delta = down * self._slope(layer - 1, sums[layer - 1], a)
        self._add_decay(activations[0], kernels, biases)
        return kernels, biases

    def _without_fold(self, w):
        if not self.spec.folded:
            return w
        keep = slice(1, None) if self.spec.bias == "first" else slice(None, -1)
        return w[:, keep] if self.spec.kernel == "out-in" else w[keep]

    def _output_delta(self, z, a, y):
        axis = self.way.axis
        if self.spec.fused:
            return (a - y) * self._share(a)
        g = self.loss_kind.slope(a, y, axis) * self._share(a)
        if self.spec.output == "softmax":
            return softmax_back(a, g, axis, self.spec.jacobian)
        if self.spec.output == "log_softmax":
            return g - np.exp(a) * np.sum(g, axis=axis, keepdims=True)
        return g * self._slope(len(self.kernels) - 1, z, a)

    def _slope(self, layer: int, z, a):
        name = (*self.spec.hidden, self.spec.output)[layer]
        return FUNCTIONS[name][self.spec.written[layer]][1](z, a)

    def _add_decay(self, x, kernels: list[Any], biases: list[Any]) -> None:
        decay = self._decay(x)
        if not decay:
            return
        for g, w in zip(kernels, self.kernels, strict=True):
            part = self._decayed(g)
            part += decay * self._decayed(w)
        if self.spec.decays_biases:
            for g, b in zip(biases, self.biases, strict=True):
                g += decay * b
