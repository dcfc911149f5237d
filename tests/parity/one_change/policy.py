"""A policy gradient with baseline and entropy in one function, and a siamese loss beside it."""

import numpy as np

r = np.random.default_rng(4)
w1, b1 = 0.5 * r.normal(size=(4, 6)), 0.1 * r.normal(size=6)
w2, wv = 0.5 * r.normal(size=(6, 3)), 0.5 * r.normal(size=(6, 1))


def loss_and_gradients(x, y):
    n = len(x)
    actions, returns = y[:, 0].astype(int), y[:, 1:2]
    h = np.tanh(x @ w1 + b1)
    e = np.exp(h @ w2)
    p = e / e.sum(axis=1, keepdims=True)
    value = h @ wv
    logp = np.log(p)
    entropy = -(p * logp).sum(axis=1, keepdims=True)
    taken = logp[np.arange(n), actions][:, None]
    loss = (-(taken * returns) - 0.1 * entropy + 0.5 * (value - returns) ** 2).mean()

    dlogits = (p - np.eye(3)[actions]) * returns
    dlogits += 0.1 * p * (logp + entropy)
    dlogits /= n
    dvalue = (value - returns) / n
    dw2 = h.T @ dlogits
    dwv = h.T @ dvalue
    dh = dlogits @ w2.T + dvalue @ wv.T
    dz = dh * (1 - h * h)
    dw1, db1 = x.T @ dz, dz.sum(axis=0)
    return loss, [dw1, db1, dw2, dwv]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [w1, b1, w2, wv],
        gradients=lambda x, y: loss_and_gradients(x, y)[1],
        loss=lambda x, y: loss_and_gradients(x, y)[0],
        data=lambda rng: (
            rng.normal(size=(8, 4)),
            np.column_stack([rng.integers(0, 3, 8), rng.normal(size=8)]),
        ),
    )
