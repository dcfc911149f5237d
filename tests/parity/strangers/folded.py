"""The bias as one more column or row of the kernel."""

from itertools import pairwise

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def g(z):
    return 1 / (1 + np.exp(-z))


def with_ones_below(A):
    return np.vstack([A, np.ones((1, A.shape[1]))])


class LastColumn:
    """Samples in columns; W is (out, in + 1)."""

    def __init__(self, n, h, k, seed=0):
        rng = np.random.default_rng(seed)
        self.W1 = rng.uniform(-1, 1, (h, n + 1))
        self.W2 = rng.uniform(-1, 1, (k, h + 1))

    def forward(self, X):
        self.A1 = np.tanh(self.W1 @ with_ones_below(X))
        return g(self.W2 @ with_ones_below(self.A1))

    def back(self, delta2):
        return self.W2[:, :-1].T @ delta2

    def gradients(self, X, Y):
        O = self.forward(X)  # noqa: E741
        delta2 = (O - Y) * O * (1 - O) / X.shape[1]
        delta1 = self.back(delta2) * (1 - self.A1**2)
        return delta1 @ with_ones_below(X).T, delta2 @ with_ones_below(self.A1).T

    def connect(self):
        return Candidate(
            get_weights=lambda: [self.W1, self.W2], forward=self.forward, gradients=self.gradients
        )


@right()
def make_folded_last_column():
    return LastColumn(5, 6, 3).connect()


class BiasColumnPropagated(LastColumn):
    def back(self, delta2):
        return (self.W2.T @ delta2)[1:]


@wrong(code_words=("bias", "column", "fold", "row"))
def make_folded_wrong_column_dropped():
    return BiasColumnPropagated(4, 5, 3).connect()


class ThetaNet:
    """Rows of samples; Theta is (out, 1 + in), its first column the bias."""

    def __init__(self, *sizes):
        rng = np.random.default_rng(3)
        eps = 0.8
        self.thetas = [rng.random((n, m + 1)) * 2 * eps - eps for m, n in pairwise(sizes)]

    def h(self, X):
        self.a = [np.c_[np.ones(len(X)), X]]
        for theta in self.thetas:
            self.a.append(np.c_[np.ones(len(X)), g(self.a[-1] @ theta.T)])
        return self.a[-1][:, 1:]

    def grad(self, X, Y):
        d = self.h(X) - Y
        grads = []
        for i in range(len(self.thetas) - 1, -1, -1):
            grads.append(d.T @ self.a[i] / len(X))
            d = (d @ self.thetas[i] * self.a[i] * (1 - self.a[i]))[:, 1:]
        return grads[::-1]


@right()
def make_folded_theta_first_column():
    net = ThetaNet(6, 5, 4, 3)
    return Candidate(get_weights=lambda: net.thetas, forward=net.h, gradients=net.grad)


class FirstRow:
    """One flat sample a call, put behind a 1; kernels (1 + in, out)."""

    def __init__(self):
        rng = np.random.default_rng(8)
        self.w = [rng.normal(0, 0.5, (5, 6)), rng.normal(0, 0.5, (7, 2))]

    def activations(self, x):
        hidden = g(np.append(1, x) @ self.w[0])
        return [hidden, g(np.append(1, hidden) @ self.w[1])]

    def train(self, x, y, eta):
        hidden, out = self.activations(x)
        d_out = (out - y) * out * (1 - out)
        d_hidden = (self.w[1] @ d_out)[1:] * hidden * (1 - hidden)
        self.w[1] -= eta * np.outer(np.append(1, hidden), d_out)
        self.w[0] -= eta * np.outer(np.append(1, x), d_hidden)


@right()
def make_folded_first_row_single():
    net = FirstRow()
    return Candidate(get_weights=lambda: net.w, forward=net.activations, step=net.train)


def extend(X):
    return np.hstack((X, np.ones((X.shape[0], 1))))


class LastRow:
    """Rows of samples, integer labels; kernels (in + 1, out)."""

    def __init__(self):
        rng = np.random.default_rng(9)
        self.V, self.W = 0.4 * rng.standard_normal((6, 8)), 0.4 * rng.standard_normal((9, 4))

    def forward(self, X):
        H = np.maximum(0, extend(X) @ self.V)
        P = np.exp(extend(H) @ self.W)
        return H, P / P.sum(1)[:, None]

    def gradients(self, X, labels):
        H, P = self.forward(X)
        P[np.arange(len(X)), labels] -= 1.0
        dH = (P @ self.W.T)[:, :-1] * (H > 0)
        return {"V": extend(X).T @ dH, "W": extend(H).T @ P}


@right()
def make_folded_last_row_integer():
    net = LastRow()
    return Candidate(
        get_weights=lambda: {"V": net.V, "W": net.W},
        forward=lambda X: net.forward(X)[1],
        gradients=net.gradients,
    )


class Perceptron:
    """One layer; its bias's row of the gradient is never filled."""

    def __init__(self):
        self.W = np.random.default_rng(2).normal(0, 1, (5, 3))

    def forward(self, X):
        return g(extend(X) @ self.W)

    def gradients(self, X, Y):
        grad = np.zeros_like(self.W)
        grad[:-1] = X.T @ (self.forward(X) - Y) / len(X)
        return [grad]


@wrong(code_words=("bias", "zero", "missing"), where="layer 1")
def make_folded_bias_row_stays_zero():
    net = Perceptron()
    return Candidate(get_weights=lambda: [net.W], forward=net.forward, gradients=net.gradients)
