"""The perceptron: a unit with a threshold, and the rule by which it learns."""

from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array


@dataclass
class Perceptron:
    """A unit that says 1 where ``x . weights + bias > 0``, else 0.

    Attributes:
        weights: Shape (inputs,).
        bias: Minus the threshold: documents that write ``x . w > b`` have ``bias = -b``.

    References:
        F. Rosenblatt (1958), "The perceptron"; documents D1 and D4.
    """

    weights: Array
    bias: float = 0.0

    def __post_init__(self) -> None:
        self.weights = np.array(self.weights, float)
        if self.weights.ndim != 1:
            raise ValueError(f"Expected weights (inputs,). Received: {self.weights.shape}")

    def predict(self, x: Array) -> Array:
        """Return 0 or 1 for every sample.

        Args:
            x: Samples, shape (..., inputs).

        Returns:
            Integers, shape (...).

        Raises:
            ValueError: Another number of inputs.
        """
        x = np.asarray(x, float)
        if x.shape[-1:] != self.weights.shape:
            raise ValueError(f"Expected x of shape (..., {len(self.weights)}). Received: {x.shape}")
        return (x @ self.weights + self.bias > 0).astype(int)

    def fit(self, x: Array, y: Array, learning_rate: float = 1.0, epochs: int = 100) -> list[int]:
        """Learn from each sample in turn: ``w += learning_rate (y - output) x``, likewise the bias.

        Only a sample that is wrong changes anything. If a line (a plane) divides the two classes,
        the rule finds one after finitely many mistakes; otherwise it never rests.

        Args:
            x: Samples, shape (N, inputs).
            y: What each should give, 0 or 1, shape (N,).
            learning_rate: How far a mistake moves the weights, above 0.
            epochs: How often at most the samples are gone through.

        Returns:
            The number of mistakes in each epoch; the last is 0 if it learned them all.

        Raises:
            ValueError: Shapes that do not fit, labels that are neither 0 nor 1, samples that are
                not finite, or a learning rate that is not above 0.

        References:
            A. B. J. Novikoff (1962), "On convergence proofs for perceptrons".
        """
        x, y = np.asarray(x, float), np.asarray(y)
        if x.ndim != 2 or y.shape != x.shape[:1] or not np.isin(y, (0, 1)).all():
            raise ValueError(
                "Expected x of shape (N, inputs) and N labels that are 0 or 1. "
                f"Received: x {x.shape}, y {y.shape} with values {np.unique(y)[:5]}"
            )
        if not np.isfinite(x).all():
            raise ValueError(f"Expected finite samples. Received: {x[~np.isfinite(x)][0]}")
        if not 0 < learning_rate < np.inf:
            raise ValueError(f"Expected a learning rate above 0. Received: {learning_rate}")
        mistakes: list[int] = []
        for _ in range(epochs):
            mistakes.append(0)
            for sample, target in zip(x, y, strict=True):
                error = int(target) - int(self.predict(sample))
                if error:
                    self.weights += learning_rate * error * sample
                    self.bias += learning_rate * error
                    mistakes[-1] += 1
            if mistakes[-1] == 0:
                break
        return mistakes
