"""Adam and what is made of it: AdamW, Adamax, Nadam."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.optimizers.base import Clipping, Common, Optimizer
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array

Real = Any  # makes a number of the weights' precision, or is one


@rule("w", "m", "v")
def adam(
    w: Each, g: Each, m: Each, v: Each, alpha: Same, beta_1: Same, beta_2: Same, epsilon: Same
) -> Any:
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    return w - m * alpha / (np.sqrt(v) + epsilon), m, v


@rule("w", "m", "v", "largest")
def amsgrad(
    w: Each, g: Each, m: Each, v: Each, largest: Each,
    alpha: Same, beta_1: Same, beta_2: Same, epsilon: Same,
) -> Any:  # fmt: skip
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    largest = np.maximum(largest, v)
    return w - m * alpha / (np.sqrt(largest) + epsilon), m, v, largest


class Adam(Optimizer):
    """Adam: momentum and RMSprop's scaling, both corrected for starting at zero.

    ``m <- m + (1 - beta_1)(g - m)``; ``v <- v + (1 - beta_2)(g^2 - v)``;
    ``alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)``; ``w <- w - alpha m / (sqrt(v) + epsilon)``,
    where t counts steps from 1. Here epsilon is outside the root.

    With ``amsgrad`` the root is of the largest v so far: ``v_max <- max(v_max, v)``.

    ``correction_betas`` are the betas whose powers stand in ``alpha``, by default the same two; an
    argument because Keras on TensorFlow rounds just these to float32.

    Reference: Kingma and Ba (2015), "Adam", section 2, last paragraph (this order of computation);
    Reddi, Kale, Kumar (2018), "On the convergence of Adam and beyond", algorithm 2 (AMSGrad, here
    with the correction as well); ``keras/src/optimizers/adam.py``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        correction_betas: tuple[float, float] | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        _check_betas(beta_1, beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self.correction_betas = correction_betas or (beta_1, beta_2)
        self.slot_names = ("momentum", "velocity")
        if amsgrad:
            self.slot_names += ("velocity_hat",)

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        # In the parameters' own precision: 1 - 0.999 in float32 is 1.3e-5 off, in Keras as well.
        real, t = w.dtype.type, w.dtype.type(self.iterations + 1)
        beta_1, beta_2 = (real(beta) for beta in self.correction_betas)
        alpha = self.rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        numbers = alpha, self.beta_1, self.beta_2, self.epsilon
        m, v = state["momentum"], state["velocity"]
        if self.amsgrad:
            amsgrad(w, g, m, v, state["velocity_hat"], *numbers)
        else:
            adam(w, g, m, v, *numbers)


class AdamW(Adam):
    """Adam with weight decay: ``w <- w - lr weight_decay w`` before each step of :class:`Adam`.

    The decay is decoupled: it is no part of the gradient, and so not of m and v.

    Reference: Loshchilov and Hutter (2019), "Decoupled weight decay regularization",
    arXiv:1711.05101, algorithm 2; ``keras/src/optimizers/adamw.py``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        correction_betas: tuple[float, float] | None = None,
        weight_decay: float | None = 0.004,
        **common: Unpack[Clipping],
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, correction_betas,
            weight_decay=weight_decay, **common,
        )  # fmt: skip


@rule("w", "m", "u")
def adamax(
    w: Each, g: Each, m: Each, u: Each,
    lr: Same, beta_1: Same, beta_2: Same, epsilon: Same, correction: Same,
) -> Any:  # fmt: skip
    m = m + (g - m) * (1 - beta_1)
    u = np.maximum(u * beta_2, np.abs(g))
    return w - m * lr / ((u + epsilon) * correction), m, u


class Adamax(Optimizer):
    """Adamax: Adam with the largest size of the gradient in place of the root of v.

    ``m <- m + (1 - beta_1)(g - m)``; ``u <- max(beta_2 u, |g|)``;
    ``w <- w - lr m / ((1 - beta_1^t) (u + epsilon))``, where t counts steps from 1.

    ``correction_betas`` as in :class:`Adam`; the first of them is used.

    Reference: Kingma and Ba (2015), "Adam", section 7.1; ``keras/src/optimizers/adamax.py``.
    """

    slot_names = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        correction_betas: tuple[float, float] | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        _check_betas(beta_1, beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.correction_betas = correction_betas or (beta_1, beta_2)

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        real, t = w.dtype.type, w.dtype.type(self.iterations + 1)
        correction = 1 - real(self.correction_betas[0]) ** t
        m, u = state["momentum"], state["norm"]
        adamax(w, g, m, u, self.rate, self.beta_1, self.beta_2, self.epsilon, correction)


@rule("w", "m", "v")
def nadam(
    w: Each, g: Each, m: Each, v: Each, lr: Same, epsilon: Same, comes_m: Same, comes_v: Same,
    ahead: Same, rest_ahead: Same, now: Same, rest: Same, rest_v: Same,
) -> Any:  # fmt: skip
    m = m + (g - m) * comes_m
    v = v + (g * g - v) * comes_v
    looked_ahead = m * ahead / rest_ahead + g * now / rest
    return w - looked_ahead * lr / (np.sqrt(v / rest_v) + epsilon), m, v


class Nadam(Optimizer):
    """Nadam: Adam with Nesterov's momentum, which looks one step ahead.

    m and v as in :class:`Adam`. With ``u_t = beta_1 (1 - 0.96^t / 2)`` and their product
    ``U_t = u_1 ... u_t``: ``m_hat = u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)``;
    ``v_hat = v / (1 - beta_2^t)``; ``w <- w - lr m_hat / (sqrt(v_hat) + epsilon)``.

    ``product_terms`` are the beta_1 and the 0.96 in U_t, ``decay`` the 0.96 in u_t: arguments
    because Keras on TensorFlow rounds all to float32 but those of the product. ``rounds_betas``
    says whether the 1 - beta of m and v are taken of betas in the weights' precision: Keras on
    PyTorch takes them before it rounds, and 1 - 0.999 in float32 is off by 1e-5.

    Reference: Dozat (2016), "Incorporating Nesterov momentum into Adam", algorithm 2, and section
    4 for u_t; ``keras/src/optimizers/nadam.py``.
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        decay: float = 0.96,
        product_terms: tuple[float, float] | None = None,
        rounds_betas: bool = True,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        _check_betas(beta_1, beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.decay = decay
        self.product_terms = product_terms or (beta_1, decay)
        self.rounds_betas = rounds_betas
        self._counted, self._product = 0, np.float64(1)

    def product(self, t: int, real: Real) -> Real:
        """Return ``U_t``, multiplied up step by step as Keras does, in the precision ``real``."""
        if self._counted > t or self._counted == 0:
            self._counted, self._product = 0, real(1)
        beta, decay = (real(term) for term in self.product_terms)
        while self._counted < t:
            self._counted += 1
            ahead = real(1) - real(0.5) * decay ** real(self._counted)
            self._product = self._product * beta * ahead
        return self._product

    def build(self, parameters: Array, slices: Sequence[slice] | None = None) -> None:
        """Allocate the state for a parameter vector, all zeros."""
        super().build(parameters, slices)
        self._counted = 0

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        real, t = w.dtype.type, self.iterations + 1
        beta_1, beta_2, decay = (real(n) for n in (self.beta_1, self.beta_2, self.decay))
        now, ahead = (beta_1 * (real(1) - real(0.5) * decay ** real(k)) for k in (t, t + 1))
        product = self.product(t, real)
        betas = (beta_1, beta_2) if self.rounds_betas else (self.beta_1, self.beta_2)
        comes_m, comes_v = (real(1 - beta) for beta in betas)
        nadam(
            w, g, state["momentum"], state["velocity"], self.rate, self.epsilon,
            comes_m, comes_v, ahead, 1 - product * ahead, 1 - now, 1 - product,
            1 - beta_2 ** real(t),
        )  # fmt: skip


def _check_betas(beta_1: float, beta_2: float) -> None:
    if not 0 <= beta_1 < 1 or not 0 <= beta_2 < 1:
        raise ValueError(
            f"Expected beta_1 and beta_2 in [0, 1). Received: beta_1={beta_1}, beta_2={beta_2}"
        )
