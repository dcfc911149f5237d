"""One sample a call, as a column vector: lists of biases and weights, sigmoid in every layer."""

from itertools import pairwise

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


class Network:
    def __init__(self, sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.num_layers = len(sizes)
        self.biases = [rng.standard_normal((n, 1)) for n in sizes[1:]]
        self.weights = [rng.standard_normal((n, m)) for m, n in pairwise(sizes)]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights, strict=True):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def forward_pass(self, x):
        zs, activations = [], [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        return zs, activations

    def backprop(self, x, y):
        zs, activations = self.forward_pass(x)
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        delta = self.output_delta(zs[-1], activations[-1], y)
        for k in range(1, self.num_layers):
            if k > 1:
                delta = np.dot(self.weights[-k + 1].T, delta) * sigmoid_prime(zs[-k])
            nabla_b[-k] = delta
            nabla_w[-k] = np.dot(delta, activations[-k - 1].T)
        return nabla_b, nabla_w

    def output_delta(self, z, a, y):
        return (a - y) * sigmoid_prime(z)

    def update_mini_batch(self, mini_batch, eta):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        self.descend(eta / len(mini_batch), nabla_b, nabla_w)

    def descend(self, rate, nabla_b, nabla_w):
        self.weights = [w - rate * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - rate * nb for b, nb in zip(self.biases, nabla_b, strict=True)]


def one_at_a_time(net):
    return Candidate(
        get_weights=lambda: (net.biases, net.weights),
        forward=net.feedforward,
        gradients=net.backprop,
    )


def column(v):
    return np.reshape(v, (-1, 1))


def mini_batches(net):
    return Candidate(
        get_weights=lambda: [*net.weights, *net.biases],
        forward=lambda xs: np.hstack([net.feedforward(column(x)) for x in xs]).T,
        step=lambda xs, ys, eta: net.update_mini_batch(
            [(column(x), column(y)) for x, y in zip(xs, ys, strict=True)], eta
        ),
    )


@right(reference="784-30-10")
def make_nielsen_backprop():
    return one_at_a_time(Network([784, 30, 10]))


@right()
def make_nielsen_mini_batch():
    return mini_batches(Network([6, 5, 4, 3]))


class CrossEntropyNetwork(Network):
    def output_delta(self, z, a, y):
        return a - y


@right()
def make_nielsen_cross_entropy():
    return one_at_a_time(CrossEntropyNetwork([5, 4, 3]))


@right(reference="sigmoid:2-3-1")
def make_nielsen_xor():
    net = Network([2, 3, 1])
    return Candidate(
        get_weights=lambda: {"w": net.weights, "b": net.biases},
        forward=net.feedforward,
        step=lambda x, y, eta: net.update_mini_batch([(x, y)], eta),
    )


class PrimeOfTheActivation(Network):
    def backprop(self, x, y):
        zs, activations = self.forward_pass(x)
        delta = self.output_delta(zs[-1], activations[-1], y)
        nabla_b, nabla_w = [delta], [delta @ activations[-2].T]
        for k in range(2, self.num_layers):
            delta = self.weights[-k + 1].T @ delta * sigmoid_prime(activations[-k])
            nabla_b.insert(0, delta)
            nabla_w.insert(0, delta @ activations[-k - 1].T)
        return nabla_b, nabla_w


@wrong(code_words=("twice", "double", "derivative", "activation", "prime"), where="layer 1")
def make_nielsen_prime_of_the_activation():
    return one_at_a_time(PrimeOfTheActivation([6, 5, 4]))


class NoHiddenPrime(Network):
    def backprop(self, x, y):
        zs, activations = self.forward_pass(x)
        delta = self.output_delta(zs[-1], activations[-1], y)
        nabla_b, nabla_w = [delta], [delta @ activations[-2].T]
        for k in range(2, self.num_layers):
            delta = self.weights[-k + 1].T @ delta
            nabla_b.insert(0, delta)
            nabla_w.insert(0, delta @ activations[-k - 1].T)
        return nabla_b, nabla_w


@wrong(code_words=("derivative", "prime"), where="layer 1")
def make_nielsen_no_hidden_prime():
    return one_at_a_time(NoHiddenPrime([7, 5, 3]))


class LastPairSkipped(Network):
    def update_mini_batch(self, mini_batch, eta):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for i in range(len(mini_batch) - 1):
            x, y = mini_batch[i]
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        self.descend(eta / len(mini_batch), nabla_b, nabla_w)


@wrong(code_words=("sample", "batch"))
def make_nielsen_last_pair_skipped():
    return mini_batches(LastPairSkipped([6, 5, 3]))


class OnlyTheLastPair(Network):
    def update_mini_batch(self, mini_batch, eta):
        nabla_b, nabla_w = [], []
        for x, y in mini_batch:
            nabla_b, nabla_w = self.backprop(x, y)
        self.descend(eta / len(mini_batch), nabla_b, nabla_w)


@wrong(code_words=("sample", "batch", "accumul"))
def make_nielsen_only_the_last_pair():
    return mini_batches(OnlyTheLastPair([4, 5, 2]))


class Uphill(Network):
    def descend(self, rate, nabla_b, nabla_w):
        self.weights = [w + rate * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b + rate * nb for b, nb in zip(self.biases, nabla_b, strict=True)]


@wrong(code_words=("sign", "ascent", "ascend", "uphill", "direction", "negat"))
def make_nielsen_uphill():
    return mini_batches(Uphill([5, 6, 3]))


class BiasesForgotten(Network):
    def update_mini_batch(self, mini_batch, eta):
        for x, y in mini_batch:
            _, nabla_w = self.backprop(x, y)
            rate = eta / len(mini_batch)
            self.weights = [w - rate * nw for w, nw in zip(self.weights, nabla_w, strict=True)]


@wrong(code_words=("bias", "zero", "missing", "never", "not updated"), where="bias")
def make_nielsen_biases_forgotten():
    net = BiasesForgotten([5, 4, 3])
    return Candidate(
        get_weights=lambda: [net.biases, net.weights],
        forward=net.feedforward,
        step=lambda x, y, eta: net.update_mini_batch([(x, y)], eta),
    )
