"""The largest of each window, window by window: other pictures, other places."""

import numpy as np

r = np.random.default_rng(31)


class Filter:
    def __init__(self):
        self.k = 0.6 * r.normal(size=(3, 2, 2))

    def forward(self, x):
        self.x = x
        n, h, w = x.shape
        out = np.zeros((n, 3, h - 1, w - 1))
        for i in range(2):
            for j in range(2):
                out += self.k[:, i, j][:, None, None] * x[:, None, i : h - 1 + i, j : w - 1 + j]
        return out

    def backward(self, d):
        h, w = d.shape[2:]
        self.dk = np.zeros_like(self.k)
        for i in range(2):
            for j in range(2):
                self.dk[:, i, j] = (d * self.x[:, None, i : i + h, j : j + w]).sum(axis=(0, 2, 3))


class Largest:
    def forward(self, z):
        self.z = z
        n, c, h, w = z.shape
        out = np.zeros((n, c, h // 2, w // 2))
        for i in range(h // 2):
            for j in range(w // 2):
                out[:, :, i, j] = z[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(2, 3))
        return out

    def backward(self, d):
        dz = np.zeros_like(self.z)
        for i in range(d.shape[2]):
            for j in range(d.shape[3]):
                window = self.z[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                mask = window == window.max(axis=(2, 3), keepdims=True)
                one = d[:, :, i, j][:, :, None, None]
                dz[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = mask * one
        return dz


class Net:
    def __init__(self):
        self.filter, self.largest = Filter(), Largest()
        self.w = 0.5 * r.normal(size=(12, 2))

    def loss(self, x, y):
        a = np.tanh(self.largest.forward(self.filter.forward(x)))
        self.a = a.reshape(len(x), -1)
        self.error = self.a @ self.w - y
        return np.mean(self.error**2)

    def gradients(self, x, y):
        self.loss(x, y)
        d = 2 * self.error / self.error.size
        da = (d @ self.w.T) * (1 - self.a**2)
        self.filter.backward(self.largest.backward(da.reshape(len(x), 3, 2, 2)))
        return [self.filter.dk, self.a.T @ d]


def make():
    import parity

    net = Net()
    return parity.Candidate(
        get_weights=lambda: [net.filter.k, net.w],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.normal(size=(4, 5, 5)), rng.normal(size=(4, 2))),
    )
