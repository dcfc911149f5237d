"""A network as documents D0 and D1 write it: column vectors, one sample after the other.

It is here to be measured beside the engine, and computes the same (a test says so): sigmoid
layers, the quadratic cost, a step by the mean of the samples' gradients.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


def _sigmoid(z: Column) -> Column:
    return 1.0 / (1.0 + np.exp(-z))


class SampleLoop:
    """Sigmoid layers of the given sizes; kernels of shape (outputs, inputs), biases columns."""

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.kernels = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(sizes)]
        self.biases = [rng.standard_normal((m, 1)) for m in sizes[1:]]

    def step(self, samples: Sequence[tuple[Column, Column]], learning_rate: float) -> None:
        """Descend the mean gradient of a batch of (input, target) columns."""
        kernel_sums = [np.zeros(kernel.shape) for kernel in self.kernels]
        bias_sums = [np.zeros(bias.shape) for bias in self.biases]
        for x, y in samples:
            by_kernel, by_bias = self._gradients(x, y)
            kernel_sums = [a + b for a, b in zip(kernel_sums, by_kernel, strict=True)]
            bias_sums = [a + b for a, b in zip(bias_sums, by_bias, strict=True)]
        rate = learning_rate / len(samples)
        self.kernels = [w - rate * g for w, g in zip(self.kernels, kernel_sums, strict=True)]
        self.biases = [b - rate * g for b, g in zip(self.biases, bias_sums, strict=True)]

    def _gradients(self, x: Column, y: Column) -> tuple[list[Column], list[Column]]:
        activations, weighted = [x], []
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            weighted.append(np.dot(kernel, activations[-1]) + bias)
            activations.append(_sigmoid(weighted[-1]))
        delta = (activations[-1] - y) * _sigmoid(weighted[-1]) * (1 - _sigmoid(weighted[-1]))
        by_kernel, by_bias = [], []
        for layer in reversed(range(len(self.kernels))):
            by_bias.insert(0, delta)
            by_kernel.insert(0, np.dot(delta, activations[layer].T))
            if layer:
                slope = _sigmoid(weighted[layer - 1]) * (1 - _sigmoid(weighted[layer - 1]))
                delta = np.dot(self.kernels[layer].T, delta) * slope
        return by_kernel, by_bias
