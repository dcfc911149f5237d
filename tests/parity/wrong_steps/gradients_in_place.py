"""PyTorch's momentum; gradients are written into the same arrays in each call."""

import numpy as np

import parity


class Linear:
    def __init__(self, n_in, n_out, rng):
        self.weight, self.bias = rng.normal(size=(n_out, n_in)) * 0.6, np.zeros(n_out)
        self.grad_weight, self.grad_bias = np.empty((n_out, n_in)), np.empty(n_out)

    def __call__(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, d):
        np.matmul(d.T, self.x, out=self.grad_weight)
        np.sum(d, axis=0, out=self.grad_bias)
        return d @ self.weight


class Model:
    def __init__(self, rng):
        self.one, self.two = Linear(4, 5, rng), Linear(5, 2, rng)

    def parameters(self):
        return [self.one.weight, self.one.bias, self.two.weight, self.two.bias]

    def predict(self, x):
        self.h = np.maximum(self.one(x), 0)
        return self.two(self.h)

    def grads(self, x, y):
        d = 2 * (self.predict(x) - y) / y.size
        self.one.backward(self.two.backward(d) * (self.h > 0))
        one, two = self.one, self.two
        return [one.grad_weight, one.grad_bias, two.grad_weight, two.grad_bias]


class SGD:
    def __init__(self, params, momentum=0.9, dampening=0.5):
        self.params, self.momentum, self.dampening = params, momentum, dampening
        self.buffers = None

    def step(self, grads, lr):
        if self.buffers is None:
            self.buffers = [g.copy() for g in grads]
            for p, buf in zip(self.params, self.buffers, strict=True):
                p -= lr * buf
            return
        for p, buf, g in zip(self.params, self.buffers, grads, strict=True):
            buf *= self.momentum
            buf += (1 - self.dampening) * g
            p -= lr * buf


def make():
    model = Model(np.random.default_rng(9))
    optimizer = SGD(model.parameters())
    return parity.Candidate(
        get_weights=model.parameters,
        forward=model.predict,
        gradients=model.grads,
        loss="mean_squared_error",
        step=lambda x, y, lr: optimizer.step(model.grads(x, y), lr),
        optimizer="torch.SGD(momentum=0.9, dampening=0.5)",
    )
