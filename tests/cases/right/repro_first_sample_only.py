"""forward takes a batch, gradients look at its first sample alone.

One finding: only the first sample of the batch is used.
"""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity

rng = np.random.default_rng(0)
W1, b1, W2, b2 = rng.normal(size=(5, 4)), np.zeros(5), rng.normal(size=(1, 5)), np.zeros(1)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def one(sample):
    one.h = sigmoid(W1 @ sample + b1)
    return sigmoid(W2 @ one.h + b2)


def forward(x):
    return np.array([one(sample) for sample in x])


def gradients(x, y):
    d2 = one(x[0]) - np.ravel(y)[0]
    d1 = W2.T @ d2 * one.h * (1 - one.h)
    return [np.outer(d1, x[0]), d1, np.outer(d2, one.h), d2]


def make():
    return parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients
    )
