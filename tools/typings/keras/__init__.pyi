# Keras has no types. Here are those of what keras_impl uses; everything else is Any.
from collections.abc import Sequence
from typing import Any

from keras import activations as activations
from keras import backend as backend
from keras import callbacks as callbacks
from keras import config as config
from keras import initializers as initializers
from keras import layers as layers
from keras import losses as losses
from keras import metrics as metrics
from keras import ops as ops
from keras import optimizers as optimizers
from keras import saving as saving
from keras import utils as utils
from keras.layers import Layer as Layer
from numpy.typing import NDArray

class Variable:
    name: str
    path: str
    shape: tuple[int, ...]
    value: Any
    def __getattr__(self, name: str) -> Any: ...

class StatelessScope:
    def __init__(self, *, initialize_variables: bool = True) -> None: ...
    def __enter__(self) -> StatelessScope: ...
    def __exit__(self, *exception: object) -> None: ...

class Model(Layer):
    layers: list[Layer]
    weights: list[Variable]
    inputs: list[Any]
    outputs: list[Any]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    trainable_variables: list[Variable]
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def get_weights(self) -> list[NDArray[Any]]: ...
    def set_weights(self, weights: Sequence[NDArray[Any]]) -> None: ...

class Sequential(Model):
    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None: ...

def __getattr__(name: str) -> Any: ...
