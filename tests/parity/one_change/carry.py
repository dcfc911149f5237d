"""Cells that forget: c(t) = f c(t-1) + tanh(x W), and a penalty on what they hold."""

import numpy as np

rng = np.random.default_rng(11)
P = {"W": rng.normal(size=(3, 4)), "f": rng.normal(size=4), "V": rng.normal(size=(4, 2))}


def forward(x):
    f = 1 / (1 + np.exp(-P["f"]))
    cs, new = [np.zeros((len(x), 4))], []
    for t in range(x.shape[1]):
        new.append(np.tanh(x[:, t] @ P["W"]))
        cs.append(f * cs[-1] + new[-1])
    return np.tanh(cs[-1]) @ P["V"], f, cs, new


def loss(x, y):
    out, _, cs, _ = forward(x)
    return (np.sum((out - y) ** 2) + 0.1 * np.sum(np.square(cs))) / len(x)


def gradients(x, y):
    out, f, cs, new = forward(x)
    d = 2 * (out - y) / len(x)
    g = {"W": np.zeros((3, 4)), "f": np.zeros(4), "V": np.tanh(cs[-1]).T @ d}
    dc = d @ P["V"].T * (1 - np.tanh(cs[-1]) ** 2)
    for t in reversed(range(x.shape[1])):
        c = cs[t + 1]
        dc = dc + 0.2 * c / len(x)
        df = dc * cs[t]
        g["f"] += (df * f * (1 - f)).sum(axis=0)
        g["W"] += x[:, t].T @ (dc * (1 - new[t] ** 2))
        dc = dc * f
    return g


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: P,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(8, 5, 3)), rng.normal(size=(8, 2))),
    )
