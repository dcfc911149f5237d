"""Do scores mean what they say? Temperature scaling, and the expected calibration error."""

from typing import Any

import numpy as np

from numpy_impl import Sequential
from numpy_impl.layers import Dense
from numpy_impl.types import Array

__all__ = [
    "expected_calibration_error",
    "fit_temperature",
    "negative_log_likelihood",
    "with_temperature",
]


BINS = 15
RANGE = (0.05, 20.0)
SMALLEST = 1e-12


def negative_log_likelihood(scores: Array, labels: Array) -> float:
    """Return the mean of ``-log`` of the score of the true class.

    Args:
        scores: (N, C), each row a distribution.
        labels: True classes, (N,).
    """
    own = scores[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, SMALLEST)).mean())


def expected_calibration_error(scores: Array, labels: Array, bins: int = BINS) -> float:
    """Return how far scores are from the share of right answers.

    The predictions are put into bins of equal width by their best score; in each bin the mean of
    these scores is compared with the accuracy: ``sum_b n_b / N |accuracy_b - score_b|``.

    Args:
        scores: (N, C), each row a distribution.
        labels: True classes, (N,).
        bins: How many.

    Reference:
        C. Guo, G. Pleiss, Y. Sun, K. Weinberger (2017), "On calibration of modern neural networks".
    """
    best = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    # A score of exactly 1 belongs to the last bin.
    which = np.minimum((best * bins).astype(int), bins - 1)
    gaps = np.bincount(which, right - best, bins)
    return float(np.abs(gaps).sum() / len(labels))


def fit_temperature(network: Sequential, x: Array, labels: Array) -> float:
    """Return the temperature ``T`` for which ``softmax(z / T)`` is most likely right.

    Args:
        network: Ends with a softmax.
        x: Inputs that it was not trained on, (N, inputs).
        labels: Their true classes, (N,).

    Reference:
        Guo et al. (2017), section 4.2.
    """
    # Late: scipy takes a third of a second.
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        scaled = with_temperature(network, float(np.exp(log_temperature)))
        return negative_log_likelihood(scaled.predict(x), labels)

    found: Any = minimize_scalar(cost, bounds=np.log(RANGE), method="bounded")
    return float(np.exp(found.x))


def with_temperature(network: Sequential, temperature: float) -> Sequential:
    """Return a copy whose outputs are ``softmax(z / T)``.

    ``z = a @ kernel + bias``, so dividing the last kernel and bias by ``T`` does it, and whoever
    reads the weights needs to know nothing of it.

    Raises:
        ValueError: The last layer is not a Dense layer with softmax.
    """
    copy = network.clone()
    last = copy.layers[-1]
    if not isinstance(last, Dense) or last.activation.name != "softmax":
        raise ValueError(
            f"expected a Dense layer with softmax at the end. Received: {type(last).__name__}"
        )
    last.kernel /= temperature
    if last.use_bias:
        last.bias /= temperature
    return copy
