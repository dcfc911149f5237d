"""Adam with clipping by the global norm: parameters and state in dicts."""

from itertools import pairwise

import numpy as np

import parity


def init(sizes, rng):
    params = {}
    for k, (m, n) in enumerate(pairwise(sizes), start=1):
        params[f"W{k}"] = rng.normal(size=(m, n)) / np.sqrt(m)
        params[f"b{k}"] = np.zeros(n)
    return params


def forward(params, x):
    h = np.tanh(x @ params["W1"] + params["b1"])
    return h, h @ params["W2"] + params["b2"]


def backward(params, x, y):
    h, out = forward(params, x)
    d = 2 * (out - y) / y.size
    dz = d @ params["W2"].T * (1 - h**2)
    return {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": h.T @ d, "b2": d.sum(axis=0)}


class Adam:
    def __init__(self, params, beta1=0.9, beta2=0.999, eps=1e-8, clip=0.1):
        self.beta1, self.beta2, self.eps, self.clip = beta1, beta2, eps, clip
        self.m = {k: np.zeros_like(p) for k, p in params.items()}
        self.v = {k: np.zeros_like(p) for k, p in params.items()}
        self.t = 0

    def step(self, params, grads, lr):
        total = 0.0
        for g in grads.values():
            total += np.sum(g**2)
        norm = np.sqrt(total)
        scale = min(1.0, self.clip / norm)
        self.t += 1
        for k in params:
            g = grads[k] * scale
            self.m[k] = self.beta1 * self.m[k] + (1 - self.beta1) * g
            self.v[k] = self.beta2 * self.v[k] + (1 - self.beta2) * g**2
            m_hat = self.m[k] / (1 - self.beta1**self.t)
            v_hat = self.v[k] / (1 - self.beta2**self.t)
            params[k] -= lr * m_hat / (np.sqrt(v_hat) + self.eps)


def make():
    params = init([5, 6, 3], np.random.default_rng(1))
    opt = Adam(params)
    return parity.Candidate(
        get_weights=lambda: params,
        forward=lambda x: forward(params, x)[1],
        gradients=lambda x, y: backward(params, x, y),
        step=lambda x, y, lr: opt.step(params, backward(params, x, y), lr),
        loss="mean_squared_error",
        optimizer="Adam(global_clipnorm=0.1)",
    )
