"""Optimizers: how the gradient changes the parameters. Formulas, order and defaults are Keras's.

Notation: ``w`` parameters, ``g`` gradient (after clipping), ``lr`` learning rate. An optimizer sees
one long parameter vector and one gradient vector, never a layer; it only needs to know which slice
belongs to which weight because ``clipnorm`` works weight by weight. Parameters and state are
updated in place, block by block: a rule reads and writes its vectors some ten times, and a block
of them stays in the processor's cache meanwhile. Without clipping a step allocates no arrays.

Order of a step, as in ``keras/src/optimizers/base_optimizer.py``: clip the gradient, decay the
weights (``w <- w - w * weight_decay * lr``), apply the rule.
"""

from collections.abc import Sequence

import numpy as np

from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array

# Elements of a block: with gradient, state and scratch about a megabyte in float32. Measured: half
# of it costs more calls than it saves traffic, the whole vector at once is slower when the cache
# is shared with others.
BLOCK = 65_536


class Optimizer:
    """What all optimizers share: the learning rate, clipping, weight decay, and the state.

    Args:
        learning_rate: Step size; or a schedule, which gives it for each step.
        weight_decay: Decoupled weight decay, of kernels and biases alike; None is none.
        clipnorm: Scale each weight's gradient down to at most this Euclidean norm.
        clipvalue: Clip each element of the gradient to [-clipvalue, clipvalue].
        global_clipnorm: Scale the whole gradient down to at most this norm.

    Attributes:
        state: The slots by name (``slot_names``), each a vector like the parameters.
        iterations: Number of steps taken.

    Raises:
        ValueError: A value out of range, or more than one kind of clipping.
    """

    slot_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        if not isinstance(learning_rate, LearningRateSchedule) and not learning_rate >= 0:
            raise ValueError(f"Expected learning_rate >= 0. Received: {learning_rate}")
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {name: value for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"Expected at most one of {', '.join(clips)}. Received: {given}")
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"Expected {name} > 0. Received: {value}")
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self.state: dict[str, Array] = {}
        self.slices: list[slice] = []

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes next."""
        rate = self.learning_rate
        return rate(self.iterations) if isinstance(rate, LearningRateSchedule) else rate

    def build(self, parameters: Array, slices: Sequence[slice] | None = None) -> None:
        """Allocate the state for a parameter vector, all zeros.

        Args:
            parameters: Vector of all parameters.
            slices: Which part of it each weight is; None: it is one weight.
        """
        self.slices = list(slices) if slices is not None else [slice(None)]
        self.state = {name: np.zeros_like(parameters) for name in self.slot_names}
        self._scratch = np.empty((2, min(BLOCK, len(parameters))), parameters.dtype)
        self.iterations = 0

    def apply(self, gradients: Array, parameters: Array) -> None:
        """Take one step: update ``parameters`` in place. ``gradients`` are left unchanged."""
        if not self.slices:
            self.build(parameters)
        g = self._clip(gradients)
        if len(parameters) <= BLOCK:
            self._step(g, parameters, self.state, self._scratch)
        else:
            for start in range(0, len(parameters), BLOCK):
                block = slice(start, start + BLOCK)
                w = parameters[block]
                state = {name: slot[block] for name, slot in self.state.items()}
                self._step(g[block], w, state, self._scratch[:, : len(w)])
        self.iterations += 1

    def _step(self, g: Array, w: Array, state: dict[str, Array], scratch: Array) -> None:
        """Decay the weights of a block, then apply the rule to it."""
        if self.weight_decay is not None:
            decay = np.multiply(w, self.weight_decay, out=scratch[0])
            decay *= self.rate
            w -= decay
        self._update(g, w, state, scratch)

    def _update(self, g: Array, w: Array, state: dict[str, Array], scratch: Array) -> None:
        """Apply the rule to one block; ``scratch`` is two vectors as long as ``w``, to write to."""
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
        **clipping_and_decay: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping_and_decay)
        if not 0 <= momentum <= 1:
            raise ValueError(f"Expected momentum in [0, 1]. Received: {momentum}")
        self.momentum = momentum
        self.nesterov = nesterov
        self.slot_names = ("momentum",) if momentum else ()

    def _update(self, g: Array, w: Array, state: dict[str, Array], scratch: Array) -> None:
        step, ahead = scratch
        np.multiply(g, self.rate, out=step)
        if not self.momentum:
            w -= step
            return
        m = state["momentum"]
        m *= self.momentum
        m -= step
        if self.nesterov:
            np.multiply(m, self.momentum, out=ahead)
            ahead -= step
            w += ahead
        else:
            w += m


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
        **clipping_and_decay: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping_and_decay)
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

    def _update(self, g: Array, w: Array, state: dict[str, Array], scratch: Array) -> None:
        root, step = scratch
        v = state["velocity"]
        v *= self.rho
        np.square(g, out=step)
        step *= 1 - self.rho
        v += step
        if self.centered:
            b = state["average_gradient"]
            b *= self.rho
            np.multiply(g, 1 - self.rho, out=step)
            b += step
            np.square(b, out=step)
            np.subtract(v, step, out=root)
            root += self.epsilon
        else:
            np.add(v, self.epsilon, out=root)
        np.sqrt(root, out=root)
        np.multiply(g, self.rate, out=step)
        step /= root
        if self.momentum:
            m = state["momentum"]
            m *= self.momentum
            m += step
            step = m
        w -= step


class Adam(Optimizer):
    """Adam: momentum and RMSprop's scaling, both corrected for starting at zero.

    ``m <- m + (1 - beta_1)(g - m)``; ``v <- v + (1 - beta_2)(g^2 - v)``;
    ``alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)``; ``w <- w - alpha m / (sqrt(v) + epsilon)``,
    where t counts steps from 1. Here epsilon is outside the root.

    ``correction_betas`` are the betas whose powers stand in ``alpha``, by default the same two; an
    argument because Keras on TensorFlow rounds just these to float32.

    Reference: Kingma and Ba (2015), "Adam", section 2, last paragraph (this order of computation);
    ``keras/src/optimizers/adam.py``.
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        correction_betas: tuple[float, float] | None = None,
        **clipping_and_decay: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping_and_decay)
        if not 0 <= beta_1 < 1 or not 0 <= beta_2 < 1:
            raise ValueError(
                f"Expected beta_1 and beta_2 in [0, 1). Received: beta_1={beta_1}, beta_2={beta_2}"
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.correction_betas = correction_betas or (beta_1, beta_2)

    def _update(self, g: Array, w: Array, state: dict[str, Array], scratch: Array) -> None:
        m, v = state["momentum"], state["velocity"]
        change, root = scratch
        # In the parameters' own precision: 1 - 0.999 in float32 is 1.3e-5 off, in Keras as well.
        real, t = w.dtype.type, w.dtype.type(self.iterations + 1)
        beta_1, beta_2 = (real(beta) for beta in self.correction_betas)
        alpha = self.rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        np.subtract(g, m, out=change)
        change *= 1 - self.beta_1
        m += change
        np.square(g, out=change)
        change -= v
        change *= 1 - self.beta_2
        v += change
        np.sqrt(v, out=root)
        root += self.epsilon
        np.multiply(m, alpha, out=change)
        change /= root
        w -= change


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam}


def get(identifier: str | Optimizer, **options: object) -> Optimizer:
    """Return the optimizer of a name in ``OPTIMIZERS``; ``options`` go to its constructor.

    Raises:
        ValueError: The name is not known, or there are options for what has been made already.
    """
    if isinstance(identifier, Optimizer):
        if options:
            raise ValueError(
                f"Expected options with the name of an optimizer only. "
                f"Received: {type(identifier).__name__} and {', '.join(options)}"
            )
        return identifier
    if identifier not in OPTIMIZERS:
        raise ValueError(
            f"Unknown optimizer. Expected one of: {', '.join(OPTIMIZERS)}. Received: {identifier!r}"
        )
    return OPTIMIZERS[identifier](**options)  # type: ignore[arg-type]
