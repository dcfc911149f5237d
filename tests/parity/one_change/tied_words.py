"""A bag of words that predicts a word: the same vectors read words and score them."""

import numpy as np


class Model:
    def __init__(self, words=7, size=4, seed=3):
        r = np.random.default_rng(seed)
        self.E = 0.6 * r.normal(size=(words, size))
        self.U = 0.6 * r.normal(size=(size, size))

    def scores(self, bag):
        self.bag = bag
        self.mean = self.E[bag].mean(axis=1)
        self.h = np.tanh(self.mean @ self.U)
        return self.h @ self.E.T

    def loss(self, bag, word):
        s = self.scores(bag)
        s = s - s.max(axis=1, keepdims=True)
        self.p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        return -np.log(self.p[np.arange(len(word)), word]).mean()

    def backward(self, bag, word):
        self.loss(bag, word)
        ds = self.p.copy()
        ds[np.arange(len(word)), word] -= 1
        ds /= len(word)
        self.dE = ds.T @ self.h
        dz = (ds @ self.E) * (1 - self.h**2)
        self.dU = self.mean.T @ dz
        dmean = dz @ self.U.T
        np.add.at(self.dE, bag, dmean[:, None] / bag.shape[1])


def make():
    import parity

    net = Model()

    def gradients(bag, word):
        net.backward(bag, word)
        return [net.dE, net.dU]

    return parity.Candidate(
        get_weights=lambda: [net.E, net.U],
        gradients=gradients,
        loss=net.loss,
        data=lambda rng: (rng.integers(0, 7, (6, 3)), rng.integers(0, 7, 6)),
    )
