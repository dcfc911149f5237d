"""Parity: is a from-scratch network right, and is it the same as its Keras reference?

Anybody's own network, through a few callables:

>>> report = parity.check(parity.Candidate(get_weights=..., forward=..., gradients=...))
>>> print(report); report.raise_for_failure()

A Keras model and a ``numpy_impl`` network:

>>> network = parity.numpy_twin(model)              # or your own, and parity.copy_weights
>>> result = parity.compare(model, network, x, y, loss="categorical_crossentropy")
>>> print(result); result.raise_for_failure()

Names are loaded when they are first used, so that ``import parity`` does not import Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.candidate import Candidate
    from parity.checking.bugs.findings import Finding, TensorResult, Witness
    from parity.checking.checker import assert_parity, check
    from parity.comparison import compare, compare_training
    from parity.reports.report import CheckReport, Outcome
    from parity.result import Comparison, Distance, ParityError, Row, Verdict
    from parity.twins import keras_twin, numpy_loss, numpy_optimizer, numpy_twin
    from parity.weights import copy_weights, distance

_HOME = {
    "Candidate": "candidate",
    "assert_parity": "checking.checker",
    "check": "checking.checker",
    "CheckReport": "reports.report",
    "Finding": "checking.bugs.findings",
    "Outcome": "reports.report",
    "TensorResult": "checking.bugs.findings",
    "Witness": "checking.bugs.findings",
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
    "Candidate",
    "CheckReport",
    "Comparison",
    "Distance",
    "Finding",
    "Outcome",
    "ParityError",
    "Row",
    "TensorResult",
    "Verdict",
    "Witness",
    "assert_parity",
    "check",
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
