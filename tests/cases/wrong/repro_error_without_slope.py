"""Expected: WRONG, layer 1's delta: "the output's error is propagated without the output's sigmoid'(z)"
(the kernel of layer 2 has it). Now: WRONG, but "unknown", and the report claims that "what flows in from the
layer above is right", which is the very thing that is wrong."""
import numpy as np

import parity


def s(z): return 1 / (1 + np.exp(-z))

class Net:
    def __init__(self, rng=np.random.default_rng(0)):
        self.A, self.B = rng.normal(size=(6, 5)), rng.normal(size=(5, 4))
    def forward(self, x):
        self.h = s(x @ self.A)
        return s(self.h @ self.B)
    def gradients(self, x, y):
        o = self.forward(x)
        err = o - y
        back = err @ self.B.T                      # should be (err * o * (1 - o)) @ B.T
        return [x.T @ (back * self.h * (1 - self.h)) / len(x), self.h.T @ (err * o * (1 - o)) / len(x)]

def make():
    net = Net()
    return parity.Candidate(get_weights=lambda: [net.A, net.B], forward=net.forward, gradients=net.gradients)
