"""A scalar engine of values that hand down gradients, and layers of neurons made of them."""

import math
import random

import numpy as np


class Value:
    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self.backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def backward():
            self.grad += out.grad
            other.grad += out.grad

        out.backward = backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.backward = backward
        return out

    __radd__ = __add__

    def tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def backward():
            self.grad += (1 - t * t) * out.grad

        out.backward = backward
        return out

    def backpropagate(self):
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for child in value.children:
                    visit(child)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            value.backward()


class Neuron:
    def __init__(self, inputs):
        draw = random.Random(inputs)
        self.w = [Value(draw.uniform(-1, 1)) for _ in range(inputs)]
        self.b = Value(0.1)

    def __call__(self, x):
        return (sum((w * v for w, v in zip(self.w, x, strict=True)), Value(0.0)) + self.b).tanh()


net = [[Neuron(2) for _ in range(3)], [Neuron(3)]]


def run(x):
    for layer in net:
        x = [neuron(x) for neuron in layer]
    return x[0]


def total(x, y):
    return sum(((run(row) + -t) * (run(row) + -t) for row, t in zip(x, y, strict=True)), Value(0.0))


def get_weights():
    return [
        a
        for layer in net
        for a in (
            np.array([[w.data for w in n.w] for n in layer]),
            np.array([n.b.data for n in layer]),
        )
    ]


def set_weights(arrays):
    for layer, kernel, bias in zip(net, arrays[::2], arrays[1::2], strict=True):
        for neuron, row, b in zip(layer, kernel, bias, strict=True):
            neuron.b = Value(float(b))
            neuron.w = [Value(float(w)) for w in row]


def gradients(x, y):
    set_weights(get_weights())
    total(x, y).backpropagate()
    return [
        a
        for layer in net
        for a in (
            np.array([[w.grad for w in n.w] for n in layer]),
            np.array([n.b.grad for n in layer]),
        )
    ]


def make():
    import parity

    return parity.Candidate(
        get_weights=get_weights,
        set_weights=set_weights,
        gradients=gradients,
        loss=lambda x, y: total(x, y).data,
        data=lambda rng: (rng.normal(size=(4, 2)), rng.normal(size=4)),
    )
