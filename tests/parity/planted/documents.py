"""The published updates of two of the documents, with the errors that they have."""

import numpy as np

from parity import Candidate


def softmax(v):
    e = np.exp(v - np.max(v))
    return e / np.sum(e)


def dsoftmax(v):
    return softmax(v) * (1 - softmax(v))


def dtanh(v):
    return 1 - np.tanh(v) ** 2


class Dropout:
    """D2: 64-200-10 without biases, tanh, dropout 1/2 and softmax; one sample at a time.

    Both derivatives are handed activations, the hidden one dropped and doubled; the way back has
    the mask but not the factor 2.
    """

    def __init__(self, sizes=(64, 200, 10)):
        n_in, n_hidden, n_out = sizes
        self.rng = np.random.default_rng(4)
        self.w1 = self.rng.uniform(-1, 1, (n_in, n_hidden))
        self.w2 = self.rng.uniform(-1, 1, (n_hidden, n_out))

    def predict(self, x):
        return softmax(np.tanh(x @ self.w1) @ self.w2)

    def learn(self, x, target, rate):
        mask = self.rng.integers(0, 2, self.w1.shape[1])
        hidden = np.tanh(x @ self.w1) * mask * 2
        output = softmax(hidden @ self.w2)
        delta = (output - target) * dsoftmax(output)
        delta_hidden = (self.w2 @ delta) * mask * dtanh(hidden)
        self.w2 -= rate * np.outer(hidden, delta)
        self.w1 -= rate * np.outer(x, delta_hidden)


def dropout_candidate() -> Candidate:
    net = Dropout()
    return Candidate(
        get_weights=lambda: [net.w1, net.w2], forward=net.predict, step=net.learn, samples="single"
    )


class Epoch:
    """D3: 784-64-10, samples in columns; an epoch clips its last batch's end to n - 1."""

    def __init__(self, batches=1):
        rng = np.random.default_rng(5)
        self.batches = batches
        self.W1, self.b1 = rng.standard_normal((64, 784)), np.zeros((64, 1))
        self.W2, self.b2 = rng.standard_normal((10, 64)), np.zeros((10, 1))

    def forward(self, X):
        A1 = 1 / (1 + np.exp(-(self.W1 @ X + self.b1)))
        e = np.exp(self.W2 @ A1 + self.b2)
        return A1, e / e.sum(axis=0)

    def epoch(self, X, Y, rate):
        n = X.shape[1]
        size = -(-n // self.batches)
        for begin in range(0, n, size):
            end = min(begin + size, n - 1)
            self.descend(X[:, begin:end], Y[:, begin:end], rate)

    def descend(self, X, Y, rate):
        m = X.shape[1]
        A1, A2 = self.forward(X)
        dZ2 = A2 - Y
        dZ1 = self.W2.T @ dZ2 * A1 * (1 - A1)
        self.W2 = self.W2 - rate * dZ2 @ A1.T / m
        self.b2 = self.b2 - rate * dZ2.sum(axis=1, keepdims=True) / m
        self.W1 = self.W1 - rate * dZ1 @ X.T / m
        self.b1 = self.b1 - rate * dZ1.sum(axis=1, keepdims=True) / m

    def set_weights(self, new):
        self.W1, self.b1, self.W2, self.b2 = new


def epoch_candidate() -> Candidate:
    net = Epoch()
    return Candidate(
        get_weights=lambda: [net.W1, net.b1, net.W2, net.b2],
        set_weights=net.set_weights,
        forward=lambda X: net.forward(X)[1],
        step=net.epoch,
    )
