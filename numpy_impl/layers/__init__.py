"""The layers: what each computes forward, and how the gradient passes backward through it.

``base`` says what all have in common; then each layer has a file.
"""

from numpy_impl.layers.activation import Activation
from numpy_impl.layers.base import Layer, allocate
from numpy_impl.layers.dense import Dense
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.flatten import Flatten
from numpy_impl.layers.rescaling import Rescaling

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Layer", "Rescaling", "allocate"]

# What files call them.
LAYERS: dict[str, type[Layer]] = {
    c.__name__: c for c in (Dense, Activation, Dropout, Flatten, Rescaling)
}
