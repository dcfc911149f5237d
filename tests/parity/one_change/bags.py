"""Bags of instances of unequal number: pooled by attention beside a mask of whole numbers."""

import numpy as np


class Bags:
    def __init__(self):
        r = np.random.default_rng(4)
        self.E, self.u = 0.7 * r.normal(size=(3, 4)), r.normal(size=4)
        self.w, self.c = r.normal(size=(4, 1)), np.zeros(1)
        self.V = 0.5 * r.normal(size=(4, 2))

    def forward(self, x, mask):
        self.h = np.tanh(x @ self.E)
        scores = np.where(mask == 1, self.h @ self.u, -1e9)
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        self.z = np.einsum("nt,nti->ni", self.p, self.h)
        return self.z @ self.w + self.c, self.h @ self.V

    def loss(self, given, y):
        x, mask = given
        target, parts = y
        out, each = self.forward(x, mask)
        missed = out - target
        of_parts = ((each - parts) ** 2).sum(axis=2)
        return np.mean(np.cosh(missed)) + (of_parts * mask).sum() / mask.sum()

    def gradients(self, given, y):
        x, mask = given
        target, parts = y
        out, each = self.forward(x, mask)
        d = np.sinh(out - target.reshape(out.shape)) / len(x)
        deach = 2 * (each - parts) * mask[:, :, None] / mask.sum()
        dw, dc = self.z.T @ d, d.sum(axis=0)
        dz = d @ self.w.T
        dp = np.einsum("ni,nti->nt", dz, self.h)
        full = self.p * (dp - (dp * self.p).sum(axis=1, keepdims=True))
        ds = np.zeros_like(mask, dtype=float)
        ds[mask == 1] = full[mask == 1]
        du = np.einsum("nt,nti->i", ds, self.h)
        dV = np.einsum("nti,nto->io", self.h, deach)
        dh = self.p[:, :, None] * dz[:, None] + ds[:, :, None] * self.u + deach @ self.V.T
        dE = np.einsum("nti,nto->io", x, dh * (1 - self.h**2))
        return [dE, du, dw, dc, dV]


def make():
    import parity

    net = Bags()

    def data(rng):
        mask = (np.arange(5) < rng.integers(2, 6, (6, 1))).astype(int)
        given = rng.normal(size=(6, 5, 3)), mask
        return given, (rng.normal(size=(6, 1)), rng.normal(size=(6, 5, 2)))

    return parity.Candidate(
        get_weights=lambda: [net.E, net.u, net.w, net.c, net.V],
        gradients=net.gradients, loss=net.loss, data=data,
    )  # fmt: skip
