"""A penalty on the weights: lambda / 2 times the sum of their squares."""

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


class RegularisedNet:
    """tanh and softmax; the loss is the mean cross-entropy and the penalty on both kernels."""

    def __init__(self, n=5, h=6, k=3, reg=0.05):
        rng = np.random.default_rng(4)
        self.W1, self.b1 = rng.standard_normal((n, h)) * 0.5, rng.standard_normal(h) * 0.5
        self.W2, self.b2 = rng.standard_normal((h, k)) * 0.5, rng.standard_normal(k) * 0.5
        self.reg = reg

    def forward(self, X):
        self.H = np.tanh(X @ self.W1 + self.b1)
        S = self.H @ self.W2 + self.b2
        E = np.exp(S - S.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    def loss(self, X, y):
        P = self.forward(X)
        data_loss = -np.mean(np.log(P[np.arange(len(y)), y]))
        return data_loss + 0.5 * self.reg * (np.sum(self.W1**2) + np.sum(self.W2**2))

    def gradients(self, X, y):
        d = self.forward(X)
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        dH = d @ self.W2.T * (1 - self.H**2)
        return self.penalise([X.T @ dH, dH.sum(axis=0), self.H.T @ d, d.sum(axis=0)])

    def penalise(self, grads):
        grads[0] += self.reg * self.W1
        grads[2] += self.reg * self.W2
        return grads

    def connect(self):
        return Candidate(
            get_weights=lambda: [self.W1, self.b1, self.W2, self.b2],
            forward=self.forward,
            gradients=self.gradients,
            loss=self.loss,
        )


@right()
def make_penalty_in_loss_and_gradient():
    return RegularisedNet().connect()


@right()
def make_penalty_without_declared_loss():
    net = RegularisedNet(4, 5, 3, reg=0.1)
    return Candidate(
        get_weights=lambda: [net.W1, net.b1, net.W2, net.b2],
        forward=net.forward,
        gradients=net.gradients,
    )


class ShrinkingSteps:
    """Columns; weights shrink by 1 - eta lambda / n in every step, biases do not."""

    def __init__(self, lmbda=5.0, n=1000):
        rng = np.random.default_rng(12)
        self.w = [rng.standard_normal((6, 4)), rng.standard_normal((3, 6))]
        self.b = [rng.standard_normal((6, 1)), rng.standard_normal((3, 1))]
        self.decay = lmbda / n

    def forward(self, a):
        self.a = [a]
        for w, b in zip(self.w, self.b, strict=True):
            self.a.append(1 / (1 + np.exp(-(w @ self.a[-1] + b))))
        return self.a[-1]

    def step(self, x, y, eta):
        d2 = self.forward(x) - y
        d1 = self.w[1].T @ d2 * self.a[1] * (1 - self.a[1])
        m = x.shape[1]
        for i, d in enumerate((d1, d2)):
            self.w[i] = (1 - eta * self.decay) * self.w[i] - eta / m * d @ self.a[i].T
            self.b[i] = self.b[i] - eta / m * d.sum(axis=1, keepdims=True)


@right()
def make_shrinking_steps():
    net = ShrinkingSteps()
    return Candidate(get_weights=lambda: [*net.w, *net.b], forward=net.forward, step=net.step)


class PenaltyOnlyInLoss(RegularisedNet):
    def penalise(self, grads):
        return grads


@wrong(code_words=("decay", "l2", "regular", "penalty"))
def make_penalty_only_in_loss():
    return PenaltyOnlyInLoss(5, 4, 3).connect()


class PenaltyTwice(RegularisedNet):
    def penalise(self, grads):
        grads[0] += 2 * self.reg * self.W1
        grads[2] += 2 * self.reg * self.W2
        return grads


@wrong(code_words=("decay", "l2", "regular", "penalty"))
def make_penalty_twice_in_gradient():
    return PenaltyTwice(4, 6, 3).connect()


class PenaltyOnBiases(RegularisedNet):
    def penalise(self, grads):
        params = [self.W1, self.b1, self.W2, self.b2]
        return [g + self.reg * p for g, p in zip(grads, params, strict=True)]


@wrong(code_words=("decay", "l2", "regular", "penalty"))
def make_penalty_on_biases_too():
    return PenaltyOnBiases(5, 6, 4).connect()
