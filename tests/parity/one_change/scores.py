"""A score of a series, one number a sample, with targets in a column."""

import numpy as np

rng = np.random.default_rng(9)
W, v, b = rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=1)


def forward(x):
    h = np.tanh(x @ W).mean(axis=1)
    return h, 1 / (1 + np.exp(-(h @ v + b)))


def loss(x, y):
    p = forward(x)[1]
    t = y.ravel()
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


def gradients(x, y):
    h, p = forward(x)
    error = p[:, None] - y
    mean = error.mean(axis=1) / len(x)
    slope = (1 - np.tanh(x @ W) ** 2) / x.shape[1]
    dz = (mean[:, None] * v)[:, None, :] * slope
    dv = (h.T @ error).mean(axis=1) / len(x)
    return [np.einsum("nti,ntj->ij", x, dz), dv, np.sum(mean, keepdims=True)]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [W, v, b],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(9, 3, 4)), rng.integers(0, 2, (9, 1)).astype(float)),
    )
