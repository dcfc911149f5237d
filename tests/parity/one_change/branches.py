"""Two pictures through the same layers, whose gradients are kept in a dict of each layer."""

import numpy as np


class Layer:
    def __init__(self, inputs, units, r):
        self.params = {"W": 0.5 * r.normal(size=(inputs, units)), "b": 0.1 * r.normal(size=units)}
        self.grads, self.kept = {}, []

    def forward(self, x):
        out = np.tanh(x @ self.params["W"] + self.params["b"])
        self.kept.append((x, out))
        return out

    def zero(self):
        self.kept = []
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def backward(self, d):
        x, out = self.kept.pop()
        dz = d * (1 - out**2)
        self.grads["W"] += x.T @ dz
        self.grads["b"] += dz.sum(axis=0)
        return dz @ self.params["W"].T


class Pair:
    def __init__(self, seed=8):
        r = np.random.default_rng(seed)
        self.layers = [Layer(5, 6, r), Layer(6, 3, r)]

    def run(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, pair, same):
        for layer in self.layers:
            layer.zero()
        self.one, self.other = self.run(pair[:, 0]), self.run(pair[:, 1])
        self.score = (self.one * self.other).sum(axis=1)
        return np.mean((self.score - same) ** 2)

    def gradients(self, pair, same):
        self.loss(pair, same)
        d = 2 * (self.score - same)[:, None] / len(same)
        for error in (d * self.one, d * self.other):
            for layer in reversed(self.layers):
                error = layer.backward(error)
        return [layer.grads[k] for layer in self.layers for k in ("W", "b")]


def make():
    import parity

    net = Pair()
    return parity.Candidate(
        get_weights=lambda: [layer.params[k] for layer in net.layers for k in ("W", "b")],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.normal(size=(6, 2, 5)), rng.normal(size=6)),
    )
