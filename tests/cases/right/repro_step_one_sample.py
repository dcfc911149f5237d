"""RIGHT: gradients and step are both for one sample (a column) a call.

make_dropout: with dropout in training.
"""

import numpy as np

import parity


def build(keep):
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        rng.normal(size=(8, 6)),
        np.zeros((8, 1)),
        rng.normal(size=(5, 8)),
        np.zeros((5, 1)),
    )

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def forward(x):
        return sigmoid(W2 @ sigmoid(W1 @ x + b1) + b2)

    def gradients(x, y):
        z = W1 @ x + b1
        mask = (np.random.random(z.shape) < keep) / keep  # noqa: NPY002
        h = sigmoid(z) * mask
        d2 = sigmoid(W2 @ h + b2) - y
        d1 = W2.T @ d2 * mask * sigmoid(z) * (1 - sigmoid(z))
        return [d1 @ x.T, d1, d2 @ h.T, d2]

    def step(x, y, rate):
        for array, gradient in zip((W1, b1, W2, b2), gradients(x, y), strict=False):
            array -= rate * gradient

    return parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients, step=step
    )


def make():
    return build(1.0)


def make_dropout():
    return build(0.9)
