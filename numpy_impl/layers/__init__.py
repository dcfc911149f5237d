"""The layers: what each computes forward, and how the gradient passes backward through it.

``base`` says what all have in common, and ``formula`` how most are written; then each layer has a
file.
"""

from numpy_impl.layers.activation import Activation
from numpy_impl.layers.attention import Attention
from numpy_impl.layers.base import Layer, allocate, allocate_states
from numpy_impl.layers.concatenate import Concatenate
from numpy_impl.layers.dense import Dense
from numpy_impl.layers.dot import Dot
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.flatten import Flatten
from numpy_impl.layers.formula import FormulaLayer
from numpy_impl.layers.layer_normalization import LayerNormalization
from numpy_impl.layers.merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from numpy_impl.layers.multi_head_attention import MultiHeadAttention
from numpy_impl.layers.prelu import PReLU
from numpy_impl.layers.rescaling import Rescaling
from numpy_impl.layers.reshaping import Cropping1D, Cropping2D, Permute, Reshape

__all__ = [
    "Activation",
    "Add",
    "Attention",
    "Average",
    "Concatenate",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "Dot",
    "Dropout",
    "Flatten",
    "FormulaLayer",
    "Layer",
    "LayerNormalization",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Permute",
    "Rescaling",
    "Reshape",
    "Subtract",
    "allocate",
    "allocate_states",
]

# What files call them: Keras's names.
LAYERS: dict[str, type[Layer]] = {
    name: kind
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, Layer) and kind not in (Layer, FormulaLayer)
}
