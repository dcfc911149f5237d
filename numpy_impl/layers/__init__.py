"""The layers: what each computes forward, and how the gradient passes backward through it.

``base`` says what all have in common, and ``formula`` how most are written; then each layer has a
file.
"""

from numpy_impl.layers.activation import Activation
from numpy_impl.layers.base import Layer, allocate, allocate_states
from numpy_impl.layers.bidirectional import Bidirectional
from numpy_impl.layers.dense import Dense
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.embedding import Embedding
from numpy_impl.layers.flatten import Flatten
from numpy_impl.layers.formula import FormulaLayer
from numpy_impl.layers.gru import GRU
from numpy_impl.layers.layer_normalization import LayerNormalization
from numpy_impl.layers.lstm import LSTM
from numpy_impl.layers.masking import Masking
from numpy_impl.layers.recurrent import Recurrent
from numpy_impl.layers.repeat_vector import RepeatVector
from numpy_impl.layers.rescaling import Rescaling
from numpy_impl.layers.simple_rnn import SimpleRNN
from numpy_impl.layers.time_distributed import TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Bidirectional",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "FormulaLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "RepeatVector",
    "Rescaling",
    "SimpleRNN",
    "TimeDistributed",
    "allocate",
    "allocate_states",
]

# What files call them: Keras's names.
LAYERS: dict[str, type[Layer]] = {
    name: kind
    for name, kind in list(globals().items())
    if isinstance(kind, type)
    and issubclass(kind, Layer)
    and kind not in (Layer, FormulaLayer, Recurrent)
}
