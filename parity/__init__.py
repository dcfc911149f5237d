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
    from parity.bounds.rounding import ParityError
    from parity.candidate import Candidate
    from parity.checking.any_layers.matching import MatchedWeight, WeightMatch
    from parity.checking.bugs.findings import Finding, TensorResult, Witness
    from parity.checking.checker import assert_parity, check, check_gradients, match_weights
    from parity.checking.layer.checker import check_layer
    from parity.comparing.compare import compare, compare_training
    from parity.comparing.foreign import load_state_dict
    from parity.comparing.result import Comparison, Distance
    from parity.comparing.rows import Row, Verdict
    from parity.comparing.twins import keras_twin, numpy_loss, numpy_optimizer, numpy_twin
    from parity.comparing.weights import copy_weights, distance
    from parity.drafting.training_loop import loop_functions
    from parity.loading import definitions
    from parity.reports.report import CheckReport, Outcome

_HOME = {
    "Candidate": "candidate",
    "assert_parity": "checking.checker",
    "check": "checking.checker",
    "check_gradients": "checking.checker",
    "check_layer": "checking.layer.checker",
    "CheckReport": "reports.report",
    "Finding": "checking.bugs.findings",
    "Outcome": "reports.report",
    "TensorResult": "checking.bugs.findings",
    "Witness": "checking.bugs.findings",
    "compare": "comparing.compare",
    "compare_training": "comparing.compare",
    "Comparison": "comparing.result",
    "Distance": "comparing.result",
    "ParityError": "bounds.rounding",
    "Row": "comparing.rows",
    "Verdict": "comparing.rows",
    "keras_twin": "comparing.twins",
    "numpy_loss": "comparing.twins",
    "numpy_optimizer": "comparing.twins",
    "numpy_twin": "comparing.twins",
    "copy_weights": "comparing.weights",
    "definitions": "loading",
    "distance": "comparing.weights",
    "loop_functions": "drafting.training_loop",
    "load_state_dict": "comparing.foreign",
    "match_weights": "checking.checker",
    "MatchedWeight": "checking.any_layers.matching",
    "WeightMatch": "checking.any_layers.matching",
}

__all__ = [
    "Candidate",
    "CheckReport",
    "Comparison",
    "Distance",
    "Finding",
    "MatchedWeight",
    "Outcome",
    "ParityError",
    "Row",
    "TensorResult",
    "Verdict",
    "WeightMatch",
    "Witness",
    "assert_parity",
    "check",
    "check_gradients",
    "check_layer",
    "compare",
    "compare_training",
    "copy_weights",
    "definitions",
    "distance",
    "keras_twin",
    "load_state_dict",
    "loop_functions",
    "match_weights",
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
