"""softmax's Jacobian is summed over an axis (the sum is 0) and then multiplied by the incoming gradient: all
gradients are rounding noise of 1e-18. Expected: WRONG with and without own loss: "all gradients are zero up
to rounding; softmax's Jacobian is summed instead of multiplied". Now: CANNOT TELL without the loss, WRONG
"unknown" with it; nothing says that the gradients vanish."""
import numpy as np

import parity


class Net:
    def __init__(self, rng=np.random.default_rng(0)):
        self.W, self.b = rng.normal(size=(9, 7)), np.zeros(7)
        self.V, self.c = rng.normal(size=(7, 4)), np.zeros(4)
    def forward(self, x):
        self.z = x @ self.W + self.b
        self.h = np.maximum(self.z, 0)
        e = np.exp(self.h @ self.V + self.c)
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p
    def gradients(self, x, y):
        p = self.forward(x)
        J = np.einsum("nj,jk->njk", p, np.eye(4)) - p[:, :, None] * p[:, None, :]
        d2 = J.sum(axis=1) * (p - y) / len(x)            # should be einsum("njk,nk->nj", J, p - y)
        d1 = d2 @ self.V.T * (self.z > 0)
        return [x.T @ d1, d1.sum(0), self.h.T @ d2, d2.sum(0)]
    def loss(self, x, y): return np.sum((self.forward(x) - y) ** 2) / 2 / len(x)

def make(own=False):
    n = Net()
    return parity.Candidate(get_weights=lambda: [n.W, n.b, n.V, n.c], forward=n.forward, gradients=n.gradients,
                            loss=n.loss if own else None)
def make_own(): return make(True)
