"""Optimizers: how the gradient changes the parameters. Formulas, order and defaults are Keras's.

Notation: ``w`` parameters, ``g`` gradient (after clipping), ``lr`` learning rate. An optimizer sees
one long parameter vector and one gradient vector, never a layer; it only needs to know which slice
belongs to which weight because ``clipnorm`` works weight by weight. The formulas are rules (see
``numpy_impl.fused``), which update parameters and state in place.

Order of a step, as in ``keras/src/optimizers/base_optimizer.py``: clip the gradient, decay the
weights (``w <- w - w * weight_decay * lr``), apply the rule, average the weights
(``average <- ema_momentum average + (1 - ema_momentum) w``; the first step sets it to w).
"""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.network import Network
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array, Shape


@rule("w")
def decay(w: Each, weight_decay: Same, lr: Same) -> Any:
    return w - w * weight_decay * lr


@rule("average")
def keep_average(average: Each, w: Each, stays: Same, comes: Same) -> Any:
    return average * stays + w * comes


class Clipping(TypedDict, total=False):
    """The options of :class:`Optimizer` but for the weight decay."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None


class Common(Clipping, total=False):
    """The options of :class:`Optimizer` that every rule hands on to it."""

    weight_decay: float | None


class Optimizer:
    """What all optimizers share: learning rate, clipping, weight decay, averaging, and the state.

    Args:
        learning_rate: Step size; or a schedule, which gives it for each step.
        weight_decay: Decoupled weight decay, of kernels and biases alike; None is none.
        clipnorm: Scale each weight's gradient down to at most this Euclidean norm.
        clipvalue: Clip each element of the gradient to [-clipvalue, clipvalue].
        global_clipnorm: Scale the whole gradient down to at most this norm.
        use_ema: Keep an exponential moving average of the weights, in the slot "average".
            :meth:`finalize` puts it in their place.
        ema_momentum: The share of the average that stays in each step.
        ema_overwrite_frequency: After each multiple of so many steps the average takes the place of
            the weights, and training goes on from there; None: never.

    Attributes:
        state: The slots by name (``slots``), each a vector like the parameters.
        iterations: Number of steps taken.

    Raises:
        ValueError: A value out of range, or more than one kind of clipping.
    """

    # The slots of the rule itself.
    slot_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
    ) -> None:
        if not isinstance(learning_rate, LearningRateSchedule):
            not_negative(learning_rate=learning_rate)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {name: value for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"Expected at most one of {', '.join(clips)}. Received: {given}")
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"Expected {name} > 0. Received: {value}")
        if not 0 <= ema_momentum <= 1:
            raise ValueError(f"Expected ema_momentum in [0, 1]. Received: {ema_momentum}")
        if ema_overwrite_frequency is not None and not ema_overwrite_frequency >= 1:
            raise ValueError(
                "Expected ema_overwrite_frequency of at least 1, or None. "
                f"Received: {ema_overwrite_frequency}"
            )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.iterations = 0
        self.state: dict[str, Array] = {}
        self.slices: list[slice] = []
        self.shapes: list[Shape] = []

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes next."""
        rate = self.learning_rate
        return rate(self.iterations) if isinstance(rate, LearningRateSchedule) else rate

    @property
    def slots(self) -> tuple[str, ...]:
        """The names in ``state``."""
        return (*self.slot_names, "average") if self.use_ema else self.slot_names

    @property
    def averages_overwrite(self) -> bool:
        """Whether the step that comes next ends with the average in place of the weights."""
        every = self.ema_overwrite_frequency
        return self.use_ema and every is not None and (self.iterations + 1) % every == 0

    def build_for(self, network: Network) -> None:
        """Allocate the state for a network, whose weights have shapes."""
        self.shapes = [weight.shape for weight in network.weights]
        self.build(network.parameters, network.slices)

    def build(self, parameters: Array, slices: Sequence[slice] | None = None) -> None:
        """Allocate the state for a parameter vector, all zeros.

        Args:
            parameters: Vector of all parameters.
            slices: Which part of it each weight is; None: it is one weight. Weights are taken for
                vectors, but by :meth:`build_for`.
        """
        self.slices = list(slices) if slices is not None else [slice(None)]
        vectors = [parameters[s].shape for s in self.slices]
        if [(math.prod(shape),) for shape in self.shapes] != vectors:
            self.shapes = vectors
        self.state = {name: np.zeros_like(parameters) for name in self.slots}
        self.iterations = 0

    def apply(self, gradients: Array, parameters: Array) -> None:
        """Take one step: update ``parameters`` in place. ``gradients`` are left unchanged."""
        if not self.slices:
            self.build(parameters)
        gradients = self._clip(gradients)
        if self.weight_decay is not None:
            decay(parameters, self.weight_decay, self.rate)
        self._update(parameters, gradients, self.state)
        if self.use_ema:
            self._average(parameters)
        self.iterations += 1

    def _average(self, w: Array) -> None:
        average = self.state["average"]
        stays = w.dtype.type(self.ema_momentum if self.iterations else 0)
        keep_average(average, w, stays, 1 - stays)
        if self.averages_overwrite:
            w[...] = average

    def finalize(self, parameters: Array) -> None:
        """Put the average in place of ``parameters``, as at the end of a training."""
        if self.use_ema:
            parameters[...] = self.state["average"]

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        """Apply the rule to the parameters ``w`` and to the slots ``state``."""
        raise TypeError(f"{type(self).__name__} defines no _update")

    def _clip(self, g: Array) -> Array:
        if self.clipvalue is not None:
            return np.clip(g, -self.clipvalue, self.clipvalue)
        if self.global_clipnorm is not None:
            return g * (self.global_clipnorm / max(np.linalg.norm(g), self.global_clipnorm))
        if self.clipnorm is not None:
            clipped = np.empty_like(g)
            for s in self.slices:
                clipped[s] = g[s] * (self.clipnorm / max(np.linalg.norm(g[s]), self.clipnorm))
            return clipped
        return g


def not_negative(**numbers: float) -> None:
    """Raise ValueError for an option that is below 0."""
    for name, value in numbers.items():
        if not value >= 0:
            raise ValueError(f"Expected {name} >= 0. Received: {value}")
