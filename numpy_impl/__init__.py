"""The from-scratch engine: networks, gradients and optimizers in plain NumPy.

Start reading at :mod:`numpy_impl.layers`; then ``losses``, ``network``, ``optimizers``,
``training``. ``models`` has the documented architectures.
"""

from numpy_impl import (
    activations,
    initializers,
    layers,
    losses,
    models,
    optimizers,
    schedules,
    training,
)
from numpy_impl.files import npz as serialization
from numpy_impl.functional import Functional
from numpy_impl.network import Call, Sequential

__all__ = [
    "Call",
    "Functional",
    "Sequential",
    "activations",
    "initializers",
    "layers",
    "losses",
    "models",
    "optimizers",
    "schedules",
    "serialization",
    "training",
]
