"""Dropout between dense layers: its numbers are drawn anew in each pass, from one seed."""

import numpy as np

KEEP = 0.7


class Net:
    def __init__(self, seed=6):
        r = np.random.default_rng(seed)
        self.W1, self.W2 = 0.5 * r.normal(size=(4, 8)), 0.5 * r.normal(size=(8, 3))
        self.W3 = 0.5 * r.normal(size=(3, 2))

    def dropped(self, a):
        mask = self.rng.random(a.shape) < KEEP
        return a * mask / KEEP, mask

    def forward(self, x):
        self.rng = np.random.default_rng(1)
        self.a1 = np.tanh(x @ self.W1)
        self.d1, self.mask1 = self.dropped(self.a1)
        self.a2 = np.tanh(self.d1 @ self.W2) * np.cos(x[:, :1])
        return self.a2 @ self.W3

    def loss(self, x, y):
        return np.sum((self.forward(x) - y) ** 2)

    def gradients(self, x, y):
        d = 2 * (self.forward(x) - y)
        da2 = d @ self.W3.T
        dz2 = da2 * np.cos(x[:, :1]) * (1 - (self.a2 / np.cos(x[:, :1])) ** 2)
        dd1 = dz2 @ self.W2.T
        mask = self.mask1
        dz1 = dd1 * mask / KEEP * (1 - self.a1**2)
        return [x.T @ dz1, self.d1.T @ dz2, self.a2.T @ d]


def make():
    import parity

    net = Net()
    return parity.Candidate(
        get_weights=lambda: [net.W1, net.W2, net.W3],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.normal(size=(5, 4)), rng.normal(size=(5, 2))),
    )
