"""Optimizers: one class for each rule, by name in ``OPTIMIZERS``."""

from numpy_impl.optimizers.adafactor import Adafactor
from numpy_impl.optimizers.adam import Adam, Adamax, AdamW, Nadam
from numpy_impl.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from numpy_impl.optimizers.base import Optimizer
from numpy_impl.optimizers.momentum import SGD, Lion
from numpy_impl.optimizers.names import OPTIMIZERS as OPTIMIZERS
from numpy_impl.optimizers.names import get

__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl",
    "Lion", "Nadam", "Optimizer", "RMSprop", "get",
]  # fmt: skip
