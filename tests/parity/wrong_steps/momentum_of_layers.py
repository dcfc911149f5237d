"""Momentum with a learning rate that falls: a list of layers, each with its own velocity."""

from itertools import pairwise

import numpy as np

import parity


class Dense:
    def __init__(self, m, n, rng):
        self.W, self.b = rng.normal(size=(m, n)) * 0.5, np.zeros(n)
        self.vW, self.vb = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, x):
        self.x = x
        self.a = np.tanh(x @ self.W + self.b)
        return self.a

    def backward(self, da):
        dz = da * (1 - self.a**2)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


class Net:
    def __init__(self, sizes, rng):
        self.layers = [Dense(m, n, rng) for m, n in pairwise(sizes)]
        self.mu, self.decay, self.lr0 = 0.9, 0.5, 1.0
        self.iteration, self.epoch = 0, 0

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backprop(self, x, y):
        da = (self.forward(x) - y) / len(x)
        for layer in reversed(self.layers):
            da = layer.backward(da)

    def weights(self):
        return [w for layer in self.layers for w in (layer.W, layer.b)]

    def gradients(self, x, y):
        self.backprop(x, y)
        return [g for layer in self.layers for g in (layer.dW, layer.db)]

    def loss(self, x, y):
        return np.sum((self.forward(x) - y) ** 2) / (2 * len(x))

    def train_step(self, x, y, lr):
        self.backprop(x, y)
        rate = lr / (1 + self.decay * self.iteration)
        for layer in self.layers:
            layer.vW = self.mu * layer.vW - rate * layer.dW
            layer.vb = self.mu * layer.vb - rate * layer.db
            layer.W += layer.vW
            layer.b += layer.vb
        self.iteration += 1


def make():
    net = Net([4, 5, 3], np.random.default_rng(2))
    return parity.Candidate(
        get_weights=net.weights,
        forward=net.forward,
        gradients=net.gradients,
        loss=net.loss,
        step=net.train_step,
        optimizer=sgd(),
    )


def sgd():
    from numpy_impl.optimizers import SGD
    from numpy_impl.schedules import InverseTimeDecay

    return SGD(InverseTimeDecay(0.1, 1, 0.5), momentum=0.9)
