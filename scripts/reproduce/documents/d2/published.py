"""The training step that D2 publishes, which is not the gradient of its cost, and its mistakes."""

from collections.abc import Collection
from enum import Enum
from typing import Any

import numpy as np

from numpy_impl import Sequential
from numpy_impl.activations import softmax
from numpy_impl.layers import Dropout
from numpy_impl.types import Array
from parity import Candidate


class Mistake(Enum):
    """What is wrong with the step; the value names it in tables.

    Attributes:
        DIAGONAL: Of softmax's Jacobian ``diag(p) - p p^T`` only the diagonal is kept.
        AT_OUTPUT: It is evaluated as if the outputs were the logits: at softmax(softmax(z)).
        AT_DROPPED: tanh's derivative is evaluated at the dropped and doubled activation, not at z.
        UNSCALED: On the way back there is the mask of the dropout, but not its factor 2.
    """

    DIAGONAL = "(1) only the diagonal"
    AT_OUTPUT = "(2) softmax' at the output"
    AT_DROPPED = "(3) tanh' at the dropped activation"
    UNSCALED = "(4) no factor 2"


ALL = frozenset(Mistake)


class PublishedSteps:
    """D2's network and the step that the document publishes, one sample at a time.

    In training ``h = 2 m tanh(x V)`` and ``a = softmax(h W)``, m being the mask of the dropout.
    As published, with ``p = softmax(a)``,

    ``delta = (a - y) p (1 - p)``, ``epsilon = (W delta) m (1 - tanh(h)^2)``,
    ``W <- W - rate h delta^T``, ``V <- V - rate x epsilon^T``.

    Without any of its mistakes it is the gradient of ``1/2 sum_c (a_c - y_c)^2``.

    Args:
        network: 64-200-10, whose weights are copied. Its dropout layer draws the masks; if it has
            none there is no dropout, and no factor 2.
        mistakes: Those that are made.

    Reference: D2; documents.md, "The published update is not the gradient of its cost".
    """

    def __init__(self, network: Sequential, mistakes: Collection[Mistake] = ALL) -> None:
        self.hidden_kernel, self.output_kernel = network.get_weights()
        self.dropout = next((d for d in network.layers if isinstance(d, Dropout)), None)
        self.mistakes = frozenset(mistakes)

    def predict(self, x: Array) -> Array:
        """Return the outputs for one sample (64,) or for many (N, 64), without dropout."""
        return softmax(np.tanh(x @ self.hidden_kernel) @ self.output_kernel)

    def learn(self, x: Array, y: Array, rate: float) -> Array:
        """Take one step on the sample ``x`` (64,) with target ``y`` (10,).

        Returns:
            The outputs (10,) before the step, with dropout.
        """
        outputs, hidden, delta, hidden_delta = self.passes(x, y)
        self.output_kernel -= hidden[:, None] * (rate * delta)
        self.hidden_kernel -= x[:, None] * (rate * hidden_delta)
        return outputs

    def gradients(self, x: Array, y: Array) -> list[Array]:
        """Return what stands for the gradients of the kernels, (64, 200) and (200, 10)."""
        _, hidden, delta, hidden_delta = self.passes(x, y)
        return [np.outer(x, hidden_delta), np.outer(hidden, delta)]

    @property
    def kernels(self) -> list[Array]:
        """The kernels (64, 200) and (200, 10) themselves."""
        return [self.hidden_kernel, self.output_kernel]

    def passes(self, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Return ``a``, ``h``, ``delta`` and ``epsilon`` for one sample, with dropout."""
        mask, scale = self._draw_mask()
        activation = np.tanh(x @ self.hidden_kernel)
        hidden = activation * mask * scale
        outputs = _softmax(hidden @ self.output_kernel)
        delta = self.output_delta(outputs, y)
        slope = self.hidden_slope(activation, hidden)
        hidden_delta = (self.output_kernel @ delta) * mask * slope
        if Mistake.UNSCALED not in self.mistakes:
            hidden_delta *= scale
        return outputs, hidden, delta, hidden_delta

    def output_delta(self, a: Array, y: Array) -> Array:
        """Return what is sent back at the logits, from the outputs ``a`` (10,)."""
        p = _softmax(a) if Mistake.AT_OUTPUT in self.mistakes else a
        error = a - y
        if Mistake.DIAGONAL in self.mistakes:
            return error * p * (1 - p)
        return p * (error - p @ error)

    def hidden_slope(self, activation: Array, hidden: Array) -> Array:
        """Return tanh's derivative, from the activation before and after dropout (200,)."""
        if Mistake.AT_DROPPED in self.mistakes:
            return 1 - np.tanh(hidden) ** 2
        return 1 - activation**2

    def _draw_mask(self) -> tuple[Any, float]:
        """Return which hidden units are kept, and what they are multiplied by."""
        if self.dropout is None:
            return True, 1.0
        return self.dropout.draw_mask(1)[0], 1 / (1 - self.dropout.rate)


def _softmax(z: Array) -> Array:
    """Return the softmax of a vector, in a third of the time that the one for batches takes."""
    e = np.exp(z - np.maximum.reduce(z))
    return e / np.add.reduce(e)


def candidate(network: Sequential, mistakes: Collection[Mistake] = ALL) -> Candidate:
    """Return the step as :func:`parity.check` takes it."""
    published = PublishedSteps(network, mistakes)
    return Candidate(
        get_weights=lambda: published.kernels,
        forward=published.predict,
        gradients=published.gradients,
        samples="single",
        loss="quadratic",
        name="D2's published update",
    )
