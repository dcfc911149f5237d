"""A set_weights that starts the optimizer anew: nothing is wrong with it, as no training calls it.

The network may be made anew with it, or its state alone; and get_weights may hand over the arrays
themselves, or copies, in which nothing can be written.
"""

from collections.abc import Callable, Sequence
from itertools import product

import pytest

import parity
from numpy_impl import optimizers
from numpy_impl.types import Array
from parity import Outcome
from tests.parity.test_optimizer_census import Net, State, Update, adam, rmsprop, sgd, velocity

WRITTEN = "weights were written into the arrays"
INTERRUPTED = "were taken one after the other, without set_weights"


class Program:
    """A network with an optimizer of its own, which set_weights starts anew."""

    def __init__(self, update: Update, whole: bool) -> None:
        self.update, self.whole, self.net = update, whole, Net()

    def set_weights(self, arrays: Sequence[Array]) -> None:
        if self.whole:
            self.net = Net()
        self.net.arrays = [w.copy() for w in arrays]
        self.net.states = [State(w, k) for k, w in enumerate(arrays)]
        for state in self.net.states:
            state.others = self.net.states

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        net = self.net
        for k, g in enumerate(net.gradients(x, y)):
            net.states[k].t += 1
            w = net.arrays[k]
            net.arrays[k] = w - self.update(net.states[k], g, w, learning_rate)


def made(
    update: Update,
    declared: object = None,
    *,
    whole: bool = False,
    gradients: bool = True,
    copies: bool = False,
    loss: Callable[[Array, Array], float] | None = None,
) -> parity.Candidate:
    program = Program(update, whole)

    def given() -> list[Array]:
        arrays = program.net.arrays
        return [w.copy() for w in arrays] if copies else arrays

    return parity.Candidate(
        get_weights=given,
        set_weights=program.set_weights,
        forward=lambda x: program.net.forward(x),
        gradients=(lambda x, y: program.net.gradients(x, y)) if gradients else None,
        step=program.step,
        optimizer=declared,
    )


RIGHT = {
    "Adam": (adam(), None),
    "Adam, declared": (adam(), optimizers.Adam(0.1)),
    "Adam, by its name": (adam(), "adam"),
    "RMSprop": (rmsprop(), None),
    "RMSprop, declared": (rmsprop(), optimizers.RMSprop(0.1)),
    "momentum": (velocity(), None),
    "momentum, declared": (velocity(), optimizers.SGD(0.1, momentum=0.9)),
    "momentum, by its name": (velocity(), "momentum"),
    "Nesterov, declared": (
        velocity(nesterov=True),
        optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ),
}
