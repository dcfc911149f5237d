"""RIGHT: the output is softmax(-z), and the gradients are right for it.

With the reference WRONG: softmax(-z) where softmax is meant.
"""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity

rng = np.random.default_rng(0)
W1, b1, W2, b2 = rng.normal(size=(6, 5)), np.zeros(5), rng.normal(size=(5, 4)), np.zeros(4)


def forward(x):
    forward.h = np.maximum(0, x @ W1 + b1)
    e = np.exp(-(forward.h @ W2 + b2))
    return e / e.sum(axis=1, keepdims=True)


def gradients(x, y):
    d2 = (y - forward(x)) / len(x)  # the minus of softmax(-z)
    d1 = d2 @ W2.T * (forward.h > 0)
    return [x.T @ d1, d1.sum(0), forward.h.T @ d2, d2.sum(0)]


def make():
    return parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients
    )


def reference():
    from keras import layers

    return [layers.Dense(5, activation="relu"), layers.Dense(4, activation="softmax")]
