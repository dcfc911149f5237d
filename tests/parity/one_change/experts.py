"""Two experts, mixed by a gate that sees the hidden layer which they share."""

import numpy as np

r = np.random.default_rng(33)
W, G = 0.6 * r.normal(size=(4, 5)), 0.8 * r.normal(size=(5, 2))
E1, E2 = 0.8 * r.normal(size=(5, 3)), 0.8 * r.normal(size=(5, 3))


def run(x):
    h = np.tanh(x @ W)
    e = np.exp(h @ G)
    g = e / e.sum(axis=1, keepdims=True)
    o1, o2 = h @ E1, h @ E2
    return h, g, o1, o2, g[:, :1] * o1 + g[:, 1:] * o2


def loss(x, y):
    return np.sum((run(x)[-1] - y) ** 2) / len(x)


def gradients(x, y):
    h, g, o1, o2, out = run(x)
    d = 2 * (out - y) / len(x)
    d1, d2 = g[:, :1] * d, g[:, 1:] * d
    dg = np.stack([(d * o1).sum(axis=1), (d * o2).sum(axis=1)], axis=1)
    ds = g * (dg - (dg * g).sum(axis=1, keepdims=True))
    dh = d1 @ E1.T + d2 @ E2.T + ds @ G.T
    dz = dh * (1 - h**2)
    return [x.T @ dz, h.T @ ds, h.T @ d1, h.T @ d2]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [W, G, E1, E2],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(6, 4)), rng.normal(size=(6, 3))),
    )
