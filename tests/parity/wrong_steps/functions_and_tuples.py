"""AdamW as functions that return tuples; the state lies in the module."""

from typing import Any

import numpy as np

import parity

BETA_1, BETA_2, EPS, DECAY = 0.9, 0.999, 1e-7, 0.01


def relu(z):
    return np.maximum(z, 0)


def predict(weights, x):
    (w1, b1), (w2, b2) = weights
    z = x @ w1 + b1
    return z, relu(z), relu(z) @ w2 + b2


def grads(weights, x, y):
    _, (w2, _) = weights
    z, a, out = predict(weights, x)
    d = (out - y) / len(x)
    dz = (d @ w2.T) * (z > 0)
    return (x.T @ dz, dz.sum(axis=0)), (a.T @ d, d.sum(axis=0))


def adamw(w, g, m, v, t, lr):
    m = BETA_1 * m + (1 - BETA_1) * g
    v = BETA_2 * v + (1 - BETA_2) * g * g
    mhat = m / (1 - BETA_1**t)
    vhat = v / (1 - BETA_2**t)
    w = w - lr * DECAY * w
    w = w - lr * mhat / (np.sqrt(vhat) + EPS)
    return w, m, v


def update(weights, gradients, state, lr):
    t, ms, vs = state
    t = t + 1
    new, new_m, new_v = [], [], []
    for (w, b), (dw, db), (mw, mb), (vw, vb) in zip(weights, gradients, ms, vs, strict=True):
        w, mw, vw = adamw(w, dw, mw, vw, t, lr)
        b, mb, vb = adamw(b, db, mb, vb, t, lr)
        new.append((w, b))
        new_m.append((mw, mb))
        new_v.append((vw, vb))
    return new, (t, new_m, new_v)


def make():
    rng = np.random.default_rng(3)
    held: dict[str, Any] = {
        "weights": [(rng.normal(size=(4, 6)), np.zeros(6)), (rng.normal(size=(6, 2)), np.zeros(2))]
    }
    zeros = [(np.zeros_like(w), np.zeros_like(b)) for w, b in held["weights"]]
    held["state"] = 0, zeros, list(zeros)

    def step(x, y, lr):
        g = grads(held["weights"], x, y)
        held["weights"], held["state"] = update(held["weights"], g, held["state"], lr)

    def set_weights(weights):
        held["weights"] = weights

    return parity.Candidate(
        get_weights=lambda: held["weights"],
        set_weights=set_weights,
        forward=lambda x: predict(held["weights"], x)[2],
        gradients=lambda x, y: grads(held["weights"], x, y),
        loss=lambda x, y: 0.5 * np.sum((predict(held["weights"], x)[2] - y) ** 2) / len(x),
        step=step,
        optimizer="AdamW(weight_decay=0.01)",
    )
