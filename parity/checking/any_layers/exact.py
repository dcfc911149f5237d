"""What Keras computes in float32 also where it is asked for float64, in float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.checking.bugs.activating import gelu
from parity.checking.bugs.change import Setting


def exact(keras: Any, layer: Any) -> Iterator[Setting]:
    """Yield attributes of a layer with which it computes in float64 throughout.

    TensorFlow's gelu and leaky_relu have their constants in float32, and Rescaling casts scale and
    offset on the way. See docs/keras-semantics.md.
    """
    ops, activations = keras.ops, keras.activations
    in_float64 = {
        activations.gelu: lambda z, approximate=False: gelu(ops, z, approximate),
        activations.leaky_relu: lambda z, negative_slope=0.2: ops.where(
            z > 0, z, negative_slope * z
        ),
    }
    own = vars(layer).get("activation")
    if callable(own) and own in in_float64:
        yield layer, "activation", in_float64[own]
    for name in ("scale", "offset"):
        value = vars(layer).get(name)
        if isinstance(value, float):
            yield layer, name, np.float64(value)
