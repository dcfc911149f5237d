"""What a step does to one array, and what it is declared to be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class State:
    """What a rule keeps of one array."""

    m: Any
    v: Any
    t: int = field(default=0)


# From state, gradient, weights and learning rate to what is taken off; the state is changed.
Rule = Callable[[State, Any, Any, float], Any]


def sgd(s: State, g: Any, w: Any, lr: float) -> Any:
    return lr * g


def momentum(s: State, g: Any, w: Any, lr: float) -> Any:
    s.m = 0.9 * s.m - lr * g
    return -s.m


def nesterov(s: State, g: Any, w: Any, lr: float) -> Any:
    s.m = 0.9 * s.m - lr * g
    return lr * g - 0.9 * s.m


def torch_momentum(s: State, g: Any, w: Any, lr: float) -> Any:
    s.m = 0.9 * s.m + g
    return lr * s.m


def rmsprop(s: State, g: Any, w: Any, lr: float) -> Any:
    s.v = 0.9 * s.v + 0.1 * g**2
    return lr * g / np.sqrt(s.v + 1e-7)


def rmsprop_outside(s: State, g: Any, w: Any, lr: float) -> Any:
    s.v = 0.99 * s.v + 0.01 * g**2
    return lr * g / (np.sqrt(s.v) + 1e-8)


def adagrad(s: State, g: Any, w: Any, lr: float) -> Any:
    s.v = s.v + g**2
    return lr * g / np.sqrt(s.v + 1e-7)


def adam(s: State, g: Any, w: Any, lr: float) -> Any:
    s.m, s.v = 0.9 * s.m + 0.1 * g, 0.999 * s.v + 0.001 * g**2
    rate = lr * np.sqrt(1 - 0.999**s.t) / (1 - 0.9**s.t)
    return float(rate) * s.m / (np.sqrt(s.v) + 1e-7)


def torch_adam(s: State, g: Any, w: Any, lr: float) -> Any:
    s.m, s.v = 0.9 * s.m + 0.1 * g, 0.999 * s.v + 0.001 * g**2
    return lr * (s.m / (1 - 0.9**s.t)) / (np.sqrt(s.v / (1 - 0.999**s.t)) + 1e-8)


def adamw(s: State, g: Any, w: Any, lr: float) -> Any:
    return adam(s, g, w, lr) + lr * 0.01 * w


def clipped(rule: Rule) -> Rule:
    return lambda s, g, w, lr: rule(s, np.clip(g, -0.05, 0.05), w, lr)


def clipped_by_norm(rule: Rule) -> Rule:
    def update(s: State, g: Any, w: Any, lr: float) -> Any:
        norm = float(np.sqrt(np.sum(g**2)))
        return rule(s, g * (0.1 / norm) if norm > 0.1 else g, w, lr)

    return update


# The rule and its declaration.
RULES: dict[str, tuple[Rule, str]] = {
    "sgd": (sgd, "SGD(momentum=0.0)"),
    "momentum": (momentum, "SGD(momentum=0.9)"),
    "nesterov": (nesterov, "SGD(momentum=0.9, nesterov=True)"),
    "torch momentum": (torch_momentum, "torch.SGD(momentum=0.9)"),
    "rmsprop": (rmsprop, "RMSprop(rho=0.9, epsilon=1e-7)"),
    "rmsprop outside": (rmsprop_outside, "torch.RMSprop()"),
    "adagrad": (adagrad, "Adagrad(initial_accumulator_value=0.0, epsilon=1e-7)"),
    "adam": (adam, "Adam(epsilon=1e-7)"),
    "torch adam": (torch_adam, "torch.Adam()"),
    "adamw": (adamw, "AdamW(weight_decay=0.01)"),
    "clipped": (clipped(sgd), "SGD(clipvalue=0.05)"),
    "clipped momentum": (clipped(momentum), "SGD(momentum=0.9, clipvalue=0.05)"),
    "clipped by norm": (clipped_by_norm(sgd), "SGD(clipnorm=0.1)"),
}
