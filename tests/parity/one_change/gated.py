"""A gated linear unit with a way around it."""

import numpy as np

r = np.random.default_rng(9)
A, G = 0.6 * r.normal(size=(5, 5)), 0.6 * r.normal(size=(5, 5))
V = 0.6 * r.normal(size=(5, 2))


def run(x):
    first = np.sin(x)
    a = first @ A
    g = 1 / (1 + np.exp(-first @ G))
    second = first + a * g
    a2 = second @ A
    g2 = 1 / (1 + np.exp(-second @ G))
    return first, a, g, second, a2, g2, (second + a2 * g2) @ V


def loss(x, y):
    return np.sum((run(x)[-1] - y) ** 2) / len(x)


def unit(d, x, a, g):
    da = d * g
    dg = d * a * g * (1 - g)
    return da @ A.T + dg @ G.T + d, x.T @ da, x.T @ dg


def gradients(x, y):
    first, a, g, second, a2, g2, out = run(x)
    d = 2 * (out - y) / len(x)
    dV = (second + a2 * g2).T @ d
    dsecond, dA, dG = unit(d @ V.T, second, a2, g2)
    _, dA1, dG1 = unit(dsecond, first, a, g)
    dA = dA + dA1
    dG = dG + dG1
    return [dA, dG, dV]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [A, G, V],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(6, 5)), rng.normal(size=(6, 2))),
    )
