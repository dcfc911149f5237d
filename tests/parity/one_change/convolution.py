"""A convolution in loops and a dense layer behind it, with a penalty, as functions."""

import numpy as np

r = np.random.default_rng(3)
K, c = 0.5 * r.normal(size=(3, 2, 4)), 0.1 * r.normal(size=4)
K2, c2 = 0.5 * r.normal(size=(2, 4, 3)), 0.1 * r.normal(size=3)
W, b = 0.5 * r.normal(size=(9, 2)), 0.1 * r.normal(size=2)
LAMBDA = 0.01


def conv(x, kernel, bias):
    steps = x.shape[1] - len(kernel) + 1
    out = np.zeros((len(x), steps, kernel.shape[2]))
    for t in range(steps):
        out[:, t] = np.tensordot(x[:, t : t + len(kernel)], kernel, 2) + bias
    return out


def conv_backward(dout, x, kernel):
    dx, dk = np.zeros_like(x), np.zeros_like(kernel)
    for t in range(dout.shape[1]):
        dk += np.tensordot(x[:, t : t + len(kernel)], dout[:, t], ([0], [0]))
        dx[:, t : t + len(kernel)] += np.tensordot(dout[:, t], kernel, ([1], [2]))
    return dx, dk, dout.sum(axis=(0, 1))


def run(x):
    z1 = conv(x, K, c)
    a1 = np.maximum(z1, 0)
    z2 = conv(a1, K2, c2)
    a2 = 1 / (1 + np.exp(-z2))
    flat = a2.reshape(len(x), -1)
    return z1, a1, a2, flat, flat @ W + b


def loss(x, y):
    out = run(x)[-1]
    return ((out - y) ** 2).sum() / len(x) + LAMBDA / 2 * (W**2).sum()


def gradients(x, y):
    z1, a1, a2, flat, out = run(x)
    d = 2 * (out - y) / len(x)
    dW = flat.T @ d + LAMBDA * W
    db = d.sum(axis=0)
    da2 = (d @ W.T).reshape(a2.shape)
    dz2 = da2 * a2 * (1 - a2)
    da1, dK2, dc2 = conv_backward(dz2, a1, K2)
    dz1 = da1 * (z1 > 0)
    _, dK, dc = conv_backward(dz1, x, K)
    return [dK, dc, dK2, dc2, dW, db]


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: [K, c, K2, c2, W, b],
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(5, 6, 2)), rng.normal(size=(5, 2))),
    )
