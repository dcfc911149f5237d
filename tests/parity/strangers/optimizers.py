"""A training step with momentum, RMSprop or Adam."""

from itertools import pairwise

import numpy as np

from numpy_impl import optimizers
from numpy_impl.optimizers import SGD
from parity import Candidate
from tests.parity.strangers import right, wrong


class MLP:
    def __init__(self, *sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.params = []
        for m, n in pairwise(sizes):
            self.params += [rng.normal(0, m**-0.5, (m, n)), np.zeros(n)]

    def forward(self, x):
        self.acts = [x]
        for i in range(0, len(self.params), 2):
            z = self.acts[-1] @ self.params[i] + self.params[i + 1]
            self.acts.append(np.tanh(z) if i < len(self.params) - 2 else self.softmax(z))
        return self.acts[-1]

    @staticmethod
    def softmax(z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def backward(self, x, y):
        d, grads = (self.forward(x) - y) / len(x), []
        for i in range(len(self.params) - 2, -1, -2):
            a = self.acts[i // 2]
            grads = [a.T @ d, d.sum(axis=0), *grads]
            d = d @ self.params[i].T * (1 - a**2)
        return grads


class Optimizer:
    def __init__(self, net):
        self.net, self.t = net, 0
        self.m = [np.zeros_like(p) for p in net.params]
        self.v = [np.zeros_like(p) for p in net.params]

    def step(self, x, y, lr):
        self.t += 1
        for i, (p, g) in enumerate(zip(self.net.params, self.net.backward(x, y), strict=True)):
            p -= self.change(i, g, lr)

    def change(self, i, g, lr):
        return lr * g


def connect(rule, *sizes, declared=None):
    net = MLP(*sizes)
    return Candidate(
        get_weights=lambda: net.params,
        forward=net.forward,
        step=rule(net).step,
        optimizer=declared,
    )


class Momentum(Optimizer):
    def change(self, i, g, lr, mu=0.9):
        self.v[i] = mu * self.v[i] - lr * g
        return -self.v[i]


@right()
def make_momentum():
    return connect(Momentum, 5, 6, 3)


@right()
def make_momentum_declared():
    return connect(Momentum, 4, 7, 3, declared=SGD(0.1, momentum=0.9))


class MomentumOfGradients(Optimizer):
    def change(self, i, g, lr):
        self.v[i] = 0.9 * self.v[i] + g
        return lr * self.v[i]


@right()
def make_momentum_of_gradients():
    return connect(MomentumOfGradients, 5, 5, 4)


class RMSprop(Optimizer):
    def change(self, i, g, lr, rho=0.9, eps=1e-7):
        self.v[i] = rho * self.v[i] + (1 - rho) * g**2
        return lr * g / np.sqrt(self.v[i] + eps)


@right()
def make_rmsprop():
    return connect(RMSprop, 6, 8, 5, 3, declared="rmsprop")


class AdamOfKeras(Optimizer):
    def change(self, i, g, lr, b1=0.9, b2=0.999, eps=1e-7):
        self.m[i] += (1 - b1) * (g - self.m[i])
        self.v[i] += (1 - b2) * (g * g - self.v[i])
        alpha = lr * np.sqrt(1 - b2**self.t) / (1 - b1**self.t)
        return alpha * self.m[i] / (np.sqrt(self.v[i]) + eps)


@right()
def make_adam_of_keras():
    return connect(AdamOfKeras, 5, 7, 4, declared="adam")


class AdamOfThePaper(Optimizer):
    def change(self, i, g, lr, beta1=0.9, beta2=0.999, eps=1e-8):
        self.m[i] = beta1 * self.m[i] + (1 - beta1) * g
        self.v[i] = beta2 * self.v[i] + (1 - beta2) * g**2
        m_hat = self.m[i] / (1 - beta1**self.t)
        v_hat = self.v[i] / (1 - beta2**self.t)
        return lr * m_hat / (np.sqrt(v_hat) + eps)


@right()
def make_adam_of_the_paper():
    return connect(AdamOfThePaper, 4, 6, 3)


class MomentumWithoutRate(Optimizer):
    def change(self, i, g, lr):
        self.v[i] = 0.9 * self.v[i] - g
        return -self.v[i]


@wrong(code_words=("learning rate", "learning-rate", "rate"))
def make_momentum_without_learning_rate():
    return connect(MomentumWithoutRate, 5, 6, 3)


class EpsilonOutside(Optimizer):
    def change(self, i, g, lr):
        self.v[i] = 0.9 * self.v[i] + 0.1 * g**2
        return lr * g / (np.sqrt(self.v[i]) + 1e-7)


@right()
def make_rmsprop_as_pytorch_has_it():
    return connect(EpsilonOutside, 6, 5, 3)


@right()  # with a remark: where epsilon stands is PyTorch's convention
def make_rmsprop_as_pytorch_has_it_declared_as_keras_s():
    return connect(EpsilonOutside, 6, 5, 3, declared=optimizers.RMSprop())


class NoRoot(Optimizer):
    def change(self, i, g, lr):
        self.v[i] = 0.9 * self.v[i] + 0.1 * g**2
        return lr * g / (self.v[i] + 1e-7)


@wrong(code_words=("root", "sqrt"))
def make_rmsprop_without_root():
    return connect(NoRoot, 5, 6, 4, declared="rmsprop")


class RhoSwapped(Optimizer):
    def change(self, i, g, lr, decay_rate=0.9):
        self.v[i] = (1 - decay_rate) * self.v[i] + decay_rate * np.square(g)
        return lr * g / np.sqrt(self.v[i] + 1e-7)


@wrong(code_words=("rho", "swap", "decay", "exchang"))
def make_rmsprop_rho_swapped():
    return connect(RhoSwapped, 4, 8, 3, declared="rmsprop")


class AdamUncorrected(Optimizer):
    def change(self, i, g, lr):
        self.m[i] = 0.9 * self.m[i] + 0.1 * g
        self.v[i] = 0.999 * self.v[i] + 0.001 * g * g
        return lr * self.m[i] / (np.sqrt(self.v[i]) + 1e-7)


@wrong(code_words=("correct",))
def make_adam_without_bias_correction():
    return connect(AdamUncorrected, 5, 6, 3, declared="adam")
