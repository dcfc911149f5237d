"""A class for each optimizer; Lion among them. A recurrent network."""

import numpy as np

import parity


class Optimizer:
    def __init__(self, params):
        self.params = params
        self.setup()

    def setup(self):
        pass

    def update(self, i, p, g, lr):
        raise NotImplementedError

    def step(self, grads, lr):
        for i, (p, g) in enumerate(zip(self.params, grads, strict=True)):
            self.update(i, p, g, lr)


class Descent(Optimizer):
    def update(self, i, p, g, lr):
        p -= lr * g


class Lion(Optimizer):
    def setup(self):
        self.b1, self.b2, self.wd = 0.9, 0.99, 0.1
        self.m = [np.zeros_like(p) for p in self.params]

    def update(self, i, p, g, lr):
        m = self.m[i]
        direction = np.sign(self.b1 * m + (1 - self.b1) * g)
        p -= lr * self.wd * p
        p -= lr * direction
        m *= self.b2
        m += (1 - self.b2) * g


class Elman:
    def __init__(self, rng):
        self.Wx, self.Wh, self.V = (rng.normal(size=s) * 0.4 for s in ((3, 5), (5, 5), (5, 2)))

    def params(self):
        return [self.Wx, self.Wh, self.V]

    def states(self, x):
        hs = [np.zeros((len(x), 5))]
        for t in range(x.shape[1]):
            hs.append(np.tanh(x[:, t] @ self.Wx + hs[-1] @ self.Wh))
        return hs

    def loss(self, x, y):
        return np.mean((self.states(x)[-1] @ self.V - y) ** 2)

    def gradients(self, x, y):
        hs = self.states(x)
        d = 2 * (hs[-1] @ self.V - y) / y.size
        dV, dh = hs[-1].T @ d, d @ self.V.T
        dWx, dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        for t in reversed(range(x.shape[1])):
            dz = dh * (1 - hs[t + 1] ** 2)
            dWx += x[:, t].T @ dz
            dWh += hs[t].T @ dz
            dh = dz @ self.Wh.T
        return [dWx, dWh, dV]


def make():
    net = Elman(np.random.default_rng(4))
    opt = Lion(net.params())
    return parity.Candidate(
        get_weights=net.params,
        gradients=net.gradients,
        loss=net.loss,
        step=lambda x, y, lr: opt.step(net.gradients(x, y), lr),
        data=lambda rng: (rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 2))),
        optimizer="Lion(weight_decay=0.1)",
    )
