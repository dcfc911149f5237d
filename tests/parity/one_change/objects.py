"""Layer objects: an embedding, a layer normalization, attention with a residual path, dense."""

import numpy as np


class Embedding:
    def __init__(self, r, count, size):
        self.w = r.normal(size=(count, size))

    def forward(self, indices):
        self.indices = indices
        return self.w[indices]

    def backward(self, dout):
        self.dw = np.zeros_like(self.w)
        np.add.at(self.dw, self.indices, dout)


class Norm:
    def __init__(self, r, size):
        self.gamma, self.beta = 1 + 0.1 * r.normal(size=size), 0.1 * r.normal(size=size)

    def forward(self, x):
        self.std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        self.xhat = (x - x.mean(axis=-1, keepdims=True)) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(axis=(0, 1))
        self.dbeta = dout.sum(axis=(0, 1))
        dxhat = dout * self.gamma
        mean = dxhat.mean(axis=-1, keepdims=True)
        along = (dxhat * self.xhat).mean(axis=-1, keepdims=True)
        return (dxhat - mean - self.xhat * along) / self.std


class Attention:
    def __init__(self, r, size):
        self.wq, self.wk, self.wv = (0.4 * r.normal(size=(size, size)) for _ in range(3))

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = x @ self.wq, x @ self.wk, x @ self.wv
        self.scale = 1 / np.sqrt(x.shape[-1])
        e = np.exp(self.q @ self.k.transpose(0, 2, 1) * self.scale)
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p @ self.v + x

    def backward(self, dout):
        dp = dout @ self.v.transpose(0, 2, 1)
        dv = self.p.transpose(0, 2, 1) @ dout
        ds = self.p * (dp - (dp * self.p).sum(axis=-1, keepdims=True))
        dq = ds @ self.k * self.scale
        dk = ds.transpose(0, 2, 1) @ self.q * self.scale
        self.dwq = np.einsum("bti,btj->ij", self.x, dq)
        self.dwk = np.einsum("bti,btj->ij", self.x, dk)
        self.dwv = np.einsum("bti,btj->ij", self.x, dv)
        dx = dq @ self.wq.T + dk @ self.wk.T + dv @ self.wv.T
        return dx + dout


class Model:
    def __init__(self):
        r = np.random.default_rng(2)
        self.embedding, self.norm = Embedding(r, 6, 4), Norm(r, 4)
        self.attention, self.w = Attention(r, 4), 0.5 * r.normal(size=(4, 3))

    def outputs(self, x):
        h = self.embedding.forward(x)
        h = self.norm.forward(h)
        self.h = self.attention.forward(h)
        self.pooled = self.h.mean(axis=1)
        return self.pooled @ self.w

    def loss(self, x, y):
        return 0.5 * ((self.outputs(x) - y) ** 2).sum() / len(x)

    def gradients(self, x, y):
        d = (self.outputs(x) - y) / len(x)
        dw = self.pooled.T @ d
        dpooled = d @ self.w.T
        steps = self.h.shape[1]
        dh = np.repeat(dpooled[:, None], steps, axis=1) / steps
        dh = self.attention.backward(dh)
        dh = self.norm.backward(dh)
        self.embedding.backward(dh)
        a, n = self.attention, self.norm
        return [self.embedding.dw, n.dgamma, n.dbeta, a.dwq, a.dwk, a.dwv, dw]


def make():
    import parity

    net = Model()
    a, n = net.attention, net.norm
    return parity.Candidate(
        get_weights=lambda: [net.embedding.w, n.gamma, n.beta, a.wq, a.wk, a.wv, net.w],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.integers(0, 6, (5, 4)), rng.normal(size=(5, 3))),
    )
