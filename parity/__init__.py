"""Parity: are a Keras model and a from-scratch NumPy network the same, up to rounding?

>>> network = parity.numpy_twin(model)              # or your own, and parity.copy_weights
>>> result = parity.compare(model, network, x, y, loss="categorical_crossentropy")
>>> print(result); result.raise_for_failure()

Names are loaded when they are first used, so that ``import parity`` does not import Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.comparison import compare, compare_training
    from parity.result import Comparison, Distance, ParityError, Row, Verdict
    from parity.twins import keras_twin, numpy_loss, numpy_optimizer, numpy_twin
    from parity.weights import copy_weights, distance

_HOME = {
    "compare": "comparison",
    "compare_training": "comparison",
    "Comparison": "result",
    "Distance": "result",
    "ParityError": "result",
    "Row": "result",
    "Verdict": "result",
    "keras_twin": "twins",
    "numpy_loss": "twins",
    "numpy_optimizer": "twins",
    "numpy_twin": "twins",
    "copy_weights": "weights",
    "distance": "weights",
}

__all__ = [
    "Comparison",
    "Distance",
    "ParityError",
    "Row",
    "Verdict",
    "compare",
    "compare_training",
    "copy_weights",
    "distance",
    "keras_twin",
    "numpy_loss",
    "numpy_optimizer",
    "numpy_twin",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    value = getattr(import_module(f"parity.{_HOME[name]}"), name)
    globals()[name] = value
    return value
