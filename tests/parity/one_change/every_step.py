"""A recurrent network that answers at every time step, a batch at a time."""

import numpy as np

r = np.random.default_rng(14)
P = {
    "Wx": 0.5 * r.normal(size=(3, 5)),
    "Wh": 0.5 * r.normal(size=(5, 5)),
    "V": 0.5 * r.normal(size=(5, 2)),
}


def forward(x):
    h = np.zeros((len(x), x.shape[1] + 1, 5))
    for t in range(x.shape[1]):
        h[:, t] = np.tanh(x[:, t] @ P["Wx"] + h[:, t - 1] @ P["Wh"])
    return h


def loss(x, y):
    return 0.5 * np.sum((forward(x)[:, :-1] @ P["V"] - y) ** 2)


def gradients(x, y):
    h = forward(x)
    dy = h[:, :-1] @ P["V"] - y
    g = {name: np.zeros_like(w) for name, w in P.items()}
    dh = np.zeros_like(h[:, 0])
    for t in reversed(range(x.shape[1])):
        dh = dh + dy[:, t] @ P["V"].T
        dz = dh * (1 - h[:, t] ** 2)
        g["V"] += h[:, t].T @ dy[:, t]
        g["Wx"] += x[:, t].T @ dz
        g["Wh"] += h[:, t - 1].T @ dz
        dh = dz @ P["Wh"].T
    return g


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: P,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5, 2))),
    )
