"""Nesterov's momentum by the weights before: what moved is the difference of two weights."""

import numpy as np

import parity

rng = np.random.default_rng(7)
W = [rng.normal(size=(4, 5)) * 0.5, np.zeros(5), rng.normal(size=(5, 3)) * 0.5, np.zeros(3)]
state = {"ahead": [w.copy() for w in W], "mu": 0.9}


def forward(x):
    return np.tanh(x @ W[0] + W[1]) @ W[2] + W[3]


def gradients(x, y):
    h = np.tanh(x @ W[0] + W[1])
    d = (h @ W[2] + W[3] - y) * 2 / y.size
    dz = d @ W[2].T * (1 - h * h)
    return [x.T @ dz, dz.sum(axis=0), h.T @ d, d.sum(axis=0)]


def step(x, y, lr):
    velocity = state.setdefault("velocity", [np.zeros_like(w) for w in W])
    for w, v, g in zip(W, velocity, gradients(x, y), strict=True):
        before = v.copy()
        v *= state["mu"]
        v -= lr * g
        w += (1 + state["mu"]) * v - state["mu"] * before


def make():
    state.pop("velocity", None)
    return parity.Candidate(
        get_weights=lambda: W,
        forward=forward,
        gradients=gradients,
        loss="mean_squared_error",
        step=step,
        optimizer="SGD(momentum=0.9, nesterov=True)",
    )
