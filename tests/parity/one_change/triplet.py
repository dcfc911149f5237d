"""Embeddings of three inputs: an anchor is nearer to what is alike, by a margin."""

import numpy as np


class Triplet:
    def __init__(self):
        r = np.random.default_rng(6)
        self.A, self.B = r.normal(size=(4, 3)), r.normal(size=(3, 2))

    def embed(self, x):
        h = np.tanh(x @ self.A)
        return h, h @ self.B

    def loss(self, x, y):
        a, p, n = (self.embed(part)[1] for part in x)
        near, far = np.sum((a - p) ** 2, axis=1), np.sum((a - n) ** 2, axis=1)
        return np.mean(y * np.log1p(np.exp(near - far)))

    def gradients(self, x, y):
        kept = [self.embed(part) for part in x]
        (_, a), (_, p), (_, n) = kept
        gap = np.sum((a - p) ** 2, axis=1) - np.sum((a - n) ** 2, axis=1)
        by = (y / (1 + np.exp(-gap)) / len(y))[:, None]
        up, un = 2 * by * (a - p), 2 * by * (a - n)
        deltas = [up - un, -up, un]
        dA, dB = np.zeros_like(self.A), np.zeros_like(self.B)
        for part, (h, _), d in zip(x, kept, deltas, strict=True):
            dB += h.T @ d
            dA += part.T @ (d @ self.B.T * (1 - h**2))
        return [dA, dB]


def make():
    import parity

    net = Triplet()
    return parity.Candidate(
        get_weights=lambda: [net.A, net.B],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (tuple(rng.normal(size=(3, 5, 4))), rng.uniform(0.5, 2, 5)),
    )
