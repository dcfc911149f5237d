"""A recurrent unit with one gate, which forgets and also reads; one sequence, rows of states."""

import numpy as np

r = np.random.default_rng(12)
Wf, Uf = 0.6 * r.normal(size=(3, 5)), 0.6 * r.normal(size=(5, 5))
Wc, Uc = 0.6 * r.normal(size=(3, 5)), 0.6 * r.normal(size=(5, 5))
V = 0.6 * r.normal(size=(5, 2))


def run(xs):
    h, steps = np.zeros((1, 5)), []
    for x in xs:
        f = 1 / (1 + np.exp(-(x @ Wf + h @ Uf)))
        c = np.tanh(x @ Wc + (f * h) @ Uc)
        steps.append((x, h, f, c))
        h = (1 - f) * h + f * c
    return h, steps


def loss(xs, y):
    return np.sum((run(xs)[0] @ V - y) ** 2)


def gradients(xs, y):
    h, steps = run(xs)
    d = 2 * (h @ V - y)
    dV = h.T @ d
    dh = d @ V.T
    dWf, dUf, dWc, dUc = (np.zeros_like(w) for w in (Wf, Uf, Wc, Uc))
    for x, h, f, c in reversed(steps):
        dc = dh * f * (1 - c**2)
        dread = dc @ Uc.T
        df = (dh * (c - h) + dread * h) * f * (1 - f)
        dWf += x.T @ df
        dUf += h.T @ df
        dWc += x.T @ dc
        dUc += (f * h).T @ dc
        dh = dh * (1 - f) + dread * f + df @ Uf.T
    return [dWf, dUf, dWc, dUc, dV]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [Wf, Uf, Wc, Uc, V],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(5, 1, 3)), rng.normal(size=(1, 2))),
    )
