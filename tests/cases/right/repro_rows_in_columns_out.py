"""make: WRONG (biases lack 1/m). x has its samples in rows, forward answers in columns.

make_right: RIGHT, with a batch.
"""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity


def build(bug):
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        rng.normal(size=(5, 6)),
        np.zeros((5, 1)),
        rng.normal(size=(4, 5)),
        np.zeros((4, 1)),
    )

    def forward(x):
        forward.h = np.tanh(W1 @ x.T + b1)
        z = W2 @ forward.h + b2
        e = np.exp(z - z.max(axis=0))
        return e / e.sum(axis=0)

    def step(x, labels, rate):
        m = len(x)
        d2 = (forward(x) - np.eye(4)[labels].T) / m
        d1 = W2.T @ d2 * (1 - forward.h**2)
        many = m if bug else 1
        W2[...] -= rate * d2 @ forward.h.T
        b2[...] -= rate * many * d2.sum(axis=1, keepdims=True)
        W1[...] -= rate * d1 @ x
        b1[...] -= rate * many * d1.sum(axis=1, keepdims=True)

    return parity.Candidate(get_weights=lambda: [W1, b1, W2, b2], forward=forward, step=step)


def make():
    return build(True)


def make_right():
    return build(False)
