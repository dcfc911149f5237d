"""Rules that remember gradients: gradient descent with momentum, and Lion."""

from typing import Any, Unpack

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.optimizers.base import Common, Optimizer
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array


@rule("w")
def descend(w: Each, g: Each, lr: Same) -> Any:
    return w - g * lr


@rule("w", "m")
def descend_with_momentum(w: Each, g: Each, m: Each, lr: Same, momentum: Same) -> Any:
    m = m * momentum - g * lr
    return w + m, m


@rule("w", "m")
def descend_ahead(w: Each, g: Each, m: Each, lr: Same, momentum: Same) -> Any:
    m = m * momentum - g * lr
    return w + (m * momentum - g * lr), m


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum ``m`` if ``momentum > 0``.

    Plain: ``w <- w - lr g``. Momentum: ``m <- momentum m - lr g``, ``w <- w + m``. Nesterov:
    ``m`` likewise, ``w <- w + momentum m - lr g``.

    Reference: Sutskever, Martens, Dahl, Hinton (2013), "On the importance of initialization and
    momentum in deep learning"; ``keras/src/optimizers/sgd.py``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not 0 <= momentum <= 1:
            raise ValueError(f"Expected momentum in [0, 1]. Received: {momentum}")
        self.momentum = momentum
        self.nesterov = nesterov
        self.slot_names = ("momentum",) if momentum else ()

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        if not self.momentum:
            descend(w, g, self.rate)
        elif self.nesterov:
            descend_ahead(w, g, state["momentum"], self.rate, self.momentum)
        else:
            descend_with_momentum(w, g, state["momentum"], self.rate, self.momentum)


@rule("w", "m")
def lion(
    w: Each, g: Each, m: Each, lr: Same, stays_1: Same, comes_1: Same, stays_2: Same, comes_2: Same
) -> Any:
    c = m * stays_1 + g * comes_1
    return w - np.sign(c) * lr, m * stays_2 + g * comes_2


class Lion(Optimizer):
    """Lion: every weight moves by the learning rate, in the direction of an averaged gradient.

    ``c = beta_1 m + (1 - beta_1) g``; ``w <- w - lr sign(c)``; then
    ``m <- beta_2 m + (1 - beta_2) g``. sign(0) is 0. ``rounds_betas``: as in ``Nadam``.

    Reference: Chen et al. (2023), "Symbolic discovery of optimization algorithms",
    arXiv:2302.06675, program 1; ``keras/src/optimizers/lion.py``.
    """

    slot_names = ("momentum",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        rounds_betas: bool = True,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not 0 < beta_1 <= 1 or not 0 <= beta_2 <= 1:
            raise ValueError(
                "Expected beta_1 in (0, 1] and beta_2 in [0, 1]. "
                f"Received: beta_1={beta_1}, beta_2={beta_2}"
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.rounds_betas = rounds_betas

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        real = w.dtype.type
        rounded = real(self.beta_1), real(self.beta_2)
        rests = (1 - b for b in (rounded if self.rounds_betas else (self.beta_1, self.beta_2)))
        (beta_1, beta_2), (rest_1, rest_2) = rounded, map(real, rests)
        lion(w, g, state["momentum"], self.rate, beta_1, rest_1, beta_2, rest_2)
