"""The bias is the last column; before propagating, a fixed column number is cut out instead of the last one
(right at hidden = K, wrong at any other width). Expected: WRONG, "bias-column: column K is cut out of the
kernel in place of the bias column", here with or without update-before-propagation. Now: WRONG, "unknown"
(only the first and the last column are in the catalogue)."""
import numpy as np

import parity

K = 5
def s(z): return 1 / (1 + np.exp(-z))

class Net:
    def __init__(self, hidden, early, rng=np.random.default_rng(0)):
        self.L = [rng.normal(size=(hidden, 7)), rng.normal(size=(4, hidden + 1))]
        self.early = early
    def forward(self, x):
        self.h = s(self.L[0] @ np.append(x, 1))
        return s(self.L[1] @ np.append(self.h, 1))
    def step(self, x, y, lr):
        o = self.forward(x)
        d = (o - y) * o * (1 - o)
        old = self.L[1].copy()
        self.L[1] -= lr * np.outer(d, np.append(self.h, 1))
        back = np.delete(self.L[1] if self.early else old, K, axis=1).T @ d
        self.L[0] -= lr * np.outer(back * self.h * (1 - self.h), np.append(x, 1))

def make(hidden=8, early=False):
    n = Net(hidden, early)
    return parity.Candidate(get_weights=lambda: n.L, forward=n.forward, step=n.step)
def make_early(): return make(early=True)
def make_right(): return make(hidden=K)
