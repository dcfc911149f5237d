"""Style D: the bias is the last column of each matrix (units, inputs + 1); samples in columns."""

from itertools import pairwise

import numpy as np

from parity import Candidate


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def with_one(a):
    return np.vstack([a, np.ones((1, a.shape[1]))])


class Network:
    def __init__(self, sizes):
        rng = np.random.default_rng(3)
        shapes = [(n, m + 1) for m, n in pairwise(sizes)]
        self.weights = [rng.standard_normal(shape) for shape in shapes]

    def feed(self, x):
        self.a = [x]
        for w in self.weights:
            self.a.append(sigmoid(w @ with_one(self.a[-1])))
        return self.a[-1]

    def cost(self, x, y):
        return 0.5 * np.sum((self.feed(x) - y) ** 2) / x.shape[1]

    def gradients(self, x, y):
        m = x.shape[1]
        a = self.feed(x)
        delta = a * (1 - a) * (a - y)
        grads = []
        for i in range(len(self.weights) - 1, -1, -1):
            grads.insert(0, delta @ with_one(self.a[i]).T / m)
            e = self.weights[i][:, :-1].T @ delta
            delta = e * self.a[i] * (1 - self.a[i])
        return grads

    def learn(self, x, y, rate):
        grads = self.gradients(x, y)
        for w, g in zip(self.weights, grads, strict=True):
            w -= rate * g


def build(net):
    network = Network(net.sizes)
    return Candidate(
        get_weights=lambda: network.weights,
        forward=network.feed,
        gradients=network.gradients,
        step=network.learn,
        loss=network.cost,
        labels="one-hot",
    )
