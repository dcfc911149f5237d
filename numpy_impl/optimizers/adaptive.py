"""Rules that divide by a root of squares of gradients: RMSprop, Adagrad, Adadelta, FTRL."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.optimizers.base import Common, Optimizer, not_negative
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array


@rule("w", "v")
def rmsprop(w: Each, g: Each, v: Each, lr: Same, rho: Same, epsilon: Same) -> Any:
    v = v * rho + g * g * (1 - rho)
    return w - g * lr / np.sqrt(v + epsilon), v


@rule("w", "v", "m")
def rmsprop_with_momentum(
    w: Each, g: Each, v: Each, m: Each, lr: Same, rho: Same, epsilon: Same, momentum: Same
) -> Any:
    v = v * rho + g * g * (1 - rho)
    m = m * momentum + g * lr / np.sqrt(v + epsilon)
    return w - m, v, m


@rule("w", "v", "b")
def centered(w: Each, g: Each, v: Each, b: Each, lr: Same, rho: Same, epsilon: Same) -> Any:
    v = v * rho + g * g * (1 - rho)
    b = b * rho + g * (1 - rho)
    return w - g * lr / np.sqrt(v - b * b + epsilon), v, b


@rule("w", "v", "b", "m")
def centered_with_momentum(
    w: Each, g: Each, v: Each, b: Each, m: Each, lr: Same, rho: Same, epsilon: Same, momentum: Same
) -> Any:
    v = v * rho + g * g * (1 - rho)
    b = b * rho + g * (1 - rho)
    m = m * momentum + g * lr / np.sqrt(v - b * b + epsilon)
    return w - m, v, b, m


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by a running root mean square of itself.

    ``v <- rho v + (1 - rho) g^2``; ``w <- w - lr g / sqrt(v + epsilon)``. Note that epsilon is
    *inside* the root. ``centered`` keeps a running mean ``b`` of the gradient too and takes
    ``sqrt(v - b^2 + epsilon)``. With momentum the quotient is added to ``m <- momentum m + ...``,
    and ``w <- w - m``.

    Reference: Tieleman and Hinton (2012), lecture 6.5 of "Neural networks for machine learning";
    Graves (2013), arXiv:1308.0850, eq. 38-45 (centered); ``keras/src/optimizers/rmsprop.py``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not 0 <= rho <= 1 or not 0 <= momentum <= 1:
            raise ValueError(
                f"Expected rho and momentum in [0, 1]. Received: rho={rho}, momentum={momentum}"
            )
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered
        self.slot_names = ("velocity",)
        if momentum:
            self.slot_names += ("momentum",)
        if centered:
            self.slot_names += ("average_gradient",)

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        v, m, b = map(state.get, ("velocity", "momentum", "average_gradient"))
        numbers = self.rate, self.rho, self.epsilon
        if self.centered and self.momentum:
            centered_with_momentum(w, g, v, b, m, *numbers, self.momentum)
        elif self.centered:
            centered(w, g, v, b, *numbers)
        elif self.momentum:
            rmsprop_with_momentum(w, g, v, m, *numbers, self.momentum)
        else:
            rmsprop(w, g, v, *numbers)


@rule("w", "v")
def adagrad(w: Each, g: Each, v: Each, lr: Same, epsilon: Same) -> Any:
    v = v + g * g
    return w - g * lr / np.sqrt(v + epsilon), v


class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of all its squares so far.

    ``v <- v + g^2``, from ``initial_accumulator_value`` on; ``w <- w - lr g / sqrt(v + epsilon)``.

    Reference: Duchi, Hazan, Singer (2011), "Adaptive subgradient methods for online learning and
    stochastic optimization"; ``keras/src/optimizers/adagrad.py``.
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        not_negative(initial_accumulator_value=initial_accumulator_value)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, parameters: Array, slices: Sequence[slice] | None = None) -> None:
        """Allocate the state; the accumulator starts at ``initial_accumulator_value``."""
        super().build(parameters, slices)
        self.state["accumulator"][...] = self.initial_accumulator_value

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        adagrad(w, g, state["accumulator"], self.rate, self.epsilon)


@rule("w", "v", "u")
def adadelta(w: Each, g: Each, v: Each, u: Each, lr: Same, rho: Same, epsilon: Same) -> Any:
    v = v * rho + g * g * (1 - rho)
    change = np.sqrt(u + epsilon) * g / np.sqrt(v + epsilon)
    return w - change * lr, v, u * rho + change * change * (1 - rho)


class Adadelta(Optimizer):
    """Adadelta: RMSprop whose step is scaled by the root mean square of its own steps before.

    ``v <- rho v + (1 - rho) g^2``; ``d = -g sqrt(u + epsilon) / sqrt(v + epsilon)``;
    ``u <- rho u + (1 - rho) d^2``; ``w <- w + lr d``.

    Reference: Zeiler (2012), "ADADELTA", arXiv:1212.5701, algorithm 1;
    ``keras/src/optimizers/adadelta.py``.
    """

    slot_names = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not 0 <= rho <= 1:
            raise ValueError(f"Expected rho in [0, 1]. Received: {rho}")
        self.rho = rho
        self.epsilon = epsilon

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        v, u = (state[name] for name in self.slot_names)
        adadelta(w, g, v, u, self.rate, self.rho, self.epsilon)


class Ftrl(Optimizer):
    """FTRL-Proximal: the weights that would have been best for all gradients so far.

    With p = -``learning_rate_power`` and ``l2 = l2_regularization_strength + beta / (2 lr)``:
    ``n' = n + g^2``; ``z <- z + (g + 2 l2_shrinkage w) - (n'^p - n^p) / lr w``;
    ``w <- (clip(z, -l1, l1) - z) / (n'^p / lr + 2 l2)``; ``n <- n'``. Where z lies within l1 of 0
    the weight is 0. n starts at ``initial_accumulator_value``. Mind that w is set and not moved:
    after the first step little is left of where it began.

    Reference: McMahan et al. (2013), "Ad click prediction: a view from the trenches", algorithm 1;
    ``keras/src/optimizers/ftrl.py``.
    """

    slot_names = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not learning_rate_power <= 0:
            raise ValueError(f"Expected learning_rate_power <= 0. Received: {learning_rate_power}")
        not_negative(
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
        )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, parameters: Array, slices: Sequence[slice] | None = None) -> None:
        """Allocate the state; the accumulator starts at ``initial_accumulator_value``."""
        super().build(parameters, slices)
        self.state["accumulator"][...] = self.initial_accumulator_value

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        # In NumPy's calls, and not a rule, as libraries do not agree on powers.
        n, z = state["accumulator"], state["linear"]
        lr, l1 = w.dtype.type(self.rate), self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * lr)
        before = np.power(n, -self.learning_rate_power)
        n += g * g
        power = np.power(n, -self.learning_rate_power)
        shrunk = w * (2 * self.l2_shrinkage_regularization_strength) + g
        z += shrunk - (power - before) / lr * w
        w[...] = (np.clip(z, -l1, l1) - z) / (power / lr + 2 * l2)
