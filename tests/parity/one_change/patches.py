"""Pictures cut into patches by a padded convolution, whose tokens look at one another by heads."""

import numpy as np

PAD, HEADS = 1, 2


class Patches:
    def __init__(self):
        r = np.random.default_rng(8)
        self.K = 0.4 * r.normal(size=(4, 2, 3, 3))
        self.S = 0.3 * r.normal(size=(2, 1, 1))
        self.Q, self.M, self.V = (0.5 * r.normal(size=(4, 4)) for _ in range(3))
        self.O = 0.6 * r.normal(size=(4, 3))

    def split(self, a):
        n, steps, units = a.shape
        return a.reshape(n, steps, HEADS, units // HEADS).transpose(0, 2, 1, 3)

    def convolved(self, x):
        n, _, height, width = x.shape
        self.padded = np.pad(x * self.S, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)))
        out = np.zeros((n, 4, height, width))
        for i in range(height):
            for j in range(width):
                window = self.padded[:, :, i : i + 3, j : j + 3]
                out[:, :, i, j] = np.einsum("nckl,fckl->nf", window, self.K)
        return np.tanh(out)

    def forward(self, x):
        self.x, self.a = x, self.convolved(x)
        n, units, height, width = self.a.shape
        self.t = self.a.transpose(0, 2, 3, 1).reshape(n, height * width, units)
        self.q, self.k, self.v = (self.split(self.t @ w) for w in (self.Q, self.M, self.V))
        scores = np.einsum("nhsd,nhtd->nhst", self.q, self.k) / np.sqrt(units // HEADS)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        self.c = (self.p @ self.v).transpose(0, 2, 1, 3).reshape(n, height * width, units)
        self.mean = self.c.mean(axis=1)
        return self.mean @ self.O

    def loss(self, x, y):
        return np.mean(np.sum(np.abs(self.forward(x) - y) ** 3, axis=1))

    def gradients(self, x, y):
        error = self.forward(x) - y
        n, units, height, width = self.a.shape
        d = 3 * error * np.abs(error) / n
        dO = self.mean.T @ d
        dc = np.repeat((d @ self.O.T)[:, None], height * width, axis=1) / (height * width)
        dc = dc.reshape(n, height * width, HEADS, units // HEADS).transpose(0, 2, 1, 3)
        dv = np.einsum("nhst,nhsd->nhtd", self.p, dc)
        dp = dc @ self.v.transpose(0, 1, 3, 2)
        ds = self.p * (dp - (dp * self.p).sum(axis=-1, keepdims=True))
        ds = ds / np.sqrt(units // HEADS)
        dq, dk = ds @ self.k, ds.transpose(0, 1, 3, 2) @ self.q
        dt, grads = 0, []
        for back, w in ((dq, self.Q), (dk, self.M), (dv, self.V)):
            joined = back.transpose(0, 2, 1, 3).reshape(self.t.shape)
            grads.append(np.einsum("nti,nto->io", self.t, joined))
            dt = dt + joined @ w.T
        da = dt.reshape(n, height, width, units).transpose(0, 3, 1, 2)
        dz = da * (1 - self.a**2)
        dK, back = np.zeros_like(self.K), np.zeros_like(self.padded)
        for i in range(height):
            for j in range(width):
                window = self.padded[:, :, i : i + 3, j : j + 3]
                dK += np.einsum("nf,nckl->fckl", dz[:, :, i, j], window)
                back[:, :, i : i + 3, j : j + 3] += np.tensordot(dz[:, :, i, j], self.K, 1)
        inner = back[:, :, PAD : PAD + height, PAD : PAD + width]
        dS = (inner * x).sum(axis=(0, 2, 3)).reshape(self.S.shape)
        return [dK, dS, *grads, dO]


def make():
    import parity

    net = Patches()
    return parity.Candidate(
        get_weights=lambda: [net.K, net.S, net.Q, net.M, net.V, net.O],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.normal(size=(3, 2, 3, 4)), rng.normal(size=(3, 3))),
    )
