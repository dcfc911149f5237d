"""Attention whose queries and keys are one projection, a sequence at a time."""

import numpy as np

r = np.random.default_rng(27)
W, U, V = (0.6 * r.normal(size=shape) for shape in ((4, 3), (4, 3), (3, 2)))


def run(x):
    q, v = x @ W, x @ U
    s = q @ q.T / np.sqrt(3)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return q, v, p, p @ v


def loss(x, y):
    return np.sum((run(x)[3].mean(axis=0) @ V - y) ** 2)


def gradients(x, y):
    q, v, p, o = run(x)
    d = 2 * (o.mean(axis=0) @ V - y)
    dV = np.outer(o.mean(axis=0), d)
    do = np.tile(V @ d, (len(x), 1)) / len(x)
    dp = do @ v.T
    dv = p.T @ do
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / np.sqrt(3)
    dq = ds @ q + ds.T @ q
    return [x.T @ dq, x.T @ dv, dV]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [W, U, V],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(5, 4)), rng.normal(size=2)),
    )
