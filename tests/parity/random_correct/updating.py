"""Steps: plain, with momentum, RMSprop, Adagrad, Adam."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from tests.parity.random_correct.network import Network

Change = Callable[[dict[str, Any], Any, float], Any]


def sgd(state, g, rate):
    return -rate * g


def classical(state, g, rate):
    state["v"] = 0.9 * state.get("v", 0) - rate * g
    return state["v"]


def pytorch(state, g, rate):
    state["v"] = 0.9 * state.get("v", 0) + g
    return -rate * state["v"]


def nesterov(state, g, rate):
    state["v"] = 0.9 * state.get("v", 0) - rate * g
    return 0.9 * state["v"] - rate * g


def rmsprop(state, g, rate):
    state["v"] = 0.9 * state.get("v", 0) + 0.1 * g**2
    return -rate * g / np.sqrt(state["v"] + 1e-7)


def adagrad(state, g, rate):
    state["v"] = state.get("v", 0) + g * g
    return -rate * g / np.sqrt(state["v"] + 1e-7)


def adagrad_of_keras(state, g, rate):
    # Keras's initial_accumulator_value is 0.1.
    state["v"] = state.get("v", 0.1) + g**2
    return -rate * g / np.sqrt(state["v"] + 1e-7)


def _moments(state, g):
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
    return 1 - 0.9**t, 1 - 0.999**t


def adam(state, g, rate):
    one, two = _moments(state, g)
    return -rate * sqrt(two) / one * state["m"] / (np.sqrt(state["v"]) + 1e-7)


def adam_of_the_paper(state, g, rate):
    one, two = _moments(state, g)
    return -rate * (state["m"] / one) / (np.sqrt(state["v"] / two) + 1e-8)


CHANGES: dict[str, Change] = {
    "sgd": sgd,
    "classical": classical,
    "pytorch": pytorch,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adam of the paper": adam_of_the_paper,
    "adagrad": adagrad,
    "adagrad of keras": adagrad_of_keras,
}


class Updater:
    """Updates a network's weights, each with its own state."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.change = CHANGES[network.spec.optimizer]
        self.states: list[dict[str, Any]] = [
            {} for _ in range(len(network.kernels) + len(network.biases))
        ]

    def step(self, x, y, rate: float) -> None:
        """Take one step."""
        kernels, biases = self.network.gradients(x, y)
        states = iter(self.states)
        for weights, gradients in (
            (self.network.kernels, kernels), (self.network.biases, biases)
        ):  # fmt: skip
            for i, g in enumerate(gradients):
                change = self.change(next(states), g, rate)
                if self.network.spec.rebinds:
                    weights[i] = weights[i] + change
                else:
                    weights[i] += change
