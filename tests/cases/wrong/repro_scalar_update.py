"""dot of two vectors in place of their outer product: each kernel is moved by one number. Expected: WRONG
(no loss has such a gradient: at one sample it must be delta times the input): "kernel gradient is one number:
np.dot in place of np.outer". Now: step: CANNOT TELL (exit 2), "not the gradient of any loss known here";
with gradients(): WRONG, "another shape than its weight", fix "give it the shape of the weight"."""
import numpy as np

import parity


def s(z): return 1 / (1 + np.exp(-z))

class Net:
    def __init__(self, rng=np.random.default_rng(0)):
        self.W, self.V = rng.normal(size=(9, 12)), rng.normal(size=(5, 9))
    def forward(self, x):
        self.h = s(self.W @ x)
        e = np.exp(self.V @ self.h)
        self.p = e / e.sum()
        return self.p
    def grads(self, x, y):
        self.forward(x)
        d2 = self.p - y
        d1 = self.V.T @ d2 * self.h * (1 - self.h)
        return [np.dot(d1, self.h), np.dot(d2, self.p)]
    def step(self, x, y, lr):
        for w, g in zip((self.W, self.V), self.grads(x, y)):
            w -= lr * g

def make():
    n = Net()
    return parity.Candidate(get_weights=lambda: [n.W, n.V], forward=n.forward, step=n.step, samples="single")
def make_gradients():
    n = Net()
    return parity.Candidate(get_weights=lambda: [n.W, n.V], forward=n.forward, gradients=n.grads, samples="single")
