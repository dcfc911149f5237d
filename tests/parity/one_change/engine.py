"""Numbers that remember how they were made; two units reach the output, as they are and by tanh."""

import math
from typing import ClassVar

import numpy as np

import parity

W = {"hidden": np.random.default_rng(3).normal(size=(2, 3)), "out": np.array([0.7, -1.1, 0.4])}


class Number:
    """A number, and by how much the result changes with it."""

    tape: ClassVar[list["Number"]] = []

    def __init__(self, value, *parents):
        self.value, self.parents, self.slope = value, parents, 0.0
        Number.tape.append(self)

    def plus(self, other):
        return Number(self.value + other.value, (self, 1.0), (other, 1.0))

    def times(self, other):
        return Number(self.value * other.value, (self, other.value), (other, self.value))

    def tanh(self):
        value = math.tanh(self.value)
        return Number(value, (self, 1 - value**2))

    def hand_down(self):
        for parent, factor in self.parents:
            parent.slope += factor * self.slope


def run(x, y):
    Number.tape = []
    hidden = [[Number(w) for w in row] for row in W["hidden"]]
    out = [Number(w) for w in W["out"]]
    total = Number(0.0)
    for features, target in zip(x, y, strict=True):
        last = out[2]
        for row, v in zip(hidden, out, strict=False):
            s = row[2]
            for w, feature in zip(row, features, strict=False):
                s = s.plus(w.times(Number(feature)))
            last = last.plus(s.tanh().times(v)).plus(s.times(v))
        error = last.plus(Number(-target))
        total = total.plus(error.times(error))
    return hidden, out, total


def loss(x, y):
    return run(x, y)[2].value


def gradients(x, y):
    hidden, out, total = run(x, y)
    total.slope = 1.0
    for number in reversed(Number.tape):
        number.hand_down()
    return {"hidden": np.array([[w.slope for w in row] for row in hidden]),
            "out": np.array([w.slope for w in out])}  # fmt: skip


def make():
    return parity.Candidate(
        get_weights=lambda: W,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(4, 2)), rng.normal(size=4)),
    )
