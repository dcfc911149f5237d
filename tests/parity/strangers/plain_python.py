"""No NumPy inside: lists of floats, loops, ``math``; one sample a call or a list of them."""

import math
import random
from itertools import pairwise
from typing import Any

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sigmoid(z):
    return 1.0 / (1.0 + math.exp(-z))


def matrix(rng, n, m):
    return [[rng.uniform(-1, 1) for _ in range(m)] for _ in range(n)]


Neuron = dict[str, Any]


class NeuronNetwork:
    """Layers of neurons, each a dict; the bias is the last of its weights."""

    def __init__(self, *sizes):
        rng = random.Random(1)
        self.layers: list[list[Neuron]] = [
            [{"weights": w} for w in matrix(rng, n, m + 1)] for m, n in pairwise(sizes)
        ]

    def forward_propagate(self, row):
        inputs = list(row)
        for layer in self.layers:
            for neuron in layer:
                *ws, bias = neuron["weights"]
                z = bias + sum(w * x for w, x in zip(ws, inputs, strict=True))
                neuron["output"] = sigmoid(z)
            inputs = [neuron["output"] for neuron in layer]
        return inputs

    def backward_propagate(self, expected):
        for i in reversed(range(len(self.layers))):
            for j, neuron in enumerate(self.layers[i]):
                if i == len(self.layers) - 1:
                    error = neuron["output"] - expected[j]
                else:
                    error = sum(n["weights"][j] * n["delta"] for n in self.layers[i + 1])
                neuron["delta"] = error * neuron["output"] * (1.0 - neuron["output"])

    def update(self, row, expected, l_rate):
        self.forward_propagate(row)
        self.backward_propagate(expected)
        inputs = list(row)
        for layer in self.layers:
            for neuron in layer:
                for j, x in enumerate([*inputs, 1.0]):
                    neuron["weights"][j] -= l_rate * neuron["delta"] * x
            inputs = [neuron["output"] for neuron in layer]

    def get(self):
        return [[neuron["weights"] for neuron in layer] for layer in self.layers]

    def set(self, values):
        for layer, rows in zip(self.layers, values, strict=True):
            for neuron, row in zip(layer, rows, strict=True):
                neuron["weights"] = [float(w) for w in row]

    def connect(self):
        return Candidate(
            get_weights=self.get,
            set_weights=self.set,
            forward=self.forward_propagate,
            step=self.update,
        )


@right()
def make_neurons_in_dicts():
    return NeuronNetwork(3, 4, 2).connect()


class HiddenSignError(NeuronNetwork):
    def backward_propagate(self, expected):
        super().backward_propagate(expected)
        for neuron in self.layers[0]:
            neuron["delta"] = -neuron["delta"]


@wrong(code_words=("sign", "negat", "minus"), where="layer 1")
def make_neurons_hidden_sign_error():
    return HiddenSignError(4, 3, 2).connect()


class ListNet:
    """A batch is a list of rows; gradients are summed over it with loops."""

    def __init__(self, n_in=4, n_hidden=5, n_out=3):
        rng = random.Random(7)
        self.W1, self.b1 = matrix(rng, n_in, n_hidden), [0.1] * n_hidden
        self.W2, self.b2 = matrix(rng, n_hidden, n_out), [0.1] * n_out

    def forward_one(self, x):
        h = [
            math.tanh(b + sum(x[i] * self.W1[i][j] for i in range(len(x))))
            for j, b in enumerate(self.b1)
        ]
        z = [b + sum(h[i] * self.W2[i][j] for i in range(len(h))) for j, b in enumerate(self.b2)]
        exps = [math.exp(v - max(z)) for v in z]
        return h, [e / sum(exps) for e in exps]

    def forward(self, xs):
        return [self.forward_one(x)[1] for x in xs]

    def rows(self, xs):
        return list(range(len(xs)))

    def backward(self, xs, ys):
        dW1, db1 = [[0.0] * len(self.b1) for _ in self.W1], [0.0] * len(self.b1)
        dW2, db2 = [[0.0] * len(self.b2) for _ in self.W2], [0.0] * len(self.b2)
        for n in self.rows(xs):
            h, p = self.forward_one(xs[n])
            d2 = [a - t for a, t in zip(p, ys[n], strict=True)]
            d1 = self.hidden_delta(h, d2)
            for j, d in enumerate(d2):
                db2[j] += d / len(xs)
                for i, a in enumerate(h):
                    dW2[i][j] += a * d / len(xs)
            for j, d in enumerate(d1):
                db1[j] += d / len(xs)
                for i, a in enumerate(xs[n]):
                    dW1[i][j] += a * d / len(xs)
        return [dW1, db1, dW2, db2]

    def hidden_delta(self, h, d2):
        return [
            (1 - a * a) * sum(w * d for w, d in zip(ws, d2, strict=True))
            for a, ws in zip(h, self.W2, strict=True)
        ]

    def set(self, values):
        self.W1, self.b1, self.W2, self.b2 = (np.asarray(v).tolist() for v in values)

    def connect(self):
        return Candidate(
            get_weights=lambda: [self.W1, self.b1, self.W2, self.b2],
            set_weights=self.set,
            forward=self.forward,
            gradients=self.backward,
        )


@right()
def make_lists_and_loops():
    return ListNet().connect()


class LastRowTwice(ListNet):
    def rows(self, xs):
        return [min(i, len(xs) - 1) for i in range(len(xs) + 1)]


@wrong(code_words=("sample", "batch", "last", "twice"))
def make_lists_last_row_twice():
    return LastRowTwice().connect()


class LastRowLeftOut(ListNet):
    def rows(self, xs):
        return list(range(len(xs) - 1))


@wrong(code_words=("sample", "batch", "last"))
def make_lists_last_row_left_out():
    return LastRowLeftOut(5, 4, 3).connect()


class KernelRowForColumn(ListNet):
    """Sums over the wrong index of a square W2."""

    def hidden_delta(self, h, d2):
        return [
            (1 - h[i] ** 2) * sum(self.W2[j][i] * d2[j] for j in range(len(d2)))
            for i in range(len(h))
        ]


@wrong(code_words=("transpos",))
def make_lists_row_for_column():
    return KernelRowForColumn(5, 4, 4).connect()


class LogisticRegression:
    def __init__(self, n):
        self.w, self.b = [0.2 - 0.1 * i for i in range(n)], 0.05

    def predict(self, xs):
        return [[sigmoid(sum(a * w for a, w in zip(x, self.w, strict=True)) + self.b)] for x in xs]

    def fit(self, xs, ys, lr):
        errors = [p[0] - float(y[0]) for p, y in zip(self.predict(xs), ys, strict=True)]
        for i in range(len(self.w)):
            self.w[i] -= lr * sum(e * x[i] for e, x in zip(errors, xs, strict=True)) / len(xs)
        self.b -= lr * sum(errors) / len(xs)

    def set(self, values):
        (self.w, (self.b,)) = np.ravel(values[0]).tolist(), np.ravel(values[1]).tolist()


@right()
def make_logistic_regression():
    model = LogisticRegression(6)
    return Candidate(
        get_weights=lambda: [[[w] for w in model.w], [model.b]],
        set_weights=model.set,
        forward=model.predict,
        step=model.fit,
    )
