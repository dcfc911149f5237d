"""Adamax of a small convolution: layers of any kind, attributes found by name."""

import numpy as np

import parity


class Model:
    names = ("kernel", "bias", "out")

    def __init__(self, rng):
        self.kernel, self.bias = rng.normal(size=(3, 2, 4)) * 0.5, np.zeros(4)
        self.out = rng.normal(size=(4, 2))

    def run(self, x):
        z = sum(x[:, k : x.shape[1] - 2 + k] @ self.kernel[k] for k in range(3)) + self.bias
        return z, np.tanh(z), np.tanh(z).mean(axis=1) @ self.out

    def loss(self, x, y):
        return np.mean((self.run(x)[2] - y) ** 2)

    def gradients(self, x, y):
        _, a, out = self.run(x)
        d = 2 * (out - y) / y.size
        da = np.repeat((d @ self.out.T)[:, None] / a.shape[1], a.shape[1], axis=1)
        dz = da * (1 - a**2)
        wide = x.shape[1] - 2
        kernel = [np.tensordot(x[:, k : wide + k], dz, ((0, 1), (0, 1))) for k in range(3)]
        return {
            "kernel": np.stack(kernel),
            "bias": dz.sum(axis=(0, 1)),
            "out": a.mean(axis=1).T @ d,
        }


class Adamax:
    def __init__(self, model, beta1=0.9, beta2=0.999, eps=1e-7):
        self.model, self.beta1, self.beta2, self.eps = model, beta1, beta2, eps
        self.state = {}
        self.t = 0

    def apply(self, grads, lr):
        self.t = self.t + 1
        for name in self.model.names:
            p, g = getattr(self.model, name), grads[name]
            s = self.state.setdefault(name, {"m": np.zeros_like(p), "u": np.zeros_like(p)})
            s["m"] = self.beta1 * s["m"] + (1 - self.beta1) * g
            s["u"] = np.maximum(self.beta2 * s["u"], np.abs(g))
            p -= lr / (1 - self.beta1**self.t) * s["m"] / (s["u"] + self.eps)


def make():
    model = Model(np.random.default_rng(8))
    opt = Adamax(model)
    return parity.Candidate(
        get_weights=lambda: {name: getattr(model, name) for name in model.names},
        gradients=model.gradients,
        loss=model.loss,
        step=lambda x, y, lr: opt.apply(model.gradients(x, y), lr),
        data=lambda rng: (rng.normal(size=(5, 6, 2)), rng.normal(size=(5, 2))),
        optimizer="Adamax()",
    )
