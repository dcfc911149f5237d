"""Rows of samples, integer labels, biases of shape (1, n): softmax classifiers of a few lines."""

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


class LinearSoftmax:
    def __init__(self, D=5, K=3):
        self.W = 0.01 * np.random.default_rng(0).standard_normal((D, K))
        self.b = np.zeros((1, K))

    def probs(self, X):
        exp_scores = np.exp(np.dot(X, self.W) + self.b)
        return exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    def grads(self, X, y):
        m = X.shape[0]
        dscores = self.probs(X)
        dscores[range(m), y] -= 1
        dscores /= m
        return [np.dot(X.T, dscores), np.sum(dscores, axis=0, keepdims=True)]


@right()
def make_linear_softmax():
    net = LinearSoftmax()
    return Candidate(get_weights=lambda: [net.W, net.b], forward=net.probs, gradients=net.grads)


class SpiralNet:
    """Two layers, ReLU; the softmax does not subtract the maximum."""

    def __init__(self, D=4, h=7, K=3, seed=0):
        rng = np.random.default_rng(seed)
        self.W, self.b = 0.5 * rng.standard_normal((D, h)), np.zeros((1, h))
        self.W2, self.b2 = 0.5 * rng.standard_normal((h, K)), np.zeros((1, K))

    def scores(self, X):
        self.hidden = np.maximum(0, np.dot(X, self.W) + self.b)
        return np.dot(self.hidden, self.W2) + self.b2

    def probs(self, X):
        e = np.exp(self.scores(X))
        return e / np.sum(e, axis=1, keepdims=True)

    def dscores(self, X, y):
        d = self.probs(X)
        d[np.arange(len(y)), y] -= 1
        return d / len(y)

    def grads(self, X, y):
        d = self.dscores(X, y)
        dW2, db2 = np.dot(self.hidden.T, d), np.sum(d, axis=0, keepdims=True)
        dhidden = np.dot(d, self.W2.T)
        dhidden[self.hidden <= 0] = 0
        return {
            "W": np.dot(X.T, dhidden),
            "b": np.sum(dhidden, axis=0, keepdims=True),
            "W2": dW2,
            "b2": db2,
        }

    def params(self):
        return {"W": self.W, "b": self.b, "W2": self.W2, "b2": self.b2}

    def connect(self):
        return Candidate(get_weights=self.params, forward=self.probs, gradients=self.grads)


@right()
def make_spiral_relu():
    return SpiralNet().connect()


def tanh_forward(model, X):
    a1 = np.tanh(X @ model["W1"] + model["b1"])
    z2 = a1 @ model["W2"] + model["b2"]
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return a1, e / e.sum(axis=1, keepdims=True)


def tanh_step(model, X, y, epsilon):
    a1, delta3 = tanh_forward(model, X)
    delta3[range(len(X)), y] -= 1
    delta2 = delta3.dot(model["W2"].T) * (1 - np.power(a1, 2))
    model["W2"] += -epsilon * (a1.T).dot(delta3)
    model["b2"] += -epsilon * np.sum(delta3, axis=0, keepdims=True)
    model["W1"] += -epsilon * np.dot(X.T, delta2)
    model["b1"] += -epsilon * np.sum(delta2, axis=0)


@right()
def make_moons_tanh_summed():
    rng = np.random.default_rng(0)
    model = {"W1": rng.standard_normal((2, 5)) / np.sqrt(2), "b1": np.zeros((1, 5))}
    model |= {"W2": rng.standard_normal((5, 2)) / np.sqrt(5), "b2": np.zeros((1, 2))}
    return Candidate(
        get_weights=lambda: model,
        forward=lambda X: tanh_forward(model, X)[1],
        step=lambda X, y, lr: tanh_step(model, X, y, lr),
    )


