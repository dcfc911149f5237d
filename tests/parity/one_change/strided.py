"""Counts over an exposure: a convolution with strides, masked in place, and an exponential."""

import numpy as np

STRIDE, WIDTH = 2, 3


class Claims:
    def __init__(self):
        r = np.random.default_rng(5)
        self.K, self.w = 0.6 * r.normal(size=(4, WIDTH)), 0.5 * r.normal(size=4)

    def rate(self, x):
        steps = (x.shape[1] - 1 - WIDTH) // STRIDE + 1
        self.z = np.zeros((len(x), len(self.K), steps))
        for t in range(steps):
            s = t * STRIDE
            self.z[:, :, t] = x[:, s : s + WIDTH] @ self.K.T
        self.mean = np.maximum(self.z, 0).mean(axis=2)
        self.a = self.mean @ self.w
        return np.exp(np.tanh(self.a))

    def predict(self, x):
        return self.rate(x) * x[:, -1]

    def loss(self, x, y):
        mu = self.predict(x)
        return np.mean(mu - y * np.log(mu))

    def gradients(self, x, y):
        error = (self.predict(x) - y) / len(y)
        da = error * (1 - np.tanh(self.a) ** 2)
        steps = self.z.shape[2]
        dz = np.repeat(np.outer(da, self.w)[:, :, None], steps, axis=2) / steps
        dz[self.z <= 0] = 0
        dK = np.zeros_like(self.K)
        for t in range(steps):
            dK += dz[:, :, t].T @ x[:, STRIDE * t : STRIDE * t + WIDTH]
        return [dK, self.mean.T @ da]


def make():
    import parity

    claims = Claims()
    return parity.Candidate(
        get_weights=lambda: [claims.K, claims.w],
        gradients=claims.gradients,
        loss=claims.loss,
        data=lambda rng: (
            np.column_stack([rng.normal(size=(6, 9)), rng.uniform(0.5, 2, 6)]),
            rng.poisson(2.0, 6).astype(float),
        ),
    )
