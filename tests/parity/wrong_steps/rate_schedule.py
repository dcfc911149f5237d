"""Adam in flat lists, its learning rate falling by a power of the step."""

import numpy as np

import parity


class Trainer:
    def __init__(self, rng):
        self.w = [rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(4, 2)), np.zeros(2)]
        self.m, self.v = ([np.zeros_like(a) for a in self.w] for _ in range(2))
        self.step_number, self.epoch, self.steps_per_epoch = 0, 0, 4
        self.b1, self.b2, self.eps, self.gamma = 0.9, 0.999, 1e-8, 0.8

    def forward(self, x):
        self.h = np.tanh(x @ self.w[0] + self.w[1])
        return self.h @ self.w[2] + self.w[3]

    def backward(self, x, y):
        d = (self.forward(x) - y) / len(x)
        dz = d @ self.w[2].T * (1 - self.h**2)
        return [x.T @ dz, dz.sum(axis=0), self.h.T @ d, d.sum(axis=0)]

    def loss(self, x, y):
        return 0.5 * np.mean(np.sum((self.forward(x) - y) ** 2, axis=1))

    def current_rate(self, lr):
        return lr * self.gamma**self.step_number

    def fit_batch(self, x, y, lr):
        grads = self.backward(x, y)
        rate = self.current_rate(lr)
        self.step_number += 1
        t = self.step_number
        c1, c2 = 1 - self.b1**t, 1 - self.b2**t
        for w, g, m, v in zip(self.w, grads, self.m, self.v, strict=True):
            m += (1 - self.b1) * (g - m)
            v += (1 - self.b2) * (g**2 - v)
            w -= rate * (m / c1) / (np.sqrt(v / c2) + self.eps)
        if self.step_number % self.steps_per_epoch == 0:
            self.epoch += 1


def make():
    from numpy_impl.optimizers import Adam
    from numpy_impl.schedules import ExponentialDecay

    net = Trainer(np.random.default_rng(6))
    return parity.Candidate(
        get_weights=lambda: net.w,
        forward=net.forward,
        gradients=net.backward,
        loss=net.loss,
        step=net.fit_batch,
        optimizer=Adam(ExponentialDecay(0.1, 1, 0.8)),
    )
