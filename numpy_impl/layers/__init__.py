"""The layers: what each computes forward, and how the gradient passes backward through it.

``base`` says what all have in common, and ``formula`` how most are written; then each layer has a
file.
"""

from numpy_impl.layers.activation import Activation
from numpy_impl.layers.attention import AdditiveAttention, Attention
from numpy_impl.layers.base import Layer, allocate, allocate_states
from numpy_impl.layers.batch_normalization import BatchNormalization
from numpy_impl.layers.bidirectional import Bidirectional
from numpy_impl.layers.concatenate import Concatenate
from numpy_impl.layers.convolution import Conv1D, Conv2D
from numpy_impl.layers.dense import Dense
from numpy_impl.layers.depthwise_convolution import DepthwiseConv2D, SeparableConv2D
from numpy_impl.layers.dot import Dot
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.embedding import Embedding
from numpy_impl.layers.flatten import Flatten
from numpy_impl.layers.formula import FormulaLayer
from numpy_impl.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from numpy_impl.layers.group_normalization import GroupNormalization
from numpy_impl.layers.gru import GRU
from numpy_impl.layers.layer_normalization import LayerNormalization
from numpy_impl.layers.lstm import LSTM
from numpy_impl.layers.masking import Masking
from numpy_impl.layers.merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from numpy_impl.layers.multi_head_attention import MultiHeadAttention
from numpy_impl.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from numpy_impl.layers.prelu import PReLU
from numpy_impl.layers.recurrent import Recurrent
from numpy_impl.layers.repeat_vector import RepeatVector
from numpy_impl.layers.rescaling import Rescaling
from numpy_impl.layers.reshaping import Cropping1D, Cropping2D, Permute, Reshape
from numpy_impl.layers.rms_normalization import RMSNormalization
from numpy_impl.layers.simple_rnn import SimpleRNN
from numpy_impl.layers.softmax import Softmax
from numpy_impl.layers.time_distributed import TimeDistributed
from numpy_impl.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from numpy_impl.layers.up_sampling import UpSampling2D
from numpy_impl.layers.zero_padding import ZeroPadding1D, ZeroPadding2D

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "FormulaLayer",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "SimpleRNN",
    "Softmax",
    "Subtract",
    "TimeDistributed",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
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