class ThreeLayers:
    def __init__(self):
        rng = np.random.default_rng(2)
        self.Ws = [0.6 * rng.standard_normal(s) for s in [(6, 8), (8, 5), (5, 4)]]
        self.bs = [np.zeros(n) for n in (8, 5, 4)]

    def forward(self, x):
        h = [x]
        for W, b in zip(self.Ws[:-1], self.bs[:-1], strict=True):
            h.append(np.maximum(h[-1] @ W + b, 0))
        logits = h[-1] @ self.Ws[-1] + self.bs[-1]
        logits -= logits.max(axis=-1, keepdims=True)
        return h, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)

    def backward(self, x, y):
        h, d = self.forward(x)
        d[np.arange(y.shape[0]), y] -= 1
        dWs, dbs = [], []
        for i in (2, 1, 0):
            dWs.append(h[i].T @ d / len(y))
            dbs.append(d.mean(axis=0))
            d = d @ self.Ws[i].T * (h[i] > 0)
        return dWs[::-1] + dbs[::-1]


@right()
def make_three_relu_layers():
    net = ThreeLayers()
    return Candidate(
        get_weights=lambda: net.Ws + net.bs,
        forward=lambda x: net.forward(x)[1],
        gradients=net.backward,
    )


class SoftmaxOverTheBatch(SpiralNet):
    def probs(self, X):
        e = np.exp(self.scores(X))
        return e / np.sum(e, axis=0)


@wrong(code_words=("axis", "softmax", "batch", "samples"))
def make_softmax_over_the_batch():
    return SoftmaxOverTheBatch().connect()


class ZerosLetThrough(SpiralNet):
    def grads(self, X, y):
        d = self.dscores(X, y)
        dhidden = np.dot(d, self.W2.T) * (self.hidden >= 0)
        return {
            "W": np.dot(X.T, dhidden),
            "b": np.sum(dhidden, axis=0, keepdims=True),
            "W2": np.dot(self.hidden.T, d),
            "b2": np.sum(d, axis=0, keepdims=True),
        }


@wrong(code_words=("relu", "derivative", "mask"), where="layer 1")
def make_relu_zeros_let_through():
    return ZerosLetThrough(6, 8, 4).connect()


class BiasesNotSummed(SpiralNet):
    def grads(self, X, y):
        d = self.dscores(X, y)
        dhidden = np.dot(d, self.W2.T) * (self.hidden > 0)
        return {"W": X.T @ dhidden, "b": dhidden, "W2": self.hidden.T @ d, "b2": d}


@wrong(code_words=("sum", "shape"), where="bias")
def make_biases_not_summed():
    return BiasesNotSummed().connect()


class FirstLayerTimesM(SpiralNet):
    def grads(self, X, y):
        grads = super().grads(X, y)
        dhidden = np.dot(self.dscores(X, y) * len(y), self.W2.T)
        dhidden[self.hidden <= 0] = 0
        return grads | {"W": X.T @ dhidden, "b": dhidden.sum(axis=0, keepdims=True)}


@wrong(
    code_words=("averag", "batch", "divi", "factor", "scale", "times", "mean", "sum"),
    where="layer 1",
)
def make_first_layer_times_m():
    return FirstLayerTimesM(5, 6, 3).connect()


class PreActivationInKernelGradient(SpiralNet):
    def grads(self, X, y):
        grads = super().grads(X, y)
        z1 = X @ self.W + self.b
        return grads | {"W2": np.dot(z1.T, self.dscores(X, y))}


@wrong(code_words=("activation", "input", "previous", "before"), where="layer 2")
def make_pre_activation_in_kernel_gradient():
    return PreActivationInKernelGradient(5, 7, 3).connect()


class WrongLabelIndex(SpiralNet):
    """Takes 1 off the columns of all labels, in every row."""

    def dscores(self, X, y):
        d = self.probs(X)
        d[:, y] -= 1
        return d / len(y)


@wrong(code_words=("label", "index", "delta", "output", "softmax", "sample", "loss"))
def make_wrong_label_index():
    return WrongLabelIndex(4, 6, 5).connect()
