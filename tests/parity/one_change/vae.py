"""A variational autoencoder whose functions are closures."""

import numpy as np


def build(seed=0):
    r = np.random.default_rng(seed)
    shapes = [(6, 5), (5,), (5, 2), (2,), (5, 2), (2,), (2, 6), (6,)]
    weights = [0.4 * r.normal(size=s) for s in shapes]
    noise = r.normal(size=(7, 2))

    def run(x):
        We, be, Wm, bm, Wl, bl, Wd, bd = weights
        h = np.tanh(x @ We + be)
        mean, logvar = h @ Wm + bm, h @ Wl + bl
        z = mean + np.exp(0.5 * logvar) * noise
        out = z @ Wd + bd
        return h, mean, logvar, z, out

    def loss(x, y):
        _, mean, logvar, _, out = run(x)
        kl = 0.5 * (np.exp(logvar) + mean**2 - 1 - logvar)
        return (((out - x) ** 2).sum() + kl.sum()) / len(x)

    def gradients(x, y):
        _, _, Wm, _, Wl, _, Wd, _ = weights
        h, mean, logvar, z, out = run(x)
        n = len(x)
        dout = 2 * (out - x) / n
        dz = dout @ Wd.T
        dmean = dz + mean / n
        std = np.exp(0.5 * logvar)
        dlogvar = 0.5 * dz * noise * std + 0.5 * (np.exp(logvar) - 1) / n
        dh = dmean @ Wm.T + dlogvar @ Wl.T
        dpre = dh * (1 - h**2)
        return [
            x.T @ dpre,
            dpre.sum(0),
            h.T @ dmean,
            dmean.sum(0),
            h.T @ dlogvar,
            dlogvar.sum(0),
            z.T @ dout,
            dout.sum(0),
        ]

    return weights, loss, gradients


def make():
    import parity

    weights, loss, gradients = build()
    return parity.Candidate(
        get_weights=lambda: weights,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(7, 6)), rng.normal(size=7)),
    )
