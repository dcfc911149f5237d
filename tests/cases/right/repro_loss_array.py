"""RIGHT with a remark: loss returns one number a sample and output."""

import numpy as np

import parity

rng = np.random.default_rng(0)
W, b = rng.normal(size=(4, 3)), np.zeros(3)


def forward(x):
    return 1 / (1 + np.exp(-(x @ W + b)))


def gradients(x, y):
    d = forward(x) - y
    return [x.T @ d, d.sum(0)]


def loss(x, y):
    a = forward(x)
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def make():
    return parity.Candidate(
        get_weights=lambda: [W, b], forward=forward, gradients=gradients, loss=loss
    )
