"""Adafactor, which keeps a mean for each row and each column of a matrix in place of one a weight.

It is the only rule here that has to know how weights lie in rows and columns.
"""

import math
from typing import Unpack

import numpy as np

from numpy_impl.optimizers.base import Common, Optimizer
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array


class Adafactor(Optimizer):
    """Adafactor: the gradient divided by a root that is a product of row and column means.

    With ``rate = min(lr, 1 / sqrt(t))``, ``beta = 1 - t^beta_2_decay`` and
    ``s = g^2 + epsilon_1``, where t counts steps from 1:
    ``r <- beta r + (1 - beta) mean of s over each row``, ``c`` likewise over each column;
    ``v = r c / mean(r)``; ``u = g / sqrt(v)``;
    ``w <- w - max(epsilon_2, rms(w)) rate u / max(1, rms(u) / clip_threshold)``, where rms is the
    root mean square over one weight array. For vectors v itself is kept:
    ``v <- beta v + (1 - beta) s``.

    In Keras ``relative_step`` changes nothing: ``rate`` has the minimum either way. The slots "row"
    and "column" are as long as the weights here, each mean repeated along its row or column.

    Reference: Shazeer and Stern (2018), "Adafactor", arXiv:1804.04235, algorithms 4 and 5;
    ``keras/src/optimizers/adafactor.py``.
    """

    slot_names = ("row", "column", "velocity")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        if not clip_threshold > 0:
            raise ValueError(f"Expected clip_threshold > 0. Received: {clip_threshold}")
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def _update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        for part, shape in zip(self.slices, self.shapes, strict=True):
            vectors = (w, g, *(state[name] for name in self.slot_names))
            self._update_weight(*(vector[part].reshape(shape) for vector in vectors))

    def _update_weight(self, w: Array, g: Array, r: Array, c: Array, v: Array) -> None:
        real, t = w.dtype.type, w.dtype.type(self.iterations + 1)
        rate = min(real(self.rate), 1 / np.sqrt(t))
        beta = 1 - t ** real(self.beta_2_decay)
        alpha = max(real(self.epsilon_2), _rms(w)) * rate
        square = g * g + real(self.epsilon_1)
        if w.ndim > 1:
            for means, axis in ((r, -1), (c, -2)):
                means *= beta
                means += (1 - beta) * square.mean(axis=axis, keepdims=True)
            v[...] = r / r[..., :1].mean(axis=-2, keepdims=True) * c
        else:
            v[...] = v * beta + square * (1 - beta)
        # In float32 epsilon_1 squared is 0: where a row and a column of the gradient are all zeros
        # this is 0/0; that NaN spreads to all of the weight, as it does in Keras.
        with np.errstate(invalid="ignore"):
            u = g / np.sqrt(v)
        u /= np.maximum(real(1), _rms(u) / real(self.clip_threshold))
        w -= u * alpha


def _rms(values: Array) -> Array:
    """Return the root mean square, in the precision of the values."""
    return np.sqrt(np.square(values).sum() / values.dtype.type(math.prod(values.shape)))
