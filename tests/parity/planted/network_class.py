"""Style B: one class with lists of weights; samples in columns; derivatives in terms of a."""

import numpy as np

from parity import Candidate


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


class Network:
    def __init__(self, net):
        self.net = net
        self.rng = np.random.default_rng(1)
        pairs = list(zip(net.sizes[:-1], net.sizes[1:], strict=True))
        self.weights = [self.rng.standard_normal((n, m)) for m, n in pairs]
        self.biases = [self.rng.standard_normal((n, 1)) for _, n in pairs if net.bias]
        self.state = {}
        self.t = 0

    def set_weights(self, new):
        self.weights, self.biases = new

    def activation(self, z, name):
        if name == "sigmoid":
            return sigmoid(z)
        if name == "tanh":
            return np.tanh(z)
        return np.maximum(0, z) if name == "relu" else softmax(z)

    def derivative(self, a, name):
        if name == "sigmoid":
            return a * (1 - a)
        if name == "tanh":
            return 1 - a**2
        return (a > 0).astype(float)

    def feedforward(self, x, training=False):
        self.inputs, self.zs, self.activations, self.masks = [x], [], [], []
        last = len(self.weights) - 1
        for i, w in enumerate(self.weights):
            z = np.dot(w, self.inputs[i])
            if self.biases:
                z = z + self.biases[i]
            a = self.activation(z, self.net.output if i == last else self.net.hidden)
            self.zs.append(z)
            self.activations.append(a)
            keep = self.net.keep if training and i < last else 1.0
            self.masks.append((self.rng.random(a.shape) < keep) / keep)
            self.inputs.append(a * self.masks[i])
        return self.activations[-1]

    def loss(self, x, y):
        a, m = self.feedforward(x), x.shape[1]
        if self.net.loss == "squared":
            value = ((a - y) ** 2).sum() / (2 * m)
        else:
            value = -(y * np.log(a)).sum() / m
        return value + self.net.decay / 2 * sum((w**2).sum() for w in self.weights)

    def output_delta(self, a, y):
        if self.net.loss == "cross-entropy":
            return a - y
        if self.net.output == "softmax":
            columns = zip(a.T, (a - y).T, strict=True)
            return np.stack([(np.diag(s) - np.outer(s, s)) @ g for s, g in columns], axis=1)
        return (a - y) * self.derivative(a, self.net.output)

    def backprop(self, x, y):
        m = x.shape[1]
        a = self.feedforward(x, training=True)
        delta = self.output_delta(a, y)
        nabla_w = [np.zeros_like(w) for w in self.weights]
        nabla_b = [np.zeros_like(b) for b in self.biases]
        for i in reversed(range(len(self.weights))):
            nabla_w[i] = np.dot(delta, self.inputs[i].T) / m + self.net.decay * self.weights[i]
            if self.biases:
                nabla_b[i] = delta.sum(axis=1, keepdims=True) / m
            if i > 0:
                delta = np.dot(self.weights[i].T, delta)
                delta = delta * self.masks[i - 1]
                delta = delta * self.derivative(self.activations[i - 1], self.net.hidden)
        return nabla_w, nabla_b

    def moved(self, key, w, g, lr):
        v, s = self.state.get(key, (0, 0))
        if self.net.optimizer == "sgd":
            return w - lr * g
        if self.net.optimizer == "momentum":
            v = 0.9 * v - lr * g
            change = v
        elif self.net.optimizer == "rmsprop":
            s = 0.9 * s + (1 - 0.9) * g * g
            change = -lr * g / np.sqrt(s + 1e-7)
        else:
            v = 0.9 * v + (1 - 0.9) * g
            s = 0.999 * s + (1 - 0.999) * g * g
            rate = lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
            change = -rate * v / (np.sqrt(s) + 1e-7)
        self.state[key] = v, s
        return w + change

    def train(self, x, y, lr):
        nabla_w, nabla_b = self.backprop(x, y)
        self.t += 1
        self.weights = [self.moved(("w", i), w, nabla_w[i], lr) for i, w in enumerate(self.weights)]
        self.biases = [self.moved(("b", i), b, nabla_b[i], lr) for i, b in enumerate(self.biases)]


def build(net):
    network = Network(net)
    return Candidate(
        get_weights=lambda: [network.weights, network.biases],
        set_weights=network.set_weights,
        forward=network.feedforward,
        gradients=network.backprop,
        step=network.train,
        loss=network.loss,
        labels="one-hot",
    )
