"""An autoencoder whose decoder is the transposed encoder, a column a sample."""

import numpy as np

r = np.random.default_rng(21)
P = {
    "W": 0.5 * r.normal(size=(4, 6)),
    "b": 0.1 * r.normal(size=(4, 1)),
    "c": 0.1 * r.normal(size=(6, 1)),
}


def forward(x):
    h = np.tanh(P["W"] @ x + P["b"])
    return h, 1 / (1 + np.exp(-(P["W"].T @ h + P["c"])))


def loss(x, y):
    return 0.5 * np.sum((forward(x)[1] - y) ** 2) / x.shape[1]


def gradients(x, y):
    h, out = forward(x)
    dr = (out - y) * out * (1 - out) / x.shape[1]
    dz = (P["W"] @ dr) * (1 - h**2)
    dW = dz @ x.T + h @ dr.T
    return {"W": dW, "b": dz.sum(axis=1, keepdims=True), "c": dr.sum(axis=1, keepdims=True)}


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: P,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(6, 5)), rng.uniform(size=(6, 5))),
    )
