"""A recurrent tagger as a class: a loop over time, a label for each step."""

import numpy as np


class Tagger:
    def __init__(self):
        r = np.random.default_rng(0)
        self.Wx, self.Wh = 0.5 * r.normal(size=(3, 5)), 0.4 * r.normal(size=(5, 5))
        self.b, self.V = 0.1 * r.normal(size=5), 0.5 * r.normal(size=(5, 4))

    def run(self, x):
        states, probabilities = [np.zeros((len(x), 5))], []
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ self.Wx + states[-1] @ self.Wh + self.b)
            e = np.exp(h @ self.V)
            states.append(h)
            probabilities.append(e / e.sum(axis=1, keepdims=True))
        return states, probabilities

    def loss(self, x, y):
        _, p = self.run(x)
        rows = np.arange(len(x))
        return -sum(np.log(p[t][rows, y[:, t]]).sum() for t in range(x.shape[1])) / len(x)

    def gradients(self, x, y):
        states, p = self.run(x)
        n = len(x)
        dWx, dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        db, dV = np.zeros_like(self.b), np.zeros_like(self.V)
        dh_next = np.zeros((n, 5))
        for t in reversed(range(x.shape[1])):
            d = (p[t] - np.eye(4)[y[:, t]]) / n
            dV += states[t + 1].T @ d
            dh = d @ self.V.T + dh_next
            dz = dh * (1 - states[t + 1] ** 2)
            dWx += x[:, t].T @ dz
            dWh += states[t].T @ dz
            db += dz.sum(axis=0)
            dh_next = dz @ self.Wh.T
        return [dWx, dWh, db, dV]


def make():
    import parity

    net = Tagger()
    return parity.Candidate(
        get_weights=lambda: [net.Wx, net.Wh, net.b, net.V],
        gradients=net.gradients,
        loss=net.loss,
        data=lambda rng: (rng.normal(size=(6, 4, 3)), rng.integers(0, 4, (6, 4))),
    )
