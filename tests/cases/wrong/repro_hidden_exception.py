"""WRONG: gradients raises on every batch, and a single sample broadcasts. The exception is told."""

import numpy as np

import parity


def s(z):
    return 1 / (1 + np.exp(-z))


class Net:
    def __init__(self, rng=np.random.default_rng(0)):  # noqa: B008
        self.W, self.V = rng.normal(size=(3, 4)), rng.normal(size=(4, 1))

    def forward(self, x):
        return s(s(x @ self.W) @ self.V)

    def gradients(self, x, y):
        h = s(x @ self.W)
        o = s(h @ self.V)
        d2 = (o - y) * o * (1 - o)
        d1 = d2 @ self.V.T * h * (1 - h)
        old = self.W.copy(), self.V.copy()
        W, V = self.W.copy(), self.V.copy()
        W -= np.dot(h.T, d1)  # should be x.T
        V -= np.dot(o.T, d2)  # should be h.T
        return [old[0] - W, old[1] - V]


def make():
    n = Net()
    return parity.Candidate(
        get_weights=lambda: [n.W, n.V], forward=n.forward, gradients=n.gradients
    )
