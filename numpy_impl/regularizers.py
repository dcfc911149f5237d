"""Penalties on weights: what a training's cost has beside the loss, and its gradient.

>>> layer = Dense(10)
>>> layer.regularizers = {"kernel": L2(1e-4)}

A penalty is added to the mean over the batch, whole and not divided by the batch's size, in every
step and in every evaluation, as Keras does (``keras/src/regularizers/regularizers.py``,
``Trainer.compute_loss``).
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

# An array, or what computes like one.
Number = Any


class L1L2:
    """``l1 sum |w| + l2 sum w^2``; gradient ``l1 sign(w) + 2 l2 w``, with ``sign(0) = 0``.

    Args:
        l1: Factor of the absolute values.
        l2: Factor of the squares, without the 1/2 that other definitions have.

    Raises:
        ValueError: A factor that is no finite number of at least 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        for name, factor in (("l1", l1), ("l2", l2)):
            if not 0 <= factor < np.inf:
                raise ValueError(f"Expected {name} >= 0. Received: {factor}")
        self.l1, self.l2 = float(l1), float(l2)

    def penalty(self, w: Number) -> Number:
        """Return the penalty of an array, a scalar."""
        absolute, squared = np.sum(np.abs(w)) * self.l1, np.sum(np.square(w)) * self.l2
        return absolute + squared if self.l1 and self.l2 else absolute if self.l1 else squared

    def gradient(self, w: Number) -> Number:
        """Return the penalty's derivative, of the shape of ``w``."""
        absolute, squared = np.sign(w) * self.l1, w * (2 * self.l2)
        return absolute + squared if self.l1 and self.l2 else absolute if self.l1 else squared


class L1(L1L2):
    """``l1 sum |w|`` (lasso)."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """``l2 sum w^2`` (ridge, weight decay in the gradient)."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


REGULARIZERS: dict[str, type[L1L2]] = {"L1": L1, "L2": L2, "L1L2": L1L2}


def from_keras(entry: Any) -> L1L2 | None:
    """Return the regularizer for what Keras's ``get_config`` or file has; None for none.

    Raises:
        ValueError: It is another one than L1, L2 and L1L2.
    """
    if entry is None:
        return None
    written: Mapping[str, Any] = (
        cast(Mapping[str, Any], entry) if isinstance(entry, Mapping) else {}
    )
    if written.get("class_name") not in REGULARIZERS:
        raise ValueError(f"Expected one of {', '.join(REGULARIZERS)}. Received: {entry!r}")
    config: Mapping[str, Any] = written["config"]
    return L1L2(config.get("l1", 0.0), config.get("l2", 0.0))
